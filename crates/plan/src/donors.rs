//! Who can give a winner what it lacks.

use primacy_types::{Address, ClusterSnapshot, ServerFacts, TransactionSet};
use serde::{Deserialize, Serialize};

use crate::holdings::{self, counted, held_by_all, members};
use crate::{errant, topology};

/// One server that can give a winner transactions it lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Donor {
    /// Who gives.
    pub server: Address,
    /// Everything that the winner has after this.
    pub until: TransactionSet,
}

/// How far a winner can be brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Levelling {
    /// Who gives, in order.
    pub(crate) donors: Vec<Donor>,
    /// What nobody can give, with the servers that hold it, one sentence each.
    pub(crate) stuck: Vec<String>,
}

/// Who must give the winner what, so that it holds all that any reachable replica holds.
///
/// A server of `avoid` (it failed to give before) is asked only for what nobody else can give.
///
/// # Errors
/// The transactions that only servers hold which cannot pass them on, with those servers' names.
pub fn donors(
    snapshot: &ClusterSnapshot,
    primary: &Address,
    winner: &Address,
    avoid: &[Address],
) -> Result<Vec<Donor>, Vec<String>> {
    let levelling = levelling(snapshot, primary, winner, avoid);
    if levelling.stuck.is_empty() { Ok(levelling.donors) } else { Err(levelling.stuck) }
}

pub(crate) fn levelling(
    snapshot: &ClusterSnapshot,
    primary: &Address,
    winner: &Address,
    avoid: &[Address],
) -> Levelling {
    let mut found = Levelling::default();
    let (Some(facts), Some(all)) = (snapshot.live(winner), held_by_all(snapshot, primary)) else {
        return found;
    };
    let mut has = facts.holds(&snapshot.policy.channel);
    while !has.covers(&all) {
        let best = members(snapshot, primary)
            .filter(|(a, f)| {
                *a != winner
                    && !avoid.contains(a)
                    && why_not_giving(snapshot, primary, a, f, &has).is_none()
            })
            .filter_map(|(a, _)| Some((a, counted(snapshot, primary, a)?)))
            .map(|(a, holds)| (holds.count_beyond(&has), a, holds))
            .filter(|(more, ..)| *more > 0)
            .max_by(|(n, a, _), (m, b, _)| n.cmp(m).then(b.cmp(a)));
        let Some((_, donor, holds)) = best else {
            break;
        };
        has = has.union(&holds);
        found.donors.push(Donor { server: donor.clone(), until: has.clone() });
    }
    for (address, facts) in members(snapshot, primary) {
        let only_here = counted(snapshot, primary, address).map(|h| h.beyond(&has));
        if let Some(only_here) = only_here.filter(|o| !o.is_empty()) {
            let why = why_not_giving(snapshot, primary, address, facts, &has);
            found.stuck.push(format!(
                "{address} holds {} and cannot pass it on ({})",
                only_here.join(", "),
                why.unwrap_or_else(|| match avoid.contains(address) {
                    true => "it failed to in this operation".to_owned(),
                    false => "nobody can fetch it".to_owned(),
                })
            ));
        }
        if holdings::unnamed_backlog(facts, &snapshot.policy.channel)
            && !received_elsewhere(snapshot, primary, address, &has)
        {
            found.stuck.push(format!(
                "{address} has a relay log that it has not applied and whose GTIDs it cannot name \
                 (it was restarted, or replicates without GTID)"
            ));
        }
    }
    found
}

/// Why a server cannot apply what it received and serve it from its own binary log to one that has
/// `has`; `None` if it can.
fn why_not_giving(
    snapshot: &ClusterSnapshot,
    primary: &Address,
    server: &Address,
    facts: &ServerFacts,
    has: &TransactionSet,
) -> Option<String> {
    let channel = &snapshot.policy.channel;
    let Some(status) = facts.channel(channel) else {
        return Some("it does not replicate".to_owned());
    };
    let applied_all = facts.executed.covers(&facts.holds(channel));
    let own = errant::of(snapshot, primary, server);
    if !facts.log_bin || !facts.log_replica_updates {
        return Some("it does not log what it replicates".to_owned());
    }
    if !status.positioning.is_gtid() {
        return Some("it does not replicate by GTID".to_owned());
    }
    if !status.filters.is_empty() {
        return Some("it filters replication".to_owned());
    }
    if let (false, Some(error)) = (applied_all, &status.applier_error) {
        return Some(format!("its applier stopped with error {}: {}", error.code, error.message));
    }
    if !applied_all && status.delay_seconds > 0 {
        return Some(format!("it is delayed by {} s and has not applied it", status.delay_seconds));
    }
    if !own.errant.is_empty() && !snapshot.policy.allow_errant {
        return Some(format!("it would pass on errant transactions too: {}", own.errant));
    }
    if !own.foreign.is_empty() {
        return Some(format!("it would pass on an outside source's transactions: {}", own.foreign));
    }
    if facts.purged.as_ref().is_some_and(|purged| !has.covers(purged)) {
        return Some("its binary logs no longer hold all of it (gtid_purged)".to_owned());
    }
    if !has.union(&facts.logged).covers(&facts.executed) {
        return Some("its binary logs do not hold all that it applied".to_owned());
    }
    None
}

/// Whether another replica of the same source, whose transactions are all in `has`, has read at
/// least as far in that source's binary log.
fn received_elsewhere(
    snapshot: &ClusterSnapshot,
    primary: &Address,
    server: &Address,
    has: &TransactionSet,
) -> bool {
    let name = &snapshot.policy.channel;
    let read = |a| snapshot.live_channel(a).and_then(|c| c.read.as_ref());
    let source = topology::managed_source(snapshot, server);
    members(snapshot, primary).any(|(other, facts)| {
        other != server
            && topology::managed_source(snapshot, other) == source
            && !holdings::unnamed_backlog(facts, name)
            && read(other) >= read(server)
            && has.covers(&facts.holds(name))
    })
}
