//! Nothing that a reachable replica received is left behind.

use primacy_plan::testing::{addr, cluster, gtids, pos};
use primacy_plan::{FailoverRequest, Step};
use primacy_types::{BinlogPosition, ReceiverState, ReplicationError};

use crate::{ask, force, killed, levels, plan, position, refusal, says, to};

fn broken() -> Option<ReplicationError> {
    Some(ReplicationError { code: 1062, message: "duplicate key".into() })
}

#[test]
fn a_replica_that_received_more_is_drained_before_promotion() {
    let plan = plan(&killed().received("c", "0-1-130", "0-1-100"));
    assert_eq!(plan.winner, addr("c"));
    assert!(position(&plan, "drain") < position(&plan, "open-writes"));
    assert_eq!(levels(&plan), []);
}

#[test]
fn what_was_received_counts_and_not_what_was_applied() {
    // c has applied more, b has received more: semi-sync acknowledges what is received.
    let world = killed().received("b", "0-1-200", "0-1-50").received("c", "0-1-150", "0-1-150");
    assert_eq!(plan(&world).winner, addr("b"));
}

#[test]
fn a_preferred_candidate_is_levelled_from_the_more_advanced_one() {
    let mut world = killed().received("b", "0-1-120", "0-1-110");
    world.snapshot.policy.servers.entry(addr("c")).or_default().promotion =
        primacy_types::Promotion::Prefer;
    let plan = plan(&world);
    assert_eq!(plan.winner, addr("c"));
    assert_eq!(levels(&plan), [(addr("b"), "0-1-120".to_owned())]);
    // The donor can give only what it has applied itself.
    let drains: Vec<_> = plan.steps.iter().filter(|s| s.step.name() == "drain").collect();
    assert_eq!(drains[1].step, Step::Drain { server: addr("b") });
}

#[test]
fn two_replicas_ahead_in_different_domains_are_both_levelled_from() {
    let mut world = cluster(["a", "b", "c", "d"])
        .primary_killed()
        .local("a")
        .received("b", "0-1-120,1-1-50", "0-1-100,1-1-50")
        .received("c", "0-1-100,1-1-70", "0-1-100,1-1-70")
        .received("d", "0-1-100,1-1-50", "0-1-100,1-1-50");
    world.snapshot.policy.servers.entry(addr("d")).or_default().promotion =
        primacy_types::Promotion::Prefer;
    let plan = plan(&world);
    assert_eq!(
        levels(&plan),
        [(addr("b"), "0-1-120,1-1-50".to_owned()), (addr("c"), "0-1-120,1-1-70".to_owned())]
    );
}

#[test]
fn on_mysql_gaps_of_each_are_filled_from_the_other() {
    let world = cluster(["a", "b", "c"])
        .on_mysql()
        .primary_killed()
        .local("a")
        .received("b", "1:101-110", "1:1-110")
        .received("c", "1:90-105:120", "1:1-105:120");
    let plan = plan(&world);
    assert_eq!(plan.winner, addr("b"));
    assert_eq!(levels(&plan), [(addr("c"), gtids("1:1-110:120").to_string())]);
}

#[test]
fn a_candidate_whose_applier_is_broken_gives_way_to_one_that_has_as_much() {
    let mut world =
        killed().received("b", "0-1-120", "0-1-100").received("c", "0-1-120", "0-1-100");
    world.channel("b").applier_error = broken();
    assert_eq!(plan(&world).winner, addr("c"));
}

#[test]
fn held_while_only_a_broken_applier_has_the_transactions() {
    let mut world = killed().received("b", "0-1-120", "0-1-100");
    world.channel("b").applier_error = broken();
    let refusal = refusal(&world);
    assert!(refusal.held);
    assert!(refusal.to_string().contains("b:3306 holds 0-1-101..120"), "{refusal}");
    assert!(refusal.to_string().contains("--accept-loss"), "{refusal}");
}

#[test]
fn a_broken_applier_without_anything_waiting_is_no_hindrance() {
    let mut world = killed();
    world.channel("b").applier_error = broken();
    world.channel("b").applier_running = false;
    assert_eq!(plan(&world).winner, addr("b"));
}

