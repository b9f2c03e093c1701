//! What is seen of one cluster: a task per server keeps looking, a snapshot can be had at any
//! time, and [`Eyes::look`] waits for fresh ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use primacy_exec::{Clock, Eyes, Links};
use primacy_plan::without_kept_settings;
use primacy_probe::Gap;
use primacy_store::Store;
use primacy_types::{
    Absence, Address, ClusterSnapshot, Epoch, FenceRung, FileAccess, Moment, Policy, ProcessState,
    Promotion, ServerFacts, ServerPolicy, TransactionSet,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::memory::Memory;
use crate::names::{Names, same_server};
use crate::probe_task::ProbeTask;

/// Somebody waits for a fresh look at a server.
pub(crate) type LookRequest = oneshot::Sender<()>;

/// What is on record of a cluster: not seen, but remembered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) primary: Option<Address>,
    pub(crate) epoch: Epoch,
    pub(crate) paused: bool,
    pub(crate) paused_reason: Option<String>,
    pub(crate) last_failover: Option<Moment>,
    /// Servers that are about to get other data, or have it and have not joined with it: none of them is
    /// promoted, or brought back by anything else.
    pub(crate) rebuilt: BTreeSet<Address>,
    /// Servers that an operation left behind.
    pub(crate) absent: BTreeMap<Address, Absence>,
}

/// How many commits the primary had let through without acknowledgement when its replicas were
/// last seen to hold everything, and the measurement that is waiting to be confirmed.
#[derive(Clone, Debug, Default)]
struct Unacknowledged {
    primary: Option<Address>,
    settled: u64,
    pending: Option<(TransactionSet, u64)>,
}

struct State {
    servers: BTreeMap<Address, Memory>,
    record: Record,
    unacknowledged: Unacknowledged,
    gaps: BTreeMap<Address, Vec<Gap>>,
    names: Names,
}

/// Watches one cluster.
pub(crate) struct Observatory {
    cluster: String,
    policy: Arc<Policy>,
    clock: Clock,
    store: Store,
    state: Mutex<State>,
    looks: BTreeMap<Address, mpsc::UnboundedSender<LookRequest>>,
    changed: watch::Sender<u64>,
    /// Nothing is under way on the cluster, and nothing was left half done.
    quiet: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Observatory {
    /// Starts to watch these servers.
    pub(crate) fn start(
        cluster: &str,
        servers: &[Address],
        policy: Arc<Policy>,
        links: &Arc<Links>,
        clock: Clock,
        store: Store,
    ) -> Arc<Self> {
        let mut looks = BTreeMap::new();
        let mut inboxes = Vec::new();
        for server in servers {
            let (sender, inbox) = mpsc::unbounded_channel();
            looks.insert(server.clone(), sender);
            inboxes.push((server.clone(), inbox));
        }
        // A server that is dead now can say nothing: what it said before the last restart holds.
        let kept = store.servers(cluster).unwrap_or_default();
        let memory = |server: &Address| {
            let known = kept.iter().find(|kept| kept.address == *server);
            let facts = known.and_then(|kept| serde_json::from_value(kept.facts.clone()).ok());
            (server.clone(), Memory::new(server.clone(), facts))
        };
        let state = State {
            servers: servers.iter().map(memory).collect(),
            record: Record::default(),
            unacknowledged: Unacknowledged::default(),
            gaps: BTreeMap::new(),
            names: Names::default(),
        };
        let observatory = Arc::new(Self {
            cluster: cluster.to_owned(),
            policy,
            clock,
            store,
            state: Mutex::new(state),
            looks,
            changed: watch::Sender::new(0),
            quiet: watch::Sender::new(false),
            tasks: Mutex::default(),
        });
        let tasks: Vec<_> = inboxes
            .into_iter()
            .map(|(server, inbox)| {
                let task = ProbeTask::new(
                    server.clone(),
                    links.options(&server),
                    Arc::downgrade(&observatory),
                    inbox,
                );
                tokio::spawn(task.run())
            })
            .collect();
        *observatory.tasks.lock().unwrap_or_else(PoisonError::into_inner) = tasks;
        observatory
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Changes what is remembered of a server and wakes whoever waits for changes. The wake is
    /// left out where nothing happened that a rule could care about.
    pub(crate) fn update(&self, server: &Address, change: impl FnOnce(&mut Memory)) {
        let mut state = self.state();
        let Some(memory) = state.servers.get_mut(server) else { return };
        let before = (memory.observation.contact.is_answering(), memory.observation.process);
        change(memory);
        let after = (memory.observation.contact.is_answering(), memory.observation.process);
        let failing = !after.0;
        drop(state);
        if before != after || failing {
            self.wake();
        }
    }

    /// Whether nothing is under way on the cluster; at the start that is not known yet.
    pub(crate) fn quiet(&self) -> watch::Receiver<bool> {
        self.quiet.subscribe()
    }

    pub(crate) fn set_quiet(&self, quiet: bool) {
        self.quiet.send_if_modified(|now| std::mem::replace(now, quiet) != quiet);
    }

    pub(crate) fn wake(&self) {
        self.changed.send_modify(|n| *n += 1);
    }

    /// Whether the server's process was seen on this machine before the last restart.
    pub(crate) fn was_local(&self, server: &Address) -> bool {
        let kept = self.store.servers(&self.cluster).unwrap_or_default();
        kept.iter().any(|kept| kept.address == *server && kept.local)
    }

    /// Keeps for the next run where a server's process was found.
    pub(crate) fn keep_where(&self, server: &Address, local: bool) {
        let (store, cluster, server) = (self.store.clone(), self.cluster.clone(), server.clone());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = store.remember_where(&cluster, &server, local) {
                tracing::warn!(%server, %error, "where it runs could not be kept");
            }
        });
    }

