//! Servers as command lines and answers name them.

use std::collections::BTreeSet;
use std::net::{IpAddr, ToSocketAddrs};

use primacy_types::Address;

use super::SwitchError;
use crate::application::Application;

/// MHA's port if none is written.
const PORT: u16 = 3306;

/// The server of the configuration that is called so. Without a port, that of the only server on the
/// host; 3306 where there are several.
pub(super) fn server(
    app: &Application,
    host: &str,
    ip: Option<&str>,
    port: Option<i64>,
) -> Result<Address, SwitchError> {
    let written = match port {
        Some(port) => Some(u16::try_from(port).ok().filter(|port| *port > 0).ok_or_else(|| {
            SwitchError::refused(format!("{port} is no port: it has to be from 1 to 65535"))
        })?),
        None => None,
    };
    let names: Vec<&str> = ip.into_iter().filter(|ip| !ip.is_empty()).chain([host]).collect();
    let on_host = |server: &Address| {
        let name = app.host(server);
        names.iter().any(|wanted| server.host() == *wanted || name == *wanted)
    };
    let servers = app.servers();
    let mut there = servers.iter().filter(|server| on_host(server));
    let port = match (written, there.next(), there.next()) {
        (Some(port), ..) => port,
        (None, Some(only), None) => only.port(),
        (None, ..) => PORT,
    };
    let found = servers.iter().find(|server| on_host(server) && server.port() == port).cloned();
    let found = found.or_else(|| {
        names.iter().find_map(|name| same_server(app, &Address::new((*name).to_owned(), port)))
    });
    found.ok_or_else(|| {
        let known: Vec<String> = servers.iter().map(|server| app.shown(server)).collect();
        SwitchError::refused(format!(
            "{host}:{port} is no server of {}: it has {}",
            app.conf.display(),
            known.join(", ")
        ))
    })
}

/// The same from one word: `host`, `host:port`, `[address]:port`.
pub(super) fn answered(app: &Application, word: &str) -> Result<Address, SwitchError> {
    let (host, port) = split(word);
    match port {
        None => server(app, host, None, None),
        Some(port) => {
            let number = port
                .parse()
                .map_err(|_| SwitchError::refused(format!("{port:?} is no port in {word:?}")))?;
            server(app, host, None, Some(number))
        }
    }
}

/// The server of the configuration that is meant by another name of its host.
fn same_server(app: &Application, named: &Address) -> Option<Address> {
    let wanted = resolved(named);
    let meant =
        |server: &Address| server.port() == named.port() && !wanted.is_disjoint(&resolved(server));
    app.servers().into_iter().find(meant)
}

/// What a name stands for; nothing if that cannot be told.
fn resolved(address: &Address) -> BTreeSet<IpAddr> {
    let found = (address.host(), address.port()).to_socket_addrs();
    found.map(|all| all.map(|one| one.ip()).collect()).unwrap_or_default()
}

fn split(word: &str) -> (&str, Option<&str>) {
    if let Some(rest) = word.strip_prefix('[')
        && let Some((host, behind)) = rest.split_once(']')
    {
        return (host, behind.strip_prefix(':'));
    }
    match word.split_once(':') {
        // Several colons without brackets are an address of IPv6.
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        _ => (word, None),
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_port_may_be_named_with_the_host() {
        for (word, host, port) in [
            ("db2", "db2", None),
            ("db2:3307", "db2", Some("3307")),
            ("10.0.0.2:3306", "10.0.0.2", Some("3306")),
            ("[::1]:3307", "::1", Some("3307")),
            ("[::1]", "::1", None),
            ("fe80::1", "fe80::1", None),
        ] {
            assert_eq!(split(word), (host, port), "{word}");
        }
    }
}
