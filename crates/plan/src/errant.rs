//! Errant transactions: those that a replica has and that no primary gave it.

use primacy_types::{Address, ClusterSnapshot, GtidSet};

use crate::topology;

/// What `server` has that it cannot have received from `primary`, as people read it.
///
/// MySQL: transactions numbered by another server than the primary which neither the primary (as
/// far as was last seen) nor any other replica has. MariaDB: a domain whose last transaction the
/// server wrote itself, beyond what the primary and the other replicas have.
pub fn errant_of(snapshot: &ClusterSnapshot, primary: &Address, server: &Address) -> Vec<String> {
    let facts_of = |a: &Address| snapshot.server(a).and_then(|s| s.facts.as_ref());
    let Some(facts) = facts_of(server) else {
        return Vec::new();
    };
    let elsewhere = snapshot
        .servers
        .keys()
        .filter(|a| *a != server)
        .filter(|a| *a == primary || topology::descends_from(snapshot, a, primary))
        // A server below this one in a chain has its errant transactions from it.
        .filter(|a| !topology::descends_from(snapshot, a, server))
        .filter_map(facts_of)
        .map(|f| f.holds(&snapshot.policy.channel))
        .reduce(|all, more| all.union(&more));
    let Some(elsewhere) = elsewhere else {
        return Vec::new();
    };
    match (&facts.executed, &elsewhere) {
        (GtidSet::MySql(mine), GtidSet::MySql(theirs)) => {
            let primary_uuid = facts_of(primary)
                .and_then(|f| f.server_uuid.clone())
                .or_else(|| facts.channel(&snapshot.policy.channel)?.source_uuid.clone());
            let extra = mine.minus(theirs).filtered(|source| {
                primary_uuid.as_ref().is_none_or(|uuid| source.uuid.to_string() != *uuid)
            });
            if extra.is_empty() { Vec::new() } else { vec![extra.to_string()] }
        }
        (GtidSet::MariaDb(mine), GtidSet::MariaDb(theirs)) => mine
            .ahead_of(theirs)
            .filter(|gtid| gtid.server == facts.server_id)
            .map(|gtid| gtid.to_string())
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{addr, cluster, pos};
    use primacy_types::ServerVersion;

    #[test]
    fn what_a_replica_wrote_itself_is_errant_and_what_it_received_more_is_not() {
        let mut world = cluster(["a", "b", "c"]);
        world.facts("b").executed = pos("0-2-101");
        world.facts("c").executed = pos("0-1-105");
        world.channel("c").received = Some(pos("0-1-105"));
        // b's own 0-2-101 hides behind c's further position in the same domain: MariaDB cannot
        // tell, strict mode stops b's applier instead.
        assert!(errant_of(&world.snapshot, &addr("a"), &addr("c")).is_empty());
        world.facts("b").executed = pos("0-2-110");
        assert_eq!(errant_of(&world.snapshot, &addr("a"), &addr("b")), ["0-2-110"]);
    }

    #[test]
    fn on_mysql_the_primarys_own_transactions_are_never_errant() {
        let (p, q) =
            ("11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222");
        let set = |text: String| GtidSet::MySql(text.parse().unwrap());
        let mut world = cluster(["a", "b", "c"]);
        for name in ["a", "b", "c"] {
            world.facts(name).version = ServerVersion::mysql(9, 7, 0);
            world.facts(name).executed = set(format!("{p}:1-100"));
        }
        world.facts("a").server_uuid = Some(p.into());
        for name in ["b", "c"] {
            world.channel(name).received = None;
        }
        world.facts("b").executed = set(format!("{p}:1-120"));
        assert!(errant_of(&world.snapshot, &addr("a"), &addr("b")).is_empty());
        world.facts("b").executed = set(format!("{p}:1-120,{q}:1-3"));
        assert_eq!(errant_of(&world.snapshot, &addr("a"), &addr("b")), [format!("{q}:1-3")]);
    }
}
