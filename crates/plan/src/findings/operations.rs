//! Fences, epochs, and what the planners and the policy say about a failover or switchover now.

use primacy_types::{HostAccessKind, RefuseOrProceed};

use super::view::{Hit, View};
use crate::{Refusal, WriteCause, write_cause, writes};

/// The primary that cannot be fenced, if the policy for that is this one.
fn unfenced(view: &View<'_>, policy: RefuseOrProceed, sentence: &str, mend: &str) -> Vec<Hit> {
    let Some(primary) = view.primary().filter(|_| view.policy().unfenced == policy) else {
        return Vec::new();
    };
    let server = view.snapshot().server(primary);
    if server.is_none_or(|s| !s.fences.is_empty()) {
        return Vec::new();
    }
    vec![Hit::on(primary, format!("the primary {primary} {sentence}"), mend)]
}

pub(super) fn no_fence(view: &View<'_>) -> Vec<Hit> {
    unfenced(
        view,
        RefuseOrProceed::Refuse,
        "cannot be fenced, so it is not replaced if it only falls silent",
        "let the manager reach its host (host_access = \"agent\", \"ssh\", or \"local\" where it \
         runs on the same machine), or take the risk of two writable servers with unfenced = \
         \"proceed\" in `policy`",
    )
}

pub(super) fn no_fence_proceed(view: &View<'_>) -> Vec<Hit> {
    unfenced(
        view,
        RefuseOrProceed::Proceed,
        "cannot be fenced and is replaced if it falls silent: it may then accept writes that \
         nobody else gets",
        "let the manager reach its host (host_access = \"agent\", \"ssh\", or \"local\" where it \
         runs on the same machine), or set unfenced = \"refuse\" in `policy`; read_only = ON in \
         its option file at least closes it when it is restarted",
    )
}

pub(super) fn process_unknown(view: &View<'_>) -> Vec<Hit> {
    let servers = view.snapshot().servers.iter().filter(|(address, server)| {
        view.policy().server(address).host_access == HostAccessKind::Local
            && server.process.is_none()
    });
    servers
        .map(|(address, server)| {
            let file = server.facts.as_ref().map(|f| f.pid_file.as_str()).unwrap_or_default();
            let see = if file.is_empty() {
                "let the manager run on its machine".to_owned()
            } else {
                format!("let the manager run on its machine, with the right to read {file}")
            };
            Hit::on(
                address,
                format!("host_access of {address} is \"local\", but its process is not found"),
                format!("{see}; or set host_access = \"none\" for it in the configuration"),
            )
        })
        .collect()
}

pub(super) fn epoch_ahead(view: &View<'_>) -> Vec<Hit> {
    let ours = view.snapshot().epoch;
    let mut hits = Vec::new();
    for (address, facts) in view.snapshot().all_live() {
        if let Some(theirs) = facts.epoch.filter(|theirs| *theirs > ours) {
            hits.push(Hit::on(
                address,
                format!("{address} records epoch {theirs}, and the manager is in epoch {ours}"),
                "SELECT * FROM primacy.epoch says who was promoted; stop any other manager of \
                 this cluster, then restart this one",
            ));
        }
    }
    hits
}

pub(super) fn paused(view: &View<'_>) -> Vec<Hit> {
    if !view.snapshot().paused {
        return Vec::new();
    }
    vec![Hit::cluster(
        "the cluster is paused: a dead primary is not replaced",
        format!("primacy resume {}", view.snapshot().cluster),
    )]
}

pub(super) fn failover_blocked(view: &View<'_>) -> Vec<Hit> {
    let snapshot = view.snapshot();
    let until = snapshot.last_failover.map(|at| at + snapshot.policy.timing.failover_block);
    let Some(until) = until.filter(|until| *until > snapshot.now) else {
        return Vec::new();
    };
    let left = until.since(snapshot.now);
    vec![Hit::cluster(
        format!(
            "the last failover is so recent that for {left} more no other one follows by itself"
        ),
        format!("primacy resume {} lifts the block", snapshot.cluster),
    )]
}

pub(super) fn automatic_failover_off(view: &View<'_>) -> Vec<Hit> {
    if view.policy().automatic_failover {
        return Vec::new();
    }
    vec![Hit::cluster(
        "a dead primary is not replaced by itself (automatic_failover = false)",
        "automatic_failover = true in `policy`; until then `primacy failover` does it",
    )]
}

pub(super) fn write_probe_off(view: &View<'_>) -> Vec<Hit> {
    if view.policy().write_limit().is_some() {
        return Vec::new();
    }
    vec![Hit::cluster(
        "a primary that answers and cannot commit, because its disk is full, is not noticed \
         (write_probe = \"off\")",
        "write_probe = \"10s\" in `policy`, or another time that no commit of yours needs",
    )]
}

pub(super) fn writes_held_up(view: &View<'_>) -> Vec<Hit> {
    let Some(primary) = view.primary() else { return Vec::new() };
    let Some(trouble) = view.snapshot().server(primary).and_then(|s| s.writes.as_ref()) else {
        return Vec::new();
    };
    let mend = match write_cause(&trouble.word) {
        WriteCause::Storage | WriteCause::Hang => "free space on its disk, or look at its storage",
        WriteCause::Lock => "see who holds the lock: SHOW PROCESSLIST on the primary",
        WriteCause::Acknowledgement => "let replicas that acknowledge receive again",
        WriteCause::ReadOnly => "see `primacy explain`",
        WriteCause::Privilege => "`primacy grants` says what the manager's account needs",
        WriteCause::Other => "mend what the server complains of, or set write_probe = \"off\"",
    };
    vec![Hit::on(
        primary,
        format!("the primary {primary} does not commit: {}", writes::said(&trouble.word)),
        mend,
    )]
}

pub(super) fn failover_held(view: &View<'_>) -> Vec<Hit> {
    reasons(view.failover.as_ref().filter(|refusal| refusal.held), "would wait")
}

pub(super) fn failover_refused(view: &View<'_>) -> Vec<Hit> {
    reasons(view.failover.as_ref().filter(|refusal| !refusal.held), "would be refused")
}

pub(super) fn switchover_refused(view: &View<'_>) -> Vec<Hit> {
    reasons(view.switchover.as_ref(), "would be refused")
}

fn reasons(refusal: Option<&Refusal>, what: &str) -> Vec<Hit> {
    let Some(refusal) = refusal else {
        return Vec::new();
    };
    let kind = refusal.kind;
    refusal
        .reasons
        .iter()
        .map(|r| Hit::cluster(format!("a {kind} {what}: {}", r.why), r.remedy.clone()))
        .collect()
}
