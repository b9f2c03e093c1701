//! What a running source tells of itself.

use std::net::SocketAddr;

use primacy_types::BinlogPosition;

/// The most errors that are kept.
const MAX_ERRORS: usize = 32;

/// The state of a source, as of now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The connections that are logged in.
    pub replicas: Vec<ReplicaReport>,
    /// The latest errors, oldest first.
    pub errors: Vec<SourceTrouble>,
    /// How many errors there were in all.
    pub error_count: u64,
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaReport {
    /// The number of the connection.
    pub connection: u32,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// TLS version; `None` without TLS.
    pub tls: Option<String>,
    /// Its server id; 0 until it has said it.
    pub server_id: u32,
    /// `report_host` of the replica; empty if it has said none.
    pub host: String,
    /// `report_port` of the replica.
    pub port: u16,
    /// What it asked for; `None` until it has.
    pub asked: Option<String>,
    /// Up to where it has been sent everything that it lacks.
    pub position: Option<BinlogPosition>,
    /// Whether it has been sent everything there is.
    pub up_to_date: bool,
    /// Events that it was sent, those that the source made up not counted.
    pub events: u64,
    /// Transactions with GTIDs that it was sent.
    pub transactions: u64,
    /// Bytes of these events.
    pub bytes: u64,
    /// Of these events, how many have the replica's own server id. It passes over them without a
    /// word, unless `replicate_same_server_id` is set.
    pub own_events: u64,
}

/// A connection that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceTrouble {
    /// Where it came from.
    pub peer: SocketAddr,
    /// Its server id; 0 if it had not said it.
    pub server_id: u32,
    /// What went wrong.
    pub what: String,
}

impl Report {
    /// The connection of this replica that receives events.
    pub fn replica(&self, server_id: u32) -> Option<&ReplicaReport> {
        let mut found = self.replicas.iter().filter(|replica| replica.server_id == server_id);
        found.find(|replica| replica.asked.is_some())
    }

    pub(super) fn note(&mut self, trouble: SourceTrouble) {
        self.error_count += 1;
        if self.errors.len() >= MAX_ERRORS {
            self.errors.remove(0);
        }
        self.errors.push(trouble);
    }

    pub(super) fn of(&mut self, connection: u32) -> Option<&mut ReplicaReport> {
        self.replicas.iter_mut().find(|replica| replica.connection == connection)
    }
}
