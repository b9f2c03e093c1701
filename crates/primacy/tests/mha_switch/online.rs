//! The role moves while both servers live.

use super::application::Application;
use crate::on_servers;

/// MHA: a configuration without the primary and one with it alone are refused; the right one works,
/// and the old primary is no replica afterwards.
async fn t_online_normal(server: &str) {
    let app = Application::up(server).await;
    app.configure("err1.cnf", &["s2", "s3"]);
    app.configure("err2.cnf", &["s1"]);
    let words = ["--master_state=alive", "--interactive=0"];
    app.switch_with("err1.cnf", &words, "").await.is(1, "not in the configuration");
    let err2 = app.switch_with("err2.cnf", &words, "").await;
    assert_eq!(err2.code, Some(1), "{err2:#?}");
    app.is_untouched().await;

    let ran = app.online(&[]).await;
    ran.is(0, "the role moved");
    assert_eq!(app.cluster.writable().await, ["s2"]);
    app.cluster.all_replicate(&["s3"], "s2").await;
    app.have(2, &["s1", "s2", "s3"]).await;
    assert_eq!(app.cluster.source_of("s1").await, None, "it was left alone");
    app.insert("s2", 3).await;
    app.have(3, &["s2", "s3"]).await;
    app.have(2, &["s1"]).await;
}

/// MHA: with `--orig_master_is_new_slave` the old primary replicates from the new one.
async fn t_online_slave(server: &str) {
    let app = Application::up(server).await;
    let ran = app.online(&["--orig_master_is_new_slave"]).await;
    ran.is(0, "the role moved");
    app.cluster.is_whole("s2").await;
    app.have(2, &["s1", "s2", "s3"]).await;
    app.insert("s2", 3).await;
    app.have(3, &["s1", "s2", "s3"]).await;
    // And back, to one that is named, asking.
    let answers = "no\nnowhere\n127.0.0.1:1\n\n";
    let words = ["--master_state=alive", "--orig_master_is_new_slave"];
    let ran = app.switch_with("app1.cnf", &words, answers).await;
    ran.is(1, "no other server was named");
    assert!(ran.out.contains("(yes/NO): "), "{ran:#?}");
    app.cluster.is_whole("s2").await;
    let s1 = app.cluster.address("s1");
    let ran = app.switch_with("app1.cnf", &words, &format!("no\n{s1}\nyes\n")).await;
    ran.is(0, "the role moved");
    app.cluster.is_whole("s1").await;
}

/// MHA: refused while the SQL thread of a replica is stopped; it works after that.
async fn t_online_slave_sql_stop(server: &str) {
    let app = Application::up(server).await;
    app.cluster.stop_applier("s3").await;
    app.online(&[]).await.is(1, "the SQL thread of");
    assert_eq!(app.cluster.writable().await, ["s1"]);
    app.cluster.start_applier("s3").await;
    app.cluster.all_replicate(&["s2", "s3"], "s1").await;
    app.online(&["--remove_orig_master_conf"]).await.is(0, "the role moved");
    assert_eq!(app.cluster.writable().await, ["s2"]);
    app.have(2, &["s1", "s2", "s3"]).await;
    let conf = std::fs::read_to_string(app.conf("app1.cnf")).unwrap();
    assert!(!conf.contains("[server1]") && conf.contains("[server2]"), "{conf}");
    assert!(conf.starts_with("# The application.\n"), "{conf}");
}

on_servers!(t_online_normal, t_online_slave, t_online_slave_sql_stop);

/// Without `repl_user` replicas keep the account with which they log in, where the server says which one
/// that is: MySQL does. The old primary, which has none, is given it too.
async fn without_repl_user_replicas_keep_their_account(server: &str) {
    let app = Application::up(server).await;
    let conf = std::fs::read_to_string(app.conf("app1.cnf")).unwrap();
    let without = |line: &&str| !line.starts_with("repl_");
    let lines: Vec<&str> = conf.lines().filter(without).collect();
    std::fs::write(app.conf("app1.cnf"), lines.join("\n")).unwrap();
    let user = async |server: &str| app.cluster.replica_status(server, "Source_User").await;
    let before = user("s3").await;
    assert!(before.is_some());
    let ran = app.online(&["--orig_master_is_new_slave"]).await;
    ran.is(0, "replicas go on logging in as `");
    app.cluster.is_whole("s2").await;
    for replica in ["s1", "s3"] {
        assert_eq!(user(replica).await, before, "{replica}");
    }
}

/// A server with GTIDs whose replicas go on by position, as `use_gtid_auto_pos=0` wants them to: they
/// stay as they are.
async fn replicas_by_position_stay_as_they_are(server: &str) {
    let app = Application::up(server).await;
    app.configure_with("app1.cnf", &["s1", "s2", "s3"], "use_gtid_auto_pos=0\n");
    for replica in ["s2", "s3"] {
        app.cluster.catches_up(replica, "s1").await;
        for sql in [
            "STOP REPLICA",
            "CHANGE REPLICATION SOURCE TO SOURCE_AUTO_POSITION = 0",
            "START REPLICA",
        ] {
            app.cluster.sql(replica, sql).await;
        }
    }
    app.cluster.all_replicate(&["s2", "s3"], "s1").await;
    let ran = app.online(&["--orig_master_is_new_slave"]).await;
    ran.is(0, "the role moved");
    let by_gtid = app.cluster.replica_status("s3", "Auto_Position").await;
    assert_eq!(by_gtid.as_deref(), Some("0"), "{ran:#?}");
    app.cluster.is_whole("s2").await;
    app.insert("s2", 3).await;
    app.have(3, &["s1", "s2", "s3"]).await;
}

primacy_testkit::on_servers!(
    [mysql_9_7],
    [],
    without_repl_user_replicas_keep_their_account,
    replicas_by_position_stay_as_they_are
);
