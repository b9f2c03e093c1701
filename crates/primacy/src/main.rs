//! The program `primacy`: everything it does is in `primacy_cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    primacy_cli::main(std::env::args_os())
}
