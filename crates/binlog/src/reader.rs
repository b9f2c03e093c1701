//! Lends the events of one file one after another, from a buffer that is reused: memory stays
//! flat however large the file is, and grows only for an event that is larger than the buffer.
//!
//! A reader that came to the end can be asked again later: a growing file is read on.

mod buffer;
mod kind;

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use buffer::{Anywhere, Buffer};
pub use kind::FileKind;
pub(crate) use kind::MAGIC;

use crate::error::{Corrupt, Damage, ReadError, Torn};
use crate::event::{EventHeader, EventKind, FormatDescription, MAX_EVENT_LENGTH, RawEvent};

/// Reads the events of one binary log or relay log.
pub struct Reader<R> {
    buffer: Buffer<R>,
    file: String,
    kind: Option<FileKind>,
    format: Option<FormatDescription>,
    /// A format description that was lent and holds from the next event on.
    next_format: Option<FormatDescription>,
    verify: bool,
    /// The event that was lent last.
    last: Option<(EventHeader, u64)>,
    /// From where on the file is encrypted.
    encrypted_from: Option<u64>,
}

/// What a growing file has now.
#[derive(Debug)]
pub enum Polled<'a> {
    /// The next event.
    Event(RawEvent<'a>),
    /// Nothing yet; ask again later.
    NoMoreYet {
        /// Where the next event begins or will begin.
        offset: u64,
        /// How many bytes of it are there already.
        partial: u64,
    },
}

impl Reader<File> {
    /// Opens a file. Its kind is known afterwards; only plain and empty ones can be read.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let name = path.display().to_string();
        let file = File::open(path);
        let file =
            file.map_err(|source| ReadError::Io { file: name.clone(), offset: 0, source })?;
        let mut reader = Self::new(file, name)?;
        let length = |file: &File| Ok(file.metadata()?.len());
        reader.buffer.read_anywhere(Anywhere { read_at: File::read_at, length });
        Ok(reader)
    }
}

/// Opens a file that is plain or empty.
pub(crate) fn open_readable(path: &Path) -> Result<Reader<File>, ReadError> {
    let reader = Reader::open(path)?;
    if let FileKind::EncryptedMariaDb { .. } = reader.kind() {
        let file = reader.file().to_owned();
        return Err(ReadError::Encrypted { file, offset: reader.offset() });
    }
    Ok(reader)
}

impl<R: Read> Reader<R> {
    /// Reads from anything; `file` names it in errors.
    pub fn new(read: R, file: impl Into<String>) -> Result<Self, ReadError> {
        let mut reader = Self {
            buffer: Buffer::new(read),
            file: file.into(),
            kind: None,
            format: None,
            next_format: None,
            verify: true,
            last: None,
            encrypted_from: None,
        };
        // Enough to see a MariaDB START_ENCRYPTION event behind the format description.
        reader.fill(1 << 10)?;
        let kind = FileKind::of(reader.buffer.bytes());
        reader.kind = Some(kind);
        if reader.buffer.bytes().starts_with(&MAGIC) {
            reader.buffer.consume(MAGIC.len());
        }
        Ok(reader)
    }

    /// Does not compute checksums: faster, and damage is not seen.
    #[must_use]
    pub fn without_verification(mut self) -> Self {
        self.verify = false;
        self
    }

    /// Computes checksums or not.
    pub(crate) fn set_verification(&mut self, verify: bool) {
        self.verify = verify;
    }

    /// What kind of file it was when it was opened.
    pub fn kind(&self) -> FileKind {
        self.kind.unwrap_or(FileKind::Empty)
    }

    /// Its name, as in errors.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The format of the events that come next; `None` before the first was read.
    pub fn format(&self) -> Option<&FormatDescription> {
        self.next_format.as_ref().or(self.format.as_ref())
    }

    /// Where the next event begins.
    pub fn offset(&self) -> u64 {
        self.buffer.offset()
    }

    /// Whether checksums are verified, so far as the file has them.
    pub fn verifies(&self) -> bool {
        self.verify && self.format().is_some_and(FormatDescription::has_checksums)
    }

