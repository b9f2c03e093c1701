//! MHA's own scenarios about missing events, large data and lag, with Primacy in MHA's place. The
//! names are those of MHA's test files; docs/mha-scenarios.md has the table.
//!
//! `m` is the primary, `s1` to `s4` are its replicas; in the sandbox they are `s1` to `s5`.

use std::time::Duration;

use primacy_plan::OperationKind::Failover;
use primacy_testkit::{Cluster, Manager, cluster, eventually};

use crate::{LONG, PROGRAM, on_mysql_5_6};
use Do::*;

const LIMIT: Duration = Duration::from_secs(60);

/// One thing that is done before the primary is killed.
#[derive(Clone, Copy, Debug)]
enum Do {
    /// So many rows, each in a transaction of its own.
    Rows(u32),
    /// So many rows in one transaction.
    Together(u32),
    /// Rows with the word ROLLBACK and line ends in them.
    Hostile(u32),
    /// All rows are changed in one statement.
    UpdateAll,
    /// Every replica that receives has received everything.
    Received,
    /// Every replica that runs has applied everything.
    Applied,
    StopReceiver(u8),
    StopApplier(u8),
    /// The primary goes on in a new binary log.
    RotatePrimary,
    /// The replica goes on in a new relay log.
    RotateRelayLog(u8),
    /// A row that the replica will get again from the primary, and stumble over.
    Conflict(u8),
}

/// One scenario.
#[derive(Clone, Copy, Debug)]
struct Scenario {
    /// MHA's file.
    file: &'static str,
    /// Which replica is wanted.
    candidate: Option<u8>,
    before: &'static [Do],
    /// The data directory of the primary is gone with it.
    disk_lost: bool,
    /// Replicas that cannot be had: they stay behind.
    behind: &'static [u8],
    options: &'static [&'static str],
}

const PLAIN: Scenario = Scenario {
    file: "",
    candidate: Some(1),
    before: &[],
    disk_lost: false,
    behind: &[],
    options: &["relay_log_purge = OFF", "max_relay_log_size = 8192"],
};

#[rustfmt::skip]
const SCENARIOS: &[Scenario] = &[
    Scenario { file: "t_needsync_1", before: &[Applied, StopReceiver(1), Rows(1), Received], ..PLAIN },
    Scenario { file: "t_needsync_2_nobinlog", before: &[Applied, StopReceiver(2), Rows(1), Received, StopReceiver(1), Rows(1), Received], ..PLAIN },
    Scenario { file: "t_needsync_binlog", before: &[Applied, StopReceiver(1), Rows(1000), Received, StopReceiver(2), Rows(1000), Received, StopReceiver(3), StopReceiver(4), Rows(1000)], ..PLAIN },
    Scenario { file: "t_needsync_fail", before: &[Applied, StopReceiver(1), Rows(1), RotatePrimary, Rows(1), Received, RotateRelayLog(2), RotateRelayLog(3), RotateRelayLog(4)], options: &["relay_log_purge = ON"], ..PLAIN },
    Scenario { file: "t_needsync_flush", before: &[Applied, StopReceiver(1), Rows(1), RotatePrimary, RotateRelayLog(2), Rows(1), Received], candidate: Some(2), ..PLAIN },
    Scenario { file: "t_needsync_flush2", before: &[Applied, StopReceiver(1), StopReceiver(3), Hostile(4), RotatePrimary, RotateRelayLog(2), Hostile(1), Received], candidate: Some(2), ..PLAIN },
    Scenario { file: "t_needsync_flush_slave", before: &[Applied, StopReceiver(1), Rows(1), Received, RotateRelayLog(2), RotateRelayLog(3), RotateRelayLog(4), RotateRelayLog(2), RotateRelayLog(3)], ..PLAIN },
    Scenario { file: "t_save_master_log", before: &[Applied, StopReceiver(1), StopReceiver(2), StopReceiver(3), StopReceiver(4), Rows(5)], ..PLAIN },
    Scenario { file: "t_save_binlog_gtid", before: &[Applied, StopReceiver(1), StopReceiver(2), StopReceiver(3), StopReceiver(4), Rows(5)], candidate: None, ..PLAIN },
    Scenario { file: "t_apply_many_logs", before: &[Applied, Rows(1000), Received, StopReceiver(1), Rows(1000), Received], ..PLAIN },
    Scenario { file: "t_apply_many_logs3", before: &[Applied, StopReceiver(1), Rows(1000), Received, StopReceiver(2), Rows(1000), Received, StopReceiver(3), Rows(1000), Received], disk_lost: true, ..PLAIN },
    Scenario { file: "t_no_relay_log", before: &[Applied, StopReceiver(1), Rows(1000), Received], disk_lost: true, candidate: Some(2), behind: &[1], options: &["relay_log_purge = ON", "max_relay_log_size = 4096"] },
    Scenario { file: "t_large_data", before: &[Applied, StopReceiver(1), Together(99_000), Received], ..PLAIN },
    Scenario { file: "t_large_data_tran", before: &[Applied, StopReceiver(1), Together(1000), Together(1000), Together(1000), Received], ..PLAIN },
    Scenario { file: "t_large_data_bulk", before: &[Together(10_000), Applied, StopReceiver(1), Together(5000), UpdateAll, UpdateAll, Received], ..PLAIN },
    Scenario { file: "t_large_data_bulk_slow", before: &[Together(10_000), Applied, StopApplier(1), StopReceiver(2), Together(5000), UpdateAll, UpdateAll, Received], ..PLAIN },
    Scenario { file: "t_large_data_slow3", before: &[Applied, StopApplier(1), StopApplier(2), StopApplier(3), StopApplier(4), Together(20_000), Received], ..PLAIN },
    Scenario { file: "t_large_data_sql_stop", before: &[Applied, StopApplier(2), Together(20_000), Received], ..PLAIN },
    Scenario { file: "t_large_data_sql_fail", before: &[Applied, Conflict(2), Together(20_000), Received], behind: &[2], ..PLAIN },
    Scenario { file: "t_slave_sql_start", before: &[Applied, StopApplier(2), Rows(1), Received], ..PLAIN },
    Scenario { file: "t_recover_slave_ok", before: &[Applied, StopReceiver(3), StopReceiver(4), Rows(5), Received], ..PLAIN },
    Scenario { file: "t_recover_slave_fail", before: &[Applied, Conflict(3), Rows(5), Received], behind: &[3], ..PLAIN },
    Scenario { file: "t_latest_recovery1", before: &[Applied, StopReceiver(1), Rows(3), Received], ..PLAIN },
    Scenario { file: "t_latest_recovery2", before: &[Applied, StopReceiver(1), Rows(2), RotatePrimary, Rows(1), Received, StopReceiver(2), Rows(1), Received], candidate: Some(2), ..PLAIN },
];

