//! Our receiver at real primaries.

use std::collections::BTreeMap;
use std::time::Duration;

use primacy_replication::{
    ReceiveError, Received, ReceivedEvent, Receiver, ReceiverOptions, StartAt,
};
use primacy_sandbox::AccountRole;
use primacy_testkit::{Cluster, cluster, eventually};
use primacy_types::BinlogPosition;
use primacy_wire::TlsMode;
use tokio::time::timeout;
use uuid::Uuid;

use crate::replica::{end_of_log, leave_behind};
use crate::{LONG, on_each_server};

fn options(cluster: &Cluster) -> ReceiverOptions {
    ReceiverOptions {
        connect: cluster.login("s1", AccountRole::Replication),
        server_id: 3_999_999_999,
        uuid: Uuid::from_u128(0x77),
        report_host: "receiver".to_owned(),
        report_port: 1,
        heartbeat: Duration::from_millis(500),
        silence: Duration::from_secs(2),
        semi_sync: false,
        limit: Duration::from_secs(5),
    }
}

/// Receives until a heartbeat says that everything up to `end` has come; files by name, each from
/// its first received byte on.
async fn receive(
    receiver: &mut Receiver,
    end: &BinlogPosition,
) -> BTreeMap<String, (u64, Vec<u8>)> {
    let mut files: BTreeMap<String, (u64, Vec<u8>)> = BTreeMap::new();
    loop {
        match timeout(LONG, receiver.next()).await.unwrap().unwrap() {
            Received::Event(ReceivedEvent { file, start, end, bytes, .. }) => {
                let (first, got) = files.entry(file.to_string()).or_insert((start, Vec::new()));
                assert_eq!(*first + got.len() as u64, start, "a hole in {file}");
                got.extend_from_slice(&bytes);
                assert_eq!(*first + got.len() as u64, end);
            }
            Received::Heartbeat(at) if at >= *end => return files,
            _ => {}
        }
    }
}

/// Whether these bytes are those of the primary's own files, but for the mark of a file in use.
fn are_the_primarys(cluster: &Cluster, files: &BTreeMap<String, (u64, Vec<u8>)>) {
    for (name, (first, got)) in files {
        let mut theirs = std::fs::read(cluster.server("s1").datadir.join(name)).unwrap();
        // The low byte of the format description's flags.
        theirs[4 + 17] &= !1;
        let first = usize::try_from(*first).unwrap();
        let same = theirs[first..].iter().zip(got).take_while(|(a, b)| a == b).count();
        assert!(same == got.len(), "{name} differs at byte {}", first + same);
        assert_eq!(theirs.len(), first + got.len(), "{name} is whole");
    }
}

