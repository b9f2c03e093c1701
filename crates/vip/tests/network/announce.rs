//! What others hear and believe.

use std::net::IpAddr;
use std::time::Duration;

use primacy_vip::frame::{Arp, ArpOperation, Neighbour};
use primacy_vip::{VirtualAddress, acquire, blocking, take_over};

use crate::ear::{Ear, serve, who_answers};
use crate::net::{LONG, Net, until};
use crate::{BOTH, vip};

/// A question whether anybody has the address.
pub(crate) fn asks(frame: &[u8], address: &VirtualAddress) -> Option<()> {
    let asked = match address.ip() {
        IpAddr::V4(ip) => {
            let arp = Arp::parse(frame)?;
            arp.sender_ip.is_unspecified() && arp.target_ip == ip
        }
        IpAddr::V6(ip) => {
            let message = Neighbour::parse(frame)?;
            !message.advertises && message.source.is_unspecified() && message.target == ip
        }
    };
    asked.then_some(())
}

/// An announcement of the address; with IPv4, of one of the two forms.
pub(crate) fn announces(frame: &[u8], address: &VirtualAddress, form: ArpOperation) -> Option<()> {
    let said = match address.ip() {
        IpAddr::V4(ip) => {
            let arp = Arp::parse(frame)?;
            arp.operation == form && arp.sender_ip == ip && arp.target_ip == ip
        }
        IpAddr::V6(ip) => {
            Neighbour::parse(frame)? == Neighbour::announcement(Neighbour::parse(frame)?.from, ip)
        }
    };
    said.then_some(())
}

#[test]
fn it_is_asked_for_three_times_and_announced_five_times() {
    let Some(net) = Net::new() else { return };
    for address in BOTH.map(vip) {
        let ears = [(); 3].map(|()| Ear::new(&net.peer));
        net.a.with_runtime(|runtime| {
            let _kept = runtime.block_on(acquire(&address, LONG)).expect("nobody has it");
            ears[0].wait(3, |frame| asks(frame, &address));
            let form = ArpOperation::Request;
            let heard = ears[1].wait(5, |frame| announces(frame, &address, form));
            ears[2].wait(5, |frame| announces(frame, &address, ArpOperation::Reply));
            let (first, last) = (heard[0].1, heard[4].1);
            assert!(last - first >= Duration::from_millis(1500), "{:?}", last - first);
            // And that is all.
            until(|| runtime.metrics().num_alive_tasks() == 0);
        });
    }
}

#[test]
fn a_peer_goes_to_the_new_holder_at_once() {
    let Some(net) = Net::new() else { return };
    serve(&net.a, "a");
    serve(&net.b, "b");
    for address in BOTH.map(vip) {
        let _first = net.a.with_runtime(|runtime| {
            runtime.block_on(acquire(&address, LONG)).expect("nobody has it")
        });
        assert_eq!(who_answers(&net.peer, address.ip()).as_deref(), Some("a"));
        assert!(net.peer.believes(&address).contains(&net.a.mac().to_string()));

        let gone = net.a.inside(|| blocking::release(&address, LONG)).expect("gone");
        assert!(gone.was_held());
        net.b.with_runtime(|runtime| {
            let _second = runtime.block_on(acquire(&address, LONG)).expect("a gave it up");
            // The peer sent nothing meanwhile: it was told.
            until(|| net.peer.believes(&address).contains(&net.b.mac().to_string()));
            assert_eq!(who_answers(&net.peer, address.ip()).as_deref(), Some("b"));
        });
    }
}

#[test]
fn a_dead_server_whose_kernel_still_answers_is_overruled() {
    let Some(net) = Net::new() else { return };
    serve(&net.a, "a");
    serve(&net.b, "b");
    for address in BOTH.map(vip) {
        let _first = net.a.with_runtime(|runtime| {
            runtime.block_on(acquire(&address, LONG)).expect("nobody has it")
        });
        assert_eq!(who_answers(&net.peer, address.ip()).as_deref(), Some("a"));
        net.b.with_runtime(|runtime| {
            runtime.block_on(acquire(&address, LONG)).expect_err("a still has it");
            let ear = Ear::new(&net.peer);
            let taken = runtime.block_on(take_over(&address, LONG)).expect("nobody is asked");
            assert!(taken.newly());
            until(|| net.peer.believes(&address).contains(&net.b.mac().to_string()));
            assert_eq!(who_answers(&net.peer, address.ip()).as_deref(), Some("b"));

            // A peer that was turned away is turned back, and more often than five times.
            let (ip, wrong) = (address.ip(), net.a.mac());
            net.peer.ip(&format!("neigh replace {ip} lladdr {wrong} nud stale dev eth0"));
            until(|| net.peer.believes(&address).contains(&net.b.mac().to_string()));
            ear.wait(6, |frame| announces(frame, &address, ArpOperation::Request));
            drop(taken);
            until(|| runtime.metrics().num_alive_tasks() == 0);
        });
    }
}

#[test]
fn what_was_given_up_is_announced_no_more_though_its_handle_lives() {
    let Some(net) = Net::new() else { return };
    for address in BOTH.map(vip) {
        net.a.with_runtime(|runtime| {
            let _kept = runtime.block_on(take_over(&address, LONG)).expect("nobody is asked");
            let gone = blocking::release(&address, LONG).expect("gone");
            assert!(gone.was_held());
            until(|| runtime.metrics().num_alive_tasks() == 0);
        });
    }
}
