//! The store as a feed for replicas: what is complete and durable, while it grows.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use primacy_binlog::event::EventHeader;
use primacy_replication::{Feed, FeedError, FeedItem, FeedStream, StartAt};
use primacy_types::{BinlogPosition, TransactionSet};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use crate::store::{KeptFile, Store};

/// How much is read at a time, about.
const CHUNK: u64 = 512 * 1024;
/// Where the first event of every file stands.
const HEAD: u64 = 4;
/// How long a replica that asks for a file that is about to begin is kept waiting.
const SOON: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct StoreFeed(pub(crate) Arc<Store>);

#[async_trait]
impl Feed for StoreFeed {
    async fn open(&self, start: &StartAt) -> Result<Box<dyn FeedStream>, FeedError> {
        let mut changes = self.0.changes();
        let end = Instant::now() + SOON;
        loop {
            changes.mark_unchanged();
            match self.choose(start) {
                Some(Ok((file, offset))) => {
                    return Ok(Box::new(Tail::new(&self.0, &file, offset, changes)));
                }
                Some(Err(error)) => return Err(error),
                None => {}
            }
            if timeout_at(end, changes.changed()).await.is_err() {
                let text = format!("the binlog server does not have {start}");
                return Err(FeedError::NotAvailable(text));
            }
        }
    }
}

impl StoreFeed {
    /// The file to begin in, and from which offset on; `None` if it may come soon.
    fn choose(&self, start: &StartAt) -> Option<Result<(KeptFile, u64), FeedError>> {
        let has = match start {
            StartAt::Beginning => {
                return self.0.catalogue().files.first().cloned().map(|file| Ok((file, HEAD)));
            }
            StartAt::Position(place) => return self.at(place),
            StartAt::MySqlGtids(set) => TransactionSet::MySql(set.clone()),
            StartAt::MariaDbGtids(pos) => TransactionSet::MariaDb(pos.clone()),
        };
        let catalogue = self.0.catalogue();
        let oldest = catalogue.files.first()?;
        let visible = catalogue.files.iter().rev().filter(|file| file.length > 0);
        let mut fitting = visible.filter(|file| has.covers(&file.before));
        Some(match fitting.next() {
            Some(file) => Ok((file.clone(), HEAD)),
            None => Err(FeedError::NotAvailable(format!(
                "the binlog server's files begin after {}; the replica asks for {start} and lacks \
                 what is before: {}",
                oldest.before.said(),
                oldest.before.beyond(&has).join(", ")
            ))),
        })
    }

    /// The newest file of this name that has the place: names of different sources may be alike,
    /// and the newest source is the one whose places replicas are at.
    fn at(&self, place: &BinlogPosition) -> Option<Result<(KeptFile, u64), FeedError>> {
        let (found, next) = {
            let catalogue = self.0.catalogue();
            let mut named = catalogue.files.iter().rev().filter(|file| file.name == place.file);
            let found = named.find_map(|file| Some((file.clone(), file.offset_of(place.offset)?)));
            (found, catalogue.place.as_ref() == Some(place))
        };
        let Some((file, offset)) = found else {
            let text = format!("the binlog server does not have {place}");
            return (!next).then_some(Err(FeedError::NotAvailable(text)));
        };
        let begins = offset == file.length
            || offset == HEAD
            || is_boundary(&self.0.path(&file), &file, offset);
        Some(if begins {
            Ok((file, offset))
        } else {
            Err(FeedError::NotAvailable(format!("no event begins at {place}")))
        })
    }
}

/// Whether the header at this offset says that its event stands there.
fn is_boundary(path: &Path, file: &KeptFile, offset: u64) -> bool {
    let mut bytes = [0; EventHeader::LENGTH];
    let read = File::open(path).and_then(|open| open.read_exact_at(&mut bytes, offset));
    let header = read.ok().and_then(|()| EventHeader::read(&bytes));
    header.is_some_and(|header| {
        let end = file.position_at(offset) + u64::from(header.length);
        let fits = offset + u64::from(header.length) <= file.length;
        fits && (header.end_position == 0 || header.end_position == end as u32)
    })
}

/// A reader's place. While it is in a file the file is not removed.
struct Pin {
    store: Arc<Store>,
    ordinal: u64,
}

impl Pin {
    fn new(store: &Arc<Store>, ordinal: u64) -> Self {
        if let Some(file) = store.catalogue().file_mut(ordinal) {
            file.readers += 1;
        }
        Self { store: Arc::clone(store), ordinal }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        if let Some(file) = self.store.catalogue().file_mut(self.ordinal) {
            file.readers = file.readers.saturating_sub(1);
        }
    }
}

