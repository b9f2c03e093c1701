//! Writes an archive: into a folder beside it, which gets its name only when everything in it is
//! on disk.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use primacy_types::{BinlogPosition, Flavor, TransactionSet};
use sha2::{Digest, Sha256};

use super::manifest::{MANIFEST, VERSION, is_base_name};
use super::{Archive, ArchiveError, ArchivedFile, IncompleteTail, Manifest};
use crate::event::{FormatDescription, RawEvent};
use crate::reader::MAGIC;

/// The head of the file that comes next, kept until it has a transaction.
#[derive(Clone)]
struct NextFile {
    name: String,
    head: Vec<u8>,
}

/// What is undone if the open transaction turns out to be incomplete.
struct Undo {
    file: Option<ArchivedFile>,
    files: usize,
    sum: Sha256,
    events: u64,
    bytes: u64,
    server_ids: Vec<(u32, u64)>,
}

/// How a cut ended.
pub(crate) struct Ending {
    /// Which transactions were written; without GTIDs it is made from the last position.
    pub(crate) contents: TransactionSet,
    pub(crate) incomplete: Option<IncompleteTail>,
    pub(crate) stopped_by: Option<String>,
}

/// Writes an archive.
pub(crate) struct ArchiveWriter {
    folder: PathBuf,
    temporary: PathBuf,
    manifest: Manifest,
    next: Option<NextFile>,
    open: Option<BufWriter<File>>,
    sum: Sha256,
    undo: Option<Undo>,
    done: bool,
}

impl ArchiveWriter {
    pub(crate) fn create(folder: &Path, source: &str) -> Result<Self, ArchiveError> {
        if folder.symlink_metadata().is_ok() {
            return Err(ArchiveError::Exists(folder.to_owned()));
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let temporary = folder.with_file_name(format!(".{name}.{}.partial", std::process::id()));
        if temporary.exists() {
            // Left by a process that had our id and died.
            fs::remove_dir_all(&temporary)
                .map_err(|e| ArchiveError::io("remove", &temporary, e))?;
        }
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&temporary)
            .map_err(|e| ArchiveError::io("make", &temporary, e))?;
        let manifest = Manifest {
            version: VERSION,
            source: source.to_owned(),
            flavor: Flavor::MySql,
            server_version: String::new(),
            files: Vec::new(),
            transactions: 0,
            events: 0,
            bytes: 0,
            contents: TransactionSet::UpTo(None),
            until: None,
            incomplete: None,
            stopped_by: None,
            server_ids: BTreeMap::new(),
            sha256: String::new(),
        };
        Ok(Self {
            folder: folder.to_owned(),
            temporary,
            manifest,
            next: None,
            open: None,
            sum: Sha256::new(),
            undo: None,
            done: false,
        })
    }

    /// The transactions that follow are from this file of the source.
    pub(crate) fn file(
        &mut self,
        name: &str,
        format: &FormatDescription,
        format_description: &[u8],
        previous: Option<&[u8]>,
    ) -> Result<(), ArchiveError> {
        if !is_base_name(name) {
            let reason = format!("{name:?} is no name of a file");
            return Err(ArchiveError::Manifest { path: self.folder.clone(), reason });
        }
        if self.manifest.server_version.is_empty() {
            self.manifest.flavor = format.flavor;
            self.manifest.server_version.clone_from(&format.server_version);
        }
        let mut head = MAGIC.to_vec();
        head.extend_from_slice(format_description);
        head.extend_from_slice(previous.unwrap_or_default());
        self.next = Some(NextFile { name: name.to_owned(), head });
        Ok(())
    }

    /// The next event is the first of a transaction.
    pub(crate) fn begin(&mut self) {
        self.undo = Some(Undo {
            file: self.manifest.files.last().cloned(),
            files: self.manifest.files.len(),
            sum: self.sum.clone(),
            events: self.manifest.events,
            bytes: self.manifest.bytes,
            server_ids: Vec::new(),
        });
    }

    /// Writes an event that stood from `start` to `end` in the source's file.
    pub(crate) fn write(
        &mut self,
        event: &RawEvent<'_>,
        start: u64,
        end: u64,
    ) -> Result<(), ArchiveError> {
        self.turn_to_file(start)?;
        let (Some(open), Some(file)) = (&mut self.open, self.manifest.files.last_mut()) else {
            return Ok(());
        };
        if start < file.end {
            let after = BinlogPosition::new(file.name.clone(), file.end).to_string();
            let next = BinlogPosition::new(file.name.clone(), start).to_string();
            return Err(ArchiveError::OutOfOrder { after, next });
        }
        open.write_all(event.bytes())
            .map_err(|e| ArchiveError::io("write", &self.temporary.join(&file.name), e))?;
        let length = event.bytes().len() as u64;
        if event.header().end_position != 0 {
            file.end = end;
        }
        file.events += 1;
        file.length += length;
        self.sum.update(event.bytes());
        self.manifest.events += 1;
        self.manifest.bytes += length;
        let server = event.header().server_id;
        let count = self.manifest.server_ids.entry(server).or_default();
        if let Some(undo) = &mut self.undo
            && !undo.server_ids.iter().any(|(id, _)| *id == server)
        {
            undo.server_ids.push((server, *count));
        }
        *count += 1;
        Ok(())
    }

    /// The open transaction is complete.
    pub(crate) fn commit(&mut self) {
        self.undo = None;
        self.manifest.transactions += 1;
        if let Some(file) = self.manifest.files.last_mut() {
            file.transactions += 1;
            self.manifest.until = Some(BinlogPosition::new(file.name.clone(), file.end));
        }
    }

