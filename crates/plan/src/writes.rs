//! What it means that a primary which answers does not commit the manager's own small write.
//!
//! Only a full disk or storage that hangs makes it a primary that cannot write. Whatever is waited
//! for by intention (a lock, a backup, an acknowledgement) or refused by a setting is a reason to
//! tell a person and never one to fail over. What is not known counts as such a reason if it is an
//! error, and as a hang if it is a wait: a commit that nobody holds up on purpose ends.

use primacy_types::{Address, ClusterSnapshot, Millis, WriteTrouble, WriteWord};

use crate::Diagnosis;
use crate::evidence::{self, Evidence, Observer, Weight};

/// What keeps a write from being committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteCause {
    /// The server has no place for it, or its storage does not take it.
    Storage,
    /// It goes on and on, and nobody is seen to hold it up: storage that hangs.
    Hang,
    /// A lock: FLUSH TABLES WITH READ LOCK, LOCK TABLES, a backup, another transaction.
    Lock,
    /// Commits wait for replicas to acknowledge them.
    Acknowledgement,
    /// The server is read-only.
    ReadOnly,
    /// The manager's account may not write it.
    Privilege,
    /// Something else, which says nothing about other writes.
    Other,
}

impl WriteCause {
    /// Whether a server with this trouble can commit nothing.
    pub const fn is_fatal(self) -> bool {
        matches!(self, Self::Storage | Self::Hang)
    }
}

/// `ER_LOCK_WAIT_TIMEOUT`, `ER_LOCK_DEADLOCK`, `ER_CANT_UPDATE_WITH_READLOCK`.
const LOCKED: &[u16] = &[1205, 1213, 1223];
/// `ER_OPTION_PREVENTS_STATEMENT`, `ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION`, `ER_READ_ONLY_MODE`
/// and MariaDB's name for it.
const READ_ONLY: &[u16] = &[1290, 1792, 1836];
/// `ER_*ACCESS_DENIED*`.
const DENIED: &[u16] = &[1044, 1045, 1142, 1143, 1227, 1370];
/// `EE_WRITE`, `EE_CANT_CHSIZE`, `EE_DISK_FULL`, `ER_DISK_FULL`,
/// `ER_ERROR_ON_WRITE`, `ER_RECORD_FILE_FULL`, `ER_BINLOG_LOGGING_IMPOSSIBLE`.
const STORAGE: &[u16] = &[3, 14, 20, 1021, 1026, 1114, 1598];
/// Errors that carry one of the storage engine or of the operating system in their text:
/// `ER_CANT_CREATE_FILE`, `ER_CANT_CREATE_TABLE`, `ER_GET_ERRNO`, `ER_ERROR_DURING_COMMIT`.
const CARRYING: &[u16] = &[1004, 1005, 1030, 1180];
/// How such texts say EIO, ENOSPC, EROFS and EDQUOT (`Got error 28 ...`, `(errno: 28 "No space
/// left on device")`).
const OF_STORAGE: &[&str] = &["no space left", "input/output error", "read-only file", "quota"];
const NUMBERS: &[&str] = &["error 28 ", "errno: 28 ", "error: 28", "error 5 ", "errno: 5 "];

/// States of sessions that wait for an acknowledgement: `Waiting for semi-sync ACK from replica`
/// (MySQL; `slave` before 8.0.26 and on MariaDB), Galera's and group replication's flow control.
const ACKNOWLEDGED: &[&str] = &["semi-sync", "semisync", "wsrep", "group replication"];
/// States of sessions that a lock holds up (`Waiting for global read lock`, `Waiting for backup
/// lock`, `Waiting for table metadata lock`, `Waiting for table flush`, `Waiting for commit lock`).
const LOCKS: &[&str] = &["lock", "table flush", "waiting for backup", "waiting for tables"];

/// Which cause the server's word shows.
pub fn write_cause(word: &WriteWord) -> WriteCause {
    match word {
        WriteWord::Waits { state, others } => {
            let says = |state: &str, any: &[&str]| {
                let state = state.to_lowercase();
                any.iter().any(|part| state.contains(part))
            };
            // A commit may wait for the one before it, which then says what both wait for.
            if says(state, ACKNOWLEDGED) || others.iter().any(|other| says(other, ACKNOWLEDGED)) {
                WriteCause::Acknowledgement
            } else if says(state, LOCKS) {
                WriteCause::Lock
            } else if waits_for_space(state) || others.iter().any(|other| waits_for_space(other)) {
                WriteCause::Storage
            } else {
                WriteCause::Hang
            }
        }
        WriteWord::Refused { code, message } => refused(*code, &message.to_lowercase()),
    }
}

