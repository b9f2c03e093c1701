//! Clusters that replicate by file and position.

use super::*;
use primacy_plan::Diagnosis;
use primacy_plan::testing::up_to;
use primacy_types::{BinlogPosition, BinlogsOnDisk, FileAccess};

/// The primary is fenced and the receivers are sealed: the plan for the rest.
fn sealed(world: &World, request: &FailoverRequest) -> Result<Plan, Refusal> {
    let snapshot = &world.snapshot;
    let plan = plan_failover(snapshot, &diagnose(snapshot), request, Stage::AfterSeal)?;
    let accept_loss = request.force && request.accept_loss;
    assert_eq!(violations(snapshot, &plan, accept_loss), [], "{plan:#?}");
    Ok(plan)
}

fn after_seal(world: &World) -> Plan {
    sealed(world, &FailoverRequest::default()).expect("a plan")
}

fn killed_by_place() -> World {
    killed().by_place()
}

#[test]
fn a_whole_plan_with_a_rescue_as_a_dry_run_shows_it() {
    let world = killed_by_place().read("b", 900, 900).read("c", 700, 600);
    let world = world.on_disk("a", up_to(1400));
    insta::assert_snapshot!(steps(&after_seal(&world)), @r"
    cut out and keep what the binary logs of a:3306 hold beyond binlog.000001:600
    wait until b:3306 has applied everything that it received
    let b:3306 replicate what was saved of the binary logs of a:3306, up to binlog.000001:1400
    note which place in the binary log of b:3306 continues that of a:3306
    end replication on b:3306
    record epoch 2 with b:3306 as primary
    let applications write on b:3306
    route applications to b:3306 (epoch 2)
    enable scheduled events on b:3306
    let c:3306 replicate what was saved of the binary logs of a:3306, up to binlog.000001:1400
    point c:3306 to b:3306
    verify that c:3306 replicate from b:3306
    ");
}

#[test]
fn the_most_advanced_wins_where_no_file_can_be_read() {
    let world = killed_by_place().read("b", 900, 900).read("c", 1200, 800);
    let plan = after_seal(&world);
    assert_eq!(plan.winner, addr("c"));
    assert!(says(&plan, "b:3306 lacks binlog.000001:900 to binlog.000001:1200"), "{plan:?}");
}

#[test]
fn a_preferred_server_is_levelled_from_the_relay_logs_of_the_most_advanced() {
    let mut world = killed_by_place().read("b", 900, 900).read("c", 1200, 800).readable("c");
    world.snapshot.policy.servers.entry(addr("b")).or_default().promotion =
        primacy_types::Promotion::Prefer;
    let plan = after_seal(&world);
    assert_eq!(plan.winner, addr("b"));
    assert!(
        steps(&plan).contains(
            "let b:3306 replicate what was saved of the relay logs of c:3306, up to \
             binlog.000001:1200"
        ),
        "{}",
        steps(&plan)
    );
    // Saved before c is pointed elsewhere and drops them.
    assert!(position(&plan, "save") < position(&plan, "repoint"));
}

#[test]
fn the_place_of_the_winner_is_taken_before_its_log_has_anything_of_its_own() {
    let plan = after_seal(&killed_by_place());
    let order = ["drain", "pair-positions", "detach", "record-epoch", "open-writes", "repoint"];
    assert!(order.map(|name| position(&plan, name)).is_sorted());
}

#[test]
fn the_torn_end_of_the_primarys_log_is_missed_by_nobody() {
    // c received a part of a transaction that is incomplete in the primary's own log.
    let world = killed_by_place().read("b", 1000, 1000).read("c", 1050, 1000);
    let world = world.on_disk("a", up_to(1000));
    let plan = after_seal(&world);
    assert_eq!(plan.winner, addr("b"));
    assert!(!steps(&plan).contains("cut out"), "{}", steps(&plan));
}

#[test]
fn a_replica_ahead_of_what_the_disk_kept_is_not_cut_down() {
    // The host lost power and the end of the log with it.
    let world = killed_by_place().read("b", 1000, 1000).read("c", 3000, 3000);
    let world = world.on_disk("a", up_to(1000));
    assert_eq!(after_seal(&world).winner, addr("c"));
}

#[test]
fn with_semi_sync_siblings_are_levelled_before_the_winner_waits_for_them() {
    let world = killed_by_place().semi_sync(1).read("b", 900, 900).read("c", 700, 600);
    let plan = after_seal(&world.on_disk("a", up_to(1400)));
    let last = plan.steps.iter().rposition(|s| s.step.name() == "rescue").unwrap();
    assert!(last < position(&plan, "attach-ackers"), "{}", steps(&plan));
}

#[test]
fn a_replica_of_a_replica_cannot_be_compared() {
    let world = killed_by_place().below("c", "b");
    let plan = after_seal(&world);
    assert_eq!(plan.winner, addr("b"));
    assert!(says(&plan, "without GTID that cannot be compared"), "{:?}", plan.notes);
}

#[test]
fn what_the_primary_was_seen_to_have_is_named_when_its_host_is_gone() {
    let mut world = killed_by_place().read("b", 900, 900).read("c", 900, 900);
    world.snapshot.policy.on_possible_loss = Some(primacy_types::RefuseOrProceed::Refuse);
    let why = sealed(&world, &FailoverRequest::default()).unwrap_err();
    let text = why.to_string();
    assert!(text.contains("binlog.000001:900 to binlog.000001:1000"), "{text}");
    assert!(text.contains("primacy failover --force --accept-loss"), "{text}");
    let accepted = FailoverRequest { accept_loss: true, ..force() };
    assert!(sealed(&world, &accepted).is_ok());
}

#[test]
fn files_that_may_answer_later_hold_the_failover() {
    let mut world = killed_by_place();
    world.server("a").files = Some(FileAccess::Readable);
    world.server("a").on_disk =
        Some(BinlogsOnDisk::Unreadable { reason: "no answer in 30 s".into(), passing: true });
    let why = sealed(&world, &FailoverRequest::default()).unwrap_err();
    assert!(why.held, "{why}");
    assert!(why.to_string().contains("no answer in 30 s"), "{why}");
}

#[test]
fn a_disk_that_failed_to_give_holds_the_failover() {
    let world = killed_by_place().read("b", 900, 900).on_disk("a", up_to(1400));
    let failed = FailoverRequest { failed_donors: vec![addr("a")], ..FailoverRequest::default() };
    let why = sealed(&world, &failed).unwrap_err();
    assert!(why.held && why.to_string().contains("binlog.000001:1000 to"), "{why}");
}

#[test]
fn a_binlog_server_gives_what_nobody_else_has_and_is_never_promoted() {
    let mut world = killed_by_place().read("b", 900, 900).read("c", 1300, 1300);
    world.facts("c").binlog_server = true;
    let plan = after_seal(&world);
    assert_eq!(plan.winner, addr("b"));
    assert_eq!(levels(&plan), [(addr("c"), "binlog.000001:1300".to_owned())]);
    assert!(says(&plan, "c:3306 was no candidate: it is a binlog server"), "{:?}", plan.notes);
}

#[test]
fn a_log_that_may_still_be_written_proves_nothing() {
    let mut world = killed_by_place().read("b", 900, 900).read("c", 900, 900);
    world = world.on_disk("a", up_to(900));
    world.facts("a").binlog = Some(primacy_plan::testing::place(900));
    assert!(says(&after_seal(&world), "nothing acknowledged is missing"));
    // Reached over ssh, not fenced, and its process was not seen to end.
    world.server("a").fenced = false;
    world.server("a").process = None;
    let plan = after_seal(&world);
    assert!(!says(&plan, "nothing acknowledged is missing"), "{:?}", plan.notes);
    assert!(says(&plan, "POSSIBLE LOSS"), "{:?}", plan.notes);
    world.server("a").process = Some(primacy_types::ProcessState::Exited { clean: Some(false) });
    assert!(says(&after_seal(&world), "nothing acknowledged is missing"));
}

#[test]
fn a_replica_that_cannot_be_rescued_does_not_hold_up_the_others() {
    let world = killed_by_place().semi_sync(1).read("b", 900, 900).read("c", 700, 600);
    let world = world.on_disk("a", up_to(1400));
    let failed =
        FailoverRequest { failed_receivers: vec![addr("c")], ..FailoverRequest::default() };
    let plan = sealed(&world, &failed).expect("a plan");
    let text = steps(&plan);
    assert!(!text.contains("let c:3306") && !text.contains("point c:3306"), "{text}");
    assert!(says(&plan, "c:3306 could not be given what it lacks"), "{:?}", plan.notes);
    assert_eq!(plan.left_behind, [addr("c")]);
    assert!(says(&plan, "commits wait until more return"), "{:?}", plan.notes);
}

/// The primary came back after a crash of its host that took the end of its log, and went on in a
/// new file.
fn back_without_its_tail() -> World {
    let mut world = primacy_plan::testing::cluster(["a", "b", "c"]).by_place();
    let a = world.facts("a");
    a.read_only = true;
    a.uptime_seconds = 10;
    a.binlog = Some(BinlogPosition::new("binlog.000002", 157));
    a.closed_binlogs = vec![primacy_plan::testing::place(700)];
    world
}

#[test]
fn a_primary_that_lost_the_end_of_its_log_has_not_everything() {
    let mut world = back_without_its_tail();
    let diagnosis = diagnose(&world.snapshot);
    assert!(
        matches!(&diagnosis, Diagnosis::PrimaryReadOnly { ahead, .. } if ahead.len() == 2),
        "{diagnosis:?}"
    );
    assert!(!primacy_plan::has_everything(&world.snapshot, &addr("a")));
    // What the replicas have read is what the file still has.
    world.facts("a").closed_binlogs = vec![primacy_plan::testing::place(1000)];
    assert!(primacy_plan::has_everything(&world.snapshot, &addr("a")));
}
