//! Clusters that replicate by file and position: what a server has is a place in the primary's
//! binary log.
//!
//! Such a snapshot is looked at through [`by_place`], which says it in the words of every other
//! rule: a replica has applied everything up to one place and holds everything up to another. Only
//! servers that read from the primary itself can be compared: behind an intermediate the places
//! are those of another log.

use std::borrow::Cow;

use primacy_types::{
    Address, BinlogPosition, BinlogsOnDisk, ChannelStatus, ClusterSnapshot, Positioning,
    ReceiverState, ServerFacts, TransactionSet,
};

use crate::topology;

/// Whether the cluster replicates by file and position: every reachable replica of its primary
/// does.
pub fn replicates_by_place(snapshot: &ClusterSnapshot) -> bool {
    let Some(primary) = &snapshot.primary else { return false };
    let mut direct = topology::direct_replicas(snapshot, primary)
        .filter_map(|replica| snapshot.live_channel(replica))
        .peekable();
    direct.peek().is_some() && direct.all(|c| c.positioning == Positioning::FileAndPosition)
}

/// The snapshot with places instead of GTIDs, if the cluster replicates by them.
pub(crate) fn by_place(snapshot: &ClusterSnapshot) -> Cow<'_, ClusterSnapshot> {
    if !replicates_by_place(snapshot) {
        return Cow::Borrowed(snapshot);
    }
    let primary = snapshot.primary.clone();
    let channel = &snapshot.policy.channel;
    let direct: Vec<Address> = primary
        .iter()
        .flat_map(|primary| topology::direct_replicas(snapshot, primary).cloned())
        .collect();
    let on_disk = primary.as_ref().and_then(|p| snapshot.server(p)?.on_disk.as_ref());
    let complete = match on_disk {
        Some(BinlogsOnDisk::Read { end, length, .. }) => Some((end.clone(), length.clone())),
        _ => None,
    };
    let read_to: Vec<BinlogPosition> =
        direct.iter().filter_map(|r| snapshot.live_channel(r)?.read.clone()).collect();
    let mut whole = snapshot.clone();
    for (address, server) in &mut whole.servers {
        let Some(facts) = &mut server.facts else { continue };
        if Some(address) == primary.as_ref() {
            has_written(facts, &read_to);
        } else if direct.contains(address) {
            facts.in_places(channel);
            if let Some((end, length)) = &complete {
                cap(facts, channel, end, length);
            }
        } else {
            is_unknown(facts, channel);
        }
    }
    Cow::Owned(whole)
}

/// The primary has everything up to the end of its log; if a crash took the end of an earlier file
/// that replicas had read further, everything up to there.
fn has_written(facts: &mut ServerFacts, read_to: &[BinlogPosition]) {
    let lost = |end: &&BinlogPosition| {
        read_to.iter().any(|read| read.file == end.file && read.offset > end.offset)
    };
    let cut = facts.closed_binlogs.iter().filter(lost).min().cloned();
    facts.executed = TransactionSet::UpTo(cut.or_else(|| facts.binlog.clone()));
    facts.logged = facts.executed.clone();
    facts.purged = None;
}

/// What a replica received of a transaction that is incomplete in the primary's own log is no
/// transaction: nobody has the rest of it.
fn cap(facts: &mut ServerFacts, channel: &str, end: &BinlogPosition, length: &BinlogPosition) {
    let Some(channel) = facts.channels.iter_mut().find(|c| c.name == channel) else { return };
    if channel.read.as_ref().is_some_and(|read| end < read && read <= length) {
        let place = channel.applied.as_ref().unwrap_or(end).max(end).clone();
        channel.received = Some(TransactionSet::UpTo(Some(place)));
    }
}

fn is_unknown(facts: &mut ServerFacts, channel: &str) {
    facts.executed = TransactionSet::UpTo(None);
    facts.logged = TransactionSet::UpTo(None);
    facts.purged = None;
    if let Some(channel) = facts.channels.iter_mut().find(|c| c.name == channel) {
        channel.received = None;
    }
}

/// A server that was taken out of replication in the middle of an operation, after it had applied
/// everything up to `place`, shown as the replica that it was: it can be known by nothing else.
pub fn reattach(
    snapshot: &mut ClusterSnapshot,
    server: &Address,
    primary: &Address,
    place: &BinlogPosition,
) {
    let name = snapshot.policy.channel.clone();
    let Some(facts) = snapshot.servers.get_mut(server).and_then(|s| s.facts.as_mut()) else {
        return;
    };
    if facts.channel(&name).is_none() {
        facts.channels.push(ChannelStatus {
            read: Some(place.clone()),
            applied: Some(place.clone()),
            ..stopped_channel(name, primary, Positioning::FileAndPosition)
        });
    }
}

/// A channel over which nothing comes any more and everything is applied.
pub(crate) fn stopped_channel(
    name: String,
    source: &Address,
    positioning: Positioning,
) -> ChannelStatus {
    ChannelStatus {
        name,
        source: source.clone(),
        source_server_id: 0,
        source_uuid: None,
        receiver: ReceiverState::Stopped,
        applier_running: true,
        receiver_error: None,
        applier_error: None,
        received: None,
        read: None,
        applied: None,
        relay_log: None,
        relay_log_space: 0,
        positioning,
        lag_seconds: None,
        delay_seconds: 0,
        heartbeat_period: None,
        heartbeats: None,
        connect_retry_seconds: 0,
        filters: std::collections::BTreeSet::new(),
        user: String::new(),
        settings: std::collections::BTreeMap::new(),
        applier_idle: true,
    }
}

/// Whether a primary that is back has everything that any reachable replica holds.
pub fn has_everything(snapshot: &ClusterSnapshot, primary: &Address) -> bool {
    let snapshot = &*by_place(snapshot);
    let Some(facts) = snapshot.live(primary) else { return false };
    crate::held_by_all(snapshot, primary).is_some_and(|all| facts.executed.covers(&all))
}
