//! What a switchover promises: refused before anything is touched, or nothing lost and no two
//! writers.

use primacy_plan::testing::{World, addr, cluster};
use primacy_plan::{
    Plan, Refusal, Step, SwitchoverRequest, diagnose, plan_reopen, plan_switchover, violations,
};
use primacy_types::{
    Address, ContactFailure, Promotion, ReceiverState, SemiSyncPolicy, ServerVersion, WithoutAcker,
};

fn ask(world: &World, to: Option<&str>) -> Result<Plan, Refusal> {
    let snapshot = &world.snapshot;
    let request = SwitchoverRequest { to: to.map(addr), leave_old: false };
    let plan = plan_switchover(snapshot, &diagnose(snapshot), &request)?;
    assert_eq!(violations(snapshot, &plan, false), [], "{plan:#?}");
    Ok(plan)
}

fn refused(world: &World, to: Option<&str>) -> String {
    ask(world, to).expect_err("a refusal").to_string()
}

fn steps(plan: &Plan) -> String {
    plan.steps.iter().map(|s| s.step.sentence() + "\n").collect()
}

fn repointed(plan: &Plan) -> Vec<Address> {
    let moved = plan.steps.iter().filter_map(|s| match &s.step {
        Step::Repoint { server, .. } => Some(server.clone()),
        _ => None,
    });
    moved.collect()
}

/// What a case changes in a healthy world.
type Change = fn(&mut World);

fn three() -> World {
    cluster(["a", "b", "c"])
}

