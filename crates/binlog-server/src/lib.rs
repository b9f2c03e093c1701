//! The binlog server: a permanent receiver that keeps what a cluster's primary writes.
//!
//! To the primary it is a replica, which acknowledges when its files are durable. To the manager
//! it is one more server of the cluster, which holds much and is never promoted. To replicas it is
//! a source. It applies nothing and has no tables.
//!
//! - `store` is the folder of files;
//! - `follow` connects to the primary and writes what comes into the store;
//! - `feed` reads the store for replicas, while it grows;
//! - `face` answers the manager's statements and does what they say;
//! - [`serve`] puts these together.
//!
//! Nothing here decides who the primary is, save at the very first start: then it is the one
//! server of the cluster that accepts writes and replicates from nobody.

mod channel;
mod discover;
mod error;
mod face;
mod feed;
mod follow;
mod options;
mod retention;
mod serve;
mod state;
mod store;

pub use error::ServeError;
pub use options::{Login, ServeOptions, SyncPolicy};
pub use serve::serve;
