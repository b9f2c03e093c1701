//! What Primacy remembers: each cluster's primary and epoch, the operations (failovers and
//! switchovers) with their journals, and the timeline of events. One SQLite file.
//!
//! Every write is on disk before its call returns (WAL with `synchronous = FULL`), because the
//! journal is what a killed manager resumes from. Plans, step details and saved settings are
//! opaque JSON here: the store keeps them, others give them meaning. It reads no clock; each
//! moment is passed in.
//!
//! The calls block (a commit waits for the disk): from asynchronous code use a blocking task.

mod absence;
mod cluster;
mod error;
mod event;
mod journal;
mod open;
mod operation;
mod prune;
mod row;
mod schema;
mod server;
mod setting;

pub use cluster::ClusterRecord;
pub use error::StoreError;
pub use event::{Event, EventFilter, Level, NewEvent};
pub use journal::{JournalEntry, StepState, StoredPlan};
pub use open::Store;
pub use operation::{OperationId, OperationRecord, Outcome};
pub use prune::Pruned;
pub use server::ServerRecord;
pub use setting::ChangedSetting;
