//! Virtual addresses: held while the lease is good and the server accepts writes, and at no other
//! time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use primacy_host::Ability;
use primacy_plan::lease::Hold;
use primacy_types::{ServerFacts, VirtualAddress};
use primacy_vip::{Acquired, VipError};
use tokio::time::Instant;

use crate::clock;
use crate::leaving::Leaving;
use crate::served::Served;

/// How often it is looked whether addresses are to be taken or given up.
const PACE: Duration = Duration::from_millis(50);

/// Limit of taking one.
const TAKE: Duration = Duration::from_secs(3);

/// Limit of giving one up.
const GIVE_UP: Duration = Duration::from_millis(400);

/// Pause before one that could not be taken is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Bits of the capabilities in `CapEff` (linux/capability.h).
const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;

/// Whether this process may take and announce addresses: the kernel's own word on what it may.
pub(crate) fn able() -> Ability {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    lacking(&status).map_or(Ability::Yes, Ability::No)
}

fn lacking(status: &str) -> Option<String> {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    let Some(effective) = effective else {
        return Some("what it may do is not seen in /proc/self/status".to_owned());
    };
    let has = |bit: u32| effective & (1 << bit) != 0;
    let wanted = [(CAP_NET_ADMIN, "CAP_NET_ADMIN"), (CAP_NET_RAW, "CAP_NET_RAW")];
    let lacks: Vec<_> = wanted.into_iter().filter(|(bit, _)| !has(*bit)).map(|(_, n)| n).collect();
    (!lacks.is_empty()).then(|| format!("it lacks {}", lacks.join(" and ")))
}

/// Holds the addresses of one server for as long as the agent runs.
pub(crate) async fn hold(served: Arc<Served>) {
    let mut held: BTreeMap<VirtualAddress, Acquired> = BTreeMap::new();
    let mut not_before = Instant::now();
    // What an earlier worker left is taken anew if it is wanted, and given up if not.
    let mut left: BTreeSet<VirtualAddress> = served.state().vips.iter().cloned().collect();
    // What has to go, until it is gone.
    let mut unwanted = BTreeSet::new();
    let mut leaving = Leaving::default();
    loop {
        let (wanted, take_over) = wanted(&served);
        let closed = wanted.is_empty() && served.state().member.hold(clock::now()) != Hold::Good;
        if closed {
            unwanted.append(&mut left);
        }
        let gone: Vec<_> = held.keys().filter(|a| !wanted.contains(a)).cloned().collect();
        for address in gone {
            held.remove(&address);
            unwanted.insert(address);
        }
        unwanted.retain(|address| !wanted.contains(address));
        leaving.only(&unwanted);
        let due = unwanted.iter().filter(|address| leaving.is_due(address, Instant::now()));
        for address in due.cloned().collect::<Vec<_>>() {
            if give_up(&served, &address, &mut leaving).await {
                unwanted.remove(&address);
            }
        }
        if Instant::now() >= not_before {
            let missing: Vec<_> = wanted.iter().filter(|a| !held.contains_key(a)).collect();
            for address in missing {
                left.remove(address);
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
        // One that stays is tried again by the task that holds them.
        if give_up(served, &address, &mut Leaving::default()).await {
            served.state().held.remove(&address);
        }
    }
}

/// Whether it is gone.
async fn give_up(served: &Served, address: &VirtualAddress, leaving: &mut Leaving) -> bool {
    match primacy_vip::release(address, GIVE_UP).await {
        Ok(released) => {
            if released.was_held() {
                tracing::warn!(server = %served.server, %address, "given up");
            }
            leaving.gone(address);
            true
        }
        Err(error) => {
            if leaving.failed(address, &error.to_string(), Instant::now()) {
                tracing::error!(server = %served.server, %error, "it is not given up");
            }
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_agent_lacks_for_addresses_is_named() {
        let of = |bits: &str| lacking(&format!("Name:\tprimacy\nCapEff:\t{bits}\nCapBnd:\t0\n"));
        assert_eq!(of("000001ffffffffff"), None);
        assert_eq!(of("0000000000003000"), None);
        assert_eq!(of("0000000000001000").as_deref(), Some("it lacks CAP_NET_RAW"));
        assert_eq!(of("0").as_deref(), Some("it lacks CAP_NET_ADMIN and CAP_NET_RAW"));
        assert!(lacking("").is_some());
    }
}
