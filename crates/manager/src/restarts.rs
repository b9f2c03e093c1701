//! `primacy restart` and each server of `primacy rolling-restart`.

use std::sync::{Arc, Weak};
use std::time::Duration;

use primacy_api::{ApiError, ErrorKind, RestartOrder, Restarting};
use primacy_exec::{Operations, RESTART, RestartError, StepError, restart};
use primacy_plan::against_restart;
use primacy_types::{Address, Millis};

use crate::observatory::Observatory;
use crate::service::from_store;
use crate::setup::Watched;
use crate::supervisor::Handle;

/// How often it is looked whether what was interrupted can be brought to its end.
const LEFT: Duration = Duration::from_secs(2);

/// Restarts a replica, or says why not.
pub(crate) async fn obey(
    watched: &Watched,
    order: RestartOrder,
    operations: &dyn Operations,
) -> Result<Restarting, ApiError> {
    let cluster = &watched.cluster;
    let limit = cluster.policy.timing.statement_limit.as_duration();
    let snapshot = cluster.eyes.look(limit).await;
    let server = order.server;
    if order.dry_run {
        let reasons = against_restart(&snapshot, &server);
        if !reasons.is_empty() {
            return Err(failed(RestartError::Refused(reasons)));
        }
        let none = Millis(0);
        return Ok(Restarting { server, operation: None, away: none, took: none });
    }
    let done = restart(cluster, &snapshot, &server, order.limit.as_duration(), operations).await;
    let done = done.map_err(failed)?;
    let operation = Some(done.operation.to_string());
    Ok(Restarting { server, operation, away: done.away, took: done.took })
}

/// Brings to its end what an earlier manager was ended in: a replica that had stopped to receive for it
/// receives again, and one that was shut down is started. After operations that are half done, and as
/// soon as this manager may act.
pub(crate) fn finish_interrupted(watched: &Arc<Watched>, handle: Handle) {
    let watched: Weak<Watched> = Arc::downgrade(watched);
    tokio::spawn(async move {
        loop {
            let Some(watched) = watched.upgrade() else { return };
            if handle.chores.is_stopping() {
                return;
            }
            match one_interrupted(watched, &handle).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(why) => {
                    tracing::debug!(why, "restarts that were interrupted wait");
                    tokio::time::sleep(LEFT).await;
                }
            }
        }
    });
}

/// The oldest of them; false if there is none. An error is why it waits.
async fn one_interrupted(watched: Arc<Watched>, handle: &Handle) -> Result<bool, String> {
    watched.cluster.lock.permits().map_err(|error| error.to_string())?;
    // Before the look: a restart of this manager's is under way only while it has the turn.
    let turn = handle.chores.take("an interrupted restart".to_owned(), Duration::ZERO).await?;
    let name = watched.cluster.name.clone();
    let looked = from_store(&watched.cluster.store, move |store| {
        let busy = store.unfinished(&name)?.is_some();
        Ok((busy, store.unfinished_beside(&name, RESTART)?))
    });
    let (busy, records) = looked.await.map_err(|error| error.to_string())?;
    let Some(record) = records.into_iter().next() else { return Ok(false) };
    if busy {
        return Err("an operation is half done".to_owned());
    }
    let beside = Beside::new(&watched, handle);
    let work =
        async move { primacy_exec::finish_interrupted(&watched.cluster, &record, &beside).await };
    let done = handle.chores.run(turn, work).await.map_err(|error| error.to_string())?;
    done.map(|()| true).map_err(|error| error.to_string())
}

/// The operations of a supervised cluster.
pub(crate) struct Beside {
    observatory: Arc<Observatory>,
    handle: Handle,
}

impl Beside {
    pub(crate) fn new(watched: &Watched, handle: &Handle) -> Self {
        Self { observatory: Arc::clone(&watched.observatory), handle: handle.clone() }
    }
}

impl Operations for Beside {
    fn busy(&self) -> Option<&'static str> {
        self.handle.busy()
    }

    fn is_stopping(&self) -> bool {
        self.handle.chores.is_stopping()
    }

    fn spare(&self, server: &Address) -> Box<dyn Send> {
        Box::new(Spared::mark(&self.observatory, server))
    }
}

/// Marks a server as one that is not promoted, for as long as it lives.
struct Spared {
    observatory: Arc<Observatory>,
    server: Address,
    /// It was not marked before, by a rebuild.
    goes: bool,
}

impl Spared {
    fn mark(observatory: &Arc<Observatory>, server: &Address) -> Self {
        let mut goes = false;
        observatory.set_record(|record| goes = record.rebuilt.insert(server.clone()));
        Self { observatory: Arc::clone(observatory), server: server.clone(), goes }
    }
}

impl Drop for Spared {
    fn drop(&mut self) {
        if !self.goes {
            return;
        }
        self.observatory.set_record(|record| {
            record.rebuilt.remove(&self.server);
        });
    }
}

/// A command without a manager: nobody else acts.
pub(crate) struct Alone;

impl Operations for Alone {
    fn busy(&self) -> Option<&'static str> {
        None
    }

    fn is_stopping(&self) -> bool {
        false
    }

    fn spare(&self, _server: &Address) -> Box<dyn Send> {
        Box::new(())
    }
}

fn failed(error: RestartError) -> ApiError {
    let message = error.to_string();
    match error {
        RestartError::Refused(reasons) => {
            let message = "restart refused; nothing was touched".to_owned();
            ApiError { kind: ErrorKind::Refused, message, reasons }
        }
        RestartError::Failed(StepError::Lock(_)) => ApiError::new(ErrorKind::Busy, message),
        RestartError::Failed(_) => ApiError::new(ErrorKind::Failed, message),
    }
}
