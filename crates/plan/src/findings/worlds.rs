//! For each check a small world that triggers it, and healthy worlds of several versions.

use std::collections::BTreeSet;

use primacy_types::{
    Absence, AbsenceState, ContactFailure, Epoch, FenceRung, GtidMode, HostAccessKind, Millis,
    Moment, Positioning, Promotion, ReceiverState, RefuseOrProceed, RegisteredReplica,
    ReplicationError, Repository, SemiSyncPolicy, ServerPolicy, ServerVersion, TransactionSet,
    UnsafeTables, WallClock, WithoutAcker, WriteTrouble, WriteWord,
};

use crate::testing::{World, addr, cluster, pos};

/// Three servers that want nothing, with semi-sync.
pub(super) fn healthy() -> World {
    cluster(["a", "b", "c"]).local("a").readable("a").semi_sync(1)
}

/// The versions in whose words the findings are tried.
pub(super) const VERSIONS: [ServerVersion; 6] = [
    ServerVersion::mariadb(10, 5, 23),
    ServerVersion::mariadb(11, 8, 6),
    ServerVersion::mysql(5, 6, 24),
    ServerVersion::mysql(5, 7, 44),
    ServerVersion::mysql(8, 0, 40),
    ServerVersion::mysql(9, 7, 4),
];

fn uuid(server_id: u32) -> String {
    format!("00000000-0000-0000-0000-{server_id:012}")
}

/// The same world on servers of this version.
pub(super) fn on_version(mut world: World, version: ServerVersion) -> World {
    let mysql = |set: &TransactionSet| match set {
        TransactionSet::MySql(_) | TransactionSet::UpTo(_) => set.clone(),
        TransactionSet::MariaDb(pos) => {
            let list: Vec<_> =
                pos.iter().map(|g| format!("{}:1-{}", uuid(g.server), g.sequence)).collect();
            TransactionSet::MySql(list.join(",").parse().expect("a GTID set"))
        }
    };
    for server in world.snapshot.servers.values_mut() {
        let Some(facts) = &mut server.facts else {
            continue;
        };
        // A server that is different on purpose stays so.
        if facts.version != ServerVersion::mariadb(10, 11, 6) {
            continue;
        }
        facts.version = version;
        if version.is_mariadb() {
            continue;
        }
        facts.gtid_strict = None;
        if facts.server_uuid.is_none() {
            facts.server_uuid = Some(uuid(facts.server_id));
        }
        facts.super_read_only =
            facts.super_read_only.or(Some(facts.read_only)).filter(|_| version.at_least(5, 7, 8));
        facts.executed = mysql(&facts.executed);
        facts.logged = mysql(&facts.logged);
        for channel in &mut facts.channels {
            channel.received = channel.received.as_ref().map(mysql);
            if channel.positioning.is_gtid() {
                channel.positioning = Positioning::AutoPosition;
            }
        }
    }
    world
}

fn policy<'w>(world: &'w mut World, server: &str) -> &'w mut ServerPolicy {
    world.snapshot.policy.servers.get_mut(&addr(server)).expect("a server of the test world")
}

