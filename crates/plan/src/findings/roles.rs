//! Who is primary, who accepts writes, who could take over.

use primacy_types::{Address, ContactFailure, Promotion};

use super::table::{CHECKS, Grade};
use super::view::{Hit, View, and};
use crate::{Exclusion, NoPrimary, find_primary, topology};

pub(super) fn primary_unknown(view: &View<'_>) -> Vec<Hit> {
    if view.primary().is_some() {
        return Vec::new();
    }
    if let Some(recorded) = &view.snapshot().primary {
        return vec![Hit::cluster(
            format!("the recorded primary {recorded} is not among the servers of the cluster"),
            format!("add {recorded} to `servers` in the configuration"),
        )];
    }
    let (why, mend) = match find_primary(view.snapshot()) {
        Ok(_) => return Vec::new(),
        Err(NoPrimary::NotAllSeen(unseen)) => unseen_servers(view, &unseen),
        Err(NoPrimary::Several(writable)) => (
            format!("{} accept writes, and nothing tells which one is meant", and(&writable)),
            "close all but the right one, as several-writable says".to_owned(),
        ),
        Err(NoPrimary::None) => (
            "no server accepts writes, and the replication links do not point to a single server"
                .to_owned(),
            "point the replicas to one server, or open the right one: SET GLOBAL read_only = OFF"
                .to_owned(),
        ),
    };
    vec![Hit::cluster(format!("no primary is known: {why}"), mend)]
}

/// Why the servers that told nothing leave it open, and what helps.
fn unseen_servers(view: &View<'_>, unseen: &[Address]) -> (String, String) {
    let lives = |server: &Address| {
        let failure = view.snapshot().server(server).and_then(|seen| seen.contact.failure());
        failure.is_some_and(ContactFailure::proves_life)
    };
    let (living, gone): (Vec<_>, Vec<_>) = unseen.iter().cloned().partition(lives);
    let mut why = Vec::new();
    let mut mends = Vec::new();
    if !gone.is_empty() {
        why.push(format!("{} never answered", and(&gone)));
        mends.push(format!("bring {} back", and(&gone)));
    }
    if !living.is_empty() {
        why.push(format!("{} never told the manager anything", and(&living)));
        mends.push(format!("let the manager log in to {}: see `unreachable`", and(&living)));
    }
    (format!("{}, and the others do not settle it", why.join(", ")), mends.join("; "))
}

pub(super) fn several_writable(view: &View<'_>) -> Vec<Hit> {
    let writable: Vec<_> =
        view.snapshot().all_live().filter(|(_, f)| f.writable()).map(|(a, _)| a.clone()).collect();
    if writable.len() < 2 {
        return Vec::new();
    }
    let wrong: Vec<_> = writable.iter().filter(|a| !view.is_primary(a)).collect();
    let head = if wrong.len() == writable.len() { "on all but the right one: " } else { "" };
    let statements: Vec<_> =
        wrong.iter().filter_map(|a| Some(format!("on {a}: {}", view.words(a)?.close()))).collect();
    let sentence = format!("{} accept writes at the same time", and(&writable));
    vec![Hit::cluster(sentence, format!("{head}{}", statements.join("; ")))]
}

pub(super) fn primary_read_only(view: &View<'_>) -> Vec<Hit> {
    let Some((primary, facts)) = view.live_primary().filter(|(_, f)| !f.writable()) else {
        return Vec::new();
    };
    let up = facts.uptime_seconds;
    vec![Hit::on(
        primary,
        format!("the primary {primary} does not accept writes (it was started {up} s ago)"),
        "if nobody closed it on purpose: SET GLOBAL read_only = OFF",
    )]
}

pub(super) fn single_server(view: &View<'_>) -> Vec<Hit> {
    let mut servers = view.snapshot().servers.keys();
    match (servers.next(), servers.next()) {
        (Some(only), None) => vec![Hit::cluster(
            format!("{only} is the only server, so nothing can take over from it"),
            "set up a replica and add it to `servers` in the configuration",
        )],
        _ => Vec::new(),
    }
}

