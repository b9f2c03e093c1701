//! What `primacy-sql` says of statements, against real servers: a statement that may go to a replica
//! changes nothing, locks nothing and leaves nothing behind; comments and modes are read as the server
//! reads them; what commits is known; and every built-in function of the tables is one.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests and their helpers")]

#[expect(dead_code, reason = "the tests of primacy-sql itself read all of a case")]
#[path = "../../sql/tests/sql/table.rs"]
mod table;

use std::time::Duration;

use primacy_sql::{Route, Why, built_in_functions, classify};
use primacy_testkit::{Cluster, cluster};
use primacy_types::{Flavor, ServerVersion};
use primacy_wire::{Session, WireError};
use table::{Case, cases};

const LIMIT: Duration = Duration::from_secs(30);

/// "There is no such function", and the same with a hint about spaces.
const NO_FUNCTION: [u16; 2] = [1305, 1630];

/// Beginnings of statements that would end the test's server, its replication or its accounts.
const NOT_HERE: [&str; 22] = [
    "KILL",
    "SHUTDOWN",
    "RESTART",
    "RESET",
    "CLONE",
    "PURGE",
    "INSTALL",
    "CHANGE",
    "STOP",
    "LOAD",
    "LOCK",
    "BACKUP",
    "XA",
    "SET GLOBAL",
    "SET @@",
    "SET PASSWORD",
    "SET PERSIST",
    "ALTER USER",
    "SET SESSION sql_log_bin",
    "FLUSH TABLES",
    "UNLOCK",
    "FLUSH LOGS",
];

/// The old one has nothing to see locks with; its functions are what differs most.
async fn the_functions_are_there(server: &str) {
    let cluster = cluster(server).replicas(0).up().await;
    let version = cluster.sandbox().info().version;
    cluster.sql("s1", "CREATE DATABASE IF NOT EXISTS app").await;
    functions_are_built_in(&cluster, version).await;
}

async fn the_server_agrees(server: &str) {
    let cluster = cluster(server).replicas(0).up().await;
    let version = cluster.sandbox().info().version;
    prepare(&cluster).await;
    reads_change_nothing(&cluster, version).await;
    locks_are_seen(&cluster, version).await;
    functions_are_built_in(&cluster, version).await;
    // Last: these change the schema.
    commits_are_known(&cluster, version).await;
}

