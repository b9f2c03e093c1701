//! How a node command logs in: its options, and what an option file says where they say nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use primacy_mha_node::option_file::{self, OptionFile};
use primacy_types::Address;
use primacy_wire::{ConnectOptions, TlsMode};

use super::{Stop, port};
use crate::given::Given;

/// Limit of connecting.
const LIMIT: Duration = Duration::from_secs(10);

/// Which options say what.
pub(super) struct Names {
    pub(super) user: &'static str,
    pub(super) password: &'static str,
    /// The first that is given counts.
    pub(super) hosts: &'static [&'static str],
    pub(super) port: &'static str,
    pub(super) socket: Option<&'static str>,
}

/// The login.
pub(super) fn of(given: &Given, names: &Names) -> Result<ConnectOptions, Stop> {
    let file = match given.text("defaults_file") {
        Some(path) => option_file::read(Path::new(path))?,
        None => OptionFile::default(),
    };
    let text = |name: &str, in_file: Option<String>| match in_file {
        Some(value) if !given.has(name) => value,
        _ => given.text(name).unwrap_or_default().to_owned(),
    };
    let given_host = names.hosts.iter().find(|name| given.has(name));
    let host = match given_host.or(names.hosts.last()) {
        Some(name) => text(name, file.host),
        None => String::new(),
    };
    let port = match file.port {
        Some(number) if !given.has(names.port) => number,
        _ => port(given, names.port)?,
    };
    let password = match given.secret(names.password) {
        Some(password) => password,
        None => file.password.unwrap_or_default(),
    };
    // A host or a port on the command line means that one, whatever the file says.
    let tcp = given_host.is_some() || given.has(names.port);
    let socket = names.socket.and_then(|name| given.text(name)).map(str::to_owned);
    let socket = socket.or(file.socket.filter(|_| !tcp)).filter(|path| !path.is_empty());
    Ok(ConnectOptions {
        address: Address::new(host, port),
        user: text(names.user, file.user),
        password,
        tls: TlsMode::Off,
        connect_timeout: LIMIT,
        database: None,
        program: given.command().name.to_owned(),
        unix_socket: socket.map(PathBuf::from),
    })
}
