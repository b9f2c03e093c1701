//! The same answers without a running manager: a command looks, plans and acts itself. For orders
//! it takes the cluster's lock, so that a manager elsewhere is noticed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use primacy_api::{
    Answer, ApiError, CancelRebuild, CheckReport, ClusterView, ErrorKind, Explanation,
    FailoverOrder, HistoryDetail, HistoryEntry, InjectOrder, Injection, PauseOrder, PurgeOrder,
    PurgeReport, RebuildAnswer, RebuildOrder, RebuildView, RejoinOrder, Rejoining, RestartOrder,
    Restarting, Service, SwitchoverOrder,
};
use primacy_config::{ClusterConfig, Config};
use primacy_exec::{Entry, Request, start};
use primacy_plan::SwitchoverRequest;
use primacy_types::{Address, ServerFacts};
use tokio::sync::{OnceCell, broadcast, watch};

use crate::ManagerError;
use crate::cluster::adopt;
use crate::daemon::shared;
use crate::engine::know_primary;
use crate::hooks;
use crate::hosts;
use crate::load::load_config;
use crate::restarts::Alone;
use crate::service::{self, dry_run, failover_request, from_store, no_such_cluster, refused};
use crate::setup::{self, Locking, Secrets, Shared, Watched};

/// How long the first look at all servers may take.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// How long the lock is waited for.
const LOCK: Duration = Duration::from_secs(6);

/// Does a command's work in the command's own process.
pub struct Standalone {
    config: Config,
    shared: Shared,
    /// What a question about a cluster may do.
    looking: Locking,
    /// Watched from the first question about it on.
    watched: BTreeMap<String, OnceCell<Arc<Watched>>>,
}

impl Standalone {
    /// Looks at one cluster, or at all of the configuration.
    ///
    /// # Errors
    /// If the configuration, a secret or the history cannot be read, or the cluster is unknown.
    pub async fn open(config_file: &Path, cluster: Option<&str>) -> Result<Self, ManagerError> {
        Self::of(load_config(config_file)?, config_file, cluster).await
    }

    /// The same with a configuration that was read already from `config_file`.
    ///
    /// # Errors
    /// If a certificate or the history cannot be read, or the cluster is unknown.
    pub async fn of(
        config: Config,
        config_file: &Path,
        cluster: Option<&str>,
    ) -> Result<Self, ManagerError> {
        if let Some(name) = cluster
            && !config.clusters.contains_key(name)
        {
            let known: Vec<_> = config.clusters.keys().map(ToString::to_string).collect();
            return Err(ManagerError::NoSuchCluster {
                name: name.to_owned(),
                known: known.join(", "),
            });
        }
        let shared = shared(&config, config_file)?;
        let wanted = |c: &&ClusterConfig| cluster.is_none_or(|name| c.name.as_str() == name);
        let watched = config.clusters.values().filter(wanted);
        let watched = watched.map(|c| (c.name.to_string(), OnceCell::new())).collect();
        Ok(Self { config, shared, watched, looking: Locking::Leave })
    }

    /// Who asks goes on asking until the primary is dead: also `secondary_check_script` is asked.
    #[must_use]
    pub fn watching(mut self) -> Self {
        self.looking = Locking::Watch;
        self
    }

    /// Puts a primary on record that somebody who asks knows, as [`crate::Engine::know_primary`].
    ///
    /// # Errors
    /// If the history cannot be written.
    pub async fn know_primary(&self, name: &str, primary: &Address) -> Result<(), ManagerError> {
        let epoch = know_primary(&self.shared, name, primary).await?;
        let watched = self.watched.get(name).and_then(OnceCell::get);
        if let (Some(epoch), Some(watched)) = (epoch, watched) {
            watched.observatory.set_record(|record| {
                record.primary = Some(primary.clone());
                record.epoch = epoch;
            });
        }
        Ok(())
    }

    /// What it sees and does from now on, as sentences.
    pub fn events(&self) -> broadcast::Receiver<Entry> {
        self.shared.chronicle.watch()
    }

