//! A finished archive of saved binary logs as a feed: it gives its transactions and then nothing
//! more, for as long as replicas stay.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use primacy_binlog::event::{EventHeader, GtidList, PreviousGtids};
use primacy_binlog::{
    Archive, ArchiveError, ArchivedFile, EventKind, RawEvent, StartAt as ArchiveStart,
};
use primacy_types::{BinlogPosition, TransactionSet};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::feed::{Feed, FeedError, FeedItem, FeedStream, StartAt};

/// How many bytes of events are read ahead, about, and how many times that wait to be sent.
const BATCH: usize = 512 * 1024;
const WAITING_BATCHES: usize = 2;
/// Where the first event of every binary log stands.
const FIRST: u64 = 4;

/// Serves an [`Archive`].
#[derive(Clone, Debug)]
pub struct ArchiveFeed {
    archive: Arc<Archive>,
    needs: Option<TransactionSet>,
}

impl ArchiveFeed {
    /// Serves everything in the archive. Of what it leaves out, only that is known which its first
    /// file says (the transactions of earlier files); see [`needing`](Self::needing).
    pub fn new(archive: Archive) -> Self {
        Self { archive: Arc::new(archive), needs: None }
    }

    /// Refuses replicas that do not have all of this: what the archive leaves out, because whoever
    /// it was cut for has it. Others would get a history with holes.
    #[must_use]
    pub fn needing(mut self, needs: TransactionSet) -> Self {
        self.needs = Some(needs);
        self
    }
}

#[async_trait]
impl Feed for ArchiveFeed {
    async fn open(&self, start: &StartAt) -> Result<Box<dyn FeedStream>, FeedError> {
        let (archive, needs, start) =
            (Arc::clone(&self.archive), self.needs.clone(), start.clone());
        let (sender, batches) = mpsc::channel(WAITING_BATCHES);
        let check = Arc::clone(&archive);
        let checked = start.clone();
        let verdict = spawn_blocking(move || check_start(&check, needs.as_ref(), &checked));
        verdict.await.map_err(|error| FeedError::Unreadable(error.to_string()))??;
        // Ends when it has read everything, or when nobody takes it any more.
        spawn_blocking(move || Reading::run(&archive, &start, sender));
        Ok(Box::new(Batches { batches, ready: VecDeque::new() }))
    }

    fn has_gtids(&self) -> bool {
        let first = || {
            let mut events = self.archive.events_from(ArchiveStart::Beginning).ok()?;
            events.next().ok()?.map(|saved| saved.event.kind())
        };
        first().is_some_and(|kind| kind.is_gtid() && kind != EventKind::ANONYMOUS_GTID)
    }
}

/// Whether a replica that begins there gets a history without holes, as far as is known.
fn check_start(
    archive: &Archive,
    needs: Option<&TransactionSet>,
    start: &StartAt,
) -> Result<(), FeedError> {
    let Some(first) = archive.files().first() else {
        return Err(FeedError::NotAvailable("no transaction was saved".to_owned()));
    };
    let has = match start {
        StartAt::Beginning => return Ok(()),
        StartAt::Position(place) => TransactionSet::UpTo(Some(place.clone())),
        StartAt::MySqlGtids(set) => TransactionSet::MySql(set.clone()),
        StartAt::MariaDbGtids(pos) => TransactionSet::MariaDb(pos.clone()),
    };
    let begin = BinlogPosition::new(first.name.clone(), first.start);
    for needed in [needs.cloned(), earlier(archive, first, &has)?].into_iter().flatten() {
        let lacks = needed.beyond(&has);
        if !has.covers(&needed) {
            return Err(FeedError::NotAvailable(format!(
                "the saved events begin at {begin}; the replica asks for {start} and lacks what is \
                 before: {}",
                lacks.join(", ")
            )));
        }
    }
    Ok(())
}

/// The transactions of all files before the first saved one, if that says it and the replica asks
/// by GTID.
fn earlier(
    archive: &Archive,
    first: &ArchivedFile,
    has: &TransactionSet,
) -> Result<Option<TransactionSet>, FeedError> {
    let head = archive.head(first).map_err(unreadable)?;
    let Some(bytes) = head.previous else { return Ok(None) };
    let damaged = |error: primacy_binlog::BodyError| FeedError::Damaged(error.to_string());
    let event = RawEvent::new(&bytes, FIRST).map_err(damaged)?;
    Ok(match (has, event.kind()) {
        (TransactionSet::MySql(_), EventKind::PREVIOUS_GTIDS) => {
            let previous = PreviousGtids::decode(&event, &head.format).map_err(damaged)?;
            Some(TransactionSet::MySql(previous.set))
        }
        (TransactionSet::MariaDb(_), EventKind::GTID_LIST) => {
            let list = GtidList::decode(&event, &head.format).map_err(damaged)?;
            Some(TransactionSet::MariaDb(list.position()))
        }
        _ => None,
    })
}

