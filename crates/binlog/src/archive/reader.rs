//! Reads an archive's events in order, from the place where a receiver is.

use std::fs::File;

use primacy_types::{BinlogPosition, TransactionSet};

use super::{Archive, ArchiveError, ArchivedFile};
use crate::cut::filter::{Choice, Filter};
use crate::event::RawEvent;
use crate::place::Place;
use crate::reader::Reader;
use crate::transaction::Grouper;

/// From where a receiver wants events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// From the first.
    Beginning,
    /// From a place in the original files, which is between transactions.
    Position(BinlogPosition),
    /// All transactions that are not in what it has.
    Missing(TransactionSet),
}

/// An event and where it stood.
#[derive(Clone, Copy, Debug)]
pub struct ArchivedEvent<'a> {
    /// The original file.
    pub file: &'a ArchivedFile,
    /// Where the event began in it. Inside a transaction of MariaDB it may not be exact, see
    /// [`crate::RelayedEvent::start`].
    pub start: u64,
    /// Where it ended in it.
    pub end: u64,
    /// The event.
    pub event: RawEvent<'a>,
}

/// Lends the events of an archive one after another.
pub struct ArchiveReader<'a> {
    archive: &'a Archive,
    /// The next file to open.
    next_file: usize,
    open: Option<Open<'a>>,
    grouper: Grouper,
    filter: Filter,
    transactions: u64,
}

struct Open<'a> {
    file: &'a ArchivedFile,
    reader: Reader<File>,
    place: Place,
}

impl<'a> ArchiveReader<'a> {
    pub(super) fn new(archive: &'a Archive, start: StartAt) -> Result<Self, ArchiveError> {
        let mut next_file = 0;
        if let StartAt::Position(asked) = &start {
            let begins = |file: &ArchivedFile| BinlogPosition::new(file.name.clone(), 0);
            let earlier = archive.files().iter().filter(|file| begins(file) <= *asked).count();
            next_file = earlier.saturating_sub(1);
        }
        let filter = Filter::new(match start {
            StartAt::Beginning => None,
            StartAt::Position(place) => Some(crate::CutFrom::Position(place)),
            StartAt::Missing(set) => Some(crate::CutFrom::Missing(set)),
        });
        let grouper = Grouper::new();
        Ok(Self { archive, next_file, open: None, grouper, filter, transactions: 0 })
    }

    /// How many transactions were lent to the end.
    pub const fn transactions(&self) -> u64 {
        self.transactions
    }

    /// The next event; `None` at the end of the archive.
    #[allow(clippy::should_implement_trait, reason = "it lends; an Iterator cannot")]
    pub fn next(&mut self) -> Result<Option<ArchivedEvent<'_>>, ArchiveError> {
        loop {
            if !self.has_event()? {
                if !self.open_next()? {
                    return Ok(None);
                }
                continue;
            }
            if let Some((start, end)) = self.judge()? {
                let Some(open) = &mut self.open else {
                    return Ok(None);
                };
                // It was looked at; now it is lent.
                let event = open.reader.again();
                return Ok(event.map(|event| ArchivedEvent { file: open.file, start, end, event }));
            }
        }
    }

    /// Whether the open file has another event.
    fn has_event(&mut self) -> Result<bool, ArchiveError> {
        match &mut self.open {
            Some(open) => Ok(open.reader.peek()?.is_some()),
            None => Ok(false),
        }
    }

    fn open_next(&mut self) -> Result<bool, ArchiveError> {
        let Some(file) = self.archive.files().get(self.next_file) else {
            return Ok(false);
        };
        self.next_file += 1;
        let mut reader = Reader::open(&self.archive.path(file))?;
        while reader.offset() < file.head {
            if reader.next()?.is_none() {
                break;
            }
        }
        self.open = Some(Open { file, reader, place: Place::at(file.start) });
        Ok(true)
    }

    /// Reads the next event; where it stood, if the receiver wants it.
    fn judge(&mut self) -> Result<Option<(u64, u64)>, ArchiveError> {
        let Some(open) = &mut self.open else {
            return Ok(None);
        };
        let name = &open.file.name;
        let wrong = |source| ArchiveError::Body { file: name.clone(), source };
        let Some((event, format)) = open.reader.next_in_format()? else {
            return Ok(None);
        };
        let (start, end) = open.place.of(&event.header());
        let fed = self.grouper.feed(&event, format).map_err(wrong)?;
        let choice = self.filter.judge(&fed, name, (start, end), event.header().end_position != 0);
        match choice {
            Choice::Take => {
                self.transactions += u64::from(fed.part.completes());
                Ok(Some((start, end)))
            }
            Choice::Leave => Ok(None),
            Choice::Anonymous => Err(ArchiveError::Anonymous { file: name.clone(), start }),
            Choice::InsideTransaction(asked) => {
                let holds = match (self.archive.from_position(), self.archive.until_position()) {
                    (Some(from), Some(until)) => format!("{from} to {until}"),
                    _ => "nothing".to_owned(),
                };
                Err(ArchiveError::NoSuchPlace { asked: asked.to_string(), holds })
            }
        }
    }
}
