//! Making sure that a server accepts no more writes.

use std::sync::Arc;
use std::time::Duration;

use primacy_host::{Fence, HostAccess, LocalFence, LocalHost, Way};
use primacy_types::{Address, FenceRung, Millis, ServerFacts};
use serde_json::Value;

use crate::error::StepError;
use crate::{Cluster, identity, look};

/// Uses the rung of the plan. Without one there is nothing to do: the plan has said what that
/// means, and policy or a person has agreed.
pub(super) async fn fence(
    cluster: &Cluster,
    server: &Address,
    rung: Option<FenceRung>,
    limit: Millis,
    noted: &Value,
) -> Result<String, StepError> {
    let Some(rung) = rung else {
        return Ok(format!("{server} was not fenced"));
    };
    let failed = |source| StepError::Host { server: server.clone(), source: Box::new(source) };
    let host = match cluster.hosts.of(server) {
        Some(host) => host,
        None => found_again(cluster, server, noted, limit).await?,
    };
    let fence = LocalFence::new(host, limit.as_duration()).await.map_err(failed)?;
    let report = fence.fence(limit.as_duration()).await;
    let report = report.map_err(failed)?;
    tracing::debug!(?report, %server, "fenced");
    Ok(format!("{server} is fenced: {}", rung.guarantee()))
}

/// What the server said of itself, so that a restarted manager recognises its process although
/// the server can no longer be asked.
pub(super) fn before(cluster: &Cluster, server: &Address) -> Value {
    let facts = cluster.eyes.remembered().server(server).and_then(|s| s.facts.clone());
    serde_json::to_value(facts).unwrap_or_default()
}

async fn found_again(
    cluster: &Cluster,
    server: &Address,
    noted: &Value,
    limit: Millis,
) -> Result<Arc<dyn HostAccess>, StepError> {
    let Ok(Some(facts)) = serde_json::from_value::<Option<ServerFacts>>(noted.clone()) else {
        return Err(StepError::impossible(server, "its process was never seen on this machine"));
    };
    let host = LocalHost::expected(&identity(server, &facts), limit.as_duration())
        .await
        .map_err(|source| StepError::Host { server: server.clone(), source: Box::new(source) })?;
    let host: Arc<dyn HostAccess> = Arc::new(host);
    cluster.hosts.set(server.clone(), Arc::clone(&host));
    Ok(host)
}

/// Lets a fenced server be started again.
pub(crate) async fn release(cluster: &Cluster, server: &Address) -> Result<(), StepError> {
    let Some(host) = cluster.hosts.of(server) else { return Ok(()) };
    host.release()
        .await
        .map_err(|source| StepError::Host { server: server.clone(), source: Box::new(source) })
}

/// Longest wait for the word of a server that most likely is dead.
const LAST_WORD: Duration = Duration::from_millis(200);

/// Whether a server answers and accepts writes.
pub(crate) async fn accepts_writes(cluster: &Cluster, server: &Address) -> bool {
    let asked = async {
        let mut link = cluster.links.to(server, LAST_WORD).await.ok()?;
        look::facts(&mut link, Millis(LAST_WORD.as_millis() as u64)).await.ok()
    };
    let facts = tokio::time::timeout(LAST_WORD, asked).await.ok().flatten();
    facts.is_some_and(|facts| facts.writable())
}

/// Closes a server by SQL: read-only, application sessions ended.
pub(crate) async fn close_by_sql(cluster: &Cluster, server: &Address) -> Result<(), StepError> {
    let limit = cluster.policy.timing.statement_limit;
    let at = |e| StepError::at(server, "closing it")(e);
    let mut link = cluster.links.to(server, limit.as_duration()).await.map_err(at)?;
    for close in link.dialect().close_to_writes() {
        link.execute(close, limit.as_duration()).await.map_err(at)?;
    }
    super::block::end_sessions(cluster, server, &mut link, limit).await?;
    let facts = look::facts(&mut link, limit).await.map_err(at)?;
    if facts.writable() {
        return Err(StepError::impossible(server, "it stays writable"));
    }
    Ok(())
}

/// A server that may have been opened without our hearing of it is closed: by SQL if it answers,
/// else by killing it. An error if neither could be done.
pub(crate) async fn make_sure_it_is_closed(
    cluster: &Cluster,
    server: &Address,
) -> Result<(), StepError> {
    let limit = cluster.policy.timing.statement_limit;
    match close_by_sql(cluster, server).await {
        Ok(()) => Ok(()),
        Err(_) if cluster.hosts.of(server).is_some_and(|host| host.way() == Way::Local) => {
            fence(cluster, server, Some(FenceRung::Local), limit, &Value::Null).await.map(|_| ())
        }
        // Nothing listens there: it comes back read-only or is set so on sight.
        Err(StepError::Server { source, .. })
            if matches!(*source, primacy_wire::WireError::Refused { .. }) =>
        {
            Ok(())
        }
        Err(error) => Err(error),
    }
}
