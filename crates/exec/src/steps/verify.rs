//! Seeing with one's own eyes that the plan's promises hold.

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
        if !seen.live(primary).is_some_and(|f| f.writable()) {
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
            return Ok(format!("{} replica(s) replicate from {primary}", replicas.len()));
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
