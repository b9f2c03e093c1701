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

use crate::{LONG, PROGRAM, on_each_server, on_mariadb_first, on_mysql_5_6};

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
        Self::start_in(cluster, cluster.place().join("kept")).await
    }

    /// The same with its files in this folder.
    async fn start_in(cluster: &Cluster, dir: PathBuf) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::new("127.0.0.1", free.local_addr().unwrap().port());
        drop(free);
        let entry = format!(
            "\n[[cluster.{}.server]]\naddress = \"{address}\"\nhost_access = \"none\"\n",
            cluster.name()
        );
        let mut config = File::options().append(true).open(cluster.config()).unwrap();
        config.write_all(entry.as_bytes()).unwrap();
        let log = cluster.place().join("binlog-server.log");
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
        let names = ["Host", "Port", "IO_Running", "Last_IO_Errno"];
        let newer = ["Source_Host", "Source_Port", "Replica_IO_Running", "Last_IO_Errno"];
        let older = ["Master_Host", "Master_Port", "Slave_IO_Running", "Last_IO_Errno"];
        let cells = names.into_iter().zip(if old { older } else { newer });
        Ok(cells.map(|(n, c)| (n.to_owned(), row.get(c).unwrap_or("").to_owned())).collect())
    }

    /// Points a replica to it, where that stands.
    async fn feeds(&self, cluster: &Cluster, replica: &str, gtid: bool) {
        let of = |name| cluster.replica_status(replica, name);
        cluster.say(replica, "STOP SLAVE", "STOP REPLICA").await;
        let file = of("Relay_Source_Log_File").await.unwrap();
        let offset = of("Exec_Source_Log_Pos").await.unwrap();
        let account = cluster.login(replica, AccountRole::Replication);
        let passwords = cluster.passwords();
        let replication = passwords.iter().find(|(role, _)| *role == AccountRole::Replication);
        let (_, password) = replication.unwrap();
        let (host, port) = (self.address.host(), self.address.port());
        let mut change = format!(
            "CHANGE MASTER TO MASTER_HOST = '{host}', MASTER_PORT = {port}, \
             MASTER_USER = '{}', MASTER_PASSWORD = '{password}'",
            account.user
        );
        if !gtid {
            change.push_str(&format!(", MASTER_LOG_FILE = '{file}', MASTER_LOG_POS = {offset}"));
        }
        let newer = change
            .replace("MASTER_", "SOURCE_")
            .replace("CHANGE MASTER", "CHANGE REPLICATION SOURCE");
        cluster.say(replica, &change, &format!("{newer}, SOURCE_SSL = 1")).await;
        cluster.say(replica, "START SLAVE", "START REPLICA").await;
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

/// A replica that reads from it for good, through rotations and its restarts.
async fn a_replica_may_be_fed_from_it(server: &str) {
    for gtid in [true, false] {
        if gtid && server == "mysql-5.6" {
            continue;
        }
        let builder = cluster(server);
        let cluster = if gtid { builder } else { builder.without_gtid() }.up().await;
        let mut keeper = BinlogServer::start(&cluster).await;
        let writer = Writer::start(&cluster).await;
        writer.goes_on(50).await;
        keeper.feeds(&cluster, "s3", gtid).await;
        for _ in 0..2 {
            writer.goes_on(50).await;
            cluster.sql("s1", "FLUSH BINARY LOGS").await;
            keeper.kill9_and_start(&cluster).await;
        }
        writer.goes_on(50).await;
        writer.finish(&cluster).await.everyone_has_everything();
        let port = cluster.replica_status("s3", "Source_Port").await;
        assert_eq!(port, Some(keeper.address.port().to_string()));
    }
}

/// A small disk of its own, where that may be made.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "primacy-test"])
            .arg(&at)
            .stderr(Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(at))
    }

    fn grow(&self) {
        let grown =
            Command::new("mount").args(["-o", "remount,size=64m"]).arg(&self.0).status().unwrap();
        assert!(grown.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still writes there may go on until it ends.
        let _best_effort = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// It stops acknowledging, says why, and goes on when there is room; then it has all of it.
async fn a_full_disk_stops_acknowledgements_and_nothing_else(server: &str) {
    let cluster = cluster(server).replicas(1).semi_sync(1).up().await;
    let Some(disk) = SmallDisk::mount(cluster.place().join("small")) else {
        println!("NOT RUN: no file system can be mounted here");
        return;
    };
    let keeper = BinlogServer::start_in(&cluster, disk.0.join("kept")).await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    leave_behind(&cluster, "s2").await;
    cluster.sql("s1", "CREATE TABLE app.big (id INT PRIMARY KEY, filling LONGBLOB)").await;
    let mut session = cluster.root("s1").await;
    let writing = tokio::spawn(async move {
        // More than the disk has room for.
        for id in 1..=60 {
            let insert = format!("INSERT INTO app.big VALUES ({id}, REPEAT('x', 100000))");
            session.query(&insert, LONG * 3).await.unwrap();
        }
    });
    eventually(LONG, "it says that its disk is full", async || {
        let status = keeper.status(&cluster).await;
        status.is_ok_and(|s| s["Last_IO_Errno"] == "1595" && s["IO_Running"] != "Yes")
    })
    .await;
    assert!(!writing.is_finished(), "commits wait");
    disk.grow();
    eventually(LONG * 2, "commits go on", async || writing.is_finished()).await;
    writing.await.unwrap();
    manager.has_looked_again(&cluster.address("s1")).await;
    cluster.kill("s1").await;
    std::fs::remove_dir_all(&cluster.server("s1").datadir).unwrap();
    manager.has_done(Failover, LONG * 2).await;
    let rows = cluster.cell("s2", "SELECT COUNT(*) FROM app.big").await;
    assert_eq!(rows.as_deref(), Some("60"));
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

/// The whole of it often enough that chance has its turn.
/// Two primaries are lost in each round: `what_it_acknowledged_outlives_the_primary` is one.
mod twenty_times {
    use primacy_testkit::{Builder, cluster};

    async fn rounds(server: &str, options: fn(Builder) -> Builder) {
        for round in 1..=10 {
            println!("round {round}");
            Box::pin(super::nothing_is_lost(server, options(cluster(server)))).await;
        }
    }

    async fn with_gtid(server: &str) {
        rounds(server, |builder| builder).await;
    }

    async fn without_gtid(server: &str) {
        rounds(server, Builder::without_gtid).await;
    }

    primacy_testkit::on_servers!([], [mariadb_10_11 mysql_9_7], with_gtid);
    primacy_testkit::on_servers!([], [mysql_9_7], without_gtid);
}

on_each_server!(
    what_it_acknowledged_outlives_the_primary,
    its_files_are_the_primarys,
    a_replica_may_be_fed_from_it,
    a_full_disk_stops_acknowledgements_and_nothing_else,
);
on_mariadb_first!(
    without_gtid_what_it_acknowledged_outlives_the_primary,
    strangers_and_replicas_do_not_command,
);
on_mysql_5_6!(a_replica_may_be_fed_from_it);
