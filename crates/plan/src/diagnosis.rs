//! Snapshots in, one diagnosis out: what is the matter with the cluster, with the evidence.
//!
//! Only facts lead to [`Diagnosis::PrimaryDead`]. Everything that has an innocent explanation (a
//! wrong password, no free connection, a restart, a cut between the manager and the primary
//! alone) has a variant of its own and never leads to a failover.

use primacy_types::{
    Address, ClusterSnapshot, Contact, ContactFailure, Millis, Moment, OnCleanShutdown,
    ProcessState,
};
use serde::{Deserialize, Serialize};

use crate::evidence::{self, Evidence, Observer, Weight};
use crate::topology::{self, NoPrimary};

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
    /// More than one server accepts writes.
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
            | Self::PrimaryDead { evidence, .. } => evidence,
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

/// Says what is the matter with the cluster.
pub fn diagnose(snapshot: &ClusterSnapshot) -> Diagnosis {
    let Some(primary) = &snapshot.primary else {
        return without_record(snapshot);
    };
    let Some(server) = snapshot.server(primary) else {
        let reason = format!("the recorded primary {primary} is not among the configured servers");
        return Diagnosis::NoPrimary { reason };
    };
    match &server.contact {
        Contact::Untried => Diagnosis::Starting { waiting_for: vec![primary.clone()] },
        Contact::Answering { .. } => answering(snapshot, primary),
        Contact::Failing { since, failures, last, .. } => {
            failing(snapshot, primary, *since, *failures, last)
        }
    }
}

fn without_record(snapshot: &ClusterSnapshot) -> Diagnosis {
    match topology::find_primary(snapshot) {
        // The caller records what `find_primary` found; until then this is the start.
        Ok(primary) => Diagnosis::Healthy { primary },
        Err(NoPrimary::NotAllSeen(waiting_for)) => Diagnosis::Starting { waiting_for },
        Err(NoPrimary::Several(writable)) => Diagnosis::SeveralWritable { primary: None, writable },
        Err(NoPrimary::None) => Diagnosis::NoPrimary {
            reason: "no server accepts writes, and the replication links do not point to a \
                     single server"
                .to_owned(),
        },
    }
}

fn answering(snapshot: &ClusterSnapshot, primary: &Address) -> Diagnosis {
    let Some(facts) = snapshot.live(primary) else {
        return Diagnosis::Starting { waiting_for: vec![primary.clone()] };
    };
    let writable: Vec<Address> =
        snapshot.all_live().filter(|(_, f)| f.writable()).map(|(a, _)| a.clone()).collect();
    if writable.iter().any(|w| w != primary) {
        return Diagnosis::SeveralWritable { primary: Some(primary.clone()), writable };
    }
    if !facts.writable() {
        return read_only(snapshot, primary);
    }
    let problems = problems(snapshot, primary);
    if problems.is_empty() {
        Diagnosis::Healthy { primary: primary.clone() }
    } else {
        Diagnosis::Degraded { primary: primary.clone(), problems }
    }
}

/// How long ago a server must have been started to count as not restarted.
const RECENT_START: Millis = Millis::from_secs(300);

fn read_only(snapshot: &ClusterSnapshot, primary: &Address) -> Diagnosis {
    let Some(facts) = snapshot.live(primary) else {
        return Diagnosis::Starting { waiting_for: vec![primary.clone()] };
    };
    let ahead = snapshot
        .all_live()
        .filter(|(a, f)| {
            *a != primary
                && topology::descends_from(snapshot, a, primary)
                && !facts.executed.covers(&f.holds(&snapshot.policy.channel))
        })
        .map(|(a, _)| a.clone())
        .collect();
    Diagnosis::PrimaryReadOnly {
        primary: primary.clone(),
        restarted: Millis::from_secs(facts.uptime_seconds) < RECENT_START,
        ahead,
    }
}

