//! Giving an address up.

use std::fs;

use primacy_vip::{VipError, acquire, blocking};

use crate::ear::Ear;
use crate::net::{LONG, Net};
use crate::{BOTH, vip};

#[test]
fn an_address_that_is_not_there_is_given_up_already() {
    let Some(net) = Net::new() else { return };
    for address in BOTH.map(vip) {
        let released = net.a.inside(|| blocking::release(&address, LONG)).expect("nothing to do");
        assert!(!released.was_held());
    }
}

#[test]
fn it_goes_from_wherever_it_is_with_whatever_prefix() {
    let Some(net) = Net::new() else { return };
    net.plug(&net.a, "eth1");
    for (text, prefix) in [("10.77.0.100/32", 24), ("fd77::100/128", 64)] {
        let address = vip(text);
        net.a.ip(&format!("addr add {}/{prefix} dev eth1", address.ip()));
        let released = net.a.inside(|| blocking::release(&address, LONG)).expect("gone");
        assert_eq!(released.from, ["eth1"]);
    }
}

#[test]
fn giving_it_up_wins_over_a_taking_that_has_begun() {
    let Some(net) = Net::new() else { return };
    for address in BOTH.map(vip) {
        let ear = Ear::new(&net.peer);
        net.a.with_runtime(|runtime| {
            let wanted = address.clone();
            let taking = runtime.spawn(async move { acquire(&wanted, LONG).await });
            ear.wait(1, |frame| crate::announce::asks(frame, &address));
            let released = blocking::release(&address, LONG).expect("nothing to do yet");
            assert!(!released.was_held());
            match runtime.block_on(taking).expect("no panic") {
                Err(VipError::ReleasedMeanwhile { .. }) => {}
                other => panic!("{other:?}"),
            }
            assert_eq!(blocking::held(&address, LONG).expect("a look"), None);
        });
    }
}

#[test]
fn the_hosts_own_address_stays_though_it_came_later_into_the_same_network() {
    let Some(net) = Net::new() else { return };
    let address = vip("10.77.0.100/24@eth0");
    net.a.ip("addr flush dev eth0");
    let _taken = net
        .a
        .with_runtime(|runtime| runtime.block_on(acquire(&address, LONG)).expect("nobody has it"));
    net.a.ip("addr add 10.77.0.1/24 dev eth0");
    assert!(net.a.ip("-o addr show dev eth0").contains("10.77.0.1/24 scope global secondary"));
    let released = net.a.inside(|| {
        for which in ["all", "eth0"] {
            let setting = format!("/proc/sys/net/ipv4/conf/{which}/promote_secondaries");
            fs::write(setting, "0").expect("this namespace's own setting");
        }
        blocking::release(&address, LONG)
    });
    assert!(released.expect("gone").was_held());
    let shown = net.a.ip("-o addr show dev eth0");
    assert!(shown.contains("10.77.0.1/24") && !shown.contains("10.77.0.100"), "{shown}");
}
