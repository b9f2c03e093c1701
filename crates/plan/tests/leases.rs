//! Managers and agents with their leases in a small world where everything goes wrong: messages are
//! lost, late and doubled, agents and hosts freeze, restart and crash, managers come and go, and
//! no two clocks run at the same speed. Never may two servers accept writes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod world;

use std::collections::{BTreeMap, BTreeSet};

use primacy_plan::lease::{
    Ask, Extension, Grant, Granter, GranterRecord, HeldLease, Hold, LeaseTimes, Member,
    MemberRecord, Vote,
};
use primacy_types::{Address, Epoch, Millis, Moment};
use proptest::prelude::*;
use world::Dice;

const TIMES: LeaseTimes = LeaseTimes::new(Millis::from_secs(3));
const NODES: usize = 3;
const STEP: u64 = 10;

fn address(node: usize) -> Address {
    Address::new(format!("db{node}"), 3306)
}

#[derive(Clone, Debug)]
enum Say {
    Ask { term: u64, agrees: bool, manager: u64 },
    Nonce { nonce: u64, lease: Option<HeldLease>, manager: u64 },
    Grant { grant: Grant, manager: u64 },
    Accepted { epoch: Epoch, manager: u64 },
    Open { epoch: Epoch },
    Extend { extension: Extension },
    Voted { nonce: u64, vote: Vote },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Party {
    Manager,
    Node(usize),
}

#[derive(Clone, Debug)]
struct Letter {
    from: Party,
    to: Party,
    say: Say,
}

struct Node {
    member: Member,
    disk: MemberRecord,
    /// What the guard process keeps for an agent that is restarted.
    kept: Option<HeldLease>,
    /// The server accepts writes.
    open: bool,
    agent_away_until: u64,
    host_frozen_until: u64,
    rate: u64,
    offset: u64,
}

struct Manager {
    run: u64,
    granter: Granter,
    heard: [u64; NODES],
    next: u64,
    candidate: Option<(usize, Epoch, u64)>,
}

#[derive(Clone, Default)]
struct Store {
    leases: GranterRecord,
    primary: usize,
    epoch: Epoch,
}

struct World {
    dice: Dice,
    now: u64,
    nodes: Vec<Node>,
    manager: Option<Manager>,
    manager_back_at: u64,
    runs: u64,
    store: Store,
    post: BTreeMap<u64, Vec<Letter>>,
    /// Pairs that do not hear each other, and until when.
    cuts: Vec<(Party, Party, u64)>,
    seen: Seen,
    /// The network loses nothing, and nothing is late.
    calm: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    failovers: u32,
    lengthened: u32,
    closed: u32,
    killed: u32,
    bound: u32,
    open_ms: u64,
}

impl Node {
    fn clock(&self, now: u64) -> Moment {
        Moment(self.offset + now * self.rate / 1000)
    }

    fn runs(&self, now: u64) -> bool {
        now >= self.host_frozen_until && now >= self.agent_away_until
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed | 1);
        let nodes = (0..NODES)
            .map(|n| {
                let (rate, offset) = (985 + dice.roll(31), dice.roll(1_000_000));
                let start = Moment(offset);
                let member =
                    Member::new(address(n), TIMES, MemberRecord::default(), dice.roll(9999), start);
                Node {
                    member,
                    disk: MemberRecord::default(),
                    kept: None,
                    open: false,
                    agent_away_until: 0,
                    host_frozen_until: 0,
                    rate,
                    offset,
                }
            })
            .collect();
        let store = Store { epoch: Epoch(1), ..Store::default() };
        let mut world = Self {
            dice,
            now: 0,
            nodes,
            manager: None,
            manager_back_at: 0,
            runs: 0,
            store,
            post: BTreeMap::new(),
            cuts: Vec::new(),
            seen: Seen::default(),
            calm: false,
        };
        world.start_manager();
        world
    }

    fn start_manager(&mut self) {
        self.runs += 1;
        self.manager = Some(Manager {
            run: self.runs,
            granter: Granter::new(TIMES, self.store.leases.clone(), Moment(self.now)),
            heard: [self.now; NODES],
            next: self.now,
            candidate: None,
        });
    }

