//! The manager is killed at every step of a failover and of a switchover. The restarted one
//! finishes or backs out; at the end one server is writable, and nothing acknowledged is lost.

use primacy_plan::OperationKind::{Failover, Switchover};
use primacy_store::Outcome;
use primacy_testkit::{Cluster, Manager, Writer, cluster, eventually, until};

use crate::{LONG, PROGRAM, on_each_server, on_mariadb_first, on_mysql_first};

/// Steps of a failover in their order, as the journal calls them. Those who acknowledge are attached
/// when the plan is made again for the last time, so that nobody is left to be repointed.
const FAILOVER: &[&str] = &[
    "fence",
    "seal-receivers",
    "measure",
    "drain",
    "semi-sync-role",
    "attach-ackers",
    "detach",
    "record-epoch",
    "open-writes",
    "route",
    "move-events",
    "verify",
];

/// Steps of a failover with a rescue, without GTID. The sibling is rescued after the opening.
const RESCUE: &[&str] = &[
    "fence",
    "seal-receivers",
    "measure",
    "save",
    "drain",
    "rescue",
    "pair-positions",
    "detach",
    "record-epoch",
    "open-writes",
    "route",
    "move-events",
    "rescue",
    "repoint",
    "verify",
];

/// Steps of a switchover up to its point of no return.
const BEFORE_NO_RETURN: &[&str] =
    &["block-writes", "catch-up", "semi-sync-role", "attach-ackers", "detach"];

/// Steps from there on.
const AFTER_NO_RETURN: &[&str] =
    &["record-epoch", "open-writes", "route", "semi-sync-role", "move-events", "repoint", "verify"];

fn places(steps: &[&str]) -> Vec<String> {
    steps.iter().flat_map(|step| [format!("before:{step}"), format!("after:{step}")]).collect()
}

fn spawn(cluster: &Cluster, place: &str) -> Manager {
    Manager::spawn(PROGRAM, cluster, &[("PRIMACY_FAILPOINT", place)])
}

/// Waits until a manager has killed itself where it should.
async fn dies(manager: &mut Manager, place: &str) {
    use std::os::unix::process::ExitStatusExt;
    let status = manager.wait_exit(LONG).await;
    assert_eq!(status.signal(), Some(9), "at {place}: {status}\n{}", manager.log());
    assert!(manager.log().contains(&format!("failpoint {place}")), "{}", manager.log());
}

/// One failover, and at each of its steps the manager that does it is killed.
async fn a_failover_survives_a_manager_that_dies_at_every_step(server: &str) {
    let cluster = cluster(server).semi_sync(1).up().await;
    let places = places(FAILOVER);
    let mut first = spawn(&cluster, &places[0]);
    first.is_ready().await;
    let writer = Writer::start(&cluster).await;
    cluster.kill("s1").await;
    dies(&mut first, &places[0]).await;
    for place in &places[1..] {
        dies(&mut spawn(&cluster, place), place).await;
    }
    let last = Manager::spawn(PROGRAM, &cluster, &[]);
    ends_well(&last, &cluster, writer, 1).await;
}

/// The same with rows that are on the dead primary's disk alone, and replicas by file and position
/// that lack different parts of them.
async fn a_rescue_survives_a_manager_that_dies_at_every_step(server: &str) {
    let cluster = cluster(server).without_gtid().up().await;
    let places = places(RESCUE);
    let mut first = spawn(&cluster, &places[0]);
    first.is_ready().await;
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    for (id, replica) in [(1, "s3"), (2, "s2")] {
        cluster.sql("s1", &format!("INSERT INTO app.t VALUES ({id})")).await;
        eventually(LONG, "the row arrives", async || {
            let rows = cluster.cell(replica, "SELECT COUNT(*) FROM app.t").await;
            rows.as_deref() == Some(&id.to_string())
        })
        .await;
        cluster.say(replica, "STOP SLAVE IO_THREAD", "STOP REPLICA IO_THREAD").await;
    }
    for id in 3..=40 {
        cluster.sql("s1", &format!("INSERT INTO app.t VALUES ({id})")).await;
    }
    cluster.kill("s1").await;
    dies(&mut first, &places[0]).await;
    for place in &places[1..] {
        dies(&mut spawn(&cluster, place), place).await;
    }
    let last = Manager::spawn(PROGRAM, &cluster, &[]);
    last.listens().await;
    let winner = cluster.name_of(&last.has_done(Failover, LONG).await).unwrap();
    cluster.others_replicate(&["s1"], &winner).await;
    cluster.sql(&winner, "INSERT INTO app.t VALUES (1000)").await;
    for replica in ["s2", "s3"] {
        eventually(LONG, "everybody has every row", async || {
            let rows = cluster.cell(replica, "SELECT COUNT(*) FROM app.t").await;
            rows.as_deref() == Some("41")
        })
        .await;
    }
    assert_eq!(cluster.writable().await, [winner.as_str()]);
}

