//! A real server as replica of ours.

use std::net::SocketAddr;
use std::time::Duration;

use primacy_replication::{Feed, Source, SourceOptions};
use primacy_testkit::{Cluster, eventually};
use primacy_types::BinlogPosition;
use primacy_wire::quote;
use primacy_wire::server::ServerTls;
use uuid::Uuid;

use crate::LONG;
use crate::files::Files;

/// The password of the one account.
const PASSWORD: &str = "one time, %word";

/// A source with the version of the cluster's servers, as this one, which is alive, says it.
pub(crate) async fn source(cluster: &Cluster, like: &str, tls: bool, feed: impl Feed) -> Source {
    let options = SourceOptions {
        bind: SocketAddr::from(([127, 0, 0, 1], 0)),
        user: "rescue".to_owned(),
        password: PASSWORD.into(),
        server_id: 4_000_000_000,
        server_uuid: Uuid::from_u128(0x1234),
        version: cluster.sandbox().info().version,
        version_text: cluster.cell(like, "SELECT VERSION()").await.unwrap(),
        // MySQL 9.7 has GTIDs also where nobody asked for them.
        gtid_mode: cluster.cell(like, "SELECT @@gtid_mode").await.as_deref() == Some("ON"),
        tls: tls.then(|| ServerTls::self_signed(&["127.0.0.1".to_owned()]).unwrap()),
        require_tls: tls,
        max_connections: 4,
        login_limit: Duration::from_secs(5),
        send_limit: Duration::from_secs(10),
    };
    Source::start(options, feed).await.unwrap()
}

/// Points a stopped replica to our source: by GTID, or to where its applier is.
pub(crate) async fn point(cluster: &Cluster, replica: &str, source: &Source, tls: bool) {
    let old = cluster.speaks_old();
    let prefix = if old { "MASTER" } else { "SOURCE" };
    let address = source.address();
    let mut list = vec![
        format!("{prefix}_HOST = '{}'", address.ip()),
        format!("{prefix}_PORT = {}", address.port()),
        format!("{prefix}_USER = 'rescue'"),
        format!("{prefix}_PASSWORD = {}", quote(PASSWORD)),
        format!("{prefix}_CONNECT_RETRY = 1"),
        format!("{prefix}_HEARTBEAT_PERIOD = 0.5"),
        format!("{prefix}_SSL = {}", u8::from(tls)),
    ];
    if cluster.is_mariadb() {
        list.push("MASTER_SSL_VERIFY_SERVER_CERT = 0".to_owned());
    }
    match (cluster.sandbox().info().gtid, cluster.is_mariadb()) {
        (true, true) => list.push("MASTER_USE_GTID = slave_pos".to_owned()),
        (true, false) => list.push(format!("{prefix}_AUTO_POSITION = 1")),
        (false, mariadb) => {
            let place = applied(cluster, replica).await;
            if mariadb {
                list.push("MASTER_USE_GTID = no".to_owned());
            }
            list.push(format!("{prefix}_LOG_FILE = '{}'", place.file));
            list.push(format!("{prefix}_LOG_POS = {}", place.offset));
        }
    }
    let verb = if old { "CHANGE MASTER TO" } else { "CHANGE REPLICATION SOURCE TO" };
    cluster.sql(replica, &format!("{verb} {}", list.join(", "))).await;
    cluster.say(replica, "START SLAVE", "START REPLICA").await;
}

/// Up to where a replica has applied its source's log.
pub(crate) async fn applied(cluster: &Cluster, replica: &str) -> BinlogPosition {
    let file = cluster.replica_status(replica, "Relay_Source_Log_File").await.unwrap();
    let offset = cluster.replica_status(replica, "Exec_Source_Log_Pos").await.unwrap();
    BinlogPosition::new(file, offset.parse().unwrap())
}

/// Up to where a replica has received its source's log.
pub(crate) async fn received(cluster: &Cluster, replica: &str) -> BinlogPosition {
    let file = cluster.replica_status(replica, "Source_Log_File").await.unwrap();
    let offset = cluster.replica_status(replica, "Read_Source_Log_Pos").await.unwrap();
    BinlogPosition::new(file, offset.parse().unwrap())
}

