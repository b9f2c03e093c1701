//! A configuration of MHA with the real program: on real servers a manager runs with it as it is, and
//! importing it changes nothing of what it says.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "the program has limits of its own, and this is a test"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use primacy_sandbox::AccountRole;
use primacy_testkit::{Cluster, cluster, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_primacy");

/// More than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// What a run of the program came to.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn primacy(dir: &Path, args: &[&str]) -> Ran {
    let mut command = Command::new(PROGRAM);
    command.args(args).current_dir(dir).stdin(Stdio::null());
    command.env_remove("PRIMACY_CONFIG").env_remove("PRIMACY_LOG");
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// A manager, killed when dropped; its log is in the file that MHA's `manager_log` names.
struct Manager(Child);

impl Manager {
    fn start(dir: &Path) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(["manager", "--config", "app1.cnf"]).current_dir(dir);
        command.env_remove("PRIMACY_CONFIG").env_remove("PRIMACY_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The file as MHA's users have it, for three servers of this machine.
fn app1(cluster: &Cluster, dir: &Path) -> PathBuf {
    let account = |role| {
        let accounts = &cluster.sandbox().info().accounts;
        accounts.iter().find(|account| account.role == role).unwrap().clone()
    };
    let (manager, replication) = (account(AccountRole::Manager), account(AccountRole::Replication));
    let mut text = format!(
        "[server default]\n# the admin\nuser={}\nrepl_user={}\nrepl_password='{}'\n\
         manager_workdir={dir}/app1\nmanager_log={dir}/manager.log\nremote_workdir=/tmp\n\
         init_conf_load_script=cat {dir}/secret\nssh_user=root\n",
        manager.user,
        replication.user,
        replication.password,
        dir = dir.display()
    );
    for (number, name) in cluster.names().iter().enumerate() {
        let address = cluster.address(name);
        text.push_str(&format!(
            "\n[server{}]\nhostname={}\nport={}\n",
            number + 1,
            address.host(),
            address.port()
        ));
    }
    text.push_str("candidate_master=1 ; the last one\n");
    fs::write(dir.join("secret"), format!("password={}\n", manager.password)).unwrap();
    let file = dir.join("app1.cnf");
    fs::write(&file, text).unwrap();
    file
}

/// The primary that a running manager shows in good health.
fn healthy_primary(dir: &Path) -> Option<String> {
    let ran = primacy(dir, &["status", "--config", "app1.cnf", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&ran.out).ok()?;
    let cluster = shown.get(0).unwrap_or(&shown);
    let answered = ran.code == Some(0) && !ran.err.contains("no manager is running");
    assert!(!answered || cluster["name"] == "app1", "{ran:?}");
    answered.then(|| cluster["primary"].as_str().map(str::to_owned)).flatten()
}

async fn a_manager_runs_with_a_file_of_mha_and_importing_it_changes_nothing(server: &str) {
    let cluster = cluster(server).up().await;
    let dir = cluster.place().join("mha");
    fs::create_dir(&dir).unwrap();
    app1(&cluster, &dir);
    let _manager = Manager::start(&dir);
    let first = cluster.address("s1").to_string();
    let log = || fs::read_to_string(dir.join("manager.log")).unwrap_or_default();
    eventually(LONG, "the manager shows the cluster", async || {
        healthy_primary(&dir).as_deref() == Some(first.as_str())
    })
    .await;
    let status = primacy(&dir, &["status", "--config", "app1.cnf"]);
    for name in cluster.names() {
        assert!(status.out.contains(&cluster.address(&name).to_string()), "{status:?}");
    }
    eventually(LONG, "the manager says what it makes of the file", async || {
        log().contains("no `shutdown_script` is written, so unfenced")
    })
    .await;

    // Imported, it is the same configuration, and commands find the same manager with it.
    let imported = primacy(&dir, &["config", "import", "app1.cnf", "--output", "primacy.toml"]);
    assert_eq!(imported.code, Some(0), "{imported:?}");
    let text = fs::read_to_string(dir.join("primacy.toml")).unwrap();
    for (_, password) in cluster.passwords() {
        assert!(!text.contains(&password), "a password is in the native file");
        assert!(!format!("{imported:?}").contains(&password), "a password is shown");
    }
    let keys = |file: &str| {
        let shown = primacy(&dir, &["config", "show", "--config", file]).out;
        let kept = |line: &&str| !line.contains("password");
        shown.lines().filter(kept).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(keys("app1.cnf"), keys("primacy.toml"));
    let check = |file: &str| primacy(&dir, &["check", "--config", file]);
    // What is found may change while it is looked for.
    eventually(LONG, "both files lead to the same manager and its findings", async || {
        let (by_mha, by_native) = (check("app1.cnf"), check("primacy.toml"));
        assert!(!by_native.err.contains("no manager is running"), "{by_native:?}");
        (by_mha.code, by_mha.out) == (by_native.code, by_native.out)
    })
    .await;

    // It manages: a dead primary is replaced, and by the server that MHA's file prefers.
    cluster.kill("s1").await;
    let third = cluster.address("s3").to_string();
    eventually(LONG, "the candidate is the primary", async || {
        healthy_primary(&dir).as_deref() == Some(third.as_str())
    })
    .await;
    eventually(LONG, "the candidate accepts writes", async || {
        cluster.writable().await.iter().any(|name| name == "s3")
    })
    .await;
    for (_, password) in cluster.passwords() {
        assert!(!log().contains(&password), "a password is in the log");
    }
}

const TWO: &str = "[server default]\npassword=hunter2\nrepl_user=r\nrepl_password=hunter3\n\
                   [server1]\nhostname=db1\n[server2]\nhostname=db2\n";

#[test]
fn passwords_are_written_once_for_their_owner_alone_and_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("app1.cnf"), TWO).unwrap();
    let import = ["config", "import", "app1.cnf", "-o", "primacy.toml"];
    let ran = primacy(dir.path(), &import);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let secret = at("app1.manager.password");
    assert_eq!(fs::read_to_string(&secret).unwrap(), "hunter2\n");
    assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(at("app1.replication.password")).unwrap(), "hunter3\n");

    // The native file is not replaced unless somebody says so.
    let ran = primacy(dir.path(), &import);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("exists; nothing was written"), "{ran:?}");
    let forced = [&import[..], &["--force"]].concat();
    assert_eq!(primacy(dir.path(), &forced).code, Some(0));

    // A password that is there is not replaced at all.
    fs::write(&secret, "theirs\n").unwrap();
    let before = fs::read_to_string(at("primacy.toml")).unwrap();
    fs::write(at("app1.cnf"), format!("{TWO}no_master=1\n")).unwrap();
    let ran = primacy(dir.path(), &forced);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("holds another password; nothing was written"), "{ran:?}");
    assert_eq!(fs::read_to_string(&secret).unwrap(), "theirs\n");
    assert_eq!(fs::read_to_string(at("primacy.toml")).unwrap(), before);
    assert!(!format!("{ran:?}").contains("hunter"), "{ran:?}");
}

