//! A folder of saved binary logs: what was cut out, byte for byte, and a manifest that says what
//! is in it.
//!
//! Each file is named like the original and begins like it (format description, list of earlier
//! GTIDs), so that `mysqlbinlog` reads it. The events after that keep their headers: positions
//! are those of the original file, and what was before the cut is simply not there.

mod error;
mod head;
mod manifest;
mod reader;
mod writer;

use std::fs;
use std::path::{Path, PathBuf};

use primacy_types::{BinlogPosition, TransactionSet};
use sha2::{Digest, Sha256};

pub use error::ArchiveError;
pub use head::FileHead;
pub(crate) use head::is_previous;
pub(crate) use manifest::is_base_name;
pub use manifest::{ArchivedFile, IncompleteTail, Manifest};
pub use reader::{ArchiveReader, ArchivedEvent, StartAt};
pub(crate) use writer::{ArchiveWriter, Ending, hex};

use manifest::MANIFEST;

/// A folder of saved binary logs.
#[derive(Clone, Debug)]
pub struct Archive {
    folder: PathBuf,
    manifest: Manifest,
}

impl Archive {
    /// Opens a folder and reads everything in it: lengths, checksums of events, and the manifest's
    /// checksum over all.
    pub fn open(folder: &Path) -> Result<Self, ArchiveError> {
        let archive = Self::open_unverified(folder)?;
        archive.verify()?;
        Ok(archive)
    }

    /// Opens a folder that was verified before: looks only whether its files have their lengths.
    pub fn open_unverified(folder: &Path) -> Result<Self, ArchiveError> {
        let path = folder.join(MANIFEST);
        let text = fs::read(&path).map_err(|e| ArchiveError::io("read", &path, e))?;
        let manifest = Manifest::from_json(&text, &path)?;
        let archive = Self { folder: folder.to_owned(), manifest };
        for file in archive.files() {
            let path = archive.path(file);
            let length = fs::metadata(&path).map_err(|e| ArchiveError::io("look at", &path, e))?;
            archive.compare(file, "bytes", file.length, length.len())?;
        }
        Ok(archive)
    }

    /// For the writer, which has just verified what it wrote.
    pub(crate) const fn of_parts(folder: PathBuf, manifest: Manifest) -> Self {
        Self { folder, manifest }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What is in it.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its files in order.
    pub fn files(&self) -> &[ArchivedFile] {
        &self.manifest.files
    }

    /// Where a file is.
    pub fn path(&self, file: &ArchivedFile) -> PathBuf {
        self.folder.join(&file.name)
    }

    /// The transactions in it.
    pub const fn transactions(&self) -> &TransactionSet {
        &self.manifest.contents
    }

    /// Where its last complete transaction ends in the original files; `None` if it has none.
    pub const fn until_position(&self) -> Option<&BinlogPosition> {
        self.manifest.until.as_ref()
    }

    /// Where its first transaction begins in the original files; `None` if it has none.
    pub fn from_position(&self) -> Option<BinlogPosition> {
        self.files().first().map(|file| BinlogPosition::new(file.name.clone(), file.start))
    }

    /// The events before the first transaction of a file: what a replica is sent first.
    pub fn head(&self, file: &ArchivedFile) -> Result<FileHead, ArchiveError> {
        FileHead::read(&self.path(file), file)
    }

    /// The events from there on, in order, without the heads of files.
    pub fn events_from(&self, start: StartAt) -> Result<ArchiveReader<'_>, ArchiveError> {
        ArchiveReader::new(self, start)
    }

    fn verify(&self) -> Result<(), ArchiveError> {
        let mut events = self.events_from(StartAt::Beginning)?;
        let mut sum = Sha256::new();
        let (mut count, mut bytes) = (0_u64, 0_u64);
        while let Some(saved) = events.next()? {
            sum.update(saved.event.bytes());
            count += 1;
            bytes += saved.event.bytes().len() as u64;
        }
        let transactions = events.transactions();
        let whole = ArchivedFile { name: MANIFEST.to_owned(), ..ArchivedFile::default() };
        self.compare(&whole, "events", self.manifest.events, count)?;
        self.compare(&whole, "bytes of events", self.manifest.bytes, bytes)?;
        self.compare(&whole, "transactions", self.manifest.transactions, transactions)?;
        let found = hex(&sum.finalize());
        if found != self.manifest.sha256 {
            let expected = self.manifest.sha256.clone();
            return Err(ArchiveError::Altered { folder: self.folder.clone(), expected, found });
        }
        Ok(())
    }

    fn compare(
        &self,
        file: &ArchivedFile,
        what: &'static str,
        expected: u64,
        found: u64,
    ) -> Result<(), ArchiveError> {
        if expected == found {
            return Ok(());
        }
        Err(ArchiveError::Count { file: self.path(file), what, expected, found })
    }
}
