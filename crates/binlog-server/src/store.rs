//! The folder of files: `DIR/<cluster>/<n>-<source>/binlog.000007`, each as the source wrote it.
//!
//! A sub-folder (a *segment*) holds what was received from one source in one go; following another
//! source begins the next. In each lies `binlog.index`, for people and `mysqlbinlog`, and
//! `segment.json`, which says what the files hold.
//!
//! Readers see a file up to the end of its last complete transaction that is as durable as the
//! policy says, and never beyond: what they were given is never taken back.

mod appender;
mod catalogue;
mod recover;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use primacy_types::{BinlogPosition, TransactionSet};
use tokio::sync::watch;

pub(crate) use appender::{Appender, Item};
pub(crate) use catalogue::{Catalogue, KeptFile, SourceId};

use crate::SyncPolicy;
use crate::error::StoreError;
use crate::state;
use catalogue::SegmentFile;

/// The list of files that people and programs know.
const INDEX: &str = "binlog.index";
/// What the files of a segment hold.
const SEGMENT: &str = "segment.json";

/// The store of one cluster.
#[derive(Debug)]
pub(crate) struct Store {
    root: PathBuf,
    sync: SyncPolicy,
    catalogue: Mutex<Catalogue>,
    changed: watch::Sender<u64>,
    /// Held for as long as the process uses the folder.
    _lock: File,
}

impl Store {
    /// Opens a folder, or makes it; what a crash left of an unfinished transaction is cut off.
    pub(crate) fn open(root: &Path, sync: SyncPolicy) -> Result<Arc<Self>, StoreError> {
        fs::create_dir_all(root).map_err(StoreError::io("make", root))?;
        let path = root.join("lock");
        let lock = File::create(&path).map_err(StoreError::io("make", &path))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| StoreError::InUse(root.to_owned()))?;
        let catalogue = recover::recover(root)?;
        let (changed, _) = watch::channel(0);
        let (root, catalogue) = (root.to_owned(), Mutex::new(catalogue));
        Ok(Arc::new(Self { root, sync, catalogue, changed, _lock: lock }))
    }

    /// Its folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What is in it now. Not to be kept across an await.
    pub(crate) fn catalogue(&self) -> MutexGuard<'_, Catalogue> {
        self.catalogue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes with each publication.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// All transactions that were received, and those before them.
    pub(crate) fn executed(&self) -> TransactionSet {
        self.catalogue().executed.clone()
    }

    /// Where the last complete transaction ends, in the files of the source.
    pub(crate) fn place(&self) -> Option<BinlogPosition> {
        self.catalogue().place.clone()
    }

    /// Makes a change known to readers.
    fn publish(&self, change: impl FnOnce(&mut Catalogue)) {
        change(&mut self.catalogue());
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Writes down what a segment holds. Called before a file that it names is written to, and
    /// after one that it no longer names was given up: names without files are harmless, files
    /// without names would be forgotten.
    fn describe(&self, segment: u32) -> Result<(), StoreError> {
        let described = {
            let catalogue = self.catalogue();
            let Some(source) = catalogue.segments.get(&segment) else { return Ok(()) };
            SegmentFile {
                number: segment,
                source: source.clone(),
                files: catalogue.files.iter().filter(|f| f.segment == segment).cloned().collect(),
            }
        };
        let folder = self.folder(segment, &described.source);
        let names: String =
            described.files.iter().map(|file| format!("./{}\n", file.name)).collect();
        state::replace(&folder.join(INDEX), names.as_bytes())?;
        state::write(&folder.join(SEGMENT), &described)
    }

    fn folder(&self, segment: u32, source: &SourceId) -> PathBuf {
        self.root.join(format!("{segment:04}-{source}"))
    }

    /// Where a file is.
    pub(crate) fn path(&self, file: &KeptFile) -> PathBuf {
        let source = self.catalogue().segments.get(&file.segment).cloned();
        source.map_or_else(PathBuf::new, |s| self.folder(file.segment, &s).join(&file.name))
    }

    /// Removes the oldest file, which is closed and which nobody reads.
    pub(crate) fn remove_oldest(&self) -> Result<(), StoreError> {
        let (first, last_of_segment) = {
            let catalogue = self.catalogue();
            let Some(first) = catalogue.files.first().cloned() else { return Ok(()) };
            let left = catalogue.files.iter().filter(|f| f.segment == first.segment).count();
            (first, left == 1)
        };
        let path = self.path(&first);
        let folder = path.parent().map(Path::to_path_buf);
        self.publish(|catalogue| {
            catalogue.files.remove(0);
        });
        if !last_of_segment {
            self.describe(first.segment)?;
        }
        fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
        if last_of_segment && let Some(folder) = folder {
            fs::remove_dir_all(&folder).map_err(StoreError::io("remove", &folder))?;
            self.publish(|catalogue| {
                catalogue.segments.remove(&first.segment);
            });
        }
        Ok(())
    }
}
