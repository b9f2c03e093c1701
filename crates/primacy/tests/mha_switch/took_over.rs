//! A dead primary is replaced by hand.

use super::application::Application;
use crate::on_servers;

/// MHA: refused while the primary lives; refused while a replica is down too; works when it is back.
async fn t_manual(server: &str) {
    let app = Application::up(server).await;
    app.fail_over("s1", &["--interactive=0"], "").await.is(1, "is not dead");
    app.fail_over("s1", &[], "yes\nyes\n").await.is(1, "is not dead");
    app.is_untouched().await;
    app.cluster.kill("s2").await;
    app.fail_over("s1", &["--interactive=0"], "").await.is(1, "is not dead");
    app.cluster.kill("s1").await;
    app.fail_over("s1", &["--interactive=0"], "").await.is(1, "dead");
    assert!(app.cluster.writable().await.is_empty(), "nothing was done");
    app.cluster.start("s2").await;
    let log = app.workdir().join("app1.log");
    let ran = app.fail_over("s1", &["--interactive=0"], "").await;
    let told = std::fs::read_to_string(log).unwrap_or_default();
    assert_eq!(ran.code, Some(0), "{ran:#?}\n{told}");
    assert_eq!(app.cluster.writable().await, ["s2"]);
    app.insert("s2", 3).await;
    app.have(3, &["s2", "s3"]).await;
    assert!(app.workdir().join("app1.failover.complete").exists());
    for (_, password) in app.cluster.passwords() {
        assert!(!told.contains(&password), "a password in the log");
    }
}

/// The person is asked whether the primary is dead and whether the pair is right, and names another
/// server by host and port. The next failover is locked out.
async fn who_is_asked_decides(server: &str) {
    let app = Application::up(server).await;
    app.cluster.kill("s1").await;
    app.fail_over("s1", &[], "").await.is(1, "the input ended");
    app.fail_over("s1", &[], "no\n").await.is(1, "not agreed to");
    assert!(app.cluster.writable().await.is_empty(), "nothing was done");
    let (s1, s3) = (app.cluster.address("s1"), app.cluster.address("s3"));
    let answers = format!("yes\nno\n{s1}\n{s3}\nyes\n");
    let ran = app.fail_over("s1", &["--remove_dead_master_conf"], &answers).await;
    ran.is(0, "is the current primary: name another server");
    assert_eq!(app.cluster.writable().await, ["s3"]);
    app.cluster.all_replicate(&["s2"], "s3").await;
    app.have(2, &["s2", "s3"]).await;
    let conf = std::fs::read_to_string(app.conf("app1.cnf")).unwrap();
    assert!(!conf.contains("[server1]") && conf.contains("[server3]"), "{conf}");

    app.configure("app1.cnf", &["s2", "s3"]);
    app.fail_over("s3", &["--interactive=0"], "").await.is(1, "--ignore_last_failover");
    app.fail_over("s3", &["--interactive=0", "--ignore_last_failover"], "")
        .await
        .is(1, "is not dead");
}

/// The scripts of the application are called, by both ways, with what MHA tells them.
async fn scripts_are_called(server: &str) {
    let app = Application::up(server).await;
    let calls = app.conf("calls");
    let script = app.script("script", &format!("echo \"$@\" >> {}\n", calls.display()));
    let lines = format!(
        "master_ip_failover_script={script} failover\nmaster_ip_online_change_script={script} online\n\
         report_script={script} report\n"
    );
    app.configure_with("app1.cnf", &["s1", "s2", "s3"], &lines);
    let called = |what: &[&str]| {
        let all = std::fs::read_to_string(&calls).unwrap_or_default();
        let found = all.lines().any(|line| what.iter().all(|word| line.contains(word)));
        assert!(found, "no call with {what:?}:\n{all}");
    };
    app.online(&["--orig_master_is_new_slave"]).await.is(0, "the role moved");
    let port = |server: &str| app.cluster.address(server).port();
    let old = format!("--orig_master_port={}", port("s1"));
    let new = format!("--new_master_port={}", port("s2"));
    called(&["online", "--command=stop", &old, &new, "--orig_master_is_new_slave"]);
    called(&["online", "--command=start", &old, &new, "--orig_master_is_new_slave"]);
    app.cluster.is_whole("s2").await;

    app.cluster.kill("s2").await;
    let ran = app.fail_over("s2", &["--interactive=0"], "").await;
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let old = format!("--orig_master_port={}", port("s2"));
    called(&["failover", "--command=stop", &old]);
    called(&["failover", "--command=start", &old, "--new_master_host="]);
    called(&["report", "--new_master_host=", "--conf=", "--subject="]);
    let told = std::fs::read_to_string(app.conf("app1.log")).unwrap();
    for (_, password) in app.cluster.passwords() {
        assert!(!told.contains(&password), "a password in the log");
    }
}

on_servers!(t_manual, who_is_asked_decides, scripts_are_called);
