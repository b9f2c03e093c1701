//! Questions to the person at the terminal, or to whatever answers in their place.

use std::io;

use crate::command::Streams;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("the question cannot be asked: {0}")]
    Terminal(#[from] io::Error),
    #[error("the input ended without an answer, so nothing was done; --interactive=0 asks nothing")]
    Unanswered,
}

/// Asks, if somebody can be asked.
pub(crate) struct Asking<'a, 's> {
    streams: &'a mut Streams<'s>,
    interactive: bool,
}

/// A longer line is no answer.
const LONGEST: u64 = 1024;

impl<'a, 's> Asking<'a, 's> {
    pub(crate) fn new(streams: &'a mut Streams<'s>, interactive: bool) -> Self {
        Self { streams, interactive }
    }

    pub(crate) fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Whether the answer is yes; without asking if nobody is to be asked.
    pub(crate) fn agrees(&mut self, question: &str) -> Result<bool, AskError> {
        if !self.interactive {
            return Ok(true);
        }
        let answer = self.line(&format!("{question} (yes/NO): "))?;
        Ok(matches!(&*answer.to_ascii_lowercase(), "y" | "yes"))
    }

    /// What is answered, without the blanks around it.
    pub(crate) fn line(&mut self, question: &str) -> Result<String, AskError> {
        write!(self.streams.out, "{question}")?;
        self.streams.out.flush()?;
        let mut line = Vec::new();
        let mut input = io::Read::take(&mut *self.streams.input, LONGEST);
        if io::BufRead::read_until(&mut input, b'\n', &mut line)? == 0 {
            return Err(AskError::Unanswered);
        }
        Ok(String::from_utf8_lossy(&line).trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(input: &str, interactive: bool) -> (Result<bool, AskError>, String) {
        let (mut input, mut out, mut err) = (input.as_bytes(), Vec::new(), Vec::new());
        let mut streams = Streams { input: &mut input, out: &mut out, err: &mut err };
        let agreed = Asking::new(&mut streams, interactive).agrees("Sure?");
        (agreed, String::from_utf8(out).unwrap())
    }

    #[test]
    fn only_a_yes_is_one() {
        for (input, agreed) in [
            ("yes\n", true),
            (" YES \r\n", true),
            ("y\n", true),
            ("yes", true),
            ("no\n", false),
            ("\n", false),
            ("yess\n", false),
        ] {
            let (answer, shown) = asked(input, true);
            assert_eq!(answer.unwrap(), agreed, "{input:?}");
            assert_eq!(shown, "Sure? (yes/NO): ");
        }
    }

    #[test]
    fn nobody_is_asked_who_must_not_be_and_an_end_of_input_is_no_answer() {
        let (answer, shown) = asked("", false);
        assert!(answer.unwrap());
        assert_eq!(shown, "");
        assert!(asked("", true).0.is_err());
    }
}