fn failing(
    snapshot: &ClusterSnapshot,
    primary: &Address,
    since: Moment,
    failures: u32,
    last: &ContactFailure,
) -> Diagnosis {
    let primary = primary.clone();
    if last.proves_life() {
        return Diagnosis::PrimaryRefusesUs { primary, answer: last.clone() };
    }
    let evidence = evidence::gather(snapshot, &primary, since);
    let process = snapshot.server(&primary).and_then(|s| s.process);
    match process {
        Some(ProcessState::Exited { clean: Some(true) }) => {
            return stopped(snapshot, primary, since, evidence);
        }
        // The operating system's word is a fact, whatever others have noticed so far.
        Some(ProcessState::Exited { .. }) => {
            return Diagnosis::PrimaryDead { primary, death: Death::ProcessGone, since, evidence };
        }
        Some(ProcessState::Running { .. }) if *last == ContactFailure::Refused => {
            return restarting(snapshot, primary, since, evidence);
        }
        _ => {}
    }
    let says = |weight| evidence.iter().any(|e| e.weight == weight);
    if says(Weight::Contradicts) {
        return Diagnosis::PrimaryCutOffFromHere { primary, evidence };
    }
    let others = snapshot.servers.keys().filter(|a| **a != primary);
    let answering = others.clone().filter(|a| snapshot.live(a).is_some()).count();
    let others = others.count();
    if answering * 2 < others || (others > 0 && answering == 0) {
        return Diagnosis::ManagerIsolated { answering, of: others + 1 };
    }
    if *last == ContactFailure::ShuttingDown {
        return stopped(snapshot, primary, since, evidence);
    }
    let refused = *last == ContactFailure::Refused;
    let long_enough = failures >= snapshot.policy.timing.ping_failures;
    let frozen = matches!(process, Some(ProcessState::Frozen { .. }));
    let witnesses = |weight| {
        evidence.iter().any(|e| matches!(e.observer, Observer::Replica(_)) && e.weight == weight)
    };
    let open_question = if !refused && !long_enough {
        format!("{failures} of {} probes have failed", snapshot.policy.timing.ping_failures)
    } else if witnesses(Weight::Pending) {
        "its replicas have not settled yet whether they lost it".to_owned()
    } else if witnesses(Weight::Confirms) || (refused && long_enough) || frozen {
        let death = if refused { Death::Refused } else { Death::Silent };
        return Diagnosis::PrimaryDead { primary, death, since, evidence };
    } else if refused {
        "its host refuses the connection; no replica can confirm it, so this is tried a few more \
         times"
            .to_owned()
    } else {
        "no replica can tell whether it lives, and silence alone proves nothing; a person can \
         decide with `primacy failover --force`"
            .to_owned()
    };
    Diagnosis::PrimarySuspected { primary, since, evidence, open_question }
}

fn stopped(
    snapshot: &ClusterSnapshot,
    primary: Address,
    since: Moment,
    evidence: Vec<Evidence>,
) -> Diagnosis {
    let dead_at = match snapshot.policy.on_clean_shutdown {
        OnCleanShutdown::Wait(limit) => Some(since + limit),
        OnCleanShutdown::Failover => Some(since),
        OnCleanShutdown::Ignore => None,
    };
    match dead_at {
        Some(at) if snapshot.now >= at => {
            Diagnosis::PrimaryDead { primary, death: Death::StoppedForTooLong, since, evidence }
        }
        dead_at => Diagnosis::PrimaryStopped { primary, since, dead_at },
    }
}

/// The process runs and its port is closed: it starts, or recovers after a crash.
fn restarting(
    snapshot: &ClusterSnapshot,
    primary: Address,
    since: Moment,
    evidence: Vec<Evidence>,
) -> Diagnosis {
    let limit = match snapshot.policy.on_clean_shutdown {
        OnCleanShutdown::Wait(limit) => limit,
        OnCleanShutdown::Failover | OnCleanShutdown::Ignore => Millis::from_secs(30),
    };
    let dead_at = since + limit;
    if snapshot.now >= dead_at {
        return Diagnosis::PrimaryDead { primary, death: Death::Refused, since, evidence };
    }
    Diagnosis::PrimaryRestarting { primary, since, dead_at }
}

/// What is wrong besides the primary, one sentence each.
fn problems(snapshot: &ClusterSnapshot, primary: &Address) -> Vec<String> {
    let mut found = Vec::new();
    for (address, server) in snapshot.servers.iter().filter(|(a, _)| *a != primary) {
        if let Some(failure) = server.contact.failure() {
            found.push(format!("{address} does not answer ({failure})"));
            continue;
        }
        let Some(facts) = server.live_facts() else {
            continue;
        };
        let Some(channel) = facts.channel(&snapshot.policy.channel) else {
            found.push(format!("{address} does not replicate"));
            continue;
        };
        if !topology::descends_from(snapshot, address, primary) {
            found.push(format!(
                "{address} replicates from {}, not from the primary",
                channel.source
            ));
        }
        if channel.receiver != primacy_types::ReceiverState::Running {
            let why = channel
                .receiver_error
                .as_ref()
                .map_or(String::new(), |e| format!(": {}", e.message));
            found.push(format!("the receiver of {address} does not run{why}"));
        }
        if !channel.applier_running {
            let why = channel
                .applier_error
                .as_ref()
                .map_or(String::new(), |e| format!(": {}", e.message));
            found.push(format!("the applier of {address} does not run{why}"));
        }
    }
    found
}