    /// The next event; `None` at a clean end of the file. After an end, clean or torn, it can be
    /// asked again: what was written meanwhile comes.
    #[allow(clippy::should_implement_trait, reason = "it lends; an Iterator cannot")]
    pub fn next(&mut self) -> Result<Option<RawEvent<'_>>, ReadError> {
        Ok(self.next_in_format()?.map(|(event, _)| event))
    }

    /// The next event and the format it is in.
    pub fn next_in_format(
        &mut self,
    ) -> Result<Option<(RawEvent<'_>, &FormatDescription)>, ReadError> {
        let Some(header) = self.peek()? else {
            return Ok(None);
        };
        let (offset, length) = (self.offset(), self.load(&header)?);
        self.take_format(&header, offset, length)?;
        let format = match &self.format {
            Some(format) => format,
            None => return Err(self.corrupt(offset, Damage::NoFormat(header.kind))),
        };
        let bytes = self.buffer.bytes().get(..length).unwrap_or_default();
        if self.verify {
            let checked = RawEvent::from_checked(bytes, header, offset).verify(format);
            if let Err(mismatch) = checked {
                let why = Damage::Checksum { kind: header.kind, mismatch };
                return Err(Corrupt { file: self.file.clone(), offset, why }.into());
            }
        }
        self.last = Some((header, offset));
        let bytes = self.buffer.lend(length);
        Ok(Some((RawEvent::from_checked(bytes, header, offset), format)))
    }

    /// Whether another whole event is there; it stays the next. An error says that the file ends
    /// in the middle of it, or is damaged.
    pub(crate) fn whole(&mut self) -> Result<bool, ReadError> {
        match self.peek()? {
            Some(header) => self.load(&header).map(|_| true),
            None => Ok(false),
        }
    }

    /// The event that was lent last, once more.
    pub(crate) fn again(&self) -> Option<RawEvent<'_>> {
        let (header, offset) = self.last?;
        let bytes = self.buffer.lent(header.length as usize)?;
        Some(RawEvent::from_checked(bytes, header, offset))
    }

    /// The next event of a file that its server may still be writing.
    pub fn poll(&mut self) -> Result<Polled<'_>, ReadError> {
        let offset = self.offset();
        match self.whole() {
            Ok(true) => match self.next()? {
                Some(event) => Ok(Polled::Event(event)),
                None => Ok(Polled::NoMoreYet { offset, partial: 0 }),
            },
            Ok(false) => Ok(Polled::NoMoreYet { offset, partial: 0 }),
            Err(ReadError::Torn(Torn { have, .. })) => {
                Ok(Polled::NoMoreYet { offset, partial: have })
            }
            Err(other) => Err(other),
        }
    }

    /// The header of the next event, which stays the next; `None` at a clean end.
    pub fn peek(&mut self) -> Result<Option<EventHeader>, ReadError> {
        // A format description holds from the event after it on.
        if let Some(next) = self.next_format.take() {
            self.format = Some(next);
        }
        let offset = self.offset();
        self.check_kind(offset)?;
        if self.buffer.bytes().len() < EventHeader::LENGTH {
            self.fill(EventHeader::LENGTH)?;
        }
        let bytes = self.buffer.bytes();
        let Some(header) = EventHeader::read(bytes) else {
            return match bytes.len() as u64 {
                0 => Ok(None),
                have => Err(self.torn(offset, have, None)),
            };
        };
        if header.length < EventHeader::LENGTH as u32 || header.length > MAX_EVENT_LENGTH {
            if bytes.iter().take(EventHeader::LENGTH).all(|byte| *byte == 0) {
                return Err(self.only_zeros(offset)?);
            }
            let (kind, length) = (header.kind, header.length);
            return Err(self.corrupt(offset, Damage::Length { kind, length }));
        }
        Ok(Some(header))
    }

    /// Passes over the next event without looking at its body, or its checksum. A format
    /// description must be read with [`Reader::next`]. After a torn end the reader cannot go on.
    pub fn skip(&mut self, header: &EventHeader) -> Result<(), ReadError> {
        let length = header.length as usize;
        let there = self.buffer.bytes().len();
        self.buffer.passed_over(length);
        if length <= there {
            self.buffer.consume(length);
            return Ok(());
        }
        let offset = self.offset();
        if header.kind == EventKind::START_ENCRYPTION {
            self.encrypted_from = Some(offset.saturating_add(u64::from(header.length)));
        }
        if !self.buffer.can_hop() {
            let length = self.load(header)?;
            self.buffer.consume(length);
            return Ok(());
        }
        let missing = (length - there) as u64;
        let hopped = self.buffer.hop(missing).map_err(|e| self.io(offset, e))?;
        if hopped < missing {
            let have = there as u64 + hopped;
            return Err(self.torn(offset, have, Some(u64::from(header.length))));
        }
        Ok(())
    }

    /// Reads until the event is in the buffer; its length.
    fn load(&mut self, header: &EventHeader) -> Result<usize, ReadError> {
        let (offset, length) = (self.offset(), header.length as usize);
        if self.buffer.bytes().len() < length {
            self.fill(length)?;
            let have = self.buffer.bytes().len();
            if have < length {
                return Err(self.torn(offset, have as u64, Some(u64::from(header.length))));
            }
        }
        Ok(length)
    }

    /// Notes what the event says about those that follow.
    fn take_format(
        &mut self,
        header: &EventHeader,
        offset: u64,
        length: usize,
    ) -> Result<(), ReadError> {
        match header.kind {
            EventKind::FORMAT_DESCRIPTION => {
                let bytes = self.buffer.bytes().get(..length).unwrap_or_default();
                let event = RawEvent::from_checked(bytes, *header, offset);
                let format = match FormatDescription::decode(&event) {
                    Ok(format) => format,
                    Err(error) => return Err(self.corrupt(offset, Damage::Body(error))),
                };
                match self.format {
                    Some(_) => self.next_format = Some(format),
                    None => self.format = Some(format),
                }
            }
            EventKind::START_ENCRYPTION => {
                self.encrypted_from = Some(offset.saturating_add(u64::from(header.length)));
            }
            _ => {}
        }
        Ok(())
    }

    fn check_kind(&mut self, offset: u64) -> Result<(), ReadError> {
        // An empty file may have got its head since.
        if offset < MAGIC.len() as u64 {
            self.fill(MAGIC.len())?;
            self.kind = Some(FileKind::of(self.buffer.bytes()));
            if self.buffer.bytes().starts_with(&MAGIC) {
                self.buffer.consume(MAGIC.len());
            }
        }
        let file = || self.file.clone();
        match self.kind() {
            FileKind::NotABinlog => {
                let found = kind::first_bytes(self.buffer.bytes());
                Err(ReadError::NotABinlog { file: file(), found })
            }
            FileKind::EncryptedMySql => Err(ReadError::Encrypted { file: file(), offset: 0 }),
            _ => match self.encrypted_from {
                Some(from) if offset >= from => {
                    Err(ReadError::Encrypted { file: file(), offset: from })
                }
                _ => Ok(()),
            },
        }
    }

    /// The rest of the file may be zeros that a crash left there: then it is torn, not damaged.
    fn only_zeros(&mut self, offset: u64) -> Result<ReadError, ReadError> {
        let zeros = self.buffer.count_zeros().map_err(|e| self.io(offset, e))?;
        Ok(match zeros {
            Some(have) => self.torn(offset, have, None),
            None => self.corrupt(offset, Damage::Length { kind: EventKind(0), length: 0 }),
        })
    }

    fn fill(&mut self, wanted: usize) -> Result<(), ReadError> {
        let offset = self.offset();
        self.buffer.fill(wanted).map_err(|source| self.io(offset, source))
    }

    fn io(&self, offset: u64, source: std::io::Error) -> ReadError {
        ReadError::Io { file: self.file.clone(), offset, source }
    }

    fn torn(&self, offset: u64, have: u64, needed: Option<u64>) -> ReadError {
        Torn { file: self.file.clone(), offset, have, needed }.into()
    }

    fn corrupt(&self, offset: u64, why: Damage) -> ReadError {
        Corrupt { file: self.file.clone(), offset, why }.into()
    }
}
