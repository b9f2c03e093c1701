//! What people decided beforehand: timing, preferences, and what to do when a promise cannot be
//! kept. The configuration builds these; diagnosis and plans read them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Address, Millis, SshTarget};

/// A row is written every second, so less would be no patience at all.
const LEAST_WRITE_LIMIT: Millis = Millis(2000);

/// What holds where an older record does not say.
const fn yes() -> bool {
    true
}

/// How much a server is wanted as primary.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Promotion {
    /// Chosen before others, also when another replica has received more (it is levelled first).
    Prefer,
    /// Neither wanted nor unwanted.
    #[default]
    Neutral,
    /// Only if no `prefer` or `neutral` server can serve.
    Last,
    /// Never promoted; not by a person without `--force` either.
    Never,
}

/// What may be done on the host of a server, besides SQL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostAccessKind {
    /// Local if the server is seen to run on this machine, none otherwise.
    #[default]
    Auto,
    /// The server runs on this machine; it is an error if its process cannot be found.
    Local,
    /// The host is reached over ssh: its files are read and its process is seen that way.
    Ssh,
    /// An agent runs there.
    Agent,
    /// Nothing but SQL.
    None,
}

/// Preferences for one server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerPolicy {
    /// How much it is wanted as primary.
    pub promotion: Promotion,
    /// A failover goes on although this replica is dead or broken; see [`BrokenReplicas`].
    #[serde(default)]
    pub ignore_failure: bool,
    /// Where it stands; servers of the primary's site are preferred.
    pub site: Option<String>,
    /// Kept behind on purpose: watched without alarms about lag, promoted only if nothing else is
    /// left and `promotion` allows it.
    pub delayed: bool,
    /// How the manager reaches the host.
    pub host_access: HostAccessKind,
    /// Where its agent listens; `None`: at the usual port of the server's host.
    pub agent: Option<Address>,
    /// What starts the server where no systemd unit does: a program by its absolute path and its
    /// arguments. For hosts without an agent, whose own file says it.
    #[serde(default)]
    pub start: Vec<String>,
    /// How its host is reached over ssh, where that differs from the others.
    #[serde(default)]
    pub ssh: SshTarget,
}

/// What to do when a promise cannot be kept: stop and ask, or go on and say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RefuseOrProceed {
    /// Do nothing, alarm, wait for a person.
    Refuse,
    /// Go on; the plan and the report name the missing guarantee.
    Proceed,
}

/// What to do when a former primary is back and the cluster goes on without it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rejoin {
    /// Make it a replica.
    #[default]
    Auto,
    /// Say that it is back and wait for `primacy rejoin`.
    Ask,
    /// Leave it to people.
    Never,
}

/// What to do with a returned server that has transactions which the primary has not. They are
/// saved to a file in every case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnErrant {
    /// Leave it read-only and out of replication until a person decides.
    #[default]
    Quarantine,
    /// Undo them where it can be proved that this is right, else as `quarantine`.
    Rewind,
    /// Replace its data by a copy of another replica's; the old data directory is kept.
    Rebuild,
}

/// What to do after a clean shutdown of the primary (somebody stopped it; it did not die).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnCleanShutdown {
    /// Fail over if it is not back within so long.
    Wait(Millis),
    /// Treat it as a death.
    Failover,
    /// Leave the cluster without a primary until a person acts.
    Ignore,
}

/// What to do at a failover when fewer semi-sync replicas are left than the new primary must wait
/// for, so that its first commit would block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WithoutAcker {
    /// Promote; commits wait until enough replicas return (nothing can be lost).
    Block,
    /// Promote and switch semi-sync off on the new primary until enough replicas return, loudly.
    Degrade,
    /// Do not promote.
    Refuse,
}

/// Semi-synchronous replication as this cluster wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SemiSyncPolicy {
    /// How many acknowledgements the primary waits for
    /// (`rpl_semi_sync_source_wait_for_replica_count`; MariaDB always waits for one).
    pub wait_count: u16,
    /// What to do when fewer replicas than that are left.
    pub without_acker: WithoutAcker,
}

/// How a server is probed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PingType {
    /// By questions on a connection that stays open.
    #[default]
    Select,
    /// On a new connection each time.
    Connect,
    /// As `Select`, and the primary must commit a row; see [`Policy::write_limit`].
    Insert,
}