fn name(replica: u8) -> String {
    format!("s{}", replica + 1)
}

struct Run<'c> {
    cluster: &'c Cluster,
    rows: u32,
    receiving: Vec<u8>,
    applying: Vec<u8>,
}

impl Run<'_> {
    async fn run(&mut self, step: Do) {
        let cluster = self.cluster;
        let mut app = cluster.app("s1").await;
        match step {
            Rows(count) => {
                for _ in 0..count {
                    self.rows += 1;
                    let sql = format!("INSERT INTO app.t VALUES ({}, 'row', 0)", self.rows);
                    app.execute(&sql, LIMIT).await.unwrap();
                }
            }
            Hostile(count) => {
                for _ in 0..count {
                    self.rows += 1;
                    let text = "ROLLBACK\n/*!*/;\r\nCOMMIT/*!*/;\n# End of log file";
                    let sql = format!("INSERT INTO app.t VALUES ({}, '{text}', 0)", self.rows);
                    app.execute(&sql, LIMIT).await.unwrap();
                }
            }
            Together(count) => {
                app.execute("BEGIN", LIMIT).await.unwrap();
                let ids: Vec<u32> = (self.rows + 1..=self.rows + count).collect();
                for part in ids.chunks(1000) {
                    let values: Vec<_> = part.iter().map(|id| format!("({id}, 'x', 0)")).collect();
                    let sql = format!("INSERT INTO app.t VALUES {}", values.join(","));
                    app.execute(&sql, LIMIT).await.unwrap();
                }
                app.execute("COMMIT", LIMIT).await.unwrap();
                self.rows += count;
            }
            UpdateAll => {
                app.execute("UPDATE app.t SET n = n + 1", LIMIT).await.unwrap();
            }
            Received => {
                for replica in &self.receiving {
                    crate::rescue::received_all(cluster, &name(*replica)).await;
                }
            }
            Applied => {
                let rows = Some(self.rows.to_string());
                for replica in &self.applying {
                    eventually(LONG, "the replicas have everything", async || {
                        cluster.cell(&name(*replica), COUNT).await == rows
                    })
                    .await;
                }
            }
            StopReceiver(replica) => {
                crate::rescue::stop_receiver(cluster, &name(replica)).await;
                self.receiving.retain(|r| *r != replica);
                self.applying.retain(|r| *r != replica);
            }
            StopApplier(replica) => {
                cluster.stop_applier(&name(replica)).await;
                self.applying.retain(|r| *r != replica);
            }
            RotatePrimary => drop(cluster.sql("s1", "FLUSH LOGS").await),
            RotateRelayLog(replica) => drop(cluster.sql(&name(replica), "FLUSH LOGS").await),
            Conflict(replica) => {
                let mut root = cluster.root(&name(replica)).await;
                root.execute("SET SESSION sql_log_bin = 0", LIMIT).await.unwrap();
                let sql = format!("INSERT INTO app.t VALUES ({}, 'mine', 0)", self.rows + 1);
                root.execute(&sql, LIMIT).await.unwrap();
                self.applying.retain(|r| *r != replica);
            }
        }
    }
}

