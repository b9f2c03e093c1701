//! What the manager shows, finds and writes down.

use primacy_plan::OperationKind::Failover;
use primacy_testkit::{Manager, cluster, eventually};

use crate::{LONG, PROGRAM, on_each_server};

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

on_each_server!(
    check_finds_what_is_wrong_until_it_is_mended,
    no_password_is_written_or_told_anywhere,
);
