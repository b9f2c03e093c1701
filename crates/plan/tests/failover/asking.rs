//! When a failover may be made at all: death, doubt, fences, and what a person may override.

use primacy_plan::testing::{World, addr, cluster};
use primacy_plan::{FailoverRequest, Stage, diagnose, plan_failover};
use primacy_types::{Contact, ContactFailure, ProcessState, RefuseOrProceed};

use crate::{ask, force, killed, plan, refusal, says, to};

fn hung() -> World {
    cluster(["a", "b", "c"])
        .failing("a", ContactFailure::Silent, 3000, 6)
        .quiet("b", 3200)
        .quiet("c", 3200)
}

#[test]
fn a_living_primary_is_not_failed_over_by_any_force() {
    let why = ask(&cluster(["a", "b"]).local("a"), &force()).unwrap_err();
    assert!(why.to_string().contains("use `primacy switchover`"), "{why}");
}

#[test]
fn a_silent_primary_without_a_fence_is_refused_unless_the_policy_or_a_person_says_so() {
    let why = refusal(&hung());
    assert!(why.to_string().contains("cannot be fenced"), "{why}");
    let mut world = hung();
    assert!(says(&ask(&world, &force()).unwrap(), "NOT GUARANTEED"));
    world.snapshot.policy.unfenced = RefuseOrProceed::Proceed;
    assert!(says(&plan(&world), "NOT GUARANTEED: a:3306 is silent and cannot be fenced"));
    assert!(says(&plan(&hung().local("a")), "a:3306 is fenced (local)"));
}

#[test]
fn a_refused_connection_needs_no_fence_but_a_warning() {
    let plan = plan(&cluster(["a", "b", "c"]).primary_killed());
    assert!(says(&plan, "nothing listens there now"), "{:?}", plan.notes);
}

#[test]
fn doubt_can_be_overridden_by_a_person_who_then_fences_first() {
    let doubtful: [(&str, World); 4] = [
        (
            "primary-suspected",
            cluster(["a", "b"]).failing("a", ContactFailure::Silent, 100, 1).quiet("b", 200),
        ),
        (
            "primary-refuses-us",
            cluster(["a", "b"]).failing("a", ContactFailure::TooManyConnections, 100, 1),
        ),
        (
            "primary-cut-off-from-here",
            cluster(["a", "b"]).failing("a", ContactFailure::Silent, 9000, 9),
        ),
        (
            "manager-isolated",
            cluster(["a", "b", "c", "d"])
                .failing("a", ContactFailure::Silent, 9000, 9)
                .failing("b", ContactFailure::Silent, 9000, 9)
                .failing("c", ContactFailure::Silent, 9000, 9)
                .quiet("d", 9900),
        ),
    ];
    for (word, world) in doubtful {
        assert_eq!(diagnose(&world.snapshot).word(), word);
        let world = world.local("a");
        assert!(ask(&world, &FailoverRequest::default()).is_err(), "{word}");
        let plan = ask(&world, &force()).unwrap();
        assert_eq!(plan.steps[0].step.name(), "fence", "{word}");
    }
}

/// The fence of a server that somebody hears from is the one thing that nobody may leave out.
#[test]
fn no_force_promotes_beside_a_primary_that_lives_and_cannot_be_fenced() {
    let mut starting = cluster(["a", "b"]).primary_killed();
    starting.server("a").process = Some(ProcessState::Running { pid: 7 });
    let alive = [
        cluster(["a", "b"]).failing("a", ContactFailure::TooManyConnections, 100, 1),
        cluster(["a", "b"]).failing("a", ContactFailure::Silent, 9000, 9),
        starting,
    ];
    for mut world in alive {
        world.snapshot.policy.unfenced = RefuseOrProceed::Proceed;
        let everything = FailoverRequest { accept_loss: true, ..force() };
        let why = ask(&world, &everything).unwrap_err();
        assert!(why.to_string().contains("alive and cannot be fenced"), "{why}");
    }
}

#[test]
fn force_does_not_make_a_useless_server_a_candidate() {
    let mut world = killed();
    world.facts("b").log_bin = false;
    let all = FailoverRequest { accept_loss: true, ..force() };
    let why = ask(&world, &FailoverRequest { to: Some(addr("b")), ..all }).unwrap_err();
    assert!(why.to_string().contains("log_bin is off"), "{why}");
}

#[test]
fn the_named_server_must_be_one_that_can_win() {
    let because = |name| ask(&killed(), &to(name)).unwrap_err().to_string();
    assert!(because("z").contains("no server of this cluster"));
    assert!(because("a").contains("is the primary that is to be replaced"));
    assert_eq!(ask(&killed(), &to("c")).unwrap().winner, addr("c"));
}

#[test]
fn nobody_is_promoted_beside_a_server_that_accepts_writes() {
    let mut world = killed();
    world.facts("b").read_only = false;
    assert!(refusal(&world).to_string().contains("b:3306 accepts writes already"));
    // Nor, once the receivers are sealed, beside an old primary that came back.
    let mut world = killed();
    world.server("a").contact = Contact::Answering { at: world.snapshot.now };
    let request = FailoverRequest::default();
    let why =
        plan_failover(&world.snapshot, &diagnose(&world.snapshot), &request, Stage::AfterSeal);
    assert!(why.unwrap_err().to_string().contains("a:3306 accepts writes already"));
}

#[test]
fn without_a_record_there_is_nothing_to_fail_over_from() {
    let mut world = killed();
    world.snapshot.primary = None;
    assert!(refusal(&world).to_string().contains("no primary is on record"));
}

#[test]
fn a_restarted_primary_that_lacks_transactions_can_be_replaced_by_a_person() {
    let mut world = cluster(["a", "b", "c"]).received("b", "0-1-107", "0-1-100");
    world.facts("a").read_only = true;
    let plan = ask(&world, &force()).unwrap();
    assert_eq!(plan.winner, addr("b"));
    assert!(says(&plan, "NOT GUARANTEED: a:3306 answers and cannot be fenced"), "{:?}", plan.notes);
}
