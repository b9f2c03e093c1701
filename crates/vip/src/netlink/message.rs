//! The few netlink messages that are needed, byte by byte (rtnetlink(7), netlink(7)). Numbers are
//! in the machine's own order, and everything is aligned to four bytes.

use std::net::IpAddr;

use rustix::io::{Errno, Result};

pub(super) const NEW_ADDRESS: u16 = 20;
pub(super) const DELETE_ADDRESS: u16 = 21;
pub(super) const GET_ADDRESS: u16 = 22;

const REQUEST: u16 = 1;
pub(super) const ACK: u16 = 4;
pub(super) const DUMP: u16 = 0x300;
pub(super) const EXCLUSIVE: u16 = 0x200;
pub(super) const CREATE: u16 = 0x400;
/// In an answer: the list changed while it was written.
const INTERRUPTED: u16 = 0x10;

const ERROR: u16 = 2;
const DONE: u16 = 3;

const HEADER: usize = 16;
const UNSPEC: u8 = 0;
const INET: u8 = 2;
const INET6: u8 = 10;

const ATTRIBUTE_ADDRESS: u16 = 1;
const ATTRIBUTE_LOCAL: u16 = 2;
const ATTRIBUTE_LABEL: u16 = 3;
const ATTRIBUTE_CACHE_INFO: u16 = 6;
const ATTRIBUTE_FLAGS: u16 = 8;
/// The upper bits say how a value is encoded.
const ATTRIBUTE_KIND: u16 = 0x3fff;

/// IPv4: goes when the first address of its network goes.
const FLAG_SECONDARY: u32 = 0x01;
const FLAG_NO_DAD: u32 = 0x02;
const FLAG_DAD_FAILED: u32 = 0x08;
const FLAG_TENTATIVE: u32 = 0x40;
const FLAG_NO_PREFIX_ROUTE: u32 = 0x200;

/// An address as the kernel tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) index: u32,
    pub(crate) ip: IpAddr,
    pub(crate) prefix: u8,
    /// The other end of a point-to-point link, else the address itself.
    peer: IpAddr,
    pub(crate) label: Option<String>,
    flags: u32,
}

impl Record {
    /// IPv4 only: the flag means "temporary" with IPv6.
    pub(crate) fn is_secondary(&self) -> bool {
        self.ip.is_ipv4() && self.flags & FLAG_SECONDARY != 0
    }

    /// The kernel found that another host has it, and does not use it.
    pub(crate) fn is_duplicate(&self) -> bool {
        self.flags & FLAG_DAD_FAILED != 0
    }

    /// The kernel still asks whether another host has it, and does not use it yet.
    pub(crate) fn is_tentative(&self) -> bool {
        self.flags & FLAG_TENTATIVE != 0
    }

    pub(super) fn removal(&self) -> Change {
        Change {
            index: self.index,
            ip: self.ip,
            peer: self.peer,
            prefix: self.prefix,
            flags: 0,
            label: None,
            never_source: false,
        }
    }
}

/// An address to be added or removed.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    index: u32,
    ip: IpAddr,
    peer: IpAddr,
    prefix: u8,
    flags: u32,
    label: Option<String>,
    never_source: bool,
}

impl Change {
    /// A virtual address. IPv6: without the kernel's own search for duplicates, which takes one to
    /// two seconds and leaves a useless address behind, and never chosen as the source of
    /// connections (its preferred lifetime is over). `route` is whether the kernel is to
    /// make a route to its network.
    pub(crate) fn new(
        index: u32,
        ip: IpAddr,
        prefix: u8,
        label: Option<String>,
        route: bool,
    ) -> Self {
        let no_dad = if ip.is_ipv6() { FLAG_NO_DAD } else { 0 };
        let no_route = if route { 0 } else { FLAG_NO_PREFIX_ROUTE };
        let flags = no_dad | no_route;
        Self { index, ip, peer: ip, prefix, flags, label, never_source: ip.is_ipv6() }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let scope = 0;
        let family = if self.ip.is_ipv4() { INET } else { INET6 };
        // The eight bits here are too few for the flags; they have an attribute.
        let mut body = vec![family, self.prefix, 0, scope];
        body.extend(self.index.to_ne_bytes());
        attribute(&mut body, ATTRIBUTE_LOCAL, &octets(self.ip));
        attribute(&mut body, ATTRIBUTE_ADDRESS, &octets(self.peer));
        if self.flags != 0 {
            attribute(&mut body, ATTRIBUTE_FLAGS, &self.flags.to_ne_bytes());
        }
        if let Some(label) = &self.label {
            attribute(&mut body, ATTRIBUTE_LABEL, &[label.as_bytes(), &[0]].concat());
        }
        if self.never_source {
            // Preferred, valid, created, updated: only the first two are read.
            let lifetimes = [0, u32::MAX, 0, 0].map(u32::to_ne_bytes).concat();
            attribute(&mut body, ATTRIBUTE_CACHE_INFO, &lifetimes);
        }
        body
    }
}

/// The body of a question for all addresses.
pub(super) fn everything() -> [u8; 8] {
    [UNSPEC, 0, 0, 0, 0, 0, 0, 0]
}

/// A whole request.
pub(super) fn request(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
    let port: u32 = 0;
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend((flags | REQUEST).to_ne_bytes());
    message.extend(sequence.to_ne_bytes());
    message.extend(port.to_ne_bytes());
    message.extend(body);
    message
}

/// One message of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// An address; none if it is of a kind that is not understood.
    Address { record: Option<Record>, consistent: bool },
    /// How a request ended.
    Outcome(Result<()>),
    /// The end of a list.
    Done { consistent: bool },
}

