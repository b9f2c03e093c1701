//! Clusters that replicate by file and position.

use primacy_plan::OperationKind::Failover;
use primacy_testkit::{Manager, Writer, cluster, eventually};

use crate::{LONG, PROGRAM, on_each_server, on_mysql_5_6};

async fn without_gtid_a_killed_primary_is_replaced(server: &str) {
    let cluster = cluster(server).without_gtid().up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let writer = Writer::start(&cluster).await;
    writer.goes_on(50).await;
    cluster.kill("s1").await;
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    let sibling = if winner == "s2" { "s3" } else { "s2" };
    writer.goes_on_at(&cluster, &winner).await;
    writer.goes_on(50).await;
    cluster.all_replicate(&[sibling], &winner).await;
    let outcome = writer.finish(&cluster).await;
    println!("{server}: {} rows, gap {:?}", outcome.acked, outcome.longest_gap);
    outcome.everyone_has_everything();
    assert_eq!(cluster.replica_status(&winner, "Source_Host").await, None, "a stale source");
}

async fn without_gtid_the_role_moves_under_load_and_back(server: &str) {
    let cluster = cluster(server).without_gtid().up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let writer = Writer::start(&cluster).await;
    let winner = cluster.name_of(&manager.switchover(None).await).unwrap();
    writer.goes_on_at(&cluster, &winner).await;
    cluster.is_whole(&winner).await;
    // The end of a log right after a rotation is a place like any other.
    cluster.sql(&winner, "FLUSH LOGS").await;
    let back = manager.switchover(Some(cluster.address("s1"))).await;
    assert_eq!(cluster.name_of(&back).unwrap(), "s1");
    writer.goes_on_at(&cluster, "s1").await;
    cluster.is_whole("s1").await;
    let outcome = writer.finish(&cluster).await;
    println!("{server}: {} rows, gap {:?}", outcome.acked, outcome.longest_gap);
    assert_eq!(outcome.missing_acked, 0, "{outcome:?}");
    assert!(outcome.missing.values().all(|count| *count == 0), "{outcome:?}");
}

async fn without_gtid_an_idle_cluster_is_switched_right_after_a_rotation(server: &str) {
    let cluster = cluster(server).without_gtid().up().await;
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    cluster.sql("s1", "FLUSH LOGS").await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let winner = cluster.name_of(&manager.switchover(None).await).unwrap();
    cluster.is_whole(&winner).await;
    cluster.sql(&winner, "INSERT INTO app.t VALUES (1)").await;
    for replica in ["s1", "s2", "s3"].into_iter().filter(|name| *name != winner) {
        eventually(LONG, "the row arrives", async || {
            cluster.cell(replica, "SELECT COUNT(*) FROM app.t").await.as_deref() == Some("1")
        })
        .await;
    }
}

async fn without_gtid_a_replica_that_was_away_goes_on_where_it_stood(server: &str) {
    let cluster = cluster(server).without_gtid().up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    for replica in ["s2", "s3"] {
        eventually(LONG, "the table arrives", async || {
            cluster.cell(replica, "SELECT COUNT(*) FROM app.t").await.as_deref() == Some("0")
        })
        .await;
    }
    cluster.stop("s3").await;
    manager.has_looked_in_vain(&cluster.address("s3")).await;
    cluster.kill("s1").await;
    assert_eq!(cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap(), "s2");
    cluster.sql("s2", "INSERT INTO app.t VALUES (1)").await;
    cluster.start("s3").await;
    cluster.all_replicate(&["s3"], "s2").await;
    eventually(LONG, "the row arrives", async || {
        cluster.cell("s3", "SELECT COUNT(*) FROM app.t").await.as_deref() == Some("1")
    })
    .await;
}

on_each_server!(
    without_gtid_a_killed_primary_is_replaced,
    without_gtid_the_role_moves_under_load_and_back,
    without_gtid_an_idle_cluster_is_switched_right_after_a_rotation,
    without_gtid_a_replica_that_was_away_goes_on_where_it_stood,
);
on_mysql_5_6!(
    without_gtid_a_killed_primary_is_replaced,
    without_gtid_the_role_moves_under_load_and_back,
    without_gtid_an_idle_cluster_is_switched_right_after_a_rotation,
    without_gtid_a_replica_that_was_away_goes_on_where_it_stood,
);
