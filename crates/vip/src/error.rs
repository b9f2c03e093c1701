//! What can go wrong with a virtual address, in sentences for the one who is paged.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use primacy_types::Millis;

use crate::{LinkState, Mac, VirtualAddress};

/// Why a virtual address was not taken, not given up, or not looked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VipError {
    /// Another host has the address.
    #[error(
        "{address}: not taken: on {interface} the host with MAC address {mac} {claim}. Find it \
         (in a neighbour table, or the switch's) and take the address from it; only where its lease \
         has provably run out may it be taken over without asking"
    )]
    InUse {
        /// The address.
        address: VirtualAddress,
        /// Where it was asked for.
        interface: String,
        /// Who answered.
        mac: Mac,
        /// What the other one claims.
        claim: Claim,
    },
    /// No interface has that name.
    #[error("{address}: this host has no interface {interface}; it has {present}")]
    NoSuchInterface {
        /// The address.
        address: VirtualAddress,
        /// The one that was configured.
        interface: String,
        /// Those that are there, with their addresses.
        present: String,
    },
    /// None of the interfaces is in the network of the address.
    #[error(
        "{address}: no interface of this host has an address in its network, so it is not known \
         where it belongs; this host has {present}. Write {address}@INTERFACE"
    )]
    NoInterfaceFits {
        /// The address.
        address: VirtualAddress,
        /// Those that are there, with their addresses.
        present: String,
    },
    /// More than one interface is in the network of the address.
    #[error(
        "{address}: several interfaces have an address in its network: {fitting}; write \
         {address}@INTERFACE"
    )]
    SeveralInterfacesFit {
        /// The address.
        address: VirtualAddress,
        /// Those that fit, with their addresses.
        fitting: String,
    },
    /// The interface carries nothing.
    #[error(
        "{address}: interface {interface} {state}, so nobody would reach the address there; {}",
        state.remedy(interface)
    )]
    InterfaceDown {
        /// The address.
        address: VirtualAddress,
        /// The interface.
        interface: String,
        /// How it is down.
        state: LinkState,
    },
    /// The host has the IP address in another way than configured.
    #[error(
        "{address}: this host already has {} as {} on {interface}. If that is the host's own address, the \
         configuration is wrong; if it is left from an earlier configuration, run: ip address \
         del {} dev {interface}", address.ip(), Cidr(address.ip(), *prefix), Cidr(address.ip(), *prefix)
    )]
    HeldDifferently {
        /// The address.
        address: VirtualAddress,
        /// Where it is.
        interface: String,
        /// The prefix length that it has there.
        prefix: u8,
    },
    /// The label and the interface's name together are too long.
    #[error(
        "{address}: \"{interface}:{label}\" is too long for a label, 15 bytes are allowed; shorten it"
    )]
    LabelTooLong {
        /// The address.
        address: VirtualAddress,
        /// The interface that was found.
        interface: String,
        /// The label.
        label: String,
    },
    /// It was given up while it was being taken.
    #[error("{address}: given up while it was being taken, so it was not taken")]
    ReleasedMeanwhile {
        /// The address.
        address: VirtualAddress,
    },
    /// Primacy lacks a capability.
    #[error(
        "{}: Primacy may not {what}{} ({source}). Its service needs CAP_NET_ADMIN to add and remove \
         addresses and CAP_NET_RAW to ask for and announce them; in its systemd unit: \
         AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW",
        subject(address),
        On(interface)
    )]
    NotPermitted {
        /// The address.
        address: Option<VirtualAddress>,
        /// What was tried.
        what: &'static str,
        /// Where.
        interface: Option<String>,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel does not have IPv6 on this interface.
    #[error(
        "{address}: the kernel has IPv6 switched off on {interface} ({source}); run: sysctl \
         net/ipv6/conf/{interface}/disable_ipv6=0"
    )]
    Ipv6Disabled {
        /// The address.
        address: VirtualAddress,
        /// The interface.
        interface: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The address was removed and is there again, or still.
    #[error(
        "{address}: removed, and still on {interface}: something else on this host adds it again. It \
         counts as held; stop what configures it (keepalived, pacemaker, a network manager)"
    )]
    StillHeld {
        /// The address.
        address: VirtualAddress,
        /// Where.
        interface: String,
    },
    /// Something took longer than its limit.
    #[error(
        "{}: {what} did not end within {}; {meaning}", subject(address), Millis::from(*limit)
    )]
    TimedOut {
        /// The address.
        address: Option<VirtualAddress>,
        /// What was tried.
        what: &'static str,
        /// How long.
        limit: Duration,
        /// What holds now.
        meaning: &'static str,
    },
    /// The kernel refused something that should always work.
    #[error("{}: could not {what}{}: {source}", subject(address), On(interface))]
    System {
        /// The address.
        address: Option<VirtualAddress>,
        /// What was tried.
        what: &'static str,
        /// Where.
        interface: Option<String>,
        /// What the kernel said.
        source: io::Error,
    },
}

/// What another host says of the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It answered: it has the address.
    Has,
    /// It asks whether anybody has it, in order to take it.
    Wants,
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Has => "answered that it has the address",
            Self::Wants => "is about to take the address, too",
        })
    }
}

impl VipError {
    /// The kernel's refusal, told by what it means.
    pub(crate) fn kernel(
        address: Option<&VirtualAddress>,
        what: &'static str,
        interface: Option<&str>,
        source: impl Into<io::Error>,
    ) -> Self {
        let (address, source) = (address.cloned(), source.into());
        let interface = interface.map(str::to_owned);
        match (source.kind(), &address, &interface) {
            // inet6_rtm_newaddr answers EACCES where IPv6 is off, and EPERM without the capability.
            (io::ErrorKind::PermissionDenied, Some(address), Some(interface))
                if address.ip().is_ipv6() && source.raw_os_error() == Some(EACCES) =>
            {
                let (address, interface) = (address.clone(), interface.clone());
                Self::Ipv6Disabled { address, interface, source }
            }
            (io::ErrorKind::PermissionDenied, _, _) => {
                Self::NotPermitted { address, what, interface, source }
            }
            _ => Self::System { address, what, interface, source },
        }
    }
}

const EACCES: i32 = rustix::io::Errno::ACCESS.raw_os_error();

fn subject(address: &Option<VirtualAddress>) -> String {
    address.as_ref().map_or_else(|| "this host's addresses".to_owned(), ToString::to_string)
}

struct On<'a>(&'a Option<String>);

impl fmt::Display for On<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |interface| write!(f, " on {interface}"))
    }
}

struct Cidr(IpAddr, u8);

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, self.1)
    }
}
