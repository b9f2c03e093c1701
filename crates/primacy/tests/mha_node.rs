//! MHA's node commands, called by their names, on real servers and on the files that they leave.
//!
//! MariaDB 10.11 and MySQL 9.7; MySQL 5.6 with `cargo xtask test --matrix`.
#![allow(clippy::disallowed_methods, reason = "the commands have limits of their own")]
#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

#[path = "mha_node/files.rs"]
mod files;
#[path = "mha_node/levelling.rs"]
mod levelling;
#[path = "mha_node/purging.rs"]
mod purging;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use primacy_testkit::{Cluster, eventually};

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_primacy");

/// More than anything takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// The account of an administrator who uses MHA, and a password that shells and option files stumble
/// over.
const USER: &str = "mha";
const PASSWORD: &str = "s3 cret'\"$`\\#";

/// What a command came to.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

/// A command by the name that a link has.
fn command(name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg0(format!("/usr/bin/{name}")).args(args).stdin(Stdio::null());
    command
}

fn node(name: &str, args: &[&str]) -> Ran {
    let output = command(name, args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let ran =
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
    assert!(!ran.out.contains(PASSWORD) && !ran.err.contains(PASSWORD), "{ran:?}");
    ran
}

/// Makes the account of MHA's user on the primary.
async fn make_account(cluster: &Cluster) {
    let quoted = PASSWORD.replace('\\', "\\\\").replace('\'', "''");
    cluster.sql("s1", &format!("CREATE USER '{USER}'@'%' IDENTIFIED BY '{quoted}'")).await;
    cluster.sql("s1", &format!("GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'%'")).await;
}

/// A file and a place in it.
type Place = (String, u64);

/// Where a server's binary log ends.
async fn end_of_log(cluster: &Cluster) -> Place {
    let sql = match cluster.speaks_old() {
        true => "SHOW MASTER STATUS",
        false => "SHOW BINARY LOG STATUS",
    };
    let rows = cluster.sql("s1", sql).await;
    let row = rows.first().unwrap();
    (row.at(0).unwrap().to_owned(), row.at(1).unwrap().parse().unwrap())
}

/// What a replica has received.
async fn received(cluster: &Cluster, server: &str) -> Place {
    let of = async |column: &str| cluster.replica_status(server, column).await.unwrap();
    (of("Source_Log_File").await, of("Read_Source_Log_Pos").await.parse().unwrap())
}

/// Waits until a replica has received and applied what the primary has now.
async fn has_everything(cluster: &Cluster, server: &str) {
    let end = end_of_log(cluster).await;
    eventually(LONG, &format!("{server} has received {end:?}"), async || {
        received(cluster, server).await == end
    })
    .await;
    has_applied(cluster, server).await;
}

/// Waits until a replica has applied what it has received.
async fn has_applied(cluster: &Cluster, server: &str) {
    eventually(LONG, &format!("{server} has applied it"), async || {
        let of = async |column: &str| cluster.replica_status(server, column).await;
        of("Relay_Source_Log_File").await == of("Source_Log_File").await
            && of("Exec_Source_Log_Pos").await == of("Read_Source_Log_Pos").await
    })
    .await;
}

async fn stop_receiver(cluster: &Cluster, server: &str) {
    cluster.say(server, "STOP SLAVE IO_THREAD", "STOP REPLICA IO_THREAD").await;
    eventually(LONG, "the receiver stops", async || {
        cluster.replica_status(server, "Replica_IO_Running").await.as_deref() == Some("No")
    })
    .await;
}

/// How many entries a folder has whose names contain that.
fn count(folder: &Path, part: &str) -> usize {
    let names = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.file_name());
    names.filter(|name| name.to_string_lossy().contains(part)).count()
}

/// One test for each server out of each of these functions.
macro_rules! on_each_server {
    ($($tests:tt)+) => {
        primacy_testkit::on_servers!([mariadb_10_11 mysql_9_7], [mysql_5_6], $($tests)+);
    };
}
pub(crate) use on_each_server;