    /// Writes what is still to be written.
    pub async fn close(self) {
        self.shared.chronicle.flush().await;
    }

    async fn get(&self, name: &str) -> Result<&Arc<Watched>, ApiError> {
        let known: Vec<_> = self.watched.keys().map(String::as_str).collect();
        let unknown = || no_such_cluster(name, &known.join(", "));
        let cell = self.watched.get(name).ok_or_else(unknown)?;
        let config = self.config.clusters.get(name).ok_or_else(unknown)?;
        cell.get_or_try_init(|| watch(config, &self.shared, self.looking))
            .await
            .map_err(|e| ApiError::new(ErrorKind::Internal, e.to_string()))
    }

    /// Takes the lock of a cluster on which nothing else is under way.
    async fn locked(&self, name: &str) -> Result<Arc<Watched>, ApiError> {
        let Some(config) = self.config.clusters.get(name) else {
            return Err(no_such_cluster(name, ""));
        };
        let failed = |e: ManagerError| ApiError::new(ErrorKind::Internal, e.to_string());
        let acting = watch(config, &self.shared, Locking::Take).await.map_err(failed)?;
        let locked = acting.cluster.lock.acquire(LOCK).await;
        locked.map_err(|e| ApiError::new(ErrorKind::Busy, e.to_string()))?;
        if let Some(half_done) = service::under_way(&self.shared.store, name).await {
            let text = format!(
                "{} {} of this cluster is not finished: start the manager, which goes on with it",
                half_done.kind, half_done.id
            );
            return Err(ApiError::new(ErrorKind::Busy, text));
        }
        Ok(acting)
    }