fn unreadable(error: ArchiveError) -> FeedError {
    match error {
        ArchiveError::NoSuchPlace { .. } | ArchiveError::Anonymous { .. } => {
            FeedError::NotAvailable(error.to_string())
        }
        ArchiveError::Altered { .. } | ArchiveError::Count { .. } | ArchiveError::Body { .. } => {
            FeedError::Damaged(error.to_string())
        }
        other => FeedError::Unreadable(other.to_string()),
    }
}

type Batch = Result<Vec<FeedItem>, FeedError>;

/// Reads the archive on a thread of its own, ahead of what was asked.
struct Reading<'a> {
    archive: &'a Archive,
    sender: mpsc::Sender<Batch>,
    batch: Vec<FeedItem>,
    bytes: usize,
    file: Arc<str>,
}

/// Nobody takes what is read.
struct NobodyThere;

impl<'a> Reading<'a> {
    fn run(archive: &'a Archive, start: &StartAt, sender: mpsc::Sender<Batch>) {
        let file = Arc::from("");
        let mut reading = Self { archive, sender, batch: Vec::new(), bytes: 0, file };
        match reading.read(start) {
            Ok(Ok(())) | Ok(Err(NobodyThere)) => {}
            Err(error) => {
                let _nobody_there = reading.sender.blocking_send(Err(error));
            }
        }
    }

    fn read(&mut self, start: &StartAt) -> Result<Result<(), NobodyThere>, FeedError> {
        let archive_start = match start {
            StartAt::Beginning => ArchiveStart::Beginning,
            StartAt::Position(place) => {
                self.begin_at(place)?;
                ArchiveStart::Position(place.clone())
            }
            StartAt::MySqlGtids(set) => ArchiveStart::Missing(TransactionSet::MySql(set.clone())),
            StartAt::MariaDbGtids(pos) => {
                ArchiveStart::Missing(TransactionSet::MariaDb(pos.clone()))
            }
        };
        let mut events = self.archive.events_from(archive_start).map_err(unreadable)?;
        while let Some(saved) = events.next().map_err(unreadable)? {
            if *saved.file.name != *self.file {
                self.enter(saved.file)?;
            }
            let bytes = Bytes::copy_from_slice(saved.event.bytes());
            self.push(saved.start, saved.end, bytes);
            if self.bytes >= BATCH && self.hand_over().is_err() {
                return Ok(Err(NobodyThere));
            }
        }
        if self.file.is_empty()
            && let Some(last) = self.archive.files().last()
        {
            // The replica has everything: it is told where that ends.
            self.enter(last)?;
        }
        Ok(self.hand_over())
    }

    /// The format description for a place, which may be in a file of which nothing was saved: then
    /// it is that of the file before it.
    fn begin_at(&mut self, place: &BinlogPosition) -> Result<(), FeedError> {
        let begins = |file: &ArchivedFile| BinlogPosition::new(file.name.clone(), 0);
        let files = self.archive.files();
        let before = files.iter().rev().find(|file| begins(file) <= *place);
        let Some(file) = before.or(files.first()) else { return Ok(()) };
        self.head(file, &place.file, place.offset)
    }

    fn enter(&mut self, file: &ArchivedFile) -> Result<(), FeedError> {
        self.head(file, &file.name, FIRST)
    }

    /// The head of a file, from `from` on; always with its format description.
    fn head(&mut self, file: &ArchivedFile, name: &str, from: u64) -> Result<(), FeedError> {
        let head = self.archive.head(file).map_err(unreadable)?;
        self.file = Arc::from(name);
        let end = FIRST + head.format_description.len() as u64;
        self.push(FIRST, end, head.format_description.into());
        if let Some(previous) = head.previous.filter(|_| from <= end && name == file.name) {
            self.push(end, end + previous.len() as u64, previous.into());
        }
        Ok(())
    }

    fn push(&mut self, start: u64, end: u64, bytes: Bytes) {
        debug_assert!(bytes.len() >= EventHeader::LENGTH, "an event has a header");
        self.bytes += bytes.len();
        self.batch.push(FeedItem { file: Arc::clone(&self.file), start, end, bytes });
    }

    fn hand_over(&mut self) -> Result<(), NobodyThere> {
        self.bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        self.sender.blocking_send(Ok(batch)).map_err(|_| NobodyThere)
    }
}

/// What the thread has read.
struct Batches {
    batches: mpsc::Receiver<Batch>,
    ready: VecDeque<FeedItem>,
}

#[async_trait]
impl FeedStream for Batches {
    async fn next(&mut self) -> Result<Option<FeedItem>, FeedError> {
        while self.ready.is_empty() {
            match self.batches.recv().await {
                Some(batch) => self.ready = batch?.into(),
                None => return Ok(None),
            }
        }
        Ok(self.ready.pop_front())
    }

    async fn more(&mut self) {
        pending::<()>().await;
    }
}
