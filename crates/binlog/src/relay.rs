//! Relay logs in the coordinates of the source: what a replica received, as it stood in the
//! source's binary logs.
//!
//! A relay log mixes three things: events that the replica wrote for itself (they carry a flag),
//! events that the source made up to say where its events are from (a rotation, and the format
//! description of that file), and the source's own events with their original headers. Only the
//! last, and the format descriptions, come out here.

mod origin;
mod summary;

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};

use origin::Origin;
pub use summary::{RelaySummary, summarize};

use crate::error::{Corrupt, Damage, ReadError, Torn};
use crate::event::{EventFlags, EventKind, FormatDescription, RawEvent, Rotate};
use crate::index::{base_name, previous_name};
use crate::reader::Reader;
use crate::reader::open_readable;

/// Which file of the source belongs to a place in a relay log, as a replica's status says:
/// `Relay_Log_File`, `Relay_Log_Pos` and `Relay_Source_Log_File`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceHint {
    /// Base name of the relay log.
    pub relay_log: String,
    /// Where in it the event stands.
    pub offset: u64,
    /// The source's file that the event is from.
    pub source_file: String,
}

/// An event of the source, in a replica's relay log.
#[derive(Clone, Copy, Debug)]
pub struct RelayedEvent<'a> {
    /// The source's file, if the relay logs or the hint say.
    pub source_file: Option<&'a str>,
    /// Where the event began in it. Exact for the first and the last event of a transaction;
    /// between them a MariaDB source may give no positions, and a MariaDB replica opens compressed
    /// events, which makes them longer than they were.
    pub start: u64,
    /// Where it ended in it.
    pub end: u64,
    /// The event, byte for byte.
    pub event: RawEvent<'a>,
    /// The format it is in.
    pub format: &'a FormatDescription,
    /// The relay log it stands in.
    pub relay_log: &'a str,
}

/// Reads the events of a source from the relay logs of a replica.
pub struct RelayReader {
    left: VecDeque<PathBuf>,
    open: Option<Relay>,
    origin: Origin,
    hint: Option<SourceHint>,
    torn: Option<Torn>,
    repeated: u64,
}

struct Relay {
    name: String,
    reader: Reader<File>,
    /// `server_id` of the replica.
    own_id: u32,
    /// Whether a format description of the source was read in this file.
    from_source: bool,
}

/// What an event in a relay log is.
enum Role {
    /// Of the replica, or made up: not lent.
    Internal,
    /// The source's, at this place.
    Source { start: u64, end: u64 },
}

impl RelayReader {
    /// Reads these files, oldest first.
    pub fn open(files: &[PathBuf], hint: Option<SourceHint>) -> Result<Self, ReadError> {
        let mut origin = Origin::default();
        origin.file = first_source_file(files, hint.as_ref())?;
        let left = files.iter().cloned().collect();
        Ok(Self { left, open: None, origin, hint, torn: None, repeated: 0 })
    }

    /// Where the last file ends in the middle of an event, once all was read.
    pub fn torn(&self) -> Option<&Torn> {
        self.torn.as_ref()
    }

    /// How many events came again after the receiver had lost its connection and were passed over.
    pub fn repeated(&self) -> u64 {
        self.repeated
    }

