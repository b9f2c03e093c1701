//! What each observer says about a primary that does not answer the manager.
//!
//! The manager's own failing connection is a suspicion only. Replicas that still receive from the
//! primary contradict it; replicas that lost it, and the operating system of its host, confirm it.

use std::fmt;

use primacy_types::{Address, ClusterSnapshot, Contact, ContactFailure, Moment, ProcessState};
use serde::{Deserialize, Serialize};

use crate::{secondary, topology, witness};

/// Who says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observer {
    /// The manager's own connection.
    Manager,
    /// The operating system of the primary's host.
    Host,
    /// A replica of the primary.
    Replica(Address),
    /// The hosts that `secondary_check_script` asked.
    Script,
}

/// What it means for the question whether the primary is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// Shows that it is dead.
    Confirms,
    /// Fits a death, but has other explanations too.
    Suggests,
    /// Says nothing yet; may say something soon.
    Pending,
    /// Says nothing, and will not.
    Nothing,
    /// Shows that it lives.
    Contradicts,
}

/// One observer's word, with its weight and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Who says it.
    pub observer: Observer,
    /// What it is worth.
    pub weight: Weight,
    /// What was seen, as a sentence.
    pub sentence: String,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.observer {
            Observer::Manager => write!(f, "manager: {}", self.sentence),
            Observer::Host => write!(f, "its host: {}", self.sentence),
            Observer::Script => write!(f, "secondary_check_script: {}", self.sentence),
            Observer::Replica(address) => write!(f, "replica {address}: {}", self.sentence),
        }
    }
}

/// All that is said about `primary`, which does not answer the manager since `since`.
pub(crate) fn gather(
    snapshot: &ClusterSnapshot,
    primary: &Address,
    since: Moment,
) -> Vec<Evidence> {
    let mut all = Vec::new();
    if let Some(server) = snapshot.server(primary) {
        if let Contact::Failing { failures, last, .. } = &server.contact {
            all.push(managers_word(snapshot, since, *failures, last));
        }
        all.extend(server.process.map(hosts_word));
    }
    for replica in topology::direct_replicas(snapshot, primary) {
        let (weight, sentence) = witness::word(snapshot, replica, since);
        all.push(Evidence { observer: Observer::Replica(replica.clone()), weight, sentence });
    }
    all.extend(secondary::evidence(snapshot, primary, since));
    all
}

/// What the operating system of its host says of a server's process, if it is asked.
pub(crate) fn of_the_host(snapshot: &ClusterSnapshot, server: &Address) -> Option<Evidence> {
    snapshot.server(server)?.process.map(hosts_word)
}

fn managers_word(
    snapshot: &ClusterSnapshot,
    since: Moment,
    failures: u32,
    last: &ContactFailure,
) -> Evidence {
    let for_how_long = snapshot.now.since(since);
    let weight = if last.proves_life() {
        Weight::Contradicts
    } else if *last == ContactFailure::Refused || failures >= snapshot.policy.timing.ping_failures {
        Weight::Suggests
    } else {
        Weight::Pending
    };
    let sentence = format!("{last}, {failures} failed probe(s) in {for_how_long}");
    Evidence { observer: Observer::Manager, weight, sentence }
}

fn hosts_word(process: ProcessState) -> Evidence {
    let (weight, sentence) = match process {
        ProcessState::Running { pid } => {
            (Weight::Nothing, format!("the process runs (pid {pid}); whether it serves is open"))
        }
        ProcessState::Frozen { pid } => {
            (Weight::Suggests, format!("the process is stopped (pid {pid}) and serves nobody"))
        }
        ProcessState::Exited { clean: Some(true) } => {
            (Weight::Confirms, "the process has ended after a clean shutdown".to_owned())
        }
        ProcessState::Exited { clean: Some(false) } => (
            Weight::Confirms,
            "the process is gone and did not close its binary log (crash or kill)".to_owned(),
        ),
        ProcessState::Exited { clean: None } => {
            (Weight::Confirms, "the process is gone".to_owned())
        }
    };
    Evidence { observer: Observer::Host, weight, sentence }
}