    /// Keeps for the next run what a server said of itself.
    pub(crate) fn keep_facts(&self, server: &Address, facts: &ServerFacts) {
        let (store, cluster, server) = (self.store.clone(), self.cluster.clone(), server.clone());
        let (facts, now) = (serde_json::to_value(facts).unwrap_or_default(), self.clock.wall());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = store.remember_server(&cluster, &server, &facts, now) {
                tracing::warn!(%server, %error, "what it said could not be kept");
            }
        });
    }

    /// Finds out who the sources are that a server names otherwise than the configuration.
    pub(crate) async fn learn_names(&self, facts: &ServerFacts) {
        let servers: Vec<Address> = self.looks.keys().cloned().collect();
        for source in facts.channels.iter().map(|channel| &channel.source) {
            if servers.contains(source) || !self.state().names.wants(source) {
                continue;
            }
            let found = same_server(source, &servers).await;
            self.state().names.learn(source.clone(), found);
        }
    }

    /// What could not be seen of a server at its last complete look.
    pub(crate) fn set_gaps(&self, server: &Address, gaps: Vec<Gap>) {
        self.state().gaps.insert(server.clone(), gaps);
    }

    pub(crate) fn gaps(&self) -> BTreeMap<Address, Vec<Gap>> {
        self.state().gaps.clone()
    }

    pub(crate) fn set_process(&self, server: &Address, process: Option<ProcessState>) {
        self.update(server, |memory| memory.set_process(process));
    }

    pub(crate) fn set_files(&self, server: &Address, files: Option<FileAccess>) {
        self.update(server, |memory| memory.set_files(files));
    }

    pub(crate) fn set_fences(&self, server: &Address, fences: Vec<FenceRung>) {
        self.update(server, |memory| memory.set_fences(fences));
    }

    pub(crate) fn set_leased(&self, server: &Address, leased: bool) {
        self.update(server, |memory| memory.set_leased(leased));
    }

    /// The person's own script can fence every server.
    pub(crate) fn set_scripted(&self) {
        let servers: Vec<Address> = self.looks.keys().cloned().collect();
        servers.iter().for_each(|server| self.update(server, Memory::set_scripted));
    }

    /// Changes what is on record and wakes whoever waits for changes.
    pub(crate) fn set_record(&self, change: impl FnOnce(&mut Record)) {
        change(&mut self.state().record);
        self.wake();
    }

    pub(crate) fn record(&self) -> Record {
        self.state().record.clone()
    }

    /// Follows changes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Has every server but this one looked at now, without waiting for the answers.
    pub(crate) fn nudge_others(&self, but: &Address) {
        self.looks.iter().filter(|(server, _)| *server != but).for_each(|(_, look)| nudge(look));
    }

    /// Has every server looked at now, without waiting for the answers.
    pub(crate) fn nudge_all(&self) {
        self.looks.values().for_each(nudge);
    }

    /// Takes the record of a newer primary from the store: an operation writes it there.
    async fn refresh_record(&self) {
        let (store, name) = (self.store.clone(), self.cluster.clone());
        let read = tokio::task::spawn_blocking(move || store.cluster(&name)).await;
        if let Ok(Ok(Some(stored))) = read {
            let mut state = self.state();
            if stored.epoch >= state.record.epoch && stored.primary.is_some() {
                state.record.epoch = stored.epoch;
                state.record.primary = stored.primary;
            }
        }
    }

    fn snapshot(&self) -> ClusterSnapshot {
        let mut state = self.state();
        let mut snapshot = ClusterSnapshot {
            cluster: self.cluster.clone(),
            now: self.clock.now(),
            servers: state
                .servers
                .iter()
                .map(|(a, memory)| (a.clone(), memory.observation.clone()))
                .collect(),
            primary: state.record.primary.clone(),
            epoch: state.record.epoch,
            paused: state.record.paused,
            last_failover: state.record.last_failover,
            absent: state.record.absent.clone(),
            policy: (*self.policy).clone(),
        };
        for server in &state.record.rebuilt {
            let policy = snapshot.policy.server(server);
            let never = ServerPolicy { promotion: Promotion::Never, ..policy };
            snapshot.policy.servers.insert(server.clone(), never);
        }
        state.names.apply(&mut snapshot);
        without_kept_settings(&mut snapshot);
        state.unacknowledged.settle(&mut snapshot);
        snapshot
    }
}

