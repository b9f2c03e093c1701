//! A primary dies or hangs under load.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use primacy_plan::OperationKind::Failover;
use primacy_testkit::{Cluster, Manager, Writer, cluster, eventually};

use crate::{LONG, PROGRAM, on_each_server, on_mariadb_first};

/// The server that has become primary, and the replica that is left beside it.
async fn winner_and_sibling(manager: &Manager, cluster: &Cluster) -> (String, String) {
    let winner = manager.has_done(Failover, LONG).await;
    let winner = cluster.name_of(&winner).unwrap();
    let sibling = if winner == "s2" { "s3" } else { "s2" };
    (winner, sibling.to_owned())
}

async fn a_killed_primary_is_replaced_and_nothing_acknowledged_is_lost(server: &str) {
    let cluster = cluster(server).semi_sync(1).up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let writer = Writer::start(&cluster).await;
    cluster.kill("s1").await;
    let (winner, sibling) = winner_and_sibling(&manager, &cluster).await;
    writer.goes_on_at(&cluster, &winner).await;
    let outcome = writer.finish(&cluster).await;
    println!("{server}: {} rows, gap {:?}", outcome.acked, outcome.longest_gap);
    outcome.everyone_has_everything();
    assert_eq!(outcome.servers, ["s1", &winner]);
    cluster.all_replicate(&[&sibling], &winner).await;
    assert_eq!(cluster.epoch_row(&winner).await, Some(2));
    assert_eq!(cluster.replica_status(&winner, "Source_Host").await, None, "a stale source");

    cluster.start("s1").await;
    let old = cluster.address("s1");
    eventually(LONG, "the manager sees s1 again", async || {
        manager.explain().await.snapshot.live(&old).is_some()
    })
    .await;
    assert_eq!(cluster.writable().await, [winner]);
}

async fn a_frozen_primary_is_fenced_and_replaced(server: &str) {
    let cluster = cluster(server).semi_sync(1).up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let writer = Writer::start(&cluster).await;
    cluster.freeze("s1").await;
    let (winner, sibling) = winner_and_sibling(&manager, &cluster).await;
    assert!(!cluster.is_alive("s1"), "the frozen primary could go on");
    writer.goes_on_at(&cluster, &winner).await;
    cluster.all_replicate(&[&sibling], &winner).await;
    let outcome = writer.finish(&cluster).await;
    println!("{server}: {} rows, gap {:?}", outcome.acked, outcome.longest_gap);
    outcome.everyone_has_everything();
}

async fn rows_that_wait_in_a_relay_log_are_applied_before_the_promotion(server: &str) {
    let cluster = cluster(server).semi_sync(1).up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let mut app = cluster.app("s1").await;
    let limit = Duration::from_secs(10);
    app.execute("CREATE TABLE app.t (id INT PRIMARY KEY) ENGINE=InnoDB", limit).await.unwrap();
    for replica in ["s2", "s3"] {
        cluster.catches_up(replica, "s1").await;
        cluster.stop_applier(replica).await;
    }
    for id in 1..=300 {
        app.execute(&format!("INSERT INTO app.t VALUES ({id})"), limit).await.unwrap();
    }
    cluster.kill("s1").await;
    let (winner, sibling) = winner_and_sibling(&manager, &cluster).await;
    let count = "SELECT COUNT(*) FROM app.t";
    assert_eq!(cluster.cell(&winner, count).await.as_deref(), Some("300"));
    cluster.all_replicate(&[&sibling], &winner).await;
    cluster.catches_up(&sibling, &winner).await;
    assert_eq!(cluster.cell(&sibling, count).await.as_deref(), Some("300"));
}

async fn a_supervisor_that_restarts_the_dead_primary_does_no_harm(server: &str) {
    let cluster = cluster(server).semi_sync(1).up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let _supervisor = Supervisor::of_s1(&cluster);
    let writer = Writer::start(&cluster).await;
    cluster.kill("s1").await;
    let (winner, sibling) = winner_and_sibling(&manager, &cluster).await;
    eventually(LONG, "the supervisor starts s1", async || cluster.is_alive("s1")).await;
    let old = cluster.address("s1");
    eventually(LONG, "the manager sees s1 again", async || {
        manager.explain().await.snapshot.live(&old).is_some()
    })
    .await;
    writer.goes_on(50).await;
    assert_eq!(cluster.writable().await, [winner.as_str()]);
    cluster.all_replicate(&[&sibling], &winner).await;
    writer.finish(&cluster).await.nothing_is_lost();
}

/// Starts `s1` whenever it does not run, a second later.
struct Supervisor(Child);

/// Nobody sees its process, and the next look is a minute away: the end of the connection tells.
async fn a_connection_that_ends_is_looked_into_at_once(server: &str) {
    let cluster = cluster(server)
        .timing("ping_interval = \"60s\"")
        .server("s1", "host_access = \"none\"")
        .up()
        .await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    cluster.kill("s1").await;
    eventually(LONG / 2, "the manager misses s1", async || {
        manager.log().contains("does not answer") || manager.log().contains("is dead")
    })
    .await;
}

impl Supervisor {
    fn of_s1(cluster: &Cluster) -> Self {
        let every_second = "while sleep 1; do \"$0\" sandbox start \"$1\" s1; done";
        let shell = Command::new("sh")
            .args(["-c", every_second, PROGRAM, cluster.name()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(shell.unwrap())
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

on_each_server!(
    a_killed_primary_is_replaced_and_nothing_acknowledged_is_lost,
    a_frozen_primary_is_fenced_and_replaced,
    rows_that_wait_in_a_relay_log_are_applied_before_the_promotion,
);
on_mariadb_first!(
    a_connection_that_ends_is_looked_into_at_once,
    a_supervisor_that_restarts_the_dead_primary_does_no_harm,
);
