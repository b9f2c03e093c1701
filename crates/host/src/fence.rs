//! Fences: what makes sure that a server accepts no more writes, and what each one promises.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use primacy_types::{FenceRung, ProcessState};
use serde::{Deserialize, Serialize};

use crate::{HostAccess, HostError, RestartsPrevented, UnitMask, Way};

/// What is certain once a fence has reported success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "guarantee")]
#[non_exhaustive]
pub enum Guarantee {
    /// The server's process was seen to be gone, and is kept from coming back.
    ProcessGone {
        /// Its binary and relay logs can still be read.
        disk_readable: bool,
    },
}

impl Guarantee {
    /// The promise in one sentence.
    pub const fn sentence(&self) -> &'static str {
        match self {
            Self::ProcessGone { disk_readable: true } => {
                "The server's process is gone and is kept from coming back; its files stay readable."
            }
            Self::ProcessGone { disk_readable: false } => {
                "The server's process is gone and is kept from coming back; its files cannot be read."
            }
        }
    }
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.sentence())
    }
}

/// What a fence did.
#[derive(Clone, Debug)]
pub struct FenceReport {
    /// By which rung.
    pub rung: FenceRung,
    /// What is certain now.
    pub guarantee: Guarantee,
    /// The process that was killed, if one was.
    pub pid: Option<u32>,
    /// What the server's process was doing before.
    pub was: ProcessState,
    /// How long it took until the promise held.
    pub took: Duration,
    /// How many restarts were prevented, up to now.
    pub restarts_prevented: RestartsPrevented,
    /// What was done to the unit that starts the server.
    pub unit: Option<UnitMask>,
}

/// Something that can make sure that one server accepts no more writes.
#[async_trait]
pub trait Fence: Send + Sync + fmt::Debug {
    /// Its place on the ladder.
    fn rung(&self) -> FenceRung;

    /// What [`fence`](Self::fence) promises when it succeeds.
    fn guarantees(&self) -> Guarantee;

    /// Fences the server. Only `Ok` promises anything; it may be repeated.
    async fn fence(&self, limit: Duration) -> Result<FenceReport, HostError>;

    /// Takes the fence down, so that the server can be started again.
    async fn release(&self) -> Result<(), HostError>;
}

/// The fence by process id, wherever the host is: kill and keep down.
#[derive(Clone, Debug)]
pub struct HostFence {
    host: Arc<dyn HostAccess>,
    disk_readable: bool,
}

impl HostFence {
    /// A fence for the server behind `host`; asks whether its files can be read.
    pub async fn new(host: Arc<dyn HostAccess>, limit: Duration) -> Result<Self, HostError> {
        let disk_readable = host.capability(limit).await?.read_files.is_yes();
        Ok(Self { host, disk_readable })
    }
}

#[async_trait]
impl Fence for HostFence {
    fn rung(&self) -> FenceRung {
        match self.host.way() {
            Way::Local => FenceRung::Local,
            Way::Agent => FenceRung::Agent,
            Way::Ssh => FenceRung::Ssh,
        }
    }

    fn guarantees(&self) -> Guarantee {
        Guarantee::ProcessGone { disk_readable: self.disk_readable }
    }

    async fn fence(&self, limit: Duration) -> Result<FenceReport, HostError> {
        let begun = Instant::now();
        let killed = self.host.kill_and_keep_down(limit).await?;
        Ok(FenceReport {
            rung: self.rung(),
            guarantee: self.guarantees(),
            pid: killed.pid,
            was: killed.was,
            took: begun.elapsed(),
            restarts_prevented: killed.restarts_prevented,
            unit: killed.unit,
        })
    }

    async fn release(&self) -> Result<(), HostError> {
        self.host.release().await
    }
}
