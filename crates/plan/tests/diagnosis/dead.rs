//! A primary that is dead for a fact, and what falls short of one.

use primacy_plan::testing::{NOW, World};
use primacy_types::ContactFailure::{Refused, Reset, Silent, Unreachable};
use primacy_types::{Millis, ProcessState, ReceiverState};

use crate::{Case, error, exited, hung, pair, three, with};

pub(crate) fn the_primary_died() -> Vec<Case> {
    vec![
        (
            "killed: refused, and the replicas lost it",
            three().primary_killed(),
            "primary-dead",
            "fail over",
        ),
        (
            "its process is gone, replicas have not noticed yet",
            exited(three().failing("a", Reset, 2, 1), Some(false)),
            "primary-dead",
            "fail over",
        ),
        (
            "its process is gone, how it ended cannot be read",
            exited(three().failing("a", Refused, 2, 1), None),
            "primary-dead",
            "fail over",
        ),
        (
            "hung: replicas quiet for longer than their heartbeats allow",
            hung(),
            "primary-dead",
            "fail over",
        ),
        (
            "lost host: no route, replicas quiet",
            three().failing("a", Unreachable, 3000, 6).quiet("b", 3200).quiet("c", 3200),
            "primary-dead",
            "fail over",
        ),
        (
            "hung: one replica is quiet, the other cannot be asked",
            hung().failing("c", Silent, 2000, 4),
            "primary-dead",
            "fail over",
        ),
        (
            "hung: the only other replica runs without heartbeats",
            with(hung(), |w| w.channel("c").heartbeat_period = None),
            "primary-dead",
            "fail over",
        ),
        (
            "frozen: the operating system says so",
            with(three().failing("a", Silent, 2100, 4).quiet("b", 2200).quiet("c", 2200), |w| {
                w.server("a").process = Some(ProcessState::Frozen { pid: 7 });
            }),
            "primary-dead",
            "fail over",
        ),
        (
            "it died after it was heard by a replica that the manager did not hear",
            with(
                three().failing("a", Silent, 60_000, 120).quiet("b", 9000).quiet("c", 9000),
                |_| (),
            ),
            "primary-dead",
            "fail over",
        ),
        (
            "refused again and again; the replica's receiver was stopped by a person",
            with(pair().failing("a", Refused, 2500, 40), |w| {
                w.channel("b").receiver = ReceiverState::Stopped;
            }),
            "primary-dead",
            "fail over",
        ),
        (
            "killed below an intermediate: its replica still hears the intermediate",
            with(three().below("c", "b").failing("a", Refused, 50, 1).receiver_lost("b"), |_| ()),
            "primary-dead",
            "fail over",
        ),
        (
            "killed; a replica asked of it gave up",
            with(three().primary_killed(), |w| {
                w.channel("b").receiver = ReceiverState::Stopped;
                w.channel("b").receiver_error = error(2003);
            }),
            "primary-dead",
            "fail over",
        ),
    ]
}

pub(crate) fn not_settled_yet() -> Vec<Case> {
    let stale =
        |name: &'static str| move |w: &mut World| w.server(name).facts_at = Some(NOW - Millis(200));
    vec![
        (
            "one probe failed",
            three().failing("a", Silent, 400, 1).quiet("b", 500).quiet("c", 500),
            "primary-suspected",
            "alarm",
        ),
        (
            "silent for less than the replicas' heartbeats can tell",
            three().failing("a", Silent, 1900, 4).quiet("b", 1900).quiet("c", 2000),
            "primary-suspected",
            "alarm",
        ),
        (
            "refused; a replica was not asked since",
            with(three().primary_killed(), stale("c")),
            "primary-suspected",
            "alarm",
        ),
        (
            "refused; what the replicas said is older than that",
            with(with(three().primary_killed(), stale("b")), stale("c")),
            "primary-suspected",
            "alarm",
        ),
        (
            "a replica was last asked before its heartbeats could be missed",
            with(hung(), |w| {
                w.server("b").facts_at = Some(NOW - Millis(1500));
                w.server("c").facts_at = Some(NOW - Millis(1500));
            }),
            "primary-suspected",
            "alarm",
        ),
        (
            "silent, heartbeats disabled",
            with(hung(), |w| {
                w.channel("b").heartbeat_period = Some(Millis(0));
                w.channel("c").heartbeat_period = None;
            }),
            "primary-suspected",
            "alarm",
        ),
        (
            "silent, lone pair whose receiver was stopped by a person",
            with(pair().failing("a", Silent, 9000, 18), |w| {
                w.channel("b").receiver = ReceiverState::Stopped;
            }),
            "primary-suspected",
            "alarm",
        ),
        (
            "silent; the replica's receiver gave up long before",
            with(pair().failing("a", Silent, 3000, 6).quiet("b", 60_000), |w| {
                w.channel("b").receiver = ReceiverState::Stopped;
                w.channel("b").receiver_error = error(2003);
            }),
            "primary-suspected",
            "alarm",
        ),
        (
            "silent; the replica had lost it long before and has not tried again",
            with(pair().failing("a", Silent, 3000, 6).receiver_lost("b").quiet("b", 40_000), |w| {
                w.channel("b").connect_retry_seconds = 60;
            }),
            "primary-suspected",
            "alarm",
        ),
        (
            "the only direct replica, an intermediate, is gone too",
            with(
                three()
                    .below("c", "b")
                    .failing("a", Silent, 3000, 6)
                    .failing("b", Silent, 3000, 6)
                    .quiet("c", 9000),
                |_| (),
            ),
            "primary-suspected",
            "alarm",
        ),
        (
            "refused, but a replica without heartbeats is still connected",
            with(pair().failing("a", Refused, 9000, 90).quiet("b", 9000), |w| {
                w.channel("b").heartbeat_period = None;
            }),
            "primary-suspected",
            "alarm",
        ),
    ]
}
