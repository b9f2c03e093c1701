//! What the manager believes in which situation, and what it does about it by itself: one line of
//! the table for each. `a` is the primary, `b` and `c` replicate from it, heartbeats come every
//! second, and a silence counts after four probes of 500 ms unless the case says otherwise.

mod alive;
mod dead;
mod people;
mod secondary;
mod writes;

use primacy_plan::testing::{NOW, World, cluster};
use primacy_plan::{Decision, Diagnosis, decide, diagnose};
use primacy_types::ContactFailure::{Refused, Silent};
use primacy_types::{Millis, ProcessState, ReplicationError};

/// A situation, the diagnosis and the decision: `nothing`, `alarm` (nothing, but a person should
/// know), `fail over`, `reopen`, `close` and the servers to be closed.
type Case = (&'static str, World, &'static str, &'static str);

fn three() -> World {
    cluster(["a", "b", "c"])
}

fn pair() -> World {
    cluster(["a", "b"])
}

/// Silent for three seconds and six probes, and no replica has heard of it either.
fn hung() -> World {
    three().failing("a", Silent, 3000, 6).quiet("b", 3200).quiet("c", 3200)
}

/// The world, changed a little more.
fn with(mut world: World, change: impl FnOnce(&mut World)) -> World {
    change(&mut world);
    world
}

fn error(code: u32) -> Option<ReplicationError> {
    Some(ReplicationError { code, message: format!("error {code}") })
}

/// A killed primary, but this replica's last attempt to reconnect was answered with this error.
fn reconnect_answered(code: u32) -> World {
    with(three().primary_killed(), |w| w.channel("c").receiver_error = error(code))
}

fn exited(world: World, clean: Option<bool>) -> World {
    with(world, |w| w.server("a").process = Some(ProcessState::Exited { clean }))
}

fn in_a_word(decision: &Decision) -> String {
    match decision {
        Decision::Nothing { alarm: false, .. } => "nothing".to_owned(),
        Decision::Nothing { alarm: true, .. } => "alarm".to_owned(),
        Decision::FailOver => "fail over".to_owned(),
        Decision::Reopen { .. } => "reopen".to_owned(),
        Decision::CloseIntruders { servers } => {
            let servers: Vec<_> = servers.iter().map(ToString::to_string).collect();
            format!("close {}", servers.join(" "))
        }
    }
}

fn check(cases: Vec<Case>) {
    let wrong: Vec<_> = cases
        .into_iter()
        .filter_map(|(name, world, word, decision)| {
            let diagnosis = diagnose(&world.snapshot);
            let found = (diagnosis.word(), in_a_word(&decide(&world.snapshot, &diagnosis)));
            (found != (word, decision.to_owned()))
                .then(|| format!("{name}: {found:?}\n  {diagnosis:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_cluster_in_which_little_is_wrong_is_left_alone() {
    check(alive::nothing_is_wrong_or_little());
}

#[test]
fn a_primary_that_is_dead_for_a_fact_is_replaced() {
    check(dead::the_primary_died());
}

#[test]
fn what_is_not_settled_is_a_suspicion() {
    check(dead::not_settled_yet());
}

#[test]
fn a_primary_that_lives_for_anybody_is_never_replaced() {
    check(alive::it_lives());
}

#[test]
fn people_and_supervisors_may_restart_a_primary() {
    check(people::stopped_and_started());
}

#[test]
fn two_writers_are_ended_and_brakes_hold() {
    check(people::two_writers_and_brakes());
}

#[test]
fn a_primary_that_can_commit_nothing_is_replaced_and_one_that_is_held_up_is_not() {
    check(writes::replaced());
    check(writes::held_up());
}

#[test]
fn other_hosts_are_asked_and_overrule_no_fact() {
    check(secondary::cases());
}

#[test]
fn a_replica_that_never_says_anything_is_not_waited_for_for_ever() {
    let mut world = three().primary_killed().failing("a", Refused, 6000, 90);
    world.server("c").facts_at = Some(NOW - Millis(7000));
    world.server("b").received_at = Some(NOW - Millis(6100));
    assert_eq!(diagnose(&world.snapshot).word(), "primary-dead");
}

#[test]
fn evidence_names_every_observer_and_what_it_saw() {
    let world = hung().failing("c", Silent, 2000, 4);
    let Diagnosis::PrimaryDead { evidence, .. } = diagnose(&world.snapshot) else {
        panic!("not dead");
    };
    let said: Vec<_> = evidence.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "manager: no answer in time, 6 failed probe(s) in 3 s",
            "replica b:3306: received nothing, not even a heartbeat, for 3 s",
            "replica c:3306: cannot be asked (no answer in time)",
        ]
    );
}
