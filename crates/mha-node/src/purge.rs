//! `purge_relay_logs`: lets a replica that keeps its relay logs remove those that it has applied.
//!
//! The server does it itself when its applier goes on to another relay log, so nothing is removed
//! that is not applied. Before that, relay logs get second names: the server's `unlink` is then
//! cheap however large they are, and the bytes are freed here, without a lock of the server.

use std::net::{ToSocketAddrs, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use primacy_probe::Dialect;
use primacy_wire::{ConnectOptions, Row, Session, WireError};
use tokio::time::{Instant, sleep};

use crate::{NodeError, Say, logs};

/// MHA's lock for a failover, which its manager takes on every replica.
const LOCK: &str = "MHA_Master_High_Availability_Failover";

/// How long it is waited for.
const LOCK_SECONDS: u32 = 200;

/// Limit of one statement.
const LIMIT: Duration = Duration::from_secs(30);

/// How long the applier may take to get to the new relay log.
const APPLIER: Duration = Duration::from_secs(30);

/// How long one that has nothing to do may take for it.
const IDLE: Duration = Duration::from_secs(5);

const POLL: Duration = Duration::from_millis(50);

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Purge {
    /// The server, which must be on this host.
    pub login: ConnectOptions,
    /// Set `relay_log_purge` to 0 if it is 1, and go on.
    pub disable: bool,
    /// Where relay logs get second names; `None`: they get none.
    pub links: Option<PathBuf>,
    /// One of the relay logs; without it the server is asked where they are.
    pub relay_log: Option<PathBuf>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purged {
    /// The server removes them itself.
    NotNeeded,
    /// What was applied was removed: so many relay logs, as far as they can be seen here.
    Done(Option<usize>),
    /// The applier is still busy with what it has; what it has applied is removed next time.
    Later,
}

/// Purges.
///
/// # Errors
/// If the server is no replica, its applier does not run, a failover is under way, or it refuses.
pub async fn purge(wanted: &Purge, say: Say<'_>) -> Result<Purged, NodeError> {
    is_local(&wanted.login)?;
    let mut session = Session::connect(&wanted.login).await?;
    let dialect = Dialect::of(session.version());
    let channels = replicates(&mut session, dialect).await?;
    let rows = session.query(dialect.relay_log_purge(), LIMIT).await?;
    if rows.first().and_then(|row| row.at(0)) != Some("0") {
        if !wanted.disable {
            return Ok(Purged::NotNeeded);
        }
        session.execute(dialect.set_relay_log_purge(false), LIMIT).await?;
        say("relay_log_purge was 1 and is 0 now");
    }
    let place = place(&mut session, wanted).await;
    let before = place.as_ref().map(|base| count(base));
    take_lock(&mut session, dialect).await?;
    let links = match (&wanted.links, &place) {
        (Some(folder), Some(base)) => Links::make(folder, base, say),
        _ => Links::default(),
    };
    let purged = tokio::select! {
        purged = now(&mut session, dialect, &channels) => purged,
        () = told_to_end() => Err(NodeError::refused("ended by a signal; relay_log_purge is 0 again")),
    };
    let back = put_back(&mut session, dialect, &wanted.login).await;
    let _released = session.execute(&dialect.release_lock(LOCK), LIMIT).await;
    session.close().await;
    links.remove();
    back?;
    if !purged? {
        return Ok(Purged::Later);
    }
    let after = place.as_ref().map(|base| count(base));
    // One was begun meanwhile.
    Ok(Purged::Done(
        before.zip(after).map(|(before, after)| (before + channels.len()).saturating_sub(after)),
    ))
}

/// Links and the removal of files are of this host. An address is of this host if a socket can be
/// bound to it.
fn is_local(login: &ConnectOptions) -> Result<(), NodeError> {
    if login.unix_socket.is_some() {
        return Ok(());
    }
    let host = login.address.host();
    let mut addresses = (host, 0)
        .to_socket_addrs()
        .map_err(|e| NodeError::refused(format!("the name {host} is not resolved: {e}")))?;
    if addresses.any(|address| UdpSocket::bind(address).is_ok()) {
        return Ok(());
    }
    Err(NodeError::refused(format!(
        "{host} is not this host; run the command on the server's own host"
    )))
}

fn word<'r>(row: &'r Row, new: &str, old: &str) -> Option<&'r str> {
    if row.has(new) { row.get(new) } else { row.get(old) }
}