pub(super) fn no_candidate(view: &View<'_>) -> Vec<Hit> {
    let Some(primary) = view.primary() else {
        return Vec::new();
    };
    if view.judged.is_empty() || !view.candidates.is_empty() {
        return Vec::new();
    }
    let mut reasons = Vec::new();
    let mut ways = Vec::new();
    for judged in &view.judged {
        let why: Vec<_> = judged.exclusions.iter().map(ToString::to_string).collect();
        reasons.push(format!("{}: {}", judged.server, why.join("; ")));
        let how: Vec<_> = judged.exclusions.iter().map(way_out).collect();
        ways.push(format!("{} ({})", judged.server, how.join("; ")));
    }
    vec![Hit::cluster(
        format!("no server can take over from {primary} ({})", reasons.join(" / ")),
        format!("mend what stands against one of them: {}", ways.join(", ")),
    )]
}

/// Where it is said how to end an exclusion: at the check that is about it, or in the
/// configuration.
pub(super) fn way_out(exclusion: &Exclusion) -> String {
    let explains = |grade: &Grade| matches!(grade, Grade::Excludes(of) if of(exclusion));
    match CHECKS.iter().find(|check| explains(&check.grade)) {
        Some(check) => format!("see {}", check.code),
        None => match exclusion {
            Exclusion::Never => "give it another `promotion` in the configuration".to_owned(),
            Exclusion::OtherSite(_) => "set stay_in_site = false in the configuration".to_owned(),
            Exclusion::LowerTier => "set multi_tier = false in the configuration".to_owned(),
            other => other.to_string(),
        },
    }
}

pub(super) fn reluctant_candidates(view: &View<'_>) -> Vec<Hit> {
    let reluctant = |server: &primacy_types::Address| {
        view.is_delayed(server) || view.policy().server(server).promotion == Promotion::Last
    };
    if view.candidates.is_empty() || !view.candidates.iter().all(reluctant) {
        return Vec::new();
    }
    vec![Hit::cluster(
        format!(
            "only {} could take over: delayed, or wanted only as the last",
            and(&view.candidates)
        ),
        "add a replica that is neither, or change `promotion` or `delayed` in the configuration",
    )]
}

pub(super) fn read_only_off(view: &View<'_>) -> Vec<Hit> {
    let open = view.replicas().filter(|(_, f, _)| f.writable());
    open.filter(|_| view.primary().is_some())
        .filter_map(|(a, _, _)| {
            let sentence = format!("the replica {a} accepts writes (read_only is off)");
            Some(Hit::on(a, sentence, view.words(a)?.close()))
        })
        .collect()
}

pub(super) fn super_read_only_off(view: &View<'_>) -> Vec<Hit> {
    view.replicas()
        .filter(|(_, f, _)| f.read_only && f.super_read_only == Some(false))
        .filter_map(|(a, _, _)| {
            let sentence = format!("accounts with SUPER can write on the replica {a}");
            Some(Hit::on(a, sentence, view.words(a)?.set("super_read_only", "ON")))
        })
        .collect()
}

pub(super) fn co_primary(view: &View<'_>) -> Vec<Hit> {
    let snapshot = view.snapshot();
    let channel = &view.policy().channel;
    let mut hits = Vec::new();
    for (one, _) in snapshot.all_live() {
        let Some(other) = topology::managed_source(snapshot, one).filter(|other| one < other)
        else {
            continue;
        };
        if topology::managed_source(snapshot, &other).as_ref() != Some(one) {
            continue;
        }
        let end = if view.is_primary(&other) { &other } else { one };
        let Some(words) = view.words(end) else {
            continue;
        };
        hits.push(Hit::on(
            end,
            format!(
                "{one} and {other} replicate from each other; after a failover or switchover the \
                 old primary is a plain replica"
            ),
            format!("if the way back is not wanted, on {end}: {}", words.detach(channel)),
        ));
    }
    hits
}
