//! Plans and refusals: what will be done, or why nothing is done and what would make it possible.

use std::fmt;

use primacy_types::{Address, Epoch, Millis};
use serde::{Deserialize, Serialize};

use crate::{Coverage, Judged, Step};

/// Begins the note of a plan that names a guarantee which is missing.
pub(crate) const NOT_GUARANTEED: &str = "NOT GUARANTEED";

/// Begins the note of a plan that does what the policy forbids because a person said so.
pub(crate) const FORCED: &str = "FORCED";

/// What kind of change a plan makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// A dead primary is replaced.
    Failover,
    /// The role moves while both servers are alive.
    Switchover,
    /// The primary itself is made writable again after a restart.
    Reopen,
}

impl OperationKind {
    /// The word in journals and histories.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::Switchover => "switchover",
            Self::Reopen => "reopen",
        }
    }
}

impl fmt::Display for OperationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A step with its limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// What shall be true.
    pub step: Step,
    /// The step fails if it has not succeeded after so long; for steps that wait for progress,
    /// after so long without progress.
    pub limit: Millis,
    /// From the start of this step on the operation is finished, not backed out.
    pub no_return: bool,
}

/// What will be done, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Name of the cluster.
    pub cluster: String,
    /// What kind of change it is.
    pub kind: OperationKind,
    /// The primary before.
    pub old: Address,
    /// The primary afterwards.
    pub winner: Address,
    /// The epoch of the new primary.
    pub epoch: Epoch,
    /// Whether its steps count in places of the old primary's binary logs, not in GTIDs.
    #[serde(default)]
    pub by_place: bool,
    /// The steps.
    pub steps: Vec<PlannedStep>,
    /// What can be said about acknowledged rows (failover only).
    pub coverage: Option<Coverage>,
    /// What people should know: missing guarantees, servers left out, and why.
    pub notes: Vec<String>,
    /// How every other server was judged.
    pub judged: Vec<Judged>,
    /// Replicas that could not be given what they lack: they stay where they are.
    #[serde(default)]
    pub left_behind: Vec<Address>,
}

impl Plan {
    /// Position of the first step from which there is no way back.
    pub fn no_return_at(&self) -> Option<usize> {
        self.steps.iter().position(|s| s.no_return)
    }

    /// Whether a note begins with this word.
    pub(crate) fn notes_say(&self, word: &str) -> bool {
        self.notes.iter().any(|note| note.starts_with(word))
    }
}

/// One reason why an operation is refused, and the way out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What stands against it, as a sentence.
    pub why: String,
    /// The command or SQL that helps, or what a person has to decide.
    pub remedy: String,
}

impl Reason {
    /// A reason with its way out.
    pub fn new(why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { why: why.into(), remedy: remedy.into() }
    }
}

/// Why no plan was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct Refusal {
    /// What was asked for.
    pub kind: OperationKind,
    /// All reasons, the weightiest first.
    pub reasons: Vec<Reason>,
    /// Waiting may help: events are known to exist and may still arrive. The operation is held
    /// and retried, not given up.
    pub held: bool,
    /// How every other server was judged.
    pub judged: Vec<Judged>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} refused", self.kind)?;
        for reason in &self.reasons {
            write!(f, ": {} ({})", reason.why, reason.remedy)?;
        }
        Ok(())
    }
}
