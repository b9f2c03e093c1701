//! Who came last, the taking or the giving up: an address that was given up while it was being
//! taken must not appear afterwards, nor one for which nobody waits any more.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How often each address was given up by this process.
static GIVEN_UP: Mutex<BTreeMap<IpAddr, u64>> = Mutex::new(BTreeMap::new());

/// A taking that began.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    ip: IpAddr,
    number: u64,
    abandoned: Arc<AtomicBool>,
}

/// Ends the turn when it is dropped.
#[derive(Debug)]
pub(crate) struct Waiter(Arc<AtomicBool>);

impl Turn {
    /// Taking this address begins, for somebody who waits.
    pub(crate) fn begin(ip: IpAddr) -> (Self, Waiter) {
        let abandoned = Arc::new(AtomicBool::new(false));
        let waiter = Waiter(Arc::clone(&abandoned));
        (Self { ip, number: count(ip), abandoned }, waiter)
    }

    /// The address was not given up since, and somebody still waits for it.
    pub(crate) fn is_valid(&self) -> bool {
        count(self.ip) == self.number && !self.abandoned.load(Ordering::SeqCst)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Whoever is taking this address shall not have it.
pub(crate) fn give_up(ip: IpAddr) {
    *table().entry(ip).or_default() += 1;
}

fn count(ip: IpAddr) -> u64 {
    table().get(&ip).copied().unwrap_or(0)
}

/// Held for no longer than it takes to look a number up, and right whoever panicked.
fn table() -> MutexGuard<'static, BTreeMap<IpAddr, u64>> {
    GIVEN_UP.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn giving_up_ends_the_turn_of_that_address_only() {
        let one: IpAddr = "10.9.9.1".parse().expect("an address");
        let other: IpAddr = "10.9.9.2".parse().expect("an address");
        let ((turn, _waiter), (its, _its_waiter)) = (Turn::begin(one), Turn::begin(other));
        give_up(one);
        assert!(!turn.is_valid() && its.is_valid() && Turn::begin(one).0.number == 1);
    }

    #[test]
    fn a_turn_ends_with_the_one_who_waits() {
        let (turn, waiter) = Turn::begin("10.9.9.3".parse().expect("an address"));
        assert!(turn.is_valid());
        drop(waiter);
        assert!(!turn.is_valid());
    }
}
