//! What the manager shows, finds and writes down.

use primacy_plan::Diagnosis;
use primacy_plan::OperationKind::Failover;
use primacy_testkit::{Manager, cluster, eventually};

use crate::{LONG, PROGRAM, on_each_server, on_mysql_5_6};

async fn check_finds_what_is_wrong_until_it_is_mended(server: &str) {
    let cluster = cluster(server).semi_sync(1).up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let codes = async || {
        let report = manager.check().await;
        report.findings.iter().map(|finding| format!("{finding:?}")).collect::<Vec<_>>()
    };
    let before = codes().await;
    println!("{server}: {before:#?} {:#?}", manager.check().await.incomplete);
    cluster.stop_applier("s2").await;
    let at = cluster.address("s2").to_string();
    let is_found = async || {
        let after = codes().await;
        after.iter().any(|finding| !before.contains(finding) && finding.contains(&at))
    };
    eventually(LONG, "check finds the applier that stands", is_found).await;
    cluster.start_applier("s2").await;
    eventually(LONG, "check finds it no more", async || codes().await == before).await;
}

async fn no_password_is_written_or_told_anywhere(server: &str) {
    let cluster = cluster(server).semi_sync(1).up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    manager.switchover(Some(cluster.address("s2"))).await;
    cluster.is_whole("s2").await;
    cluster.kill("s2").await;
    manager.has_done(Failover, LONG).await;

    let mut told = vec![("log", manager.log())];
    told.push(("explain", serde_json::to_string(&manager.explain().await).unwrap()));
    told.push(("status", serde_json::to_string(&manager.view().await).unwrap()));
    told.push(("check", serde_json::to_string(&manager.check().await).unwrap()));
    for operation in manager.history().await {
        let detail = manager.operation(operation.id.as_str()).await;
        told.push(("operation", serde_json::to_string(&detail).unwrap()));
    }
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    for file in ["cmdline", "environ"] {
        let path = format!("/proc/{}/{file}", manager.pid());
        told.push((file, text(std::fs::read(path).unwrap())));
    }
    for entry in std::fs::read_dir(cluster.config().with_file_name("state")).unwrap() {
        // The socket cannot be read.
        if let Ok(bytes) = std::fs::read(entry.unwrap().path()) {
            told.push(("state folder", text(bytes)));
        }
    }
    assert!(told.iter().filter(|(place, _)| *place == "state folder").count() > 0);
    for (role, password) in cluster.passwords() {
        for (place, text) in &told {
            assert!(!text.contains(&password), "the password of {role:?} stands in: {place}");
        }
    }
}

async fn a_cluster_without_gtid_is_shown_and_its_failover_refused(server: &str) {
    let cluster = cluster(server).without_gtid().up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    assert_eq!(manager.view().await.health, "healthy");
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    eventually(LONG, "every server is shown with its position", async || {
        manager.view().await.servers.iter().all(|server| server.position.is_some())
    })
    .await;
    cluster.kill("s1").await;
    manager
        .diagnoses("it says that the primary is dead", |d| {
            matches!(d, Diagnosis::PrimaryDead { .. })
        })
        .await;
    eventually(LONG, "it says why it does nothing", async || {
        manager.log().contains("it does not replicate by GTID")
    })
    .await;
    manager.has_done_nothing().await;
    assert!(cluster.writable().await.is_empty());
    let order = primacy_api::FailoverOrder { force: true, ..Default::default() };
    let refused = manager.try_failover(order).await.unwrap_err();
    assert!(format!("{refused:?}").contains("GTID"), "{refused:?}");
    cluster.start("s1").await;
    eventually(LONG, "the primary serves again", async || cluster.writable().await == ["s1"]).await;
}

on_each_server!(
    check_finds_what_is_wrong_until_it_is_mended,
    no_password_is_written_or_told_anywhere,
    a_cluster_without_gtid_is_shown_and_its_failover_refused,
);
on_mysql_5_6!(a_cluster_without_gtid_is_shown_and_its_failover_refused);
