//! Whether a server that is to be added to a cluster can become a replica of it.

use primacy_types::{Address, ClusterSnapshot, GtidMode, ServerFacts};

use crate::Reason;

/// Everything that stands against it, each with its way out.
pub fn newcomer_reasons(
    snapshot: &ClusterSnapshot,
    server: &Address,
    facts: &ServerFacts,
) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut no = |why: String, remedy: &str| reasons.push(Reason::new(why, remedy));
    if snapshot.servers.contains_key(server) {
        no(format!("{server} is in the cluster already"), "to give it new data: primacy rebuild");
    }
    let known = snapshot.servers.iter().filter(|(other, _)| *other != server);
    for (other, seen) in known {
        let Some(theirs) = &seen.facts else { continue };
        if theirs.server_id == facts.server_id {
            no(
                format!("{server} and {other} both have server_id {}", facts.server_id),
                "give each its own in its option file, and restart it",
            );
        }
    }
    let primary = snapshot.primary.as_ref().and_then(|primary| snapshot.server(primary));
    let Some(of_primary) = primary.and_then(|seen| seen.facts.as_ref()) else {
        no("the cluster's primary is not known".to_owned(), "see: primacy explain");
        return reasons;
    };
    let series = |f: &ServerFacts| (f.version.flavor, f.version.number.0, f.version.number.1);
    if series(facts) != series(of_primary) {
        no(
            format!("it is {}, and the primary is {}", facts.version, of_primary.version),
            "install the same series: it is built from a copy",
        );
    }
    if facts.gtid_mode != GtidMode::On && of_primary.gtid_mode == GtidMode::On {
        no(
            "it has GTIDs not switched on".to_owned(),
            "gtid_mode = ON, enforce_gtid_consistency = ON",
        );
    }
    if !facts.log_bin || !facts.log_replica_updates {
        no(
            "it does not log what it replicates, so it can never be a source".to_owned(),
            "log_bin and log_replica_updates (MariaDB: log_slave_updates) in its option file",
        );
    }
    if facts.writable() {
        no(
            "it accepts writes".to_owned(),
            "read_only = ON (MySQL: super_read_only = ON) in its option file, and restart it",
        );
    }
    if !facts.channels.is_empty() {
        no(
            "it replicates from somewhere".to_owned(),
            "make sure that it is the right server; then STOP REPLICA; RESET REPLICA ALL",
        );
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{addr, cluster};

    #[test]
    fn a_fresh_server_is_taken_and_one_that_would_do_harm_is_not() {
        let mut world = cluster(["a", "b"]);
        let mut fresh = world.facts("b").clone();
        fresh.channels.clear();
        fresh.server_id = 77;
        let why = |facts: &ServerFacts| -> Vec<String> {
            let reasons = newcomer_reasons(&world.snapshot, &addr("n"), facts);
            reasons.into_iter().map(|reason| reason.why).collect()
        };
        assert_eq!(why(&fresh), Vec::<String>::new());
        let mut twin = fresh.clone();
        twin.server_id = 1;
        assert!(why(&twin)[0].contains("both have server_id 1"), "{:?}", why(&twin));
        let mut open = fresh.clone();
        open.read_only = false;
        open.log_replica_updates = false;
        assert_eq!(why(&open).len(), 2);
        let mut older = fresh;
        older.version = "10.5.23-MariaDB".parse().unwrap();
        assert!(why(&older)[0].contains("10.5.23"));
    }
}
