//! MHA's own locks on the servers, beside the engine's. A manager of MHA that runs on the same
//! servers takes them, and so does its switch: so that it and this one exclude each other, in both
//! directions, for the time of a migration.

use std::any::Any;
use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use primacy_dcs::{ClusterLock, Holder, ServerLock};
use primacy_manager::{Admission, ManagerError};
use primacy_types::Address;
use primacy_wire::ConnectOptions;
use tokio::time::Instant;

use crate::application::Application;

/// On the primary, as long as it is watched.
const MONITOR: &str = "MHA_Master_High_Availability_Monitor";

/// On each replica, for the time of a failover or a switch.
const FAILOVER: &str = "MHA_Master_High_Availability_Failover";

/// How long one is waited for: also until a server notices that the holder was killed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(6);

/// How long the locks of a failover may take that is due now.
const AT_A_FAILOVER: Duration = Duration::from_secs(1);

/// How often one that is lost, or held by somebody else, is asked for again.
const RETRY: Duration = Duration::from_millis(500);

/// How often it is looked whether servers have granted one.
const PAUSE: Duration = Duration::from_millis(20);

impl Application {
    /// Begins to take the lock of whoever watches this primary; it is kept, also through a restart of
    /// the server, until what is returned is dropped.
    ///
    /// # Errors
    /// If the account's password cannot be read.
    pub fn lock_monitor(&self, primary: &Address) -> Result<ClusterLock, ManagerError> {
        self.lock(MONITOR, std::slice::from_ref(primary))
    }

    /// Begins to take the locks of whoever fails over or switches these replicas.
    ///
    /// # Errors
    /// If the account's password cannot be read.
    pub fn lock_failover(&self, replicas: &[Address]) -> Result<ClusterLock, ManagerError> {
        self.lock(FAILOVER, replicas)
    }

    fn lock(&self, name: &str, servers: &[Address]) -> Result<ClusterLock, ManagerError> {
        let mut options = Vec::new();
        for server in servers {
            options.extend(self.connect(server)?);
        }
        let (cluster, holder) = (&self.cluster, self.holder());
        Ok(ClusterLock::named(name, cluster, &holder, options, RETRY))
    }
}

/// Waits until every one of these servers has granted one of MHA's locks. A majority is not enough: a
/// manager of MHA takes it on each server for itself. This is the one rule of all commands: they ask the
/// servers that answer, and each of those has to grant it.
///
/// # Errors
/// Which server has not, and who holds it there.
pub async fn taken_everywhere(lock: &ClusterLock, limit: Duration) -> Result<(), String> {
    let deadline = Instant::now() + limit;
    loop {
        let status = lock.status();
        let missing = status.servers.iter().find_map(|(server, state)| match state {
            // What grants no locks to anybody keeps nobody out either.
            ServerLock::Held { .. } | ServerLock::Unreachable { refused: true, .. } => None,
            ServerLock::HeldByOther { who } => Some(format!("{who}, on {server}")),
            ServerLock::Unreachable { why, .. } => Some(format!("{server} does not say: {why}")),
            ServerLock::Untried => Some(format!("{server} has not said in time")),
        });
        match missing {
            None => return Ok(()),
            Some(why) if Instant::now() >= deadline => return Err(why),
            Some(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Takes the locks of a failover before the engine begins one, and keeps them until it has ended.
pub(crate) struct FailoverLocks {
    cluster: String,
    holder: Holder,
    servers: BTreeMap<Address, ConnectOptions>,
}

impl FailoverLocks {
    pub(crate) fn of(application: &Application) -> Result<Self, ManagerError> {
        let mut servers = BTreeMap::new();
        for server in application.servers() {
            servers.extend(application.connect(&server)?.map(|options| (server, options)));
        }
        let (cluster, holder) = (application.cluster.clone(), application.holder());
        Ok(Self { cluster, holder, servers })
    }
}

#[async_trait]
impl Admission for FailoverLocks {
    async fn may_fail_over(
        &self,
        replicas: &[Address],
    ) -> Result<Box<dyn Any + Send + Sync>, String> {
        let options = replicas.iter().filter_map(|server| self.servers.get(server).cloned());
        let lock =
            ClusterLock::named(FAILOVER, &self.cluster, &self.holder, options.collect(), RETRY);
        taken_everywhere(&lock, AT_A_FAILOVER).await.map_err(|who| {
            format!("another failover or switch of these servers is under way ({who})")
        })?;
        Ok(Box::new(lock))
    }
}
