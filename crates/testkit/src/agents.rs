//! The agents of a cluster's servers, each a process of its own, as on hosts of their own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use primacy_certs::{Authority, Request, Role, Validity, write_new};
use primacy_sandbox::process::Identity;
use primacy_types::Address;
use rustix::process::Signal;

use crate::{Cluster, eventually, must};

/// How long an agent may take until it listens, or until it has ended.
const LIMIT: Duration = Duration::from_secs(60);

/// The folder of certificates below the cluster's.
const CERTS: &str = "certs";

/// The port of the health address of an agent on a host of its own.
pub const HEALTH: u16 = 7621;

/// What agents need before they are started.
pub(crate) struct AgentPlan;

impl AgentPlan {
    /// Makes certificates and the agents' files; gives what the manager's file needs for each
    /// server.
    pub(crate) fn make(cluster: &Cluster) -> Vec<(String, String)> {
        let folder = cluster.folder();
        let certs = folder.join(CERTS);
        let made = Authority::create("test", Validity::days(2));
        let (authority, issued) = must(made, "making an authority");
        must(write_new(&certs, "authority", &issued), "writing the authority");
        let issue = |role, name: &str, host: &str| {
            let hosts = vec![host.to_owned()];
            let validity = Validity::days(2);
            let issued = must(
                authority.issue(&Request { role, name: name.to_owned(), hosts, validity }),
                "issuing",
            );
            must(write_new(&certs, name, &issued), "writing a certificate");
        };
        issue(Role::Manager, "manager", "manager.example");
        let mut lines = Vec::new();
        let mut held = Vec::new();
        for server in cluster.names() {
            let info = cluster.server(&server);
            let host = info.address.host();
            // In a namespace of its own every port is free.
            let port = if info.netns.is_some() { 7620 } else { free_port(&mut held) };
            let listen = format!("{host}:{port}");
            let health = match info.netns {
                Some(_) => format!("0.0.0.0:{HEALTH}"),
                None => format!("{host}:{}", free_port(&mut held)),
            };
            issue(Role::Agent, &server, host);
            let text = format!(
                "[agent]\nlisten = \"{listen}\"\ncertificate = \"{CERTS}/{server}.crt\"\n\
                 key = \"{CERTS}/{server}.key\"\nauthority = \"{CERTS}/authority.crt\"\n\
                 state_dir = \"agent-{server}\"\nhealth = \"{health}\"\n\n[[agent.server]]\naddress = \"{address}\"\n\
                 start = [{start}]\n\n\
                 [agent.account]\nuser = \"{user}\"\npassword_file = \"passwords/manager\"\n\
                 {tls}",
                address = info.address,
                start = quoted(&must(cluster.sandbox().start_command(&server), "its program")),
                user = cluster.manager_user(),
                tls = cluster.agent_tls(),
            );
            must(fs::write(folder.join(format!("agent-{server}.toml")), text), "writing its file");
            lines.push((server.clone(), "host_access = \"agent\"".to_owned()));
            lines.push((server.clone(), format!("agent = \"{listen}\"")));
        }
        lines
    }

    /// The lines of `[manager]`.
    pub(crate) fn of_manager() -> String {
        format!(
            "certificate = \"{CERTS}/manager.crt\"\nkey = \"{CERTS}/manager.key\"\n\
             authority = \"{CERTS}/authority.crt\"\n"
        )
    }
}

impl Cluster {
    /// Where the agent of a server listens, as its own file says.
    pub fn agent(&self, server: &str) -> Address {
        let file = self.folder().join(format!("agent-{server}.toml"));
        let text = must(fs::read_to_string(file), "reading an agent's file");
        let line = text.lines().find_map(|line| line.strip_prefix("listen = "));
        must(line.unwrap_or_default().trim_matches('"').parse(), "reading where it listens")
    }
}

/// Words as a list of TOML.
fn quoted(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
    words.join(", ")
}

/// Another port than those of the sockets that are `held` until all are chosen.
fn free_port(held: &mut Vec<TcpListener>) -> u16 {
    let socket = must(TcpListener::bind(("127.0.0.1", 0)), "finding a free port");
    let port = must(socket.local_addr(), "reading a port").port();
    held.push(socket);
    port
}

