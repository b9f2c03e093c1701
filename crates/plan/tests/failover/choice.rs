//! Who may become primary, and who is preferred.

use std::collections::BTreeSet;

use primacy_plan::testing::{World, addr, cluster, gtids, pos, uuid};
use primacy_plan::{FailoverRequest, errant_of};
use primacy_types::{ChannelStatus, Positioning, Promotion, ServerPolicy, ServerVersion};

use crate::{Change, ask, force, killed, levels, plan, refusal, repointed, says, to};

fn wish<'w>(world: &'w mut World, name: &str) -> &'w mut ServerPolicy {
    world.snapshot.policy.servers.entry(addr(name)).or_default()
}

#[test]
fn errant_transactions_exclude_a_candidate_and_are_named_and_not_spread() {
    let mut world = killed();
    world.facts("b").executed = pos("0-2-110");
    let plan = plan(&world);
    assert_eq!(plan.winner, addr("c"));
    assert!(says(&plan, "b:3306 was no candidate: it has errant transactions: 0-2-110"));
    assert_eq!(levels(&plan), []);
}

#[test]
fn errant_transactions_may_be_promoted_if_the_policy_says_so() {
    let mut world = killed();
    world.facts("b").executed = pos("0-2-110");
    world.facts("b").logged = pos("0-2-110");
    world.snapshot.policy.allow_errant = true;
    assert_eq!(plan(&world).winner, addr("b"));
    assert_eq!(levels(&ask(&world, &to("c")).unwrap()), [(addr("b"), "0-2-110".to_owned())]);
}

#[test]
fn what_an_errant_server_alone_received_is_not_dropped_silently() {
    let world = cluster(["a", "b", "c"]).on_mysql().primary_killed().local("a").received(
        "b",
        "1:101-105",
        "1:1-105,2:1-3",
    );
    let why = refusal(&world);
    assert!(why.held);
    assert!(why.to_string().contains("would pass on errant transactions too"), "{why}");
}

#[test]
fn transactions_of_earlier_primaries_are_not_errant() {
    // b was primary before: all have its transactions, c has not applied the last of them.
    let mut world = cluster(["a", "b", "c"]).on_mysql().primary_killed().local("a");
    for name in ["a", "b"] {
        world.facts(name).executed = gtids("1:1-100,2:1-50");
    }
    world.facts("c").executed = gtids("1:1-100,2:1-40");
    assert_eq!(plan(&world).winner, addr("b"));
    assert_eq!(errant_of(&world.snapshot, &addr("a"), &addr("b")), Vec::<String>::new());
}

#[test]
fn an_unseen_primary_makes_nobody_errant() {
    let mut world = cluster(["a", "b", "c"]).on_mysql().primary_killed().local("a");
    world.server("a").facts = None;
    for name in ["b", "c"] {
        world.channel(name).source_uuid = None;
    }
    let world = world.received("b", "1:2-120", "1:1-120");
    assert_eq!(plan(&world).winner, addr("b"));
}

#[test]
fn never_means_never_unless_a_person_forces_it() {
    let mut world = killed();
    wish(&mut world, "b").promotion = Promotion::Never;
    wish(&mut world, "c").promotion = Promotion::Never;
    assert!(refusal(&world).to_string().contains("promotion = \"never\""));
    assert!(ask(&world, &to("b")).is_err());
    // Force alone chooses nobody who must not be chosen; naming the server does.
    assert!(ask(&world, &force()).is_err());
    let plan = ask(&world, &FailoverRequest { force: true, ..to("b") }).unwrap();
    assert!(says(&plan, "FORCED: b:3306 is promoted although"));
}

#[test]
fn last_serves_when_nobody_else_can() {
    let mut world = killed();
    wish(&mut world, "b").promotion = Promotion::Last;
    assert_eq!(plan(&world).winner, addr("c"));
    wish(&mut world, "c").promotion = Promotion::Never;
    assert_eq!(plan(&world).winner, addr("b"));
}

