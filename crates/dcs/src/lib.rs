//! Who may act on a cluster, and what the primary and the proxies may believe: the lock among
//! managers and the leases that a manager grants.
//!
//! Without an external store the lock is a named lock on a majority of the cluster's own servers
//! ([`ClusterLock`]). It stops two managers that see the same servers; it does not stop a server
//! that a manager cannot see, which is what fences and leases are for.

mod lease;
mod lock;
mod session;

pub use lease::{Lease, LeaseError, LeaseGranter, LocalLeases};
pub use lock::{ClusterLock, Holder, LockError, LockStatus, ServerLock};
