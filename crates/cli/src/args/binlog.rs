//! Options of the verbs about binary logs.

use clap::Subcommand;

use super::BinlogServe;

/// `primacy binlog`
#[derive(Debug, Subcommand)]
pub(crate) enum BinlogVerb {
    /// Keep what a cluster's primary writes: a binlog server
    ///
    /// It follows the primary as a replica does, keeps its binary logs byte for byte, acknowledges
    /// semi-sync when they are durable, and gives them to replicas. List its address among the
    /// cluster's servers: the manager then takes what only it holds into a failover, and points it
    /// to the new primary. It is never promoted.
    Serve(BinlogServe),
}
