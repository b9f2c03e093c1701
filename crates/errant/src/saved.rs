//! Transactions as a binary log of their own, in a file that gets its name when all of it is there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use primacy_binlog::describe::Range;
use primacy_binlog::event::{EventKind, FormatDescription, RawEvent};
use primacy_binlog::{ReadError, Reader};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::ErrantError;

/// The first bytes of a binary log.
const MAGIC: [u8; 4] = [0xfe, b'b', b'i', b'n'];

/// How much was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Whole transactions.
    pub transactions: u64,
    /// Their events.
    pub events: u64,
    /// Bytes of the events.
    pub bytes: u64,
}

/// From where on in the copy what follows stood together in a file of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Where in the copy.
    pub offset: u64,
    /// The server's file.
    pub file: Arc<str>,
    /// Where in that file.
    pub start: u64,
}

/// The transactions so far, as a binary log.
#[derive(Debug)]
pub struct Saved {
    path: PathBuf,
    file: BufWriter<File>,
    length: u64,
    counts: Counts,
    stretches: Vec<Stretch>,
    /// The server's file whose format stands last.
    head_of: Option<Arc<str>>,
    /// What holds again if the open transaction is given up.
    before: Option<(u64, Counts, usize)>,
    /// There is something to remove.
    unfinished: bool,
}

impl Saved {
    /// Begins a file that nobody else reads (there are rows in it). It is removed if this is dropped
    /// before it is finished.
    ///
    /// # Errors
    /// If it is there already or cannot be made.
    pub fn begin(path: PathBuf) -> Result<Self, ErrantError> {
        let file = private(&path).map_err(ErrantError::file("made", &path))?;
        let mut saved = Self {
            file: BufWriter::new(file),
            path,
            length: 0,
            counts: Counts::default(),
            stretches: Vec::new(),
            head_of: None,
            before: None,
            unfinished: true,
        };
        saved.append(&MAGIC)?;
        Ok(saved)
    }

    /// How much was written up to now.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether the format of this file has to come before what follows.
    pub fn needs_head(&self, file: &Arc<str>) -> bool {
        self.head_of.as_ref() != Some(file)
    }

    /// The events that follow are a transaction that begins there. The format comes before the
    /// first of each file, so that whoever reads it knows how.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn begin_transaction(
        &mut self,
        head: &[u8],
        file: &Arc<str>,
        start: u64,
    ) -> Result<(), ErrantError> {
        self.before = Some((self.length, self.counts, self.stretches.len()));
        if self.needs_head(file) {
            self.append(head)?;
            self.head_of = Some(Arc::clone(file));
        }
        let follows = self.stretches.last().is_some_and(|last| {
            last.file == *file && last.start + (self.length - last.offset) == start
        });
        if !follows {
            self.stretches.push(Stretch { offset: self.length, file: Arc::clone(file), start });
        }
        Ok(())
    }

    /// An event of the open transaction.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&mut self, event: &[u8]) -> Result<(), ErrantError> {
        self.append(event)?;
        self.counts.events += 1;
        self.counts.bytes += event.len() as u64;
        Ok(())
    }

    /// The open transaction is whole.
    pub fn complete(&mut self) {
        self.before = None;
        self.counts.transactions += 1;
    }

    /// Nothing of the open transaction stays.
    ///
    /// # Errors
    /// If the file cannot be shortened.
    pub fn give_up(&mut self) -> Result<(), ErrantError> {
        let Some((length, counts, stretches)) = self.before.take() else {
            return Ok(());
        };
        let shortened = self.file.flush().and_then(|()| {
            self.file.get_ref().set_len(length)?;
            self.file.seek(SeekFrom::Start(length))
        });
        shortened.map_err(ErrantError::file("shortened", &self.path))?;
        (self.length, self.counts) = (length, counts);
        self.stretches.truncate(stretches);
        self.head_of = None;
        Ok(())
    }

    /// All of it is there, and on disk.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish(mut self) -> Result<Written, ErrantError> {
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        synced.map_err(ErrantError::file("written", &self.path))?;
        self.unfinished = false;
        Ok(Written {
            path: self.path.clone(),
            counts: self.counts,
            stretches: std::mem::take(&mut self.stretches),
            temporary: true,
        })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), ErrantError> {
        self.file.write_all(bytes).map_err(ErrantError::file("written", &self.path))?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}

impl Drop for Saved {
    fn drop(&mut self) {
        if self.unfinished {
            let _gone_already = fs::remove_file(&self.path);
        }
    }
}

/// A finished file. It is removed when dropped, unless it was given its name.
#[derive(Debug)]
pub struct Written {
    path: PathBuf,
    counts: Counts,
    stretches: Vec<Stretch>,
    temporary: bool,
}

