//! What an operation was asked for, and what came of it.

use primacy_plan::{FailoverRequest, OperationKind, Plan, SwitchoverRequest};
use primacy_types::{Address, Epoch, Millis};
use serde::{Deserialize, Serialize};

use crate::LastSeen;

/// What an operation was asked to do. It is written to the journal with the plan, so that a
/// restarted manager finds it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Replace a dead primary.
    Failover(FailoverRequest),
    /// Move the role.
    Switchover(SwitchoverRequest),
    /// Make a restarted primary writable again.
    Reopen(Address),
}

impl Request {
    /// The kind of operation.
    pub fn kind(&self) -> OperationKind {
        match self {
            Self::Failover(_) => OperationKind::Failover,
            Self::Switchover(_) => OperationKind::Switchover,
            Self::Reopen(_) => OperationKind::Reopen,
        }
    }

    /// A person accepted that transactions which exist somewhere are given up.
    pub fn accepts_loss(&self) -> bool {
        matches!(self, Self::Failover(f) if f.force && f.accept_loss)
    }
}

/// The journal's first page of an operation, and each later generation of its plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// What was asked for.
    pub request: Request,
    /// The plan of this generation.
    pub plan: Plan,
    /// What was known of the old primary; only with the first generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<LastSeen>,
}

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Its id in the history.
    pub operation: String,
    /// What kind it was.
    pub kind: OperationKind,
    /// The primary afterwards.
    pub primary: Address,
    /// Its epoch.
    pub epoch: Epoch,
    /// From the beginning of the operation until applications could write, where they could not.
    pub took: Millis,
    /// What was left undone and will be retried, one sentence each.
    pub left: Vec<String>,
    /// The outcome as a sentence.
    pub sentence: String,
}
