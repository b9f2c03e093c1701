//! What is shown of a cluster and its servers.

use primacy_dcs::LockStatus;
use primacy_plan::lease::Hold;
use primacy_plan::{Decision, Diagnosis, Finding, HostSeen, source_of};
use primacy_types::{
    AbsenceState, Address, ClusterSnapshot, Epoch, GtidMode, ReceiverState, VirtualAddress,
    WallClock,
};
use serde::{Deserialize, Serialize};

/// The part that a server plays now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerRole {
    /// The primary of the current epoch.
    Primary,
    /// It replicates from a server of the cluster.
    Replica,
    /// It replicates and others replicate from it.
    RelayReplica,
    /// It keeps the primary's binary logs, has no tables and is never promoted.
    BinlogServer,
    /// It runs and has no part.
    Standalone,
    /// Nothing is known of it.
    Unknown,
}

/// What a server's agent says of its lease and of the addresses of its host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseView {
    /// The agent answers the manager. If not, the rest is what it said last.
    pub answers: bool,
    /// What its lease lets the server do; `without` for whoever is not the primary.
    pub hold: Hold,
    /// The epoch of the lease.
    pub epoch: Option<Epoch>,
    /// It was lengthened by the other agents, without a manager.
    pub by_voters: bool,
    /// A guard closes the server if the agent cannot.
    pub guarded: bool,
    /// The virtual addresses that its host holds.
    pub addresses: Vec<VirtualAddress>,
    /// Why one that it should hold is not held.
    pub problem: Option<String>,
}

/// One server, as tables and programs want it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerView {
    /// Where it listens.
    pub address: Address,
    /// Its part.
    pub role: ServerRole,
    /// `Primary, Running` and the like; `Down` if it does not answer.
    pub status: String,
    /// Why it does not answer.
    pub failure: Option<String>,
    /// Flavour and version.
    pub version: Option<String>,
    /// Connections now.
    pub connections: Option<u32>,
    /// Accepts writes of applications.
    pub writable: Option<bool>,
    /// Executed GTIDs, or the position in its binary log.
    pub position: Option<String>,
    /// Whom it reads from over the managed channel.
    pub source: Option<Address>,
    /// Seconds behind its source.
    pub lag_seconds: Option<u64>,
    /// Where it stands (configuration).
    pub site: Option<String>,
    /// Replication is broken: the errors.
    pub errors: Vec<String>,
    /// Its lease, where leases are in force and a manager answers.
    #[serde(default)]
    pub lease: Option<LeaseView>,
}

/// What is under way on a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationView {
    /// Its id in the history.
    pub id: String,
    /// `failover`, `switchover`, `reopen`.
    pub kind: String,
    /// When it began.
    pub started: WallClock,
}

/// One cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterView {
    /// Its name.
    pub name: String,
    /// A short word: `healthy`, `degraded`, `primary-dead`, ...
    pub health: String,
    /// The same as a sentence.
    pub sentence: String,
    /// The current primary.
    pub primary: Option<Address>,
    /// Its epoch.
    pub epoch: Epoch,
    /// Automatic actions are paused.
    pub paused: bool,
    /// Why, as the person said.
    pub paused_reason: Option<String>,
    /// The servers in the order of their addresses.
    pub servers: Vec<ServerView>,
    /// What is under way.
    pub operation: Option<OperationView>,
}

/// Why the manager does what it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The cluster.
    pub cluster: String,
    /// What it believes, with the evidence of each observer.
    pub diagnosis: Diagnosis,
    /// What it does about it, and why.
    pub decision: Decision,
    /// The lock among managers.
    pub lock: LockStatus,
    /// What it has seen.
    pub snapshot: ClusterSnapshot,
    /// What is under way.
    pub operation: Option<OperationView>,
}

/// Something that could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incomplete {
    /// Where.
    pub server: Address,
    /// What, and why not.
    pub sentence: String,
    /// What would mend it.
    pub mend: Option<String>,
}

/// Everything that stands against a failover or switchover, or makes it risky.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// The cluster.
    pub cluster: String,
    /// What was found, the weightiest first.
    pub findings: Vec<Finding>,
    /// What could not be looked at.
    pub incomplete: Vec<Incomplete>,
    /// What may be done on the servers' hosts.
    #[serde(default)]
    pub hosts: Vec<HostReport>,
}

/// The host of one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReport {
    /// What was seen of it.
    pub host: HostSeen,
    /// What a failover of this server can and cannot promise, in sentences.
    pub promises: Vec<String>,
}

