//! Every server of a cluster is restarted, one after another, while applications write.

use std::process::Output;

use primacy_api::{ErrorKind, HistoryEntry, RestartOrder, Service as _};
use primacy_store::Outcome;
use primacy_testkit::{Agents, Cluster, Manager, Writer, cluster, eventually};
use tokio::process::Command;

use crate::agents::in_force;
use crate::{LONG, PROGRAM, on_each_server, on_mariadb_first};

async fn primacy(cluster: &Cluster, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("--config").arg(cluster.config()).args(arguments).kill_on_drop(true);
    tokio::time::timeout(LONG * 6, command.output()).await.unwrap().unwrap()
}

fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// The number of a server's process: another one after a restart.
pub(crate) async fn process(cluster: &Cluster, server: &str) -> String {
    let file = &cluster.server(server).pid_file;
    tokio::fs::read_to_string(file).await.unwrap_or_default()
}

async fn every_server_is_restarted_and_no_write_is_lost(server: &str) {
    let cluster = cluster(server).semi_sync(1).with_agents().up().await;
    let _agents = Agents::start(PROGRAM, &cluster).await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    in_force(&manager).await;
    let writer = Writer::start(&cluster).await;
    let mut before = Vec::new();
    for server in ["s1", "s2", "s3"] {
        before.push(process(&cluster, server).await);
    }
    let done = primacy(&cluster, &["rolling-restart", "--yes"]).await;
    assert!(done.status.success(), "{}\n{}", text(&done), manager.log());
    for (server, before) in ["s1", "s2", "s3"].into_iter().zip(before) {
        assert_ne!(process(&cluster, server).await, before, "{server} was not restarted");
    }
    let winner = cluster.writable().await;
    let [winner] = winner.as_slice() else { panic!("{winner:?}") };
    assert_ne!(winner, "s1");
    writer.goes_on_at(&cluster, winner).await;
    let outcome = writer.finish(&cluster).await;
    println!("{server}: {} rows, gap {:?}", outcome.acked, outcome.longest_gap);
    outcome.everyone_has_everything();
    let rest: Vec<&str> = ["s1", "s2", "s3"].into_iter().filter(|s| s != winner).collect();
    cluster.all_replicate(&rest, winner).await;
    // Each in the history, and no failover among them.
    let history = manager.history().await;
    let kinds: Vec<_> = history.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds, ["restart", "switchover", "restart", "restart"]);

    // The primary itself, and a replica that commits wait for, are not restarted.
    let refused = primacy(&cluster, &["restart", &cluster.address(winner).to_string()]).await;
    assert!(!refused.status.success() && text(&refused).contains("is the primary"));
    // The sandbox does not know the process that the agent has started.
    cluster.sql(rest[0], "SHUTDOWN").await;
    eventually(LONG, "the last acknowledging replica is kept", async || {
        let other = cluster.address(rest[1]).to_string();
        let refused = primacy(&cluster, &["restart", &other, "--dry-run"]).await;
        text(&refused).contains("acknowledgement")
    })
    .await;
}

/// What it has acknowledged may be in its relay logs only, and some servers drop those at a start.
async fn a_replica_applies_what_it_received_before_it_is_shut_down(server: &str) {
    let cluster = cluster(server).semi_sync(1).with_agents().up().await;
    let _agents = Agents::start(PROGRAM, &cluster).await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    in_force(&manager).await;
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    cluster.catches_up("s3", "s1").await;
    let before = process(&cluster, "s3").await;
    // Its applier waits.
    let mut holder = cluster.root("s3").await;
    holder.execute("LOCK TABLES app.t READ", LONG).await.unwrap();
    cluster.sql("s1", "INSERT INTO app.t VALUES (1)").await;
    let address = cluster.address("s3").to_string();
    let arguments = ["restart", address.as_str(), "--yes"];
    let restart = primacy(&cluster, &arguments);
    let released = async {
        eventually(LONG, "it receives no more, and runs", async || {
            cluster.replica_status("s3", "Replica_IO_Running").await.as_deref() == Some("No")
        })
        .await;
        assert_eq!(process(&cluster, "s3").await, before, "it was shut down before it had applied");
        holder.execute("UNLOCK TABLES", LONG).await.unwrap();
    };
    let (done, ()) = tokio::join!(restart, released);
    assert!(done.status.success(), "{}\n{}", text(&done), manager.log());
    assert_ne!(process(&cluster, "s3").await, before);
    assert_eq!(cluster.cell("s3", "SELECT COUNT(*) FROM app.t").await.as_deref(), Some("1"));
    cluster.sql("s3", "SHUTDOWN").await;
    eventually(LONG, "it is down", async || cluster.try_root("s3").await.is_err()).await;
}

