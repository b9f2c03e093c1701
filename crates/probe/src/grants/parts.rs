//! The parts of an observation that an account may be refused, and what would show them.

use crate::dialect::Dialect;

/// A part of an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// MySQL's tables of channel settings and heartbeats.
    Connections,
    /// The replicas that are connected.
    Replicas,
    /// The end of the binary log.
    BinlogStatus,
    /// The table `primacy.epoch`.
    Epoch,
}

impl Part {
    /// What is missing without it.
    pub fn what(self) -> &'static str {
        match self {
            Self::Connections => "heartbeats and channel settings",
            Self::Replicas => "connected replicas",
            Self::BinlogStatus => "end of the binary log",
            Self::Epoch => "epoch table",
        }
    }

    /// The privilege that shows it.
    pub fn privilege(self, dialect: Dialect) -> &'static str {
        match (self, dialect.is_mariadb()) {
            (Self::Connections, _) => "SELECT ON performance_schema.*",
            (Self::Replicas, true) => "REPLICATION MASTER ADMIN ON *.*",
            (Self::Replicas, false) => "REPLICATION SLAVE ON *.*",
            (Self::BinlogStatus, true) => "BINLOG MONITOR ON *.*",
            (Self::BinlogStatus, false) => "REPLICATION CLIENT ON *.*",
            (Self::Epoch, _) => "SELECT ON primacy.*",
        }
    }
}
