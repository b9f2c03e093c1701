//! Tasks of this repository: `cargo xtask TASK`. One module per task; this file only dispatches.

mod bench;
mod demo;
mod fuzz;
mod install;
mod interrupt;
mod lines;
mod project;
mod servers;
mod stage;
mod test;
mod writable;
mod writer;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tasks of this repository")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Show a failover: three real servers, a manager, a write load, and the primary killed.
    ///
    /// Ends with 0 only if there was a failover and no acknowledged row is missing.
    Demo(demo::Args),
    /// Run everything that CI runs after its lints: all tests, those on real servers too.
    Test(test::Args),
    /// Measure, and write the result into docs/bench.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Get the MySQL and MariaDB versions to try and test against.
    Servers(servers::Args),
    /// Give the parsers bytes that nobody would send, guided by what these reach.
    ///
    /// Needs a C++ compiler (Debian's g++, installed if it may be) and crates.io.
    Fuzz(fuzz::Args),
    /// Check that no Rust file is longer than one reads at a sitting.
    Lines,
}

fn main() -> ExitCode {
    show_log();
    let done = match Cli::parse().task {
        Task::Demo(args) => demo::run(&args),
        Task::Test(args) => test::run(&args),
        Task::Bench(what) => bench::run(&what),
        Task::Servers(args) => servers::run(&args),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Lines => lines::run(),
    };
    done.unwrap_or_else(|error| {
        report(&format!("error: {error:#}"));
        match error.downcast_ref::<install::NeedsAPerson>() {
            Some(_) => ExitCode::from(2),
            None if error.is::<interrupt::Interrupted>() => ExitCode::from(130),
            None => ExitCode::FAILURE,
        }
    })
}

/// What Primacy's own parts note while a task uses them goes to stderr where `PRIMACY_LOG` asks for
/// it, as with `primacy`. What cannot be read of the filter is told there, and left out.
fn show_log() {
    if std::env::var_os("PRIMACY_LOG").is_some() {
        let filter = EnvFilter::from_env("PRIMACY_LOG");
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
}

/// A line of a task's result.
#[expect(clippy::print_stdout, reason = "a task's output")]
fn say(line: &str) {
    println!("{line}");
}

/// A line for the person at the terminal, apart from a task's result.
#[expect(clippy::print_stderr, reason = "a terminal program's messages")]
fn report(line: &str) {
    eprintln!("{line}");
}
