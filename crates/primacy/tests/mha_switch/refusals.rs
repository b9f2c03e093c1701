//! What a switch is refused for, before anything is touched.

use super::application::{Application, LONG};
use crate::on_servers;
use primacy_testkit::eventually;

async fn a_switch_that_may_do_harm_is_refused(server: &str) {
    let app = Application::up(server).await;
    // Mistakes on the command line.
    app.online(&["--typo=1"]).await.is(1, "unknown option: typo");
    app.switch(&["--master_state=sick"]).await.is(1, "dead or alive");
    app.online(&["--new_master_host=nowhere.invalid"]).await.is(1, "is no server of");
    app.switch(&["--master_state=dead", "--interactive=0"]).await.is(1, "--dead_master_host");
    let port = |server: &str| format!("--new_master_port={}", app.cluster.address(server).port());
    app.online(&["--new_master_host=127.0.0.1", &port("s1")]).await.is(1, "is the current primary");
    // Nobody answers the question.
    app.switch(&["--master_state=alive"]).await.is(1, "the input ended");
    app.is_untouched().await;

    // Only a check.
    let ran = app.online(&["--check_only", "--flush_tables=1", "--skip_lock_all_tables"]).await;
    ran.is(0, "Nothing was done");
    assert!(ran.err.contains("no tables are flushed") && ran.err.contains("no tables are locked"));
    app.is_untouched().await;

    // A manager of MHA's own watches the primary, or fails over a replica.
    for (server, lock, said) in [
        ("s1", "MHA_Master_High_Availability_Monitor", "a manager watches this primary"),
        ("s3", "MHA_Master_High_Availability_Failover", "another failover or switch"),
    ] {
        let mut session = app.cluster.root(server).await;
        session.execute(&format!("SELECT GET_LOCK('{lock}', 1)"), LONG).await.unwrap();
        app.online(&[]).await.is(1, said);
        session.close().await;
    }
    app.is_untouched().await;

    // A long update on the primary, and a long query on the new one.
    let long = |server: &str, sql: &'static str| {
        let login = app.cluster.login(server, primacy_sandbox::AccountRole::Application);
        tokio::spawn(async move {
            let mut session = primacy_wire::Session::connect(&login).await.unwrap();
            drop(session.execute(sql, LONG).await);
        })
    };
    let runs_for = async |server: &str, word: &str| {
        let count = format!(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'app' \
             AND INFO LIKE '{word}%' AND TIME >= 3"
        );
        eventually(LONG, "it runs for long", async || {
            app.cluster.cell(server, &count).await.as_deref() == Some("1")
        })
        .await;
    };
    let update = long("s1", "UPDATE app.t1 SET n = SLEEP(600) WHERE id = 1");
    runs_for("s1", "UPDATE").await;
    app.online(&[]).await.is(1, "--running_updates_limit: 1 s");
    app.end_sessions("s1").await;
    update.await.unwrap();
    let query = long("s2", "SELECT SLEEP(600)");
    runs_for("s2", "SELECT").await;
    app.online(&["--running_seconds_limit=2"]).await.is(1, "--running_seconds_limit: 2 s");
    app.is_untouched().await;
    app.online(&["--running_seconds_limit=600"]).await.is(0, "the role moved");
    app.end_sessions("s2").await;
    query.await.unwrap();
}

impl Application {
    /// Ends what applications run on a server.
    async fn end_sessions(&self, server: &str) {
        let all = "SELECT GROUP_CONCAT(ID) FROM information_schema.PROCESSLIST WHERE USER = 'app'";
        let Some(ids) = self.cluster.cell(server, all).await else { return };
        for id in ids.split(',') {
            let mut root = self.cluster.root(server).await;
            // It may have ended by itself.
            drop(root.execute(&format!("KILL {id}"), LONG).await);
        }
    }
}

on_servers!(a_switch_that_may_do_harm_is_refused);
