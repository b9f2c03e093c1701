//! The agent in a container beside the database's: both share the network and the volume, and the
//! process namespace or not. A container is no more than its namespaces here.

use std::fs;
use std::process::{Child, Command, Stdio};

use primacy_plan::OperationKind::Failover;
use primacy_plan::{Can, Diagnosis, HostSeen};
use primacy_sandbox::process::Identity;
use primacy_testkit::{Agents, Cluster, Manager, Net, Writer, cluster, eventually};
use rustix::process::Signal;

use crate::agents::{MANAGER, in_force};
use crate::check_hosts::host;
use crate::{LONG, PROGRAM, on_mariadb};

/// Sees the processes of its own namespace only, and mounts that nobody else sees.
const CONTAINED: &str = "mount -t proc proc /proc && exec \"$@\"";

/// The namespaces of `s1`.
struct Pod {
    net: String,
    /// The first process of the namespace that both containers share.
    pause: Option<Child>,
    server: Option<Child>,
}

impl Pod {
    /// Takes `s1` over from the sandbox.
    async fn of(cluster: &Cluster, net: &Net, shares_processes: bool) -> Self {
        let net = net.host(0).namespace.clone();
        let pause = shares_processes.then(|| {
            let mut pause = Command::new("unshare");
            pause.args(["--pid", "--fork", "--kill-child", "sleep", "infinity"]);
            pause.spawn().unwrap()
        });
        let mut pod = Self { net, pause, server: None };
        cluster.stop("s1").await;
        pod.start_server(cluster).await;
        cluster.sql("s1", "SET GLOBAL read_only = OFF").await;
        pod
    }

    /// What puts a program into a container of its own in this pod.
    async fn container(&self) -> Vec<String> {
        let mut words = ["ip", "netns", "exec", &self.net].map(str::to_owned).to_vec();
        match &self.pause {
            Some(pause) => {
                let mut first = None;
                eventually(LONG, "the pod has its first process", async || {
                    let children = format!("/proc/{0}/task/{0}/children", pause.id());
                    let text = fs::read_to_string(children).unwrap_or_default();
                    first = text.split_whitespace().next().map(str::to_owned);
                    first.is_some()
                })
                .await;
                words.extend(["nsenter", "--pid", "--target"].map(str::to_owned));
                words.push(first.unwrap());
                words.extend(["unshare", "--mount"].map(str::to_owned));
            }
            None => {
                let apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child"];
                words.extend(apart.map(str::to_owned));
            }
        }
        words.extend(["sh", "-c", CONTAINED, "sh"].map(str::to_owned));
        words
    }

    async fn start_server(&mut self, cluster: &Cluster) {
        let words = self.container().await;
        let program = cluster.sandbox().start_command("s1").unwrap();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(program);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.server = Some(command.spawn().unwrap());
        eventually(LONG, "s1 answers", async || cluster.try_root("s1").await.is_ok()).await;
    }

    async fn start_agent(&self, agents: &mut Agents, cluster: &Cluster) {
        let mut words = self.container().await;
        words.push(PROGRAM.to_owned());
        agents.start_by(&words, cluster, "s1", &[]).await;
    }

    /// The server's process, as the test sees it.
    fn process(&self, cluster: &Cluster) -> Option<Identity> {
        let words = cluster.sandbox().start_command("s1").unwrap();
        let option = words.last().unwrap().clone();
        let all = fs::read_dir("/proc").unwrap().flatten();
        let mut pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let found = pids.find(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            (name.trim() == "mariadbd" || name.trim() == "mysqld")
                && String::from_utf8_lossy(&line).contains(&option)
        });
        found.and_then(Identity::of).filter(Identity::is_alive)
    }

    fn signal(&self, cluster: &Cluster, signal: Signal) {
        assert!(self.process(cluster).unwrap().signal(signal).unwrap());
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        for child in [&mut self.server, &mut self.pause].into_iter().flatten() {
            let _gone = child.kill();
            let _reaped = child.wait();
        }
    }
}

async fn pod(server: &str, shares: bool) -> Option<(Net, Cluster, Pod, Agents, Manager)> {
    let net = Net::new(4)?;
    let cluster = cluster(server).on(&net).with_agents().up().await;
    let pod = Pod::of(&cluster, &net, shares).await;
    let mut agents = Agents::start_but(PROGRAM, &cluster, "s1").await;
    pod.start_agent(&mut agents, &cluster).await;
    let mut manager = Manager::spawn_in(PROGRAM, &cluster, &net.host(MANAGER).namespace);
    if shares {
        manager.is_ready().await;
    } else {
        // One that can fence nothing yet is not ready in the sense of other tests.
        manager.listens().await;
        manager.diagnoses("all is well", |it| matches!(it, Diagnosis::Healthy { .. })).await;
    }
    Some((net, cluster, pod, agents, manager))
}

