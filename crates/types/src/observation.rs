//! What was seen of the servers of a cluster, and when: the input of every decision.
//!
//! A snapshot is knowingly incomplete: facts may be old, servers may be silent. Each part says
//! when it was true, so that the rules can tell fresh evidence from stale.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    Absence, Address, BinlogPosition, CrashSafety, Epoch, FenceRung, Millis, Moment, Policy,
    SecondaryWord, ServerVersion, TransactionSet, WriteTrouble,
};

/// Why the manager's last attempt to talk to a server failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContactFailure {
    /// The operating system of the host refused the connection: nothing listens there.
    Refused,
    /// The connection was cut.
    Reset,
    /// No answer within the limit.
    Silent,
    /// No route to the host.
    Unreachable,
    /// The name could not be resolved.
    Unresolved,
    /// The server answered: not with this account. It is alive.
    AccessDenied(String),
    /// The server answered: no connection left. It is alive.
    TooManyConnections,
    /// The server answered that it is shutting down.
    ShuttingDown,
    /// Encryption could not be agreed. Something is alive there.
    Tls(String),
    /// The server answered with an error. It is alive.
    Answered(String),
    /// Anything else.
    Other(String),
}

impl ContactFailure {
    /// The server itself answered, so it is not dead.
    pub fn proves_life(&self) -> bool {
        matches!(
            self,
            Self::AccessDenied(_) | Self::TooManyConnections | Self::Tls(_) | Self::Answered(_)
        )
    }
}

impl std::fmt::Display for ContactFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused => f.write_str("connection refused"),
            Self::Reset => f.write_str("connection reset"),
            Self::Silent => f.write_str("no answer in time"),
            Self::Unreachable => f.write_str("no route to host"),
            Self::Unresolved => f.write_str("host name not resolved"),
            Self::AccessDenied(text) => write!(f, "login refused: {text}"),
            Self::TooManyConnections => f.write_str("too many connections"),
            Self::ShuttingDown => f.write_str("server is shutting down"),
            Self::Tls(text) => write!(f, "TLS failed: {text}"),
            Self::Answered(text) => write!(f, "it answered with an error: {text}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// The manager's own connection to a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contact {
    /// Nothing was tried yet.
    Untried,
    /// The last probe was answered.
    Answering {
        /// When the answer came.
        at: Moment,
    },
    /// The last probes failed.
    Failing {
        /// When the first of the failing probes was sent.
        since: Moment,
        /// How many failed in a row.
        failures: u32,
        /// How the last one failed.
        last: ContactFailure,
        /// When the server last answered, if it ever did.
        last_answer: Option<Moment>,
    },
}

impl Contact {
    /// Whether the last probe was answered.
    pub fn is_answering(&self) -> bool {
        matches!(self, Self::Answering { .. })
    }

    /// The last failure, if the last probe failed.
    pub fn failure(&self) -> Option<&ContactFailure> {
        match self {
            Self::Failing { last, .. } => Some(last),
            _ => None,
        }
    }
}

/// What the operating system of the server's host says of its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum ProcessState {
    /// It runs.
    Running {
        /// Process id.
        pid: u32,
    },
    /// It exists and is stopped (SIGSTOP, a debugger, a frozen control group).
    Frozen {
        /// Process id.
        pid: u32,
    },
    /// It was seen to run and has exited.
    Exited {
        /// Its last binary log was closed as a clean shutdown does it; `None` if it could not be
        /// read.
        clean: Option<bool>,
    },
}

/// How a server numbers transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GtidMode {
    /// MySQL with `gtid_mode` OFF or one of the permissive values.
    Off,
    /// MySQL with `gtid_mode` ON; MariaDB always.
    On,
}

/// How a replica finds its place in its source's binary log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Positioning {
    /// By file and offset.
    FileAndPosition,
    /// MySQL `SOURCE_AUTO_POSITION`.
    AutoPosition,
    /// MariaDB `MASTER_USE_GTID = slave_pos`.
    SlavePos,
    /// MariaDB `MASTER_USE_GTID = current_pos`.
    CurrentPos,
}

impl Positioning {
    /// Whether the place is found by GTID.
    pub fn is_gtid(self) -> bool {
        self != Self::FileAndPosition
    }
}

/// State of the thread that fetches events (`Slave_IO_Running`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiverState {
    /// Connected to the source.
    Running,
    /// Trying to connect.
    Connecting,
    /// Not running.
    Stopped,
}

