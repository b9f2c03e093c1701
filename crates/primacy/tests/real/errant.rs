//! `primacy errant`: what a replica wrote by mistake is named, exported, replayed, and made known.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use primacy_api::{ErrorKind, InjectOrder, Service};
use primacy_sandbox::{AccountRole, find_installation};
use primacy_testkit::{Cluster, Manager, cluster, eventually};
use tokio::process::Command;
use tokio::time::timeout;

use crate::{LONG, PROGRAM, on_each_server, on_mariadb, on_mariadb_first, on_mysql_5_6};

/// Format description events, which are not copied byte for byte.
const FORMAT: u8 = 15;

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

async fn primacy(cluster: &Cluster, args: &[&str]) -> Ran {
    let mut command = Command::new(PROGRAM);
    command.args(args).env("PRIMACY_CONFIG", cluster.config()).kill_on_drop(true);
    let output = timeout(LONG, command.stdin(Stdio::null()).output()).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

async fn errant(cluster: &Cluster, args: &[&str]) -> Ran {
    primacy(cluster, &[&["errant"], args].concat()).await
}

/// A primary and a replica that has everything.
async fn pair(server: &str) -> Cluster {
    pair_with(server, &[]).await
}

async fn pair_with(server: &str, options: &[&str]) -> Cluster {
    let builder = options.iter().fold(cluster(server).replicas(1), |all, line| all.option(line));
    let cluster = builder.up().await;
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY, note VARCHAR(20))").await;
    cluster.sql("s1", "INSERT INTO app.t VALUES (1, 'given')").await;
    cluster.catches_up("s2", "s1").await;
    cluster
}

/// Somebody writes on a read-only replica.
async fn by_mistake(cluster: &Cluster, statements: &[&str]) {
    let closes = !cluster.speaks_old();
    if closes {
        cluster.sql("s2", "SET GLOBAL super_read_only = OFF").await;
    }
    for statement in statements {
        cluster.sql("s2", statement).await;
    }
    if closes {
        cluster.sql("s2", "SET GLOBAL super_read_only = ON").await;
    }
}

/// Four errant transactions in two files.
async fn four_by_mistake(cluster: &Cluster) {
    let statements = [
        "CREATE TABLE app.own (id INT PRIMARY KEY, note VARCHAR(20))",
        "INSERT INTO app.own VALUES (1, 'one'), (2, 'two')",
        "FLUSH BINARY LOGS",
        "INSERT INTO app.own VALUES (3, 'three')",
        "UPDATE app.own SET note = 'second' WHERE id = 2",
    ];
    by_mistake(cluster, &statements).await;
}

/// What the replica has and the primary has not.
async fn beyond_the_primary(cluster: &Cluster) -> String {
    if cluster.is_mariadb() {
        return cluster.cell("s2", "SELECT @@global.gtid_binlog_pos").await.unwrap();
    }
    let primary = cluster.cell("s1", "SELECT @@global.gtid_executed").await.unwrap();
    let sql = format!("SELECT GTID_SUBTRACT(@@global.gtid_executed, '{primary}')");
    cluster.cell("s2", &sql).await.unwrap().replace('\n', "")
}

/// The binary logs of the replica, oldest first.
async fn logs(cluster: &Cluster) -> Vec<PathBuf> {
    let rows = cluster.sql("s2", "SHOW BINARY LOGS").await;
    rows.iter().map(|row| cluster.server("s2").datadir.join(row.at(0).unwrap())).collect()
}

/// The events of a binary log.
fn events(log: &[u8]) -> Vec<&[u8]> {
    let (magic, mut rest) = log.split_at(4);
    assert_eq!(magic, b"\xfebin");
    let mut all = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[9..13].try_into().unwrap());
        let (event, after) = rest.split_at(length as usize);
        all.push(event);
        rest = after;
    }
    all
}

/// A program that comes with the server; that of another version may not know it.
fn program(server: &str, name: &str) -> Option<Command> {
    let installation = find_installation(Some(server)).unwrap();
    let own = installation.root.join("usr/bin").join(name);
    if !installation.is_system() && own.exists() {
        let mut words = installation.launcher.into_iter().chain([own.into_os_string()]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        return Some(command);
    }
    let path = std::env::var_os("PATH").filter(|_| installation.is_system()).unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|p| p.exists());
    if found.is_none() {
        println!("SKIPPED: {server} has no {name}");
    }
    found.map(Command::new)
}

