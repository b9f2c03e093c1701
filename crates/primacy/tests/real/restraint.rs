//! What is no death, and so must not cause a failover.

use std::time::Duration;

use primacy_plan::Diagnosis;
use primacy_plan::OperationKind::{Failover, Reopen};
use primacy_testkit::{Cluster, Manager, cluster, eventually};
use primacy_types::ContactFailure;
use primacy_wire::Session;

use crate::{LONG, PROGRAM, on_each_server, on_mariadb_first, on_mysql_5_6};

const LIMIT: Duration = Duration::from_secs(10);

/// Ends every session of the manager on a server, as a person with KILL would.
async fn end_the_managers_sessions(root: &mut Session) {
    let list = root.query("SHOW PROCESSLIST", LIMIT).await.unwrap();
    for row in list.iter().filter(|row| row.get("User") == Some("primacy")) {
        let kill = format!("KILL {}", row.get("Id").unwrap());
        // It may have gone meanwhile.
        let _ = root.execute(&kill, LIMIT).await;
    }
}

/// The manager has been refused for so long that a silent primary would count as dead, and has
/// done nothing.
async fn is_refused_and_does_nothing(
    manager: &Manager,
    cluster: &Cluster,
    root: &mut Session,
    how: &str,
) {
    manager.has_looked_in_vain(&cluster.address("s1")).await;
    let what = format!("it says that the primary refuses it ({how})");
    manager
        .diagnoses(&what, |diagnosis| match diagnosis {
            Diagnosis::PrimaryRefusesUs { answer, .. } => match answer {
                ContactFailure::TooManyConnections => how == "full",
                ContactFailure::AccessDenied(_) => how == "denied",
                _ => false,
            },
            _ => false,
        })
        .await;
    manager.has_done_nothing().await;
    let rows = root.query("SELECT @@global.read_only", LIMIT).await.unwrap();
    assert_eq!(rows.first().and_then(|row| row.at(0)), Some("0"));
}

async fn is_healthy(manager: &Manager) {
    manager.diagnoses("all is well again", |d| matches!(d, Diagnosis::Healthy { .. })).await;
}

async fn a_primary_that_refuses_the_manager_is_not_dead(server: &str) {
    let cluster = cluster(server).timing("ping_interval = \"100ms\"").up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let mut root = cluster.root("s1").await;

    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(cluster.app("s1").await);
    }
    root.execute("SET GLOBAL max_connections = 12", LIMIT).await.unwrap();
    end_the_managers_sessions(&mut root).await;
    is_refused_and_does_nothing(&manager, &cluster, &mut root, "full").await;
    root.execute("SET GLOBAL max_connections = 100", LIMIT).await.unwrap();
    is_healthy(&manager).await;
    drop(idle);

    root.execute("SET SESSION sql_log_bin = 0", LIMIT).await.unwrap();
    let change = if server == "mysql-5.6" {
        "SET PASSWORD FOR primacy@'%' = PASSWORD('another')"
    } else {
        "ALTER USER primacy@'%' IDENTIFIED BY 'another'"
    };
    root.execute(change, LIMIT).await.unwrap();
    end_the_managers_sessions(&mut root).await;
    is_refused_and_does_nothing(&manager, &cluster, &mut root, "denied").await;
}

async fn replicas_that_lag_are_no_reason_and_a_pause_holds(server: &str) {
    let cluster = cluster(server).timing("ping_interval = \"100ms\"").up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    for replica in ["s2", "s3"] {
        cluster.stop_applier(replica).await;
    }
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    let both_stand = |d: &Diagnosis| match d {
        Diagnosis::Degraded { problems, .. } => problems.len() == 2,
        _ => false,
    };
    manager.diagnoses("it says that both appliers stand", both_stand).await;
    manager.has_done_nothing().await;
    for replica in ["s2", "s3"] {
        cluster.start_applier(replica).await;
    }
    is_healthy(&manager).await;

    manager.pause().await;
    cluster.kill("s1").await;
    manager
        .diagnoses("it says that the primary is dead", |d| {
            matches!(d, Diagnosis::PrimaryDead { .. })
        })
        .await;
    manager.has_looked_in_vain(&cluster.address("s1")).await;
    manager.has_done_nothing().await;
    manager.resume().await;
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    cluster.others_replicate(&["s1"], &winner).await;
    assert_eq!(cluster.writable().await, [winner]);
}

async fn a_primary_that_somebody_shut_down_is_waited_for(server: &str) {
    let wait = "on_clean_shutdown = \"wait 30s\"";
    let cluster = cluster(server).policy(wait).up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let is_stopped = |d: &Diagnosis| matches!(d, Diagnosis::PrimaryStopped { .. });
    cluster.stop("s1").await;
    manager.diagnoses("it says that somebody shut the primary down", is_stopped).await;
    manager.has_done_nothing().await;
    cluster.start("s1").await;
    assert_eq!(cluster.name_of(&manager.has_done(Reopen, LONG).await).unwrap(), "s1");
    cluster.is_whole("s1").await;
    is_healthy(&manager).await;

    cluster.change_config(wait, "on_clean_shutdown = \"wait 2s\"");
    manager.reload();
    eventually(LONG, "the changed wait is in force", async || {
        manager.log().contains("the changed configuration is in force")
    })
    .await;
    is_healthy(&manager).await;
    cluster.stop("s1").await;
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    cluster.others_replicate(&["s1"], &winner).await;
    assert_eq!(cluster.writable().await, [winner]);
}

on_each_server!(a_primary_that_refuses_the_manager_is_not_dead);
on_mariadb_first!(
    replicas_that_lag_are_no_reason_and_a_pause_holds,
    a_primary_that_somebody_shut_down_is_waited_for,
);
on_mysql_5_6!(
    a_primary_that_refuses_the_manager_is_not_dead,
    replicas_that_lag_are_no_reason_and_a_pause_holds,
    a_primary_that_somebody_shut_down_is_waited_for,
);
