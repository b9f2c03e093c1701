//! What a dead primary's disk and a better replica's relay logs hold is brought to the replicas, as
//! MHA's manager does it: `save_binary_logs`, `apply_diff_relay_logs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use primacy_sandbox::AccountRole;
use primacy_testkit::{Cluster, Net, Sshds, cluster};
use primacy_wire::Session;

use crate::{
    LONG, PASSWORD, Place, USER, has_applied, has_everything, make_account, node, on_each_server,
    received, stop_receiver,
};

const TABLES: [&str; 3] = ["app.t", "app.big", "`odd ``name`.`t-1`"];

/// A sample of everything that a log can hold: statements that need what their session had, and rows.
async fn write(cluster: &Cluster, round: u32) {
    let mut session = Session::connect(&cluster.login("s1", AccountRole::Root)).await.unwrap();
    let mut run = async |sql: &[u8]| {
        let done = session.execute_bytes(sql, LONG).await;
        done.unwrap_or_else(|error| panic!("{}: {error}", String::from_utf8_lossy(sql)));
    };
    if round == 0 {
        for sql in [
            "CREATE TABLE app.t (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(100) CHARACTER SET \
             utf8, at DATETIME(6), d DECIMAL(20,6), f DOUBLE) ENGINE=InnoDB",
            "CREATE TABLE app.big (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(2000)) ENGINE=InnoDB",
            "CREATE DATABASE `odd ``name`",
            "CREATE TABLE `odd ``name`.`t-1` (id INT PRIMARY KEY, b BLOB) ENGINE=InnoDB",
        ] {
            run(sql.as_bytes()).await;
        }
        return;
    }
    run(b"USE app").await;
    run(b"SET SESSION binlog_format = 'STATEMENT'").await;
    run(b"SET SESSION sql_mode = 'ANSI_QUOTES'").await;
    run(format!("INSERT INTO \"t\" (name) VALUES ('ansi {round}')").as_bytes()).await;
    run(b"SET SESSION sql_mode = ''").await;
    run("SET @v = 'ünï', @i = -5, @d = 12345.678, @f = 1.5e10, @n = NULL".as_bytes()).await;
    run("INSERT INTO t (name, d, f) VALUES (CONCAT(@v, @i), @d, @f), (@n, @i, RAND())".as_bytes())
        .await;
    run(b"INSERT INTO t (name, at) VALUES ('now', NOW(6)), (LAST_INSERT_ID(), NOW())").await;
    run(b"SET SESSION time_zone = '+05:00'").await;
    run(b"INSERT INTO t (name, at) VALUES ('zone', FROM_UNIXTIME(1000000000))").await;
    run(b"SET NAMES latin1").await;
    run(b"INSERT INTO t (name) VALUES ('\xfc\xdf ROLLBACK;\n''x')").await;
    run(b"SET NAMES utf8").await;
    run(b"CREATE TEMPORARY TABLE mine (n INT)").await;
    run(b"INSERT INTO mine VALUES (1), (2)").await;
    run(b"INSERT INTO t (name) SELECT CONCAT('mine ', n) FROM mine").await;
    run(b"DROP TEMPORARY TABLE mine").await;
    run(b"SET SESSION foreign_key_checks = 0, auto_increment_increment = 3").await;
    run(b"INSERT INTO t (name) VALUES ('a'), ('b')").await;
    run(b"SET SESSION foreign_key_checks = 1, auto_increment_increment = 1").await;
    run(b"SET SESSION binlog_format = 'ROW'").await;
    let blob = format!("INSERT INTO `odd ``name`.`t-1` VALUES ({round}, X'00FF27225C0A1A')");
    run(blob.as_bytes()).await;
    run(b"BEGIN").await;
    run(b"INSERT INTO big (v) VALUES (REPEAT('x', 1900))").await;
    for _ in 0..10 {
        run(b"INSERT INTO big (v) SELECT v FROM big LIMIT 400").await;
    }
    run(b"UPDATE big, t SET big.v = CONCAT(big.id, 'y'), t.name = 'both' WHERE big.id = t.id")
        .await;
    run(b"COMMIT").await;
    run(b"DELETE FROM big WHERE id % 7 = 0").await;
    run(format!("ALTER TABLE t ADD COLUMN c{round} INT DEFAULT {round}").as_bytes()).await;
    run(b"BEGIN").await;
    run(b"INSERT INTO t (name) VALUES ('kept')").await;
    run(b"SAVEPOINT s").await;
    run(b"INSERT INTO t (name) VALUES ('undone')").await;
    run(b"ROLLBACK TO s").await;
    run(b"COMMIT").await;
    session.close().await;
}

