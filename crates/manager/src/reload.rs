//! The supervised clusters of a manager, and what a changed configuration does to them: a cluster
//! whose part of the file changed is watched anew, the others go on undisturbed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use primacy_config::{ClusterConfig, Config};
use primacy_dcs::LockError;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::ManagerError;
use crate::hooks;
use crate::rebuild::Rebuilds;
use crate::relay_logs;
use crate::service::{Clusters, Supervised};
use crate::setup::{self, Locking, Secrets, Shared};
use crate::supervisor::Supervisor;

/// How long the lock of a cluster is waited for at the start.
const LOCK: Duration = Duration::from_secs(6);

/// How long an operation that is under way is waited for at the end; it is resumed after the next
/// start.
const FINISH: Duration = Duration::from_secs(30);

struct Running {
    config: ClusterConfig,
    secrets: Secrets,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// All clusters of a manager.
pub(crate) struct Fleet {
    shared: Shared,
    clusters: Arc<Clusters>,
    rebuilds: Arc<Rebuilds>,
    brake: Arc<Semaphore>,
    running: BTreeMap<String, Running>,
    /// Hooks of clusters that are watched no more, until they were called.
    ending: JoinSet<()>,
}

impl Fleet {
    pub(crate) fn new(
        shared: Shared,
        clusters: Arc<Clusters>,
        rebuilds: Arc<Rebuilds>,
        brakes: u32,
    ) -> Self {
        let brake = Arc::new(Semaphore::new(brakes.max(1) as usize));
        Self { shared, clusters, rebuilds, brake, running: BTreeMap::new(), ending: JoinSet::new() }
    }

    /// Starts every cluster.
    ///
    /// # Errors
    /// If a secret cannot be read, or another manager holds the lock of a cluster.
    pub(crate) async fn start(&mut self, config: &Config) -> Result<(), ManagerError> {
        for cluster in config.clusters.values() {
            let secrets = Secrets::read(cluster, Locking::Take).await?;
            self.start_one(cluster, secrets)?;
        }
        for name in config.clusters.keys() {
            self.see_lock(name.as_str()).await?;
        }
        Ok(())
    }

    /// A second manager on a cluster refuses to run; one that cannot reach enough servers yet
    /// goes on trying.
    async fn see_lock(&self, name: &str) -> Result<(), ManagerError> {
        let Some(supervised) = self.clusters.find(name) else { return Ok(()) };
        match supervised.watched.cluster.lock.acquire(LOCK).await {
            Ok(()) => Ok(()),
            Err(error @ LockError::HeldByOther { .. }) => Err(error.into()),
            Err(error) => {
                tracing::warn!(cluster = name, %error, "watching, but not acting yet");
                Ok(())
            }
        }
    }

    fn start_one(&mut self, config: &ClusterConfig, secrets: Secrets) -> Result<(), ManagerError> {
        let name = config.name.to_string();
        let watched = Arc::new(setup::watch(config, &secrets, &self.shared, Locking::Take)?);
        let stop = CancellationToken::new();
        let (handle, task) = Supervisor::start(
            Arc::clone(&watched),
            Arc::clone(&self.brake),
            Arc::clone(&self.rebuilds),
            stop.clone(),
        );
        self.rebuilds.go_on(&watched, &handle);
        if let Some(every) = config.purge_relay_logs_every {
            // It ends when the cluster is watched no more.
            drop(relay_logs::by_the_clock(&watched, every, handle.clone()));
        }
        drop(relay_logs::put_back_what_was_left(&watched, handle.clone()));
        self.clusters.set(name.clone(), Supervised { watched, handle });
        self.running.insert(name, Running { config: config.clone(), secrets, stop, task });
        Ok(())
    }

    /// Takes over a changed configuration, changed passwords included.
    ///
    /// # Errors
    /// If a password cannot be read: then nothing is changed. If a changed cluster could not be
    /// started: the others are as the new configuration says.
    pub(crate) async fn change(&mut self, config: &Config) -> Result<(), ManagerError> {
        while self.ending.try_join_next().is_some() {}
        let mut wanted = BTreeMap::new();
        for cluster in config.clusters.values() {
            let secrets = Secrets::read(cluster, Locking::Take).await?;
            wanted.insert(cluster.name.to_string(), (cluster, secrets));
        }
        let same = |name: &String, running: &Running| {
            wanted.get(name).is_some_and(|(cluster, secrets)| {
                **cluster == running.config && *secrets == running.secrets
            })
        };
        let gone: Vec<String> = self
            .running
            .iter()
            .filter(|(name, running)| !same(name, running))
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            self.stop_one(&name).await;
        }
        let mut result = Ok(());
        for (name, (cluster, secrets)) in wanted {
            if !self.running.contains_key(&name) {
                let started = self.start_one(cluster, secrets);
                if result.is_ok() {
                    result = started;
                }
            }
        }
        result
    }

    async fn stop_one(&mut self, name: &str) {
        let Some(running) = self.running.remove(name) else { return };
        // They hold the cluster, and with it its lock.
        self.rebuilds.stop(name).await;
        if let Some(supervised) = self.clusters.find(name)
            && !supervised.handle.chores.end(FINISH).await
        {
            tracing::warn!(cluster = name, "a restart or a purge was under way and is given up");
        }
        running.stop.cancel();
        let mut task = running.task;
        if tokio::time::timeout(FINISH, &mut task).await.is_err() {
            tracing::warn!(cluster = name, "an operation is under way; it is resumed later");
            task.abort();
            let _ = task.await;
        }
        if let Some(supervised) = self.clusters.find(name) {
            // Beside: a cluster whose configuration changed is watched again meanwhile. Only the
            // hooks are kept for it, for the cluster holds its lock.
            let hooks = Arc::clone(&supervised.watched.cluster.hooks);
            self.ending.spawn(async move { hooks.stop(hooks::FINISH).await });
        }
        self.clusters.remove(name);
    }

    /// Stops every cluster; operations under way may finish within a limit.
    pub(crate) async fn stop(&mut self) {
        self.running.values().for_each(|running| running.stop.cancel());
        let names: Vec<String> = self.running.keys().cloned().collect();
        for name in names {
            self.stop_one(&name).await;
        }
        while self.ending.join_next().await.is_some() {}
    }
}
