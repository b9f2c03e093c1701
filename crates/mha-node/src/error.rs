//! Why a node command did not do what it was asked.

use std::io;
use std::path::{Path, PathBuf};

use primacy_binlog::ReadError;
use primacy_wire::WireError;

use crate::statements::Untranslatable;

/// Why a node command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// A log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The operating system refused.
    #[error("could not {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be done as asked; the text says why and what helps.
    #[error("{0}")]
    Refused(String),
    /// The server was not reached, or refused something before anything was applied.
    #[error(transparent)]
    Server(#[from] WireError),
    /// An event cannot be applied by a client.
    #[error(transparent)]
    Untranslatable(#[from] Untranslatable),
    /// The server refused what was applied.
    #[error("applying {file} stopped at {at}: {error}; what was committed before that stays")]
    Applying {
        /// The file.
        file: String,
        /// Where in it.
        at: u64,
        /// What the server said.
        error: Box<WireError>,
    },
}

impl NodeError {
    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), source }
    }

    pub(crate) fn refused(text: impl Into<String>) -> Self {
        Self::Refused(text.into())
    }
}