/// An error that replication reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicationError {
    /// Error number of the server.
    pub code: u32,
    /// Its text.
    pub message: String,
}

/// One replication channel of a replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelStatus {
    /// Channel or connection name; empty for the default one.
    pub name: String,
    /// The source it is told to read from.
    pub source: Address,
    /// `server_id` of the source, 0 before the first connection.
    pub source_server_id: u32,
    /// `server_uuid` of the source (MySQL).
    pub source_uuid: Option<String>,
    /// The thread that fetches.
    pub receiver: ReceiverState,
    /// Whether the thread (or coordinator) that applies runs.
    pub applier_running: bool,
    /// Why the receiver stopped or cannot connect.
    pub receiver_error: Option<ReplicationError>,
    /// Why the applier stopped.
    pub applier_error: Option<ReplicationError>,
    /// What was received over this channel: `Retrieved_Gtid_Set`, `Gtid_IO_Pos`.
    pub received: Option<TransactionSet>,
    /// The source's position up to which events were received.
    pub read: Option<BinlogPosition>,
    /// The source's position up to which events were applied.
    pub applied: Option<BinlogPosition>,
    /// The place in the relay logs up to which events were applied.
    #[serde(default)]
    pub relay_log: Option<BinlogPosition>,
    /// Bytes of relay log that exist (`Relay_Log_Space`).
    pub relay_log_space: u64,
    /// How the place is found.
    pub positioning: Positioning,
    /// `Seconds_Behind_Source`.
    pub lag_seconds: Option<u64>,
    /// Configured delay in seconds.
    pub delay_seconds: u64,
    /// How often the source was asked to send a heartbeat; `None` if unknown.
    pub heartbeat_period: Option<Millis>,
    /// Heartbeats received since the channel started; `None` if the server does not say.
    pub heartbeats: Option<u64>,
    /// Seconds between two attempts to connect.
    pub connect_retry_seconds: u32,
    /// Replication filters as `name=value`.
    pub filters: BTreeSet<String>,
    /// The account it connects with.
    pub user: String,
    /// Settings that a change of source would lose or that must be carried over, by the name
    /// that the server's CHANGE statement uses (without secrets).
    pub settings: BTreeMap<String, String>,
    /// The applier has handed out everything it was given and waits for more.
    pub applier_idle: bool,
}

/// Semi-synchronous replication as a server has it now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SemiSyncStatus {
    /// The source side can be used (plugin loaded, or built in).
    pub available: bool,
    /// Enabled for the role of source.
    pub source_enabled: bool,
    /// In force now (`Rpl_semi_sync_source_status` ON): commits wait for acknowledgements.
    pub source_active: bool,
    /// Enabled for the role of replica.
    pub replica_enabled: bool,
    /// The receiver acknowledges (`Rpl_semi_sync_replica_status`), or did when it last ran: a
    /// replica that lost its source no longer says so.
    pub replica_active: bool,
    /// Replicas that acknowledge.
    pub clients: u32,
    /// Acknowledgements a commit waits for.
    pub wait_count: u16,
    /// Milliseconds until a commit is let through without acknowledgement.
    pub timeout: Millis,
    /// Waits before the engine commit (AFTER_SYNC), not after it.
    pub after_sync: bool,
    /// Commits that were let through without acknowledgement since the server started.
    pub unacknowledged: u64,
}

/// A replica that is connected to a source, from `SHOW REPLICAS`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredReplica {
    /// Its `server_id`.
    pub server_id: u32,
    /// What it reports with `report_host` and `report_port`; `None` if it reports no host.
    pub address: Option<Address>,
}

