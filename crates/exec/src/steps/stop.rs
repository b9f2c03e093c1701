//! Stopping replication of a server that has applied everything whole that it received.

use std::time::Duration;

use primacy_probe::{Threads, Unfinished};
use primacy_types::{Address, Millis, ServerFacts};
use primacy_wire::WireError;
use tokio::time::Instant;

use super::POLL;
use crate::error::StepError;
use crate::links::Link;
use crate::{Cluster, look};

/// Without a table that tells: an idle applier whose place has not reached what was received for so
/// long stands in the middle of a transaction. Parallel appliers write down how far they are every
/// 300 ms (MySQL `slave_checkpoint_period`).
const SETTLED: Duration = Duration::from_secs(1);

/// How long an applier that was killed may take to end.
const ENDING: Duration = Duration::from_secs(5);

/// Stops both threads of the managed channel.
pub(super) async fn stop(
    cluster: &Cluster,
    server: &Address,
    link: &mut Link,
    limit: Millis,
) -> Result<(), StepError> {
    let doing = "stopping replication";
    stop_both(cluster, link, limit).await.map_err(StepError::at(server, doing))
}

async fn stop_both(cluster: &Cluster, link: &mut Link, limit: Millis) -> Result<(), WireError> {
    let dialect = link.dialect();
    let name = &cluster.policy.channel;
    if dialect.stop_may_wait() {
        link.execute(&dialect.stop(Threads::Receiver, name), limit.as_duration()).await?;
        if let Some(session) = coordinator_in_the_middle(cluster, link, limit).await? {
            tracing::debug!(server = %link.address(), session, "ends an unfinished transaction");
            link.execute(&dialect.kill(session), limit.as_duration()).await?;
            let end = Instant::now() + ENDING.min(limit.as_duration());
            let running = |f: &ServerFacts| f.channel(name).is_some_and(|c| c.applier_running);
            while running(&look::facts(link, limit).await?) && Instant::now() < end {
                tokio::time::sleep(POLL).await;
            }
        }
    }
    link.execute(&dialect.stop(Threads::Both, name), limit.as_duration()).await?;
    Ok(())
}

/// The session of an applier that waits for the rest of a transaction, if it does.
async fn coordinator_in_the_middle(
    cluster: &Cluster,
    link: &mut Link,
    limit: Millis,
) -> Result<Option<u64>, WireError> {
    let dialect = link.dialect();
    let name = &cluster.policy.channel;
    if let Some(sql) = dialect.unfinished_transaction(name) {
        let rows = link.query(&sql, limit.as_duration()).await?;
        match dialect.unfinished_from(rows.first()) {
            Unfinished::No => return Ok(None),
            Unfinished::Yes(session) => return Ok(Some(session)),
            Unfinished::AmongIdle => {}
        }
    } else if link
        .query(dialect.old_parallel_workers(), limit.as_duration())
        .await?
        .first()
        .is_none_or(|row| row.at(0).is_none_or(|workers| workers == "0"))
    {
        // A single applier stops at once.
        return Ok(None);
    }
    let began = Instant::now();
    loop {
        let facts = look::facts(link, limit).await?;
        let waits = facts.channel(name).is_some_and(|c| c.applier_idle && c.applied < c.read);
        if !waits {
            return Ok(None);
        }
        if began.elapsed() >= SETTLED {
            break;
        }
        tokio::time::sleep(POLL).await;
    }
    if are_workers_busy(link, limit).await? {
        return Ok(None);
    }
    let rows = link.query(dialect.process_list(), limit.as_duration()).await?;
    let mut idle = rows.iter().filter_map(|row| dialect.idle_applier(row));
    // With several channels it cannot be told which is meant; then the STOP waits.
    Ok(match (idle.next(), idle.next()) {
        (Some(session), None) => Some(session),
        _ => None,
    })
}

/// Whether any thread of replication is at work: with parallel appliers the coordinator has read
/// everything long before its workers have applied it.
pub(super) async fn are_workers_busy(link: &mut Link, limit: Millis) -> Result<bool, WireError> {
    let dialect = link.dialect();
    let rows = link.query(dialect.process_list(), limit.as_duration()).await?;
    Ok(rows.iter().any(|row| dialect.is_busy_applier(row)))
}
