//! Why a binlog server cannot start or keep what it receives.

use std::io;
use std::path::{Path, PathBuf};

use primacy_binlog::{BodyError, ReadError};
use primacy_replication::SourceError;

/// Why a binlog server does not start, or ends.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Its files.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot listen.
    #[error(transparent)]
    Listen(#[from] SourceError),
    /// The certificate that it shows could not be made.
    #[error("no certificate can be made: {0}")]
    Certificate(String),
}

/// Why the store cannot do what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system's word.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An event cannot be understood.
    #[error("an event cannot be understood: {0}")]
    Body(#[from] BodyError),
    /// A description of the store's own making is not one.
    #[error("{} is damaged: {reason}", .path.display())]
    Description {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Events came in an order in which no server writes them.
    #[error("{what} came after {after}")]
    OutOfOrder {
        /// What came.
        what: String,
        /// What is there.
        after: String,
    },
    /// Another process uses the folder.
    #[error("{} is used by another binlog server", .0.display())]
    InUse(PathBuf),
}

impl StoreError {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }
}
