//! A server on this machine: its process by pidfd, its files by their paths.

mod clean;
mod files;
mod find;
mod guard;
mod keep_down;
mod proc;
mod process;
mod start;
#[cfg(test)]
mod tests;
mod unit;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use primacy_types::{Address, ProcessState};
use tokio::time::timeout;

use self::clean::PidFileSeen;
use self::find::{Found, Wanted};
use self::keep_down::KeepDown;
use self::process::Process;
use self::unit::Systemd;
use crate::{Ability, Capability, FileEntry, HostAccess, HostError, Killed, ServerIdentity, Way};

/// How often a server that is not there is looked for by [`HostAccess::exited`].
const SEARCH_INTERVAL: Duration = Duration::from_millis(500);
/// The limit of looking where the caller gave none.
const SEARCH_LIMIT: Duration = Duration::from_secs(5);
/// The limit of looking whether a shutdown was clean: the news of an exit does not wait longer
/// for a disk.
const CLEAN_LIMIT: Duration = Duration::from_millis(500);

/// Access to one server that runs on this machine.
#[derive(Debug)]
pub struct LocalHost {
    server: ServerIdentity,
    systemd: Option<Systemd>,
    known: Mutex<Known>,
    /// One start or stop at a time.
    turn: tokio::sync::Mutex<()>,
}

/// What was found out so far.
#[derive(Debug)]
struct Known {
    wanted: Wanted,
    unit: Option<String>,
    /// The newest process that was found.
    current: Option<Arc<Server>>,
    /// It runs where we do not see its process.
    unseen: bool,
    /// The process whose exit [`HostAccess::exited`] has not told yet.
    untold: Option<Arc<Server>>,
    keep_down: KeepDown,
}

/// A process that was found to be the server.
#[derive(Debug)]
struct Server {
    process: Process,
    verified: bool,
    pid_file: Option<PidFileSeen>,
    clean: tokio::sync::OnceCell<Option<bool>>,
}

impl LocalHost {
    /// The server's process on this machine; `None` if it does not run here. An error if something
    /// stands in its place, or if it cannot be told. One that runs in a process namespace that we do
    /// not see is here, and nothing can be done to it.
    pub async fn find(server: &ServerIdentity, limit: Duration) -> Result<Option<Self>, HostError> {
        let host = Self::new(server, limit, Systemd::of_this_machine()).await?;
        match host.look(limit).await {
            Ok(None) => Ok(None),
            Ok(Some(_)) | Err(HostError::Unseen { .. }) => Ok(Some(host)),
            Err(error) => Err(error),
        }
    }

    /// For a server that is known (from a journal) to belong to this machine, whether or not it
    /// runs now: its files can be read, and it can be kept down and released.
    pub async fn expected(server: &ServerIdentity, limit: Duration) -> Result<Self, HostError> {
        let host = Self::new(server, limit, Systemd::of_this_machine()).await?;
        match host.look(limit).await {
            // Its files may be read all the same.
            Ok(_) | Err(HostError::Unseen { .. }) => Ok(host),
            Err(error) => Err(error),
        }
    }

    async fn new(
        server: &ServerIdentity,
        limit: Duration,
        systemd: Option<Systemd>,
    ) -> Result<Self, HostError> {
        let address = &server.address;
        let resolved = timeout(limit, tokio::net::lookup_host((address.host(), address.port())))
            .await
            .map_err(|_| HostError::TimedOut {
                server: address.clone(),
                what: "resolving its host name".to_owned(),
                limit,
            })?
            .map_err(|source| HostError::Resolve { server: address.clone(), source })?;
        let addresses = resolved.map(|found| found.ip().to_canonical()).collect();
        let wanted = Wanted { server: server.clone(), addresses, directory: None };
        let known = Known {
            wanted,
            unit: server.unit.clone(),
            current: None,
            unseen: false,
            untold: None,
            keep_down: KeepDown::new(server.unit.clone()),
        };
        let (known, turn) = (Mutex::new(known), tokio::sync::Mutex::default());
        Ok(Self { server: server.clone(), systemd, known, turn })
    }

    /// Pid and start time (in clock ticks since boot) of the process that was found last, if it
    /// lives.
    pub fn process_id(&self) -> Option<(u32, u64)> {
        let current = self.known().current.clone()?;
        current.process.is_alive().then(|| (current.process.pid(), current.process.started()))
    }

    /// Whether it runs where its process is not seen from here.
    pub fn is_unseen(&self) -> bool {
        self.known().unseen
    }

    /// Whether it can be killed, as far as it was looked for.
    pub fn is_in_reach(&self) -> bool {
        let known = self.known();
        let process = known.current.as_ref().filter(|server| server.process.is_alive());
        !known.unseen && process.is_none_or(|server| server.verified && server.process.pid() != 1)
    }

