//! The leases of one cluster, given to the agents of its servers: the manager shows itself to every
//! agent twice a second, says which server is the primary, and renews its lease.
//!
//! They are in force only where every server that may be promoted has an agent: only then can a
//! primary go on without a manager by asking all of them, and only then does it prove anything that
//! a lease has run out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use primacy_agent_api::{
    AgentClient, AgentError, GrantOrder, LeaseState, Opened, Standing, StandingOrder, paths,
};
use primacy_api::LeaseView;
use primacy_dcs::{ClusterLock, Lease, LeaseError, LeaseGranter};
use primacy_exec::{Clock, Eyes as _};
use primacy_plan::is_fed_by;
use primacy_plan::lease::{Ask, Granter, GranterRecord, LeaseRefusal, LeaseTimes};
use primacy_store::Store;
use primacy_types::{Address, Epoch, Millis, Moment, Policy, Promotion, VirtualAddress};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::ManagerError;
use crate::observatory::Observatory;
use crate::readers::Readers;

/// A grant for a promotion waits so many leases' time for others to run out.
const PATIENCE: u64 = 3;

/// So much sooner than usual a round is made again that has not reached the primary's agent.
const SOONER: u32 = 5;

/// Pause before what must wait is tried again.
const AGAIN: Duration = Duration::from_millis(50);

/// The leases of one cluster.
pub(crate) struct AgentLeases {
    cluster: String,
    times: LeaseTimes,
    clients: BTreeMap<Address, Arc<AgentClient>>,
    promotable: BTreeSet<Address>,
    vips: Vec<VirtualAddress>,
    /// Addresses for readers, if there are any.
    readers: Option<Readers>,
    store: Store,
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    granter: Granter,
    term: u64,
    /// What each agent said last, and when.
    seen: BTreeMap<Address, (Moment, LeaseState)>,
    said: BTreeMap<Address, String>,
    /// A host of the cluster has held the virtual addresses.
    vips_were_held: bool,
}

/// What is kept of the leases.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    granter: GranterRecord,
    #[serde(default)]
    vips_were_held: bool,
    #[serde(default)]
    readers_held: BTreeSet<VirtualAddress>,
}

