//! MHA's commands of the manager's host, called by their names, with an `app1.cnf` as tutorials have
//! it, on real servers whose hosts are reached over a real sshd.
#![expect(clippy::unwrap_used, reason = "tests and their helpers")]
#![allow(clippy::disallowed_methods, reason = "every call has a limit of its own")]

mod mha_commands {
    mod beside_perl;
    mod ends;
    mod vip;
}

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use primacy_sandbox::AccountRole;
use primacy_testkit::{Cluster, Net, Sshds, cluster, eventually, until};

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_primacy");

/// More than any operation takes on a busy machine.
const LONG: Duration = Duration::from_secs(90);

/// The manager's host.
const MANAGER: usize = 3;

/// What a command came to.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

/// A folder with an application's file, its manager's folder, and links to the commands.
struct Site {
    folder: tempfile::TempDir,
    namespace: Option<String>,
}

impl Site {
    fn new(namespace: Option<&str>) -> Self {
        let folder = tempfile::Builder::new().prefix("ptmha").tempdir_in("/tmp").unwrap();
        let site = Self { folder, namespace: namespace.map(str::to_owned) };
        fs::create_dir(site.at("bin")).unwrap();
        let made = Command::new(PROGRAM).arg("install-mha-links").arg(site.at("bin")).output();
        assert!(made.unwrap().status.success());
        site
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The application's file; `ssh`: a line that says how hosts are reached.
    fn write(&self, app: &str, cluster: &Cluster, ssh: &str) {
        let account = |role| cluster.sandbox().info().account(role).unwrap().clone();
        let (admin, replica) = (account(AccountRole::Manager), account(AccountRole::Replication));
        let mut text = format!(
            "# The classic one.\n[server default]\nmanager_workdir={workdir}\n\
             manager_log={workdir}/manager.log\nuser={}\npassword={}\nrepl_user={}\n\
             repl_password={}\nssh_user=root\n{ssh}\n",
            admin.user,
            admin.password,
            replica.user,
            replica.password,
            workdir = self.at(app).display(),
        );
        for (number, server) in ["s1", "s2", "s3"].iter().enumerate() {
            let address = cluster.address(server);
            text.push_str(&format!(
                "\n# About {server}.\n[server{}]\nhostname={}\nport={}\n",
                number + 1,
                address.host(),
                address.port()
            ));
            if *server == "s2" {
                text.push_str("candidate_master=1\n");
            }
        }
        fs::create_dir(self.at(app)).unwrap();
        fs::write(self.at(&format!("{app}.cnf")), text).unwrap();
        fs::set_permissions(self.at(&format!("{app}.cnf")), fs::Permissions::from_mode(0o600))
            .unwrap();
    }

    /// A script of one line; its path.
    fn script(&self, name: &str, line: &str) -> String {
        let path = self.at(name);
        fs::write(&path, format!("#!/bin/sh\n{line}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        path.display().to_string()
    }

    fn command(&self, name: &str, words: &[&str]) -> Command {
        let program = self.at("bin").join(name);
        let mut command = match &self.namespace {
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(program);
                command
            }
            None => Command::new(program),
        };
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.at("bin").display()));
        command.args(words).stdin(Stdio::null()).env_remove("PRIMACY_LOG");
        command
    }

