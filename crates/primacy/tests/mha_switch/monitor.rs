//! A primary is watched until it is dead.

use primacy_testkit::eventually;

use super::application::{Application, LONG, answered};
use crate::on_servers;

async fn a_dead_primary_ends_the_monitor(server: &str) {
    let app = Application::up(server).await;
    let words = ["--interactive=0", "--skip_check_ssh"];
    let monitor = app.start("masterha_master_monitor", &words);
    let pid = monitor.id();
    let status = app.workdir().join("app1.master_status.health");
    eventually(LONG, "it watches", async || {
        let line = std::fs::read_to_string(&status).unwrap_or_default();
        line == format!("{pid}\t0:PING_OK\tmaster:127.0.0.1")
    })
    .await;
    // One is enough, and nobody switches meanwhile.
    let second = app.start("masterha_master_monitor", &words);
    answered(second, String::new()).await.is(1, "is watched already");
    app.online(&[]).await.is(1, "masterha_stop");
    app.is_untouched().await;

    app.cluster.kill("s1").await;
    let ran = answered(monitor, String::new()).await;
    let port = app.cluster.address("s1").port();
    ran.is(20, &format!("Dead master port: {port}"));
    assert!(!status.exists(), "the status file is removed");
    assert!(app.cluster.writable().await.is_empty(), "nothing was done about it");

    // It is dead already: somebody is asked.
    let again = |answer: &str| {
        let child = app.start("masterha_master_monitor", &["--skip_check_ssh"]);
        answered(child, answer.to_owned())
    };
    again("no\n").await.is(1, "is dead already");
    again("yes\n").await.is(20, "Dead master host: 127.0.0.1");
}

/// While somebody else reaches the primary it is not reported as dead.
async fn other_hosts_are_asked_before_it_is_reported(server: &str) {
    let app = Application::up(server).await;
    let (answer, asked) = (app.conf("answer"), app.conf("asked"));
    std::fs::write(&answer, "3").unwrap();
    let text = format!("echo asked >> {}\nexit $(cat {})\n", asked.display(), answer.display());
    let script = app.script("script", &text);
    let lines = format!("secondary_check_script={script} -s db8\n");
    app.configure_with("app1.cnf", &["s1", "s2", "s3"], &lines);
    let mut monitor =
        app.start("masterha_master_monitor", &["--interactive=0", "--skip_check_ssh"]);
    let status = app.workdir().join("app1.master_status.health");
    let says = async |token: &str| {
        eventually(LONG, token, async || {
            std::fs::read_to_string(&status).unwrap_or_default().contains(token)
        })
        .await;
    };
    says("0:PING_OK").await;
    app.cluster.freeze("s1").await;
    says("20:PING_FAILING").await;
    eventually(LONG, "the script was asked", async || {
        std::fs::read_to_string(&asked).unwrap_or_default().lines().count() > 2
    })
    .await;
    assert!(monitor.try_wait().unwrap().is_none(), "somebody reaches it");
    std::fs::write(&answer, "0").unwrap();
    answered(monitor, String::new()).await.is(20, "Dead master port");
    app.cluster.thaw("s1").await;
}

on_servers!(a_dead_primary_ends_the_monitor, other_hosts_are_asked_before_it_is_reported);
