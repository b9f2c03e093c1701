//! What an agent is told when it starts.

use std::path::PathBuf;

use primacy_certs::Paths;
use primacy_host::StartProgram;
use primacy_types::{Address, Millis};
use primacy_wire::ConnectOptions;

/// Settings of one agent.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// Where it listens for managers and other agents.
    pub listen: Address,
    /// Its certificate, its key, and whom it believes.
    pub certificates: Paths,
    /// Where it keeps what must survive it.
    pub state_dir: PathBuf,
    /// The servers of this host that it looks after.
    pub servers: Vec<ServedOptions>,
    /// Length of a lease; the manager's must be the same.
    pub lease: Millis,
    /// Where health is asked for over plain HTTP; `None`: nowhere.
    pub health: Option<Address>,
}

/// One server.
#[derive(Clone, Debug)]
pub struct ServedOptions {
    /// Its address, as the manager's configuration has it.
    pub server: Address,
    /// How the agent logs in to it.
    pub login: ConnectOptions,
    /// What starts it where no systemd unit does.
    pub start: Option<StartProgram>,
}
