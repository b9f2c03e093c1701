//! Builders of small worlds for tests: `cluster(["a", "b", "c"])` is a healthy MariaDB cluster
//! whose first server is the primary; tests then change what their case is about.

use std::collections::{BTreeMap, BTreeSet};

use primacy_types::{
    Address, BinlogPosition, BinlogsOnDisk, ChannelStatus, ClusterSnapshot, Contact,
    ContactFailure, Epoch, FenceRung, FileAccess, GtidMode, Millis, Moment, Policy, Positioning,
    ReceiverState, SemiSyncPolicy, SemiSyncStatus, ServerFacts, ServerObservation, ServerVersion,
    TransactionSet, WithoutAcker,
};

/// The moment at which the worlds of tests stand.
pub const NOW: Moment = Moment(100_000);

/// A snapshot under construction.
#[derive(Clone, Debug)]
pub struct World {
    /// What the rules are given.
    pub snapshot: ClusterSnapshot,
}

/// The address of a server of a test world.
pub fn addr(name: &str) -> Address {
    Address::new(name, 3306)
}

/// A MariaDB GTID position.
pub fn pos(text: &str) -> TransactionSet {
    TransactionSet::MariaDb(text.parse().expect("a GTID position"))
}

/// The `server_uuid` of the MySQL server with this `server_id` in a test world.
pub fn uuid(server_id: u32) -> String {
    format!("{server_id:08}-0000-0000-0000-000000000000")
}

/// A place in the primary's first binary log.
pub fn place(offset: u64) -> BinlogPosition {
    BinlogPosition::new("binlog.000001", offset)
}

/// Everything of the primary's first binary log up to this place.
pub fn up_to(offset: u64) -> TransactionSet {
    TransactionSet::UpTo(Some(place(offset)))
}

/// A MySQL GTID set, with `server_id`s in place of UUIDs: `1:1-100,2:1-3`.
pub fn gtids(text: &str) -> TransactionSet {
    let entries = text.split(',').filter(|e| !e.is_empty()).map(|entry| {
        let (server, intervals) = entry.split_once(':').expect("server:intervals");
        format!("{}:{intervals}", uuid(server.parse().expect("a server id")))
    });
    let text: Vec<_> = entries.collect();
    TransactionSet::MySql(text.join(",").parse().expect("a GTID set"))
}

/// A healthy cluster: the first server is the primary, the others replicate from it.
pub fn cluster<const N: usize>(names: [&str; N]) -> World {
    cluster_of(&names)
}

/// As [`cluster`], for a number of servers that is not known beforehand.
pub fn cluster_of(names: &[&str]) -> World {
    let addresses: Vec<Address> = names.iter().map(|n| addr(n)).collect();
    let mut snapshot = ClusterSnapshot {
        cluster: "c1".into(),
        now: NOW,
        servers: BTreeMap::new(),
        primary: Some(addresses[0].clone()),
        epoch: Epoch(1),
        paused: false,
        last_failover: None,
        absent: BTreeMap::new(),
        policy: Policy::for_servers(addresses.clone()),
    };
    snapshot.policy.write_probe = Some(Millis::from_secs(10));
    for (i, address) in addresses.iter().enumerate() {
        let mut server = ServerObservation::unknown(address.clone());
        server.contact = Contact::Answering { at: NOW };
        server.facts_at = Some(NOW);
        let source = (i > 0).then(|| addresses[0].clone());
        server.received_at = source.as_ref().map(|_| NOW);
        server.facts = Some(facts(i as u32 + 1, source));
        snapshot.servers.insert(address.clone(), server);
    }
    World { snapshot }
}