impl std::fmt::Debug for AgentLeases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentLeases").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl AgentLeases {
    /// Leases of a cluster, if every server that may be promoted has an agent.
    pub(crate) fn new(
        cluster: &str,
        policy: &Policy,
        clients: &BTreeMap<Address, Arc<AgentClient>>,
        (servers, vips, reader_vips): (&[Address], &[VirtualAddress], &[VirtualAddress]),
        store: Store,
        clock: Clock,
    ) -> Result<Option<Arc<Self>>, ManagerError> {
        let promotable: BTreeSet<Address> = servers
            .iter()
            .filter(|server| policy.server(server).promotion != Promotion::Never)
            .cloned()
            .collect();
        if promotable.is_empty() || !promotable.iter().all(|server| clients.contains_key(server)) {
            return Ok(None);
        }
        let kept = store.leases(cluster)?;
        // Numbers of lists go on from those that an agent may still know, also if ours were lost.
        let fresh = GranterRecord { number: clock.wall().0, reigns: Vec::new() };
        let fresh = Kept { granter: fresh, ..Kept::default() };
        let kept: Kept = kept.and_then(|kept| serde_json::from_value(kept).ok()).unwrap_or(fresh);
        let times = LeaseTimes::new(policy.timing.lease);
        let granter = Granter::new(times, kept.granter, clock.now());
        let state = State {
            granter,
            term: clock.wall().0,
            seen: BTreeMap::new(),
            said: BTreeMap::new(),
            vips_were_held: kept.vips_were_held,
        };
        let held = kept.readers_held;
        let readers = (!reader_vips.is_empty())
            .then(|| Readers::new(reader_vips, policy.readers, held, clock.now()));
        Ok(Some(Arc::new(Self {
            cluster: cluster.to_owned(),
            times,
            clients: clients.clone(),
            promotable,
            vips: vips.to_vec(),
            readers,
            store,
            clock,
            state: Mutex::new(state),
        })))
    }

    /// Shows itself and renews for as long as the observatory lives.
    pub(crate) fn start(
        self: &Arc<Self>,
        observatory: &Arc<Observatory>,
        lock: &Arc<ClusterLock>,
    ) -> JoinHandle<()> {
        let (leases, seen, lock) =
            (Arc::clone(self), Arc::downgrade(observatory), Arc::downgrade(lock));
        tokio::spawn(async move { leases.run(seen, lock).await })
    }

    async fn run(&self, observatory: Weak<Observatory>, lock: Weak<ClusterLock>) {
        let mut had_lock = false;
        loop {
            let begun = tokio::time::Instant::now();
            let Some(leads) = lock.upgrade().map(|lock| lock.permits().is_ok()) else { return };
            if leads && !had_lock {
                // What another manager granted until a moment ago is not known.
                self.readers.iter().for_each(|readers| readers.lead(self.clock.now()));
                let mut state = self.state();
                let record = state.granter.record().clone();
                state.granter = Granter::new(self.times, record, self.clock.now());
            }
            had_lock = leads;
            let mut told = true;
            if leads {
                let Some(seen) = observatory.upgrade() else { return };
                told = self.round(&seen).await;
            }
            // A worker that has just been replaced waits for its lease: half a second later may be
            // too late for a primary that was silent already.
            let renewal = self.times.renewal().as_duration();
            let pause = if told { renewal } else { renewal / SOONER };
            tokio::time::sleep_until(begun + pause).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limit(&self) -> Duration {
        self.times.renewal().as_duration()
    }

    /// One round: every agent hears of us, the primary's lease is renewed. False if the primary's
    /// agent was not reached.
    async fn round(&self, observatory: &Arc<Observatory>) -> bool {
        let record = observatory.record();
        let Some(primary) = record.primary.filter(|_| record.epoch > Epoch(0)) else { return true };
        let epoch = record.epoch;
        let agrees = is_heard_by_replicas(observatory, &primary);
        if let Some(readers) = &self.readers {
            let fresh = self.said().into_iter().filter(|(_, (ago, _))| *ago <= self.fresh());
            readers.plan(&observatory.remembered(), &fresh.map(|(server, _)| server).collect());
        }
        let asked = self.clients.keys().map(async |server| {
            let standing = if *server == primary { Standing::Primary } else { Standing::Other };
            let said = self.stand(server, standing, epoch, agrees).await;
            if *server == primary
                && let Ok(state) = &said
            {
                self.renew(&primary, epoch, state).await;
            }
            if *server == primary
                && matches!(said, Err(AgentError::Unreached { refused: true, .. }))
            {
                // Its host lives and no agent listens: nobody may be there who obeys the lease.
                let changed = self.state().granter.set_guarded(&primary, epoch, false);
                if changed {
                    self.keep().await;
                }
            }
            let reached = *server != primary || said.is_ok();
            let problem = said.as_ref().ok().and_then(problem_of);
            self.tell(server, said.err().map(|error| error.to_string()).or(problem));
            reached
        });
        let reached = futures_util::future::join_all(asked).await;
        let guarded = self.state().granter.is_guarded(&primary);
        for server in self.clients.keys() {
            observatory.set_leased(server, guarded && *server == primary);
        }
        reached.into_iter().all(|reached| reached)
    }

    /// Says once what is wrong with an agent, and once that it is well again.
    fn tell(&self, server: &Address, wrong: Option<String>) {
        let mut state = self.state();
        if state.said.get(server) == wrong.as_ref() {
            return;
        }
        match wrong {
            Some(reason) => {
                tracing::warn!(cluster = self.cluster, %server, reason, "its agent was not told where it stands");
                state.said.insert(server.clone(), reason);
            }
            None => {
                tracing::info!(cluster = self.cluster, %server, "its agent is told where it stands");
                state.said.remove(server);
            }
        }
    }

    async fn stand(
        &self,
        server: &Address,
        standing: Standing,
        epoch: Epoch,
        agrees: bool,
    ) -> Result<LeaseState, AgentError> {
        let Some(client) = self.clients.get(server) else {
            let reason = "it has none".to_owned();
            return Err(AgentError::Unreached { agent: server.clone(), reason, refused: false });
        };
        let agents = self.clients.iter();
        let (term, take_over) = {
            let state = self.state();
            (state.term, state.vips_were_held)
        };
        let readers = self.readers.as_ref().map(|one| one.order(server, self.clock.now()));
        let order = StandingOrder {
            readers: readers.as_ref().map(|(_, grant)| grant.clone()),
            server: server.clone(),
            cluster: self.cluster.clone(),
            ask: Ask { term, agrees },
            epoch,
            standing,
            vips: self.vips.clone(),
            take_over,
            agents: agents
                .map(|(server, client)| (server.clone(), client.agent().clone()))
                .collect(),
        };
        let said: LeaseState = client.ask(paths::STANDING, &order, self.limit()).await?;
        let now = self.clock.now();
        if let (Some(readers), Some((number, _)), Some(answer), None) =
            (&self.readers, readers, &said.readers, &said.refused)
            && readers.answered(server, number, answer, now)
        {
            self.keep().await;
        }
        let mut state = self.state();
        if let Some(LeaseRefusal::Term { current, .. }) = said.refused {
            // A manager whose clock was ahead led before; the lock says that we lead now.
            state.term = state.term.max(current + 1);
        }
        state.seen.insert(server.clone(), (now, said.clone()));
        Ok(said)
    }

    /// Renews the lease of the primary on record; what follows from its agent's answer is on disk
    /// before anything is granted.
    async fn renew(&self, primary: &Address, epoch: Epoch, said: &LeaseState) {
        if said.refused.is_some() || said.nonce == 0 {
            return;
        }
        if said.ttl != self.times.ttl {
            let text = format!(
                "its leases last {}, and ours {}: write the same `lease` in both files",
                said.ttl, self.times.ttl
            );
            self.tell(primary, Some(text));
            return;
        }
        let now = self.clock.now();
        let changed = {
            let mut state = self.state();
            let voters = self.voters(&state, primary, now);
            let first = !said.vips.is_empty() && !state.vips_were_held;
            state.vips_were_held |= first;
            let granter = &mut state.granter;
            let holds = said.lease.as_ref().filter(|lease| lease.epoch == epoch);
            let mut changed = first;
            if let Some(lease) = holds {
                changed |= granter.begin(primary, epoch);
                changed |= granter.confirmed(primary, epoch, lease.voters.number);
                changed |= granter.accepted(primary, epoch, &voters);
                changed |= granter.set_guarded(primary, epoch, said.guarded);
            } else if granter.may_be_promoted(primary, now).is_ok() {
                changed |= granter.begin(primary, epoch);
            } else {
                return;
            }
            changed
        };
        if changed && !self.keep().await {
            return;
        }
        let grant = {
            let mut state = self.state();
            let term = state.term;
            state.granter.grant(primary, term, epoch, said.nonce, self.clock.now())
        };
        match grant {
            Ok(grant) => {
                if let Err(error) = self.give(primary, grant).await {
                    tracing::debug!(%primary, error, "its lease was not renewed");
                }
            }
            Err(reason) => tracing::debug!(%primary, %reason, "no lease is granted yet"),
        }
    }

    /// Whom the primary must ask if it lengthens its lease by itself: those whose agents are reached
    /// now, and no others, because one that is not reached cannot say yes.
    fn voters(&self, state: &State, primary: &Address, now: Moment) -> BTreeSet<Address> {
        let fresh = self.fresh();
        let reached = |server: &&Address| {
            state.seen.get(*server).is_some_and(|(at, _)| now.since(*at) < fresh)
        };
        self.promotable.iter().filter(|s| *s != primary).filter(reached).cloned().collect()
    }

    /// Puts the granter's record on disk; without that nothing more may be granted.
    async fn keep(&self) -> bool {
        let record = {
            let state = self.state();
            let granter = state.granter.record().clone();
            let readers_held = self.readers.as_ref().map(Readers::held_before).unwrap_or_default();
            let kept = Kept { granter, vips_were_held: state.vips_were_held, readers_held };
            serde_json::to_value(kept).unwrap_or_default()
        };
        let (store, cluster) = (self.store.clone(), self.cluster.clone());
        let kept = tokio::task::spawn_blocking(move || store.set_leases(&cluster, &record)).await;
        match kept {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(cluster = self.cluster, %error, "leases cannot be renewed");
                false
            }
            Err(error) => {
                tracing::error!(cluster = self.cluster, %error, "leases cannot be renewed");
                false
            }
        }
    }

    async fn give(
        &self,
        server: &Address,
        grant: primacy_plan::lease::Grant,
    ) -> Result<LeaseState, String> {
        let Some(client) = self.clients.get(server) else { return Err("no agent".to_owned()) };
        let order = GrantOrder { server: server.clone(), grant };
        let said = client.ask::<LeaseState>(paths::GRANT, &order, self.limit()).await;
        let said = said.map_err(|error| error.to_string())?;
        match &said.refused {
            Some(refused) => Err(refused.to_string()),
            None => Ok(said),
        }
    }

    /// Asks whoever may hold a lease besides `winner` to give it back.
    async fn call_in(&self, winner: &Address, epoch: Epoch) {
        let holders = self.state().granter.holders(self.clock.now());
        for holder in holders.into_iter().filter(|holder| holder != winner) {
            match self.stand(&holder, Standing::Other, epoch, false).await {
                Ok(said) if said.lease.is_none() && said.refused.is_none() => {
                    let changed = self.state().granter.ended(&holder);
                    if changed {
                        self.keep().await;
                    }
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(%holder, %error, "its lease is not given back"),
            }
        }
    }

    /// What each agent said last, and how long ago that was.
    pub(crate) fn said(&self) -> BTreeMap<Address, (Millis, LeaseState)> {
        let now = self.clock.now();
        let state = self.state();
        let said = state.seen.iter();
        said.map(|(server, (at, said))| (server.clone(), (now.since(*at), said.clone()))).collect()
    }

    /// Servers that their agents keep down, as they have said just now.
    pub(crate) fn kept_down(&self) -> Vec<Address> {
        let down = self
            .said()
            .into_iter()
            .filter(|(_, (ago, said))| said.kept_down && *ago <= self.fresh());
        down.map(|(server, _)| server).collect()
    }

    /// What was said longer ago than this says nothing of now.
    pub(crate) fn fresh(&self) -> Millis {
        self.times.renewal().times(3)
    }

    /// What is shown of a server's lease; `None` before its agent has said anything.
    pub(crate) fn view(&self, server: &Address) -> Option<LeaseView> {
        let (ago, said) = self.said().remove(server)?;
        let problem = problem_of(&said);
        let for_readers = said.readers.map(|readers| readers.held).unwrap_or_default();
        Some(LeaseView {
            answers: ago <= self.fresh(),
            hold: said.hold,
            epoch: said.lease.as_ref().map(|lease| lease.epoch),
            by_voters: said.lease.as_ref().is_some_and(|lease| lease.by_voters),
            guarded: said.guarded,
            addresses: said.vips.into_iter().chain(for_readers).collect(),
            problem,
        })
    }

    /// One attempt to give `winner` the lease of a new reign.
    async fn promote(&self, winner: &Address, epoch: Epoch) -> Result<(), LeaseError> {
        let not_yet = |text: String| LeaseError::NotYet(text);
        self.call_in(winner, epoch).await;
        let begun = {
            let mut state = self.state();
            let allowed = state.granter.may_be_promoted(winner, self.clock.now());
            allowed.map_err(|reason| not_yet(reason.to_string()))?;
            state.granter.begin(winner, epoch)
        };
        if begun && !self.keep().await {
            return Err(not_yet("the leases cannot be put on record".to_owned()));
        }
        let said = self.stand(winner, Standing::Primary, epoch, false).await;
        let said = said.map_err(|error| LeaseError::Agent(error.to_string()))?;
        if let Some(refused) = said.refused {
            return Err(not_yet(refused.to_string()));
        }
        let grant = {
            let mut state = self.state();
            let term = state.term;
            state.granter.grant(winner, term, epoch, said.nonce, self.clock.now())
        };
        let grant = grant.map_err(|reason| not_yet(reason.to_string()))?;
        let held = self.give(winner, grant).await.map_err(not_yet)?;
        // Its reign counts from now on, so that a host that is lost the next moment is known to be
        // guarded.
        let changed = {
            let mut state = self.state();
            let voters = self.voters(&state, winner, self.clock.now());
            // The former primary had the addresses, unless it said that somebody else has.
            let in_dispute = state.seen.values().any(|(_, said)| said.vip_problem.is_some());
            let first = !self.vips.is_empty() && !in_dispute && !state.vips_were_held;
            state.vips_were_held |= first;
            let mut changed = first;
            changed |= state.granter.accepted(winner, epoch, &voters);
            changed |= state.granter.set_guarded(winner, epoch, held.guarded);
            changed
        };
        if changed {
            self.keep().await;
        }
        Ok(())
    }
}

/// Why an address is not held that should be.
fn problem_of(said: &LeaseState) -> Option<String> {
    let of_readers = || said.readers.as_ref().and_then(|readers| readers.problem.clone());
    said.vip_problem.clone().or_else(of_readers)
}

/// Whether a replica has heard from the primary lately. Then nothing speaks against its going on by
/// itself if our own way to its agent is broken; it asks only then.
fn is_heard_by_replicas(observatory: &Observatory, primary: &Address) -> bool {
    let snapshot = observatory.remembered();
    let policy = &snapshot.policy;
    let lately = Millis(policy.heartbeat_period.0 + policy.heartbeat_period.0 / 2)
        + policy.timing.ping_interval.times(2);
    snapshot.all_live().filter(|(server, _)| *server != primary).any(|(server, _)| {
        let heard = snapshot.server(server).and_then(|replica| replica.received_at);
        is_fed_by(&snapshot, server, primary) && heard.is_some_and(|at| at + lately >= snapshot.now)
    })
}

#[async_trait]
impl LeaseGranter for AgentLeases {
    async fn grant(
        &self,
        cluster: &str,
        primary: &Address,
        epoch: Epoch,
    ) -> Result<Lease, LeaseError> {
        let patience = self.times.with_margin().times(PATIENCE).as_duration();
        let end = tokio::time::Instant::now() + patience;
        loop {
            match self.promote(primary, epoch).await {
                Ok(()) => {
                    return Ok(Lease {
                        cluster: cluster.to_owned(),
                        primary: primary.clone(),
                        epoch,
                        ttl: self.times.ttl,
                    });
                }
                Err(error) if tokio::time::Instant::now() >= end => return Err(error),
                Err(error) => {
                    tracing::debug!(%primary, %error, "its lease has to wait");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    /// Agents remember the highest epoch themselves.
    async fn revoke_below(&self, _cluster: &str, _epoch: Epoch) {}

    async fn fenced(&self, _cluster: &str, server: &Address) {
        let changed = self.state().granter.ended(server);
        if changed {
            self.keep().await;
        }
    }

    async fn has_run_out(
        &self,
        cluster: &str,
        server: &Address,
        limit: Millis,
    ) -> Result<(), LeaseError> {
        let end = tokio::time::Instant::now() + limit.as_duration();
        loop {
            let run_out = {
                let state = self.state();
                if !state.granter.is_guarded(server) {
                    let (cluster, server) = (cluster.to_owned(), server.clone());
                    return Err(LeaseError::NotInForce { cluster, server });
                }
                state.granter.has_run_out(server, self.clock.now())
            };
            match run_out {
                Ok(()) => return Ok(()),
                Err(reason) if tokio::time::Instant::now() >= end => {
                    return Err(LeaseError::NotYet(reason.to_string()));
                }
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    async fn open(
        &self,
        _cluster: &str,
        server: &Address,
        epoch: Epoch,
        limit: Millis,
    ) -> Result<bool, LeaseError> {
        let Some(client) = self.clients.get(server) else { return Ok(false) };
        let order = Opened { server: server.clone(), epoch, limit };
        let asked = client.ask::<()>(paths::OPEN, &order, limit.as_duration()).await;
        asked.map(|()| true).map_err(|error| LeaseError::Agent(error.to_string()))
    }
}