    /// Whether this process keeps it down now.
    pub fn keeps_down(&self) -> bool {
        self.known().keep_down.holds().is_some()
    }

    /// The systemd unit that starts it, as far as it was found out.
    pub fn unit(&self) -> Option<String> {
        self.known().unit.clone()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process as it is now: the known one while it lives, else a newer one.
    async fn look(&self, limit: Duration) -> Result<Option<Arc<Server>>, HostError> {
        let (current, wanted) = {
            let known = self.known();
            (known.current.clone(), known.wanted.clone())
        };
        if let Some(alive) = current.as_ref().filter(|server| server.process.is_alive()) {
            return Ok(Some(alive.clone()));
        }
        let search = self.blocking(limit, "looking for its process", move || wanted.find()).await?;
        self.known().unseen = matches!(search, Err(HostError::Unseen { .. }));
        let found = match search {
            // Its port went to another program: the process that was known is gone all the same.
            Err(HostError::NotADatabase { .. }) if current.is_some() => None,
            other => other?,
        };
        let Some(found) = found else { return Ok(None) };
        let unit = match &self.systemd {
            Some(systemd) if self.server.unit.is_none() => {
                systemd.unit_of(found.process.pid(), limit.min(Duration::from_secs(1))).await
            }
            _ => None,
        };
        Ok(Some(self.adopt(found, unit)))
    }

    fn adopt(&self, found: Found, unit: Option<String>) -> Arc<Server> {
        let pid = found.process.pid();
        let pid_file = self.server.pid_file.as_deref().map(|file| self.server.path(file));
        let seen = pid_file.is_some_and(|file| find::pid_in(&file) == Some(pid));
        let server = Arc::new(Server {
            process: found.process,
            verified: found.verified,
            pid_file: seen.then_some(PidFileSeen { pid }),
            clean: tokio::sync::OnceCell::new(),
        });
        let mut known = self.known();
        // Two callers may have looked at once.
        if let Some(current) = &known.current
            && current.process.is(&server.process)
        {
            return current.clone();
        }
        known.current = Some(server.clone());
        known.untold.get_or_insert_with(|| server.clone());
        known.wanted.directory = found.directory.or(known.wanted.directory);
        known.unit = unit.or(known.unit.take());
        server
    }

    /// Whether a process that has exited was shut down; read once, as soon as it is asked.
    async fn clean(&self, server: Option<&Server>) -> Option<bool> {
        let seen = server.and_then(|server| server.pid_file);
        let identity = self.server.clone();
        let read = async {
            self.blocking(CLEAN_LIMIT, "reading its last binary log", move || {
                clean::was_clean(&identity, seen)
            })
            .await
            .ok()
            .flatten()
        };
        match server {
            Some(server) => *server.clean.get_or_init(|| read).await,
            None => read.await,
        }
    }

    /// Runs what may block on a thread for that, and waits no longer than the limit.
    async fn blocking<T: Send + 'static>(
        &self,
        limit: Duration,
        what: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HostError> {
        let server = || self.server.address.clone();
        match timeout(limit, tokio::task::spawn_blocking(work)).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(failed)) => Err(HostError::System {
                server: server(),
                what: "worker thread",
                source: failed.into(),
            }),
            Err(_) => Err(HostError::TimedOut { server: server(), what: what.to_owned(), limit }),
        }
    }

    /// Runs a reading of a file or directory.
    async fn file<T: Send + 'static>(
        &self,
        path: &Path,
        limit: Duration,
        work: impl FnOnce(&Path) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, HostError> {
        let path = self.server.path(path);
        let what = format!("reading {}", path.display());
        let named = path.clone();
        self.blocking(limit, &what, move || work(&path)).await?.map_err(|source| HostError::File {
            server: self.server.address.clone(),
            path: named,
            source,
        })
    }

    async fn process_now(&self, limit: Duration) -> Result<ProcessState, HostError> {
        if let Some(server) = self.look(limit).await?
            && let Some(state) = server.process.state()
        {
            return Ok(state);
        }
        let last = self.known().current.clone();
        Ok(ProcessState::Exited { clean: self.clean(last.as_deref()).await })
    }

    fn may_kill(server: &Server) -> Ability {
        const MEND: &str = "run Primacy as the server's own user, or give its service CAP_KILL, \
             CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH";
        let pid = server.process.pid();
        if pid == 1 {
            return Ability::No(
                "it is the first process of the namespace that Primacy runs in, and the kernel lets \
                 nobody inside kill that one; moreover all end with it. Let the server join the \
                 agent's namespace, not the agent the server's"
                    .to_owned(),
            );
        }
        match server.process.may_signal() {
            Err(error) => {
                Ability::No(format!("process {pid} may not be signalled ({error}): {MEND}"))
            }
            Ok(()) if !server.verified => Ability::No(format!(
                "the sockets and directory of process {pid} may not be looked at, so it is not \
                 certain enough to be killed: {MEND}"
            )),
            Ok(()) => Ability::Yes,
        }
    }

    /// systemd asks polkit, which lets root and nobody else mask units unless it was told to. It is
    /// not tried: a mask that fails half way would be worse than the guard's killing.
    fn may_mask(&self) -> Ability {
        if self.systemd.is_none() {
            return Ability::No("systemd does not run this machine".to_owned());
        }
        if rustix::process::geteuid().is_root() {
            return Ability::Yes;
        }
        Ability::No("Primacy is not root here, and a rule of polkit was not looked for".to_owned())
    }

    /// Whether the data directory can be listed, and is the one that the process works in.
    async fn may_read(&self, limit: Duration) -> Ability {
        let Some(data_dir) = self.server.data_dir.clone() else {
            return Ability::No("the server's data directory is not known".to_owned());
        };
        let working = self.known().wanted.directory;
        let seen = proc::DirectoryId::of(&data_dir).ok();
        if working.is_some() && seen != working {
            return Ability::No(format!(
                "{} is another directory here than for the server (a container?)",
                data_dir.display()
            ));
        }
        match self.file(&data_dir, limit, files::list).await {
            Ok(_) => Ability::Yes,
            Err(error) => Ability::No(error.to_string()),
        }
    }
}

