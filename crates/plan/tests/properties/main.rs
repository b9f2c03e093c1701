//! Properties of the pure core, for any snapshot and any request.

mod arbitrary;
mod checker;

use std::collections::BTreeSet;

use arbitrary::{failovers, reordered, serving_worlds, switchovers, worlds};
use primacy_plan::testing::{NOW, World};
use primacy_plan::{
    Decision, Diagnosis, FailoverRequest, Plan, Stage, Step, coverage, decide, descends_from,
    diagnose, direct_replicas, errant_of, plan_failover, plan_reopen, plan_switchover,
    replicates_by_place, violations,
};
use primacy_types::{
    Address, BinlogsOnDisk, ClusterSnapshot, Contact, GtidMode, Millis, ProcessState,
    ReceiverState, TransactionSet, WriteWord,
};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

const STAGES: [Stage; 2] = [Stage::BeforeFence, Stage::AfterSeal];

/// Sound, and one promotion with the next epoch.
fn is_sound(snapshot: &ClusterSnapshot, plan: &Plan, accept_loss: bool) -> TestCaseResult {
    prop_assert_eq!(violations(snapshot, plan, accept_loss), vec![]);
    let opened: Vec<_> = plan
        .steps
        .iter()
        .filter_map(|s| match &s.step {
            Step::OpenWrites { server, epoch } => Some((server.clone(), *epoch)),
            _ => None,
        })
        .collect();
    prop_assert_eq!(opened, vec![(plan.winner.clone(), snapshot.epoch.next())]);
    prop_assert_eq!(plan.epoch, snapshot.epoch.next());
    prop_assert!(snapshot.live(&plan.winner).is_some() && plan.winner != plan.old);
    Ok(())
}

/// What the plan lets the winner have, told without the planner's own means.
fn winner_has(snapshot: &ClusterSnapshot, plan: &Plan) -> TransactionSet {
    let own = snapshot.live(&plan.winner).map(|f| f.holds(&snapshot.policy.channel));
    plan.steps
        .iter()
        .filter_map(|s| match &s.step {
            Step::Level { until, .. } => Some(until.clone()),
            Step::Rescue { server, until, .. } if *server == plan.winner => Some(until.clone()),
            _ => None,
        })
        .fold(own.expect("a live winner"), |all, until| all.union(&until))
}

fn on_disk<'a>(snapshot: &'a ClusterSnapshot, server: &Address) -> Option<&'a BinlogsOnDisk> {
    snapshot.server(server)?.on_disk.as_ref()
}

/// Live replicas whose transactions all came from the primary.
fn pure_replicas<'a>(
    snapshot: &'a ClusterSnapshot,
    old: &'a Address,
) -> impl Iterator<Item = (&'a Address, TransactionSet)> {
    snapshot
        .all_live()
        .filter(move |(a, _)| *a != old && descends_from(snapshot, a, old))
        .filter(move |(a, f)| errant_of(snapshot, old, a).is_empty() && f.channels.len() == 1)
        .map(|(a, f)| (a, f.holds(&snapshot.policy.channel)))
}

/// A server without a source, which after the seal may be taken for a winner that forgot its own.
fn has_a_rootless_replica(snapshot: &ClusterSnapshot) -> bool {
    snapshot.all_live().any(|(a, f)| {
        Some(a) != snapshot.primary.as_ref()
            && f.channel(&snapshot.policy.channel).is_none()
            && f.gtid_mode == GtidMode::On
    })
}

/// A fact that shows the primary alive, found without the rules of the diagnosis.
fn is_known_to_live(world: &World, primary: &Address) -> bool {
    let snapshot = &world.snapshot;
    let Some(server) = snapshot.server(primary) else {
        return false;
    };
    let (since, last) = match &server.contact {
        Contact::Failing { since, last, .. } => (*since, last),
        Contact::Answering { .. } => return server.facts.is_some(),
        Contact::Untried => return false,
    };
    let gone = matches!(server.process, Some(ProcessState::Exited { .. }));
    let heard = direct_replicas(snapshot, primary).filter_map(|a| snapshot.server(a)).any(|s| {
        let connected = s
            .live_facts()
            .and_then(|f| f.channel(""))
            .is_some_and(|c| c.receiver == ReceiverState::Running);
        let asked_at = s.facts_at.unwrap_or_default();
        connected
            && asked_at >= since
            && s.received_at.is_some_and(|at| at > since && NOW.since(at) <= Millis(500))
    });
    last.proves_life() || (heard && !gone)
}

