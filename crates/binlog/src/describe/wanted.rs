//! Which transactions a person means: a set of MySQL's GTIDs, or a list of MariaDB's.
//!
//! Unlike a MariaDB position, which is everything up to a transaction, this is exactly those that
//! are named: `0-1-100`, or `0-1-100..105`, as [`primacy_types::MariaDbGtidPos::beyond`] says it.

use std::fmt;
use std::str::FromStr;

use primacy_types::{MariaDbGtid, MySqlGtidSet};

use crate::event::GtidOf;

/// Exactly these transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantedGtids {
    /// Of MySQL.
    MySql(MySqlGtidSet),
    /// Of MariaDB: the first of each range, and the number of its last.
    MariaDb(Vec<(MariaDbGtid, u64)>),
}

/// The text names no transactions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no set of GTIDs: expected UUID:1-5, or with MariaDB 0-1-100 or 0-1-100..105, \
     several after commas"
)]
pub struct GtidsError(pub String);

impl WantedGtids {
    /// Whether the transaction is one of them.
    pub fn holds(&self, gtid: &GtidOf) -> bool {
        match (self, gtid) {
            (Self::MySql(set), GtidOf::MySql(gtid)) => gtid.is_in(set),
            (Self::MariaDb(ranges), GtidOf::MariaDb(gtid)) => ranges.iter().any(|(first, last)| {
                first.domain == gtid.domain
                    && first.server == gtid.server
                    && (first.sequence..=*last).contains(&gtid.sequence)
            }),
            _ => false,
        }
    }

    /// Whether none is meant.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::MySql(set) => set.is_empty(),
            Self::MariaDb(ranges) => ranges.is_empty(),
        }
    }
}

/// As it is read.
impl fmt::Display for WantedGtids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges = match self {
            Self::MySql(set) => return set.fmt(f),
            Self::MariaDb(ranges) => ranges,
        };
        for (index, (first, last)) in ranges.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match first.sequence == *last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}..{last}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for WantedGtids {
    type Err = GtidsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || GtidsError(text.to_owned());
        if text.trim().is_empty() {
            return Err(wrong());
        }
        if text.contains(':') {
            return text.parse().map(Self::MySql).map_err(|_| wrong());
        }
        let mut ranges = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (first, last) = match part.split_once("..") {
                Some((first, last)) => (first, Some(last)),
                None => (part, None),
            };
            let first: MariaDbGtid = first.parse().map_err(|_| wrong())?;
            let last = match last {
                Some(last) => last.parse().map_err(|_| wrong())?,
                None => first.sequence,
            };
            ranges.push((first, last));
        }
        Ok(Self::MariaDb(ranges))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mariadb(domain: u32, server: u32, sequence: u64) -> GtidOf {
        GtidOf::MariaDb(MariaDbGtid { domain, server, sequence })
    }

    #[test]
    fn mariadb_ranges_are_exactly_those() {
        let wanted: WantedGtids = "0-1-100..105, 7-2-9".parse().unwrap();
        for (gtid, held) in [
            (mariadb(0, 1, 100), true),
            (mariadb(0, 1, 105), true),
            (mariadb(0, 1, 99), false),
            (mariadb(0, 2, 100), false),
            (mariadb(7, 2, 9), true),
        ] {
            assert_eq!(wanted.holds(&gtid), held, "{gtid}");
        }
    }

    #[test]
    fn nonsense_is_named() {
        for text in ["", "abc", "0-1", "0-1-2..x", "3e11fa47:1"] {
            assert!(text.parse::<WantedGtids>().is_err(), "{text}");
        }
        let set = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5";
        assert!(matches!(set.parse(), Ok(WantedGtids::MySql(_))));
    }
}
