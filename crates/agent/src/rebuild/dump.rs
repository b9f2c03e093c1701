//! Giving a server's data as SQL: its own dump client reads it in one transaction, and the GTIDs that
//! it holds are read while nothing commits, between the beginnings of the two.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use primacy_agent_api::{Fault, FaultKind};
use primacy_probe::Dialect;
use primacy_probe::grants::{Purpose, missing_grants};
use primacy_types::ServerVersion;
use primacy_wire::{Session, WireError};
use tokio::process::Child;
use tokio::time::Instant;

use super::clients::{Client, Program, Use};
use super::donor::Source;
use super::tools::{LastWords, LoginFile};
use crate::served::Served;

/// Limit of a question to the server.
const ASK: Duration = Duration::from_secs(15);
/// How long commits are waited for, and, at the most, held up. While it waits, others wait behind it.
const LOCK: Duration = Duration::from_secs(20);
/// How often it is looked whether the client has begun.
const LOOK: Duration = Duration::from_millis(5);
/// So many names are told.
const TOLD: usize = 5;

/// The first line of a dump, before the GTIDs that it holds.
pub(super) const HEAD: &str = "-- primacy: the data of this dump holds the transactions ";
/// The client's last words; without them it did not come to its end.
pub(super) const COMPLETE: &str = "-- Dump completed";
/// What the client says (with `--verbose`) when its transaction has begun and it reads the first table.
const BEGUN: &str = "-- Retrieving";

/// Tables of the server's own that are not data: the recipient's are its own.
const MYSQL_OWN: &[&str] = &[
    "slave_master_info",
    "slave_relay_log_info",
    "slave_worker_info",
    "gtid_executed",
    "ndb_binlog_index",
    "innodb_index_stats",
    "innodb_table_stats",
    "replication_asynchronous_connection_failover",
    "replication_asynchronous_connection_failover_managed",
    "replication_group_configuration_version",
    "replication_group_member_actions",
];
const MARIADB_OWN: &[&str] =
    &["gtid_slave_pos", "innodb_index_stats", "innodb_table_stats", "transaction_registry"];

/// Tables that a transaction does not hold still.
const NOT_HELD: &str = "SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME, ' (', ENGINE, ')') \
    FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND ENGINE <> 'InnoDB' \
    AND TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys') \
    ORDER BY TABLE_SCHEMA, TABLE_NAME";

/// Files of tables that are not in the data directory: a copy would have them there as well, where
/// nobody looks for them. The versions have different names for it.
const FILES: [&str; 3] = [
    "SELECT PATH FROM information_schema.INNODB_DATAFILES WHERE PATH LIKE '/%'",
    "SELECT PATH FROM information_schema.INNODB_SYS_DATAFILES WHERE PATH LIKE '/%'",
    "SELECT FILENAME FROM information_schema.INNODB_SYS_TABLESPACES WHERE FILENAME LIKE '/%'",
];
/// `ER_UNKNOWN_TABLE`
const UNKNOWN_TABLE: u16 = 1109;

