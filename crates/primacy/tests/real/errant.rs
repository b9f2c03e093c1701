//! Transactions that a replica wrote itself: shown, written to a file, and made harmless.

use std::path::Path;
use std::process::Stdio;

use primacy_testkit::{Cluster, Manager, cluster, eventually};
use tokio::process::Command;
use tokio::time::timeout;

use crate::tools::mysqlbinlog;
use crate::{LONG, PROGRAM, on_each_server};

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

async fn run(cluster: &Cluster, args: &[&str]) -> Ran {
    let mut command = Command::new(PROGRAM);
    command.args(args).env("PRIMACY_CONFIG", cluster.config()).kill_on_drop(true);
    let output = command.stdin(Stdio::null()).current_dir(cluster.place()).output();
    let output = timeout(LONG, output).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// As an administrator who does not look where he is.
async fn write_on_s2(cluster: &Cluster, id: u32) {
    cluster.say("s2", "DO 0", "SET GLOBAL super_read_only = OFF").await;
    cluster.sql("s2", &format!("INSERT INTO app.t VALUES ({id}, 'slip {id}')")).await;
    cluster.say("s2", "DO 0", "SET GLOBAL super_read_only = ON").await;
}

/// A slip: somebody wrote two rows on a replica.
async fn slip(cluster: &Cluster) {
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY, b TEXT)").await;
    cluster.sql("s1", "INSERT INTO app.t VALUES (1, 'of the primary')").await;
    cluster.catches_up("s2", "s1").await;
    cluster.say("s2", "STOP SLAVE SQL_THREAD", "STOP REPLICA SQL_THREAD").await;
    for id in [100, 101] {
        write_on_s2(cluster, id).await;
    }
    cluster.sql("s1", "INSERT INTO app.t VALUES (2, 'later')").await;
}

async fn export_writes_what_nobody_else_has(server: &str) {
    let cluster = cluster(server).up().await;
    slip(&cluster).await;
    let address = cluster.address("s2").to_string();
    let show = run(&cluster, &["errant", "show"]).await;
    assert!(show.out.contains(&address), "{}{}", show.out, show.err);
    let check = run(&cluster, &["check"]).await;
    assert!(check.out.contains("errant"), "{}", check.out);

    let file = cluster.place().join("errant.binlog");
    let out = file.display().to_string();
    let export = ["errant", "export", &address, "--out", &out];
    let ran = run(&cluster, &export).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert!(ran.out.starts_with("2 transactions, "), "{}", ran.out);
    let shown = run(&cluster, &["binlog", "show", "--transactions", "--json", &out]).await;
    assert_eq!(shown.code, Some(0), "{}{}", shown.out, shown.err);
    assert_eq!(shown.out.lines().count(), 2, "{}", shown.out);
    let text = run(&cluster, &["errant", "export", &address, "--text"]).await;
    let rows = text.out.lines().filter(|line| line.contains("app.t  1 row")).count();
    assert_eq!(rows, 2, "{}", text.out);
    is_what_the_servers_own_program_reads(server, &file).await;

    // A file that is there is not touched, and nothing is left beside it.
    let before = std::fs::read(&file).unwrap();
    let again = run(&cluster, &export).await;
    assert_eq!(again.code, Some(1), "{}", again.err);
    assert!(again.err.contains("is there already"), "{}", again.err);
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert_eq!(run(&cluster, &[&export[..], &["--force"]].concat()).await.code, Some(0));
    assert!(!cluster.place().join("errant.binlog.part").exists());

    // Nobody else has any; a stranger and the dead are named.
    let none = run(&cluster, &["errant", "export", &cluster.address("s3").to_string()]).await;
    assert_eq!(none.code, Some(0), "{}{}", none.out, none.err);
    assert!(none.out.contains("no errant transaction"), "{}", none.out);
    let stranger = run(&cluster, &["errant", "export", "127.0.0.1:1"]).await;
    assert!(stranger.err.contains("no cluster of the configuration has"), "{}", stranger.err);
    cluster.kill("s2").await;
    let dead = run(&cluster, &["errant", "export", &address, "--out", "never"]).await;
    assert_ne!(dead.code, Some(0));
    assert!(dead.err.contains("does not answer"), "{}", dead.err);
    assert!(!cluster.place().join("never").exists());
}