/// What the manager's check says of `s1` once its agent was asked.
async fn seen(cluster: &Cluster, manager: &Manager) -> HostSeen {
    let address = cluster.address("s1");
    eventually(LONG, "its agent has said what it can", async || {
        host(&manager.check().await, &address).read_files.is_yes()
    })
    .await;
    host(&manager.check().await, &address).clone()
}

/// Rows that nobody but the dead server has.
pub(crate) async fn rows_of_its_own(cluster: &Cluster) {
    cluster.sql("s1", "CREATE TABLE app.own (id INT PRIMARY KEY)").await;
    for replica in ["s2", "s3"] {
        cluster.catches_up(replica, "s1").await;
        cluster.sql(replica, "STOP SLAVE IO_THREAD").await;
    }
    for id in 1..=20 {
        cluster.sql("s1", &format!("INSERT INTO app.own VALUES ({id})")).await;
    }
}

pub(crate) async fn are_rescued(cluster: &Cluster, winner: &str) {
    let rows = cluster.cell(winner, "SELECT COUNT(*) FROM app.own").await;
    assert_eq!(rows.as_deref(), Some("20"));
}

async fn with_the_process_namespace_it_does_all_it_has_to(server: &str) {
    let Some((_net, cluster, mut pod, agents, manager)) = pod(server, true).await else { return };
    in_force(&manager).await;
    let can = seen(&cluster, &manager).await;
    assert_eq!((&can.watch, &can.kill, &can.lease), (&Can::Yes, &Can::Yes, &Can::Yes), "{can:?}");
    // Frozen: it is killed, and another takes its place.
    let writer = Writer::start(&cluster).await;
    writer.goes_on(20).await;
    pod.signal(&cluster, Signal::STOP);
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    assert!(manager.log().contains("is fenced (agent)"), "{}", manager.log());
    assert!(pod.process(&cluster).is_none(), "{}", agents.log("s1"));
    writer.goes_on_at(&cluster, &winner).await;
    drop(writer.finish(&cluster).await);
    // Released: its container starts it again, and it stays up, closed.
    pod.start_server(&cluster).await;
    eventually(LONG, "only the winner accepts writes", async || {
        cluster.writable().await == [winner.as_str()]
    })
    .await;
    assert!(pod.process(&cluster).is_some());
}

async fn a_killed_server_is_rescued_from_the_volume(server: &str, shares: bool) {
    let Some((_net, cluster, mut pod, agents, manager)) = pod(server, shares).await else { return };
    seen(&cluster, &manager).await;
    rows_of_its_own(&cluster).await;
    pod.signal(&cluster, Signal::KILL);
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    are_rescued(&cluster, &winner).await;
    assert!(manager.log().contains("is fenced (agent)"), "{}{}", manager.log(), agents.log("s1"));
    pod.start_server(&cluster).await;
    eventually(LONG, "only the winner accepts writes", async || {
        cluster.writable().await == [winner.as_str()]
    })
    .await;
}

async fn with_the_process_namespace_a_killed_server_is_rescued(server: &str) {
    a_killed_server_is_rescued_from_the_volume(server, true).await;
}

async fn without_the_process_namespace_a_killed_server_is_rescued(server: &str) {
    a_killed_server_is_rescued_from_the_volume(server, false).await;
}

/// It cannot tell a frozen server from one that runs, cannot kill it, and does not claim otherwise.
async fn without_the_process_namespace_it_promises_less(server: &str) {
    let Some((_net, cluster, pod, agents, manager)) = pod(server, false).await else { return };
    let can = seen(&cluster, &manager).await;
    for one in [&can.watch, &can.kill] {
        let Can::No(why) = one else { panic!("{can:?}") };
        assert!(why.contains("process namespace"), "{why}");
    }
    let Can::No(why) = &can.lease else { panic!("{can:?}") };
    assert!(why.contains("no guard that can kill it"), "{why}");
    pod.signal(&cluster, Signal::STOP);
    manager.has_looked_in_vain(&cluster.address("s1")).await;
    eventually(LONG, "its agent finds it silent", async || {
        agents.log("s1").contains("it cannot be asked")
    })
    .await;
    manager.has_looked_in_vain(&cluster.address("s1")).await;
    for other in ["s2", "s3"] {
        assert!(!cluster.is_writable(other).await, "{}", manager.log());
    }
    pod.signal(&cluster, Signal::CONT);
    eventually(LONG, "s1 goes on", async || cluster.try_root("s1").await.is_ok()).await;
}

on_mariadb!(
    with_the_process_namespace_it_does_all_it_has_to,
    with_the_process_namespace_a_killed_server_is_rescued,
    without_the_process_namespace_a_killed_server_is_rescued,
    without_the_process_namespace_it_promises_less,
);
