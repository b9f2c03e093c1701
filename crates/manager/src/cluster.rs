//! The record of a cluster: who its primary is when none is on record yet, and what changes it.

use std::sync::Arc;

use primacy_exec::Cluster;
use primacy_plan::find_primary;
use primacy_store::{Level, StoreError};
use primacy_types::{Address, ClusterSnapshot, Epoch};

use crate::observatory::Observatory;

/// Puts the primary on record if none is, and it can be named without guessing. The epoch goes on
/// from the highest that any server has in its table.
pub(crate) async fn adopt(
    cluster: &Cluster,
    observatory: &Arc<Observatory>,
    snapshot: &ClusterSnapshot,
) -> Result<bool, StoreError> {
    if snapshot.primary.is_some() {
        return Ok(false);
    }
    let Ok(primary) = find_primary(snapshot) else { return Ok(false) };
    let written = snapshot.all_live().filter_map(|(_, f)| f.epoch).max();
    let epoch = written.unwrap_or_default().max(snapshot.epoch).max(Epoch(1));
    set_primary(cluster, observatory, &primary, epoch).await?;
    let text = format!("{primary} is the primary, in epoch {epoch}");
    cluster.chronicle.tell(&cluster.name, None, Level::Notice, text);
    Ok(true)
}

/// A person moved the role without us: the primary on record is read-only and replicates from the
/// only server that accepts writes.
pub(crate) async fn follow(
    cluster: &Cluster,
    observatory: &Arc<Observatory>,
    snapshot: &ClusterSnapshot,
    primary: &Address,
) -> Result<(), StoreError> {
    let epoch = snapshot.epoch.next();
    set_primary(cluster, observatory, primary, epoch).await?;
    let text = format!("somebody made {primary} the primary; it is on record in epoch {epoch} now");
    cluster.chronicle.tell(&cluster.name, None, Level::Warning, text);
    Ok(())
}

async fn set_primary(
    cluster: &Cluster,
    observatory: &Arc<Observatory>,
    primary: &Address,
    epoch: Epoch,
) -> Result<(), StoreError> {
    let (store, name, at) = (cluster.store.clone(), cluster.name.clone(), cluster.clock.wall());
    let to = primary.clone();
    let written = tokio::task::spawn_blocking(move || store.set_primary(&name, &to, epoch, at));
    match written.await {
        Ok(result) => result?,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
    observatory.set_record(|record| {
        record.primary = Some(primary.clone());
        record.epoch = epoch;
    });
    let routed = cluster.router.route(primary, epoch).await;
    if let Err(error) = routed {
        tracing::warn!(cluster = cluster.name, %error, "the route was not taken");
    }
    Ok(())
}
