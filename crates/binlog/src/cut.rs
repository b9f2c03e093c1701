//! Takes out of binary logs or relay logs what a receiver does not have, and saves it.

mod error;
pub(crate) mod filter;
mod head;
mod run;
mod stream;

use std::path::{Path, PathBuf};

use primacy_types::{BinlogPosition, TransactionSet};

pub use error::CutError;

use crate::archive::{Archive, IncompleteTail};
use crate::error::Torn;
use crate::relay::SourceHint;

/// Where a cut begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CutFrom {
    /// At a place in the source's files that is between transactions.
    Position(BinlogPosition),
    /// With the first transaction that is not in this set, and only those: what the receiver has.
    Missing(TransactionSet),
}

/// Where a cut ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CutUntil {
    /// With the last transaction that ends at or before this place.
    Position(BinlogPosition),
    /// Only these transactions are taken.
    Transactions(TransactionSet),
}

/// What is taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutRequest {
    /// From where on.
    pub from: CutFrom,
    /// Up to where; all that is complete if nothing is said.
    pub until: Option<CutUntil>,
}

/// The files to cut from, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CutSource {
    /// Binary logs of a server.
    Binlogs(Vec<PathBuf>),
    /// Relay logs of a replica: positions and names are those of its source.
    RelayLogs {
        /// The files.
        files: Vec<PathBuf>,
        /// Which file of the source the first events are from, if it is known.
        hint: Option<SourceHint>,
    },
}

/// What came of a cut.
#[derive(Clone, Debug)]
pub struct CutReport {
    /// What was saved.
    pub archive: Archive,
    /// How many transactions were passed over because the receiver has them, or they were not
    /// asked for.
    pub passed_over: u64,
    /// The transaction at the end that is not complete.
    pub incomplete: Option<IncompleteTail>,
    /// The last file ends in the middle of an event.
    pub torn: Option<Torn>,
    /// Whether every event was checked: false if a file has no checksums.
    pub checksums_verified: bool,
}

/// Cuts out what is asked and saves it in `folder`, which must not exist.
///
/// `description` says for people where it comes from; it goes into the manifest.
pub fn cut(
    source: &CutSource,
    request: &CutRequest,
    folder: &Path,
    description: &str,
) -> Result<CutReport, CutError> {
    run::run(source, request, folder, description)
}
