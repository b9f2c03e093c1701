//! Real servers, real faults and a real manager for tests.
//!
//! - [`cluster`] makes a replication cluster of real servers in a folder of its own;
//! - [`Agents`] are the agents of its servers;
//! - [`Manager`] is the program `primacy`, run as a process that a test may kill;
//! - [`Writer`] is a load of numbered rows that knows what was acknowledged, where, and when;
//! - [`eventually`] waits for a state, never for a time;
//! - [`Net`] is a little network of namespaces whose cables can be cut;
//! - [`Sshds`] let a manager reach its hosts over ssh.
//!
//! What goes wrong in here ends the test: everything panics with a sentence. When a test ends,
//! also by a panic, its processes are killed by their numbers and its folders are removed.

mod agents;
mod cluster;
mod manager;
mod net;
mod provisioned;
mod sql;
mod sshd;
mod wait;
mod writer;

pub use agents::Agents;
pub use cluster::{Builder, Cluster, cluster};
pub use manager::Manager;
pub use net::{Host, Net};
pub use provisioned::is_provisioned;
pub use sshd::Sshds;
pub use wait::{eventually, until};
pub use writer::{Outcome, Writer};

/// The result, or the end of the test with a sentence.
#[track_caller]
pub(crate) fn must<T, E: std::fmt::Display>(result: Result<T, E>, doing: &str) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{doing}: {error}"),
    }
}
