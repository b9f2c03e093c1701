//! A binlog server beside asynchronous replicas: it alone acknowledges, and what it acknowledged
//! outlives the primary, its host and itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use primacy_plan::OperationKind::Failover;
use primacy_sandbox::AccountRole;
use primacy_testkit::{Builder, Cluster, Manager, Writer, cluster, eventually};
use primacy_types::Address;
use primacy_wire::{ConnectOptions, Session, WireError};

use crate::{LONG, PROGRAM, on_each_server, on_server};

/// A binlog server's process.
struct BinlogServer {
    child: Child,
    address: Address,
    dir: PathBuf,
    log: PathBuf,
}

impl BinlogServer {
    /// Lists it among the cluster's servers and starts it.
    async fn start(cluster: &Cluster) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::new("127.0.0.1", free.local_addr().unwrap().port());
        drop(free);
        let entry = format!(
            "\n[[cluster.{}.server]]\naddress = \"{address}\"\nhost_access = \"none\"\n",
            cluster.name()
        );
        let mut config = File::options().append(true).open(cluster.config()).unwrap();
        config.write_all(entry.as_bytes()).unwrap();
        let (dir, log) = (cluster.place().join("kept"), cluster.place().join("binlog-server.log"));
        let child = Self::spawn(cluster, &address, &dir, &log);
        let server = Self { child, address, dir, log };
        server.receives(cluster).await;
        server
    }

    fn spawn(cluster: &Cluster, address: &Address, dir: &PathBuf, log: &PathBuf) -> Child {
        let log = File::options().create(true).append(true).open(log).unwrap();
        Command::new(PROGRAM)
            .args(["binlog", "serve", "--log-format", "human", "--log-level", "debug"])
            .args(["--listen", &address.to_string(), "--config"])
            .arg(cluster.config())
            .arg("--dir")
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// As a crash would.
    async fn kill9_and_start(&mut self, cluster: &Cluster) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = Self::spawn(cluster, &self.address, &self.dir, &self.log);
        self.receives(cluster).await;
    }

    fn login(&self, cluster: &Cluster, role: AccountRole) -> ConnectOptions {
        ConnectOptions { address: self.address.clone(), ..cluster.login("s1", role) }
    }

    async fn status(&self, cluster: &Cluster) -> Result<BTreeMap<String, String>, WireError> {
        let mut session = Session::connect(&self.login(cluster, AccountRole::Manager)).await?;
        let old = cluster.is_mariadb() || !cluster.sandbox().info().version.at_least(8, 0, 22);
        let words = match (cluster.is_mariadb(), old) {
            (true, _) => "SHOW ALL SLAVES STATUS",
            (_, true) => "SHOW SLAVE STATUS",
            _ => "SHOW REPLICA STATUS",
        };
        let rows = session.query(words, Duration::from_secs(5)).await?;
        let row = rows.first().unwrap();
        let names = ["Host", "Port", "IO_Running", "Log_File", "Log_Pos"];
        let newer = ["Source_Host", "Source_Port", "Replica_IO_Running", "Source_Log_File"];
        let older = ["Master_Host", "Master_Port", "Slave_IO_Running", "Master_Log_File"];
        let place = if old { "Read_Master_Log_Pos" } else { "Read_Source_Log_Pos" };
        let columns = if old { older } else { newer }.into_iter().chain([place]);
        let cells = names.into_iter().zip(columns);
        Ok(cells.map(|(n, c)| (n.to_owned(), row.get(c).unwrap_or("").to_owned())).collect())
    }

    async fn receives(&self, cluster: &Cluster) {
        eventually(LONG, "the binlog server receives", async || {
            self.status(cluster).await.is_ok_and(|status| status["IO_Running"] == "Yes")
        })
        .await;
    }

    async fn follows(&self, cluster: &Cluster, primary: &str) {
        let port = cluster.address(primary).port().to_string();
        eventually(LONG, "the binlog server follows the new primary", async || {
            let status = self.status(cluster).await;
            status.is_ok_and(|s| s["IO_Running"] == "Yes" && s["Port"] == port)
        })
        .await;
    }

    /// All of its files, by the folder's and the file's name.
    fn files(&self, cluster: &Cluster) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        for folder in std::fs::read_dir(self.dir.join(cluster.name())).unwrap().flatten() {
            for file in std::fs::read_dir(folder.path()).into_iter().flatten().flatten() {
                let name = file.file_name().into_string().unwrap();
                let number = name.rsplit_once('.').map(|(_, number)| number.parse::<u32>());
                if matches!(number, Some(Ok(_))) {
                    found.push((name, std::fs::read(file.path()).unwrap()));
                }
            }
        }
        found.sort();
        found
    }
}

impl Drop for BinlogServer {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(40)..];
            println!("--- the end of the binlog server's log:\n{}", last.join("\n"));
        }
    }
}

