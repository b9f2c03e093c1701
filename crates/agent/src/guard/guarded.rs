//! What the guard does to servers that have run beyond their time, and to their addresses. Nothing
//! here waits for anything: neither for a slow network nor for a process that does not die.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use primacy_host::{HostAccess as _, HostError, LocalHost, ServerIdentity};
use primacy_plan::lease::HeldLease;
use primacy_types::{Address, VirtualAddress};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::messages::{Beat, GuardedServer};
use crate::clock;
use crate::leaving::Leaving;

/// Limit of giving an address up.
const GIVE_UP: Duration = Duration::from_millis(300);

/// Limit of a kill.
const KILL: Duration = Duration::from_secs(5);

type Kill = Arc<
    dyn Fn(ServerIdentity) -> Pin<Box<dyn Future<Output = Result<LocalHost, String>> + Send>>
        + Send
        + Sync,
>;
/// Lets a server that was killed start again.
type LetGo = Arc<
    dyn Fn(LocalHost) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync,
>;
type Release = Arc<dyn Fn(&VirtualAddress) -> Result<(), String> + Send + Sync>;

/// The servers of this host, as the worker described them last.
pub(super) struct Guarded {
    servers: BTreeMap<Address, GuardedServer>,
    /// Kills that are under way.
    kills: BTreeMap<Address, JoinHandle<Result<LocalHost, String>>>,
    /// Servers that were killed, and are kept down for as long as this is held.
    down: BTreeMap<Address, LocalHost>,
    /// Servers that are being let go.
    letting_go: Vec<JoinHandle<()>>,
    /// Addresses that are being given up.
    releases: BTreeMap<VirtualAddress, JoinHandle<Result<(), String>>>,
    leaving: Leaving,
    kill: Kill,
    let_go: LetGo,
    release: Release,
}

impl Default for Guarded {
    fn default() -> Self {
        let release = |address: &VirtualAddress| {
            let released = primacy_vip::blocking::release(address, GIVE_UP);
            released.map(drop).map_err(|error| error.to_string())
        };
        let kill: Kill = Arc::new(|server| Box::pin(kill(server)));
        Self::new(kill, Arc::new(|host| Box::pin(let_go(host))), Arc::new(release))
    }
}

async fn let_go(host: LocalHost) -> Result<(), String> {
    host.release().await.map_err(|error| error.to_string())
}

/// Kills it and keeps it down for as long as what this gives is held.
async fn kill(server: ServerIdentity) -> Result<LocalHost, String> {
    let host = LocalHost::expected(&server, KILL).await.map_err(|error| error.to_string())?;
    match host.kill_and_keep_down(KILL).await {
        Ok(_) => Ok(host),
        // The signal is on its way, and whatever is started instead is killed.
        Err(error @ HostError::StillAlive { .. }) => {
            tracing::error!(%error, "the guard has killed it");
            Ok(host)
        }
        Err(error) => Err(error.to_string()),
    }
}

impl Guarded {
    fn new(kill: Kill, let_go: LetGo, release: Release) -> Self {
        Self {
            servers: BTreeMap::new(),
            kills: BTreeMap::new(),
            down: BTreeMap::new(),
            letting_go: Vec::new(),
            releases: BTreeMap::new(),
            leaving: Leaving::default(),
            kill,
            let_go,
            release,
        }
    }

    /// The leases that the last worker held.
    pub(super) fn leases(&self) -> Vec<(Address, HeldLease)> {
        let servers = self.servers.values();
        servers.filter_map(|server| Some((server.server.clone(), server.lease.clone()?))).collect()
    }

    /// Takes a worker's word.
    pub(super) fn heard(&mut self, beat: &Beat) {
        for server in &beat.servers {
            let before = self.servers.insert(server.server.clone(), server.clone());
            // A manager has let it go, or the worker keeps down again what is fenced.
            let other = before.is_some_and(|before| {
                let let_go = server.let_go > before.let_go || before.fenced && !server.fenced;
                let_go || before.fenced && server.kept_down
            });
            if (server.may_run || other)
                && let Some(host) = self.down.remove(&server.server)
            {
                self.begin_to_let_go(server, host);
            }
        }
    }

