//! The measuring client: writes numbered rows as fast as the cluster acknowledges them, and finds
//! the writable server itself, as the client of a bare failover manager would.
//!
//! Rules: all addresses are tried at once, each with a short limit, and the first that is not
//! read-only is taken; a write that is not answered in time, or fails, means to look anew after a
//! moment. Every row carries the id of the server that took it.

mod tally;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use primacy_types::{Address, WallClock};
use primacy_wire::{ConnectOptions, Session, TlsMode, WireError};
use secrecy::SecretString;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use tally::{Tally, tally};

/// Limit of one attempt to connect.
const ATTEMPT: Duration = Duration::from_millis(300);
/// Limit of one write.
const WRITE: Duration = Duration::from_secs(1);
/// Pause after a failure.
const PAUSE: Duration = Duration::from_millis(5);
/// Limit of the statements that make the table.
const PREPARE: Duration = Duration::from_secs(10);

/// Where to write, and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// All servers.
    pub(crate) servers: Vec<Address>,
    /// The application's account.
    pub(crate) user: String,
    /// Its password.
    pub(crate) password: SecretString,
}

/// One acknowledged row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ack {
    /// Its number.
    pub(crate) row: u64,
    /// The `server_id` of the server that took it.
    pub(crate) server: u32,
    /// When the acknowledgement came.
    pub(crate) at: Instant,
    /// The same for comparison with other programs' clocks.
    pub(crate) wall: WallClock,
}

/// What one writer saw.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) acks: Vec<Ack>,
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    /// Errors by kind.
    pub(crate) errors: BTreeMap<String, u32>,
}

/// Writers at work.
pub(crate) struct Writers {
    stop: CancellationToken,
    tasks: JoinSet<Log>,
    latest: watch::Receiver<Option<Ack>>,
    order: Arc<Mutex<Order>>,
}

/// The servers in the order of their first acknowledgement, and the rows that came too late.
#[derive(Debug, Default)]
pub(crate) struct Order {
    pub(crate) servers: Vec<u32>,
    /// Rows that an earlier server acknowledged after a later one had acknowledged its first.
    pub(crate) late: u64,
}

impl Order {
    fn note(&mut self, server: u32) {
        if !self.servers.contains(&server) {
            self.servers.push(server);
        }
        self.late += u64::from(self.servers.last() != Some(&server));
    }
}

impl Target {
    /// How to connect to one of the servers.
    pub(crate) fn options(&self, server: &Address, limit: Duration) -> ConnectOptions {
        ConnectOptions {
            address: server.clone(),
            user: self.user.clone(),
            password: self.password.clone(),
            tls: TlsMode::Off,
            connect_timeout: limit,
            database: None,
            program: "xtask".into(),
            unix_socket: None,
        }
    }

    /// A session with a server, and whether that is read-only, and its id.
    async fn look(&self, server: &Address) -> Result<(Session, bool, u32), WireError> {
        let mut session = Session::connect(&self.options(server, ATTEMPT)).await?;
        let rows = session.query("SELECT @@global.read_only, @@server_id", ATTEMPT).await?;
        let cell = |i| rows.first().and_then(|row| row.at(i)).unwrap_or_default();
        let read_only = !matches!(cell(0), "0" | "OFF");
        let id = cell(1).parse().unwrap_or_default();
        Ok((session, read_only, id))
    }

    /// A session with the first server that answers and is not read-only.
    async fn writable(&self) -> Result<(Session, u32), String> {
        let mut attempts = JoinSet::new();
        for server in self.servers.clone() {
            let target = self.clone();
            attempts.spawn(async move { target.look(&server).await });
        }
        let mut last = "no server".to_owned();
        while let Some(looked) = attempts.join_next().await {
            match looked {
                Ok(Ok((session, false, id))) => return Ok((session, id)),
                Ok(Ok(_)) => last = "read only".into(),
                Ok(Err(error)) => last = kind(&error),
                Err(error) => last = error.to_string(),
            }
        }
        Err(last)
    }

