//! Sandboxes of real servers: MariaDB 10.11 and MySQL 9.7 in the ordinary run, every other version
//! with `cargo xtask test --matrix`. A server that is not on this machine is printed and left out.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

use std::path::Path;
use std::time::{Duration, Instant};

use primacy_sandbox::{Account, AccountRole, ProcessState, Role, Sandbox, SandboxInfo, UpOptions};
use primacy_testkit::on_servers;
use primacy_types::Address;
use primacy_wire::{ConnectOptions, Session, TlsMode};
use secrecy::SecretString;

/// More than anything takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

fn options(test: &str, server: &str, dir: &Path) -> UpOptions {
    let name = format!("{test}-{}", std::process::id());
    let mut options = UpOptions::in_dir(name, dir.join("box"));
    options.server = Some(server.to_owned());
    options
}

/// A folder that the servers' own user can enter.
fn place() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    dir
}

async fn login(info: &SandboxInfo, server: &str, role: AccountRole) -> Session {
    let address = info.server(server).unwrap().address.clone();
    Session::connect(&as_account(info.account(role).unwrap(), address)).await.unwrap()
}

fn as_account(account: &Account, address: Address) -> ConnectOptions {
    ConnectOptions {
        address,
        user: account.user.clone(),
        password: SecretString::from(account.password.clone()),
        tls: TlsMode::Off,
        connect_timeout: Duration::from_secs(5),
        database: None,
        program: "test".into(),
        unix_socket: None,
    }
}

async fn write(info: &SandboxInfo, id: u32) {
    let mut app = login(info, "s1", AccountRole::Application).await;
    app.execute("CREATE TABLE IF NOT EXISTS app.t (id INT PRIMARY KEY) ENGINE=InnoDB", LIMIT)
        .await
        .unwrap();
    app.execute(&format!("INSERT INTO app.t VALUES ({id})"), LIMIT).await.unwrap();
}

