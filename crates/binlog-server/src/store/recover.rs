//! What a store holds after a start: nothing is believed that may have been written when the
//! process or its machine died.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use primacy_binlog::event::EventKind;
use primacy_binlog::scan::FileSummary;
use primacy_binlog::{ReadError, Reader, Thoroughness, scan};
use primacy_types::{BinlogPosition, TransactionSet};

use super::catalogue::{Catalogue, Jump, KeptFile, SegmentFile};
use super::{INDEX, SEGMENT, Store};
use crate::error::StoreError;
use crate::state;

/// Reads the store and cuts off what is incomplete.
pub(super) fn recover(root: &Path) -> Result<Catalogue, StoreError> {
    let mut catalogue = Catalogue {
        segments: BTreeMap::new(),
        files: Vec::new(),
        executed: TransactionSet::UpTo(None),
        place: None,
        next: 0,
    };
    let mut paths = Vec::new();
    for (folder, segment) in segments(root)? {
        catalogue.segments.insert(segment.number, segment.source);
        for file in segment.files {
            let path = folder.join(&file.name);
            if !path.exists() {
                tracing::warn!(file = %path.display(), "a file of the store is gone");
                continue;
            }
            let ordinal = catalogue.next;
            catalogue.next += 1;
            catalogue.files.push(KeptFile { ordinal, segment: segment.number, ..file });
            paths.push(path);
        }
    }
    let first_of_all = catalogue.files.first().map(|file| file.ordinal);
    while let (Some(mut last), Some(path)) = (catalogue.files.pop(), paths.pop()) {
        let summary = summarize(&path, last.closed)?;
        let first_of_segment =
            catalogue.files.last().is_none_or(|before| before.segment != last.segment);
        // A file that was begun in the middle counts from its first transaction on.
        let nothing =
            summary.events == 0 || (first_of_segment && !last.whole && summary.transactions == 0);
        if nothing {
            tracing::info!(file = %path.display(), "removed: nothing complete is in it");
            fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
            continue;
        }
        if !last.closed {
            mend(&path, &mut last, &summary)?;
        }
        if last.before.is_empty() && Some(last.ordinal) == first_of_all {
            last.before = summary.previous.clone().unwrap_or(last.before);
        }
        catalogue.executed = last.before.union(&summary.gtids);
        if catalogue.executed.is_empty() {
            // Of the flavour, for whoever shows it.
            catalogue.executed = summary.gtids.clone();
        }
        let ended = summary.next_file.filter(|_| summary.last == last.length);
        let end = last.position_at(last.length);
        catalogue.place = Some(match ended {
            Some(next) => BinlogPosition::new(next, 4),
            None => BinlogPosition::new(last.name.clone(), end),
        });
        last.closed = false;
        catalogue.files.push(last);
        break;
    }
    let used = |number: &u32| catalogue.files.iter().any(|file| file.segment == *number);
    catalogue.segments = catalogue.segments.clone().into_iter().filter(|(n, _)| used(n)).collect();
    for file in &mut catalogue.files {
        // One that was not closed when the next segment began.
        if !file.closed
            && file.length == 0
            && let Some(source) = catalogue.segments.get(&file.segment)
        {
            let path = root.join(format!("{:04}-{source}", file.segment)).join(&file.name);
            let summary = summarize(&path, false)?;
            mend(&path, file, &summary)?;
            file.closed = true;
        }
    }
    Ok(catalogue)
}

/// The described segments, oldest first. A folder in which nothing is described is removed when
/// it is empty, and left alone when it is not.
fn segments(root: &Path) -> Result<Vec<(PathBuf, SegmentFile)>, StoreError> {
    let mut found: Vec<(PathBuf, SegmentFile)> = Vec::new();
    for entry in fs::read_dir(root).map_err(StoreError::io("list", root))? {
        let folder = entry.map_err(StoreError::io("list", root))?.path();
        if !folder.is_dir() {
            continue;
        }
        match state::read(&folder.join(SEGMENT))? {
            Some(segment) => found.push((folder, segment)),
            None => {
                let _never_described = fs::remove_file(folder.join(INDEX));
                let _somebody_elses = fs::remove_dir(&folder);
            }
        }
    }
    found.sort_by_key(|(_, segment)| segment.number);
    Ok(found)
}

fn summarize(path: &Path, closed: bool) -> Result<FileSummary, StoreError> {
    let how = if closed { Thoroughness::Quick } else { Thoroughness::Verified };
    Ok(scan(&mut Reader::open(path)?, how)?)
}

/// Cuts off what is behind the last complete transaction.
fn mend(path: &Path, file: &mut KeptFile, summary: &FileSummary) -> Result<(), StoreError> {
    let end = summary.incomplete.as_ref().map_or(summary.last, |open| open.start);
    let there = fs::metadata(path).map_err(StoreError::io("look at", path))?.len();
    if there > end {
        tracing::info!(
            file = %path.display(), cut = there - end, end,
            "cut off what was not complete when we ended"
        );
        let open = OpenOptions::new().write(true).open(path);
        open.and_then(|open| open.set_len(end).and_then(|()| open.sync_all()))
            .map_err(StoreError::io("cut", path))?;
    }
    file.length = end;
    file.jumps = jumps(path, end)?;
    file.whole &= file.jumps.is_empty();
    Ok(())
}

/// Where positions of the source part from our offsets, by what the events say of themselves.
fn jumps(path: &Path, end: u64) -> Result<Vec<Jump>, StoreError> {
    let mut reader = Reader::open(path)?.without_verification();
    let (mut jumps, mut expected) = (Vec::new(), 4_u64);
    loop {
        let header = match reader.peek() {
            Ok(Some(header)) => header,
            Ok(None) | Err(ReadError::Torn(_)) => return Ok(jumps),
            Err(error) => return Err(error.into()),
        };
        let offset = reader.offset();
        if offset >= end {
            return Ok(jumps);
        }
        let length = u64::from(header.length);
        let head = header.kind == EventKind::FORMAT_DESCRIPTION;
        if header.end_position != 0 && !head {
            let low = u64::from(header.end_position);
            let mut ends = (expected & !0xFFFF_FFFF) | low;
            if ends < expected {
                ends += 1 << 32;
            }
            let start = ends.saturating_sub(length);
            if start != expected {
                jumps.push(Jump { offset, position: start });
                expected = start;
            }
        }
        expected += length;
        match head {
            true => drop(reader.next()?),
            false => reader.skip(&header)?,
        }
    }
}

impl Store {
    /// Gives up the newest file if readers have seen nothing of it.
    pub(super) fn drop_unseen(&self) -> Result<(), StoreError> {
        let unseen = {
            let catalogue = self.catalogue();
            catalogue.files.last().filter(|file| file.length == 0).cloned()
        };
        let Some(file) = unseen else { return Ok(()) };
        let path = self.path(&file);
        self.publish(|catalogue| {
            catalogue.files.pop();
        });
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io("remove", &path)(error));
            }
            _ => {}
        }
        let empty = !self.catalogue().files.iter().any(|other| other.segment == file.segment);
        if empty {
            let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
            let _left_for_the_next_start = fs::remove_dir_all(folder);
            self.publish(|catalogue| {
                catalogue.segments.remove(&file.segment);
            });
        }
        Ok(())
    }
}
