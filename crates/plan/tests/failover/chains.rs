//! Replicas of replicas, co-primaries, and servers that were moved half-way already.

use primacy_plan::testing::{World, addr, cluster, pos};
use primacy_plan::{FailoverRequest, Plan, Stage, Step, diagnose, plan_failover, violations};
use primacy_types::{ContactFailure, ProcessState, Promotion};

use crate::{ask, levels, plan, repointed, steps, to};

/// `b` and `c` read from `a`; `d` and `e` from `b`.
fn tree() -> World {
    cluster(["a", "b", "c", "d", "e"])
        .below("d", "b")
        .below("e", "b")
        .primary_killed()
        .local("a")
        .quiet("d", 100)
        .quiet("e", 100)
}

/// What is planned once the primary is fenced and the receivers are stopped.
fn after_seal(world: &mut World, request: &FailoverRequest) -> Plan {
    world.server("a").process = Some(ProcessState::Exited { clean: Some(false) });
    let snapshot = &world.snapshot;
    let plan =
        plan_failover(snapshot, &diagnose(snapshot), request, Stage::AfterSeal).expect("a plan");
    assert_eq!(violations(snapshot, &plan, false), [], "{plan:#?}");
    plan
}

#[test]
fn a_promoted_intermediate_keeps_its_replicas() {
    let plan = ask(&tree(), &to("b")).unwrap();
    assert_eq!(repointed(&plan), [addr("c")]);
}

#[test]
fn an_intermediate_that_is_not_promoted_is_moved_with_its_replicas_below_it() {
    let plan = ask(&tree(), &to("c")).unwrap();
    assert_eq!(repointed(&plan), [addr("b")]);
}

#[test]
fn a_replica_of_a_replica_can_be_promoted() {
    let world = tree().received("b", "0-1-120", "0-1-110");
    let plan = ask(&world, &to("d")).unwrap();
    assert_eq!(levels(&plan), [(addr("b"), "0-1-120".to_owned())]);
    // e stays below b; b itself goes below d.
    assert_eq!(repointed(&plan), [addr("b"), addr("c")]);
}

#[test]
fn only_receivers_that_get_a_new_source_are_stopped() {
    let plan = ask(&tree(), &to("c")).unwrap();
    let sealed = plan.steps.iter().find_map(|s| match &s.step {
        Step::SealReceivers { servers } => Some(servers.clone()),
        _ => None,
    });
    assert_eq!(sealed, Some(vec![addr("b"), addr("c")]));
}

#[test]
fn replicas_of_an_intermediate_that_died_too_are_taken_over() {
    let world = tree().failing("b", ContactFailure::Silent, 3000, 6);
    assert_eq!(repointed(&plan(&world)), [addr("d"), addr("e")]);
}

#[test]
fn the_other_server_of_a_co_primary_pair_takes_over() {
    let mut world = cluster(["a", "b", "c"]);
    let channel = world.channel("b").clone();
    world.facts("a").channels.push(channel);
    let world = world.below("a", "b").primary_killed().local("a");
    let plan = ask(&world, &to("b")).unwrap();
    assert_eq!(repointed(&plan), [addr("c")]);
    // Its transactions do not make it a stranger, nor c one that is below it.
    assert_eq!(ask(&world, &to("c")).unwrap().winner, addr("c"));
}

#[test]
fn a_server_with_an_outside_source_is_left_alone() {
    let mut world = cluster(["a", "b", "c", "x"]);
    world.channel("x").source = "far.example:3306".parse().unwrap();
    world.channel("x").source_server_id = 900;
    world.channel("x").received = Some(pos("9-900-5"));
    world.facts("x").executed = pos("9-900-5");
    let world = world.primary_killed().local("a");
    let text = steps(&plan(&world));
    assert!(!text.contains("x:3306"), "{text}");
}

/// The winner forgot its source and then could not be opened: it and those attached to it are
/// still the ones to choose from.
#[test]
fn a_winner_that_was_detached_already_can_still_win() {
    let mut world = cluster(["a", "b", "c"]).primary_killed().local("a");
    world.facts("b").channels.clear();
    let mut world = world.below("c", "b");
    assert_eq!(after_seal(&mut world, &FailoverRequest::default()).winner, addr("b"));
    let without_b = FailoverRequest { excluded: vec![addr("b")], ..FailoverRequest::default() };
    let plan = after_seal(&mut world, &without_b);
    assert_eq!((plan.winner.clone(), repointed(&plan)), (addr("c"), vec![addr("b")]));
    // Its own transaction is the row of the new epoch.
    world.facts("b").executed = pos("0-2-101");
    world.facts("b").epoch = Some(primacy_types::Epoch(2));
    assert_eq!(after_seal(&mut world, &FailoverRequest::default()).winner, addr("b"));
}

#[test]
fn a_stranger_is_never_taken_for_a_detached_winner() {
    let mut world = cluster(["a", "b", "c"]).primary_killed().local("a");
    world.facts("b").channels.clear();
    world.facts("b").executed = pos("0-1-99");
    assert_eq!(after_seal(&mut world, &FailoverRequest::default()).winner, addr("c"));
    // It has everything, and something of its own that is no row of an epoch.
    world.facts("b").executed = pos("0-2-101");
    assert_eq!(after_seal(&mut world, &FailoverRequest::default()).winner, addr("c"));
    world.snapshot.policy.servers.entry(addr("c")).or_default().promotion = Promotion::Never;
    let snapshot = &world.snapshot;
    let request = FailoverRequest::default();
    assert!(plan_failover(snapshot, &diagnose(snapshot), &request, Stage::AfterSeal).is_err());
}

#[test]
fn a_replica_that_was_attached_before_the_plan_was_made_again_acknowledges() {
    let mut world = crate::killed().semi_sync(1).below("c", "b");
    world.snapshot.policy.semi_sync = Some(primacy_types::SemiSyncPolicy {
        wait_count: 1,
        without_acker: primacy_types::WithoutAcker::Refuse,
    });
    let request = FailoverRequest { to: Some(addr("b")), ..FailoverRequest::default() };
    let plan = ask(&world, &request).expect("c acknowledges to b");
    assert!(steps(&plan).contains("c:3306"), "{}", steps(&plan));
}
