//! The nouns that every part of Primacy shares: addresses, versions, GTID sets, positions,
//! epochs, moments, policies, and what was observed of a server.
//!
//! Pure: no clock, no network, no randomness. Time enters as [`Moment`] or [`WallClock`] values.

mod absence;
mod address;
mod arguments;
mod fence;
mod gtid;
mod hook_event;
mod observation;
mod policy;
mod position;
mod safety;
mod secondary;
mod ssh;
mod time;
mod transactions;
mod version;
pub mod virtual_address;
mod writes;

pub use absence::{Absence, AbsenceState};
pub use address::{Address, AddressError, DEFAULT_PORT};
pub use arguments::{ArgumentError, Arguments, Placeholder, TemplateMistake};
pub use fence::FenceRung;
pub use gtid::{GtidError, GtidSource, MariaDbGtid, MariaDbGtidPos, MySqlGtidSet};
pub use hook_event::{FailureMeans, HookEvent, UnknownEvent, Verdict};
pub use observation::{
    BinlogsOnDisk, ChannelStatus, ClusterSnapshot, Contact, ContactFailure, FileAccess, GtidMode,
    Positioning, ProcessState, ReceiverState, RegisteredReplica, ReplicationError, SemiSyncStatus,
    ServerFacts, ServerObservation,
};
pub use policy::{
    BrokenReplicas, HostAccessKind, Leaves, OnCleanShutdown, OnErrant, PingType, Policy, Promotion,
    ReaderPolicy, RefuseOrProceed, Rejoin, Scripts, SemiSyncPolicy, ServerPolicy, Timing,
    WithoutAcker,
};
pub use position::{BinlogPosition, Epoch};
pub use safety::{CrashSafety, Repository, UnsafeTables};
pub use secondary::{SecondaryAnswer, SecondaryWord};
pub use ssh::{SshOption, SshSettingError, SshSettings, SshTarget, SshUser, check_ssh_host};
pub use time::{Millis, Moment, WallClock};
pub use transactions::TransactionSet;
pub use version::{Flavor, ServerVersion, VersionError};
pub use virtual_address::{VirtualAddress, VirtualAddressError};
pub use writes::{WriteTrouble, WriteWord};
