//! Replicas that we cannot serve, and what is unusual in those that we can.

use primacy_testkit::{cluster, eventually};

use crate::replica::{becomes_equal, checksum, has_everything, leave_behind, logs, point, source};
use crate::{LONG, on_each_server};

/// A replica passes over events with its own server id: here, rows that it wrote when it was
/// somebody's source.
async fn events_with_the_replicas_own_id_are_counted(server: &str) {
    let cluster = cluster(server).replicas(1).without_gtid().up().await;
    leave_behind(&cluster).await;
    let sql = "SET SESSION server_id = 2; SET GLOBAL server_id = 2";
    for statement in sql.split("; ") {
        // MySQL knows the global one only.
        let _not_known = cluster.root("s1").await.execute(statement, LONG).await;
    }
    cluster.sql("s1", "INSERT INTO d.t (b) VALUES ('mine')").await;
    let source = source(&cluster, "s1", false, logs(&cluster)).await;
    point(&cluster, "s2", &source, false).await;
    let mut report = source.report();
    let seen = report.wait_for(|report| report.replica(2).is_some_and(|r| r.own_events > 0));
    let seen = tokio::time::timeout(LONG, seen).await.unwrap().unwrap().clone();
    assert!(seen.replica(2).unwrap().own_events >= 3, "{seen:?}");
}

/// Rows of more than 16 MiB travel in several frames; events without checksums stay so; a replica
/// that would acknowledge is not asked to; two replicas are served at a time.
async fn long_rows_without_checksums_reach_two_semi_sync_replicas(server: &str) {
    // The package of 5.6 has no semi-sync.
    let mut builder = cluster(server)
        .replicas(2)
        .option("binlog_checksum = NONE")
        .option("max_allowed_packet = 64M")
        .option(match server {
            "mysql-9.7" => "innodb_redo_log_capacity = 400M",
            _ => "innodb_log_file_size = 400M",
        });
    if server != "mysql-5.6" {
        builder = builder.semi_sync(1);
    }
    let cluster = builder.up().await;
    if server != "mysql-5.6" {
        let (old, new) = ("master", "source");
        let off = |word| format!("SET GLOBAL rpl_semi_sync_{word}_enabled = OFF");
        cluster.say("s1", &off(old), &off(new)).await;
    }
    leave_behind(&cluster).await;
    cluster.say("s3", "STOP SLAVE", "STOP REPLICA").await;
    cluster.sql("s1", "INSERT INTO d.t (b) VALUES (REPEAT('0123456789abcdef', 2 << 20))").await;
    let source = source(&cluster, "s1", false, logs(&cluster)).await;
    let expected = checksum(&cluster, "s1", "d.t").await;
    for replica in ["s2", "s3"] {
        point(&cluster, replica, &source, false).await;
    }
    for replica in ["s2", "s3"] {
        has_everything(&cluster, replica, "s1").await;
        becomes_equal(&cluster, replica, &expected).await;
    }
    assert_eq!(source.report().borrow().replicas.len(), 2);
    // The one that comes again ends its earlier connection, not the other's.
    cluster.say("s2", "STOP SLAVE", "STOP REPLICA").await;
    cluster.say("s2", "START SLAVE", "START REPLICA").await;
    eventually(LONG, "both are connected", async || {
        let report = source.report().borrow().clone();
        report.replica(2).is_some() && report.replica(3).is_some() && report.replicas.len() == 2
    })
    .await;
    let report = source.report().borrow().clone();
    assert_eq!(report.error_count, 0, "{:?}", report.errors);
}

/// A wrong password and a wrong place are told in words that the replica shows.
async fn a_replica_is_told_why_it_is_refused(server: &str) {
    let cluster = cluster(server).replicas(1).without_gtid().up().await;
    leave_behind(&cluster).await;
    let source = source(&cluster, "s1", false, logs(&cluster)).await;
    point(&cluster, "s2", &source, false).await;
    has_everything(&cluster, "s2", "s1").await;

    cluster.say("s2", "STOP SLAVE", "STOP REPLICA").await;
    let wrong = |prefix: &str| format!("{prefix}_PASSWORD = 'wrong'");
    let old = format!("CHANGE MASTER TO {}", wrong("MASTER"));
    let new = format!("CHANGE REPLICATION SOURCE TO {}", wrong("SOURCE"));
    cluster.say("s2", &old, &new).await;
    cluster.say("s2", "START SLAVE", "START REPLICA").await;
    eventually(LONG, "the replica is told that its password is wrong", async || {
        cluster.replica_status("s2", "Last_IO_Errno").await.as_deref() == Some("1045")
    })
    .await;
    let report = source.report().borrow().clone();
    assert!(report.errors.iter().any(|error| error.what.contains("denied")), "{report:?}");

    cluster.say("s2", "STOP SLAVE", "STOP REPLICA").await;
    let old = "CHANGE MASTER TO MASTER_PASSWORD = 'one time, %word', \
               MASTER_LOG_FILE = 'binlog.000099', MASTER_LOG_POS = 4";
    let new = old.replace("MASTER TO", "REPLICATION SOURCE TO").replace("MASTER_", "SOURCE_");
    cluster.say("s2", old, &new).await;
    cluster.say("s2", "START SLAVE", "START REPLICA").await;
    eventually(LONG, "the replica is told what we have", async || {
        let error = cluster.replica_status("s2", "Last_IO_Error").await.unwrap_or_default();
        error.contains("the saved events begin at binlog.000001")
    })
    .await;
}

on_each_server!(
    events_with_the_replicas_own_id_are_counted,
    long_rows_without_checksums_reach_two_semi_sync_replicas,
    a_replica_is_told_why_it_is_refused,
);
