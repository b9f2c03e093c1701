//! Real servers to try and test against: where they come from, and clusters made of them.
//!
//! - [`provision`] puts server versions that the machine's release lacks into a cache folder;
//! - [`find_installation`] says which server programs there are and how each is started;
//! - [`Sandbox`] makes a replication cluster of them on this machine, and breaks it on request.
//!
//! Not for production: everything lives in one folder, with small buffers and passwords in files.
//! A sandbox signals only processes that it started itself (see [`process`]).

mod accounts;
mod apt;
mod catalogue;
mod cluster;
mod command;
mod error;
mod greeting;
mod info;
mod installation;
mod lock;
mod mycnf;
mod places;
mod ports;
pub mod process;
mod provision;
mod registry;
mod replication;
mod template;
mod tls;

pub use catalogue::{CATALOGUE, Entry, Origin};
pub use cluster::Sandbox;
pub use error::{Error, Result};
pub use info::{Account, AccountRole, Role, SandboxInfo, ServerInfo, ServerStatus, UpOptions};
pub use installation::{Bootstrap, Installation, find_installation, list_installations};
pub use places::{cache_dir, sandboxes_dir};
pub use process::ProcessState;
pub use provision::{Outcome, provision};
