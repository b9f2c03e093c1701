//! Tells everybody on the link that an address is here now, several times: any one frame may be
//! lost, and a switch may still be learning.
//!
//! Hosts that know the address change what they know at the first announcement (Linux does so for
//! gratuitous ARP of either form, and for an advertisement with the override flag).

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use tokio::task::{AbortHandle, spawn_blocking};

use crate::frame::{Arp, Neighbour};
use crate::interface::{Interface, interfaces};
use crate::netlink::Netlink;
use crate::packet::PacketSocket;
use crate::{Mac, VirtualAddress};

/// After the first announcement, which is sent before an address counts as taken: 4 more in 2 s.
const GAPS: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_millis(600),
    Duration::from_millis(1000),
];
/// From then on, where another host may still answer for the address.
const CONTESTED_GAP: Duration = Duration::from_secs(5);

/// Goes on announcing until it is dropped.
#[derive(Debug)]
pub(crate) struct Announcer(AbortHandle);

impl Announcer {
    /// Announces again and again; without end if somebody may contest the address.
    pub(crate) fn start(address: VirtualAddress, interface: String, contested: bool) -> Self {
        let task = tokio::spawn(async move {
            let endless =
                std::iter::repeat_n(CONTESTED_GAP, if contested { usize::MAX } else { 0 });
            for gap in GAPS.into_iter().chain(endless) {
                tokio::time::sleep(gap).await;
                let (to_announce, on) = (address.clone(), interface.clone());
                let again = spawn_blocking(move || announce_again(to_announce.ip(), &on));
                match again.await {
                    Ok(Ok(true)) => {}
                    // A taking of the address elsewhere must not be undone by our voice.
                    Ok(Ok(false)) => break,
                    Ok(Err(error)) => {
                        tracing::warn!(%address, interface, %error, "an announcement was not sent");
                    }
                    Err(_cancelled) => break,
                }
            }
        });
        Self(task.abort_handle())
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Announces the address if this host still has it there; looked at anew each time, since the
/// interface's own address may have changed, too (a bond that switched over).
fn announce_again(ip: IpAddr, interface: &str) -> io::Result<bool> {
    let records = Netlink::open()?.addresses()?;
    let there = |one: &Interface| {
        one.name == interface && one.addresses.iter().any(|own| own.ip == ip && own.usable)
    };
    let Some(found) = interfaces(&records)?.into_iter().find(there) else { return Ok(false) };
    let Some(mac) = found.mac else { return Ok(false) };
    announce(&PacketSocket::sender(&found.link)?, mac, ip)?;
    Ok(true)
}

/// Announces the address once.
pub(crate) fn announce(socket: &PacketSocket, ours: Mac, ip: IpAddr) -> io::Result<()> {
    match ip {
        IpAddr::V4(ip) => {
            socket.send(&Arp::announcement(ours, ip).encode())?;
            socket.send(&Arp::unasked_reply(ours, ip).encode())
        }
        IpAddr::V6(ip) => socket.send(&Neighbour::announcement(ours, ip).encode()),
    }
}