    fn begin_to_let_go(&mut self, server: &GuardedServer, host: LocalHost) {
        if server.fenced {
            // The worker holds it. Its unit stays masked: that is the worker's now.
            drop(host);
            return;
        }
        let (let_go, name) = (Arc::clone(&self.let_go), server.server.clone());
        self.letting_go.retain(|task| !task.is_finished());
        self.letting_go.push(tokio::spawn(async move {
            if let Err(error) = let_go(host).await {
                tracing::error!(server = %name, error, "a server that was kept down");
            }
        }));
    }

    /// There is no worker: what a manager fenced is kept down from here.
    pub(super) fn keep_fenced_down(&mut self) {
        let fenced = self.servers.values().filter(|server| server.fenced).cloned();
        for server in fenced.collect::<Vec<_>>() {
            self.begin_to_kill(&server);
        }
    }

    /// Kills what has run beyond its time, and gives up the addresses that the host may not hold any
    /// more: first the kill, then the primary's addresses, then those for readers, each by itself.
    pub(super) async fn enforce(&mut self) {
        self.look_at_kills().await;
        self.look_at_releases().await;
        let now = clock::now();
        let late = |server: &&GuardedServer| server.kill_at.is_some_and(|at| at <= now);
        let late: Vec<_> = self.servers.values().filter(late).cloned().collect();
        for server in &late {
            self.begin_to_kill(server);
        }
        let vips = late.iter().flat_map(|server| &server.vips).cloned();
        let due = |server: &&GuardedServer| server.readers_until.is_some_and(|at| at <= now);
        let readers = self.servers.values().filter(due).flat_map(|server| &server.reader_vips);
        let (vips, readers): (Vec<_>, Vec<_>) = (vips.collect(), readers.cloned().collect());
        let leaving: BTreeSet<_> = vips.iter().chain(&readers).cloned().collect();
        self.leaving.only(&leaving);
        for address in vips.iter().chain(&readers) {
            self.begin_to_give_up(address);
        }
    }

    fn begin_to_kill(&mut self, server: &GuardedServer) {
        let name = &server.server;
        if self.down.contains_key(name) || self.kills.contains_key(name) {
            return;
        }
        self.kills.insert(name.clone(), tokio::spawn((self.kill)(server.identity())));
    }

    async fn look_at_kills(&mut self) {
        let ended = self.kills.iter().filter(|(_, task)| task.is_finished());
        let ended: Vec<_> = ended.map(|(server, _)| server.clone()).collect();
        for server in ended {
            let Some(task) = self.kills.remove(&server) else { continue };
            let fenced = self.servers.get(&server).is_some_and(|server| server.fenced);
            match task.await.unwrap_or_else(|failed| Err(failed.to_string())) {
                Ok(host) => {
                    if fenced {
                        tracing::warn!(%server, "kept down by the guard: a manager has fenced it");
                    } else {
                        tracing::error!(%server, "killed by the guard: its lease has run out");
                    }
                    self.down.insert(server, host);
                }
                Err(error) => tracing::error!(%server, error, "the guard could not kill it"),
            }
        }
    }

    fn begin_to_give_up(&mut self, address: &VirtualAddress) {
        if self.releases.contains_key(address) || !self.leaving.is_due(address, Instant::now()) {
            return;
        }
        let (release, leaving) = (Arc::clone(&self.release), address.clone());
        let task = tokio::task::spawn_blocking(move || release(&leaving));
        self.releases.insert(address.clone(), task);
    }