    /// Makes the empty table on the writable server.
    async fn prepare(&self) -> anyhow::Result<()> {
        let (mut session, _) = self.writable().await.map_err(anyhow::Error::msg)?;
        for sql in [
            "CREATE DATABASE IF NOT EXISTS outage",
            "DROP TABLE IF EXISTS outage.t",
            "CREATE TABLE outage.t (id BIGINT PRIMARY KEY, server INT, at DOUBLE) ENGINE=InnoDB",
        ] {
            session.execute(sql, PREPARE).await.context("the table was not made")?;
        }
        session.close().await;
        Ok(())
    }
}

impl Writers {
    /// Makes the table and starts so many writers.
    pub(crate) async fn start(target: &Target, count: u64) -> anyhow::Result<Self> {
        target.prepare().await?;
        let (progress, latest) = watch::channel(None);
        let stop = CancellationToken::new();
        let order = Arc::new(Mutex::new(Order::default()));
        let mut tasks = JoinSet::new();
        for first in 0..count {
            let writer = Writer {
                target: target.clone(),
                next: first,
                step: count,
                progress: progress.clone(),
                order: Arc::clone(&order),
            };
            tasks.spawn(writer.run(stop.clone()));
        }
        Ok(Self { stop, tasks, latest, order })
    }

    /// Waits until a server other than `old` has acknowledged rows for `length`.
    pub(crate) async fn moved_on(
        &mut self,
        old: u32,
        length: Duration,
        limit: Duration,
    ) -> anyhow::Result<()> {
        let elsewhere = |ack: &Option<Ack>| ack.is_some_and(|ack| ack.server != old);
        tokio::time::timeout(limit, self.latest.wait_for(elsewhere))
            .await
            .map_err(|_| anyhow::anyhow!("no other server took a row within {limit:?}"))??;
        tokio::time::sleep(length).await;
        Ok(())
    }

    /// The latest acknowledged row.
    pub(crate) fn latest(&self) -> Option<Ack> {
        *self.latest.borrow()
    }

    /// Ends the writers and counts.
    pub(crate) async fn finish(mut self, target: &Target) -> Tally {
        self.stop.cancel();
        let mut logs = Vec::new();
        while let Some(log) = self.tasks.join_next().await {
            logs.extend(log);
        }
        let order = std::mem::take(&mut *lock(&self.order));
        tally(target, &logs, order).await
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.tasks.abort_all();
    }
}

/// One writer. Its rows are numbered `next`, `next + step`, ...
struct Writer {
    target: Target,
    next: u64,
    step: u64,
    progress: watch::Sender<Option<Ack>>,
    order: Arc<Mutex<Order>>,
}

impl Writer {
    async fn run(mut self, stop: CancellationToken) -> Log {
        let began = Instant::now();
        let mut log = Log { acks: Vec::new(), began, ended: began, errors: BTreeMap::new() };
        let mut held = None;
        while !stop.is_cancelled() {
            match self.write(&mut held).await {
                Ok(ack) => {
                    lock(&self.order).note(ack.server);
                    log.acks.push(ack);
                    self.progress.send_replace(Some(ack));
                }
                Err(kind) => {
                    *log.errors.entry(kind).or_default() += 1;
                    held = None;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        log.ended = Instant::now();
        log
    }

    async fn write(&mut self, held: &mut Option<(Session, u32)>) -> Result<Ack, String> {
        let (session, server) = match held {
            Some(held) => held,
            None => held.insert(self.target.writable().await?),
        };
        let row = self.next;
        self.next += self.step;
        let seconds = wall().0 as f64 / 1000.0;
        let sql = format!("INSERT INTO outage.t VALUES ({row}, @@server_id, {seconds})");
        session.execute(&sql, WRITE).await.map_err(|error| kind(&error))?;
        Ok(Ack { row, server: *server, at: Instant::now(), wall: wall() })
    }
}

/// An error without the address, short.
fn kind(error: &WireError) -> String {
    let address = error.address().to_string();
    error.to_string().replace(&address, "a server").chars().take(60).collect()
}

/// Now, on the clock that all programs of the machine share.
pub(crate) fn wall() -> WallClock {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    WallClock(since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
