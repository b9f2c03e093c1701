//! Giving an address up.

use std::fs;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with};

use crate::netlink::{Netlink, Record};
use crate::{VipError, VirtualAddress, turns};
use primacy_types::virtual_address::same_network;

/// What giving an address up found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Released {
    /// The interfaces from which it was removed; none if the host did not have it.
    pub from: Vec<String>,
}

impl Released {
    /// The host had the address.
    pub const fn was_held(&self) -> bool {
        !self.from.is_empty()
    }
}

pub(crate) fn timed_out(address: &VirtualAddress, limit: Duration) -> VipError {
    let meaning = "it counts as held. The kernel still has the request; try again";
    VipError::TimedOut { address: Some(address.clone()), what: "removing it", limit, meaning }
}

/// Removes the address, and whoever is taking it just now shall not have it.
pub(crate) fn release(address: &VirtualAddress) -> Result<Released, VipError> {
    turns::give_up(address.ip());
    remove(address)
}

/// Removes the address wherever it is, whatever its prefix: after this the host must not answer
/// for it.
pub(crate) fn remove(address: &VirtualAddress) -> Result<Released, VipError> {
    let failed = |what, source| VipError::kernel(Some(address), what, None, source);
    let netlink = Netlink::open().map_err(|source| failed("open a netlink socket", source))?;
    let list = || netlink.addresses().map_err(|source| failed("list the addresses", source));
    let is_it = |record: &&Record| record.ip == address.ip();

    let records = list()?;
    let mut from = Vec::new();
    for record in records.iter().filter(is_it) {
        let name = name(record.index);
        keep_siblings(record, &records, &name);
        match netlink.remove(record) {
            Ok(()) => from.push(name),
            // Somebody was quicker, or the interface is gone.
            Err(Errno::ADDRNOTAVAIL | Errno::NODEV) => {}
            Err(source) => {
                return Err(VipError::kernel(Some(address), "remove it", Some(&name), source));
            }
        }
    }
    if !from.is_empty()
        && let Some(record) = list()?.iter().find(is_it)
    {
        let interface = name(record.index);
        return Err(VipError::StillHeld { address: address.clone(), interface });
    }
    Ok(Released { from })
}

/// If the address is the first of its network and prefix on the interface, Linux removes the later
/// ones with it, and the routes through them, unless told to promote one of them.
fn keep_siblings(record: &Record, records: &[Record], interface: &str) {
    let sibling = |other: &&Record| {
        other.index == record.index
            && other.is_secondary()
            && other.prefix == record.prefix
            && same_network(other.ip, record.ip, record.prefix)
    };
    let Some(other) = records.iter().find(sibling).filter(|_| !record.is_secondary()) else {
        return;
    };
    let setting = format!("/proc/sys/net/ipv4/conf/{interface}/promote_secondaries");
    if let Err(error) = fs::write(&setting, "1") {
        // The address has to go all the same.
        let (ip, also) = (record.ip, other.ip);
        tracing::warn!(%ip, %also, interface, setting, %error,
            "with this address the kernel may remove others of its network");
    }
}

/// The interface's name; it may have gone.
pub(crate) fn name(index: u32) -> String {
    let (family, kind) = (AddressFamily::UNIX, SocketType::DGRAM);
    socket_with(family, kind, SocketFlags::CLOEXEC, None)
        .and_then(|socket| netdevice::index_to_name(&socket, index))
        .unwrap_or_else(|_gone| format!("interface number {index}"))
}