/// `mysqlbinlog FILE | mysql`, on the primary. Whether there are such programs.
async fn replayed(cluster: &Cluster, server: &str, file: &Path) -> bool {
    let names = match cluster.is_mariadb() {
        true => ["mariadb-binlog", "mariadb"],
        false => ["mysqlbinlog", "mysql"],
    };
    let [Some(mut reader), Some(mut client)] = names.map(|name| program(server, name)) else {
        return false;
    };
    let read = timeout(LONG, reader.arg("--verify-binlog-checksum").arg(file).output());
    let read = read.await.unwrap().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let statements = file.with_extension("sql");
    std::fs::write(&statements, &read.stdout).unwrap();
    let login = cluster.login("s1", AccountRole::Root);
    client
        .arg(format!("--socket={}", cluster.server("s1").socket.display()))
        .arg(format!("--user={}", login.user))
        .env("MYSQL_PWD", secrecy::ExposeSecret::expose_secret(&login.password))
        .stdin(std::fs::File::open(&statements).unwrap());
    let done = timeout(LONG, client.output()).await.unwrap().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    true
}

async fn rows(cluster: &Cluster, server: &str) -> String {
    let sql = "SELECT GROUP_CONCAT(id, note ORDER BY id) FROM app.own";
    cluster.cell(server, sql).await.unwrap_or_default()
}

