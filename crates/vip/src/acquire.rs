//! Taking an address: is it ours already, where does it belong, has somebody else got it, then add
//! it and say so.

use std::time::Duration;

use rustix::io::Errno;

use crate::announce::{Announcer, announce};
use crate::duplicate::{ASKING, search};
use crate::interface::{Interface, LinkState, choose, interfaces};
use crate::limit::{Deadline, wait_async};
use crate::netlink::{Change, Netlink, Record};
use crate::packet::PacketSocket;
use crate::release;
use crate::turns::Turn;
use crate::{VipError, VirtualAddress};

/// An address that this host has taken.
///
/// Dropping it ends the announcements and keeps the address; [`release`](crate::release) gives the
/// address up.
#[derive(Debug)]
pub struct Acquired {
    interface: String,
    newly: bool,
    announcer: Option<Announcer>,
}

impl Acquired {
    /// The interface that has it now.
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// It was added by this call; otherwise the host had it before.
    pub const fn newly(&self) -> bool {
        self.newly
    }

    /// It is announced. Interfaces without neighbours (loopback, tunnels) have nobody to tell.
    pub const fn is_announced(&self) -> bool {
        self.announcer.is_some()
    }
}

/// Whether others are asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    Asked,
    Overruled,
}

pub(crate) async fn acquire(
    address: &VirtualAddress,
    others: Others,
    limit: Duration,
) -> Result<Acquired, VipError> {
    let deadline = Deadline::after(limit);
    let (turn, _waiter) = Turn::begin(address.ip());
    let wanted = address.clone();
    let work = move || take(&wanted, others, &turn, deadline, limit);
    let mut taken = wait_async(limit, work)
        .await
        .unwrap_or_else(|| Err(timed_out(address, "taking it", limit)))?;
    let announcer = taken.announced.then(|| {
        let contested = others == Others::Overruled;
        Announcer::start(address.clone(), taken.interface.clone(), contested)
    });
    // No await between the answer and this: whoever drops the future has the address removed.
    let newly = taken.undo.take().is_some_and(Undo::disarm);
    Ok(Acquired { interface: std::mem::take(&mut taken.interface), newly, announcer })
}

fn timed_out(address: &VirtualAddress, what: &'static str, limit: Duration) -> VipError {
    let meaning = "it was not taken: should the kernel still add it, it is removed at once";
    VipError::TimedOut { address: Some(address.clone()), what, limit, meaning }
}

/// An address that was taken for somebody who may no longer want it.
struct Taken {
    interface: String,
    announced: bool,
    undo: Option<Undo>,
}

/// Removes an address again that was added, unless its taker has been told.
struct Undo {
    address: VirtualAddress,
    armed: bool,
}

impl Undo {
    fn disarm(mut self) -> bool {
        self.armed = false;
        true
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        if let Err(error) = release::remove(&self.address) {
            tracing::error!(%error, "an address that nobody waited for could not be removed");
        }
    }
}

fn take(
    address: &VirtualAddress,
    others: Others,
    turn: &Turn,
    deadline: Deadline,
    limit: Duration,
) -> Result<Taken, VipError> {
    let failed = |what, source| VipError::kernel(Some(address), what, None, source);
    let netlink = Netlink::open().map_err(|source| failed("open a netlink socket", source))?;
    let list = || netlink.addresses().map_err(|source| failed("list the addresses", source));
    let records = list()?;
    let links = interfaces(&records)
        .map_err(|source| VipError::kernel(Some(address), "list the interfaces", None, source))?;

    if let Some(interface) = held_as_wanted(address, &netlink, &records, &links)? {
        let announced = say(address, interface)?;
        return Ok(Taken { interface: interface.name.clone(), announced, undo: None });
    }

    let interface = choose(&links, address)?;
    is_up(address, interface)?;
    let on = Some(interface.name.as_str());
    if let (Some(mac), Others::Asked) = (interface.mac, others) {
        if deadline.left() < ASKING {
            return Err(timed_out(address, "asking whether another host has it (400 ms)", limit));
        }
        let found = search(interface, mac, address.ip()).map_err(|source| {
            VipError::kernel(Some(address), "ask whether another host has it", on, source)
        })?;
        if let Some((mac, claim)) = found {
            let (address, interface) = (address.clone(), interface.name.clone());
            return Err(VipError::InUse { address, interface, mac, claim });
        }
    }
    // Opened before the address is added: nobody gets one that cannot be announced.
    let socket = speaker(address, interface)?;
    let change = change(address, interface)?;

    if deadline.is_over() {
        return Err(timed_out(address, "taking it", limit));
    }
    if !turn.is_valid() {
        return Err(VipError::ReleasedMeanwhile { address: address.clone() });
    }
    let undo = match netlink.add(&change) {
        Ok(()) => Some(Undo { address: address.clone(), armed: true }),
        // Somebody else on this host was as quick.
        Err(Errno::EXIST) => None,
        Err(source) => return Err(VipError::kernel(Some(address), "add it", on, source)),
    };
    // Given up between the look and the adding: the drop of `undo` removes it.
    if !turn.is_valid() {
        return Err(VipError::ReleasedMeanwhile { address: address.clone() });
    }
    if let (Some(socket), Some(mac)) = (&socket, interface.mac) {
        announce(socket, mac, address.ip())
            .map_err(|source| VipError::kernel(Some(address), "announce it", on, source))?;
    }
    Ok(Taken { interface: interface.name.clone(), announced: socket.is_some(), undo })
}