fn facts(server_id: u32, source: Option<Address>) -> ServerFacts {
    ServerFacts {
        version: ServerVersion::mariadb(10, 11, 6),
        server_id,
        server_uuid: None,
        read_only: source.is_some(),
        super_read_only: None,
        log_bin: true,
        log_replica_updates: true,
        gtid_mode: GtidMode::On,
        gtid_strict: Some(true),
        executed: pos("0-1-100"),
        logged: pos("0-1-100"),
        purged: None,
        binlog: None,
        closed_binlogs: Vec::new(),
        channels: source.into_iter().map(channel).collect(),
        replicas: Vec::new(),
        semi_sync: SemiSyncStatus::default(),
        uptime_seconds: 5000,
        connections: 3,
        max_connections: 100,
        host_name: "host".into(),
        pid_file: String::new(),
        data_dir: String::new(),
        binlog_base: String::new(),
        relay_log_base: String::new(),
        binlog_server: false,
        epoch: None,
        safety: primacy_types::CrashSafety::default(),
    }
}

fn channel(source: Address) -> ChannelStatus {
    ChannelStatus {
        name: String::new(),
        source,
        source_server_id: 1,
        source_uuid: None,
        receiver: ReceiverState::Running,
        applier_running: true,
        receiver_error: None,
        applier_error: None,
        received: Some(pos("0-1-100")),
        read: None,
        applied: None,
        relay_log: None,
        relay_log_space: 0,
        positioning: Positioning::SlavePos,
        lag_seconds: Some(0),
        delay_seconds: 0,
        heartbeat_period: Some(Millis(1000)),
        heartbeats: Some(10),
        connect_retry_seconds: 1,
        filters: BTreeSet::new(),
        user: "repl".into(),
        settings: BTreeMap::new(),
        applier_idle: true,
    }
}

impl World {
    /// The observation of a server.
    pub fn server(&mut self, name: &str) -> &mut ServerObservation {
        self.snapshot.servers.get_mut(&addr(name)).expect("a server of the test world")
    }

    /// The facts of a server.
    pub fn facts(&mut self, name: &str) -> &mut ServerFacts {
        self.server(name).facts.as_mut().expect("facts")
    }

    /// The managed channel of a replica.
    pub fn channel(&mut self, name: &str) -> &mut ChannelStatus {
        &mut self.facts(name).channels[0]
    }

    /// The server stopped answering this way, so long ago, after so many probes.
    #[must_use]
    pub fn failing(mut self, name: &str, last: ContactFailure, ago: u64, failures: u32) -> Self {
        let since = self.snapshot.now - Millis(ago);
        self.server(name).contact =
            Contact::Failing { since, failures, last, last_answer: Some(since) };
        self
    }

    /// The replica's receiver lost its source and said so a moment ago.
    #[must_use]
    pub fn receiver_lost(mut self, name: &str) -> Self {
        self.channel(name).receiver = ReceiverState::Connecting;
        self.server(name).received_at = Some(NOW - Millis(400));
        self
    }

    /// The primary died 50 ms ago and every replica lost it.
    #[must_use]
    pub fn primary_killed(mut self) -> Self {
        let primary = self.snapshot.primary.clone().expect("a primary");
        let others: Vec<_> =
            self.snapshot.servers.keys().filter(|a| **a != primary).cloned().collect();
        self = self.failing(primary.host(), ContactFailure::Refused, 50, 1);
        for other in others {
            self = self.receiver_lost(other.host());
        }
        self
    }

    /// The server received this and applied only that.
    #[must_use]
    pub fn received(mut self, name: &str, received: &str, applied: &str) -> Self {
        let mysql = self.facts(name).version.is_mysql();
        let parse = |text| if mysql { gtids(text) } else { pos(text) };
        self.channel(name).received = Some(parse(received));
        self.facts(name).executed = parse(applied);
        self.facts(name).logged = parse(applied);
        self
    }

    /// The replica's receiver is connected and has got nothing since so long ago.
    #[must_use]
    pub fn quiet(mut self, name: &str, ago: u64) -> Self {
        self.server(name).received_at = Some(NOW - Millis(ago));
        self
    }