    /// The next event of the source; `None` at the end of the last file.
    #[allow(clippy::should_implement_trait, reason = "it lends; an Iterator cannot")]
    pub fn next(&mut self) -> Result<Option<RelayedEvent<'_>>, ReadError> {
        loop {
            if !self.has_event()? {
                let Some(path) = self.left.pop_front() else {
                    return Ok(None);
                };
                self.open_file(&path)?;
                continue;
            }
            if let Role::Source { start, end } = self.judge()? {
                let Some(relay) = &self.open else {
                    return Ok(None);
                };
                let (Some(event), Some(format)) = (relay.reader.again(), relay.reader.format())
                else {
                    return Ok(None);
                };
                // A real rotation is the last event of the file that it leaves.
                let source_file = self.origin.leaving.as_ref().or(self.origin.file.as_ref());
                return Ok(Some(RelayedEvent {
                    source_file: source_file.map(String::as_str),
                    start,
                    end,
                    event,
                    format,
                    relay_log: &relay.name,
                }));
            }
        }
    }

    fn open_file(&mut self, path: &Path) -> Result<(), ReadError> {
        self.torn = None;
        let reader = open_readable(path)?;
        let name = base_name(path);
        self.open = Some(Relay { name, reader, own_id: 0, from_source: false });
        Ok(())
    }

    /// Whether the open file has another whole event. A replica that died in the middle of one
    /// went on in a new file.
    fn has_event(&mut self) -> Result<bool, ReadError> {
        let Some(relay) = &mut self.open else {
            return Ok(false);
        };
        match relay.reader.whole() {
            Err(ReadError::Torn(torn)) => {
                self.torn = Some(torn);
                self.open = None;
                Ok(false)
            }
            other => other,
        }
    }

    /// Reads the next event, and says what it is.
    fn judge(&mut self) -> Result<Role, ReadError> {
        let Some(relay) = &mut self.open else {
            return Ok(Role::Internal);
        };
        self.origin.leaving = None;
        let file = relay.reader.file().to_owned();
        let Some((event, format)) = relay.reader.next_in_format()? else {
            return Ok(Role::Internal);
        };
        if let Some(hint) = &self.hint
            && self.origin.file.is_none()
            && hint.relay_log == relay.name
            && event.offset() >= hint.offset
        {
            self.origin.file = Some(hint.source_file.clone());
        }
        let header = event.header();
        if event.offset() == 4 {
            relay.own_id = header.server_id;
        }
        if header.flags.has(EventFlags::RELAY_LOG) || event.offset() == 4 {
            return Ok(Role::Internal);
        }
        let role = match header.kind {
            EventKind::STOP | EventKind::HEARTBEAT | EventKind::HEARTBEAT_V2 => Role::Internal,
            EventKind::PREVIOUS_GTIDS | EventKind::GTID_LIST
                if !relay.from_source || header.is_artificial() || header.end_position == 0 =>
            {
                Role::Internal
            }
            EventKind::FORMAT_DESCRIPTION => {
                relay.from_source = true;
                self.origin.format_description(&event)
            }
            EventKind::ROTATE => {
                let rotate = Rotate::decode(&event, format).map_err(|source| Corrupt {
                    file,
                    offset: event.offset(),
                    why: Damage::Body(source),
                })?;
                let own = header.server_id == relay.own_id && !rotate.artificial;
                if own { Role::Internal } else { self.origin.rotate(&event, &rotate) }
            }
            _ => {
                let role = self.origin.place(&event);
                self.repeated += u64::from(matches!(role, Role::Internal));
                role
            }
        };
        Ok(role)
    }
}

/// Which file of the source the first events are from, if it can be told from what follows: a
/// real rotation to number 8 ends number 7, and where none stands before the place of the hint, that is in
/// the same file still.
fn first_source_file(
    files: &[PathBuf],
    hint: Option<&SourceHint>,
) -> Result<Option<String>, ReadError> {
    for path in files {
        let mut reader = open_readable(path)?.without_verification();
        let here = hint.filter(|hint| hint.relay_log == base_name(path));
        let mut own_id = 0;
        loop {
            if let Some(hint) = here.filter(|hint| reader.offset() >= hint.offset) {
                return Ok(Some(hint.source_file.clone()));
            }
            let header = match reader.peek() {
                Ok(Some(header)) => header,
                Ok(None) | Err(ReadError::Torn(_) | ReadError::Corrupt(_)) => break,
                Err(other) => return Err(other),
            };
            if reader.offset() == 4 {
                own_id = header.server_id;
            }
            let wanted = matches!(header.kind, EventKind::ROTATE | EventKind::FORMAT_DESCRIPTION);
            if !wanted {
                match reader.skip(&header) {
                    Ok(()) => continue,
                    Err(ReadError::Torn(_) | ReadError::Corrupt(_)) => break,
                    Err(other) => return Err(other),
                }
            }
            let (event, format) = match reader.next_in_format() {
                Ok(Some(read)) => read,
                Ok(None) | Err(ReadError::Torn(_) | ReadError::Corrupt(_)) => break,
                Err(other) => return Err(other),
            };
            if header.kind != EventKind::ROTATE || header.flags.has(EventFlags::RELAY_LOG) {
                continue;
            }
            let Ok(rotate) = Rotate::decode(&event, format) else {
                return Ok(None);
            };
            if rotate.artificial {
                return Ok(None);
            }
            if header.server_id != own_id {
                return Ok(previous_name(&rotate.file_name()));
            }
        }
    }
    Ok(None)
}
