//! Errant transactions, and the empty ones in their place.

use primacy_api::Injection;
use primacy_plan::errant_of;
use primacy_probe::EmptyTransaction;
use primacy_types::{Address, ClusterSnapshot, MySqlGtidSet, ServerFacts, TransactionSet};
use serde::Serialize;

use crate::look::count;
use crate::paint;

/// The errant transactions of a cluster.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    cluster: String,
    /// Compared with this one; `None` if none is known.
    primary: Option<Address>,
    servers: Vec<FoundOn>,
}

/// Those of one server.
#[derive(Debug, Serialize)]
struct FoundOn {
    server: Address,
    /// GTID sets, or the last errant GTID of each domain (MariaDB).
    errant: Vec<String>,
    /// How many (MySQL).
    count: Option<u64>,
    /// Which of them its binary logs no longer hold (MySQL).
    purged: Option<MySqlGtidSet>,
    /// It answers now, so that they can be read over SQL.
    answers: bool,
}

/// Finds them in what was last seen.
pub(crate) fn found(snapshot: &ClusterSnapshot) -> Found {
    let primary = snapshot.primary.clone();
    let servers = snapshot.servers.iter().filter_map(|(server, seen)| {
        let facts = seen.facts.as_ref()?;
        let errant = errant_of(snapshot, primary.as_ref().filter(|p| *p != server)?, server);
        (!errant.is_empty()).then(|| FoundOn {
            server: server.clone(),
            count: set(&errant, facts).map(|set| set.count()),
            purged: set(&errant, facts).and_then(|set| purged(&set, facts)),
            answers: snapshot.live(server).is_some(),
            errant,
        })
    });
    Found {
        cluster: snapshot.cluster.clone(),
        servers: servers.collect(),
        primary: primary.clone(),
    }
}

/// All of them as one set; `None` on MariaDB.
fn set(errant: &[String], facts: &ServerFacts) -> Option<MySqlGtidSet> {
    facts.executed.as_mysql()?;
    let sets = errant.iter().filter_map(|text| text.parse::<MySqlGtidSet>().ok());
    sets.reduce(|all, more| all.union(&more))
}

/// The part of them that the binary logs no longer hold, if there is one.
fn purged(errant: &MySqlGtidSet, facts: &ServerFacts) -> Option<MySqlGtidSet> {
    let Some(TransactionSet::MySql(purged)) = &facts.purged else { return None };
    let gone = errant.minus(&errant.minus(purged));
    (!gone.is_empty()).then_some(gone)
}

/// For people.
pub(crate) fn render(found: &Found) -> String {
    let heading = |text: &str| format!("{}  {text}\n", paint::strong(&found.cluster));
    let Some(primary) = &found.primary else {
        return heading(&paint::doubtful("no primary is known to compare with"));
    };
    if found.servers.is_empty() {
        return heading(&format!(
            "{} (compared with {primary})",
            paint::good("no errant transaction")
        ));
    }
    let servers = count(found.servers.len(), "server has", "servers have");
    let mut text = heading(&paint::bad(format!("{servers} errant transactions")));
    for on in &found.servers {
        let many = on.count.map(|n| format!(" ({})", count_of(n))).unwrap_or_default();
        text.push_str(&format!("\n{}: {}{many}\n", on.server, on.errant.join(", ")));
        let held = match (&on.purged, on.answers, on.count) {
            (_, false, _) => "it does not answer now; this is as last seen".to_owned(),
            (Some(gone), ..) => format!("its binary logs no longer hold {gone}"),
            (None, true, Some(_)) => "its binary logs hold them".to_owned(),
            (None, true, None) => {
                "each is the last of its domain; earlier ones may be errant, too".to_owned()
            }
        };
        text.push_str(&format!("  {held}\n"));
    }
    text
}

