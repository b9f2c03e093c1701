//! Arbitrary worlds. They are read off a tape of random bytes on which zero always means "as it
//! should be", so that a failing case shrinks to a healthy cluster with the one thing that matters.

use std::collections::BTreeSet;

use primacy_plan::testing::{NOW, World, addr, cluster_of, gtids, place, pos, up_to, uuid};
use primacy_plan::{FailoverRequest, SwitchoverRequest, replicates_by_place};
use primacy_types::{
    Address, BinlogPosition, BinlogsOnDisk, BrokenReplicas, ChannelStatus, Contact, ContactFailure,
    Epoch, FenceRung, FileAccess, GtidMode, Millis, Moment, OnCleanShutdown, Positioning,
    ProcessState, Promotion, ReceiverState, RefuseOrProceed, ReplicationError, SecondaryAnswer,
    SecondaryWord, SemiSyncPolicy, ServerVersion, TransactionSet, WithoutAcker, WriteTrouble,
    WriteWord,
};
use proptest::prelude::*;

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Random bytes, read one after another; zeros when they are used up.
struct Tape(std::vec::IntoIter<u8>);

impl Tape {
    fn below(&mut self, n: u8) -> u8 {
        self.0.next().unwrap_or(0) % n
    }

    /// True in one of `n` cases.
    fn one_in(&mut self, n: u8) -> bool {
        self.below(n) == n - 1
    }

    /// Mostly the first.
    fn mostly<T: Clone>(&mut self, n: u8, usual: T, others: &[T]) -> T {
        if self.one_in(n) { self.of(others) } else { usual }
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[usize::from(self.below(all.len() as u8))].clone()
    }

    /// So long ago.
    fn ago(&mut self, all: &[u64]) -> Moment {
        NOW - Millis(self.of(all))
    }

    fn site(&mut self) -> Option<String> {
        self.mostly(3, None, &[Some("east".to_owned()), Some("west".to_owned())])
    }
}

/// Any world at all; most have a primary that is in trouble.
pub(crate) fn worlds() -> impl Strategy<Value = World> {
    prop::collection::vec(any::<u8>(), 0..500).prop_map(|bytes| world(&mut Tape(bytes.into_iter())))
}

/// A world that is serving, or nearly.
pub(crate) fn serving_worlds() -> impl Strategy<Value = World> {
    worlds().prop_map(|mut world| {
        let primary = addr("a");
        world.snapshot.primary = Some(primary.clone());
        world.server("a").contact = Contact::Answering { at: NOW };
        for (address, server) in &mut world.snapshot.servers {
            if let Some(facts) = &mut server.facts {
                facts.read_only = *address != primary;
                facts.super_read_only = facts.super_read_only.map(|_| *address != primary);
            }
        }
        world
    })
}

pub(crate) fn failovers() -> impl Strategy<Value = FailoverRequest> {
    let server = prop::option::weighted(0.2, prop::sample::select(&NAMES[..]));
    let excluded = prop::collection::vec(prop::sample::select(&NAMES[..]), 0..2);
    (server, any::<bool>(), any::<bool>(), excluded).prop_map(|(to, force, accept, excluded)| {
        FailoverRequest {
            to: to.map(addr),
            force,
            accept_loss: force && accept,
            by_person: force,
            excluded: excluded.into_iter().map(addr).collect(),
            failed_donors: Vec::new(),
            failed_receivers: Vec::new(),
        }
    })
}

pub(crate) fn switchovers() -> impl Strategy<Value = SwitchoverRequest> {
    let server = prop::option::weighted(0.3, prop::sample::select(&NAMES[..]));
    (server, any::<bool>())
        .prop_map(|(to, leave_old)| SwitchoverRequest { to: to.map(addr), leave_old })
}

fn world(tape: &mut Tape) -> World {
    let count = usize::from(2 + tape.below(5));
    let mut world = cluster_of(&NAMES[..count]);
    let mysql = tape.one_in(2);
    if mysql {
        world = world.on_mysql();
    }
    if tape.one_in(3) {
        world = world.semi_sync(1 + u16::from(tape.below(3)));
        let without_acker =
            tape.of(&[WithoutAcker::Block, WithoutAcker::Degrade, WithoutAcker::Refuse]);
        let wait_count = u16::from(tape.below(4));
        world.snapshot.policy.semi_sync =
            tape.mostly(8, Some(SemiSyncPolicy { wait_count, without_acker }), &[None]);
    }
    policy(tape, &mut world);
    let spare = world.channel("b").clone();
    for name in &NAMES[..count] {
        replication(tape, &mut world, name, &spare, count);
        transactions(tape, &mut world, name, mysql);
        server(tape, &mut world, name);
    }
    trouble(tape, &mut world);
    if tape.one_in(4) {
        by_place(tape, &mut world);
    }
    files(tape, &mut world, mysql);
    writes(tape, &mut world);
    secondary(tape, &mut world);
    world
}

