//! Replicas that follow somebody over whom they get nothing of what the primary writes.

use primacy_exec::is_left_at_a_rescue;
use primacy_plan::{errant_of, is_fed_by, managed_source};
use primacy_types::{Address, ClusterSnapshot};

/// A replica with a running past that follows a server of the cluster over which it gets nothing of
/// what the primary writes, or one that gave it saved events and is gone; with nothing of its own.
pub(super) fn stray(snapshot: &ClusterSnapshot, primary: &Address) -> Option<Address> {
    let (server, _) = snapshot.all_live().find(|(server, facts)| {
        *server != primary
            && !facts.writable()
            && !snapshot.absent.contains_key(*server)
            && (is_left_at_a_rescue(snapshot, server) || is_lost(snapshot, server, primary))
            && errant_of(snapshot, primary, server).is_empty()
    })?;
    Some(server.clone())
}

fn is_lost(snapshot: &ClusterSnapshot, server: &Address, primary: &Address) -> bool {
    let source = managed_source(snapshot, server);
    source.is_some_and(|source| !belongs_there(snapshot, &source))
        && !is_fed_by(snapshot, server, primary)
}

/// Where several tiers are wanted, a replica of a server of the cluster is left there, whether that
/// one has been seen yet or not. A former primary that is away is nobody's place.
fn belongs_there(snapshot: &ClusterSnapshot, source: &Address) -> bool {
    snapshot.policy.multi_tier
        && snapshot.servers.contains_key(source)
        && !snapshot.absent.contains_key(source)
}

#[cfg(test)]
mod tests {
    use primacy_plan::testing::{World, addr, cluster};
    use primacy_types::{Absence, AbsenceState, WallClock};

    use super::*;

    /// d replicates from c, which has not been seen since this manager began.
    fn below_an_unseen_one() -> World {
        let mut world = cluster(["a", "b", "c", "d"]);
        world.channel("d").source = addr("c");
        world.server("c").facts = None;
        world
    }

    #[test]
    fn a_replica_of_a_server_that_is_away_is_lost() {
        let world = below_an_unseen_one();
        assert_eq!(stray(&world.snapshot, &addr("a")), Some(addr("d")));
    }

    #[test]
    fn one_of_a_lower_tier_is_left_there_before_its_source_is_seen() {
        let mut world = below_an_unseen_one();
        world.snapshot.policy.multi_tier = true;
        assert_eq!(stray(&world.snapshot, &addr("a")), None);
    }

    #[test]
    fn one_of_a_replaced_primary_is_lost_whatever_tiers_there_are() {
        let mut world = below_an_unseen_one();
        world.snapshot.policy.multi_tier = true;
        let absence = Absence { since: WallClock(1), state: AbsenceState::Replaced };
        world.snapshot.absent.insert(addr("c"), absence);
        assert_eq!(stray(&world.snapshot, &addr("a")), Some(addr("d")));
    }
}
