//! Who is connected: applications, replicas, replication itself, us.

use std::time::Duration;

use primacy_wire::{Row, Rows, Session, WireError};

use crate::dialect::Dialect;

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// An application or a person.
    Application,
    /// A replica that reads the binary log.
    DumpThread,
    /// A thread of the server: replication, event scheduler, a login that is not finished.
    Server,
    /// A session of the manager.
    Ours,
}

/// A session of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSession {
    /// For KILL.
    pub id: u64,
    /// Account name without host.
    pub user: String,
    /// Where it comes from.
    pub host: String,
    /// `Query`, `Sleep`, ...
    pub command: String,
    /// Seconds in this state.
    pub seconds: u64,
    /// What it waits for, in the server's words.
    pub state: String,
    /// What it is for.
    pub kind: SessionKind,
}

/// A statement that changes definitions and runs now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningDdl {
    /// Its session.
    pub session: ServerSession,
    /// Its first words; never values, which could be secrets.
    pub statement: String,
}

/// A statement that runs now, outside replication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningStatement {
    /// Its session.
    pub session: ServerSession,
    /// It begins with SELECT, SHOW or the like: it is taken to change nothing.
    pub reads: bool,
}

/// Users that are the server's own threads.
const SERVER_USERS: &[&str] = &[
    "system user",
    "event_scheduler",
    "unauthenticated user",
    "mysql.session",
    "mysql.infoschema",
    "mysql.sys",
    "mariadb.sys",
];
/// Commands of the server's own threads (MariaDB names its replication threads `Slave_...`).
const SERVER_COMMANDS: &[&str] = &["Daemon", "Slave_IO", "Slave_SQL", "Slave_worker"];
/// Commands of replicas, and the first words of what else they say.
const DUMP_COMMANDS: &[&str] = &["Binlog Dump", "Binlog Dump GTID", "Register Slave"];
/// First words of statements that change definitions or rebuild tables.
const DDL: &[&str] =
    &["ALTER", "CREATE", "DROP", "RENAME", "TRUNCATE", "OPTIMIZE", "REPAIR", "ANALYZE"];

/// First words of statements that are taken to change nothing.
const READS: &[&str] = &["SELECT", "SHOW", "DESC", "DESCRIBE", "EXPLAIN"];

/// All sessions. `ours` are the manager's account names. Needs PROCESS; without it the server
/// shows only our own.
pub async fn sessions(
    session: &mut Session,
    ours: &[&str],
    limit: Duration,
) -> Result<Vec<ServerSession>, WireError> {
    let rows = list(session, limit).await?;
    Ok(rows.iter().map(|row| read(row, ours, session.connection_id())).collect())
}

/// The sessions that a fence or a switchover ends.
pub async fn application_sessions(
    session: &mut Session,
    ours: &[&str],
    limit: Duration,
) -> Result<Vec<ServerSession>, WireError> {
    let all = sessions(session, ours, limit).await?;
    Ok(all.into_iter().filter(|one| one.kind == SessionKind::Application).collect())
}

/// Statements that change definitions and run now, outside replication.
pub async fn running_ddl(
    session: &mut Session,
    ours: &[&str],
    limit: Duration,
) -> Result<Vec<RunningDdl>, WireError> {
    let rows = list(session, limit).await?;
    let own = session.connection_id();
    let ddl = rows.iter().filter_map(|row| {
        let session = read(row, ours, own);
        let statement = definition_change(row.get("Info")?)?;
        (session.kind == SessionKind::Application).then_some(RunningDdl { session, statement })
    });
    Ok(ddl.collect())
}

/// Statements that run now, of everybody but this session, the server and its replicas.
///
/// # Errors
/// If the server cannot be asked. Without PROCESS it shows only our own.
pub async fn running_statements(
    session: &mut Session,
    limit: Duration,
) -> Result<Vec<RunningStatement>, WireError> {
    let rows = list(session, limit).await?;
    let own = session.connection_id();
    let running = rows.iter().filter_map(|row| {
        let session = read(row, &[], own);
        let statement = row.get("Info").filter(|text| !text.trim().is_empty())?;
        let runs = session.kind == SessionKind::Application && session.command != "Sleep";
        runs.then(|| RunningStatement { session, reads: only_reads(statement) })
    });
    Ok(running.collect())
}

async fn list(session: &mut Session, limit: Duration) -> Result<Rows, WireError> {
    let dialect = Dialect::of(session.version());
    session.query(dialect.process_list(), limit).await
}

/// Reads one row. `own` is known by its low 32 bits only.
pub(super) fn read(row: &Row, ours: &[&str], own: u64) -> ServerSession {
    let text = |column: &str| row.get(column).unwrap_or_default().to_owned();
    let number = |column: &str| text(column).parse::<i64>().ok().and_then(|n| n.try_into().ok());
    let id: u64 = number("Id").unwrap_or(0);
    let (user, command) = (text("User"), text("Command"));
    let low = |id: u64| id & u64::from(u32::MAX);
    let kind = if DUMP_COMMANDS.contains(&&*command) {
        SessionKind::DumpThread
    } else if SERVER_USERS.contains(&&*user) || SERVER_COMMANDS.contains(&&*command) {
        SessionKind::Server
    } else if low(id) == low(own) || ours.contains(&&*user) {
        SessionKind::Ours
    } else {
        SessionKind::Application
    };
    ServerSession {
        id,
        user,
        host: text("Host"),
        command,
        // MariaDB shows huge or negative times for threads that were not started yet.
        seconds: number("Time").unwrap_or(0),
        state: text("State"),
        kind,
    }
}

/// The first words of a statement that changes definitions. Leading comments are skipped.
pub(super) fn definition_change(statement: &str) -> Option<String> {
    let rest = behind_comments(statement);
    let first = first_word(rest);
    if !DDL.contains(&&*first.to_ascii_uppercase()) {
        return None;
    }
    let words: Vec<&str> = rest.split_whitespace().take(4).collect();
    let about_accounts = words.iter().take(3).any(|word| word.eq_ignore_ascii_case("user"));
    let shown = if about_accounts { 2 } else { 4 };
    Some(
        words.iter().take(shown).copied().collect::<Vec<_>>().join(" ").chars().take(120).collect(),
    )
}

/// Whether a statement is taken to change nothing, by its first word.
pub(super) fn only_reads(statement: &str) -> bool {
    let first = first_word(behind_comments(statement).trim_start_matches(['(', ' ']));
    READS.contains(&&*first.to_ascii_uppercase())
}

/// The statement behind its leading comments.
fn behind_comments(statement: &str) -> &str {
    let mut rest = statement.trim_start();
    loop {
        rest = if let Some(tail) = rest.strip_prefix("/*") {
            tail.split_once("*/").map_or("", |(_, tail)| tail).trim_start()
        } else if rest.starts_with("--") || rest.starts_with('#') {
            rest.split_once('\n').map_or("", |(_, tail)| tail).trim_start()
        } else {
            return rest;
        }
    }
}

fn first_word(statement: &str) -> String {
    statement.chars().take_while(char::is_ascii_alphabetic).collect()
}
