//! The rules that MHA's configuration knows: who is preferred, who is in the way, what is left
//! alone, and which scripts are called when.

use std::collections::BTreeSet;

use primacy_plan::testing::{World, addr, cluster, place};
use primacy_plan::{Exclusion, Stage, Step, diagnose, judge, plan_failover};
use primacy_types::{BinlogPosition, BrokenReplicas, ContactFailure, Promotion, ReplicationError};

use crate::{ask, force, killed, levels, plan, position, refusal, repointed, says, steps, to};

#[test]
fn the_order_of_the_configuration_decides_between_equals() {
    let mut world = killed();
    assert_eq!(plan(&world).winner, addr("b"));
    world.snapshot.policy.order = ["c", "b", "a"].map(addr).into();
    assert_eq!(plan(&world).winner, addr("c"));
}

#[test]
fn the_most_advanced_comes_first_unless_only_the_order_counts() {
    let mut world = killed().received("c", "0-1-150", "0-1-150");
    assert_eq!(plan(&world).winner, addr("c"));
    world.snapshot.policy.prefer_latest = false;
    let plan = plan(&world);
    assert_eq!(plan.winner, addr("b"));
    assert_eq!(levels(&plan), [(addr("c"), "0-1-150".to_owned())], "it gets what it lacks");
}

/// b has applied so little of what c has received.
fn behind() -> World {
    let mut world = killed();
    for (name, applied) in [("b", 4), ("c", 200_000_000)] {
        world.channel(name).read = Some(place(200_000_000));
        world.channel(name).applied = Some(place(applied));
    }
    world
}

#[test]
fn one_that_is_far_behind_comes_after_others_unless_that_does_not_count() {
    let mut world = behind();
    world.snapshot.policy.servers.entry(addr("b")).or_default().promotion = Promotion::Prefer;
    assert_eq!(plan(&world).winner, addr("c"));
    world.snapshot.policy.check_lag = false;
    assert_eq!(plan(&world).winner, addr("b"));
    // It is better than nobody.
    world.snapshot.policy.check_lag = true;
    world.facts("c").log_bin = false;
    assert_eq!(plan(&world).winner, addr("b"));
}

#[test]
fn a_replica_of_another_log_is_not_compared() {
    let mut world = behind();
    world.channel("b").source = addr("c");
    world.channel("b").source_server_id = 3;
    world.channel("b").applied = Some(BinlogPosition::new("c.000001", 4));
    world.snapshot.policy.servers.entry(addr("b")).or_default().promotion = Promotion::Prefer;
    assert_eq!(plan(&world).winner, addr("b"));
}

fn filtered(names: &[(&str, &str)]) -> World {
    let mut world = killed();
    for (name, filter) in names {
        world.channel(name).filters = BTreeSet::from([(*filter).to_owned()]);
    }
    world
}

#[test]
fn filters_stand_against_a_replica_unless_all_filter_alike_or_nobody_asks() {
    let (x, y) = ("Replicate_Ignore_DB=x", "Replicate_Ignore_DB=y");
    assert_eq!(plan(&filtered(&[("b", x)])).winner, addr("c"));
    let mut different = filtered(&[("b", x), ("c", y)]);
    assert!(refusal(&different).to_string().contains("it filters replication"));
    different.snapshot.policy.check_filters = false;
    let plan_of_different = plan(&different);
    assert_eq!(plan_of_different.winner, addr("b"));
    assert!(says(&plan_of_different, "b:3306 filters replication (Replicate_Ignore_DB=x)"));
    let alike = filtered(&[("b", x), ("c", x)]);
    assert_eq!(plan(&alike).winner, addr("b"));
    // The others may have been right, and are only away.
    let mut unseen = alike;
    unseen.server("c").facts = None;
    assert!(refusal(&unseen).to_string().contains("it filters replication"));
    let mut pair = cluster(["a", "b"]).primary_killed().local("a");
    pair.channel("b").filters = BTreeSet::from([x.to_owned()]);
    assert!(refusal(&pair).to_string().contains("it filters replication"));
}

fn stopped(world: &mut World, name: &str) {
    let error = ReplicationError { code: 1062, message: "Duplicate entry".into() };
    world.channel(name).applier_running = false;
    world.channel(name).applier_error = Some(error);
}

