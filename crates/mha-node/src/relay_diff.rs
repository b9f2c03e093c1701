//! What one replica has received and another has not: found in the relay logs of the first, and cut
//! out into a file.
//!
//! Places are those of the primary's binary logs. They may be inside a transaction, since that is
//! how far a replica may have received; they must be between events.

use std::path::{Path, PathBuf};

use primacy_binlog::{EventKind, RelayReader, SourceHint};
use primacy_types::BinlogPosition;

use crate::logs::{self, Log};
use crate::output::{Output, is_about_the_log};
use crate::save::readable;
use crate::{NodeError, Say};

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayDiff {
    /// The newest relay log; its folder has the others.
    pub newest: PathBuf,
    /// What the other replica has received.
    pub target: BinlogPosition,
    /// What this replica has received.
    pub latest: BinlogPosition,
}

/// Where the difference begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The other replica has everything.
    Nothing,
    /// In this relay log, at this offset.
    At {
        /// The relay log.
        relay_log: PathBuf,
        /// The first event's place in it.
        offset: u64,
    },
}

/// The relay logs of the series that the newest is of, up to it.
///
/// # Errors
/// If they cannot be listed, or one is missing.
fn relay_logs(newest: &Path) -> Result<Vec<Log>, NodeError> {
    let name = newest.file_name().map(|name| name.to_string_lossy().into_owned());
    let Some((prefix, number)) = name.as_deref().and_then(logs::split) else {
        return Err(NodeError::refused(format!("{} is no relay log", newest.display())));
    };
    let folder = newest.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut all = logs::series(folder.unwrap_or(Path::new(".")), prefix)?;
    // The applier's and the receiver's are not the same: newer ones are the receiver's.
    if !all.iter().any(|log| log.number == number) {
        return Err(NodeError::refused(format!("{} is not there", newest.display())));
    }
    // What is before a hole is of another time.
    let hole = all.windows(2).rposition(|pair| pair[0].number + 1 != pair[1].number);
    if let Some(hole) = hole {
        all.drain(..=hole);
    }
    Ok(all)
}

/// Whether relay logs can be read, and the newest is there.
///
/// # Errors
/// Why not.
pub fn test(newest: &Path) -> Result<(), NodeError> {
    for log in relay_logs(newest)?.iter().rev().take(1) {
        let mut reader = readable(&log.path)?;
        reader.next()?;
    }
    Ok(())
}

/// Finds where the difference begins.
///
/// # Errors
/// If the relay logs have not got it, or cannot be read.
pub fn find(wanted: &RelayDiff) -> Result<Found, NodeError> {
    walk(wanted, None)
}

/// Cuts the difference out into a file; `None` if there is none.
///
/// # Errors
/// As [`find`].
pub fn generate(
    wanted: &RelayDiff,
    output: &Path,
    say: Say<'_>,
) -> Result<Option<(u64, u64)>, NodeError> {
    let mut out = Output::create(output)?;
    match walk(wanted, Some(&mut out))? {
        Found::Nothing => Ok(None),
        Found::At { relay_log, offset } => {
            say(&format!("the difference begins at {offset} of {}", relay_log.display()));
            let events = out.events;
            Ok(Some((events, out.finish()?)))
        }
    }
}

