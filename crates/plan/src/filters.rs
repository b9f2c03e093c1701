//! What replication filters stand against (`check_filters`).
//!
//! A replica that leaves something out must not take over from one that did not. Where all leave
//! out the same there is nobody better, and somebody wants it so.

use primacy_types::{Address, ClusterSnapshot};

/// Whether its filters keep this server from being promoted.
pub(crate) fn stand_against(snapshot: &ClusterSnapshot, server: &Address) -> bool {
    let filters = snapshot.live_channel(server).is_some_and(|channel| !channel.filters.is_empty());
    filters && snapshot.policy.check_filters && !all_filter_alike(snapshot)
}

/// Whether there are two or more replicas, all of them were seen, and all have the same filters.
pub(crate) fn all_filter_alike(snapshot: &ClusterSnapshot) -> bool {
    let mut filters = Vec::new();
    for (address, server) in &snapshot.servers {
        if snapshot.primary.as_ref() == Some(address) {
            continue;
        }
        let Some(facts) = &server.facts else { return false };
        if facts.binlog_server {
            continue;
        }
        filters.extend(facts.channel(&snapshot.policy.channel).map(|channel| &channel.filters));
    }
    filters.len() >= 2 && filters.windows(2).all(|pair| pair[0] == pair[1])
}

/// What a plan says of a winner that leaves something out.
pub(crate) fn note(snapshot: &ClusterSnapshot, winner: &Address) -> Option<String> {
    let filters = &snapshot.live_channel(winner)?.filters;
    if filters.is_empty() {
        return None;
    }
    let list: Vec<_> = filters.iter().map(String::as_str).collect();
    Some(format!(
        "{winner} filters replication ({}): it has nothing of what it leaves out",
        list.join(", ")
    ))
}