/// The messages in a datagram that answer the request of this number.
pub(super) fn replies(mut datagram: &[u8], sequence: u32) -> Vec<Reply> {
    let mut replies = Vec::new();
    while let Some((length, kind, flags, number)) = header(datagram) {
        let Some(body) = datagram.get(HEADER..length) else { break };
        let consistent = flags & INTERRUPTED == 0;
        match kind {
            _ if number != sequence => {}
            NEW_ADDRESS => replies.push(Reply::Address { record: record(body), consistent }),
            ERROR => replies.push(Reply::Outcome(outcome(body))),
            DONE => replies.push(Reply::Done { consistent }),
            _ => {}
        }
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    replies
}

/// Length, type, flags and number.
fn header(bytes: &[u8]) -> Option<(usize, u16, u16, u32)> {
    let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
    let head = (length, u16_at(bytes, 4)?, u16_at(bytes, 6)?, u32_at(bytes, 8)?);
    (HEADER..=bytes.len()).contains(&length).then_some(head)
}

fn outcome(body: &[u8]) -> Result<()> {
    match u32_at(body, 0).map(u32::cast_signed) {
        Some(0) => Ok(()),
        // Others are no error numbers, and rustix panics at them.
        Some(number @ -4095..=-1) => Err(Errno::from_raw_os_error(-number)),
        Some(_) | None => Err(Errno::BADMSG),
    }
}

fn record(body: &[u8]) -> Option<Record> {
    let &[family, prefix, old_flags, _scope, ..] = body else { return None };
    let index = u32_at(body, 4)?;
    let (mut address, mut local, mut label) = (None, None, None);
    let mut flags = u32::from(old_flags);
    let mut rest = body.get(8..)?;
    while let (Some(length), Some(kind)) = (u16_at(rest, 0), u16_at(rest, 2)) {
        let length = usize::from(length);
        let Some(value) = rest.get(4..length) else { break };
        match kind & ATTRIBUTE_KIND {
            ATTRIBUTE_ADDRESS => address = ip(family, value),
            ATTRIBUTE_LOCAL => local = ip(family, value),
            ATTRIBUTE_LABEL => {
                let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
                label = Some(String::from_utf8_lossy(text).into_owned());
            }
            ATTRIBUTE_FLAGS => flags = u32_at(value, 0).unwrap_or(flags),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    let ours = local.or(address)?;
    Some(Record { index, ip: ours, prefix, peer: address.unwrap_or(ours), label, flags })
}

fn ip(family: u8, value: &[u8]) -> Option<IpAddr> {
    match family {
        INET => <[u8; 4]>::try_from(value).ok().map(IpAddr::from),
        INET6 => <[u8; 16]>::try_from(value).ok().map(IpAddr::from),
        _ => None,
    }
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    body.extend(length.to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(change: &Change) -> Vec<u8> {
        request(NEW_ADDRESS, 0, 7, &change.encode())
    }

    #[test]
    fn what_is_asked_for_is_read_back() {
        let ip: IpAddr = "10.0.0.100".parse().expect("an address");
        let change = Change::new(3, ip, 24, Some("eth0:vip".into()), false);
        let label = Some("eth0:vip".to_owned());
        let flags = FLAG_NO_PREFIX_ROUTE;
        let record = Record { index: 3, ip, prefix: 24, peer: ip, label, flags };
        let read = Reply::Address { record: Some(record), consistent: true };
        assert_eq!(replies(&answer(&change), 7), [read]);
    }

    #[test]
    fn an_ipv6_address_is_neither_searched_for_by_the_kernel_nor_a_source() {
        let ip: IpAddr = "fd00::100".parse().expect("an address");
        let body = Change::new(3, ip, 64, None, true).encode();
        let no_dad = [[8, 0, 8, 0], FLAG_NO_DAD.to_ne_bytes()].concat();
        let lifetimes = [20_u8, 0, 6, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
        if cfg!(target_endian = "little") {
            assert!(body.windows(8).any(|part| part == no_dad));
            assert!(body.windows(12).any(|part| part == lifetimes));
        }
    }

    #[test]
    fn answers_to_other_requests_are_passed_over() {
        let ip: IpAddr = "10.0.0.100".parse().expect("an address");
        assert_eq!(replies(&answer(&Change::new(3, ip, 24, None, true)), 8), []);
    }

    #[test]
    fn an_error_is_the_kernels_number() {
        let refused = request(ERROR, 0, 1, &(-17_i32).to_ne_bytes());
        assert_eq!(replies(&refused, 1), [Reply::Outcome(Err(Errno::EXIST))]);
        for no_number in [1_i32, -4096, i32::MIN] {
            let reply = request(ERROR, 0, 1, &no_number.to_ne_bytes());
            assert_eq!(replies(&reply, 1), [Reply::Outcome(Err(Errno::BADMSG))]);
        }
        let done = request(ERROR, 0, 1, &0_i32.to_ne_bytes());
        assert_eq!(replies(&done, 1), [Reply::Outcome(Ok(()))]);
    }

    #[test]
    fn a_list_that_changed_meanwhile_is_known_by_its_flag() {
        let done = request(DONE, INTERRUPTED, 1, &[0; 4]);
        assert_eq!(replies(&done, 1), [Reply::Done { consistent: false }]);
    }

    proptest! {
        #[test]
        fn no_bytes_whatever_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _whatever = (replies(&bytes, 0), record(&bytes), outcome(&bytes));
        }

        #[test]
        fn nor_a_damaged_answer(at in 0_usize..80, value: u8) {
            let ip: IpAddr = "fd00::100".parse().expect("an address");
            let mut bytes = answer(&Change::new(3, ip, 64, None, true));
            let at = at % bytes.len();
            bytes[at] = value;
            let _whatever = replies(&bytes, 7);
        }
    }
}