/// What the secondary check said of servers, now or in an earlier trouble.
fn secondary(tape: &mut Tape, world: &mut World) {
    for server in world.snapshot.servers.values_mut() {
        let answer = tape.of(&[
            SecondaryAnswer::Unreachable,
            SecondaryAnswer::Reachable,
            SecondaryAnswer::Undecided("exit code 2".to_owned()),
            SecondaryAnswer::Nothing("it hangs".to_owned()),
        ]);
        let asked = tape.of(&[NOW, Moment(0)]);
        server.secondary = (!tape.one_in(3)).then_some(SecondaryWord { asked, answer });
    }
}

/// Everybody replicates by file and position, and stands somewhere.
fn by_place(tape: &mut Tape, world: &mut World) {
    let somewhere = |tape: &mut Tape| 1000 + 100 * u64::from(tape.below(6));
    for server in world.snapshot.servers.values_mut() {
        let Some(facts) = &mut server.facts else { continue };
        facts.binlog = Some(place(somewhere(tape)));
        for channel in &mut facts.channels {
            let (a, b) = (somewhere(tape), somewhere(tape));
            channel.positioning = Positioning::FileAndPosition;
            channel.received = None;
            channel.applied = Some(place(a.min(b)));
            channel.read = Some(place(a.max(b)));
        }
    }
}

/// Servers that do not commit what the manager writes.
fn writes(tape: &mut Tape, world: &mut World) {
    for server in world.snapshot.servers.values_mut() {
        let hangs = WriteWord::Waits { state: "Commit".to_owned(), others: BTreeSet::new() };
        let locked = WriteWord::Refused { code: 1205, message: "Lock wait timeout".to_owned() };
        let word = tape.mostly(6, None, &[Some(hangs), Some(locked)]);
        let (since, at) = (tape.ago(&[11_000, 4000]), tape.ago(&[0, 4000]));
        server.writes = word.map(|word| WriteTrouble { since, at, word });
    }
}

/// Which files can be read, and what was read of the primary's.
fn files(tape: &mut Tape, world: &mut World, mysql: bool) {
    let by_place = replicates_by_place(&world.snapshot);
    for (address, server) in &mut world.snapshot.servers {
        if !tape.one_in(3) {
            continue;
        }
        let last = 100 + u64::from(tape.below(5));
        let offset = 1000 + 100 * u64::from(tape.below(6));
        let holds = match (by_place, mysql) {
            (true, _) => up_to(offset),
            (false, true) => gtids(&format!("1:1-{last},2:1-100")),
            (false, false) => pos(&format!("0-1-{last},1-1-100")),
        };
        server.files = Some(FileAccess::Readable);
        if *address == addr("a") {
            let (end, length) = (place(offset), place(offset + 150));
            let incomplete = None;
            let mut others = vec![
                BinlogsOnDisk::Unreadable { reason: "encrypted".into(), passing: false },
                BinlogsOnDisk::Unreadable { reason: "silent".into(), passing: true },
            ];
            if mysql && !by_place {
                others.extend([false, true].map(|passing| {
                    let (holds, length) = (holds.clone(), length.clone());
                    let (place, reason) = ("/copies on d".into(), "silent".into());
                    BinlogsOnDisk::Copied { holds, length, place, reason, passing }
                }));
            }
            let read = BinlogsOnDisk::Read { holds, end, length, incomplete };
            server.on_disk = Some(tape.mostly(8, read, &others));
        }
    }
}