/// An ordinary replica: it does not acknowledge, and from now on it receives nothing.
async fn leave_behind(cluster: &Cluster, replica: &str) {
    cluster.say(replica, "STOP SLAVE IO_THREAD", "STOP REPLICA IO_THREAD").await;
    let (old, new) = ("rpl_semi_sync_slave_enabled", "rpl_semi_sync_replica_enabled");
    let set = |name: &str| format!("SET GLOBAL {name} = 0");
    cluster.say(replica, &set(old), &set(new)).await;
}

/// Only the binlog server has what was acknowledged; the primary and all its files are gone. Then
/// the same with the next primary.
async fn nothing_is_lost(server: &str, builder: Builder) {
    let cluster = builder.semi_sync(1).timing("failover_block = \"0s\"").up().await;
    let keeper = BinlogServer::start(&cluster).await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let writer = Writer::start(&cluster).await;
    let mut primary = "s1".to_owned();
    let mut left = vec!["s2".to_owned(), "s3".to_owned()];
    while !left.is_empty() {
        for replica in &left {
            leave_behind(&cluster, replica).await;
        }
        writer.goes_on(200).await;
        // The dump threads of the replicas that left end when they notice it.
        eventually(LONG, "only the binlog server is counted", async || {
            let rows = cluster.sql(&primary, "SHOW STATUS LIKE 'Rpl_semi_sync%clients'").await;
            rows.first().and_then(|row| row.at(1)) == Some("1")
        })
        .await;
        manager.has_looked_again(&cluster.address(&primary)).await;
        cluster.kill(&primary).await;
        std::fs::remove_dir_all(&cluster.server(&primary).datadir).unwrap();
        let before = writer.acked();
        let end = tokio::time::Instant::now() + LONG * 2;
        primary = loop {
            let writable = cluster.writable().await;
            if let [only] = &writable[..] {
                break only.clone();
            }
            assert!(tokio::time::Instant::now() < end, "no new primary:\n{}", manager.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        println!("{server}: {primary} after {before} rows");
        writer.goes_on_at(&cluster, &primary).await;
        keeper.follows(&cluster, &primary).await;
        manager.has_done(Failover, LONG).await;
        left.retain(|replica| *replica != primary);
    }
    writer.goes_on(50).await;
    let outcome = writer.finish(&cluster).await;
    println!("{server}: {} rows, gap {:?}", outcome.acked, outcome.longest_gap);
    outcome.nothing_is_lost();
}

async fn what_it_acknowledged_outlives_the_primary(server: &str) {
    nothing_is_lost(server, cluster(server)).await;
}

async fn without_gtid_what_it_acknowledged_outlives_the_primary(server: &str) {
    nothing_is_lost(server, cluster(server).without_gtid()).await;
}

/// Killed again and again while it acknowledges, it has the primary's own files.
async fn its_files_are_the_primarys(server: &str) {
    let cluster = cluster(server).replicas(1).semi_sync(1).up().await;
    let mut keeper = BinlogServer::start(&cluster).await;
    leave_behind(&cluster, "s2").await;
    let writer = Writer::start(&cluster).await;
    for _ in 0..3 {
        writer.goes_on(100).await;
        cluster.sql("s1", "FLUSH BINARY LOGS").await;
        writer.goes_on(30).await;
        keeper.kill9_and_start(&cluster).await;
    }
    writer.goes_on(100).await;
    let acked = writer.acked();
    let kept = keeper.files(&cluster);
    assert!(kept.len() >= 3, "{}", kept.len());
    for (name, bytes) in &kept {
        let mut theirs = std::fs::read(cluster.server("s1").datadir.join(name)).unwrap();
        // The mark of a file in use.
        theirs[4 + 17] &= !1;
        let same = theirs.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        assert_eq!(same, bytes.len(), "{name} differs at {same}");
    }
    assert!(acked > 300);
    cluster.say("s2", "START SLAVE IO_THREAD", "START REPLICA IO_THREAD").await;
    writer.finish(&cluster).await.everyone_has_everything();
}

/// Only who knows a password comes in, and only the manager commands.
async fn strangers_and_replicas_do_not_command(server: &str) {
    let cluster = cluster(server).replicas(1).semi_sync(1).up().await;
    let keeper = BinlogServer::start(&cluster).await;
    let mut wrong = keeper.login(&cluster, AccountRole::Manager);
    wrong.password = "wrong".to_owned().into();
    assert!(matches!(Session::connect(&wrong).await, Err(WireError::AccessDenied { .. })));
    let login = keeper.login(&cluster, AccountRole::Replication);
    let mut replica = Session::connect(&login).await.unwrap();
    let stop = if cluster.is_mariadb() { "STOP SLAVE ''" } else { "STOP REPLICA" };
    assert!(replica.execute(stop, LONG).await.is_err());
    assert_eq!(keeper.status(&cluster).await.unwrap()["IO_Running"], "Yes");
}

on_each_server!(
    what_it_acknowledged_outlives_the_primary,
    its_files_are_the_primarys,
    strangers_and_replicas_do_not_command,
);
// On MySQL without GTID the winner is not served in time; see docs/binlog-server.md.
on_server!("mariadb-10.11", without_gtid_what_it_acknowledged_outlives_the_primary);
