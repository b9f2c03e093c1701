//! Who replicates from whom, as far as the snapshot shows it.
//!
//! A replica names its source by the host name it was given, which need not be the address that
//! Primacy was configured with; the source's `server_uuid` or `server_id` settles who is meant.

use primacy_types::{Address, ChannelStatus, ClusterSnapshot, ServerFacts};

/// The server of the cluster that this channel reads from; `None` if it is none of ours.
pub fn source_of(snapshot: &ClusterSnapshot, channel: &ChannelStatus) -> Option<Address> {
    if snapshot.servers.contains_key(&channel.source) {
        return Some(channel.source.clone());
    }
    let known = || snapshot.servers.iter().filter_map(|(a, s)| Some((a, s.facts.as_ref()?)));
    if let Some(uuid) = &channel.source_uuid {
        let mut same = known().filter(|(_, f)| f.server_uuid.as_ref() == Some(uuid));
        if let (Some((address, _)), None) = (same.next(), same.next()) {
            return Some(address.clone());
        }
    }
    // An outside source may have the number of one of ours: a UUID that differs tells them apart.
    let other = |f: &ServerFacts| matches!((&channel.source_uuid, &f.server_uuid), (Some(a), Some(b)) if a != b);
    let mut same = known().filter(|(_, f)| {
        channel.source_server_id != 0 && f.server_id == channel.source_server_id && !other(f)
    });
    match (same.next(), same.next()) {
        (Some((address, _)), None) => Some(address.clone()),
        _ => None,
    }
}

/// The managed channel of a server with its source, from the last facts known of it.
pub fn managed_source(snapshot: &ClusterSnapshot, server: &Address) -> Option<Address> {
    let facts = snapshot.server(server)?.facts.as_ref()?;
    source_of(snapshot, facts.channel(&snapshot.policy.channel)?)
}

/// Servers that read directly from `source` over the managed channel, by their last known facts.
pub fn direct_replicas<'a>(
    snapshot: &'a ClusterSnapshot,
    source: &'a Address,
) -> impl Iterator<Item = &'a Address> + 'a {
    snapshot
        .servers
        .keys()
        .filter(move |s| *s != source && managed_source(snapshot, s).as_ref() == Some(source))
}

/// Whether `server` gets its events from `primary`, directly or through a chain of ours.
pub fn descends_from(snapshot: &ClusterSnapshot, server: &Address, primary: &Address) -> bool {
    intermediates(snapshot, server, primary).is_some()
}

/// Whether what `primary` writes reaches `server`: every server between them writes what it
/// replicates to a binary log of its own.
pub fn is_fed_by(snapshot: &ClusterSnapshot, server: &Address, primary: &Address) -> bool {
    let passes_on = |a: &Address| {
        let facts = snapshot.server(a).and_then(|s| s.facts.as_ref());
        facts.is_none_or(|f| f.log_bin && f.log_replica_updates)
    };
    intermediates(snapshot, server, primary).is_some_and(|between| between.iter().all(passes_on))
}

/// The servers through which `server` gets the events of `primary`, the nearest first; empty if it
/// reads from it directly, `None` if it does not get them.
pub(crate) fn intermediates(
    snapshot: &ClusterSnapshot,
    server: &Address,
    primary: &Address,
) -> Option<Vec<Address>> {
    let mut path = vec![server.clone()];
    loop {
        let source = managed_source(snapshot, path.last()?)?;
        if source == *primary {
            path.remove(0);
            return Some(path);
        }
        if path.contains(&source) {
            return None;
        }
        path.push(source);
    }
}

/// Whether `server` reads from another replica and is left alone for it (`multi_tier`).
pub(crate) fn is_lower_tier(
    snapshot: &ClusterSnapshot,
    server: &Address,
    primary: &Address,
) -> bool {
    snapshot.policy.multi_tier
        && managed_source(snapshot, server).is_some_and(|source| source != *primary)
}

/// Why no primary can be named when none is on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPrimary {
    /// Some servers have not answered (any more), and those that did do not settle it.
    NotAllSeen(Vec<Address>),
    /// More than one server accepts writes.
    Several(Vec<Address>),
    /// No server accepts writes, and the replication links do not point to a single one.
    None,
}