/// What the tables hold.
async fn checksums(cluster: &Cluster, server: &str) -> Vec<Option<String>> {
    let rows = cluster.sql(server, &format!("CHECKSUM TABLE {}", TABLES.join(", "))).await;
    rows.iter().map(|row| row.at(1).map(str::to_owned)).collect()
}

fn newest_relay_log(cluster: &Cluster, server: &str, name: &str) -> (String, String) {
    let folder = cluster.server(server).datadir.display().to_string();
    (format!("--relay_dir={folder}"), format!("--current_relay_log={name}"))
}

fn diff_args(latest: &Place, target: &Place) -> [String; 4] {
    [
        format!("--latest_mlf={}", latest.0),
        format!("--latest_rmlp={}", latest.1),
        format!("--target_mlf={}", target.0),
        format!("--target_rmlp={}", target.1),
    ]
}

fn apply(cluster: &Cluster, server: &str, files: &[&Path], work: &Path) -> crate::Ran {
    let address = cluster.address(server);
    let files: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
    node(
        "apply_diff_relay_logs",
        &[
            "--command=apply",
            &format!("--slave_user={USER}"),
            &format!("--slave_pass={PASSWORD}"),
            &format!("--slave_host={server}"),
            &format!("--slave_ip={}", address.host()),
            &format!("--slave_port={}", address.port()),
            &format!("--apply_files={}", files.join(",")),
            &format!("--workdir={}", work.display()),
            "--timestamp=20261121000000",
            "--handle_raw_binlog=1",
            "--manager_version=0.58",
        ],
    )
}

/// Three servers: `s2` lacks what only the dead primary's disk has, `s3` more than that.
struct Broken {
    cluster: Cluster,
    work: tempfile::TempDir,
    wanted: Vec<Option<String>>,
    gtids: Option<String>,
    has: [Place; 2],
    binlogs: PathBuf,
}

async fn broken(server: &str, gtid: bool) -> Broken {
    let mut builder = cluster(server)
        .option("relay_log_purge = OFF")
        .option("max_relay_log_size = 1048576")
        .option("max_binlog_size = 4194304");
    if !gtid {
        builder = builder.without_gtid();
    }
    let cluster = builder.up().await;
    make_account(&cluster).await;
    write(&cluster, 0).await;
    for replica in ["s2", "s3"] {
        has_everything(&cluster, replica).await;
    }
    stop_receiver(&cluster, "s3").await;
    let third = received(&cluster, "s3").await;
    write(&cluster, 1).await;
    has_everything(&cluster, "s2").await;
    stop_receiver(&cluster, "s2").await;
    let second = received(&cluster, "s2").await;
    cluster.sql("s1", "FLUSH LOGS").await;
    write(&cluster, 2).await;
    has_applied(&cluster, "s3").await;
    for replica in ["s2", "s3"] {
        cluster.stop_applier(replica).await;
    }
    let wanted = checksums(&cluster, "s1").await;
    let variable = if cluster.is_mariadb() { "gtid_binlog_pos" } else { "gtid_executed" };
    let gtids = match gtid {
        true => cluster.cell("s1", &format!("SELECT @@global.{variable}")).await,
        false => None,
    };
    let base = cluster.cell("s1", "SELECT @@global.log_bin_basename").await.unwrap();
    let binlogs = Path::new(&base).parent().unwrap().to_owned();
    cluster.kill("s1").await;
    let work = tempfile::tempdir().unwrap();
    Broken { cluster, work, wanted, gtids, has: [second, third], binlogs }
}

