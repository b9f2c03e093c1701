//! A winner that was already taken out of replication when a failover has to be planned again.
//!
//! Before it is opened the winner forgets its source. If its opening then fails, it looks like a
//! server that never replicated, and whoever was attached to it like a stranger. It is known by
//! what it holds: everything that the old primary was seen to have and that any of the others has.

use std::borrow::Cow;

use primacy_types::{
    Address, ChannelStatus, ClusterSnapshot, Flavor, GtidMode, Positioning, ServerFacts,
};

use crate::places::stopped_channel;
use crate::topology;

/// The snapshot with such servers as replicas of `old` again, for the rules that ask who
/// descends from it.
pub(crate) fn reattached<'a>(
    snapshot: &'a ClusterSnapshot,
    old: &Address,
) -> Cow<'a, ClusterSnapshot> {
    let found: Vec<_> = snapshot
        .all_live()
        .filter(|(server, facts)| *server != old && is_detached(snapshot, old, server, facts))
        .map(|(server, facts)| (server.clone(), placeholder(snapshot, old, facts)))
        .collect();
    if found.is_empty() {
        return Cow::Borrowed(snapshot);
    }
    let mut whole = snapshot.clone();
    for (server, channel) in found {
        if let Some(facts) = whole.servers.get_mut(&server).and_then(|s| s.facts.as_mut()) {
            facts.channels.push(channel);
        }
    }
    Cow::Owned(whole)
}

fn is_detached(
    snapshot: &ClusterSnapshot,
    old: &Address,
    server: &Address,
    facts: &ServerFacts,
) -> bool {
    let name = &snapshot.policy.channel;
    let Some(before) = snapshot.server(old).and_then(|s| s.facts.as_ref()) else {
        return false;
    };
    if facts.writable()
        || facts.gtid_mode == GtidMode::Off
        || facts.channel(name).is_some()
        || !facts.executed.covers(&before.executed)
    {
        return false;
    }
    let mut others = before.executed.clone();
    for (other, theirs) in snapshot.all_live().filter(|(a, _)| *a != server) {
        let ours = topology::descends_from(snapshot, other, old)
            || topology::descends_from(snapshot, other, server);
        if ours {
            others = others.union(&theirs.holds(name));
        }
    }
    // The row of the new epoch is its own; anything else of its own makes it suspect.
    let recorded = facts.epoch > before.epoch;
    facts.executed.covers(&others) && (recorded || others.covers(&facts.executed))
}

/// The channel that it had, as far as rules look at it: stopped, and all of it applied.
fn placeholder(snapshot: &ClusterSnapshot, old: &Address, facts: &ServerFacts) -> ChannelStatus {
    let positioning = match facts.version.flavor {
        Flavor::MariaDb => Positioning::SlavePos,
        Flavor::MySql => Positioning::AutoPosition,
    };
    let name = snapshot.policy.channel.clone();
    ChannelStatus {
        received: Some(facts.executed.clone()),
        ..stopped_channel(name, old, positioning)
    }
}
