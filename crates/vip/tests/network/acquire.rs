//! Taking an address.

use std::net::IpAddr;
use std::thread;
use std::time::Instant;

use primacy_vip::frame::ArpOperation;
use primacy_vip::{Claim, VipError, acquire, blocking, take_over};

use crate::announce::{announces, asks};
use crate::ear::{Ear, source_towards};
use crate::net::{LONG, Net, until};
use crate::{BOTH, vip};

#[test]
fn an_address_is_taken_held_and_given_up() {
    let Some(net) = Net::new() else { return };
    for address in BOTH.map(vip) {
        net.a.with_runtime(|runtime| {
            assert_eq!(blocking::held(&address, LONG).expect("a look"), None);
            let begun = Instant::now();
            let acquired = runtime.block_on(acquire(&address, LONG)).expect("nobody has it");
            println!("{address} was taken in {:?}", begun.elapsed());
            assert_eq!(acquired.interface(), "eth0");
            assert!(acquired.newly() && acquired.is_announced());
            let held = blocking::held(&address, LONG).expect("a look").expect("it is held");
            assert_eq!((held.interface.as_str(), held.as_is.prefix), ("eth0", address.prefix()));
            assert!(held.as_is.usable);

            let released = runtime.block_on(primacy_vip::release(&address, LONG)).expect("gone");
            assert_eq!(released.from, ["eth0"]);
            assert_eq!(blocking::held(&address, LONG).expect("a look"), None);
        });
    }
}

#[test]
fn taking_it_a_second_time_is_a_success() {
    let Some(net) = Net::new() else { return };
    for address in BOTH.map(vip) {
        net.a.with_runtime(|runtime| {
            let first = runtime.block_on(acquire(&address, LONG)).expect("nobody has it");
            let second = runtime.block_on(acquire(&address, LONG)).expect("it is ours");
            assert!(first.newly() && !second.newly());
            let third = runtime.block_on(take_over(&address, LONG)).expect("it is ours");
            assert!(!third.newly() && third.interface() == "eth0");
        });
    }
}

#[test]
fn an_address_that_another_host_has_is_not_taken() {
    let Some(net) = Net::new() else { return };
    for address in BOTH.map(vip) {
        net.b.ip(&format!("addr add {address} dev eth0"));
        until(|| !net.b.ip("addr show dev eth0").contains("tentative"));
        let error = net.a.with_runtime(|runtime| {
            let error = runtime.block_on(acquire(&address, LONG)).expect_err("b has it");
            assert_eq!(blocking::held(&address, LONG).expect("a look"), None);
            error
        });
        match &error {
            VipError::InUse { interface, mac, claim: Claim::Has, .. } => {
                assert_eq!((interface.as_str(), *mac), ("eth0", net.b.mac()));
            }
            other => panic!("{other}"),
        }
        assert!(error.to_string().contains(&net.b.mac().to_string()), "{error}");
    }
}

#[test]
fn two_hosts_that_want_it_at_the_same_time_do_not_both_get_it() {
    let Some(net) = Net::new() else { return };
    for address in BOTH.map(vip) {
        let take = |host: &crate::net::Host| {
            host.with_runtime(|runtime| runtime.block_on(acquire(&address, LONG)).is_ok())
        };
        let (a, b) = thread::scope(|scope| {
            let (a, b) = (scope.spawn(|| take(&net.a)), scope.spawn(|| take(&net.b)));
            (a.join().expect("no panic"), b.join().expect("no panic"))
        });
        assert!(!(a && b), "both have {address}");
    }
}

#[test]
fn the_host_still_speaks_from_its_own_address() {
    let Some(net) = Net::new() else { return };
    let own: [IpAddr; 2] = ["10.77.0.1", "fd77::1"].map(|ip| ip.parse().expect("an address"));
    // Nearer to the virtual address than to the host's own: IPv6 goes by that.
    let peer: [IpAddr; 2] = ["10.77.0.101", "fd77::101"].map(|ip| ip.parse().expect("an address"));
    // A narrower network would be a better route than the host's own.
    for text in ["10.77.0.100", "10.77.0.100/24", "10.77.0.100/25", "fd77::100", "fd77::100/64"] {
        let address = vip(text);
        let i = usize::from(address.ip().is_ipv6());
        let _taken = net.a.with_runtime(|runtime| {
            runtime.block_on(acquire(&address, LONG)).expect("nobody has it")
        });
        assert_eq!(source_towards(&net.a, peer[i]), own[i], "{address}");
        let released = net.a.inside(|| blocking::release(&address, LONG)).expect("gone");
        assert!(released.was_held());
    }
}