async fn sees_row(info: &SandboxInfo, server: &str, id: u32) {
    let mut manager = login(info, server, AccountRole::Manager).await;
    let deadline = Instant::now() + LIMIT;
    let sql = format!("SELECT id FROM app.t WHERE id = {id}");
    while manager.query(&sql, LIMIT).await.map_or(true, |rows| rows.is_empty()) {
        assert!(Instant::now() < deadline, "{server} did not get row {id}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn state(sandbox: &Sandbox, server: &str) -> (ProcessState, bool) {
    let status = sandbox.status().await.unwrap();
    let one = status.iter().find(|one| one.name == server).unwrap();
    (one.process, one.answers)
}

fn resident_mb(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).map_or(0, |kb| kb.parse::<u64>().unwrap() / 1024)
}

/// Ends the servers of a test that failed, and shows their logs.
struct Guard(Sandbox);

impl Drop for Guard {
    fn drop(&mut self) {
        for server in &self.0.info().servers {
            let Ok(Some(process)) = self.0.process(&server.name) else { continue };
            if process.signal(rustix::process::Signal::KILL).unwrap_or(false) {
                let log = std::fs::read_to_string(&server.error_log).unwrap_or_default();
                let from = log.len().saturating_sub(3000);
                println!("{}: {}", server.name, log.get(from..).unwrap_or(&log));
            }
        }
    }
}

/// Everything that a sandbox promises, on one server version.
async fn a_whole_life(server: &str, change: fn(&mut UpOptions)) {
    let place = place();
    let mut options = options(&format!("life-{}", server.replace('.', "_")), server, place.path());
    change(&mut options);
    let begin = Instant::now();
    let sandbox = Sandbox::up(options).await.unwrap();
    let _guard = Guard(sandbox.clone());
    let info = sandbox.info().clone();
    let up = begin.elapsed();
    let pids: Vec<u32> =
        sandbox.status().await.unwrap().iter().filter_map(|status| status.pid).collect();
    let resident: Vec<u64> = pids.iter().map(|pid| resident_mb(*pid)).collect();
    println!("{server}: up in {:.2} s, resident MB {resident:?}", up.as_secs_f32());
    assert_eq!(pids.len(), info.servers.len());

    write(&info, 1).await;
    sees_row(&info, "s2", 1).await;
    sees_row(&info, "s3", 1).await;
    let mut app = login(&info, "s2", AccountRole::Application).await;
    let refused = app.execute("INSERT INTO app.t VALUES (99)", LIMIT).await.unwrap_err();
    assert_eq!(refused.code(), Some(1290), "{refused}");

    sandbox.kill("s3").await.unwrap();
    assert_eq!(state(&sandbox, "s3").await, (ProcessState::Dead, false));
    write(&info, 2).await;
    sandbox.start("s3").await.unwrap();
    sees_row(&info, "s3", 2).await;

    sandbox.freeze("s1").await.unwrap();
    assert_eq!(state(&sandbox, "s1").await, (ProcessState::Frozen, false));
    sandbox.thaw("s1").await.unwrap();
    assert_eq!(state(&sandbox, "s1").await, (ProcessState::Running, true));
    write(&info, 3).await;
    sees_row(&info, "s2", 3).await;

    sandbox.stop("s2").await.unwrap();
    assert_eq!(state(&sandbox, "s2").await, (ProcessState::Stopped, false));
    sandbox.freeze("s3").await.unwrap();
    let last = sandbox.process("s1").unwrap().unwrap();
    let frozen = sandbox.process("s3").unwrap().unwrap();
    let begin = Instant::now();
    sandbox.down().await.unwrap();
    println!("{server}: down in {:.2} s", begin.elapsed().as_secs_f32());
    assert!(!last.is_alive() && !frozen.is_alive(), "down left a process");
    assert!(!info.dir.exists(), "down left the folder");
}

async fn a_cluster_comes_up_replicates_and_leaves_nothing(server: &str) {
    a_whole_life(server, |_| ()).await;
}

async fn without_gtid(server: &str) {
    a_whole_life(server, |options| {
        options.name = format!("nogtid-{}", std::process::id());
        options.gtid = false;
    })
    .await;
}

async fn with_semi_sync_and_without_gtid(server: &str) {
    a_whole_life(server, |options| {
        options.name = format!("semi-{}", std::process::id());
        options.gtid = false;
        options.semi_sync = true;
    })
    .await;
}

async fn on_ipv6(server: &str) {
    a_whole_life(server, |options| {
        options.name = format!("six-{}", std::process::id());
        options.host = "::1".into();
    })
    .await;
}

async fn with_two_acknowledgements_and_tls(server: &str) {
    a_whole_life(server, |options| {
        options.name = format!("acks-{}", std::process::id());
        options.replicas = 3;
        options.semi_sync = true;
        options.semi_sync_wait_count = 2;
        options.tls = true;
    })
    .await;
}

async fn what_up_writes_is_private_and_complete(server: &str) {
    use std::os::unix::fs::MetadataExt;
    let place = place();
    let mut options = options("files", server, place.path());
    options.replicas = 1;
    options.semi_sync = true;
    options.tls = true;
    let sandbox = Sandbox::up(options).await.unwrap();
    let _guard = Guard(sandbox.clone());
    let info = sandbox.info().clone();
    for file in ["sandbox.json", "primacy.toml", "passwords/manager", "passwords/replication"] {
        assert_eq!(info.dir.join(file).metadata().unwrap().mode() & 0o777, 0o600, "{file}");
    }
    assert!(!info.servers[0].dir.join("init.sql").exists(), "passwords were left behind");
    let text = std::fs::read_to_string(&info.config).unwrap();
    let parsed = primacy_config::parse(&text, "primacy.toml");
    assert!(parsed.is_ok(), "{text}\n{:?}", parsed.err());
    assert!(text.contains(&format!("\"{}\"", info.servers[0].address)), "{text}");
    let account = info.account(AccountRole::Manager).unwrap();
    let over_tls = ConnectOptions {
        tls: TlsMode::Full { ca_file: info.tls_ca.clone() },
        ..as_account(account, info.servers[0].address.clone())
    };
    assert!(Session::connect(&over_tls).await.unwrap().tls().is_some());
    assert_eq!(info.servers[0].role, Role::Primary);
    assert_eq!(Sandbox::load(&info.dir).unwrap().info().name, info.name);
    assert_eq!(Sandbox::find(&info.name).unwrap().info().dir, info.dir);
    sandbox.down().await.unwrap();
    assert!(Sandbox::find(&info.name).is_err());
}

async fn a_server_that_cannot_start_is_explained_and_nothing_is_left(server: &str) {
    let place = place();
    let mut options = options("broken", server, place.path());
    options.replicas = 0;
    options.extra_config = vec!["no_such_option = 1".into()];
    let dir = options.dir.clone();
    let error = Sandbox::up(options).await.unwrap_err().to_string();
    assert!(error.contains("s1 (127.0.0.1:") && error.contains("no_such_option"), "{error}");
    assert!(!dir.exists());
}

async fn down_leaves_a_folder_alone_that_is_not_ours(server: &str) {
    let place = place();
    let mut options = options("theirs", server, place.path());
    options.replicas = 0;
    let sandbox = Sandbox::up(options).await.unwrap();
    let mark = sandbox.info().dir.join(".primacy-sandbox");
    std::fs::rename(&mark, place.path().join("mark")).unwrap();
    assert!(sandbox.clone().down().await.is_err());
    assert!(sandbox.info().config.exists());
    std::fs::rename(place.path().join("mark"), &mark).unwrap();
    sandbox.down().await.unwrap();
}

on_servers!(
    [mariadb_10_11 mysql_9_7],
    [mariadb_10_5 mariadb_11_8 mysql_5_6],
    a_cluster_comes_up_replicates_and_leaves_nothing,
);
on_servers!([mysql_9_7], [mysql_5_6], without_gtid);
on_servers!([mysql_9_7], [], with_two_acknowledgements_and_tls);
on_servers!(
    [mariadb_10_11],
    [],
    with_semi_sync_and_without_gtid,
    on_ipv6,
    what_up_writes_is_private_and_complete,
    a_server_that_cannot_start_is_explained_and_nothing_is_left,
    down_leaves_a_folder_alone_that_is_not_ours,
);