/// A world in which the check of this code finds something.
pub(super) fn triggers(code: &str) -> Option<World> {
    let mut world = healthy();
    let w = &mut world;
    match code {
        "primary-unknown" => {
            w.snapshot.primary = None;
            w.facts("a").channels = w.facts("b").channels.clone();
            w.facts("a").read_only = true;
        }
        "several-writable" | "read-only-off" => {
            w.facts("b").read_only = false;
            w.facts("b").super_read_only = Some(false);
        }
        "primary-read-only" => w.facts("a").read_only = true,
        "single-server" => return Some(cluster(["a"]).local("a")),
        "no-candidate" => {
            policy(w, "b").promotion = Promotion::Never;
            w.facts("c").log_bin = false;
        }
        "reluctant-candidates" => {
            policy(w, "b").promotion = Promotion::Last;
            policy(w, "c").delayed = true;
        }
        "super-read-only-off" => w.facts("b").super_read_only = Some(false),
        "co-primary" => {
            w.facts("a").channels = w.facts("b").channels.clone();
            w.channel("a").source = addr("b");
            w.channel("a").source_server_id = 2;
        }
        "unreachable" => return Some(world.failing("c", ContactFailure::Refused, 100, 2)),
        "server-listed-twice" => w.facts("c").server_id = 2,
        "duplicate-server-uuid" => {
            for name in ["b", "c"] {
                w.facts(name).server_uuid = Some(uuid(2));
            }
        }
        "duplicate-server-id" => {
            w.facts("c").server_id = 2;
            w.facts("c").host_name = "another".into();
        }
        "other-flavour" => w.facts("b").version = ServerVersion::mysql(4, 1, 0),
        "replica-older-than-source" => {
            w.facts("a").version = ServerVersion::mariadb(12, 3, 0);
        }
        "replica-newer-than-primary" => {
            w.facts("b").version = ServerVersion::mariadb(12, 3, 0);
        }
        "connections-nearly-exhausted" => w.facts("a").connections = 95,
        "not-a-replica" => w.facts("c").channels.clear(),
        "left-behind" => {
            let state = AbsenceState::Unable { why: "its history ends elsewhere".to_owned() };
            let absence = Absence { since: WallClock(1), state };
            w.snapshot.absent.insert(addr("c"), absence);
        }
        "unknown-source" => {
            w.channel("c").source = addr("elsewhere");
            w.channel("c").source_server_id = 99;
        }
        "unlisted-replica" => {
            let replica = RegisteredReplica { server_id: 9, address: Some(addr("z")) };
            w.facts("a").replicas.push(replica);
        }
        "external-channel" => {
            w.facts("a").channels = w.facts("b").channels.clone();
            w.channel("a").source = addr("elsewhere");
            w.channel("a").source_server_id = 99;
            w.channel("a").name = "from'outside".into();
        }
        "receiver-stopped" => w.channel("c").receiver = ReceiverState::Stopped,
        "applier-stopped" => w.channel("b").applier_running = false,
        "applier-broken" => {
            world = world.received("c", "0-1-100", "0-1-90");
            let message = "Duplicate entry".into();
            world.channel("c").applier_running = false;
            world.channel("c").applier_error = Some(ReplicationError { code: 1062, message });
        }
        "lag" => w.channel("c").lag_seconds = Some(61),
        "replication-filters" => w.channel("b").filters = every_filter(),
        "filters-differ" => {
            w.channel("b").filters = BTreeSet::from(["Replicate_Do_DB=x".to_owned()]);
            w.channel("c").filters = BTreeSet::from(["Replicate_Do_DB=y".to_owned()]);
        }
        "errant-transactions" => w.facts("b").executed = pos("0-2-105"),
        "outside-transactions" => {
            let mut outside = w.channel("b").clone();
            outside.name = "outside".into();
            outside.source = addr("elsewhere");
            outside.source_server_id = 99;
            outside.received = Some(pos("7-99-5"));
            w.facts("b").channels.push(outside);
            w.facts("b").executed = pos("0-1-100,7-99-5");
            w.facts("b").logged = pos("0-1-100,7-99-5");
        }
        "heartbeat-slow" => w.channel("b").heartbeat_period = Some(Millis::from_secs(30)),
        "heartbeat-unknown" => w.channel("b").heartbeat_period = None,
        "connect-retry-long" => w.channel("b").connect_retry_seconds = 60,
        "log-bin-off" => w.facts("b").log_bin = false,
        "log-replica-updates-off" => w.facts("b").log_replica_updates = false,
        "gtid-off" => {
            w.facts("b").gtid_mode = GtidMode::Off;
            w.channel("b").positioning = Positioning::FileAndPosition;
        }
        "file-and-position" => by_position(w),
        "channel-by-position" => w.channel("b").positioning = Positioning::FileAndPosition,
        "gtid-strict-mode-off" => w.facts("b").gtid_strict = Some(false),
        "log-not-synced" => w.facts("b").safety.sync_binlog = Some(0),
        "positions-in-files" => {
            by_position(w);
            w.facts("b").safety.applier_place = Some(Repository::File);
        }
        "parallel-without-order" => {
            w.facts("b").version = ServerVersion::mysql(8, 0, 36);
            w.facts("b").safety.parallel_workers = Some(4);
            w.facts("b").safety.preserve_commit_order = Some(false);
        }
        "unsafe-tables" => {
            let examples = vec!["app.old (MyISAM)".to_owned()];
            let tables = UnsafeTables { count: 1, examples, at_uptime: 1 };
            w.facts("a").safety.unsafe_tables = Some(tables);
        }
        "relay-logs-purged" => {
            by_position(w);
            w.facts("b").safety.relay_log_purge = Some(true);
        }
        "relay-log-recovery" => {
            by_position(w);
            w.facts("c").safety.relay_log_recovery = Some(true);
        }
        "binlog-encrypted" => w.facts("a").safety.binlog_encrypted = Some(true),
        "no-file-access" => w.server("a").files = None,
        "semi-sync-plugin-missing" => w.facts("b").semi_sync.available = false,
        "semi-sync-off" => {
            w.facts("a").semi_sync.source_enabled = false;
            w.facts("a").semi_sync.source_active = false;
        }
        "semi-sync-degraded" => w.facts("a").semi_sync.source_active = false,
        "semi-sync-few-clients" => w.facts("a").semi_sync.clients = 0,
        "semi-sync-timeout-short" => w.facts("b").semi_sync.timeout = Millis::from_secs(10),
        "semi-sync-after-commit" => w.facts("b").semi_sync.after_sync = false,
        "semi-sync-unacknowledged" => w.facts("a").semi_sync.unacknowledged = 3,
        "semi-sync-replica-off" => {
            w.facts("c").semi_sync.replica_enabled = false;
            w.facts("c").semi_sync.replica_active = false;
        }
        "semi-sync-source-on-replica" => {
            w.facts("b").semi_sync.source_enabled = true;
            w.facts("b").semi_sync.source_active = true;
        }
        "semi-sync-after-failover" | "semi-sync-wait-count" => {
            let wish = SemiSyncPolicy { wait_count: 2, without_acker: WithoutAcker::Block };
            w.snapshot.policy.semi_sync = Some(wish);
        }
        "semi-sync-unwanted" => w.snapshot.policy.semi_sync = None,
        "no-fence" => w.server("a").fences.clear(),
        "no-fence-proceed" => {
            w.server("a").fences.clear();
            w.snapshot.policy.unfenced = RefuseOrProceed::Proceed;
        }
        "process-unknown" => policy(w, "b").host_access = HostAccessKind::Local,
        "epoch-ahead" => w.facts("b").epoch = Some(Epoch(7)),
        "paused" => w.snapshot.paused = true,
        "failover-blocked" => w.snapshot.last_failover = Some(Moment(90_000)),
        "automatic-failover-off" => w.snapshot.policy.automatic_failover = false,
        "write-probe-off" => w.snapshot.policy.write_probe = None,
        "writes-held-up" => {
            let message = "Lock wait timeout exceeded".to_owned();
            w.server("a").writes = Some(WriteTrouble {
                since: Moment(90_000),
                at: Moment(100_000),
                word: WriteWord::Refused { code: 1205, message },
            });
        }
        "failover-held" => {
            world = world.received("c", "0-1-150", "0-1-150");
            world.facts("c").log_replica_updates = false;
            // Its disk would have them, too.
            world.server("a").files = None;
        }
        "failover-refused" => {
            world = cluster(["a", "b", "c"]).local("a");
            world.snapshot.policy.on_possible_loss = Some(RefuseOrProceed::Refuse);
        }
        "switchover-refused" => w.channel("b").lag_seconds = Some(20),
        _ => return None,
    }
    Some(world)
}

/// Its replicas find their places by file and position.
fn by_position(world: &mut World) {
    for name in ["b", "c"] {
        world.channel(name).positioning = Positioning::FileAndPosition;
    }
}

/// Every filter that a replica status can show.
fn every_filter() -> BTreeSet<String> {
    [
        "Replicate_Do_DB=x",
        "Replicate_Rewrite_DB=(x,y)",
        "Replicate_Wild_Ignore_Table=x.%",
        "Replicate_Ignore_Server_Ids=7",
    ]
    .map(str::to_owned)
    .into()
}

/// A cluster whose primary can be fenced, without semi-sync.
pub(super) fn asynchronous() -> World {
    let mut world = cluster(["a", "b", "c"]).readable("a");
    world.server("a").fences = vec![FenceRung::Local];
    world
}
