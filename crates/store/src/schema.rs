//! The tables, and how an older file becomes a newer one.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::StoreError;

/// Marks a SQLite file as Primacy's ("PRMC").
pub(crate) const APPLICATION_ID: i64 = 0x5052_4d43;

/// One entry a format; entry `n` makes format `n + 1` of format `n`. Entries that were released
/// are never edited.
const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE cluster (
    name TEXT PRIMARY KEY,
    primary_address TEXT,
    epoch INTEGER NOT NULL DEFAULT 0,
    paused INTEGER NOT NULL DEFAULT 0,
    paused_reason TEXT,
    last_failover INTEGER,
    updated INTEGER NOT NULL
) STRICT;

CREATE TABLE operation (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    cluster TEXT NOT NULL,
    kind TEXT NOT NULL,
    started INTEGER NOT NULL,
    finished INTEGER,
    outcome TEXT,
    sentence TEXT,
    past_no_return INTEGER
) STRICT;
CREATE UNIQUE INDEX one_unfinished_operation ON operation (cluster) WHERE finished IS NULL;
CREATE INDEX operation_of_cluster ON operation (cluster, seq);

CREATE TABLE plan (
    operation TEXT NOT NULL REFERENCES operation (id) ON DELETE CASCADE,
    generation INTEGER NOT NULL,
    plan TEXT NOT NULL,
    PRIMARY KEY (operation, generation)
) STRICT;

CREATE TABLE journal (
    seq INTEGER PRIMARY KEY,
    operation TEXT NOT NULL REFERENCES operation (id) ON DELETE CASCADE,
    step INTEGER NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    at INTEGER NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX journal_of_operation ON journal (operation, seq);

CREATE TABLE data (
    operation TEXT NOT NULL REFERENCES operation (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (operation, key)
) STRICT;

CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    cluster TEXT NOT NULL,
    operation TEXT,
    at INTEGER NOT NULL,
    level TEXT NOT NULL,
    text TEXT NOT NULL,
    data TEXT NOT NULL
) STRICT;
CREATE INDEX event_of_cluster ON event (cluster, seq);
CREATE INDEX event_of_operation ON event (operation, seq) WHERE operation IS NOT NULL;
CREATE INDEX event_at ON event (at);
",
    "
CREATE TABLE server (
    cluster TEXT NOT NULL,
    address TEXT NOT NULL,
    facts TEXT NOT NULL,
    local INTEGER NOT NULL DEFAULT 0,
    seen INTEGER NOT NULL,
    PRIMARY KEY (cluster, address)
) STRICT;
",
    "
CREATE TABLE lease (
    cluster TEXT PRIMARY KEY,
    record TEXT NOT NULL
) STRICT;
",
    "
CREATE TABLE absence (
    cluster TEXT NOT NULL,
    address TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (cluster, address)
) STRICT;
ALTER TABLE operation ADD COLUMN beside INTEGER NOT NULL DEFAULT 0;
DROP INDEX one_unfinished_operation;
CREATE UNIQUE INDEX one_unfinished_operation ON operation (cluster)
    WHERE finished IS NULL AND beside = 0;
",
    "
CREATE TABLE changed_setting (
    cluster TEXT NOT NULL,
    address TEXT NOT NULL,
    name TEXT NOT NULL,
    former TEXT NOT NULL,
    PRIMARY KEY (cluster, address, name)
) STRICT;
",
];

/// Brings the file to the newest format, or says why it cannot be.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    migrate_with(connection, path, MIGRATIONS)
}

fn migrate_with(
    connection: &mut Connection,
    path: &Path,
    migrations: &[&str],
) -> Result<(), StoreError> {
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    let sqlite = |source| StoreError::of(path, source);
    // Two processes may open a new file at once: the version is read under the write lock.
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
    let found = pragma(&transaction, "user_version").map_err(sqlite)?;
    let owner = pragma(&transaction, "application_id").map_err(sqlite)?;
    if owner != APPLICATION_ID {
        let tables: i64 = transaction
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map_err(sqlite)?;
        if owner != 0 || tables != 0 {
            return Err(StoreError::NotOurs { path: path.to_owned() });
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(sqlite)?;
    }
    if found > known {
        return Err(StoreError::TooNew { path: path.to_owned(), found, known });
    }
    for migration in migrations.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(migration).map_err(sqlite)?;
    }
    transaction.pragma_update(None, "user_version", known).map_err(sqlite)?;
    transaction.commit().map_err(sqlite)
}

fn pragma(connection: &Connection, name: &str) -> Result<i64, rusqlite::Error> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(connection: &Connection) -> i64 {
        pragma(connection, "user_version").unwrap()
    }

    #[test]
    fn an_older_file_is_brought_forward_and_keeps_its_rows() {
        let mut connection = Connection::open_in_memory().unwrap();
        let path = Path::new("state.db");
        migrate(&mut connection, path).unwrap();
        connection
            .execute("INSERT INTO cluster (name, epoch, updated) VALUES ('shop', 7, 1)", [])
            .unwrap();
        let later = [MIGRATIONS, &["ALTER TABLE cluster ADD COLUMN note TEXT;"]].concat();
        migrate_with(&mut connection, path, &later).unwrap();
        let row = connection
            .query_row("SELECT epoch, note FROM cluster", [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?))
            })
            .unwrap();
        assert_eq!(row, (7, None));
        assert_eq!(version(&connection), i64::try_from(later.len()).unwrap());
    }

    #[test]
    fn a_migration_that_fails_changes_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        let path = Path::new("state.db");
        migrate(&mut connection, path).unwrap();
        let before = version(&connection);
        let broken = [MIGRATIONS, &["CREATE TABLE extra (a TEXT) STRICT; nonsense;"]].concat();
        migrate_with(&mut connection, path, &broken).unwrap_err();
        assert_eq!(version(&connection), before);
        let extra: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'extra'", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(extra, 0);
    }
}
