//! The lock of one manager on one cluster: `GET_LOCK` on the cluster's own servers.
//!
//! One session per server holds the lock and spends its life in short sleeps whose text names the
//! holder, so that a second manager, and a DBA who looks at the process list, see who it is.
//! A server that dies takes its lock with it; a server whose host refuses connections can grant
//! the lock to nobody and is not counted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use primacy_types::Address;
use primacy_wire::ConnectOptions;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::session;

/// Who holds (or wants) a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The manager's name.
    pub name: String,
    /// Its host.
    pub host: String,
    /// Its process id.
    pub pid: u32,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {} on {})", self.name, self.pid, self.host)
    }
}

/// The lock on one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum ServerLock {
    /// Not tried yet.
    Untried,
    /// We hold it.
    Held {
        /// The connection that holds it.
        connection: u64,
    },
    /// Somebody else holds it.
    HeldByOther {
        /// Who, as the process list shows it.
        who: String,
    },
    /// It could not be taken because the server does not answer.
    Unreachable {
        /// Why.
        why: String,
        /// The host refuses the connection: no server is there that could grant it to anybody.
        refused: bool,
    },
}

/// The lock on a whole cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockStatus {
    /// Per server.
    pub servers: BTreeMap<Address, ServerLock>,
}

/// Why the lock does not permit to act.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// Another manager has it.
    #[error("another manager holds the lock of cluster {cluster} on {server}: {who}")]
    HeldByOther {
        /// Cluster.
        cluster: String,
        /// One of the servers where it is held.
        server: Address,
        /// Who.
        who: String,
    },
    /// Too few servers have granted it.
    #[error(
        "the lock of cluster {cluster} is held on {held} of {of} reachable servers only; a \
         majority is needed ({why})"
    )]
    NoMajority {
        /// Cluster.
        cluster: String,
        /// Servers that granted it.
        held: usize,
        /// Servers that could have.
        of: usize,
        /// What the others said.
        why: String,
    },
}

impl LockStatus {
    /// Whether the lock permits to act on the cluster.
    ///
    /// More than half of the servers that could grant it to somebody must have granted it; half
    /// of an even number suffices when nobody else holds it on any of them (a pair whose primary
    /// is silent).
    ///
    /// # Errors
    /// Who holds it, or how many are missing.
    pub fn permits(&self, cluster: &str) -> Result<(), LockError> {
        for (server, lock) in &self.servers {
            if let ServerLock::HeldByOther { who } = lock {
                return Err(LockError::HeldByOther {
                    cluster: cluster.to_owned(),
                    server: server.clone(),
                    who: who.clone(),
                });
            }
        }
        let able =
            |lock: &&ServerLock| !matches!(lock, ServerLock::Unreachable { refused: true, .. });
        let of = self.servers.values().filter(able).count();
        let held = self.held().len();
        if held > 0 && held * 2 >= of {
            return Ok(());
        }
        let why: Vec<_> = self
            .servers
            .iter()
            .filter_map(|(a, l)| match l {
                ServerLock::Unreachable { why, .. } => Some(format!("{a}: {why}")),
                ServerLock::Untried => Some(format!("{a}: not tried yet")),
                _ => None,
            })
            .collect();
        Err(LockError::NoMajority { cluster: cluster.to_owned(), held, of, why: why.join("; ") })
    }

    /// The servers on which we hold it.
    pub fn held(&self) -> BTreeSet<&Address> {
        let held = |l: &ServerLock| matches!(l, ServerLock::Held { .. });
        self.servers.iter().filter(|(_, l)| held(l)).map(|(a, _)| a).collect()
    }

    /// Whether every server has been tried at least once.
    pub fn settled(&self) -> bool {
        self.servers.values().all(|l| *l != ServerLock::Untried)
    }
}

type Shared = Arc<Mutex<watch::Sender<LockStatus>>>;

/// Keeps the lock on every server of a cluster as long as it lives.
#[derive(Debug)]
pub struct ClusterLock {
    cluster: String,
    status: watch::Receiver<LockStatus>,
    tasks: Vec<JoinHandle<()>>,
}

impl ClusterLock {
    /// Starts to take the lock on these servers, each in a task of its own.
    pub fn start(
        cluster: &str,
        holder: &Holder,
        servers: Vec<ConnectOptions>,
        retry: Duration,
    ) -> Self {
        Self::named(&session::lock_name(cluster), cluster, holder, servers, retry)
    }