async fn prepare(cluster: &Cluster) {
    let mut statements = vec![
        "CREATE DATABASE IF NOT EXISTS app",
        "CREATE TABLE app.t (id INT PRIMARY KEY, a INT, b VARCHAR(50), FULLTEXT (b))",
        "CREATE TABLE app.t2 (id INT PRIMARY KEY, a INT, b VARCHAR(50))",
        "CREATE TABLE app.seen (id INT AUTO_INCREMENT PRIMARY KEY)",
        "INSERT INTO app.t VALUES (1, 1, 'x'), (2, 2, 'y'), (3, 3, 'z')",
        "INSERT INTO app.t2 VALUES (1, 1, 'x'), (2, 2, 'y')",
        "CREATE FUNCTION app.f(x INT) RETURNS INT DETERMINISTIC MODIFIES SQL DATA \
         BEGIN INSERT INTO app.seen VALUES (); RETURN x; END",
        "CREATE PROCEDURE app.p() SELECT 1",
    ];
    if cluster.is_mariadb() {
        statements.push("CREATE SEQUENCE app.s");
    }
    let mut root = cluster.root("s1").await;
    for statement in statements {
        root.execute(statement, LIMIT).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    root.close().await;
}

/// A session as the case wants it.
async fn session_for(cluster: &Cluster, case: &Case) -> Session {
    let mut session = cluster.root("s1").await;
    let mut settings = vec!["USE app"];
    for (attribute, setting) in [
        ("ansi", "SET sql_mode = 'ANSI_QUOTES'"),
        ("nbe", "SET sql_mode = 'NO_BACKSLASH_ESCAPES'"),
        ("latin1", "SET NAMES latin1"),
        ("gbk", "SET NAMES gbk"),
    ] {
        if case.has(attribute) {
            settings.push(setting);
        }
    }
    for setting in settings {
        session.execute(setting, LIMIT).await.unwrap();
    }
    session
}

/// Everything that was ever written, as the server counts it.
async fn written(cluster: &Cluster) -> String {
    let position = if cluster.is_mariadb() { "gtid_binlog_pos" } else { "gtid_executed" };
    cluster.cell("s1", &format!("SELECT @@global.{position}")).await.unwrap()
}

/// Whether any row of the tables is locked by someone else.
async fn is_locked(other: &mut Session) -> bool {
    for table in ["t", "t2"] {
        let sql = format!("SELECT id FROM app.{table} FOR UPDATE NOWAIT");
        match other.query(&sql, LIMIT).await {
            Ok(_) => {}
            Err(WireError::Server { code: 1205 | 3572, .. }) => return true,
            Err(error) => panic!("{sql}: {error}"),
        }
    }
    false
}

fn code(error: &WireError) -> u16 {
    match error {
        WireError::Server { code, .. } => *code,
        error => panic!("{error}"),
    }
}

async fn reads_change_nothing(cluster: &Cluster, version: ServerVersion) {
    let before = written(cluster).await;
    let mut other = cluster.root("s1").await;
    let (mut done, mut refused) = (0, Vec::new());
    for case in cases().iter().filter(|case| case.is_for(version.flavor)) {
        let context = case.context(version);
        let class = classify(&case.statement, &context);
        if class.route != Route::Replica || class.statements > 1 {
            continue;
        }
        let shown = String::from_utf8_lossy(&case.statement).into_owned();
        let mut session = session_for(cluster, case).await;
        session.execute("BEGIN", LIMIT).await.unwrap();
        match session.execute_bytes(&case.statement, LIMIT).await {
            Ok(_) => done += 1,
            Err(error) => refused.push(format!("{shown}: {error}")),
        }
        assert!(!is_locked(&mut other).await, "locks rows: {shown}");
        let locks = session.query("SELECT RELEASE_ALL_LOCKS()", LIMIT).await.unwrap();
        assert_eq!(locks.first().unwrap().at(0), Some("0"), "takes a lock: {shown}");
        session.execute("COMMIT", LIMIT).await.unwrap();
        session.close().await;
    }
    assert_eq!(written(cluster).await, before, "something was written");
    println!("{version}: {done} reads done, {} refused:\n{}", refused.len(), refused.join("\n"));
    assert!(done > 100, "{done} statements that may go to a replica are right here");
}

/// Statements that lock because of what stands in a comment or behind a quote: the server agrees.
async fn locks_are_seen(cluster: &Cluster, version: ServerVersion) {
    let mut other = cluster.root("s1").await;
    let (mut seen, mut refused) = (0, Vec::new());
    for case in cases().iter().filter(|case| case.is_for(version.flavor)) {
        let context = case.context(version);
        let class = classify(&case.statement, &context);
        let explains = case.statement.starts_with(b"EXPLAIN");
        if class.why != Why::LocksRows || class.statements > 1 || explains {
            continue;
        }
        let shown = String::from_utf8_lossy(&case.statement).into_owned();
        let mut session = session_for(cluster, case).await;
        session.execute("BEGIN", LIMIT).await.unwrap();
        match session.execute_bytes(&case.statement, LIMIT).await {
            Ok(_) => {
                assert!(is_locked(&mut other).await, "locks nothing: {shown}");
                seen += 1;
            }
            Err(error) => refused.push(format!("{shown}: {error}")),
        }
        session.execute("ROLLBACK", LIMIT).await.unwrap();
        session.close().await;
    }
    println!("{version}: {seen} locks seen, {} refused:\n{}", refused.len(), refused.join("\n"));
    assert!(seen > 18, "{seen} statements that lock are right here");
}

/// No stored function can be called by a name that the tables take for a built-in one.
async fn functions_are_built_in(cluster: &Cluster, version: ServerVersion) {
    let here = version.number.0 * 100 + version.number.1;
    let mut session = cluster.root("s1").await;
    session.execute("USE app", LIMIT).await.unwrap();
    let (mut checked, mut wrong) = (0, Vec::new());
    for function in built_in_functions() {
        let since = match version.flavor {
            Flavor::MySql => {
                function.mysql.filter(|_| function.mysql_until.is_none_or(|until| here < until))
            }
            Flavor::MariaDb => function.mariadb,
        };
        if since.is_none_or(|since| here < since) {
            continue;
        }
        checked += 1;
        let sql = format!("SELECT {}()", function.name);
        if let Err(error) = session.query(&sql, LIMIT).await
            && NO_FUNCTION.contains(&code(&error))
        {
            wrong.push(function.name);
        }
    }
    session.close().await;
    println!("{version}: {checked} functions");
    assert!(wrong.is_empty() && checked > 200, "{checked} checked, not built in: {wrong:?}");
}

/// Whatever commits a transaction without saying so is known to.
async fn commits_are_known(cluster: &Cluster, version: ServerVersion) {
    let (mut committed, mut kept) = (0, 0);
    for case in cases().iter().filter(|case| case.is_for(version.flavor)) {
        let context = case.context(version);
        let class = classify(&case.statement, &context);
        let shown = String::from_utf8_lossy(&case.statement).into_owned();
        let left_out = NOT_HERE.iter().any(|begin| shown.starts_with(begin));
        if left_out || class.statements > 1 || class.route == Route::Transaction {
            continue;
        }
        let mut session = session_for(cluster, case).await;
        session.execute("BEGIN", LIMIT).await.unwrap();
        session.execute("INSERT INTO app.seen VALUES ()", LIMIT).await.unwrap();
        let rows = session.query("SELECT MAX(id) FROM app.seen", LIMIT).await.unwrap();
        let id = rows.first().unwrap().at(0).unwrap().to_owned();
        let done = session.execute_bytes(&case.statement, LIMIT).await.is_ok();
        // The end of the connection rolls back, whatever the statement made of the session.
        session.close().await;
        if !done {
            continue;
        }
        let sql = format!("SELECT COUNT(*) FROM app.seen WHERE id = {id}");
        let mut other = cluster.root("s1").await;
        let rows = other.query(&format!("{sql} LOCK IN SHARE MODE"), LIMIT).await.unwrap();
        let stayed = rows.first().unwrap().at(0) == Some("1");
        other.close().await;
        assert!(!stayed || class.commits, "commits, and is not known to: {shown}");
        committed += usize::from(stayed);
        kept += usize::from(!stayed);
    }
    println!("{version}: {committed} committed, {kept} did not");
    assert!(committed > 20 && kept > 100, "{committed} {kept}");
}

primacy_testkit::on_servers!([mariadb_10_11 mysql_9_7], [mariadb_10_5 mariadb_11_8], the_server_agrees);
primacy_testkit::on_servers!([], [mysql_5_6], the_functions_are_there);
