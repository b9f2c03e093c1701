//! ARP for IPv4 on Ethernet (RFC 826), and its use for finding duplicates (RFC 5227).

use std::net::Ipv4Addr;

use super::{ETHERNET_HEADER, ETHERTYPE_ARP, Mac, Reader, ethernet};
use crate::Claim;

/// Hardware type Ethernet, protocol type IPv4, and the lengths of their addresses.
const ETHERNET_AND_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// What an ARP packet does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArpOperation {
    /// Asks who has the target address.
    Request,
    /// Says that the sender has the sender address.
    Reply,
}

/// An ARP packet with the frame around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// To whom the frame goes.
    pub to: Mac,
    /// Who sent the frame.
    pub from: Mac,
    /// Question or answer.
    pub operation: ArpOperation,
    /// The MAC address that belongs to `sender_ip`.
    pub sender_mac: Mac,
    /// Unspecified in a probe, so that nobody's table is changed by it.
    pub sender_ip: Ipv4Addr,
    /// All zeros in a question.
    pub target_mac: Mac,
    /// The address in question.
    pub target_ip: Ipv4Addr,
}

impl Arp {
    /// Asks whether anybody has the address, without claiming it (RFC 5227, 1.1).
    pub const fn probe(ours: Mac, ip: Ipv4Addr) -> Self {
        Self {
            to: Mac::BROADCAST,
            from: ours,
            operation: ArpOperation::Request,
            sender_mac: ours,
            sender_ip: Ipv4Addr::UNSPECIFIED,
            target_mac: Mac([0; 6]),
            target_ip: ip,
        }
    }

    /// Says that we have the address: a question for it by its owner (RFC 5227, 2.3).
    pub const fn announcement(ours: Mac, ip: Ipv4Addr) -> Self {
        Self { sender_ip: ip, ..Self::probe(ours, ip) }
    }

    /// The same as an answer that nobody asked for, which some devices heed instead. Its target MAC
    /// address is ours: Linux takes it for gratuitous only so (`arp_is_garp`).
    pub const fn unasked_reply(ours: Mac, ip: Ipv4Addr) -> Self {
        let operation = ArpOperation::Reply;
        Self { operation, target_mac: ours, ..Self::announcement(ours, ip) }
    }

    /// The whole frame.
    pub fn encode(&self) -> Vec<u8> {
        let operation: u16 = match self.operation {
            ArpOperation::Request => 1,
            ArpOperation::Reply => 2,
        };
        let mut frame = ethernet(self.to, self.from, ETHERTYPE_ARP);
        frame.extend(ETHERNET_AND_IPV4);
        frame.extend(operation.to_be_bytes());
        frame.extend(self.sender_mac.0);
        frame.extend(self.sender_ip.octets());
        frame.extend(self.target_mac.0);
        frame.extend(self.target_ip.octets());
        debug_assert_eq!(frame.len(), ETHERNET_HEADER + 28);
        frame
    }

