//! Making a replica the primary: no source any more, its reign on record, writable last.

use std::time::Duration;

use primacy_probe::Dialect;
use primacy_types::{Address, Epoch, Millis};
use primacy_wire::WireError;

use super::stop::stop;
use crate::error::StepError;
use crate::journal::record_primary;
use crate::links::Link;
use crate::shared::{Detached, Shared};
use crate::{Cluster, look};

/// Limit of the look at all servers just before one is opened.
const LAST_LOOK: Duration = Duration::from_millis(500);

/// Ends replication on the managed channel and forgets its configuration, or keeps it. Refuses while anything
/// received is not applied: forgetting would drop it.
pub(super) async fn detach(
    cluster: &Cluster,
    server: &Address,
    keep: bool,
    limit: Millis,
    shared: &Shared,
) -> Result<String, StepError> {
    let by_place = shared.by_place;
    let at = |doing| StepError::at(server, doing);
    let mut link = cluster
        .links
        .to(server, limit.as_duration())
        .await
        .map_err(at("connecting to promote it"))?;
    let mut facts = look::facts(&mut link, limit).await.map_err(at("looking at replication"))?;
    let name = &cluster.policy.channel;
    if facts.channel(name).is_none() {
        return Ok(String::new());
    }
    if by_place {
        // What a relay log has behind the last whole transaction is no transaction.
        facts = super::places::apply_all(cluster, server, &mut link, limit).await?;
        let now = look::channel(cluster, server, &facts)?;
        if let Some(stood) = now.applied.clone() {
            let channel = shared.noted_channel(server).unwrap_or_else(|| now.clone());
            let own = facts.binlog.clone();
            shared.note_detached(server, Detached { stood, own, channel }).await?;
        }
    }
    let holds = if by_place { facts.executed.clone() } else { facts.holds(name) };
    if !facts.executed.covers(&holds) {
        return Err(StepError::impossible(
            server,
            format!("it has not applied {}", holds.beyond(&facts.executed).join(", ")),
        ));
    }
    let dialect = link.dialect();
    stop(cluster, server, &mut link, limit).await?;
    if keep {
        // Nobody serves what it was given last, if that was saved events.
        super::point::forget_the_rescue(cluster, server, shared, limit).await?;
        stop(cluster, server, &mut link, limit).await?;
        return Ok(format!("{server} holds {}; it keeps its settings, stopped", holds.said()));
    }
    let reset = dialect.reset_replica_all(name);
    link.execute(&reset, limit.as_duration()).await.map_err(at("forgetting its source"))?;
    Ok(format!("{server} holds {} and replicates from nobody", holds.said()))
}

/// Records the reign: in the store first, so that it never turns back; then, by policy, in the
/// winner's own table, as its first transaction.
pub(super) async fn record(
    cluster: &Cluster,
    server: &Address,
    epoch: Epoch,
    table: bool,
    limit: Millis,
) -> Result<String, StepError> {
    record_primary(cluster, server, epoch).await?;
    cluster.leases.revoke_below(&cluster.name, epoch).await;
    if table {
        let at = StepError::at(server, "writing the epoch");
        let mut link = cluster
            .links
            .to(server, limit.as_duration())
            .await
            .map_err(StepError::at(server, "writing the epoch"))?;
        match write_epoch(cluster, &mut link, epoch, limit).await {
            // The store has the epoch: a missing privilege must not keep the cluster closed.
            Err(error @ (WireError::Server { .. } | WireError::AccessDenied { .. })) => {
                return Ok(format!("NOT WRITTEN to primacy.epoch: {error}"));
            }
            other => other.map_err(at)?,
        }
    }
    Ok(String::new())
}

/// Writes the row; creates the table where it is missing.
async fn write_epoch(
    cluster: &Cluster,
    link: &mut Link,
    epoch: Epoch,
    limit: Millis,
) -> Result<(), WireError> {
    const NO_SUCH_TABLE: u16 = 1146;
    const NO_SUCH_DATABASE: u16 = 1049;
    let dialect: Dialect = link.dialect();
    let server = link.address().clone();
    if let Some(open) = dialect.open_to_manager() {
        link.execute(open, limit.as_duration()).await?;
    }
    let write = dialect.write_epoch(&cluster.name, epoch, &server);
    match link.execute(&write, limit.as_duration()).await {
        Err(error) if matches!(error.code(), Some(NO_SUCH_TABLE | NO_SUCH_DATABASE)) => {
            for create in dialect.create_epoch_table() {
                link.execute(create, limit.as_duration()).await?;
            }
            link.execute(&write, limit.as_duration()).await?;
        }
        other => {
            other?;
        }
    }
    Ok(())
}

/// Lets applications write. Afterwards the server is asked again: only its own word counts.
pub(super) async fn open(
    cluster: &Cluster,
    server: &Address,
    epoch: Epoch,
    limit: Millis,
) -> Result<String, StepError> {
    let at = |doing| StepError::at(server, doing);
    cluster.leases.grant(&cluster.name, server, epoch).await.map_err(|refused| {
        StepError::impossible(server, format!("it may not be opened: {refused}"))
    })?;
    // Whatever happened since the plan was made: nobody else may accept writes now.
    let seen = cluster.eyes.look(LAST_LOOK).await;
    for (other, _) in seen.all_live().filter(|(a, f)| *a != server && f.writable()) {
        super::close_by_sql(cluster, other).await?;
    }
    let mut link =
        cluster.links.to(server, limit.as_duration()).await.map_err(at("connecting to open it"))?;
    let dialect = link.dialect();
    let opened = cluster.leases.open(&cluster.name, server, epoch, limit).await;
    let opened = opened.map_err(|refused| {
        StepError::impossible(server, format!("it was not opened: {refused}"))
    })?;
    if !opened {
        link.execute(dialect.open_to_all(), limit.as_duration()).await.map_err(at("opening it"))?;
    }
    let facts = look::facts(&mut link, limit).await.map_err(at("checking that it is open"))?;
    if !facts.writable() {
        return Err(StepError::impossible(server, "it stays read-only"));
    }
    Ok(format!("{server} accepts writes"))
}

/// Sends applications to the new primary.
pub(super) async fn route(
    cluster: &Cluster,
    server: &Address,
    epoch: Epoch,
) -> Result<String, StepError> {
    let routed = cluster.router.route(server, epoch).await;
    routed.map_err(|refused| StepError::impossible(server, refused.to_string()))?;
    Ok(String::new())
}
