//! `primacy binlog` on live servers.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use primacy_testkit::{Cluster, cluster, eventually};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use crate::{LONG, PROGRAM, on_each_server, on_mysql};

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn command(cluster: &Cluster, args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("binlog").args(args).env("PRIMACY_CONFIG", cluster.config()).kill_on_drop(true);
    command.stdin(Stdio::null());
    command
}

async fn run(cluster: &Cluster, args: &[&str]) -> Ran {
    let output = timeout(LONG, command(cluster, args).output()).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// The server begins a file, and has written all that it writes there by itself: MariaDB adds, a
/// moment later, that nothing before it is needed for crash recovery any more.
async fn begin_a_file(cluster: &Cluster) {
    cluster.sql("s1", "FLUSH BINARY LOGS").await;
    if !cluster.is_mariadb() {
        return;
    }
    let newest = names(cluster).await.pop().unwrap();
    let events = format!("SHOW BINLOG EVENTS IN '{newest}'");
    eventually(LONG, "the file's own checkpoint is there", async || {
        let rows = cluster.sql("s1", &events).await;
        rows.iter()
            .any(|row| row.at(2) == Some("Binlog_checkpoint") && row.at(5) == Some(newest.as_str()))
    })
    .await;
}

/// Some transactions, and a second file.
async fn write(cluster: &Cluster) {
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY, b TEXT)").await;
    cluster.sql("s1", "INSERT INTO app.t VALUES (1, 'one'), (2, 'two')").await;
    begin_a_file(cluster).await;
    cluster.sql("s1", "UPDATE app.t SET b = 'three' WHERE id = 2").await;
    cluster.sql("s1", "DELETE FROM app.t WHERE id = 1").await;
}

fn log(cluster: &Cluster, name: &str) -> PathBuf {
    cluster.server("s1").datadir.join(name)
}

/// The names of the primary's files, oldest first.
async fn names(cluster: &Cluster) -> Vec<String> {
    let rows = cluster.sql("s1", "SHOW BINARY LOGS").await;
    rows.iter().map(|row| row.at(0).unwrap().to_owned()).collect()
}

async fn is_the_same(cluster: &Cluster, folder: &Path) {
    for name in names(cluster).await {
        let (theirs, ours) = (
            std::fs::read(log(cluster, &name)).unwrap(),
            std::fs::read(folder.join(&name)).unwrap(),
        );
        let same = theirs.iter().zip(&ours).take_while(|(a, b)| a == b).count();
        assert!(theirs == ours, "{name}: {} and {} bytes, {same} alike", theirs.len(), ours.len());
    }
}