fn policy(tape: &mut Tape, world: &mut World) {
    let snapshot = &mut world.snapshot;
    snapshot.epoch = Epoch(u64::from(tape.below(9)));
    snapshot.paused = tape.one_in(20);
    snapshot.last_failover = tape.mostly(6, None, &[Some(NOW - Millis(5000)), Some(Moment(0))]);
    let policy = &mut snapshot.policy;
    let rp = [RefuseOrProceed::Refuse, RefuseOrProceed::Proceed];
    policy.automatic_failover = !tape.one_in(20);
    policy.unfenced = tape.of(&rp);
    policy.on_possible_loss = tape.of(&[None, Some(rp[0]), Some(rp[1])]);
    policy.on_clean_shutdown = tape.of(&[
        OnCleanShutdown::Wait(Millis::from_secs(30)),
        OnCleanShutdown::Failover,
        OnCleanShutdown::Ignore,
    ]);
    policy.allow_errant = tape.one_in(4);
    policy.stay_in_site = tape.one_in(6);
    policy.epoch_table = !tape.one_in(4);
    policy.prefer_latest = !tape.one_in(4);
    policy.check_lag = !tape.one_in(4);
    policy.check_filters = !tape.one_in(4);
    policy.multi_tier = tape.one_in(6);
    policy.keep_replication_settings = tape.one_in(6);
    policy.broken_replicas = tape.mostly(12, BrokenReplicas::GoOn, &[BrokenReplicas::Refuse]);
    policy.scripts.failover = tape.one_in(3);
    policy.scripts.switchover = tape.one_in(3);
    policy.scripts.secondary_check = tape.one_in(4);
    for wish in policy.servers.values_mut() {
        let others = [Promotion::Prefer, Promotion::Last, Promotion::Never];
        wish.promotion = tape.mostly(3, Promotion::Neutral, &others);
        wish.site = tape.site();
        wish.delayed = tape.one_in(12);
        wish.ignore_failure = tape.one_in(4);
    }
    snapshot.primary = tape.mostly(20, Some(addr("a")), &[None, Some(addr("b")), Some(addr("z"))]);
}

/// Whether and from whom it replicates, and how that goes.
fn replication(
    tape: &mut Tape,
    world: &mut World,
    name: &str,
    spare: &ChannelStatus,
    count: usize,
) {
    let facts = world.facts(name);
    if name == "a" {
        if tape.one_in(12) {
            facts.channels.push(spare.clone());
            facts.channels[0].source = addr("b");
        }
    } else if tape.one_in(12) {
        facts.channels.clear();
    } else if tape.one_in(4) {
        facts.channels[0].source = addr(NAMES[usize::from(tape.below(count as u8))]);
    }
    if tape.one_in(10) {
        facts.channels.push(ChannelStatus {
            name: "ext".into(),
            source: addr("far"),
            source_server_id: 900,
            source_uuid: Some(uuid(900)),
            received: None,
            ..spare.clone()
        });
    }
    let error = |tape: &mut Tape| {
        let code = tape.of(&[2003, 1040, 1045, 1053, 1236, 1593, 1158, 1062]);
        Some(ReplicationError { code, message: "an error".into() })
    };
    for channel in &mut facts.channels {
        let states = [ReceiverState::Connecting, ReceiverState::Stopped];
        channel.receiver = tape.mostly(3, ReceiverState::Running, &states);
        channel.applier_running = !tape.one_in(6);
        channel.receiver_error = if tape.one_in(8) { error(tape) } else { None };
        channel.applier_error = if tape.one_in(8) { error(tape) } else { None };
        channel.delay_seconds = tape.mostly(12, 0, &[1, 3600]);
        channel.lag_seconds = tape.of(&[Some(0), Some(1), Some(600), None]);
        let periods = [None, Some(Millis(0)), Some(Millis(30_000))];
        channel.heartbeat_period = tape.mostly(4, Some(Millis(1000)), &periods);
        channel.connect_retry_seconds = tape.mostly(4, 1, &[0, 60]);
        if tape.one_in(16) {
            channel.filters = BTreeSet::from(["Replicate_Do_DB=x".to_owned()]);
        }
        if tape.one_in(16) {
            channel.positioning = Positioning::FileAndPosition;
        }
        let read = u64::from(tape.below(3)) * 1000;
        channel.read = Some(BinlogPosition::new("bin.000001", 5000 + read));
        channel.applied = Some(BinlogPosition::new("bin.000001", 5000));
        channel.relay_log_space = 256 + read;
    }
}

