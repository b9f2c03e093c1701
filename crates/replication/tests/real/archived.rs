//! What was cut out of a dead primary's files is served from an archive.

use std::path::PathBuf;

use primacy_binlog::{Archive, CutFrom, CutRequest, CutSource, cut};
use primacy_replication::ArchiveFeed;
use primacy_testkit::{Cluster, cluster, eventually};
use primacy_types::TransactionSet;

use crate::replica::{
    applied, becomes_equal, checksum, has_everything, leave_behind, point, runs, source,
};
use crate::{LONG, on_each_server};

/// What a replica has, as its cluster's mode says it.
async fn held(cluster: &Cluster, replica: &str) -> TransactionSet {
    if !cluster.sandbox().info().gtid {
        return TransactionSet::UpTo(Some(applied(cluster, replica).await));
    }
    if cluster.is_mariadb() {
        let pos = cluster.cell(replica, "SELECT @@gtid_current_pos").await.unwrap();
        return TransactionSet::MariaDb(pos.parse().unwrap());
    }
    let set = cluster.cell(replica, "SELECT @@global.gtid_executed").await.unwrap();
    TransactionSet::MySql(set.parse().unwrap())
}

/// Cuts out of the primary's files what somebody lacks who has `since`.
fn save(cluster: &Cluster, since: &TransactionSet, name: &str) -> Archive {
    let folder = cluster.server("s1").datadir.clone();
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        // MariaDB 11 has an index of GTIDs beside each file.
        name.strip_prefix("binlog.").is_some_and(|rest| rest.parse::<u32>().is_ok())
    });
    files.sort();
    let from = match since {
        TransactionSet::UpTo(place) => CutFrom::Position(place.clone().unwrap()),
        set => CutFrom::Missing(set.clone()),
    };
    let request = CutRequest { from, until: None };
    let report = cut(&CutSource::Binlogs(files), &request, &cluster.place().join(name), "test");
    report.unwrap().archive
}

async fn is_rescued(cluster: Cluster) {
    leave_behind(&cluster).await;
    // Two more transactions in a file that the replica will enter only through us.
    cluster.sql("s1", "FLUSH BINARY LOGS").await;
    cluster.sql("s1", "INSERT INTO d.t (b) VALUES ('last')").await;
    let expected = checksum(&cluster, "s1", "d.t").await;
    let since = held(&cluster, "s2").await;
    cluster.kill("s1").await;

    let archive = save(&cluster, &since, "saved");
    let until = archive.until_position().cloned().unwrap();
    let feed = ArchiveFeed::new(archive).needing(since);
    let source = source(&cluster, "s2", false, feed).await;
    point(&cluster, "s2", &source, false).await;
    becomes_equal(&cluster, "s2", &expected).await;

    let report = source.report();
    eventually(LONG, "the applier has reached the end of what was saved", async || {
        applied(&cluster, "s2").await >= until
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_secs(12)).await;
    assert!(runs(&cluster, "s2").await);
    assert!(report.borrow().replica(2).unwrap().up_to_date);

    // A replica that is stopped and comes again gets nothing twice.
    cluster.say("s2", "STOP SLAVE", "STOP REPLICA").await;
    cluster.say("s2", "START SLAVE", "START REPLICA").await;
    eventually(LONG, "the replica is back", async || runs(&cluster, "s2").await).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert!(runs(&cluster, "s2").await);
    assert_eq!(checksum(&cluster, "s2", "d.t").await, expected);
    assert_eq!(report.borrow().error_count, 0, "{:?}", report.borrow().errors);
}

async fn a_replica_is_rescued_from_an_archive_by_gtid(server: &str) {
    is_rescued(cluster(server).replicas(1).up().await).await;
}

async fn a_replica_is_rescued_from_an_archive_by_position(server: &str) {
    is_rescued(cluster(server).replicas(1).without_gtid().up().await).await;
}

/// An archive that was cut for one replica has a hole for one that has less.
async fn an_archive_is_not_served_to_one_who_lacks_what_is_before_it(server: &str) {
    let cluster = cluster(server).replicas(1).up().await;
    leave_behind(&cluster).await;
    let since = held(&cluster, "s1").await;
    cluster.sql("s1", "FLUSH BINARY LOGS").await;
    cluster.sql("s1", "INSERT INTO d.t (b) VALUES ('last')").await;
    // The archive's own first file says what was before it.
    let archive = save(&cluster, &since, "saved");
    let source = source(&cluster, "s1", false, ArchiveFeed::new(archive)).await;
    point(&cluster, "s2", &source, false).await;
    eventually(LONG, "the replica is told why it is refused", async || {
        let error = cluster.replica_status("s2", "Last_IO_Error").await.unwrap_or_default();
        error.contains("the saved events begin at binlog.000003:")
    })
    .await;
    assert_eq!(
        cluster.replica_status("s2", "Last_IO_Errno").await.as_deref().map(fatal),
        Some(true)
    );
    has_everything(&cluster, "s1", "s1").await;
}

/// 1236; MySQL 8.0 and later have a number of their own for it.
fn fatal(number: &str) -> bool {
    matches!(number, "1236" | "13114")
}

on_each_server!(
    a_replica_is_rescued_from_an_archive_by_gtid,
    a_replica_is_rescued_from_an_archive_by_position,
    an_archive_is_not_served_to_one_who_lacks_what_is_before_it,
);
