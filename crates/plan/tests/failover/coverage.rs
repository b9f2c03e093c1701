//! Is it proved that nothing acknowledged is missing, and what follows if not.

use primacy_plan::testing::{World, addr, cluster, gtids, place, pos};
use primacy_plan::{FailoverRequest, Stage, Step, coverage, diagnose, plan_failover};
use primacy_types::{
    BinlogsOnDisk, ContactFailure, Millis, RefuseOrProceed, SemiSyncPolicy, WithoutAcker,
};

use crate::{Change, ask, force, killed, plan, refusal, repointed, says, steps};

fn four(wait_count: u16) -> World {
    cluster(["a", "b", "c", "d"]).primary_killed().local("a").semi_sync(wait_count)
}

fn lose(world: World, name: &str) -> World {
    world.failing(name, ContactFailure::Silent, 3000, 6)
}

fn proved(world: &World) -> bool {
    coverage(&world.snapshot, &addr("a")).proved
}

#[test]
fn semi_sync_with_all_ackers_reachable_is_proof() {
    let plan = plan(&four(1));
    assert!(says(&plan, "nothing acknowledged is missing"), "{:?}", plan.notes);
}

/// K = 3 ackers: with W = 1 all three are needed, with W = 2 any two, with W = 3 any one.
#[test]
fn k_minus_w_plus_one_ackers_suffice() {
    let two = |w| proved(&lose(four(w), "d"));
    assert_eq!([two(1), two(2), two(3)], [false, true, true]);
    let one = |w| proved(&lose(lose(four(w), "d"), "c"));
    assert_eq!([one(2), one(3)], [false, true]);
}

#[test]
fn where_it_is_not_proved_a_semi_sync_cluster_waits_for_a_person() {
    let world = lose(four(1), "d");
    let why = refusal(&world);
    assert!(why.to_string().contains("only 2 of 3 acknowledging replicas"), "{why}");
    assert!(ask(&world, &force()).is_err());
    let decided = ask(&world, &FailoverRequest { accept_loss: true, ..force() }).unwrap();
    assert!(says(&decided, "POSSIBLE LOSS"));
    let mut world = world;
    world.snapshot.policy.on_possible_loss = Some(RefuseOrProceed::Proceed);
    assert!(says(&plan(&world), "POSSIBLE LOSS"));
}

#[test]
fn an_asynchronous_cluster_proceeds_loudly() {
    let mut world = killed();
    world.facts("a").executed = pos("0-1-109");
    let loud = plan(&world);
    assert!(says(&loud, "POSSIBLE LOSS"), "{:?}", loud.notes);
    assert!(says(&loud, "known to be missing: 0-1-101..109"), "{:?}", loud.notes);
    world.snapshot.policy.on_possible_loss = Some(RefuseOrProceed::Refuse);
    assert!(refusal(&world).to_string().contains("0-1-101..109"));
}

#[test]
fn semi_sync_proves_nothing_where_it_has_a_weak_spot() {
    let cases: [(&str, Change); 6] = [
        ("commits were let through", |w| w.facts("a").semi_sync.unacknowledged = 1),
        ("it had given up waiting", |w| w.facts("a").semi_sync.source_active = false),
        ("nobody acknowledged", |w| w.facts("a").semi_sync.clients = 0),
        ("an acker was restarted since", |w| w.facts("b").uptime_seconds = 0),
        ("an acker cannot name what it received", |w| w.channel("b").received = None),
        ("only one of the three was counted, which is unknown", |w| {
            w.facts("a").semi_sync.clients = 1;
            w.server("d").contact = primacy_types::Contact::Untried;
        }),
    ];
    for (why, change) in cases {
        let mut world = four(1);
        assert!(proved(&world));
        change(&mut world);
        if why == "an acker was restarted since" {
            world.server("a").facts_at = Some(world.snapshot.now - Millis(5000));
        }
        assert!(!proved(&world), "{why}");
        assert!(coverage(&world.snapshot, &addr("a")).semi_sync, "{why}");
        assert!(ask(&world, &FailoverRequest::default()).is_err(), "{why}");
    }
}

/// MySQL adds to gtid_executed after the acknowledgement: what is there and on no replica
/// contradicts the count of replicas.
#[test]
fn what_mysql_has_executed_and_no_replica_holds_is_doubt() {
    let mut world = four(1).on_mysql();
    assert!(proved(&world));
    let more = world.facts("a").executed.clone();
    let more = more.union(&gtids("1:1-101"));
    world.facts("a").executed = more.clone();
    assert!(!proved(&world));
    // Nor does it prove anything that a copy has it: that need not be the last.
    world.server("a").on_disk = Some(BinlogsOnDisk::Copied {
        holds: more,
        length: place(900),
        place: "/copies on backup".into(),
        reason: "its host is gone".into(),
        passing: false,
    });
    assert!(!proved(&world));
}

/// The end of a binary log and MariaDB's gtid_binlog_pos move before a transaction is sent to the
/// replicas: the last look at a busy primary that is lost a moment later may have caught one that
/// waits for its acknowledgement. Every acknowledged one is held, by the count of replicas.
#[test]
fn what_was_written_and_not_yet_acknowledged_when_the_host_was_lost_is_no_loss() {
    let mut by_gtid = four(1);
    by_gtid.facts("a").executed = pos("0-1-101");
    let mut by_place = four(1).by_place();
    by_place.facts("a").binlog = Some(place(1200));
    for world in [by_gtid, by_place] {
        let plan = plan(&world);
        assert!(says(&plan, "nothing acknowledged is missing"), "{:?}", plan.notes);
        let why = "what else the primary had written was not acknowledged";
        assert!(says(&plan, why), "{:?}", plan.notes);
    }
}