    /// Puts on record what is known of a server that was never seen, by somebody else than itself. What it
    /// has said itself is kept.
    ///
    /// # Errors
    /// If the history cannot be read or written.
    pub async fn introduce(
        &self,
        name: &str,
        server: &Address,
        facts: &ServerFacts,
    ) -> Result<(), ManagerError> {
        let (store, name, server) = (self.shared.store.clone(), name.to_owned(), server.clone());
        let (facts, now) =
            (serde_json::to_value(facts).unwrap_or_default(), self.shared.clock.wall());
        let written = tokio::task::spawn_blocking(move || {
            let known = store.servers(&name)?.iter().any(|known| known.address == server);
            if known { Ok(()) } else { store.remember_server(&name, &server, &facts, now) }
        });
        match written.await {
            Ok(result) => Ok(result?),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }

    /// The same as [`Service::check`] where these replicas count as read-only: whoever asks will make
    /// them so.
    ///
    /// # Errors
    /// If the cluster is unknown.
    pub async fn check_if_closed(
        &self,
        name: &str,
        replicas: &[Address],
    ) -> Result<CheckReport, ApiError> {
        Ok(crate::check::check(self.get(name).await?, replicas).await)
    }

    /// Makes replicas read-only before one of them, or another one, becomes the primary: as a manager
    /// does on sight.
    ///
    /// # Errors
    /// If the lock is not granted, or one of them cannot be closed.
    pub async fn close_replicas(&self, name: &str, servers: &[Address]) -> Result<(), ApiError> {
        let acting = Box::pin(self.locked(name)).await?;
        for server in servers {
            let closed = primacy_exec::close(&acting.cluster, server).await;
            closed.map_err(|error| ApiError::new(ErrorKind::Failed, error.to_string()))?;
        }
        acting.cluster.chronicle.flush().await;
        // What this looks at from now on has seen it.
        self.get(name).await?.cluster.eyes.look(FIRST_LOOK).await;
        Ok(())
    }

    /// Takes the lock and runs the operation to its end.
    async fn order(&self, name: &str, request: Request) -> Result<Answer, ApiError> {
        let acting = self.locked(name).await?;
        let (_keep, amendments) = watch::channel(None);
        let snapshot = acting.cluster.eyes.remembered();
        let cluster = &acting.cluster;
        let done = Box::pin(start(cluster, &snapshot, request, amendments.into())).await;
        cluster.hooks.stop(hooks::FINISH).await;
        cluster.chronicle.flush().await;
        let report = done.map_err(refused)?;
        Ok(Answer::Done { report })
    }
}

/// Watches a cluster and waits until every server has answered or failed once, and the processes
/// of local servers were looked for.
async fn watch(
    config: &ClusterConfig,
    shared: &Shared,
    locking: Locking,
) -> Result<Arc<Watched>, ManagerError> {
    let watched =
        Arc::new(setup::watch(config, &Secrets::read(config, locking).await?, shared, locking)?);
    let eyes = &watched.cluster.eyes;
    eyes.look(FIRST_LOOK).await;
    // A second look shows what has moved, and is needed to tell a silent primary from a slow one.
    let pause = config.policy.timing.ping_interval.as_duration();
    tokio::time::sleep(pause.min(Duration::from_millis(600))).await;
    let mut snapshot = eyes.look(FIRST_LOOK).await;
    let patience = tokio::time::Instant::now() + FIRST_LOOK;
    while !primacy_plan::diagnose(&snapshot).is_serving()
        && tokio::time::Instant::now() < patience
        && still_open(&snapshot)
    {
        tokio::time::sleep(Duration::from_millis(100)).await;
        snapshot = eyes.look(FIRST_LOOK).await;
    }
    // A host over ssh takes longer to answer than its server.
    while hosts::are_asked(&eyes.remembered()) && tokio::time::Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    adopt(&watched.cluster, &watched.observatory, &snapshot).await?;
    Ok(watched)
}

/// Whether more looks can still change the diagnosis.
fn still_open(snapshot: &primacy_types::ClusterSnapshot) -> bool {
    use primacy_plan::Diagnosis;
    let refuses = |server| {
        let failure = snapshot.server(server).and_then(|seen| seen.contact.failure());
        failure == Some(&primacy_types::ContactFailure::Refused)
    };
    match primacy_plan::diagnose(snapshot) {
        Diagnosis::PrimarySuspected { .. } => true,
        // Where nothing listens nothing more is seen.
        Diagnosis::Starting { waiting_for } => !waiting_for.iter().all(refuses),
        _ => false,
    }
}

#[async_trait]
impl Service for Standalone {
    async fn clusters(&self) -> Result<Vec<ClusterView>, ApiError> {
        let mut views = Vec::new();
        for name in self.watched.keys() {
            let watched = self.get(name).await?;
            let operation = service::under_way(&self.shared.store, name).await;
            views.push(service::view(watched, operation));
        }
        Ok(views)
    }

    async fn cluster(&self, name: &str) -> Result<ClusterView, ApiError> {
        let watched = self.get(name).await?;
        Ok(service::view(watched, service::under_way(&self.shared.store, name).await))
    }

    async fn explain(&self, name: &str) -> Result<Explanation, ApiError> {
        let watched = self.get(name).await?;
        Ok(service::explanation(watched, service::under_way(&self.shared.store, name).await))
    }

    async fn check(&self, name: &str) -> Result<CheckReport, ApiError> {
        Ok(crate::check::check(self.get(name).await?, &[]).await)
    }

    async fn switchover(&self, name: &str, order: SwitchoverOrder) -> Result<Answer, ApiError> {
        let request =
            Request::Switchover(SwitchoverRequest { to: order.to, leave_old: order.leave_old });
        if order.dry_run {
            return dry_run(self.get(name).await?, &request).await;
        }
        Box::pin(self.order(name, request)).await
    }

    async fn failover(&self, name: &str, order: FailoverOrder) -> Result<Answer, ApiError> {
        let dry = order.dry_run;
        let request = Request::Failover(failover_request(order)?);
        if dry {
            return dry_run(self.get(name).await?, &request).await;
        }
        Box::pin(self.order(name, request)).await
    }

