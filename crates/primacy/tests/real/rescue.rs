//! Rows that nobody received are on the dead primary's disk, and are had from there.
//!
//! The receivers of the replicas are stopped at different places, so that the last transactions
//! are on the primary alone, the ones before on one replica; then the primary is killed.

mod workload;

use std::io::Write;

use primacy_plan::OperationKind::Failover;
use primacy_testkit::{Cluster, Manager, cluster, eventually};

use crate::{
    LONG, PROGRAM, on_each_server, on_mariadb_first, on_mysql, on_mysql_5_6, on_mysql_first,
};
use workload::{LARGE, Workload};

/// What a case is about besides the rescue itself.
#[derive(Clone, Copy, Debug, Default)]
struct Case {
    gtid: bool,
    /// The replica that lacks most is wanted as the new primary.
    last_wins: bool,
    format: &'static str,
    /// The crash left the beginning of an event behind the last transaction.
    torn: bool,
    /// More lines for the option file.
    options: &'static [&'static str],
    /// The large transaction is of full size in the short tier too.
    large: bool,
}

impl Case {
    /// Rows of the large transaction. It is what a case takes its time for.
    fn rows(&self) -> u32 {
        let full = self.large || std::env::var_os("PRIMACY_MATRIX").is_some();
        if full { LARGE } else { LARGE >> 5 }
    }
}

const BY_GTID: Case =
    Case { gtid: true, last_wins: false, format: "ROW", torn: false, options: &[], large: false };
const BY_PLACE: Case = Case { gtid: false, ..BY_GTID };

async fn rescue(server: &str, case: Case) {
    let mut builder = cluster(server)
        .option(&format!("binlog_format = {}", case.format))
        .option("max_relay_log_size = 8192")
        .option("relay_log_purge = OFF");
    for option in case.options {
        builder = builder.option(option);
    }
    if !case.gtid {
        builder = builder.without_gtid();
    }
    if case.last_wins {
        builder = builder.server("s3", "promotion = \"prefer\"");
    }
    let cluster = builder.up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let mut work = Workload::begin(&cluster, case.rows()).await;
    work.part("everybody").await;
    for replica in ["s2", "s3"] {
        received_all(&cluster, replica).await;
    }
    stop_receiver(&cluster, "s3").await;
    work.part("not on s3").await;
    received_all(&cluster, "s2").await;
    stop_receiver(&cluster, "s2").await;
    work.part("on the primary only").await;
    let expected = work.checksums("s1").await;
    let executed = executed(&cluster, "s1").await;
    cluster.kill("s1").await;
    if case.torn {
        tear(&cluster);
    }

    let winner = cluster.name_of(&manager.has_done(Failover, LONG * 2).await).unwrap();
    if case.last_wins {
        assert_eq!(winner, "s3");
    }
    let sibling = if winner == "s2" { "s3" } else { "s2" };
    assert_eq!(work.checksums(&winner).await, expected, "{winner} after {case:?}");
    cluster.all_replicate(&[sibling], &winner).await;
    cluster.sql(&winner, "CREATE TABLE app.afterwards (id INT PRIMARY KEY)").await;
    eventually(LONG, "the sibling follows the new primary", async || {
        cluster.cell(sibling, "SELECT COUNT(*) FROM app.afterwards").await.as_deref() == Some("0")
    })
    .await;
    assert_eq!(work.checksums(sibling).await, expected, "{sibling} after {case:?}");
    if case.gtid || cluster.is_mariadb() {
        for replica in [&winner, sibling] {
            keeps(&cluster, replica, &executed).await;
        }
    }
    settings_are_as_before(&cluster, sibling, case).await;
}

/// The replica has received everything that the primary has written.
pub(crate) async fn received_all(cluster: &Cluster, replica: &str) {
    let statement = match cluster.is_mariadb() || cluster.sandbox().info().version.number.0 < 8 {
        true => "SHOW MASTER STATUS",
        false => "SHOW BINARY LOG STATUS",
    };
    let rows = cluster.sql("s1", statement).await;
    let row = rows.first().unwrap();
    let end = (row.get("File").unwrap().to_owned(), row.get("Position").unwrap().to_owned());
    eventually(LONG, "the replica receives everything", async || {
        let file = cluster.replica_status(replica, "Source_Log_File").await;
        let place = cluster.replica_status(replica, "Read_Source_Log_Pos").await;
        (file, place) == (Some(end.0.clone()), Some(end.1.clone()))
    })
    .await;
}

