//! A replica that is to be shut down has nothing left that only its relay logs hold.

use std::time::Duration;

use primacy_types::{Address, Millis, ReceiverState};

use super::{apply, leave_to_others, places, receivers};
use crate::error::StepError;
use crate::{Cluster, look};

/// Stops its receiver and has it apply what it received: it may have acknowledged transactions that
/// nobody else has, and MariaDB with GTIDs drops its relay logs when it starts. Of one that applies
/// nothing now (delayed, or stopped by an error) others have to hold what it received.
///
/// # Errors
/// What stands in the way, or that `limit` has passed; it receives again then.
pub(crate) async fn empty_relay_logs(
    cluster: &Cluster,
    server: &Address,
    limit: Duration,
) -> Result<(), StepError> {
    let each = cluster.policy.timing.statement_limit;
    let channel = look::managed(cluster, server, "looking at replication").await?;
    let Some(channel) = channel else { return Ok(()) };
    // One that somebody stopped is started with the receiver's end, as it would be with the server.
    let could_apply = channel.applier_error.is_none() && channel.receiver != ReceiverState::Stopped;
    if !(channel.applier_running || could_apply) || channel.delay_seconds > 0 {
        return leave_to_others(cluster, server, limit).await;
    }
    let this = std::slice::from_ref(server);
    receivers::seal(cluster, this, each).await?;
    let stall = cluster.policy.timing.stall_limit;
    let drain = async {
        match channel.positioning.is_gtid() {
            true => apply::drain(cluster, server, stall).await,
            false => places::drain(cluster, server, stall).await,
        }
    };
    let drained = tokio::time::timeout(limit, drain).await.unwrap_or_else(|_| {
        let what = "it has not applied everything that it received".to_owned();
        Err(StepError::Stalled { server: server.clone(), what, limit: Millis::from(limit) })
    });
    if drained.is_err() {
        let started = receivers::start(cluster, server, each).await;
        receivers::warn_unless_started(server, started);
    }
    drained.map(drop)
}
