//! A load of numbered rows, and what became of every row that was acknowledged.
//!
//! It behaves as an application without proxy: looks for the writable server at all addresses at
//! once with a short limit for each, writes as fast as the cluster acknowledges, and starts over
//! when a write fails. Each row carries the id of the server that took it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use primacy_sandbox::AccountRole;
use primacy_wire::{ConnectOptions, Session, WireError};
use tokio::task::{JoinHandle, JoinSet};

use crate::{Cluster, eventually, must};

/// Limit of one connection attempt.
const ATTEMPT: Duration = Duration::from_millis(300);
/// Limit of one write.
const WRITE: Duration = Duration::from_secs(1);
/// What comes late on a busy machine is waited for so long.
const LIMIT: Duration = Duration::from_secs(60);
/// Pause after something failed.
const PAUSE: Duration = Duration::from_millis(5);

const CREATE: &str =
    "CREATE TABLE IF NOT EXISTS app.rows_written (id BIGINT PRIMARY KEY, server INT) ENGINE=InnoDB";

/// One acknowledged row.
#[derive(Clone, Copy, Debug)]
struct Acked {
    id: u64,
    server: u64,
    at: Instant,
}

#[derive(Debug, Default)]
struct Log {
    acked: Vec<Acked>,
    errors: BTreeMap<String, usize>,
}

impl Log {
    fn failed(&mut self, error: &str) {
        let kind: String = error.chars().take(80).collect();
        *self.errors.entry(kind).or_default() += 1;
    }
}

/// A running load.
#[derive(Debug)]
pub struct Writer {
    log: Arc<Mutex<Log>>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

/// What the load saw, and what the servers have of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Rows that were acknowledged.
    pub acked: usize,
    /// Acknowledged rows that the best server lacks.
    pub missing_acked: usize,
    /// Acknowledged rows that each reachable server lacks.
    pub missing: BTreeMap<String, usize>,
    /// Rows that an earlier server acknowledged after a later one had acknowledged its first.
    pub late_rows: usize,
    /// The longest time between two acknowledgements.
    pub longest_gap: Duration,
    /// The servers that acknowledged, in the order of their first row.
    pub servers: Vec<String>,
    /// When each of them acknowledged its first row.
    pub first_rows: BTreeMap<String, Instant>,
    /// Errors by kind.
    pub errors: BTreeMap<String, usize>,
}

