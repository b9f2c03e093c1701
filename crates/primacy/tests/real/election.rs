//! Who becomes primary, and what it is given before.

use std::time::Duration;

use primacy_plan::OperationKind::Failover;
use primacy_testkit::{Manager, Writer, cluster, eventually};

use crate::{LONG, PROGRAM, on_each_server, on_mariadb, on_mysql_5_6};

const LIMIT: Duration = Duration::from_secs(10);

async fn a_preferred_replica_is_levelled_first_and_an_unwanted_one_never_wins(server: &str) {
    let cluster = cluster(server)
        .semi_sync(1)
        .server("s2", "promotion = \"never\"")
        .server("s3", "promotion = \"prefer\"")
        .up()
        .await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let writer = Writer::start(&cluster).await;
    cluster.say("s3", "STOP SLAVE IO_THREAD", "STOP REPLICA IO_THREAD").await;
    writer.goes_on(100).await;
    cluster.kill("s1").await;
    let winner = manager.has_done(Failover, LONG).await;
    assert_eq!(cluster.name_of(&winner).unwrap(), "s3");
    writer.goes_on_at(&cluster, "s3").await;
    cluster.all_replicate(&["s2"], "s3").await;
    writer.finish(&cluster).await.everyone_has_everything();
}

async fn an_intermediate_keeps_its_replicas_and_an_errant_replica_is_named(server: &str) {
    // MariaDB in strict mode cannot replicate to the errant one any more: it is given up early.
    let cluster = cluster(server).replicas(3).timing("repoint_limit = \"2s\"").up().await;
    let port = cluster.address("s3").port();
    let change = |words: [&str; 3]| format!("{}; {} = {port}; {}", words[0], words[1], words[2]);
    let old = change(["STOP SLAVE", "CHANGE MASTER TO MASTER_PORT", "START SLAVE"]);
    let new = change(["STOP REPLICA", "CHANGE REPLICATION SOURCE TO SOURCE_PORT", "START REPLICA"]);
    for statement in (if cluster.speaks_old() { old } else { new }).split("; ") {
        cluster.sql("s4", statement).await;
    }
    cluster.all_replicate(&["s4"], "s3").await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    cluster.say("s2", "SELECT 1", "SET GLOBAL super_read_only = OFF").await;
    cluster.sql("s2", "CREATE DATABASE by_mistake").await;
    cluster.say("s2", "SELECT 1", "SET GLOBAL super_read_only = ON").await;
    let errant = cluster.address("s2");
    eventually(LONG, "the manager has seen the errant transaction", async || {
        let snapshot = manager.explain().await.snapshot;
        let primary = cluster.address("s1");
        !primacy_plan::errant_of(&snapshot, &primary, &errant).is_empty()
    })
    .await;
    cluster.kill("s1").await;
    let winner = manager.has_done(Failover, LONG).await;
    assert_eq!(cluster.name_of(&winner).unwrap(), "s3");
    cluster.all_replicate(&["s4"], "s3").await;
    let named = format!("{errant} was no candidate: it has errant transactions");
    let id = manager.history().await.remove(0).id;
    let timeline = manager.operation(id.as_str()).await.timeline;
    assert!(timeline.iter().any(|event| event.text.contains(&named)), "{timeline:#?}");
    let databases = "SELECT COUNT(*) FROM information_schema.SCHEMATA \
                     WHERE SCHEMA_NAME = 'by_mistake'";
    assert_eq!(cluster.cell("s3", databases).await.as_deref(), Some("0"));
}

/// Each replica has something that the other lacks, so neither may win as it is.
async fn two_replicas_ahead_in_different_domains_are_both_levelled(server: &str) {
    let cluster = cluster(server).up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    cluster.sql("s1", "CREATE TABLE app.t (domain INT, id INT, PRIMARY KEY (domain, id))").await;
    for replica in ["s2", "s3"] {
        cluster.catches_up(replica, "s1").await;
    }
    cluster.sql("s3", "STOP SLAVE").await;
    let mut primary = cluster.root("s1").await;
    primary.execute("SET SESSION gtid_domain_id = 1", LIMIT).await.unwrap();
    primary.execute("INSERT INTO app.t VALUES (1, 1), (1, 2)", LIMIT).await.unwrap();
    cluster.catches_up("s2", "s1").await;
    cluster.sql("s2", "STOP SLAVE IO_THREAD").await;
    primary.execute("SET SESSION gtid_domain_id = 2", LIMIT).await.unwrap();
    // The same transaction on the primary and on s3, as if it had come over.
    let row = "INSERT INTO app.t VALUES (2, 1)";
    primary.execute(row, LIMIT).await.unwrap();
    let mut replica = cluster.root("s3").await;
    for statement in [
        "SET SESSION server_id = 1",
        "SET SESSION gtid_domain_id = 2",
        "SET SESSION gtid_seq_no = 1",
        row,
        "SET GLOBAL gtid_slave_pos = CONCAT(@@gtid_slave_pos, ',2-1-1')",
    ] {
        replica.execute(statement, LIMIT).await.unwrap();
    }
    cluster.sql("s3", "START SLAVE SQL_THREAD").await;
    eventually(LONG, "the manager has seen what each of them has", async || {
        let snapshot = manager.explain().await.snapshot;
        let has = |server: &str, gtid: &str| {
            let facts = snapshot.live(&cluster.address(server));
            facts.is_some_and(|facts| facts.executed.to_string().contains(gtid))
        };
        has("s2", "1-1-1") && has("s3", "2-1-1") && has("s1", "2-1-1")
    })
    .await;
    cluster.kill("s1").await;
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    let sibling = if winner == "s2" { "s3" } else { "s2" };
    cluster.all_replicate(&[sibling], &winner).await;
    cluster.catches_up(sibling, &winner).await;
    for server in ["s2", "s3"] {
        let rows = cluster.cell(server, "SELECT COUNT(*) FROM app.t").await;
        assert_eq!(rows.as_deref(), Some("3"), "on {server}");
    }
}

on_each_server!(
    a_preferred_replica_is_levelled_first_and_an_unwanted_one_never_wins,
    an_intermediate_keeps_its_replicas_and_an_errant_replica_is_named,
);
on_mariadb!(two_replicas_ahead_in_different_domains_are_both_levelled);
on_mysql_5_6!(an_intermediate_keeps_its_replicas_and_an_errant_replica_is_named);