impl Written {
    /// Where it is now.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How much is in it.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// From where its parts come, in their order.
    pub fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }

    /// Calls `each` with every event of it: the server's file that the event is from, where it
    /// stands there, and in which format.
    ///
    /// # Errors
    /// If it cannot be read, and those of `each`.
    pub fn each_event<E: From<ReadError>>(
        &self,
        mut each: impl FnMut(&str, Range, &RawEvent<'_>, &FormatDescription) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut reader = Reader::open(&self.path)?;
        let mut stretches = self.stretches.iter().peekable();
        let mut current = None;
        while let Some((event, format)) = reader.next_in_format()? {
            if event.kind() == EventKind::FORMAT_DESCRIPTION {
                continue;
            }
            while stretches.peek().is_some_and(|next| next.offset <= event.offset()) {
                current = stretches.next();
            }
            let Some(current) = current else { continue };
            let start = current.start + (event.offset() - current.offset);
            let range = Range { start, end: start + event.bytes().len() as u64 };
            each(&current.file, range, &event, format)?;
        }
        Ok(())
    }

    /// Gives it its name. Without `force` nothing that came there meanwhile is lost.
    ///
    /// # Errors
    /// If the name is taken, or the file cannot be renamed.
    pub fn name(mut self, to: &Path, force: bool) -> Result<(), ErrantError> {
        name(&self.path, to, force)?;
        self.temporary = false;
        Ok(())
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        if self.temporary {
            let _gone_already = fs::remove_file(&self.path);
        }
    }
}

/// A name for what is not yet finished, in the same folder.
pub fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.partial", std::process::id()))
}

/// A file that nobody else reads.
///
/// # Errors
/// If it is there already or cannot be made.
pub fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Gives a finished file its name, so that it outlives a loss of power. Without `force` nothing that
/// came there meanwhile is lost.
///
/// # Errors
/// If the name is taken, or the file cannot be renamed.
pub fn name(from: &Path, to: &Path, force: bool) -> Result<(), ErrantError> {
    rename(from, to, force)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    sync_folder(folder.unwrap_or(Path::new(".")))
}

/// What was made, named or removed in a folder is on disk.
///
/// # Errors
/// What the system says.
pub fn sync_folder(folder: &Path) -> Result<(), ErrantError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(ErrantError::file("written to disk", folder))
}

fn rename(from: &Path, to: &Path, force: bool) -> Result<(), ErrantError> {
    let renamed = match force {
        true => fs::rename(from, to),
        false => renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(io::Error::from),
    };
    match renamed {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            Err(ErrantError::Exists { path: to.to_owned() })
        }
        // A file system that cannot refuse: it was looked at before.
        Err(e) if !force && e.raw_os_error() == Some(22) && to.symlink_metadata().is_err() => {
            fs::rename(from, to).map_err(ErrantError::file("named", to))
        }
        Err(e) => Err(ErrantError::file("named", to)(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_folder(folder: &Path) -> Saved {
        Saved::begin(beside(&folder.join("errant.binlog"))).unwrap()
    }

    fn bytes(saved: &mut Saved) -> Vec<u8> {
        saved.file.flush().unwrap();
        fs::read(&saved.path).unwrap()
    }

    #[test]
    fn nothing_stays_of_a_transaction_that_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let mut saved = in_folder(folder.path());
        let (one, two): (Arc<str>, Arc<str>) = ("binlog.000001".into(), "binlog.000002".into());
        saved.begin_transaction(b"HEAD1", &one, 100).unwrap();
        saved.write(b"half").unwrap();
        saved.give_up().unwrap();
        assert_eq!((bytes(&mut saved), saved.counts()), (MAGIC.to_vec(), Counts::default()));
        saved.begin_transaction(b"HEAD1", &one, 200).unwrap();
        saved.write(b"whole").unwrap();
        saved.complete();
        saved.begin_transaction(b"HEAD2", &two, 4).unwrap();
        saved.write(b"torn").unwrap();
        saved.give_up().unwrap();
        saved.begin_transaction(b"HEAD2", &two, 8).unwrap();
        saved.write(b"last").unwrap();
        saved.complete();
        assert_eq!(bytes(&mut saved), [&MAGIC[..], b"HEAD1wholeHEAD2last"].concat());
        assert_eq!(saved.counts(), Counts { transactions: 2, events: 2, bytes: 9 });
        let places: Vec<_> = saved.stretches.iter().map(|s| (s.offset, s.start)).collect();
        assert_eq!(places, [(9, 200), (19, 8)]);
    }

    #[test]
    fn what_stands_together_is_one_stretch() {
        let folder = tempfile::tempdir().unwrap();
        let mut saved = in_folder(folder.path());
        let file: Arc<str> = "binlog.000001".into();
        for start in [100, 105, 200] {
            saved.begin_transaction(b"HEAD", &file, start).unwrap();
            saved.write(b"event").unwrap();
            saved.complete();
        }
        let places: Vec<_> = saved.stretches.iter().map(|s| (s.offset, s.start)).collect();
        assert_eq!(places, [(8, 100), (18, 200)]);
    }

    #[test]
    fn a_file_that_came_meanwhile_is_kept_and_nothing_half_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("to");
        fs::write(&to, "theirs").unwrap();
        let refused = in_folder(folder.path()).finish().unwrap().name(&to, false).unwrap_err();
        assert!(matches!(refused, ErrantError::Exists { .. }), "{refused}");
        assert_eq!(fs::read(&to).unwrap(), b"theirs");
        in_folder(folder.path()).finish().unwrap().name(&to, true).unwrap();
        assert_eq!(fs::read(&to).unwrap(), MAGIC);
        fs::remove_file(&to).unwrap();
        drop(in_folder(folder.path()));
        drop(in_folder(folder.path()).finish().unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
