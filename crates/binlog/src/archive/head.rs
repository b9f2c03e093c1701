//! What stands in a saved file before its first transaction.

use std::path::Path;

use super::{ArchiveError, ArchivedFile};
use crate::event::{EventKind, FormatDescription};
use crate::reader::Reader;

/// The head of a saved file, byte for byte as the original's.
#[derive(Clone, Debug)]
pub struct FileHead {
    /// The format description event.
    pub format_description: Vec<u8>,
    /// The list of earlier GTIDs, if the original had one.
    pub previous: Option<Vec<u8>>,
    /// The decoded format description.
    pub format: FormatDescription,
}

impl FileHead {
    pub(super) fn read(path: &Path, file: &ArchivedFile) -> Result<Self, ArchiveError> {
        let mut reader = Reader::open(path)?;
        let mut head = None;
        while reader.offset() < file.head {
            let Some((event, format)) = reader.next_in_format()? else {
                break;
            };
            match &mut head {
                None => {
                    let format_description = event.bytes().to_vec();
                    head =
                        Some(Self { format_description, previous: None, format: format.clone() });
                }
                Some(head) if is_previous(event.kind()) => {
                    head.previous = Some(event.bytes().to_vec());
                }
                Some(_) => {}
            }
        }
        head.ok_or_else(|| ArchiveError::Manifest {
            path: path.to_owned(),
            reason: "expected a format description at its start, found none".to_owned(),
        })
    }
}

/// Whether the event lists the GTIDs of earlier files.
pub(crate) const fn is_previous(kind: EventKind) -> bool {
    matches!(kind, EventKind::PREVIOUS_GTIDS | EventKind::GTID_LIST)
}
