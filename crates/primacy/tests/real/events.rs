//! Scheduled events run on the primary and nowhere else.

use primacy_plan::OperationKind::Failover;
use primacy_testkit::{Cluster, Manager, cluster, eventually};

use crate::{LONG, PROGRAM, on_each_server, on_mysql_5_6};

async fn runs(cluster: &Cluster, server: &str) -> Option<bool> {
    let sql = "SELECT STATUS FROM information_schema.EVENTS WHERE EVENT_NAME = 'nightly'";
    Some(cluster.cell(server, sql).await? == "ENABLED")
}

/// Waits until the event runs on this server, and on no other that lives.
async fn runs_only_on(cluster: &Cluster, primary: &str) {
    for server in cluster.names() {
        let what = format!("the event runs on {primary} and not on others: {server}");
        eventually(LONG, &what, async || {
            runs(cluster, &server).await.is_none_or(|runs| runs == (server == primary))
        })
        .await;
    }
}

async fn scheduled_events_follow_the_role(server: &str) {
    let cluster = cluster(server).up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    cluster.sql("s1", "CREATE EVENT app.nightly ON SCHEDULE EVERY 1 DAY DO SELECT 1").await;
    cluster.sql("s1", "CREATE EVENT app.off ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1").await;
    cluster.catches_up("s2", "s1").await;
    cluster.catches_up("s3", "s1").await;
    runs_only_on(&cluster, "s1").await;
    manager.switchover(Some(cluster.address("s2"))).await;
    runs_only_on(&cluster, "s2").await;
    cluster.is_whole("s2").await;
    cluster.kill("s2").await;
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    runs_only_on(&cluster, &winner).await;
}

on_each_server!(scheduled_events_follow_the_role);
on_mysql_5_6!(scheduled_events_follow_the_role);
