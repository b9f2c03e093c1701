//! A server whose relay logs or data are about to go has nothing that only it holds.

use std::time::Duration;

use primacy_plan::held_by_nobody_else;
use primacy_types::{Address, Millis, ReceiverState, TransactionSet};
use tokio::time::Instant;

use super::{POLL, receivers};
use crate::error::StepError;
use crate::{Cluster, look};

/// Stops its receiver, and waits until the primary and another replica, where there is one, hold all that
/// it received: it may have acknowledged what nobody else has yet. Without GTID that cannot be compared,
/// and nothing is done.
///
/// # Errors
/// What stands in the way, or that `limit` has passed; it receives again then, if it did before.
pub async fn leave_to_others(
    cluster: &Cluster,
    server: &Address,
    limit: Duration,
) -> Result<(), StepError> {
    let each = cluster.policy.timing.statement_limit;
    let channel = look::managed(cluster, server, "looking at replication").await?;
    let Some(channel) = channel else { return Ok(()) };
    if !channel.positioning.is_gtid() {
        return Ok(());
    }
    let received = channel.receiver != ReceiverState::Stopped;
    if received {
        receivers::seal(cluster, std::slice::from_ref(server), each).await?;
    }
    let held = held_by_others(cluster, server, limit).await;
    if held.is_err() && received {
        let started = receivers::start(cluster, server, each).await;
        receivers::warn_unless_started(server, started);
    }
    held
}

async fn held_by_others(
    cluster: &Cluster,
    server: &Address,
    limit: Duration,
) -> Result<(), StepError> {
    let each = cluster.policy.timing.statement_limit;
    let end = Instant::now() + limit;
    let all = all_that_it_may_have_acknowledged(cluster, server).await?;
    loop {
        let seen = cluster.eyes.look(each.as_duration()).await;
        let Some(why) = held_by_nobody_else(&seen, server, &all) else { return Ok(()) };
        if Instant::now() >= end {
            let what = format!("it may be the only one that holds what it received: {why}");
            let (server, limit) = (server.clone(), Millis::from(limit));
            return Err(StepError::Stalled { server, what, limit });
        }
        tokio::time::sleep(POLL * 5).await;
    }
}

/// What it received, and what the primary has when it receives no more: what a server received before
/// its last start, it does not say.
async fn all_that_it_may_have_acknowledged(
    cluster: &Cluster,
    server: &Address,
) -> Result<TransactionSet, StepError> {
    let each = cluster.policy.timing.statement_limit;
    let doing = "asking what it has";
    let channel = look::managed(cluster, server, doing).await?;
    let Some(primary) = cluster.eyes.remembered().primary.filter(|primary| primary != server)
    else {
        return Err(StepError::impossible(server, "no other primary is known"));
    };
    let at = || StepError::at(&primary, doing);
    let mut link = cluster.links.to(&primary, each.as_duration()).await.map_err(at())?;
    let written = look::executed(&mut link, each).await.map_err(at())?;
    Ok(match channel.and_then(|channel| channel.received) {
        Some(received) => written.union(&received),
        None => written,
    })
}