async fn what_a_replica_wrote_is_named_exported_and_replayed(server: &str) {
    let cluster = pair(server).await;
    let address = cluster.address("s2").to_string();
    let file = cluster.place().join("errant.binlog");
    let out = file.display().to_string();

    // Nothing is there yet.
    let ran = errant(&cluster, &["export", &address, "-o", &out]).await;
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "{}", ran.err);
    assert!(ran.err.contains("has no errant transaction") && !file.exists(), "{}", ran.err);

    four_by_mistake(&cluster).await;
    let gtids = beyond_the_primary(&cluster).await;
    let shown = errant(&cluster, &["show"]).await;
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    assert!(shown.out.contains(&format!("{address}: {gtids}")), "{gtids}: {}", shown.out);
    let checked = primacy(&cluster, &["check"]).await;
    assert_eq!(checked.code, Some(1), "{}", checked.err);
    assert!(checked.out.contains("errant") && checked.out.contains(&gtids), "{}", checked.out);

    // The tables and rows, at the places where the server has them.
    let text = errant(&cluster, &["export", &address, "--readable"]).await;
    assert_eq!(text.code, Some(0), "{}", text.err);
    assert!(text.out.contains("app.own  2 rows"), "{}", text.out);
    let live = primacy(&cluster, &["binlog", "show", "--server", &address]).await.out;
    for line in text.out.lines() {
        assert!(live.lines().any(|other| other == line), "{line}\nis not in\n{live}");
    }
    assert!(!text.out.contains("app.t"), "only what is errant: {}", text.out);

    // The same bytes that the server has.
    let ran = errant(&cluster, &["export", &address, "-o", &out]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.starts_with("4 transactions"), "{}", ran.out);
    let logs: Vec<Vec<u8>> =
        logs(&cluster).await.iter().map(|log| std::fs::read(log).unwrap()).collect();
    let theirs: Vec<&[u8]> = logs.iter().flat_map(|log| events(log)).collect();
    let exported = std::fs::read(&file).unwrap();
    for event in events(&exported).into_iter().filter(|event| event[4] != FORMAT) {
        assert!(theirs.contains(&event), "an event of kind {} is the server's own", event[4]);
    }
    let piped = Command::new(PROGRAM)
        .args(["errant", "export", &address])
        .env("PRIMACY_CONFIG", cluster.config())
        .stdin(Stdio::null())
        .output();
    assert_eq!(timeout(LONG, piped).await.unwrap().unwrap().stdout, exported);

    // A file that is there stays as it is, unless that is wanted.
    std::fs::write(&file, "mine").unwrap();
    let ran = errant(&cluster, &["export", &address, "-o", &out]).await;
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{}", ran.err);
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
    let ran = errant(&cluster, &["export", &address, "-o", &out, "--force"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(std::fs::read(&file).unwrap(), exported);

    // Replayed on the primary they are errant no more: everybody has them, rows and all.
    if !replayed(&cluster, server, &file).await {
        return;
    }
    assert_eq!(rows(&cluster, "s1").await, "1one,2second,3three");
    assert_eq!(rows(&cluster, "s2").await, "1one,2second,3three");
    let shown = errant(&cluster, &["show"]).await;
    assert!(shown.out.contains("no errant transaction"), "{}", shown.out);
    cluster.sql("s1", "INSERT INTO app.own VALUES (4, 'given')").await;
    eventually(LONG, "the replica goes on", async || {
        rows(&cluster, "s2").await == "1one,2second,3three,4given"
    })
    .await;
}

async fn compressed_transactions_without_checksums_are_exported_too(server: &str) {
    let compressed = match server.starts_with("mariadb") {
        true => "log_bin_compress = ON\nlog_bin_compress_min_len = 10",
        false => "binlog_transaction_compression = ON",
    };
    let cluster = pair_with(server, &[compressed, "binlog_checksum = NONE"]).await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    four_by_mistake(&cluster).await;
    let long = "INSERT INTO app.own VALUES (4, REPEAT('x', 20))";
    by_mistake(&cluster, &[long]).await;
    let address = cluster.address("s2");
    manager.has_looked_again(&address).await;
    let address = address.to_string();
    let text = errant(&cluster, &["export", &address, "--readable"]).await;
    assert_eq!(text.code, Some(0), "{}", text.err);
    assert!(text.out.contains("app.own  2 rows"), "{}", text.out);
    let file = cluster.place().join("errant.binlog");
    let ran = errant(&cluster, &["export", &address, "-o", &file.display().to_string()]).await;
    assert!(ran.out.starts_with("5 transactions"), "{} {}", ran.out, ran.err);
    if replayed(&cluster, server, &file).await {
        assert_eq!(rows(&cluster, "s1").await, rows(&cluster, "s2").await);
        assert!(rows(&cluster, "s1").await.ends_with(&format!("3three,4{}", "x".repeat(20))));
    }
}

async fn what_the_binary_logs_no_longer_hold_is_named(server: &str) {
    let cluster = pair(server).await;
    four_by_mistake(&cluster).await;
    let address = cluster.address("s2").to_string();
    let file = cluster.place().join("errant.binlog");
    let out = file.display().to_string();
    let newest = logs(&cluster).await.pop().unwrap();
    let newest = newest.file_name().unwrap().to_string_lossy().into_owned();
    cluster.sql("s2", &format!("PURGE BINARY LOGS TO '{newest}'")).await;

    // The last of them is known; the first two are in no file any more.
    let all = beyond_the_primary(&cluster).await;
    let (gone, there) = if cluster.is_mariadb() {
        let (writer, last) = all.rsplit_once('-').unwrap();
        let last: u64 = last.parse().unwrap();
        let range = |from, to| format!("{writer}-{from}..{to}");
        (range(last - 3, last - 2), range(last - 1, last))
    } else {
        let (uuid, numbers) = all.split_once(':').unwrap();
        let last: u64 = numbers.rsplit_once('-').unwrap().1.parse().unwrap();
        let range = |from, to| format!("{uuid}:{from}-{to}");
        (range(last - 3, last - 2), range(last - 1, last))
    };
    let ran = errant(&cluster, &["export", &address, "-o", &out]).await;
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{}", ran.err);
    assert!(ran.err.contains(&format!("do not hold {gone} (any more)")), "{gone}: {}", ran.err);
    assert!(ran.err.contains("--partial") && !file.exists(), "{}", ran.err);

    let ran = errant(&cluster, &["export", &address, "-o", &out, "--partial"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.starts_with("2 transactions"), "{}", ran.out);
    assert!(ran.out.contains(&format!("GTIDs: {there}\n")), "{there}: {}", ran.out);
    assert!(ran.out.contains(&format!("(any more): {gone}\n")), "{gone}: {}", ran.out);

    // One that a person names, and one that is gone.
    let separator = if cluster.is_mariadb() { ".." } else { "-" };
    let first_of = |range: &str| range.rsplit_once(separator).unwrap().0.to_owned();
    let (first, second) = (first_of(&gone), first_of(&there));
    let ran = errant(&cluster, &["export", &address, "--gtids", &second, "--readable"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("app.own") && ran.out.contains(&second), "{}", ran.out);
    let args = ["export", &address, "--gtids", &first, "--partial", "-o", &out, "--force"];
    let ran = errant(&cluster, &args).await;
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains(&format!("do not hold {first} (any more)")), "{}", ran.err);
}

async fn there_is_a_reason_for_each_refusal(server: &str) {
    let cluster = pair(server).await;
    let file = cluster.place().join("errant.binlog");
    let out = file.display().to_string();
    let (primary, replica) = (cluster.address("s1").to_string(), cluster.address("s2").to_string());
    by_mistake(&cluster, &["INSERT INTO app.t VALUES (7, 'own')"]).await;
    let ran = errant(&cluster, &["export", "nobody:3306", "-o", &out]).await;
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("no cluster of the configuration has nobody:3306"), "{}", ran.err);
    let ran = errant(&cluster, &["export", &primary, "-o", &out]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("is the primary"), "{}", ran.err);
    let foreign = match cluster.is_mariadb() {
        true => "3e11fa47-71ca-11e1-9e33-c80aa9429562:1",
        false => "0-1-1",
    };
    let ran = errant(&cluster, &["export", &replica, "-o", &out, "--gtids", foreign]).await;
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    let folder = cluster.place().display().to_string();
    let ran = errant(&cluster, &["export", &replica, "-o", &folder, "--force"]).await;
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    // A primary that is dead is compared with as it was seen, or as its replicas know it.
    let gtids = beyond_the_primary(&cluster).await;
    cluster.kill("s1").await;
    let ran = errant(&cluster, &["export", &replica, "--readable"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("app.t  1 row") && ran.out.contains(&gtids), "{}", ran.out);
    let ran = errant(&cluster, &["export", &replica, "--readable", "--gtids", &gtids]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("app.t  1 row"), "{}", ran.out);
    cluster.kill("s2").await;
    let ran = errant(&cluster, &["export", &replica, "-o", &out]).await;
    assert_eq!((ran.code, ran.out.as_str()), (Some(3), ""), "{}", ran.err);
    assert!(ran.err.contains(&replica), "{}", ran.err);
    assert!(!file.exists());
    let left = std::fs::read_dir(cluster.place()).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".partial")), "{left:?}");
}