fn walk(wanted: &RelayDiff, mut out: Option<&mut Output>) -> Result<Found, NodeError> {
    if wanted.target >= wanted.latest {
        return Ok(Found::Nothing);
    }
    let logs = relay_logs(&wanted.newest)?;
    let first = begin(&logs, wanted)?;
    let logs = logs.get(first..).unwrap_or_default();
    let files: Vec<PathBuf> = logs.iter().map(|log| log.path.clone()).collect();
    let mut reader = RelayReader::open(&files, hint(&files, wanted)?)?;
    let mut head = match files.first() {
        Some(path) => own_head(path)?,
        None => Vec::new(),
    };
    let mut found = None;
    // The place was seen, so that nothing is missing behind it.
    let mut anchored = false;
    let mut before: Option<BinlogPosition> = None;
    while let Some(event) = reader.next()? {
        if event.event.kind() == EventKind::FORMAT_DESCRIPTION {
            head = event.event.bytes().to_vec();
            continue;
        }
        let Some(file) = event.source_file else {
            return Err(NodeError::refused(format!(
                "{} does not say which of the primary's binary logs its events are from",
                event.relay_log
            )));
        };
        let (start, end) =
            (BinlogPosition::new(file, event.start), BinlogPosition::new(file, event.end));
        let counts = !is_about_the_log(event.event.kind());
        if start < wanted.target {
            before = Some(end);
            continue;
        }
        if start >= wanted.latest {
            break;
        }
        if !anchored {
            let begins = start == wanted.target || before.as_ref() == Some(&wanted.target);
            // The first event of the primary's next file follows the last one of the file before.
            let next_file = before.is_some() && start.file != wanted.target.file;
            if !begins && !next_file && !is_head_of(&start, wanted) {
                return Err(NodeError::refused(format!(
                    "the relay logs of this replica have no event at {}: they begin at {start}",
                    wanted.target
                )));
            }
            anchored = true;
        }
        if !counts {
            before = Some(end);
            continue;
        }
        if found.is_none() {
            let relay_log = logs.iter().find(|log| log.name == event.relay_log);
            let relay_log = relay_log.map(|log| log.path.clone()).unwrap_or_default();
            found = Some(Found::At { relay_log, offset: event.event.offset() });
        }
        if let Some(out) = &mut out {
            out.head(&head)?;
            out.event(event.event.bytes())?;
        }
        before = Some(end);
        if before.as_ref() == Some(&wanted.latest) {
            break;
        }
    }
    if before.as_ref().is_none_or(|end| *end < wanted.target) {
        return Err(NodeError::refused(format!(
            "the relay logs of this replica end before {}",
            wanted.target
        )));
    }
    Ok(found.unwrap_or(Found::Nothing))
}

/// Whether nothing but the head of the primary's file is before the place.
fn is_head_of(start: &BinlogPosition, wanted: &RelayDiff) -> bool {
    start.file == wanted.target.file && wanted.target.offset <= 4
}

/// The relay log to begin with: the newest whose first event is not behind the place.
fn begin(logs: &[Log], wanted: &RelayDiff) -> Result<usize, NodeError> {
    for (nth, log) in logs.iter().enumerate().rev() {
        let files: Vec<PathBuf> = logs.iter().skip(nth).map(|log| log.path.clone()).collect();
        let mut reader = RelayReader::open(&files, None)?;
        while let Some(event) = reader.next()? {
            if event.relay_log != log.name {
                break;
            }
            if is_about_the_log(event.event.kind()) {
                continue;
            }
            if let Some(file) = event.source_file
                && BinlogPosition::new(file, event.start) <= wanted.target
            {
                return Ok(nth);
            }
            break;
        }
    }
    Ok(0)
}

/// Relay logs between which the primary did not rotate do not say which of its files they are from:
/// then it is the one that was received last.
fn hint(files: &[PathBuf], wanted: &RelayDiff) -> Result<Option<SourceHint>, NodeError> {
    let mut reader = RelayReader::open(files, None)?;
    while let Some(event) = reader.next()? {
        if event.source_file.is_some() {
            return Ok(None);
        }
    }
    let first = files.first().and_then(|path| path.file_name());
    Ok(first.map(|name| SourceHint {
        relay_log: name.to_string_lossy().into_owned(),
        offset: 0,
        source_file: wanted.latest.file.clone(),
    }))
}

/// The format description that the replica wrote itself.
fn own_head(path: &Path) -> Result<Vec<u8>, NodeError> {
    let mut reader = readable(path)?;
    Ok(reader.next()?.map(|event| event.bytes().to_vec()).unwrap_or_default())
}