/// The names of its channels, all of whose appliers run.
async fn replicates(session: &mut Session, dialect: Dialect) -> Result<Vec<String>, NodeError> {
    let rows = session.query(dialect.replica_status(), LIMIT).await?;
    let mut channels = Vec::new();
    for row in rows.iter() {
        let name = word(row, "Channel_Name", "Connection_name").unwrap_or_default();
        if word(row, "Replica_SQL_Running", "Slave_SQL_Running") != Some("Yes") {
            let why = row.get("Last_SQL_Error").filter(|why| !why.is_empty());
            return Err(NodeError::refused(format!(
                "the applier of {}{name} does not run ({}); nothing is removed that may have to be \
                 applied",
                session.address(),
                why.unwrap_or("no error")
            )));
        }
        channels.push(name.to_owned());
    }
    if channels.is_empty() {
        return Err(NodeError::refused(format!("{} is no replica", session.address())));
    }
    Ok(channels)
}

/// What the paths of its relay logs begin with.
async fn place(session: &mut Session, wanted: &Purge) -> Option<PathBuf> {
    if let Some(log) = &wanted.relay_log {
        return Some(log.with_extension(""));
    }
    let rows = session.query("SELECT @@global.relay_log_basename", LIMIT).await.ok()?;
    rows.first().and_then(|row| row.at(0)).map(PathBuf::from)
}

/// The relay logs; those of channels have its name behind the server's.
fn relay_logs(base: &Path) -> Vec<PathBuf> {
    let name = base.file_name().map(|name| name.to_string_lossy().into_owned());
    let (Some(folder), Some(name)) = (base.parent(), name) else { return Vec::new() };
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let files = entries.flatten().filter_map(|entry| {
        let file = entry.file_name().into_string().ok()?;
        let (prefix, _) = logs::split(&file)?;
        let is = prefix == name || prefix.strip_prefix(&name)?.starts_with('-');
        is.then(|| entry.path())
    });
    files.collect()
}

fn count(base: &Path) -> usize {
    relay_logs(base).len()
}

async fn take_lock(session: &mut Session, dialect: Dialect) -> Result<(), NodeError> {
    let limit = LIMIT + Duration::from_secs(LOCK_SECONDS.into());
    let rows = session.query(&dialect.take_lock(LOCK, LOCK_SECONDS), limit).await?;
    match rows.first().and_then(|row| row.at(0)) {
        Some("1") => Ok(()),
        _ => Err(NodeError::refused(format!(
            "a failover, or another purge, is under way on {}: its lock was not free for \
             {LOCK_SECONDS} seconds; nothing was removed",
            session.address()
        ))),
    }
}

/// Whether the applier got to the new relay logs in time.
async fn now(
    session: &mut Session,
    dialect: Dialect,
    channels: &[String],
) -> Result<bool, NodeError> {
    let begun = look(session, dialect).await?;
    session.execute(dialect.set_relay_log_purge(true), LIMIT).await?;
    for channel in channels {
        session.execute(&dialect.flush_relay_logs(channel), LIMIT).await?;
    }
    let end = Instant::now() + APPLIER;
    let mut idle_until = Instant::now() + IDLE;
    loop {
        let now = look(session, dialect).await?;
        if now.len() == begun.len() && now.iter().zip(&begun).all(|(now, begun)| now.is_on(begun)) {
            return Ok(true);
        }
        // Parallel appliers tell their place only with the next transaction: one that has applied
        // all that it has gets no further.
        if !now.iter().all(|applier| applier.idle) {
            idle_until = Instant::now() + IDLE;
        }
        if Instant::now() >= idle_until {
            return Ok(true);
        }
        if Instant::now() >= end {
            return Ok(false);
        }
        sleep(POLL).await;
    }
}

/// Where an applier is.
struct Applier {
    /// The relay log that it reads.
    file: Option<String>,
    /// Bytes of all relay logs.
    space: Option<u64>,
    /// It has applied all that was received.
    idle: bool,
}

