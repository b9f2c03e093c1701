//! A server on another machine, reached through the user's own `ssh` and its configuration: its
//! files are read and its process is looked at with what every POSIX system has. Nothing is
//! installed there, and nothing is ever asked of a person. It can be killed and kept down as far as
//! the login, or `sudo -n`, may do so.

mod call;
mod client;
mod failure;
mod files;
mod guard;
mod keep_down;
mod master;
mod probe;
mod process;
mod quote;
mod scripts;
mod start;
mod target;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use primacy_types::{Address, ProcessState, SshSettings};
use tokio::io::AsyncWrite;

use self::client::Client;
pub use self::failure::SshFailure;
use self::keep_down::{By, KeepDown};
use self::process::{Looked, Seen};
use crate::{Ability, Capability, FileEntry, HostAccess, HostError, Killed, ServerIdentity, Way};

/// How often [`HostAccess::exited`] looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// The limit of a look where the caller gave none.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

/// Access to the host of one server over ssh.
///
/// Its calls share one connection, which ends when this is dropped.
#[derive(Debug)]
pub struct SshHost {
    server: ServerIdentity,
    client: Arc<Client>,
    known: Mutex<Known>,
    /// One kill or release at a time.
    turn: tokio::sync::Mutex<()>,
}

/// What was seen of its process so far.
#[derive(Debug, Default)]
struct Known {
    /// The newest process that was found.
    current: Option<Seen>,
    /// The process whose exit [`HostAccess::exited`] has not told yet.
    untold: Option<Seen>,
    /// What the directory that it works in is recognised by.
    directory: Option<String>,
    /// The unit that starts it, as its configuration or its process shows.
    unit: Option<String>,
    /// The process of which that was found out.
    unit_of: Option<Seen>,
    /// Whether `sudo -n` worked, and when that was tried.
    sudo: Option<(bool, Instant)>,
    /// By whose rights it could be killed when it was last seen to run.
    rights: Option<By>,
    keep_down: KeepDown,
}

impl Known {
    fn adopt(&mut self, seen: Seen) {
        if self.current != Some(seen) {
            self.current = Some(seen);
            self.untold.get_or_insert(seen);
        }
    }

    fn unit_name(&self) -> Option<String> {
        self.unit.clone()
    }
}

impl SshHost {
    /// Access over ssh; nothing is connected yet. An error if the server's name cannot safely be
    /// given to ssh.
    pub fn new(server: &ServerIdentity, settings: SshSettings) -> Result<Self, HostError> {
        let client = Arc::new(Client::new(&server.address, settings)?);
        let known = Known { unit: server.unit.clone(), ..Known::default() };
        let (server, turn) = (server.clone(), tokio::sync::Mutex::default());
        Ok(Self { server, client, known: Mutex::new(known), turn })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl HostAccess for SshHost {
    fn way(&self) -> Way {
        Way::Ssh
    }

    fn server(&self) -> &Address {
        &self.server.address
    }

    async fn capability(&self, limit: Duration) -> Result<Capability, HostError> {
        let read_files = self.may_read(limit).await?;
        let report = self.report(true, false, limit).await?;
        let looked = self.judge(&report);
        let kill = self.may_kill(&report, &looked, limit).await;
        let watch = match looked {
            Ok(Looked::Ended) => Ability::No("its process does not run now".to_owned()),
            Ok(Looked::Runs(_)) => Ability::Yes,
            Err(HostError::ProcessUnseen { reason, .. }) => Ability::No(reason),
            Err(error) => return Err(error),
        };
        let unit = self.known().unit_name();
        let (mask_unit, addresses) = (None, None);
        Ok(Capability { way: Way::Ssh, watch, kill, read_files, unit, mask_unit, addresses })
    }

    async fn process(&self, limit: Duration) -> Result<ProcessState, HostError> {
        self.look(limit).await
    }

    /// Told within about a second, and only of a process that was seen to run.
    async fn exited(&self) -> ProcessState {
        loop {
            match self.look(LOOK_LIMIT).await {
                Ok(state @ ProcessState::Exited { .. }) => {
                    let mut known = self.known();
                    if known.untold.take().is_some() {
                        return state;
                    }
                }
                Ok(_) => {
                    let mut known = self.known();
                    if known.untold.is_some() && known.untold != known.current {
                        // It ended, and was started again, between two looks.
                        known.untold = known.current;
                        return ProcessState::Exited { clean: None };
                    }
                }
                Err(error) => tracing::debug!(%error, "no process to watch"),
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
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
        self.read(path, offset, len, limit).await
    }

    async fn file_len(&self, path: &Path, limit: Duration) -> Result<u64, HostError> {
        self.len(path, limit).await
    }

    async fn fetch(
        &self,
        path: &Path,
        offset: u64,
        to: &mut (dyn AsyncWrite + Send + Unpin),
        stall: Duration,
    ) -> Result<u64, HostError> {
        self.copy(path, offset, to, stall).await
    }

    async fn list(&self, dir: &Path, limit: Duration) -> Result<Vec<FileEntry>, HostError> {
        self.files(dir, limit).await
    }
}
