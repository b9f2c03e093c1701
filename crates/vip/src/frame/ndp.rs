//! Neighbour solicitations and advertisements of IPv6 (RFC 4861), and their use for finding
//! duplicates (RFC 4862, 5.4).

use std::net::Ipv6Addr;

use super::{ETHERNET_HEADER, ETHERTYPE_IPV6, Mac, Reader, ethernet};
use crate::Claim;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const NEXT_IS_ICMPV6: u8 = 58;
/// Neighbour messages that were routed are forged; the receiver looks at this.
const HOP_LIMIT: u8 = 255;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const FLAG_OVERRIDE: u8 = 0x20;
const OPTION_TARGET_ADDRESS: u8 = 2;

/// A neighbour message with the frame around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Who sent the frame.
    pub from: Mac,
    /// Who sent the packet; unspecified in a probe.
    pub source: Ipv6Addr,
    /// The address in question.
    pub target: Ipv6Addr,
    /// An advertisement says who has the target, a solicitation asks.
    pub advertises: bool,
    /// The MAC address of the target, as an advertisement says.
    pub target_mac: Option<Mac>,
}

impl Neighbour {
    /// Asks whether anybody has the address, without claiming it.
    pub const fn probe(ours: Mac, ip: Ipv6Addr) -> Self {
        Self {
            from: ours,
            source: Ipv6Addr::UNSPECIFIED,
            target: ip,
            advertises: false,
            target_mac: None,
        }
    }

    /// Says to every node that we have the address, and that older knowledge is wrong.
    pub const fn announcement(ours: Mac, ip: Ipv6Addr) -> Self {
        Self { from: ours, source: ip, target: ip, advertises: true, target_mac: Some(ours) }
    }

    /// The whole frame: an advertisement to all nodes with the override flag, or a solicitation to
    /// those who might have the address.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, flags, to) = if self.advertises {
            (ADVERTISEMENT, FLAG_OVERRIDE, ALL_NODES)
        } else {
            (SOLICITATION, 0, solicited_node(self.target))
        };
        let mut message = vec![kind, 0, 0, 0, flags, 0, 0, 0];
        message.extend(self.target.octets());
        if let Some(mac) = self.target_mac {
            message.extend([OPTION_TARGET_ADDRESS, 1]);
            message.extend(mac.0);
        }
        let sum = !ones_complement(self.source, to, &message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());

        let mut frame = ethernet(multicast_mac(to), self.from, ETHERTYPE_IPV6);
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
        frame.extend([0x60, 0, 0, 0]);
        frame.extend(length.to_be_bytes());
        frame.extend([NEXT_IS_ICMPV6, HOP_LIMIT]);
        frame.extend(self.source.octets());
        frame.extend(to.octets());
        debug_assert_eq!(frame.len(), ETHERNET_HEADER + 40);
        frame.extend(message);
        frame
    }

    /// What a frame says; `None` if it is no neighbour message, or one that every receiver must
    /// ignore (RFC 4861, 7.1).
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let mut frame = Reader(frame);
        let (_, from) = frame.ethernet(ETHERTYPE_IPV6)?;
        if frame.array::<4>()?[0] >> 4 != 6 {
            return None;
        }
        let length = frame.u16()?;
        if (frame.byte()?, frame.byte()?) != (NEXT_IS_ICMPV6, HOP_LIMIT) {
            return None;
        }
        let (source, to): (Ipv6Addr, Ipv6Addr) =
            (frame.array::<16>()?.into(), frame.array::<16>()?.into());
        let bytes = frame.bytes(length.into())?;
        let mut message = Reader(bytes);
        let advertises = match (message.byte()?, message.byte()?) {
            (SOLICITATION, 0) => false,
            (ADVERTISEMENT, 0) => true,
            _ => return None,
        };
        // With its own checksum in it, the sum is all ones.
        if ones_complement(source, to, bytes) != u16::MAX {
            return None;
        }
        let (_checksum, _flags) = (message.u16()?, message.array::<4>()?);
        let target: Ipv6Addr = message.array::<16>()?.into();
        if target.is_multicast() {
            return None;
        }
        let mut target_mac = None;
        while !message.0.is_empty() {
            let (kind, eights) = (message.byte()?, message.byte()?);
            // An option without length would never end.
            let body = message.bytes((usize::from(eights) * 8).checked_sub(2)?)?;
            if (kind, advertises) == (OPTION_TARGET_ADDRESS, true) {
                target_mac = Reader(body).mac();
            }
        }
        Some(Self { from, source, target, advertises, target_mac })
    }

    /// Whether the message contradicts that `ours` takes the address: its sender has it, or asks
    /// for it in order to take it.
    pub fn conflict(&self, ours: Mac, ip: Ipv6Addr) -> Option<(Mac, Claim)> {
        // A probe that a switch or bond sends back to us is ours.
        if self.target != ip || self.from == ours {
            return None;
        }
        match (self.advertises, self.source.is_unspecified()) {
            (true, _) => Some((self.target_mac.unwrap_or(self.from), Claim::Has)),
            (false, true) => Some((self.from, Claim::Wants)),
            // Somebody who merely looks for the address.
            (false, false) => None,
        }
    }
}

