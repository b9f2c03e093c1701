//! `cargo xtask servers`: server versions that the machine's release does not have.

use std::process::ExitCode;
use std::time::Instant;

use primacy_sandbox::{CATALOGUE, Outcome, list_installations, provision};

use crate::{report, say};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which servers to get (mysql-9.7, mariadb-10.5, ...); all when none is named.
    names: Vec<String>,
    /// Say which servers there are, and get none.
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.list {
        list();
        return Ok(ExitCode::SUCCESS);
    }
    let all = CATALOGUE.iter().map(|entry| entry.name.to_owned()).collect();
    let names: Vec<String> = if args.names.is_empty() { all } else { args.names.clone() };
    let mut failed = 0;
    for name in &names {
        let begin = Instant::now();
        let outcome = provision(name, &mut |line| report(&format!("{name}: {line}")));
        let seconds = begin.elapsed().as_secs_f32();
        match outcome {
            Ok(Outcome::System(version)) => say(&format!("{name}: {version}, installed")),
            Ok(Outcome::Present(version, dir)) => {
                say(&format!("{name}: {version}, present in {}", dir.display()));
            }
            Ok(Outcome::Fetched(version, dir)) => {
                say(&format!("{name}: {version}, in {} ({seconds:.1} s)", dir.display()));
            }
            Err(error) => {
                failed += 1;
                report(&format!("{name}: FAILED: {error}"));
            }
        }
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn list() {
    let here = list_installations();
    for entry in CATALOGUE {
        match here.iter().find(|found| found.name == entry.name) {
            Some(found) => {
                say(&format!(
                    "{:<14} {:<18} {}",
                    entry.name,
                    found.version,
                    found.mysqld.display()
                ));
            }
            None => say(&format!("{:<14} absent; cargo xtask servers {0}", entry.name)),
        }
    }
}
