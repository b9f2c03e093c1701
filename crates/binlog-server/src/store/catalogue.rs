//! What the store holds: segments, files, and how offsets in them are positions of the source.

use std::collections::BTreeMap;
use std::fmt;

use primacy_types::{BinlogPosition, TransactionSet};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Who wrote the files of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SourceId {
    pub(crate) server_id: u32,
    /// MySQL.
    pub(crate) server_uuid: Option<Uuid>,
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.server_uuid {
            Some(uuid) => uuid.fmt(f),
            None => write!(f, "mariadb-{}", self.server_id),
        }
    }
}

/// From this offset on, positions of the source are others than offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Jump {
    /// In our file.
    pub(crate) offset: u64,
    /// In the source's.
    pub(crate) position: u64,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptFile {
    /// Counts all files of the store.
    #[serde(skip)]
    pub(crate) ordinal: u64,
    #[serde(skip)]
    pub(crate) segment: u32,
    pub(crate) name: String,
    /// Up to here it is given to readers.
    pub(crate) length: u64,
    /// It was followed from its first byte on: byte for byte the source's.
    pub(crate) whole: bool,
    /// What is left out, where it is not whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) jumps: Vec<Jump>,
    /// All transactions before this file, so far as they have GTIDs.
    pub(crate) before: TransactionSet,
    /// Nothing will be added to it.
    pub(crate) closed: bool,
    /// So many readers are in it.
    #[serde(skip)]
    pub(crate) readers: usize,
}

impl KeptFile {
    /// The position of the source at an offset.
    pub(crate) fn position_at(&self, offset: u64) -> u64 {
        let jump = self.jumps.iter().rev().find(|jump| jump.offset <= offset);
        jump.map_or(offset, |jump| jump.position + (offset - jump.offset))
    }

    /// The offset of a position of the source; `None` if it was left out.
    pub(crate) fn offset_of(&self, position: u64) -> Option<u64> {
        let jump = self.jumps.iter().rev().find(|jump| jump.position <= position);
        let offset = match jump {
            Some(jump) => jump.offset + (position - jump.position),
            None => position,
        };
        let next = self.jumps.iter().find(|jump| jump.position > position);
        let end = next.map_or(self.length, |jump| jump.offset);
        (offset <= end).then_some(offset)
    }
}

/// What `segment.json` holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SegmentFile {
    pub(crate) number: u32,
    pub(crate) source: SourceId,
    pub(crate) files: Vec<KeptFile>,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Catalogue {
    pub(crate) segments: BTreeMap<u32, SourceId>,
    /// Oldest first.
    pub(crate) files: Vec<KeptFile>,
    /// All transactions that were received, and those before them.
    pub(crate) executed: TransactionSet,
    /// Where the last complete transaction of the newest segment ends.
    pub(crate) place: Option<BinlogPosition>,
    /// The ordinal of the next file.
    pub(crate) next: u64,
}

impl Catalogue {
    /// The newest file of which readers see something.
    pub(crate) fn newest(&self) -> Option<&KeptFile> {
        self.files.iter().rev().find(|file| file.length > 0)
    }

    /// The source of the newest segment.
    pub(crate) fn source(&self) -> Option<&SourceId> {
        self.segments.get(&self.newest()?.segment)
    }

    /// A file by its number.
    pub(crate) fn file(&self, ordinal: u64) -> Option<&KeptFile> {
        self.files.iter().find(|file| file.ordinal == ordinal)
    }

    pub(crate) fn file_mut(&mut self, ordinal: u64) -> Option<&mut KeptFile> {
        self.files.iter_mut().find(|file| file.ordinal == ordinal)
    }

    /// The file after this one.
    pub(crate) fn after(&self, ordinal: u64) -> Option<&KeptFile> {
        self.files.iter().find(|file| file.ordinal > ordinal)
    }

    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.length).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_offsets_of_a_file_that_was_followed_from_the_middle() {
        let file = KeptFile {
            ordinal: 0,
            segment: 1,
            name: "binlog.000001".to_owned(),
            length: 400,
            whole: false,
            jumps: vec![Jump { offset: 120, position: 1000 }, Jump { offset: 200, position: 5000 }],
            before: TransactionSet::UpTo(None),
            closed: false,
            readers: 0,
        };
        let pairs = [(4, 4), (119, 119), (120, 1000), (199, 1079), (200, 5000), (400, 5200)];
        for (offset, position) in pairs {
            assert_eq!(file.position_at(offset), position);
            assert_eq!(file.offset_of(position), Some(offset));
        }
        for left_out in [500, 3000, 5201] {
            assert_eq!(file.offset_of(left_out), None, "{left_out}");
        }
    }
}
