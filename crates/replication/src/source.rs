//! A server for replicas: presents itself as MySQL or MariaDB and sends the events of a feed.

mod archive;
mod desk;
mod dump;
mod feed;
#[doc(hidden)]
pub mod fuzzed;
mod questions;
mod report;
mod request;
mod skip;
mod visit;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use primacy_types::ServerVersion;
use primacy_wire::server::{
    Account, Identity, LoginPlugin, ServerError, ServerTls, accept, turn_away,
};
use secrecy::SecretString;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use uuid::Uuid;

use dump::DumpError;
use questions::Facts;
use visit::VisitError;

pub use archive::ArchiveFeed;
pub use desk::{Desk, Presented, Question, Reply};
pub use feed::{Feed, FeedError, FeedItem, FeedStream, StartAt};
pub use report::{ReplicaReport, Report, SourceTrouble};

/// How long the accept loop rests after the operating system refused a connection (too many open
/// files, for one).
const ACCEPT_REST: Duration = Duration::from_millis(200);

/// How long it may take to tell a client that there is no room for it.
const TURN_AWAY_LIMIT: Duration = Duration::from_millis(100);

/// As what a source presents itself, to whom, and within which limits.
#[derive(Clone, Debug)]
pub struct SourceOptions {
    /// Where it listens; port 0 for any free one.
    pub bind: SocketAddr,
    /// The one account that may log in.
    pub user: String,
    /// Its password.
    pub password: SecretString,
    /// A server id that no server of the cluster has: a replica silently passes over events with
    /// its own.
    pub server_id: u32,
    /// A UUID that no server of the cluster has (MySQL).
    pub server_uuid: Uuid,
    /// The flavour and version of the server that wrote the events.
    pub version: ServerVersion,
    /// The same as that server writes it, such as `10.11.6-MariaDB-log`.
    pub version_text: String,
    /// MySQL: the `gtid_mode` of the server that wrote the events was ON. A replica with
    /// `gtid_mode` ON refuses a source with OFF, also if it replicates by file and position.
    pub gtid_mode: bool,
    /// The certificate; without one no TLS is offered.
    pub tls: Option<ServerTls>,
    /// Whether replicas without TLS are turned away.
    pub require_tls: bool,
    /// How many connections there may be at a time.
    pub max_connections: usize,
    /// How long a login may take.
    pub login_limit: Duration,
    /// How long a replica may take to accept what it is sent.
    pub send_limit: Duration,
}

/// A source could not be started.
#[derive(Debug, thiserror::Error)]
#[error("no replica can be served at {bind}: {source}")]
pub struct SourceError {
    /// Where it should have listened.
    pub bind: SocketAddr,
    /// The operating system's word.
    pub source: io::Error,
}

