//! The daemon: watches every configured cluster, decides, acts, records, and answers commands.
//!
//! Per cluster there is one [`Observatory`] (a task per server that keeps a warm connection and
//! what was last seen), and one supervisor that turns snapshots into decisions and runs at most
//! one operation at a time. [`Standalone`] is the same without the supervisor, for commands that
//! find no manager running.

mod address_script;
mod admission;
mod check;
mod chores;
mod cluster;
mod daemon;
mod engine;
mod errant;
mod error;
mod health;
mod hooks;
mod hosts;
mod leases;
mod load;
mod memory;
mod names;
mod newcomer;
mod observatory;
mod probe_task;
mod readers;
mod rebuild;
mod relay_logs;
mod reload;
mod repairs;
mod restarts;
mod returned;
mod rewrite;
mod secondary;
mod service;
mod setup;
mod standalone;
mod supervisor;
mod write_probe;

pub use admission::Admission;
pub use daemon::serve;
pub use engine::Engine;
pub use error::ManagerError;
pub use load::mha::{MhaLog, load_mha, mha_log};
pub use load::{load_config, secret};
pub use newcomer::{Newcomer, inspect_newcomer};
pub use rewrite::rewrite;
pub use setup::tls_mode;
pub use standalone::Standalone;
