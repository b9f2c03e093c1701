//! Former primaries that come back: they follow, or are left alone with what only they have on
//! file.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use primacy_plan::OperationKind::Failover;
use primacy_probe::Dialect;
use primacy_probe::grants::{Purpose, grants};
use primacy_store::Outcome;
use primacy_testkit::{Builder, Cluster, Manager, cluster, eventually, until};
use primacy_types::AbsenceState;
use tokio::process::Command;

use crate::{LONG, PROGRAM, on_each_server, on_mariadb_first};

const COUNT: &str = "SELECT COUNT(*) FROM app.t";

/// What a command says, and how it ends.
async fn primacy(cluster: &Cluster, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("--config").arg(cluster.config()).args(arguments).kill_on_drop(true);
    tokio::time::timeout(LONG, command.output()).await.unwrap().unwrap()
}

fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}

async fn with_a_table(builder: Builder) -> (Cluster, Manager) {
    let cluster = builder.up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY, v VARCHAR(20)) ENGINE=InnoDB").await;
    cluster.sql("s1", "INSERT INTO app.t VALUES (1, 'one'), (2, 'two')").await;
    for replica in ["s2", "s3"] {
        eventually(LONG, "the rows are there", async || {
            cluster.cell(replica, COUNT).await.as_deref() == Some("2")
        })
        .await;
    }
    (cluster, manager)
}

/// Kills s1; the name of its successor.
async fn replaced(cluster: &Cluster, manager: &Manager) -> String {
    cluster.kill("s1").await;
    let winner = manager.has_done(Failover, LONG).await;
    cluster.name_of(&winner).unwrap()
}

async fn state_of_s1(cluster: &Cluster, manager: &Manager) -> Option<AbsenceState> {
    let seen = manager.explain().await.snapshot;
    seen.absent.get(&cluster.address("s1")).map(|absence| absence.state.clone())
}

async fn has_rows(cluster: &Cluster, server: &str, rows: u32) {
    eventually(LONG, &format!("{server} has {rows} rows"), async || {
        cluster.cell(server, COUNT).await.as_deref() == Some(&rows.to_string())
    })
    .await;
}

/// s1 follows the new primary, gets what that writes, and nobody misses it any more.
async fn is_home(cluster: &Cluster, manager: &Manager, winner: &str, rows: u32) {
    cluster.all_replicate(&["s1"], winner).await;
    cluster.sql(winner, "INSERT INTO app.t VALUES (100, 'new')").await;
    has_rows(cluster, "s1", rows + 1).await;
    eventually(LONG, "it is on record as home", async || {
        state_of_s1(cluster, manager).await.is_none()
    })
    .await;
    assert_eq!(cluster.writable().await, [winner]);
    let history = manager.history().await;
    let rejoin = history.iter().find(|entry| entry.kind == "rejoin").unwrap();
    assert_eq!(rejoin.outcome, Some(Outcome::Done), "{:?}", rejoin.sentence);
}

async fn a_former_primary_that_is_back_follows_by_itself(server: &str) {
    for gtid in [true, false] {
        let builder = cluster(server).semi_sync(1);
        let builder = if gtid { builder } else { builder.without_gtid() };
        let (cluster, manager) = with_a_table(builder).await;
        let winner = replaced(&cluster, &manager).await;
        eventually(LONG, "it is on record as replaced", async || {
            state_of_s1(&cluster, &manager).await == Some(AbsenceState::Replaced)
        })
        .await;
        cluster.sql(&winner, "INSERT INTO app.t VALUES (3, 'three')").await;
        cluster.start("s1").await;
        is_home(&cluster, &manager, &winner, 3).await;
        // It can be the primary again.
        manager.switchover(Some(cluster.address("s1"))).await;
        assert_eq!(cluster.writable().await, ["s1"]);
    }
}

async fn it_waits_for_a_person_where_policy_asks(server: &str) {
    let builder = cluster(server).policy("rejoin = \"ask\"");
    let (cluster, manager) = with_a_table(builder).await;
    let winner = replaced(&cluster, &manager).await;
    cluster.start("s1").await;
    eventually(LONG, "it is said that it waits", async || {
        state_of_s1(&cluster, &manager).await == Some(AbsenceState::Waiting)
    })
    .await;
    let address = cluster.address("s1").to_string();
    assert!(manager.log().contains(&format!("primacy rejoin {address}")), "{}", manager.log());
    let view = manager.view().await;
    let shown = view.servers.iter().find(|s| s.address.to_string() == address).unwrap();
    assert_eq!(shown.status, "Waiting For Rejoin, Running");
    let dry = primacy(&cluster, &["rejoin", &address, "--dry-run"]).await;
    assert!(dry.status.success() && text(&dry).contains("can follow"), "{}", text(&dry));
    assert_eq!(cluster.replica_status("s1", "Source_Host").await, None);
    let done = primacy(&cluster, &["rejoin", &address, "--yes"]).await;
    assert!(done.status.success(), "{}", text(&done));
    is_home(&cluster, &manager, &winner, 2).await;
    let again = primacy(&cluster, &["rejoin", &address, "--dry-run"]).await;
    assert!(text(&again).contains("already"), "{}", text(&again));
}