#[test]
fn the_label_is_seen_by_people() {
    let Some(net) = Net::new() else { return };
    let _taken = net.a.with_runtime(|runtime| {
        runtime.block_on(acquire(&vip("10.77.0.100@:vip"), LONG)).expect("nobody has it")
    });
    let shown = net.a.ip("-o addr show dev eth0");
    assert!(shown.contains("10.77.0.100/32") && shown.contains(" eth0:vip"), "{shown}");
}

#[test]
fn an_address_in_a_network_of_its_own_gets_a_route_to_it() {
    let Some(net) = Net::new() else { return };
    let _taken = net.a.with_runtime(|runtime| {
        runtime.block_on(acquire(&vip("10.88.0.100/24@eth0"), LONG)).expect("nobody has it")
    });
    let routes = net.a.ip("route show");
    assert!(routes.contains("10.88.0.0/24 dev eth0"), "{routes}");
}

#[test]
fn the_loopback_interface_takes_addresses_and_tells_nobody() {
    let Some(net) = Net::new() else { return };
    for text in ["10.99.0.1@lo", "fd99::1@lo"] {
        let acquired = net.a.with_runtime(|runtime| {
            runtime.block_on(acquire(&vip(text), LONG)).expect("nobody is asked")
        });
        assert!(acquired.newly() && !acquired.is_announced());
    }
}

#[test]
fn an_address_that_the_kernel_found_to_be_a_duplicate_is_taken_anew() {
    let Some(net) = Net::new() else { return };
    let address = vip("fd77::100");
    net.b.ip("addr add fd77::100/128 dev eth0 nodad");
    net.a.ip("addr add fd77::100/128 dev eth0");
    until(|| net.a.ip("addr show dev eth0").contains("dadfailed"));
    net.b.ip("addr del fd77::100/128 dev eth0");
    net.a.with_runtime(|runtime| {
        let acquired = runtime.block_on(acquire(&address, LONG)).expect("b gave it up");
        assert!(acquired.newly());
        let held = blocking::held(&address, LONG).expect("a look").expect("it is held");
        assert!(held.as_is.usable);
    });
}

#[test]
fn a_future_that_is_dropped_leaves_no_address_and_announces_none() {
    let Some(net) = Net::new() else { return };
    for address in BOTH.map(vip) {
        let (ear, whole) = (Ear::new(&net.peer), Ear::new(&net.peer));
        net.a.with_runtime(|runtime| {
            let wanted = address.clone();
            let task = runtime.spawn(async move { acquire(&wanted, LONG).await.is_ok() });
            ear.wait(1, |frame| asks(frame, &address));
            task.abort();
            assert!(runtime.block_on(task).is_err(), "it was dropped");
            // What it had begun goes on to the last question, and ends there.
            ear.wait(2, |frame| asks(frame, &address));
            until(|| thread_count("primacy-vip") == 0);
            assert_eq!(blocking::held(&address, LONG).expect("a look"), None);

            // The first announcement is that of another try, after three questions more.
            let _taken = runtime.block_on(acquire(&address, LONG)).expect("nobody has it");
            let mut questions = 0;
            whole.wait(1, |frame| {
                questions += usize::from(asks(frame, &address).is_some());
                announces(frame, &address, ArpOperation::Request)
            });
            assert_eq!(questions, 6);
        });
    }
}

/// How many threads of this process have that name.
fn thread_count(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("this process");
    let named = |task: std::io::Result<std::fs::DirEntry>| {
        let comm = std::fs::read_to_string(task.ok()?.path().join("comm")).ok()?;
        (comm.trim() == name).then_some(())
    };
    tasks.filter_map(named).count()
}
