//! Why a live server's binary logs could not be read.

use primacy_errant::ErrantError;
use primacy_replication::ReceiveError;

use super::login;
use crate::exit::Exit;
use crate::failure::Failure;

impl From<ErrantError> for Failure {
    fn from(error: ErrantError) -> Self {
        match error {
            ErrantError::Wire(error) => login::refused(&error),
            ErrantError::Receive(error) => failed(error),
            ErrantError::Exists { .. } => Self::new(Exit::Refused, error)
                .hint("name another file, or replace it with --force"),
            other => Self::new(Exit::Refused, other),
        }
    }
}

/// Why there are no events (any more).
pub(in crate::verbs) fn failed(error: ReceiveError) -> Failure {
    match error {
        ReceiveError::Wire(error) if error.code().is_some() => {
            let failure = Failure::new(Exit::Refused, &error);
            match error.code() {
                Some(1045 | 1227) => failure.hint(
                    "the account needs REPLICATION SLAVE; see: primacy grants --purpose replication",
                ),
                Some(1236) => failure.hint(
                    "the server has no such place or transactions any more; see its SHOW BINARY \
                     LOGS, or leave --from out",
                ),
                _ => failure,
            }
        }
        ReceiveError::Wire(error) => login::refused(&error),
        ReceiveError::Unfit { .. } | ReceiveError::Damaged { .. } => {
            Failure::new(Exit::Refused, error)
        }
        other => Failure::new(Exit::Unreachable, other),
    }
}
