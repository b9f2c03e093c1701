//! Restarts that were given up half way: the replica receives again, or is started.

use std::time::Duration;

use primacy_host::HostAccess;
use primacy_store::{OperationRecord, Outcome};
use primacy_types::{Address, Millis, ProcessState, ReceiverState};
use tokio::time::Instant;

use super::{LIMIT, Operations, answers, end, failed, replicates};
use crate::error::StepError;
use crate::steps::{self, POLL};
use crate::{Cluster, look};

/// How long an operation is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// One that answers for so long is not being shut down.
const STAYS: Duration = Duration::from_secs(3);

/// Brings to its end what an earlier manager had begun and was ended in.
///
/// # Errors
/// If the end cannot be put on record.
pub async fn finish_interrupted(
    cluster: &Cluster,
    record: &OperationRecord,
    operations: &dyn Operations,
) -> Result<(), StepError> {
    let of = |key: &str| record.plan.get(key).cloned().unwrap_or_default();
    let why = "the manager was ended meanwhile";
    let Ok(server) = serde_json::from_value::<Address>(of("server")) else {
        return end(cluster, &record.id, Outcome::Failed, why.to_owned()).await;
    };
    let limit = serde_json::from_value::<Millis>(of("limit")).map_or(LIMIT, Millis::as_duration);
    let done = if record.past_no_return.is_some() {
        runs_again(cluster, &server, limit, operations).await
    } else {
        receives(cluster, &server, operations).await;
        Ok((Outcome::Failed, format!("{server} was not shut down")))
    };
    let (outcome, sentence) = match done {
        Ok((outcome, done)) => (outcome, format!("{why}: {done}")),
        Err(error) => (Outcome::Failed, format!("{why}; look whether {server} runs: {error}")),
    };
    end(cluster, &record.id, outcome, sentence).await
}

/// It was to be shut down, and may be on its way there.
async fn runs_again(
    cluster: &Cluster,
    server: &Address,
    limit: Duration,
    operations: &dyn Operations,
) -> Result<(Outcome, String), StepError> {
    let host = cluster.hosts.of(server).ok_or_else(|| {
        StepError::impossible(server, "there is no access to its host, where it would be started")
    })?;
    if !is_down(cluster, server, host.as_ref(), limit).await? {
        receives(cluster, server, operations).await;
        return Ok((Outcome::Failed, format!("{server} runs")));
    }
    host.start(limit).await.map_err(|source| failed(server, source))?;
    answers(cluster, server, limit).await?;
    is_idle(operations).await;
    let each = cluster.policy.timing.statement_limit;
    let snapshot = cluster.eyes.look(each.as_duration()).await;
    if let Some(primary) = snapshot.primary.as_ref().filter(|primary| *primary != server) {
        replicates(cluster, &snapshot, server, primary).await?;
    }
    Ok((Outcome::Done, format!("{server} was down, and was started again")))
}

/// Whether it is down; one that is being shut down is waited for.
async fn is_down(
    cluster: &Cluster,
    server: &Address,
    host: &dyn HostAccess,
    limit: Duration,
) -> Result<bool, StepError> {
    let each = cluster.policy.timing.statement_limit;
    let end = Instant::now() + limit;
    let mut since = None;
    loop {
        let process = host.process(each.as_duration()).await;
        if matches!(process, Ok(ProcessState::Exited { .. })) {
            return Ok(true);
        }
        match cluster.links.to(server, each.as_duration()).await {
            Ok(_) => {
                let since = *since.get_or_insert_with(Instant::now);
                if since.elapsed() >= STAYS {
                    return Ok(false);
                }
            }
            Err(error) => {
                since = None;
                if Instant::now() >= end {
                    let what = format!("it does not answer, and was not seen to end: {error}");
                    let limit = Millis::from(limit);
                    return Err(StepError::Stalled { server: server.clone(), what, limit });
                }
            }
        }
        tokio::time::sleep(POLL * 5).await;
    }
}

/// A replica that stopped to receive for its restart, and was not shut down, receives again.
pub(super) async fn receives(cluster: &Cluster, server: &Address, operations: &dyn Operations) {
    // An operation has reasons of its own for receivers that are stopped.
    if !is_idle(operations).await {
        tracing::warn!(%server, "an operation is under way: its receiver is left to that");
        return;
    }
    steps::warn_unless_started(server, receive_again(cluster, server).await);
}

/// Waits until no operation is under way.
async fn is_idle(operations: &dyn Operations) -> bool {
    let end = Instant::now() + PATIENCE;
    while operations.busy().is_some() {
        if Instant::now() >= end {
            return false;
        }
        tokio::time::sleep(POLL).await;
    }
    true
}

/// A server whose receiver alone was stopped receives again; one that is away, or whose threads were
/// stopped otherwise, is left alone.
///
/// # Errors
/// That this manager may not act, or what the server answered.
pub async fn receive_again(cluster: &Cluster, server: &Address) -> Result<(), StepError> {
    cluster.lock.permits()?;
    let channel = look::managed(cluster, server, "starting its receiver again").await?;
    let Some(channel) = channel else { return Ok(()) };
    let sealed = channel.receiver == ReceiverState::Stopped && channel.applier_running;
    if sealed && channel.receiver_error.is_none() {
        let limit = cluster.policy.timing.statement_limit;
        steps::start_receiver(cluster, server, limit).await?;
    }
    Ok(())
}
