//! What can be the matter with a cluster, in words: one variant each, with its evidence. The rules
//! that choose among them stand in `diagnose`.

use primacy_types::{Address, ContactFailure, Moment};
use serde::{Deserialize, Serialize};

use crate::Evidence;

/// How the primary is known to be dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Death {
    /// Its host's operating system says that the process is gone.
    ProcessGone,
    /// Nothing listens on its address, and the replicas lost it.
    Refused,
    /// It is silent towards the manager and towards every replica that can tell.
    Silent,
    /// Somebody shut it down and it was not back in time.
    StoppedForTooLong,
}

/// What is the matter with a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "diagnosis")]
pub enum Diagnosis {
    /// Not enough has been seen to say anything.
    Starting {
        /// Servers that have not answered yet.
        waiting_for: Vec<Address>,
    },
    /// The primary accepts writes and all replicas replicate.
    Healthy {
        /// The primary.
        primary: Address,
    },
    /// The primary accepts writes; something else is wrong.
    Degraded {
        /// The primary.
        primary: Address,
        /// What is wrong, one sentence each.
        problems: Vec<String>,
    },
    /// The primary does not answer the manager; whether it is dead is not settled.
    PrimarySuspected {
        /// The primary.
        primary: Address,
        /// When the first unanswered probe was sent.
        since: Moment,
        /// What each observer says.
        evidence: Vec<Evidence>,
        /// What is missing, as a sentence.
        open_question: String,
    },
    /// The primary does not answer the manager, but others still hear from it.
    PrimaryCutOffFromHere {
        /// The primary.
        primary: Address,
        /// What each observer says.
        evidence: Vec<Evidence>,
    },
    /// The primary answers the manager: with an error. It is alive.
    PrimaryRefusesUs {
        /// The primary.
        primary: Address,
        /// Its answer.
        answer: ContactFailure,
    },
    /// Somebody shut the primary down cleanly.
    PrimaryStopped {
        /// The primary.
        primary: Address,
        /// When it was first missed.
        since: Moment,
        /// When it counts as dead; `None` if it never does by itself.
        dead_at: Option<Moment>,
    },
    /// The primary's process has been started again and does not serve yet.
    PrimaryRestarting {
        /// The primary.
        primary: Address,
        /// When it was first missed.
        since: Moment,
        /// When it counts as dead.
        dead_at: Moment,
    },
    /// It is a fact that the primary is dead (or hangs for good).
    PrimaryDead {
        /// The primary.
        primary: Address,
        /// How that is known.
        death: Death,
        /// When it was first missed.
        since: Moment,
        /// What each observer says.
        evidence: Vec<Evidence>,
    },
    /// The primary answers, is open, and can commit nothing: its disk is full, or its storage hangs.
    PrimaryCannotWrite {
        /// The primary.
        primary: Address,
        /// Since when nothing was committed there.
        since: Moment,
        /// What it says of a write, as a part of a sentence.
        word: String,
        /// What each observer says.
        evidence: Vec<Evidence>,
    },
    /// The primary answers but does not accept writes.
    PrimaryReadOnly {
        /// The primary.
        primary: Address,
        /// It was restarted (a server of ours starts read-only) and is not known to lack
        /// anything: it may be opened again.
        restarted: bool,
        /// Replicas that have transactions which the primary lacks.
        ahead: Vec<Address>,
    },
    /// More than one server accepts writes, or another one than the primary on record.
    SeveralWritable {
        /// The primary on record, if there is one.
        primary: Option<Address>,
        /// All that accept writes.
        writable: Vec<Address>,
    },
    /// No primary is on record and none can be named.
    NoPrimary {
        /// Why not, as a sentence.
        reason: String,
    },
    /// The manager reaches too few servers to believe its own eyes.
    ManagerIsolated {
        /// Servers that answer.
        answering: usize,
        /// Servers of the cluster.
        of: usize,
    },
}

