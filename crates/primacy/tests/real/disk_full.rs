//! A primary that answers and can commit nothing, and what only looks like it.

use std::time::{Duration, Instant};

use primacy_plan::Diagnosis;
use primacy_plan::OperationKind::Failover;
use primacy_testkit::{Builder, Cluster, Manager, SmallDisk, Writer, cluster, eventually};

use crate::{LONG, PROGRAM, on_each_server, on_mariadb_first};

/// What the servers are given to commit a row.
const PROBE: &str = "write_probe = \"3s\"";
const LIMIT: Duration = Duration::from_secs(3);

/// What the manager may need beyond the limit on a busy machine: to see it, fence, and promote.
const MORE: Duration = Duration::from_secs(12);

/// More than the limit, in looks of the manager.
async fn is_alarmed_and_does_nothing(manager: &Manager, what: &str, why: &str) {
    let says = |d: &Diagnosis| match d {
        Diagnosis::Degraded { problems, .. } => problems.iter().any(|p| p.contains(why)),
        _ => false,
    };
    manager.diagnoses(what, says).await;
    // The alarm comes when the limit is over; a failover would come at the same moment.
    let end = Instant::now() + LIMIT;
    while Instant::now() < end {
        let diagnosis = manager.explain().await.diagnosis;
        let fatal = matches!(
            diagnosis,
            Diagnosis::PrimaryCannotWrite { .. } | Diagnosis::PrimaryDead { .. }
        );
        assert!(!fatal, "{diagnosis:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    manager.has_done_nothing().await;
    assert!(manager.log().contains(why), "it did not say why:\n{}", manager.log());
}

async fn is_healthy(manager: &Manager) {
    manager.diagnoses("all is well again", |d| matches!(d, Diagnosis::Healthy { .. })).await;
}

/// Rows of the probe that a server has seen.
async fn writes(cluster: &Cluster, server: &str) -> u64 {
    let Ok(mut session) = cluster.try_root(server).await else { return 0 };
    // Before the first write the table is not there.
    let rows = session.query("SELECT MAX(writes) FROM primacy.probe", LONG).await.ok();
    rows.and_then(|rows| rows.first()?.at(0)?.parse().ok()).unwrap_or_default()
}

async fn is_probed(cluster: &Cluster, server: &str) {
    let before = writes(cluster, server).await;
    eventually(LONG, &format!("{server} commits the probe"), async || {
        writes(cluster, server).await > before
    })
    .await;
}

async fn a_primary_whose_disk_is_full_is_replaced(server: &str) {
    is_replaced(server, cluster(server), true).await;
}

/// Each look asks for the end of the binary log here, and hangs with it: the manager's own word is
/// silence, and the replicas still hear heartbeats. (Whether the old primary follows by itself is
/// another matter: MariaDB keeps a binary log that ends in the middle of an event, and without GTID
/// that is no place to go on from.)
async fn also_where_every_look_at_it_hangs(server: &str) {
    is_replaced(server, cluster(server).without_gtid(), false).await;
}

async fn is_replaced(server: &str, builder: Builder, follows: bool) {
    let cluster = builder.semi_sync(1).policy(PROBE).up().await;
    let Some(disk) = SmallDisk::under(&cluster, "s1").await else { return };
    let manager = Manager::start(PROGRAM, &cluster).await;
    is_probed(&cluster, "s1").await;
    let writer = Writer::start(&cluster).await;
    disk.leave(64 * 1024);
    let began = Instant::now();
    let winner = cluster.name_of(&manager.has_done(Failover, LIMIT + MORE + LONG).await).unwrap();
    assert_ne!(winner, "s1");
    let took = began.elapsed();
    writer.goes_on_at(&cluster, &winner).await;
    assert!(manager.log().contains("answers and cannot commit"), "{}", manager.log());
    assert!(!cluster.is_alive("s1"), "the old primary was not fenced");

    disk.enlarge();
    cluster.start("s1").await;
    assert!(!cluster.is_writable("s1").await, "the old primary accepts writes");
    if follows {
        eventually(LONG, "the old primary follows", async || {
            cluster.source_of("s1").await.as_deref() == Some(&winner)
        })
        .await;
    }
    assert_eq!(cluster.writable().await, std::slice::from_ref(&winner));
    let outcome = writer.finish(&cluster).await;
    outcome.nothing_is_lost();
    assert!(
        outcome.longest_gap < LIMIT + MORE,
        "{:?} without writes, {took:?} after the disk was small",
        outcome.longest_gap
    );
    is_probed(&cluster, &winner).await;
    println!("{server}: {:?} without writes", outcome.longest_gap);
}

async fn a_backup_that_locks_everything_is_no_reason(server: &str) {
    let cluster = cluster(server).policy(PROBE).up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    is_probed(&cluster, "s1").await;
    let mut backup = cluster.root("s1").await;
    backup.execute("FLUSH TABLES WITH READ LOCK", LONG).await.unwrap();
    is_alarmed_and_does_nothing(&manager, "it says that a lock holds up writes", "a lock").await;
    backup.execute("UNLOCK TABLES", LONG).await.unwrap();
    is_healthy(&manager).await;
    is_probed(&cluster, "s1").await;
    manager.has_done_nothing().await;
}

async fn commits_without_a_replica_to_acknowledge_are_no_reason(server: &str) {
    let cluster = cluster(server).semi_sync(1).policy(PROBE).up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let writer = Writer::start(&cluster).await;
    is_probed(&cluster, "s1").await;
    for replica in ["s2", "s3"] {
        cluster.say(replica, "STOP SLAVE IO_THREAD", "STOP REPLICA IO_THREAD").await;
    }
    let why = "acknowledgement";
    is_alarmed_and_does_nothing(&manager, "it says that commits wait for replicas", why).await;
    for replica in ["s2", "s3"] {
        cluster.say(replica, "START SLAVE IO_THREAD", "START REPLICA IO_THREAD").await;
    }
    is_healthy(&manager).await;
    writer.goes_on(20).await;
    writer.finish(&cluster).await.everyone_has_everything();
    manager.has_done_nothing().await;
}

/// The probe follows the role, leaves nothing on replicas, and is in nobody's way.
async fn a_switchover_is_not_held_up_by_the_probe(server: &str) {
    let cluster = cluster(server).policy(PROBE).up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    is_probed(&cluster, "s1").await;
    for to in ["s2", "s1", "s3"] {
        manager.switchover(Some(cluster.address(to))).await;
        is_probed(&cluster, to).await;
    }
    cluster.is_whole("s3").await;
    manager.pause().await;
    let stands = async || {
        let before = writes(&cluster, "s3").await;
        tokio::time::sleep(Duration::from_millis(2500)).await;
        before == writes(&cluster, "s3").await
    };
    eventually(LONG, "nothing is written while the cluster is paused", stands).await;
    manager.resume().await;
    is_probed(&cluster, "s3").await;
}

on_each_server!(a_primary_whose_disk_is_full_is_replaced);
on_mariadb_first!(
    also_where_every_look_at_it_hangs,
    a_backup_that_locks_everything_is_no_reason,
    commits_without_a_replica_to_acknowledge_are_no_reason,
    a_switchover_is_not_held_up_by_the_probe,
);
