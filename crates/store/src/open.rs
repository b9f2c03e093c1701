//! Opening the file, and the one connection that all calls share.

use std::fmt;
use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use crate::{StoreError, schema};

/// How long a call waits for another process that writes to the same file.
pub(crate) const BUSY_LIMIT: Duration = Duration::from_secs(5);

/// The state file. Clones share one connection.
#[derive(Clone)]
pub struct Store {
    connection: Arc<Mutex<Connection>>,
    path: Arc<Path>,
}

impl Store {
    /// Opens the state file, or makes it (readable by its owner only, as is the folder if that has
    /// to be made). An older format is brought forward; a newer one is refused.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let path = path.into();
        create_private(&path).map_err(|source| StoreError::Open { path: path.clone(), source })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags)
            .map_err(|source| StoreError::of(&path, source))?;
        Self::prepare(connection, &path)
    }

    /// A store that ends with the process, for tests and for commands that run without a manager.
    pub fn in_memory() -> Result<Self, StoreError> {
        let path = Path::new(":memory:");
        let connection =
            Connection::open_in_memory().map_err(|source| StoreError::of(path, source))?;
        Self::prepare(connection, path)
    }

    /// The state file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn prepare(mut connection: Connection, path: &Path) -> Result<Self, StoreError> {
        let sqlite = |source| StoreError::of(path, source);
        connection.busy_timeout(BUSY_LIMIT).map_err(sqlite)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(sqlite)?;
        // A damaged or foreign file is found here, before anything is written to it.
        let verdict: String =
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(sqlite)?;
        if verdict != "ok" {
            return Err(StoreError::Damaged { path: path.to_owned(), what: verdict });
        }
        schema::migrate(&mut connection, path)?;
        // After the migration: switching to WAL rewrites the header of a file that may be foreign.
        switch_to_wal(&connection).map_err(sqlite)?;
        connection.pragma_update(None, "synchronous", "full").map_err(sqlite)?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), path: path.into() })
    }

    /// Runs one statement, by itself.
    pub(crate) fn run<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, StoreError> {
        work(&self.lock()).map_err(|source| self.error(source))
    }

    /// Runs one transaction that has the write lock from its start; on an error nothing of it stays.
    pub(crate) fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.lock();
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|source| self.error(source))?;
        let result = work(&transaction)?;
        transaction.commit().map_err(|source| self.error(source))?;
        Ok(result)
    }

    pub(crate) fn error(&self, source: rusqlite::Error) -> StoreError {
        StoreError::of(&self.path, source)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic while it was held rolled its transaction back: the connection is sound.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

/// SQLite does not apply the busy limit to this switch (it needs the file for itself, while
/// another process may be opening it, too).
fn switch_to_wal(connection: &Connection) -> Result<(), rusqlite::Error> {
    let begun = Instant::now();
    loop {
        match connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())) {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && begun.elapsed() < BUSY_LIMIT =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            other => return other,
        }
    }
}

/// SQLite gives its `-wal` and `-shm` files the mode of the main file.
fn create_private(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use primacy_types::WallClock;
    use serde_json::json;

    use super::*;
    use crate::{EventFilter, JournalEntry, Level, StepState};

    #[test]
    fn a_full_disk_is_named_and_loses_nothing_that_was_stored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let store = Store::open(&path).unwrap();
        let id = store.begin("shop", "failover", &json!({}), WallClock(1)).unwrap();
        let pages: i64 =
            store.run(|c| c.pragma_query_value(None, "page_count", |row| row.get(0))).unwrap();
        store
            .run(|c| c.pragma_update_and_check(None, "max_page_count", pages + 4, |_| Ok(())))
            .unwrap();
        let mut stored = 0;
        let error = loop {
            let entry = JournalEntry {
                step: stored,
                name: "drain".to_owned(),
                state: StepState::Done,
                at: WallClock(2),
                detail: json!({ "text": "x".repeat(1000) }),
            };
            match store.journal(&id, &entry) {
                Ok(()) => stored += 1,
                Err(error) => break error,
            }
            assert!(stored < 1000, "the limit was not reached");
        };
        assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
        assert!(error.to_string().contains("the disk is full"), "{error}");
        assert_eq!(store.entries(&id).unwrap().len(), stored as usize);
        drop(store);

        let store = Store::open(&path).unwrap();
        assert_eq!(store.entries(&id).unwrap().len(), stored as usize);
        store.event("shop", None, WallClock(3), Level::Info, "room again", &json!(null)).unwrap();
        assert_eq!(store.events(&EventFilter::default()).unwrap().len(), 1);
    }

    #[test]
    fn every_commit_waits_for_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("state.db")).unwrap();
        let mode: String =
            store.run(|c| c.pragma_query_value(None, "journal_mode", |row| row.get(0))).unwrap();
        let synchronous: i64 =
            store.run(|c| c.pragma_query_value(None, "synchronous", |row| row.get(0))).unwrap();
        assert_eq!((mode.as_str(), synchronous), ("wal", 2));
    }

    #[test]
    fn the_table_itself_refuses_a_second_unfinished_operation() {
        let store = Store::in_memory().unwrap();
        store.begin("shop", "failover", &json!({}), WallClock(1)).unwrap();
        store
            .run(|c| {
                c.execute(
                    "INSERT INTO operation (id, cluster, kind, started)
                     VALUES ('x', 'shop', 'failover', 2)",
                    [],
                )
            })
            .unwrap_err();
    }
}
