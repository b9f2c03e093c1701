//! Which addresses this host has.

use std::time::Duration;

use crate::interface::{Interface, InterfaceAddress, interfaces};
use crate::netlink::{Netlink, Record};
use crate::release::name;
use crate::{VipError, VirtualAddress};

/// Where this host has a virtual address, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The interface that has it.
    pub interface: String,
    /// With its prefix, which may be another one than was configured, and its label.
    pub as_is: InterfaceAddress,
}

pub(crate) fn held(address: &VirtualAddress) -> Result<Option<Held>, VipError> {
    let records = records(Some(address))?;
    let found = records.iter().find(|record| record.ip == address.ip());
    Ok(found.map(|record| Held { interface: name(record.index), as_is: record.into() }))
}

pub(crate) fn list() -> Result<Vec<Interface>, VipError> {
    interfaces(&records(None)?)
        .map_err(|source| VipError::kernel(None, "list the interfaces", None, source))
}

fn records(address: Option<&VirtualAddress>) -> Result<Vec<Record>, VipError> {
    Netlink::open()
        .and_then(|netlink| netlink.addresses())
        .map_err(|source| VipError::kernel(address, "list the addresses", None, source))
}

pub(crate) fn timed_out(address: Option<&VirtualAddress>, limit: Duration) -> VipError {
    let (what, meaning) = ("listing the addresses", "nothing is concluded from it");
    VipError::TimedOut { address: address.cloned(), what, limit, meaning }
}
