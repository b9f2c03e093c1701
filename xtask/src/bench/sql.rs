//! `cargo xtask bench sql`: nanoseconds for a statement's class and digest, with sqlparser beside.

use std::process::{ExitCode, Stdio};

use anyhow::{Context, ensure};

use super::machine;
use crate::{project, say};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seconds for each cell of the table.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Do not write docs/bench/sql.md.
    #[arg(long)]
    dry_run: bool,
}

#[expect(clippy::disallowed_methods, reason = "a build and a measurement that a person waits for")]
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let load = machine::load();
    // A program of its own: xtask itself is built without optimization.
    let output = project::cargo()
        .args(["run", "--release", "--quiet", "-p", "primacy-sql", "--example", "speed", "--"])
        .args(["--seconds", &args.seconds.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .context("running the measurement of primacy-sql")?;
    ensure!(output.status.success(), "the measurement ended with {}", output.status);
    let table = String::from_utf8(output.stdout).context("reading its table")?;
    say(table.trim_end());
    if !args.dry_run {
        project::write_page("docs/bench/sql.md", &page(&table, &load))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn page(table: &str, load: &str) -> String {
    format!(
        "# How fast statements are read\n\n\
         Measured by `cargo xtask bench sql` on one core of {}; load average at the beginning {load}. The \
         fastest of 20 measurements of each cell, as other work on the machine can only make it slower.\n\n\
         \"Class\" is where the statement may run and what it does to its session, \"digest\" its text \
         without values and the hash of that. sqlparser 0.63 makes a syntax tree of the same text, which \
         says more than is asked here, and does not see into executable comments.\n\n{table}",
        machine::facts()
    )
}