impl Writer {
    /// Makes the table and starts to write; returns when the first rows are acknowledged.
    pub async fn start(cluster: &Cluster) -> Self {
        let names = cluster.names();
        let logins: Vec<_> = names
            .iter()
            .map(|name| ConnectOptions {
                connect_timeout: ATTEMPT,
                ..cluster.login(name, AccountRole::Application)
            })
            .collect();
        let log = Arc::new(Mutex::new(Log::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let (mut session, _) = loop {
            match find_writable(&logins).await {
                Ok(found) => break found,
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        };
        must(session.execute(CREATE, Duration::from_secs(10)).await, "making the table");
        session.close().await;
        let task = tokio::spawn(write(logins, Arc::clone(&log), Arc::clone(&stop)));
        let writer = Self { log, stop, task };
        writer.goes_on(20).await;
        writer
    }

    /// Rows acknowledged so far.
    pub fn acked(&self) -> usize {
        self.log().acked.len()
    }

    /// Waits until so many more rows are acknowledged.
    pub async fn goes_on(&self, more: usize) {
        let enough = self.acked() + more;
        eventually(Duration::from_secs(60), "writes go on", async || self.acked() >= enough).await;
    }

    /// Waits until this server has acknowledged rows.
    pub async fn goes_on_at(&self, cluster: &Cluster, server: &str) {
        let id = u64::from(cluster.server(server).server_id);
        eventually(Duration::from_secs(60), &format!("writes go on at {server}"), async || {
            self.log().acked.last().is_some_and(|row| row.server == id)
        })
        .await;
    }

    /// Stops writing, waits until every server that replicates has caught up with the rows, and
    /// compares.
    pub async fn finish(mut self, cluster: &Cluster) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        must((&mut self.task).await, "ending the load");
        let log = std::mem::take(&mut *self.log.lock().unwrap_or_else(PoisonError::into_inner));
        // A server that joined late catches up for as long as it gets nearer: on a busy machine
        // its disk is no faster than the load was.
        let mut progress = (usize::MAX, Instant::now());
        let missing = loop {
            let missing = missing(cluster, &log.acked).await;
            let left: usize = missing.values().sum();
            if left < progress.0 {
                progress = (left, Instant::now());
            }
            if left == 0 || progress.1.elapsed() >= LIMIT {
                break missing;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let mut order: Vec<u64> = Vec::new();
        let mut first_rows = BTreeMap::new();
        let mut late_rows = 0;
        for row in &log.acked {
            if !order.contains(&row.server) {
                order.push(row.server);
                first_rows.extend(cluster.name_of_id(row.server).map(|name| (name, row.at)));
            }
            late_rows += usize::from(order.last() != Some(&row.server));
        }
        let gaps = log.acked.windows(2).map(|pair| pair[1].at - pair[0].at);
        Outcome {
            acked: log.acked.len(),
            missing_acked: missing.values().copied().min().unwrap_or(log.acked.len()),
            missing,
            late_rows,
            longest_gap: gaps.max().unwrap_or_default(),
            servers: order.iter().filter_map(|id| cluster.name_of_id(*id)).collect(),
            first_rows,
            errors: log.errors,
        }
    }

    fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Outcome {
    /// Ends the test if a row is missing on the best server, or was acknowledged late.
    #[track_caller]
    pub fn nothing_is_lost(&self) -> &Self {
        assert_eq!((self.missing_acked, self.late_rows), (0, 0), "missing, late: {self:?}");
        self
    }

    /// Ends the test if a row is missing anywhere.
    #[track_caller]
    pub fn everyone_has_everything(&self) -> &Self {
        self.nothing_is_lost();
        assert!(self.missing.values().all(|count| *count == 0), "{self:?}");
        self
    }
}

/// How many of the rows each reachable server lacks.
async fn missing(cluster: &Cluster, acked: &[Acked]) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for server in cluster.names() {
        let Ok(mut session) = cluster.try_root(&server).await else { continue };
        let rows = session.query("SELECT id FROM app.rows_written", LIMIT).await;
        let Ok(rows) = rows else { continue };
        let has: BTreeSet<u64> = rows.iter().filter_map(|row| row.at(0)?.parse().ok()).collect();
        all.insert(server, acked.iter().filter(|row| !has.contains(&row.id)).count());
    }
    all
}

async fn write(logins: Vec<ConnectOptions>, log: Arc<Mutex<Log>>, stop: Arc<AtomicBool>) {
    let mut id = 0;
    let mut found: Option<(Session, u64)> = None;
    while !stop.load(Ordering::Relaxed) {
        let written = match &mut found {
            None => match find_writable(&logins).await {
                Ok(writable) => {
                    found = Some(writable);
                    continue;
                }
                Err(error) => Err(error),
            },
            Some((session, server)) => {
                id += 1;
                let insert = format!("INSERT INTO app.rows_written VALUES ({id}, @@server_id)");
                let done = session.execute(&insert, WRITE).await;
                done.map(|_| Acked { id, server: *server, at: Instant::now() })
                    .map_err(|error| error.to_string())
            }
        };
        match written {
            Ok(row) => log.lock().unwrap_or_else(PoisonError::into_inner).acked.push(row),
            Err(error) => {
                log.lock().unwrap_or_else(PoisonError::into_inner).failed(&error);
                found = None;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// The first server to say that it is writable; all are asked at once.
async fn find_writable(logins: &[ConnectOptions]) -> Result<(Session, u64), String> {
    let mut attempts = JoinSet::new();
    for login in logins {
        let login = login.clone();
        attempts.spawn(async move { ask(&login).await });
    }
    let mut last = "no server is writable".to_owned();
    while let Some(attempt) = attempts.join_next().await {
        match attempt {
            Ok(Ok(Some(found))) => return Ok(found),
            Ok(Err(error)) => last = error.to_string(),
            Ok(Ok(None)) | Err(_) => {}
        }
    }
    Err(last)
}

/// A session and the server's id, if it is writable.
async fn ask(login: &ConnectOptions) -> Result<Option<(Session, u64)>, WireError> {
    let mut session = Session::connect(login).await?;
    let rows = session.query("SELECT @@global.read_only, @@server_id", ATTEMPT).await?;
    let cell = |at| rows.first().and_then(|row| row.at(at)).and_then(|text| text.parse().ok());
    Ok(match (cell(0), cell(1)) {
        (Some(0), Some(id)) => Some((session, id)),
        _ => None,
    })
}
