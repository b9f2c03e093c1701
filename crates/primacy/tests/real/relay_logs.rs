//! Purging the relay logs of replicas that keep them.

use std::fs;

use primacy_api::{ErrorKind, PurgeOrder, Service as _};
use primacy_testkit::{Cluster, Manager, Writer, cluster, eventually};
use primacy_wire::Session;

use crate::{LONG, PROGRAM, on_each_server, on_mariadb_first, on_mysql_5_6};

/// Three servers whose replicas keep relay logs, which are small.
async fn that_keeps_them(server: &str, gtid: bool) -> (Cluster, Manager) {
    let mut builder =
        cluster(server).option("relay_log_purge = OFF").option("max_relay_log_size = 4096");
    if !gtid {
        builder = builder.without_gtid();
    }
    let cluster = builder.up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    (cluster, manager)
}

/// How many relay logs a replica has.
fn relay_logs(cluster: &Cluster, server: &str) -> usize {
    numbers(cluster, server).len()
}

/// The number of the oldest one.
fn oldest(cluster: &Cluster, server: &str) -> u64 {
    numbers(cluster, server).into_iter().min().unwrap()
}

fn numbers(cluster: &Cluster, server: &str) -> Vec<u64> {
    let files = fs::read_dir(&cluster.server(server).datadir).unwrap().flatten();
    let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
    let number = |ending: &str| ending.len() >= 6 && ending.bytes().all(|b| b.is_ascii_digit());
    names
        .filter(|name| name.contains("relay"))
        .filter_map(|name| name.rsplit_once('.').map(|(_, ending)| ending.to_owned()))
        .filter(|ending| number(ending))
        .map(|ending| ending.parse().unwrap())
        .collect()
}

async fn purge_of(cluster: &Cluster, server: &str) -> String {
    cluster.cell(server, "SELECT @@global.relay_log_purge").await.unwrap()
}

async fn what_is_applied_is_removed_under_load(server: &str, gtid: bool) {
    let (cluster, manager) = that_keeps_them(server, gtid).await;
    let writer = Writer::start(&cluster).await;
    eventually(LONG, "relay logs pile up", async || {
        ["s2", "s3"].iter().all(|server| relay_logs(&cluster, server) > 10)
    })
    .await;
    let dry = PurgeOrder { dry_run: true, ..PurgeOrder::default() };
    let report = manager.purge_relay_logs(dry).await.unwrap();
    assert!(report.servers.iter().all(|one| one.purged), "{report:?}");
    assert!(relay_logs(&cluster, "s2") > 10, "a dry run removes nothing");

    let before = ["s2", "s3"].map(|server| (server, oldest(&cluster, server)));
    let report = manager.purge_relay_logs(PurgeOrder::default()).await.unwrap();
    assert_eq!(report.servers.len(), 2, "the primary is none of them: {report:?}");
    for one in &report.servers {
        assert!(one.purged, "{report:?}");
        assert!(one.before.is_some() && one.after.is_some(), "{report:?}");
    }
    for (server, before) in before {
        // There were more than ten, and under load new ones come all the time. An applier that is late
        // needs its own for some moments more.
        eventually(LONG, "they are gone", async || {
            if oldest(&cluster, server) > before + 5 {
                return true;
            }
            manager.purge_relay_logs(PurgeOrder::default()).await.unwrap();
            false
        })
        .await;
        assert_eq!(purge_of(&cluster, server).await, "0", "it is as it was");
    }
    writer.goes_on(50).await;
    writer.finish(&cluster).await.everyone_has_everything();
    cluster.is_whole("s1").await;
}

async fn with_gtid_what_is_applied_is_removed(server: &str) {
    what_is_applied_is_removed_under_load(server, true).await;
}

async fn without_gtid_what_is_applied_is_removed(server: &str) {
    what_is_applied_is_removed_under_load(server, false).await;
}

/// What a stopped applier has not applied stays, and what a sibling has not received.
async fn what_may_be_needed_stays(server: &str) {
    let (cluster, manager) = that_keeps_them(server, false).await;
    let writer = Writer::start(&cluster).await;
    writer.goes_on(50).await;
    let of = |server: &str| PurgeOrder { servers: vec![cluster.address(server)], dry_run: false };
    cluster.say("s3", "STOP SLAVE IO_THREAD", "STOP REPLICA IO_THREAD").await;
    writer.goes_on(100).await;
    // What s2 has applied may still be what s3 has received too; from the first "no" on it is more.
    eventually(LONG, "s2 has applied more than s3 has received", async || {
        let report = manager.purge_relay_logs(of("s2")).await.unwrap();
        report.servers[0].sentence.contains("has not received yet")
    })
    .await;
    let before = relay_logs(&cluster, "s2");
    let report = manager.purge_relay_logs(of("s2")).await.unwrap();
    assert!(!report.servers[0].purged, "{report:?}");
    assert!(report.servers[0].sentence.contains("has not received yet"), "{report:?}");
    assert!(relay_logs(&cluster, "s2") >= before);
    assert_eq!(purge_of(&cluster, "s2").await, "0");
    cluster.say("s3", "START SLAVE IO_THREAD", "START REPLICA IO_THREAD").await;
    // Under its full load a sibling may stay as far behind as it was.
    writer.finish(&cluster).await.everyone_has_everything();
    cluster.sql("s1", "CREATE TABLE app.more (id INT PRIMARY KEY)").await;

    cluster.stop_applier("s2").await;
    eventually(LONG, "the stopped applier keeps them", async || {
        let report = manager.purge_relay_logs(of("s2")).await.unwrap();
        report.servers[0].sentence.contains("does not run")
    })
    .await;
    cluster.start_applier("s2").await;
    let gone = eventually(LONG, "now they may go", async || {
        manager.purge_relay_logs(of("s2")).await.unwrap().servers[0].purged
    });
    tokio::select! { () = gone => {}, () = trickle(&cluster) => {} }

    // One that removes them itself is left alone.
    cluster.sql("s3", "SET GLOBAL relay_log_purge = ON").await;
    let report = manager.purge_relay_logs(of("s3")).await.unwrap();
    assert!(report.servers[0].sentence.contains("removes them itself"), "{report:?}");
    assert_eq!(purge_of(&cluster, "s3").await, "1");
    cluster.catches_up("s2", "s1").await;
}