#[test]
fn a_whole_plan_as_a_dry_run_shows_it() {
    insta::assert_snapshot!(steps(&ask(&three().semi_sync(1), Some("c")).unwrap()), @r"
    block writes on a:3306: read-only after at most 2 s, application sessions ended, position seen to stand still
    wait until c:3306 has applied everything that a:3306 holds
    make c:3306 wait for 1 semi-sync acknowledgement(s)
    point b:3306 to c:3306 and see at least 1 of them as semi-sync clients
    end replication on c:3306
    record epoch 2 with c:3306 as primary
    let applications write on c:3306
    route applications to c:3306 (epoch 2)
    make a:3306 acknowledge as a semi-sync replica
    enable scheduled events on c:3306 and disable them on a:3306
    point a:3306 to c:3306
    point b:3306 to c:3306
    verify that a:3306, b:3306 replicate from c:3306
    ");
}

#[test]
fn an_old_primary_that_is_to_be_left_alone_is_closed_and_not_repointed() {
    let world = three().semi_sync(1);
    let request = SwitchoverRequest { to: Some(addr("c")), leave_old: true };
    let plan = plan_switchover(&world.snapshot, &diagnose(&world.snapshot), &request).unwrap();
    assert_eq!(violations(&world.snapshot, &plan, false), []);
    assert_eq!(repointed(&plan), [addr("b")]);
    assert!(
        matches!(&plan.steps[0].step, Step::BlockWrites { server, .. } if *server == addr("a"))
    );
    assert!(plan.notes.iter().any(|note| note.contains("a:3306 is left alone")), "{plan:#?}");
}

#[test]
fn until_the_epoch_is_recorded_everything_can_be_put_back() {
    let plan = ask(&three(), None).unwrap();
    let at = plan.no_return_at().unwrap();
    assert_eq!(plan.steps[at].step.name(), "record-epoch");
    assert_eq!(plan.steps[at + 1].step.name(), "open-writes");
}

#[test]
fn replicas_that_received_what_the_primary_was_not_yet_seen_to_have_are_no_hindrance() {
    // The primary was looked at a moment before its replicas, and writes went on.
    let world = three().received("b", "0-1-140", "0-1-120").received("c", "0-1-150", "0-1-90");
    assert!(ask(&world, Some("b")).is_ok());
    assert!(ask(&world, Some("c")).is_ok());
}

#[test]
fn a_winner_that_is_not_ready_is_refused_with_the_way_out() {
    let cases: [(&str, Change); 7] = [
        ("lags by 60 s", |w| w.channel("b").lag_seconds = Some(60)),
        ("the receiver of b:3306 does not run", |w| {
            w.channel("b").receiver = ReceiverState::Stopped;
        }),
        ("the applier of b:3306 does not run", |w| w.channel("b").applier_running = false),
        ("is delayed by 5 s", |w| w.channel("b").delay_seconds = 5),
        ("could not replicate from a newer series", |w| {
            w.facts("b").version = ServerVersion::mariadb(11, 8, 1);
        }),
        ("promotion = \"never\"", |w| {
            w.snapshot.policy.servers.entry(addr("b")).or_default().promotion = Promotion::Never;
        }),
        ("log_bin is off", |w| w.facts("b").log_bin = false),
    ];
    for (why, change) in cases {
        let mut world = three();
        change(&mut world);
        let said = refused(&world, Some("b"));
        assert!(said.contains(why), "{why}: {said}");
    }
}

#[test]
fn a_server_that_cannot_be_meant_is_refused() {
    assert!(refused(&three(), Some("z")).contains("no server of this cluster"));
    assert!(refused(&three(), Some("a")).contains("is the primary already"));
    let silent = three().failing("b", ContactFailure::Silent, 3000, 6);
    assert!(refused(&silent, Some("b")).contains("does not answer"));
}

#[test]
fn a_dead_or_doubtful_primary_is_a_case_for_failover() {
    assert!(refused(&three().primary_killed(), None).contains("use `primacy failover`"));
    let mut two_writers = three();
    two_writers.facts("c").read_only = false;
    assert!(refused(&two_writers, None).contains("servers accept writes"));
}

#[test]
fn a_primary_that_replicates_from_outside_is_refused_and_all_its_channels_named() {
    let mut world = three();
    for (name, source) in [("z", "far-z:3306"), ("", "far-a:3306")] {
        let mut channel = world.channel("b").clone();
        channel.name = name.into();
        channel.source = source.parse().unwrap();
        channel.source_server_id = 900;
        world.facts("a").channels.push(channel);
    }
    let said = refused(&world, None);
    assert!(said.contains("far-a:3306") && said.contains("far-z:3306"), "{said}");
}

#[test]
fn an_outside_source_with_the_number_of_one_of_ours_is_still_outside() {
    let mut world = three().on_mysql();
    let mut channel = world.channel("b").clone();
    channel.source = "far:3306".parse().unwrap();
    channel.source_server_id = 2;
    channel.source_uuid = Some(primacy_plan::testing::uuid(900));
    world.facts("a").channels.push(channel);
    assert!(refused(&world, None).contains("itself replicates from far:3306"));
}

#[test]
fn the_old_primary_becomes_a_replica_and_intermediates_keep_theirs() {
    let tree = cluster(["a", "b", "c", "d"]).below("d", "b");
    assert_eq!(repointed(&ask(&tree, Some("b")).unwrap()), [addr("a"), addr("c")]);
    assert_eq!(repointed(&ask(&tree, Some("d")).unwrap()), [addr("a"), addr("b"), addr("c")]);
}

/// orchestrator moves siblings away first and then hangs, because nobody is left to acknowledge.
#[test]
fn ackers_leave_the_old_primary_only_when_the_winner_has_everything() {
    let plan = ask(&cluster(["a", "b", "c", "d"]).semi_sync(2), Some("b")).unwrap();
    let at = |name| plan.steps.iter().position(|s| s.step.name() == name).unwrap();
    assert!(at("block-writes") < at("catch-up") && at("catch-up") < at("attach-ackers"));
    assert!(at("attach-ackers") < at("open-writes"));
}

#[test]
fn in_a_pair_the_old_primary_is_the_acker_to_come() {
    for without_acker in [WithoutAcker::Refuse, WithoutAcker::Degrade, WithoutAcker::Block] {
        let mut world = cluster(["a", "b"]).semi_sync(1);
        world.snapshot.policy.semi_sync = Some(SemiSyncPolicy { wait_count: 1, without_acker });
        let plan = ask(&world, None).unwrap();
        // The row of the epoch must not wait for the acker to come.
        let at = |name| plan.steps.iter().position(|s| s.step.name() == name).unwrap();
        assert!(steps(&plan).contains("make b:3306 wait for 1"));
        assert!(at("record-epoch") < at("semi-sync-role"));
        assert!(plan.notes[0].contains("wait until a:3306 acknowledges"), "{:?}", plan.notes);
    }
    let mut world = cluster(["a", "b"]).semi_sync(2);
    world.snapshot.policy.semi_sync =
        Some(SemiSyncPolicy { wait_count: 2, without_acker: WithoutAcker::Refuse });
    assert!(refused(&world, None).contains("only 1 can acknowledge"));
}

#[test]
fn reopening_a_restarted_primary_keeps_its_epoch() {
    let mut world = three();
    world.facts("a").read_only = true;
    let plan = plan_reopen(&world.snapshot, &addr("a"));
    assert_eq!(violations(&world.snapshot, &plan, false), []);
    world.facts("b").read_only = false;
    assert!(!violations(&world.snapshot, &plan, false).is_empty());
}

#[test]
fn the_script_moves_the_address_while_nobody_may_write_and_no_row_is_written_before_it() {
    let mut world = three();
    world.snapshot.policy.scripts.switchover = true;
    insta::assert_snapshot!(steps(&ask(&world, Some("c")).unwrap()), @r"
    call the script that takes the applications' address from a:3306
    block writes on a:3306: read-only after at most 2 s, application sessions ended, position seen to stand still
    wait until c:3306 has applied everything that a:3306 holds
    end replication on c:3306
    record epoch 2 with c:3306 as primary
    call the script that gives the applications' address to c:3306
    record epoch 2 with c:3306 as primary
    let applications write on c:3306
    route applications to c:3306 (epoch 2)
    enable scheduled events on c:3306 and disable them on a:3306
    point a:3306 to c:3306
    point b:3306 to c:3306
    verify that a:3306, b:3306 replicate from c:3306
    ");
    let plan = ask(&world, Some("c")).unwrap();
    let rows = plan.steps.iter().filter_map(|s| match s.step {
        Step::RecordEpoch { table, .. } => Some(table),
        _ => None,
    });
    assert_eq!(rows.collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_failover_script_is_not_for_switchovers() {
    let mut world = three();
    world.snapshot.policy.scripts.failover = true;
    assert!(!steps(&ask(&world, Some("c")).unwrap()).contains("script"));
}