pub(crate) async fn stop_receiver(cluster: &Cluster, replica: &str) {
    cluster.say(replica, "STOP SLAVE IO_THREAD", "STOP REPLICA IO_THREAD").await;
}

async fn executed(cluster: &Cluster, server: &str) -> String {
    let name =
        if cluster.is_mariadb() { "@@global.gtid_binlog_pos" } else { "@@global.gtid_executed" };
    cluster.cell(server, &format!("SELECT {name}")).await.unwrap_or_default()
}

/// The transactions kept their GTIDs.
async fn keeps(cluster: &Cluster, server: &str, executed: &str) {
    if cluster.is_mariadb() {
        // The last one of the old primary is in its binary log, under its own number.
        let sql = format!("SELECT BINLOG_GTID_POS('binlog.000001', 4), '{executed}'");
        assert!(cluster.cell(server, &sql).await.is_some());
        let state = cluster.cell(server, "SELECT @@gtid_binlog_state").await.unwrap();
        assert!(state.contains(executed), "{server}: {state} lacks {executed}");
    } else {
        let sql = format!("SELECT GTID_SUBSET('{executed}', @@global.gtid_executed)");
        assert_eq!(cluster.cell(server, &sql).await.as_deref(), Some("1"), "{server}");
    }
}

/// Nothing of the rescue is left in the channel.
async fn settings_are_as_before(cluster: &Cluster, replica: &str, case: Case) {
    let user = cluster.replica_status(replica, "Source_User").await;
    assert_eq!(user.as_deref(), Some("repl"));
    let status = cluster.replica_status(replica, "Auto_Position").await;
    if let Some(auto) = status {
        assert_eq!(auto == "1", case.gtid);
    }
}

/// What a crash leaves when it comes in the middle of a write.
fn tear(cluster: &Cluster) {
    let dir = &cluster.server("s1").datadir;
    let mut logs: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name().and_then(|n| n.to_str()).is_some_and(|n| {
                n.strip_prefix("binlog.").is_some_and(|d| d.bytes().all(|b| b.is_ascii_digit()))
            })
        })
        .collect();
    logs.sort();
    let last = logs.last().unwrap();
    let mut file = std::fs::OpenOptions::new().append(true).open(last).unwrap();
    // A header that promises 5000 bytes, and some of them.
    let mut torn = vec![0x11, 0x22, 0x33, 0x44, 2, 1, 0, 0, 0];
    torn.extend(5000_u32.to_le_bytes());
    torn.extend([0_u8; 6]);
    torn.extend([0x5a; 300]);
    file.write_all(&torn).unwrap();
}

async fn rescue_by_gtid(server: &str) {
    rescue(server, Case { large: true, ..BY_GTID }).await;
}

async fn rescue_by_gtid_to_the_least_advanced(server: &str) {
    rescue(server, Case { last_wins: true, torn: true, ..BY_GTID }).await;
}

async fn rescue_by_place(server: &str) {
    rescue(server, Case { large: true, ..BY_PLACE }).await;
}

async fn rescue_by_place_to_the_least_advanced(server: &str) {
    rescue(server, Case { last_wins: true, torn: true, format: "MIXED", ..BY_PLACE }).await;
}

/// Replicas by position of a primary whose transactions have GTIDs all the same.
async fn rescue_by_place_of_gtids(server: &str) {
    rescue(
        server,
        Case { options: &["gtid_mode = ON", "enforce_gtid_consistency = ON"], ..BY_PLACE },
    )
    .await;
}

async fn rescue_of_statements(server: &str) {
    rescue(server, Case { format: "STATEMENT", ..BY_GTID }).await;
}

async fn rescue_without_checksums(server: &str) {
    rescue(server, Case { options: &["binlog_checksum = NONE"], ..BY_PLACE }).await;
}

async fn rescue_of_compressed_transactions(server: &str) {
    let options: &[&str] = match server.starts_with("mariadb") {
        true => &["log_bin_compress = ON", "log_bin_compress_min_len = 10"],
        false => &["binlog_transaction_compression = ON"],
    };
    rescue(server, Case { options, ..BY_GTID }).await;
}

on_each_server!(
    rescue_by_gtid,
    rescue_by_place,
    rescue_of_statements,
    rescue_of_compressed_transactions,
);
on_mariadb_first!(rescue_by_place_to_the_least_advanced, rescue_without_checksums,);
on_mysql_first!(rescue_by_gtid_to_the_least_advanced);
on_mysql!(rescue_by_place_of_gtids);
on_mysql_5_6!(
    rescue_by_gtid,
    rescue_by_place,
    rescue_by_place_to_the_least_advanced,
    rescue_without_checksums,
);