async fn a_live_server_is_shown_like_its_files(server: &str) {
    let cluster = cluster(server).replicas(0).up().await;
    write(&cluster).await;
    let address = cluster.address("s1").to_string();
    let live = run(&cluster, &["show", "--server", &address, "--json"]).await;
    assert_eq!((live.code, live.err.as_str()), (Some(0), ""));
    let mut args = vec!["show".to_owned(), "--json".to_owned()];
    for name in names(&cluster).await {
        args.push(log(&cluster, &name).display().to_string());
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let files = run(&cluster, &args).await;
    // The server hides the mark of a file in use.
    assert_eq!(live.out, files.out.replace(", in use\"", "\""));

    let args = ["show", "--server", &address, "--transactions", "--table", "app.t"];
    let rows = run(&cluster, &args).await.out;
    let counts: Vec<&str> = rows.lines().filter_map(|l| l.split("app.t ").nth(1)).collect();
    assert_eq!(counts.len(), 3, "{rows}");
    for (line, count) in counts.iter().zip(["+2", "~1", "-1"]) {
        assert!(line.starts_with(count), "{rows}");
    }
    let last = names(&cluster).await.pop().unwrap();
    let from = format!("{last}:4");
    let later = run(&cluster, &["show", "--server", &address, "--from", &from]).await;
    assert!(later.out.lines().all(|line| line.starts_with(&last)), "{}", later.out);
}

async fn a_server_is_copied_byte_for_byte_and_after_a_crash_goes_on(server: &str) {
    let cluster = cluster(server).replicas(0).up().await;
    write(&cluster).await;
    let address = cluster.address("s1").to_string();
    let folder = cluster.place().join("copies");
    let out = folder.display().to_string();
    let save = ["save", "--server", &address, "--out", &out];
    let ran = run(&cluster, &save).await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    is_the_same(&cluster, &folder).await;

    // Again: nothing is new. Then what a crash leaves.
    assert!(run(&cluster, &save).await.out.starts_with("0 bytes copied"));
    let newest = folder.join(names(&cluster).await.pop().unwrap());
    let bytes = std::fs::read(&newest).unwrap();
    std::fs::write(&newest, &bytes[..bytes.len() - 40]).unwrap();
    cluster.sql("s1", "INSERT INTO app.t VALUES (7, 'seven')").await;
    begin_a_file(&cluster).await;
    let ran = run(&cluster, &save).await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    is_the_same(&cluster, &folder).await;
    let verified = run(&cluster, &["verify", "--strict", &out]).await;
    assert_eq!(verified.code, Some(0), "{}", verified.out);

    // It follows, and ends when it is told to.
    let mut follows = command(&cluster, &["save", "--follow", "--server", &address, "--out", &out])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    cluster.sql("s1", "INSERT INTO app.t VALUES (8, 'eight')").await;
    let newest = names(&cluster).await.pop().unwrap();
    let size = || std::fs::metadata(folder.join(&newest)).map_or(0, |m| m.len());
    // MariaDB adds checkpoints when it likes.
    let whole = || std::fs::metadata(log(&cluster, &newest)).unwrap().len();
    eventually(LONG, "what is written is copied", async || size() == whole()).await;
    let pid = follows.id().unwrap().to_string();
    Command::new("kill").args(["-TERM", &pid]).status().await.unwrap();
    let status = timeout(Duration::from_secs(10), follows.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
    is_the_same(&cluster, &folder).await;
}

/// MySQL changes the format that it sends to whoever begins in the middle of a file.
async fn a_copy_without_checksums_goes_on_in_the_middle_of_a_file(server: &str) {
    let cluster = cluster(server).replicas(0).option("binlog_checksum = NONE").up().await;
    write(&cluster).await;
    let address = cluster.address("s1").to_string();
    let folder = cluster.place().join("copies");
    let out = folder.display().to_string();
    for row in ["INSERT INTO app.t VALUES (7, 'seven')", "INSERT INTO app.t VALUES (8, 'eight')"] {
        let ran = run(&cluster, &["save", "--server", &address, "--out", &out]).await;
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        is_the_same(&cluster, &folder).await;
        cluster.sql("s1", row).await;
    }
}

async fn another_servers_files_are_not_continued(server: &str) {
    let cluster = cluster(server).replicas(1).up().await;
    let folder = cluster.place().join("copies").display().to_string();
    let first = cluster.address("s1").to_string();
    let second = cluster.address("s2").to_string();
    let ran = run(&cluster, &["save", "--server", &first, "--out", &folder]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let ran = run(&cluster, &["save", "--server", &second, "--out", &folder]).await;
    assert_eq!(ran.code, Some(1), "{} {}", ran.out, ran.err);
    assert!(ran.err.contains("is another file") || ran.err.contains("1236"), "{}", ran.err);
}

async fn a_live_server_is_cut_and_verified(server: &str) {
    let cluster = cluster(server).replicas(0).up().await;
    write(&cluster).await;
    let address = cluster.address("s1").to_string();
    let verified = run(&cluster, &["verify", "--server", &address]).await;
    assert_eq!(verified.code, Some(0), "{}{}", verified.out, verified.err);
    let out = cluster.place().join("cut").display().to_string();
    let last = names(&cluster).await.pop().unwrap();
    let from = format!("{last}:4");
    let cut = run(&cluster, &["cut", "--server", &address, "--from", &from, "--out", &out]).await;
    assert_eq!(cut.code, Some(0), "{}{}", cut.out, cut.err);
    assert!(cut.out.starts_with("2 transactions, "), "{}", cut.out);
    let shown = run(&cluster, &["show", "--transactions", &out]).await;
    let rows: Vec<&str> = shown.out.lines().filter(|line| line.contains("app.t ")).collect();
    assert_eq!(rows.len(), 2, "{}", shown.out);
    let nobody = run(&cluster, &["verify", "--server", "127.0.0.1:1"]).await;
    assert_ne!(nobody.code, Some(0), "{}", nobody.out);
}

async fn two_servers_are_compared(server: &str) {
    let cluster = cluster(server).replicas(1).up().await;
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY, b TEXT)").await;
    let (s1, s2) = (cluster.address("s1").to_string(), cluster.address("s2").to_string());
    let (a, b) = (format!("server:{s1}"), format!("server:{s2}"));
    eventually(LONG, "both know the same", async || {
        run(&cluster, &["diff", &a, &b]).await.code == Some(0)
    })
    .await;
    cluster.say("s2", "STOP SLAVE", "STOP REPLICA").await;
    cluster.sql("s1", "INSERT INTO app.t VALUES (1, 'one'), (2, 'two')").await;
    let ran = run(&cluster, &["diff", "--transactions", &a, &b]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.out.contains(&format!("only {s1}: 1 transaction\n")), "{}", ran.out);
    assert!(ran.out.contains("app.t +2"), "{}{}", ran.out, ran.err);
    assert!(!ran.out.contains(&format!("only {s2}:")), "{}", ran.out);
    // The primary's folder says the same as the primary.
    let folder = cluster.server("s1").datadir.display().to_string();
    let ran = run(&cluster, &["diff", "--transactions", &folder, &b]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.out.contains("app.t +2"), "{}{}", ran.out, ran.err);
    let ran = run(&cluster, &["diff", &folder, &a]).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
}

async fn an_account_may_be_given_and_its_password_is_nowhere(server: &str) {
    let cluster = cluster(server).replicas(0).up().await;
    let address = cluster.address("s1").to_string();
    let root = cluster.sandbox().info().account(primacy_sandbox::AccountRole::Replication);
    let account = root.unwrap();
    let file = cluster.place().join("password");
    std::fs::write(&file, format!("{}\n", account.password)).unwrap();
    let file = file.display().to_string();
    let args = [
        "show",
        "--server",
        &address,
        "--user",
        &account.user,
        "--password-file",
        &file,
        "--tls",
        "off",
    ];
    let ran = run(&cluster, &args).await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    std::fs::write(&file, "wrong\n").unwrap();
    let ran = run(&cluster, &args).await;
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.contains("1045") && !ran.err.contains("wrong\n"), "{}", ran.err);
}

/// The program that comes with the server reads what is cut to standard output.
async fn mysqlbinlog_reads_a_cut(server: &str) {
    let root = Path::new("/var/cache/primacy/servers").join(server);
    let program = root.join("usr/bin/mysqlbinlog");
    if !program.exists() {
        println!("{server}: there is no {}", program.display());
        return;
    }
    let cluster = cluster(server).replicas(0).up().await;
    write(&cluster).await;
    let folder = cluster.server("s1").datadir.display().to_string();
    let cut = command(&cluster, &["cut", &folder, "--out", "-"]).output().await.unwrap();
    assert_eq!(cut.status.code(), Some(0), "{}", String::from_utf8_lossy(&cut.stderr));
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let loader = libraries.join("ld-linux-x86-64.so.2");
    let mut reader = match loader.exists() {
        true => {
            let mut reader = Command::new(loader);
            let private = root.join("usr/lib/mysql/private");
            let path = format!("{}:{}", libraries.display(), private.display());
            reader.arg("--library-path").arg(path).arg(&program);
            reader
        }
        false => Command::new(&program),
    };
    let mut reader = reader
        .args(["--verify-binlog-checksum", "-vv", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = reader.stdin.take().unwrap();
    let feed = tokio::spawn(async move { stdin.write_all(&cut.stdout).await });
    let read = timeout(LONG, reader.wait_with_output()).await.unwrap().unwrap();
    feed.await.unwrap().unwrap();
    let (out, err) = (String::from_utf8_lossy(&read.stdout), String::from_utf8_lossy(&read.stderr));
    assert!(read.status.success(), "{err}");
    for text in ["### INSERT INTO `app`.`t`", "### UPDATE `app`.`t`", "### DELETE FROM `app`.`t`"] {
        assert!(out.contains(text), "{text} is not in: {out}");
    }
}

on_each_server!(
    a_live_server_is_shown_like_its_files,
    a_server_is_copied_byte_for_byte_and_after_a_crash_goes_on,
    a_copy_without_checksums_goes_on_in_the_middle_of_a_file,
    another_servers_files_are_not_continued,
    two_servers_are_compared,
    a_live_server_is_cut_and_verified,
    an_account_may_be_given_and_its_password_is_nowhere,
);
on_mysql!(mysqlbinlog_reads_a_cut);
