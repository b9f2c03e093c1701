//! A second pair of eyes: walks through any plan as if it ran and says where it would break a
//! promise. It knows nothing of how plans are made, and it runs before every execution and in
//! every test.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use primacy_types::{
    Address, ClusterSnapshot, ContactFailure, Epoch, FenceRung, ProcessState, Promotion,
    ServerFacts, TransactionSet,
};
use serde::{Deserialize, Serialize};

use crate::operation::{FORCED, NOT_GUARANTEED};
use crate::places::{by_place, replicates_by_place};
use crate::preview::with_expected_disk;
use crate::{OperationKind, Origin, Plan, PlannedStep, Step, holdings, topology};

/// A promise that a plan would break.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Index of the step.
    pub step: usize,
    /// What would be broken, as a sentence.
    pub sentence: String,
}

/// The servers as the plan leaves them, step by step.
struct Simulated<'a> {
    snapshot: &'a ClusterSnapshot,
    writable: BTreeSet<Address>,
    /// What is on each live server's disk.
    holds: BTreeMap<Address, TransactionSet>,
    /// What each live server has applied.
    applied: BTreeMap<Address, TransactionSet>,
    /// What the winner must have when it is opened.
    everything: Option<TransactionSet>,
    /// Servers that were waited for: drained, or caught up with the blocked primary.
    settled: BTreeSet<Address>,
    detached: BTreeSet<Address>,
    /// Files that were saved.
    saved: BTreeSet<Origin>,
    /// Without GTID: the place at which the winner's own log takes over.
    paired: Option<TransactionSet>,
    fenced: bool,
    recorded: Option<(Address, Epoch)>,
    /// The old primary has the address of applications no more; a plan that goes on after the fence
    /// does not repeat it.
    taken: bool,
    /// Who has it.
    given: Option<Address>,
    opened: usize,
    accept_loss: bool,
}

/// Every promise that `plan` would break on the servers of `snapshot`; empty for a sound plan.
///
/// `accept_loss` is a person's word that transactions which exist may be dropped; it excuses
/// that and nothing else.
pub fn violations(snapshot: &ClusterSnapshot, plan: &Plan, accept_loss: bool) -> Vec<Violation> {
    let snapshot = &*by_place(snapshot);
    let fences = |s: &PlannedStep| matches!(s.step, Step::Fence { .. });
    let is_preview = plan.kind == OperationKind::Failover && plan.steps.iter().any(fences);
    let snapshot = &*match is_preview {
        true => with_expected_disk(snapshot, &plan.old),
        false => Cow::Borrowed(snapshot),
    };
    let channel = &snapshot.policy.channel;
    let live = || snapshot.all_live();
    let mut writable: BTreeSet<Address> =
        live().filter(|(_, f)| f.writable()).map(|(a, _)| a.clone()).collect();
    // A primary that does not answer may well accept writes. A plan that goes on after the fence
    // does not repeat it: then only the server's own word says that it is open again.
    if is_preview && snapshot.live(&plan.old).is_none() {
        writable.insert(plan.old.clone());
    }
    let mut world = Simulated {
        snapshot,
        writable,
        holds: live().map(|(a, f)| (a.clone(), f.holds(channel))).collect(),
        applied: live().map(|(a, f)| (a.clone(), f.executed.clone())).collect(),
        everything: match plan.kind {
            OperationKind::Failover => holdings::held_and_on_disk(snapshot, &plan.old),
            OperationKind::Switchover => snapshot.live(&plan.old).map(|f| f.executed.clone()),
            OperationKind::Reopen => None,
        },
        settled: BTreeSet::new(),
        detached: BTreeSet::new(),
        saved: BTreeSet::new(),
        paired: None,
        fenced: false,
        recorded: None,
        taken: plan.kind == OperationKind::Failover && !is_preview,
        given: None,
        opened: 0,
        accept_loss,
    };
    let mut found = Vec::new();
    for (index, planned) in plan.steps.iter().enumerate() {
        for sentence in world.run(plan, &planned.step) {
            found.push(Violation { step: index, sentence });
        }
    }
    let closed = plan.kind == OperationKind::Failover && snapshot.policy.leaves.closed;
    if world.opened != usize::from(!closed) {
        let wanted = if closed { "none" } else { "one" };
        let sentence = format!("the plan opens {} servers instead of {wanted}", world.opened);
        found.push(Violation { step: plan.steps.len(), sentence });
    }
    found
}

