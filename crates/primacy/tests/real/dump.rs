//! Servers are built anew from a logical dump, where their files cannot be copied.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use primacy_api::{CancelRebuild, ErrorKind, RebuildAnswer, RebuildOrder, Service as _};
use primacy_plan::{CopyMethod, MethodChoice};
use primacy_sandbox::{AccountRole, find_installation};
use primacy_store::Outcome;
use primacy_testkit::{Agents, Cluster, Manager, Writer, cluster, eventually};
use primacy_wire::{ConnectOptions, Session};
use tokio::process::Command;

use crate::rebuild::{REBUILT, begin, beside, ended, order, rebuilt, view};
use crate::{LONG, PROGRAM, on_each_server, on_mariadb_first, on_mysql_5_6};

/// Three servers with agents and a manager, and the privileges that a dump takes. `None`, and said so,
/// without a client that such a server is dumped with.
async fn three(server: &str) -> Option<(Cluster, Agents, Manager)> {
    if server.starts_with("mariadb") && !is_dumped_here(server).await {
        return None;
    }
    if server == "mysql-5.6" && !primacy_testkit::is_provisioned(MYSQL) {
        return None;
    }
    let builder = cluster(server).with_agents();
    let cluster = match server == "mysql-5.6" {
        true => builder.up().await,
        false => builder.semi_sync(1).up().await,
    };
    let user = cluster.manager_user();
    cluster.sql("s1", &format!("GRANT SHOW VIEW, TRIGGER ON *.* TO '{user}'@'%'")).await;
    cluster.catches_up("s2", "s1").await;
    cluster.catches_up("s3", "s1").await;
    let path = (server == "mysql-5.6").then(|| clients_of_mysql(&cluster));
    let agents = Agents::start_in_path(PROGRAM, &cluster, path).await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    Some((cluster, agents, manager))
}

/// The server whose clients are used for MySQL 5.6, which comes without any.
const MYSQL: &str = "mysql-9.7";