    #[expect(clippy::needless_pass_by_value, reason = "a letter is given away")]
    fn send(&mut self, from: Party, to: Party, say: Say) {
        let cut = self.cuts.iter().any(|(a, b, until)| (*a, *b) == (from, to) && *until > self.now);
        if cut || (!self.calm && self.dice.one_in(25)) {
            return;
        }
        let copies = if self.dice.one_in(40) { 2 } else { 1 };
        for _ in 0..copies {
            let delay = match self.dice.roll(60) {
                _ if self.calm => self.dice.roll(30),
                0 => self.dice.roll(6000),
                1..=5 => self.dice.roll(400),
                _ => self.dice.roll(12),
            };
            let letter = Letter { from, to, say: say.clone() };
            self.post.entry(self.now + 1 + delay).or_default().push(letter);
        }
    }

    fn trouble(&mut self) {
        let now = self.now;
        let node = self.dice.roll(NODES as u64) as usize;
        let long = 200 + self.dice.roll(9000);
        match self.dice.roll(5000) {
            // Hosts freeze, agents alone freeze, agents are killed and started again.
            0..=2 => self.nodes[node].host_frozen_until = now + long,
            3..=5 => self.nodes[node].agent_away_until = now + long,
            6..=8 => {
                self.nodes[node].agent_away_until = now + self.dice.roll(1500);
                self.restart_agent(node, false);
            }
            // The host crashes: its server is gone, and it comes back with another clock.
            9..=10 => {
                self.nodes[node].host_frozen_until = now + long;
                self.restart_agent(node, true);
            }
            11..=13 => {
                self.manager = None;
                self.manager_back_at = now + self.dice.roll(12_000);
            }
            // Cuts, one-way or both ways, between the manager and a node or between two nodes.
            14..=24 => {
                let other = self.dice.roll(NODES as u64 + 1) as usize;
                let far = if other == NODES { Party::Manager } else { Party::Node(other) };
                let near = Party::Node(node);
                match self.dice.roll(3) {
                    0 => self.cuts.push((near, far, now + long)),
                    1 => self.cuts.push((far, near, now + long)),
                    _ => self.cuts.extend([(near, far, now + long), (far, near, now + long)]),
                }
            }
            // The manager is cut from everybody.
            25..=27 => {
                for n in (0..NODES).map(Party::Node) {
                    self.cuts.push((Party::Manager, n, now + long));
                    self.cuts.push((n, Party::Manager, now + long));
                }
            }
            _ => {}
        }
    }

    fn restart_agent(&mut self, node: usize, whole_host: bool) {
        let nonce = self.dice.roll(1_000_000);
        let offset = self.dice.roll(1_000_000);
        let at = &mut self.nodes[node];
        if whole_host {
            at.offset = offset;
            at.open = false;
            at.kept = None;
        }
        // The new process begins when it runs: until then it is away.
        let starts = self.now.max(at.agent_away_until).max(at.host_frozen_until);
        let member = Member::new(address(node), TIMES, at.disk, nonce, at.clock(starts));
        at.member = match at.kept.clone() {
            Some(lease) => member.holding(lease),
            None => member,
        };
    }

    fn step(&mut self) {
        self.now += STEP;
        self.trouble();
        if self.manager.is_none() && self.now >= self.manager_back_at {
            self.start_manager();
        }
        for node in 0..NODES {
            self.watch(node);
        }
        self.deliver();
        self.lead();
        let open: Vec<usize> = (0..NODES)
            .filter(|n| self.nodes[*n].open && self.now >= self.nodes[*n].host_frozen_until)
            .collect();
        assert!(open.len() < 2, "{open:?} accept writes at {} ms", self.now);
        self.seen.open_ms += STEP * open.len() as u64;
    }

    /// What agent and guard do by themselves.
    fn watch(&mut self, n: usize) {
        let now = self.now;
        let node = &mut self.nodes[n];
        let clock = node.clock(now);
        if now < node.host_frozen_until {
            return;
        }
        let kept = node.kept.as_ref().map(|lease| lease.since + TIMES.kill());
        if node.open && kept.is_none_or(|kill| clock >= kill) {
            node.open = false;
            self.seen.killed += 1;
        }
        let node = &mut self.nodes[n];
        if !node.runs(now) {
            return;
        }
        if node.open && node.member.hold(clock) != Hold::Good {
            node.open = false;
            self.seen.closed += 1;
        }
        let node = &mut self.nodes[n];
        let before = node.member.lease().map(|lease| lease.since);
        let extension = node.member.extension(clock);
        if node.member.lease().map(|lease| lease.since) != before {
            self.seen.lengthened += 1;
        }
        self.nodes[n].kept = self.nodes[n].member.lease().cloned();
        if let Some((extension, voters)) = extension {
            for voter in (0..NODES).filter(|v| voters.contains(&address(*v))) {
                let say = Say::Extend { extension: extension.clone() };
                self.send(Party::Node(n), Party::Node(voter), say);
            }
        }
    }

