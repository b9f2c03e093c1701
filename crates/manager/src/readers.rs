//! Which replica's host has which address for readers: what is healthy enough, and what agents are
//! told and say. The rules are in `primacy_plan::lease`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use primacy_plan::lease::{LeaseTimes, ReaderGrant, ReaderGranter, ReaderState, spread};
use primacy_types::{
    Address, ClusterSnapshot, Millis, Moment, ReaderPolicy, ReceiverState, VirtualAddress,
};

/// The addresses for readers of one cluster.
pub(crate) struct Readers {
    addresses: Vec<VirtualAddress>,
    policy: ReaderPolicy,
    state: Mutex<State>,
}

struct State {
    granter: ReaderGranter,
    wanted: BTreeMap<VirtualAddress, Address>,
    nonces: BTreeMap<Address, u64>,
    /// When each server was last seen to be a healthy replica.
    healthy: BTreeMap<Address, Moment>,
    /// Addresses that a host of the cluster has held.
    held_before: BTreeSet<VirtualAddress>,
}

impl Readers {
    pub(crate) fn new(
        addresses: &[VirtualAddress],
        policy: ReaderPolicy,
        held_before: BTreeSet<VirtualAddress>,
        now: Moment,
    ) -> Self {
        let state = State {
            granter: ReaderGranter::new(LeaseTimes::new(policy.lease), now),
            wanted: BTreeMap::new(),
            nonces: BTreeMap::new(),
            healthy: BTreeMap::new(),
            held_before,
        };
        Self { addresses: addresses.to_vec(), policy, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This manager leads from now on: what another one granted is not known.
    pub(crate) fn lead(&self, now: Moment) {
        let mut state = self.state();
        state.granter = ReaderGranter::new(LeaseTimes::new(self.policy.lease), now);
        state.nonces.clear();
    }

    /// What must survive the manager.
    pub(crate) fn held_before(&self) -> BTreeSet<VirtualAddress> {
        self.state().held_before.clone()
    }

    /// Decides who shall have which address. Only hosts whose agent answers can be told.
    pub(crate) fn plan(&self, snapshot: &ClusterSnapshot, answering: &BTreeSet<Address>) {
        let now = snapshot.now;
        let mut state = self.state();
        let replicas = || answering.iter().filter(|s| snapshot.primary.as_ref() != Some(*s));
        for server in replicas().filter(|server| is_healthy(snapshot, server, self.policy.max_lag))
        {
            state.healthy.insert(server.clone(), now);
        }
        // One that answers is given some time to be well again: in a failover every replica loses
        // its source for a moment.
        let lately = |server: &&Address| {
            let seen = state.healthy.get(*server);
            snapshot.live(server).is_some()
                && seen.is_some_and(|at| now.since(*at) < self.policy.lease)
        };
        let healthy: BTreeSet<Address> = replicas().filter(lately).cloned().collect();
        let primary = snapshot.primary.as_ref().filter(|primary| {
            self.policy.on_primary
                && answering.contains(*primary)
                && snapshot.live(primary).is_some_and(primacy_types::ServerFacts::writable)
        });
        let holders = state.granter.holders();
        state.wanted = spread(&self.addresses, &healthy, primary, &holders);
    }

    /// What a server's agent is told now, and the number of the order.
    pub(crate) fn order(&self, server: &Address, now: Moment) -> (u64, ReaderGrant) {
        let mut state = self.state();
        let nonce = state.nonces.get(server).copied().unwrap_or_default();
        let State { granter, wanted, held_before, .. } = &mut *state;
        let (number, mut grant) = granter.order(server, nonce, wanted, now);
        grant.take_over = grant.addresses.intersection(held_before).cloned().collect();
        (number, grant)
    }

    /// What it answered. Whether something has to survive the manager that did not before.
    pub(crate) fn answered(
        &self,
        server: &Address,
        number: u64,
        said: &ReaderState,
        now: Moment,
    ) -> bool {
        let mut state = self.state();
        state.granter.answered(server, number, said, now);
        state.nonces.insert(server.clone(), said.nonce);
        let ours =
            |address: &&VirtualAddress| said.problem.is_none() && self.addresses.contains(*address);
        let before = state.held_before.len();
        state.held_before.extend(said.held.iter().filter(ours).cloned());
        state.held_before.len() != before
    }
}

fn is_healthy(snapshot: &ClusterSnapshot, server: &Address, max_lag: Millis) -> bool {
    let fenced = snapshot.server(server).is_none_or(primacy_types::ServerObservation::is_closed);
    let tables = snapshot.live(server).is_some_and(|facts| !facts.binlog_server);
    !fenced
        && tables
        && snapshot.live_channel(server).is_some_and(|channel| {
            channel.receiver == ReceiverState::Running
                && channel.applier_running
                && channel.lag_seconds.is_some_and(|lag| Millis::from_secs(lag) <= max_lag)
        })
}