fn restart_of(cluster: &Cluster, server: &str) -> RestartOrder {
    let (server, limit) = (cluster.address(server), primacy_types::Millis::from_secs(120));
    RestartOrder { server, dry_run: false, limit }
}

/// Those of the history, the oldest first.
async fn restarts(manager: &Manager) -> Vec<HistoryEntry> {
    let mut all = manager.history().await;
    all.retain(|entry| entry.kind == "restart");
    all.sort_by_key(|entry| entry.started.0);
    all
}

/// Whoever asked for it goes away while the server is down.
async fn a_restart_is_finished_without_the_one_who_asked(server: &str) {
    let cluster = cluster(server).semi_sync(1).with_agents().up().await;
    let _agents = Agents::start(PROGRAM, &cluster).await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    in_force(&manager).await;
    let before = process(&cluster, "s3").await;
    let (client, name) = (manager.client().await, cluster.name().to_owned());
    let order = restart_of(&cluster, "s3");
    let asked = tokio::spawn(async move { client.restart(&name, order).await });
    eventually(LONG, "it is begun", async || !restarts(&manager).await.is_empty()).await;
    asked.abort();
    eventually(LONG, "it is finished", async || {
        restarts(&manager).await[0].outcome == Some(Outcome::Done)
    })
    .await;
    assert_ne!(process(&cluster, "s3").await, before, "s3 was not restarted");
    cluster.all_replicate(&["s2", "s3"], "s1").await;
}

/// Each of two restarts sees what the other has left, however they are asked for.
async fn two_restarts_follow_each_other(server: &str) {
    let cluster = cluster(server).semi_sync(1).with_agents().up().await;
    let _agents = Agents::start(PROGRAM, &cluster).await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    in_force(&manager).await;
    let (one, other) = (manager.client().await, manager.client().await);
    let name = cluster.name();
    let (one, other) = tokio::join!(
        one.restart(name, restart_of(&cluster, "s2")),
        other.restart(name, restart_of(&cluster, "s3")),
    );
    // The one that comes second waits, and is refused while the first is not in its place again.
    let fine = |kind| matches!(kind, ErrorKind::Busy | ErrorKind::Refused);
    for done in [&one, &other] {
        assert!(done.as_ref().err().is_none_or(|error| fine(error.kind)), "{done:?}");
    }
    assert!(one.is_ok() || other.is_ok());
    let all = restarts(&manager).await;
    assert!(!all.is_empty());
    for pair in all.windows(2) {
        assert!(
            pair[0].finished.unwrap().0 <= pair[1].started.0,
            "both were away at once: {all:?}"
        );
    }
    cluster.all_replicate(&["s2", "s3"], "s1").await;
}

/// The next manager lets it receive again.
async fn a_manager_that_dies_while_a_replica_is_emptied_leaves_it_receiving(server: &str) {
    let cluster = cluster(server).semi_sync(1).with_agents().up().await;
    let _agents = Agents::start(PROGRAM, &cluster).await;
    let mut manager = Manager::start(PROGRAM, &cluster).await;
    in_force(&manager).await;
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    cluster.catches_up("s3", "s1").await;
    let mut holder = cluster.root("s3").await;
    holder.execute("LOCK TABLES app.t READ", LONG).await.unwrap();
    cluster.sql("s1", "INSERT INTO app.t VALUES (1)").await;
    let address = cluster.address("s3").to_string();
    let arguments = ["restart", address.as_str(), "--yes"];
    let receives = async |yes: &str| {
        cluster.replica_status("s3", "Replica_IO_Running").await.as_deref() == Some(yes)
    };
    let killed = async {
        eventually(LONG, "it receives no more", async || receives("No").await).await;
        manager.kill9();
    };
    let (asked, ()) = tokio::join!(primacy(&cluster, &arguments), killed);
    assert!(!asked.status.success());
    let _next = Manager::spawn(PROGRAM, &cluster, &[]);
    eventually(LONG, "it receives again", async || receives("Yes").await).await;
    holder.execute("UNLOCK TABLES", LONG).await.unwrap();
    cluster.catches_up("s3", "s1").await;
}