/// While no manager runs nobody keeps the old primary down: what it writes then is not left behind
/// for what was read of its disk before.
async fn what_the_primary_wrote_while_the_manager_was_dead_is_not_lost(server: &str) {
    for (gtid, place) in
        [(true, "before:detach"), (false, "before:rescue"), (false, "after:detach")]
    {
        let builder = cluster(server);
        let cluster = if gtid { builder } else { builder.without_gtid() }.up().await;
        let mut first = spawn(&cluster, place);
        first.is_ready().await;
        cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
        for replica in ["s2", "s3"] {
            eventually(LONG, "the table is there", async || {
                cluster.cell(replica, "SELECT COUNT(*) FROM app.t").await.is_some()
            })
            .await;
            cluster.say(replica, "STOP SLAVE IO_THREAD", "STOP REPLICA IO_THREAD").await;
        }
        cluster.sql("s1", "INSERT INTO app.t VALUES (1)").await;
        cluster.kill("s1").await;
        dies(&mut first, place).await;
        cluster.start("s1").await;
        cluster.sql("s1", "SET GLOBAL read_only = 0").await;
        cluster.sql("s1", "INSERT INTO app.t VALUES (2)").await;
        cluster.kill("s1").await;
        let last = Manager::spawn(PROGRAM, &cluster, &[]);
        last.listens().await;
        let winner = cluster.name_of(&last.has_done(Failover, LONG).await).unwrap();
        for replica in ["s2", "s3"] {
            eventually(LONG, "both rows are there", async || {
                let rows = cluster.cell(replica, "SELECT COUNT(*) FROM app.t").await;
                rows.as_deref() == Some("2")
            })
            .await;
        }
        assert_eq!(cluster.writable().await, [winner.as_str()]);
    }
}

async fn ends_well(last: &Manager, cluster: &Cluster, writer: Writer, operations: usize) {
    last.listens().await;
    let kind = if cluster.is_alive("s1") { Switchover } else { Failover };
    let winner = cluster.name_of(&last.has_done(kind, LONG).await).unwrap();
    let dead: &[&str] = if cluster.is_alive("s1") { &[] } else { &["s1"] };
    cluster.others_replicate(dead, &winner).await;
    assert_eq!(cluster.writable().await, [winner.as_str()]);
    writer.goes_on_at(cluster, &winner).await;
    let outcome = writer.finish(cluster).await;
    assert_eq!(outcome.missing_acked, 0, "{outcome:?}");
    assert!(outcome.missing.values().all(|count| *count == 0), "{outcome:?}");
    let history = last.history().await;
    assert!(history.iter().all(|operation| operation.finished.is_some()), "{history:?}");
    assert_eq!(history.len(), operations, "{history:?}");
}

/// A switchover is begun again and again; each time the manager dies one place later.
async fn a_switchover_survives_a_manager_that_dies_at_every_step(server: &str) {
    let cluster = cluster(server).semi_sync(1).up().await;
    let writer = Writer::start(&cluster).await;
    let early = places(BEFORE_NO_RETURN);
    for place in &early {
        let mut manager = spawn(&cluster, place);
        manager.is_ready().await;
        let order = manager.try_switchover(Some(cluster.address("s2")));
        assert!(order.await.is_err(), "the manager did not die at {place}");
        dies(&mut manager, place).await;
        let mut manager = Manager::spawn(PROGRAM, &cluster, &[]);
        manager.is_ready().await;
        let ended = until(LONG, "the operation is finished", async || {
            manager.history().await.remove(0).outcome
        });
        assert_eq!(ended.await, Outcome::BackedOut, "at {place}");
        cluster.is_whole("s1").await;
        writer.goes_on(10).await;
        manager.terminate().await;
    }
    let late = places(AFTER_NO_RETURN);
    let mut manager = spawn(&cluster, &late[0]);
    manager.is_ready().await;
    let order = manager.try_switchover(Some(cluster.address("s2")));
    assert!(order.await.is_err(), "the manager did not die at {}", late[0]);
    dies(&mut manager, &late[0]).await;
    for place in &late[1..] {
        dies(&mut spawn(&cluster, place), place).await;
    }
    let last = Manager::spawn(PROGRAM, &cluster, &[]);
    ends_well(&last, &cluster, writer, early.len() + 1).await;
}

/// A single death at the places that matter most, with the whole rest done by one manager.
async fn a_failover_is_finished_by_the_next_manager(server: &str) {
    for place in ["after:fence", "after:drain", "before:open-writes"] {
        let cluster = cluster(server).semi_sync(1).up().await;
        let mut first = spawn(&cluster, place);
        first.is_ready().await;
        let writer = Writer::start(&cluster).await;
        cluster.kill("s1").await;
        dies(&mut first, place).await;
        let next = Manager::spawn(PROGRAM, &cluster, &[]);
        ends_well(&next, &cluster, writer, 1).await;
    }
}

/// The manager dies just before it opens the winner, and while nobody looks the old primary is
/// started again and takes writes.
async fn an_old_primary_that_came_back_writable_is_closed_before_the_winner_opens(server: &str) {
    let cluster = cluster(server).semi_sync(1).up().await;
    let mut first = spawn(&cluster, "before:open-writes");
    first.is_ready().await;
    cluster.kill("s1").await;
    dies(&mut first, "before:open-writes").await;
    cluster.start("s1").await;
    if !cluster.is_mariadb() {
        cluster.sql("s1", "SET GLOBAL super_read_only = OFF").await;
    }
    cluster.sql("s1", "SET GLOBAL read_only = OFF").await;
    let next = Manager::spawn(PROGRAM, &cluster, &[]);
    next.listens().await;
    let winner = cluster.name_of(&next.has_done(Failover, LONG).await).unwrap();
    assert_ne!(winner, "s1");
    assert_eq!(cluster.writable().await, [winner.as_str()]);
    let sibling = if winner == "s2" { "s3" } else { "s2" };
    cluster.all_replicate(&[sibling], &winner).await;
}

on_each_server!(an_old_primary_that_came_back_writable_is_closed_before_the_winner_opens);
on_mariadb_first!(what_the_primary_wrote_while_the_manager_was_dead_is_not_lost);
on_mariadb_first!(
    a_failover_survives_a_manager_that_dies_at_every_step,
    a_rescue_survives_a_manager_that_dies_at_every_step,
);
on_mysql_first!(
    a_switchover_survives_a_manager_that_dies_at_every_step,
    a_failover_is_finished_by_the_next_manager,
);
