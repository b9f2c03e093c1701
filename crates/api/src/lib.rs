//! What a manager tells and takes: the types that commands and programs exchange with it, the
//! HTTP routes that carry them, and the client.
//!
//! Today a manager listens on a unix socket whose file permissions decide who may talk to it. The
//! same routes serve a network address with certificates later.

mod answer;
mod client;
mod errant;
mod rebuild;
mod rejoin;
mod restart;
mod routes;
mod view;

pub use answer::{
    Answer, ApiError, ErrorKind, FailoverOrder, HistoryDetail, HistoryEntry, PauseOrder,
    PurgeOrder, PurgeReport, SwitchoverOrder, Timeline,
};
pub use client::{Client, ClientError};
pub use errant::{InjectOrder, Injection};
pub use rebuild::{CancelRebuild, RebuildAnswer, RebuildOrder, RebuildPhase, RebuildView};
pub use rejoin::{RejoinOrder, Rejoining};
pub use restart::{RestartOrder, Restarting};
pub use routes::{Service, router};
pub use view::{
    CheckReport, ClusterView, Explanation, HostReport, Incomplete, LeaseView, OperationView,
    ServerRole, ServerView,
};