/// Running agents; killed when dropped. The ends of their logs are shown when the test fails.
#[derive(Debug)]
pub struct Agents {
    agents: BTreeMap<String, Agent>,
    /// Where they look for programs, if not where we do.
    path: Option<OsString>,
}

#[derive(Debug)]
struct Agent {
    guard: Child,
    log: PathBuf,
}

impl Agents {
    /// Starts the agent of every server of a cluster that was made with
    /// [`with_agents`](crate::Builder::with_agents), and waits until they listen.
    pub async fn start(program: &str, cluster: &Cluster) -> Self {
        Self::start_where(program, cluster, |_| true, None).await
    }

    /// The same but for the agent of one server.
    pub async fn start_but(program: &str, cluster: &Cluster, but: &str) -> Self {
        Self::start_where(program, cluster, |server| server != but, None).await
    }

    /// The same as [`Self::start`], with this `PATH`.
    pub async fn start_in_path(program: &str, cluster: &Cluster, path: Option<OsString>) -> Self {
        Self::start_where(program, cluster, |_| true, path).await
    }

    async fn start_where(
        program: &str,
        cluster: &Cluster,
        wanted: impl Fn(&str) -> bool,
        path: Option<OsString>,
    ) -> Self {
        let mut all = Self { agents: BTreeMap::new(), path };
        for server in cluster.names().into_iter().filter(|server| wanted(server)) {
            all.start_one(program, cluster, &server).await;
        }
        all
    }

    /// Starts the agent of one server (again), and waits until it listens.
    pub async fn start_one(&mut self, program: &str, cluster: &Cluster, server: &str) {
        self.start_with(program, cluster, server, &[]).await;
    }

    /// The same with these variables in its environment: waits until the agent listens, or has died at a
    /// failpoint that they name.
    pub async fn start_with(
        &mut self,
        program: &str,
        cluster: &Cluster,
        server: &str,
        env: &[(&str, &str)],
    ) {
        let inside = cluster.server(server).netns.iter();
        let inside = inside.flat_map(|namespace| ["ip", "netns", "exec", namespace]);
        let words: Vec<String> = inside.chain([program]).map(str::to_owned).collect();
        self.start_by(&words, cluster, server, env).await;
    }

    /// The same by these words, of which the last one is the program: what comes before puts it where
    /// it shall run. It is found again, to be frozen or killed, only if they become the program.
    pub async fn start_by(
        &mut self,
        words: &[String],
        cluster: &Cluster,
        server: &str,
        env: &[(&str, &str)],
    ) {
        let folder = cluster.folder();
        let log = folder.join(format!("agent-{server}.log"));
        let file = must(File::options().create(true).append(true).open(&log), "its log");
        let both = must(file.try_clone(), "its log");
        let (first, rest) = words.split_first().unwrap_or_else(|| panic!("nothing is to be run"));
        let mut command = Command::new(first);
        command.args(rest);
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        let before = runs(&log);
        let child = command
            .args([
                "agent",
                "--log-format",
                "human",
                "--log-level",
                "debug,rustls=info,tokio_rustls=info,hyper=info",
                "--config",
            ])
            .arg(folder.join(format!("agent-{server}.toml")))
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(both)
            .stderr(file)
            .spawn();
        let guard = must(child, "starting an agent");
        self.agents.insert(server.to_owned(), Agent { guard, log: log.clone() });
        eventually(LIMIT, "the agent runs", async || runs(&log) > before).await;
    }

    fn of(&self, server: &str) -> &Agent {
        self.agents.get(server).unwrap_or_else(|| panic!("{server} has no agent"))
    }

    /// What an agent has logged.
    pub fn log(&self, server: &str) -> String {
        read(&self.of(server).log)
    }

    /// The guard's process, and the worker's while there is one.
    pub fn processes(&self, server: &str) -> (Identity, Option<Identity>) {
        let pid = self.of(server).guard.id();
        // `ip netns exec` becomes the program.
        let guard = Identity::of(pid).unwrap_or_else(|| panic!("the guard of {server} is gone"));
        (guard, worker_of(pid))
    }

