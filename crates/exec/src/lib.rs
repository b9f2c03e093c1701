//! Turns plans into deeds: runs their steps on real servers, writes each to the journal before it
//! runs, and finishes or puts back what a restarted manager finds half done.
//!
//! [`start`] begins an operation, [`resume`] goes on with one. Nothing here decides what is right:
//! plans come from `primacy-plan`, and [`primacy_plan::violations`] is asked before any of them
//! runs.

mod borrowed_id;
mod chronicle;
mod clock;
mod cloning;
mod cluster;
mod error;
mod failure;
mod hindrances;
mod hooks;
mod journal;
mod last_seen;
mod links;
mod look;
mod measure;
mod moments;
mod operation;
mod rebuilt;
mod rejoin;
mod relay_logs;
mod request;
mod restart;
mod rewind;
mod router;
mod scripts;
mod shared;
mod shutdown;
mod start;
mod steps;
mod undo;
mod view;

pub use chronicle::{Chronicle, Entry};
pub use clock::Clock;
pub use cloning::{CloneOrder, bytes_of, clone_into, end_clone};
pub(crate) use cluster::BinlogCopy;
pub use cluster::{Cluster, Eyes, Hosts, ReplicationAccount, identity};
pub use error::{OperationError, StepError};
pub use hindrances::{Hindrances, look_for_hindrances};
pub use hooks::Hooks;
pub use last_seen::LastSeen;
pub use links::{Link, Links};
pub use operation::Control;
pub use rebuilt::{Copied, be_itself, join_rebuilt, rebuild_has_joined};
pub use rejoin::{
    Asked, Judged, Kept, REJOIN, Rejoined, absences, finish_relearning, folder_of, judge,
    mark_replaced, rejoin,
};
pub use relay_logs::{PurgeRefused, PurgedLogs, purge_relay_logs, restore_relay_log_purge};
pub use request::{Page, Report, Request};
pub use restart::{
    Operations, RESTART, RestartError, Restarted, finish_interrupted, receive_again, restart,
};
pub use rewind::{Rewind, RewindError, Rewound, prove, rewind, rewind_rows, statement_limit};
pub use router::{LocalRouter, Route, RouteError, Router};
pub use scripts::{Called, ScriptContext, ScriptLines, Scripts};
pub use shutdown::{ShutdownScript, Stopped};
pub use start::{close, is_left_at_a_rescue, plan, repoint_stray, resume, start, start_restarted};
pub use steps::{leave_to_others, return_address};