impl Diagnosis {
    /// One sentence for the person who is paged.
    pub fn sentence(&self) -> String {
        match self {
            Self::Starting { waiting_for } => {
                format!("Starting; waiting for the first answer of {}", list(waiting_for))
            }
            Self::Healthy { primary } => format!("Healthy; {primary} is the primary"),
            Self::Degraded { primary, problems } => {
                format!("{primary} is the primary; {}", problems.join("; "))
            }
            Self::PrimarySuspected { primary, open_question, .. } => {
                format!("The primary {primary} does not answer; {open_question}")
            }
            Self::PrimaryCutOffFromHere { primary, .. } => format!(
                "The primary {primary} does not answer the manager, but it lives: others still \
                 hear from it. Only the path from here is broken, so nothing is done"
            ),
            Self::PrimaryRefusesUs { primary, answer } => {
                format!("The primary {primary} is alive but refuses the manager: {answer}")
            }
            Self::PrimaryStopped { primary, dead_at: Some(_), .. } => format!(
                "The primary {primary} was shut down cleanly; waiting for somebody to start it"
            ),
            Self::PrimaryStopped { primary, dead_at: None, .. } => format!(
                "The primary {primary} was shut down cleanly; by policy nothing is done until a \
                 person acts"
            ),
            Self::PrimaryRestarting { primary, .. } => {
                format!("The primary {primary} has been started again and does not serve yet")
            }
            Self::PrimaryDead { primary, death, .. } => match death {
                Death::ProcessGone => format!("The primary {primary} is dead: its process is gone"),
                Death::Refused => format!(
                    "The primary {primary} is dead: nothing listens there and its replicas lost it"
                ),
                Death::Silent => format!(
                    "The primary {primary} is dead or hangs: nobody has heard from it in time"
                ),
                Death::StoppedForTooLong => {
                    format!("The primary {primary} was shut down and is not back in time")
                }
            },
            Self::PrimaryCannotWrite { primary, word, .. } => {
                format!("The primary {primary} answers and cannot commit: {word}")
            }
            Self::PrimaryReadOnly { primary, ahead, .. } if !ahead.is_empty() => format!(
                "The primary {primary} is read-only and lacks transactions that {} has",
                list(ahead)
            ),
            Self::PrimaryReadOnly { primary, restarted: true, .. } => {
                format!("The primary {primary} was restarted and is read-only")
            }
            Self::PrimaryReadOnly { primary, .. } => format!(
                "The primary {primary} is read-only without having been restarted: somebody set it"
            ),
            Self::SeveralWritable { primary: Some(primary), writable }
                if !writable.contains(primary) =>
            {
                format!("{primary} is the primary on record, but {} accepts writes", list(writable))
            }
            Self::SeveralWritable { writable, .. } => {
                format!("{} servers accept writes: {}", writable.len(), list(writable))
            }
            Self::NoPrimary { reason } => format!("No primary is known: {reason}"),
            Self::ManagerIsolated { answering, of } => format!(
                "Only {answering} of {of} servers answer: the manager may be cut off itself, so \
                 nothing is done"
            ),
        }
    }

    /// What each observer says, where the diagnosis rests on it.
    pub fn evidence(&self) -> &[Evidence] {
        match self {
            Self::PrimarySuspected { evidence, .. }
            | Self::PrimaryCutOffFromHere { evidence, .. }
            | Self::PrimaryDead { evidence, .. }
            | Self::PrimaryCannotWrite { evidence, .. } => evidence,
            _ => &[],
        }
    }

    /// A short word for tables, logs and metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Starting { .. } => "starting",
            Self::Healthy { .. } => "healthy",
            Self::Degraded { .. } => "degraded",
            Self::PrimarySuspected { .. } => "primary-suspected",
            Self::PrimaryCutOffFromHere { .. } => "primary-cut-off-from-here",
            Self::PrimaryRefusesUs { .. } => "primary-refuses-us",
            Self::PrimaryStopped { .. } => "primary-stopped",
            Self::PrimaryRestarting { .. } => "primary-restarting",
            Self::PrimaryDead { .. } => "primary-dead",
            Self::PrimaryCannotWrite { .. } => "primary-cannot-write",
            Self::PrimaryReadOnly { .. } => "primary-read-only",
            Self::SeveralWritable { .. } => "several-writable",
            Self::NoPrimary { .. } => "no-primary",
            Self::ManagerIsolated { .. } => "manager-isolated",
        }
    }

    /// Whether the cluster accepts writes on exactly one server, as far as is known.
    pub fn is_serving(&self) -> bool {
        matches!(self, Self::Healthy { .. } | Self::Degraded { .. })
    }
}

pub(crate) fn list(addresses: &[Address]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
