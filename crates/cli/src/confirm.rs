//! Asking before something is changed.

use std::io;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Printer;

/// Asks on the terminal; everything but a yes is a no.
///
/// # Errors
/// If the answer is no.
pub(crate) fn confirm(printer: &mut Printer, question: &str) -> Result<(), Failure> {
    printer.ask(&format!("\n{question} [y/N]"));
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    if read.is_ok() && is_yes(&answer) {
        return Ok(());
    }
    Err(Failure::new(Exit::Refused, "not confirmed; nothing was touched"))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        assert!(is_yes("y\n") && is_yes(" YES \n"));
        assert!(!is_yes("") && !is_yes("\n") && !is_yes("n\n") && !is_yes("yesterday\n"));
    }
}
