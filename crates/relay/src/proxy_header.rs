//! The header with which a load balancer in front tells where a client really is, read and written.
//!
//! Who may send one is the caller's affair: only from networks that are trusted by configuration is
//! it believed.
//!
//! Source: "The PROXY protocol, versions 1 & 2" by Willy Tarreau (2020-03-05).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What begins a header of version 2; no MySQL packet and no version 1 begins so.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// What begins a header of version 1.
const PREFIX: &[u8; 6] = b"PROXY ";
/// The longest header of version 1, in bytes.
const LONGEST_TEXT: usize = 107;
/// The longest header of version 2 that is taken: addresses, and what of attachments anybody sends.
const LONGEST_BINARY: usize = 2048;

/// Where a connection comes from, as the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From this address, to that one.
    Client {
        /// The client.
        from: SocketAddr,
        /// What it connected to.
        to: SocketAddr,
    },
    /// Of the balancer itself (a check of its own), or of a kind that has no address: where it comes
    /// from is where the connection comes from.
    Itself,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// More bytes are needed.
    Partial,
    /// A header of so many bytes.
    Whole {
        /// Its length; what follows belongs to the connection.
        bytes: usize,
        /// What it says.
        origin: Origin,
    },
}

/// No header, or one that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// What came first is no header.
    #[error("the connection does not begin with a PROXY protocol header")]
    None,
    /// It is one, and malformed.
    #[error("the PROXY protocol header cannot be read: {0}")]
    Malformed(&'static str),
}

/// Looks for a header at the front of what came first on a connection.
///
/// # Errors
/// What came is no header, or a malformed or overlong one.
pub fn parse(input: &[u8]) -> Result<Header, HeaderError> {
    let begins = |with: &[u8]| input.iter().zip(with).all(|(a, b)| a == b);
    if begins(SIGNATURE) {
        return binary(input);
    }
    if begins(PREFIX) {
        return text(input);
    }
    Err(HeaderError::None)
}

fn text(input: &[u8]) -> Result<Header, HeaderError> {
    let head = &input[..input.len().min(LONGEST_TEXT)];
    let Some(end) = head.windows(2).position(|pair| pair == b"\r\n") else {
        return match input.len() >= LONGEST_TEXT {
            true => Err(HeaderError::Malformed("its line does not end")),
            false => Ok(Header::Partial),
        };
    };
    let bad = HeaderError::Malformed("its line is not of five words");
    let line = std::str::from_utf8(&input[..end]).map_err(|_| bad)?;
    let words: Vec<&str> = line.split(' ').collect();
    let bytes = end + 2;
    if words.get(1) == Some(&"UNKNOWN") {
        return Ok(Header::Whole { bytes, origin: Origin::Itself });
    }
    let [_, family, from, to, from_port, to_port] = words[..] else { return Err(bad) };
    let address = |ip: &str, port: &str| -> Result<SocketAddr, HeaderError> {
        let ip: IpAddr = ip.parse().map_err(|_| HeaderError::Malformed("an address"))?;
        let of_family = match family {
            "TCP4" => ip.is_ipv4(),
            "TCP6" => ip.is_ipv6(),
            _ => false,
        };
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        match (of_family && digits).then(|| port.parse()) {
            Some(Ok(port)) => Ok(SocketAddr::new(ip, port)),
            _ => Err(HeaderError::Malformed("a family or a port")),
        }
    };
    let origin = Origin::Client { from: address(from, from_port)?, to: address(to, to_port)? };
    Ok(Header::Whole { bytes, origin })
}

fn binary(input: &[u8]) -> Result<Header, HeaderError> {
    let Some((head, rest)) = input.split_first_chunk::<16>() else { return Ok(Header::Partial) };
    let (kind, family) = (head[12], head[13]);
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if kind >> 4 != 2 {
        return Err(HeaderError::Malformed("its version is neither 1 nor 2"));
    }
    if length > LONGEST_BINARY {
        return Err(HeaderError::Malformed("it is too long"));
    }
    let Some(block) = rest.get(..length) else { return Ok(Header::Partial) };
    let short = HeaderError::Malformed("it is too short for its addresses");
    let port = |at: usize| u16::from_be_bytes([block[at], block[at + 1]]);
    let origin = match (kind & 0x0F, family) {
        // LOCAL.
        (0, _) => Origin::Itself,
        // PROXY, over TCP with IPv4 and with IPv6.
        (1, 0x11) => {
            let &[a, b, c, d, e, f, g, h] = block.first_chunk::<8>().ok_or(short)?;
            if block.len() < 12 {
                return Err(short);
            }
            let from = SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), port(8));
            let to = SocketAddr::new(Ipv4Addr::new(e, f, g, h).into(), port(10));
            Origin::Client { from, to }
        }
        (1, 0x21) => {
            let (from, rest) = block.split_first_chunk::<16>().ok_or(short)?;
            let (to, ports) = rest.split_first_chunk::<16>().ok_or(short)?;
            if ports.len() < 4 {
                return Err(short);
            }
            let from = SocketAddr::new(Ipv6Addr::from(*from).into(), port(32));
            Origin::Client { from, to: SocketAddr::new(Ipv6Addr::from(*to).into(), port(34)) }
        }
        // Unix sockets, datagrams and what is not specified: no address to be believed.
        (1, _) => Origin::Itself,
        _ => return Err(HeaderError::Malformed("its command is neither LOCAL nor PROXY")),
    };
    Ok(Header::Whole { bytes: 16 + length, origin })
}