    /// The replica reads from another replica.
    #[must_use]
    pub fn below(mut self, name: &str, source: &str) -> Self {
        let id = self.facts(source).server_id;
        let uuid = self.facts(source).server_uuid.clone();
        let channel = self.channel(name);
        channel.source = addr(source);
        channel.source_server_id = id;
        channel.source_uuid = uuid;
        self
    }

    /// All servers are MySQL with GTIDs, at transaction 100 of the primary.
    #[must_use]
    pub fn on_mysql(mut self) -> Self {
        for server in self.snapshot.servers.values_mut() {
            let Some(facts) = &mut server.facts else {
                continue;
            };
            facts.version = ServerVersion::mysql(8, 4, 3);
            facts.server_uuid = Some(uuid(facts.server_id));
            facts.super_read_only = Some(facts.read_only);
            facts.gtid_strict = None;
            facts.executed = gtids("1:1-100");
            facts.logged = gtids("1:1-100");
            facts.purged = Some(gtids(""));
            for channel in &mut facts.channels {
                channel.source_uuid = Some(uuid(channel.source_server_id));
                channel.received = Some(gtids("1:2-100"));
                channel.positioning = Positioning::AutoPosition;
            }
        }
        self
    }

    /// Everybody replicates by file and position, at place 1000 of the primary's log.
    #[must_use]
    pub fn by_place(mut self) -> Self {
        let primary = self.snapshot.primary.clone().expect("a primary");
        for (address, server) in &mut self.snapshot.servers {
            let Some(facts) = &mut server.facts else {
                continue;
            };
            facts.gtid_mode = GtidMode::Off;
            facts.executed = facts.executed.nothing();
            facts.logged = facts.executed.clone();
            if *address == primary {
                facts.binlog = Some(place(1000));
            }
            for channel in &mut facts.channels {
                channel.positioning = Positioning::FileAndPosition;
                channel.received = None;
                channel.read = Some(place(1000));
                channel.applied = Some(place(1000));
            }
        }
        self
    }

    /// The replica received the primary's log up to one place and applied it up to another.
    #[must_use]
    pub fn read(mut self, name: &str, read: u64, applied: u64) -> Self {
        let channel = self.channel(name);
        channel.read = Some(place(read));
        channel.applied = Some(place(applied));
        self
    }

    /// The files on the host of this server can be read.
    #[must_use]
    pub fn readable(mut self, name: &str) -> Self {
        self.server(name).files = Some(FileAccess::Readable);
        self
    }

    /// The binary logs of this server were read from its disk.
    #[must_use]
    pub fn on_disk(mut self, name: &str, holds: TransactionSet) -> Self {
        let end = holds.as_place().cloned().unwrap_or_else(|| place(5000));
        let length = place(end.offset + 100);
        let read = BinlogsOnDisk::Read { holds, end, length, incomplete: None };
        self.server(name).on_disk = Some(read);
        self.server(name).fenced = true;
        self.readable(name)
    }

    /// The manager can fence this server from the same machine.
    #[must_use]
    pub fn local(mut self, name: &str) -> Self {
        self.server(name).fences = vec![FenceRung::Local];
        self
    }

    /// Semi-sync was in force with all replicas as clients.
    #[must_use]
    pub fn semi_sync(mut self, wait_count: u16) -> Self {
        let primary = self.snapshot.primary.clone().expect("a primary");
        let clients = self.snapshot.servers.len() as u32 - 1;
        for (address, server) in &mut self.snapshot.servers {
            let Some(facts) = &mut server.facts else {
                continue;
            };
            facts.semi_sync = SemiSyncStatus {
                available: true,
                source_enabled: *address == primary,
                source_active: *address == primary,
                replica_enabled: *address != primary,
                replica_active: *address != primary,
                clients: if *address == primary { clients } else { 0 },
                wait_count,
                timeout: Millis::from_secs(3600),
                after_sync: true,
                unacknowledged: 0,
            };
        }
        self.snapshot.policy.semi_sync =
            Some(SemiSyncPolicy { wait_count, without_acker: WithoutAcker::Block });
        self
    }
}
