//! What a set of files holds, without reading more of them than is needed.

use std::path::{Path, PathBuf};

use primacy_types::TransactionSet;

use super::file::{FileSummary, Thoroughness, scan};
use crate::error::{Corrupt, Damage, ReadError};
use crate::event::{EventKind, FormatDescription, GtidList, PreviousGtids, RawEvent};
use crate::reader::Reader;

/// What several files hold.
#[derive(Clone, Debug)]
pub struct FilesSummary {
    /// Each file, oldest first.
    pub files: Vec<FileSummary>,
    /// The transactions before the first file, if it says.
    pub previous: Option<TransactionSet>,
    /// All transactions that are complete in one of the files. In relay logs one that goes on in
    /// the next file is not among them: [`crate::relay::summarize`] puts those together.
    pub gtids: TransactionSet,
}

/// What a server's binary logs hold, by their heads and the newest file.
#[derive(Clone, Debug)]
pub struct Holdings {
    /// The transactions before the oldest file, that are in none.
    pub previous: TransactionSet,
    /// All transactions up to the end of the newest file, those before the oldest as well.
    pub all: TransactionSet,
    /// The newest file.
    pub newest: FileSummary,
}

/// Reads each file to its end; oldest first.
pub fn scan_files(
    files: &[PathBuf],
    thoroughness: Thoroughness,
) -> Result<FilesSummary, ReadError> {
    let mut summaries = Vec::with_capacity(files.len());
    for path in files {
        summaries.push(scan(&mut Reader::open(path)?, thoroughness)?);
    }
    let nothing = TransactionSet::UpTo(None);
    let gtids = summaries.iter().fold(nothing, |all, file| all.union(&file.gtids));
    let previous = summaries.first().and_then(|file| file.previous.clone());
    Ok(FilesSummary { files: summaries, previous, gtids })
}

/// What the files hold, oldest first, by reading only the heads of the oldest and the newest and
/// then the newest to its end; `None` if there are no files, or they do not list GTIDs.
pub fn holdings(files: &[PathBuf]) -> Result<Option<Holdings>, ReadError> {
    let (Some(oldest), Some(newest)) = (files.first(), files.last()) else {
        return Ok(None);
    };
    let Some(previous) = previous_of(oldest)? else {
        return Ok(None);
    };
    let newest = scan(&mut Reader::open(newest)?, Thoroughness::Quick)?;
    // A file that was just begun may have no list yet: it is the one before that tells.
    let before = match (&newest.previous, files.len().checked_sub(2)) {
        (Some(previous), _) => Some(previous.clone()),
        (None, Some(last)) => holdings(files.get(..=last).unwrap_or_default())?.map(|h| h.all),
        (None, None) => None,
    };
    Ok(before.map(|before| Holdings { previous, all: before.union(&newest.gtids), newest }))
}

/// Index of the file from which on one has to read to find everything that is not in `have`;
/// oldest first. Files are looked at from the newest backwards, and only their heads. `None`: what
/// is missing begins before the oldest file, or the files do not list GTIDs.
pub fn first_needed(files: &[PathBuf], have: &TransactionSet) -> Result<Option<usize>, ReadError> {
    for (index, path) in files.iter().enumerate().rev() {
        if previous_of(path)?.is_some_and(|previous| have.covers(&previous)) {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

/// The transactions before this file, if its head lists them.
pub fn previous_of(path: &Path) -> Result<Option<TransactionSet>, ReadError> {
    let mut reader = Reader::open(path)?;
    loop {
        match reader.peek() {
            Ok(Some(header)) => match header.kind {
                EventKind::FORMAT_DESCRIPTION
                | EventKind::PREVIOUS_GTIDS
                | EventKind::GTID_LIST
                | EventKind::START_ENCRYPTION => {}
                _ => return Ok(None),
            },
            Ok(None) | Err(ReadError::Torn(_)) => return Ok(None),
            Err(other) => return Err(other),
        }
        let (event, format) = match reader.next_in_format() {
            Ok(Some(read)) => read,
            Ok(None) | Err(ReadError::Torn(_)) => return Ok(None),
            Err(other) => return Err(other),
        };
        let offset = event.offset();
        match decode(&event, format) {
            Ok(None) => {}
            Ok(found) => return Ok(found),
            Err(body) => {
                let file = path.display().to_string();
                return Err(Corrupt { file, offset, why: Damage::Body(body) }.into());
            }
        }
    }
}

fn decode(
    event: &RawEvent<'_>,
    format: &FormatDescription,
) -> Result<Option<TransactionSet>, crate::BodyError> {
    Ok(match event.kind() {
        EventKind::PREVIOUS_GTIDS => {
            Some(TransactionSet::MySql(PreviousGtids::decode(event, format)?.set))
        }
        EventKind::GTID_LIST => {
            Some(TransactionSet::MariaDb(GtidList::decode(event, format)?.position()))
        }
        _ => None,
    })
}
