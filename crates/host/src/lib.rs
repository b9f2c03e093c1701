//! What may be done on a database host: see whether the server's process lives, kill it and keep
//! it down, read its files. One trait, [`HostAccess`]; today one way, [`LocalHost`], for servers
//! on this machine.
//!
//! Also [`Fence`], the promise that is built on it: this server accepts no more writes.
//!
//! Not here: whether to kill (`plan`), when (`exec`), and anything said over a MySQL connection.

mod access;
mod error;
mod fence;
mod local;
mod server;

pub use access::{
    Ability, Capability, FileEntry, HostAccess, Killed, RestartsPrevented, UnitMask, Way,
};
pub use error::HostError;
pub use fence::{Fence, FenceReport, Guarantee, LocalFence};
pub use local::LocalHost;
pub use server::ServerIdentity;