impl Broken {
    /// The dead primary's tail, as seen from `s2`.
    fn save(&self, name: &str, raw: &str) -> PathBuf {
        let out = self.work.path().join(name);
        let ran = node(
            "save_binary_logs",
            &[
                "--command=save",
                &format!("--start_file={}", self.has[0].0),
                &format!("--start_pos={}", self.has[0].1),
                &format!("--binlog_dir={}", self.binlogs.display()),
                &format!("--output_file={}", out.display()),
                raw,
                "--oldest_version=5.6.51",
            ],
        );
        assert_eq!(ran.code, Some(0), "{ran:?}");
        out
    }

    /// What `s2` has and `s3` has not.
    async fn diff(&self, command: &str, more: &[String]) -> PathBuf {
        let newest = self.cluster.replica_status("s2", "Relay_Log_File").await.unwrap();
        let (folder, newest) = newest_relay_log(&self.cluster, "s2", &newest);
        let out = self.work.path().join("diff");
        let mut words = vec![
            format!("--command={command}"),
            folder,
            newest,
            "--server_id=2".to_owned(),
            format!("--diff_file_readtolatest={}", out.display()),
        ];
        words.extend(diff_args(&self.has[0], &self.has[1]));
        words.extend_from_slice(more);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ran = node("apply_diff_relay_logs", &words);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        out
    }

    async fn has_it_all(&self, server: &str) {
        assert_eq!(checksums(&self.cluster, server).await, self.wanted, "{server}");
        if let Some(gtids) = &self.gtids {
            let sql = match self.cluster.is_mariadb() {
                true => "SELECT @@global.gtid_binlog_pos".to_owned(),
                false => format!("SELECT GTID_SUBSET('{gtids}', @@global.gtid_executed)"),
            };
            let has = self.cluster.cell(server, &sql).await.unwrap();
            assert!(has == "1" || has == *gtids, "{server} has {has}, not {gtids}");
        }
    }
}

async fn level(server: &str, gtid: bool) {
    let broken = broken(server, gtid).await;
    let saved = broken.save("saved", "--handle_raw_binlog=1");
    let found = broken.diff("find", &[]).await;
    assert!(!found.exists());
    let diff = broken.diff("generate", &[]).await;
    for (replica, files) in [("s2", vec![&*saved]), ("s3", vec![&*diff, &*saved])] {
        let ran = apply(&broken.cluster, replica, &files, broken.work.path());
        assert_eq!(ran.code, Some(0), "{replica}: {ran:?}");
        broken.has_it_all(replica).await;
        assert!(!broken.cluster.is_writable(replica).await, "{replica} is read-only as before");
    }
    // Once more: what is there already is refused, or known by its GTIDs.
    let ran = apply(&broken.cluster, "s3", &[&diff], broken.work.path());
    if broken.cluster.is_mariadb() || !gtid {
        assert_eq!(ran.code, Some(22), "{ran:?}");
        let kept = broken.work.path().join(format!(
            "relay_log_apply_for_s3_{}_20261121000000_err.log",
            broken.cluster.address("s3").port()
        ));
        assert!(fs::read_to_string(kept).unwrap().contains("stopped at"));
    } else {
        assert_eq!(ran.code, Some(0), "{ran:?}");
        broken.has_it_all("s3").await;
    }
}

async fn by_position_replicas_get_what_the_disk_and_relay_logs_hold(server: &str) {
    level(server, false).await;
}

async fn with_gtids_they_get_it_under_the_same_names(server: &str) {
    level(server, true).await;
}

/// As MHA has it from binary log servers.
async fn as_text_it_does_the_same(server: &str) {
    let broken = broken(server, false).await;
    let text = fs::read(broken.save("saved.sql", "--handle_raw_binlog=0")).unwrap();
    let mut session = broken.cluster.root("s2").await;
    // What is not known there does not matter here.
    drop(session.execute("SET GLOBAL super_read_only = 0", LONG).await);
    let text = text.strip_prefix(b"DELIMITER /*!*/;\n").unwrap();
    let mark = b"\n/*!*/;\n";
    let mut left = text;
    while let Some(end) = left.windows(mark.len()).position(|window| window == mark) {
        session.execute_bytes(&left[..end], LONG).await.unwrap();
        left = &left[end + mark.len()..];
    }
    broken.has_it_all("s2").await;
}