impl Applier {
    fn of(row: &Row) -> Self {
        let same = |new: (&str, &str), old: (&str, &str)| {
            word(row, new.0, new.1) == word(row, old.0, old.1)
        };
        Self {
            file: row.get("Relay_Log_File").map(str::to_owned),
            space: row.get("Relay_Log_Space").and_then(|bytes| bytes.parse().ok()),
            idle: same(
                ("Relay_Source_Log_File", "Relay_Master_Log_File"),
                ("Source_Log_File", "Master_Log_File"),
            ) && same(
                ("Exec_Source_Log_Pos", "Exec_Master_Log_Pos"),
                ("Read_Source_Log_Pos", "Read_Master_Log_Pos"),
            ),
        }
    }

    /// Whether it went on to another relay log since, or relay logs were removed.
    fn is_on(&self, begun: &Self) -> bool {
        self.file != begun.file || self.space < begun.space
    }
}

async fn look(session: &mut Session, dialect: Dialect) -> Result<Vec<Applier>, NodeError> {
    let rows = session.query(dialect.replica_status(), LIMIT).await?;
    Ok(rows.iter().map(Applier::of).collect())
}

async fn put_back(
    session: &mut Session,
    dialect: Dialect,
    login: &ConnectOptions,
) -> Result<(), NodeError> {
    let sql = dialect.set_relay_log_purge(false);
    if session.execute(sql, LIMIT).await.is_ok() {
        return Ok(());
    }
    let again = async { Session::connect(login).await?.execute(sql, LIMIT).await };
    let done: Result<_, WireError> = again.await;
    done.map(drop).map_err(|error| {
        NodeError::refused(format!(
            "relay_log_purge is 1 and could not be put back ({error}); do it by hand: {sql}"
        ))
    })
}

/// Waits for the signals that end a process.
async fn told_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
    let [Ok(mut term), Ok(mut int), Ok(mut hup)] = signals.map(signal) else {
        return std::future::pending().await;
    };
    tokio::select! { _ = term.recv() => {}, _ = int.recv() => {}, _ = hup.recv() => {} }
}

/// Second names of relay logs, in a folder of their own: never in that of the relay logs, where
/// removing one would remove a relay log.
#[derive(Default)]
struct Links {
    folder: Option<PathBuf>,
    links: Vec<PathBuf>,
}

impl Links {
    fn make(workdir: &Path, base: &Path, say: Say<'_>) -> Self {
        let folder = workdir.join(format!("primacy-purge-{}", std::process::id()));
        let mut made = Self::default();
        if let Err(error) = std::fs::create_dir(&folder) {
            say(&format!("no links are made, {} cannot be made: {error}", folder.display()));
            return made;
        }
        for log in relay_logs(base) {
            let Some(name) = log.file_name() else { continue };
            let link = folder.join(name);
            match std::fs::hard_link(&log, &link) {
                Ok(()) => made.links.push(link),
                Err(error) => {
                    say(&format!(
                        "no links are made in {}: {error}; it has to be on the relay logs' file system",
                        folder.display()
                    ));
                    break;
                }
            }
        }
        made.folder = Some(folder);
        made
    }

    /// Removes the names that were made here, and nothing else.
    fn remove(&self) {
        for link in &self.links {
            let _gone = std::fs::remove_file(link);
        }
        if let Some(folder) = &self.folder {
            let _gone = std::fs::remove_dir(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_removed_and_relay_logs_stay() {
        let dir = tempfile::tempdir().unwrap();
        for name in
            ["relay.000001", "relay.1000000", "relay-east.000001", "relay.index", "other.000001"]
        {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        let base = dir.path().join("relay");
        assert_eq!(count(&base), 3);
        let mut said = Vec::new();
        // Even where the working folder is that of the relay logs.
        let links = Links::make(dir.path(), &base, &mut |line: &str| said.push(line.to_owned()));
        assert_eq!((links.links.len(), said.len()), (3, 0), "{said:?}");
        links.remove();
        assert_eq!(count(&base), 3);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 5);
    }

    #[test]
    fn an_address_of_another_host_is_none_of_this_one() {
        let login = |host: &str| ConnectOptions {
            address: primacy_types::Address::new(host, 3306),
            user: String::new(),
            password: String::new().into(),
            tls: primacy_wire::TlsMode::Off,
            connect_timeout: LIMIT,
            database: None,
            program: String::new(),
            unix_socket: None,
        };
        is_local(&login("127.0.0.1")).unwrap();
        let error = is_local(&login("192.0.2.1")).unwrap_err().to_string();
        assert!(error.contains("is not this host"), "{error}");
    }
}