#[async_trait]
impl HostAccess for LocalHost {
    fn way(&self) -> Way {
        Way::Local
    }

    fn server(&self) -> &Address {
        &self.server.address
    }

    async fn capability(&self, limit: Duration) -> Result<Capability, HostError> {
        let (server, absent) = match self.look(limit).await {
            Ok(server) => (server, "its process does not run now".to_owned()),
            Err(error @ HostError::Unseen { .. }) => (None, error.to_string()),
            Err(error) => return Err(error),
        };
        let absent = || Ability::No(absent.clone());
        let unit = self.known().unit.clone();
        Ok(Capability {
            way: Way::Local,
            watch: server.as_ref().map_or_else(absent, |_| Ability::Yes),
            kill: server.as_ref().map_or_else(absent, |server| Self::may_kill(server)),
            read_files: self.may_read(limit).await,
            mask_unit: unit.as_ref().map(|_| self.may_mask()),
            unit,
            addresses: None,
        })
    }

    async fn process(&self, limit: Duration) -> Result<ProcessState, HostError> {
        self.process_now(limit).await
    }

    async fn exited(&self) -> ProcessState {
        let server = loop {
            let untold = self.known().untold.clone();
            match untold {
                Some(server) => break server,
                None => match self.look(SEARCH_LIMIT).await {
                    Ok(Some(server)) => self.known().untold = Some(server),
                    Ok(None) => tokio::time::sleep(SEARCH_INTERVAL).await,
                    Err(error) => {
                        tracing::debug!(%error, "no process to watch");
                        tokio::time::sleep(SEARCH_INTERVAL).await;
                    }
                },
            }
        };
        server.process.gone().await;
        let clean = self.clean(Some(&server)).await;
        let mut known = self.known();
        if known.untold.as_ref().is_some_and(|untold| Arc::ptr_eq(untold, &server)) {
            // A newer process that was found meanwhile is the next to be told of.
            known.untold = known.current.clone().filter(|current| !Arc::ptr_eq(current, &server));
        }
        ProcessState::Exited { clean }
    }

    async fn kill_and_keep_down(&self, limit: Duration) -> Result<Killed, HostError> {
        self.kill(limit).await
    }

    async fn release(&self) -> Result<(), HostError> {
        self.let_start().await
    }

    async fn start(&self, limit: Duration) -> Result<ProcessState, HostError> {
        self.start_server(limit).await
    }

    async fn stop(&self, limit: Duration) -> Result<ProcessState, HostError> {
        self.stop_server(limit).await
    }

    async fn read_range(
        &self,
        path: &Path,
        offset: u64,
        len: usize,
        limit: Duration,
    ) -> Result<Vec<u8>, HostError> {
        self.file(path, limit, move |path| files::read_range(path, offset, len)).await
    }

    async fn file_len(&self, path: &Path, limit: Duration) -> Result<u64, HostError> {
        self.file(path, limit, |path| std::fs::metadata(path).map(|found| found.len())).await
    }

    async fn list(&self, dir: &Path, limit: Duration) -> Result<Vec<FileEntry>, HostError> {
        self.file(dir, limit, files::list).await
    }
}