/// A row now and then, for ever.
async fn trickle(cluster: &Cluster) {
    for id in 1.. {
        cluster.sql("s1", &format!("INSERT INTO app.more VALUES ({id})")).await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn two_do_not_purge_at_once(server: &str) {
    let (cluster, manager) = that_keeps_them(server, true).await;
    let mut other = cluster.root("s1").await;
    let lock = format!("SELECT GET_LOCK('primacy_purge_relay_logs_{}', 0)", cluster.name());
    other.query(&lock, LONG).await.unwrap();
    let refused = manager.purge_relay_logs(PurgeOrder::default()).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Refused);
    assert!(refused.message.contains("by somebody else"), "{refused:?}");
    drop(other);
    eventually(LONG, "the lock is free again", async || {
        manager.purge_relay_logs(PurgeOrder::default()).await.is_ok()
    })
    .await;
}

/// A replica whose applier cannot go on, so that a purge waits for it, and what keeps it so.
async fn whose_applier_waits(cluster: &Cluster, server: &str) -> Session {
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    cluster.catches_up(server, "s1").await;
    let mut root = cluster.root(server).await;
    root.execute("LOCK TABLES app.t READ", LONG).await.unwrap();
    cluster.sql("s1", "INSERT INTO app.t VALUES (1)").await;
    root
}

/// What a purge changes is put back, whoever goes away in the middle of it.
async fn an_interrupted_purge_leaves_the_setting_as_it_was(server: &str) {
    let (cluster, mut manager) = that_keeps_them(server, true).await;
    let held = whose_applier_waits(&cluster, "s2").await;
    let of = || PurgeOrder { servers: vec![cluster.address("s2")], dry_run: false };
    let (client, name) = (manager.client().await, cluster.name().to_owned());
    let order = of();
    let asked = tokio::spawn(async move { client.purge_relay_logs(&name, order).await });
    eventually(LONG, "it is begun", async || purge_of(&cluster, "s2").await == "1").await;
    asked.abort();
    let as_it_was = async || purge_of(&cluster, "s2").await == "0";
    eventually(LONG, "the manager puts it back", as_it_was).await;

    let (client, name) = (manager.client().await, cluster.name().to_owned());
    let asked = {
        let order = of();
        tokio::spawn(async move { client.purge_relay_logs(&name, order).await })
    };
    eventually(LONG, "it is begun", async || purge_of(&cluster, "s2").await == "1").await;
    manager.kill9();
    drop(asked.await);
    assert_eq!(purge_of(&cluster, "s2").await, "1");
    let manager = Manager::start(PROGRAM, &cluster).await;
    eventually(LONG, "the next manager puts it back", as_it_was).await;
    drop(held);
    let writer = Writer::start(&cluster).await;
    eventually(LONG, "it is purged as ever", async || {
        manager.purge_relay_logs(of()).await.is_ok_and(|report| report.servers[0].purged)
    })
    .await;
    assert!(as_it_was().await);
    writer.finish(&cluster).await.everyone_has_everything();
}

async fn the_manager_purges_by_the_clock(server: &str) {
    let (cluster, manager) = that_keeps_them(server, true).await;
    let writer = Writer::start(&cluster).await;
    eventually(LONG, "relay logs pile up", async || relay_logs(&cluster, "s2") > 20).await;
    let before = ["s2", "s3"].map(|server| (server, oldest(&cluster, server)));
    let head = format!("[cluster.{}]\n", cluster.name());
    cluster.change_config(&head, &format!("{head}purge_relay_logs_every = \"1s\"\n"));
    eventually(LONG, "they are removed", async || {
        before.iter().all(|(server, before)| oldest(&cluster, server) > before + 10)
    })
    .await;
    writer.goes_on(50).await;
    writer.finish(&cluster).await.everyone_has_everything();
    manager.has_done_nothing().await;
}

on_each_server!(
    with_gtid_what_is_applied_is_removed,
    without_gtid_what_is_applied_is_removed,
    what_may_be_needed_stays,
);
on_mariadb_first!(
    two_do_not_purge_at_once,
    an_interrupted_purge_leaves_the_setting_as_it_was,
    the_manager_purges_by_the_clock,
);
on_mysql_5_6!(without_gtid_what_is_applied_is_removed, what_may_be_needed_stays);
