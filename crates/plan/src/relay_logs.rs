//! Which replicas may remove the relay logs that they have applied.
//!
//! With GTID, what a sibling lacks comes from binary logs, so what is applied may go. Without GTID
//! the relay logs of the most advanced replica are all that can level its siblings: they stay until
//! every sibling has received the same.

use primacy_types::{Address, BinlogPosition, ChannelStatus, ClusterSnapshot, ServerFacts};

use crate::places::replicates_by_place;
use crate::topology::source_of;
use crate::{Diagnosis, diagnose};

/// Why the relay logs of no server are touched now, if that is so: while something is wrong they
/// may be needed.
pub fn keeps_all_relay_logs(snapshot: &ClusterSnapshot) -> Option<String> {
    match diagnose(snapshot) {
        Diagnosis::Healthy { .. } | Diagnosis::Degraded { .. } => None,
        other => Some(format!("relay logs may be needed now: {}", other.sentence())),
    }
}

/// Why the relay logs of this server stay, if they do.
pub fn keeps_relay_logs(snapshot: &ClusterSnapshot, server: &Address) -> Option<String> {
    let Some(facts) = snapshot.live(server) else {
        return Some(format!("{server} does not answer"));
    };
    let Some(channel) = facts.channel(&snapshot.policy.channel) else {
        return Some(format!("{server} is no replica of the cluster"));
    };
    if facts.safety.relay_log_purge == Some(true) {
        return Some(format!("{server} removes them itself (relay_log_purge = ON)"));
    }
    // The setting and the purge are the server's, not the channel's.
    let stopped = facts.channels.iter().find(|c| !c.applier_running || c.applier_error.is_some());
    if let Some(stopped) = stopped {
        return Some(format!(
            "the applier of {server}{} does not run: nothing is removed that may still have to be \
             applied",
            named(stopped)
        ));
    }
    if !replicates_by_place(snapshot) {
        return None;
    }
    if channel.read.is_none() {
        return Some(format!("{server} does not say what it has received"));
    }
    siblings(snapshot, server).find_map(|(sibling, theirs)| match theirs {
        None => Some(format!("{sibling} does not answer, and may need what {server} received")),
        Some(_) => None,
    })
}

/// Without GTID: the siblings that have not received yet what this server has, and how far that is.
/// A sibling that does not answer counts as one of them.
pub fn siblings_behind(
    snapshot: &ClusterSnapshot,
    server: &Address,
    received: &BinlogPosition,
) -> Vec<Address> {
    let behind = siblings(snapshot, server)
        .filter(|(_, theirs)| theirs.as_ref().is_none_or(|theirs| theirs < received));
    behind.map(|(sibling, _)| sibling).collect()
}

/// What a server has received of its source's binary log.
pub fn received_place(snapshot: &ClusterSnapshot, server: &Address) -> Option<BinlogPosition> {
    snapshot.live_channel(server)?.read.clone()
}

/// Other replicas of the same source with what they have received, as far as they say it; those
/// that do not answer may be replicas of it.
fn siblings<'s>(
    snapshot: &'s ClusterSnapshot,
    server: &'s Address,
) -> impl Iterator<Item = (Address, Option<BinlogPosition>)> + 's {
    let source = snapshot.live_channel(server).and_then(|c| source_of(snapshot, c));
    snapshot.servers.keys().filter_map(move |other| {
        if other == server || Some(other) == source.as_ref() {
            return None;
        }
        let facts: &ServerFacts = match snapshot.live(other) {
            Some(facts) => facts,
            None => return Some((other.clone(), None)),
        };
        let channel = facts.channel(&snapshot.policy.channel)?;
        (source_of(snapshot, channel) == source).then(|| (other.clone(), channel.read.clone()))
    })
}

fn named(channel: &ChannelStatus) -> String {
    if channel.name.is_empty() { String::new() } else { format!(" (channel {})", channel.name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, addr, cluster};
    use primacy_types::{ContactFailure, Positioning};

    /// Three servers that keep their relay logs.
    fn world() -> World {
        let mut world = cluster(["a", "b", "c"]);
        for name in ["b", "c"] {
            world.facts(name).safety.relay_log_purge = Some(false);
        }
        world
    }

    fn by_place() -> World {
        let mut world = world();
        for name in ["b", "c"] {
            world.channel(name).positioning = Positioning::FileAndPosition;
            world.channel(name).read = Some(BinlogPosition::new("binlog.000007", 500));
        }
        world
    }

    fn keeps(world: &World, server: &str) -> String {
        keeps_relay_logs(&world.snapshot, &addr(server)).unwrap_or_default()
    }

    #[test]
    fn what_is_applied_may_go_where_nothing_speaks_against_it() {
        for mut world in [world(), by_place()] {
            assert_eq!(keeps_all_relay_logs(&world.snapshot), None);
            assert_eq!(keeps(&world, "b"), "");
            assert!(keeps(&world, "a").contains("is no replica"));
            assert!(keeps(&world, "x").contains("does not answer"));
            world.channel("b").applier_running = false;
            assert!(keeps(&world, "b").contains("does not run"));
            world.facts("c").safety.relay_log_purge = Some(true);
            assert!(keeps(&world, "c").contains("removes them itself"));
        }
    }

    #[test]
    fn without_gtid_a_silent_sibling_may_need_them() {
        let world = world().failing("c", ContactFailure::Silent, 9_000, 9);
        assert_eq!(keeps(&world, "b"), "", "with GTID it gets what it lacks from binary logs");
        let world = by_place().failing("c", ContactFailure::Silent, 9_000, 9);
        assert!(
            keeps(&world, "b").contains("may need what b:3306 received"),
            "{}",
            keeps(&world, "b")
        );
    }

    #[test]
    fn without_gtid_they_stay_until_each_sibling_has_received_the_same() {
        let mut world = by_place();
        let received = received_place(&world.snapshot, &addr("b")).unwrap();
        let behind = |world: &World| siblings_behind(&world.snapshot, &addr("b"), &received);
        assert_eq!(behind(&world), []);
        world.channel("c").read = Some(BinlogPosition::new("binlog.000007", 499));
        assert_eq!(behind(&world), [addr("c")]);
        world.channel("c").read = None;
        assert_eq!(behind(&world), [addr("c")]);
    }

    #[test]
    fn while_something_is_wrong_all_of_them_stay() {
        let world = world().failing("a", ContactFailure::Silent, 9_000, 9);
        assert!(keeps_all_relay_logs(&world.snapshot).unwrap().contains("may be needed"));
    }
}
