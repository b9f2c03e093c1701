//! Snapshots in, one diagnosis out.
//!
//! Only facts lead to [`Diagnosis::PrimaryDead`]. Everything that has an innocent explanation (a
//! wrong password, no free connection, a restart, a cut between the manager and the primary
//! alone) has a variant of its own and never leads to a failover.

use std::collections::BTreeSet;

use primacy_types::{
    Address, ClusterSnapshot, Contact, ContactFailure, Millis, Moment, OnCleanShutdown,
    ProcessState, ServerFacts,
};

use crate::evidence::{self, Evidence, Observer, Weight};
use crate::places::by_place;
use crate::topology::{self, NoPrimary};
use crate::{Death, Diagnosis, secondary, witness, writes};

/// Says what is the matter with the cluster.
pub fn diagnose(snapshot: &ClusterSnapshot) -> Diagnosis {
    let snapshot = &*by_place(snapshot);
    let Some(primary) = &snapshot.primary else {
        return without_record(snapshot);
    };
    let Some(server) = snapshot.server(primary) else {
        let reason = format!("the recorded primary {primary} is not among the configured servers");
        return Diagnosis::NoPrimary { reason };
    };
    match &server.contact {
        Contact::Untried => Diagnosis::Starting { waiting_for: vec![primary.clone()] },
        Contact::Answering { .. } => answering(snapshot, primary),
        Contact::Failing { since, failures, last, .. } => {
            failing(snapshot, primary, *since, *failures, last)
        }
    }
}

fn without_record(snapshot: &ClusterSnapshot) -> Diagnosis {
    match topology::find_primary(snapshot) {
        // The caller records what `find_primary` found; until then this is the start.
        Ok(primary) => Diagnosis::Healthy { primary },
        Err(NoPrimary::NotAllSeen(waiting_for)) => Diagnosis::Starting { waiting_for },
        Err(NoPrimary::Several(writable)) => Diagnosis::SeveralWritable { primary: None, writable },
        Err(NoPrimary::None) => Diagnosis::NoPrimary {
            reason: "no server accepts writes, and the replication links do not point to a \
                     single server"
                .to_owned(),
        },
    }
}

fn answering(snapshot: &ClusterSnapshot, primary: &Address) -> Diagnosis {
    let Some(facts) = snapshot.live(primary) else {
        return Diagnosis::Starting { waiting_for: vec![primary.clone()] };
    };
    let writable: Vec<Address> =
        snapshot.all_live().filter(|(_, f)| f.writable()).map(|(a, _)| a.clone()).collect();
    if writable.iter().any(|w| w != primary) {
        return Diagnosis::SeveralWritable { primary: Some(primary.clone()), writable };
    }
    if !facts.writable() {
        return read_only(snapshot, primary, facts);
    }
    if let Some(diagnosis) = writes::cannot_write(snapshot, primary) {
        return diagnosis;
    }
    let problems = problems(snapshot, primary);
    if problems.is_empty() {
        Diagnosis::Healthy { primary: primary.clone() }
    } else {
        Diagnosis::Degraded { primary: primary.clone(), problems }
    }
}

/// A server that was started longer ago than this does not count as restarted.
const RECENT_START: Millis = Millis::from_secs(300);

fn read_only(snapshot: &ClusterSnapshot, primary: &Address, facts: &ServerFacts) -> Diagnosis {
    if let Some(source) = follows_another(snapshot, primary, facts) {
        let reason = format!(
            "{primary}, the primary on record, is read-only and replicates from {source}: somebody \
             moved the role"
        );
        return Diagnosis::NoPrimary { reason };
    }
    let ahead = snapshot
        .all_live()
        .filter(|(a, f)| {
            *a != primary && !facts.executed.covers(&f.holds(&snapshot.policy.channel))
        })
        .map(|(a, _)| a.clone())
        .collect();
    Diagnosis::PrimaryReadOnly {
        primary: primary.clone(),
        restarted: Millis::from_secs(facts.uptime_seconds) < RECENT_START,
        ahead,
    }
}