fn nudge(look: &mpsc::UnboundedSender<LookRequest>) {
    let (done, _) = oneshot::channel();
    let _ = look.send(done);
}

impl Unacknowledged {
    /// Puts into the primary's facts only those unacknowledged commits that its replicas have not
    /// been seen to hold since.
    fn settle(&mut self, snapshot: &mut ClusterSnapshot) {
        let Some(primary) = snapshot.primary.clone() else { return };
        if self.primary.as_ref() != Some(&primary) {
            *self = Self { primary: Some(primary.clone()), ..Self::default() };
        }
        if let Some(facts) = snapshot.live(&primary) {
            let now = (facts.executed.clone(), facts.semi_sync.unacknowledged);
            // A restarted server counts from zero again.
            self.settled = self.settled.min(now.1);
            let channel = &snapshot.policy.channel;
            let mut replicas = primacy_plan::direct_replicas(snapshot, &primary)
                .filter_map(|a| snapshot.live(a))
                .peekable();
            let pending = self.pending.get_or_insert(now);
            let held =
                replicas.peek().is_some() && replicas.all(|f| f.holds(channel).covers(&pending.0));
            if held {
                self.settled = pending.1;
                self.pending = None;
            }
        }
        let settled = self.settled;
        if let Some(facts) = snapshot.servers.get_mut(&primary).and_then(|s| s.facts.as_mut()) {
            let semi_sync = &mut facts.semi_sync;
            semi_sync.unacknowledged = semi_sync.unacknowledged.saturating_sub(settled);
        }
    }
}

#[async_trait]
impl Eyes for Observatory {
    async fn look(&self, limit: Duration) -> ClusterSnapshot {
        self.refresh_record().await;
        // Only servers that may answer are waited for: one that is silent is being tried anyway.
        let expected: Vec<Address> = {
            let state = self.state();
            let answers = |m: &Memory| m.observation.contact.failure().is_none();
            state.servers.iter().filter(|(_, m)| answers(m)).map(|(a, _)| a.clone()).collect()
        };
        let waits: Vec<_> = self
            .looks
            .iter()
            .filter_map(|(server, sender)| {
                let (done, answered) = oneshot::channel();
                let sent = sender.send(done).is_ok();
                (sent && expected.contains(server)).then_some(answered)
            })
            .collect();
        let _ = tokio::time::timeout(limit, join_all(waits)).await;
        self.snapshot()
    }

    fn remembered(&self) -> ClusterSnapshot {
        self.snapshot()
    }
}

impl Drop for Observatory {
    fn drop(&mut self) {
        let tasks = self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner);
        tasks.iter().for_each(JoinHandle::abort);
    }
}