/// With a manager, whose route does it.
async fn empty_transactions_are_asked_for_and_make_them_known(server: &str) {
    let cluster = pair(server).await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    by_mistake(&cluster, &["INSERT INTO app.t VALUES (7, 'own'), (8, 'own')"]).await;
    let gtids = beyond_the_primary(&cluster).await;
    eventually(LONG, "the manager has seen the errant transaction", async || {
        errant(&cluster, &["show"]).await.out.contains(&gtids)
    })
    .await;
    let order = InjectOrder { server: None, dry_run: true };
    let answer = manager.client().await.inject_empty(cluster.name(), order).await;
    let ran = errant(&cluster, &["inject-empty"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "nobody can be asked: {}", ran.err);
    assert!(ran.err.contains("--yes"), "{}", ran.err);
    let done = errant(&cluster, &["inject-empty", "--yes"]).await;
    if cluster.is_mariadb() {
        let refusal = answer.unwrap_err();
        assert_eq!(refusal.kind, ErrorKind::Refused);
        assert!(refusal.reasons[0].why.starts_with("MariaDB"), "{refusal:?}");
        assert_eq!((done.code, done.out.as_str()), (Some(1), ""), "{}", done.err);
        assert!(done.err.contains("MariaDB has no set of executed GTIDs"), "{}", done.err);
        return;
    }
    let planned = answer.unwrap();
    assert_eq!(planned.transactions.to_string(), gtids);
    assert_eq!((planned.primary, planned.done), (cluster.address("s1"), false));
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(done.out.contains(&gtids), "{}", done.out);
    eventually(LONG, "nothing is errant any more", async || {
        errant(&cluster, &["show"]).await.out.contains("no errant transaction")
    })
    .await;
    assert_eq!(cluster.cell("s1", "SELECT COUNT(*) FROM app.t").await.as_deref(), Some("1"));
    // Now that everybody knows them they can still be exported by their names.
    let address = cluster.address("s2").to_string();
    let ran = errant(&cluster, &["export", &address, "--readable", "--gtids", &gtids]).await;
    assert!(ran.out.contains("app.t  2 rows"), "{}{}", ran.out, ran.err);
}

/// Written on a replica that is no longer strict, so that both went on with the same numbers.
async fn numbers_that_were_used_twice_are_told_apart(server: &str) {
    let cluster = cluster(server).replicas(1).option("gtid_strict_mode = OFF").up().await;
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY, note VARCHAR(20))").await;
    cluster.catches_up("s2", "s1").await;
    by_mistake(&cluster, &["INSERT INTO app.t VALUES (7, 'own')"]).await;
    let first = beyond_the_primary(&cluster).await;
    cluster.sql("s1", "INSERT INTO app.t VALUES (1, 'given')").await;
    let arrived = "SELECT COUNT(*) FROM app.t WHERE id = 1";
    eventually(LONG, "the same number is replicated", async || {
        cluster.cell("s2", arrived).await.as_deref() == Some("1")
    })
    .await;
    by_mistake(&cluster, &["INSERT INTO app.t VALUES (8, 'own')"]).await;
    let second = beyond_the_primary(&cluster).await;
    let address = cluster.address("s2").to_string();
    let ran = errant(&cluster, &["export", &address, "--readable"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("2 transactions"), "{}", ran.err);
    assert!(ran.out.contains(&first) && ran.out.contains(&second), "{}", ran.out);
    assert!(!ran.out.contains("given") && !ran.out.contains("0-1-"), "{}", ran.out);
}

on_each_server!(
    what_a_replica_wrote_is_named_exported_and_replayed,
    compressed_transactions_without_checksums_are_exported_too,
    what_the_binary_logs_no_longer_hold_is_named,
    empty_transactions_are_asked_for_and_make_them_known,
);
on_mariadb_first!(there_is_a_reason_for_each_refusal);
on_mysql_5_6!(
    what_a_replica_wrote_is_named_exported_and_replayed,
    what_the_binary_logs_no_longer_hold_is_named,
);
on_mariadb!(numbers_that_were_used_twice_are_told_apart);