/// While it is emptied the primary dies, and it is the only one that can take over.
async fn a_replica_that_becomes_the_primary_meanwhile_is_not_shut_down(server: &str) {
    let cluster = cluster(server).replicas(1).with_agents().up().await;
    let _agents = Agents::start(PROGRAM, &cluster).await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    in_force(&manager).await;
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    cluster.catches_up("s2", "s1").await;
    let before = process(&cluster, "s2").await;
    let mut holder = cluster.root("s2").await;
    holder.execute("LOCK TABLES app.t READ", LONG).await.unwrap();
    cluster.sql("s1", "INSERT INTO app.t VALUES (1)").await;
    let client = manager.client().await;
    let restart = client.restart(cluster.name(), restart_of(&cluster, "s2"));
    let fails_over = async {
        eventually(LONG, "it receives no more", async || {
            cluster.replica_status("s2", "Replica_IO_Running").await.as_deref() == Some("No")
        })
        .await;
        cluster.kill("s1").await;
        eventually(LONG, "the failover is under way", async || {
            manager.history().await.iter().any(|entry| entry.kind == "failover")
        })
        .await;
        holder.execute("UNLOCK TABLES", LONG).await.unwrap();
        manager.has_done(primacy_plan::OperationKind::Failover, LONG).await
    };
    let (done, winner) = tokio::join!(restart, fails_over);
    assert_eq!(cluster.name_of(&winner).as_deref(), Some("s2"));
    let why = done.unwrap_err().message;
    assert!(why.contains("it was not shut down"), "{why}");
    assert_eq!(process(&cluster, "s2").await, before, "{}", manager.log());
    assert_eq!(cluster.writable().await, ["s2"]);
    assert_eq!(cluster.cell("s2", "SELECT COUNT(*) FROM app.t").await.as_deref(), Some("1"));
}

/// Its agent is away: nothing shuts it down, and it goes on acknowledging.
async fn a_replica_that_cannot_be_shut_down_receives_again(server: &str) {
    let cluster = cluster(server).semi_sync(1).with_agents().up().await;
    let mut agents = Agents::start(PROGRAM, &cluster).await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    in_force(&manager).await;
    agents.stop("s3").await;
    let order =
        RestartOrder { limit: primacy_types::Millis::from_secs(3), ..restart_of(&cluster, "s3") };
    let client = manager.client().await;
    let why = client.restart(cluster.name(), order).await.unwrap_err().message;
    assert!(why.contains("restarting"), "{why}");
    eventually(LONG, "it receives again", async || {
        cluster.replica_status("s3", "Replica_IO_Running").await.as_deref() == Some("Yes")
    })
    .await;
}

/// The next manager starts it.
async fn a_manager_that_dies_while_a_replica_is_down_leaves_nothing_down(server: &str) {
    let cluster = cluster(server).semi_sync(1).with_agents().up().await;
    let _agents = Agents::start(PROGRAM, &cluster).await;
    let place = [("PRIMACY_FAILPOINT", "after:restart-stop")];
    let mut manager = Manager::spawn(PROGRAM, &cluster, &place);
    manager.is_ready().await;
    in_force(&manager).await;
    let before = process(&cluster, "s3").await;
    let client = manager.client().await;
    assert!(client.restart(cluster.name(), restart_of(&cluster, "s3")).await.is_err());
    manager.wait_exit(LONG).await;
    assert!(cluster.try_root("s3").await.is_err(), "it is down");
    let mut next = Manager::spawn(PROGRAM, &cluster, &[]);
    next.is_ready().await;
    eventually(LONG * 2, "the restart is finished", async || {
        restarts(&next).await[0].outcome == Some(Outcome::Done)
    })
    .await;
    assert_ne!(process(&cluster, "s3").await, before);
    cluster.all_replicate(&["s2", "s3"], "s1").await;
    cluster.sql("s3", "SHUTDOWN").await;
    eventually(LONG, "it is down", async || cluster.try_root("s3").await.is_err()).await;
}

on_each_server!(
    a_replica_that_cannot_be_shut_down_receives_again,
    a_manager_that_dies_while_a_replica_is_emptied_leaves_it_receiving,
    a_replica_applies_what_it_received_before_it_is_shut_down,
    every_server_is_restarted_and_no_write_is_lost,
);
on_mariadb_first!(
    a_manager_that_dies_while_a_replica_is_down_leaves_nothing_down,
    a_replica_that_becomes_the_primary_meanwhile_is_not_shut_down,
    a_restart_is_finished_without_the_one_who_asked,
    two_restarts_follow_each_other,
);