/// s1 is replaced, and writes while nobody watches; returns who replaced it.
async fn writes_two_of_its_own(cluster: &Cluster, manager: &mut Manager) -> String {
    let winner = replaced(cluster, manager).await;
    // Ahead of what it has: on MariaDB its position alone would hide what follows.
    for id in 10..15 {
        cluster.sql(&winner, &format!("INSERT INTO app.t VALUES ({id}, 'new')")).await;
    }
    manager.terminate().await;
    cluster.start("s1").await;
    cluster.sql("s1", "SET GLOBAL read_only = 0").await;
    cluster.sql("s1", "INSERT INTO app.t VALUES (50, 'errant')").await;
    cluster.sql("s1", "UPDATE app.t SET v = 'changed' WHERE id = 1").await;
    winner
}

/// What only a former primary has is on file, readable and replayable, and it stays as it is.
async fn what_only_it_has_is_saved_and_it_is_quarantined(server: &str) {
    for gtid in [true, false] {
        let builder = cluster(server);
        let builder = if gtid { builder } else { builder.without_gtid() };
        let (cluster, mut manager) = with_a_table(builder).await;
        let winner = writes_two_of_its_own(&cluster, &mut manager).await;
        let manager = Manager::spawn(PROGRAM, &cluster, &[]);
        manager.listens().await;
        let state = until(LONG, "it is quarantined", async || {
            let state = state_of_s1(&cluster, &manager).await;
            state.filter(|state| matches!(state, AbsenceState::Quarantined { .. }))
        })
        .await;
        let AbsenceState::Quarantined { transactions, files, unsaved, .. } = &state else {
            unreachable!()
        };
        assert_eq!((*transactions, unsaved), (2, &None), "{state:?}");
        let [binlog, readable] = [&files[0], &files[1]].map(PathBuf::from);
        let readable = fs::read_to_string(readable).unwrap();
        assert!(readable.contains("app.t") && readable.contains("1 row(s)"), "{readable}");
        let shown = Command::new(PROGRAM)
            .args(["binlog", "show", "--transactions"])
            .arg(&binlog)
            .output()
            .await
            .unwrap();
        assert!(shown.status.success() && text(&shown).lines().count() >= 2, "{}", text(&shown));
        assert_eq!(cluster.writable().await, [winner.as_str()]);
        assert_eq!(cluster.replica_status("s1", "Source_Host").await, None);
        // Nothing of it is undone, and it is not saved again and again.
        assert_eq!(cluster.cell("s1", COUNT).await.as_deref(), Some("3"));
        let address = cluster.address("s1").to_string();
        let again = primacy(&cluster, &["rejoin", &address, "--yes"]).await;
        assert_eq!(again.status.code(), Some(1), "{}", text(&again));
        assert!(text(&again).contains("quarantined"), "{}", text(&again));
        assert_eq!(fs::read_dir(binlog.parent().unwrap()).unwrap().count(), 2);
        let view = manager.view().await;
        let shown = view.servers.iter().find(|s| s.address.to_string() == address).unwrap();
        assert_eq!(shown.status, "Quarantined, Running");
    }
}

/// s1 has two transactions of its own, and the manager that is started next finds it so.
async fn with_two_of_its_own(builder: Builder) -> (Cluster, String) {
    let (cluster, mut manager) = with_a_table(builder).await;
    let winner = writes_two_of_its_own(&cluster, &mut manager).await;
    cluster.sql("s1", "SET GLOBAL read_only = 1").await;
    (cluster, winner)
}

async fn may_rewind(cluster: &Cluster) {
    let mut root = cluster.root("s1").await;
    let dialect = Dialect::of(root.version());
    root.execute("SET SESSION sql_log_bin = 0", LONG).await.unwrap();
    let account = format!("'{}'@'%'", cluster.manager_user());
    for grant in grants(dialect, Purpose::Rewind) {
        root.execute(&grant.sql(&account), LONG).await.unwrap();
    }
}

