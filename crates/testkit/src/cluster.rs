//! A cluster of real servers in a folder of its own, gone when the test ends.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use primacy_sandbox::process::Identity;
use primacy_sandbox::{AccountRole, Sandbox, UpOptions};
use primacy_types::Address;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::agents::AgentPlan;
use crate::small_disk::unmount_below;
use crate::{Net, must, place, show_logs_of_failure};

/// The name of every cluster of a test begins like this, followed by the test process' number.
const NAME: &str = "test";

static NUMBER: AtomicU32 = AtomicU32::new(1);
static SWEPT: Once = Once::new();

/// Begins to describe a cluster of this server (`mariadb-10.11`, `mysql-9.7`, ...).
pub fn cluster(server: &str) -> Builder {
    Builder {
        server: server.to_owned(),
        replicas: 2,
        semi_sync: None,
        gtid: true,
        options: Vec::new(),
        timing: Vec::new(),
        policy: Vec::new(),
        of_server: Vec::new(),
        net: None,
        agents: false,
    }
}

/// What is wanted of a cluster.
#[derive(Debug)]
pub struct Builder {
    server: String,
    replicas: u8,
    semi_sync: Option<u8>,
    gtid: bool,
    options: Vec<String>,
    timing: Vec<String>,
    policy: Vec<String>,
    of_server: Vec<(String, String)>,
    net: Option<(Vec<String>, Vec<String>)>,
    agents: bool,
}

impl Builder {
    /// So many replicas beside the primary `s1`; two if not said.
    #[must_use]
    pub fn replicas(mut self, count: u8) -> Self {
        self.replicas = count;
        self
    }

    /// Semi-synchronous, waiting for so many acknowledgements.
    #[must_use]
    pub fn semi_sync(mut self, wait_count: u8) -> Self {
        self.semi_sync = Some(wait_count);
        self
    }

    /// Replication by file and position.
    #[must_use]
    pub fn without_gtid(mut self) -> Self {
        self.gtid = false;
        self
    }

    /// A line for the option file of every server.
    #[must_use]
    pub fn option(mut self, line: &str) -> Self {
        self.options.push(line.to_owned());
        self
    }

    /// A line for the cluster's section `timing`.
    #[must_use]
    pub fn timing(mut self, line: &str) -> Self {
        self.timing.push(line.to_owned());
        self
    }

    /// A line for the cluster's section `policy`.
    #[must_use]
    pub fn policy(mut self, line: &str) -> Self {
        self.policy.push(line.to_owned());
        self
    }

    /// A line for the section of one server.
    #[must_use]
    pub fn server(mut self, name: &str, line: &str) -> Self {
        self.of_server.push((name.to_owned(), line.to_owned()));
        self
    }

    /// Every server has an agent: certificates and configurations are made;
    /// [`Agents::start`](crate::Agents::start) starts them.
    #[must_use]
    pub fn with_agents(mut self) -> Self {
        self.agents = true;
        self
    }

    /// Each server runs on a host of its own in this network.
    #[must_use]
    pub fn on(mut self, net: &Net) -> Self {
        let hosts = (0..=usize::from(self.replicas)).map(|i| net.host(i));
        self.net = Some(hosts.map(|host| (host.address.clone(), host.namespace.clone())).unzip());
        self
    }

    /// Starts the servers; returns when they replicate and the primary `s1` accepts writes.
    pub async fn up(self) -> Cluster {
        SWEPT.call_once(sweep);
        let place = must(place::folder(), "making a folder for the test");
        // The servers' own user has to be able to enter it.
        let open = fs::set_permissions(place.path(), fs::Permissions::from_mode(0o711));
        must(open, "opening the folder of the test");
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{NAME}-{}-{number}", std::process::id());
        let mut options = UpOptions::in_dir(&name, place.path().join("c"));
        options.server = Some(self.server.clone());
        options.replicas = self.replicas;
        options.gtid = self.gtid;
        options.semi_sync = self.semi_sync.is_some();
        options.semi_sync_wait_count = self.semi_sync.unwrap_or(1);
        options.extra_config.clone_from(&self.options);
        if let Some((hosts, namespaces)) = &self.net {
            options.hosts.clone_from(hosts);
            options.netns = Some(namespaces.clone());
        }
        let dir = options.dir.clone();
        // From here on something has to be taken down, also if this future is dropped halfway.
        let guard = Guard { dir, name, place };
        let sandbox = must(Sandbox::up(options).await, "starting the servers");
        let cluster = Cluster { sandbox, guard, timing: self.timing, policy: self.policy };
        let mut of_server = self.of_server;
        if self.agents {
            of_server.extend(AgentPlan::make(&cluster));
            of_server.sort_by(|a, b| a.0.cmp(&b.0));
        }
        let mut text = cluster.with_sections(&of_server);
        if self.agents {
            text = text.replace("[manager]\n", &format!("[manager]\n{}", AgentPlan::of_manager()));
        }
        must(fs::write(&cluster.sandbox.info().config, text), "writing primacy.toml");
        cluster
    }
}

