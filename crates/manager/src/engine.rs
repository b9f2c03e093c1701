//! A manager in the process of whoever starts it: its clusters are supervised and answer, and there
//! is no socket, no file that is followed and no signal. [`serve`](crate::serve) is this with those
//! around it; MHA's commands are this with what they promise around it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use primacy_api::{ApiError, Service};
use primacy_config::Config;
use primacy_exec::Entry;
use primacy_store::StoreError;
use primacy_types::{Address, Contact, Epoch};
use tokio::sync::{broadcast, watch};

use crate::daemon::shared;
use crate::rebuild::Rebuilds;
use crate::reload::Fleet;
use crate::service::{Clusters, ManagerService};
use crate::setup::Shared;
use crate::{Admission, ManagerError};

/// A running manager.
pub struct Engine {
    shared: Shared,
    clusters: Arc<Clusters>,
    fleet: Fleet,
    service: Arc<ManagerService>,
}

impl Engine {
    /// Opens the history; nothing is watched before [`Engine::begin`]. `file` is where the
    /// configuration was read, as scripts are told; `admission` is asked before each failover.
    ///
    /// # Errors
    /// If the state folder, the history or a certificate cannot be used.
    pub async fn prepare(
        config: &Config,
        file: &Path,
        admission: Option<Arc<dyn Admission>>,
    ) -> Result<Self, ManagerError> {
        let shared = Shared { admission, ..shared(config, file)? };
        let clusters = Arc::new(Clusters::default());
        let rebuilds = Arc::new(Rebuilds::default());
        let brakes = config.manager.max_failovers_at_once;
        let fleet =
            Fleet::new(shared.clone(), Arc::clone(&clusters), Arc::clone(&rebuilds), brakes);
        let service = ManagerService {
            clusters: Arc::clone(&clusters),
            store: shared.store.clone(),
            chronicle: shared.chronicle.clone(),
            rebuilds,
        };
        Ok(Self { shared, clusters, fleet, service: Arc::new(service) })
    }

    /// Starts every cluster.
    ///
    /// # Errors
    /// If a secret cannot be read, or another manager holds the lock of a cluster.
    pub async fn begin(&mut self, config: &Config) -> Result<(), ManagerError> {
        self.fleet.start(config).await
    }

    /// Puts a primary on record that somebody who asks knows: where the record has another one, a
    /// new reign begins. Before [`Engine::begin`], and only where no operation was left half done.
    ///
    /// # Errors
    /// If the history cannot be written.
    pub async fn know_primary(&self, cluster: &str, primary: &Address) -> Result<(), ManagerError> {
        know_primary(&self.shared, cluster, primary).await?;
        Ok(())
    }

    /// What it answers.
    pub fn service(&self) -> Arc<dyn Service> {
        Arc::clone(&self.service) as _
    }

    /// What it sees and does from now on, as sentences.
    pub fn events(&self) -> broadcast::Receiver<Entry> {
        self.shared.chronicle.watch()
    }

    /// Wakes when something changed that a rule could care about; `None` for an unknown cluster.
    pub fn changes(&self, cluster: &str) -> Option<watch::Receiver<u64>> {
        Some(self.clusters.find(cluster)?.watched.observatory.changes())
    }

    /// Waits until every server of a cluster has answered or failed once; false if `limit` passed
    /// before.
    ///
    /// # Errors
    /// If the cluster is unknown.
    pub async fn has_looked(&self, cluster: &str, limit: Duration) -> Result<bool, ApiError> {
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            let seen = self.service.explain(cluster).await?.snapshot;
            if seen.servers.values().all(|server| server.contact != Contact::Untried) {
                return Ok(true);
            }
            if tokio::time::Instant::now() >= deadline {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Takes over a changed configuration.
    ///
    /// # Errors
    /// If a password cannot be read: then nothing is changed. If a changed cluster could not be
    /// started: the others are as the new configuration says.
    pub async fn change(&mut self, config: &Config) -> Result<(), ManagerError> {
        self.fleet.change(config).await
    }

    /// Ends everything; operations under way may finish within a limit, and are resumed by the next
    /// manager if they do not. What was seen and done is on disk afterwards.
    pub async fn stop(mut self) {
        self.fleet.stop().await;
        self.shared.chronicle.flush().await;
    }

    pub(crate) fn clusters(&self) -> &Arc<Clusters> {
        &self.clusters
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }
}

/// Puts a primary on record, in a new reign if there was another one; the record's epoch afterwards.
/// While an operation is half done its own record holds.
pub(crate) async fn know_primary(
    shared: &Shared,
    cluster: &str,
    primary: &Address,
) -> Result<Option<Epoch>, StoreError> {
    let (name, primary) = (cluster.to_owned(), primary.clone());
    let (store, now) = (shared.store.clone(), shared.clock.wall());
    let written = tokio::task::spawn_blocking(move || {
        let known = store.cluster(&name)?;
        let epoch = known.as_ref().map_or(Epoch(0), |known| known.epoch);
        match known.and_then(|known| known.primary) {
            Some(known) if known == primary => Ok(Some(epoch)),
            _ if store.unfinished(&name)?.is_some() => Ok(None),
            _ => {
                store.set_primary(&name, &primary, epoch.next(), now)?;
                Ok(Some(epoch.next()))
            }
        }
    });
    match written.await {
        Ok(result) => result,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}
