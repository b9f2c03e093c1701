//! Events that some disk or relay log holds, or nobody any more: what is had, what is named, and
//! who decides.

use primacy_api::FailoverOrder;
use primacy_plan::OperationKind::Failover;
use primacy_store::Outcome;
use primacy_testkit::{Cluster, Manager, cluster, eventually};

use crate::{LONG, PROGRAM, on_each_server, on_mariadb_first, on_mysql_5_6};

const COUNT: &str = "SELECT COUNT(*) FROM app.t";

/// A table with so many rows that everybody has.
async fn begin(cluster: &Cluster, rows: u32) {
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    insert(cluster, 1, rows).await;
    for replica in ["s2", "s3"] {
        has_rows(cluster, replica, rows).await;
    }
}

async fn insert(cluster: &Cluster, first: u32, last: u32) {
    for id in first..=last {
        cluster.sql("s1", &format!("INSERT INTO app.t VALUES ({id})")).await;
    }
}

async fn has_rows(cluster: &Cluster, server: &str, rows: u32) {
    let what = format!("{server} has {rows} rows");
    eventually(LONG, &what, async || {
        cluster.cell(server, COUNT).await.as_deref() == Some(&rows.to_string())
    })
    .await;
}

async fn stop_receiver(cluster: &Cluster, replica: &str) {
    cluster.say(replica, "STOP SLAVE IO_THREAD", "STOP REPLICA IO_THREAD").await;
}

async fn says(manager: &Manager, text: &str) {
    eventually(LONG, text, async || manager.log().contains(text)).await;
}

async fn a_lost_host_with_refuse_is_left_alone_until_a_person_decides(server: &str) {
    for gtid in [true, false] {
        let builder = cluster(server).policy("on_possible_loss = \"refuse\"");
        let builder = if gtid { builder } else { builder.without_gtid() };
        let cluster = builder.up().await;
        let manager = Manager::start(PROGRAM, &cluster).await;
        begin(&cluster, 3).await;
        for replica in ["s2", "s3"] {
            stop_receiver(&cluster, replica).await;
        }
        insert(&cluster, 4, 6).await;
        // The manager has seen what the primary has.
        let position = manager.view().await;
        assert!(!position.servers.is_empty());
        manager.has_looked_again(&cluster.address("s1")).await;
        cluster.lose_host("s1").await;
        says(&manager, "known to be missing").await;
        says(&manager, "primacy failover --force --accept-loss").await;
        assert!(cluster.writable().await.is_empty());

        let order = FailoverOrder { force: true, accept_loss: true, ..FailoverOrder::default() };
        manager.try_failover(order).await.unwrap();
        let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
        has_rows(&cluster, &winner, 3).await;
        assert_eq!(cluster.writable().await, [winner]);
    }
}

async fn a_lost_host_with_proceed_is_replaced_and_the_loss_named(server: &str) {
    let cluster = cluster(server).policy("on_possible_loss = \"proceed\"").up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    begin(&cluster, 3).await;
    for replica in ["s2", "s3"] {
        stop_receiver(&cluster, replica).await;
    }
    insert(&cluster, 4, 6).await;
    manager.has_looked_again(&cluster.address("s1")).await;
    cluster.lose_host("s1").await;
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    has_rows(&cluster, &winner, 3).await;
    let log = manager.log();
    assert!(log.contains("POSSIBLE LOSS") && log.contains("known to be missing"), "{log}");
}

async fn what_only_a_relay_log_holds_levels_the_others(server: &str) {
    // Without GTID, and with the primary's disk gone: s3 has received more than s2, which is
    // wanted as the new primary.
    let cluster = cluster(server)
        .without_gtid()
        .option("relay_log_purge = OFF")
        .option("max_relay_log_size = 4096")
        .server("s2", "promotion = \"prefer\"")
        .up()
        .await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    begin(&cluster, 3).await;
    stop_receiver(&cluster, "s2").await;
    insert(&cluster, 4, 60).await;
    has_rows(&cluster, "s3", 60).await;
    cluster.lose_host("s1").await;
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    assert_eq!(winner, "s2");
    has_rows(&cluster, "s2", 60).await;
    cluster.all_replicate(&["s3"], "s2").await;
    cluster.sql("s2", "INSERT INTO app.t VALUES (1000)").await;
    has_rows(&cluster, "s3", 61).await;
}

