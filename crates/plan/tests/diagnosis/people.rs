//! Restarts, shutdowns and moves by people and supervisors; two writers; brakes.

use primacy_plan::testing::{NOW, World, addr, pos};
use primacy_types::ContactFailure::{Refused, ShuttingDown};
use primacy_types::{Millis, Moment, OnCleanShutdown, ProcessState};

use crate::{Case, exited, reconnect_answered, three, with};

const WAIT: OnCleanShutdown = OnCleanShutdown::Wait(Millis::from_secs(30));

fn read_only_primary(uptime_seconds: u64) -> World {
    with(three(), |w| {
        w.facts("a").read_only = true;
        w.facts("a").uptime_seconds = uptime_seconds;
    })
}

fn clean_shutdown(ago: u64, policy: OnCleanShutdown) -> World {
    let world = exited(three().failing("a", Refused, ago, 9), Some(true));
    with(world, |w| w.snapshot.policy.on_clean_shutdown = policy)
}

pub(crate) fn stopped_and_started() -> Vec<Case> {
    let starting = |ago| {
        with(three().failing("a", Refused, ago, 99).receiver_lost("b").receiver_lost("c"), |w| {
            w.server("a").process = Some(ProcessState::Running { pid: 8 });
        })
    };
    let follows = |source: &'static str| {
        with(read_only_primary(20), move |w| {
            let channel = w.channel("b").clone();
            w.facts("a").channels.push(channel);
            w.channel("a").source = addr(source);
            w.channel("a").source_server_id = 2;
            w.facts("b").channels.clear();
            w.facts("b").read_only = false;
        })
    };
    vec![
        ("shut down cleanly a moment ago", clean_shutdown(5000, WAIT), "primary-stopped", "alarm"),
        (
            "shut down cleanly and not back in time",
            clean_shutdown(31_000, WAIT),
            "primary-dead",
            "fail over",
        ),
        (
            "shut down cleanly, on_clean_shutdown = ignore",
            clean_shutdown(90_000, OnCleanShutdown::Ignore),
            "primary-stopped",
            "alarm",
        ),
        (
            "shut down cleanly, on_clean_shutdown = failover",
            clean_shutdown(10, OnCleanShutdown::Failover),
            "primary-dead",
            "fail over",
        ),
        (
            "it says that it is shutting down",
            three().failing("a", ShuttingDown, 10, 1).receiver_lost("b").receiver_lost("c"),
            "primary-stopped",
            "alarm",
        ),
        (
            "it told a replica that it shuts down",
            reconnect_answered(1053),
            "primary-stopped",
            "alarm",
        ),
        (
            "a supervisor started it again: the process runs, nothing listens yet",
            starting(900),
            "primary-restarting",
            "alarm",
        ),
        ("started again, and not serving in time", starting(31_000), "primary-dead", "fail over"),
        ("read-only after a restart", read_only_primary(20), "primary-read-only", "reopen"),
        (
            "read-only after a restart, behind a replica",
            with(read_only_primary(20), |w| {
                w.channel("b").received = Some(pos("0-1-104"));
            }),
            "primary-read-only",
            "alarm",
        ),
        ("set read-only by a person", read_only_primary(90_000), "primary-read-only", "alarm"),
        ("somebody moved the role to b", follows("b"), "several-writable", "alarm"),
        (
            "restarted, and a replica of an outside source now",
            with(follows("far"), |w| {
                w.channel("a").source_server_id = 900;
                w.facts("b").read_only = true;
            }),
            "no-primary",
            "alarm",
        ),
    ]
}

pub(crate) fn two_writers_and_brakes() -> Vec<Case> {
    let writable = |mut w: World| {
        w.facts("b").read_only = false;
        w
    };
    vec![
        (
            "another server accepts writes too",
            writable(three()),
            "several-writable",
            "close b:3306",
        ),
        (
            "another server accepts writes, and the primary was restarted",
            writable(read_only_primary(20)),
            "several-writable",
            "close b:3306",
        ),
        (
            "another server accepts writes, cluster paused",
            with(writable(three()), |w| w.snapshot.paused = true),
            "several-writable",
            "alarm",
        ),
        (
            "dead, and a replica accepts writes: that one is closed first",
            writable(three().primary_killed()),
            "primary-dead",
            "close b:3306",
        ),
        (
            "dead, and somebody promoted b by hand",
            with(writable(three().primary_killed()), |w| w.facts("b").channels.clear()),
            "primary-dead",
            "alarm",
        ),
        (
            "back read-only, after somebody promoted b by hand and applications wrote there",
            with(writable(read_only_primary(20)), |w| {
                w.facts("b").channels.clear();
                w.facts("b").executed = pos("0-2-150");
            }),
            "several-writable",
            "alarm",
        ),
        (
            "dead, cluster paused",
            with(three().primary_killed(), |w| w.snapshot.paused = true),
            "primary-dead",
            "alarm",
        ),
        (
            "dead, automatic failover off",
            with(three().primary_killed(), |w| w.snapshot.policy.automatic_failover = false),
            "primary-dead",
            "alarm",
        ),
        (
            "dead again soon after a failover",
            with(three().primary_killed(), |w| {
                w.snapshot.last_failover = Some(NOW - Millis::from_secs(60));
            }),
            "primary-dead",
            "alarm",
        ),
        (
            "dead again, long after a failover",
            with(three().primary_killed(), |w| {
                w.snapshot.last_failover = Some(Moment(0));
                w.snapshot.policy.timing.failover_block = Millis::from_secs(99);
            }),
            "primary-dead",
            "fail over",
        ),
        (
            "stopped by a person soon after a failover is no flapping",
            with(clean_shutdown(31_000, WAIT), |w| {
                w.snapshot.last_failover = Some(NOW - Millis::from_secs(60));
            }),
            "primary-dead",
            "fail over",
        ),
        (
            "the recorded primary is no longer configured",
            with(three(), |w| w.snapshot.primary = Some(addr("z"))),
            "no-primary",
            "alarm",
        ),
    ]
}