/// A cluster of real servers.
#[derive(Debug)]
pub struct Cluster {
    sandbox: Sandbox,
    guard: Guard,
    timing: Vec<String>,
    policy: Vec<String>,
}

impl Cluster {
    /// The servers, and what one can do to them.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// The cluster's name in the configuration.
    pub fn name(&self) -> &str {
        &self.sandbox.info().name
    }

    /// The manager's configuration.
    pub fn config(&self) -> &Path {
        &self.sandbox.info().config
    }

    /// The folder of the cluster.
    pub(crate) fn folder(&self) -> &Path {
        &self.sandbox.info().dir
    }

    /// The name of the manager's account.
    pub fn manager_user(&self) -> String {
        let accounts = &self.sandbox.info().accounts;
        let manager = accounts.iter().find(|account| account.role == AccountRole::Manager);
        manager.map(|account| account.user.clone()).unwrap_or_default()
    }

    /// How agents protect their connections, as the manager does.
    pub(crate) fn agent_tls(&self) -> &'static str {
        match self.sandbox.info().tls_ca {
            Some(_) => "\n[agent.tls]\nmode = \"full\"\nca_file = \"tls/ca.pem\"\n",
            None => "",
        }
    }

    /// The manager's socket.
    pub fn socket(&self) -> PathBuf {
        self.sandbox.info().dir.join("state/primacy.sock")
    }

    /// A folder for files of the test, removed with the cluster.
    pub fn place(&self) -> &Path {
        self.guard.place.path()
    }

    /// Whether the servers are MariaDB.
    pub fn is_mariadb(&self) -> bool {
        self.sandbox.info().version.is_mariadb()
    }

    /// `s1`, `s2`, ...
    pub fn names(&self) -> Vec<String> {
        self.sandbox.info().servers.iter().map(|server| server.name.clone()).collect()
    }

    /// Where a server listens.
    pub fn address(&self, server: &str) -> Address {
        self.server(server).address.clone()
    }

    /// Which server listens there.
    pub fn name_of(&self, address: &Address) -> Option<String> {
        let servers = &self.sandbox.info().servers;
        servers.iter().find(|server| server.address == *address).map(|server| server.name.clone())
    }

    /// The server of this `server_id`.
    pub fn name_of_id(&self, id: u64) -> Option<String> {
        let servers = &self.sandbox.info().servers;
        let found = servers.iter().find(|server| u64::from(server.server_id) == id);
        found.map(|server| server.name.clone())
    }

    /// All passwords of the sandbox, with their accounts' names.
    pub fn passwords(&self) -> Vec<(AccountRole, String)> {
        let accounts = &self.sandbox.info().accounts;
        accounts.iter().map(|account| (account.role, account.password.clone())).collect()
    }

    /// Kills a server with SIGKILL.
    pub async fn kill(&self, server: &str) {
        must(self.sandbox.kill(server).await, "killing a server");
    }

    /// The host of a server burns: it is dead, and nothing of its data directory is left.
    pub async fn lose_host(&self, server: &str) {
        // Nobody reads the files between its death and their end.
        self.freeze(server).await;
        must(fs::remove_dir_all(&self.server(server).datadir), "removing a data directory");
        self.kill(server).await;
    }

    /// Starts a server again and waits until it answers.
    pub async fn start(&self, server: &str) {
        must(self.sandbox.start(server).await, "starting a server");
    }

    /// Stops a server cleanly.
    pub async fn stop(&self, server: &str) {
        must(self.sandbox.stop(server).await, "stopping a server");
    }

    /// Freezes a server with SIGSTOP.
    pub async fn freeze(&self, server: &str) {
        must(self.sandbox.freeze(server).await, "freezing a server");
    }

    /// Lets a frozen server go on.
    pub async fn thaw(&self, server: &str) {
        must(self.sandbox.thaw(server).await, "thawing a server");
    }

    /// Lets a frozen server go on that somebody may kill at the same moment.
    pub async fn thaw_if_alive(&self, server: &str) {
        let _killed_meanwhile = self.sandbox.thaw(server).await;
    }

    /// Whether the process of a server that was started last is there.
    pub fn is_alive(&self, server: &str) -> bool {
        let process = must(self.sandbox.process(server), "reading the record of a process");
        process.is_some_and(|process| process.is_alive())
    }

    /// Changes the configuration: `from` becomes `to`. A running manager takes it over.
    pub fn change_config(&self, from: &str, to: &str) {
        let text = must(fs::read_to_string(self.config()), "reading primacy.toml");
        assert!(text.contains(from), "the configuration has no {from:?}:\n{text}");
        must(fs::write(self.config(), text.replace(from, to)), "writing primacy.toml");
    }

    /// Adds a line to the cluster's section `policy`.
    pub fn add_policy(&self, line: &str) {
        let head = format!("[cluster.{}.policy]\n", self.name());
        self.change_config(&head, &format!("{head}{line}\n"));
    }

    /// The sandbox's configuration with the lines of the test in it.
    fn with_sections(&self, of_server: &[(String, String)]) -> String {
        let name = self.name();
        let mut text = must(fs::read_to_string(self.config()), "reading primacy.toml");
        for (section, lines) in [("timing", &self.timing), ("policy", &self.policy)] {
            let head = format!("[cluster.{name}.{section}]\n");
            let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
            if text.contains(&head) {
                text = text.replace(&head, &format!("{head}{lines}"));
            } else if !lines.is_empty() {
                text.push_str(&format!("\n{head}{lines}"));
            }
        }
        let mut long: Vec<&str> = of_server.iter().map(|(server, _)| server.as_str()).collect();
        long.dedup();
        if !long.is_empty() {
            let names = self.names();
            let short = names.iter().filter(|name| !long.contains(&name.as_str()));
            let short: Vec<_> = short.map(|name| format!("\"{}\"", self.address(name))).collect();
            let old = text.lines().find(|line| line.starts_with("servers = ")).unwrap_or_default();
            let new = format!("servers = [{}]", short.join(", "));
            text = text.replace(old, if short.is_empty() { "" } else { &new });
        }
        for server in long {
            let address = self.address(server);
            text.push_str(&format!("\n[[cluster.{name}.server]]\naddress = \"{address}\"\n"));
            for (_, line) in of_server.iter().filter(|(of, _)| of == server) {
                text.push_str(&format!("{line}\n"));
            }
        }
        text
    }
}

