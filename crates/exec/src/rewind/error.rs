//! Why nothing, or not all, was undone.

use primacy_types::Address;
use primacy_wire::WireError;

use crate::error::StepError;

/// Why a rewind did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RewindError {
    /// It cannot be proved that the undoing is right; nothing was changed.
    #[error("the transactions of {server} are not undone: {}", .reasons.join("; "))]
    Refused {
        /// Where.
        server: Address,
        /// Everything that is in the way.
        reasons: Vec<String>,
    },
    /// The rows are undone, and the history is not set: it is neither what it was nor what it should
    /// be, and nothing may be undone again.
    #[error(
        "the rows of its own transactions on {server} are undone, but its history is not set: {}; \
         `primacy rebuild {server}`", .reasons.join("; ")
    )]
    HalfDone {
        /// Where.
        server: Address,
        /// Everything that is in the way.
        reasons: Vec<String>,
    },
    /// The account may not do it; nothing was changed.
    #[error(
        "the account that Primacy uses on {server} may not undo transactions; run there as an \
         administrator: {}", .grants.join("; ")
    )]
    Privileges {
        /// Where.
        server: Address,
        /// The statements that give what is missing.
        grants: Vec<String>,
    },
    /// A statement of the undoing failed; all of it was rolled back.
    #[error("undoing rows of {tables} on {server} failed, and nothing was changed: {source}")]
    NotApplied {
        /// Where.
        server: Address,
        /// The tables of the statement that failed.
        tables: String,
        /// What came back.
        source: Box<WireError>,
    },
    /// A statement or connection failed.
    #[error("{doing} on {server} failed: {source}")]
    Server {
        /// Where.
        server: Address,
        /// What was tried.
        doing: String,
        /// What came back.
        source: Box<WireError>,
    },
}

impl RewindError {
    /// The same, of what comes after the rows.
    pub(super) fn after_the_rows(self) -> Self {
        match self {
            Self::Refused { server, reasons } => Self::HalfDone { server, reasons },
            other => other,
        }
    }

    /// The server that it is about.
    pub fn server(&self) -> &Address {
        match self {
            Self::Refused { server, .. }
            | Self::HalfDone { server, .. }
            | Self::Privileges { server, .. }
            | Self::NotApplied { server, .. }
            | Self::Server { server, .. } => server,
        }
    }
}

impl From<RewindError> for StepError {
    fn from(error: RewindError) -> Self {
        let server = error.server().clone();
        Self::Impossible { server, why: error.to_string() }
    }
}