#[test]
fn accepting_the_loss_names_it_and_still_takes_what_can_be_had() {
    let mut world = cluster(["a", "b", "c", "d"])
        .primary_killed()
        .local("a")
        .received("b", "0-1-120,1-1-50", "0-1-100")
        .received("c", "0-1-100,2-1-9", "0-1-100,2-1-9");
    world.channel("b").applier_error = broken();
    world.snapshot.policy.servers.entry(addr("d")).or_default().promotion =
        primacy_types::Promotion::Prefer;
    assert!(ask(&world, &force()).is_err());
    let plan = ask(&world, &FailoverRequest { accept_loss: true, ..force() }).unwrap();
    assert!(says(&plan, "ACCEPTED LOSS: b:3306 holds 0-1-101..120, 1-1-1..50"), "{:?}", plan.notes);
    assert_eq!(levels(&plan), [(addr("c"), "0-1-100,2-1-9".to_owned())]);
}

#[test]
fn a_donor_that_failed_is_avoided_while_another_can_give() {
    let mut world =
        killed().received("b", "0-1-120", "0-1-100").received("c", "0-1-120", "0-1-100");
    let d = world.snapshot.servers[&addr("c")].clone();
    world.snapshot.servers.insert(addr("d"), d);
    let world = world.received("d", "0-1-100", "0-1-100");
    let avoiding = |avoid: &[_]| FailoverRequest {
        to: Some(addr("d")),
        failed_donors: avoid.to_vec(),
        ..FailoverRequest::default()
    };
    let from = |avoid: &[_]| {
        let plan = ask(&world, &avoiding(avoid)).unwrap();
        levels(&plan).into_iter().map(|(donor, _)| donor).collect::<Vec<_>>()
    };
    assert_eq!(from(&[]), [addr("b")]);
    assert_eq!(from(&[addr("b")]), [addr("c")]);
    // Nobody else has it: the failover is held and says so, and everybody is asked again.
    let both = [addr("b"), addr("c")];
    let stuck = ask(&world, &avoiding(&both)).unwrap_err();
    assert!(stuck.held && stuck.to_string().contains("it failed to in this operation"), "{stuck}");
}

#[test]
fn a_candidate_that_failed_is_not_tried_again_at_once() {
    let world = killed().received("b", "0-1-120", "0-1-100");
    let request = FailoverRequest { excluded: vec![addr("b")], ..FailoverRequest::default() };
    let plan = ask(&world, &request).unwrap();
    assert_eq!(plan.winner, addr("c"));
    assert_eq!(levels(&plan), [(addr("b"), "0-1-120".to_owned())]);
}

#[test]
fn a_donor_gives_only_what_its_binary_logs_hold() {
    let mut world = killed().received("b", "0-1-120", "0-1-120");
    world.facts("b").logged = pos("0-1-90");
    let why = ask(&world, &to("c")).unwrap_err();
    assert!(why.held && why.to_string().contains("binary logs do not hold"), "{why}");

    let mut world = cluster(["a", "b", "c"]).on_mysql().primary_killed().local("a");
    let world = {
        world.facts("b").purged = Some(gtids("1:1-110"));
        world.received("b", "1:1-120", "1:1-120")
    };
    let why = ask(&world, &to("c")).unwrap_err();
    assert!(why.to_string().contains("gtid_purged"), "{why}");
}

#[test]
fn a_delayed_replica_that_alone_holds_events_cannot_be_a_donor() {
    let mut world = killed().received("b", "0-1-120", "0-1-100");
    world.channel("b").delay_seconds = 3600;
    let why = ask(&world, &to("c")).unwrap_err();
    assert!(why.held && why.to_string().contains("delayed by 3600 s"), "{why}");
}

/// MariaDB forgets after a restart what its relay log holds, and still has it.
#[test]
fn a_relay_log_that_cannot_be_named_is_not_thrown_away() {
    let mut world = killed();
    let unapplied = |world: &mut primacy_plan::testing::World, name: &str| {
        let channel = world.channel(name);
        channel.receiver = ReceiverState::Connecting;
        channel.received = None;
        channel.read = Some(BinlogPosition::new("bin.000007", 9000));
        channel.applied = Some(BinlogPosition::new("bin.000007", 1000));
        channel.relay_log_space = 8400;
    };
    unapplied(&mut world, "b");
    let why = refusal(&world);
    assert!(why.held && why.to_string().contains("cannot name"), "{why}");
    // Another replica of the same source has read as far: nothing is missed.
    world.channel("c").read = Some(BinlogPosition::new("bin.000007", 9000));
    assert_eq!(ask(&world, &FailoverRequest::default()).unwrap().winner, addr("b"));
}