/// Ends the servers and removes what they leave, whatever happened.
#[derive(Debug)]
struct Guard {
    dir: PathBuf,
    name: String,
    place: TempDir,
}

impl Drop for Guard {
    fn drop(&mut self) {
        show_logs_of_failure(&self.dir);
        show_logs_of_failure(self.place.path());
        kill_servers_below(&self.dir);
        unmount_below(&self.dir);
        take_down(&self.name);
    }
}

/// Kills every process that was started with an option file in this folder: also one that
/// somebody started besides the sandbox.
fn kill_servers_below(dir: &Path) {
    let option = format!("--defaults-file={}/", dir.display());
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let found: Vec<Identity> = numbers_of_processes()
            .filter(|pid| {
                let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                String::from_utf8_lossy(&words).contains(&option)
            })
            .filter_map(Identity::of)
            .filter(Identity::is_alive)
            .collect();
        if found.is_empty() || Instant::now() >= end {
            return;
        }
        for process in found {
            let _gone_meanwhile = process.signal(Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn numbers_of_processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Takes the sandbox out of the list of sandboxes, with its folder.
fn take_down(name: &str) {
    let Ok(sandbox) = Sandbox::find(name) else { return };
    let down = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.is_ok_and(|runtime| runtime.block_on(sandbox.down()).is_ok())
    });
    // What is left then is in the temporary folder, which is removed next.
    let _done = down.join();
}

/// Removes what test processes left that were killed themselves.
fn sweep() {
    for sandbox in Sandbox::list().unwrap_or_default() {
        let info = sandbox.info();
        let mut words = info.name.split('-');
        let (Some(NAME), Some(pid)) = (words.next(), words.next()) else { continue };
        if !Path::new("/proc").join(pid).exists() {
            let (dir, name) = (info.dir.clone(), info.name.clone());
            kill_servers_below(&dir);
            unmount_below(&dir);
            take_down(&name);
            let place = dir.parent().filter(|place| place::is_ours(place));
            let _nothing_left = place.map(fs::remove_dir_all);
        }
    }
}
