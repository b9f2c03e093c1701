//! Follows the source that is wanted: receives, has it written, acknowledges, and begins anew when
//! the connection is lost or another source is wanted.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use primacy_replication::{
    ReceiveError, Received, ReceivedEvent, Receiver, ReceiverOptions, StartAt,
};
use primacy_types::{BinlogPosition, ReceiverState, TransactionSet};
use primacy_wire::WireError;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::channel::{Channel, Source, Status, Wanted};
use crate::discover::{self, Identity};
use crate::error::StoreError;
use crate::options::{Login, ServeOptions};
use crate::state::Upstream;
use crate::store::{Appender, Item, Store};

/// So many bytes are written at a time, about: what has come meanwhile shares one sync.
const BATCH: usize = 4 * 1024 * 1024;
/// Limit of a question to the source, and of an acknowledgement.
const LIMIT: Duration = Duration::from_secs(10);
/// Between attempts to connect, the first and the longest.
const FIRST_REST: Duration = Duration::from_millis(50);
const LONGEST_REST: Duration = Duration::from_secs(1);
/// Where the first event of every file stands.
const HEAD: u64 = 4;
/// The source does not have what was asked for.
const FATAL: u16 = 1236;
/// `CR_SERVER_LOST`, for whatever has no number of its own.
const LOST: u32 = 2013;
/// `ER_SLAVE_RELAY_LOG_WRITE_FAILURE`: what real replicas say when their disk is full.
const WRITE_FAILED: u32 = 1595;

/// See the module.
pub(crate) struct Follower {
    pub(crate) options: Arc<ServeOptions>,
    pub(crate) store: Arc<Store>,
    pub(crate) channel: Channel,
    pub(crate) upstream: watch::Sender<Option<Upstream>>,
    pub(crate) server_id: u32,
    pub(crate) uuid: Uuid,
}

/// Why following ended.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    #[error("what was received could not be kept: {0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    NoPlace(String),
}

impl From<WireError> for FollowError {
    fn from(error: WireError) -> Self {
        Self::Receive(error.into())
    }
}

impl FollowError {
    fn code(&self) -> u32 {
        match self {
            Self::Receive(ReceiveError::Wire(error)) => error.code().map_or(LOST, u32::from),
            Self::Receive(_) => LOST,
            Self::Store(_) => WRITE_FAILED,
            Self::NoPlace(_) => u32::from(FATAL),
        }
    }
}

impl Follower {
    /// Until the process ends.
    pub(crate) async fn run(self) {
        let mut wanted = self.channel.wanted.subscribe();
        let mut rest = FIRST_REST;
        loop {
            let now = wanted.borrow_and_update().clone();
            let source = now.source.clone().filter(|_| now.receiver);
            let Some(source) = source else {
                self.say(&now, |status| status.receiver = ReceiverState::Stopped);
                if wanted.changed().await.is_err() {
                    return;
                }
                continue;
            };
            self.say(&now, |status| status.receiver = ReceiverState::Connecting);
            let heartbeats = self.channel.status().heartbeats;
            let ended = self.follow(&now, &source, &mut wanted).await;
            if let Err(error) = ended {
                tracing::warn!(source = %source.address, %error, "not receiving");
                self.say(&now, |status| {
                    status.receiver = ReceiverState::Connecting;
                    status.error = Some((error.code(), error.to_string()));
                });
                if self.channel.status().heartbeats != heartbeats {
                    rest = FIRST_REST;
                }
                tokio::select! {
                    () = sleep(rest) => {}
                    _ = wanted.changed() => wanted.mark_changed(),
                }
                rest = (rest * 2).min(LONGEST_REST);
            }
        }
    }

    fn say(&self, of: &Wanted, change: impl FnOnce(&mut Status)) {
        self.channel.status.send_modify(|status| {
            if status.generation != of.generation {
                status.generation = of.generation;
                status.error = None;
                status.source_server_id = 0;
                status.source_uuid = None;
            }
            change(status);
            if status.receiver != ReceiverState::Running {
                status.acknowledges = false;
            }
        });
    }

