//! What a rebuild must not cost: transactions that only its server has, a failover, rows of events.

use primacy_api::{RestartOrder, Service as _};
use primacy_store::Outcome;
use primacy_testkit::{Agents, Cluster, Manager, eventually};
use primacy_types::Millis;

use crate::rebuild::{REBUILT, begin, ended, is_possible, order, rebuilt, three_with, view};
use crate::restarting::process;
use crate::{LONG, PROGRAM, on_each_server, on_mariadb_first};

/// Three servers whose commits wait for nobody.
async fn three_without_semi_sync(server: &str) -> Option<(Cluster, Agents, Manager)> {
    if !is_possible(server) {
        return None;
    }
    let mut builder = primacy_testkit::cluster(server).with_agents();
    if server.starts_with("mysql") {
        builder = builder.option("plugin_load_add = mysql_clone.so");
    }
    let cluster = builder.up().await;
    let agents = Agents::start(PROGRAM, &cluster).await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    Some((cluster, agents, manager))
}

async fn receives(cluster: &Cluster, server: &str, yes: &str) {
    eventually(LONG, &format!("the receiver of {server} runs: {yes}"), async || {
        cluster.replica_status(server, "Replica_IO_Running").await.as_deref() == Some(yes)
    })
    .await;
}

async fn was_told(manager: &Manager, operation: &str, what: &str) {
    eventually(REBUILT, what, async || {
        let told = manager.operation(operation).await.timeline;
        told.iter().any(|event| event.text.contains(what))
    })
    .await;
}

/// Beside the primary one server only has a row. It is not shut down for its new data, nor by a restart
/// while it does not apply what it has.
async fn what_no_other_replica_has_is_not_put_aside(server: &str) {
    let Some((cluster, _agents, manager)) = three_without_semi_sync(server).await else { return };
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    cluster.catches_up("s2", "s1").await;
    cluster.catches_up("s3", "s1").await;
    cluster.say("s2", "STOP SLAVE IO_THREAD", "STOP REPLICA IO_THREAD").await;
    cluster.sql("s1", "INSERT INTO app.t VALUES (1)").await;
    cluster.catches_up("s3", "s1").await;
    let before = process(&cluster, "s3").await;
    let mut wanted = order(&cluster, "s3");
    wanted.from = Some(cluster.address("s1"));
    let operation = begin(&manager, &cluster, wanted).await;
    was_told(&manager, &operation, "has not received").await;
    receives(&cluster, "s3", "Yes").await;
    assert_eq!(process(&cluster, "s3").await, before, "it was shut down with what only it has");
    cluster.say("s2", "START SLAVE IO_THREAD", "START REPLICA IO_THREAD").await;
    let view = ended(&manager, &cluster, &operation).await;
    assert_eq!(view.outcome, Some(Outcome::Done), "{view:?}");

    cluster.delay("s3").await;
    receives(&cluster, "s3", "Yes").await;
    cluster.say("s2", "STOP SLAVE IO_THREAD", "STOP REPLICA IO_THREAD").await;
    cluster.sql("s1", "INSERT INTO app.t VALUES (2)").await;
    let before = process(&cluster, "s3").await;
    manager.has_looked_again(&cluster.address("s3")).await;
    let restart =
        RestartOrder { server: cluster.address("s3"), dry_run: false, limit: Millis::from_secs(2) };
    let failed = manager.client().await.restart(cluster.name(), restart).await.unwrap_err();
    assert!(failed.message.contains("has not received"), "{failed:?}");
    assert_eq!(process(&cluster, "s3").await, before);
    receives(&cluster, "s3", "Yes").await;
}

/// The copy waits, for nobody else could take over from the primary; then that is what is needed.
async fn a_failover_is_not_held_by_a_rebuild_that_waits(server: &str) {
    let Some((cluster, _agents, manager)) = three_without_semi_sync(server).await else { return };
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    let mut slowly = order(&cluster, "s3");
    (slowly.rate, slowly.from) = (Some(8 << 20), Some(cluster.address("s1")));
    let operation = begin(&manager, &cluster, slowly).await;
    let moves = async || view(&manager, &cluster, &operation).await.bytes > 0;
    eventually(REBUILT, "something is copied", moves).await;
    cluster.kill("s2").await;
    was_told(&manager, &operation, "nobody else could take over").await;
    cluster.catches_up("s3", "s1").await;
    cluster.kill("s1").await;
    let winner = manager.has_done(primacy_plan::OperationKind::Failover, LONG).await;
    assert_eq!(winner, cluster.address("s3"));
    assert!(!manager.log().contains("HELD"), "{}", manager.log());
    let view = ended(&manager, &cluster, &operation).await;
    assert_eq!(view.outcome, Some(Outcome::BackedOut), "{view:?}");
    cluster.sql("s3", "INSERT INTO app.t VALUES (1)").await;
}

/// Those of the primary are enabled in its copy.
async fn a_copy_of_the_primary_runs_none_of_its_events(server: &str) {
    let with = |builder: primacy_testkit::Builder| builder.option("event_scheduler = ON");
    let Some((cluster, _agents, manager)) = three_with(server, with).await else { return };
    cluster.sql("s1", "CREATE TABLE app.t (id VARCHAR(40))").await;
    let event =
        "CREATE EVENT app.often ON SCHEDULE EVERY 1 SECOND DO INSERT INTO app.t VALUES (UUID())";
    cluster.sql("s1", event).await;
    eventually(LONG, "rows come", async || {
        cluster.cell("s3", "SELECT COUNT(*) > 0 FROM app.t").await.as_deref() == Some("1")
    })
    .await;
    let mut wanted = order(&cluster, "s3");
    wanted.from = Some(cluster.address("s1"));
    rebuilt(&manager, &cluster, wanted).await;
    let state = "SELECT STATUS FROM information_schema.EVENTS WHERE EVENT_NAME = 'often'";
    let state = cluster.cell("s3", state).await.unwrap();
    assert!(["SLAVESIDE_DISABLED", "REPLICA_SIDE_DISABLED"].contains(&state.as_str()), "{state}");
}

on_each_server!(a_copy_of_the_primary_runs_none_of_its_events);
on_mariadb_first!(
    what_no_other_replica_has_is_not_put_aside,
    a_failover_is_not_held_by_a_rebuild_that_waits,
);
