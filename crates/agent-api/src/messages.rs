//! The requests and their answers.

use std::path::PathBuf;

use primacy_plan::lease::{
    Ask, Extension, Grant, HeldLease, Hold, LeaseRefusal, ReaderGrant, ReaderState,
};
use primacy_types::{
    Address, ContactFailure, Epoch, Millis, ProcessState, VirtualAddress, WallClock,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where agents listen unless they are told otherwise.
pub const DEFAULT_PORT: u16 = 7620;

/// The header that carries the CRC32 of a piece of a file, in hexadecimal digits.
pub const CHECKSUM: &str = "primacy-crc32";

/// No more bytes of a file are given at once.
pub const LARGEST_PIECE: usize = 4 << 20;

/// Where a request is sent.
pub type Path = &'static str;

/// The paths of all requests.
pub mod paths {
    use super::Path;

    /// `()` -> [`WhoAmI`](super::WhoAmI).
    pub const WHO: Path = "/v1/who";
    /// [`OfServer`](super::OfServer) -> [`Capabilities`](super::Capabilities).
    pub const CAPABILITY: Path = "/v1/capability";
    /// [`OfServer`](super::OfServer) -> `ProcessState`.
    pub const PROCESS: Path = "/v1/process";
    /// [`WatchOrder`](super::WatchOrder) -> [`Watched`](super::Watched).
    pub const WATCH: Path = "/v1/watch";
    /// [`OfServer`](super::OfServer) -> [`Fenced`](super::Fenced).
    pub const FENCE: Path = "/v1/fence";
    /// [`Release`](super::Release) -> `()`.
    pub const RELEASE: Path = "/v1/release";
    /// [`OfServer`](super::OfServer) -> `ProcessState`: starts the server as the agent's own host and
    /// file say.
    pub const START: Path = "/v1/start";
    /// [`OfServer`](super::OfServer) -> `ProcessState`: shuts it down cleanly.
    pub const STOP: Path = "/v1/stop";
    /// [`ListOrder`](super::ListOrder) -> `Vec<FileEntry>`.
    pub const FILES: Path = "/v1/files";
    /// [`FileOrder`](super::FileOrder) -> `u64`.
    pub const LENGTH: Path = "/v1/files/length";
    /// [`RangeOrder`](super::RangeOrder) -> bytes, and their checksum in [`CHECKSUM`](super::CHECKSUM).
    pub const RANGE: Path = "/v1/files/range";
    /// [`StandingOrder`](super::StandingOrder) -> [`LeaseState`](super::LeaseState).
    pub const STANDING: Path = "/v1/standing";
    /// [`GrantOrder`](super::GrantOrder) -> [`LeaseState`](super::LeaseState).
    pub const GRANT: Path = "/v1/grant";
    /// [`ExtendOrder`](super::ExtendOrder) -> [`Vote`](primacy_plan::lease::Vote). Agents may ask
    /// this.
    pub const EXTEND: Path = "/v1/extend";
    /// [`Opened`](super::Opened) -> `()`.
    pub const OPEN: Path = "/v1/open";
    /// [`OfferOrder`](crate::OfferOrder) -> [`Offered`](crate::Offered).
    pub const OFFER: Path = "/v1/rebuild/offer";
    /// [`BackupOrder`](crate::BackupOrder) -> a stream of [`pieces`](crate::pieces). Agents may ask
    /// this, with the ticket of a manager.
    pub const BACKUP: Path = "/v1/rebuild/backup";
    /// [`OfServer`](super::OfServer) -> [`CopyTools`](crate::CopyTools).
    pub const COPY_TOOLS: Path = "/v1/rebuild/tools";
    /// [`BuildOrder`](crate::BuildOrder) -> [`JobState`](crate::JobState).
    pub const BUILD: Path = "/v1/rebuild/build";
    /// [`JobOrder`](crate::JobOrder) -> [`JobState`](crate::JobState).
    pub const JOB: Path = "/v1/rebuild/job";
    /// [`OfServer`](super::OfServer) -> `Option<JobState>`.
    pub const JOB_STATE: Path = "/v1/rebuild/state";
    /// [`Probe`](super::Probe) -> `Vec<Probed>`.
    pub const PROBE: Path = "/v1/probe";
}

/// What an agent says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoAmI {
    /// Its version.
    pub version: String,
    /// The name in its certificate.
    pub name: String,
    /// The kernel's id of this boot of the host.
    pub boot_id: String,
    /// The end of its certificate's validity, in seconds since 1970.
    pub certificate_expires_at: i64,
    /// What it looks after.
    pub servers: Vec<ServedServer>,
    /// The length of leases in its configuration.
    #[serde(default)]
    pub lease: Option<Millis>,
    /// The host's wall clock, in milliseconds since 1970.
    #[serde(default)]
    pub wall_clock: Option<WallClock>,
}

/// A server that an agent looks after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedServer {
    /// Its address, as in the agent's configuration.
    pub server: Address,
    /// Whether the agent can log in to it now; if not, why.
    pub login: Option<String>,
    /// A guard process kills the server if the agent cannot.
    #[serde(default)]
    pub guarded: Option<bool>,
}

/// A request about one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfServer {
    /// Which.
    pub server: Address,
    /// How long it may take.
    pub limit: Millis,
}

/// Whether something works, as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "able", content = "reason")]
pub enum AbilitySaid {
    /// It works.
    Yes,
    /// It does not, for this reason.
    No(String),
}

