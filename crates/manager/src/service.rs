//! What a manager answers to commands.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use primacy_api::{
    Answer, ApiError, CheckReport, ClusterView, ErrorKind, Explanation, FailoverOrder,
    HistoryDetail, HistoryEntry, InjectOrder, Injection, OperationView, PauseOrder, Service,
    SwitchoverOrder,
};
use primacy_exec::{OperationError, Request};
use primacy_plan::{FailoverRequest, Refusal, SwitchoverRequest, decide, diagnose};
use primacy_store::{EventFilter, Store, StoreError};
use primacy_types::WallClock;
use tokio::sync::oneshot;

use crate::setup::Watched;
use crate::supervisor::{Handle, Order};

/// A cluster with its supervisor.
#[derive(Clone)]
pub(crate) struct Supervised {
    pub(crate) watched: Arc<Watched>,
    pub(crate) handle: Handle,
}

/// The clusters that are supervised now; a reload changes them.
#[derive(Default)]
pub(crate) struct Clusters {
    all: Mutex<BTreeMap<String, Supervised>>,
}

impl Clusters {
    pub(crate) fn set(&self, name: String, cluster: Supervised) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).insert(name, cluster);
    }

    pub(crate) fn remove(&self, name: &str) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    fn get(&self, name: &str) -> Result<Supervised, ApiError> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(name).cloned().ok_or_else(|| {
            let known: Vec<_> = all.keys().map(String::as_str).collect();
            no_such_cluster(name, &known.join(", "))
        })
    }

    pub(crate) fn find(&self, name: &str) -> Option<Supervised> {
        self.get(name).ok()
    }

    fn every(&self) -> Vec<Supervised> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

pub(crate) fn no_such_cluster(name: &str, known: &str) -> ApiError {
    let text = format!("there is no cluster {name:?}; there is {known}");
    ApiError::new(ErrorKind::NotFound, text)
}

/// A running manager.
pub(crate) struct ManagerService {
    pub(crate) clusters: Arc<Clusters>,
    pub(crate) store: Store,
}