/// Where it is installed.
async fn is_what_the_servers_own_program_reads(server: &str, file: &Path) {
    let Some(mut program) = mysqlbinlog(server) else {
        println!("NOT RUN: there is no mysqlbinlog of {server}");
        return;
    };
    let read = program.arg("--verbose").arg(file).output().await.unwrap();
    let text = String::from_utf8_lossy(&read.stdout);
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    assert!(text.contains("slip 100") && text.contains("slip 101"), "{text}");
}

async fn what_is_purged_is_named_and_not_passed_over(server: &str) {
    let cluster = cluster(server).up().await;
    slip(&cluster).await;
    cluster.sql("s2", "FLUSH BINARY LOGS").await;
    write_on_s2(&cluster, 102).await;
    let rows = cluster.sql("s2", "SHOW BINARY LOGS").await;
    let newest = rows.iter().last().unwrap().at(0).unwrap().to_owned();
    cluster.sql("s2", &format!("PURGE BINARY LOGS TO '{newest}'")).await;
    let address = cluster.address("s2").to_string();
    if cluster.is_mariadb() {
        // Its position says only which was the last; that is there.
        let ran = run(&cluster, &["errant", "export", &address, "--out", "rest"]).await;
        assert!(ran.out.starts_with("1 transaction, "), "{}{}", ran.out, ran.err);
        return;
    }
    let refused = run(&cluster, &["errant", "export", &address, "--out", "rest"]).await;
    assert_eq!(refused.code, Some(1), "{}", refused.out);
    assert!(refused.err.contains("no longer hold"), "{}", refused.err);
    assert!(!cluster.place().join("rest").exists());
    let args = ["errant", "export", &address, "--out", "rest", "--partial"];
    let partial = run(&cluster, &args).await;
    assert_eq!(partial.code, Some(0), "{}{}", partial.out, partial.err);
    assert!(partial.out.starts_with("1 transaction, "), "{}", partial.out);
    assert!(partial.err.contains("no binary log any more"), "{}", partial.err);
}

/// Through the running manager, as the command and its route do it.
async fn empty_transactions_take_their_place(server: &str) {
    let cluster = cluster(server).up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    slip(&cluster).await;
    manager.has_looked_again(&cluster.address("s2")).await;
    manager.has_looked_again(&cluster.address("s1")).await;
    let asked = run(&cluster, &["errant", "inject-empty"]).await;
    assert_ne!(asked.code, Some(0), "nobody was asked: {}", asked.out);
    let done = run(&cluster, &["errant", "inject-empty", "--yes"]).await;
    if cluster.is_mariadb() {
        assert_ne!(done.code, Some(0), "{}", done.out);
        assert!(done.err.contains("MariaDB has no set of executed GTIDs"), "{}", done.err);
        return;
    }
    assert_eq!(done.code, Some(0), "{}{}", done.out, done.err);
    cluster.start_applier("s2").await;
    eventually(LONG, "no errant transaction is left", async || {
        let show = run(&cluster, &["errant", "show"]).await;
        show.out.contains("no errant transaction")
    })
    .await;
    assert_eq!(cluster.cell("s1", "SELECT COUNT(*) FROM app.t").await.as_deref(), Some("2"));
    cluster.catches_up("s2", "s1").await;
    assert_eq!(cluster.cell("s2", "SELECT COUNT(*) FROM app.t").await.as_deref(), Some("4"));
    drop(manager);
}

on_each_server!(
    export_writes_what_nobody_else_has,
    what_is_purged_is_named_and_not_passed_over,
    empty_transactions_take_their_place,
);
