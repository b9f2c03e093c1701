//! The daemon: watches every configured cluster, decides, acts, records, and answers commands.
//!
//! Per cluster there is one [`Observatory`] (a task per server that keeps a warm connection and
//! what was last seen), and one supervisor that turns snapshots into decisions and runs at most
//! one operation at a time. [`Standalone`] is the same without the supervisor, for commands that
//! find no manager running.

mod check;
mod cluster;
mod daemon;
mod errant;
mod error;
mod hooks;
mod hosts;
mod leases;
mod load;
mod memory;
mod observatory;
mod probe_task;
mod reload;
mod service;
mod setup;
mod standalone;
mod supervisor;

pub use daemon::serve;
pub use error::ManagerError;
pub use load::{load_config, secret};
pub use setup::tls_mode;
pub use standalone::Standalone;
