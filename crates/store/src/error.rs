//! What can go wrong with the store, in sentences for the one who is paged.

use std::path::PathBuf;

use primacy_types::{Address, Epoch, WallClock};

use crate::OperationId;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The folder or file could not be made or opened.
    #[error(
        "the state file {} cannot be opened: {source}; check that its folder exists on a local \
         disk and belongs to the user that Primacy runs as", path.display()
    )]
    Open {
        /// The state file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A later Primacy wrote this file.
    #[error(
        "the state file {} has format {found}, this Primacy knows formats up to {known}: it was \
         written by a later version; nothing was changed; start that version again, or restore \
         the copy made before the upgrade", path.display()
    )]
    TooNew {
        /// The state file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format that this program knows.
        known: i64,
    },
    /// A SQLite file, but not one of ours.
    #[error(
        "{} is a SQLite database of another program; nothing was changed; name another state file",
        path.display()
    )]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged, or is no SQLite file.
    #[error(
        "the state file {} is damaged ({what}); nothing was changed; stop Primacy, move the file \
         and its -wal and -shm companions away (keep them: they hold the history), and start \
         again: the clusters are observed anew; or restore a copy. If a failover or switchover \
         was under way, look at `primacy status` and `primacy check` before anything else, \
         because its journal is in the damaged file", path.display()
    )]
    Damaged {
        /// The state file.
        path: PathBuf,
        /// What SQLite said.
        what: String,
    },
    /// No space was left; what was stored before is intact.
    #[error(
        "the state file {} could not grow: the disk is full (or a quota reached); this record was \
         not stored, everything stored before is intact; make room on that disk, or lower the \
         retention, then repeat", path.display()
    )]
    Full {
        /// The state file.
        path: PathBuf,
    },
    /// Another process held the file for longer than the busy limit.
    #[error(
        "the state file {} was locked by another process for more than {} s; see who holds it \
         (fuser {}) and repeat", path.display(), crate::open::BUSY_LIMIT.as_secs(), path.display()
    )]
    Busy {
        /// The state file.
        path: PathBuf,
    },
    /// A lower epoch than the stored one, or the same with another primary.
    #[error(
        "cluster {cluster}: epoch {offered} with primary {offered_primary} was refused, because \
         epoch {stored} with primary {} is already stored; a later promotion happened, so this \
         one's view is out of date: look at `primacy history {cluster}`",
        .stored_primary.as_ref().map_or_else(|| "unknown".to_owned(), Address::to_string)
    )]
    EpochWentBack {
        /// The cluster.
        cluster: String,
        /// The epoch on file.
        stored: Epoch,
        /// The primary on file.
        stored_primary: Option<Address>,
        /// The epoch that was refused.
        offered: Epoch,
        /// The primary that was refused.
        offered_primary: Address,
    },
    /// The cluster has an operation that is not finished.
    #[error(
        "cluster {cluster}: {kind} {id} is not finished (started {} ms after 1970 UTC); it has to \
         be finished or backed out before another one begins: see `primacy history {id}`", started.0
    )]
    AlreadyRunning {
        /// The cluster.
        cluster: String,
        /// The operation in the way.
        id: OperationId,
        /// Its kind.
        kind: String,
        /// When it began.
        started: WallClock,
    },
    /// No operation, or more than one, has this id.
    #[error("{}", unknown(given, matches))]
    UnknownOperation {
        /// What was asked for.
        given: String,
        /// The operations that begin like this, at most a few.
        matches: Vec<String>,
    },
    /// The operation is finished; its journal is history and is not written any more.
    #[error("operation {id} is already finished: its journal is not changed any more")]
    Finished {
        /// The operation.
        id: OperationId,
    },
    /// A stored text is not what this program writes.
    #[error("the state file holds a value that cannot be read ({what}): {value:?}")]
    Unreadable {
        /// Which value.
        what: &'static str,
        /// What stands there.
        value: String,
    },
    /// Anything else that SQLite reports.
    #[error("the state file {} failed: {source}", path.display())]
    Sqlite {
        /// The state file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

fn unknown(given: &str, matches: &[String]) -> String {
    if matches.is_empty() {
        return format!(
            "no operation has an id that begins with {given:?}; `primacy history` lists them"
        );
    }
    format!("{given:?} begins more than one operation's id: {}", matches.join(", "))
}

impl StoreError {
    /// SQLite's word about `path`, told apart by what a person has to do.
    pub(crate) fn of(path: &std::path::Path, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::Damaged { path, what: source.to_string() }
            }
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                Self::Open { path, source: std::io::Error::other(source) }
            }
            _ => Self::Sqlite { path, source },
        }
    }
}
