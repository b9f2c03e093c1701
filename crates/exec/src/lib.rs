//! Turns plans into deeds: runs their steps on real servers, writes each to the journal before it
//! runs, and finishes or puts back what a restarted manager finds half done.
//!
//! [`start`] begins an operation, [`resume`] goes on with one. Nothing here decides what is right:
//! plans come from `primacy-plan`, and [`primacy_plan::violations`] is asked before any of them
//! runs.

mod chronicle;
mod clock;
mod cluster;
mod error;
mod failpoint;
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
mod request;
mod router;
mod shared;
mod start;
mod steps;
mod undo;
mod view;

pub use chronicle::{Chronicle, Entry};
pub use clock::Clock;
pub use cluster::{Cluster, Eyes, Hosts, ReplicationAccount, identity};
pub use error::{OperationError, StepError};
pub use hindrances::{Hindrances, look_for_hindrances};
pub use hooks::Hooks;
pub use last_seen::LastSeen;
pub use links::{Link, Links};
pub use operation::Control;
pub use request::{Page, Report, Request};
pub use router::{LocalRouter, Route, RouteError, Router};
pub use start::{close, is_left_at_a_rescue, plan, repoint_stray, resume, start};
