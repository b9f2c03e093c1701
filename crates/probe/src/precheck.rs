//! What stands in the way of a switchover, seen before anything is touched.
//!
//! Each function asks one thing and returns plain structs; what to refuse and what only to name
//! is decided elsewhere. What the account may not see is an error, not an empty list.

mod locks;
mod sessions;

use std::time::Duration;

use primacy_wire::{Row, Session, WireError};

use crate::dialect::{Dialect, Event};

pub use locks::{HeldLock, LockView, held_locks};
pub use sessions::{
    RunningDdl, RunningStatement, ServerSession, SessionKind, application_sessions, running_ddl,
    running_statements, sessions,
};

/// A transaction that is open for long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTransaction {
    /// Its session; 0 if it has none (a prepared XA transaction after a restart).
    pub session_id: u64,
    /// Its age.
    pub seconds: u64,
    /// `RUNNING`, `LOCK WAIT`, ...
    pub state: String,
    /// Rows that it changed so far (approximate).
    pub rows_modified: u64,
}

/// A prepared XA transaction: it holds its locks until somebody decides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedXa {
    /// Its identifier as the XA statements take it: `X'..',X'..',1`.
    pub xid: String,
}

/// An account that can write although `read_only` is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnboundAccount {
    /// `'user'@'host'`.
    pub account: String,
    /// The privileges that let it.
    pub privileges: Vec<String>,
}

fn number(row: &Row, column: &str) -> u64 {
    row.get(column).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// How long nobody may have read `information_schema.INNODB_TRX` before it shows transactions as
/// they are: InnoDB answers from a copy that each reading keeps for 100 ms more, so that who asks
/// more often sees the same for ever (`CACHE_MIN_IDLE_TIME` in `trx0i_s.cc`; all versions).
pub const TRANSACTIONS_KEPT: Duration = Duration::from_millis(110);

/// Transactions that are at least this old, oldest first; those of replication included.
/// Needs PROCESS. See [`TRANSACTIONS_KEPT`].
pub async fn open_transactions(
    session: &mut Session,
    at_least: Duration,
    limit: Duration,
) -> Result<Vec<OpenTransaction>, WireError> {
    let dialect = Dialect::of(session.version());
    let rows = session.query(dialect.transactions(), limit).await?;
    let all = rows.iter().map(|row| OpenTransaction {
        session_id: number(row, "id"),
        seconds: number(row, "age"),
        state: row.get("state").unwrap_or_default().to_owned(),
        rows_modified: number(row, "rows_modified"),
    });
    Ok(all.filter(|transaction| transaction.seconds >= at_least.as_secs()).collect())
}

/// Prepared XA transactions. MySQL 8.0 and later need XA_RECOVER_ADMIN.
pub async fn prepared_xa(
    session: &mut Session,
    limit: Duration,
) -> Result<Vec<PreparedXa>, WireError> {
    let dialect = Dialect::of(session.version());
    let rows = session.query(dialect.xa_recover(), limit).await?;
    Ok(rows.iter().map(|row| PreparedXa { xid: xid(row) }).collect())
}

fn xid(row: &Row) -> String {
    let data = row.bytes("data").unwrap_or_default();
    let length = usize::try_from(number(row, "gtrid_length")).unwrap_or(0).min(data.len());
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
    let (global, branch) = data.split_at(length);
    format!("X'{}',X'{}',{}", hex(global), hex(branch), number(row, "formatID"))
}

/// Accounts of the server itself; nobody logs in with them.
const SYSTEM_ACCOUNTS: &[&str] =
    &["'mysql.session'@", "'mysql.infoschema'@", "'mysql.sys'@", "'mariadb.sys'@"];

/// Accounts whose global privileges let them write while `read_only` is on, without the servers'
/// own and those of the users named in `ours`. Roles count as accounts here. Needs SELECT on the
/// schema `mysql`; without it the list holds only the asking account, that is nothing.
pub async fn accounts_beyond_read_only(
    session: &mut Session,
    ours: &[&str],
    limit: Duration,
) -> Result<Vec<UnboundAccount>, WireError> {
    let dialect = Dialect::of(session.version());
    let sql = dialect.grantees(dialect.privileges_beyond_read_only());
    let rows = session.query(&sql, limit).await?;
    let mut found: Vec<UnboundAccount> = Vec::new();
    for row in &rows {
        let (Some(account), Some(privilege)) = (row.get("grantee"), row.get("privilege")) else {
            continue;
        };
        let own = ours.iter().any(|user| account.starts_with(&format!("'{user}'@")));
        if own || SYSTEM_ACCOUNTS.iter().any(|system| account.starts_with(system)) {
            continue;
        }
        match found.last_mut().filter(|last| last.account == account) {
            Some(last) => last.privileges.push(privilege.to_owned()),
            None => found.push(UnboundAccount {
                account: account.to_owned(),
                privileges: vec![privilege.to_owned()],
            }),
        }
    }
    Ok(found)
}

/// All scheduled events. Needs EVENT; without it the list is empty.
pub async fn events(session: &mut Session, limit: Duration) -> Result<Vec<Event>, WireError> {
    let dialect = Dialect::of(session.version());
    Ok(dialect.events_from(&session.query(dialect.events(), limit).await?))
}

#[cfg(test)]
mod tests;
