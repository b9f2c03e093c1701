//! Addresses for readers in a small world: messages are lost, late and doubled, hosts are cut off,
//! agents and managers are restarted, and no two clocks run at the same speed. Never may two hosts
//! hold the same address.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod world;

use std::collections::{BTreeMap, BTreeSet};

use primacy_plan::lease::{
    LeaseTimes, ReaderGrant, ReaderGranter, ReaderHolder, ReaderState, spread,
};
use primacy_types::{Address, Millis, Moment, VirtualAddress};
use proptest::prelude::*;
use world::Dice;

const TIMES: LeaseTimes = LeaseTimes::new(Millis::from_secs(10));
const HOSTS: usize = 3;
const STEP: u64 = 20;
const ROUND: u64 = 480;

fn server(host: usize) -> Address {
    Address::new(format!("db{host}"), 3306)
}

fn addresses() -> Vec<VirtualAddress> {
    ["10.0.0.101", "10.0.0.102"].map(|text| text.parse().unwrap()).to_vec()
}

enum Letter {
    Order { to: usize, run: u64, number: u64, grant: ReaderGrant },
    Answer { from: usize, run: u64, number: u64, said: ReaderState },
}

struct Host {
    holder: ReaderHolder,
    held: BTreeSet<VirtualAddress>,
    rate: u64,
    offset: u64,
    cut_until: u64,
}

impl Host {
    fn clock(&self, now: u64) -> Moment {
        Moment(self.offset + now * self.rate / 1000)
    }
}

struct World {
    dice: Dice,
    now: u64,
    hosts: Vec<Host>,
    granter: ReaderGranter,
    nonces: [u64; HOSTS],
    healthy: [bool; HOSTS],
    run: u64,
    post: BTreeMap<u64, Vec<Letter>>,
    moves: u32,
    held_ms: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed | 1);
        let hosts = (0..HOSTS).map(|_| Host {
            holder: ReaderHolder::new(dice.roll(9999)),
            held: BTreeSet::new(),
            rate: 985 + dice.roll(31),
            offset: dice.roll(1_000_000),
            cut_until: 0,
        });
        let hosts = hosts.collect();
        Self {
            dice,
            now: 0,
            hosts,
            granter: ReaderGranter::new(TIMES, Moment(0)),
            nonces: [0; HOSTS],
            healthy: [true; HOSTS],
            run: 1,
            post: BTreeMap::new(),
            moves: 0,
            held_ms: 0,
        }
    }

    fn send(&mut self, host: usize, make: impl Fn() -> Letter) {
        if self.now < self.hosts[host].cut_until || self.dice.one_in(20) {
            return;
        }
        let copies = if self.dice.one_in(20) { 2 } else { 1 };
        for _ in 0..copies {
            let late =
                if self.dice.one_in(20) { self.dice.roll(15_000) } else { self.dice.roll(60) };
            self.post.entry(self.now + 1 + late).or_default().push(make());
        }
    }

    fn round(&mut self) {
        let healthy: BTreeSet<_> = (0..HOSTS)
            .filter(|host| self.healthy[*host] && self.now >= self.hosts[*host].cut_until)
            .map(server)
            .collect();
        let wanted = spread(&addresses(), &healthy, None, &self.granter.holders());
        for to in 0..HOSTS {
            let nonce = self.nonces[to];
            let (number, grant) = self.granter.order(&server(to), nonce, &wanted, Moment(self.now));
            let run = self.run;
            self.send(to, || Letter::Order { to, run, number, grant: grant.clone() });
        }
    }

    fn deliver(&mut self, letter: Letter) {
        match letter {
            Letter::Order { to, run, number, grant } => {
                // A later manager's term is known to the agents: what a former one sends is refused.
                if run < self.run {
                    return;
                }
                let now = self.hosts[to].clock(self.now);
                let host = &mut self.hosts[to];
                host.holder.ordered(&grant, now);
                let said = ReaderState {
                    granted: host.holder.may_hold(now),
                    held: host.held.clone(),
                    nonce: host.holder.nonce(now),
                    problem: None,
                };
                self.send(to, || Letter::Answer { from: to, run, number, said: said.clone() });
            }
            Letter::Answer { from, run, number, said } if run == self.run => {
                self.granter.answered(&server(from), number, &said, Moment(self.now));
                self.nonces[from] = said.nonce;
            }
            Letter::Answer { .. } => {}
        }
    }

    fn step(&mut self, calm: bool) {
        self.now += STEP;
        let due: Vec<u64> = self.post.range(..=self.now).map(|(at, _)| *at).collect();
        for at in due {
            for letter in self.post.remove(&at).unwrap() {
                self.deliver(letter);
            }
        }
        if self.now.is_multiple_of(ROUND) {
            self.round();
        }
        if !calm {
            let host = usize::try_from(self.dice.roll(HOSTS as u64)).unwrap();
            if self.dice.one_in(300) {
                self.hosts[host].cut_until = self.now + self.dice.roll(25_000);
            }
            if self.dice.one_in(200) {
                self.healthy[host] = !self.healthy[host];
            }
            if self.dice.one_in(600) {
                // The agent is restarted; what its host holds is given up at the next step.
                self.hosts[host].holder = ReaderHolder::new(self.now * 1000);
            }
            if self.dice.one_in(2000) {
                self.run += 1;
                self.granter = ReaderGranter::new(TIMES, Moment(self.now));
                self.nonces = [0; HOSTS];
            }
        }
        for i in 0..HOSTS {
            let now = self.hosts[i].clock(self.now);
            let may = self.hosts[i].holder.may_hold(now);
            let host = &mut self.hosts[i];
            self.moves += u32::try_from(may.difference(&host.held).count()).unwrap();
            host.held = may;
            self.held_ms += STEP * host.held.len() as u64;
        }
        for address in addresses() {
            let holders: Vec<_> =
                (0..HOSTS).filter(|i| self.hosts[*i].held.contains(&address)).collect();
            assert!(holders.len() < 2, "at {}: {holders:?} hold {address}", self.now);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 150 } else { 3000 }))]

    #[test]
    fn no_two_hosts_ever_hold_the_same_address(seed in any::<u64>()) {
        let mut world = World::new(seed);
        for _ in 0..6000 {
            world.step(false);
        }
    }
}

#[test]
fn addresses_are_held_most_of_the_time_and_all_of_it_where_nothing_happens() {
    let mut world = World::new(42);
    for _ in 0..20_000 {
        world.step(false);
    }
    let whole = 20_000 * STEP * 2;
    assert!(world.moves > 20, "{} moves", world.moves);
    assert!(world.held_ms > whole / 4, "held for {} of {whole} ms", world.held_ms);
    let mut calm = World::new(7);
    for _ in 0..2000 {
        calm.step(true);
    }
    assert!(calm.moves <= 3, "{} moves", calm.moves);
    assert!(calm.held_ms > (2000 * STEP - 13_000) * 2, "{}", calm.held_ms);
}