    async fn look_at_releases(&mut self) {
        let ended = self.releases.iter().filter(|(_, task)| task.is_finished());
        let ended: Vec<_> = ended.map(|(address, _)| address.clone()).collect();
        for address in ended {
            let Some(task) = self.releases.remove(&address) else { continue };
            match task.await.unwrap_or_else(|failed| Err(failed.to_string())) {
                Ok(()) => {
                    // Whoever was taking it meanwhile may have it by now.
                    self.leaving.done(&address, Instant::now());
                    // Until the worker names it again.
                    for server in self.servers.values_mut() {
                        server.vips.retain(|other| *other != address);
                        server.reader_vips.remove(&address);
                    }
                }
                Err(error) => {
                    if self.leaving.failed(&address, &error, Instant::now()) {
                        tracing::error!(%address, error, "the guard could not give an address up");
                    }
                }
            }
        }
    }

    /// Sees what was begun to its end.
    pub(super) async fn settle(&mut self) {
        for task in std::mem::take(&mut self.kills).into_values() {
            drop(task.await);
        }
        for task in std::mem::take(&mut self.releases).into_values() {
            drop(task.await);
        }
        for task in std::mem::take(&mut self.letting_go) {
            drop(task.await);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, channel};

    use primacy_types::Moment;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);
    const LONG_AGO: Option<Moment> = Some(Moment(0));

    fn server() -> GuardedServer {
        GuardedServer {
            server: Address::new("127.0.0.1", 1),
            pid_file: None,
            data_dir: None,
            host_name: None,
            binlog_base: None,
            kill_at: None,
            vips: Vec::new(),
            reader_vips: BTreeSet::new(),
            readers_until: None,
            may_run: false,
            fenced: false,
            kept_down: false,
            let_go: 0,
            lease: None,
        }
    }

    /// What was done, in order.
    pub(in crate::guard) type Deeds = Arc<Mutex<Vec<String>>>;

    fn guarded(
        release: impl Fn(&VirtualAddress) -> Result<(), String> + Send + Sync + 'static,
    ) -> (Guarded, Deeds) {
        let deeds = Deeds::default();
        let (kills, releases) = (Arc::clone(&deeds), Arc::clone(&deeds));
        let killed: Kill = Arc::new(move |server| {
            kills.lock().unwrap().push("kill".to_owned());
            Box::pin(async move {
                let host = LocalHost::expected(&server, LIMIT).await;
                host.map_err(|error| error.to_string())
            })
        });
        let released: Release = Arc::new(move |address| {
            let done = release(address);
            releases.lock().unwrap().push(format!("release {address}"));
            done
        });
        (Guarded::new(killed, Arc::new(|host| Box::pin(let_go(host))), released), deeds)
    }

    impl Guarded {
        /// One with a server whose time is over.
        pub(in crate::guard) fn with_a_late_server() -> (Self, Deeds) {
            let (mut guarded, deeds) = guarded(|_| Ok(()));
            hears(&mut guarded, GuardedServer { kill_at: LONG_AGO, ..server() });
            (guarded, deeds)
        }
    }

    fn hears(guarded: &mut Guarded, server: GuardedServer) {
        guarded.heard(&Beat { beat: 1, servers: vec![server], farewell: false });
    }

