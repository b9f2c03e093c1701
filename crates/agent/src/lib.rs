//! The agent: a manager's eyes and hands on a database host. It sees its server's process, reads
//! its logs, kills it and keeps it down, and obeys the lease: a server whose lease is not renewed is
//! made read-only, and killed if it does not become so.
//!
//! Two processes: the [`guard`](guard()) and under it the worker ([`work`]). Nothing that is asked
//! over the wire names a program or carries SQL.

mod addresses;
mod clock;
mod enforce;
mod error;
mod fence;
mod guard;
mod health;
mod leaving;
mod listen;
mod logs;
mod observer;
mod options;
mod readers;
mod rebuild;
mod record;
mod routes;
mod served;
mod sql;
mod work;

pub use error::AgentStartError;
pub use guard::{WorkerProgram, guard};
pub use options::{AgentOptions, ServedOptions};
pub use primacy_host::StartProgram;
pub use work::work;

use std::collections::BTreeMap;
use std::sync::Arc;

use primacy_agent_api::Credentials;
use primacy_types::Address;

use rebuild::Rebuilds;
use served::Served;

/// A running agent.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) servers: BTreeMap<Address, Arc<Served>>,
    pub(crate) rebuilds: Arc<Rebuilds>,
}

impl Agent {
    pub(crate) fn name(&self) -> String {
        self.credentials.own().name
    }
}