    fn deliver(&mut self) {
        let later = self.post.split_off(&(self.now + 1));
        let due = std::mem::replace(&mut self.post, later);
        for letter in due.into_values().flatten() {
            match letter.to {
                Party::Manager => self.manager_reads(&letter),
                Party::Node(n) if self.nodes[n].runs(self.now) => self.node_reads(n, &letter),
                // What was on its way to a frozen program is there when it thaws.
                Party::Node(n) => {
                    let node = &self.nodes[n];
                    let thaw = node.host_frozen_until.max(node.agent_away_until);
                    self.post.entry(thaw.max(self.now + 1)).or_default().push(letter);
                }
            }
        }
    }

    fn node_reads(&mut self, n: usize, letter: &Letter) {
        let clock = self.nodes[n].clock(self.now);
        let me = Party::Node(n);
        let node = &mut self.nodes[n];
        let reply = match letter.say.clone() {
            Say::Ask { term, agrees, manager } => node
                .member
                .asked(Ask { term, agrees }, clock)
                .ok()
                .map(|nonce| Say::Nonce { nonce, lease: node.member.lease().cloned(), manager }),
            Say::Grant { grant, manager } => match node.member.granted(&grant, clock) {
                Ok(()) => Some(Say::Accepted { epoch: grant.epoch, manager }),
                Err(primacy_plan::lease::LeaseRefusal::Bound { .. }) => {
                    self.seen.bound += 1;
                    None
                }
                Err(_) => None,
            },
            Say::Open { epoch } => {
                let fits = node.member.lease().is_some_and(|lease| lease.epoch == epoch);
                if fits && node.member.hold(clock) == Hold::Good {
                    node.open = true;
                }
                None
            }
            Say::Extend { extension } => {
                let vote = node.member.vote(&extension, clock);
                Some(Say::Voted { nonce: extension.nonce, vote })
            }
            Say::Voted { nonce, vote } => {
                let Party::Node(voter) = letter.from else { return };
                if node.member.answered(nonce, &address(voter), &vote) {
                    self.seen.lengthened += 1;
                }
                None
            }
            Say::Nonce { .. } | Say::Accepted { .. } => None,
        };
        let node = &mut self.nodes[n];
        // On disk, and with the guard, before the answer leaves.
        node.disk = node.member.record();
        node.kept = node.member.lease().cloned();
        if node.kept.is_none() {
            node.open = false;
        }
        if let Some(say) = reply {
            self.send(me, letter.from, say);
        }
    }

    fn manager_reads(&mut self, letter: &Letter) {
        let Party::Node(n) = letter.from else { return };
        let now = self.now;
        let Some(manager) = self.manager.as_mut() else { return };
        let server = address(n);
        match letter.say.clone() {
            Say::Nonce { nonce, lease, manager: run } if run == manager.run => {
                manager.heard[n] = now;
                let term = manager.run;
                let epoch = match manager.candidate {
                    Some((candidate, epoch, _)) if candidate == n => epoch,
                    _ if self.store.primary == n && manager.candidate.is_none() => self.store.epoch,
                    _ => return,
                };
                let held = lease.filter(|lease| lease.epoch == epoch);
                if let Some(lease) = &held {
                    manager.granter.confirmed(&server, epoch, lease.voters.number);
                }
                if manager.candidate.is_none() {
                    manager.granter.begin(&server, epoch);
                    if held.is_some() {
                        // Whom it can reach now may be promoted later.
                        let voters: BTreeSet<Address> = (0..NODES)
                            .filter(|v| *v != n && manager.heard[*v] + 1000 > now)
                            .map(address)
                            .collect();
                        manager.granter.accepted(&server, epoch, &voters);
                    }
                }
                self.store.leases = manager.granter.record().clone();
                let granted = manager.granter.grant(&server, term, epoch, nonce, Moment(now));
                if let Ok(grant) = granted {
                    let say = Say::Grant { grant, manager: run };
                    self.send(Party::Manager, Party::Node(n), say);
                }
            }
            Say::Accepted { epoch, manager: run } if run == manager.run => {
                manager.heard[n] = now;
                let promoted = manager.candidate.is_some_and(|(c, e, _)| (c, e) == (n, epoch));
                if promoted {
                    manager.candidate = None;
                    self.store.primary = n;
                    self.store.epoch = epoch;
                    self.seen.failovers += 1;
                }
                if self.store.primary == n && self.store.epoch == epoch {
                    self.send(Party::Manager, Party::Node(n), Say::Open { epoch });
                }
            }
            _ => {}
        }
    }