/// The source of a primary that is a replica itself: one outside, or one of ours that does not
/// replicate from it in turn (as the other server of a co-primary pair does).
fn follows_another(
    snapshot: &ClusterSnapshot,
    primary: &Address,
    facts: &ServerFacts,
) -> Option<Address> {
    let channel = facts.channel(&snapshot.policy.channel)?;
    match topology::source_of(snapshot, channel) {
        Some(source) if topology::descends_from(snapshot, &source, primary) => None,
        Some(source) => Some(source),
        None => Some(channel.source.clone()),
    }
}

fn failing(
    snapshot: &ClusterSnapshot,
    primary: &Address,
    since: Moment,
    failures: u32,
    last: &ContactFailure,
) -> Diagnosis {
    // A server that can write no log answers no question about it, and its clients pile up until no
    // connection is left: what it says of the write itself counts for more.
    let open =
        snapshot.server(primary).and_then(|s| s.facts.as_ref()).is_some_and(|f| f.writable());
    if open
        && (*last == ContactFailure::Silent || last.proves_life())
        && let Some(diagnosis) = writes::cannot_write(snapshot, primary)
    {
        return diagnosis;
    }
    let primary = primary.clone();
    if last.proves_life() {
        return Diagnosis::PrimaryRefusesUs { primary, answer: last.clone() };
    }
    let evidence = evidence::gather(snapshot, &primary, since);
    let process = snapshot.server(&primary).and_then(|s| s.process);
    match process {
        Some(ProcessState::Exited { clean: Some(true) }) => {
            return stopped(snapshot, primary, since, evidence);
        }
        // The operating system's word is a fact, whatever others have noticed so far.
        Some(ProcessState::Exited { .. }) => {
            return Diagnosis::PrimaryDead { primary, death: Death::ProcessGone, since, evidence };
        }
        _ => {}
    }
    let frozen = matches!(process, Some(ProcessState::Frozen { .. }));
    // A frozen server's kernel still accepts connections, whoever makes them.
    let contradicts = |e: &Evidence| {
        e.weight == Weight::Contradicts && !(frozen && e.observer == Observer::Script)
    };
    if evidence.iter().any(contradicts) {
        return Diagnosis::PrimaryCutOffFromHere { primary, evidence };
    }
    let refused = *last == ContactFailure::Refused;
    if refused && matches!(process, Some(ProcessState::Running { .. })) {
        return restarting(snapshot, primary, since, evidence);
    }
    let others = snapshot.servers.keys().filter(|a| **a != primary);
    let answering = others.clone().filter(|a| snapshot.live(a).is_some()).count();
    let others = others.count();
    if answering * 2 < others || (others > 0 && answering == 0) {
        return Diagnosis::ManagerIsolated { answering, of: others + 1 };
    }
    if !refused && sees_a_minority_of_sites(snapshot) {
        return Diagnosis::ManagerIsolated { answering, of: others + 1 };
    }
    if *last == ContactFailure::ShuttingDown || witness::told_of_shutdown(snapshot, &primary, since)
    {
        return stopped(snapshot, primary, since, evidence);
    }
    let long_enough = failures >= snapshot.policy.timing.ping_failures;
    let veto = secondary::veto(&evidence).filter(|_| !frozen);
    let witnesses = |weight| {
        evidence.iter().any(|e| matches!(e.observer, Observer::Replica(_)) && e.weight == weight)
    };
    // A host whose process was killed has closed its replicas' connections too.
    let connected = witness::some_connected(snapshot, &primary, since);
    let open_question = if !refused && !long_enough {
        format!("{failures} of {} probes have failed", snapshot.policy.timing.ping_failures)
    } else if let Some(veto) = veto {
        veto
    } else if !frozen && witnesses(Weight::Pending) {
        "its replicas have not settled yet whether they lost it".to_owned()
    } else if frozen
        || witnesses(Weight::Confirms)
        || secondary::confirms(&evidence)
        || (refused && long_enough && !connected)
    {
        let death = if refused { Death::Refused } else { Death::Silent };
        return Diagnosis::PrimaryDead { primary, death, since, evidence };
    } else if refused && connected {
        "its host refuses the connection, but a replica is still connected to it; without \
         heartbeats it cannot tell whether it lives. A person can decide with \
         `primacy failover --force`"
            .to_owned()
    } else if refused {
        "its host refuses the connection; no replica can confirm it, so this is tried a few more \
         times"
            .to_owned()
    } else {
        "no replica can tell whether it lives, and silence alone proves nothing; a person can \
         decide with `primacy failover --force`"
            .to_owned()
    };
    Diagnosis::PrimarySuspected { primary, since, evidence, open_question }
}

