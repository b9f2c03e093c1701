//! The guard: a small process above the agent's own (the worker), so that a worker that hangs or
//! dies does not leave a server open beyond its lease.
//!
//! The worker tells it, ten times a second, until when each server may run. If that moment passes the
//! guard kills the server, and keeps it down until a worker says that it holds a lease again. What a
//! manager has fenced it keeps down while there is no worker that does. A
//! worker that is silent for too long is killed, one that ended is started again; it gets back the
//! leases that the last one held, so that a crash of the worker costs no write.
//!
//! What it does not stop: somebody who kills both. A supervisor starts them again.

mod guarded;
mod link;
mod messages;
mod watch;

pub(crate) use link::GuardLink;
pub use watch::{WorkerProgram, guard};
