//! Locks that would hold up `SET GLOBAL read_only`: LOCK TABLES, FLUSH TABLES WITH READ LOCK,
//! backups.

use std::time::Duration;

use primacy_wire::{Rows, Session, WireError};

use crate::dialect::Dialect;

/// A lock that a session holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldLock {
    /// The session.
    pub session_id: u64,
    /// `GLOBAL`, `BACKUP LOCK`, `TABLE`, ... in the server's words.
    pub kind: String,
    /// How it is locked, in the server's words.
    pub mode: String,
    /// `schema.table`, if it is one.
    pub table: Option<String>,
}

/// Locks as far as the server shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockView {
    /// These are all.
    Seen(Vec<HeldLock>),
    /// The server shows none: why, and what would mend it.
    Hidden(String),
}

/// Reads the held locks. MySQL 5.6 shows none; later ones need `performance_schema`; MariaDB the
/// plugin `metadata_lock_info`.
pub async fn held_locks(session: &mut Session, limit: Duration) -> Result<LockView, WireError> {
    let dialect = Dialect::of(session.version());
    let (sql, mend) = match (dialect.held_locks(), dialect.held_locks_by_plugin()) {
        (Some(sql), _) => {
            let on = session.query(INSTRUMENTED, limit).await?;
            if on.first().and_then(|row| row.at(0)) != Some("YES") {
                return Ok(LockView::Hidden(INSTRUMENT.into()));
            }
            (sql, INSTRUMENT)
        }
        (None, Some(sql)) => (sql, "INSTALL SONAME 'metadata_lock_info' makes them visible"),
        (None, None) => {
            return Ok(LockView::Hidden(format!("{} has no table of them", dialect.version())));
        }
    };
    match session.query(sql, limit).await {
        Ok(rows) => Ok(LockView::Seen(read(&rows))),
        Err(error) if error.code() == Some(UNKNOWN_TABLE) => Ok(LockView::Hidden(mend.into())),
        Err(error) => Err(error),
    }
}

/// `ER_UNKNOWN_TABLE`: the plugin is not loaded.
const UNKNOWN_TABLE: u16 = 1109;
const INSTRUMENT: &str = "performance_schema must be on, with the instrument \
                          wait/lock/metadata/sql/mdl enabled";
/// Empty where `performance_schema` is off.
const INSTRUMENTED: &str = "SELECT ENABLED FROM performance_schema.setup_instruments \
     WHERE NAME = 'wait/lock/metadata/sql/mdl'";

pub(super) fn read(rows: &Rows) -> Vec<HeldLock> {
    rows.iter()
        .map(|row| {
            let text = |column: &str| row.get(column).unwrap_or_default().to_owned();
            let named = row.get("name").filter(|name| !name.is_empty());
            HeldLock {
                session_id: text("id").parse().unwrap_or(0),
                kind: text("kind"),
                mode: text("mode"),
                table: named.map(|name| format!("{}.{name}", text("db"))),
            }
        })
        .collect()
}
