//! Writes what is received to the end of the store, and makes it known when it is as durable as
//! the policy says.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use primacy_binlog::event::{EventKind, GtidList, GtidOf, MySqlGtid, PreviousGtids, Rotate};
use primacy_binlog::{FormatDescription, Grouper, RawEvent, Reader};
use primacy_replication::ReceivedEvent;
use primacy_types::{BinlogPosition, MariaDbGtidPos, MySqlGtidSet, TransactionSet};

use super::catalogue::{Jump, KeptFile, SourceId};
use super::{Store, SyncPolicy};
use crate::error::StoreError;
use crate::state::sync_folder;

/// What every binary log begins with.
const MAGIC: [u8; 4] = *b"\xfebin";
/// How often files are forced to disk with [`SyncPolicy::Interval`].
const INTERVAL: Duration = Duration::from_secs(1);

/// What is written.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// An event of a file of the source.
    Event(ReceivedEvent),
    /// What the events look like that follow, where they do not begin at a file's head.
    Format(Bytes),
}

/// The one writer of a store. After an error it is of no use; the next one goes on where the last
/// publication ended.
#[derive(Debug)]
pub(crate) struct Appender {
    store: Arc<Store>,
    segment: u32,
    open: Option<Open>,
    /// What comes is from the first byte of a file on.
    whole: bool,
    pending_format: Option<Bytes>,
    format: Option<FormatDescription>,
    grouper: Grouper,
    executed: TransactionSet,
    /// MySQL: transactions that follow each other and are not in `executed` yet.
    run: Option<(MySqlGtid, u64)>,
    last_sync: Instant,
}

/// The file that is written to.
#[derive(Debug)]
struct Open {
    file: File,
    path: PathBuf,
    ordinal: u64,
    name: Arc<str>,
    /// Bytes that wait to be written, and where they belong.
    waiting: Vec<u8>,
    written: u64,
    /// Where the last event ends in the source's file.
    position: u64,
    /// Up to here readers may see it, and where that is at the source.
    complete: Option<(u64, BinlogPosition)>,
    jumps: Vec<Jump>,
    whole: bool,
    /// Nothing of it counts before its first transaction.
    from_the_middle: bool,
    before: Option<TransactionSet>,
}

impl Open {
    fn end(&self) -> u64 {
        self.written + self.waiting.len() as u64
    }

    fn write(&mut self) -> Result<(), StoreError> {
        self.file
            .write_all_at(&self.waiting, self.written)
            .map_err(StoreError::io("write", &self.path))?;
        self.written += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(StoreError::io("put on disk", &self.path))
    }
}

impl Appender {
    /// Goes on in the newest file, behind its last publication.
    pub(crate) fn resume(store: &Arc<Store>) -> Result<Self, StoreError> {
        store.drop_unseen()?;
        let (newest, executed) = {
            let catalogue = store.catalogue();
            (catalogue.newest().cloned(), catalogue.executed.clone())
        };
        let segment = newest.as_ref().map_or(0, |file| file.segment);
        let mut appender = Self::new(store, segment, executed, true);
        let Some(kept) = newest else { return Ok(appender) };
        let path = store.path(&kept);
        let file = OpenOptions::new().write(true).open(&path);
        let file = file.map_err(StoreError::io("open", &path))?;
        file.set_len(kept.length).map_err(StoreError::io("cut", &path))?;
        let mut reader = Reader::open(&path)?.without_verification();
        reader.next()?;
        appender.format = reader.format().cloned();
        appender.open = Some(Open {
            file,
            path,
            ordinal: kept.ordinal,
            name: Arc::from(kept.name.as_str()),
            waiting: Vec::new(),
            written: kept.length,
            position: kept.position_at(kept.length),
            complete: None,
            jumps: kept.jumps,
            whole: kept.whole,
            from_the_middle: false,
            before: None,
        });
        Ok(appender)
    }

    /// Begins to follow a source; `whole` says that files come from their first byte on.
    pub(crate) fn begin(
        store: &Arc<Store>,
        source: SourceId,
        whole: bool,
    ) -> Result<Self, StoreError> {
        store.drop_unseen()?;
        let mut segment = 0;
        let executed = store.executed();
        store.publish(|catalogue| {
            segment = catalogue.segments.last_key_value().map_or(0, |(n, _)| *n) + 1;
            catalogue.segments.insert(segment, source);
        });
        Ok(Self::new(store, segment, executed, whole))
    }