/// What it received and applied: in several domains, with gaps, with transactions of its own.
fn transactions(tape: &mut Tape, world: &mut World, name: &str, mysql: bool) {
    let facts = world.facts(name);
    let id = facts.server_id;
    let some = |tape: &mut Tape, from: u8| {
        let last = 100 + u64::from(from) + u64::from(tape.below(4));
        let other = tape.mostly(4, 100, &[98, 103]);
        let own = tape
            .one_in(12)
            .then(|| if mysql { format!(",{id}:1-3") } else { format!(",0-{id}-{}", last + 5) });
        let gap =
            if tape.one_in(6) { format!(":{}-{}", last + 3, last + 4) } else { String::new() };
        let own = own.unwrap_or_default();
        if mysql {
            gtids(&format!("1:1-{last}{gap},2:1-{other}{own}"))
        } else {
            pos(&format!("0-1-{last},1-1-{other}{own}"))
        }
    };
    let executed = some(tape, 0);
    let received = some(tape, 1);
    facts.logged = tape.mostly(12, executed.clone(), &[TransactionSet::clone(&received)]);
    if mysql {
        facts.purged =
            tape.mostly(8, Some(gtids("")), &[Some(gtids("1:1-99")), Some(gtids("1:1-101"))]);
    }
    facts.executed = executed;
    if let Some(channel) = facts.channels.first_mut() {
        channel.received = tape.mostly(8, Some(received), &[None]);
    }
}

fn server(tape: &mut Tape, world: &mut World, name: &str) {
    let facts = world.facts(name);
    facts.read_only ^= tape.one_in(20);
    facts.log_bin = !tape.one_in(20);
    facts.log_replica_updates = !tape.one_in(16);
    facts.uptime_seconds = tape.mostly(6, 5000, &[0, 20]);
    facts.epoch = tape.of(&[None, Some(Epoch(3)), Some(Epoch(9))]);
    facts.semi_sync.replica_enabled ^= tape.one_in(10);
    facts.semi_sync.available ^= tape.one_in(16);
    facts.semi_sync.unacknowledged = u64::from(tape.one_in(8));
    facts.semi_sync.clients = facts.semi_sync.clients.saturating_sub(u32::from(tape.one_in(6)));
    if tape.one_in(12) {
        facts.version = tape.of(&[ServerVersion::mariadb(11, 8, 1), ServerVersion::mysql(9, 7, 0)]);
    }
    if tape.one_in(30) {
        facts.gtid_mode = GtidMode::Off;
    }
    let seen = world.server(name);
    if tape.one_in(8) {
        seen.contact = failing(tape);
    }
    if tape.one_in(30) {
        seen.facts = None;
    }
    seen.facts_at = Some(tape.ago(&[0, 0, 10, 400, 3000]));
    seen.received_at =
        tape.of(&[Some(NOW - Millis(100)), Some(NOW - Millis(3000)), Some(Moment(0)), None]);
}

fn failing(tape: &mut Tape) -> Contact {
    let all = [
        ContactFailure::Refused,
        ContactFailure::Silent,
        ContactFailure::Reset,
        ContactFailure::ShuttingDown,
        ContactFailure::TooManyConnections,
        ContactFailure::AccessDenied("no".into()),
        ContactFailure::Unreachable,
        ContactFailure::Answered("no".into()),
    ];
    let since = tape.ago(&[20, 500, 3000, 40_000]);
    let last_answer = tape.mostly(4, Some(since), &[None]);
    Contact::Failing {
        since,
        failures: 1 + u32::from(tape.below(9)),
        last: tape.of(&all),
        last_answer,
    }
}

/// What happened to the primary.
fn trouble(tape: &mut Tape, world: &mut World) {
    let a = world.server("a");
    a.contact = if tape.one_in(5) { Contact::Answering { at: NOW } } else { failing(tape) };
    a.process = tape.of(&[
        None,
        None,
        Some(ProcessState::Exited { clean: Some(false) }),
        Some(ProcessState::Exited { clean: None }),
        Some(ProcessState::Exited { clean: Some(true) }),
        Some(ProcessState::Frozen { pid: 7 }),
        Some(ProcessState::Running { pid: 7 }),
    ]);
    if !tape.one_in(3) {
        a.fences = tape.of(&[
            vec![FenceRung::Local],
            vec![FenceRung::Agent, FenceRung::Lease],
            vec![FenceRung::Ssh, FenceRung::Script],
            vec![FenceRung::Lease, FenceRung::Script],
            vec![FenceRung::Script],
        ]);
    }
}

/// The same snapshot, put together in another order.
pub(crate) fn reordered(world: &World) -> World {
    let mut other = world.clone();
    let servers: Vec<(Address, _)> = world.snapshot.servers.clone().into_iter().rev().collect();
    other.snapshot.servers = servers.into_iter().collect();
    for server in other.snapshot.servers.values_mut() {
        if let Some(facts) = &mut server.facts {
            facts.channels.reverse();
            facts.replicas.reverse();
        }
    }
    other
}