/// What a replica that is dead or whose applier has failed means for a failover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BrokenReplicas {
    /// The others take part; this one is left as it is.
    #[default]
    GoOn,
    /// Nothing is promoted, unless the replica has `ignore_failure`.
    Refuse,
}

/// Which scripts a cluster has that are called as MHA calls them; plans have steps for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Scripts {
    /// `failover_script`: the way to a dead primary is taken, and given to the new one.
    pub failover: bool,
    /// `switchover_script`: the same in a switchover.
    pub switchover: bool,
    /// `secondary_check_script`: others are asked whether they reach the primary.
    pub secondary_check: bool,
    /// How long one call may take.
    pub timeout: Millis,
}

impl Default for Scripts {
    fn default() -> Self {
        let timeout = Millis::from_secs(60);
        Self { failover: false, switchover: false, secondary_check: false, timeout }
    }
}

/// Durations and limits of one cluster. The defaults suit a LAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Pause between two probes of a server.
    pub ping_interval: Millis,
    /// So many unanswered probes in a row make silence a suspicion.
    pub ping_failures: u32,
    /// Limit of one connection attempt.
    pub connect_timeout: Millis,
    /// A drain, levelling or catch-up without progress for so long is given up.
    pub stall_limit: Millis,
    /// A switchover waits so long for running transactions, and refuses if one is older.
    pub grace: Millis,
    /// How long a switchover may keep writes blocked while the winner catches up.
    pub switchover_limit: Millis,
    /// Limit of a single statement that changes a server.
    pub statement_limit: Millis,
    /// How long the siblings' repointing is retried before the failover is reported complete.
    pub repoint_limit: Millis,
    /// How long a primary may accept writes without hearing from a manager, where leases are in
    /// force.
    pub lease: Millis,
    /// A second automatic failover of the same cluster within this time is refused.
    pub failover_block: Millis,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ping_interval: Millis(500),
            ping_failures: 4,
            connect_timeout: Millis(1000),
            stall_limit: Millis::from_secs(30),
            grace: Millis::from_secs(2),
            switchover_limit: Millis::from_secs(10),
            statement_limit: Millis::from_secs(5),
            repoint_limit: Millis::from_secs(30),
            lease: Millis::from_secs(3),
            failover_block: Millis::from_secs(600),
        }
    }
}

/// Where the virtual addresses for readers go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderPolicy {
    /// They go to the primary's host while no replica is healthy enough.
    pub on_primary: bool,
    /// A replica that is further behind is not.
    pub max_lag: Millis,
    /// So long a host may hold one without hearing from a manager, and longer another one waits.
    pub lease: Millis,
}

impl Default for ReaderPolicy {
    fn default() -> Self {
        Self { on_primary: true, max_lag: Millis::from_secs(30), lease: Millis::from_secs(10) }
    }
}

/// What a failover leaves for a person to do, because whoever runs it said so (MHA's
/// `--skip_change_master` and `--skip_disable_read_only`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Leaves {
    /// Replicas keep the dead primary as their source; they are given what they lack.
    pub replicas: bool,
    /// The new primary stays read-only.
    pub closed: bool,
}

impl Leaves {
    /// Whether anything is left.
    pub const fn anything(self) -> bool {
        self.replicas || self.closed
    }

    /// Nobody is opened and nobody moves: the old primary stays the one on record.
    pub const fn everything(self) -> bool {
        self.replicas && self.closed
    }
}

