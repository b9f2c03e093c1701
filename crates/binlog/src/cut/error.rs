//! Why a cut failed.

use primacy_types::{BinlogPosition, TransactionSet};

use crate::archive::{Archive, ArchiveError};
use crate::error::ReadError;

/// Why a cut failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CutError {
    /// A file is damaged or cannot be read: what was before it is saved.
    #[error("{error}; the {} transactions before it are saved in {}",
        saved.manifest().transactions, saved.folder().display())]
    Stopped {
        /// What is wrong.
        error: Box<ReadError>,
        /// What was saved.
        saved: Box<Archive>,
    },
    /// Nothing was read at all.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// No file was given.
    #[error("there is no file to cut from")]
    NoFiles,
    /// The files begin after the place that was asked for: something is missing between.
    #[error("the files begin at {begin}, after {asked}: what is between is not there")]
    Gap {
        /// The place that was asked for.
        asked: BinlogPosition,
        /// Where the files begin.
        begin: BinlogPosition,
    },
    /// Transactions that the receiver needs were in files that are gone.
    #[error("the files begin after transactions that the receiver does not have: {missing}")]
    Purged {
        /// What the receiver would need first.
        missing: String,
        /// What all earlier files held.
        previous: TransactionSet,
    },
    /// The files end before the place that was asked for.
    #[error("the files end at {end}, before {asked}")]
    NotReached {
        /// The place that was asked for.
        asked: BinlogPosition,
        /// Where they end.
        end: BinlogPosition,
    },
    /// The place is inside a transaction or an event.
    #[error("{asked} is not between two transactions")]
    InsideTransaction {
        /// The place that was asked for.
        asked: BinlogPosition,
    },
    /// A transaction has no GTID, so it cannot be told whether the receiver has it.
    #[error("the transaction at {at} has no GTID, so it cannot be told whether it is missing")]
    Anonymous {
        /// Where it begins.
        at: BinlogPosition,
    },
    /// The files say different things about the same place.
    #[error("the source sent another transaction at {at} than before: {found}")]
    Conflict {
        /// Where.
        at: BinlogPosition,
        /// The later one.
        found: String,
    },
    /// No file says which of the source's files the events are from.
    #[error(
        "{relay_log} does not say which file of its source the events are from; give the \
         replica's relay log file and the source's file that belongs to it"
    )]
    SourceFileUnknown {
        /// The relay log.
        relay_log: String,
    },
    /// The source's format description is not there, so what was saved could not be read.
    #[error("{file} has transactions, but no format description of the source comes before them")]
    NoFormat {
        /// The file.
        file: String,
    },
    /// The archive could not be written.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}
