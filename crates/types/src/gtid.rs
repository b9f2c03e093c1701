//! Which transactions a server has: GTID sets of both families.
//!
//! MySQL names every transaction and can say any set of them ([`MySqlGtidSet`]). MariaDB says the
//! last transaction of each domain ([`MariaDbGtidPos`]); all earlier ones of the domain are
//! implied. [`GtidSet`] is either of them, with the questions that elections ask of both.

mod mariadb;
mod mysql;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use mariadb::{MariaDbGtid, MariaDbGtidPos};
pub use mysql::{GtidSource, MySqlGtidSet};

/// The text is not a GTID set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a GTID set: {reason}")]
pub struct GtidError {
    /// What was read, shortened.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl GtidError {
    pub(crate) fn new(text: &str, reason: &'static str) -> Self {
        Self { text: text.chars().take(120).collect(), reason }
    }
}

/// A set of transactions, of either family.
///
/// Sets of different families hold nothing of each other unless the other is empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum GtidSet {
    /// `gtid_executed` and the like.
    MySql(MySqlGtidSet),
    /// `gtid_binlog_pos`, `gtid_slave_pos` and the like.
    MariaDb(MariaDbGtidPos),
}

impl GtidSet {
    /// Whether no transaction is in it.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::MySql(set) => set.is_empty(),
            Self::MariaDb(pos) => pos.is_empty(),
        }
    }

    /// Whether every transaction of `other` is in this set.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::MySql(a), Self::MySql(b)) => a.covers(b),
            (Self::MariaDb(a), Self::MariaDb(b)) => a.covers(b),
            (_, other) => other.is_empty(),
        }
    }

    /// All transactions of both; those of the other family are left out.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::MySql(a), Self::MySql(b)) => Self::MySql(a.union(b)),
            (Self::MariaDb(a), Self::MariaDb(b)) => Self::MariaDb(a.union(b)),
            (mine, other) if mine.is_empty() => other.clone(),
            (mine, _) => mine.clone(),
        }
    }

    /// The transactions of this set that are not in `other`, as people read them; empty if none.
    pub fn beyond(&self, other: &Self) -> Vec<String> {
        match (self, other) {
            (Self::MySql(a), Self::MySql(b)) => {
                let rest = a.minus(b);
                if rest.is_empty() { Vec::new() } else { vec![rest.to_string()] }
            }
            (Self::MariaDb(a), Self::MariaDb(b)) => a.beyond(b),
            (mine, _) if mine.is_empty() => Vec::new(),
            (mine, _) => vec![mine.to_string()],
        }
    }

    /// How many transactions of this set are not in `other` (MariaDB: differences of sequence
    /// numbers, which may count numbers that were never used).
    pub fn count_beyond(&self, other: &Self) -> u64 {
        match (self, other) {
            (Self::MySql(a), Self::MySql(b)) => a.minus(b).count(),
            (Self::MariaDb(a), Self::MariaDb(b)) => a.count_beyond(b),
            (Self::MySql(a), _) => a.count(),
            (Self::MariaDb(a), _) => a.count_beyond(&MariaDbGtidPos::default()),
        }
    }

    /// The set as people read it: an empty one has a word.
    pub fn said(&self) -> String {
        if self.is_empty() { "no transaction yet".to_owned() } else { self.to_string() }
    }

    /// The set, if it is MySQL's.
    pub fn as_mysql(&self) -> Option<&MySqlGtidSet> {
        match self {
            Self::MySql(set) => Some(set),
            Self::MariaDb(_) => None,
        }
    }

    /// The position, if it is MariaDB's.
    pub fn as_mariadb(&self) -> Option<&MariaDbGtidPos> {
        match self {
            Self::MariaDb(pos) => Some(pos),
            Self::MySql(_) => None,
        }
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MySql(set) => set.fmt(f),
            Self::MariaDb(pos) => pos.fmt(f),
        }
    }
}