/// What a server said of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFacts {
    /// Flavour and version.
    pub version: ServerVersion,
    /// `server_id`.
    pub server_id: u32,
    /// `server_uuid` (MySQL).
    pub server_uuid: Option<String>,
    /// `read_only`.
    pub read_only: bool,
    /// `super_read_only`; `None` where the version has none.
    pub super_read_only: Option<bool>,
    /// `log_bin`.
    pub log_bin: bool,
    /// `log_replica_updates`.
    pub log_replica_updates: bool,
    /// Whether transactions carry GTIDs.
    pub gtid_mode: GtidMode,
    /// `gtid_strict_mode` (MariaDB).
    pub gtid_strict: Option<bool>,
    /// Everything that was applied or written here: `gtid_executed`; MariaDB: the further of
    /// `gtid_binlog_pos` and `gtid_slave_pos` in each domain.
    pub executed: TransactionSet,
    /// What its binary logs can still give: `gtid_binlog_pos` (MariaDB), same as `executed` on
    /// MySQL.
    pub logged: TransactionSet,
    /// What its binary logs no longer hold (`gtid_purged`); `None` on MariaDB.
    pub purged: Option<TransactionSet>,
    /// End of its binary log.
    pub binlog: Option<BinlogPosition>,
    /// Where the newest of its binary logs before the current one end, as it was first seen after
    /// its start: a crash may have cut one that replicas have read further.
    #[serde(default)]
    pub closed_binlogs: Vec<BinlogPosition>,
    /// Its replication channels.
    pub channels: Vec<ChannelStatus>,
    /// Replicas connected to it.
    pub replicas: Vec<RegisteredReplica>,
    /// Semi-synchronous replication.
    pub semi_sync: SemiSyncStatus,
    /// Seconds since the server started.
    pub uptime_seconds: u64,
    /// Connections now.
    pub connections: u32,
    /// `max_connections`.
    pub max_connections: u32,
    /// `hostname` of its machine.
    pub host_name: String,
    /// `pid_file`, absolute.
    pub pid_file: String,
    /// `datadir`.
    pub data_dir: String,
    /// Base path of its binary logs (`log_bin_basename`).
    pub binlog_base: String,
    /// Base path of its relay logs (`relay_log_basename`).
    #[serde(default)]
    pub relay_log_base: String,
    /// It is a binlog server of ours: it keeps what the primary writes and has no tables.
    #[serde(default)]
    pub binlog_server: bool,
    /// The reign written in the table `primacy.epoch`, if it exists.
    pub epoch: Option<Epoch>,
    /// What survives a crash and can be rescued; read seldom.
    #[serde(default)]
    pub safety: CrashSafety,
}

impl ServerFacts {
    /// By this `version_comment` a binlog server of ours is known.
    pub const BINLOG_SERVER: &str = "Primacy binlog server";

    /// Whether applications may write here.
    pub fn writable(&self) -> bool {
        !self.read_only && self.super_read_only != Some(true)
    }

    /// The channel of this name.
    pub fn channel(&self, name: &str) -> Option<&ChannelStatus> {
        self.channels.iter().find(|c| c.name == name)
    }

    /// Says what a replica by file and position has in places of its source's binary log instead
    /// of GTIDs: which GTIDs it received is not known there.
    pub fn in_places(&mut self, channel: &str) {
        let Some(channel) = self.channels.iter_mut().find(|c| c.name == channel) else { return };
        self.executed = TransactionSet::UpTo(channel.applied.clone());
        self.logged = self.executed.clone();
        self.purged = None;
        channel.received = channel.read.clone().map(|read| TransactionSet::UpTo(Some(read)));
    }

    /// Everything that is on this server's disk: applied, or received and waiting in the relay
    /// log of the channel.
    pub fn holds(&self, channel: &str) -> TransactionSet {
        match self.channel(channel).and_then(|c| c.received.as_ref()) {
            Some(received) => self.executed.union(received),
            None => self.executed.clone(),
        }
    }
}

/// All that is known of one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerObservation {
    /// Where it listens, as configured or discovered.
    pub address: Address,
    /// The manager's connection to it.
    pub contact: Contact,
    /// What it last said of itself.
    pub facts: Option<ServerFacts>,
    /// When it said so.
    pub facts_at: Option<Moment>,
    /// When its managed channel was last seen to have received an event or a heartbeat.
    pub received_at: Option<Moment>,
    /// What its host's operating system says; `None` without access to the host.
    pub process: Option<ProcessState>,
    /// The ways in which this server can be fenced now, best first.
    pub fences: Vec<FenceRung>,
    /// Whether the files of its data directory can be read without it; `None` if that was not
    /// looked at or there is no access to its host.
    #[serde(default)]
    pub files: Option<FileAccess>,
    /// What its binary logs on disk hold, read after it was fenced.
    #[serde(default)]
    pub on_disk: Option<BinlogsOnDisk>,
    /// An operation of ours has fenced it and keeps it so.
    #[serde(default)]
    pub fenced: bool,
    /// The manager's own write is not committed there; `None` if the last one was, or none was
    /// tried.
    #[serde(default)]
    pub writes: Option<WriteTrouble>,
    /// What `secondary_check_script` last said of it; `None` if it was not asked since the server
    /// last answered.
    #[serde(default)]
    pub secondary: Option<SecondaryWord>,
}

