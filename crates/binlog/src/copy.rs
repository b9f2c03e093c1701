//! A folder with copies of a server's binary logs: events are appended as they are received, in
//! files named like the originals, so that each is the original byte for byte.
//!
//! After a crash the newest file is cut back to the end of its last complete transaction, and
//! whoever fetches goes on from there: what was not on disk is fetched again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use primacy_types::BinlogPosition;

use crate::archive::is_base_name;
use crate::error::ReadError;
use crate::event::{EventHeader, EventKind};
use crate::index::number_of;
use crate::reader::{FileKind, MAGIC, Reader};
use crate::scan::{Thoroughness, scan};

/// Where the low byte of the flags of a file's format description stands.
const FLAGS: u64 = MAGIC.len() as u64 + FLAGS_IN_EVENT as u64;
const FLAGS_IN_EVENT: usize = 17;
/// Its bit that says that the file is being written.
const IN_USE: u8 = 1;

/// Why nothing is copied (any more).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The operating system refused.
    #[error("could not {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The newest file in the folder cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The newest file in the folder is no binary log that can be gone on with.
    #[error("{} cannot be continued: {reason}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The source's name for a file is none.
    #[error("{0:?} is no name of a file")]
    Name(String),
    /// Bytes of the original were not sent.
    #[error("{file} would have a hole: it has {have} bytes, and the next event begins at {start}")]
    Hole {
        /// The file.
        file: String,
        /// How far it goes.
        have: u64,
        /// Where the event begins.
        start: u64,
    },
    /// A file that is to be begun is there already.
    #[error("{} is there already and is not the newest", .0.display())]
    Exists(PathBuf),
}

/// Writes copies into a folder.
#[derive(Debug)]
pub struct CopyWriter {
    folder: PathBuf,
    open: Option<Open>,
    /// The format description of the newest file as it was found.
    head: Option<Vec<u8>>,
    bytes: u64,
}

#[derive(Debug)]
struct Open {
    name: String,
    path: PathBuf,
    file: File,
    end: u64,
}

impl CopyWriter {
    /// Opens the folder, making it if it is not there, and cuts what a crash left unfinished.
    pub fn open(folder: &Path) -> Result<Self, CopyError> {
        fs::create_dir_all(folder).map_err(|e| io_error("make", folder, e))?;
        let mut copy = Self { folder: folder.to_owned(), open: None, head: None, bytes: 0 };
        if let Some(path) = newest_in(folder)? {
            copy.take_up(path)?;
        }
        Ok(copy)
    }

    /// Up to where everything is there; `None` in an empty folder.
    pub fn position(&self) -> Option<BinlogPosition> {
        self.open.as_ref().map(|open| BinlogPosition::new(open.name.clone(), open.end.max(4)))
    }

    /// Whether the copy has the event that begins there: a source that could not be asked for the
    /// very place sends what is before it once more.
    pub fn has(&self, file: &str, start: u64) -> bool {
        self.open.as_ref().is_some_and(|open| open.name == file && start < open.end)
    }

    /// The format description with which the file begins that is gone on with, without its mark
    /// of being in use: a server whose file of that name begins otherwise is another one.
    pub fn head(&self) -> Option<&[u8]> {
        self.head.as_deref()
    }

    /// How many bytes were written.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends an event that begins at `start` of that file. The first of a file is its format
    /// description.
    pub fn write(&mut self, file: &str, start: u64, event: &[u8]) -> Result<(), CopyError> {
        if self.open.as_ref().is_none_or(|open| open.name != file) {
            self.close()?;
            self.begin(file)?;
        }
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        if open.end != start {
            let file = open.name.clone();
            return Err(CopyError::Hole { file, have: open.end, start });
        }
        let kind = EventHeader::read(event).map(|header| header.kind);
        if start == MAGIC.len() as u64 && kind == Some(EventKind::FORMAT_DESCRIPTION) {
            let mut event = event.to_vec();
            if let Some(flags) = event.get_mut(FLAGS_IN_EVENT) {
                *flags |= IN_USE;
            }
            open.append(&event)?;
        } else {
            open.append(event)?;
        }
        self.bytes += event.len() as u64;
        if matches!(kind, Some(EventKind::ROTATE | EventKind::STOP)) {
            open.finish()?;
        }
        Ok(())
    }

    /// Makes durable what was written.
    pub fn sync(&mut self) -> Result<(), CopyError> {
        match &self.open {
            Some(open) => open.file.sync_data().map_err(|e| io_error("sync", &open.path, e)),
            None => Ok(()),
        }
    }