    async fn enforced(guarded: &mut Guarded, until: impl Fn(&Guarded) -> bool) {
        let turns = async {
            while !until(guarded) {
                guarded.enforce().await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LIMIT, turns).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn readers_addresses_delay_neither_the_kill_nor_the_primarys() {
        let (go_on, waits) = channel::<()>();
        let waits: Mutex<Receiver<()>> = Mutex::new(waits);
        let (mut guarded, deeds) = guarded(move |address| {
            if address.to_string().contains(".101") {
                // Until the test ends.
                let _ended = waits.lock().unwrap().recv();
            }
            Ok(())
        });
        let late = GuardedServer {
            kill_at: LONG_AGO,
            vips: vec!["10.0.0.100".parse().unwrap()],
            readers_until: LONG_AGO,
            reader_vips: BTreeSet::from(["10.0.0.101".parse().unwrap()]),
            ..server()
        };
        hears(&mut guarded, late);
        enforced(&mut guarded, |guarded| {
            let killed = guarded.down.contains_key(&server().server);
            killed && guarded.servers[&server().server].vips.is_empty()
        })
        .await;
        assert_eq!(*deeds.lock().unwrap(), ["kill", "release 10.0.0.100/32"]);
        drop(go_on);
        guarded.settle().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_address_that_could_not_be_given_up_is_tried_again() {
        let tries = Mutex::new(0);
        let (mut guarded, deeds) = guarded(move |_| {
            let mut tries = tries.lock().unwrap();
            *tries += 1;
            if *tries == 1 { Err("not now".to_owned()) } else { Ok(()) }
        });
        let late = GuardedServer {
            readers_until: LONG_AGO,
            reader_vips: BTreeSet::from(["10.0.0.101".parse().unwrap()]),
            ..server()
        };
        hears(&mut guarded, late);
        enforced(&mut guarded, |guarded| guarded.servers[&server().server].reader_vips.is_empty())
            .await;
        assert_eq!(*deeds.lock().unwrap(), ["release 10.0.0.101/32"; 2]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn without_a_worker_the_guard_keeps_down_what_is_fenced_until_another_one_does() {
        let (mut guarded, _deeds) = guarded(|_| Ok(()));
        let down = |guarded: &Guarded| guarded.down.contains_key(&server().server);
        let fenced = || GuardedServer { fenced: true, kept_down: true, ..server() };
        hears(&mut guarded, fenced());
        guarded.enforce().await;
        assert!(!down(&guarded), "the worker does it");
        guarded.keep_fenced_down();
        enforced(&mut guarded, down).await;
        hears(&mut guarded, GuardedServer { kept_down: false, ..fenced() });
        assert!(down(&guarded), "the next worker does not yet");
        hears(&mut guarded, fenced());
        assert!(!down(&guarded), "the next worker does");
        guarded.keep_fenced_down();
        enforced(&mut guarded, down).await;
        hears(&mut guarded, server());
        assert!(!down(&guarded), "a manager has let it go");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_killed_for_its_lease_is_let_go_by_a_manager() {
        let (mut guarded, _deeds) = guarded(|_| Ok(()));
        let late = || GuardedServer { kill_at: LONG_AGO, ..server() };
        hears(&mut guarded, late());
        enforced(&mut guarded, |guarded| guarded.down.contains_key(&server().server)).await;
        hears(&mut guarded, server());
        assert!(!guarded.down.is_empty(), "its lease was only given back");
        hears(&mut guarded, GuardedServer { let_go: 1, ..server() });
        assert!(guarded.down.is_empty());
    }
    /// systemd takes its time, and another server must be killed meanwhile.
    #[tokio::test(flavor = "multi_thread")]
    async fn letting_one_server_go_holds_up_nothing_of_another() {
        let (mut guarded, deeds) = guarded(|_| Ok(()));
        guarded.let_go = Arc::new(|_| Box::pin(std::future::pending()));
        hears(&mut guarded, GuardedServer { kill_at: LONG_AGO, ..server() });
        enforced(&mut guarded, |guarded| !guarded.down.is_empty()).await;
        hears(&mut guarded, GuardedServer { let_go: 1, ..server() });
        assert!(guarded.down.is_empty() && guarded.letting_go.len() == 1);
        let other = Address::new("127.0.0.1", 2);
        let late = GuardedServer { server: other.clone(), kill_at: LONG_AGO, ..server() };
        hears(&mut guarded, late);
        enforced(&mut guarded, |guarded| guarded.down.contains_key(&other)).await;
        assert_eq!(*deeds.lock().unwrap(), ["kill"; 2]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_the_worker_keeps_down_again_stays_masked() {
        let (mut guarded, _deeds) = guarded(|_| Ok(()));
        guarded.let_go = Arc::new(|_| panic!("nothing is let go"));
        let fenced = || GuardedServer { fenced: true, kept_down: true, ..server() };
        hears(&mut guarded, fenced());
        guarded.keep_fenced_down();
        enforced(&mut guarded, |guarded| !guarded.down.is_empty()).await;
        hears(&mut guarded, fenced());
        assert!(guarded.down.is_empty() && guarded.letting_go.is_empty());
    }
}