/// Whether the files of a server can be read on its host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "files", content = "reason")]
pub enum FileAccess {
    /// They can.
    Readable,
    /// They cannot, for this reason.
    Unreadable(String),
}

impl FileAccess {
    /// Whether they can be read.
    pub const fn is_readable(&self) -> bool {
        matches!(self, Self::Readable)
    }
}

/// The binary logs of a server that does not run, as they were read from its disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "binlogs")]
pub enum BinlogsOnDisk {
    /// They were read to their end.
    Read {
        /// Everything that is complete in them, and what the oldest of them presupposes.
        holds: TransactionSet,
        /// The end of the last complete transaction.
        end: BinlogPosition,
        /// Where the last file ends, with whatever stands behind that transaction.
        length: BinlogPosition,
        /// What stands behind that and makes no whole transaction, as a sentence.
        incomplete: Option<String>,
    },
    /// They cannot be read; a copy of them that another host keeps was. What the server wrote last need
    /// not be in it, so it proves nothing.
    Copied {
        /// Everything that is complete in it, and what the oldest of its files presupposes.
        holds: TransactionSet,
        /// Where its last file ends.
        length: BinlogPosition,
        /// Where it is: a folder and a host, for people.
        place: String,
        /// Why the server's own cannot be read.
        reason: String,
        /// Trying those again may help.
        passing: bool,
    },
    /// They cannot be read, for this reason.
    Unreadable {
        /// Why, as a sentence.
        reason: String,
        /// Trying again may help: the host did not answer in time.
        passing: bool,
    },
}

impl BinlogsOnDisk {
    /// What they or a copy of them hold, if one of the two could be read.
    pub const fn holds(&self) -> Option<&TransactionSet> {
        match self {
            Self::Read { holds, .. } | Self::Copied { holds, .. } => Some(holds),
            Self::Unreadable { .. } => None,
        }
    }

    /// Where what was read ends.
    pub const fn length(&self) -> Option<&BinlogPosition> {
        match self {
            Self::Read { length, .. } | Self::Copied { length, .. } => Some(length),
            Self::Unreadable { .. } => None,
        }
    }
}

impl ServerObservation {
    /// A server of which nothing is known yet.
    pub fn unknown(address: Address) -> Self {
        Self {
            address,
            contact: Contact::Untried,
            facts: None,
            facts_at: None,
            received_at: None,
            process: None,
            fences: Vec::new(),
            files: None,
            on_disk: None,
            fenced: false,
            writes: None,
            secondary: None,
        }
    }

    /// Nobody can write there now: it was fenced, or its process was seen to have ended.
    pub fn is_closed(&self) -> bool {
        self.fenced || matches!(self.process, Some(ProcessState::Exited { .. }))
    }

    /// Its facts, if the last probe was answered.
    pub fn live_facts(&self) -> Option<&ServerFacts> {
        if self.contact.is_answering() { self.facts.as_ref() } else { None }
    }
}

/// The whole of a cluster at one moment, as one manager sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSnapshot {
    /// Name of the cluster.
    pub cluster: String,
    /// When this was put together.
    pub now: Moment,
    /// Every configured or discovered server.
    pub servers: BTreeMap<Address, ServerObservation>,
    /// The primary of the current epoch, as recorded; `None` before the first was seen.
    pub primary: Option<Address>,
    /// The current epoch.
    pub epoch: Epoch,
    /// A person paused automatic actions.
    pub paused: bool,
    /// When this manager last finished an automatic failover of the cluster.
    pub last_failover: Option<Moment>,
    /// Servers that an operation left behind, until they are in their places again.
    #[serde(default)]
    pub absent: BTreeMap<Address, Absence>,
    /// The policy in force.
    pub policy: Policy,
}

impl ClusterSnapshot {
    /// The observation of a server.
    pub fn server(&self, address: &Address) -> Option<&ServerObservation> {
        self.servers.get(address)
    }

    /// Facts of a server that answers now.
    pub fn live(&self, address: &Address) -> Option<&ServerFacts> {
        self.server(address).and_then(ServerObservation::live_facts)
    }

    /// Servers that answer now, with their facts, in the order of their addresses.
    pub fn all_live(&self) -> impl Iterator<Item = (&Address, &ServerFacts)> {
        self.servers.iter().filter_map(|(a, s)| Some((a, s.live_facts()?)))
    }

    /// The managed channel of a server that answers now.
    pub fn live_channel(&self, address: &Address) -> Option<&ChannelStatus> {
        self.live(address)?.channel(&self.policy.channel)
    }
}
