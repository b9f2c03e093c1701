//! What may be done on a database host: see whether the server's process lives, kill it and keep
//! it down, read its files. One trait, [`HostAccess`]; three ways: [`LocalHost`] for servers on this
//! machine, [`AgentHost`] through the agent of another one, [`SshHost`] for those without an agent.
//!
//! Also [`Fence`], the promise that is built on it: this server accepts no more writes.
//!
//! Not here: whether to kill (`plan`), when (`exec`), and anything said over a MySQL connection.

mod access;
mod agent;
mod binlog_head;
mod error;
mod fence;
mod local;
mod server;
mod ssh;

pub use access::{
    Ability, Capability, FileEntry, HostAccess, Killed, RestartsPrevented, UnitMask, Way,
};
pub use agent::AgentHost;
pub use error::HostError;
pub use fence::{Fence, FenceReport, Guarantee, HostFence};
pub use local::LocalHost;
pub use server::{ServerIdentity, StartProgram};
pub use ssh::{SshFailure, SshHost};