    /// What the manager does by itself: it shows itself to all, and replaces a silent primary.
    fn lead(&mut self) {
        let now = self.now;
        let Some(manager) = self.manager.as_mut() else { return };
        if now < manager.next {
            return;
        }
        manager.next = now + TIMES.renewal().0;
        let (term, run) = (manager.run, manager.run);
        if let Some((_, _, given_up_at)) = manager.candidate
            && now >= given_up_at
        {
            manager.candidate = None;
        }
        let silent = now - manager.heard[self.store.primary] > 1500;
        if silent && manager.candidate.is_none() {
            let start = self.dice.roll(NODES as u64) as usize;
            let heard = |n: &usize| *n != self.store.primary && now - manager.heard[*n] < 700;
            let chosen = (0..NODES)
                .map(|n| (n + start) % NODES)
                .filter(heard)
                .find(|n| manager.granter.may_be_promoted(&address(*n), Moment(now)).is_ok());
            if let Some(candidate) = chosen {
                // A candidate that was given up may have accepted its epoch: each has its own.
                let tried = manager.granter.record().reigns.iter().map(|reign| reign.epoch).max();
                let epoch = Epoch(tried.unwrap_or_default().max(self.store.epoch).0 + 1);
                manager.granter.begin(&address(candidate), epoch);
                self.store.leases = manager.granter.record().clone();
                manager.candidate = Some((candidate, epoch, now + 3000));
            }
        }
        for node in 0..NODES {
            // It may be mistaken about who lives; that must not matter for the promise.
            let agrees = !self.calm && self.dice.one_in(4);
            self.send(Party::Manager, Party::Node(node), Say::Ask { term, agrees, manager: run });
        }
    }
}

fn run(seed: u64, steps: u64) -> Seen {
    let mut world = World::new(seed);
    for _ in 0..steps {
        world.step();
    }
    world.seen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn two_servers_never_accept_writes(seed in any::<u64>()) {
        run(seed, 12_000);
    }
}

/// The world is one in which things happen: else the property would hold of nothing.
#[test]
fn leases_are_lengthened_and_run_out_and_primaries_are_replaced() {
    let mut all = Seen::default();
    for seed in 1..40 {
        let seen = run(seed * 7919, 12_000);
        all.failovers += seen.failovers;
        all.lengthened += seen.lengthened;
        all.closed += seen.closed;
        all.killed += seen.killed;
        all.bound += seen.bound;
        all.open_ms += seen.open_ms;
    }
    assert!(all.failovers > 20 && all.lengthened > 50 && all.bound > 0, "{all:?}");
    assert!(all.closed > 20 && all.killed > 5, "{all:?}");
    assert!(all.open_ms > 39 * 120_000 / 2, "{all:?}");
}

/// A manager that is away costs no write: the agents agree among themselves in time.
#[test]
fn a_manager_that_is_away_is_no_outage() {
    let mut world = World::new(4711);
    world.calm = true;
    let quiet = |world: &mut World, steps: u64| {
        for _ in 0..steps {
            world.now += STEP;
            if world.manager.is_none() && world.now >= world.manager_back_at {
                world.start_manager();
            }
            (0..NODES).for_each(|n| world.watch(n));
            world.deliver();
            world.lead();
        }
    };
    quiet(&mut world, 1000);
    assert!(world.nodes[0].open);
    for _ in 0..20 {
        world.manager = None;
        world.manager_back_at = world.now + 7000;
        for _ in 0..900 {
            quiet(&mut world, 1);
            assert!(world.nodes[0].open, "closed at {}", world.now);
        }
    }
    assert!(world.seen.lengthened > 20 && world.seen.failovers == 0, "{:?}", world.seen);
}