    fn run(&self, name: &str, words: &[&str]) -> Ran {
        let output = self.command(name, words).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// A command on an application.
    fn on(&self, name: &str, app: &str, more: &[&str]) -> Ran {
        let conf = format!("--conf={}", self.at(&format!("{app}.cnf")).display());
        let words: Vec<&str> = std::iter::once(&*conf).chain(more.iter().copied()).collect();
        self.run(name, &words)
    }

    /// A manager in the background.
    fn manager(&self, app: &str, more: &[&str]) -> Background {
        let conf = format!("--conf={}", self.at(&format!("{app}.cnf")).display());
        let words: Vec<&str> = std::iter::once(&*conf).chain(more.iter().copied()).collect();
        let child = self.command("masterha_manager", &words).spawn().unwrap();
        Background(child)
    }

    fn log(&self, app: &str) -> String {
        fs::read_to_string(self.at(app).join("manager.log")).unwrap_or_default()
    }

    async fn is_running(&self, app: &str) {
        eventually(LONG, "the manager watches", async || {
            self.on("masterha_check_status", app, &[]).code == Some(0)
        })
        .await;
    }

    /// No password stands in what anybody may read.
    fn shows_no_password(&self, app: &str, cluster: &Cluster, also: &[&Ran]) {
        let mut texts = vec![self.log(app)];
        texts.extend(also.iter().flat_map(|ran| [ran.out.clone(), ran.err.clone()]));
        for (_, password) in cluster.passwords() {
            assert!(texts.iter().all(|text| !text.contains(&password)), "a password is shown");
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        primacy_testkit::show_logs_of_failure(self.folder.path());
    }
}

/// A manager in the background; killed when dropped.
struct Background(Child);

impl Background {
    fn pid(&self) -> u32 {
        self.0.id()
    }

    async fn ends(&mut self, log: impl Fn() -> String) -> i32 {
        let ended =
            async { until(LONG, "the manager ends", async || self.0.try_wait().unwrap()).await };
        match tokio::time::timeout(LONG * 2, ended).await {
            Ok(status) => status.code().unwrap(),
            Err(_) => panic!("{}", log()),
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn ssh_options(sshds: &Sshds) -> String {
    format!("ssh_options={}", sshds.option())
}

fn contains_all(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

async fn the_classic_walk_through(server: &str) {
    let Some(net) = Net::new(4) else { return };
    let Some(sshds) = Sshds::start(&net, MANAGER) else { return };
    let cluster = cluster(server).on(&net).up().await;
    let site = Site::new(Some(&net.host(MANAGER).namespace));
    let told = site.at("told");
    let script = site.script("report", &format!("printf '%s\\n' \"$@\" >> {}", told.display()));
    let lines = format!("{}\nreport_script={script}", ssh_options(&sshds));
    // Nine logins at once are no matter of five seconds on a machine that tests other things beside.
    site.write("app1", &cluster, &format!("{lines}\nssh_connection_timeout=30"));
    // What MHA's own packages put on hosts is not called.
    let node = site.at("node-was-called");
    for host in 0..MANAGER {
        for name in ["save_binary_logs", "apply_diff_relay_logs", "filter_mysqlbinlog"] {
            let text = format!("#!/bin/sh\necho {name} >> {}\nexit 1\n", node.display());
            sshds.install(net.host(host), name, &text);
        }
    }
    binary_log_servers(&site, &cluster);
    let host = |name: &str| cluster.address(name).host().to_owned();
    let shown = |name: &str| format!("{}({})", host(name), cluster.address(name));

    let ssh = site.on("masterha_check_ssh", "app1", &[]);
    assert_eq!(ssh.code, Some(0), "{}", ssh.err);
    contains_all(
        &ssh.err,
        &[
            " - [info] All SSH connection tests passed successfully.",
            &format!("from this host to root@{0}({0}:22), of [binlog1]..\n", host("s1")),
            " - [warning] SSH connection to root@nowhere.invalid(nowhere.invalid:22), of [binlog2], \
             failed: ",
            "[binlog1] is read only where the dead primary's own disk cannot be",
            "[binlog2] is read only where the dead primary's own disk cannot be",
        ],
    );

    let repl = site.on("masterha_check_repl", "app1", &[]);
    assert_eq!(repl.code, Some(0), "{}{}", repl.err, repl.out);
    assert!(repl.out.ends_with("\nMySQL Replication Health is OK.\n"), "{}", repl.out);
    let tree =
        format!("\n{} (current master)\n +--{}\n +--{}\n", shown("s1"), shown("s2"), shown("s3"));
    contains_all(&repl.err, &[&tree]);

    let status = site.on("masterha_check_status", "app1", &[]);
    assert_eq!(status.out, "app1 is stopped(2:NOT_RUNNING).\n");
    assert_eq!(status.code, Some(2));

    let mut manager = site.manager("app1", &["--remove_dead_master_conf"]);
    site.is_running("app1").await;
    let status = site.on("masterha_check_status", "app1", &[]);
    let line =
        format!("app1 (pid:{}) is running(0:PING_OK), master:{}\n", manager.pid(), host("s1"));
    assert_eq!(status.out, line);

    // A second one, under the same name and under another.
    let second = site.on("masterha_manager", "app1", &[]);
    assert_eq!(second.code, Some(1));
    contains_all(&site.log("app1"), &["is running already"]);
    site.write("app2", &cluster, &ssh_options(&sshds));
    let other = site.on("masterha_manager", "app2", &[]);
    assert_eq!(other.code, Some(1));
    contains_all(&site.log("app2"), &["another manager watches this master"]);
    assert_eq!(site.on("masterha_check_status", "app1", &[]).code, Some(0));

    relay_logs_are_purged_by_cron(&site, &net, &cluster).await;

    cluster.kill("s1").await;
    let code = manager.ends(|| site.log("app1")).await;
    assert_eq!(code, 0, "{}", site.log("app1"));
    assert_eq!(cluster.writable().await, ["s2"]);
    cluster.all_replicate(&["s3"], "s2").await;
    let log = site.log("app1");
    let report =
        format!("app1: MySQL Master failover {} to {} succeeded", shown("s1"), shown("s2"));
    contains_all(&log, &[&report, " - [info] Master failover to "]);
    let conf = fs::read_to_string(site.at("app1.cnf")).unwrap();
    assert!(!conf.contains("[server1]"), "{conf}");
    contains_all(&conf, &["# The classic one.", "# About s1.", "[server2]", "[server3]"]);
    let told = fs::read_to_string(told).unwrap();
    let old = format!("--orig_master_host={}\n", host("s1"));
    contains_all(&told, &[&old, &format!("--new_master_host={}\n", host("s2")), "--subject="]);
    assert!(site.at("app1/app1.failover.complete").exists());
    assert!(!site.at("app1/app1.failover.error").exists());
    assert!(!site.at("app1/app1.master_status.health").exists());
    assert_eq!(site.on("masterha_check_status", "app1", &[]).code, Some(2));

    // Within 480 minutes there is no second failover, and no manager that pretends to do one.
    let locked_out = site.on("masterha_manager", "app1", &[]);
    assert_eq!(locked_out.code, Some(1));
    contains_all(&site.log("app1"), &["480 minutes"]);
    let mut manager = site.manager("app1", &["--ignore_last_failover"]);
    site.is_running("app1").await;
    assert!(!site.at("app1/app1.failover.complete").exists());
    let status = site.on("masterha_check_status", "app1", &[]);
    assert!(status.out.ends_with(&format!("master:{}\n", host("s2"))), "{}", status.out);
    let stopped = site.on("masterha_stop", "app1", &[]);
    assert_eq!((stopped.code, &*stopped.out), (Some(0), "Stopped app1 successfully.\n"));
    assert_eq!(manager.ends(|| site.log("app1")).await, 1);
    assert!(!site.at("app1/app1.master_status.health").exists());
    let again = site.on("masterha_stop", "app1", &[]);
    assert_eq!((again.code, again.out.contains("not running")), (Some(0), true));
    assert!(!node.exists(), "{}", fs::read_to_string(node).unwrap_or_default());
    site.shows_no_password("app1", &cluster, &[&ssh, &repl, &status]);
}

/// A binary log server on the primary's own host, and one that is nowhere: no failover waits for it.
fn binary_log_servers(site: &Site, cluster: &Cluster) {
    let mut text = fs::read_to_string(site.at("app1.cnf")).unwrap();
    for (number, host) in [cluster.address("s1").host(), "nowhere.invalid"].iter().enumerate() {
        text.push_str(&format!("\n[binlog{}]\nhostname={host}\n", number + 1));
    }
    fs::write(site.at("app1.cnf"), text).unwrap();
}

/// The line of a crontab, on the host of a replica and while the manager watches. Of its environment cron
/// gives a path and no terminal; here its input is closed besides.
async fn relay_logs_are_purged_by_cron(site: &Site, net: &Net, cluster: &Cluster) {
    let account = cluster.sandbox().info().account(AccountRole::Manager).unwrap().clone();
    let (address, log) = (cluster.address("s3"), site.at("purge.log"));
    let work = &cluster.server("s3").datadir;
    let line = format!(
        "{} --user={} --password={} --disable_relay_log_purge --host={} --port={} --workdir={} \
         >> {} 2>&1 <&-",
        site.at("bin/purge_relay_logs").display(),
        account.user,
        account.password,
        address.host(),
        address.port(),
        work.display(),
        log.display(),
    );
    cluster.sql("s3", "SET GLOBAL relay_log_purge = 1").await;
    for _ in 0..2 {
        let namespace = &net.host(2).namespace;
        let mut cron = Command::new("ip");
        cron.args(["netns", "exec", namespace, "/usr/bin/env", "-i", "PATH=/usr/bin:/bin"]);
        let ran = cron.args(["/bin/sh", "-c", &line]).stdin(Stdio::null()).output().unwrap();
        let told = fs::read_to_string(&log).unwrap();
        assert_eq!(ran.status.code(), Some(0), "{told}");
        // Cron sends a mail of everything that a line says.
        assert!(ran.stdout.is_empty() && ran.stderr.is_empty(), "{ran:?}");
        let kept = cluster.cell("s3", "SELECT @@global.relay_log_purge").await;
        assert_eq!(kept.as_deref(), Some("0"), "{told}");
        assert!(told.contains("relay log") && !told.contains(&account.password), "{told}");
    }
    cluster.all_replicate(&["s3"], "s1").await;
}

/// Without ssh, and with the primary dead before the manager is started: straight to the failover.
async fn a_manager_that_finds_the_primary_dead_fails_over(server: &str) {
    let cluster = cluster(server).up().await;
    let site = Site::new(None);
    site.write("app1", &cluster, "ssh_connection_timeout=1");
    cluster.kill("s1").await;
    let mut manager = site.manager("app1", &["--skip_check_ssh"]);
    let code = manager.ends(|| site.log("app1")).await;
    assert_eq!(code, 0, "{}", site.log("app1"));
    assert_eq!(cluster.writable().await, ["s2"]);
    cluster.all_replicate(&["s3"], "s2").await;
}

/// `t_slave_stop`, and what else is not healthy.
async fn what_is_not_healthy_is_said_and_refused(server: &str) {
    let cluster = cluster(server).up().await;
    let site = Site::new(None);
    site.write("app1", &cluster, "ssh_connection_timeout=1");
    cluster.stop_applier("s3").await;
    let repl = site.on("masterha_check_repl", "app1", &["--skip_check_ssh"]);
    assert_eq!(repl.code, Some(1), "{}", repl.err);
    assert!(repl.out.ends_with("\nMySQL Replication Health is NOT OK!\n"), "{}", repl.out);
    contains_all(&repl.err, &["its SQL thread is not running"]);
    cluster.start_applier("s3").await;
    cluster.kill("s3").await;
    let refused = site.on("masterha_manager", "app1", &["--skip_check_ssh"]);
    assert_eq!(refused.code, Some(1));
    contains_all(&site.log("app1"), &["is dead, but must be alive"]);
    assert!(!site.at("app1/app1.master_status.health").exists());
    // A file that the failover before left behind.
    cluster.start("s3").await;
    fs::write(site.at("app1/app1.failover.error"), "").unwrap();
    let refused = site.on("masterha_manager", "app1", &["--skip_check_ssh"]);
    assert_eq!(refused.code, Some(1));
    contains_all(&site.log("app1"), &["the last failover failed"]);
    site.shows_no_password("app1", &cluster, &[&repl]);
}

/// The primary cannot be fenced as the file demands: it is not waited for for ever.
async fn a_failover_that_cannot_be_done_ends_the_manager_with_an_error(server: &str) {
    let cluster = cluster(server).up().await;
    let site = Site::new(None);
    let script = "case \"$*\" in *--command=status*) exit 0;; esac; exit 1";
    let script = site.script("power", script);
    let line = format!("ssh_connection_timeout=1\nshutdown_script={script}");
    site.write("app1", &cluster, &line);
    let mut manager = site.manager("app1", &["--skip_check_ssh", "--wait_on_failover_error=5"]);
    site.is_running("app1").await;
    cluster.kill("s1").await;
    eventually(LONG, "the status says so", async || {
        site.on("masterha_check_status", "app1", &[]).code == Some(51)
    })
    .await;
    assert_eq!(manager.ends(|| site.log("app1")).await, 1);
    contains_all(&site.log("app1"), &["the failover could not go on for 15 seconds"]);
    assert!(cluster.writable().await.is_empty());
    assert!(site.at("app1/app1.failover.error").exists());
    assert!(!site.at("app1/app1.failover.complete").exists());
    let again = site.on("masterha_manager", "app1", &["--skip_check_ssh"]);
    assert_eq!(again.code, Some(1));
    contains_all(&site.log("app1"), &["the last failover failed"]);
}

/// After the failover it watches the new primary.
async fn a_manager_that_keeps_running_watches_the_new_primary(server: &str) {
    let cluster = cluster(server).up().await;
    let site = Site::new(None);
    site.write("app1", &cluster, "ssh_connection_timeout=1");
    let mut manager = site.manager("app1", &["--skip_check_ssh", "--keep-running"]);
    site.is_running("app1").await;
    cluster.kill("s1").await;
    let new = format!("master:{}\n", cluster.address("s2").host());
    eventually(LONG, "the new primary is watched", async || {
        let status = site.on("masterha_check_status", "app1", &[]);
        let flag = site.at("app1/app1.failover.complete").exists();
        flag && status.code == Some(0) && status.out.ends_with(&new)
    })
    .await;
    assert_eq!(cluster.writable().await, ["s2"]);
    contains_all(&site.log("app1"), &["Going on with the new master"]);
    assert_eq!(site.on("masterha_stop", "app1", &[]).code, Some(0));
    assert_eq!(manager.ends(|| site.log("app1")).await, 1);
}

/// A test on the server of the short tier and, with `cargo xtask test --matrix`, on the others.
macro_rules! on_servers {
    ($($tests:tt)+) => {
        primacy_testkit::on_servers!([mariadb_10_11], [mysql_9_7 mysql_5_6], $($tests)+);
    };
}
pub(crate) use on_servers;

on_servers!(
    the_classic_walk_through,
    a_manager_that_finds_the_primary_dead_fails_over,
    what_is_not_healthy_is_said_and_refused,
    a_failover_that_cannot_be_done_ends_the_manager_with_an_error,
    a_manager_that_keeps_running_watches_the_new_primary,
);

/// The status file of a process that lives, and of one that does not.
#[test]
fn the_status_is_read_from_the_file_and_the_process() {
    let site = Site::new(None);
    let folder = site.folder.path().display().to_string();
    let words = ["--app=app1", &*format!("--workdir={folder}")];
    let file = site.at("app1.master_status.health");
    let own = std::process::id();
    let status = |text: String| {
        fs::write(&file, text).unwrap();
        let ran = site.run("masterha_check_status", &words);
        (ran.code, ran.out)
    };
    let line = format!("app1 (pid:{own}) is running(0:PING_OK), master:db1\n");
    assert_eq!(status(format!("{own}\t0:PING_OK\tmaster:db1")), (Some(0), line));
    let line = "app1 master is down and failover is running(50:FAILOVER_RUNNING). master:db1\n";
    let said = status(format!("{own}\t50:FAILOVER_RUNNING\tmaster:db1"));
    assert_eq!(said, (Some(50), line.to_owned()));
    let busy = site.run("masterha_stop", &words);
    assert_eq!(busy.code, Some(1), "a failover is not ended without --abort");
    let gone = status(format!("{}\t0:PING_OK\tmaster:db1", i32::MAX));
    assert_eq!(gone, (Some(2), "app1 is stopped(2:NOT_RUNNING).\n".to_owned()));
    let strange = status(format!("{own}\t0:SOMETHING\tmaster:db1"));
    assert_eq!(strange, (Some(1), String::new()));
    let nothing = site.run("masterha_check_status", &[]);
    assert_eq!((nothing.code, nothing.out.is_empty()), (Some(1), true));
    assert!(nothing.err.contains("--conf="), "{}", nothing.err);
}

#[test]
fn a_host_is_added_and_removed_and_the_rest_of_the_file_stays() {
    let site = Site::new(None);
    let conf = site.at("app1.cnf");
    let before = "# mine\n[server default]\nuser=u\n\n; why\n[server1]\nport=3306\nhostname=db1\n";
    fs::write(&conf, before).unwrap();
    let path = format!("--conf={}", conf.display());
    let run = |words: &[&str]| {
        let words: Vec<&str> = words.iter().copied().chain([&*path]).collect();
        site.run("masterha_conf_host", &words).code
    };
    let text = |path: &Path| fs::read_to_string(path).unwrap();
    let params = "--params=no_master=1;ignore_fail=1";
    assert_eq!(run(&["--command=add", "--hostname=db2", params]), Some(0));
    let after = format!("{before}\n[server_db2]\nhostname=db2\nno_master=1\nignore_fail=1\n");
    assert_eq!(text(&conf), after);
    assert_eq!(run(&["--command=add", "--hostname=db2"]), Some(255), "it is there");
    assert_eq!(run(&["--command=add", "--hostname=db3", "--params=x=1"]), Some(255));
    assert_eq!(run(&["--command=add"]), Some(255), "no host is named");
    assert_eq!(run(&["--command=delete", "--hostname=db2"]), Some(0));
    assert_eq!(run(&["--command=delete", "--hostname=db2"]), Some(0), "it is not there");
    assert_eq!(text(&conf).trim_end(), before.trim_end());
    assert_eq!(run(&["--command=remove", "--block=1"]), Some(0));
    assert!(!text(&conf).contains("db1"), "{}", text(&conf));
    assert_eq!(run(&["--comand=add"]), Some(1), "typing errors are no wishes");
}
