//! The trait, and the words it speaks in.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use primacy_types::{Address, ProcessState};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::HostError;

/// So much is read at once of a file that is copied.
const PIECE: usize = 2 << 20;

/// How a host is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Way {
    /// The server runs on this machine.
    Local,
    /// Over the system's ssh.
    Ssh,
    /// By the agent on the host.
    Agent,
}

/// What may be done on the host of one server.
#[async_trait]
pub trait HostAccess: Send + Sync + fmt::Debug {
    /// How the host is reached.
    fn way(&self) -> Way;

    /// The server whose host it is.
    fn server(&self) -> &Address;

    /// What of this trait works for this server, with the reason where something does not; an
    /// error if the host is not reached.
    async fn capability(&self, limit: Duration) -> Result<Capability, HostError>;

    /// What the operating system says of the server's process now. After a restart this is the
    /// new process.
    async fn process(&self, limit: Duration) -> Result<ProcessState, HostError>;

    /// Resolves when the process that was found has exited, or at once if it did so since this
    /// was last asked; each exit is told once. Without a process it waits for one to appear, and
    /// then for its exit. Dropping the future loses nothing.
    async fn exited(&self) -> ProcessState;

    /// Kills the process (SIGKILL), waits until it is gone, and from then on kills every new
    /// server process on the same data directory until [`release`](Self::release). The guard is
    /// up before the first signal, and stays up when the process does not end in time or the future
    /// is dropped half way; it ends with `release`, or when the access itself is dropped.
    async fn kill_and_keep_down(&self, limit: Duration) -> Result<Killed, HostError>;

    /// Lets the server be started again. Safe to call at any time.
    async fn release(&self) -> Result<(), HostError>;

    /// Starts the server if it does not run: by the systemd unit that was seen to start it, else by
    /// the program that is configured for it on its host (an agent's file) or in the manager's
    /// file. Returns when its process is there, which may still be recovering; whether it answers
    /// is asked over SQL. An error while it is kept down. Safe to call again.
    async fn start(&self, limit: Duration) -> Result<ProcessState, HostError>;

    /// Shuts the server down cleanly, by its unit or with SIGTERM, and waits until its process is
    /// gone; gives how it ended. Never kills: one that has not ended at the limit goes on ending.
    /// Safe to call again.
    async fn stop(&self, limit: Duration) -> Result<ProcessState, HostError>;

    /// Bytes of a file, as many as there are up to `len`. Relative paths are below the data
    /// directory.
    async fn read_range(
        &self,
        path: &Path,
        offset: u64,
        len: usize,
        limit: Duration,
    ) -> Result<Vec<u8>, HostError>;

    /// The length of a file in bytes.
    async fn file_len(&self, path: &Path, limit: Duration) -> Result<u64, HostError>;

    /// Copies a file from an offset to its end, however long that is; gives the bytes copied.
    /// `stall` is the limit without progress. What was written before an error is right.
    async fn fetch(
        &self,
        path: &Path,
        offset: u64,
        to: &mut (dyn AsyncWrite + Send + Unpin),
        stall: Duration,
    ) -> Result<u64, HostError> {
        let mut copied = 0;
        let failed = |copied, source| HostError::Copy {
            server: self.server().clone(),
            path: path.to_owned(),
            copied,
            source,
        };
        loop {
            let piece = self.read_range(path, offset.saturating_add(copied), PIECE, stall).await?;
            to.write_all(&piece).await.map_err(|source| failed(copied, source))?;
            copied += piece.len() as u64;
            if piece.len() < PIECE {
                to.flush().await.map_err(|source| failed(copied, source))?;
                return Ok(copied);
            }
        }
    }

    /// The ordinary files of a directory, by name.
    async fn list(&self, dir: &Path, limit: Duration) -> Result<Vec<FileEntry>, HostError>;
}

/// A file in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its name, without the directory.
    pub name: String,
    /// Its length in bytes.
    pub len: u64,
}

/// Whether something works, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "able", content = "reason")]
pub enum Ability {
    /// It works.
    Yes,
    /// It does not, for this reason, with what would mend it.
    No(String),
}

impl Ability {
    /// Whether it works.
    pub const fn is_yes(&self) -> bool {
        matches!(self, Self::Yes)
    }
}

/// What can be done for one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capability {
    /// How the host is reached.
    pub way: Way,
    /// Its process is seen, and its exit at once.
    pub watch: Ability,
    /// Its process can be killed and kept down.
    pub kill: Ability,
    /// Its data directory (binary and relay logs) can be read.
    pub read_files: Ability,
    /// The systemd unit that would restart it.
    pub unit: Option<String>,
    /// That unit can be masked while the server is to stay down; `None` without a unit, or if it
    /// was not asked.
    pub mask_unit: Option<Ability>,
    /// Virtual addresses can be taken and given up there; `None` where nobody would do it.
    pub addresses: Option<Ability>,
}

/// What a kill found and did.
#[derive(Clone, Debug)]
pub struct Killed {
    /// The process that was killed; `None` if none was left to kill.
    pub pid: Option<u32>,
    /// What it was doing before.
    pub was: ProcessState,
    /// How many new processes the guard has killed, up to now.
    pub restarts_prevented: RestartsPrevented,
    /// What was done to the systemd unit that starts the server, if there is one.
    pub unit: Option<UnitMask>,
}

/// A systemd unit that was kept from starting the server again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitMask {
    /// Its name.
    pub unit: String,
    /// Why it could not be masked; the guard kills what it starts in any case.
    pub failure: Option<String>,
}

/// A count that goes on while the server is kept down.
#[derive(Clone, Debug, Default)]
pub struct RestartsPrevented(Arc<AtomicU64>);

impl RestartsPrevented {
    /// Processes killed by the guard so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Whoever counts is elsewhere: so many up to now.
    pub(crate) fn at_least(&self, count: u64) {
        self.0.fetch_max(count, Ordering::Relaxed);
    }

    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