/// MariaDB 10.11: `Waiting for someone to free space`; MySQL has `Waiting for disk space`.
fn waits_for_space(state: &str) -> bool {
    let state = state.to_lowercase();
    state.contains("free space") || state.contains("disk space")
}

fn refused(code: u16, message: &str) -> WriteCause {
    let carries = |parts: &[&str]| parts.iter().any(|part| message.contains(part));
    match code {
        _ if LOCKED.contains(&code) => WriteCause::Lock,
        _ if READ_ONLY.contains(&code) => WriteCause::ReadOnly,
        _ if DENIED.contains(&code) => WriteCause::Privilege,
        _ if STORAGE.contains(&code) => WriteCause::Storage,
        _ if CARRYING.contains(&code) && (carries(OF_STORAGE) || carries(NUMBERS)) => {
            WriteCause::Storage
        }
        _ => WriteCause::Other,
    }
}

/// A word of the server about a write is worth something for so long.
const FRESH: Millis = Millis::from_secs(3);

/// The trouble of the primary that the server has confirmed just now, whatever its cause, once it
/// has lasted for the policy's limit.
pub(crate) fn lasting<'s>(
    snapshot: &'s ClusterSnapshot,
    primary: &Address,
) -> Option<&'s WriteTrouble> {
    let limit = snapshot.policy.write_limit()?;
    let trouble = snapshot.server(primary)?.writes.as_ref()?;
    let fresh = snapshot.now.since(trouble.at) <= FRESH;
    (fresh && snapshot.now.since(trouble.since) >= limit).then_some(trouble)
}

/// The diagnosis of a primary that answers and can commit nothing.
pub(crate) fn cannot_write(snapshot: &ClusterSnapshot, primary: &Address) -> Option<Diagnosis> {
    let trouble = lasting(snapshot, primary)?;
    if !write_cause(&trouble.word).is_fatal() {
        return None;
    }
    let mut evidence = vec![Evidence {
        observer: Observer::Manager,
        weight: Weight::Confirms,
        sentence: format!(
            "it has committed nothing for {}: {}",
            snapshot.now.since(trouble.since),
            said(&trouble.word)
        ),
    }];
    evidence.extend(evidence::of_the_host(snapshot, primary));
    Some(Diagnosis::PrimaryCannotWrite {
        primary: primary.clone(),
        since: trouble.since,
        word: said(&trouble.word),
        evidence,
    })
}

/// What a person should know about the primary's writes, as a sentence; `None` if they are
/// committed, or nobody tries.
pub(crate) fn problem(snapshot: &ClusterSnapshot, primary: &Address) -> Option<String> {
    let trouble = lasting(snapshot, primary)?;
    let said = said(&trouble.word);
    let since = snapshot.now.since(trouble.since);
    Some(match write_cause(&trouble.word) {
        WriteCause::Storage | WriteCause::Hang => {
            format!("{primary} has committed nothing for {since}: {said}")
        }
        WriteCause::Lock => format!(
            "writes on {primary} have waited for a lock for {since} ({said}): FLUSH TABLES WITH \
             READ LOCK, LOCK TABLES or a backup. That is no failure of the server"
        ),
        WriteCause::Acknowledgement => format!(
            "commits on {primary} have waited for {since} for a replica's acknowledgement ({said}): \
             look at the replicas' receivers"
        ),
        WriteCause::ReadOnly => format!("{primary} refuses writes: {said}"),
        WriteCause::Privilege => format!(
            "the write probe may not write on {primary}: {said} (`primacy grants` says what the \
             account needs)"
        ),
        WriteCause::Other => format!("the write probe fails on {primary}: {said}"),
    })
}

/// The server's word for sentences.
pub(crate) fn said(word: &WriteWord) -> String {
    match word {
        WriteWord::Waits { state, others } => {
            let telling = |other: &&String| {
                waits_for_space(other) || {
                    let other = other.to_lowercase();
                    ACKNOWLEDGED.iter().any(|part| other.contains(part))
                }
            };
            match others.iter().find(telling).filter(|_| !waits_for_space(state)) {
                Some(other) => format!("a write stays in state `{state}`, another in `{other}`"),
                None => format!("a write stays in state `{state}`"),
            }
        }
        WriteWord::Refused { code, message } => format!("error {code}: {message}"),
    }
}