async fn what_only_it_has_is_undone_where_policy_says_so(server: &str) {
    for gtid in [true, false] {
        let builder = cluster(server).policy("on_errant = \"rewind\"");
        let builder = if gtid { builder } else { builder.without_gtid() };
        let (cluster, winner) = with_two_of_its_own(builder).await;
        let manager = Manager::spawn(PROGRAM, &cluster, &[]);
        manager.listens().await;
        // Without the privilege nothing is done, and what is missing is said.
        let why = until(LONG, "it is quarantined", async || {
            match state_of_s1(&cluster, &manager).await {
                Some(AbsenceState::Quarantined { kept_because, .. }) => kept_because,
                _ => None,
            }
        })
        .await;
        assert!(why.contains("GRANT") && why.contains("REFERENCES"), "{why}");
        may_rewind(&cluster).await;
        let address = cluster.address("s1").to_string();
        let done = primacy(&cluster, &["rejoin", &address, "--on-errant", "rewind", "--yes"]).await;
        assert!(done.status.success(), "{}\n{}", text(&done), manager.log());
        cluster.all_replicate(&["s1"], &winner).await;
        has_rows(&cluster, "s1", 7).await;
        let first = "SELECT v FROM app.t WHERE id = 1";
        assert_eq!(cluster.cell("s1", first).await.as_deref(), Some("one"));
        assert_eq!(cluster.cell("s1", "SELECT v FROM app.t WHERE id = 50").await, None);
    }
}

/// Between the undoing of the rows and the setting of its history a server says less than it has: a
/// manager that finds it so goes on before it looks at anything else.
#[cfg(debug_assertions)]
async fn a_manager_that_dies_in_the_midst_of_undoing_leaves_it_to_the_next(server: &str) {
    for place in ["after:rewind-rows", "after:rewind-forget"] {
        let builder = cluster(server).policy("on_errant = \"rewind\"");
        let (cluster, winner) = with_two_of_its_own(builder).await;
        may_rewind(&cluster).await;
        let mut first = Manager::spawn(PROGRAM, &cluster, &[("PRIMACY_FAILPOINT", place)]);
        let ended = first.wait_exit(LONG).await;
        assert!(!ended.success(), "{place}: {}", first.log());
        drop(first);
        let manager = Manager::spawn(PROGRAM, &cluster, &[]);
        manager.listens().await;
        cluster.all_replicate(&["s1"], &winner).await;
        has_rows(&cluster, "s1", 7).await;
        let first = "SELECT v FROM app.t WHERE id = 1";
        assert_eq!(cluster.cell("s1", first).await.as_deref(), Some("one"), "{place}");
        assert!(manager.log().contains("was interrupted, and is finished"), "{}", manager.log());
    }
}

/// A replica passes over events with its own `server_id`: a former primary that comes back from an
/// older copy of its data would never get what it wrote itself after that.
async fn one_that_comes_back_from_an_older_copy_gets_what_it_wrote_itself(server: &str) {
    let cluster = cluster(server).up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY, v VARCHAR(20)) ENGINE=InnoDB").await;
    for id in 1..=20 {
        cluster.sql("s1", &format!("INSERT INTO app.t VALUES ({id}, 'old')")).await;
    }
    for replica in ["s2", "s3"] {
        has_rows(&cluster, replica, 20).await;
    }
    manager.pause().await;
    cluster.stop("s1").await;
    let data = cluster.server("s1").datadir.clone();
    let copy = data.with_extension("copy");
    let copied = Command::new("cp").arg("-a").args([&data, &copy]).status().await.unwrap();
    assert!(copied.success());
    cluster.start("s1").await;
    cluster.sql("s1", "SET GLOBAL read_only = 0").await;
    manager.resume().await;
    for id in 21..=40 {
        cluster.sql("s1", &format!("INSERT INTO app.t VALUES ({id}, 'lost')")).await;
    }
    for replica in ["s2", "s3"] {
        has_rows(&cluster, replica, 40).await;
    }
    let winner = replaced(&cluster, &manager).await;
    fs::remove_dir_all(&data).unwrap();
    fs::rename(&copy, &data).unwrap();
    let id = "SELECT @@GLOBAL.server_id";
    cluster.start("s1").await;
    is_home(&cluster, &manager, &winner, 40).await;
    assert!(manager.log().contains("wrote itself and lost"), "{}", manager.log());
    let own = cluster.cell("s1", id).await;
    assert_eq!(own.and_then(|id| cluster.name_of_id(id.parse().unwrap())).as_deref(), Some("s1"));
}

on_each_server!(
    a_former_primary_that_is_back_follows_by_itself,
    what_only_it_has_is_saved_and_it_is_quarantined,
    one_that_comes_back_from_an_older_copy_gets_what_it_wrote_itself,
    what_only_it_has_is_undone_where_policy_says_so,
);
on_mariadb_first!(it_waits_for_a_person_where_policy_asks);
#[cfg(debug_assertions)]
on_mariadb_first!(a_manager_that_dies_in_the_midst_of_undoing_leaves_it_to_the_next);
