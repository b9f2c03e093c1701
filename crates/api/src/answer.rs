//! Orders that commands give, and the answers.

use primacy_exec::{PurgedLogs, Report};
use primacy_plan::{Plan, Reason};
use primacy_store::{Event, JournalEntry, OperationRecord};
use primacy_types::Address;
use serde::{Deserialize, Serialize};

/// Move the role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchoverOrder {
    /// To this server; the best candidate if not named.
    #[serde(default)]
    pub to: Option<Address>,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// Leave the old primary alone, read-only, instead of making it a replica of the new one.
    #[serde(default)]
    pub leave_old: bool,
}

/// Replace a dead primary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailoverOrder {
    /// By this server; the best candidate if not named.
    #[serde(default)]
    pub to: Option<Address>,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// The person knows that the primary is dead, or accepts that it cannot be fenced.
    #[serde(default)]
    pub force: bool,
    /// The person accepts that transactions which exist are given up (with `force`).
    #[serde(default)]
    pub accept_loss: bool,
}

/// Pause automatic actions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseOrder {
    /// Why, for whoever looks next.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Remove relay logs that are applied and that nobody may need any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgeOrder {
    /// Of these servers; of all replicas if none is named.
    #[serde(default)]
    pub servers: Vec<Address>,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// What came of that, server by server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgeReport {
    /// The cluster.
    pub cluster: String,
    /// It was a dry run.
    pub dry_run: bool,
    /// Its servers.
    pub servers: Vec<PurgedLogs>,
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum Answer {
    /// A dry run: this would be done.
    Plan {
        /// The plan.
        plan: Box<Plan>,
    },
    /// It was done.
    Done {
        /// What was done.
        report: Report,
    },
    /// A held failover took the changed order and goes on with it.
    Amended {
        /// Its id.
        operation: String,
    },
}

/// Which kind of error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// No such cluster or operation.
    NotFound,
    /// Nothing was touched.
    Refused,
    /// It was begun, failed, and everything was put back.
    BackedOut,
    /// It was begun and is not finished; the manager goes on with it or a person has to look.
    Failed,
    /// The lock, or another operation, is in the way.
    Busy,
    /// The request could not be read.
    BadRequest,
    /// The manager does not answer (any more).
    Unreachable,
    /// Something else is wrong with the manager.
    Internal,
}

/// Why an order was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// Which kind.
    pub kind: ErrorKind,
    /// The sentence for people.
    pub message: String,
    /// Each reason with its way out, where it was refused.
    #[serde(default)]
    pub reasons: Vec<Reason>,
}

impl ApiError {
    /// An error without further reasons.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), reasons: Vec::new() }
    }
}

/// One operation in the list.
pub type HistoryEntry = OperationRecord;

/// One operation with all that is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryDetail {
    /// The operation.
    pub operation: OperationRecord,
    /// Its journal.
    pub journal: Vec<JournalEntry>,
    /// Its timeline.
    pub timeline: Timeline,
}

/// Events in the order in which they happened.
pub type Timeline = Vec<Event>;
