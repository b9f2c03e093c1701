//! A cluster that serves, or whose primary lives although the manager cannot reach it.

use primacy_plan::testing::{World, addr};
use primacy_types::ContactFailure::{AccessDenied, Refused, Silent, Tls, TooManyConnections};
use primacy_types::{Contact, ProcessState};

use crate::{Case, hung, pair, reconnect_answered, three, with};

/// Three servers in these sites.
fn sites(names: [&str; 3]) -> World {
    with(three(), |w| {
        for (server, site) in ["a", "b", "c"].into_iter().zip(names) {
            let policy = &mut w.snapshot.policy.servers;
            policy.entry(addr(server)).or_default().site = Some(site.to_owned());
        }
    })
}

pub(crate) fn nothing_is_wrong_or_little() -> Vec<Case> {
    let lag = |w: &mut World| {
        w.channel("b").applier_running = false;
        w.channel("b").lag_seconds = None;
    };
    vec![
        ("a healthy cluster", three(), "healthy", "nothing"),
        (
            "a replica does not answer",
            three().failing("b", Silent, 9000, 18),
            "degraded",
            "nothing",
        ),
        ("a replica's applier is stopped", with(three(), lag), "degraded", "nothing"),
        (
            "no replica answers",
            three().failing("b", Silent, 9000, 18).failing("c", Refused, 9000, 99),
            "degraded",
            "nothing",
        ),
        (
            "nothing was asked yet",
            with(three(), |w| {
                for name in ["a", "b", "c"] {
                    w.server(name).contact = Contact::Untried;
                }
            }),
            "starting",
            "nothing",
        ),
        (
            "no record, and one server was never seen",
            with(pair(), |w| {
                w.snapshot.primary = None;
                w.server("b").facts = None;
            }),
            "starting",
            "nothing",
        ),
        (
            "no record, one writable server with replicas",
            with(three(), |w| w.snapshot.primary = None),
            "healthy",
            "nothing",
        ),
        (
            "no record, two writable servers",
            with(three(), |w| {
                w.snapshot.primary = None;
                w.facts("b").read_only = false;
            }),
            "several-writable",
            "alarm",
        ),
        (
            "no record, the writable server of before is silent",
            with(pair().failing("a", Silent, 100, 1), |w| {
                w.snapshot.primary = None;
                w.facts("b").read_only = false;
            }),
            "starting",
            "nothing",
        ),
        (
            "no record, co-primaries of which one is read-only",
            with(pair(), |w| {
                w.snapshot.primary = None;
                let to_b = w.channel("b").clone();
                w.facts("a").channels.push(to_b);
                w.channel("a").source = addr("b");
            }),
            "healthy",
            "nothing",
        ),
        (
            "no record, all read-only, the root replicates from outside",
            with(three(), |w| {
                w.snapshot.primary = None;
                let from_outside = w.channel("b").clone();
                w.facts("a").read_only = true;
                w.facts("a").channels.push(from_outside);
                w.channel("a").source = addr("far.example");
                w.channel("a").source_server_id = 900;
            }),
            "no-primary",
            "alarm",
        ),
    ]
}

pub(crate) fn it_lives() -> Vec<Case> {
    vec![
        (
            "a firewall: refused here, replicas receive",
            three().failing("a", Refused, 3000, 60),
            "primary-cut-off-from-here",
            "alarm",
        ),
        (
            "silent here, one of two replicas receives",
            hung().quiet("c", 300),
            "primary-cut-off-from-here",
            "alarm",
        ),
        (
            "a replica's reconnect was answered: too many connections",
            reconnect_answered(1040),
            "primary-cut-off-from-here",
            "alarm",
        ),
        (
            "a replica's reconnect was answered: access denied",
            reconnect_answered(1045),
            "primary-cut-off-from-here",
            "alarm",
        ),
        (
            "a replica's reconnect was answered: account locked",
            reconnect_answered(3118),
            "primary-cut-off-from-here",
            "alarm",
        ),
        (
            "a replica's own network error is no answer",
            reconnect_answered(1158),
            "primary-dead",
            "fail over",
        ),
        (
            "no connection left",
            three().failing("a", TooManyConnections, 9000, 18),
            "primary-refuses-us",
            "alarm",
        ),
        (
            "wrong password",
            three().failing("a", AccessDenied("no".into()), 9000, 18),
            "primary-refuses-us",
            "alarm",
        ),
        (
            "TLS cannot be agreed",
            three().failing("a", Tls("no".into()), 9000, 18),
            "primary-refuses-us",
            "alarm",
        ),
        (
            "the process runs, its port is closed, replicas receive",
            with(three().failing("a", Refused, 60_000, 900), |w| {
                w.server("a").process = Some(ProcessState::Running { pid: 7 });
            }),
            "primary-cut-off-from-here",
            "alarm",
        ),
        (
            "too few servers answer to believe one's own eyes",
            three()
                .failing("a", Silent, 9000, 18)
                .failing("b", Silent, 9000, 18)
                .failing("c", Silent, 9000, 18),
            "manager-isolated",
            "alarm",
        ),
        (
            "silent, and only a site with one of three servers can be seen",
            sites(["here", "here", "far"])
                .failing("a", Silent, 9000, 18)
                .failing("b", Silent, 9000, 18)
                .quiet("c", 9200),
            "manager-isolated",
            "alarm",
        ),
        (
            "silent, and the site with two of three servers can be seen",
            sites(["here", "here", "far"])
                .failing("a", Silent, 9000, 18)
                .failing("c", Silent, 9000, 18)
                .quiet("b", 9200)
                .local("a"),
            "primary-dead",
            "fail over",
        ),
        (
            "a whole site with the primary is lost, and two other sites can be seen",
            sites(["one", "two", "three"])
                .failing("a", Silent, 9000, 18)
                .quiet("b", 9200)
                .quiet("c", 9200)
                .local("a"),
            "primary-dead",
            "fail over",
        ),
    ]
}