    /// What a frame says; `None` if it is no ARP for IPv4. Padding behind it is usual.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let mut frame = Reader(frame);
        let (to, from) = frame.ethernet(ETHERTYPE_ARP)?;
        if frame.array()? != ETHERNET_AND_IPV4 {
            return None;
        }
        let operation = match frame.u16()? {
            1 => ArpOperation::Request,
            2 => ArpOperation::Reply,
            _ => return None,
        };
        Some(Self {
            to,
            from,
            operation,
            sender_mac: frame.mac()?,
            sender_ip: frame.array::<4>()?.into(),
            target_mac: frame.mac()?,
            target_ip: frame.array::<4>()?.into(),
        })
    }

    /// Whether the packet contradicts that `ours` takes the address (RFC 5227, 2.1.1): its sender
    /// has it, or asks for it in order to take it.
    ///
    /// Only a probe to everybody counts: switches ask single hosts from the unspecified address, too,
    /// merely to see whether they are still there.
    pub fn conflict(&self, ours: Mac, ip: Ipv4Addr) -> Option<(Mac, Claim)> {
        if self.sender_mac == ours {
            return None;
        }
        let probe = self.operation == ArpOperation::Request
            && self.sender_ip.is_unspecified()
            && self.target_ip == ip
            && self.to == Mac::BROADCAST;
        match (self.sender_ip == ip, probe) {
            (true, _) => Some((self.sender_mac, Claim::Has)),
            (false, true) => Some((self.sender_mac, Claim::Wants)),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Mac = Mac([2, 0, 0, 0, 0, 0xa]);
    const OTHER: Mac = Mac([2, 0, 0, 0, 0, 0xb]);
    const IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 100);

    #[test]
    fn a_probe_to_the_byte() {
        #[rustfmt::skip]
        let bytes = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0xa, 8, 6,
            0, 1, 8, 0, 6, 4, 0, 1,
            2, 0, 0, 0, 0, 0xa, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 10, 0, 0, 100,
        ];
        assert_eq!(Arp::probe(OURS, IP).encode(), bytes);
    }

    #[test]
    fn both_forms_of_an_announcement_to_the_byte() {
        #[rustfmt::skip]
        let request = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0xa, 8, 6,
            0, 1, 8, 0, 6, 4, 0, 1,
            2, 0, 0, 0, 0, 0xa, 10, 0, 0, 100,
            0, 0, 0, 0, 0, 0, 10, 0, 0, 100,
        ];
        #[rustfmt::skip]
        let reply = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0xa, 8, 6,
            0, 1, 8, 0, 6, 4, 0, 2,
            2, 0, 0, 0, 0, 0xa, 10, 0, 0, 100,
            2, 0, 0, 0, 0, 0xa, 10, 0, 0, 100,
        ];
        assert_eq!(Arp::announcement(OURS, IP).encode(), request);
        assert_eq!(Arp::unasked_reply(OURS, IP).encode(), reply);
    }

    #[test]
    fn what_was_built_is_read_back_also_with_padding() {
        for arp in [Arp::probe(OURS, IP), Arp::announcement(OURS, IP), Arp::unasked_reply(OURS, IP)]
        {
            let mut frame = arp.encode();
            frame.resize(60, 0);
            assert_eq!(Arp::parse(&frame), Some(arp));
        }
    }

    #[test]
    fn a_frame_cut_short_anywhere_is_no_arp() {
        let frame = Arp::announcement(OURS, IP).encode();
        for n in 0..frame.len() {
            assert_eq!(Arp::parse(&frame[..n]), None, "{n} bytes");
        }
    }

    #[test]
    fn whoever_speaks_with_the_address_has_it() {
        let has = Some((OTHER, Claim::Has));
        assert_eq!(Arp::announcement(OTHER, IP).conflict(OURS, IP), has);
        let answer = Arp {
            to: OURS,
            target_mac: OURS,
            target_ip: Ipv4Addr::UNSPECIFIED,
            ..Arp::unasked_reply(OTHER, IP)
        };
        assert_eq!(answer.conflict(OURS, IP), has);
    }

    #[test]
    fn a_probe_to_everybody_wants_it_and_a_switchs_question_to_one_host_does_not() {
        let probe = Arp::probe(OTHER, IP);
        assert_eq!(probe.conflict(OURS, IP), Some((OTHER, Claim::Wants)));
        assert_eq!(Arp { to: OURS, ..probe }.conflict(OURS, IP), None);
    }

    #[test]
    fn our_own_frames_and_those_of_other_addresses_are_no_conflict() {
        assert_eq!(Arp::announcement(OURS, IP).conflict(OURS, IP), None);
        assert_eq!(Arp::probe(OURS, IP).conflict(OURS, IP), None);
        let other = Ipv4Addr::new(10, 0, 0, 101);
        assert_eq!(Arp::announcement(OTHER, other).conflict(OURS, IP), None);
        assert_eq!(Arp::probe(OTHER, other).conflict(OURS, IP), None);
        // Somebody who merely looks for the address.
        let question = Arp { target_ip: IP, ..Arp::announcement(OTHER, other) };
        assert_eq!(question.conflict(OURS, IP), None);
    }
}
