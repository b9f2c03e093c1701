//! What each observer says about a primary that does not answer the manager.
//!
//! The manager's own failing connection is a suspicion only. Replicas that still receive from the
//! primary contradict it; replicas that lost it, and the operating system of its host, confirm it.

use std::fmt;

use primacy_types::{
    Address, ChannelStatus, ClusterSnapshot, Contact, ContactFailure, Millis, Moment, ProcessState,
    ReceiverState,
};
use serde::{Deserialize, Serialize};

use crate::topology;

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
        let (weight, sentence) = replicas_word(snapshot, replica, since);
        all.push(Evidence { observer: Observer::Replica(replica.clone()), weight, sentence });
    }
    all
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

/// How long a running receiver must have been quiet to count: one and a half heartbeats, plus the
/// manager's own uncertainty of one probe.
fn quiet_limit(snapshot: &ClusterSnapshot, channel: &ChannelStatus) -> Option<Millis> {
    let period = channel.heartbeat_period.filter(|p| p.0 > 0)?;
    Some(Millis(period.0 + period.0 / 2) + snapshot.policy.timing.ping_interval)
}

fn replicas_word(snapshot: &ClusterSnapshot, replica: &Address, since: Moment) -> (Weight, String) {
    let Some(server) = snapshot.server(replica) else {
        return (Weight::Nothing, "unknown".to_owned());
    };
    if let Some(failure) = server.contact.failure() {
        return (Weight::Nothing, format!("cannot be asked ({failure})"));
    }
    let fresh = server.facts_at.is_some_and(|at| at >= since);
    let Some(channel) =
        server.facts.as_ref().and_then(|f| f.channel(&snapshot.policy.channel)).filter(|_| fresh)
    else {
        return (Weight::Pending, "not asked yet since the first failed probe".to_owned());
    };
    if server.received_at.is_some_and(|at| at >= since) {
        let ago = snapshot.now.since(server.received_at.unwrap_or_default());
        return (
            Weight::Contradicts,
            format!("received an event or heartbeat from it within the last {ago}"),
        );
    }
    match channel.receiver {
        ReceiverState::Connecting => match &channel.receiver_error {
            Some(e) if (1000..2000).contains(&e.code) || (3000..5000).contains(&e.code) => (
                Weight::Contradicts,
                format!("was answered by it with error {}: {}", e.code, e.message),
            ),
            Some(e) => {
                (Weight::Confirms, format!("lost it and cannot reconnect (error {})", e.code))
            }
            None => (Weight::Confirms, "lost its connection to it".to_owned()),
        },
        ReceiverState::Stopped => match &channel.receiver_error {
            Some(e) if (2000..3000).contains(&e.code) => {
                (Weight::Confirms, format!("gave up reconnecting to it (error {})", e.code))
            }
            Some(e) => (Weight::Nothing, format!("its receiver stopped with error {}", e.code)),
            None => (Weight::Nothing, "its receiver is stopped, so it cannot tell".to_owned()),
        },
        ReceiverState::Running => {
            let last = server.received_at.unwrap_or_default().max(since);
            let quiet = snapshot.now.since(last);
            match quiet_limit(snapshot, channel) {
                Some(limit) if quiet >= limit => (
                    Weight::Confirms,
                    format!("received nothing, not even a heartbeat, for {quiet}"),
                ),
                Some(limit) => (
                    Weight::Pending,
                    format!(
                        "its receiver is connected and quiet for {quiet} (counts from {limit})"
                    ),
                ),
                None => (
                    Weight::Nothing,
                    "its receiver is connected, without heartbeats: silence proves nothing"
                        .to_owned(),
                ),
            }
        }
    }
}
