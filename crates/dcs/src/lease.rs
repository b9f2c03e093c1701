//! Short leases that a manager grants to whoever acts for a primary: they carry the epoch, and a
//! lower epoch is refused.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use primacy_types::{Address, Epoch, Millis};

/// Permission to act for `primary` in `epoch`, counted by the holder from when it *asked*.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Cluster.
    pub cluster: String,
    /// The primary of this reign.
    pub primary: Address,
    /// The reign.
    pub epoch: Epoch,
    /// How long it is good for.
    pub ttl: Millis,
}

/// Why a lease was not granted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// A later reign has begun.
    #[error("epoch {asked} of cluster {cluster} is over; the current one is {current}")]
    Superseded {
        /// Cluster.
        cluster: String,
        /// What was asked for.
        asked: Epoch,
        /// What is in force.
        current: Epoch,
    },
    /// No lease says anything about the server.
    #[error(
        "leases are not in force for {server} in cluster {cluster}: each server that may be promoted needs an agent"
    )]
    NotInForce {
        /// Cluster.
        cluster: String,
        /// The server.
        server: Address,
    },
    /// It has to wait.
    #[error("{0}")]
    NotYet(String),
    /// The agent refuses, or is not reached.
    #[error("{0}")]
    Agent(String),
    /// The same reign belongs to another server.
    #[error("epoch {epoch} of cluster {cluster} belongs to {primary}")]
    OtherPrimary {
        /// Cluster.
        cluster: String,
        /// The reign.
        epoch: Epoch,
        /// Whose it is.
        primary: Address,
    },
}

/// Grants leases. In one process there is nothing to lose; agents and proxies of other hosts get
/// theirs over the network by an implementation of their own.
#[async_trait]
pub trait LeaseGranter: Send + Sync {
    /// Grants or renews the lease of `primary` in `epoch`.
    ///
    /// # Errors
    /// If a later epoch is in force, or the same epoch is another server's.
    async fn grant(
        &self,
        cluster: &str,
        primary: &Address,
        epoch: Epoch,
    ) -> Result<Lease, LeaseError>;

    /// From now on nothing below `epoch` is granted.
    async fn revoke_below(&self, cluster: &str, epoch: Epoch);

    /// The server was seen to be gone: it holds no lease any more.
    async fn fenced(&self, _cluster: &str, _server: &Address) {}

    /// Waits until the lease of a server that is not reached has run out for certain.
    ///
    /// # Errors
    /// If leases prove nothing about this server, or `limit` is over first.
    async fn has_run_out(
        &self,
        cluster: &str,
        server: &Address,
        limit: Millis,
    ) -> Result<(), LeaseError> {
        let _ = limit;
        Err(LeaseError::NotInForce { cluster: cluster.to_owned(), server: server.clone() })
    }

    /// Lets the holder of the lease of `epoch` accept writes, where its agent does that; whether it
    /// was done.
    ///
    /// # Errors
    /// If the agent refuses, or is not reached.
    async fn open(
        &self,
        _cluster: &str,
        _server: &Address,
        _epoch: Epoch,
        _limit: Millis,
    ) -> Result<bool, LeaseError> {
        Ok(false)
    }
}

/// Leases among the parts of one process.
#[derive(Debug)]
pub struct LocalLeases {
    ttl: Millis,
    current: Mutex<BTreeMap<String, (Epoch, Option<Address>)>>,
}

impl LocalLeases {
    /// Leases of this length.
    pub fn new(ttl: Millis) -> Self {
        Self { ttl, current: Mutex::default() }
    }
}

#[async_trait]
impl LeaseGranter for LocalLeases {
    async fn grant(
        &self,
        cluster: &str,
        primary: &Address,
        epoch: Epoch,
    ) -> Result<Lease, LeaseError> {
        let mut all = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let current = all.entry(cluster.to_owned()).or_default();
        if epoch < current.0 {
            return Err(LeaseError::Superseded {
                cluster: cluster.to_owned(),
                asked: epoch,
                current: current.0,
            });
        }
        match &current.1 {
            Some(other) if epoch == current.0 && other != primary => {
                Err(LeaseError::OtherPrimary {
                    cluster: cluster.to_owned(),
                    epoch,
                    primary: other.clone(),
                })
            }
            _ => {
                *current = (epoch, Some(primary.clone()));
                Ok(Lease {
                    cluster: cluster.to_owned(),
                    primary: primary.clone(),
                    epoch,
                    ttl: self.ttl,
                })
            }
        }
    }

    async fn revoke_below(&self, cluster: &str, epoch: Epoch) {
        let mut all = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let current = all.entry(cluster.to_owned()).or_default();
        if epoch > current.0 {
            *current = (epoch, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lower_epoch_is_refused_and_an_epoch_has_one_primary() {
        let leases = LocalLeases::new(Millis::from_secs(3));
        let (a, b) = (Address::new("a", 1), Address::new("b", 1));
        assert!(leases.grant("c", &a, Epoch(1)).await.is_ok());
        assert!(leases.grant("c", &a, Epoch(1)).await.is_ok());
        assert!(matches!(
            leases.grant("c", &b, Epoch(1)).await,
            Err(LeaseError::OtherPrimary { .. })
        ));
        leases.revoke_below("c", Epoch(2)).await;
        assert!(matches!(
            leases.grant("c", &a, Epoch(1)).await,
            Err(LeaseError::Superseded { .. })
        ));
        assert!(leases.grant("c", &b, Epoch(2)).await.is_ok());
    }
}
