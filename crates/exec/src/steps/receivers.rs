//! Stopping receivers, so that what a replica holds is final; and starting them again.

use futures_util::future::join_all;
use primacy_probe::Threads;
use primacy_types::{Address, Millis, ReceiverState};
use primacy_wire::WireError;
use serde_json::Value;

use crate::error::StepError;
use crate::links::Link;
use crate::{Cluster, look};

/// Which of the servers had a receiver that was meant to run.
pub(super) fn before(cluster: &Cluster, servers: &[Address]) -> Value {
    let seen = cluster.eyes.remembered();
    let running = servers
        .iter()
        .filter(|s| seen.live_channel(s).is_some_and(|c| c.receiver != ReceiverState::Stopped));
    running.map(ToString::to_string).collect()
}

/// Stops the receivers of all servers at once. A server that cannot be asked is left to the
/// measurement that follows; if none could be stopped the step fails.
pub(super) async fn seal(
    cluster: &Cluster,
    servers: &[Address],
    limit: Millis,
) -> Result<String, StepError> {
    // A replica that hangs at this very moment must not hold up the others.
    let limit = limit.min(Millis::from_secs(2));
    let stops = servers.iter().map(|server| stop(cluster, server, limit));
    let mut first = None;
    let mut failed = 0;
    for result in join_all(stops).await {
        if let Err(error) = result {
            failed += 1;
            first = first.or(Some(error));
        }
    }
    match first {
        Some(error) if failed == servers.len() => Err(error),
        Some(error) => Ok(format!("{failed} of {} could not be stopped: {error}", servers.len())),
        None => Ok(String::new()),
    }
}

async fn stop(cluster: &Cluster, server: &Address, limit: Millis) -> Result<(), StepError> {
    let doing = "stopping the receiver";
    let mut link = cluster
        .links
        .to(server, limit.as_duration())
        .await
        .map_err(StepError::at(server, doing))?;
    stop_on(cluster, server, &mut link, limit).await
}

/// Stops the receiver over this link; the applier goes on, or is started if somebody stopped it.
pub(super) async fn stop_on(
    cluster: &Cluster,
    server: &Address,
    link: &mut Link,
    limit: Millis,
) -> Result<(), StepError> {
    let doing = "stopping the receiver";
    let dialect = link.dialect();
    let name = &cluster.policy.channel;
    // MariaDB with GTID drops the relay log when a thread is started while none runs (seen on
    // 10.5 to 11.8). An applier that somebody stopped is therefore started while the receiver
    // still exists, or what it has not applied would be lost.
    let facts = look::facts(link, limit).await.map_err(StepError::at(server, doing))?;
    let idle = facts.channel(name).is_some_and(|c| {
        !c.applier_running && c.applier_error.is_none() && c.receiver != ReceiverState::Stopped
    });
    if idle {
        let start = dialect.start(Threads::Applier, name);
        let doing = "starting the applier";
        link.execute(&start, limit.as_duration()).await.map_err(StepError::at(server, doing))?;
    }
    let farewell = hurry(link, limit).await.map_err(StepError::at(server, doing))?;
    let sql = dialect.stop(Threads::Receiver, name);
    link.execute(&sql, limit.as_duration()).await.map_err(StepError::at(server, doing))?;
    if let Some(as_before) = farewell {
        link.execute(&as_before, limit.as_duration())
            .await
            .map_err(StepError::at(server, doing))?;
    }
    Ok(())
}

/// A receiver does not wait long for a farewell to a source that is dead; gives the statement that
/// puts its patience back.
async fn hurry(link: &mut Link, limit: Millis) -> Result<Option<String>, WireError> {
    let Some(variable) = link.dialect().farewell_timeout() else { return Ok(None) };
    let asked = link.query(&format!("SELECT @@GLOBAL.{variable}"), limit.as_duration()).await;
    let asked = match asked {
        Ok(rows) => rows,
        // A binlog server has no such variable, and ends at once.
        Err(WireError::Server { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let was: Option<u64> = asked.first().and_then(|row| row.at(0)).and_then(|t| t.parse().ok());
    let Some(was) = was.filter(|was| *was > 1) else { return Ok(None) };
    match link.execute(&format!("SET GLOBAL {variable} = 1"), limit.as_duration()).await {
        Ok(_) => Ok(Some(format!("SET GLOBAL {variable} = {was}"))),
        // Without the privilege it only takes longer.
        Err(WireError::Server { .. } | WireError::AccessDenied { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Starts the receivers again that ran before.
pub(crate) async fn start_receivers(
    cluster: &Cluster,
    before: &Value,
    limit: Millis,
) -> Result<(), StepError> {
    let mut first = Ok(());
    for server in before.as_array().into_iter().flatten().filter_map(Value::as_str) {
        let Ok(server) = server.parse::<Address>() else { continue };
        let started = start(cluster, &server, limit).await;
        if first.is_ok() {
            first = started;
        }
    }
    first
}

/// Starts the receiver of one.
pub(crate) async fn start(
    cluster: &Cluster,
    server: &Address,
    limit: Millis,
) -> Result<(), StepError> {
    let at = |e| StepError::at(server, "starting the receiver again")(e);
    let mut link = cluster.links.to(server, limit.as_duration()).await.map_err(at)?;
    let sql = link.dialect().start(Threads::Receiver, &cluster.policy.channel);
    link.execute(&sql, limit.as_duration()).await.map_err(at)?;
    Ok(())
}

/// Logs that a receiver stays stopped: whoever had it started again has something else to answer.
pub(crate) fn warn_unless_started(server: &Address, started: Result<(), StepError>) {
    if let Err(error) = started {
        tracing::warn!(%server, %error, "its receiver was not started again");
    }
}
