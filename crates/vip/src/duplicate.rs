//! Asks whether another host has an address, before it is taken.
//!
//! Three questions at 0, 100 and 200 ms, and an ear until 400 ms. RFC 5227 (IPv4) asks over some
//! seven seconds and RFC 4862 (IPv6) over one to two, for hosts that may have been plugged
//! in just now; a host that has run as a replica is known to its switch, and its neighbours answer
//! within a millisecond. What this cannot find: a host that is cut off for the moment, or one whose
//! kernel hangs.

use std::io;
use std::net::{IpAddr, Ipv6Addr, UdpSocket};
use std::time::{Duration, Instant};

use crate::frame::{Arp, ETHERTYPE_ARP, ETHERTYPE_IPV6, Neighbour, solicited_node};
use crate::interface::Interface;
use crate::packet::PacketSocket;
use crate::{Claim, Mac};

const QUESTIONS: u32 = 3;
const GAP: Duration = Duration::from_millis(100);
/// For the last question, on top of its gap.
const LAST_EAR: Duration = Duration::from_millis(100);
/// More frames than fit into the socket's buffer.
const MOST_LEFT_OVER: u32 = 100_000;

/// How long the asking takes where nobody answers.
pub(crate) const ASKING: Duration = Duration::from_millis(400);

/// Who else has or wants the address; `None` if nobody said so.
pub(crate) fn search(
    interface: &Interface,
    ours: Mac,
    ip: IpAddr,
) -> io::Result<Option<(Mac, Claim)>> {
    let (ethertype, question) = match ip {
        IpAddr::V4(ip) => (ETHERTYPE_ARP, Arp::probe(ours, ip).encode()),
        IpAddr::V6(ip) => (ETHERTYPE_IPV6, Neighbour::probe(ours, ip).encode()),
    };
    let _member = match ip {
        IpAddr::V4(_) => None,
        IpAddr::V6(ip) => join(interface, ip),
    };
    let conflict = |frame: &[u8]| match ip {
        IpAddr::V4(ip) => Arp::parse(frame)?.conflict(ours, ip),
        IpAddr::V6(ip) => Neighbour::parse(frame)?.conflict(ours, ip),
    };
    let socket = PacketSocket::listener(&interface.link, ethertype)?;
    for asked in 1..=QUESTIONS {
        socket.send(&question)?;
        let last = if asked == QUESTIONS { LAST_EAR } else { Duration::ZERO };
        // From when it was sent: whoever was frozen meanwhile still listens for as long.
        let end = Instant::now() + GAP + last;
        while let Some(frame) = socket.receive_until(end)? {
            if let Some(found) = conflict(&frame) {
                return Ok(Some(found));
            }
        }
    }
    // What arrived while nobody looked.
    for _ in 0..MOST_LEFT_OVER {
        match socket.receive_now()? {
            None => break,
            Some(frame) => {
                if let Some(found) = conflict(&frame) {
                    return Ok(Some(found));
                }
            }
        }
    }
    Ok(None)
}

/// Joins the group to which others would send the same question, so that switches and network
/// cards let it through. Where that fails, an answer of who has the address still comes: it goes to
/// all nodes.
fn join(interface: &Interface, ip: Ipv6Addr) -> Option<UdpSocket> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).ok()?;
    socket.join_multicast_v6(&solicited_node(ip), interface.index()).ok()?;
    Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_asking_takes_as_long_as_is_said() {
        assert_eq!(GAP * QUESTIONS + LAST_EAR, ASKING);
    }
}
