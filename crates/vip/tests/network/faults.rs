//! What is said where an address cannot be taken.

use std::time::Duration;

use primacy_vip::{LinkState, VipError, acquire, blocking, take_over};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use crate::net::{Host, LONG, Net};
use crate::{BOTH, vip};

fn refusal(host: &Host, text: &str) -> VipError {
    let address = vip(text);
    host.with_runtime(|runtime| {
        let error = runtime.block_on(acquire(&address, LONG)).expect_err("it cannot be taken");
        said(&error);
        error
    })
}

#[test]
fn an_interface_that_is_down_is_named() {
    let Some(net) = Net::new() else { return };
    net.a.ip("link set eth0 down");
    let error = refusal(&net.a, "10.77.0.100");
    let VipError::InterfaceDown { state: LinkState::Down, .. } = error else { panic!("{error}") };
    assert!(error.to_string().contains("ip link set eth0 up"), "{error}");
}

#[test]
fn an_unplugged_interface_is_named() {
    let Some(net) = Net::new() else { return };
    net.unplug(&net.a);
    let error = refusal(&net.a, "10.77.0.100");
    let VipError::InterfaceDown { state: LinkState::NoCarrier, .. } = error else {
        panic!("{error}")
    };
}

#[test]
fn an_interface_that_is_not_there_is_named_and_those_that_are() {
    let Some(net) = Net::new() else { return };
    let error = refusal(&net.a, "10.77.0.100@eth7");
    let VipError::NoSuchInterface { .. } = error else { panic!("{error}") };
    let said = error.to_string();
    assert!(said.contains("eth7") && said.contains("eth0 (10.77.0.1/24, fd77::1/64"), "{said}");
}

#[test]
fn no_interface_or_several_fit() {
    let Some(net) = Net::new() else { return };
    let error = refusal(&net.a, "10.88.0.100/24");
    let VipError::NoInterfaceFits { .. } = error else { panic!("{error}") };
    assert!(error.to_string().contains("eth0 (10.77.0.1/24"), "{error}");

    net.plug(&net.a, "eth1");
    net.a.ip("addr add 10.77.0.11/24 dev eth1");
    let error = refusal(&net.a, "10.77.0.100");
    let VipError::SeveralInterfacesFit { .. } = error else { panic!("{error}") };
    let said = error.to_string();
    assert!(said.contains("10.77.0.1/24") && said.contains("eth1 (10.77.0.11/24"), "{said}");
    assert!(!said.contains("lo ("), "{said}");
}

#[test]
fn the_hosts_own_address_is_no_virtual_one() {
    let Some(net) = Net::new() else { return };
    let error = refusal(&net.a, "10.77.0.1");
    let VipError::HeldDifferently { prefix: 24, .. } = error else { panic!("{error}") };
}

#[test]
fn a_label_that_is_too_long_behind_the_interface_that_was_found() {
    let Some(net) = Net::new() else { return };
    let error = refusal(&net.a, "10.77.0.100@:elevenchars");
    let VipError::LabelTooLong { .. } = error else { panic!("{error}") };
}

#[test]
fn ipv6_that_is_switched_off_is_named() {
    let Some(net) = Net::new() else { return };
    net.a.inside(|| {
        let setting = "/proc/sys/net/ipv6/conf/eth0/disable_ipv6";
        std::fs::write(setting, "1").expect("this namespace's own setting");
    });
    let error = refusal(&net.a, "fd77::100@eth0");
    let VipError::Ipv6Disabled { .. } = error else { panic!("{error}") };
    assert!(error.to_string().contains("net/ipv6/conf/eth0/disable_ipv6=0"), "{error}");
}

#[test]
fn a_limit_that_is_too_short_for_asking_is_said_before_anything_is_done() {
    let Some(net) = Net::new() else { return };
    for address in BOTH.map(vip) {
        net.a.with_runtime(|runtime| {
            let error = runtime
                .block_on(acquire(&address, Duration::from_millis(300)))
                .expect_err("asking takes 400 ms");
            let VipError::TimedOut { .. } = error else { panic!("{error}") };
            assert_eq!(blocking::held(&address, LONG).expect("a look"), None);
        });
    }
}

#[test]
fn missing_capabilities_are_named() {
    let Some(net) = Net::new() else { return };
    for address in BOTH.map(vip) {
        net.a.ip(&format!("addr add {address} dev eth0 nodad"));
        net.a.inside(|| {
            powerless();
            // Looking is everybody's.
            assert!(blocking::held(&address, LONG).expect("a look").is_some());
            named(&blocking::release(&address, LONG).expect_err("may not remove it"));
        });
        net.b.inside(|| {
            powerless();
            let released = blocking::release(&address, LONG).expect("nothing to do");
            assert!(!released.was_held());
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            named(&runtime.block_on(acquire(&address, LONG)).expect_err("may not ask"));
            named(&runtime.block_on(take_over(&address, LONG)).expect_err("may not announce"));
        });
    }
}

/// Shown by `--nocapture`: the sentences are for people.
#[expect(clippy::print_stdout, reason = "to be read by people")]
fn said(error: &VipError) {
    println!("{error}");
}

fn named(error: &VipError) {
    said(error);
    let VipError::NotPermitted { .. } = error else { panic!("{error}") };
    let said = error.to_string();
    assert!(said.contains("CAP_NET_ADMIN") && said.contains("CAP_NET_RAW"), "{said}");
}

/// Takes every capability from this thread and those that it makes.
fn powerless() {
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    set_capabilities(None, sets).expect("giving up is permitted");
}
