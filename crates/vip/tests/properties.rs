//! Virtual addresses as text, and frames that nobody built.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use primacy_vip::frame::{Arp, Neighbour};
use primacy_vip::{Mac, VirtualAddress, VirtualAddressError};
use proptest::prelude::*;

fn parse(text: &str) -> Result<VirtualAddress, VirtualAddressError> {
    text.parse()
}

#[test]
fn every_part_is_read_and_written() {
    for (text, written) in [
        ("10.0.0.100", "10.0.0.100/32"),
        ("10.0.0.100/24", "10.0.0.100/24"),
        ("10.0.0.100@eth0", "10.0.0.100/32@eth0"),
        ("10.0.0.100/24@eth0.100:vip", "10.0.0.100/24@eth0.100:vip"),
        ("10.0.0.100@:vip", "10.0.0.100/32@:vip"),
        ("fd00::0:100", "fd00::100/128"),
        ("fd00::100/64@bond0", "fd00::100/64@bond0"),
        ("10.0.0.0/31", "10.0.0.0/31"),
        ("10.0.0.255/16", "10.0.0.255/16"),
    ] {
        assert_eq!(parse(text).map(|address| address.to_string()).as_deref(), Ok(written));
    }
}

#[test]
fn what_is_no_virtual_address_is_refused_with_the_reason() {
    for (text, reason) in [
        ("", "is not IP[/PREFIX][@INTERFACE]"),
        ("db1.example.com", "is not IP[/PREFIX][@INTERFACE]"),
        ("10.0.0.100:3306", "is not IP[/PREFIX][@INTERFACE]"),
        ("fe80::1%eth0", "is not IP[/PREFIX][@INTERFACE]"),
        (" 10.0.0.100", "is not IP[/PREFIX][@INTERFACE]"),
        ("10.0.0.100/33", "no prefix length (1 to 32)"),
        ("10.0.0.100/0", "no prefix length (1 to 32)"),
        ("10.0.0.100/+24", "no prefix length (1 to 32)"),
        ("fd00::100/129", "no prefix length (1 to 128)"),
        ("fd00::100/", "no prefix length (1 to 128)"),
        ("127.0.0.5", "a loopback address"),
        ("::1", "a loopback address"),
        ("224.0.0.18", "a multicast address"),
        ("ff02::12", "a multicast address"),
        ("0.0.0.0", "the unspecified address"),
        ("::", "the unspecified address"),
        ("0.1.2.3", "\"this network\""),
        ("255.255.255.255", "the broadcast address"),
        ("10.0.0.255/24", "the network's broadcast address"),
        ("10.0.0.0/24", "the address of the network itself"),
        ("fd00::/64", "the address of the network itself"),
        ("::ffff:10.0.0.1", "an IPv4 address written as IPv6"),
        ("10.0.0.100@", "the name of an interface"),
        ("10.0.0.100@a/b", "the name of an interface"),
        ("10.0.0.100@ethernet-number1", "the name of an interface"),
        ("10.0.0.100@eth0:", "cannot be a label"),
        ("10.0.0.100@eth0:too-long-a-label", "cannot be a label"),
        ("10.0.0.100@eth0:a b", "cannot be a label"),
        ("fd00::100@eth0:vip", "only IPv4 addresses have labels"),
    ] {
        let said = parse(text).expect_err(text).to_string();
        assert!(said.contains(reason), "{text:?}: {said}");
    }
}

fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
    ]
}

fn virtual_address() -> impl Strategy<Value = VirtualAddress> {
    let parts = (ip(), 1..=128_u8, prop::option::of("[a-z0-9.@-]{3,9}"), any::<bool>());
    parts.prop_filter_map("not for hosts", |(ip, prefix, interface, labelled)| {
        let mut address = VirtualAddress::new(ip, prefix).ok()?;
        if let Some(interface) = interface {
            address = address.on(interface).ok()?;
        }
        if labelled && ip.is_ipv4() {
            address = address.labelled("vip:1").ok()?;
        }
        Some(address)
    })
}

proptest! {
    #[test]
    fn text_and_back(address in virtual_address()) {
        prop_assert_eq!(parse(&address.to_string()), Ok(address.clone()));
        let json = serde_json::to_string(&address).expect("text");
        prop_assert_eq!(&json, &format!("\"{address}\""));
        prop_assert_eq!(serde_json::from_str::<VirtualAddress>(&json).expect("the same"), address);
    }

    #[test]
    fn what_is_accepted_is_a_host_address(text in "[0-9a-f.:/@]{1,24}") {
        if let Ok(address) = parse(&text) {
            let ip = address.ip();
            prop_assert!(!ip.is_loopback() && !ip.is_multicast() && !ip.is_unspecified());
            prop_assert_eq!(parse(&address.to_string()), Ok(address));
        }
    }

    #[test]
    fn no_frame_whatever_makes_the_parsers_panic(frame in prop::collection::vec(any::<u8>(), 0..200)) {
        let _whatever = (Arp::parse(&frame), Neighbour::parse(&frame));
    }

    #[test]
    fn nor_does_one_that_was_damaged_or_cut(
        bits: u128, mac: [u8; 6], at: prop::sample::Index, value: u8, end: prop::sample::Index,
    ) {
        let (v4, v6) = (Ipv4Addr::from_bits(bits as u32), Ipv6Addr::from_bits(bits));
        for mut frame in [
            Arp::announcement(Mac(mac), v4).encode(),
            Neighbour::announcement(Mac(mac), v6).encode(),
            Neighbour::probe(Mac(mac), v6).encode(),
        ] {
            let at = at.index(frame.len());
            frame[at] = value;
            frame.truncate(end.index(frame.len() + 1));
            let _whatever = (Arp::parse(&frame), Neighbour::parse(&frame));
        }
    }

    #[test]
    fn every_frame_is_read_back(bits: u128, mac: [u8; 6]) {
        let (v4, v6) = (Ipv4Addr::from_bits(bits as u32), Ipv6Addr::from_bits(bits));
        for arp in [Arp::probe(Mac(mac), v4), Arp::announcement(Mac(mac), v4), Arp::unasked_reply(Mac(mac), v4)] {
            prop_assert_eq!(Arp::parse(&arp.encode()), Some(arp));
        }
        if !v6.is_multicast() {
            for message in [Neighbour::probe(Mac(mac), v6), Neighbour::announcement(Mac(mac), v6)] {
                prop_assert_eq!(Neighbour::parse(&message.encode()), Some(message));
            }
        }
    }
}
