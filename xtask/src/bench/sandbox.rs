//! Sandboxes of the measurements: what all of them are made with, and the administrator's way in.

use std::time::Duration;

use primacy_sandbox::{AccountRole, Installation, Sandbox, UpOptions};
use primacy_wire::{ConnectOptions, TlsMode};

/// Three servers of this version; what differs is set on it.
pub(super) fn options(server: &Installation) -> anyhow::Result<UpOptions> {
    let mut options = UpOptions::named(format!("bench-{}", std::process::id()))?;
    options.server = Some(server.name.clone());
    Ok(options)
}

/// How the administrator logs in to a server.
pub(super) fn root(sandbox: &Sandbox, server: &str) -> anyhow::Result<ConnectOptions> {
    let server = sandbox.info().server(server)?;
    let account = sandbox.info().account(AccountRole::Root)?;
    Ok(ConnectOptions {
        address: server.address.clone(),
        user: account.user.clone(),
        password: account.password.clone().into(),
        tls: TlsMode::Off,
        connect_timeout: Duration::from_secs(5),
        database: None,
        program: "bench".to_owned(),
        unix_socket: Some(server.socket.clone()),
    })
}
