//! Virtual IP addresses of a database host: taken, announced, looked for, given up. Linux only.
//!
//! This crate knows nothing of leases and servers: who calls [`acquire`] has made sure that the
//! cluster gives this host the address, and who holds one calls [`release`] before its right to it
//! ends. What it promises is that the host does with the address what it says: an error of
//! `acquire` means that nothing was added, an `Ok` of `release` that the host has the address no
//! more.
//!
//! Needs `CAP_NET_ADMIN` and `CAP_NET_RAW`. No unsafe code, and no program is started.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! let address: primacy_vip::VirtualAddress = "10.0.0.100@eth0".parse()?;
//! let second = Duration::from_secs(1);
//! // Kept while the announcements are to go on; the address stays when it is dropped.
//! let acquired = primacy_vip::acquire(&address, second).await?;
//! println!("{address} is on {}", acquired.interface());
//! assert!(primacy_vip::held(&address, second).await?.is_some());
//! assert!(primacy_vip::release(&address, second).await?.was_held());
//! # Ok(()) }
//! ```

mod acquire;
mod announce;
pub mod blocking;
mod duplicate;
mod error;
pub mod frame;
mod interface;
mod limit;
mod look;
mod netlink;
mod packet;
mod release;
mod turns;

use std::time::Duration;

pub use acquire::Acquired;
pub use error::{Claim, VipError};
pub use frame::Mac;
pub use interface::{Interface, InterfaceAddress, LinkState};
pub use look::Held;
pub use primacy_types::{VirtualAddress, VirtualAddressError};
pub use release::Released;

use acquire::Others;
use limit::wait_async;

/// Takes the address if no other host has it, and announces it.
///
/// Others are asked for 400 ms; whoever answers, or asks for it at the same time, makes this a
/// [`VipError::InUse`]. An address that this host has already, with the same prefix, is a success at
/// once: others are not asked, but told again. The first announcement is sent before this returns,
/// four more follow over 2 s while [`Acquired`] lives and this host has the address.
///
/// After an error, and when the future is dropped, the host does not keep what was added. Nothing is
/// added after the limit, on a clock that runs through a suspend: give it no more time than the right
/// to the address lasts. Giving it up ([`release`], by any thread of this process) wins over a
/// taking that has begun.
pub async fn acquire(address: &VirtualAddress, limit: Duration) -> Result<Acquired, VipError> {
    acquire::acquire(address, Others::Asked, limit).await
}

/// Takes the address without asking whether another host has it.
///
/// For one case only: the former holder's right to the address has provably run out (its lease
/// expired, its server is dead), while its kernel still answers for it. Since it may go on
/// answering, announcements are repeated every 5 s after the first five, for as long as
/// [`Acquired`] lives and this host has the address: each one turns those back to us who were
/// turned away. A neighbour that asks in between may still hear the other host first; only
/// when that host gives the address up, or is cut off, is the address ours alone.
pub async fn take_over(address: &VirtualAddress, limit: Duration) -> Result<Acquired, VipError> {
    acquire::acquire(address, Others::Overruled, limit).await
}

/// Gives the address up: removes it from whichever interface has it, with whatever prefix. One that
/// this host does not have is a success, too.
///
/// If IPv4 addresses of the same network and prefix were added after it, the kernel is first told to
/// keep them (`net.ipv4.conf.INTERFACE.promote_secondaries = 1`), which it otherwise does not.
pub async fn release(address: &VirtualAddress, limit: Duration) -> Result<Released, VipError> {
    let wanted = address.clone();
    wait_async(limit, move || release::release(&wanted))
        .await
        .unwrap_or_else(|| Err(release::timed_out(address, limit)))
}

/// Whether this host has the address now, on whichever interface and with whatever prefix.
pub async fn held(address: &VirtualAddress, limit: Duration) -> Result<Option<Held>, VipError> {
    let wanted = address.clone();
    wait_async(limit, move || look::held(&wanted))
        .await
        .unwrap_or_else(|| Err(look::timed_out(Some(address), limit)))
}

/// Every interface of this host with its addresses.
pub async fn list(limit: Duration) -> Result<Vec<Interface>, VipError> {
    wait_async(limit, look::list).await.unwrap_or_else(|| Err(look::timed_out(None, limit)))
}
