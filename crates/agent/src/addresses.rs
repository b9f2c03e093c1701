//! Virtual addresses: held while the lease is good and the server accepts writes, and at no other
//! time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use primacy_plan::lease::Hold;
use primacy_types::{ServerFacts, VirtualAddress};
use primacy_vip::{Acquired, VipError};
use tokio::time::Instant;

use crate::clock;
use crate::served::Served;

/// How often it is looked whether addresses are to be taken or given up.
const PACE: Duration = Duration::from_millis(50);

/// Limit of taking one.
const TAKE: Duration = Duration::from_secs(3);

/// Limit of giving one up.
const GIVE_UP: Duration = Duration::from_millis(400);

/// Pause before one that could not be taken is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Holds the addresses of one server for as long as the agent runs.
pub(crate) async fn hold(served: Arc<Served>) {
    let mut held: BTreeMap<VirtualAddress, Acquired> = BTreeMap::new();
    let mut not_before = Instant::now();
    // What an earlier worker left is taken anew if it is wanted, and given up if not.
    let mut left: Vec<VirtualAddress> = served.state().vips.clone();
    loop {
        let (wanted, take_over) = wanted(&served);
        let closed = wanted.is_empty() && served.state().member.hold(clock::now()) != Hold::Good;
        if closed {
            for address in std::mem::take(&mut left) {
                give_up(&served, &address).await;
            }
        }
        let gone: Vec<_> = held.keys().filter(|a| !wanted.contains(a)).cloned().collect();
        for address in gone {
            held.remove(&address);
            give_up(&served, &address).await;
        }
        if Instant::now() >= not_before {
            let missing: Vec<_> = wanted.iter().filter(|a| !held.contains_key(a)).collect();
            for address in missing {
                left.retain(|old| old != address);
                match take(address, take_over).await {
                    Ok(acquired) => {
                        let interface = acquired.interface();
                        tracing::warn!(server = %served.server, %address, interface, "taken");
                        held.insert(address.clone(), acquired);
                        served.state().vip_problem = None;
                    }
                    Err(error) => {
                        tracing::error!(server = %served.server, %error, "an address is not held");
                        served.state().vip_problem = Some(error.to_string());
                        not_before = Instant::now() + AGAIN;
                    }
                }
            }
        }
        served.state().held = held.keys().cloned().collect();
        tokio::time::sleep(PACE).await;
    }
}

/// The addresses that shall be held now, and whether one that another host answers for is the former
/// primary's.
fn wanted(served: &Served) -> (Vec<VirtualAddress>, bool) {
    let state = served.state();
    let open = state.silent.is_none() && state.facts.as_ref().is_some_and(ServerFacts::writable);
    let good = state.member.hold(clock::now()) == Hold::Good;
    let wanted = if good && open { state.vips.clone() } else { Vec::new() };
    (wanted, state.take_over)
}

async fn take(address: &VirtualAddress, take_over: bool) -> Result<Acquired, VipError> {
    match primacy_vip::acquire(address, TAKE).await {
        Err(error @ VipError::InUse { .. }) if take_over => {
            tracing::warn!(%error, "taken over: the lease of whoever held it has run out");
            primacy_vip::take_over(address, TAKE).await
        }
        other => other,
    }
}

/// Gives all of them up at once, before the server is closed: no new client shall come.
pub(crate) async fn give_up_all(served: &Served) {
    let held: Vec<_> = served.state().held.iter().cloned().collect();
    for address in held {
        give_up(served, &address).await;
        served.state().held.remove(&address);
    }
}

async fn give_up(served: &Served, address: &VirtualAddress) {
    match primacy_vip::release(address, GIVE_UP).await {
        Ok(released) if released.was_held() => {
            tracing::warn!(server = %served.server, %address, "given up");
        }
        Ok(_) => {}
        Err(error) => tracing::error!(server = %served.server, %error, "it is not given up"),
    }
}