    /// Goes on with a file that is there.
    fn take_up(&mut self, path: PathBuf) -> Result<(), CopyError> {
        let mut reader = Reader::open(&path)?;
        let summary = scan(&mut reader, Thoroughness::Verified)?;
        let unfit =
            |reason: &str| Err(CopyError::Unfit { path: path.clone(), reason: reason.to_owned() });
        match summary.kind {
            FileKind::Plain | FileKind::Empty => {}
            FileKind::NotABinlog => return unfit("it is no binary log"),
            FileKind::EncryptedMySql | FileKind::EncryptedMariaDb { .. } => {
                return unfit("it is encrypted");
            }
        }
        if summary.relay_log {
            return unfit("it is a relay log");
        }
        // Without a whole head it is begun anew.
        let keep = if summary.events == 0 { 0 } else { summary.end_of_last_complete };
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let mut file = file.map_err(|e| io_error("open", &path, e))?;
        file.set_len(keep).map_err(|e| io_error("cut back", &path, e))?;
        file.seek(SeekFrom::End(0)).map_err(|e| io_error("read", &path, e))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut open = Open { name, path, file, end: keep };
        if keep == 0 {
            open.append(&MAGIC)?;
        } else {
            self.head = Some(open.head()?);
            open.mark(true)?;
        }
        self.open = Some(open);
        Ok(())
    }

    fn begin(&mut self, name: &str) -> Result<(), CopyError> {
        if !is_base_name(name) {
            return Err(CopyError::Name(name.to_owned()));
        }
        let path = self.folder.join(name);
        let made = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let file = match made {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return Err(CopyError::Exists(path));
            }
            Err(e) => return Err(io_error("make", &path, e)),
        };
        let folder = File::open(&self.folder).and_then(|folder| folder.sync_all());
        folder.map_err(|e| io_error("sync", &self.folder, e))?;
        let mut open = Open { name: name.to_owned(), path, file, end: 0 };
        open.append(&MAGIC)?;
        self.open = Some(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), CopyError> {
        match self.open.take() {
            // A source that crashed goes on in the next file without a word in this one.
            Some(mut open) => open.finish(),
            None => Ok(()),
        }
    }
}

impl Open {
    fn append(&mut self, bytes: &[u8]) -> Result<(), CopyError> {
        self.file.write_all(bytes).map_err(|e| io_error("write", &self.path, e))?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// The whole file is there.
    fn finish(&mut self) -> Result<(), CopyError> {
        if self.end > FLAGS {
            self.mark(false)?;
        }
        self.file.sync_data().map_err(|e| io_error("sync", &self.path, e))
    }

    fn mark(&mut self, in_use: bool) -> Result<(), CopyError> {
        let marked = (|| {
            let mut flags = [0];
            self.file.read_exact_at(&mut flags, FLAGS)?;
            flags[0] = if in_use { flags[0] | IN_USE } else { flags[0] & !IN_USE };
            self.file.write_all_at(&flags, FLAGS)
        })();
        marked.map_err(|e| io_error("write", &self.path, e))
    }

    fn head(&self) -> Result<Vec<u8>, CopyError> {
        let mut reader = Reader::open(&self.path)?;
        let mut head = reader.next()?.map(|event| event.bytes().to_vec()).unwrap_or_default();
        if let Some(flags) = head.get_mut(FLAGS_IN_EVENT) {
            *flags &= !IN_USE;
        }
        Ok(head)
    }
}

/// The file with the highest number; all must be of one series.
fn newest_in(folder: &Path) -> Result<Option<PathBuf>, CopyError> {
    let mut newest: Option<(u64, PathBuf)> = None;
    for entry in fs::read_dir(folder).map_err(|e| io_error("read", folder, e))? {
        let path = entry.map_err(|e| io_error("read", folder, e))?.path();
        let Some(number) = number_of(&path.to_string_lossy()) else {
            continue;
        };
        if let Some((_, other)) = &newest
            && other.file_stem() != path.file_stem()
        {
            let reason = format!("{} is of another series", other.display());
            return Err(CopyError::Unfit { path, reason });
        }
        if newest.as_ref().is_none_or(|(highest, _)| number > *highest) {
            newest = Some((number, path));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

fn io_error(what: &'static str, path: &Path, source: io::Error) -> CopyError {
    CopyError::Io { what, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