fn stopped(
    snapshot: &ClusterSnapshot,
    primary: Address,
    since: Moment,
    evidence: Vec<Evidence>,
) -> Diagnosis {
    let dead_at = match snapshot.policy.on_clean_shutdown {
        OnCleanShutdown::Wait(limit) => Some(since + limit),
        OnCleanShutdown::Failover => Some(since),
        OnCleanShutdown::Ignore => None,
    };
    match dead_at {
        Some(at) if snapshot.now >= at => {
            Diagnosis::PrimaryDead { primary, death: Death::StoppedForTooLong, since, evidence }
        }
        dead_at => Diagnosis::PrimaryStopped { primary, since, dead_at },
    }
}

/// Every server that answers stands in a site, and these sites together have no more than half of
/// the servers: the cut may be around them, and the others may see a living primary.
fn sees_a_minority_of_sites(snapshot: &ClusterSnapshot) -> bool {
    let site = |server: &Address| snapshot.policy.server(server).site;
    let answering: Option<BTreeSet<String>> =
        snapshot.all_live().map(|(server, _)| site(server)).collect();
    let Some(answering) = answering.filter(|sites| !sites.is_empty()) else { return false };
    if !snapshot.servers.keys().any(|s| site(s).is_none_or(|name| !answering.contains(&name))) {
        return false;
    }
    let within = |server: &&Address| site(server).is_some_and(|name| answering.contains(&name));
    snapshot.servers.keys().filter(within).count() * 2 <= snapshot.servers.len()
}

/// The process runs and its port is closed: it starts, or recovers after a crash.
fn restarting(
    snapshot: &ClusterSnapshot,
    primary: Address,
    since: Moment,
    evidence: Vec<Evidence>,
) -> Diagnosis {
    let limit = match snapshot.policy.on_clean_shutdown {
        OnCleanShutdown::Wait(limit) => limit,
        OnCleanShutdown::Failover | OnCleanShutdown::Ignore => Millis::from_secs(30),
    };
    let dead_at = since + limit;
    if snapshot.now >= dead_at {
        return Diagnosis::PrimaryDead { primary, death: Death::Refused, since, evidence };
    }
    Diagnosis::PrimaryRestarting { primary, since, dead_at }
}

/// What is wrong besides the primary, one sentence each.
fn problems(snapshot: &ClusterSnapshot, primary: &Address) -> Vec<String> {
    let mut found: Vec<String> = writes::problem(snapshot, primary).into_iter().collect();
    for (address, server) in snapshot.servers.iter().filter(|(a, _)| *a != primary) {
        if let Some(failure) = server.contact.failure() {
            found.push(format!("{address} does not answer ({failure})"));
            continue;
        }
        let Some(facts) = server.live_facts() else {
            continue;
        };
        let Some(channel) = facts.channel(&snapshot.policy.channel) else {
            found.push(format!("{address} does not replicate"));
            continue;
        };
        if !topology::descends_from(snapshot, address, primary) {
            found.push(format!(
                "{address} replicates from {}, not from the primary",
                channel.source
            ));
        }
        if channel.receiver != primacy_types::ReceiverState::Running {
            let why = channel
                .receiver_error
                .as_ref()
                .map_or(String::new(), |e| format!(": {}", e.message));
            found.push(format!("the receiver of {address} does not run{why}"));
        }
        if !channel.applier_running {
            let why = channel
                .applier_error
                .as_ref()
                .map_or(String::new(), |e| format!(": {}", e.message));
            found.push(format!("the applier of {address} does not run{why}"));
        }
    }
    found
}