#[test]
fn a_dead_or_broken_replica_stops_a_failover_only_where_the_policy_says_so() {
    let dead = || killed().failing("c", ContactFailure::Refused, 5000, 40);
    let broken = || {
        let mut world = killed();
        stopped(&mut world, "c");
        world
    };
    let gone = || {
        let mut world = killed();
        world.facts("c").channels.clear();
        world
    };
    let unlike = [
        (dead(), "c:3306 does not answer"),
        (broken(), "c:3306 has an applier that stopped with error 1062: Duplicate entry"),
        (gone(), "c:3306 does not replicate from a:3306"),
    ];
    for (mut world, why) in unlike {
        assert_eq!(plan(&world).winner, addr("b"));
        world.snapshot.policy.broken_replicas = BrokenReplicas::Refuse;
        let refused = refusal(&world).to_string();
        assert!(refused.contains(why) && refused.contains("ignore_failure = true"), "{refused}");
        let forced = ask(&world, &force()).unwrap();
        assert!(says(&forced, &format!("FORCED: {why}")));
        world.snapshot.policy.servers.entry(addr("c")).or_default().ignore_failure = true;
        assert_eq!(plan(&world).winner, addr("b"));
    }
}

#[test]
fn a_replica_that_breaks_after_the_fence_stops_nothing() {
    let mut world = killed();
    stopped(&mut world, "c");
    world.snapshot.policy.broken_replicas = BrokenReplicas::Refuse;
    world.server("a").fenced = true;
    let snapshot = &world.snapshot;
    let rest = plan_failover(snapshot, &diagnose(snapshot), &to("b"), Stage::AfterSeal);
    assert_eq!(rest.unwrap().winner, addr("b"));
}

/// d reads from c.
fn tiers() -> World {
    cluster(["a", "b", "c", "d"]).below("d", "c").primary_killed().local("a")
}

#[test]
fn replicas_of_replicas_are_left_alone_where_the_policy_says_so() {
    let mut world = tiers();
    world.snapshot.policy.servers.entry(addr("d")).or_default().promotion = Promotion::Prefer;
    assert_eq!(plan(&world).winner, addr("d"), "it takes part");
    world.snapshot.policy.multi_tier = true;
    let chosen = plan(&world);
    assert_eq!(chosen.winner, addr("b"));
    assert_eq!(repointed(&chosen), [addr("c")]);
    let judged = judge(&world.snapshot, &addr("a"));
    let d = judged.iter().find(|j| j.server == addr("d")).unwrap();
    assert_eq!(d.exclusions, [Exclusion::LowerTier]);
    // Broken or orphaned, it stops nothing and is moved nowhere.
    world.snapshot.policy.broken_replicas = BrokenReplicas::Refuse;
    stopped(&mut world, "d");
    assert_eq!(plan(&world).winner, addr("b"));
    let mut orphan = tiers().failing("c", ContactFailure::Refused, 5000, 40);
    assert_eq!(repointed(&plan(&orphan)), [addr("d")]);
    orphan.snapshot.policy.multi_tier = true;
    assert_eq!(repointed(&plan(&orphan)), []);
}

#[test]
fn a_new_primary_keeps_its_settings_only_where_the_policy_says_so() {
    let mut world = killed();
    let keeps = |world: &World| {
        let plan = plan(world);
        let detach = plan.steps.iter().find_map(|s| match s.step {
            Step::Detach { keep, .. } => Some(keep),
            _ => None,
        });
        detach.unwrap()
    };
    assert!(!keeps(&world));
    world.snapshot.policy.keep_replication_settings = true;
    assert!(keeps(&world));
}

#[test]
fn the_script_takes_the_address_before_the_fence_and_gives_it_before_anybody_may_write() {
    let mut world = killed();
    assert!(!steps(&plan(&world)).contains("script"));
    world.snapshot.policy.scripts.failover = true;
    let plan = plan(&world);
    let order = ["take-address", "fence", "drain", "detach", "record-epoch", "give-address"];
    assert!(order.map(|name| position(&plan, name)).is_sorted());
    assert_eq!(position(&plan, "give-address") + 1, position(&plan, "open-writes"));
    assert_eq!(plan.no_return_at(), Some(1), "until the fence the address can be given back");
    let text = steps(&plan);
    assert!(text.starts_with("call the script that takes the applications' address from a:3306\n"));
    assert!(text.contains("\ncall the script that gives the applications' address to b:3306\n"));
    let snapshot = &world.snapshot;
    let rest = plan_failover(snapshot, &diagnose(snapshot), &to("b"), Stage::AfterSeal).unwrap();
    assert!(!rest.steps.iter().any(|s| matches!(s.step, Step::TakeAddress { .. })));
    assert!(rest.steps.iter().any(|s| matches!(s.step, Step::GiveAddress { .. })));
}