    async fn pause(&self, _name: &str, _order: PauseOrder) -> Result<ClusterView, ApiError> {
        Err(no_manager())
    }

    async fn resume(&self, _name: &str) -> Result<ClusterView, ApiError> {
        Err(no_manager())
    }

    async fn inject_empty(&self, name: &str, order: InjectOrder) -> Result<Injection, ApiError> {
        if order.dry_run {
            return crate::errant::planned(self.get(name).await?, &order).await;
        }
        let acting = Box::pin(self.locked(name)).await?;
        Box::pin(crate::errant::inject(&acting, &order)).await
    }

    async fn rebuild(&self, name: &str, order: RebuildOrder) -> Result<RebuildAnswer, ApiError> {
        if order.dry_run {
            return crate::rebuild::dry_run(self.get(name).await?, &order).await;
        }
        Err(rebuilds_need_a_manager())
    }

    async fn rebuilds(&self, _name: &str) -> Result<Vec<RebuildView>, ApiError> {
        Ok(Vec::new())
    }

    async fn cancel_rebuild(
        &self,
        _name: &str,
        _order: CancelRebuild,
    ) -> Result<RebuildView, ApiError> {
        Err(rebuilds_need_a_manager())
    }

    async fn purge_relay_logs(
        &self,
        name: &str,
        order: PurgeOrder,
    ) -> Result<PurgeReport, ApiError> {
        if order.dry_run {
            return crate::relay_logs::purge(self.get(name).await?, &order, &|| Ok(())).await;
        }
        let acting = Box::pin(self.locked(name)).await?;
        let lock = Arc::clone(&acting.cluster.lock);
        let may_go_on = move || lock.permits().map_err(|error| error.to_string());
        let done = crate::relay_logs::purge(&acting, &order, &may_go_on).await;
        acting.cluster.chronicle.flush().await;
        done
    }

    async fn rejoin(&self, name: &str, order: RejoinOrder) -> Result<Rejoining, ApiError> {
        if order.dry_run {
            return crate::returned::planned(self.get(name).await?, &order).await;
        }
        let acting = Box::pin(self.locked(name)).await?;
        let cluster = &acting.cluster;
        let snapshot = cluster.eyes.remembered();
        let primary = crate::returned::primary_for(&snapshot, &order)?;
        let on_errant = order.on_errant.unwrap_or(cluster.policy.on_errant);
        let server = &order.server;
        let done = Box::pin(primacy_exec::rejoin(
            cluster,
            &snapshot,
            server,
            &primary,
            on_errant,
            primacy_exec::Asked::ByPerson,
        ))
        .await;
        cluster.hooks.stop(hooks::FINISH).await;
        cluster.chronicle.flush().await;
        crate::returned::answer(&order, primary, done)
    }

    async fn restart(&self, name: &str, order: RestartOrder) -> Result<Restarting, ApiError> {
        if order.dry_run {
            return Box::pin(crate::restarts::obey(self.get(name).await?, order, &Alone)).await;
        }
        let acting = Box::pin(self.locked(name)).await?;
        let done = Box::pin(crate::restarts::obey(&acting, order, &Alone)).await;
        acting.cluster.chronicle.flush().await;
        done
    }

    async fn history(
        &self,
        cluster: Option<&str>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, ApiError> {
        let cluster = cluster.map(str::to_owned);
        from_store(&self.shared.store, move |s| s.operations(cluster.as_deref(), limit)).await
    }

    async fn operation(&self, id: &str) -> Result<HistoryDetail, ApiError> {
        let id = id.to_owned();
        from_store(&self.shared.store, move |store| service::detail(&store, &id)).await
    }
}

fn rebuilds_need_a_manager() -> ApiError {
    let text = "no manager is running, and a rebuild takes longer than a command should: start one";
    ApiError::new(ErrorKind::Refused, text)
}

fn no_manager() -> ApiError {
    ApiError::new(ErrorKind::Refused, "no manager is running, so there is nothing to pause")
}