/// Which version a server is told in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A line of text.
    One,
    /// Binary; MariaDB 10.3 and later, and Percona Server, read both.
    Two,
}

/// The header for a connection to a server, to be sent before anything else.
pub fn header(origin: &Origin, version: Version) -> Vec<u8> {
    // Both ends are told in one family.
    let both = match origin {
        Origin::Itself => None,
        Origin::Client { from, to } => {
            Some(match (from.ip().to_canonical(), to.ip().to_canonical()) {
                (a, b) if a.is_ipv4() == b.is_ipv4() => (a, from.port(), b, to.port()),
                (a, b) => (wide(a).into(), from.port(), wide(b).into(), to.port()),
            })
        }
    };
    match (version, both) {
        (Version::One, None) => b"PROXY UNKNOWN\r\n".to_vec(),
        (Version::One, Some((from, from_port, to, to_port))) => {
            let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
            format!("PROXY {family} {from} {to} {from_port} {to_port}\r\n").into_bytes()
        }
        (Version::Two, None) => [&SIGNATURE[..], &[0x20, 0, 0, 0]].concat(),
        (Version::Two, Some((from, from_port, to, to_port))) => {
            let octets = |ip: IpAddr| match ip {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(ip) => ip.octets().to_vec(),
            };
            let ports = [from_port.to_be_bytes(), to_port.to_be_bytes()].concat();
            let block = [octets(from), octets(to), ports].concat();
            let family = if from.is_ipv4() { 0x11 } else { 0x21 };
            let length = (block.len() as u16).to_be_bytes();
            [&SIGNATURE[..], &[0x21, family], &length, &block].concat()
        }
    }
}

fn wide(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn client(from: &str, to: &str) -> Origin {
        Origin::Client { from: from.parse().unwrap(), to: to.parse().unwrap() }
    }

    #[test]
    fn the_examples_of_the_paper() {
        let line = b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\nGET";
        let origin = client("255.255.255.255:65535", "255.255.255.255:65535");
        assert_eq!(parse(line), Ok(Header::Whole { bytes: 56, origin }));
        let unknown = b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n";
        let whole = Header::Whole { bytes: unknown.len(), origin: Origin::Itself };
        assert_eq!(parse(unknown), Ok(whole));
        let local = header(&Origin::Itself, Version::Two);
        assert_eq!(parse(&local), Ok(Header::Whole { bytes: 16, origin: Origin::Itself }));
    }

    #[test]
    fn what_is_no_header_is_refused_at_once() {
        assert_eq!(parse(b"\x4a\0\0\x01"), Err(HeaderError::None));
        assert_eq!(parse(b"PROXX"), Err(HeaderError::None));
        for wrong in [
            &b"PROXY TCP4 1.2.3.4 ::1 1 2\r\n"[..],
            b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
            b"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
            b"PROXY\x20\r\n",
            &b"PROXY ".repeat(20),
            b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x04abcd",
            b"\r\n\r\n\0\r\nQUIT\n\x22\x11\0\0",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
        ] {
            let refused = parse(wrong);
            assert!(matches!(refused, Err(HeaderError::Malformed(_))), "{wrong:?} {refused:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was_in_any_pieces(
            from: u128, to: u128, small: (u32, u32), ports: (u16, u16), v4: bool, two: bool,
            cut in 0_usize..120,
        ) {
            let (from, to): (IpAddr, IpAddr) = match v4 {
                true => (Ipv4Addr::from(small.0).into(), Ipv4Addr::from(small.1).into()),
                false => (Ipv6Addr::from(from).into(), Ipv6Addr::from(to).into()),
            };
            let origin = Origin::Client {
                from: SocketAddr::new(from.to_canonical(), ports.0),
                to: SocketAddr::new(to.to_canonical(), ports.1),
            };
            prop_assume!(from.to_canonical().is_ipv4() == to.to_canonical().is_ipv4());
            let mut bytes = header(&origin, if two { Version::Two } else { Version::One });
            let length = bytes.len();
            if cut < length {
                prop_assert_eq!(parse(&bytes[..cut]), Ok(Header::Partial));
            }
            bytes.extend_from_slice(b"\x0a9.7.4");
            prop_assert_eq!(parse(&bytes), Ok(Header::Whole { bytes: length, origin }));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, binary: bool) {
            let _ = parse(&bytes);
            let start: &[u8] = if binary { SIGNATURE } else { PREFIX };
            let _ = parse(&[start, &bytes].concat());
        }
    }
}
