//! A second pair of eyes: walks through any plan as if it ran and says where it would break a
//! promise. It knows nothing of how plans are made, and it runs before every execution and in
//! every test.

use std::collections::{BTreeMap, BTreeSet};

use primacy_types::{Address, ClusterSnapshot, Contact, Epoch, GtidSet};
use serde::{Deserialize, Serialize};

use crate::{OperationKind, Plan, Step, candidates, topology};

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
    holds: BTreeMap<Address, GtidSet>,
    /// What each live server has applied.
    applied: BTreeMap<Address, GtidSet>,
    everything: Option<GtidSet>,
    recorded: Option<Epoch>,
    opened: usize,
    accept_loss: bool,
}

/// Every promise that `plan` would break on the servers of `snapshot`; empty for a sound plan.
///
/// `accept_loss` is a person's word that transactions which exist may be dropped; it excuses
/// that and nothing else.
pub fn violations(snapshot: &ClusterSnapshot, plan: &Plan, accept_loss: bool) -> Vec<Violation> {
    let channel = &snapshot.policy.channel;
    let live = || snapshot.all_live();
    let mut writable: BTreeSet<Address> =
        live().filter(|(_, f)| f.writable()).map(|(a, _)| a.clone()).collect();
    // A server that does not answer may well accept writes, unless it was read-only when last
    // seen and nobody had a reason to open it.
    let silent_primary =
        snapshot.server(&plan.old).is_some_and(|s| !matches!(s.contact, Contact::Answering { .. }));
    if plan.kind == OperationKind::Failover && silent_primary {
        writable.insert(plan.old.clone());
    }
    let mut world = Simulated {
        snapshot,
        writable,
        holds: live().map(|(a, f)| (a.clone(), f.holds(channel))).collect(),
        applied: live().map(|(a, f)| (a.clone(), f.executed.clone())).collect(),
        everything: match plan.kind {
            OperationKind::Failover => candidates::held_by_all(snapshot, &plan.old),
            _ => None,
        },
        recorded: None,
        opened: 0,
        accept_loss,
    };
    let mut found = Vec::new();
    // A plan that goes on after the fence does not repeat it.
    if plan.kind == OperationKind::Failover
        && !plan.steps.iter().any(|s| matches!(s.step, Step::Fence { .. }))
    {
        world.writable.remove(&plan.old);
    }
    for (index, planned) in plan.steps.iter().enumerate() {
        for sentence in world.run(plan, &planned.step) {
            found.push(Violation { step: index, sentence });
        }
    }
    if world.opened != 1 {
        let sentence = format!("the plan opens {} servers instead of one", world.opened);
        found.push(Violation { step: plan.steps.len(), sentence });
    }
    found
}

impl Simulated<'_> {
    fn run(&mut self, plan: &Plan, step: &Step) -> Vec<String> {
        let mut broken = Vec::new();
        match step {
            Step::Fence { server, .. } | Step::BlockWrites { server, .. } => {
                self.writable.remove(server);
            }
            Step::Drain { server } => {
                if let Some(held) = self.holds.get(server) {
                    self.applied.insert(server.clone(), held.clone());
                }
            }
            Step::CatchUp { server, source } => {
                if self.writable.contains(source) {
                    broken.push(format!("{server} cannot catch up: {source} still takes writes"));
                }
                let (mine, theirs) = (self.holds.get(server), self.holds.get(source));
                if let (Some(mine), Some(theirs)) = (mine, theirs) {
                    let all = mine.union(theirs);
                    self.holds.insert(server.clone(), all.clone());
                    self.applied.insert(server.clone(), all);
                }
            }
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
            Step::AttachAckers { source, replicas, .. } => {
                for replica in replicas {
                    broken.extend(self.drops_received(replica, source));
                }
            }
            Step::Repoint { server, source, .. } => {
                broken.extend(self.drops_received(server, source));
                if server == &plan.winner {
                    broken.push(format!("the winner {server} is pointed to {source}"));
                }
                if self.writable.contains(server) {
                    broken.push(format!("{server} becomes a replica while it accepts writes"));
                }
            }
            Step::Detach { server } => {
                if self.holds.get(server) != self.applied.get(server)
                    && !self.applied_covers_held(server)
                {
                    broken.push(format!("{server} drops transactions that it received"));
                }
            }
            Step::RecordEpoch { epoch, .. } => {
                if *epoch <= self.snapshot.epoch {
                    broken.push(format!(
                        "epoch {epoch} is not later than the current {}",
                        self.snapshot.epoch
                    ));
                }
                self.recorded = Some(*epoch);
            }
            Step::OpenWrites { server, epoch } => broken.extend(self.open(plan, server, *epoch)),
            Step::Route { server, .. } => {
                if !self.writable.contains(server) {
                    broken.push(format!("applications are sent to {server}, which is closed"));
                }
            }
            Step::SealReceivers { .. }
            | Step::Measure
            | Step::SemiSyncRole { .. }
            | Step::MoveEvents { .. }
            | Step::Verify { .. } => {}
        }
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
        if !self.applied_covers_held(server) {
            broken.push(format!("{server} is opened before it applied what it received"));
        }
        let lacks = match (&self.everything, self.applied.get(server)) {
            (Some(all), Some(mine)) => all.beyond(mine),
            _ => Vec::new(),
        };
        if !lacks.is_empty() && !self.accept_loss {
            broken.push(format!("{server} is opened without {}", lacks.join(", ")));
        }
        let recorded = match plan.kind {
            OperationKind::Reopen => epoch == self.snapshot.epoch,
            _ => self.recorded == Some(epoch),
        };
        if !recorded {
            broken.push(format!("{server} is opened in epoch {epoch}, which is not on record"));
        }
        if plan.kind != OperationKind::Reopen
            && self.snapshot.policy.server(server).promotion == primacy_types::Promotion::Never
            && plan.judged.iter().any(|j| j.server == *server && !j.exclusions.is_empty())
            && plan.notes.is_empty()
        {
            broken.push(format!("{server} must never be promoted"));
        }
        self.writable.insert(server.clone());
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
        of: &BTreeMap<Address, GtidSet>,
        from: &Address,
        until: &GtidSet,
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
        let safe = match (self.applied.get(source), self.holds.get(server)) {
            (Some(theirs), Some(held)) => theirs.covers(held),
            _ => false,
        };
        // Outside a failover the receiver's set names transactions that the source has anyway.
        let same_history = topology::managed_source(self.snapshot, server).as_ref() == Some(source);
        (!safe && !same_history)
            .then(|| format!("{server} would drop received transactions when moved to {source}"))
    }
}