/// A running source. Dropping it ends it, too, without waiting.
#[derive(Debug)]
pub struct Source {
    address: SocketAddr,
    report: watch::Receiver<Report>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Source {
    /// Listens and serves.
    pub async fn start(options: SourceOptions, feed: impl Feed) -> Result<Self, SourceError> {
        Self::start_with_desk(options, feed, None).await
    }

    /// The same with somebody who answers more than replicas ask.
    pub async fn start_with_desk(
        options: SourceOptions,
        feed: impl Feed,
        desk: Option<Arc<dyn Desk>>,
    ) -> Result<Self, SourceError> {
        let bind = options.bind;
        let failed = |source| SourceError { bind, source };
        let listener = TcpListener::bind(bind).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (report, receiver) = watch::channel(Report::default());
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared::new(options, Box::new(feed), desk, report));
        let task = tokio::spawn(listen(listener, shared, stopped));
        Ok(Self { address, report: receiver, stop, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it is doing, and how that changes.
    pub fn report(&self) -> watch::Receiver<Report> {
        self.report.clone()
    }

    /// Ends all connections and returns when they are closed.
    pub async fn stop(mut self) {
        let _already_gone = self.stop.send(true);
        let _panicked = (&mut self.task).await;
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What all connections of a source share.
struct Shared {
    options: SourceOptions,
    feed: Box<dyn Feed>,
    desk: Option<Arc<dyn Desk>>,
    /// Whether the feed's transactions have GTIDs.
    gtids: bool,
    report: watch::Sender<Report>,
    /// How each connection is ended from outside.
    ends: Mutex<HashMap<u32, Arc<Notify>>>,
}

impl Shared {
    fn new(
        options: SourceOptions,
        feed: Box<dyn Feed>,
        desk: Option<Arc<dyn Desk>>,
        report: watch::Sender<Report>,
    ) -> Self {
        let gtids = feed.has_gtids();
        Self { options, feed, desk, gtids, report, ends: Mutex::default() }
    }

    /// As what it presents itself to a connection that begins now.
    fn presented(&self) -> Presented {
        let options = &self.options;
        self.desk.as_ref().map_or_else(
            || Presented {
                version: options.version,
                version_text: options.version_text.clone(),
                gtid_mode: options.gtid_mode || self.gtids,
            },
            |desk| desk.presented(),
        )
    }

    fn identity(&self, presented: &Presented) -> Identity {
        let options = &self.options;
        let mariadb = presented.version.is_mariadb();
        // MySQL 8.0.4 made caching_sha2_password its default; 9.0 has no other for servers.
        let sha2 = !mariadb && presented.version.at_least(8, 0, 4);
        let plugin = if sha2 { LoginPlugin::CachingSha2 } else { LoginPlugin::Native };
        let own = (options.user.clone(), options.password.clone());
        let more = self.desk.as_ref().map(|desk| desk.accounts()).unwrap_or_default();
        let accounts = std::iter::once(own).chain(more);
        Identity {
            version: presented.version_text.clone(),
            mariadb,
            accounts: accounts.map(|(user, password)| Account { user, password, plugin }).collect(),
            tls: options.tls.clone(),
            require_tls: options.require_tls,
        }
    }

    fn facts(&self, presented: &Presented) -> Facts {
        Facts {
            server_id: self.options.server_id,
            server_uuid: self.options.server_uuid.to_string(),
            version: presented.version_text.clone(),
            mariadb: presented.version.is_mariadb(),
            gtid_mode: presented.gtid_mode,
        }
    }

    /// Changes what is reported of a connection.
    fn update(&self, connection: u32, change: impl FnOnce(&mut ReplicaReport)) {
        self.report.send_modify(|report| {
            if let Some(replica) = report.of(connection) {
                change(replica);
            }
        });
    }

    /// Ends a connection; false if there is none of this number.
    fn end(&self, connection: u32) -> bool {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.get(&connection).inspect(|end| end.notify_one()).is_some()
    }

    /// Ends the other connections on which this replica receives events.
    fn end_others(&self, connection: u32, server_id: u32) {
        if server_id == 0 {
            // A program that reads events, no replica.
            return;
        }
        let others: Vec<u32> = {
            let report = self.report.borrow();
            let same = report.replicas.iter().filter(|replica| {
                replica.server_id == server_id
                    && replica.connection != connection
                    && replica.asked.is_some()
            });
            same.map(|replica| replica.connection).collect()
        };
        for other in others {
            self.end(other);
        }
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let mut visits = JoinSet::new();
    let mut id = 0_u32;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_ended) = visits.join_next() => continue,
            // Also when the owner is gone.
            _ = stopped.changed() => break,
        };
        match accepted {
            Ok((socket, peer)) => {
                if visits.len() >= shared.options.max_connections {
                    let what = format!("turned away: there are {} connections", visits.len());
                    trouble(&shared, peer, 0, what);
                    // A few bytes into an empty buffer: sent at once, or not at all.
                    let _gone = turn_away(socket, TURN_AWAY_LIMIT).await;
                    continue;
                }
                id = id.wrapping_add(1).max(1);
                visits.spawn(visit(socket, peer, id, Arc::clone(&shared)));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
    drop(listener);
    visits.shutdown().await;
}

/// One connection from its first to its last byte.
async fn visit(socket: TcpStream, peer: SocketAddr, id: u32, shared: Arc<Shared>) {
    let end = Arc::new(Notify::new());
    let _entry = Entry::new(&shared, id, &end);
    let limit = shared.options.login_limit;
    let work = async {
        let presented = shared.presented();
        let connection = accept(socket, id, &shared.identity(&presented), limit).await?;
        let replica = ReplicaReport {
            connection: id,
            peer,
            tls: connection.tls().map(str::to_owned),
            server_id: 0,
            host: String::new(),
            port: 0,
            asked: None,
            position: None,
            up_to_date: false,
            events: 0,
            transactions: 0,
            bytes: 0,
            own_events: 0,
        };
        shared.report.send_modify(|report| report.replicas.push(replica));
        visit::receive(connection, &shared, &shared.facts(&presented)).await
    };
    let outcome = tokio::select! {
        outcome = work => outcome,
        () = end.notified() => Ok(()),
    };
    match outcome {
        Ok(()) | Err(VisitError::Server(ServerError::Closed)) => {}
        Err(error) => {
            let server_id = {
                let report = shared.report.borrow();
                let mut all = report.replicas.iter();
                all.find(|replica| replica.connection == id).map_or(0, |r| r.server_id)
            };
            trouble(&shared, peer, server_id, error.to_string());
        }
    }
}

fn trouble(shared: &Shared, peer: SocketAddr, server_id: u32, what: String) {
    tracing::warn!(%peer, replica = server_id, what, "trouble with a replica");
    shared.report.send_modify(|report| report.note(SourceTrouble { peer, server_id, what }));
}

/// A connection's place in what is shared, for as long as it lives.
struct Entry {
    shared: Arc<Shared>,
    id: u32,
}

impl Entry {
    fn new(shared: &Arc<Shared>, id: u32, end: &Arc<Notify>) -> Self {
        let mut ends = shared.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.insert(id, Arc::clone(end));
        Self { shared: Arc::clone(shared), id }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut ends = self.shared.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.remove(&self.id);
        drop(ends);
        let id = self.id;
        self.shared.report.send_modify(|report| {
            report.replicas.retain(|replica| replica.connection != id);
        });
    }
}
