//! The role moves while both servers live.

use primacy_testkit::{Cluster, Manager, Writer, cluster};

use crate::{PROGRAM, on_each_server, on_mysql};

/// Whether a server waits for acknowledgements, and whether it gives them.
async fn semi_sync_roles(cluster: &Cluster, server: &str) -> (String, String) {
    let (source, replica) = if cluster.is_mariadb() {
        ("@@global.rpl_semi_sync_master_enabled", "@@global.rpl_semi_sync_slave_enabled")
    } else {
        ("@@global.rpl_semi_sync_source_enabled", "@@global.rpl_semi_sync_replica_enabled")
    };
    let value = async |name: &str| cluster.cell(server, &format!("SELECT {name}")).await.unwrap();
    (value(source).await, value(replica).await)
}

async fn the_role_moves_under_load_and_back(server: &str) {
    let cluster = cluster(server).semi_sync(1).up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let writer = Writer::start(&cluster).await;
    let winner = cluster.name_of(&manager.switchover(None).await).unwrap();
    assert_ne!(winner, "s1");
    writer.goes_on_at(&cluster, &winner).await;
    cluster.is_whole(&winner).await;
    assert_eq!(semi_sync_roles(&cluster, &winner).await.0, "1", "it waits for nobody");
    let off_and_on = ("0".to_owned(), "1".to_owned());
    assert_eq!(semi_sync_roles(&cluster, "s1").await, off_and_on);
    assert_eq!(cluster.epoch_row(&winner).await, Some(2));

    let back = manager.switchover(Some(cluster.address("s1"))).await;
    assert_eq!(cluster.name_of(&back).unwrap(), "s1");
    writer.goes_on_at(&cluster, "s1").await;
    cluster.is_whole("s1").await;
    assert_eq!(semi_sync_roles(&cluster, &winner).await, off_and_on);
    assert_eq!(cluster.epoch_row("s1").await, Some(3));
    let outcome = writer.finish(&cluster).await;
    println!("{server}: {} rows, gap {:?}", outcome.acked, outcome.longest_gap);
    // It came back to a server that had acknowledged before: rows there are not late.
    assert_eq!(outcome.missing_acked, 0, "{outcome:?}");
    assert!(outcome.missing.values().all(|count| *count == 0), "{outcome:?}");
}

async fn two_acknowledgements_are_waited_for_before_and_after(server: &str) {
    let cluster = cluster(server).replicas(3).semi_sync(2).up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let writer = Writer::start(&cluster).await;
    let wanted = cluster.address("s3");
    assert_eq!(manager.switchover(Some(wanted.clone())).await, wanted);
    writer.goes_on_at(&cluster, "s3").await;
    cluster.is_whole("s3").await;
    let count = "SELECT @@global.rpl_semi_sync_source_wait_for_replica_count";
    assert_eq!(cluster.cell("s3", count).await.as_deref(), Some("2"));
    let waits = "SELECT VARIABLE_VALUE FROM performance_schema.global_status \
                 WHERE VARIABLE_NAME = 'Rpl_semi_sync_source_status'";
    assert_eq!(cluster.cell("s3", waits).await.as_deref(), Some("ON"));
    writer.finish(&cluster).await.everyone_has_everything();
}

on_each_server!(the_role_moves_under_load_and_back);
on_mysql!(two_acknowledgements_are_waited_for_before_and_after);
