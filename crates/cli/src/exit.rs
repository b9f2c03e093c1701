//! What a command's end means to the script that ran it: the one table of exit codes.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// What was asked for is done or shown.
    Done = 0,
    /// The answer is no.
    Refused = 1,
    /// The command or the configuration has to be written differently.
    Usage = 2,
    /// Nobody answered.
    Unreachable = 3,
    /// It began, failed, and everything is as it was before.
    PutBack = 4,
}

/// Each code with its meaning, as `--help` and the manual show it.
const TABLE: [(Exit, &str); 5] = [
    (Exit::Done, "done, or shown; `check` found nothing that blocks or risks a failover"),
    (
        Exit::Refused,
        "refused, failed, or `check`, `binlog verify` or `binlog diff` found something; \
         `check-vip`: no",
    ),
    (Exit::Usage, "the command line or the configuration is wrong; nothing was tried"),
    (Exit::Unreachable, "the manager, or the server that was meant, could not be reached"),
    (Exit::PutBack, "begun, failed or interrupted, and everything was put back"),
];

/// The table as a section of help texts.
pub(crate) fn help() -> String {
    let lines: Vec<_> =
        TABLE.iter().map(|(exit, meaning)| format!("  {}  {meaning}", *exit as u8)).collect();
    format!("Exit codes:\n{}", lines.join("\n"))
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_in_the_table_at_its_own_place() {
        for (i, (exit, _)) in TABLE.iter().enumerate() {
            assert_eq!(*exit as usize, i);
        }
    }
}
