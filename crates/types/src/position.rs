//! Places in a binary log, and the number of a reign.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A place in the binary logs of one server: file name and byte offset.
///
/// Files are ordered by the number after the last dot, so that `binlog.1000000` follows
/// `binlog.999999`; files without a number are ordered by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BinlogPosition {
    /// Base name of the file.
    pub file: String,
    /// Offset of the next event, in bytes.
    pub offset: u64,
}

impl BinlogPosition {
    /// A place in a file.
    pub fn new(file: impl Into<String>, offset: u64) -> Self {
        Self { file: file.into(), offset }
    }

    /// How many bytes this place is beyond an earlier one; of a later file, the bytes in that file
    /// and a round gigabyte (the servers' largest default file) for each file between.
    pub(crate) fn bytes_beyond(&self, earlier: &Self) -> u64 {
        let files = match (self.key().0, earlier.key().0) {
            (Some(a), Some(b)) => a.saturating_sub(b),
            _ => u64::from(self.file != earlier.file),
        };
        match files {
            0 => self.offset.saturating_sub(earlier.offset),
            files => files.saturating_mul(1 << 30).saturating_add(self.offset),
        }
    }

    /// How many files this place is beyond an earlier one.
    pub fn files_beyond(&self, earlier: &Self) -> u64 {
        match (self.key().0, earlier.key().0) {
            (Some(a), Some(b)) => a.saturating_sub(b),
            _ => u64::from(self > earlier && self.file != earlier.file),
        }
    }

    fn key(&self) -> (Option<u64>, &str) {
        let number = self.file.rsplit_once('.').and_then(|(_, n)| n.parse().ok());
        (number, if number.is_some() { "" } else { &self.file })
    }
}

impl PartialOrd for BinlogPosition {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for BinlogPosition {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key()).then(self.offset.cmp(&other.offset))
    }
}

impl fmt::Display for BinlogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.offset)
    }
}

/// The number of the current primary's reign: one more at each promotion, never less.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch of the next primary.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_ordered_by_number_beyond_six_digits() {
        let place = |file: &str| BinlogPosition::new(file, 4);
        assert!(place("binlog.999999") < place("binlog.1000000"));
        assert!(place("binlog.000009") < place("binlog.000010"));
        assert!(BinlogPosition::new("b.000001", 900) < BinlogPosition::new("b.000002", 4));
    }
}