/// One reader.
struct Tail {
    store: Arc<Store>,
    changes: watch::Receiver<u64>,
    pin: Pin,
    name: Arc<str>,
    open: Option<Arc<File>>,
    /// Where the next event begins in our file.
    offset: u64,
    /// The format description is still to be given, and then this is where to go on.
    head: Option<u64>,
    ready: VecDeque<FeedItem>,
}

impl Tail {
    fn new(
        store: &Arc<Store>,
        file: &KeptFile,
        offset: u64,
        changes: watch::Receiver<u64>,
    ) -> Self {
        Self {
            store: Arc::clone(store),
            changes,
            pin: Pin::new(store, file.ordinal),
            name: Arc::from(file.name.as_str()),
            open: None,
            offset: HEAD,
            head: Some(offset),
            ready: VecDeque::new(),
        }
    }

    /// Reads on; false if there is nothing more for now.
    async fn read(&mut self) -> Result<bool, FeedError> {
        self.changes.mark_unchanged();
        let (file, next) = {
            let catalogue = self.store.catalogue();
            let next = catalogue.after(self.pin.ordinal).filter(|next| next.length > 0);
            (catalogue.file(self.pin.ordinal).cloned(), next.cloned())
        };
        let Some(file) = file else {
            return Err(FeedError::Unreadable(format!("{} was given up", self.name)));
        };
        if self.offset >= file.length {
            let Some(next) = next else { return Ok(false) };
            self.pin = Pin::new(&self.store, next.ordinal);
            self.name = Arc::from(next.name.as_str());
            (self.open, self.offset, self.head) = (None, HEAD, Some(HEAD));
            return Ok(true);
        }
        let open = match &self.open {
            Some(open) => Arc::clone(open),
            None => {
                let path = self.store.path(&file);
                let open = File::open(&path)
                    .map_err(|e| FeedError::Unreadable(format!("{}: {e}", path.display())))?;
                let open = Arc::new(open);
                self.open = Some(Arc::clone(&open));
                open
            }
        };
        let (from, name, head) = (self.offset, Arc::clone(&self.name), self.head);
        let read = spawn_blocking(move || read_chunk(&open, &file, &name, from, head.is_some()));
        let items = read.await.map_err(|error| FeedError::Unreadable(error.to_string()))??;
        for (end, item) in items {
            self.offset = end;
            self.ready.push_back(item);
        }
        if let Some(from) = self.head.take() {
            self.offset = self.offset.max(from);
        }
        Ok(true)
    }
}

/// Events from an offset on: one only, or as many as are read at a time; each with the offset
/// where the next one begins.
fn read_chunk(
    open: &File,
    file: &KeptFile,
    name: &Arc<str>,
    from: u64,
    one: bool,
) -> Result<Vec<(u64, FeedItem)>, FeedError> {
    let failed = |error: std::io::Error| FeedError::Unreadable(format!("{name}: {error}"));
    let mut length = (file.length - from).min(CHUNK);
    loop {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        open.read_exact_at(&mut bytes, from).map_err(failed)?;
        let mut rest = Bytes::from(bytes);
        let (mut items, mut at) = (Vec::new(), from);
        while let Some(header) = EventHeader::read(&rest) {
            let event = u64::from(header.length);
            if event < EventHeader::LENGTH as u64 || at + event > file.length {
                return Err(FeedError::Damaged(format!("{name} at {at}: no event")));
            }
            if event > rest.len() as u64 {
                if items.is_empty() {
                    length = event;
                }
                break;
            }
            let bytes = rest.split_to(header.length as usize);
            let start = file.position_at(at);
            let item = FeedItem { file: Arc::clone(name), start, end: start + event, bytes };
            at += event;
            items.push((at, item));
            if one {
                return Ok(items);
            }
        }
        if !items.is_empty() {
            return Ok(items);
        }
        if length <= EventHeader::LENGTH as u64 {
            return Err(FeedError::Damaged(format!("{name} at {from}: no event")));
        }
    }
}

#[async_trait]
impl FeedStream for Tail {
    async fn next(&mut self) -> Result<Option<FeedItem>, FeedError> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(item));
            }
            if !self.read().await? {
                return Ok(None);
            }
        }
    }

    async fn more(&mut self) {
        if self.changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