/// The interface that has the address already, if it is the right one. What the kernel keeps and
/// does not use (it found a duplicate, or has not ended its search) is removed, to be taken anew.
fn held_as_wanted<'a>(
    address: &VirtualAddress,
    netlink: &Netlink,
    records: &[Record],
    links: &'a [Interface],
) -> Result<Option<&'a Interface>, VipError> {
    let mut right = None;
    for record in records.iter().filter(|record| record.ip == address.ip()) {
        let Some(link) = links.iter().find(|link| link.index() == record.index) else { continue };
        let here = address.interface().is_none_or(|name| name == link.name);
        if !here || record.prefix != address.prefix() {
            return Err(VipError::HeldDifferently {
                address: address.clone(),
                interface: link.name.clone(),
                prefix: record.prefix,
            });
        }
        if record.is_duplicate() || record.is_tentative() {
            match netlink.remove(record) {
                Ok(()) | Err(Errno::ADDRNOTAVAIL) => continue,
                Err(source) => {
                    let (what, on) = ("remove it, useless as it is,", Some(link.name.as_str()));
                    return Err(VipError::kernel(Some(address), what, on, source));
                }
            }
        }
        right = Some(link);
    }
    Ok(right)
}

fn is_up(address: &VirtualAddress, interface: &Interface) -> Result<(), VipError> {
    match interface.state {
        LinkState::Up => Ok(()),
        state => {
            let (address, interface) = (address.clone(), interface.name.clone());
            Err(VipError::InterfaceDown { address, interface, state })
        }
    }
}

/// A route to the network is wanted only where none is: with one, the kernel would take the virtual
/// address for the source of what it sends there.
fn change(address: &VirtualAddress, interface: &Interface) -> Result<Change, VipError> {
    let label = address.label_on(&interface.name);
    if let (Some(label), None) = (address.label(), &label) {
        return Err(VipError::LabelTooLong {
            address: address.clone(),
            interface: interface.name.clone(),
            label: label.to_owned(),
        });
    }
    let route = !interface.reaches(address.ip());
    Ok(Change::new(interface.index(), address.ip(), address.prefix(), label, route))
}

fn speaker(
    address: &VirtualAddress,
    interface: &Interface,
) -> Result<Option<PacketSocket>, VipError> {
    let open = |_mac| {
        PacketSocket::sender(&interface.link).map_err(|source| {
            let what = "open a packet socket to announce it";
            VipError::kernel(Some(address), what, Some(&interface.name), source)
        })
    };
    interface.mac.map(open).transpose()
}

/// Announces an address that the host has; whether there was anybody to tell.
fn say(address: &VirtualAddress, interface: &Interface) -> Result<bool, VipError> {
    is_up(address, interface)?;
    let Some(socket) = speaker(address, interface)? else { return Ok(false) };
    let Some(mac) = interface.mac else { return Ok(false) };
    announce(&socket, mac, address.ip()).map_err(|source| {
        VipError::kernel(Some(address), "announce it", Some(&interface.name), source)
    })?;
    Ok(true)
}
