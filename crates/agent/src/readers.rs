//! Addresses for readers: held while a manager's grant lets this host, and its server answers.
//!
//! The rules are in `primacy_plan::lease`; here is what is done about them, in a task of its own so
//! that the primary's addresses never wait for these.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use primacy_plan::lease::{ReaderHolder, ReaderState};
use primacy_types::{Moment, VirtualAddress};
use primacy_vip::{Acquired, VipError};
use tokio::time::Instant;

use crate::clock;
use crate::leaving::Leaving;
use crate::served::Served;

/// How often it is looked whether addresses are to be taken or given up.
const PACE: Duration = Duration::from_millis(50);

/// Limit of taking one. With that of giving one up it is shorter than the time between the moment at
/// which an address must be given up and that at which another host may have it.
const TAKE: Duration = Duration::from_millis(1500);

/// Limit of giving one up.
const GIVE_UP: Duration = Duration::from_millis(400);

/// Pause before one that could not be taken is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// What one server's host may hold, and holds.
#[derive(Debug)]
pub(crate) struct Readers {
    pub(crate) holder: ReaderHolder,
    /// What the host has, or may still have: written here before it is taken.
    pub(crate) held: BTreeSet<VirtualAddress>,
    pub(crate) take_over: BTreeSet<VirtualAddress>,
    problem: Option<String>,
    leaving: Leaving,
}

impl Readers {
    /// Nothing may be held; `left` is what an earlier worker may have left on the host.
    pub(crate) fn new(first_nonce: u64, left: BTreeSet<VirtualAddress>) -> Self {
        Self {
            holder: ReaderHolder::new(first_nonce),
            held: left,
            take_over: BTreeSet::new(),
            problem: None,
            leaving: Leaving::default(),
        }
    }

    /// What must be given up if this process is gone.
    pub(crate) fn all(&self, now: Moment) -> BTreeSet<VirtualAddress> {
        self.held.union(&self.holder.may_hold(now)).cloned().collect()
    }

    /// The answer to a manager's order.
    pub(crate) fn answer(&mut self, now: Moment) -> ReaderState {
        ReaderState {
            nonce: self.holder.nonce(now),
            granted: self.holder.may_hold(now),
            held: self.held.clone(),
            problem: self.problem.clone(),
        }
    }
}

/// Holds the addresses of one server for as long as the agent runs.
pub(crate) async fn hold(served: Arc<Served>) {
    let mut taken: BTreeMap<VirtualAddress, Acquired> = BTreeMap::new();
    let mut not_before = Instant::now();
    loop {
        let wanted = wanted(&served);
        let gone: BTreeSet<_> = {
            let mut state = served.state();
            let gone = state.readers.held.difference(&wanted).cloned().collect();
            state.readers.leaving.only(&gone);
            gone
        };
        for address in gone {
            taken.remove(&address);
            if served.state().readers.leaving.is_due(&address, Instant::now()) {
                give_up(&served, &address).await;
            }
        }
        // One at a time: another one may have to be given up meanwhile.
        let missing = wanted.iter().find(|address| !taken.contains_key(*address));
        match missing {
            Some(address) if Instant::now() >= not_before => {
                match take(&served, address).await {
                    Ok(acquired) => {
                        let interface = acquired.interface();
                        tracing::warn!(server = %served.server, %address, interface, "taken for readers");
                        taken.insert(address.clone(), acquired);
                        served.state().readers.problem = None;
                    }
                    Err(error) => {
                        tracing::error!(server = %served.server, %error, "an address for readers is not held");
                        served.state().readers.problem = Some(error.to_string());
                        not_before = Instant::now() + AGAIN;
                        // It may have come that far all the same.
                        give_up(&served, address).await;
                    }
                }
            }
            Some(_) => {}
            None => served.state().readers.problem = None,
        }
        tokio::time::sleep(PACE).await;
    }
}

fn wanted(served: &Served) -> BTreeSet<VirtualAddress> {
    let state = served.state();
    if state.parting || state.killed || state.fenced || state.silent.is_some() {
        return BTreeSet::new();
    }
    state.readers.holder.may_hold(clock::now())
}

async fn take(served: &Served, address: &VirtualAddress) -> Result<Acquired, VipError> {
    let take_over = {
        let mut state = served.state();
        state.readers.held.insert(address.clone());
        state.readers.take_over.contains(address)
    };
    match primacy_vip::acquire(address, TAKE).await {
        Err(error @ VipError::InUse { .. }) if take_over => {
            tracing::warn!(%error, "taken over: the grant of whoever held it has run out");
            primacy_vip::take_over(address, TAKE).await
        }
        other => other,
    }
}

async fn give_up(served: &Served, address: &VirtualAddress) {
    match primacy_vip::release(address, GIVE_UP).await {
        Ok(released) => {
            if released.was_held() {
                tracing::warn!(server = %served.server, %address, "given up by readers");
            }
            let readers = &mut served.state().readers;
            readers.held.remove(address);
            readers.leaving.gone(address);
        }
        // It stays among those that the host may have, and is tried again.
        Err(error) => {
            let why = error.to_string();
            if served.state().readers.leaving.failed(address, &why, Instant::now()) {
                tracing::error!(server = %served.server, %error, "it is not given up");
            }
        }
    }
}

/// The agent ends: nobody would give them up in time.
pub(crate) async fn give_up_all(served: &Served) {
    let held = {
        let mut state = served.state();
        state.readers.holder.give_back();
        state.readers.held.clone()
    };
    for address in held {
        give_up(served, &address).await;
    }
}