async fn relay_logs_that_are_not_there_are_named(server: &str) {
    let broken = broken(server, false).await;
    let newest = broken.cluster.replica_status("s2", "Relay_Log_File").await.unwrap();
    let (folder, newest) = newest_relay_log(&broken.cluster, "s2", &newest);
    let places = diff_args(&broken.has[0], &("binlog.000000".to_owned(), 4));
    let mut words = vec!["--command=find", &folder, &newest];
    words.extend(places.iter().map(String::as_str));
    let ran = node("apply_diff_relay_logs", &words);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("have no event at binlog.000000:4"), "{ran:?}");
    // Who has everything gets nothing.
    let places = diff_args(&broken.has[0], &broken.has[0]);
    let mut words = vec!["--command=find", &folder, &newest];
    words.extend(places.iter().map(String::as_str));
    let ran = node("apply_diff_relay_logs", &words);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "the other replica has everything\n"));

    let address = broken.cluster.address("s2");
    let host = format!("--slave_host={}", address.host());
    let port = format!("--slave_port={}", address.port());
    let password = format!("--slave_pass={PASSWORD}");
    let test = ["--command=test", &folder, &newest, "--slave_user=mha", &password, &host, &port];
    let ran = node("apply_diff_relay_logs", &test);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let wrong = ["--command=test", &folder, &newest, "--slave_user=mha", &host, &port];
    assert_eq!(node("apply_diff_relay_logs", &wrong).code, Some(1));
}

async fn the_difference_is_brought_to_another_host_over_ssh(server: &str) {
    let Some(net) = Net::new(2) else { return };
    let Some(sshds) = Sshds::start(&net, 1) else { return };
    let broken = broken(server, false).await;
    let config = sshds.option();
    let address = net.host(0).address.clone();
    // From the second host to the first; all hosts of this network have the same disk.
    let ns = net.host(1).namespace.clone();
    let newest = broken.cluster.replica_status("s2", "Relay_Log_File").await.unwrap();
    let (folder, newest) = newest_relay_log(&broken.cluster, "s2", &newest);
    let out = broken.work.path().join("folder/diff");
    let link = broken.work.path().join("apply_diff_relay_logs");
    std::os::unix::fs::symlink(crate::PROGRAM, &link).unwrap();
    let mut command = std::process::Command::new("ip");
    command.args(["netns", "exec", &ns]).arg(&link);
    command.args(["--command=generate_and_send", &folder, &newest]);
    command.args(diff_args(&broken.has[0], &broken.has[1]));
    command.arg(format!("--scp_host={address}")).arg(format!("--ssh_options='{config}'"));
    command.arg(format!("--diff_file_readtolatest={}", out.display()));
    let sent = command.output().unwrap();
    let said = String::from_utf8_lossy(&sent.stdout).into_owned();
    assert!(sent.status.success(), "{said}{}", String::from_utf8_lossy(&sent.stderr));
    assert!(said.contains(&format!("is on {address}")), "{said}");
    let ran = apply(&broken.cluster, "s3", &[&out], broken.work.path());
    assert_eq!(ran.code, Some(0), "{ran:?}");

    // A host that cannot be reached ends it in time.
    let begun = std::time::Instant::now();
    let mut command = std::process::Command::new("ip");
    command.args(["netns", "exec", &ns]).arg(&link);
    command.args(["--command=generate_and_send", &folder, &newest, "--scp_host=192.0.2.1"]);
    command.args(diff_args(&broken.has[0], &broken.has[1]));
    command.arg(format!("--diff_file_readtolatest={}2", out.display()));
    let failed = command.output().unwrap();
    assert_eq!(failed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&failed.stderr).contains("was not brought to 192.0.2.1"));
    assert!(begun.elapsed() < Duration::from_secs(60));
}

on_each_server!(
    by_position_replicas_get_what_the_disk_and_relay_logs_hold,
    with_gtids_they_get_it_under_the_same_names,
    as_text_it_does_the_same,
    relay_logs_that_are_not_there_are_named,
);

primacy_testkit::on_servers!(
    [mariadb_10_11],
    [],
    the_difference_is_brought_to_another_host_over_ssh
);