    /// One connection; `Ok` when something else is wanted.
    async fn follow(
        &self,
        now: &Wanted,
        source: &Source,
        wanted: &mut watch::Receiver<Wanted>,
    ) -> Result<(), FollowError> {
        let connected = tokio::select! {
            connected = self.connect(now, source) => connected?,
            _ = wanted.changed() => {
                wanted.mark_changed();
                return Ok(());
            }
        };
        let (mut receiver, mut appender) = connected;
        loop {
            let first = tokio::select! {
                biased;
                first = receiver.next() => first?,
                _ = wanted.changed() => {
                    if self.is_the_same(now, wanted) {
                        continue;
                    }
                    wanted.mark_changed();
                    return Ok(());
                }
            };
            let batch = Batch::collect(first, &mut receiver);
            if self.channel.status.borrow().receiver != ReceiverState::Running {
                self.is_connected(now, &receiver);
            }
            if batch.heartbeats > 0 {
                let more = batch.heartbeats;
                self.channel.status.send_modify(|status| status.heartbeats += more);
            }
            // Nothing new is a moment to force to disk what was written before (`--sync interval`).
            if !batch.items.is_empty() || batch.heartbeats > 0 {
                let items = batch.items;
                let written = spawn_blocking(move || {
                    let written = appender.append(&items);
                    (appender, written)
                });
                let written = written.await.map_err(|error| {
                    FollowError::NoPlace(format!("the writing thread ended: {error}"))
                })?;
                appender = written.0;
                written.1?;
                self.has_begun(now, source);
            }
            if let Some(event) = &batch.acknowledge {
                receiver.acknowledge(event).await?;
            }
            if let Some(error) = batch.error {
                return Err(error.into());
            }
            if wanted.has_changed().unwrap_or(true) && !self.is_the_same(now, wanted) {
                wanted.mark_changed();
                return Ok(());
            }
        }
    }

    /// Whether a change of what is wanted leaves this connection as it is.
    fn is_the_same(&self, now: &Wanted, wanted: &mut watch::Receiver<Wanted>) -> bool {
        let new = wanted.borrow_and_update();
        new.receiver && new.generation == now.generation && new.semi_sync == now.semi_sync
    }

    fn is_connected(&self, now: &Wanted, receiver: &Receiver) {
        let facts = receiver.facts();
        tracing::info!(
            source = facts.server_id, at = %receiver.position(), semi_sync = facts.semi_sync,
            "receiving"
        );
        self.say(now, |status| {
            status.receiver = ReceiverState::Running;
            status.error = None;
            status.source_server_id = facts.server_id;
            status.source_uuid = facts.server_uuid.map(|uuid| uuid.to_string());
            status.acknowledges = facts.semi_sync;
        });
    }

    /// The place that was told has been passed: from now on what is in the store counts.
    fn has_begun(&self, now: &Wanted, source: &Source) {
        if source.at.is_none() {
            return;
        }
        let begun = {
            let catalogue = self.store.catalogue();
            catalogue.files.last().is_some_and(|file| file.length > 0)
        };
        if begun {
            self.channel.wanted.send_if_modified(|wanted| {
                if wanted.generation == now.generation
                    && let Some(source) = &mut wanted.source
                {
                    source.at = None;
                }
                // Nobody has to look at it again.
                false
            });
        }
    }

    async fn connect(
        &self,
        now: &Wanted,
        source: &Source,
    ) -> Result<(Receiver, Appender), FollowError> {
        let login = self.login(source);
        let connect = self.options.connect(&source.address, &login);
        let who = discover::ask(&connect).await?;
        self.upstream.send_if_modified(|upstream| {
            let changed = upstream.as_ref() != Some(&who.upstream);
            *upstream = Some(who.upstream.clone());
            changed
        });
        let begin = self.where_to_begin(source, &who).await?;
        let options = ReceiverOptions {
            connect,
            server_id: self.server_id,
            uuid: self.uuid,
            report_host: self.options.own_address().host().to_owned(),
            report_port: self.options.own_address().port(),
            heartbeat: source.heartbeat,
            silence: (source.heartbeat * 5).max(Duration::from_secs(5)),
            semi_sync: now.semi_sync && self.options.semi_sync,
            limit: LIMIT,
        };
        let receiver = Receiver::connect(&options, &begin.start).await?;
        let facts = receiver.facts();
        if (facts.server_id, facts.server_uuid) != (who.id.server_id, who.id.server_uuid) {
            let why = format!("{} is another server than a moment ago", source.address);
            return Err(FollowError::NoPlace(why));
        }
        let store = Arc::clone(&self.store);
        let appender = spawn_blocking(move || match begin.resume {
            true => Appender::resume(&store),
            false => Appender::begin(&store, who.id, begin.whole),
        });
        let appender = appender.await.map_err(|error| {
            FollowError::NoPlace(format!("the writing thread ended: {error}"))
        })??;
        Ok((receiver, appender))
    }

