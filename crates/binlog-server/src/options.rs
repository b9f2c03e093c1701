//! What a binlog server is told when it starts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use primacy_types::Address;
use primacy_wire::{ConnectOptions, TlsMode};
use secrecy::SecretString;

/// When what was received is forced to disk. It is acknowledged after that, whatever it means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncPolicy {
    /// After each group of events that came together: what was acknowledged survives the loss of
    /// power.
    #[default]
    Always,
    /// Once a second: a loss of power costs up to that.
    Interval,
    /// Whenever the operating system likes: what was acknowledged survives the death of the
    /// process only.
    Os,
}

/// An account and its password.
#[derive(Clone, Debug)]
pub struct Login {
    /// Its name.
    pub user: String,
    /// Its password.
    pub password: SecretString,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The cluster's name: that of the folder in `dir`.
    pub cluster: String,
    /// The cluster's servers; the binlog server itself is one of them.
    pub servers: Vec<Address>,
    /// The replication channel that the manager manages.
    pub channel: String,
    /// The manager's account: may watch and command.
    pub manager: Login,
    /// The replication account: logs in at the primary, and may replicate from here.
    pub replication: Login,
    /// How connections to the servers are protected.
    pub tls: TlsMode,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How often the primary shall say that it is there.
    pub heartbeat: Duration,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where its files are.
    pub dir: PathBuf,
    /// Its server id; `None`: one is chosen at the first start, and kept.
    pub server_id: Option<u32>,
    /// When files are forced to disk.
    pub sync: SyncPolicy,
    /// Files older than this are removed.
    pub keep_for: Option<Duration>,
    /// The oldest files are removed while all together are larger than this.
    pub keep_bytes: Option<u64>,
    /// Whether to acknowledge to a primary that asks for it.
    pub semi_sync: bool,
    /// At the very first start: begin with this file, in place of the primary's newest.
    pub from: Option<String>,
}

impl ServeOptions {
    /// How the manager's account connects to a server.
    pub(crate) fn as_manager(&self, server: &Address) -> ConnectOptions {
        self.connect(server, &self.manager)
    }

    /// How an account connects to a server.
    pub(crate) fn connect(&self, server: &Address, login: &Login) -> ConnectOptions {
        ConnectOptions {
            address: server.clone(),
            user: login.user.clone(),
            password: login.password.clone(),
            tls: self.tls.clone(),
            connect_timeout: self.connect_timeout,
            database: None,
            program: "primacy-binlog-server".to_owned(),
            unix_socket: None,
        }
    }

    /// As which of the cluster's servers it is known: the one at its own port. The addresses that
    /// it listens on may be others (0.0.0.0).
    pub(crate) fn own_address(&self) -> Address {
        let listens = Address::new(self.listen.ip().to_string(), self.listen.port());
        if self.servers.contains(&listens) {
            return listens;
        }
        let mut same = self.servers.iter().filter(|server| server.port() == self.listen.port());
        match (same.next(), same.next()) {
            (Some(only), None) => only.clone(),
            _ => listens,
        }
    }
}
