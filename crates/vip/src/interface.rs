//! The interfaces of this host with their addresses, and which one a virtual address belongs to.

use std::fmt;
use std::io;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::LinkAddr;

use crate::netlink::Record;
use crate::{Mac, VipError, VirtualAddress};
use primacy_types::virtual_address::{full_prefix, same_network};

/// `ARPHRD_ETHER`: bonds, bridges, VLANs and virtual Ethernets are of this type, too.
const ETHERNET: u16 = 1;

/// An interface of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Whether anything gets through it.
    pub state: LinkState,
    /// Its Ethernet address; none where neighbours are not asked for (loopback, tunnels).
    pub mac: Option<Mac>,
    /// The addresses it has.
    pub addresses: Vec<InterfaceAddress>,
    pub(crate) link: LinkAddr,
}

/// Whether an interface carries anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// It does.
    Up,
    /// It was switched off.
    Down,
    /// It is switched on, and what it is plugged into is not there.
    NoCarrier,
}

/// An address that an interface has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The address.
    pub ip: IpAddr,
    /// The length of its network's prefix.
    pub prefix: u8,
    /// Its label, with IPv4.
    pub label: Option<String>,
    /// It is in use: the kernel is not still searching for a duplicate, and has found none.
    pub usable: bool,
}

impl LinkState {
    pub(crate) fn remedy(self, interface: &str) -> String {
        match self {
            Self::NoCarrier => "look at its cable, switch port or hypervisor".to_owned(),
            Self::Up | Self::Down => format!("run: ip link set {interface} up"),
        }
    }
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "is up",
            Self::Down => "is down",
            Self::NoCarrier => "has no carrier",
        })
    }
}

impl fmt::Display for Interface {
    /// `eth0 (10.0.0.1/24, fd00::1/64)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses = self.addresses.iter().map(|a| format!("{}/{}", a.ip, a.prefix));
        let addresses: Vec<String> = addresses.collect();
        match addresses.is_empty() {
            true => write!(f, "{} (no address)", self.name),
            false => write!(f, "{} ({})", self.name, addresses.join(", ")),
        }
    }
}

impl Interface {
    pub(crate) fn index(&self) -> u32 {
        u32::try_from(self.link.ifindex()).unwrap_or(0)
    }

    /// Whether an address of this interface, other than `ip` itself, is in one network with it.
    pub(crate) fn reaches(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|own| {
            own.ip != ip && own.prefix < full_prefix(ip) && same_network(own.ip, ip, own.prefix)
        })
    }
}

/// All interfaces, with those of the addresses that are theirs.
pub(crate) fn interfaces(records: &[Record]) -> io::Result<Vec<Interface>> {
    let entry = |entry: nix::ifaddrs::InterfaceAddress| {
        // Every interface has one entry of this family; it names the interface.
        let link = *entry.address?.as_link_addr()?;
        let flags = entry.flags;
        let state = match () {
            () if !flags.contains(InterfaceFlags::IFF_UP) => LinkState::Down,
            () if !flags.contains(InterfaceFlags::IFF_LOWER_UP) => LinkState::NoCarrier,
            () => LinkState::Up,
        };
        let mute = InterfaceFlags::IFF_LOOPBACK | InterfaceFlags::IFF_NOARP;
        let asks = link.hatype() == ETHERNET && link.halen() == 6 && !flags.intersects(mute);
        let mac = link.addr().filter(|_| asks).map(Mac);
        let own = records.iter().filter(|r| usize::try_from(r.index) == Ok(link.ifindex()));
        let addresses = own.map(InterfaceAddress::from).collect();
        Some(Interface { name: entry.interface_name, state, mac, addresses, link })
    };
    Ok(getifaddrs()?.filter_map(entry).collect())
}

impl From<&Record> for InterfaceAddress {
    fn from(record: &Record) -> Self {
        Self {
            ip: record.ip,
            prefix: record.prefix,
            label: record.label.clone(),
            usable: !record.is_duplicate() && !record.is_tentative(),
        }
    }
}

/// The one interface that the address belongs to.
pub(crate) fn choose<'a>(
    interfaces: &'a [Interface],
    address: &VirtualAddress,
) -> Result<&'a Interface, VipError> {
    let listed = |some: &mut dyn Iterator<Item = &Interface>| {
        some.map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    if let Some(name) = address.interface() {
        return interfaces.iter().find(|one| one.name == name).ok_or_else(|| {
            VipError::NoSuchInterface {
                address: address.clone(),
                interface: name.to_owned(),
                present: listed(&mut interfaces.iter()),
            }
        });
    }
    let fitting: Vec<&Interface> =
        interfaces.iter().filter(|one| one.reaches(address.ip())).collect();
    match fitting[..] {
        [one] => Ok(one),
        [] => Err(VipError::NoInterfaceFits {
            address: address.clone(),
            present: listed(&mut interfaces.iter()),
        }),
        _ => Err(VipError::SeveralInterfacesFit {
            address: address.clone(),
            fitting: listed(&mut fitting.into_iter()),
        }),
    }
}