    fn login(&self, source: &Source) -> Login {
        let configured = &self.options.replication;
        match &source.password {
            Some(password) if source.user != configured.user => {
                Login { user: source.user.clone(), password: password.clone() }
            }
            _ => configured.clone(),
        }
    }

    async fn where_to_begin(&self, source: &Source, who: &Identity) -> Result<Begin, FollowError> {
        let (same, place, executed, empty) = {
            let catalogue = self.store.catalogue();
            let same = catalogue.source() == Some(&who.id);
            let empty = catalogue.newest().is_none();
            (same, catalogue.place.clone(), catalogue.executed.clone(), empty)
        };
        let own_place = place.filter(|_| same);
        if let Some(at) = &source.at
            && own_place.as_ref() != Some(at)
        {
            let (start, whole) = (StartAt::Position(at.clone()), at.offset == HEAD);
            return Ok(Begin { start, resume: false, whole });
        }
        if let Some(place) = own_place {
            if place.offset <= u64::from(u32::MAX) {
                let start = StartAt::Position(place);
                return Ok(Begin { start, resume: true, whole: true });
            }
            let why = format!("a source can be asked for places up to 4 GiB only, not for {place}");
            if !source.positioning.is_gtid() {
                return Err(FollowError::NoPlace(why));
            }
        }
        if empty {
            let file = match &self.options.from {
                Some(file) => file.clone(),
                None => {
                    let asked = self.options.as_manager(&source.address);
                    discover::newest_file(&asked).await?.ok_or_else(|| {
                        FollowError::NoPlace(format!("{} writes no binary log", source.address))
                    })?
                }
            };
            let start = StartAt::Position(BinlogPosition::new(file, HEAD));
            return Ok(Begin { start, resume: false, whole: true });
        }
        let start = match executed {
            _ if !source.positioning.is_gtid() => {
                return Err(FollowError::NoPlace(format!(
                    "{} is another server than the one that was followed, and it was not said at \
                     which place its log continues that one's",
                    source.address
                )));
            }
            TransactionSet::MySql(set) => StartAt::MySqlGtids(set),
            TransactionSet::MariaDb(pos) => StartAt::MariaDbGtids(pos),
            TransactionSet::UpTo(_) if who.upstream.is_mariadb() => {
                StartAt::MariaDbGtids(primacy_types::MariaDbGtidPos::default())
            }
            TransactionSet::UpTo(_) => StartAt::MySqlGtids(primacy_types::MySqlGtidSet::default()),
        };
        Ok(Begin { start, resume: false, whole: false })
    }
}

/// Where to begin, and in which file of the store.
struct Begin {
    start: StartAt,
    /// In the one that is there.
    resume: bool,
    /// Files come from their first byte on.
    whole: bool,
}

/// What has come together.
#[derive(Default)]
struct Batch {
    items: Vec<Item>,
    bytes: usize,
    heartbeats: u64,
    /// The last event that the source waits for.
    acknowledge: Option<ReceivedEvent>,
    /// What came after it.
    error: Option<ReceiveError>,
}

impl Batch {
    /// The first, and what else is in the socket already.
    fn collect(first: Received, receiver: &mut Receiver) -> Self {
        let mut batch = Self::default();
        batch.take(first);
        while batch.bytes < BATCH && batch.error.is_none() {
            match receiver.next().now_or_never() {
                Some(Ok(next)) => batch.take(next),
                Some(Err(error)) => batch.error = Some(error),
                None => break,
            }
        }
        batch
    }

    fn take(&mut self, received: Received) {
        match received {
            Received::Event(event) => {
                self.bytes += event.bytes.len();
                if event.wants_acknowledgement {
                    self.acknowledge = Some(event.clone());
                }
                self.items.push(Item::Event(event));
            }
            Received::Format(bytes) => self.items.push(Item::Format(bytes)),
            Received::Heartbeat(_) => self.heartbeats += 1,
            Received::File(_) | Received::MadeUp(_) => {}
        }
    }
}

/// Waits until it is known what the source is; false if that takes longer.
pub(crate) async fn is_known(
    upstream: &mut watch::Receiver<Option<Upstream>>,
    limit: Duration,
) -> bool {
    timeout(limit, upstream.wait_for(Option::is_some)).await.is_ok_and(|known| known.is_ok())
}