    async fn signal_worker(&self, server: &str, signal: Signal) {
        eventually(LIMIT, "the agent has a worker", async || {
            let (_, worker) = self.processes(server);
            worker.is_some_and(|worker| matches!(worker.signal(signal), Ok(true)))
        })
        .await;
    }

    /// Kills the worker of an agent with SIGKILL; its guard lives.
    pub async fn kill_worker(&self, server: &str) {
        self.signal_worker(server, Signal::KILL).await;
    }

    /// Takes an agent's certificate away: a worker that is started from now on cannot run.
    pub fn take_certificate(&self, cluster: &Cluster, server: &str) {
        let file = cluster.folder().join(CERTS).join(format!("{server}.crt"));
        must(fs::remove_file(file), "removing a certificate");
    }

    /// Freezes the worker of an agent with SIGSTOP; its guard goes on.
    pub async fn freeze_worker(&self, server: &str) {
        self.signal_worker(server, Signal::STOP).await;
    }

    /// Freezes guard and worker.
    pub async fn freeze(&self, server: &str) {
        let (guard, _) = self.processes(server);
        must(guard.signal(Signal::STOP), "freezing a guard");
        self.signal_worker(server, Signal::STOP).await;
    }

    /// Lets guard and worker go on.
    pub fn thaw(&self, server: &str) {
        let (guard, worker) = self.processes(server);
        for process in [Some(guard), worker].into_iter().flatten() {
            must(process.signal(Signal::CONT), "thawing an agent");
        }
    }

    /// Kills guard and worker, the guard first.
    pub async fn kill(&mut self, server: &str) {
        let (guard, worker) = self.processes(server);
        for process in [Some(guard), worker].into_iter().flatten() {
            must(process.signal(Signal::KILL), "killing an agent");
        }
        self.has_ended(server).await;
    }

    /// Asks an agent to end, and waits until it has.
    pub async fn stop(&mut self, server: &str) {
        let (guard, _) = self.processes(server);
        must(guard.signal(Signal::TERM), "ending an agent");
        self.has_ended(server).await;
    }

    async fn has_ended(&mut self, server: &str) {
        let agent = self.agents.get_mut(server).unwrap_or_else(|| panic!("{server}: no agent"));
        eventually(LIMIT, "the agent ends", async || {
            must(agent.guard.try_wait(), "waiting for an agent").is_some()
        })
        .await;
    }
}

fn read(log: &Path) -> String {
    String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned()
}

#[expect(clippy::print_stderr, reason = "for whoever looks at a test that failed")]
fn show(server: &str, log: &Path) {
    let text = read(log);
    let lines: Vec<_> = text.lines().rev().take(60).collect();
    eprintln!("--- the end of the log of the agent of {server}:");
    lines.iter().rev().for_each(|line| eprintln!("{line}"));
}

/// How often an agent has come up, as its log says; one that was told to die at a place may have come
/// there before.
fn runs(log: &Path) -> usize {
    let said = read(log);
    said.matches("the agent runs").count() + said.matches("failpoint ").count()
}

impl Drop for Agents {
    fn drop(&mut self) {
        for (server, agent) in &mut self.agents {
            if let (Ok(None), Some(guard)) =
                (agent.guard.try_wait(), Identity::of(agent.guard.id()))
            {
                // Both, and thawed if they were frozen; the guard first, or it starts another worker.
                let children = worker_of(agent.guard.id());
                for process in [Some(guard), children].into_iter().flatten() {
                    let _gone = process.signal(Signal::KILL);
                }
                let _reaped = agent.guard.wait();
            }
            if std::thread::panicking() {
                show(server, &agent.log);
            }
        }
    }
}

fn worker_of(guard: u32) -> Option<Identity> {
    let tasks = fs::read_dir(format!("/proc/{guard}/task")).ok()?;
    tasks.flatten().find_map(|task| {
        let text = fs::read_to_string(task.path().join("children")).ok()?;
        Identity::of(text.split_whitespace().next()?.parse().ok()?)
    })
}
