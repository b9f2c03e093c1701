//! Which transactions a server has, however its cluster names them.
//!
//! By GTID, in either family's way, or, in a cluster that replicates by file and position, as
//! everything up to a place in the primary's binary log. The questions that elections ask are the
//! same of all three.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{BinlogPosition, MariaDbGtidPos, MySqlGtidSet};

/// A set of transactions.
///
/// Sets of different kinds hold nothing of each other unless the other is empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TransactionSet {
    /// `gtid_executed` and the like.
    MySql(MySqlGtidSet),
    /// `gtid_binlog_pos`, `gtid_slave_pos` and the like.
    MariaDb(MariaDbGtidPos),
    /// Everything in one primary's binary logs up to this place: without GTID, which server's logs
    /// are meant is said by what the set belongs to. `None` holds nothing.
    UpTo(Option<BinlogPosition>),
}

impl TransactionSet {
    /// Whether no transaction is in it.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::MySql(set) => set.is_empty(),
            Self::MariaDb(pos) => pos.is_empty(),
            Self::UpTo(place) => place.is_none(),
        }
    }

    /// Whether every transaction of `other` is in this set.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::MySql(a), Self::MySql(b)) => a.covers(b),
            (Self::MariaDb(a), Self::MariaDb(b)) => a.covers(b),
            (Self::UpTo(a), Self::UpTo(b)) => a >= b,
            (_, other) => other.is_empty(),
        }
    }

    /// All transactions of both; those of the other kind are left out.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::MySql(a), Self::MySql(b)) => Self::MySql(a.union(b)),
            (Self::MariaDb(a), Self::MariaDb(b)) => Self::MariaDb(a.union(b)),
            (Self::UpTo(a), Self::UpTo(b)) => Self::UpTo(a.max(b).clone()),
            (mine, other) if mine.is_empty() => other.clone(),
            (mine, _) => mine.clone(),
        }
    }

    /// The transactions of this set that are not in `other`, as people read them; empty if none.
    pub fn beyond(&self, other: &Self) -> Vec<String> {
        match (self, other) {
            (mine, _) if mine.is_empty() => Vec::new(),
            (Self::MySql(a), Self::MySql(b)) => {
                let rest = a.minus(b);
                if rest.is_empty() { Vec::new() } else { vec![rest.to_string()] }
            }
            (Self::MariaDb(a), Self::MariaDb(b)) => a.beyond(b),
            (Self::UpTo(a), Self::UpTo(b)) if a <= b => Vec::new(),
            (Self::UpTo(Some(to)), Self::UpTo(Some(from))) => vec![format!("{from} to {to}")],
            (mine, _) => vec![mine.to_string()],
        }
    }

    /// How many transactions of this set are not in `other` (MariaDB: differences of sequence
    /// numbers, which may count numbers that were never used; places: bytes within one file).
    pub fn count_beyond(&self, other: &Self) -> u64 {
        match (self, other) {
            (Self::MySql(a), Self::MySql(b)) => a.minus(b).count(),
            (Self::MariaDb(a), Self::MariaDb(b)) => a.count_beyond(b),
            (Self::MySql(a), _) => a.count(),
            (Self::MariaDb(a), _) => a.count_beyond(&MariaDbGtidPos::default()),
            (Self::UpTo(None), _) => 0,
            (Self::UpTo(a), Self::UpTo(b)) if a <= b => 0,
            (Self::UpTo(Some(a)), Self::UpTo(Some(b))) => a.bytes_beyond(b),
            (Self::UpTo(Some(a)), _) => a.bytes_beyond(&BinlogPosition::new("", 0)),
        }
    }

    /// The set as people read it: an empty one has a word.
    pub fn said(&self) -> String {
        if self.is_empty() { "no transaction yet".to_owned() } else { self.to_string() }
    }

    /// The set, if it is of MySQL's GTIDs.
    pub fn as_mysql(&self) -> Option<&MySqlGtidSet> {
        match self {
            Self::MySql(set) => Some(set),
            _ => None,
        }
    }

    /// The position, if it is of MariaDB's GTIDs.
    pub fn as_mariadb(&self) -> Option<&MariaDbGtidPos> {
        match self {
            Self::MariaDb(pos) => Some(pos),
            _ => None,
        }
    }

    /// The place, if it is one in a binary log.
    pub fn as_place(&self) -> Option<&BinlogPosition> {
        match self {
            Self::UpTo(place) => place.as_ref(),
            _ => None,
        }
    }

    /// No transaction at all, of the kind of this set.
    #[must_use]
    pub fn nothing(&self) -> Self {
        match self {
            Self::MySql(_) => Self::MySql(MySqlGtidSet::default()),
            Self::MariaDb(_) => Self::MariaDb(MariaDbGtidPos::default()),
            Self::UpTo(_) => Self::UpTo(None),
        }
    }
}

impl fmt::Display for TransactionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MySql(set) => set.fmt(f),
            Self::MariaDb(pos) => pos.fmt(f),
            Self::UpTo(Some(place)) => place.fmt(f),
            Self::UpTo(None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up_to(file: &str, offset: u64) -> TransactionSet {
        TransactionSet::UpTo(Some(BinlogPosition::new(file, offset)))
    }

    #[test]
    fn places_are_compared_by_file_and_offset() {
        let (early, late) = (up_to("b.000009", 900), up_to("b.000010", 4));
        assert!(late.covers(&early) && !early.covers(&late));
        assert_eq!(early.union(&late), late);
        assert_eq!(late.beyond(&early), ["b.000009:900 to b.000010:4"]);
        assert!(early.beyond(&late).is_empty());
        assert_eq!(up_to("b.000009", 950).count_beyond(&early), 50);
        assert_eq!(early.count_beyond(&late), 0);
    }

    #[test]
    fn nothing_is_covered_by_everything() {
        let nothing = TransactionSet::UpTo(None);
        assert!(up_to("b.1", 4).covers(&nothing) && nothing.is_empty());
        assert!(!nothing.covers(&up_to("b.1", 4)));
        assert!(nothing.covers(&TransactionSet::MySql(MySqlGtidSet::default())));
    }
}
