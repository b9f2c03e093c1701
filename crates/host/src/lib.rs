//! What may be done on a database host: see whether the server's process lives, kill it and keep
//! it down, read its files. One trait, [`HostAccess`]; two ways: [`LocalHost`] for servers on this
//! machine, [`SshHost`] for others (their files and their process, no kill).
//!
//! Also [`Fence`], the promise that is built on it: this server accepts no more writes.
//!
//! Not here: whether to kill (`plan`), when (`exec`), and anything said over a MySQL connection.

mod access;
mod binlog_head;
mod error;
mod fence;
mod local;
mod server;
mod ssh;

pub use access::{
    Ability, Capability, FileEntry, HostAccess, Killed, RestartsPrevented, UnitMask, Way,
};
pub use error::HostError;
pub use fence::{Fence, FenceReport, Guarantee, LocalFence};
pub use local::LocalHost;
pub use server::ServerIdentity;
pub use ssh::{SshFailure, SshHost};