async fn everything_is_received_byte_for_byte(server: &str) {
    let cluster = cluster(server).replicas(1).up().await;
    leave_behind(&cluster).await;
    let end = end_of_log(&cluster, "s1").await;
    let all = match cluster.is_mariadb() {
        true => StartAt::MariaDbGtids("".parse().unwrap()),
        false => StartAt::MySqlGtids("".parse().unwrap()),
    };
    let at = |file| StartAt::Position(BinlogPosition::new(file, 4));
    let middle = at("binlog.000002");
    for start in [all.clone(), at("binlog.000001"), middle.clone()] {
        let mut receiver = Receiver::connect(&options(&cluster), &start).await.unwrap();
        assert_eq!(receiver.facts().server_id, 1);
        assert_eq!(receiver.facts().server_uuid.is_some(), !cluster.is_mariadb());
        let files = receive(&mut receiver, &end).await;
        let first = if start == middle { "binlog.000002" } else { "binlog.000001" };
        assert_eq!(files.keys().next().unwrap(), first);
        // MariaDB 11.8 finds the first transaction by an index and begins right there.
        let jumps = usize::from(server == "mariadb-11.8" && start == all);
        let firsts: Vec<u64> = files.values().map(|(first, _)| *first).collect();
        assert!(firsts[jumps..].iter().all(|first| *first == 4), "{start}: {firsts:?}");
        are_the_primarys(&cluster, &files);
        assert_eq!(receiver.position(), end);
    }

    // From the middle of a file: its format description comes, and does not count.
    let start = StartAt::Position(end.clone());
    let mut receiver = Receiver::connect(&options(&cluster), &start).await.unwrap();
    assert_eq!(receiver.next().await.unwrap(), Received::File(end.clone()));
    assert!(matches!(receiver.next().await.unwrap(), Received::Format(_)));
    cluster.sql("s1", "INSERT INTO d.t (b) VALUES ('live')").await;
    let files = receive(&mut receiver, &end_of_log(&cluster, "s1").await).await;
    assert_eq!(files["binlog.000002"].0, end.offset);
    are_the_primarys(&cluster, &files);

    let shown =
        cluster.sql("s1", if cluster.speaks_old() { "SHOW SLAVE HOSTS" } else { "SHOW REPLICAS" });
    let shown = shown.await;
    let seen = shown.iter().any(|row| row.at(0) == Some("3999999999"));
    assert!(seen, "people see the receiver: {shown:?}");

    // A primary that falls silent, and one that has no such file.
    cluster.freeze("s1").await;
    let error = timeout(LONG, async {
        loop {
            if let Err(error) = receiver.next().await {
                return error;
            }
        }
    });
    let error = error.await.unwrap();
    assert!(matches!(error, ReceiveError::Silent { .. }), "{error}");
    cluster.thaw("s1").await;
    let nowhere = StartAt::Position(BinlogPosition::new("binlog.000099", 4));
    let mut receiver = Receiver::connect(&options(&cluster), &nowhere).await.unwrap();
    let error = receiver.next().await.unwrap_err();
    assert!(matches!(&error, ReceiveError::Wire(error) if error.code() == Some(1236)), "{error}");
}

/// The package of MySQL 5.6 has no semi-sync.
async fn acknowledgements_let_commits_return(server: &str) {
    if server == "mysql-5.6" {
        return;
    }
    let cluster = cluster(server).replicas(1).semi_sync(1).up().await;
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    let mut wanted = options(&cluster);
    wanted.semi_sync = true;
    wanted.connect.tls = TlsMode::Off;
    let start = StartAt::Position(end_of_log(&cluster, "s1").await);
    let mut receiver = Receiver::connect(&wanted, &start).await.unwrap();
    assert!(receiver.facts().semi_sync);
    // Only we are left to acknowledge.
    cluster.say("s2", "STOP SLAVE", "STOP REPLICA").await;
    let clients = |cluster: &Cluster| {
        let word = if cluster.speaks_old() { "master" } else { "source" };
        format!("SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_{word}_clients'")
    };
    let sql = clients(&cluster);
    eventually(LONG, "we are the only one that acknowledges", async || {
        cluster.sql("s1", &sql).await.first().and_then(|row| row.at(1)) == Some("1")
    })
    .await;
    let yes = clients(&cluster).replace("clients", "yes_tx");
    let counted = async || -> u64 {
        cluster.sql("s1", &yes).await.first().unwrap().at(1).unwrap().parse().unwrap()
    };
    let before = counted().await;
    let acknowledge = async {
        let mut wanted = 0;
        while wanted < 3 {
            if let Received::Event(event) = receiver.next().await.unwrap()
                && event.wants_acknowledgement
            {
                receiver.acknowledge(&event).await.unwrap();
                wanted += 1;
            }
        }
    };
    let write = async {
        for id in 0..3 {
            cluster.sql("s1", &format!("INSERT INTO app.t VALUES ({id})")).await;
        }
    };
    timeout(LONG, async { tokio::join!(acknowledge, write) }).await.unwrap();
    assert_eq!(counted().await, before + 3);
}

on_each_server!(everything_is_received_byte_for_byte, acknowledgements_let_commits_return);