    /// The same with a lock that is called otherwise, for those who know it by that name.
    pub fn named(
        lock: &str,
        cluster: &str,
        holder: &Holder,
        servers: Vec<ConnectOptions>,
        retry: Duration,
    ) -> Self {
        let begin = LockStatus {
            servers: servers.iter().map(|o| (o.address.clone(), ServerLock::Untried)).collect(),
        };
        let (sender, status) = watch::channel(begin);
        let shared: Shared = Arc::new(Mutex::new(sender));
        let tasks = servers
            .into_iter()
            .map(|options| {
                let shared = Arc::clone(&shared);
                let address = options.address.clone();
                let report = move |lock: ServerLock| {
                    let sender = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    sender.send_if_modified(|status| {
                        let old = status.servers.insert(address.clone(), lock.clone());
                        old != Some(lock)
                    });
                };
                let keeper = session::Keeper {
                    lock: lock.to_owned(),
                    cluster: cluster.to_owned(),
                    holder: holder.clone(),
                    options,
                    retry,
                };
                tokio::spawn(keeper.run(report))
            })
            .collect();
        Self { cluster: cluster.to_owned(), status, tasks }
    }

    /// The lock as it is now.
    pub fn status(&self) -> LockStatus {
        self.status.borrow().clone()
    }

    /// Whether the lock permits to act now; see [`LockStatus::permits`].
    ///
    /// # Errors
    /// Who holds it, or how many are missing.
    pub fn permits(&self) -> Result<(), LockError> {
        self.status.borrow().permits(&self.cluster)
    }

    /// Waits until the lock permits to act. Where somebody else holds it the whole limit is waited
    /// for: it may be the ghost of a manager that was just killed. Servers that cannot be reached
    /// are not waited for.
    ///
    /// # Errors
    /// As [`LockStatus::permits`] when that is settled or the limit has passed.
    pub async fn acquire(&self, limit: Duration) -> Result<(), LockError> {
        let mut status = self.status.clone();
        let settled = status.wait_for(|s| match s.permits(&self.cluster) {
            Ok(()) => true,
            Err(LockError::HeldByOther { .. }) => false,
            Err(LockError::NoMajority { .. }) => s.settled(),
        });
        let _ = tokio::time::timeout(limit, settled).await;
        self.permits()
    }

    /// Waits for it, whatever the servers say now: of those that were just restarted, as a rolling
    /// restart does, the lock is gone with their sessions, and is taken again within a moment.
    ///
    /// # Errors
    /// As [`LockStatus::permits`] when the limit has passed.
    pub async fn regain(&self, limit: Duration) -> Result<(), LockError> {
        let mut status = self.status.clone();
        let regained = status.wait_for(|status| status.permits(&self.cluster).is_ok());
        let _ = tokio::time::timeout(limit, regained).await;
        self.permits()
    }

    /// Lets go of the lock on every server.
    pub async fn release(mut self) {
        for task in std::mem::take(&mut self.tasks) {
            task.abort();
            let _ = task.await;
        }
    }
}

impl Drop for ClusterLock {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(locks: &[ServerLock]) -> LockStatus {
        let named = locks.iter().enumerate();
        LockStatus {
            servers: named.map(|(i, l)| (Address::new(format!("s{i}"), 3306), l.clone())).collect(),
        }
    }

    const HELD: ServerLock = ServerLock::Held { connection: 7 };

    fn unreachable(refused: bool) -> ServerLock {
        ServerLock::Unreachable { why: "gone".into(), refused }
    }

    #[test]
    fn a_majority_of_those_that_could_grant_it_permits() {
        let cases = [
            (vec![HELD, HELD, HELD], true),
            (vec![unreachable(false), HELD, HELD], true),
            (vec![unreachable(true), HELD, unreachable(true)], true),
            (vec![unreachable(false), HELD, unreachable(false)], false),
            (vec![unreachable(false), HELD], true),
            (vec![unreachable(true), unreachable(true)], false),
        ];
        for (locks, permitted) in cases {
            assert_eq!(status(&locks).permits("c").is_ok(), permitted, "{locks:?}");
        }
    }

    #[test]
    fn another_holder_anywhere_forbids() {
        let other = ServerLock::HeldByOther { who: "m2".into() };
        let refused = status(&[HELD, HELD, other]).permits("c").unwrap_err();
        assert!(refused.to_string().contains("m2"), "{refused}");
    }
}
