//! Seeing with one's own eyes that the plan's promises hold.

use primacy_probe::precheck;
use primacy_types::{Address, Millis, ReceiverState};

use super::POLL;
use crate::Cluster;
use crate::error::StepError;

/// The primary accepts writes, and every replica receives from it and applies. Replicas that do
/// not are named; the manager goes on repairing them.
pub(super) async fn verify(
    cluster: &Cluster,
    primary: &Address,
    replicas: &[Address],
    limit: Millis,
    old: &Address,
) -> Result<String, StepError> {
    let end = tokio::time::Instant::now() + limit.as_duration();
    loop {
        let seen = cluster.eyes.look(limit.as_duration()).await;
        let closed = cluster.policy.leaves.closed;
        if !closed && !seen.live(primary).is_some_and(|f| f.writable()) {
            return Err(StepError::impossible(primary, "it does not accept writes"));
        }
        if old != primary && seen.live(old).is_some_and(|f| f.writable()) {
            return Err(StepError::impossible(old, "the old primary accepts writes"));
        }
        let missing: Vec<String> = replicas
            .iter()
            .filter(|replica| {
                !seen.live_channel(replica).is_some_and(|c| {
                    primacy_plan::source_of(&seen, c).as_ref() == Some(primary)
                        && c.receiver == ReceiverState::Running
                        && c.applier_running
                })
            })
            .map(ToString::to_string)
            .collect();
        if missing.is_empty() {
            let waiting = undecided(cluster, primary, limit).await;
            return Ok(format!("{} replica(s) replicate from {primary}{waiting}", replicas.len()));
        }
        if tokio::time::Instant::now() >= end {
            return Err(StepError::Stalled {
                server: primary.clone(),
                what: format!("{} do(es) not replicate from it yet", missing.join(", ")),
                limit,
            });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Prepared XA transactions came to the new primary with its data. They are listed for whoever has
/// to decide them, and left alone.
async fn undecided(cluster: &Cluster, primary: &Address, limit: Millis) -> String {
    let Ok(mut link) = cluster.links.to(primary, limit.as_duration()).await else {
        return String::new();
    };
    match precheck::prepared_xa(&mut link, limit.as_duration()).await {
        Ok(all) if !all.is_empty() => {
            let all: Vec<_> = all.into_iter().map(|xa| xa.xid).collect();
            format!("; prepared XA transactions wait there for a decision: {}", all.join("; "))
        }
        _ => String::new(),
    }
}
