//! The rules that MHA's configuration knows, on real servers.

use primacy_plan::OperationKind::Failover;
use primacy_testkit::{Cluster, Manager, Writer, cluster, eventually};

use crate::{LONG, PROGRAM, on_each_server, on_mariadb_first, on_mysql_first};

/// A replica reads from another one.
async fn point(cluster: &Cluster, replica: &str, source: &str) {
    let port = cluster.address(source).port();
    let change = |words: [&str; 3]| format!("{}; {} = {port}; {}", words[0], words[1], words[2]);
    let old = change(["STOP SLAVE", "CHANGE MASTER TO MASTER_PORT", "START SLAVE"]);
    let new = change(["STOP REPLICA", "CHANGE REPLICATION SOURCE TO SOURCE_PORT", "START REPLICA"]);
    for statement in (if cluster.speaks_old() { old } else { new }).split("; ") {
        cluster.sql(replica, statement).await;
    }
    cluster.all_replicate(&[replica], source).await;
}

/// s2 comes first in the file, and has received less than s3.
async fn only_the_order_counts_where_the_latest_is_not_preferred(server: &str) {
    let cluster = cluster(server).policy("prefer_latest = false").up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let writer = Writer::start(&cluster).await;
    writer.goes_on(20).await;
    cluster.say("s2", "STOP SLAVE IO_THREAD", "STOP REPLICA IO_THREAD").await;
    writer.goes_on(50).await;
    cluster.kill("s1").await;
    let winner = manager.has_done(Failover, LONG).await;
    assert_eq!(cluster.name_of(&winner).as_deref(), Some("s2"), "{}", manager.log());
    writer.goes_on_at(&cluster, "s2").await;
    writer.finish(&cluster).await.nothing_is_lost();
}

/// What a replica status calls its source.
fn words(cluster: &Cluster) -> &'static str {
    if cluster.speaks_old() { "Master" } else { "Source" }
}

/// The settings stay, stopped, and stand in nobody's way: the role moves on and back.
async fn a_new_primary_keeps_its_replication_settings(server: &str) {
    let cluster = cluster(server).policy("keep_replication_settings = true").up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let writer = Writer::start(&cluster).await;
    writer.goes_on(50).await;
    for (from, to) in [("s1", "s2"), ("s2", "s3"), ("s3", "s1")] {
        manager.switchover(Some(cluster.address(to))).await;
        writer.goes_on_at(&cluster, to).await;
        let threads = if cluster.speaks_old() { "Slave" } else { "Replica" };
        for thread in ["IO", "SQL"] {
            let runs = cluster.replica_status(to, &format!("{threads}_{thread}_Running")).await;
            assert_eq!(runs.as_deref(), Some("No"), "{to}");
        }
        let port = cluster.address(from).port();
        assert!(cluster.source_of(to).await.is_some(), "{to} forgot its source {from} ({port})");
        cluster.others_replicate(&[to], to).await;
    }
    cluster.kill("s1").await;
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    writer.goes_on_at(&cluster, &winner).await;
    // What was saved of the dead primary came over settings that serve nobody now.
    let user = cluster.replica_status(&winner, &format!("{}_User", words(&cluster))).await;
    assert_eq!(user.as_deref(), Some("repl"), "{winner} has its own settings again");
    cluster.start("s1").await;
    eventually(LONG, "the old primary is a replica", async || {
        cluster.writable().await == [winner.clone()] && cluster.source_of("s1").await.is_some()
    })
    .await;
    // The role came back to s1: rows of its second reign are none that came late.
    let written = writer.finish(&cluster).await;
    assert_eq!(written.missing_acked, 0, "{written:?}");
}

/// s4 reads from s3, and goes on doing so whoever is primary.
async fn replicas_of_replicas_are_left_alone(server: &str) {
    let mut builder = cluster(server).replicas(3).policy("multi_tier = true");
    builder = builder.server("s4", "promotion = \"prefer\"");
    let cluster = builder.server("s3", "promotion = \"last\"").up().await;
    point(&cluster, "s4", "s3").await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    cluster.kill("s1").await;
    let winner = manager.has_done(Failover, LONG).await;
    assert_eq!(cluster.name_of(&winner).as_deref(), Some("s2"), "{}", manager.log());
    cluster.all_replicate(&["s3"], "s2").await;
    assert!(cluster.replicates("s4", "s3").await);
}

/// MHA's rule, and its exception.
async fn a_dead_replica_stops_a_failover_unless_it_may_be_missing(server: &str) {
    let builder = cluster(server).server("s3", "ignore_failure = false");
    let cluster = builder.policy("broken_replicas = \"refuse\"").up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    cluster.kill("s3").await;
    manager.has_looked_in_vain(&cluster.address("s3")).await;
    cluster.kill("s1").await;
    let s3 = cluster.address("s3");
    let why = format!("{s3} does not answer, and broken_replicas");
    eventually(LONG, "the failover is refused", async || manager.log().contains(&why)).await;
    manager.has_done_nothing().await;
    cluster.change_config("ignore_failure = false", "ignore_failure = true");
    let winner = manager.has_done(Failover, LONG).await;
    assert_eq!(cluster.name_of(&winner).as_deref(), Some("s2"));
}

/// What all leave out the new primary leaves out too.
async fn replicas_that_filter_alike_can_be_promoted(server: &str) {
    let cluster = cluster(server).option("replicate-wild-ignore-table=scratch.%").up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let found = manager.check().await.findings;
    assert!(!found.iter().any(|finding| finding.code == "replication-filters"), "{found:#?}");
    cluster.kill("s1").await;
    manager.has_done(Failover, LONG).await;
    assert!(manager.log().contains("filters replication"), "{}", manager.log());
}

/// Each probe is a connection of its own, and a death is still seen.
async fn probes_may_connect_anew_each_time(server: &str) {
    let cluster = cluster(server)
        .policy("ping_type = \"connect\"")
        .timing("ping_interval = \"100ms\"")
        .up()
        .await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let connected = format!("connected server={}", cluster.address("s1"));
    eventually(LONG, "it connects again and again", async || {
        manager.log().matches(&connected).count() > 20
    })
    .await;
    cluster.kill("s1").await;
    manager.has_done(Failover, LONG).await;
}

/// The rows that the write probe makes, without its own key.
async fn probes_may_insert(server: &str) {
    let cluster = cluster(server).policy("ping_type = \"insert\"").up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    eventually(LONG, "rows are written", async || {
        cluster.cell("s2", "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'primacy' AND table_name = 'probe'").await.as_deref()
            == Some("1")
    })
    .await;
    let found = manager.check().await.findings;
    assert!(!found.iter().any(|finding| finding.code == "write-probe-off"), "{found:#?}");
}

on_each_server!(a_new_primary_keeps_its_replication_settings);
on_mariadb_first!(
    only_the_order_counts_where_the_latest_is_not_preferred,
    a_dead_replica_stops_a_failover_unless_it_may_be_missing,
    probes_may_connect_anew_each_time,
);
on_mysql_first!(
    replicas_of_replicas_are_left_alone,
    replicas_that_filter_alike_can_be_promoted,
    probes_may_insert,
);