/// The multicast group of those who might have the address.
pub const fn solicited_node(ip: Ipv6Addr) -> Ipv6Addr {
    let group = 0xff02_0000_0000_0000_0000_0001_ff00_0000;
    Ipv6Addr::from_bits(group | (ip.to_bits() & 0x00ff_ffff))
}

/// RFC 2464, 7.
const fn multicast_mac(group: Ipv6Addr) -> Mac {
    let [.., a, b, c, d] = group.octets();
    Mac([0x33, 0x33, a, b, c, d])
}

/// The sum over pseudo header and message (RFC 4443, 2.3), not yet inverted.
fn ones_complement(source: Ipv6Addr, to: Ipv6Addr, message: &[u8]) -> u16 {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let ends = [source.octets(), to.octets()].concat();
    let tail = [&length.to_be_bytes()[..], &[0, 0, 0, NEXT_IS_ICMPV6]].concat();
    let words = |bytes: &[u8]| -> u64 {
        let pair = |pair: &[u8]| match *pair {
            [high, low] => u64::from(u16::from_be_bytes([high, low])),
            [last] => u64::from(last) << 8,
            _ => 0,
        };
        bytes.chunks(2).map(pair).sum()
    };
    let mut sum = words(&ends) + words(&tail) + words(message);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Mac = Mac([2, 0, 0, 0, 0, 0xa]);
    const OTHER: Mac = Mac([2, 0, 0, 0, 0, 0xb]);
    const IP: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0x12, 0x3456);

    #[test]
    fn a_probe_to_the_byte() {
        #[rustfmt::skip]
        let bytes = [
            0x33, 0x33, 0xff, 0x12, 0x34, 0x56, 2, 0, 0, 0, 0, 0xa, 0x86, 0xdd,
            0x60, 0, 0, 0, 0, 24, 58, 255,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0x12, 0x34, 0x56,
            135, 0, 0x14, 0xd7, 0, 0, 0, 0,
            0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0x56,
        ];
        assert_eq!(Neighbour::probe(OURS, IP).encode(), bytes);
    }

    #[test]
    fn an_announcement_to_the_byte() {
        #[rustfmt::skip]
        let bytes = [
            0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0xa, 0x86, 0xdd,
            0x60, 0, 0, 0, 0, 32, 58, 255,
            0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0x56,
            0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
            136, 0, 0xf1, 0xc3, 0x20, 0, 0, 0,
            0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0x56,
            2, 1, 2, 0, 0, 0, 0, 0xa,
        ];
        assert_eq!(Neighbour::announcement(OURS, IP).encode(), bytes);
    }

    #[test]
    fn what_was_built_is_read_back() {
        for message in [Neighbour::probe(OURS, IP), Neighbour::announcement(OURS, IP)] {
            assert_eq!(Neighbour::parse(&message.encode()), Some(message));
        }
    }

    #[test]
    fn a_frame_cut_short_anywhere_says_nothing() {
        let frame = Neighbour::announcement(OURS, IP).encode();
        for n in 0..frame.len() {
            assert_eq!(Neighbour::parse(&frame[..n]), None, "{n} bytes");
        }
    }

    #[test]
    fn a_wrong_checksum_or_a_routed_message_says_nothing() {
        let right = Neighbour::announcement(OURS, IP).encode();
        for i in [21, 30, 57, 70] {
            let mut wrong = right.clone();
            wrong[i] ^= 1;
            assert_eq!(Neighbour::parse(&wrong), None, "byte {i}");
        }
    }

    #[test]
    fn an_option_without_length_ends_the_reading() {
        let mut frame = Neighbour::announcement(OURS, IP).encode();
        frame[79] = 0;
        // The checksum, as a hostile sender would mend it.
        let sum = u16::from_be_bytes([frame[56], frame[57]]) + 1;
        frame[56..58].copy_from_slice(&sum.to_be_bytes());
        let mut message = Reader(&frame[54..]);
        let whole = message.bytes(32).expect("the message");
        let to = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        assert_eq!(ones_complement(IP, to, whole), u16::MAX, "the checksum is right");
        assert_eq!(Neighbour::parse(&frame), None);
    }

    #[test]
    fn whoever_advertises_it_has_it_and_whoever_probes_wants_it() {
        let has = Neighbour::announcement(OTHER, IP).conflict(OURS, IP);
        assert_eq!(has, Some((OTHER, Claim::Has)));
        let wants = Neighbour::probe(OTHER, IP).conflict(OURS, IP);
        assert_eq!(wants, Some((OTHER, Claim::Wants)));
    }

    #[test]
    fn our_own_frames_and_plain_questions_are_no_conflict() {
        assert_eq!(Neighbour::probe(OURS, IP).conflict(OURS, IP), None);
        let somebody = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 7);
        let question = Neighbour { source: somebody, ..Neighbour::probe(OTHER, IP) };
        assert_eq!(question.conflict(OURS, IP), None);
        assert_eq!(Neighbour::announcement(OTHER, somebody).conflict(OURS, IP), None);
    }
}
