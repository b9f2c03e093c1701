//! Replicas that get from us what they lack.

use primacy_testkit::{Cluster, cluster, eventually};

use crate::replica::{
    becomes_equal, checksum, end_of_log, has_everything, leave_behind, logs, point, received, runs,
    source,
};
use crate::{LONG, on_each_server};

const REPLICA_ID: u32 = 2;

async fn is_served(cluster: Cluster, tls: bool) {
    leave_behind(&cluster).await;
    let source = source(&cluster, "s1", tls, logs(&cluster)).await;
    point(&cluster, "s2", &source, tls).await;
    has_everything(&cluster, "s2", "s1").await;
    becomes_equal(&cluster, "s2", &checksum(&cluster, "s1", "d.t").await).await;

    let end = end_of_log(&cluster, "s1").await;
    assert_eq!(received(&cluster, "s2").await, end, "the replica knows where it is");
    let mut report = source.report();
    let now = report
        .wait_for(|report| report.replica(REPLICA_ID).is_some_and(|replica| replica.up_to_date));
    let replica = now.await.unwrap().replica(REPLICA_ID).unwrap().clone();
    assert_eq!(replica.position, Some(end));
    assert_eq!(replica.tls.is_some(), tls);
    assert_eq!(replica.own_events, 0);
    assert!(replica.bytes > 20_000 && replica.events > 50, "{replica:?}");

    // It stays connected, by heartbeats alone, for longer than its patience (10 s).
    tokio::time::sleep(std::time::Duration::from_secs(12)).await;
    let same = report.borrow().replica(REPLICA_ID).map(|replica| replica.connection);
    assert_eq!(same, Some(replica.connection), "{:?}", report.borrow());
    assert!(runs(&cluster, "s2").await);

    // What is written now comes, too.
    cluster.sql("s1", "INSERT INTO d.t (b) VALUES ('live')").await;
    has_everything(&cluster, "s2", "s1").await;
    becomes_equal(&cluster, "s2", &checksum(&cluster, "s1", "d.t").await).await;
    assert_eq!(report.borrow().error_count, 0, "{:?}", report.borrow().errors);

    source.stop().await;
    eventually(LONG, "the replica notices that we are gone", async || {
        cluster.replica_status("s2", "Replica_IO_Running").await.as_deref() != Some("Yes")
    })
    .await;
}

async fn a_replica_gets_what_it_lacks_by_gtid(server: &str) {
    is_served(cluster(server).replicas(1).up().await, false).await;
}

async fn a_replica_gets_what_it_lacks_by_position(server: &str) {
    is_served(cluster(server).replicas(1).without_gtid().up().await, false).await;
}

/// MySQL 5.6's newest TLS is older than 1.2.
async fn a_replica_gets_what_it_lacks_over_tls(server: &str) {
    if server != "mysql-5.6" {
        is_served(cluster(server).replicas(1).up().await, true).await;
    }
}

/// MySQL 8.3 and later: tags in the set that a replica sends, and in the transactions it gets;
/// transactions that are compressed as a whole.
async fn tagged_and_compressed_transactions_are_served(server: &str) {
    let builder = cluster(server).replicas(1).option("binlog_transaction_compression = ON");
    let cluster = builder.up().await;
    let tagged = async |number: u8| {
        let mut session = cluster.root("s1").await;
        session.execute("SET gtid_next = 'AUTOMATIC:rescue'", LONG).await.unwrap();
        let insert = format!("INSERT INTO d.t (b) VALUES ('tagged {number}')");
        session.execute(&insert, LONG).await.unwrap();
        session.close().await;
    };
    leave_behind(&cluster).await;
    tagged(1).await;
    let source = source(&cluster, "s1", false, logs(&cluster)).await;
    point(&cluster, "s2", &source, false).await;
    has_everything(&cluster, "s2", "s1").await;
    // It comes again with a set that has a tag.
    cluster.say("s2", "STOP SLAVE", "STOP REPLICA").await;
    tagged(2).await;
    cluster.say("s2", "START SLAVE", "START REPLICA").await;
    has_everything(&cluster, "s2", "s1").await;
    becomes_equal(&cluster, "s2", &checksum(&cluster, "s1", "d.t").await).await;
    let set = cluster.cell("s2", "SELECT @@global.gtid_executed").await.unwrap();
    assert!(set.contains(":rescue:1-2"), "{set}");
    let report = source.report().borrow().clone();
    let asked = report.replica(REPLICA_ID).unwrap().asked.clone().unwrap();
    assert!(asked.contains(":rescue:1"), "{asked}");
    assert_eq!(report.replica(REPLICA_ID).unwrap().transactions, 1);
    assert_eq!(report.error_count, 0, "{:?}", report.errors);
}

primacy_testkit::on_servers!([mysql_9_7], [], tagged_and_compressed_transactions_are_served);

on_each_server!(
    a_replica_gets_what_it_lacks_by_gtid,
    a_replica_gets_what_it_lacks_by_position,
    a_replica_gets_what_it_lacks_over_tls,
);