/// Whether the system's client is not older than the server.
async fn is_dumped_here(server: &str) -> bool {
    let asked = Command::new("mariadb-dump").arg("--version").kill_on_drop(true).output();
    let Ok(output) = tokio::time::timeout(LONG, asked).await.unwrap() else {
        println!("SKIPPED: mariadb-dump is not installed (apt-get install mariadb-client)");
        assert!(std::env::var_os("CI").is_none(), "it is required here");
        return false;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let word = text.split_whitespace().find(|word| word.contains("-MariaDB")).unwrap();
    let series = |text: &str| -> Vec<u32> {
        text.split(['.', '-']).take(2).map(|part| part.parse().unwrap()).collect()
    };
    let old = series(word) < series(server.strip_prefix("mariadb-").unwrap());
    if old {
        println!("SKIPPED: mariadb-dump is of {word}, older than {server}");
    }
    !old
}

/// A `PATH` that begins with MySQL's clients, as they run from where they were unpacked.
fn clients_of_mysql(cluster: &Cluster) -> OsString {
    let place = cluster.place().join("clients");
    fs::create_dir(&place).unwrap();
    let installation = find_installation(Some(MYSQL)).unwrap();
    let launcher: Vec<_> =
        installation.launcher.iter().map(|word| word.to_string_lossy()).collect();
    for name in ["mysqldump", "mysql"] {
        let text = format!(
            "#!/bin/sh\nexec {} {} \"$@\" --plugin-dir={}\n",
            launcher.join(" "),
            installation.root.join("usr/bin").join(name).display(),
            installation.plugin_dir.display()
        );
        fs::write(place.join(name), text).unwrap();
        fs::set_permissions(place.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths([place].into_iter().chain(std::env::split_paths(&path))).unwrap()
}

fn dumped(cluster: &Cluster, server: &str) -> RebuildOrder {
    RebuildOrder { method: MethodChoice::Dump, ..order(cluster, server) }
}

/// Things that do not survive a careless dump.
async fn make_odd_things(cluster: &Cluster) {
    let odd = "`odd ``name;-- \u{fc}`";
    let t = format!("{odd}.`t'\"\\ \u{20ac}`");
    for sql in [
        format!("CREATE DATABASE {odd} CHARACTER SET utf8mb4"),
        format!(
            "CREATE TABLE {t} (`a``b` INT PRIMARY KEY AUTO_INCREMENT, `text` VARCHAR(100), l VARCHAR(50) \
             CHARACTER SET latin1, bytes BLOB, at TIMESTAMP NULL, f DOUBLE, d DECIMAL(20,9), e ENUM('x;','y'''), \
             b BIT(9)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
        ),
        format!(
            "INSERT INTO {t} VALUES (NULL, '\u{1f600} \\\\ '' \\n \\0 -- ;', '\u{e4}', X'00FF0A0D1A5C27', \
             '2020-02-02 02:02:02', 0.1, 1.000000001, 'y''', b'100000001')"
        ),
        format!("INSERT INTO {t} (`text`) VALUES (NULL), (''), ('DELIMITER ;;')"),
        "CREATE TABLE app.parent (id INT PRIMARY KEY) ENGINE=InnoDB".to_owned(),
        "CREATE TABLE app.a_child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES app.parent (id)) \
         ENGINE=InnoDB"
            .to_owned(),
        "INSERT INTO app.parent VALUES (1)".to_owned(),
        "INSERT INTO app.a_child VALUES (1, 1)".to_owned(),
        "CREATE VIEW app.a_view AS SELECT p.id, 'a;b' AS s FROM app.z_not_yet p".to_owned(),
        "CREATE FUNCTION app.f (x INT) RETURNS VARCHAR(20) DETERMINISTIC NO SQL \
         BEGIN DECLARE \"q\" VARCHAR(20) DEFAULT 'a\\'; RETURN CONCAT(\"q\", ';;', x); END"
            .to_owned(),
        "CREATE PROCEDURE app.p () BEGIN SELECT '\u{20ac}\u{1f600} DELIMITER'; /* ;; */ END".to_owned(),
        "CREATE TRIGGER app.tr BEFORE INSERT ON app.parent FOR EACH ROW SET NEW.id = NEW.id + 1000".to_owned(),
        "CREATE EVENT app.ev ON SCHEDULE EVERY 1 YEAR STARTS '2037-01-01 00:00:00' DO SELECT ';'".to_owned(),
        "CREATE USER 'o''dd user'@'%' IDENTIFIED BY 'p\"w''x;\\\\'".to_owned(),
        "GRANT SELECT ON app.* TO 'o''dd user'@'%'".to_owned(),
    ] {
        // A view comes before what it reads, in the order of names.
        if sql.contains("z_not_yet") {
            cluster.sql("s1", "CREATE TABLE app.z_not_yet (id INT PRIMARY KEY) ENGINE=InnoDB").await;
        }
        let mut session = cluster.root("s1").await;
        session.execute("SET NAMES utf8mb4", LONG).await.unwrap();
        let ansi = sql.contains("FUNCTION app.f");
        let mode = if ansi { "ANSI_QUOTES,NO_BACKSLASH_ESCAPES" } else { "" };
        session.execute(&format!("SET SESSION sql_mode = '{mode}'"), LONG).await.unwrap();
        session.execute(&sql, LONG).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

const USERS_OWN: &str = "NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')";

/// All tables with their checksums, all definitions, and all accounts.
async fn content(cluster: &Cluster, server: &str) -> Vec<String> {
    let mut session = cluster.root(server).await;
    session.execute("SET NAMES utf8mb4", LONG).await.unwrap();
    let mut all = Vec::new();
    let tables = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' \
         AND TABLE_SCHEMA {USERS_OWN} ORDER BY 1, 2"
    );
    let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
    for row in &session.query(&tables, LONG).await.unwrap() {
        let name = format!("{}.{}", quoted(row.at(0).unwrap()), quoted(row.at(1).unwrap()));
        for sql in [format!("CHECKSUM TABLE {name}"), format!("SHOW CREATE TABLE {name}")] {
            let rows = session.query(&sql, LONG).await.unwrap();
            all.push(format!("{name}: {}", rows.first().unwrap().at(1).unwrap()));
        }
    }
    for sql in [
        "ROUTINE_NAME, ROUTINE_DEFINITION, SQL_MODE, DEFINER, CHARACTER_SET_CLIENT FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA",
        "TRIGGER_NAME, ACTION_STATEMENT, SQL_MODE, DEFINER FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA",
        "EVENT_NAME, EVENT_DEFINITION, STATUS, STARTS, DEFINER FROM information_schema.EVENTS WHERE EVENT_SCHEMA",
        "TABLE_NAME, VIEW_DEFINITION, DEFINER FROM information_schema.VIEWS WHERE TABLE_SCHEMA",
    ] {
        let rows =
            session.query(&format!("SELECT {sql} {USERS_OWN} ORDER BY 1"), LONG).await.unwrap();
        assert!(rows.first().is_some(), "{sql}");
        for row in &rows {
            let cells: Vec<_> = (0..5).map_while(|at| row.at(at)).collect();
            all.push(cells.join(" | "));
        }
    }
    let accounts = "SELECT user, host FROM mysql.user ORDER BY 1, 2";
    for row in &session.query(accounts, LONG).await.unwrap() {
        let name = |at: usize| row.at(at).unwrap().replace('\'', "''");
        let account = format!("'{}'@'{}'", name(0), name(1));
        let grants = session.query(&format!("SHOW GRANTS FOR {account}"), LONG).await;
        let grants = grants.map(|rows| {
            rows.iter().map(|row| row.at(0).unwrap().to_owned()).collect::<Vec<_>>().join("; ")
        });
        all.push(format!("{account}: {}", grants.unwrap_or_else(|error| error.to_string())));
    }
    all
}

async fn a_dump_builds_a_replica_while_the_cluster_serves_writes(server: &str) {
    let Some((cluster, _agents, manager)) = three(server).await else { return };
    make_odd_things(&cluster).await;
    let writer = Writer::start(&cluster).await;
    writer.goes_on(100).await;
    let id = cluster.cell("s3", "SELECT @@server_id").await;
    let view = rebuilt(&manager, &cluster, dumped(&cluster, "s3")).await;
    assert_eq!(view.donor, cluster.address("s2"), "a replica gives by preference");
    writer.goes_on(100).await;
    assert!(cluster.replicates("s3", "s1").await);
    assert_eq!(cluster.cell("s3", "SELECT @@server_id").await, id);
    assert_eq!(cluster.cell("s3", "SELECT @@global.read_only").await.as_deref(), Some("1"));
    let old = std::path::PathBuf::from(view.old_data.unwrap());
    assert!(old.join("ibdata1").exists(), "{}", old.display());
    assert_eq!(beside(&cluster, "s3"), [old]);
    let donor = content(&cluster, "s2").await;
    writer.finish(&cluster).await.everyone_has_everything();
    // Replication goes on: also through what was loaded.
    cluster.sql("s1", "INSERT INTO app.parent VALUES (7)").await;
    cluster.sql("s1", "INSERT INTO app.z_not_yet VALUES (8)").await;
    for replica in ["s2", "s3"] {
        cluster.catches_up(replica, "s1").await;
    }
    let (s2, s3) = (content(&cluster, "s2").await, content(&cluster, "s3").await);
    assert_eq!(s2.len(), donor.len());
    pretty_equal(&s2, &s3);
    assert_eq!(cluster.cell("s3", "SELECT MAX(id) FROM app.parent").await.as_deref(), Some("1007"));
    assert_eq!(cluster.cell("s3", "SELECT app.f(3)").await.as_deref(), Some("a\\;;3"));
    let login = ConnectOptions {
        user: "o'dd user".to_owned(),
        password: "p\"w'x;\\".to_owned().into(),
        ..cluster.login("s3", AccountRole::Application)
    };
    let mut session = Session::connect(&login).await.unwrap();
    session.query("SELECT id FROM app.a_view", LONG).await.unwrap();
}

fn pretty_equal(one: &[String], other: &[String]) {
    for (one, other) in one.iter().zip(other) {
        assert_eq!(one, other);
    }
    assert_eq!(one.len(), other.len());
}

/// Private servers that run here, of any test.
fn servers_of_ours() -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains("--datadir=") && line.contains(".rebuild-")).collect()
}

/// Enough to be in the midst of for a while.
async fn make_bulk(cluster: &Cluster) {
    cluster.sql("s1", "CREATE TABLE app.bulk (id INT PRIMARY KEY, x LONGTEXT) ENGINE=InnoDB").await;
    for id in 0..16 {
        cluster
            .sql("s1", &format!("INSERT INTO app.bulk VALUES ({id}, REPEAT('x', 1000000))"))
            .await;
    }
    cluster.catches_up("s2", "s1").await;
    cluster.catches_up("s3", "s1").await;
}

async fn a_dump_that_is_cut_short_costs_nothing(server: &str) {
    let Some((cluster, mut agents, manager)) = three(server).await else { return };
    make_bulk(&cluster).await;
    let slowly = || RebuildOrder { rate: Some(1 << 20), ..dumped(&cluster, "s3") };
    let moving = async |operation: &str| {
        let moves = async || view(&manager, &cluster, operation).await.bytes > 1 << 20;
        eventually(REBUILT, "something is loaded", moves).await;
    };
    let nothing_is_left = async || {
        eventually(LONG, "nothing is left of it", async || beside(&cluster, "s3").is_empty()).await;
        assert!(cluster.replicates("s3", "s1").await);
    };
    let operation = begin(&manager, &cluster, slowly()).await;
    moving(&operation).await;
    let cancel = CancelRebuild { server: cluster.address("s3") };
    let cancelled = manager.client().await.cancel_rebuild(cluster.name(), cancel).await.unwrap();
    assert_eq!(cancelled.outcome, Some(Outcome::BackedOut), "{cancelled:?}");
    nothing_is_left().await;

    // The agent dies with a server of its own at work.
    let operation = begin(&manager, &cluster, slowly()).await;
    moving(&operation).await;
    agents.kill("s3").await;
    agents.start_one(PROGRAM, &cluster, "s3").await;
    let view = ended(&manager, &cluster, &operation).await;
    assert_eq!(view.outcome, Some(Outcome::BackedOut), "{view:?}");
    nothing_is_left().await;
    let place = cluster.server("s3").datadir.display().to_string();
    eventually(LONG, "no server of ours is left", async || {
        !servers_of_ours().iter().any(|line| line.contains(&place))
    })
    .await;

    let operation = begin(&manager, &cluster, slowly()).await;
    moving(&operation).await;
    cluster.kill("s2").await;
    let view = ended(&manager, &cluster, &operation).await;
    assert_eq!(view.outcome, Some(Outcome::BackedOut), "{view:?}");
    let sentence = view.sentence.unwrap();
    assert!(sentence.contains("has the data that it had"), "{sentence}");
    nothing_is_left().await;
}

/// What a dump would get wrong without a word.
async fn a_dump_that_would_not_be_whole_is_refused(server: &str) {
    let Some((cluster, _agents, manager)) = three(server).await else { return };
    cluster.sql("s1", "CREATE TABLE app.old (id INT) ENGINE=MyISAM").await;
    cluster.catches_up("s2", "s1").await;
    let why = async || {
        let operation = begin(&manager, &cluster, dumped(&cluster, "s3")).await;
        let view = ended(&manager, &cluster, &operation).await;
        assert_eq!(view.outcome, Some(Outcome::BackedOut), "{view:?}");
        view.sentence.unwrap()
    };
    let sentence = why().await;
    assert!(sentence.contains("app.old (MyISAM)"), "{sentence}");
    cluster.sql("s1", "DROP TABLE app.old").await;
    cluster.catches_up("s2", "s1").await;
    if cluster.is_mariadb() {
        let mut root = cluster.root("s2").await;
        let far = cluster.place().join("far");
        fs::create_dir(&far).unwrap();
        fs::set_permissions(&far, fs::Permissions::from_mode(0o777)).unwrap();
        let table = format!(
            "CREATE TABLE app.far (id INT) ENGINE=InnoDB DATA DIRECTORY='{}'",
            far.display()
        );
        for sql in ["SET SESSION sql_log_bin = 0", &table] {
            root.execute(sql, LONG).await.unwrap();
        }
        let sentence = why().await;
        assert!(sentence.contains("far.ibd is outside of its data directory"), "{sentence}");
        root.execute("DROP TABLE app.far", LONG).await.unwrap();
    }
    let user = cluster.manager_user();
    cluster.sql("s1", &format!("REVOKE TRIGGER ON *.* FROM '{user}'@'%'")).await;
    cluster.catches_up("s2", "s1").await;
    let sentence = why().await;
    assert!(sentence.contains("lacks") && sentence.contains("TRIGGER"), "{sentence}");
    assert!(beside(&cluster, "s3").is_empty());
}

/// Where the programs of this host do not fit the server, the plan says so and takes a dump.
async fn a_dump_is_taken_where_the_files_cannot_be_copied(server: &str) {
    let Some((cluster, _agents, manager)) = three(server).await else { return };
    make_odd_things(&cluster).await;
    manager.has_looked_again(&cluster.address("s3")).await;
    let client = manager.client().await;
    let dry = RebuildOrder { dry_run: true, ..order(&cluster, "s3") };
    let answer = client.rebuild(cluster.name(), dry.clone()).await.unwrap();
    let RebuildAnswer::Plan { plan, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(plan.method, CopyMethod::Dump);
    assert!(plan.notes.iter().any(|note| note.contains("slower")), "{:?}", plan.notes);
    let physical = RebuildOrder { method: MethodChoice::Physical, ..dry };
    let refused = client.rebuild(cluster.name(), physical).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Refused);
    assert!(refused.reasons[0].remedy.contains("--method dump"), "{refused:?}");
    let view = rebuilt(&manager, &cluster, order(&cluster, "s3")).await;
    assert!(view.bytes > 0);
    cluster.sql("s1", "INSERT INTO app.z_not_yet VALUES (8)").await;
    for replica in ["s2", "s3"] {
        cluster.catches_up(replica, "s1").await;
    }
    pretty_equal(&content(&cluster, "s2").await, &content(&cluster, "s3").await);
}

on_each_server!(
    a_dump_builds_a_replica_while_the_cluster_serves_writes,
    a_dump_that_would_not_be_whole_is_refused,
);
on_mariadb_first!(a_dump_that_is_cut_short_costs_nothing);
on_mysql_5_6!(
    a_dump_builds_a_replica_while_the_cluster_serves_writes,
    a_dump_is_taken_where_the_files_cannot_be_copied,
);

mod another_series {
    /// Its series is not that of the system's mariadb-backup.
    async fn of_mariadb_backup(server: &str) {
        super::a_dump_is_taken_where_the_files_cannot_be_copied(server).await;
    }

    primacy_testkit::on_servers!([], [mariadb_10_5], of_mariadb_backup);
}
