//! How a program ended, and the sentence about it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use primacy_types::Millis;

use crate::Captured;

/// So many characters of what was said stand in a sentence.
const SAID: usize = 300;

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What was run, as a person knows it: its path, without arguments.
    pub program: String,
    /// How it ended.
    pub exit: Exit,
    /// What it wrote to its standard output.
    pub stdout: Captured,
    /// What it wrote to its standard error.
    pub stderr: Captured,
    /// How long it took, with the ending of what had to be ended.
    pub took: Duration,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// By itself, with this code.
    Exited(i32),
    /// By a signal that did not come from us.
    Signalled(i32),
    /// It ran longer than its limit. It and what it had started were ended: SIGTERM, and SIGKILL
    /// for those that did not heed it.
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// It never ran.
    NotStarted(NotStarted),
    /// It ran, but how it ended could not be learnt.
    Unknown(String),
}

/// Why a program was not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotStarted {
    /// There is no such file.
    #[error("there is no such file; install it, or mend its path in the configuration")]
    NotFound,
    /// It is no ordinary file.
    #[error("it is no file that could be run, but a directory or the like")]
    NoFile,
    /// The program that its first line names is missing.
    #[error(
        "its first line asks for {interpreter:?}, which is not there; install that, or mend the line"
    )]
    NoInterpreter {
        /// What stands after `#!`.
        interpreter: String,
    },
    /// It may not be executed.
    #[error(
        "this user may not execute it; chmod +x it, and see that every directory on the way may be \
         entered and that its file system is not mounted noexec"
    )]
    NotExecutable,
    /// The kernel does not know what it is.
    #[error(
        "it is neither a program for this machine nor a script that names its interpreter; begin \
         it with a line such as #!/bin/sh"
    )]
    UnknownFormat,
    /// Its working directory cannot be used.
    #[error("its working directory {} cannot be entered: {reason}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// Starting it took longer than it may run.
    #[error(
        "starting it took longer than its limit of {}; is its file system reachable?",
        Millis::from(*limit)
    )]
    TooSlow {
        /// The limit.
        limit: Duration,
    },
    /// The operating system refused.
    #[error("the operating system refused: {reason}")]
    System {
        /// What it said.
        reason: String,
    },
}

impl Exit {
    /// It ended by itself with 0.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Exited(0))
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(126) => {
                f.write_str("exited with 126 (so says a shell of a command that it may not run)")
            }
            Self::Exited(127) => {
                f.write_str("exited with 127 (so says a shell of a command that it does not find)")
            }
            Self::Exited(code) => write!(f, "exited with {code}"),
            Self::Signalled(signal) => {
                write!(f, "was ended by signal {signal}")?;
                name_of(*signal).map_or(Ok(()), |name| write!(f, " ({name})"))
            }
            Self::TimedOut { limit } => write!(
                f,
                "did not end within its limit of {}, and was ended with all that it had started",
                Millis::from(*limit)
            ),
            Self::NotStarted(why) => write!(f, "could not be run: {why}"),
            Self::Unknown(why) => write!(f, "ended, but it is not known how: {why}"),
        }
    }
}

/// The signals that people meet.
fn name_of(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        6 => "SIGABRT",
        7 => "SIGBUS",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        _ => return None,
    })
}

impl Outcome {
    /// It ended by itself with 0.
    pub fn is_success(&self) -> bool {
        self.exit.is_success()
    }

    /// The code with which it ended by itself.
    pub const fn code(&self) -> Option<i32> {
        match self.exit {
            Exit::Exited(code) => Some(code),
            _ => None,
        }
    }

    /// The last lines of what it said (on standard error, else on standard output), short enough
    /// for a sentence and with control characters spelled out; `None` if it said nothing.
    pub fn said(&self) -> Option<String> {
        let spoken = |text: &str| Some(end_of(text)).filter(|said| !said.is_empty());
        spoken(&self.stderr.text).or_else(|| spoken(&self.stdout.text))
    }
}

impl fmt::Display for Outcome {
    /// `/etc/primacy/move-vip exited with 3 after 12 ms and said: "no such interface"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.program, self.exit)?;
        if matches!(self.exit, Exit::Exited(_) | Exit::Signalled(_)) {
            write!(f, " after {}", Millis::from(self.took))?;
        }
        match self.said() {
            Some(said) => write!(f, "; it said: \"{said}\""),
            None if matches!(self.exit, Exit::NotStarted(_)) => Ok(()),
            None => f.write_str("; it said nothing"),
        }
    }
}

/// The end of a text in one line.
pub(crate) fn end_of(text: &str) -> String {
    let mut last: Vec<char> = text.trim().chars().rev().take(SAID).collect();
    let cut = last.len() < text.trim().chars().count();
    last.reverse();
    let mut line = String::from(if cut { "..." } else { "" });
    for character in last {
        match character {
            '\n' => line.push_str(" / "),
            '\t' => line.push(' '),
            '\r' => {}
            other if other.is_control() => line.extend(other.escape_default()),
            other => line.push(other),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(exit: Exit, stdout: &str, stderr: &str) -> Outcome {
        let captured = |text: &str| Captured { text: text.to_owned(), left_out: 0 };
        Outcome {
            program: "/etc/primacy/vip".to_owned(),
            exit,
            stdout: captured(stdout),
            stderr: captured(stderr),
            took: Duration::from_millis(12),
        }
    }

    #[test]
    fn the_sentence_says_what_was_run_how_it_ended_and_what_it_said() {
        let told = |exit, out, err| ended(exit, out, err).to_string();
        assert_eq!(
            told(Exit::Exited(3), "moving\n", "no such\ninterface\n"),
            "/etc/primacy/vip exited with 3 after 12 ms; it said: \"no such / interface\""
        );
        assert_eq!(
            told(Exit::Signalled(9), "", " \n"),
            "/etc/primacy/vip was ended by signal 9 (SIGKILL) after 12 ms; it said nothing"
        );
        assert_eq!(
            told(Exit::TimedOut { limit: Duration::from_secs(5) }, "waiting", ""),
            "/etc/primacy/vip did not end within its limit of 5 s, and was ended with all that it \
             had started; it said: \"waiting\""
        );
        assert_eq!(
            told(Exit::NotStarted(NotStarted::NotFound), "", ""),
            "/etc/primacy/vip could not be run: there is no such file; install it, or mend its \
             path in the configuration"
        );
    }

    #[test]
    fn what_a_program_says_cannot_paint_a_terminal_or_fill_a_log() {
        let noisy = format!("{}\x1b[2Jend", "x".repeat(1000));
        let said = ended(Exit::Exited(1), "", &noisy).said().unwrap();
        assert!(said.starts_with("...x") && said.ends_with("x\\u{1b}[2Jend"), "{said}");
        assert!(said.chars().count() < SAID + 20);
    }
}