/// All that people decided about one cluster of a primary and its replicas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The servers in the order of the configuration, which settles what nothing else does.
    #[serde(default)]
    pub order: Vec<Address>,
    /// Per server; every configured server has an entry.
    pub servers: BTreeMap<Address, ServerPolicy>,
    /// The replication channel that Primacy manages (`""` is the default channel); others are
    /// left alone.
    pub channel: String,
    /// Fail over without being asked.
    pub automatic_failover: bool,
    /// Durations and limits.
    pub timing: Timing,
    /// Semi-synchronous replication; `None` if the cluster is asynchronous.
    pub semi_sync: Option<SemiSyncPolicy>,
    /// A primary that cannot be fenced: may it be replaced?
    pub unfenced: RefuseOrProceed,
    /// After a clean shutdown of the primary.
    pub on_clean_shutdown: OnCleanShutdown,
    /// When it cannot be proved that the replicas hold all acknowledged rows. `None`: refuse if
    /// semi-sync was in force, proceed loudly if the cluster was asynchronous.
    pub on_possible_loss: Option<RefuseOrProceed>,
    /// Candidates that carry errant transactions may be promoted.
    pub allow_errant: bool,
    /// A primary that has not committed a row of the manager's own for so long cannot write; `None`:
    /// none is written.
    #[serde(default)]
    pub write_probe: Option<Millis>,
    /// How servers are probed.
    #[serde(default)]
    pub ping_type: PingType,
    /// Among equally wanted candidates the one that has received most wins; else the order of the
    /// configuration decides.
    #[serde(default = "yes")]
    pub prefer_latest: bool,
    /// A large backlog of its own counts against a candidate.
    #[serde(default = "yes")]
    pub check_lag: bool,
    /// Replicas with different replication filters stop a failover or switchover.
    #[serde(default = "yes")]
    pub check_filters: bool,
    /// When replicas are dead or broken at a failover.
    #[serde(default)]
    pub broken_replicas: BrokenReplicas,
    /// Replicas of replicas are left alone.
    #[serde(default)]
    pub multi_tier: bool,
    /// A new primary keeps the settings with which it was a replica.
    #[serde(default)]
    pub keep_replication_settings: bool,
    /// What a failover leaves for a person to do. No file says it: it is said for one run.
    #[serde(default)]
    pub leaves: Leaves,
    /// Which scripts there are.
    #[serde(default)]
    pub scripts: Scripts,
    /// When a former primary is back.
    pub rejoin: Rejoin,
    /// When a returned server has transactions which the primary has not.
    pub on_errant: OnErrant,
    /// No candidate outside the primary's site.
    pub stay_in_site: bool,
    /// The new primary records its epoch in the table `primacy.epoch`.
    pub epoch_table: bool,
    /// The manager may set heartbeat period and connect retry of replicas when it repoints them.
    pub heartbeat_period: Millis,
    /// Seconds between two connection attempts of a repointed replica.
    pub connect_retry_seconds: u32,
    /// Virtual addresses for readers.
    #[serde(default)]
    pub readers: ReaderPolicy,
}

impl Policy {
    /// Defaults for these servers.
    pub fn for_servers(servers: impl IntoIterator<Item = Address>) -> Self {
        let order: Vec<Address> = servers.into_iter().collect();
        Self {
            servers: order.iter().map(|a| (a.clone(), ServerPolicy::default())).collect(),
            order,
            channel: String::new(),
            automatic_failover: true,
            timing: Timing::default(),
            semi_sync: None,
            unfenced: RefuseOrProceed::Refuse,
            on_clean_shutdown: OnCleanShutdown::Wait(Millis::from_secs(30)),
            on_possible_loss: None,
            allow_errant: false,
            write_probe: None,
            ping_type: PingType::Select,
            prefer_latest: true,
            check_lag: true,
            check_filters: true,
            broken_replicas: BrokenReplicas::GoOn,
            multi_tier: false,
            keep_replication_settings: false,
            leaves: Leaves::default(),
            scripts: Scripts::default(),
            rejoin: Rejoin::Auto,
            on_errant: OnErrant::Quarantine,
            stay_in_site: false,
            epoch_table: true,
            heartbeat_period: Millis(1000),
            connect_retry_seconds: 1,
            readers: ReaderPolicy::default(),
        }
    }

    /// A primary that has not committed a row of the manager's own for so long cannot write;
    /// `None`: none is written. Probing by inserts gives the patience of all probes to commits.
    pub fn write_limit(&self) -> Option<Millis> {
        let patience = Millis(self.timing.ping_interval.0 * u64::from(self.timing.ping_failures));
        let inserts = self.ping_type == PingType::Insert;
        self.write_probe.or_else(|| inserts.then(|| patience.max(LEAST_WRITE_LIMIT)))
    }

    /// The preferences of a server; defaults for one that was discovered and not configured.
    pub fn server(&self, address: &Address) -> ServerPolicy {
        self.servers.get(address).cloned().unwrap_or_default()
    }
}
