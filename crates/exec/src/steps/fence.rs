//! Making sure that a server accepts no more writes.

mod power;

pub(super) use power::answers_over_ssh;

use std::sync::Arc;
use std::time::Duration;

use primacy_host::{Fence, HostAccess, HostFence, LocalHost, Way};
use primacy_types::{Address, FenceRung, Millis, ServerFacts};
use serde_json::Value;

use crate::error::StepError;
use crate::shared::Shared;
use crate::{Cluster, identity, look};

/// Uses the rung of the plan, and if that fails those below it that are there by then. Without one
/// there is nothing to do: the plan has said what that means, and policy or a person has agreed.
pub(super) async fn fence(
    cluster: &Cluster,
    server: &Address,
    rung: Option<FenceRung>,
    limit: Millis,
    noted: &Value,
    shared: Option<&Shared>,
) -> Result<String, StepError> {
    let Some(rung) = rung else {
        return Ok(format!("{server} was not fenced"));
    };
    let step = Step { cluster, server, limit, noted, shared };
    let mut tried = step.climb(rung).await.map(|said| (rung, said));
    if tried.is_err() {
        let remembered = cluster.eyes.remembered();
        let there = remembered.server(server).map(|s| s.fences.clone()).unwrap_or_default();
        for next in there.into_iter().filter(|next| *next > rung) {
            if let Err(error) = &tried {
                tracing::warn!(%server, %error, "the fence {rung} failed; {next} is next");
            }
            tried = step.climb(next).await.map(|said| (next, said));
            if tried.is_ok() {
                break;
            }
        }
    }
    let (by, said) = tried?;
    cluster.leases.fenced(&cluster.name, server).await;
    let said = said.unwrap_or_else(|| by.guarantee().to_owned());
    Ok(format!("{server} is fenced ({by}): {said}"))
}

/// What every rung needs.
struct Step<'a> {
    cluster: &'a Cluster,
    server: &'a Address,
    limit: Millis,
    noted: &'a Value,
    /// Of the operation; without one nobody is powered off.
    shared: Option<&'a Shared>,
}

impl Step<'_> {
    /// One rung of the ladder; gives what there is to say beside what it guarantees.
    async fn climb(&self, rung: FenceRung) -> Result<Option<String>, StepError> {
        let Self { cluster, server, limit, noted, shared } = *self;
        let failed = |source| StepError::Host { server: server.clone(), source: Box::new(source) };
        if rung == FenceRung::Lease {
            // The lease is longer than the limit of a statement may be.
            let wait = Millis(limit.0.max(cluster.policy.timing.lease.times(2).0));
            let run_out = cluster.leases.has_run_out(&cluster.name, server, wait).await;
            let run_out = run_out.map_err(|e| StepError::impossible(server, e.to_string()));
            return run_out.map(|()| None);
        }
        if rung == FenceRung::Script {
            return match shared {
                Some(shared) => power::fence(cluster, server, shared).await.map(Some),
                None => Err(StepError::impossible(server, "only a failover may power it off")),
            };
        }
        let host = match cluster.hosts.of(server) {
            Some(host) => host,
            None if rung == FenceRung::Local => found_again(cluster, server, noted, limit).await?,
            None => reached_again(cluster, server, limit).await?,
        };
        let fence = HostFence::new(host, limit.as_duration()).await.map_err(failed)?;
        let report = fence.fence(limit.as_duration()).await.map_err(failed)?;
        tracing::debug!(?report, %server, "fenced");
        Ok(None)
    }
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

/// The host of a server on another machine, which a restarted manager is about to reach again. Its
/// process must not be looked for here: not finding it would prove nothing.
async fn reached_again(
    cluster: &Cluster,
    server: &Address,
    limit: Millis,
) -> Result<Arc<dyn HostAccess>, StepError> {
    let reached = async {
        loop {
            if let Some(host) = cluster.hosts.of(server) {
                return host;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    let reached = tokio::time::timeout(limit.as_duration(), reached).await;
    reached.map_err(|_| StepError::impossible(server, "there is no way to its host now"))
}

/// Lets a fenced server be started again.
pub(crate) async fn release(cluster: &Cluster, server: &Address) -> Result<(), StepError> {
    let Some(host) = cluster.hosts.of(server) else { return Ok(()) };
    host.release()
        .await
        .map_err(|source| StepError::Host { server: server.clone(), source: Box::new(source) })
}

/// How often it is looked whether there is a way to a host again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

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

/// The rung with which a server's process can be killed, if there is one.
fn rung_of(cluster: &Cluster, server: &Address) -> Option<FenceRung> {
    match cluster.hosts.of(server)?.way() {
        Way::Local => Some(FenceRung::Local),
        Way::Agent => Some(FenceRung::Agent),
        Way::Ssh => Some(FenceRung::Ssh),
        _ => None,
    }
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
        Err(_) if rung_of(cluster, server).is_some() => {
            let rung = rung_of(cluster, server);
            fence(cluster, server, rung, limit, &Value::Null, None).await.map(|_| ())
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
