//! The few frames that are sent and listened for, byte by byte: ARP, and IPv6 neighbour
//! solicitations and advertisements. Nothing here talks to a network, and nothing that arrives
//! is believed to be well formed.

mod arp;
mod ndp;

use std::fmt;

pub use arp::{Arp, ArpOperation};
pub use ndp::{Neighbour, solicited_node};

/// Ethernet's number of ARP.
pub(crate) const ETHERTYPE_ARP: u16 = 0x0806;
/// Ethernet's number of IPv6.
pub(crate) const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERNET_HEADER: usize = 14;

/// An Ethernet address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Every host on the link.
    pub const BROADCAST: Self = Self([0xff; 6]);
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// The beginning of a frame.
fn ethernet(to: Mac, from: Mac, ethertype: u16) -> Vec<u8> {
    [&to.0[..], &from.0, &ethertype.to_be_bytes()].concat()
}

/// Reads a frame from its beginning; whatever is not there is `None`.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn bytes(&mut self, n: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn mac(&mut self) -> Option<Mac> {
        self.array().map(Mac)
    }

    /// The header, if it announces what is wanted: receiver and sender.
    fn ethernet(&mut self, ethertype: u16) -> Option<(Mac, Mac)> {
        let ends = (self.mac()?, self.mac()?);
        (self.u16()? == ethertype).then_some(ends)
    }
}
