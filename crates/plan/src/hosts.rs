//! What was seen of the hosts of a cluster's servers beside SQL, for `primacy check`: what may be
//! done there, and what a failover there can and cannot promise.

use primacy_types::{Address, ClusterSnapshot, FenceRung, HostAccessKind, Millis, RefuseOrProceed};
use serde::{Deserialize, Serialize};

/// Whether something can be done on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "can", content = "reason")]
pub enum Can {
    /// It was not asked, or is not wanted there.
    #[default]
    Unasked,
    /// It can.
    Yes,
    /// It cannot, for this reason.
    No(String),
}

impl Can {
    /// Whether it can.
    pub const fn is_yes(&self) -> bool {
        matches!(self, Self::Yes)
    }

    /// Why not.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::No(reason) => Some(reason.trim_end_matches('.')),
            Self::Unasked | Self::Yes => None,
        }
    }

    /// The word in tables.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Unasked => "-",
            Self::Yes => "yes",
            Self::No(_) => "no",
        }
    }
}

/// What was seen of the host of one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSeen {
    /// The server.
    pub server: Address,
    /// How its host is to be reached, or was found to be.
    pub way: HostAccessKind,
    /// Why the host was not reached, if it was not.
    pub unreached: Option<String>,
    /// Its process is seen, and its exit at once.
    pub watch: Can,
    /// Its process can be killed and kept down.
    pub kill: Can,
    /// Its logs can be read.
    pub read_files: Can,
    /// The unit that starts it can be kept from doing so while the server is to stay down.
    pub mask_unit: Can,
    /// That unit.
    pub unit: Option<String>,
    /// A lease keeps it from accepting writes when it is cut off.
    pub lease: Can,
    /// Virtual addresses can be taken and given up there.
    pub addresses: Can,
    /// What `shutdown_script --command=status` said of it.
    pub script: Can,
    /// What `failover_script --command=status` said of it; only of the primary.
    #[serde(default)]
    pub address_script: Can,
    /// What its agent says of itself.
    pub agent: Option<AgentSeen>,
}

impl HostSeen {
    /// Nothing was asked yet.
    pub const fn new(server: Address, way: HostAccessKind) -> Self {
        Self {
            server,
            way,
            unreached: None,
            watch: Can::Unasked,
            kill: Can::Unasked,
            read_files: Can::Unasked,
            mask_unit: Can::Unasked,
            unit: None,
            lease: Can::Unasked,
            addresses: Can::Unasked,
            script: Can::Unasked,
            address_script: Can::Unasked,
            agent: None,
        }
    }
}

/// An agent that answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentSeen {
    /// Where it listens.
    pub address: Address,
    /// Its version.
    pub version: String,
    /// The name in its certificate.
    pub name: String,
    /// Seconds until its certificate expires; negative if it has.
    pub certificate_left: i64,
    /// The length of leases in its configuration; `None` if it does not say.
    pub lease: Option<Millis>,
    /// By how many milliseconds its wall clock is ahead of the manager's (negative: behind), as
    /// exactly as the time of the answer allows; `None` if it does not say.
    pub clock_ahead: Option<i64>,
    /// The servers that it looks after.
    pub serves: Vec<Address>,
    /// Why it cannot log in to this server now.
    pub login: Option<String>,
    /// A guard process kills the server if the agent cannot; `None` if it does not say.
    pub guarded: Option<bool>,
}

/// What was seen of all hosts of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostsSeen {
    /// The manager's own version.
    pub version: String,
    /// Seconds until the certificate that the manager shows to agents expires; `None` without one.
    pub certificate_left: Option<i64>,
    /// The host of each server.
    pub hosts: Vec<HostSeen>,
}

/// What a failover of this server can and cannot promise, were it the primary: one sentence each
/// for a server that dies or hangs, and for a host that is lost.
pub fn promises(snapshot: &ClusterSnapshot, host: &HostSeen) -> [String; 2] {
    let reached = host.unreached.is_none();
    let rung = match host.way {
        HostAccessKind::Agent => "its agent",
        HostAccessKind::Ssh => "ssh",
        HostAccessKind::Local => "the manager, which runs beside it,",
        HostAccessKind::None | HostAccessKind::Auto => "",
    };
    let kills = reached && host.kill.is_yes();
    let scripted = !matches!(host.script, Can::Unasked);
    let reads = reached && host.read_files.is_yes();
    let unfenced = match snapshot.policy.unfenced {
        RefuseOrProceed::Refuse => "one that only falls silent is not replaced",
        RefuseOrProceed::Proceed => {
            "one that only falls silent is replaced all the same (unfenced = \"proceed\")"
        }
    };
    let rest = if reads {
        "what nobody received is read from its disk"
    } else {
        "what nobody received stays on its disk"
    };
    let dies = match (kills, scripted) {
        (true, _) => format!("dies or hangs: {rung} fences it, and {rest}"),
        (false, true) => format!(
            "dies or hangs: shutdown_script fences it; {rest}, unless that has powered it off"
        ),
        (false, false) => format!("dies: it is replaced, and {rest}; {unfenced}"),
    };
    let leased = host.lease.is_yes();
    let lost = match (leased, scripted) {
        (true, _) => format!(
            "host lost: {}; what nobody received stays on its disk",
            FenceRung::Lease.guarantee()
        ),
        (false, true) => {
            "host lost: shutdown_script has to power it off; what nobody received stays on its disk"
                .to_owned()
        }
        (false, false) => {
            let then = match snapshot.policy.unfenced {
                RefuseOrProceed::Refuse => "it is not replaced before a person says that it is off",
                RefuseOrProceed::Proceed => {
                    "it is replaced, and may accept writes that nobody else gets if it still runs"
                }
            };
            format!("host lost: {then}")
        }
    };
    [dies, lost]
}
