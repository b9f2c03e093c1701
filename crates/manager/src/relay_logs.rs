//! Purging relay logs: when somebody asks for it, and by the clock; and putting back what a purge that
//! was interrupted has left.

use std::sync::{Arc, Weak};
use std::time::Duration;

use primacy_api::{ApiError, ErrorKind, PurgeOrder, PurgeReport};
use primacy_exec::{purge_relay_logs, restore_relay_log_purge};
use primacy_types::Millis;
use tokio::task::JoinHandle;

use crate::service::from_store;
use crate::setup::Watched;
use crate::supervisor::Handle;

/// How often it is looked for settings that an interrupted purge has left.
const LEFT: Duration = Duration::from_secs(2);

/// Whether the next server may be purged.
pub(crate) fn may_go_on(handle: &Handle) -> Result<(), String> {
    match handle.busy() {
        Some(busy) => Err(format!("a {busy} is under way")),
        None if handle.chores.is_stopping() => Err("the manager is stopping".to_owned()),
        None => Ok(()),
    }
}

/// Does what was asked; `may_go_on` is asked before each server.
pub(crate) async fn purge(
    watched: &Watched,
    order: &PurgeOrder,
    may_go_on: &(dyn Fn() -> Result<(), String> + Send + Sync),
) -> Result<PurgeReport, ApiError> {
    let cluster = &watched.cluster;
    let servers = purge_relay_logs(cluster, &order.servers, order.dry_run, may_go_on).await;
    let servers = servers.map_err(|why| ApiError::new(ErrorKind::Refused, why.to_string()))?;
    Ok(PurgeReport { cluster: cluster.name.clone(), dry_run: order.dry_run, servers })
}

/// Purges the relay logs of all replicas every so often, for as long as the cluster is watched and
/// this manager holds its lock.
pub(crate) fn by_the_clock(
    watched: &Arc<Watched>,
    every: Millis,
    handle: Handle,
) -> JoinHandle<()> {
    let watched: Weak<Watched> = Arc::downgrade(watched);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(every.as_duration()).await;
            let Some(watched) = watched.upgrade() else { return };
            if handle.chores.is_stopping() {
                return;
            }
            let name = watched.cluster.name.clone();
            if let Err(why) = in_turn(watched, &handle).await {
                tracing::info!(cluster = name, why, "relay logs are not purged now");
            }
        }
    })
}

async fn in_turn(watched: Arc<Watched>, handle: &Handle) -> Result<(), String> {
    let beside = handle.clone();
    let lock = Arc::clone(&watched.cluster.lock);
    let may_go_on = move || {
        may_go_on(&beside)?;
        lock.permits().map_err(|error| error.to_string())
    };
    may_go_on()?;
    let turn = handle.chores.take("a purge of relay logs".to_owned(), Duration::ZERO).await?;
    let work = async move { Box::pin(purge(&watched, &PurgeOrder::default(), &may_go_on)).await };
    let done = handle.chores.run(turn, work).await.and_then(|done| done);
    done.map(drop).map_err(|error| error.to_string())
}

/// Puts back what purges that were interrupted have left, of this manager or an earlier one, for as
/// long as the cluster is watched.
pub(crate) fn put_back_what_was_left(watched: &Arc<Watched>, handle: Handle) -> JoinHandle<()> {
    let watched: Weak<Watched> = Arc::downgrade(watched);
    tokio::spawn(async move {
        let mut said = None;
        loop {
            tokio::time::sleep(LEFT).await;
            let Some(watched) = watched.upgrade() else { return };
            if handle.chores.is_stopping() {
                return;
            }
            let failed = put_back(&watched, &handle).await.err();
            if failed.is_some() && failed != said {
                let why = failed.as_deref();
                tracing::warn!(cluster = watched.cluster.name, why, "an interrupted purge");
            }
            said = failed;
        }
    })
}

async fn put_back(watched: &Watched, handle: &Handle) -> Result<(), String> {
    let cluster = &watched.cluster;
    let name = cluster.name.clone();
    let left = from_store(&cluster.store, move |store| store.changed_settings(&name)).await;
    if left.map_err(|error| error.to_string())?.is_empty() || cluster.lock.permits().is_err() {
        return Ok(());
    }
    // A purge that is under way has changed what is on record, and puts it back itself.
    let what = "putting relay_log_purge back".to_owned();
    let Ok(_turn) = handle.chores.take(what, Duration::ZERO).await else { return Ok(()) };
    restore_relay_log_purge(cluster).await
}
