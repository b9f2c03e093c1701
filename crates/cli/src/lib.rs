//! The command line: its verbs, what they print, and what their exit codes mean.
//!
//! `args` says what can be written, `verbs` does it, `session` finds who answers (a running
//! manager, or this process itself), `render` turns answers into text, `printer` writes them.
//! Nothing here decides anything about clusters.

mod args;
mod confirm;
mod exit;
mod failure;
mod follow;
mod logging;
mod look;
mod paint;
mod printer;
mod render;
mod session;
mod signals;
mod verbs;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Verb};
use exit::Exit;
use failure::Failure;
use printer::Printer;
use verbs::mha;

/// The definition of the command line, for generated documentation.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command line of a process; the first argument is the program's name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some((program, words)) = args.split_first()
        && let Some(command) = mha::called_as(program)
    {
        return primacy_mha::main(command, words.iter().cloned()).into();
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        // Also `--help` and `--version`, which end with 0.
        Err(error) => {
            let _unheard = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    if let Verb::Mha(args) = &cli.verb
        && let Some((command, words)) = mha::named(args)
    {
        return primacy_mha::main(command, words).into();
    }
    let mut printer = Printer::new(&cli.global);
    let outcome = run(&cli, &mut printer);
    let exit = match outcome {
        Ok(exit) => exit,
        Err(failure) => match printer.failure(&failure) {
            Ok(()) => failure.exit,
            Err(second) => second.exit,
        },
    };
    exit.into()
}

/// So many threads at least, however few processors there are: one that waits for a slow disk, or for
/// a process to be started, must not hold up what others are in time for (leases, looks, locks).
const THREADS: usize = 4;

fn run(cli: &Cli, printer: &mut Printer) -> failure::Outcome {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors.max(THREADS))
        .enable_all()
        .build()
        .map_err(|e| Failure::new(Exit::Refused, format!("no threads can be started: {e}")))?;
    logging::start(cli)?;
    let outcome = runtime.block_on(Box::pin(verbs::run(cli, printer)));
    // Whatever still waits for a server that does not answer is not waited for.
    runtime.shutdown_background();
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }
}
