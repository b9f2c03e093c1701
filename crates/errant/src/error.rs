//! Why transactions could not be found or copied.

use std::io;
use std::path::{Path, PathBuf};

use primacy_binlog::{BodyError, ReadError};
use primacy_replication::ReceiveError;
use primacy_types::Address;
use primacy_wire::WireError;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrantError {
    /// The server could not be asked.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The server does not send its binary logs.
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    /// What it sent is no event.
    #[error(transparent)]
    Event(#[from] BodyError),
    /// The copy cannot be read again.
    #[error("the copy cannot be read again: {0}")]
    Copy(#[from] ReadError),
    /// The server does not answer a question as servers of its kind do.
    #[error("{server} does not say {what}")]
    Silent {
        /// The server.
        server: Address,
        /// What it was asked for.
        what: &'static str,
    },
    /// The place is taken.
    #[error("{} is there already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The copy cannot be written.
    #[error("{} could not be {what}: {source}", path.display())]
    File {
        /// What was to be done with it: `made`, `written` ...
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl ErrantError {
    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what, path, source }
    }
}
