//! SQL threads that stand still, replicas that may be left behind, and who is preferred.

use super::site::{ALL, M, S1, S2, S3, S4, SLAVES, Site};

const IGNORED: [(&str, &str); 2] = [(S3, "ignore_fail=1"), (S4, "ignore_fail=1")];

/// The SQL thread of S1 failed: refused until the row is mended and the thread runs.
async fn t_slave_sql_start2(server: &str) {
    let site = Site::up(server).await;
    site.insert_here_only(S1, 2).await;
    site.insert(M, 2).await;
    site.have(2, &SLAVES).await;
    site.insert_all(M, 3..=5).await;
    site.have(5, &[S2, S3, S4]).await;
    primacy_testkit::eventually(super::site::LONG, "S1 stumbles", async || {
        site.cluster.replica_status(S1, "Replica_SQL_Running").await.as_deref() == Some("No")
    })
    .await;
    site.check_repl("app1.cnf", &[]).await.is_refused("NOT OK");
    site.cluster.kill(M).await;
    site.manager("app1.cnf", &[]).await.is_refused("does not replicate");
    site.fail_over("app1.cnf", M, &[]).await.is_refused("has failed");
    site.are_on(&SLAVES, M).await;
    site.here_only(S1, "DELETE FROM app.t1 WHERE id = 2").await;
    site.cluster.start_applier(S1).await;
    site.have(5, &[S1]).await;
    site.manager("app1.cnf", &[]).await.succeeds();
    site.serves(S1, &[S2, S3, S4], 5).await;
}

/// The SQL thread of S2 was stopped by somebody, and a row waits that it will stumble over: the
/// others have everything.
async fn t_slave_sql_start3(server: &str) {
    let site = Site::up(server).await;
    site.cluster.stop_applier(S2).await;
    site.insert_here_only(S2, 2).await;
    site.insert_all(M, 2..=3).await;
    site.have(3, &[S1, S3, S4]).await;
    site.cluster.kill(M).await;
    site.manager("app1.cnf", &[]).await.ends(10, "does not replicate from the new master");
    site.serves(S1, &[S3, S4], 3).await;
    site.have(2, &[S2]).await;
}

/// A dead server with `ignore_fail` is refused at the start, unless that is said there too.
async fn t_ignore_nostart(server: &str) {
    let site = Site::up(server).await;
    site.configure_each("app1.cnf", &ALL, "", &IGNORED);
    site.cluster.kill(S4).await;
    site.manager("app1.cnf", &[]).await.is_refused("is dead, but must be alive");
    site.check_repl("app1.cnf", &["--ignore_fail_on_start"]).await.succeeds();
    site.cluster.kill(M).await;
    site.manager("app1.cnf", &[]).await.is_refused("is dead, but must be alive");
    site.are_on(&[S1, S2, S3], M).await;
    site.manager("app1.cnf", &["--ignore_fail_on_start"]).await.succeeds();
    site.serves(S1, &[S2, S3], 1).await;
}

/// S4 dies before the primary: it is left behind.
async fn t_ignore_recovery1(server: &str) {
    let site = Site::up(server).await;
    site.configure_each("app1.cnf", &ALL, "", &IGNORED);
    site.insert(M, 2).await;
    site.have(2, &ALL).await;
    let manager = site.watching(&[]).await;
    site.cluster.kill(S4).await;
    site.insert(M, 3).await;
    site.have(3, &[S1, S2, S3]).await;
    site.cluster.kill(M).await;
    site.ended(manager).await.succeeds();
    site.serves(S1, &[S2, S3], 3).await;
    site.cluster.start(S4).await;
    site.are_on(&[S4], M).await;
    site.have(2, &[S4]).await;
}

async fn nobody_kept_relay_logs(server: &str, behind: &[&str]) {
    let options = ["relay_log_purge = ON", "max_relay_log_size = 8192"];
    let Some(site) = Site::over_ssh_with(server, &options).await else { return };
    site.configure_each("app1.cnf", &ALL, "", &IGNORED);
    site.settle().await;
    for slave in behind {
        site.stop_receiver(slave).await;
    }
    site.insert_all(M, 2..=300).await;
    let with: Vec<&str> = SLAVES.into_iter().filter(|slave| !behind.contains(slave)).collect();
    site.have(300, &with).await;
    site.cluster.kill(M).await;
    site.manager("app1.cnf", &[]).await.succeeds();
    site.serves(S1, &[S2], 300).await;
    // The disk of the primary, or the winner's log, has what their siblings' relay logs have not.
    site.serves(S1, behind, 300).await;
}

/// S3 lacks rows that no relay log has any more, and may be left behind.
async fn t_ignore_recovery2(server: &str) {
    nobody_kept_relay_logs(server, &[S3]).await;
}

/// The same for S3 and S4.
async fn t_ignore_recovery3(server: &str) {
    nobody_kept_relay_logs(server, &[S3, S4]).await;
}

/// The new primary has much to apply before it is opened.
async fn t_new_master_heavy_wait(server: &str) {
    let site = Site::up(server).await;
    site.configure("app1.cnf", &ALL, "check_repl_delay=0");
    site.set_read_only(S1, true).await;
    let manager = site.watching(&[]).await;
    site.cluster.stop_applier(S1).await;
    let double = "INSERT INTO app.t1 SELECT id + (SELECT MAX(id) FROM app.t1), v FROM app.t1";
    let mut root = site.cluster.root(M).await;
    for _ in 0..14 {
        root.execute(double, super::site::LONG).await.unwrap();
    }
    root.close().await;
    site.have(1 << 14, &[S2, S3, S4]).await;
    site.cluster.kill(M).await;
    site.ended(manager).await.succeeds();
    site.serves(S1, &[S2, S3, S4], 1 << 14).await;
}

/// With `latest_priority=0` a candidate that lags is preferred to those that have more.
async fn t_latest_recovery1(server: &str) {
    let Some(site) = Site::over_ssh(server).await else { return };
    site.configure_each("app1.cnf", &ALL, "latest_priority=0", &[(S1, "candidate_master=0")]);
    site.settle().await;
    site.stop_receiver(S1).await;
    site.insert_all(M, 2..=5).await;
    site.have(5, &[S2, S3, S4]).await;
    site.cluster.kill(M).await;
    site.manager("app1.cnf", &[]).await.succeeds();
    site.serves(S1, &[S2, S3, S4], 5).await;
}

/// S1 is behind a rotated binary log and S2 partly behind; nobody is a candidate.
async fn t_latest_recovery2(server: &str) {
    let Some(site) = Site::over_ssh(server).await else { return };
    let each = [(S1, "no_master=1"), (S2, "candidate_master=1")];
    site.configure_each("app1.cnf", &ALL, "latest_priority=0", &each);
    site.settle().await;
    site.stop_receiver(S1).await;
    site.insert_all(M, 2..=3).await;
    site.cluster.sql(M, "FLUSH LOGS").await;
    site.insert(M, 4).await;
    site.have(4, &[S2, S3, S4]).await;
    site.stop_receiver(S2).await;
    site.insert_all(M, 5..=6).await;
    site.have(6, &[S3, S4]).await;
    site.cluster.kill(M).await;
    site.manager("app1.cnf", &[]).await.succeeds();
    site.serves(S2, &[S1, S3, S4], 6).await;
}

crate::short!(t_slave_sql_start2, t_slave_sql_start3, t_ignore_recovery1);

crate::matrix!(
    t_ignore_nostart,
    t_ignore_recovery2,
    t_ignore_recovery3,
    t_new_master_heavy_wait,
    t_latest_recovery1,
    t_latest_recovery2
);
