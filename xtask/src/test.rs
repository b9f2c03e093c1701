//! `cargo xtask test`: everything that CI runs after its lints.
//!
//! Two tiers. Without options: MariaDB 10.11 and MySQL 9.7, one case for each mode and promise.
//! With `--matrix`: every version of the catalogue (their tests are in modules called `in_matrix`, see
//! `primacy_testkit::on_servers!`), and the result as a table in docs/matrix.md.

mod cases;
mod matrix;

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Context;
use primacy_sandbox::{CATALOGUE, Outcome, provision};

use crate::{install, project, report, say};

/// The servers of the short tier.
const SHORT: [&str; 2] = ["mariadb-10.11", "mysql-9.7"];

/// Where nextest puts its report, below the target folder; see .config/nextest.toml.
const JUNIT: &str = "nextest/default/junit.xml";

/// So many tests at a time without nextest, which has groups of its own.
const THREADS: &str = "--test-threads=2";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// All server versions; the result is written to docs/matrix.md.
    #[arg(long)]
    matrix: bool,
    /// Only these tests: a filter expression of nextest, or a part of the name without nextest.
    #[arg(long, value_name = "EXPR")]
    only: Option<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    let in_ci = project::in_ci();
    let names: Vec<&str> =
        if args.matrix { CATALOGUE.iter().map(|e| e.name).collect() } else { SHORT.to_vec() };
    report(&format!("Testing with {}.", names.join(", ")));
    install::system_server()?;
    if let Err(error) = install::neighbours() {
        report(&format!("Going on without: {error:#}"));
    }
    if args.matrix
        && let Err(error) = install::mha()
    {
        report(&format!("Going on without: {error:#}"));
    }
    let absent = get_servers(&names);
    if let Err(error) = install::backup_program() {
        // The tests concerned say that they are skipped.
        report(&error.to_string());
    }
    if in_ci && !absent.is_empty() {
        report(&format!("FAILED: CI needs every server, and lacks {}", absent.join(", ")));
        return Ok(ExitCode::FAILURE);
    }
    let mut passed = run_tests(args, in_ci)?;
    if args.only.is_none() {
        report("Documentation tests:");
        let mut doc = project::cargo();
        doc.args(["test", "--quiet", "--workspace", "--doc"]);
        passed &= succeeds(&mut doc)?;
    }
    let seconds = begin.elapsed().as_secs();
    for name in &absent {
        say(&format!("NOT TESTED: {name} could not be had"));
    }
    let word = if passed { "passed" } else { "FAILED" };
    say(&format!("Tests {word} in {} min {} s.", seconds / 60, seconds % 60));
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Gets what is missing; returns what could not be had.
fn get_servers<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let mut absent = Vec::new();
    for name in names {
        match provision(name, &mut |line| report(&format!("{name}: {line}"))) {
            Ok(Outcome::System(version)) => report(&format!("{name}: {version}, installed")),
            Ok(Outcome::Present(version, dir) | Outcome::Fetched(version, dir)) => {
                report(&format!("{name}: {version}, in {}", dir.display()));
            }
            Err(error) => {
                report(&format!("{name}: COULD NOT BE HAD: {error}"));
                absent.push(*name);
            }
        }
    }
    absent
}

/// The tests themselves. With a report to read, skipped ones are named at the end.
fn run_tests(args: &Args, in_ci: bool) -> anyhow::Result<bool> {
    let nextest = project::has_cargo_command("nextest");
    let mut command = project::cargo();
    if nextest {
        command.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
        if args.matrix {
            command.arg("--ignore-default-filter");
        }
        if let Some(only) = &args.only {
            command.args(["-E", only]);
        }
    } else {
        report("cargo-nextest is not installed: cargo test runs the tests, more slowly.");
        command.args(["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"]);
        command.args(&args.only).args(["--", "--show-output", THREADS]);
        if !args.matrix {
            command.args(["--skip", "in_matrix::"]);
        }
    }
    for (name, wanted) in [("PRIMACY_MATRIX", args.matrix), ("PRIMACY_REQUIRE_SERVERS", in_ci)] {
        if wanted {
            command.env(name, "1");
        } else {
            command.env_remove(name);
        }
    }
    let (passed, cases) = if nextest {
        // nextest keeps it below the workspace, wherever cargo builds (`store.dir`).
        let file = project::root().join("target").join(JUNIT);
        let _ = std::fs::remove_file(&file);
        let passed = succeeds(&mut command)?;
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        (passed, cases::from_junit(&text))
    } else {
        cases::from_libtest(&mut command)?
    };
    for case in cases.iter().filter(|case| case.skipped()) {
        say(&format!("SKIPPED: {} ({})", case.name, case.why().unwrap_or("no reason was given")));
    }
    for case in cases.iter().filter(|case| case.repeated > 0) {
        let times = case.repeated;
        say(&format!("REPEATED: {} ({times} times: the machine had stood still)", case.name));
    }
    if args.matrix && args.only.is_none() {
        project::write_page("docs/matrix.md", &matrix::page(&cases, &project::today()))?;
        report("docs/matrix.md is written.");
    }
    Ok(passed)
}

fn succeeds(command: &mut Command) -> anyhow::Result<bool> {
    let status = command.status();
    Ok(status.with_context(|| format!("{:?} was not started", command.get_program()))?.success())
}
