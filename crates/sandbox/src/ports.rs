//! Ports that are free, and stay free while a server is down.

use std::collections::HashSet;
use std::fs;
use std::net::TcpListener;
use std::ops::Range;

use rand::RngExt;

use crate::{Error, Result};

/// Ports that ordinary programs do not use. Bounded above by the kernel's range for outgoing
/// connections: one of those could take the port of a server that is just dead.
const USABLE: Range<u16> = 15_000..32_000;

/// `count` neighbouring ports that nobody listens on at `host`, none of which is `taken`.
pub(crate) fn free_ports(host: &str, count: u16, taken: &HashSet<u16>) -> Result<u16> {
    let end = USABLE.end.min(outgoing_from()).max(USABLE.start + 1000);
    for _ in 0..200 {
        let base = rand::rng().random_range(USABLE.start..end - count);
        let mut ports = base..base + count;
        if ports.all(|port| !taken.contains(&port) && is_free(host, port)) {
            return Ok(base);
        }
    }
    Err(Error::refused(
        format!("no {count} free ports were found at {host}"),
        "name them with --base-port",
    ))
}

/// Whether a server could listen there.
pub(crate) fn is_free(host: &str, port: u16) -> bool {
    TcpListener::bind((host, port)).is_ok()
}

fn outgoing_from() -> u16 {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(32_768)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_not_free() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(!is_free("127.0.0.1", listener.local_addr().unwrap().port()));
        let base = free_ports("127.0.0.1", 3, &HashSet::new()).unwrap();
        assert!(is_free("127.0.0.1", base + 2));
    }
}
