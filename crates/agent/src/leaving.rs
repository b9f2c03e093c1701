//! Addresses that have to go and could not be given up: when each is tried again, and what was said
//! of it, so that neither the kernel nor the log is asked twenty times a second.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use primacy_types::VirtualAddress;
use tokio::time::Instant;

/// Pause before one that could not be given up is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// What is known of them.
#[derive(Debug, Default)]
pub(crate) struct Leaving {
    /// When it is tried again, and why it stayed.
    tried: BTreeMap<VirtualAddress, (Instant, String)>,
}

impl Leaving {
    /// Whether it is to be tried now.
    pub(crate) fn is_due(&self, address: &VirtualAddress, now: Instant) -> bool {
        self.tried.get(address).is_none_or(|(again, _)| *again <= now)
    }

    /// Notes that it is still there; whether that is to be said, once for each reason.
    pub(crate) fn failed(&mut self, address: &VirtualAddress, why: &str, now: Instant) -> bool {
        let before = self.tried.insert(address.clone(), (now + AGAIN, why.to_owned()));
        before.is_none_or(|(_, said)| said != why)
    }

    /// It is gone, and if it still has to be gone after a while that is seen to again.
    pub(crate) fn done(&mut self, address: &VirtualAddress, now: Instant) {
        self.tried.insert(address.clone(), (now + AGAIN, String::new()));
    }

    /// It is gone.
    pub(crate) fn gone(&mut self, address: &VirtualAddress) {
        self.tried.remove(address);
    }

    /// Forgets all that do not have to go any more.
    pub(crate) fn only(&mut self, leaving: &BTreeSet<VirtualAddress>) {
        self.tried.retain(|address, _| leaving.contains(address));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_stays_is_tried_each_second_and_spoken_of_once() {
        let address: VirtualAddress = "10.0.0.101".parse().unwrap();
        let mut leaving = Leaving::default();
        let mut now = Instant::now();
        assert!(leaving.is_due(&address, now));
        let (mut tries, mut said) = (0, 0);
        // Ten seconds at the pace of whoever holds addresses.
        for _ in 0..200 {
            if leaving.is_due(&address, now) {
                tries += 1;
                said += u32::from(leaving.failed(&address, "not permitted", now));
            }
            now += Duration::from_millis(50);
        }
        assert_eq!((tries, said), (10, 1));
        now += AGAIN;
        assert!(leaving.failed(&address, "no such device", now));
        assert!(!leaving.is_due(&address, now));
        leaving.only(&BTreeSet::new());
        assert!(leaving.is_due(&address, now));
        assert!(leaving.failed(&address, "no such device", now));
        leaving.gone(&address);
        assert!(leaving.is_due(&address, now));
    }
}
