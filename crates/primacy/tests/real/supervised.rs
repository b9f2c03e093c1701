//! A server that somebody starts again and again (mysqld_safe, a unit, a container's restart policy)
//! does not come back while it is fenced.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use primacy_plan::OperationKind::Failover;
use primacy_sandbox::process::Identity;
use primacy_testkit::{Agents, Cluster, Manager, Writer, cluster, eventually};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::{LONG, PROGRAM, on_each_server, on_mariadb_first};

/// Starts the program again whenever it is gone, and notes each start.
const LOOP: &str = r#"
pid=$1; notes=$2; shift 2
while :; do
  if ! kill -0 "$pid" 2>/dev/null; then "$@" >/dev/null 2>&1 & pid=$!; echo "$pid" >> "$notes"; fi
  sleep 0.05
done
"#;

/// Supervises a server from now on.
struct Supervisor {
    child: Child,
    notes: std::path::PathBuf,
}

impl Supervisor {
    /// Takes over a server that runs.
    fn of(cluster: &Cluster, server: &str) -> Self {
        let process: Identity = cluster.sandbox().process(server).unwrap().unwrap();
        let line = fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap();
        let line = String::from_utf8(line).unwrap();
        // The sandbox's first statements are gone after the first start.
        let words = line.trim_end_matches('\0').split('\0');
        let words: Vec<&str> = words.filter(|word| !word.starts_with("--init-file")).collect();
        let directory = fs::read_link(format!("/proc/{}/cwd", process.pid)).unwrap();
        let notes = cluster.place().join("starts");
        fs::write(&notes, "").unwrap();
        fs::set_permissions(&notes, fs::Permissions::from_mode(0o666)).unwrap();
        // Servers refuse to be started by root.
        let owner = fs::metadata(format!("/proc/{}", process.pid)).unwrap();
        let child = Command::new("/bin/sh")
            .args(["-c", LOOP, "supervisor", &process.pid.to_string()])
            .arg(&notes)
            .args(&words)
            .current_dir(directory)
            .stdin(Stdio::null())
            .process_group(0)
            .uid(owner.uid())
            .gid(owner.gid())
            .spawn()
            .unwrap();
        Self { child, notes }
    }

    /// How often it has started the server.
    fn starts(&self) -> usize {
        fs::read_to_string(&self.notes).unwrap_or_default().lines().count()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _gone = kill_process_group(group, Signal::KILL);
        }
        let _reaped = self.child.wait();
    }
}

async fn does_not_bring_it_back(cluster: &Cluster, manager: &Manager) {
    let supervisor = Supervisor::of(cluster, "s1");
    let writer = Writer::start(cluster).await;
    writer.goes_on(50).await;
    // The failover cannot go on for a while: nothing is applied.
    let mut locks = Vec::new();
    for server in ["s2", "s3"] {
        let mut lock = cluster.root(server).await;
        lock.execute("FLUSH TABLES WITH READ LOCK", LONG).await.unwrap();
        locks.push(lock);
    }
    writer.goes_on(20).await;
    cluster.freeze("s1").await;
    eventually(LONG, "it is fenced", async || manager.log().contains("is fenced (")).await;
    // Each start is ended before the server listens.
    eventually(LONG, "the supervisor tries again and again", async || {
        assert!(cluster.try_root("s1").await.is_err(), "it came back while it was fenced");
        supervisor.starts() >= 3
    })
    .await;
    drop(locks);
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    writer.goes_on_at(cluster, &winner).await;
    // The fence is down again: now it comes back, and is closed.
    eventually(LONG, "the supervisor has brought it back", async || {
        cluster.try_root("s1").await.is_ok()
    })
    .await;
    eventually(LONG, "only the winner accepts writes", async || {
        cluster.writable().await == [winner.as_str()]
    })
    .await;
    writer.finish(cluster).await.nothing_is_lost();
}

async fn a_supervised_server_stays_down_while_the_manager_fences_it(server: &str) {
    let cluster = cluster(server).semi_sync(1).up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    does_not_bring_it_back(&cluster, &manager).await;
}

async fn a_supervised_server_stays_down_while_its_agent_fences_it(server: &str) {
    let cluster = cluster(server).semi_sync(1).with_agents().up().await;
    let _agents = Agents::start(PROGRAM, &cluster).await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    does_not_bring_it_back(&cluster, &manager).await;
}

on_each_server!(a_supervised_server_stays_down_while_its_agent_fences_it);
on_mariadb_first!(a_supervised_server_stays_down_while_the_manager_fences_it);