const COUNT: &str = "SELECT COUNT(*) FROM app.t";

async fn replay(server: &str, scenario: &Scenario, gtid: bool) {
    let mut builder = cluster(server).replicas(4);
    for option in scenario.options {
        builder = builder.option(option);
    }
    if let Some(candidate) = scenario.candidate {
        builder = builder.server(&name(candidate), "promotion = \"prefer\"");
    }
    if !gtid {
        builder = builder.without_gtid();
    }
    let cluster = builder.up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let create = "CREATE TABLE app.t (id INT PRIMARY KEY, v VARCHAR(100), n INT) ENGINE=InnoDB";
    cluster.sql("s1", create).await;
    let all = vec![1, 2, 3, 4];
    let mut run = Run { cluster: &cluster, rows: 0, receiving: all.clone(), applying: all };
    run.run(Rows(2)).await;
    for step in scenario.before {
        run.run(*step).await;
    }
    let sum = "CHECKSUM TABLE app.t";
    let rows = cluster.sql("s1", sum).await;
    let expected = rows.first().unwrap().at(1).map(str::to_owned);
    match scenario.disk_lost {
        true => cluster.lose_host("s1").await,
        false => cluster.kill("s1").await,
    }
    let winner = cluster.name_of(&manager.has_done(Failover, LONG * 3).await).unwrap();
    if let Some(candidate) = scenario.candidate {
        assert_eq!(winner, name(candidate), "{}", scenario.file);
    }
    // With GTID the siblings get from the winner what they lack, whatever logs are gone.
    let lost_by_place = scenario.disk_lost && !gtid;
    for replica in 1..=4 {
        let replica_name = name(replica);
        let conflicts = scenario.before.iter().any(|s| matches!(s, Conflict(r) if *r == replica));
        if conflicts || (scenario.behind.contains(&replica) && lost_by_place) {
            let count: u32 = cluster.cell(&replica_name, COUNT).await.unwrap().parse().unwrap();
            assert!(count < run.rows, "{} {replica_name}: {count} rows", scenario.file);
            continue;
        }
        let what = format!("{}: {replica_name} has everything", scenario.file);
        eventually(LONG * 2, &what, async || {
            let rows = cluster.sql(&replica_name, sum).await;
            rows.first().unwrap().at(1).map(str::to_owned) == expected
        })
        .await;
        if replica_name != winner {
            cluster.all_replicate(&[&replica_name], &winner).await;
        }
    }
}

/// So many scenarios make one test.
const PART: usize = 6;

async fn replay_part(server: &str, part: usize, gtid: bool) {
    for scenario in SCENARIOS.chunks(PART).nth(part).unwrap() {
        let began = std::time::Instant::now();
        Box::pin(replay(server, scenario, gtid)).await;
        println!("{} on {server}, gtid {gtid}: {:?}", scenario.file, began.elapsed());
    }
}

macro_rules! parts {
    ($($by_place:ident $by_gtid:ident $part:literal),+) => { $(
        async fn $by_place(server: &str) {
            replay_part(server, $part, false).await;
        }

        async fn $by_gtid(server: &str) {
            replay_part(server, $part, true).await;
        }
    )+ };
}
parts!(by_place_1 by_gtid_1 0, by_place_2 by_gtid_2 1, by_place_3 by_gtid_3 2, by_place_4 by_gtid_4 3);

#[test]
fn every_scenario_is_in_a_part() {
    assert_eq!(SCENARIOS.chunks(PART).count(), 4);
}

on_mysql_5_6!(
    by_place_1, by_place_2, by_place_3, by_place_4, by_gtid_1, by_gtid_2, by_gtid_3, by_gtid_4,
);