async fn a_replica_that_was_down_is_brought_to_the_new_primary_from_what_was_saved(server: &str) {
    let cluster = cluster(server).without_gtid().up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    begin(&cluster, 3).await;
    cluster.stop("s3").await;
    manager.has_looked_in_vain(&cluster.address("s3")).await;
    // Something that must be rescued for s2 is saved, and s3 needs it too.
    stop_receiver(&cluster, "s2").await;
    insert(&cluster, 4, 9).await;
    cluster.kill("s1").await;
    assert_eq!(cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap(), "s2");
    has_rows(&cluster, "s2", 9).await;
    cluster.sql("s2", "INSERT INTO app.t VALUES (1000)").await;
    cluster.start("s3").await;
    cluster.all_replicate(&["s3"], "s2").await;
    has_rows(&cluster, "s3", 10).await;
}

async fn a_damaged_binary_log_holds_the_failover(server: &str) {
    let cluster = cluster(server).up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    begin(&cluster, 3).await;
    for replica in ["s2", "s3"] {
        stop_receiver(&cluster, replica).await;
    }
    insert(&cluster, 4, 30).await;
    cluster.freeze("s1").await;
    // A byte in the middle of the last events; the server is dead before anybody looks.
    damage(&cluster);
    cluster.kill("s1").await;
    says(&manager, "HELD").await;
    says(&manager, "checksum").await;
    assert!(cluster.writable().await.is_empty());
    let order = FailoverOrder { force: true, accept_loss: true, ..FailoverOrder::default() };
    manager.try_failover(order).await.unwrap();
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    assert_eq!(cluster.writable().await, [winner]);
    assert!(manager.history().await.iter().all(|o| o.outcome == Some(Outcome::Done)));
}

fn damage(cluster: &Cluster) {
    use std::io::{Read, Seek, SeekFrom, Write};
    let path = cluster.server("s1").datadir.join("binlog.000001");
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    let at = SeekFrom::Start(length - 700);
    let mut byte = [0];
    file.seek(at).unwrap();
    file.read_exact(&mut byte).unwrap();
    byte[0] ^= 0x10;
    file.seek(at).unwrap();
    file.write_all(&byte).unwrap();
}

/// The machine of the manager and the primary was restarted, and only the manager came back.
async fn a_manager_started_after_the_death_finds_the_disk(server: &str) {
    let cluster = cluster(server).up().await;
    let mut first = Manager::start(PROGRAM, &cluster).await;
    begin(&cluster, 3).await;
    for replica in ["s2", "s3"] {
        stop_receiver(&cluster, replica).await;
    }
    insert(&cluster, 4, 9).await;
    first.kill9();
    cluster.kill("s1").await;
    let next = Manager::spawn(PROGRAM, &cluster, &[]);
    next.listens().await;
    let winner = cluster.name_of(&next.has_done(Failover, LONG).await).unwrap();
    has_rows(&cluster, &winner, 9).await;
}

on_each_server!(
    a_lost_host_with_proceed_is_replaced_and_the_loss_named,
    what_only_a_relay_log_holds_levels_the_others,
    a_replica_that_was_down_is_brought_to_the_new_primary_from_what_was_saved,
    a_damaged_binary_log_holds_the_failover,
);
on_mariadb_first!(
    a_manager_started_after_the_death_finds_the_disk,
    a_lost_host_with_refuse_is_left_alone_until_a_person_decides,
);
on_mysql_5_6!(
    what_only_a_relay_log_holds_levels_the_others,
    a_replica_that_was_down_is_brought_to_the_new_primary_from_what_was_saved,
);
