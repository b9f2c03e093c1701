//! What the servers of a cluster hold that counts: everything a primary gave them, applied or still
//! in the relay log. Errant transactions and those of outside sources are not missed when nobody
//! else has them, and are never carried to another server.

use primacy_types::{Address, ClusterSnapshot, MariaDbGtidPos, ServerFacts, TransactionSet};

use crate::{errant, topology};

/// Live servers that replicate from `primary` (directly or through others), with their facts.
pub(crate) fn members<'a>(
    snapshot: &'a ClusterSnapshot,
    primary: &'a Address,
) -> impl Iterator<Item = (&'a Address, &'a ServerFacts)> + 'a {
    snapshot
        .all_live()
        .filter(move |(a, _)| *a != primary && topology::descends_from(snapshot, a, primary))
}

/// Everything that counts on the disks of the reachable replicas; `None` without any.
pub fn held_by_all(snapshot: &ClusterSnapshot, primary: &Address) -> Option<TransactionSet> {
    members(snapshot, primary)
        .filter_map(|(a, _)| counted(snapshot, primary, a))
        .reduce(|all, more| all.union(&more))
}

/// Everything that counts on the disks of the reachable replicas and, where it was read, of
/// `primary` itself.
pub(crate) fn held_and_on_disk(
    snapshot: &ClusterSnapshot,
    primary: &Address,
) -> Option<TransactionSet> {
    match (held_by_all(snapshot, primary), on_disk(snapshot, primary)) {
        (Some(held), Some(more)) => Some(held.union(more)),
        (held, more) => held.or_else(|| more.cloned()),
    }
}

/// What the binary logs of a server that does not run were seen to hold.
pub(crate) fn on_disk<'a>(
    snapshot: &'a ClusterSnapshot,
    server: &Address,
) -> Option<&'a TransactionSet> {
    snapshot.server(server)?.on_disk.as_ref()?.holds()
}

/// What counts of a live server's transactions; everything, if errant ones are allowed.
pub(crate) fn counted(
    snapshot: &ClusterSnapshot,
    primary: &Address,
    server: &Address,
) -> Option<TransactionSet> {
    let facts = snapshot.live(server)?;
    let channel = &snapshot.policy.channel;
    let holds = facts.holds(channel);
    let own = errant::of(snapshot, primary, server);
    let mut rest = without(&holds, &own.foreign, None);
    if !snapshot.policy.allow_errant {
        // What MariaDB received in a domain before the server wrote there itself.
        let received = facts.channel(channel).and_then(|c| c.received.as_ref());
        rest = without(&rest, &own.errant, received);
    }
    Some(rest)
}

/// `all` without `part`. On MariaDB, where a position implies what came before, a domain of `part`
/// goes back to where `known` says it is.
fn without(
    all: &TransactionSet,
    part: &TransactionSet,
    known: Option<&TransactionSet>,
) -> TransactionSet {
    match (all, part) {
        (TransactionSet::MySql(all), TransactionSet::MySql(part)) => {
            TransactionSet::MySql(all.minus(part))
        }
        (TransactionSet::MariaDb(all), TransactionSet::MariaDb(part)) => {
            let known = known.and_then(TransactionSet::as_mariadb);
            let domains = all.iter().filter_map(|gtid| match part.last(gtid.domain) {
                Some(_) => known.and_then(|k| k.last(gtid.domain)),
                None => Some(gtid),
            });
            TransactionSet::MariaDb(domains.collect::<MariaDbGtidPos>())
        }
        (all, _) => all.clone(),
    }
}

/// A relay log with no more bytes than this holds headers only.
const EMPTY_RELAY_LOG: u64 = 400;

/// Whether the server has received events that it has not applied and cannot name: MariaDB after a
/// restart, or without GTID. They cannot be compared with what others hold except by position.
pub(crate) fn unnamed_backlog(facts: &ServerFacts, channel: &str) -> bool {
    facts.channel(channel).is_some_and(|c| {
        c.received.is_none()
            && c.relay_log_space > EMPTY_RELAY_LOG
            && matches!((&c.read, &c.applied), (Some(read), Some(applied)) if read > applied)
    })
}