impl ServerView {
    /// A server of a snapshot.
    pub fn of(snapshot: &ClusterSnapshot, address: &Address) -> Self {
        let server = snapshot.server(address);
        let facts = server.and_then(|s| s.facts.as_ref());
        let live = server.is_some_and(|s| s.contact.is_answering());
        let channel = facts.and_then(|f| f.channel(&snapshot.policy.channel));
        let source = channel.map(|c| source_of(snapshot, c).unwrap_or_else(|| c.source.clone()));
        let followed = primacy_plan::direct_replicas(snapshot, address).next().is_some();
        let role = match (facts, &source) {
            (None, _) => ServerRole::Unknown,
            _ if snapshot.primary.as_ref() == Some(address) => ServerRole::Primary,
            (Some(facts), _) if facts.binlog_server => ServerRole::BinlogServer,
            (_, Some(_)) if followed => ServerRole::RelayReplica,
            (_, Some(_)) => ServerRole::Replica,
            (_, None) => ServerRole::Standalone,
        };
        let mut errors = Vec::new();
        if let Some(channel) = channel {
            let broken =
                [("receiver", &channel.receiver_error), ("applier", &channel.applier_error)];
            for (who, error) in broken {
                if let Some(e) = error {
                    errors.push(format!("{who}: error {}: {}", e.code, e.message));
                }
            }
        }
        let absence = snapshot.absent.get(address).map(|absence| &absence.state);
        if let Some(absence) = absence.filter(|_| live) {
            errors.push(absence.to_string());
        }
        let mut words: Vec<&str> = Vec::new();
        if live {
            match role {
                ServerRole::Primary => words.push("Primary"),
                ServerRole::Replica => words.push("Replica"),
                ServerRole::RelayReplica => words.extend(["Relay Primary", "Replica"]),
                ServerRole::BinlogServer => words.push("Binlog Server"),
                ServerRole::Standalone | ServerRole::Unknown => {}
            }
            if let Some(channel) = channel
                && (channel.receiver != ReceiverState::Running || !channel.applier_running)
            {
                words.push("Replication Broken");
            }
            if role == ServerRole::Primary && facts.is_some_and(|f| !f.writable()) {
                words.push("Read-only");
            }
            if role != ServerRole::Primary && facts.is_some_and(|f| f.writable()) {
                words.push("Writable");
            }
            match absence {
                Some(AbsenceState::Quarantined { .. }) => words.push("Quarantined"),
                Some(AbsenceState::Waiting) => words.push("Waiting For Rejoin"),
                Some(AbsenceState::Unable { .. }) => words.push("Left Behind"),
                Some(AbsenceState::Rewinding { .. }) => words.push("Being Rewound"),
                Some(AbsenceState::Replaced | AbsenceState::Relearning { .. }) | None => {}
            }
            words.push("Running");
        } else if let Some(failure) = server.and_then(|s| s.contact.failure()) {
            // A server that answered with a refusal runs: "Down" would send people to the wrong place.
            words.push(if failure.proves_life() { "Running, Refuses Primacy" } else { "Down" });
        } else {
            words.push("Unknown");
        }
        let position = facts.map(|f| {
            if f.gtid_mode == GtidMode::Off {
                f.binlog.as_ref().map_or_else(String::new, ToString::to_string)
            } else {
                f.executed.to_string()
            }
        });
        Self {
            address: address.clone(),
            role,
            status: words.join(", "),
            failure: server.and_then(|s| s.contact.failure()).map(ToString::to_string),
            version: facts.map(|f| f.version.to_string()),
            connections: facts.filter(|_| live).map(|f| f.connections),
            writable: facts.filter(|_| live).map(|f| f.writable()),
            position: position.filter(|p| !p.is_empty()),
            source,
            lag_seconds: channel
                .filter(|c| live && c.receiver == ReceiverState::Running && c.applier_running)
                .and_then(|c| c.lag_seconds),
            site: snapshot.policy.server(address).site,
            errors,
            lease: None,
        }
    }
}

impl ClusterView {
    /// A cluster as its snapshot and diagnosis show it.
    pub fn of(snapshot: &ClusterSnapshot, diagnosis: &Diagnosis) -> Self {
        Self {
            name: snapshot.cluster.clone(),
            health: diagnosis.word().to_owned(),
            sentence: diagnosis.sentence(),
            primary: snapshot.primary.clone(),
            epoch: snapshot.epoch,
            paused: snapshot.paused,
            paused_reason: None,
            servers: snapshot.servers.keys().map(|a| ServerView::of(snapshot, a)).collect(),
            operation: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use primacy_plan::testing::{addr, cluster};
    use primacy_types::ContactFailure;

    #[test]
    fn a_binlog_server_is_told_from_a_replica() {
        let mut world = cluster(["a", "b", "c"]);
        world.facts("c").binlog_server = true;
        let seen = ServerView::of(&world.snapshot, &addr("c"));
        assert_eq!(
            (seen.role, &*seen.status),
            (ServerRole::BinlogServer, "Binlog Server, Running")
        );
        world.channel("c").receiver = ReceiverState::Connecting;
        let seen = ServerView::of(&world.snapshot, &addr("c"));
        assert_eq!(seen.status, "Binlog Server, Replication Broken, Running");
    }

    #[test]
    fn a_server_that_refuses_the_login_is_not_shown_as_down() {
        let denied = ContactFailure::AccessDenied("Access denied".into());
        let world = cluster(["a", "b"]).failing("a", denied, 50, 1);
        assert_eq!(ServerView::of(&world.snapshot, &addr("a")).status, "Running, Refuses Primacy");
        let world = cluster(["a", "b"]).failing("a", ContactFailure::Refused, 50, 1);
        assert_eq!(ServerView::of(&world.snapshot, &addr("a")).status, "Down");
    }
}
