//! What only the dead primary's disk holds, with GTID.

use super::*;
use primacy_plan::testing::pos;
use primacy_types::{BinlogsOnDisk, FenceRung, RefuseOrProceed};

fn after_seal(world: &World) -> Plan {
    let snapshot = &world.snapshot;
    let request = FailoverRequest::default();
    let plan =
        plan_failover(snapshot, &diagnose(snapshot), &request, Stage::AfterSeal).expect("a plan");
    assert_eq!(violations(snapshot, &plan, false), [], "{plan:#?}");
    plan
}

#[test]
fn what_only_the_disk_has_is_rescued_with_what_a_better_replica_has() {
    let world = killed().received("b", "0-1-100", "0-1-100").received("c", "0-1-120", "0-1-100");
    let mut world = world.on_disk("a", pos("0-1-130"));
    world.snapshot.policy.servers.entry(addr("b")).or_default().promotion =
        primacy_types::Promotion::Prefer;
    let plan = after_seal(&world);
    assert!(levels(&plan).is_empty(), "one way instead of two: {}", steps(&plan));
    insta::assert_snapshot!(steps(&plan).lines().take(3).collect::<Vec<_>>().join("\n"), @r"
    cut out and keep what the binary logs of a:3306 hold beyond 0-1-100
    wait until b:3306 has applied everything that it received
    let b:3306 replicate what was saved of the binary logs of a:3306, up to 0-1-130
    ");
    assert!(says(&plan, "nothing acknowledged is missing"), "{:?}", plan.notes);
}

#[test]
fn a_disk_that_adds_nothing_is_left_alone() {
    let world = killed().received("c", "0-1-120", "0-1-100").on_disk("a", pos("0-1-120"));
    let plan = after_seal(&world);
    assert!(!steps(&plan).contains("cut out"), "{}", steps(&plan));
}

#[test]
fn what_a_broken_replica_received_is_taken_from_the_primarys_disk() {
    let mut world = killed().received("c", "0-1-120", "0-1-100").on_disk("a", pos("0-1-120"));
    world.channel("c").applier_error =
        Some(primacy_types::ReplicationError { code: 1062, message: "duplicate".into() });
    let plan = after_seal(&world);
    assert_eq!(plan.winner, addr("b"));
    assert!(steps(&plan).contains("cut out and keep what the binary logs of a:3306"));
}

#[test]
fn what_a_broken_replica_received_is_taken_from_its_relay_logs_when_the_primary_is_gone() {
    let mut world = killed().received("c", "0-1-120", "0-1-100").readable("c");
    world.channel("c").applier_error =
        Some(primacy_types::ReplicationError { code: 1062, message: "duplicate".into() });
    let plan = after_seal(&world);
    assert_eq!(plan.winner, addr("b"));
    assert!(steps(&plan).contains("cut out and keep what the relay logs of c:3306"));
}

#[test]
fn a_loss_that_files_may_still_prevent_does_not_refuse_the_fence() {
    let mut world = killed();
    world.snapshot.policy.on_possible_loss = Some(RefuseOrProceed::Refuse);
    assert!(ask(&world, &FailoverRequest::default()).is_err());
    let world = world.readable("a");
    let plan = plan(&world);
    assert!(says(&plan, "is read from the binary logs of a:3306 after the fence"));
}

#[test]
fn a_dry_run_shows_what_is_expected_of_a_readable_disk() {
    let mut world = killed().readable("a");
    world.facts("a").executed = pos("0-1-130");
    let text = steps(&plan(&world));
    assert!(
        text.contains(
            "let b:3306 replicate what was saved of the binary logs of a:3306, up to 0-1-130"
        ),
        "{text}"
    );
}

#[test]
fn what_only_a_broken_replica_holds_does_not_refuse_the_fence_of_a_readable_primary() {
    let mut world = killed().received("c", "0-1-120", "0-1-100");
    world.channel("c").applier_error =
        Some(primacy_types::ReplicationError { code: 1062, message: "duplicate".into() });
    assert!(ask(&world, &FailoverRequest::default()).is_err());
    assert!(ask(&world.readable("a"), &FailoverRequest::default()).is_ok());
}

#[test]
fn a_script_is_the_last_rung_and_the_plan_says_what_it_may_cost() {
    let mut world = killed().readable("a");
    world.server("a").fences = vec![FenceRung::Ssh, FenceRung::Lease, FenceRung::Script];
    let first = plan(&world);
    assert!(says(&first, "a:3306 is fenced (ssh)"), "{:?}", first.notes);
    assert!(says(&first, "(if that fails: lease, shutdown_script)"), "{:?}", first.notes);
    world.server("a").fences = vec![FenceRung::Script];
    let last = plan(&world);
    assert!(steps(&last).starts_with("fence a:3306 (shutdown_script): "), "{}", steps(&last));
    assert!(says(&last, "if shutdown_script powers off the host of a:3306"), "{:?}", last.notes);
}

#[test]
fn a_host_that_was_powered_off_is_not_looked_at_and_the_loss_is_named() {
    let mut world = killed().readable("a");
    world.facts("a").executed = pos("0-1-130");
    world.server("a").fences = vec![FenceRung::Script];
    world.server("a").on_disk = Some(BinlogsOnDisk::Unreadable {
        reason: "shutdown_script has powered off its host".into(),
        passing: false,
    });
    let plan = after_seal(&world);
    assert!(!steps(&plan).contains("binary logs of a:3306"), "{}", steps(&plan));
    assert!(says(&plan, "POSSIBLE LOSS"), "{:?}", plan.notes);
    assert!(says(&plan, "shutdown_script has powered off its host"), "{:?}", plan.notes);
    world.snapshot.policy.on_possible_loss = Some(RefuseOrProceed::Refuse);
    let refused = plan_failover(
        &world.snapshot,
        &diagnose(&world.snapshot),
        &FailoverRequest::default(),
        Stage::AfterSeal,
    );
    let refused = refused.expect_err("acknowledged rows may be lost");
    assert!(refused.reasons.iter().any(|r| r.why.contains("has powered off its host")));
}

#[test]
fn a_copy_gives_what_it_holds_and_proves_nothing() {
    let mut world =
        killed().received("b", "0-1-100", "0-1-100").received("c", "0-1-100", "0-1-100");
    world.facts("a").executed = pos("0-1-130");
    world.server("a").fenced = true;
    let copied = |passing| {
        Some(BinlogsOnDisk::Copied {
            holds: pos("0-1-130"),
            length: primacy_plan::testing::place(900),
            place: "/copies on backup".into(),
            reason: "its host is gone".into(),
            passing,
        })
    };
    world.server("a").on_disk = copied(false);
    let plan = after_seal(&world);
    assert!(steps(&plan).contains("what was saved of the binary logs of a:3306, up to 0-1-130"));
    let note = plan.notes.iter().find(|note| note.contains("POSSIBLE LOSS")).expect("a loss");
    assert!(note.contains("the copy in /copies on backup was read"), "{note}");
    assert!(note.contains("its host is gone"), "{note}");
    // A host that may only be late is waited for, unless a person said otherwise.
    world.server("a").on_disk = copied(true);
    let again = |world: &World| {
        let snapshot = &world.snapshot;
        let request = FailoverRequest::default();
        plan_failover(snapshot, &diagnose(snapshot), &request, Stage::AfterSeal)
    };
    let refused = again(&world).expect_err("it is waited for");
    assert!(refused.reasons.iter().any(|r| r.why.contains("is not known yet")), "{refused:?}");
    world.snapshot.policy.on_possible_loss = Some(RefuseOrProceed::Proceed);
    assert!(again(&world).is_ok());
    world.snapshot.policy.on_possible_loss = Some(RefuseOrProceed::Refuse);
    world.server("a").on_disk = copied(false);
    assert!(again(&world).is_err(), "a copy is no proof");
}
