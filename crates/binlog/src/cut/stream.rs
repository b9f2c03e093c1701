//! The events of several files one after another, in the coordinates of the server that wrote
//! them first: of binary logs as they stand, of relay logs as their source had them.

use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;

use primacy_types::BinlogPosition;

use super::CutSource;
use crate::error::{BodyError, Corrupt, Damage, ReadError, Torn};
use crate::event::{FormatDescription, RawEvent};
use crate::index::base_name;
use crate::reader::{Reader, open_readable};
use crate::relay::RelayReader;

/// An event and where it stands at the server that wrote it first.
pub(super) struct SourceEvent<'a> {
    /// The server's file, if it is known.
    pub(super) file: Option<&'a str>,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) event: RawEvent<'a>,
    pub(super) format: &'a FormatDescription,
    /// The file on disk, for errors.
    pub(super) on_disk: &'a str,
}

impl SourceEvent<'_> {
    /// The server's file; empty if it is not known.
    pub(super) fn name(&self) -> &str {
        self.file.unwrap_or_default()
    }

    pub(super) const fn range(&self) -> (u64, u64) {
        (self.start, self.end)
    }

    /// Whether the event has a position of its own: where it began and ended is known.
    pub(super) const fn is_exact(&self) -> bool {
        self.event.header().end_position != 0
    }

    /// What is wrong with the event.
    pub(super) fn corrupt(&self, body: BodyError) -> ReadError {
        let (file, offset) = (self.on_disk.to_owned(), self.event.offset());
        Corrupt { file, offset, why: Damage::Body(body) }.into()
    }

    /// A place in the server's file.
    pub(super) fn at(&self, offset: u64) -> BinlogPosition {
        BinlogPosition::new(self.file.unwrap_or(self.on_disk), offset)
    }
}

pub(super) enum Stream {
    Binlogs(Box<Binlogs>),
    Relay(Box<RelayReader>),
}

impl Stream {
    pub(super) fn open(source: &CutSource) -> Result<Self, ReadError> {
        Ok(match source {
            CutSource::Binlogs(files) => Self::Binlogs(Box::new(Binlogs::new(files))),
            CutSource::RelayLogs { files, hint } => {
                Self::Relay(Box::new(RelayReader::open(files, hint.clone())?))
            }
        })
    }

    pub(super) fn next(&mut self) -> Result<Option<SourceEvent<'_>>, ReadError> {
        match self {
            Self::Binlogs(files) => files.next(),
            Self::Relay(relay) => Ok(relay.next()?.map(|relayed| SourceEvent {
                file: relayed.source_file,
                start: relayed.start,
                end: relayed.end,
                event: relayed.event,
                format: relayed.format,
                on_disk: relayed.relay_log,
            })),
        }
    }

    /// Where the last file ends in the middle of an event, once all was read.
    pub(super) fn torn(&self) -> Option<&Torn> {
        match self {
            Self::Binlogs(files) => files.torn.as_ref(),
            Self::Relay(relay) => relay.torn(),
        }
    }
}

pub(super) struct Binlogs {
    left: VecDeque<PathBuf>,
    open: Option<(String, Reader<File>)>,
    torn: Option<Torn>,
}

impl Binlogs {
    fn new(files: &[PathBuf]) -> Self {
        Self { left: files.iter().cloned().collect(), open: None, torn: None }
    }

    fn next(&mut self) -> Result<Option<SourceEvent<'_>>, ReadError> {
        while !self.has_event()? {
            let Some(path) = self.left.pop_front() else {
                return Ok(None);
            };
            self.torn = None;
            self.open = Some((base_name(&path), open_readable(&path)?));
        }
        let Some((name, reader)) = &mut self.open else {
            return Ok(None);
        };
        let Some((event, format)) = reader.next_in_format()? else {
            return Ok(None);
        };
        Ok(Some(SourceEvent {
            file: Some(name),
            start: event.offset(),
            end: event.end(),
            event,
            format,
            on_disk: name,
        }))
    }

    /// Whether the open file has another whole event. Where it ends in the middle of one, its
    /// server died: what it wrote after its restart is in the next file.
    fn has_event(&mut self) -> Result<bool, ReadError> {
        let Some((_, reader)) = &mut self.open else {
            return Ok(false);
        };
        match reader.whole() {
            Err(ReadError::Torn(torn)) => {
                self.torn = Some(torn);
                self.open = None;
                Ok(false)
            }
            other => other,
        }
    }
}