#[test]
fn every_command_takes_a_file_of_mha_and_names_what_is_wrong_with_it() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("app1.cnf"), TWO).unwrap();
    let ran = primacy(dir.path(), &["config", "check", "--config", "app1.cnf"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("1 cluster with 2 servers"), "{ran:?}");
    let shown = primacy(dir.path(), &["config", "show", "--config", "app1.cnf"]);
    assert!(shown.out.contains("# the password stands in app1.cnf"), "{shown:?}");
    assert!(!format!("{shown:?}").contains("hunter"), "{shown:?}");

    fs::write(dir.path().join("app1.cnf"), "[server1]\nhostnme=hunter2\n").unwrap();
    for verb in ["status", "manager", "check", "grants"] {
        let ran = primacy(dir.path(), &[verb, "--config", "app1.cnf"]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains("app1.cnf:2:1: unknown key `hostnme`"), "{ran:?}");
        assert!(ran.err.contains("did you mean `hostname`?"), "{ran:?}");
        assert!(!ran.err.contains("hunter2"), "{ran:?}");
    }
    let ran = primacy(dir.path(), &["config", "check", "--config", "app1.cnf", "--json"]);
    assert!(ran.out.contains("\"line\": 2"), "{ran:?}");
}

primacy_testkit::on_servers!(
    [mariadb_10_11],
    [],
    a_manager_runs_with_a_file_of_mha_and_importing_it_changes_nothing
);