impl Simulated<'_> {
    fn run(&mut self, plan: &Plan, step: &Step) -> Vec<String> {
        let mut broken = Vec::new();
        match step {
            Step::Fence { server, rung } => broken.extend(self.fence(plan, server, *rung)),
            Step::BlockWrites { server, .. } => {
                self.writable.remove(server);
            }
            Step::SealReceivers { .. } | Step::Measure => {
                if !self.fenced {
                    broken.push(format!("{} has not been fenced before this", plan.old));
                }
            }
            Step::Drain { server } => {
                if let Some(held) = self.holds.get(server) {
                    self.applied.insert(server.clone(), held.clone());
                }
                self.settled.insert(server.clone());
            }
            Step::CatchUp { server, source } => broken.extend(self.catch_up(server, source)),
            Step::Level { server, from, until } => {
                if !self.covers(&self.applied, from, until, server) {
                    broken.push(format!(
                        "{from} has not applied all that {server} is to fetch from it"
                    ));
                }
                broken.extend(self.drops_received(server, from));
                for of in [&mut self.holds, &mut self.applied] {
                    of.insert(server.clone(), until.clone());
                }
            }
            Step::Save { from, .. } => {
                self.saved.insert(from.clone());
            }
            Step::Rescue { server, from, until } => broken.extend(self.rescue(server, from, until)),
            Step::PairPositions { server, .. } => {
                if self.writable.contains(server) {
                    broken.push(format!("the place of {server} is taken while it accepts writes"));
                }
                self.paired = self.applied.get(server).cloned();
            }
            Step::AttachAckers { source, replicas, .. } => {
                for replica in replicas {
                    broken.extend(self.repoint(plan, replica, source));
                }
            }
            Step::Repoint { server, source, .. } => {
                broken.extend(self.repoint(plan, server, source));
            }
            Step::TakeAddress { server } => {
                if *server != plan.old {
                    broken.push(format!("the address is taken from {server}, which has none"));
                }
                self.taken = true;
            }
            Step::GiveAddress { server } => broken.extend(self.give(plan, server)),
            Step::Detach { server, .. } => {
                if !self.applied_covers_held(server) && !self.accept_loss {
                    broken.push(format!("{server} drops transactions that it received"));
                }
                self.detached.insert(server.clone());
            }
            Step::RecordEpoch { server, epoch, .. } => {
                if *epoch != self.snapshot.epoch.next() {
                    broken.push(format!(
                        "epoch {epoch} is not the one after the current {}",
                        self.snapshot.epoch
                    ));
                }
                self.recorded = Some((server.clone(), *epoch));
            }
            Step::OpenWrites { server, epoch } => broken.extend(self.open(plan, server, *epoch)),
            Step::Route { server, epoch } => {
                if !self.writable.contains(server) {
                    broken.push(format!("applications are sent to {server}, which is closed"));
                }
                if *epoch != plan.epoch {
                    broken.push(format!("applications are sent to {server} in epoch {epoch}"));
                }
            }
            Step::GiveBack { servers } => broken.extend(self.give_back(servers)),
            Step::SemiSyncRole { .. } | Step::MoveEvents { .. } | Step::Verify { .. } => {}
        }
        broken
    }

    fn fence(&mut self, plan: &Plan, server: &Address, rung: Option<FenceRung>) -> Option<String> {
        self.fenced |= *server == plan.old;
        let seen = self.snapshot.server(server);
        if rung.is_none() && self.snapshot.live(server).is_some_and(ServerFacts::writable) {
            return Some(format!("{server} accepts writes and there is no way to fence it"));
        }
        let rungs = seen.map(|s| s.fences.as_slice()).unwrap_or_default();
        if let Some(rung) = rung
            && let Some(better) = rungs.iter().min().filter(|better| **better < rung)
        {
            // Nobody is powered off while its process can be killed and its disk kept readable.
            return Some(format!("{server} is fenced by {rung}, and {better} comes first"));
        }
        self.writable.remove(server);
        let process = seen.and_then(|s| s.process);
        let nothing_listens = matches!(process, Some(ProcessState::Exited { .. }))
            || (process.is_none()
                && matches!(
                    seen.and_then(|s| s.contact.failure()),
                    Some(ContactFailure::Refused | ContactFailure::ShuttingDown)
                ));
        (rung.is_none() && !nothing_listens && !plan.notes_say(NOT_GUARANTEED))
            .then(|| format!("{server} is not fenced and no note says what that means"))
    }

    /// The server gets from saved files what they held, and no more.
    fn rescue(&mut self, server: &Address, from: &Origin, until: &TransactionSet) -> Vec<String> {
        let mut broken = Vec::new();
        if !self.saved.contains(from) {
            broken.push(format!("{server} is to fetch what was not saved from {from}"));
        }
        let given = match from {
            Origin::Binlogs(old) => holdings::on_disk(self.snapshot, old).cloned(),
            Origin::RelayLogs(replica) => {
                self.snapshot.live(replica).map(|f| f.holds(&self.snapshot.policy.channel))
            }
        };
        let mine = self.holds.get(server);
        let all = match (given, mine) {
            (Some(given), Some(mine)) => given.union(mine),
            (Some(one), None) => one,
            (None, mine) => mine.cloned().unwrap_or(TransactionSet::UpTo(None)),
        };
        if !all.covers(until) {
            broken.push(format!("{from} do not hold all that {server} is to fetch"));
        }
        if !self.applied_covers_held(server) && !mine.is_some_and(|mine| until.covers(mine)) {
            broken.push(format!("{server} would drop received transactions"));
        }
        for of in [&mut self.holds, &mut self.applied] {
            of.insert(server.clone(), until.clone());
        }
        broken
    }

    /// The blocked primary has everything that it ever gave to a replica.
    fn catch_up(&mut self, server: &Address, source: &Address) -> Option<String> {
        let mut all = self.holds.get(server)?.clone();
        for more in [self.holds.get(source), holdings::held_by_all(self.snapshot, source).as_ref()]
        {
            all = more.map_or(all.clone(), |more| all.union(more));
        }
        self.holds.insert(server.clone(), all.clone());
        self.applied.insert(server.clone(), all);
        self.settled.insert(server.clone());
        self.writable
            .contains(source)
            .then(|| format!("{server} cannot catch up: {source} still takes writes"))
    }

    /// Nobody who was opened becomes a replica again.
    fn give_back(&self, servers: &[Address]) -> Vec<String> {
        let open = servers.iter().filter(|server| self.writable.contains(*server));
        open.map(|server| format!("{server} is a replica again while it accepts writes")).collect()
    }

    fn repoint(&self, plan: &Plan, server: &Address, source: &Address) -> Vec<String> {
        let mut broken = Vec::new();
        broken.extend(self.drops_received(server, source));
        if replicates_by_place(self.snapshot) && self.paired.is_none() {
            broken.push(format!("{server} is pointed to {source} and nobody knows at which place"));
        }
        if server == &plan.winner {
            broken.push(format!("the winner {server} is pointed to {source}"));
        } else if source != &plan.winner {
            broken.push(format!("{server} is pointed to {source}, which is not the winner"));
        }
        if self.writable.contains(server) {
            broken.push(format!("{server} becomes a replica while it accepts writes"));
        }
        broken
    }

    /// A script that gives the address may open the server too, so all must be true that must be
    /// true of one that is opened.
    fn give(&mut self, plan: &Plan, server: &Address) -> Vec<String> {
        let mut broken = Vec::new();
        if !self.taken {
            broken.push(format!("{server} gets the address that {} still has", plan.old));
        }
        if *server != plan.winner {
            broken.push(format!("{server} gets the address, but {} is the winner", plan.winner));
        }
        let others: Vec<_> = self.writable.iter().filter(|w| *w != server).cloned().collect();
        if !others.is_empty() {
            let others = crate::diagnosis::list(&others);
            broken.push(format!("{server} gets the address while {others} accepts writes"));
        }
        broken.extend(self.promote(plan, server, plan.epoch));
        self.given = Some(server.clone());
        broken
    }

    fn open(&mut self, plan: &Plan, server: &Address, epoch: Epoch) -> Vec<String> {
        let mut broken = Vec::new();
        self.opened += 1;
        if *server != plan.winner {
            broken.push(format!("{server} is opened, but {} is the winner", plan.winner));
        }
        let others: Vec<_> = self.writable.iter().filter(|w| *w != server).cloned().collect();
        if !others.is_empty() {
            broken.push(format!(
                "two servers would accept writes: {server} and {}",
                crate::diagnosis::list(&others)
            ));
        }
        if !self.holds.contains_key(server) {
            broken.push(format!("{server} is opened without having been seen"));
        }
        if plan.kind == OperationKind::Reopen {
            if epoch != self.snapshot.epoch {
                broken.push(format!("{server} is opened again in another epoch, {epoch}"));
            }
        } else {
            broken.extend(self.promote(plan, server, epoch));
        }
        let scripts = &self.snapshot.policy.scripts;
        let by_script = match plan.kind {
            OperationKind::Failover => scripts.failover,
            OperationKind::Switchover => scripts.switchover,
            OperationKind::Reopen => false,
        };
        if by_script && self.given.as_ref() != Some(server) {
            broken.push(format!("{server} is opened and has not got the address"));
        }
        self.writable.insert(server.clone());
        broken
    }

    /// What must be true of a server that becomes primary and was not.
    fn promote(&self, plan: &Plan, server: &Address, epoch: Epoch) -> Vec<String> {
        let mut broken = Vec::new();
        if !self.settled.contains(server) || !self.applied_covers_held(server) {
            broken.push(format!("{server} is opened before it applied what it received"));
        }
        let lacks = match (&self.everything, self.applied.get(server)) {
            (Some(all), Some(mine)) => all.beyond(mine),
            _ => Vec::new(),
        };
        if !lacks.is_empty() && !self.accept_loss {
            broken.push(format!("{server} is opened without {}", lacks.join(", ")));
        }
        if !self.detached.contains(server) {
            broken.push(format!("{server} is opened while it is still a replica"));
        }
        if self.recorded != Some((server.clone(), epoch)) || epoch != plan.epoch {
            broken.push(format!("{server} is opened in epoch {epoch}, which is not on record"));
        }
        if self.snapshot.policy.server(server).promotion == Promotion::Never
            && !plan.notes_say(FORCED)
        {
            broken.push(format!("{server} must never be promoted"));
        }
        broken
    }

    fn applied_covers_held(&self, server: &Address) -> bool {
        match (self.applied.get(server), self.holds.get(server)) {
            (Some(applied), Some(held)) => applied.covers(held),
            _ => true,
        }
    }

    /// Whether what `from` has in `of` together with `server`'s own covers `until`.
    fn covers(
        &self,
        of: &BTreeMap<Address, TransactionSet>,
        from: &Address,
        until: &TransactionSet,
        server: &Address,
    ) -> bool {
        match (of.get(from), self.holds.get(server)) {
            (Some(theirs), Some(mine)) => theirs.union(mine).covers(until),
            _ => false,
        }
    }

    /// A change of source may drop the relay log, so all of it must be applied, or the new source
    /// must hold all of it.
    fn drops_received(&self, server: &Address, source: &Address) -> Option<String> {
        if self.applied_covers_held(server) || self.accept_loss {
            return None;
        }
        let of = |server| self.applied.get(server);
        let safe = match (of(source), of(server), self.holds.get(server)) {
            (Some(theirs), Some(mine), Some(held)) => theirs.union(mine).covers(held),
            _ => false,
        };
        let same_history = topology::managed_source(self.snapshot, server).as_ref() == Some(source);
        (!safe && !same_history)
            .then(|| format!("{server} would drop received transactions when moved to {source}"))
    }
}
