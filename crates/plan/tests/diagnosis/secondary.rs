//! What `secondary_check_script` decides, and what it does not.

use primacy_plan::testing::{NOW, World};
use primacy_types::ContactFailure::{Refused, Silent};
use primacy_types::{Millis, Moment, ProcessState, SecondaryAnswer, SecondaryWord};

use crate::{Case, exited, hung, three, with};

/// The script is configured and has said this, if anything, in this trouble.
fn says(world: World, answer: Option<SecondaryAnswer>) -> World {
    with(world, |w| {
        w.snapshot.policy.scripts.secondary_check = true;
        w.server("a").secondary = answer.map(|answer| SecondaryWord { asked: NOW, answer });
    })
}

fn unreachable() -> Option<SecondaryAnswer> {
    Some(SecondaryAnswer::Unreachable)
}

fn reachable() -> Option<SecondaryAnswer> {
    Some(SecondaryAnswer::Reachable)
}

fn undecided() -> Option<SecondaryAnswer> {
    Some(SecondaryAnswer::Undecided("exited with 2".to_owned()))
}

fn nothing() -> Option<SecondaryAnswer> {
    Some(SecondaryAnswer::Nothing("did not end within its limit".to_owned()))
}

/// A silence that no replica can confirm: they have no heartbeats.
fn unproved() -> World {
    with(hung(), |w| {
        w.channel("b").heartbeat_period = None;
        w.channel("c").heartbeat_period = None;
    })
}

fn frozen(world: World) -> World {
    with(world, |w| w.server("a").process = Some(ProcessState::Frozen { pid: 7 }))
}

pub(crate) fn cases() -> Vec<Case> {
    let earlier = |world| {
        with(says(world, unreachable()), |w| {
            let word = w.server("a").secondary.as_mut();
            word.into_iter().for_each(|word| word.asked = Moment(NOW.0 - 10_000));
        })
    };
    let fails = "fail over";
    let refused = || three().primary_killed().failing("a", Refused, 2100, 40);
    vec![
        ("nobody reaches it", says(hung(), unreachable()), "primary-dead", fails),
        ("it has not answered yet", says(hung(), None), "primary-suspected", "alarm"),
        ("it answered in an earlier trouble", earlier(hung()), "primary-suspected", "alarm"),
        (
            "another host reaches it",
            says(hung(), reachable()),
            "primary-cut-off-from-here",
            "alarm",
        ),
        ("it is undecided", says(hung(), undecided()), "primary-suspected", "alarm"),
        ("it hangs, and replicas know", says(hung(), nothing()), "primary-dead", fails),
        ("it hangs, and nobody knows", says(unproved(), nothing()), "primary-suspected", "alarm"),
        ("only it knows", says(unproved(), unreachable()), "primary-dead", fails),
        ("refused, and nobody reaches it", says(refused(), unreachable()), "primary-dead", fails),
        ("refused, and undecided", says(refused(), undecided()), "primary-suspected", "alarm"),
        (
            "too early: other probes are to fail first",
            says(unproved().failing("a", Silent, 500, 1), unreachable()),
            "primary-suspected",
            "alarm",
        ),
        // The operating system's word needs no other.
        (
            "its process is gone, whatever the script says",
            exited(says(refused(), reachable()), Some(false)),
            "primary-dead",
            fails,
        ),
        (
            "the same before it has answered",
            exited(says(refused(), None), None),
            "primary-dead",
            fails,
        ),
        ("a frozen server is reached", frozen(says(hung(), reachable())), "primary-dead", fails),
        ("frozen, and undecided", frozen(says(hung(), undecided())), "primary-dead", fails),
        // A replica that still hears from it outweighs it.
        (
            "a replica still hears from it",
            with(says(hung(), unreachable()), |w| {
                w.server("b").received_at = Some(NOW - Millis(100));
            }),
            "primary-cut-off-from-here",
            "alarm",
        ),
    ]
}