/// The primary, when none is on record: the only server that accepts writes; if none does, the
/// one server from which all other live servers descend.
pub fn find_primary(snapshot: &ClusterSnapshot) -> Result<Address, NoPrimary> {
    let writable: Vec<_> =
        snapshot.all_live().filter(|(_, f)| f.writable()).map(|(a, _)| a.clone()).collect();
    let unseen: Vec<_> = snapshot
        .servers
        .iter()
        .filter(|(_, s)| s.facts.is_none())
        .map(|(a, _)| a.clone())
        .collect();
    // Whoever accepted writes when it was last seen may do so still.
    let doubtful: Vec<_> = snapshot
        .servers
        .iter()
        .filter(|(_, s)| {
            s.live_facts().is_none() && s.facts.as_ref().is_some_and(ServerFacts::writable)
        })
        .map(|(a, _)| a.clone())
        .collect();
    if !doubtful.is_empty() && writable.len() < 2 {
        return Err(NoPrimary::NotAllSeen(doubtful));
    }
    match writable.as_slice() {
        // A server that was never seen could accept writes as well; replicas that follow the
        // writable one settle it, because they vouch for who their source is.
        [one] if unseen.is_empty() || direct_replicas(snapshot, one).next().is_some() => {
            Ok(one.clone())
        }
        [_] => Err(NoPrimary::NotAllSeen(unseen)),
        [] if !unseen.is_empty() => Err(NoPrimary::NotAllSeen(unseen)),
        [] => {
            let live: Vec<_> = snapshot.all_live().map(|(a, _)| a).collect();
            let mut roots = live.iter().filter(|root| {
                live.len() > 1
                    && live.iter().all(|s| s == *root || descends_from(snapshot, s, root))
                    && snapshot.live_channel(root).is_none()
            });
            roots.next().map(|root| (*root).clone()).ok_or(NoPrimary::None)
        }
        several => Err(NoPrimary::Several(several.to_vec())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::cluster;

    #[test]
    fn the_only_writable_server_is_the_primary() {
        let mut world = cluster(["a", "b", "c"]);
        world.snapshot.primary = None;
        assert_eq!(find_primary(&world.snapshot), Ok("a:3306".parse().unwrap()));
    }

    #[test]
    fn after_a_cold_start_with_everything_read_only_the_root_is_the_primary() {
        let mut world = cluster(["a", "b", "c"]);
        world.snapshot.primary = None;
        world.facts("a").read_only = true;
        assert_eq!(find_primary(&world.snapshot), Ok("a:3306".parse().unwrap()));
    }

    #[test]
    fn two_writable_servers_are_never_guessed_between() {
        let mut world = cluster(["a", "b", "c"]);
        world.snapshot.primary = None;
        world.facts("b").read_only = false;
        assert!(matches!(find_primary(&world.snapshot), Err(NoPrimary::Several(_))));
    }

    #[test]
    fn a_source_known_by_another_name_is_found_by_its_server_id() {
        let mut world = cluster(["a", "b", "c"]);
        world.channel("b").source = "10.9.8.7:3306".parse().unwrap();
        assert_eq!(
            managed_source(&world.snapshot, &"b:3306".parse().unwrap()),
            Some("a:3306".parse().unwrap())
        );
    }

    #[test]
    fn a_replica_of_a_replica_descends_from_the_primary() {
        let mut world = cluster(["a", "b", "c"]);
        world.channel("c").source = "b:3306".parse().unwrap();
        let (a, c) = ("a:3306".parse().unwrap(), "c:3306".parse().unwrap());
        assert!(descends_from(&world.snapshot, &c, &a));
        assert!(!descends_from(&world.snapshot, &a, &c));
        assert!(is_fed_by(&world.snapshot, &c, &a));
    }

    #[test]
    fn nothing_comes_through_a_replica_that_does_not_log_what_it_replicates() {
        let mut world = cluster(["a", "b", "c"]);
        world.channel("c").source = "b:3306".parse().unwrap();
        world.facts("b").log_replica_updates = false;
        let (a, b, c) =
            ("a:3306".parse().unwrap(), "b:3306".parse().unwrap(), "c:3306".parse().unwrap());
        assert!(!is_fed_by(&world.snapshot, &c, &a));
        assert!(is_fed_by(&world.snapshot, &b, &a));
    }
}