#[test]
fn the_primarys_site_is_preferred_and_can_be_demanded() {
    let mut world = killed().received("b", "0-1-150", "0-1-150");
    for (name, site) in [("a", "east"), ("b", "west"), ("c", "east")] {
        wish(&mut world, name).site = Some(site.into());
    }
    let chosen = plan(&world);
    assert_eq!(chosen.winner, addr("c"));
    assert_eq!(levels(&chosen), [(addr("b"), "0-1-150".to_owned())]);
    world.snapshot.policy.stay_in_site = true;
    wish(&mut world, "c").promotion = Promotion::Never;
    assert!(refusal(&world).to_string().contains("stands in site \"west\""));
    assert_eq!(ask(&world, &FailoverRequest { force: true, ..to("b") }).unwrap().winner, addr("b"));
}

#[test]
fn a_delayed_replica_comes_after_all_others() {
    let mut world = killed();
    world.channel("b").delay_seconds = 3600;
    wish(&mut world, "c").promotion = Promotion::Last;
    assert_eq!(plan(&world).winner, addr("c"));
}

#[test]
fn a_server_that_would_lack_or_not_pass_on_something_is_no_candidate() {
    let cases: [(&str, Change); 6] = [
        ("filters replication", |w| {
            w.channel("b").filters = BTreeSet::from(["Replicate_Do_DB=x".to_owned()]);
        }),
        ("log_replica_updates is off", |w| w.facts("b").log_replica_updates = false),
        ("log_bin is off", |w| w.facts("b").log_bin = false),
        ("of another flavour", |w| w.facts("b").version = ServerVersion::mysql(8, 4, 0)),
        ("does not replicate from", |w| w.facts("b").channels.clear()),
        ("does not replicate by GTID", |w| {
            w.channel("b").positioning = Positioning::FileAndPosition;
        }),
    ];
    for (why, change) in cases {
        let mut world = killed();
        change(&mut world);
        let plan = plan(&world);
        assert_eq!(plan.winner, addr("c"), "{why}");
        assert!(says(&plan, why), "{why}: {:?}", plan.notes);
    }
}

#[test]
fn a_replica_by_position_is_no_candidate_in_a_cluster_of_gtids() {
    let mut world = killed();
    world.channel("b").positioning = Positioning::FileAndPosition;
    let plan = plan(&world);
    assert_eq!(plan.winner, addr("c"));
    assert!(says(&plan, "b:3306 was no candidate: it does not replicate by GTID"), "{plan:?}");
}

#[test]
fn an_older_server_is_preferred_because_newer_ones_can_follow_it() {
    let mut world = killed();
    world.facts("b").version = ServerVersion::mariadb(11, 8, 1);
    assert_eq!(plan(&world).winner, addr("c"));
}

/// A channel named `ext` from a server outside the cluster.
fn from_outside(world: &mut World, name: &str) {
    let channel = ChannelStatus {
        name: "ext".into(),
        source: addr("far.example"),
        source_server_id: 900,
        source_uuid: Some(uuid(900)),
        received: Some(gtids("900:1-7")),
        ..world.channel(name).clone()
    };
    world.facts(name).channels.push(channel);
}

#[test]
fn a_second_source_of_a_replica_is_neither_errant_nor_carried_into_the_cluster() {
    let mut world = cluster(["a", "b", "c"]).on_mysql().primary_killed().local("a");
    from_outside(&mut world, "b");
    world.facts("b").executed = gtids("1:1-100,900:1-7");
    assert_eq!(errant_of(&world.snapshot, &addr("a"), &addr("b")), Vec::<String>::new());
    let plan = plan(&world);
    assert_eq!(plan.winner, addr("c"));
    assert_eq!(levels(&plan), []);
    assert!(says(&plan, "outside source"), "{:?}", plan.notes);
    // Its managed channel moves with the others'; no step names the other one.
    assert_eq!(repointed(&plan), [addr("b")]);
}

#[test]
fn what_the_primary_itself_got_from_outside_is_named_because_it_does_not_move() {
    let mut world = cluster(["a", "b", "c"]).on_mysql().primary_killed().local("a");
    let mut channel = world.channel("b").clone();
    channel.name = "ext".into();
    channel.source = "far.example:3306".parse().unwrap();
    channel.source_uuid = Some(uuid(900));
    world.facts("a").channels.push(channel);
    assert!(says(&plan(&world), "itself replicated from far.example:3306"));
}
