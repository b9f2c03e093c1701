//! What worker and guard say to each other: lines of JSON over a pair of sockets.

use std::collections::BTreeSet;
use std::path::PathBuf;

use primacy_host::ServerIdentity;
use primacy_plan::lease::HeldLease;
use primacy_types::{Address, Moment, VirtualAddress};
use serde::{Deserialize, Serialize};

/// A line may not be longer.
pub(super) const LONGEST: usize = 1 << 20;

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Beat {
    pub(super) beat: u64,
    pub(super) servers: Vec<GuardedServer>,
    /// It ends because it was asked to.
    #[serde(default)]
    pub(super) farewell: bool,
}

/// One server, as the worker wants it guarded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct GuardedServer {
    pub(super) server: Address,
    pub(super) pid_file: Option<PathBuf>,
    pub(super) data_dir: Option<PathBuf>,
    pub(super) host_name: Option<String>,
    pub(super) binlog_base: Option<PathBuf>,
    /// When it must be killed unless this is said again with a later moment.
    pub(super) kill_at: Option<Moment>,
    /// Addresses that the host must not hold from then on.
    #[serde(default)]
    pub(super) vips: Vec<VirtualAddress>,
    /// Addresses for readers, and when the host must have given them up.
    #[serde(default)]
    pub(super) reader_vips: BTreeSet<VirtualAddress>,
    #[serde(default)]
    pub(super) readers_until: Option<Moment>,
    /// The lease is good: one that was killed may be started.
    pub(super) may_run: bool,
    /// A manager keeps it down: without a worker the guard does.
    #[serde(default)]
    pub(super) fenced: bool,
    /// The worker keeps it down.
    #[serde(default)]
    pub(super) kept_down: bool,
    /// How often this worker was told by a manager to let it go.
    #[serde(default)]
    pub(super) let_go: u64,
    pub(super) lease: Option<HeldLease>,
}

impl GuardedServer {
    pub(super) fn identity(&self) -> ServerIdentity {
        let mut identity = ServerIdentity::new(self.server.clone());
        identity.pid_file.clone_from(&self.pid_file);
        identity.data_dir.clone_from(&self.data_dir);
        identity.host_name.clone_from(&self.host_name);
        identity.binlog_base.clone_from(&self.binlog_base);
        identity
    }
}

/// What the guard says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FromGuard {
    /// First of all: the leases that the worker before held.
    Kept(Vec<(Address, HeldLease)>),
    /// The answer to a beat.
    Heard(u64),
}