/// What can be done for a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Its process is seen.
    pub watch: AbilitySaid,
    /// It can be killed and kept down.
    pub kill: AbilitySaid,
    /// Its logs can be read.
    pub read_files: AbilitySaid,
    /// The unit that starts it.
    pub unit: Option<String>,
    /// That unit can be masked while the server is to stay down.
    #[serde(default)]
    pub mask_unit: Option<AbilitySaid>,
    /// Virtual addresses can be taken and given up.
    #[serde(default)]
    pub addresses: Option<AbilitySaid>,
}

/// Wait for the exit of the server's process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchOrder {
    /// Which.
    pub server: Address,
    /// The last exit that is known; `None` asks which that is.
    pub after: Option<u64>,
    /// How long to wait for one.
    pub wait: Millis,
}

/// What was seen of the server's process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// How many exits were seen since the agent was started.
    pub exits: u64,
    /// What the last of them was; `None` if there was none after the one asked for.
    pub exited: Option<ProcessState>,
}

/// What a kill found and did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fenced {
    /// The process that was killed.
    pub pid: Option<u32>,
    /// What it was doing before.
    pub was: ProcessState,
    /// How many restarts were prevented so far.
    pub restarts_prevented: u64,
    /// The unit that was masked, and why it could not be.
    pub unit: Option<(String, Option<String>)>,
}

/// Let a server be started again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Which.
    pub server: Address,
}

/// The files of a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListOrder {
    /// Whose.
    pub server: Address,
    /// The directory.
    pub dir: PathBuf,
    /// How long it may take.
    pub limit: Millis,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileOrder {
    /// Whose.
    pub server: Address,
    /// Which.
    pub path: PathBuf,
    /// How long it may take.
    pub limit: Millis,
}

/// A piece of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeOrder {
    /// Whose.
    pub server: Address,
    /// Which.
    pub path: PathBuf,
    /// Where it begins.
    pub offset: u64,
    /// How long it is; fewer bytes come at the end of the file.
    pub len: usize,
    /// How long it may take.
    pub limit: Millis,
}

/// A file in a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    pub len: u64,
}

/// What a server is in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The primary of the epoch: it may hold a lease.
    Primary,
    /// Another server's epoch: a lease that it holds is given back.
    Other,
    /// Leases are not in force any more: what it holds is dropped, and its server left as it is.
    Unmanaged,
}

/// A manager shows itself, and says what the server is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingOrder {
    /// Which server.
    pub server: Address,
    /// Its cluster.
    pub cluster: String,
    /// The manager's reign.
    pub ask: Ask,
    /// The reign of the cluster's primary.
    pub epoch: Epoch,
    /// What the server is in it.
    pub standing: Standing,
    /// Where the agents of the cluster's servers are.
    pub agents: BTreeMap<Address, Address>,
    /// Addresses that the primary's host holds, and no other.
    #[serde(default)]
    pub vips: Vec<VirtualAddress>,
    /// A host of the cluster held them before: one that still answers for them is the former
    /// primary's, whose lease has run out, so they are taken over.
    #[serde(default)]
    pub take_over: bool,
    /// The addresses for readers that the host may hold; `None` if that is not said.
    #[serde(default)]
    pub readers: Option<ReaderGrant>,
}

/// A lease is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantOrder {
    /// To which server.
    pub server: Address,
    /// The lease.
    pub grant: Grant,
}

/// How a server stands, as its agent knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseState {
    /// Why nothing was taken of what was said, if it was not.
    pub refused: Option<LeaseRefusal>,
    /// The length of leases in the agent's configuration.
    pub ttl: Millis,
    /// What a grant must show; 0 if none is wanted.
    pub nonce: u64,
    /// What its server may do.
    pub hold: Hold,
    /// The lease that it holds.
    pub lease: Option<HeldLease>,
    /// The highest epoch that it knows.
    pub epoch: Epoch,
    /// For how long it refuses to be promoted.
    pub bound: Millis,
    /// A guard process kills the server if the agent cannot.
    pub guarded: bool,
    /// Whether the server accepts writes, as the agent saw last; `None` if it does not answer.
    pub writable: Option<bool>,
    /// The process of the server, as the agent saw last.
    pub process: Option<ProcessState>,
    /// It was killed and is kept down, until a manager lets it go or its lease is good again.
    #[serde(default)]
    pub kept_down: bool,
    /// The virtual addresses that this host holds.
    #[serde(default)]
    pub vips: Vec<VirtualAddress>,
    /// Why those that it should hold are not held.
    #[serde(default)]
    pub vip_problem: Option<String>,
    /// The addresses for readers, in answer to an order that named them.
    #[serde(default)]
    pub readers: Option<ReaderState>,
}

/// An agent asks another to let it go on without a manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtendOrder {
    /// The voter.
    pub server: Address,
    /// The cluster of both.
    pub cluster: String,
    /// The question.
    pub extension: Extension,
}

/// Let a server accept writes, if its lease of this epoch is good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Which.
    pub server: Address,
    /// The epoch in which it was promoted.
    pub epoch: Epoch,
    /// How long it may take.
    pub limit: Millis,
}

/// Look at servers from where the agent is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// At which.
    pub targets: Vec<Address>,
    /// How long it may take.
    pub limit: Millis,
}

/// What an agent saw of another server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// Which server.
    pub target: Address,
    /// Why it could not be logged in to; `None` if it could. A refused login is an answer of a
    /// server that lives.
    pub failure: Option<ContactFailure>,
}