async fn outside(session: &mut Session, data_dir: &str) -> Result<Option<String>, WireError> {
    for sql in FILES {
        match session.query(sql, ASK).await {
            Ok(rows) => {
                let mut paths = rows.iter().filter_map(|row| row.at(0));
                return Ok(paths.find(|path| !path.starts_with(data_dir)).map(str::to_owned));
            }
            Err(error) if error.code() == Some(UNKNOWN_TABLE) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Whether the server can be dumped, and by what; the client names itself.
pub(super) async fn is_possible(served: &Served, version: ServerVersion) -> Result<Client, Fault> {
    let server = &served.server;
    let fault = |text: String| Fault::new(FaultKind::Server, text);
    let failed = |error: WireError| fault(format!("{server}: preparing a logical dump: {error}"));
    let mut session = Session::connect(&served.login).await.map_err(failed)?;
    let lacking = missing_grants(&mut session, Purpose::Dump, ASK).await.map_err(failed)?;
    if !lacking.is_empty() {
        let lacking: Vec<_> = lacking.iter().flat_map(|grant| grant.privileges).copied().collect();
        return Err(fault(format!(
            "{server}: a logical dump would not be complete: the agent's account {} lacks {} (primacy \
             grants --purpose dump)",
            served.login.user,
            lacking.join(", ")
        )));
    }
    let rows = session.query(NOT_HELD, ASK).await.map_err(failed)?;
    let tables: Vec<&str> = rows.iter().filter_map(|row| row.at(0)).collect();
    if !tables.is_empty() {
        let more = match tables.len().saturating_sub(TOLD) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let told = tables.iter().take(TOLD).copied().collect::<Vec<_>>().join(", ");
        return Err(fault(format!(
            "{server}: a logical dump holds only InnoDB tables at one moment, and these are not: \
             {told}{more}; ALTER TABLE ... ENGINE = InnoDB, or copy the files"
        )));
    }
    let data_dir = served.state().facts.as_ref().map(|facts| facts.data_dir.clone());
    let data_dir = data_dir.unwrap_or_default();
    if let Some(path) = outside(&mut session, &data_dir).await.map_err(failed)? {
        return Err(fault(format!(
            "{server}: {path} is outside of its data directory; a logical dump would create it outside \
             of the recipient's as well: move the table into the data directory first"
        )));
    }
    Client::find(Use::Dump, &Program::of(served).await?, version).await
}

/// Starts the client; it reads the server as it is when this returns.
pub(super) async fn start(folder: &Path, served: &Served) -> Result<Source, String> {
    let version = served.state().facts.as_ref().map(|facts| facts.version);
    let version = version.ok_or("the server was not seen")?;
    let client = is_possible(served, version).await.map_err(|fault| fault.text)?;
    let failed = |error: WireError| format!("{}: beginning a logical dump: {error}", served.server);
    let mut session = Session::connect(&served.login).await.map_err(failed)?;
    let dialect = Dialect::of(session.version());
    session.execute(&dialect.lock_wait_timeout(LOCK), ASK).await.map_err(failed)?;
    // What can be closed without holding anybody up is closed before. LOCAL: or it is logged.
    session.execute("FLUSH LOCAL TABLES", LOCK + ASK).await.map_err(failed)?;
    session.execute("FLUSH TABLES WITH READ LOCK", LOCK + ASK).await.map_err(failed)?;
    let rows = session.query(dialect.executed(), ASK).await.map_err(failed)?;
    let row = rows.first().ok_or("the server does not say what it has executed")?;
    let holds = dialect.executed_from(row).map_err(|error| error.to_string())?.to_string();
    let holds: String = holds.split_whitespace().collect();
    let head = format!("{HEAD}{holds}\n").into_bytes();
    let mut source = spawn(folder, served, version, &client, head)
        .map_err(|error| format!("{} could not be started: {error}", client.word()))?;
    has_begun(&mut source.child, &source.words, &client).await?;
    session.execute("UNLOCK TABLES", ASK).await.map_err(failed)?;
    session.close().await;
    Ok(source)
}

fn spawn(
    folder: &Path,
    served: &Served,
    version: ServerVersion,
    client: &Client,
    head: Vec<u8>,
) -> std::io::Result<Source> {
    let login = LoginFile::for_client(folder.join("login.cnf"), &served.login, client.version)?;
    let mut command = client.program.command();
    command
        // The first argument, or it is not obeyed.
        .arg(LoginFile::INPUT)
        .stdin(login.lent_to(client.program.user())?)
        .args(["--all-databases", "--single-transaction", "--quick", "--hex-blob"])
        .args(["--routines", "--triggers", "--events", "--flush-privileges", "--no-tablespaces"])
        .args(["--default-character-set=utf8mb4", "--max-allowed-packet=1G", "--verbose"]);
    if client.version.is_mysql() {
        command.arg("--set-gtid-purged=OFF");
        if client.version.at_least(8, 0, 0) {
            command.arg("--column-statistics=0");
            if !version.at_least(8, 0, 0) {
                // The collation that it logs in with is not known there: names that are not ASCII
                // would not be found.
                command.arg("--init-command=SET NAMES utf8mb4");
            }
        }
    }
    let own = if version.is_mariadb() { MARIADB_OWN } else { MYSQL_OWN };
    command.args(own.iter().map(|table| format!("--ignore-table=mysql.{table}")));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    Ok(Source::of(child, login, folder).between(head, COMPLETE))
}

/// Waits until the client's transaction has begun: from then on others may commit.
async fn has_begun(child: &mut Child, words: &LastWords, client: &Client) -> Result<(), String> {
    let end = Instant::now() + LOCK;
    while !words.say(BEGUN) {
        if let Ok(Some(status)) = child.try_wait()
            && !words.say(BEGUN)
        {
            let why = words.why().await;
            return Err(format!("{} ended with {status}: {why}", client.word()));
        }
        if Instant::now() >= end {
            return Err(format!(
                "{} did not begin to read within {} s",
                client.word(),
                LOCK.as_secs()
            ));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