/// Calls the store outside the reactor.
pub(crate) async fn from_store<T: Send + 'static>(
    store: &Store,
    call: impl FnOnce(Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, ApiError> {
    let store = store.clone();
    match tokio::task::spawn_blocking(move || call(store)).await {
        Ok(result) => result.map_err(|error| {
            let kind = match error {
                StoreError::UnknownOperation { .. } => ErrorKind::NotFound,
                _ => ErrorKind::Internal,
            };
            ApiError::new(kind, error.to_string())
        }),
        Err(_) => Err(ApiError::new(ErrorKind::Internal, "the history could not be read")),
    }
}

pub(crate) async fn under_way(store: &Store, cluster: &str) -> Option<OperationView> {
    let name = cluster.to_owned();
    let record = from_store(store, move |s| s.unfinished(&name)).await.ok()??;
    Some(OperationView { id: record.id.to_string(), kind: record.kind, started: record.started })
}

pub(crate) fn view(watched: &Watched, operation: Option<OperationView>) -> ClusterView {
    let snapshot = watched.cluster.eyes.remembered();
    let mut view = ClusterView::of(&snapshot, &diagnose(&snapshot));
    view.paused_reason = watched.observatory.record().paused_reason;
    view.operation = operation;
    view
}

pub(crate) fn explanation(watched: &Watched, operation: Option<OperationView>) -> Explanation {
    let snapshot = watched.cluster.eyes.remembered();
    let diagnosis = diagnose(&snapshot);
    Explanation {
        cluster: snapshot.cluster.clone(),
        decision: decide(&snapshot, &diagnosis),
        diagnosis,
        lock: watched.cluster.lock.status(),
        snapshot,
        operation,
    }
}

/// An operation's error as commands want it.
pub(crate) fn refused(error: OperationError) -> ApiError {
    let message = error.to_string();
    match error {
        OperationError::Refused(refusal) | OperationError::RefusedByHook(refusal) => {
            let Refusal { kind, reasons, .. } = *refusal;
            let message = format!("{kind} refused; nothing was touched");
            ApiError { kind: ErrorKind::Refused, message, reasons }
        }
        OperationError::Lock(_) => ApiError::new(ErrorKind::Busy, message),
        OperationError::Store(StoreError::AlreadyRunning { .. }) => {
            ApiError::new(ErrorKind::Busy, message)
        }
        OperationError::BackedOut { .. } => ApiError::new(ErrorKind::BackedOut, message),
        OperationError::HalfWay { .. } | OperationError::Unfinished { .. } => {
            ApiError::new(ErrorKind::Failed, message)
        }
        _ => ApiError::new(ErrorKind::Internal, message),
    }
}

pub(crate) fn failover_request(order: FailoverOrder) -> Result<FailoverRequest, ApiError> {
    if order.accept_loss && !order.force {
        let text = "--accept-loss needs --force: both together give up transactions that exist";
        return Err(ApiError::new(ErrorKind::BadRequest, text));
    }
    Ok(FailoverRequest {
        to: order.to,
        force: order.force,
        accept_loss: order.accept_loss,
        by_person: true,
        excluded: Vec::new(),
        failed_donors: Vec::new(),
        failed_receivers: Vec::new(),
    })
}

/// Plans without touching anything.
pub(crate) async fn dry_run(watched: &Watched, request: &Request) -> Result<Answer, ApiError> {
    let limit = watched.cluster.policy.timing.statement_limit.as_duration();
    let snapshot = watched.cluster.eyes.look(limit).await;
    let plan = primacy_exec::plan(&watched.cluster, &snapshot, request).await.map_err(refused)?;
    Ok(Answer::Plan { plan: Box::new(plan) })
}

impl ManagerService {
    async fn order(&self, name: &str, request: Request) -> Result<Answer, ApiError> {
        let Supervised { handle, .. } = self.clusters.get(name)?;
        if let Some(busy) = handle.busy() {
            let text = format!("a {busy} is under way on cluster {name:?}; see `primacy status`");
            return Err(ApiError::new(ErrorKind::Busy, text));
        }
        let (done, outcome) = oneshot::channel();
        let gone = |_| ApiError::new(ErrorKind::Internal, "the manager is stopping");
        handle.orders.send(Order { request, done }).await.map_err(|e| {
            drop(e);
            ApiError::new(ErrorKind::Internal, "the manager is stopping")
        })?;
        match outcome.await.map_err(gone)? {
            Ok(report) => Ok(Answer::Done { report }),
            Err(error) => Err(refused(error)),
        }
    }

    async fn set_paused(
        &self,
        name: &str,
        paused: bool,
        reason: Option<String>,
    ) -> Result<ClusterView, ApiError> {
        let cluster = self.clusters.get(name)?;
        let at: WallClock = cluster.watched.cluster.clock.wall();
        let (owned, why) = (name.to_owned(), reason.clone());
        from_store(&self.store, move |store| {
            store.set_paused(&owned, paused, why.as_deref(), at)?;
            if !paused {
                store.set_last_failover(&owned, None, at)?;
            }
            Ok(())
        })
        .await?;
        cluster.watched.observatory.set_record(|record| {
            record.paused = paused;
            record.paused_reason = reason;
            if !paused {
                record.last_failover = None;
            }
        });
        let text = if paused { "automatic actions are paused" } else { "automatic actions go on" };
        let told = &cluster.watched.cluster.chronicle;
        told.tell(name, None, primacy_store::Level::Notice, text);
        self.cluster(name).await
    }
}

#[async_trait]
impl Service for ManagerService {
    async fn clusters(&self) -> Result<Vec<ClusterView>, ApiError> {
        let mut views = Vec::new();
        for cluster in self.clusters.every() {
            let operation = under_way(&self.store, &cluster.watched.cluster.name).await;
            views.push(view(&cluster.watched, operation));
        }
        Ok(views)
    }

    async fn cluster(&self, name: &str) -> Result<ClusterView, ApiError> {
        let cluster = self.clusters.get(name)?;
        Ok(view(&cluster.watched, under_way(&self.store, name).await))
    }

    async fn explain(&self, name: &str) -> Result<Explanation, ApiError> {
        let cluster = self.clusters.get(name)?;
        Ok(explanation(&cluster.watched, under_way(&self.store, name).await))
    }

    async fn check(&self, name: &str) -> Result<CheckReport, ApiError> {
        Ok(crate::check::check(&self.clusters.get(name)?.watched).await)
    }

    async fn switchover(&self, name: &str, order: SwitchoverOrder) -> Result<Answer, ApiError> {
        let request = Request::Switchover(SwitchoverRequest { to: order.to });
        if order.dry_run {
            return dry_run(&self.clusters.get(name)?.watched, &request).await;
        }
        self.order(name, request).await
    }

    async fn failover(&self, name: &str, order: FailoverOrder) -> Result<Answer, ApiError> {
        let dry = order.dry_run;
        let request = failover_request(order)?;
        let Supervised { watched, handle } = self.clusters.get(name)?;
        if dry {
            return dry_run(&watched, &Request::Failover(request)).await;
        }
        if let Some(operation) = under_way(&self.store, name).await
            && operation.kind == "failover"
        {
            handle.amendments.send_replace(Some(request));
            return Ok(Answer::Amended { operation: operation.id });
        }
        self.order(name, Request::Failover(request)).await
    }

    async fn pause(&self, name: &str, order: PauseOrder) -> Result<ClusterView, ApiError> {
        self.set_paused(name, true, order.reason).await
    }

    async fn resume(&self, name: &str) -> Result<ClusterView, ApiError> {
        self.set_paused(name, false, None).await
    }

    async fn inject_empty(&self, name: &str, order: InjectOrder) -> Result<Injection, ApiError> {
        let Supervised { watched, handle } = self.clusters.get(name)?;
        if order.dry_run {
            return crate::errant::planned(&watched, &order).await;
        }
        if let Some(busy) = handle.busy() {
            let text = format!("a {busy} is under way on cluster {name:?}; see `primacy status`");
            return Err(ApiError::new(ErrorKind::Busy, text));
        }
        crate::errant::inject(&watched, &order).await
    }

    async fn history(
        &self,
        cluster: Option<&str>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, ApiError> {
        let cluster = cluster.map(str::to_owned);
        from_store(&self.store, move |store| store.operations(cluster.as_deref(), limit)).await
    }

    async fn operation(&self, id: &str) -> Result<HistoryDetail, ApiError> {
        let id = id.to_owned();
        from_store(&self.store, move |store| detail(&store, &id)).await
    }
}

pub(crate) fn detail(store: &Store, id: &str) -> Result<HistoryDetail, StoreError> {
    let operation = store.operation(id)?;
    let journal = store.entries(&operation.id)?;
    let filter = EventFilter { operation: Some(operation.id.clone()), ..EventFilter::default() };
    let timeline = store.events(&filter)?;
    Ok(HistoryDetail { operation, journal, timeline })
}