/// A lost host is not waited for where no acknowledged row can be on it alone.
#[test]
fn a_disk_that_does_not_answer_is_waited_for_only_where_something_may_be_missing() {
    let silent = |mut world: World| {
        let reason = "its host does not answer".to_owned();
        world.server("a").on_disk = Some(BinlogsOnDisk::Unreadable { reason, passing: true });
        world
    };
    let after = |world: &World| {
        let request = FailoverRequest::default();
        plan_failover(&world.snapshot, &diagnose(&world.snapshot), &request, Stage::AfterSeal)
    };
    assert!(after(&silent(four(1))).is_ok());
    let mut unproved = silent(lose(four(1), "d"));
    let refusal = after(&unproved).unwrap_err();
    assert!(refusal.held && refusal.to_string().contains("is not known yet"), "{refusal}");
    // Nor where somebody has written that a failover does not wait for it.
    unproved.snapshot.policy.on_possible_loss = Some(RefuseOrProceed::Proceed);
    let plan = after(&unproved).unwrap();
    assert!(says(&plan, "POSSIBLE LOSS"), "{:?}", plan.notes);
    assert!(says(&plan, "its host does not answer"), "{:?}", plan.notes);
}

#[test]
fn a_hung_primary_may_let_commits_through_after_its_timeout() {
    let hung = |ago| {
        let mut world = cluster(["a", "b", "c"])
            .semi_sync(1)
            .local("a")
            .failing("a", ContactFailure::Silent, ago, 9)
            .quiet("b", ago)
            .quiet("c", ago);
        world.facts("a").semi_sync.timeout = Millis::from_secs(10);
        world.server("a").facts_at = Some(world.snapshot.now - Millis(ago));
        world
    };
    assert!(proved(&hung(4000)));
    assert!(!proved(&hung(11_000)));
    // A frozen process lets nothing through.
    let mut frozen = hung(11_000);
    frozen.server("a").process = Some(primacy_types::ProcessState::Frozen { pid: 7 });
    assert!(proved(&frozen));
}

#[test]
fn a_primary_that_was_never_seen_is_judged_by_the_policy() {
    let mut world = four(1);
    world.server("a").facts = None;
    assert!(ask(&world, &FailoverRequest::default()).is_err());
    world.snapshot.policy.semi_sync = None;
    assert!(says(
        &plan(&world),
        "POSSIBLE LOSS: acknowledged rows may be missing, because the primary was never seen"
    ));
}

#[test]
fn ackers_are_attached_before_the_first_commit_could_block() {
    let plan = plan(&four(2));
    let at = |name| crate::position(&plan, name);
    assert!(at("semi-sync-role") < at("attach-ackers") && at("attach-ackers") < at("open-writes"));
    let attach = &plan.steps[at("attach-ackers")].step;
    let replicas = vec![addr("c"), addr("d")];
    assert_eq!(*attach, Step::AttachAckers { source: addr("b"), replicas, needed: 2 });
}

#[test]
fn an_acker_that_cannot_follow_the_winner_is_not_waited_for() {
    let mut world = four(1);
    world.facts("c").executed = pos("0-3-130");
    let plan = plan(&world);
    let attach = &plan.steps[crate::position(&plan, "attach-ackers")].step;
    assert!(matches!(attach, Step::AttachAckers { replicas, .. } if *replicas == [addr("d")]));
    assert_eq!(repointed(&plan), [addr("c"), addr("d")]);
}

#[test]
fn without_ackers_the_policy_decides() {
    let world = |without_acker| {
        let mut world = cluster(["a", "b"]).primary_killed().local("a").semi_sync(1);
        world.snapshot.policy.semi_sync = Some(SemiSyncPolicy { wait_count: 1, without_acker });
        world
    };
    let why = refusal(&world(WithoutAcker::Refuse));
    assert!(why.to_string().contains("waits for 1 replica(s) and only 0"), "{why}");
    let block = plan(&world(WithoutAcker::Block));
    assert!(says(&block, "commits wait until more return"));
    // The row of the epoch would wait for ever.
    assert!(crate::position(&block, "record-epoch") < crate::position(&block, "semi-sync-role"));
    assert!(steps(&block).contains("make b:3306 wait for 1"));
    let degrade = plan(&world(WithoutAcker::Degrade));
    assert!(says(&degrade, "NOT GUARANTEED: semi-sync waits for 1"));
    assert!(steps(&degrade).contains("switch semi-sync off on b:3306"));
}

/// With too few ackers commits wait anyway (or need not): nobody's attaching holds up the rest.
#[test]
fn a_hung_acker_does_not_hold_up_the_promotion() {
    let mut world = lose(four(3), "d");
    for without_acker in [WithoutAcker::Block, WithoutAcker::Degrade] {
        world.snapshot.policy.semi_sync = Some(SemiSyncPolicy { wait_count: 3, without_acker });
        let plan = plan(&world);
        assert!(!steps(&plan).contains("semi-sync clients"));
        assert_eq!(repointed(&plan), [addr("c")]);
    }
}
