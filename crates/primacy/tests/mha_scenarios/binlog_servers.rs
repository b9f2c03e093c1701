//! `[binlogN]`: a host to which `mysqlbinlog` copies the primary's binary logs, and a primary whose own
//! disk is gone with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use primacy_sandbox::find_installation;
use primacy_testkit::eventually;

use super::site::{ALL, M, S1, S2, S3, S4, SLAVES, Site};

/// How long a copy may take to be as long as the original.
const COPIED: std::time::Duration = std::time::Duration::from_secs(60);

/// `mysqlbinlog` as a binlog server: it ends with the test.
struct Copier(Child);

impl Copier {
    /// Copies everything that the primary writes from now on, and what it has written.
    fn start(site: &Site, server: &str, to: &Path) -> Self {
        fs::create_dir(to).unwrap();
        let installed = find_installation(Some(server)).unwrap();
        let program = installed.root.join("usr/bin/mysqlbinlog");
        let words = [installed.launcher, vec![program.into()]].concat();
        let address = site.cluster.address(M);
        let child = Command::new(&words[0])
            .args(&words[1..])
            .args(["--read-from-remote-server", "--raw", "--stop-never"])
            .arg("--connection-server-id=4711")
            .arg(format!("--result-file={}/", to.display()))
            .arg(format!("--host={}", address.host()))
            .arg(format!("--port={}", address.port()))
            .arg(format!("--user={}", site.admin.user))
            .arg("binlog.000001")
            .env("MYSQL_PWD", &site.admin.password)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

/// The binary logs in a folder, oldest first.
fn logs(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().flatten().map(|file| file.path());
    let mut logs: Vec<PathBuf> =
        files.filter(|path| path.to_string_lossy().contains("/binlog.0")).collect();
    logs.sort();
    logs
}

/// Whether each of these is in the folder too, as long as it is itself.
fn are_copied(originals: &[PathBuf], folder: &Path) -> bool {
    let length = |path: &Path| fs::metadata(path).map(|file| file.len()).ok();
    originals.iter().all(|path| length(path) == length(&folder.join(path.file_name().unwrap())))
}

/// The name of the log after this one.
fn next(log: &Path) -> String {
    let number: u32 = log.extension().unwrap().to_str().unwrap().parse().unwrap();
    format!("binlog.{:06}", number + 1)
}

fn with_binlog_server(site: &Site, folder: &Path) {
    let conf = site.at("app1.cnf");
    let mut text = fs::read_to_string(&conf).unwrap();
    let folder = folder.display();
    text.push_str(&format!(
        "\n[binlog1]\nhostname=127.0.0.1\nmaster_binlog_dir=/nowhere,{folder}\n"
    ));
    fs::write(conf, text).unwrap();
}

fn disk_is_lost(site: &Site) {
    let disk = &site.cluster.server(M).datadir;
    fs::rename(disk, disk.with_extension("lost")).unwrap();
}

/// Rows that no replica received, and that only the copy still has.
async fn what_only_a_binlog_server_has_is_rescued(server: &str) {
    let Some(site) = Site::over_ssh(server).await else { return };
    let folder = site.at("copy");
    with_binlog_server(&site, &folder);
    let copier = Copier::start(&site, server, &folder);
    site.have(1, &ALL).await;
    let manager = site.watching(&[]).await;
    for slave in SLAVES {
        site.stop_receiver(slave).await;
    }
    site.insert_all(M, 2..=6).await;
    let originals = logs(&site.cluster.server(M).datadir);
    eventually(COPIED, "everything is copied", async || are_copied(&originals, &folder)).await;
    // What the copier of another primary has left has the names of what may come.
    let left = logs(&site.cluster.server(S4).datadir);
    let newest = originals.last().unwrap();
    for name in [next(newest), "binlog.000042".to_owned()] {
        fs::copy(left.last().unwrap(), folder.join(name)).unwrap();
    }
    // The manager has seen the primary alive, and finds nothing on its disk.
    disk_is_lost(&site);
    site.cluster.kill(M).await;
    drop(copier);
    let ran = site.ended(manager).await;
    let log = ran.log.clone();
    ran.succeeds();
    assert!(
        log.contains(&format!("the copy in {} on 127.0.0.1 was read", folder.display())),
        "{log}"
    );
    assert!(log.contains("POSSIBLE LOSS"), "a copy proves nothing: {log}");
    site.serves(S1, &[S2, S3, S4], 6).await;
    site.insert(S1, 7).await;
    site.have(7, &SLAVES).await;
}

/// One copy has the newest file alone, which looks complete by the list of what came before it, and stands
/// first: when it turns out that it cannot give what the winner lacks, the next one does.
async fn a_copy_that_begins_too_late_gives_way_to_another(server: &str) {
    let Some(site) = Site::over_ssh(server).await else { return };
    let (late, folder) = (site.at("late"), site.at("copy"));
    with_binlog_server(&site, &late);
    let conf = site.at("app1.cnf");
    let text = fs::read_to_string(&conf).unwrap();
    let folders = format!("{},{}", late.display(), folder.display());
    fs::write(&conf, text.replace(&late.display().to_string(), &folders)).unwrap();
    let copier = Copier::start(&site, server, &folder);
    site.have(1, &ALL).await;
    let manager = site.watching(&[]).await;
    for slave in [S1, S3, S4] {
        site.stop_receiver(slave).await;
    }
    site.insert_all(M, 2..=4).await;
    site.cluster.sql(M, "FLUSH BINARY LOGS").await;
    site.insert(M, 5).await;
    site.have(5, &[S2]).await;
    site.stop_receiver(S2).await;
    site.insert(M, 6).await;
    let originals = logs(&site.cluster.server(M).datadir);
    eventually(COPIED, "everything is copied", async || are_copied(&originals, &folder)).await;
    fs::create_dir(&late).unwrap();
    let newest = originals.last().unwrap();
    fs::copy(newest, late.join(newest.file_name().unwrap())).unwrap();
    disk_is_lost(&site);
    site.cluster.kill(M).await;
    drop(copier);
    let ran = site.ended(manager).await;
    let log = ran.log.clone();
    ran.succeeds();
    assert!(log.contains(&format!("in {} on 127.0.0.1: ", late.display())), "{log}");
    assert!(log.contains("the files begin after transactions"), "why it was given up: {log}");
    site.serves(S1, &[S2, S3, S4], 6).await;
}

/// A folder with the files of another server: nothing of theirs gets into the cluster.
async fn the_files_of_others_are_not_taken(server: &str) {
    let Some(site) = Site::over_ssh(server).await else { return };
    let folder = site.at("copy");
    with_binlog_server(&site, &folder);
    fs::create_dir(&folder).unwrap();
    site.insert(M, 2).await;
    site.have(2, &ALL).await;
    // Two of a cluster share no transaction names unless they are of one cluster, so one of this cluster
    // has written by itself, in a log that nobody else will ever see.
    site.cluster.sql(S4, "CREATE TABLE app.foreign_to_all (id INT PRIMARY KEY)").await;
    let newest = |name: &str| logs(&site.cluster.server(name).datadir).pop().unwrap();
    let (own, other) = (newest(M), newest(S4));
    fs::copy(&other, folder.join(Path::file_name(&own).unwrap())).unwrap();
    site.cluster.kill(M).await;
    disk_is_lost(&site);
    // Nobody has seen it alive: what it was called its replicas say.
    let ran = site.manager("app1.cnf", &[]).await;
    let log = &ran.log;
    assert!(log.contains("which the dead server did not write"), "{ran:#?}");
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    site.have(2, &[S1, S2, S3]).await;
    let count =
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'foreign_to_all'";
    for slave in [S1, S2, S3] {
        assert_eq!(site.cluster.cell(slave, count).await.as_deref(), Some("0"), "{slave}");
    }
}

primacy_testkit::on_servers!(
    [mysql_9_7],
    [],
    what_only_a_binlog_server_has_is_rescued,
    a_copy_that_begins_too_late_gives_way_to_another,
    the_files_of_others_are_not_taken
);