/// What is, or was, injected.
pub(crate) fn summary(injection: &Injection) -> String {
    let Injection { primary, transactions, servers, done } = injection;
    if transactions.is_empty() {
        return format!("{primary} knows every transaction of the servers that answer\n");
    }
    let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
    let what = count_of(transactions.count());
    let (begin, stay) = if *done {
        (format!("{}: committed on {primary}, empty", paint::good("done")), "stay")
    } else {
        (format!("to be committed on {primary}, empty"), "would stay")
    };
    format!(
        "{begin}: {what}\n  {transactions}\ntheir rows {stay} on {} alone\n",
        servers.join(", ")
    )
}

/// Every statement of a dry run.
pub(crate) fn statements(injection: &Injection) -> String {
    let mut text = format!("-- on {}\n", injection.primary);
    for transaction in EmptyTransaction::of(&injection.transactions) {
        text.push_str(&format!("{};\n", transaction.statements().join("; ")));
    }
    text.push_str(&format!("{};\n", EmptyTransaction::AFTERWARDS));
    text
}

fn count_of(n: u64) -> String {
    format!("{n} {}", if n == 1 { "transaction" } else { "transactions" })
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use primacy_plan::testing::{World, addr, cluster, gtids, pos, uuid};
    use primacy_types::ServerVersion;

    use super::*;
    use crate::render::testing::stripped;

    fn mysql() -> World {
        let mut world = cluster(["a", "b", "c"]);
        for (id, name) in [(1, "a"), (2, "b"), (3, "c")] {
            let facts = world.facts(name);
            facts.version = ServerVersion::mysql(8, 4, 0);
            facts.server_uuid = Some(uuid(id));
            facts.executed = gtids("1:1-100");
            facts.purged = Some(gtids("1:1-9"));
        }
        for name in ["b", "c"] {
            world.channel(name).received = Some(gtids("1:1-100"));
        }
        world
    }

    fn shown(world: &World) -> String {
        stripped(&render(&found(&world.snapshot)))
    }

    #[test]
    fn errant_transactions_and_whether_they_can_still_be_read() {
        let mut world = mysql();
        assert_snapshot!(shown(&world), @"c1  no errant transaction (compared with a:3306)");
        world.facts("b").executed = gtids("1:1-100,2:1-3");
        world.facts("c").executed = gtids("1:1-100,3:1-3");
        world.facts("c").purged = Some(gtids("1:1-9,3:1-2"));
        assert_snapshot!(shown(&world), @"
        c1  2 servers have errant transactions

        b:3306: 00000002-0000-0000-0000-000000000000:1-3 (3 transactions)
          its binary logs hold them

        c:3306: 00000003-0000-0000-0000-000000000000:1-3 (3 transactions)
          its binary logs no longer hold 00000003-0000-0000-0000-000000000000:1-2
        ");
    }

    #[test]
    fn mariadb_names_the_last_of_a_domain() {
        let mut world = cluster(["a", "b"]);
        world.facts("b").executed = pos("0-2-105");
        assert_snapshot!(shown(&world), @"
        c1  1 server has errant transactions

        b:3306: 0-2-105
          each is the last of its domain; earlier ones may be errant, too
        ");
    }

    #[test]
    fn a_dry_run_is_the_very_statements() {
        let TransactionSet::MySql(transactions) = gtids("2:1-2") else { panic!("it is MySQL's") };
        let mut injection =
            Injection { primary: addr("a"), transactions, servers: vec![addr("b")], done: false };
        assert_snapshot!(statements(&injection), @"
        -- on a:3306
        SET GTID_NEXT = '00000002-0000-0000-0000-000000000000:1'; BEGIN; COMMIT;
        SET GTID_NEXT = '00000002-0000-0000-0000-000000000000:2'; BEGIN; COMMIT;
        SET GTID_NEXT = 'AUTOMATIC';
        ");
        injection.done = true;
        assert_snapshot!(stripped(&summary(&injection)), @"
        done: committed on a:3306, empty: 2 transactions
          00000002-0000-0000-0000-000000000000:1-2
        their rows stay on b:3306 alone
        ");
    }
}
