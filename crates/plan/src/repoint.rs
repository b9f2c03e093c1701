//! Steps that failover and switchover share: who moves to the new primary, in what order, and how
//! many of them must be seen as semi-sync clients before it may be opened.

use primacy_types::{Address, ClusterSnapshot, Millis, Promotion, WithoutAcker};

use crate::{PlannedStep, Reason, Step, topology};

/// A step before the point of no return.
pub(crate) fn step(step: Step, limit: Millis) -> PlannedStep {
    PlannedStep { step, limit, no_return: false }
}

/// Live servers other than `old` that have the managed channel.
pub(crate) fn live_members(snapshot: &ClusterSnapshot, old: &Address) -> Vec<Address> {
    snapshot
        .all_live()
        .filter(|(a, f)| *a != old && f.channel(&snapshot.policy.channel).is_some())
        .map(|(a, _)| a.clone())
        .collect()
}

/// The replicas that must get a new source when `winner` replaces `old`. Intermediates keep their
/// replicas; a server below the winner stays where it is.
pub(crate) fn siblings(
    snapshot: &ClusterSnapshot,
    old: &Address,
    winner: &Address,
) -> Vec<Address> {
    live_members(snapshot, old)
        .into_iter()
        .filter(|s| s != winner)
        .filter(|s| {
            topology::managed_source(snapshot, s).as_ref() == Some(old)
                || (topology::descends_from(snapshot, winner, s)
                    && topology::descends_from(snapshot, s, old))
        })
        .collect()
}

/// Points every sibling to the winner and verifies it. Servers that may become primary later come
/// first; one that is attached already costs nothing.
pub(crate) fn repoint_all(
    snapshot: &ClusterSnapshot,
    winner: &Address,
    siblings: &[Address],
    steps: &mut Vec<PlannedStep>,
) {
    let limit = snapshot.policy.timing.repoint_limit;
    let mut order = siblings.to_vec();
    order.sort_by_key(|s| (snapshot.policy.server(s).promotion == Promotion::Never, s.clone()));
    for server in &order {
        let server = server.clone();
        steps.push(step(Step::Repoint { server, source: winner.clone(), may_lag: true }, limit));
    }
    steps.push(step(Step::Verify { primary: winner.clone(), replicas: order }, limit));
}

/// Sets the winner's part in semi-sync and attaches the replicas that it needs.
pub(crate) fn semi_sync(
    snapshot: &ClusterSnapshot,
    winner: &Address,
    siblings: &[Address],
    steps: &mut Vec<PlannedStep>,
    notes: &mut Vec<String>,
) -> Result<(), Reason> {
    let Some(wish) = snapshot.policy.semi_sync else {
        return Ok(());
    };
    let timing = &snapshot.policy.timing;
    let ackers: Vec<Address> = siblings
        .iter()
        .filter(|s| snapshot.live(s).is_some_and(|f| f.semi_sync.replica_enabled))
        .cloned()
        .collect();
    let enough = ackers.len() >= usize::from(wish.wait_count);
    let mut wait_count = Some(wish.wait_count);
    let mut needed = wish.wait_count;
    if !enough {
        let lacking = format!(
            "semi-sync waits for {} replica(s) and only {} is left to acknowledge",
            wish.wait_count,
            ackers.len()
        );
        match wish.without_acker {
            WithoutAcker::Refuse => {
                return Err(Reason::new(
                    lacking,
                    "bring a replica back, or set policy.semi_sync_without_acker",
                ));
            }
            WithoutAcker::Block => {
                notes.push(format!("{lacking}: commits wait until more return"));
                needed = ackers.len() as u16;
            }
            WithoutAcker::Degrade => {
                notes.push(format!(
                    "NOT GUARANTEED: {lacking}; semi-sync is off on {winner} until more return"
                ));
                wait_count = None;
                needed = ackers.len() as u16;
            }
        }
    }
    steps.push(step(
        Step::SemiSyncRole { server: winner.clone(), source: true, wait_count },
        timing.statement_limit,
    ));
    if !ackers.is_empty() {
        steps.push(step(
            Step::AttachAckers { source: winner.clone(), replicas: ackers, needed },
            timing.stall_limit,
        ));
    }
    Ok(())
}
