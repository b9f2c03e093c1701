//! The address that moves: IP, prefix, and where it belongs, as one text.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The kernel's names for interfaces and labels are no longer than this (`IFNAMSIZ` less its NUL).
const LONGEST_NAME: usize = 15;

/// A virtual IP address of a database host.
///
/// Text form: `IP[/PREFIX][@INTERFACE[:LABEL]]`, for example `10.0.0.100`, `10.0.0.100/24@eth0`,
/// `fd00::100/64`, `10.0.0.100@eth0:vip`, `10.0.0.100@:vip`.
///
/// Without a prefix it is a host address, `/32` or `/128`. That is the better choice wherever the
/// host has an address of its own in the network: it brings no route, is not picked as the source
/// of outgoing connections, and does not go when the host's own address goes. (An IPv4 address with
/// the same prefix as an earlier one is that one's *secondary*, and Linux deletes secondaries with
/// their primary unless `promote_secondaries` is 1.)
///
/// Without an interface it belongs to the one that has an address in the same network. The label is
/// for IPv4 and for people: `ip address` and `ifconfig` show the address as `eth0:vip`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VirtualAddress {
    ip: IpAddr,
    prefix: u8,
    interface: Option<Box<str>>,
    label: Option<Box<str>>,
}

/// Why something is no virtual address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VirtualAddressError {
    /// Before the prefix or interface stands no IP address.
    #[error("{0:?} is not IP[/PREFIX][@INTERFACE], as in 10.0.0.100/24@eth0 or fd00::100")]
    NoIp(String),
    /// The prefix is no length.
    #[error("{ip}: {prefix:?} is no prefix length (1 to {longest})")]
    BadPrefix {
        /// The address.
        ip: IpAddr,
        /// What was written.
        prefix: String,
        /// The longest one of this family.
        longest: u8,
    },
    /// No host may have such an address.
    #[error("{ip} cannot be a virtual address: it is {what}")]
    NotForHosts {
        /// The address.
        ip: IpAddr,
        /// What it is instead.
        what: &'static str,
    },
    /// Linux has no interfaces of such names.
    #[error("{0:?} cannot be the name of an interface (1 to 15 bytes, no blank, slash or colon)")]
    BadInterface(String),
    /// Linux has no labels like this.
    #[error(
        "{0:?} cannot be a label: it is printable ASCII without blanks, and INTERFACE:LABEL has no \
         more than 15 bytes"
    )]
    BadLabel(String),
    /// IPv6 addresses have no labels.
    #[error("{0}: only IPv4 addresses have labels")]
    LabelOfIpv6(Ipv6Addr),
}

impl VirtualAddress {
    /// An address with its prefix length.
    pub fn new(ip: IpAddr, prefix: u8) -> Result<Self, VirtualAddressError> {
        let longest = full_prefix(ip);
        if prefix == 0 || prefix > longest {
            return Err(VirtualAddressError::BadPrefix { ip, prefix: prefix.to_string(), longest });
        }
        match not_for_hosts(ip, prefix) {
            Some(what) => Err(VirtualAddressError::NotForHosts { ip, what }),
            None => Ok(Self { ip, prefix, interface: None, label: None }),
        }
    }

    /// The same address on this interface.
    pub fn on(mut self, interface: impl Into<String>) -> Result<Self, VirtualAddressError> {
        let interface = interface.into();
        if !is_interface_name(&interface) {
            return Err(VirtualAddressError::BadInterface(interface));
        }
        self.interface = Some(interface.into());
        self.checked_label()
    }

    /// The same address shown as `INTERFACE:label`.
    pub fn labelled(mut self, label: impl Into<String>) -> Result<Self, VirtualAddressError> {
        if let IpAddr::V6(ip) = self.ip {
            return Err(VirtualAddressError::LabelOfIpv6(ip));
        }
        self.label = Some(label.into().into());
        self.checked_label()
    }

    fn checked_label(self) -> Result<Self, VirtualAddressError> {
        let Some(label) = &self.label else { return Ok(self) };
        let interface = self.interface.as_ref().map_or(1, |name| name.len());
        let fits = interface + 1 + label.len() <= LONGEST_NAME;
        if label.is_empty() || !label.bytes().all(|byte| byte.is_ascii_graphic()) || !fits {
            return Err(VirtualAddressError::BadLabel(label.to_string()));
        }
        Ok(self)
    }

