//! Applies files of events to a server, over a connection.
//!
//! All files are read to their end before anything is applied: what is damaged, or cannot be applied
//! by a client, is found then. A transaction may begin in one file and end in the next; one that does
//! not end is rolled back.

use std::path::PathBuf;
use std::time::Duration;

use primacy_binlog::{ReadError, Reader};
use primacy_types::Flavor;
use primacy_wire::{ConnectOptions, Session, WireError};

use crate::save::readable;
use crate::statements::{Collations, Statement, Target, Translator};
use crate::{NodeError, Say};

/// Limit of one statement of ours.
const LIMIT: Duration = Duration::from_secs(30);

/// Limit of one statement out of a log: it may be one that rebuilds a large table.
const APPLYING: Duration = Duration::from_secs(12 * 3600);

/// What is applied, and where.
#[derive(Clone, Debug)]
pub struct Apply {
    /// The files, in order.
    pub files: Vec<PathBuf>,
    /// The server.
    pub login: ConnectOptions,
    /// Whether the server writes it to its own binary log.
    pub log: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// How many events were applied.
    pub events: u64,
    /// The last transaction was not whole and was rolled back.
    pub rolled_back: bool,
}

/// Applies the files.
///
/// # Errors
/// [`NodeError::Applying`] once something may have been applied; anything else before that.
pub async fn apply(wanted: &Apply, say: Say<'_>) -> Result<Applied, NodeError> {
    check(wanted)?;
    let mut session = Session::connect(&wanted.login).await?;
    let target = prepare(&mut session, wanted.log).await?;
    let closed = open_for_writes(&mut session).await?;
    let applied = all(wanted, &mut session, target, say).await;
    if closed && let Err(error) = close_again(&mut session, &wanted.login).await {
        say(&format!(
            "super_read_only could not be switched on again ({error}); do it by hand: SET GLOBAL \
             super_read_only = 1"
        ));
    }
    session.close().await;
    applied
}

/// Whether the server can be logged in to and takes what applying needs; nothing is written.
///
/// # Errors
/// What it said.
pub async fn test(login: &ConnectOptions) -> Result<(), NodeError> {
    let mut session = Session::connect(login).await?;
    prepare(&mut session, false).await?;
    session.close().await;
    Ok(())
}

/// Whether all of it can be read and applied, as far as that does not depend on the server.
///
/// # Errors
/// What is damaged, or cannot be applied by a client.
pub fn check(wanted: &Apply) -> Result<(), NodeError> {
    // What depends on the server is checked with it.
    let mut translator = Translator::new(Target { gtids: true, collations: Collations::any() });
    for path in &wanted.files {
        let mut reader = readable(path)?;
        while let Some((event, format)) = reader.next_in_format()? {
            translator.take(&event, format)?;
        }
    }
    Ok(())
}

/// Makes the session one in which events can be applied, and says what it keeps.
async fn prepare(session: &mut Session, log: bool) -> Result<Target, NodeError> {
    if !log {
        session.execute("SET @@session.sql_log_bin = 0", LIMIT).await?;
    }
    session.execute("SET @@session.autocommit = 1", LIMIT).await?;
    let mariadb = session.version().flavor == Flavor::MariaDb;
    let gtids = mariadb || has_gtids(session).await?;
    if !mariadb {
        // As replication does it, where the server knows it (MySQL 5.6.10 and later).
        match session.execute("SET @@session.pseudo_slave_mode = 1", LIMIT).await {
            Ok(_) | Err(WireError::Server { .. }) => {}
            Err(other) => return Err(other.into()),
        }
    }
    let sql = "SELECT id, character_set_name, collation_name FROM information_schema.collations";
    let rows = session.query(sql, LIMIT).await?;
    let mut collations = Collations::default();
    for row in rows.iter() {
        if let (Some(id), Some(set), Some(name)) = (row.at(0), row.at(1), row.at(2))
            && let Ok(id) = id.parse()
        {
            collations.insert(id, set.to_owned(), name.to_owned());
        }
    }
    Ok(Target { gtids, collations })
}

/// Whether a MySQL server takes GTIDs.
async fn has_gtids(session: &mut Session) -> Result<bool, NodeError> {
    match session.query("SELECT @@global.gtid_mode", LIMIT).await {
        Ok(rows) => Ok(rows.first().and_then(|row| row.at(0)).is_some_and(|mode| mode == "ON")),
        Err(WireError::Server { .. }) => Ok(false),
        Err(other) => Err(other.into()),
    }
}

/// A server with `super_read_only` (MySQL 5.7.8 and later) takes nothing from anybody: it is switched
/// off for the while, and stays read-only for others. Whether it was on.
async fn open_for_writes(session: &mut Session) -> Result<bool, NodeError> {
    let on = match session.query("SELECT @@global.super_read_only", LIMIT).await {
        Ok(rows) => rows.first().and_then(|row| row.at(0)) == Some("1"),
        Err(WireError::Server { .. }) => false,
        Err(other) => return Err(other.into()),
    };
    if on {
        session.execute("SET GLOBAL super_read_only = 0", LIMIT).await?;
    }
    Ok(on)
}

async fn close_again(session: &mut Session, login: &ConnectOptions) -> Result<(), WireError> {
    let sql = "SET GLOBAL super_read_only = 1";
    if session.execute(sql, LIMIT).await.is_ok() {
        return Ok(());
    }
    let mut session = Session::connect(login).await?;
    session.execute(sql, LIMIT).await.map(drop)
}

async fn all(
    wanted: &Apply,
    session: &mut Session,
    target: Target,
    say: Say<'_>,
) -> Result<Applied, NodeError> {
    let mut translator = Translator::new(target);
    let mut applied = Applied::default();
    for path in &wanted.files {
        let mut reader = readable(path)?;
        let name = path.display().to_string();
        while let Some((at, statements)) = next(&mut reader, &mut translator)? {
            for statement in statements {
                run(session, &statement).await.map_err(|error| NodeError::Applying {
                    file: name.clone(),
                    at,
                    error: Box::new(error),
                })?;
            }
            applied.events += 1;
        }
        say(&format!("applied {name}"));
    }
    applied.rolled_back = translator.is_open();
    for statement in translator.end() {
        // The end of the session does the same.
        let _ended = run(session, &statement).await;
    }
    Ok(applied)
}

fn next(
    reader: &mut Reader<std::fs::File>,
    translator: &mut Translator,
) -> Result<Option<(u64, Vec<Statement>)>, NodeError> {
    match reader.next_in_format() {
        Ok(Some((event, format))) => Ok(Some((event.offset(), translator.take(&event, format)?))),
        Ok(None) | Err(ReadError::Torn(_)) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

async fn run(session: &mut Session, statement: &Statement) -> Result<(), WireError> {
    match session.execute_bytes(&statement.sql, APPLYING).await {
        Ok(_) => Ok(()),
        // It ended so on its own server, too.
        Err(error)
            if statement.expected_error != 0 && error.code() == Some(statement.expected_error) =>
        {
            Ok(())
        }
        Err(error) => Err(error),
    }
}