/// Where a server's binary log ends.
pub(crate) async fn end_of_log(cluster: &Cluster, server: &str) -> BinlogPosition {
    let new = !cluster.is_mariadb() && cluster.sandbox().info().version.at_least(8, 2, 0);
    let show = if new { "SHOW BINARY LOG STATUS" } else { "SHOW MASTER STATUS" };
    let rows = cluster.sql(server, show).await;
    let row = rows.first().unwrap();
    BinlogPosition::new(row.get("File").unwrap(), row.get("Position").unwrap().parse().unwrap())
}

/// Waits until the replica has applied all that the primary has logged, by whatever mode.
pub(crate) async fn has_everything(cluster: &Cluster, replica: &str, primary: &str) {
    if cluster.sandbox().info().gtid && !cluster.is_mariadb() {
        // Not the session's: in MySQL 5.6 that is something else.
        let set = cluster.cell(primary, "SELECT @@global.gtid_executed").await.unwrap();
        let sql = format!("SELECT GTID_SUBSET('{set}', @@global.gtid_executed)");
        let what = format!("{replica} has {set}");
        eventually(LONG, &what, async || cluster.cell(replica, &sql).await.as_deref() == Some("1"))
            .await;
        return;
    }
    if cluster.sandbox().info().gtid {
        cluster.catches_up(replica, primary).await;
        return;
    }
    let end = end_of_log(cluster, primary).await;
    let what = format!("{replica} has applied everything up to {end}");
    eventually(LONG, &what, async || applied(cluster, replica).await >= end).await;
}

/// The checksum of a table.
pub(crate) async fn checksum(cluster: &Cluster, server: &str, table: &str) -> String {
    let rows = cluster.sql(server, &format!("CHECKSUM TABLE {table}")).await;
    rows.first().unwrap().get("Checksum").unwrap().to_owned()
}

/// Waits until a table of the replica has this checksum. MySQL 5.6 shows a GTID a moment before
/// the rows of its transaction.
pub(crate) async fn becomes_equal(cluster: &Cluster, replica: &str, expected: &str) {
    eventually(LONG, &format!("{replica} has the same rows"), async || {
        checksum(cluster, replica, "d.t").await == expected
    })
    .await;
}

/// Whether receiver and applier of a replica run.
pub(crate) async fn runs(cluster: &Cluster, replica: &str) -> bool {
    let receiver = cluster.replica_status(replica, "Replica_IO_Running").await;
    let applier = cluster.replica_status(replica, "Replica_SQL_Running").await;
    receiver.as_deref() == Some("Yes") && applier.as_deref() == Some("Yes")
}

/// Stops a replica and writes what it will lack: rows, bytes that are no text, a change of a
/// table, a second file.
pub(crate) async fn leave_behind(cluster: &Cluster) {
    cluster.sql("s1", "CREATE DATABASE d").await;
    let table = "CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY, b LONGBLOB) ENGINE = InnoDB";
    cluster.sql("s1", table).await;
    cluster.sql("s1", "INSERT INTO d.t (b) VALUES ('before'), (NULL)").await;
    has_everything(cluster, "s2", "s1").await;
    cluster.say("s2", "STOP SLAVE", "STOP REPLICA").await;
    for i in 0..20 {
        let insert = format!("INSERT INTO d.t (b) VALUES (UNHEX(REPEAT('00ff27{i:02x}', 300)))");
        cluster.sql("s1", &insert).await;
    }
    cluster.sql("s1", "ALTER TABLE d.t ADD COLUMN c VARCHAR(20) DEFAULT 'é'").await;
    cluster.sql("s1", "FLUSH BINARY LOGS").await;
    cluster.sql("s1", "UPDATE d.t SET c = 'changed' WHERE id % 2 = 0").await;
    cluster.sql("s1", "DELETE FROM d.t WHERE id = 3").await;
}

/// All that the primary has logged, as a feed that grows.
pub(crate) fn logs(cluster: &Cluster) -> Files {
    let folder = cluster.server("s1").datadir.clone();
    Files { folder, first: "binlog.000001".to_owned() }
}