    /// The IP address.
    pub const fn ip(&self) -> IpAddr {
        self.ip
    }

    /// The length of the network's prefix.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// The interface that it was configured for; otherwise it is found.
    pub fn interface(&self) -> Option<&str> {
        self.interface.as_deref()
    }

    /// The label, without the interface's name.
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// The label as the kernel keeps it; `None` also where it does not fit behind so long a name.
    pub fn label_on(&self, interface: &str) -> Option<String> {
        let label = format!("{interface}:{}", self.label.as_ref()?);
        (label.len() <= LONGEST_NAME).then_some(label)
    }
}

impl fmt::Display for VirtualAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)?;
        match (&self.interface, &self.label) {
            (None, None) => Ok(()),
            (interface, None) => write!(f, "@{}", interface.as_deref().unwrap_or_default()),
            (interface, Some(label)) => {
                write!(f, "@{}:{label}", interface.as_deref().unwrap_or_default())
            }
        }
    }
}

impl FromStr for VirtualAddress {
    type Err = VirtualAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (network, place) = match text.split_once('@') {
            Some((network, place)) => (network, Some(place)),
            None => (text, None),
        };
        let (ip, prefix) = match network.split_once('/') {
            Some((ip, prefix)) => (ip, Some(prefix)),
            None => (network, None),
        };
        let ip: IpAddr = ip.parse().map_err(|_| VirtualAddressError::NoIp(text.to_owned()))?;
        let longest = full_prefix(ip);
        let length = match prefix {
            None => longest,
            // `parse` alone would take "+24".
            Some(digits) => digits
                .parse()
                .ok()
                .filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
                .ok_or_else(|| VirtualAddressError::BadPrefix {
                    ip,
                    prefix: digits.to_owned(),
                    longest,
                })?,
        };
        let address = Self::new(ip, length)?;
        match place.map(|place| place.split_once(':').map_or((place, None), |(i, l)| (i, Some(l))))
        {
            None => Ok(address),
            Some(("", Some(label))) => address.labelled(label),
            Some((interface, None)) => address.on(interface),
            Some((interface, Some(label))) => address.on(interface)?.labelled(label),
        }
    }
}

impl TryFrom<String> for VirtualAddress {
    type Error = VirtualAddressError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<VirtualAddress> for String {
    fn from(address: VirtualAddress) -> Self {
        address.to_string()
    }
}

/// The prefix length that leaves one host.
pub const fn full_prefix(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Whether both addresses are in one network of this prefix length.
pub fn same_network(a: IpAddr, b: IpAddr, prefix: u8) -> bool {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()) & mask4(prefix) == 0,
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()) & mask6(prefix) == 0,
        _ => false,
    }
}

fn mask4(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0)
}

fn mask6(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0)
}

fn not_for_hosts(ip: IpAddr, prefix: u8) -> Option<&'static str> {
    let of_network = |host_bits_zero: bool, host_bits_one: bool, host_bits: u8| match host_bits {
        // Networks of two addresses or one have neither (RFC 3021, RFC 6164).
        0 | 1 => None,
        _ if host_bits_zero => Some("the address of the network itself"),
        _ if host_bits_one => Some("the network's broadcast address"),
        _ => None,
    };
    match ip {
        _ if ip.is_unspecified() => Some("the unspecified address"),
        _ if ip.is_loopback() => Some("a loopback address"),
        _ if ip.is_multicast() => Some("a multicast address"),
        IpAddr::V4(Ipv4Addr::BROADCAST) => Some("the broadcast address"),
        IpAddr::V4(ip) if ip.octets()[0] == 0 => Some("an address of \"this network\" (0.0.0.0/8)"),
        IpAddr::V4(ip) => {
            let (host, all) = (ip.to_bits() & !mask4(prefix), !mask4(prefix));
            of_network(host == 0, host == all, 32 - prefix)
        }
        IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some() => Some("an IPv4 address written as IPv6"),
        IpAddr::V6(ip) => of_network(ip.to_bits() & !mask6(prefix) == 0, false, 128 - prefix),
    }
}

/// As the kernel's `dev_valid_name` has it, and no control characters.
fn is_interface_name(name: &str) -> bool {
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':');
    !matches!(name, "" | "." | "..") && name.len() <= LONGEST_NAME && !name.contains(forbidden)
}
