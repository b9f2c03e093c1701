//! The host of an account: a name, an address, a network, or a pattern with `%` and `_`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use super::Peer;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    text: String,
    network: Option<Network>,
}

/// An IPv4 network: servers know no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: u32,
    mask: u32,
    /// Written with the number of bits (MySQL 8.0.23 and later), not with a mask.
    by_bits: bool,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, mask) = text.split_once('/')?;
        let address = u32::from(address.parse::<Ipv4Addr>().ok()?);
        let (mask, by_bits) = match mask.parse::<Ipv4Addr>() {
            Ok(mask) => (u32::from(mask), false),
            Err(_) => {
                let bits = mask.parse::<u32>().ok().filter(|bits| *bits <= 32)?;
                (u32::MAX.checked_shl(32 - bits).unwrap_or(0), true)
            }
        };
        Some(Self { address, mask, by_bits })
    }
}

impl HostPattern {
    /// Of the column `Host`.
    pub fn parse(text: &str) -> Self {
        Self { network: Network::parse(text), text: text.to_owned() }
    }

    /// Whether it is the host of this client, by its address or by its name.
    pub fn matches(&self, peer: &Peer) -> bool {
        if self.text.is_empty() {
            return true;
        }
        if let Some(network) = self.network {
            return match peer.address {
                // MySQL: `(client & mask) = network`; a network with bits outside of its mask is
                // nobody's when it is written with a mask.
                Some(IpAddr::V4(client)) if network.by_bits => {
                    u32::from(client) & network.mask == network.address & network.mask
                }
                Some(IpAddr::V4(client)) => u32::from(client) & network.mask == network.address,
                _ => false,
            };
        }
        let named = peer.name.as_ref().is_some_and(|name| is_like(name, &self.text));
        named || peer.address.is_some_and(|address| is_like(&address.to_string(), &self.text))
    }

    /// The order in which servers look through hosts, the highest first. Patterns of one rank,
    /// for which MySQL has no rule, stand as they are read.
    ///
    /// MySQL: what has no wildcard, then by how far it is to the first wildcard (or a network's
    /// slash: patterns, then networks by bits, then by mask), `%`, the empty host. MariaDB: what
    /// has no wildcard, networks by their size, patterns without `%` and then those with it, by how
    /// many characters are fixed and by how near the first wildcard is. Seen on MySQL 9.7 and
    /// MariaDB 10.11; the manuals tell only that the more specific host comes first.
    pub(super) fn rank(&self, mariadb: bool) -> [usize; 4] {
        let text = &self.text;
        let first = first_wildcard(text);
        match (self.network, first) {
            _ if text.is_empty() => [0; 4],
            (Some(network), _) if mariadb => [4, network.mask.count_ones() as usize, 0, 0],
            (Some(network), _) => {
                let slash = text.find('/').unwrap_or(text.len());
                let bits = network.mask.count_ones() as usize;
                [2, slash, usize::from(network.by_bits), bits]
            }
            (None, None) => [5, 0, 0, 0],
            (None, Some(first)) if mariadb => {
                let fixed = text.bytes().filter(|byte| !matches!(byte, b'%' | b'_')).count();
                let one = usize::from(text.as_bytes().get(first) == Some(&b'_'));
                [if text.contains('%') { 2 } else { 3 }, fixed, usize::MAX - first, one]
            }
            (None, Some(_)) if text == "%" => [1, 0, 0, 0],
            (None, Some(first)) => [2, first, 2, 0],
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Where the first `%` or `_` stands that no backslash precedes.
fn first_wildcard(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let wild = !escaped && matches!(byte, b'%' | b'_');
        escaped = !escaped && byte == b'\\';
        wild
    })
}

/// SQL's LIKE without regard to case; no longer than the product of both lengths.
fn is_like(text: &str, pattern: &str) -> bool {
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let (mut t, mut p) = (0, 0);
    // Where to go on after the last `%`, and what it stands for so far.
    let mut back = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'%') => {
                back = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some(b'_') => {
                (t, p) = (t + 1, p + 1);
                continue;
            }
            Some(b'\\') if pattern.get(p + 1).is_some_and(|c| c.eq_ignore_ascii_case(&text[t])) => {
                (t, p) = (t + 1, p + 2);
                continue;
            }
            Some(byte) if byte.eq_ignore_ascii_case(&text[t]) => {
                (t, p) = (t + 1, p + 1);
                continue;
            }
            _ => {}
        }
        let Some((pattern_at, text_at)) = back else { return false };
        (t, p) = (text_at + 1, pattern_at);
        back = Some((pattern_at, text_at + 1));
    }
    pattern[p..].iter().all(|byte| *byte == b'%')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns() {
        for (text, pattern, expected) in [
            ("db1.example.com", "%.example.com", true),
            ("DB1.example.com", "db_.EXAMPLE.com", true),
            ("db12.example.com", "db_.example.com", false),
            ("a_b", r"a\_b", true),
            ("axb", r"a\_b", false),
            ("anything", "%", true),
            ("", "%", true),
            ("10.1.2.3", "10.1.%", true),
            ("10.10.2.3", "10.1.%", false),
            ("abcabc", "%abc", true),
            ("abcab", "%abc", false),
        ] {
            assert_eq!(is_like(text, pattern), expected, "{text} {pattern}");
        }
    }

    #[test]
    fn networks() {
        let at = |address: &str| Peer::at(address.parse().unwrap());
        for (host, address, expected) in [
            ("198.51.100.0/255.255.255.0", "198.51.100.9", true),
            ("198.51.100.0/255.255.255.0", "198.51.101.9", false),
            ("198.51.100.5/255.255.255.0", "198.51.100.5", false),
            ("198.51.100.5/24", "198.51.100.77", true),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("198.51.100.0/33", "198.51.100.1", false),
            ("198.51.100.0/24", "::1", false),
            ("::1", "::1", true),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
        ] {
            assert_eq!(
                HostPattern::parse(host).matches(&at(address)),
                expected,
                "{host} {address}"
            );
        }
        assert!(HostPattern::parse("loc%").matches(&Peer::local()));
        assert!(!HostPattern::parse("127.0.0.1").matches(&Peer::local()));
    }

    proptest! {
        #[test]
        fn a_text_is_like_itself_and_any_pattern_ends(text in "[a-c%_.]{0,20}", pattern in r"[a-c%_.\\]{0,20}") {
            let plain = text.replace(['%', '_'], "x");
            prop_assert!(is_like(&plain, &plain));
            let _ = is_like(&text, &pattern);
            let _ = HostPattern::parse(&pattern).rank(true);
        }
    }
}