    fn new(store: &Arc<Store>, segment: u32, executed: TransactionSet, whole: bool) -> Self {
        Self {
            store: Arc::clone(store),
            segment,
            open: None,
            whole,
            pending_format: None,
            format: None,
            grouper: Grouper::new(),
            executed,
            run: None,
            last_sync: Instant::now(),
        }
    }

    /// Writes these, and returns when they are as durable as the policy says and readers may see
    /// what is complete.
    pub(crate) fn append(&mut self, items: &[Item]) -> Result<(), StoreError> {
        for item in items {
            match item {
                Item::Format(bytes) => self.pending_format = Some(bytes.clone()),
                Item::Event(event) => self.take(event)?,
            }
        }
        self.finish_batch(false)
    }

    fn take(&mut self, event: &ReceivedEvent) -> Result<(), StoreError> {
        if self.open.as_ref().is_none_or(|open| open.name != event.file) {
            self.enter(event)?;
        }
        let raw = RawEvent::new(&event.bytes, event.start)?;
        if raw.kind() == EventKind::FORMAT_DESCRIPTION {
            self.format = Some(FormatDescription::decode(&raw)?);
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        if event.start < open.position {
            return Err(StoreError::OutOfOrder {
                what: format!("{} at {}:{}", raw.kind(), event.file, event.start),
                after: format!("{}:{}", open.name, open.position),
            });
        }
        if event.start > open.position {
            open.jumps.push(Jump { offset: open.end(), position: event.start });
            open.whole = false;
        }
        open.waiting.extend_from_slice(&event.bytes);
        open.position = event.end;
        let Some(format) = &self.format else {
            let after = "no format description".to_owned();
            return Err(StoreError::OutOfOrder { what: raw.kind().to_string(), after });
        };
        let fed = self.grouper.feed(&raw, format)?;
        let mut place = BinlogPosition::new(&*open.name, open.position);
        match raw.kind() {
            EventKind::ROTATE => {
                let rotate = Rotate::decode(&raw, format)?;
                place = BinlogPosition::new(rotate.file_name(), rotate.position);
            }
            EventKind::PREVIOUS_GTIDS if self.executed.is_empty() => {
                let set = PreviousGtids::decode(&raw, format)?.set;
                self.executed = TransactionSet::MySql(set);
                open.before = Some(self.executed.clone());
            }
            EventKind::GTID_LIST if self.executed.is_empty() => {
                let list = GtidList::decode(&raw, format)?.position();
                self.executed = TransactionSet::MariaDb(list);
                open.before = Some(self.executed.clone());
            }
            _ => {}
        }
        if fed.part.completes() {
            open.from_the_middle = false;
            if let Some(gtid) = fed.group.and_then(|group| group.gtid) {
                note(&mut self.executed, &mut self.run, gtid);
            }
        }
        if self.grouper.open().is_none() && !open.from_the_middle {
            open.complete = Some((open.end(), place));
        }
        Ok(())
    }

    /// Begins the file that this event stands in.
    fn enter(&mut self, event: &ReceivedEvent) -> Result<(), StoreError> {
        self.finish_batch(true)?;
        // What was open when the source died will never be completed.
        self.grouper.at_boundary();
        let last = self.open.take();
        let whole = self.whole && event.start == MAGIC.len() as u64;
        let name = event.file.to_string();
        let mut ordinal = 0;
        let mut earlier = None;
        let (segment, before) = (self.segment, self.executed.clone());
        self.store.publish(|catalogue| {
            if let Some(last) = catalogue.files.last_mut() {
                last.closed = true;
                earlier = (last.segment != segment).then_some(last.segment);
            }
            ordinal = catalogue.next;
            catalogue.next += 1;
            catalogue.files.push(KeptFile {
                ordinal,
                segment,
                name,
                length: 0,
                whole,
                jumps: Vec::new(),
                before,
                closed: false,
                readers: 0,
            });
        });
        let opened = self.create(ordinal, earlier);
        let (path, file) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                // The next appender goes on at the end of the last file.
                let _as_good_as_can_be = self.store.drop_unseen();
                return Err(error);
            }
        };
        drop(last);
        let mut open = Open {
            file,
            path,
            ordinal,
            name: Arc::clone(&event.file),
            waiting: MAGIC.to_vec(),
            written: 0,
            position: MAGIC.len() as u64,
            complete: None,
            jumps: Vec::new(),
            whole,
            from_the_middle: !whole,
            before: None,
        };
        if let Some(format) = self.pending_format.take() {
            open.whole = false;
            open.from_the_middle = true;
            open.position += format.len() as u64;
            self.format = Some(FormatDescription::decode(&RawEvent::new(&format, 4)?)?);
            open.waiting.extend_from_slice(&format);
        }
        self.open = Some(open);
        // Whatever follows in other files comes from their heads.
        self.whole = true;
        Ok(())
    }

    fn create(&self, ordinal: u64, earlier: Option<u32>) -> Result<(PathBuf, File), StoreError> {
        let kept = self.store.catalogue().file(ordinal).cloned();
        let path = kept.map_or_else(PathBuf::new, |kept| self.store.path(&kept));
        let folder = path.parent().map(std::path::Path::to_path_buf).unwrap_or_default();
        std::fs::create_dir_all(&folder).map_err(StoreError::io("make", &folder))?;
        if let Some(earlier) = earlier {
            self.store.describe(earlier)?;
        }
        self.store.describe(self.segment)?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .map_err(StoreError::io("make", &path))?;
        sync_folder(&folder)?;
        sync_folder(self.store.root())?;
        Ok((path, file))
    }

    /// Writes what waits, and makes known what is complete.
    fn finish_batch(&mut self, last_of_file: bool) -> Result<(), StoreError> {
        flush(&mut self.executed, &mut self.run);
        let Some(open) = &mut self.open else { return Ok(()) };
        if !open.waiting.is_empty() {
            open.write()?;
        }
        let sync = match self.store.sync {
            SyncPolicy::Always => open.complete.is_some(),
            SyncPolicy::Interval => self.last_sync.elapsed() >= INTERVAL,
            SyncPolicy::Os => false,
        };
        if sync || last_of_file {
            open.sync()?;
            self.last_sync = Instant::now();
        }
        let Some((length, place)) = open.complete.take() else { return Ok(()) };
        let executed = &self.executed;
        self.store.publish(|catalogue| {
            if let Some(kept) = catalogue.file_mut(open.ordinal) {
                kept.length = length;
                kept.whole = open.whole;
                if kept.jumps.len() != open.jumps.len() {
                    kept.jumps.clone_from(&open.jumps);
                }
                if let Some(before) = open.before.take() {
                    kept.before = before;
                }
            }
            catalogue.executed.clone_from(executed);
            catalogue.place = Some(place);
        });
        Ok(())
    }
}

