//! The same without a runtime, for plain threads and guard processes: nothing here depends on
//! tokio, so an address goes also while a runtime is frozen.

use std::time::Duration;

use crate::limit::wait;
use crate::{Held, Interface, Released, VipError, VirtualAddress, look, release as releasing};

/// Gives the address up, as [`release`](crate::release()) does.
pub fn release(address: &VirtualAddress, limit: Duration) -> Result<Released, VipError> {
    let wanted = address.clone();
    wait(limit, move || releasing::release(&wanted))
        .unwrap_or_else(|| Err(releasing::timed_out(address, limit)))
}

/// Whether this host has the address, and where, as [`held`](crate::held) does.
pub fn held(address: &VirtualAddress, limit: Duration) -> Result<Option<Held>, VipError> {
    let wanted = address.clone();
    wait(limit, move || look::held(&wanted))
        .unwrap_or_else(|| Err(look::timed_out(Some(address), limit)))
}

/// Every interface with its addresses, as [`list`](crate::list) does.
pub fn list(limit: Duration) -> Result<Vec<Interface>, VipError> {
    wait(limit, look::list).unwrap_or_else(|| Err(look::timed_out(None, limit)))
}