/// A commit has hung there for longer than the policy allows, and the server said so just now.
fn is_known_to_commit_nothing(world: &World, primary: &Address) -> bool {
    let trouble = world.snapshot.server(primary).and_then(|s| s.writes.as_ref());
    let (Some(limit), Some(trouble)) = (world.snapshot.policy.write_probe, trouble) else {
        return false;
    };
    matches!(trouble.word, WriteWord::Waits { .. })
        && trouble.since + limit <= NOW
        && trouble.at + Millis(3000) >= NOW
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_failover_plan_breaks_a_promise(world in worlds(), request in failovers()) {
        let snapshot = &world.snapshot;
        let diagnosis = diagnose(snapshot);
        for stage in STAGES {
            if let Ok(plan) = plan_failover(snapshot, &diagnosis, &request, stage) {
                is_sound(snapshot, &plan, request.force && request.accept_loss)?;
            }
        }
    }

    #[test]
    fn a_winner_never_lacks_what_a_reachable_replica_received(
        world in worlds(),
        request in failovers(),
    ) {
        let request = FailoverRequest { accept_loss: false, ..request };
        let snapshot = &world.snapshot;
        if replicates_by_place(snapshot) {
            return Ok(());
        }
        let diagnosis = diagnose(snapshot);
        for stage in STAGES {
            let Ok(plan) = plan_failover(snapshot, &diagnosis, &request, stage) else { continue };
            let has = winner_has(snapshot, &plan);
            for (replica, holds) in pure_replicas(snapshot, &plan.old) {
                prop_assert!(has.covers(&holds), "{replica} holds {holds}, winner {has}");
            }
            if let Some(holds) = on_disk(snapshot, &plan.old).and_then(BinlogsOnDisk::holds) {
                prop_assert!(has.covers(holds), "the disk holds {holds}, winner {has}");
            }
        }
    }

    #[test]
    fn a_copy_of_the_binary_logs_proves_nothing(world in worlds()) {
        let Some(old) = world.snapshot.primary.clone() else { return Ok(()) };
        let mut without = world.snapshot.clone();
        let Some(server) = without.servers.get_mut(&old) else { return Ok(()) };
        if let Some(BinlogsOnDisk::Copied { reason, passing, .. }) = server.on_disk.clone() {
            server.on_disk = Some(BinlogsOnDisk::Unreadable { reason, passing });
            let (with, without) = (coverage(&world.snapshot, &old), coverage(&without, &old));
            prop_assert!(!with.proved || without.proved, "{with:?} {without:?}");
        }
    }

    #[test]
    fn without_gtid_a_winner_never_stands_behind_a_replica_or_the_disk(
        world in worlds(),
        request in failovers(),
    ) {
        let request = FailoverRequest { accept_loss: false, ..request };
        let snapshot = &world.snapshot;
        if !replicates_by_place(snapshot) {
            return Ok(());
        }
        let diagnosis = diagnose(snapshot);
        for stage in STAGES {
            let Ok(plan) = plan_failover(snapshot, &diagnosis, &request, stage) else { continue };
            let read = |server: &Address| snapshot.live_channel(server)?.read.clone();
            let fetched = plan.steps.iter().filter_map(|s| match &s.step {
                Step::Rescue { server, until, .. } if *server == plan.winner => {
                    until.as_place().cloned()
                }
                _ => None,
            });
            let has = fetched.chain(read(&plan.winner)).max();
            let (mut end, mut length) = (None, None);
            if let Some(BinlogsOnDisk::Read { end: e, length: l, .. }) =
                on_disk(snapshot, &plan.old)
            {
                prop_assert!(has.as_ref() >= Some(e), "the disk ends at {e}, winner {has:?}");
                (end, length) = (Some(e.clone()), Some(l.clone()));
            }
            for replica in direct_replicas(snapshot, &plan.old) {
                let read = read(replica);
                // A part of a transaction that the primary did not finish counts for nothing.
                let torn = end.is_some() && read > end && read <= length;
                prop_assert!(torn || has >= read, "{replica} has read {read:?}, winner {has:?}");
            }
        }
    }

    #[test]
    fn errant_transactions_are_never_carried_to_another_server(
        world in worlds(),
        request in failovers(),
    ) {
        let mut world = world;
        world.snapshot.policy.allow_errant = false;
        let snapshot = &world.snapshot;
        if replicates_by_place(snapshot) {
            return Ok(());
        }
        let Ok(plan) = plan_failover(snapshot, &diagnose(snapshot), &request, Stage::BeforeFence)
        else { return Ok(()) };
        for planned in &plan.steps {
            if let Step::Level { from, .. } = &planned.step {
                prop_assert_eq!(errant_of(snapshot, &plan.old, from), Vec::<String>::new());
            }
        }
        prop_assert_eq!(errant_of(snapshot, &plan.old, &plan.winner), Vec::<String>::new());
    }

    #[test]
    fn plans_and_refusals_do_not_depend_on_the_order_of_input(
        world in worlds(),
        request in failovers(),
        switch in switchovers(),
    ) {
        let other = reordered(&world);
        let (one, two) = (&world.snapshot, &other.snapshot);
        let diagnosis = diagnose(one);
        prop_assert_eq!(&diagnosis, &diagnose(two));
        for stage in STAGES {
            prop_assert_eq!(
                plan_failover(one, &diagnosis, &request, stage),
                plan_failover(two, &diagnosis, &request, stage)
            );
        }
        prop_assert_eq!(
            plan_switchover(one, &diagnosis, &switch),
            plan_switchover(two, &diagnosis, &switch)
        );
    }

    #[test]
    fn the_preview_is_what_is_planned_again_when_nothing_has_changed(
        world in worlds(),
        request in failovers(),
    ) {
        if has_a_rootless_replica(&world.snapshot) {
            return Ok(());
        }
        let snapshot = &world.snapshot;
        let diagnosis = diagnose(snapshot);
        // The fence itself changes that world: it ends a primary that answers.
        if matches!(diagnosis, Diagnosis::PrimaryCannotWrite { .. }) {
            return Ok(());
        }
        let Ok(before) = plan_failover(snapshot, &diagnosis, &request, Stage::BeforeFence) else {
            return Ok(());
        };
        let after = plan_failover(snapshot, &diagnosis, &request, Stage::AfterSeal);
        let after = after.map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
        let measured = before.steps.iter().position(|s| s.step == Step::Measure).unwrap();
        prop_assert_eq!(&before.steps[measured + 1..], &after.steps[..]);
        prop_assert_eq!(before.winner, after.winner);
    }

    #[test]
    fn no_switchover_plan_breaks_a_promise(world in serving_worlds(), request in switchovers()) {
        let snapshot = &world.snapshot;
        if let Ok(plan) = plan_switchover(snapshot, &diagnose(snapshot), &request) {
            is_sound(snapshot, &plan, false)?;
            prop_assert!(snapshot.live(&plan.old).is_some());
        }
    }

    #[test]
    fn a_primary_that_is_known_to_live_is_never_failed_over(world in worlds()) {
        let Some(primary) = world.snapshot.primary.clone() else { return Ok(()) };
        let decision = decide(&world.snapshot, &diagnose(&world.snapshot));
        if decision == Decision::FailOver && is_known_to_live(&world, &primary) {
            prop_assert!(is_known_to_commit_nothing(&world, &primary));
            prop_assert!(!world.snapshot.server(&primary).unwrap().fences.is_empty());
        }
    }

    #[test]
    fn brakes_hold_and_what_is_decided_is_possible(world in worlds()) {
        let snapshot = &world.snapshot;
        let decision = decide(snapshot, &diagnose(snapshot));
        match &decision {
            Decision::Nothing { .. } => {}
            Decision::FailOver => {
                prop_assert!(snapshot.policy.automatic_failover);
                let full = |a| {
                    snapshot.primary.as_ref() == Some(a) && is_known_to_commit_nothing(&world, a)
                };
                let mut writers = snapshot.all_live().filter(|(_, f)| f.writable());
                prop_assert!(writers.all(|(a, _)| full(a)));
            }
            Decision::Reopen { primary } => {
                let plan = plan_reopen(snapshot, primary);
                prop_assert_eq!(violations(snapshot, &plan, false), vec![]);
            }
            Decision::CloseIntruders { servers } => {
                let open: BTreeSet<_> =
                    snapshot.all_live().filter(|(_, f)| f.writable()).map(|(a, _)| a).collect();
                prop_assert!(servers.iter().all(|s| open.contains(s)));
                prop_assert!(snapshot.primary.as_ref().is_none_or(|p| !servers.contains(p)));
            }
        }
        if snapshot.paused {
            prop_assert!(matches!(decision, Decision::Nothing { .. }), "{decision:?}");
        }
    }
}

/// The generator is worth nothing if hardly any world can be failed over.
#[test]
fn a_good_part_of_the_worlds_leads_to_plans() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut made = [0; 6];
    for _ in 0..3000 {
        let world = worlds().new_tree(&mut runner).unwrap().current();
        let request = failovers().new_tree(&mut runner).unwrap().current();
        let snapshot = &world.snapshot;
        if let Ok(plan) = plan_failover(snapshot, &diagnose(snapshot), &request, STAGES[0]) {
            made[0] += 1;
            let has = |name| usize::from(plan.steps.iter().any(|s| s.step.name() == name));
            made[1] += has("level");
            made[4] += has("rescue");
            made[5] += has("pair-positions");
        }
        made[2] += usize::from(decide(snapshot, &diagnose(snapshot)) == Decision::FailOver);
        let world = serving_worlds().new_tree(&mut runner).unwrap().current();
        let request = switchovers().new_tree(&mut runner).unwrap().current();
        let snapshot = &world.snapshot;
        made[3] += usize::from(plan_switchover(snapshot, &diagnose(snapshot), &request).is_ok());
    }
    assert!(made.iter().zip([300, 70, 300, 200, 30, 40]).all(|(n, least)| *n >= least), "{made:?}");
}
