//! Steps that failover and switchover share: who moves to the new primary, in what order, and how
//! many of them must be seen as semi-sync clients before it may be opened.

use primacy_types::{Address, ClusterSnapshot, Millis, Promotion, WithoutAcker};

use crate::operation::NOT_GUARANTEED;
use crate::places::replicates_by_place;
use crate::{PlannedStep, Reason, Step, errant, topology};

/// A step before the point of no return.
pub(crate) fn step(step: Step, limit: Millis) -> PlannedStep {
    PlannedStep { step, limit, no_return: false }
}

/// The winner replicates from nobody any more.
pub(crate) fn detach(snapshot: &ClusterSnapshot, winner: &Address) -> PlannedStep {
    let keep = snapshot.policy.keep_replication_settings;
    step(Step::Detach { server: winner.clone(), keep }, snapshot.policy.timing.statement_limit)
}

/// Live servers that read from `old` itself: what they receive is final once they are sealed, and
/// all of them get a new source. Replicas of intermediates go on undisturbed.
pub(crate) fn direct(snapshot: &ClusterSnapshot, old: &Address) -> Vec<Address> {
    topology::direct_replicas(snapshot, old)
        .filter(|a| snapshot.live(a).is_some())
        .cloned()
        .collect()
}

/// The replicas that must get a new source when `winner` replaces `old`. Intermediates keep their
/// replicas, unless they are gone themselves; a server below the winner stays where it is.
pub(crate) fn siblings(
    snapshot: &ClusterSnapshot,
    old: &Address,
    winner: &Address,
) -> Vec<Address> {
    let above_winner = topology::intermediates(snapshot, winner, old).unwrap_or_default();
    let orphan = |s: &Address| {
        !snapshot.policy.multi_tier
            && topology::intermediates(snapshot, s, old).is_some_and(|way| {
                way.first()
                    .is_some_and(|source| source != winner && snapshot.live(source).is_none())
            })
    };
    snapshot
        .all_live()
        .map(|(a, _)| a)
        .filter(|s| *s != winner && *s != old)
        .filter(|s| {
            topology::managed_source(snapshot, s).as_ref() == Some(old)
                || above_winner.contains(s)
                || orphan(s)
        })
        .cloned()
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
    // Without GTID nobody may still read from the old primary when that becomes a replica itself
    // and its log goes on with what it gets from the new one.
    let by_place = replicates_by_place(snapshot);
    let last = |s: &Address| by_place && snapshot.primary.as_ref() == Some(s);
    order.sort_by_key(|s| {
        (last(s), snapshot.policy.server(s).promotion == Promotion::Never, s.clone())
    });
    for server in &order {
        let server = server.clone();
        steps.push(step(Step::Repoint { server, source: winner.clone(), may_lag: true }, limit));
    }
    steps.push(step(Step::Verify { primary: winner.clone(), replicas: order }, limit));
}

/// Sets the winner's part in semi-sync and attaches the replicas that it needs. Returns the step
/// that belongs after the epoch is recorded: where not enough can be attached before, the winner
/// waits for nobody until then, or the row of the epoch would wait for ever.
///
/// `later` is the old primary of a switchover: it acknowledges too, but only after the promotion.
pub(crate) fn semi_sync(
    snapshot: &ClusterSnapshot,
    old: &Address,
    winner: &Address,
    siblings: &[Address],
    later: Option<&Address>,
    steps: &mut Vec<PlannedStep>,
    notes: &mut Vec<String>,
) -> Result<Option<PlannedStep>, Reason> {
    let Some(wish) = snapshot.policy.semi_sync else {
        return Ok(None);
    };
    let timing = &snapshot.policy.timing;
    let by_place = replicates_by_place(snapshot);
    // Whoever reads from the winner already acknowledges to it too: it was below it in a chain, or
    // was attached before the plan was made again.
    let below = topology::direct_replicas(snapshot, winner)
        .filter(|s| *s != old && snapshot.live(s).is_some() && !siblings.contains(s));
    let ackers: Vec<Address> = siblings
        .iter()
        .chain(below)
        .filter(|s| snapshot.live(s).is_some_and(|f| f.semi_sync.replica_enabled))
        .filter(|s| by_place || snapshot.live_channel(s).is_some_and(|c| c.positioning.is_gtid()))
        // The winner's binary log does not continue what such a replica has.
        .filter(|s| errant::errant_of(snapshot, old, s).is_empty())
        .cloned()
        .collect();
    let late = later.filter(|s| snapshot.live(s).is_some_and(|f| f.semi_sync.available));
    let wait_for = usize::from(wish.wait_count);
    let role = |wait_count| {
        let role = Step::SemiSyncRole { server: winner.clone(), source: true, wait_count };
        step(role, timing.statement_limit)
    };
    if ackers.len() >= wait_for {
        steps.push(role(Some(wish.wait_count)));
        if wait_for > 0 {
            let (source, needed) = (winner.clone(), wish.wait_count);
            let attach = Step::AttachAckers { source, replicas: ackers, needed };
            steps.push(step(attach, timing.stall_limit));
        }
        return Ok(None);
    }
    let lacking = format!(
        "semi-sync waits for {} replica(s) and only {} can acknowledge",
        wish.wait_count,
        ackers.len() + usize::from(late.is_some())
    );
    // Whoever can acknowledge is repointed with the others: commits wait, or need not wait,
    // whether or not some are attached before.
    let mut afterwards = Some(role(Some(wish.wait_count)));
    match (late, wish.without_acker) {
        (Some(late), _) if ackers.len() + 1 >= wait_for => {
            notes.push(format!("the first commits on {winner} wait until {late} acknowledges"));
        }
        (_, WithoutAcker::Refuse) => {
            return Err(Reason::new(
                lacking,
                "bring a replica back, or set policy.semi_sync_without_acker",
            ));
        }
        (_, WithoutAcker::Block) => {
            notes.push(format!("{lacking}: commits wait until more return"));
        }
        (_, WithoutAcker::Degrade) => {
            notes.push(format!(
                "{NOT_GUARANTEED}: {lacking}; semi-sync is off on {winner} until more return"
            ));
            afterwards = None;
        }
    }
    let waits_now = snapshot.live(winner).is_some_and(|f| f.semi_sync.source_enabled);
    if afterwards.is_none() || (waits_now && snapshot.policy.epoch_table) {
        steps.push(role(None));
    }
    Ok(afterwards)
}