    /// The open transaction is not complete: nothing of it stays.
    pub(crate) fn give_up(&mut self) -> Result<(), ArchiveError> {
        let Some(undo) = self.undo.take() else {
            return Ok(());
        };
        let path = self.path_of_last();
        let failed = |e| ArchiveError::io("shorten", &path, e);
        let length = undo.file.as_ref().map_or(0, |file| file.length);
        if self.manifest.files.len() > undo.files {
            // The transaction was the first of its file.
            let head = self.read_head(&path)?;
            self.open = None;
            if let Some(file) = self.manifest.files.pop() {
                self.next.get_or_insert(NextFile { name: file.name, head });
            }
            fs::remove_file(&path).map_err(failed)?;
        } else if let (Some(open), Some(file)) = (&mut self.open, undo.file) {
            open.flush().map_err(failed)?;
            open.get_ref().set_len(length).map_err(failed)?;
            open.seek(SeekFrom::Start(length)).map_err(failed)?;
            if let Some(last) = self.manifest.files.last_mut() {
                *last = file;
            }
        }
        self.sum = undo.sum;
        self.manifest.events = undo.events;
        self.manifest.bytes = undo.bytes;
        for (server, count) in undo.server_ids {
            match count {
                0 => self.manifest.server_ids.remove(&server),
                _ => self.manifest.server_ids.insert(server, count),
            };
        }
        Ok(())
    }

    /// Puts everything on disk and gives the folder its name.
    pub(crate) fn finish(mut self, ending: Ending) -> Result<Archive, ArchiveError> {
        self.give_up()?;
        self.close()?;
        self.manifest.contents = match ending.contents {
            TransactionSet::UpTo(_) => TransactionSet::UpTo(self.manifest.until.clone()),
            gtids => gtids,
        };
        self.manifest.incomplete = ending.incomplete;
        self.manifest.stopped_by = ending.stopped_by;
        self.manifest.sha256 = hex(&self.sum.clone().finalize());
        let path = self.temporary.join(MANIFEST);
        let json = serde_json::to_vec_pretty(&self.manifest)
            .map_err(|e| ArchiveError::io("write", &path, e.into()))?;
        let mut file = create(&path)?;
        file.write_all(&json)
            .and_then(|()| file.sync_all())
            .map_err(|e| ArchiveError::io("write", &path, e))?;
        sync_folder(&self.temporary)?;
        // Renaming onto an empty folder that somebody made meanwhile would succeed.
        if self.folder.symlink_metadata().is_ok() {
            return Err(ArchiveError::Exists(self.folder.clone()));
        }
        fs::rename(&self.temporary, &self.folder)
            .map_err(|e| ArchiveError::io("rename to", &self.folder, e))?;
        self.done = true;
        match self.folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent)?,
            _ => sync_folder(Path::new("."))?,
        }
        Ok(Archive::of_parts(self.folder.clone(), self.manifest.clone()))
    }

    fn turn_to_file(&mut self, start: u64) -> Result<(), ArchiveError> {
        let Some(next) = self.next.take() else {
            return Ok(());
        };
        if let Some(last) = self.manifest.files.last() {
            if last.name == next.name {
                return Ok(());
            }
            let (after, now) =
                (BinlogPosition::new(&*last.name, 0), BinlogPosition::new(&*next.name, 0));
            if now <= after || self.manifest.files.iter().any(|file| file.name == next.name) {
                let after = BinlogPosition::new(&*last.name, last.end).to_string();
                let next = BinlogPosition::new(&*next.name, start).to_string();
                return Err(ArchiveError::OutOfOrder { after, next });
            }
        }
        self.close()?;
        let path = self.temporary.join(&next.name);
        let mut file = BufWriter::with_capacity(1 << 18, create(&path)?);
        file.write_all(&next.head).map_err(|e| ArchiveError::io("write", &path, e))?;
        let head = next.head.len() as u64;
        self.manifest.files.push(ArchivedFile {
            name: next.name,
            start,
            end: start,
            head,
            length: head,
            ..ArchivedFile::default()
        });
        self.open = Some(file);
        Ok(())
    }

    fn read_head(&mut self, path: &Path) -> Result<Vec<u8>, ArchiveError> {
        let failed = |e| ArchiveError::io("read", path, e);
        if let Some(open) = &mut self.open {
            open.flush().map_err(failed)?;
        }
        let head = self.manifest.files.last().map_or(0, |file| file.head);
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(failed)?;
        std::io::Read::read_to_end(&mut std::io::Read::take(file, head), &mut bytes)
            .map_err(failed)?;
        Ok(bytes)
    }

    fn close(&mut self) -> Result<(), ArchiveError> {
        let path = self.path_of_last();
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        open.flush()
            .and_then(|()| open.get_ref().sync_all())
            .map_err(|e| ArchiveError::io("write", &path, e))
    }

    fn path_of_last(&self) -> PathBuf {
        let name = self.manifest.files.last().map_or("", |file| &file.name);
        self.temporary.join(name)
    }
}

impl Drop for ArchiveWriter {
    fn drop(&mut self) {
        if !self.done {
            // Nobody is told of this folder, so nobody would remove it.
            let _ = fs::remove_dir_all(&self.temporary);
        }
    }
}

fn create(path: &Path) -> Result<File, ArchiveError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|e| ArchiveError::io("make", path, e))
}

fn sync_folder(path: &Path) -> Result<(), ArchiveError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|e| ArchiveError::io("put on disk", path, e))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