/// Adds a transaction.
fn note(executed: &mut TransactionSet, run: &mut Option<(MySqlGtid, u64)>, gtid: GtidOf) {
    match gtid {
        GtidOf::Anonymous => {}
        GtidOf::MariaDb(gtid) => {
            let mut pos = match std::mem::replace(executed, TransactionSet::UpTo(None)) {
                TransactionSet::MariaDb(pos) => pos,
                _ => MariaDbGtidPos::default(),
            };
            pos.advance(gtid);
            *executed = TransactionSet::MariaDb(pos);
        }
        GtidOf::MySql(gtid) => {
            if let Some((last, _)) = run
                && (last.uuid, last.tag) == (gtid.uuid, gtid.tag)
                && last.number + 1 == gtid.number
            {
                last.number = gtid.number;
                return;
            }
            flush(executed, run);
            *run = Some((gtid, gtid.number));
        }
    }
}

/// Adds the transactions that follow each other.
fn flush(executed: &mut TransactionSet, run: &mut Option<(MySqlGtid, u64)>) {
    let Some((last, first)) = run.take() else { return };
    let mut set = match std::mem::replace(executed, TransactionSet::UpTo(None)) {
        TransactionSet::MySql(set) => set,
        _ => MySqlGtidSet::default(),
    };
    set.insert(last.source(), first, last.number);
    *executed = TransactionSet::MySql(set);
}
