//! Asking a server for everything that decisions need, in few round trips.
//!
//! A quick look takes three statements (four on a MySQL replica): counters, variables, replica
//! status, and MySQL's connection tables. A full look adds what changes seldom. What the account
//! may not see is left out and named as a [`Gap`]; the replica status is not optional, since a
//! replica that cannot be recognised would look like a primary.

mod channel;
mod facts;
mod safety;
mod semi_sync;
mod variables;

use std::time::Duration;

use primacy_types::{RegisteredReplica, ServerFacts};
use primacy_wire::{Rows, Session, WireError};
use tokio::time::Instant;

use crate::classify::{is_denied, session_survives};
use crate::dialect::{Dialect, SemiSyncNames};
use crate::grants::Part;

/// How much to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What moves: state of replication, GTIDs, `read_only`, semi-sync. The rest is taken from
    /// the previous facts.
    Quick,
    /// Also the end of the binary log: without GTID it moves instead of them. (Reading it waits for
    /// a commit that is being written to the log.)
    Place,
    /// Also registered replicas, the end of the binary log, the epoch table, and what survives a
    /// crash.
    Full,
}

/// A part that could not be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// What is missing from the facts.
    pub what: &'static str,
    /// What the server answered.
    pub error: String,
    /// The privilege that would show it, if that is the reason.
    pub privilege_needed: Option<String>,
}

/// What was seen, and what could not be.
#[derive(Clone, Debug)]
pub struct Observation {
    /// What the server said.
    pub facts: ServerFacts,
    /// What it did not say.
    pub gaps: Vec<Gap>,
}

/// A session, the time that is left for it, and what could not be seen so far.
struct Asking<'a> {
    session: &'a mut Session,
    dialect: Dialect,
    deadline: Instant,
    gaps: Vec<Gap>,
}

impl Asking<'_> {
    async fn must(&mut self, sql: &str) -> Result<Rows, WireError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        self.session.query(sql, left).await
    }

    /// A statement that may be refused: `None`, and a gap.
    async fn may(&mut self, part: Part, sql: &str) -> Result<Option<Rows>, WireError> {
        match self.must(sql).await {
            Ok(rows) => Ok(Some(rows)),
            Err(error) if session_survives(&error) => {
                let needed = is_denied(&error).then(|| part.privilege(self.dialect).to_owned());
                self.gaps.push(Gap {
                    what: part.what(),
                    error: error.to_string(),
                    privilege_needed: needed,
                });
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The variables; without those of semi-sync if a plugin was unloaded since the counters
    /// named it.
    async fn variables(&mut self, names: SemiSyncNames) -> Result<Rows, WireError> {
        match self.must(&self.dialect.variables(names)).await {
            Err(error) if error.code() == Some(UNKNOWN_VARIABLE) => {
                self.must(&self.dialect.variables(SemiSyncNames::default())).await
            }
            answer => answer,
        }
    }
}

/// `ER_UNKNOWN_SYSTEM_VARIABLE`.
const UNKNOWN_VARIABLE: u16 = 1193;
/// `ER_BAD_DB_ERROR`, `ER_NO_SUCH_TABLE`: the epoch table was not made yet.
const NO_TABLE: &[u16] = &[1049, 1146];

/// Observes a server. `limit` is for all of it together.
///
/// After an error the session is to be looked at (`Session::is_broken`), not the error alone.
pub async fn observe(
    session: &mut Session,
    depth: Depth,
    previous: Option<&ServerFacts>,
    limit: Duration,
) -> Result<Observation, WireError> {
    let dialect = Dialect::of(session.version());
    let deadline = Instant::now() + limit;
    let mut asking = Asking { session, dialect, deadline, gaps: Vec::new() };

    let counters = asking.must(&dialect.counters()).await?;
    let names = SemiSyncNames::from_rows(&counters);
    let variables = asking.variables(names).await?;
    let status = asking.must(dialect.replica_status()).await?;
    let tables = match dialect.connection_tables() {
        Some(sql) if !status.is_empty() => asking.may(Part::Connections, sql).await?,
        _ => None,
    };

    let channels = channel::parse(dialect, &status, tables.as_ref(), &counters);
    let mut facts = facts::parse(dialect, &variables, &counters, channels)
        .map_err(|reason| protocol(asking.session, reason))?;
    facts.semi_sync = semi_sync::parse(names, &counters, &variables);
    if let Some(previous) = previous {
        facts.replicas.clone_from(&previous.replicas);
        facts.binlog.clone_from(&previous.binlog);
        facts.closed_binlogs.clone_from(&previous.closed_binlogs);
        facts.epoch = previous.epoch;
        facts.safety.clone_from(&previous.safety);
    }
    if depth != Depth::Quick
        && let Some(rows) = asking.may(Part::BinlogStatus, dialect.binlog_status()).await?
    {
        facts.binlog = facts::binlog_end(&rows);
    }
    if depth == Depth::Full {
        let known = previous.filter(|p| p.uptime_seconds <= facts.uptime_seconds);
        if facts.log_bin
            && known.is_none_or(|known| known.closed_binlogs.is_empty())
            && let Some(rows) = asking.may(Part::BinlogStatus, dialect.binary_logs()).await?
        {
            facts.closed_binlogs = facts::closed_binlogs(&rows);
        }
        look_closer(&mut asking, &mut facts).await?;
    }
    Ok(Observation { facts, gaps: asking.gaps })
}

async fn look_closer(asking: &mut Asking<'_>, facts: &mut ServerFacts) -> Result<(), WireError> {
    let dialect = asking.dialect;
    if let Some(rows) = asking.may(Part::Replicas, dialect.registered_replicas()).await? {
        facts.replicas = registered(&rows);
    }
    match asking.must(dialect.read_epoch()).await {
        Ok(rows) => facts.epoch = facts::epoch(&rows),
        Err(error) if error.code().is_some_and(|code| NO_TABLE.contains(&code)) => {
            facts.epoch = None;
        }
        Err(error) if session_survives(&error) => asking.gaps.push(Gap {
            what: Part::Epoch.what(),
            error: error.to_string(),
            privilege_needed: Some(Part::Epoch.privilege(dialect).to_owned()),
        }),
        Err(error) => return Err(error),
    }
    safety::look(asking, facts).await
}

fn registered(rows: &Rows) -> Vec<RegisteredReplica> {
    rows.iter()
        .map(|row| RegisteredReplica {
            server_id: row.get("Server_id").and_then(|id| id.parse().ok()).unwrap_or(0),
            address: facts::reported_address(row.get("Host"), row.get("Port")),
        })
        .collect()
}

fn protocol(session: &Session, reason: String) -> WireError {
    WireError::Protocol { address: session.address().clone(), reason }
}

#[cfg(test)]
mod tests;
