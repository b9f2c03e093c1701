//! Real servers, real faults and a real manager for tests.
//!
//! - [`on_servers!`] makes tests for servers out of a function, for the short tier and for the matrix;
//! - [`cluster`] makes a replication cluster of real servers in a folder of its own;
//! - [`Agents`] are the agents of its servers;
//! - [`Manager`] is the program `primacy`, run as a process that a test may kill;
//! - [`Writer`] is a load of numbered rows that knows what was acknowledged, where, and when;
//! - [`eventually`] waits for a state, never for a time;
//! - [`Net`] is a little network of namespaces whose cables can be cut;
//! - [`SmallDisk`] is a disk below the binary logs of a server that can be filled;
//! - [`Sshds`] let a manager reach its hosts over ssh;
//! - [`Neighbour`] is a program of others on a host: keepalived, HAProxy.
//!
//! What goes wrong in here ends the test: everything panics with a sentence. When a test ends,
//! also by a panic, its processes are killed by their numbers and its folders are removed.

mod agents;
mod cluster;
mod logs;
mod machine;
mod manager;
mod neighbour;
mod net;
mod on;
mod place;
mod provisioned;
mod small_disk;
mod sql;
mod sshd;
mod wait;
mod writer;

pub use agents::{Agents, HEALTH};
pub use cluster::{Builder, Cluster, cluster};
pub use logs::show_logs_of_failure;
pub use manager::Manager;
pub use neighbour::Neighbour;
pub use net::{Host, Net};
pub use on::on;
pub use provisioned::is_provisioned;
pub use small_disk::SmallDisk;
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
