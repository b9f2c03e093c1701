//! Everything that an operation on one cluster needs: connections, hosts, lock, journal, router.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use primacy_dcs::{ClusterLock, LeaseGranter};
use primacy_host::{HostAccess, ServerIdentity};
use primacy_store::Store;
use primacy_types::{Address, ClusterSnapshot, Policy, ServerFacts};
use secrecy::SecretString;

use crate::{Chronicle, Clock, Hooks, Links, Router, Scripts, ShutdownScript};

/// Whoever can look at the servers.
#[async_trait]
pub trait Eyes: Send + Sync {
    /// Looks at every server now and returns what was seen, no older than this call for servers
    /// that answered within `limit`.
    async fn look(&self, limit: Duration) -> ClusterSnapshot;

    /// What was last seen, without looking.
    fn remembered(&self) -> ClusterSnapshot;
}

/// The account that replicas use at their source.
#[derive(Clone)]
pub struct ReplicationAccount {
    /// User name.
    pub user: String,
    /// Password.
    pub password: SecretString,
    /// Replicas encrypt their connection (the manager's own connections are encrypted too).
    pub tls: bool,
}

impl fmt::Debug for ReplicationAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplicationAccount").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A folder on another host with copies of the primary's binary logs.
#[derive(Debug)]
pub(crate) struct BinlogCopy {
    /// The folder.
    pub(crate) folder: PathBuf,
    /// The way there. As its server it names the host and the port of its sshd.
    pub(crate) host: Arc<dyn HostAccess>,
    /// Which of the copies it is: one folder may be named twice.
    pub(crate) number: usize,
}

impl fmt::Display for BinlogCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.folder.display(), self.host.server().host())
    }
}

/// Access to the hosts of a cluster's servers, as far as there is any.
#[derive(Debug, Default)]
pub struct Hosts {
    known: Mutex<BTreeMap<Address, Arc<dyn HostAccess>>>,
    copies: Vec<Arc<BinlogCopy>>,
}

impl Hosts {
    /// None is known yet; copies of binary logs are in these folders, on hosts that are reached so.
    pub fn with_copies(copies: Vec<(PathBuf, Arc<dyn HostAccess>)>) -> Self {
        let copy = |(number, (folder, host))| Arc::new(BinlogCopy { folder, host, number });
        Self { copies: copies.into_iter().enumerate().map(copy).collect(), ..Self::default() }
    }

    /// Where there are copies of the primary's binary logs.
    pub(crate) fn copies(&self) -> &[Arc<BinlogCopy>] {
        &self.copies
    }

    /// Access to the host of this server.
    pub fn of(&self, server: &Address) -> Option<Arc<dyn HostAccess>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(server).cloned()
    }

    /// From now on the host of this server is reached this way.
    pub fn set(&self, server: Address, host: Arc<dyn HostAccess>) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(server, host);
    }
}

/// How a server's process is recognised on its host, from what the server said of itself.
pub fn identity(server: &Address, facts: &ServerFacts) -> ServerIdentity {
    let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
    let mut identity = ServerIdentity::new(server.clone());
    identity.pid_file = path(&facts.pid_file);
    identity.data_dir = path(&facts.data_dir);
    identity.host_name = Some(facts.host_name.clone()).filter(|h| !h.is_empty());
    identity.binlog_base = path(&facts.binlog_base);
    identity
}

/// One cluster, ready to be acted on.
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Policy in force.
    pub policy: Arc<Policy>,
    /// Control connections.
    pub links: Arc<Links>,
    /// The manager's account on the servers: its sessions are not ended by a switchover.
    pub manager_user: String,
    /// What replicas log in with at their source.
    pub replication: ReplicationAccount,
    /// Access to hosts.
    pub hosts: Arc<Hosts>,
    /// Whoever carries applications.
    pub router: Arc<dyn Router>,
    /// Whoever grants leases.
    pub leases: Arc<dyn LeaseGranter>,
    /// The lock among managers.
    pub lock: Arc<ClusterLock>,
    /// Journal and history.
    pub store: Store,
    /// Events for people.
    pub chronicle: Chronicle,
    /// The person's own programs and webhooks.
    pub hooks: Arc<Hooks>,
    /// Looks at the servers.
    pub eyes: Arc<dyn Eyes>,
    /// The process's clock.
    pub clock: Clock,
    /// The last rung of the fencing ladder.
    pub shutdown: Option<ShutdownScript>,
    /// Scripts that are called as MHA calls them.
    pub scripts: Scripts,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("name", &self.name).finish_non_exhaustive()
    }
}
