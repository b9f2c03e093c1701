//! What a manager answers to commands.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use primacy_api::{
    Answer, ApiError, CancelRebuild, CheckReport, ClusterView, ErrorKind, Explanation,
    FailoverOrder, HistoryDetail, HistoryEntry, InjectOrder, Injection, OperationView, PauseOrder,
    PurgeOrder, PurgeReport, RebuildAnswer, RebuildOrder, RebuildView, RejoinOrder, Rejoining,
    RestartOrder, Restarting, Service, SwitchoverOrder,
};
use primacy_exec::{Chronicle, OperationError, Request};
use primacy_plan::{FailoverRequest, Refusal, SwitchoverRequest, decide, diagnose};
use primacy_store::{EventFilter, Store, StoreError};
use primacy_types::WallClock;
use tokio::sync::oneshot;

use crate::chores::Turn;
use crate::rebuild::Rebuilds;
use crate::repairs::RejoinWish;
use crate::restarts::{Alone, Beside};
use crate::setup::Watched;
use crate::supervisor::{Handle, Order};

/// How long a command waits until what is done beside operations is over.
const TURN: Duration = Duration::from_secs(30);

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

    pub(crate) fn every(&self) -> Vec<Supervised> {
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
    pub(crate) chronicle: Chronicle,
    pub(crate) rebuilds: Arc<Rebuilds>,
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
    if let Some(leases) = &watched.leases {
        for server in &mut view.servers {
            server.lease = leases.view(&server.address);
        }
    }
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
    fn not_busy(&self, name: &str, handle: &Handle) -> Result<(), ApiError> {
        let Some(busy) = handle.busy() else { return Ok(()) };
        let text = format!("a {busy} is under way on cluster {name:?}; see `primacy status`");
        Err(ApiError::new(ErrorKind::Busy, text))
    }

    /// Waits for the turn to do something beside the operations of a cluster on which none is under way.
    async fn turn(&self, name: &str, handle: &Handle, what: String) -> Result<Turn, ApiError> {
        self.not_busy(name, handle)?;
        let turn = handle.chores.take(what, TURN).await.map_err(|why| {
            let text = format!("{why} on cluster {name:?}; try again when that is over");
            ApiError::new(ErrorKind::Busy, text)
        })?;
        self.not_busy(name, handle)?;
        Ok(turn)
    }

    async fn order(&self, name: &str, request: Request) -> Result<Answer, ApiError> {
        let Supervised { handle, .. } = self.clusters.get(name)?;
        self.not_busy(name, &handle)?;
        let (done, outcome) = oneshot::channel();
        let gone = |_| ApiError::new(ErrorKind::Internal, "the manager is stopping");
        handle.orders.send(Order::Operate { request, done }).await.map_err(|e| {
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
        Ok(crate::check::check(&self.clusters.get(name)?.watched, &[]).await)
    }

    async fn switchover(&self, name: &str, order: SwitchoverOrder) -> Result<Answer, ApiError> {
        let request =
            Request::Switchover(SwitchoverRequest { to: order.to, leave_old: order.leave_old });
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
        self.not_busy(name, &handle)?;
        crate::errant::inject(&watched, &order).await
    }

    async fn rebuild(&self, name: &str, order: RebuildOrder) -> Result<RebuildAnswer, ApiError> {
        let Supervised { watched, handle } = self.clusters.get(name)?;
        if order.dry_run {
            return crate::rebuild::dry_run(&watched, &order).await;
        }
        self.rebuilds.begin(&watched, &handle, &order).await
    }

    async fn rebuilds(&self, name: &str) -> Result<Vec<RebuildView>, ApiError> {
        self.clusters.get(name)?;
        Ok(self.rebuilds.views(name))
    }

    async fn cancel_rebuild(
        &self,
        name: &str,
        order: CancelRebuild,
    ) -> Result<RebuildView, ApiError> {
        self.clusters.get(name)?;
        self.rebuilds.cancel(name, &order.server).await
    }

    async fn purge_relay_logs(
        &self,
        name: &str,
        order: PurgeOrder,
    ) -> Result<PurgeReport, ApiError> {
        let Supervised { watched, handle } = self.clusters.get(name)?;
        if order.dry_run {
            return crate::relay_logs::purge(&watched, &order, &|| Ok(())).await;
        }
        let turn = self.turn(name, &handle, "a purge of relay logs".to_owned()).await?;
        let beside = handle.clone();
        let may_go_on = move || crate::relay_logs::may_go_on(&beside);
        let work =
            async move { Box::pin(crate::relay_logs::purge(&watched, &order, &may_go_on)).await };
        handle.chores.run(turn, work).await?
    }

    async fn rejoin(&self, name: &str, order: RejoinOrder) -> Result<Rejoining, ApiError> {
        let Supervised { watched, handle } = self.clusters.get(name)?;
        let rebuilds = self.rebuilds.views(name);
        crate::returned::not_being_rebuilt(&watched, &rebuilds, &order.server)?;
        if order.dry_run {
            return crate::returned::planned(&watched, &order).await;
        }
        self.not_busy(name, &handle)?;
        let limit = watched.cluster.policy.timing.statement_limit.as_duration();
        let primary =
            crate::returned::primary_for(&watched.cluster.eyes.look(limit).await, &order)?;
        let (done, outcome) = oneshot::channel();
        let (server, on_errant) = (order.server.clone(), order.on_errant);
        let wish = Order::Rejoin(RejoinWish { server, on_errant, done });
        let stopping = || ApiError::new(ErrorKind::Internal, "the manager is stopping");
        handle.orders.send(wish).await.map_err(|_| stopping())?;
        let done = outcome.await.map_err(|_| {
            let text = "another operation began meanwhile; try again when it has ended";
            ApiError::new(ErrorKind::Busy, text)
        })?;
        crate::returned::answer(&order, primary, done)
    }

    async fn restart(&self, name: &str, order: RestartOrder) -> Result<Restarting, ApiError> {
        let Supervised { watched, handle } = self.clusters.get(name)?;
        if order.dry_run {
            return Box::pin(crate::restarts::obey(&watched, order, &Alone)).await;
        }
        let turn = self.turn(name, &handle, format!("a restart of {}", order.server)).await?;
        let gives_or_gets = |view: &RebuildView| {
            view.outcome.is_none() && [&view.server, &view.donor].contains(&&order.server)
        };
        if self.rebuilds.views(name).iter().any(gives_or_gets) {
            let text = format!("{} gives or gets data in a rebuild now", order.server);
            return Err(ApiError::new(ErrorKind::Busy, text));
        }
        // Beside the supervisor: a failover does not wait for it.
        let beside = Beside::new(&watched, &handle);
        let work = async move { Box::pin(crate::restarts::obey(&watched, order, &beside)).await };
        handle.chores.run(turn, work).await?
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
        // What was told until now is part of the answer, also where it was not written yet.
        self.chronicle.flush().await;
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
