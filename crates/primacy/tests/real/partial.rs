//! A primary that dies in the middle of sending a transaction: replicas have the beginning of it in
//! their relay logs, and nobody may wait for its end.

use std::time::Duration;

use primacy_plan::OperationKind::Failover;
use primacy_testkit::{Cluster, Manager, cluster, eventually};
use tokio::time::Instant;

use crate::{LONG, PROGRAM, on_each_server, on_mysql_5_6, on_mysql_first};

const REPLICAS: [&str; 2] = ["s2", "s3"];

/// More of a transaction than arrives before the next look at how much did.
const MEGABYTES: u32 = 120;

/// Everybody has one row, and of the transaction that follows the replicas have the beginning.
async fn dies_in_the_middle(cluster: &Cluster, kill: bool) {
    for replica in REPLICAS {
        applies_in_parallel(cluster, replica).await;
    }
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY, filling LONGBLOB)").await;
    cluster.sql("s1", "INSERT INTO app.t VALUES (0, 'first')").await;
    for replica in REPLICAS {
        has_rows(cluster, replica, 1).await;
        cluster.say(replica, "STOP SLAVE IO_THREAD", "STOP REPLICA IO_THREAD").await;
    }
    let mut session = cluster.root("s1").await;
    let limit = Duration::from_secs(60);
    session.query("BEGIN", limit).await.unwrap();
    for id in 1..=MEGABYTES {
        let insert =
            format!("INSERT INTO app.t VALUES ({id}, REPEAT(CHAR(97 + {id} % 26), 1 << 20))");
        session.query(&insert, limit).await.unwrap();
    }
    session.query("COMMIT", limit).await.unwrap();
    session.close().await;
    for replica in REPLICAS {
        cluster.say(replica, "START SLAVE IO_THREAD", "START REPLICA IO_THREAD").await;
    }
    let began = Instant::now();
    for replica in REPLICAS {
        while received(cluster, replica).await < 1 << 20 {
            assert!(began.elapsed() < LONG, "{replica} receives nothing");
        }
    }
    match kill {
        true => cluster.kill("s1").await,
        false => cluster.lose_host("s1").await,
    }
    for replica in REPLICAS {
        let got = received(cluster, replica).await;
        assert!(got < u64::from(MEGABYTES) << 20, "{replica} has received all of it: {got}");
    }
}

/// Newer MySQL does by itself.
async fn applies_in_parallel(cluster: &Cluster, replica: &str) {
    if cluster.speaks_old() {
        let setting =
            if cluster.is_mariadb() { "slave_parallel_threads" } else { "slave_parallel_workers" };
        cluster.sql(replica, "STOP SLAVE").await;
        cluster.sql(replica, &format!("SET GLOBAL {setting} = 4")).await;
        cluster.sql(replica, "START SLAVE").await;
    }
}

async fn received(cluster: &Cluster, replica: &str) -> u64 {
    let space = cluster.replica_status(replica, "Relay_Log_Space").await;
    space.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

async fn has_rows(cluster: &Cluster, server: &str, rows: u32) {
    eventually(LONG, &format!("{server} has {rows} rows"), async || {
        let count = cluster.cell(server, "SELECT COUNT(*) FROM app.t").await;
        count.as_deref() == Some(&rows.to_string())
    })
    .await;
}

async fn ends_well(cluster: &Cluster, manager: &Manager, rows: u32) {
    let winner = cluster.name_of(&manager.has_done(Failover, LONG * 2).await).unwrap();
    has_rows(cluster, &winner, rows).await;
    cluster.others_replicate(&["s1"], &winner).await;
    cluster.sql(&winner, "INSERT INTO app.t VALUES (1000, 'afterwards')").await;
    for replica in REPLICAS {
        has_rows(cluster, replica, rows + 1).await;
    }
}

/// The whole of it is on the dead primary's disk.
async fn a_transaction_cut_in_the_middle_is_completed_from_the_disk(server: &str) {
    for gtid in [true, false] {
        let builder = cluster(server);
        if gtid && server == "mysql-5.6" {
            continue;
        }
        let cluster = if gtid { builder } else { builder.without_gtid() }.up().await;
        let manager = Manager::start(PROGRAM, &cluster).await;
        dies_in_the_middle(&cluster, true).await;
        ends_well(&cluster, &manager, MEGABYTES + 1).await;
    }
}

/// Nobody has the rest of it any more.
async fn a_transaction_cut_in_the_middle_is_given_up_when_the_host_is_lost(server: &str) {
    for gtid in [true, false] {
        let builder = cluster(server).policy("on_possible_loss = \"proceed\"");
        if gtid && server == "mysql-5.6" {
            continue;
        }
        let cluster = if gtid { builder } else { builder.without_gtid() }.up().await;
        let manager = Manager::start(PROGRAM, &cluster).await;
        dies_in_the_middle(&cluster, false).await;
        ends_well(&cluster, &manager, 1).await;
    }
}

/// Longer than an applier that has nothing to do is watched for.
const A_WHILE: Duration = Duration::from_secs(3);

/// Its coordinator has read all of it and is idle; a worker waits for somebody's lock.
async fn a_transaction_that_is_applied_slowly_is_waited_for(server: &str) {
    for gtid in [true, false] {
        let builder = cluster(server).policy("on_possible_loss = \"proceed\"");
        if gtid && server == "mysql-5.6" {
            continue;
        }
        let cluster = if gtid { builder } else { builder.without_gtid() }.up().await;
        let manager = Manager::start(PROGRAM, &cluster).await;
        for replica in REPLICAS {
            applies_in_parallel(&cluster, replica).await;
        }
        cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY, filling LONGBLOB)").await;
        let mut locks = Vec::new();
        for replica in REPLICAS {
            has_rows(&cluster, replica, 0).await;
            let mut session = cluster.root(replica).await;
            session.query("LOCK TABLES app.t READ", LONG).await.unwrap();
            locks.push(session);
        }
        cluster.sql("s1", "INSERT INTO app.t VALUES (1, 'received, and not applied')").await;
        for replica in REPLICAS {
            eventually(LONG, "an applier waits for the lock", async || {
                let waits = "SELECT COUNT(*) FROM information_schema.processlist \
                             WHERE state LIKE '%lock%' AND user = 'system user'";
                cluster.cell(replica, waits).await.is_some_and(|count| count != "0")
            })
            .await;
        }
        cluster.lose_host("s1").await;
        eventually(LONG, "the winner applies", async || {
            manager.log().contains("has applied everything that it received")
        })
        .await;
        tokio::time::sleep(A_WHILE).await;
        assert!(cluster.writable().await.is_empty(), "{}", manager.log());
        drop(locks);
        ends_well(&cluster, &manager, 1).await;
    }
}

on_each_server!(
    a_transaction_that_is_applied_slowly_is_waited_for,
    a_transaction_cut_in_the_middle_is_completed_from_the_disk,
);
on_mysql_first!(a_transaction_cut_in_the_middle_is_given_up_when_the_host_is_lost);
on_mysql_5_6!(
    a_transaction_that_is_applied_slowly_is_waited_for,
    a_transaction_cut_in_the_middle_is_completed_from_the_disk,
    a_transaction_cut_in_the_middle_is_given_up_when_the_host_is_lost,
);
