//! Who can give a winner what it lacks: another replica from its own binary log, or files on a
//! disk.

use primacy_types::{
    Address, BinlogsOnDisk, ClusterSnapshot, RefuseOrProceed, ServerFacts, TransactionSet,
};

use crate::coverage::coverage;
use crate::holdings::{self, counted, held_by_all, members, on_disk};
use crate::origin::readable;
use crate::places::replicates_by_place;
use crate::{Origin, errant, filters, topology};

/// One thing by which a server gets transactions that it lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gift {
    pub(crate) from: Giver,
    /// Everything that the receiver has after this.
    pub(crate) until: TransactionSet,
}

/// Who gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Giver {
    /// A replica, from its own binary log.
    Replica(Address),
    /// Files.
    Files(Origin),
}

/// How far a winner can be brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Levelling {
    /// What it is given, in order.
    pub(crate) gifts: Vec<Gift>,
    /// What nobody can give, with the servers that hold it, one sentence each.
    pub(crate) stuck: Vec<String>,
}

/// Who must give the winner what, so that it holds all that any reachable replica or readable
/// disk holds.
///
/// A server of `avoid` (it failed to give before) is asked only for what nobody else can give.
pub(crate) fn levelling(
    snapshot: &ClusterSnapshot,
    primary: &Address,
    winner: &Address,
    avoid: &[Address],
) -> Levelling {
    let mut found = Levelling::default();
    let (Some(facts), Some(held)) = (snapshot.live(winner), held_by_all(snapshot, primary)) else {
        return found;
    };
    let mut has = facts.holds(&snapshot.policy.channel);
    let disk = on_disk(snapshot, primary);
    let usable = disk.filter(|_| !avoid.contains(primary));
    let take_from_disk = |has: &mut TransactionSet, found: &mut Levelling| {
        let Some(disk) = usable.filter(|disk| !has.covers(disk)) else { return };
        *has = has.union(disk);
        let from = Giver::Files(Origin::Binlogs(primary.clone()));
        found.gifts.push(Gift { from, until: has.clone() });
    };
    // What only the disk has is fetched from there with all the rest: one way instead of two.
    if disk.is_some_and(|disk| !held.covers(disk)) {
        take_from_disk(&mut has, &mut found);
    }
    while !has.covers(&held) {
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
        found.gifts.push(Gift { from: Giver::Replica(donor.clone()), until: has.clone() });
    }
    if !has.covers(&held) {
        take_from_disk(&mut has, &mut found);
    }
    take_from_relay_logs(snapshot, primary, winner, avoid, &mut has, &mut found);
    found.stuck = stuck(snapshot, primary, avoid, &has);
    found
}

/// What replicas received and cannot pass on themselves is cut out of their relay logs, where
/// these can be read.
fn take_from_relay_logs(
    snapshot: &ClusterSnapshot,
    primary: &Address,
    winner: &Address,
    avoid: &[Address],
    has: &mut TransactionSet,
    found: &mut Levelling,
) {
    let mut holders: Vec<_> = members(snapshot, primary)
        .map(|(server, _)| server)
        .filter(|s| *s != winner && !avoid.contains(s) && has_relay_logs(snapshot, primary, s))
        .filter_map(|s| Some((counted(snapshot, primary, s)?, s)))
        .collect();
    holders.sort_by(|(a, x), (b, y)| b.count_beyond(has).cmp(&a.count_beyond(has)).then(x.cmp(y)));
    for (holds, server) in holders.into_iter().filter(|(holds, _)| !holds.is_empty()) {
        if !has.covers(&holds) {
            *has = has.union(&holds);
            let from = Giver::Files(Origin::RelayLogs(server.clone()));
            found.gifts.push(Gift { from, until: has.clone() });
        }
    }
}

/// Whether a replica's relay logs are the primary's own events, and can be read.
pub(crate) fn has_relay_logs(
    snapshot: &ClusterSnapshot,
    primary: &Address,
    server: &Address,
) -> bool {
    topology::managed_source(snapshot, server).as_ref() == Some(primary)
        && readable(snapshot, server)
        && snapshot.live_channel(server).is_some_and(|c| c.filters.is_empty())
}

/// What stays out of reach when the winner `has` all that it can get.
fn stuck(
    snapshot: &ClusterSnapshot,
    primary: &Address,
    avoid: &[Address],
    has: &TransactionSet,
) -> Vec<String> {
    let mut stuck = Vec::new();
    let on_disk = snapshot.server(primary).and_then(|s| s.on_disk.as_ref());
    match on_disk {
        Some(BinlogsOnDisk::Copied { holds, place, .. }) if !has.covers(holds) => {
            stuck.push(format!(
                "the copy of the binary logs of {primary} in {place} holds {} and could not be used in \
                 this operation",
                holds.beyond(has).join(", ")
            ));
        }
        Some(BinlogsOnDisk::Read { holds, .. }) if !has.covers(holds) => {
            stuck.push(format!(
                "the binary logs of {primary} hold {} and could not be used in this operation",
                holds.beyond(has).join(", ")
            ));
        }
        // Where nothing acknowledged can be missing, or somebody has said that it may be, a host that
        // does not answer is not waited for.
        Some(
            BinlogsOnDisk::Unreadable { reason, passing: true }
            | BinlogsOnDisk::Copied { reason, passing: true, .. },
        ) if snapshot.policy.on_possible_loss != Some(RefuseOrProceed::Proceed)
            && !coverage(snapshot, primary).proved =>
        {
            stuck.push(format!(
                "what {primary} wrote and nobody received is not known yet: {reason}"
            ));
        }
        _ => {}
    }
    for (address, facts) in members(snapshot, primary) {
        let only_here = counted(snapshot, primary, address).map(|h| h.beyond(has));
        if let Some(only_here) = only_here.filter(|o| !o.is_empty()) {
            let why = why_not_giving(snapshot, primary, address, facts, has);
            stuck.push(format!(
                "{address} holds {} and cannot pass it on ({})",
                only_here.join(", "),
                why.unwrap_or_else(|| match avoid.contains(address) {
                    true => "it failed to in this operation".to_owned(),
                    false => "nobody can fetch it".to_owned(),
                })
            ));
        }
        if holdings::unnamed_backlog(facts, &snapshot.policy.channel)
            && !received_elsewhere(snapshot, primary, address, has)
        {
            stuck.push(format!(
                "{address} has a relay log that it has not applied and whose GTIDs it cannot name \
                 (it was restarted, or replicates without GTID)"
            ));
        }
    }
    stuck
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
    if replicates_by_place(snapshot) {
        if facts.binlog_server
            && topology::managed_source(snapshot, server).as_ref() == Some(primary)
        {
            // It has the primary's own files, at the primary's places.
            return None;
        }
        return Some(
            "without GTID that needs its relay logs, and the files of its host cannot be read"
                .to_owned(),
        );
    }
    let applied_all = facts.executed.covers(&facts.holds(channel));
    let own = errant::of(snapshot, primary, server);
    if !facts.log_bin || !facts.log_replica_updates {
        return Some("it does not log what it replicates".to_owned());
    }
    if !status.positioning.is_gtid() {
        return Some("it does not replicate by GTID".to_owned());
    }
    if !status.filters.is_empty() && !filters::all_filter_alike(snapshot) {
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
