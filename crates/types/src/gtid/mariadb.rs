//! MariaDB's GTID positions: the last transaction of each replication domain.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::GtidError;

/// One MariaDB transaction: `domain-server-sequence`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MariaDbGtid {
    /// `gtid_domain_id`: transactions of different domains have no order among each other.
    pub domain: u32,
    /// `server_id` of the server where the transaction was first committed.
    pub server: u32,
    /// Number in the domain; grows with each transaction, may skip.
    pub sequence: u64,
}

/// The last transaction of each domain, as in `gtid_binlog_pos`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MariaDbGtidPos {
    domains: BTreeMap<u32, MariaDbGtid>,
}

impl MariaDbGtidPos {
    /// Whether it names no transaction.
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// The last transaction of a domain.
    pub fn last(&self, domain: u32) -> Option<MariaDbGtid> {
        self.domains.get(&domain).copied()
    }

    /// The last transaction of each domain.
    pub fn iter(&self) -> impl Iterator<Item = MariaDbGtid> {
        self.domains.values().copied()
    }

    /// Advances a domain to this transaction if it is later than what is there.
    pub fn advance(&mut self, gtid: MariaDbGtid) {
        let last = self.domains.entry(gtid.domain).or_insert(gtid);
        if gtid.sequence > last.sequence {
            *last = gtid;
        }
    }

    fn sequence(&self, domain: u32) -> u64 {
        self.domains.get(&domain).map_or(0, |gtid| gtid.sequence)
    }

    /// Whether every domain is at least as far as in `other`.
    pub fn covers(&self, other: &Self) -> bool {
        other.iter().all(|theirs| self.sequence(theirs.domain) >= theirs.sequence)
    }

    /// The further of both in each domain.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        other.iter().for_each(|gtid| all.advance(gtid));
        all
    }

    /// The domains in which this position is further than `other`.
    pub fn ahead_of(&self, other: &Self) -> impl Iterator<Item = MariaDbGtid> {
        self.iter().filter(|mine| mine.sequence > other.sequence(mine.domain))
    }

    /// What this position has beyond `other`, as people read it: `0-1-101..105`.
    pub fn beyond(&self, other: &Self) -> Vec<String> {
        self.ahead_of(other)
            .map(|gtid| {
                let first = other.sequence(gtid.domain) + 1;
                if first == gtid.sequence {
                    gtid.to_string()
                } else {
                    format!("{}-{}-{first}..{}", gtid.domain, gtid.server, gtid.sequence)
                }
            })
            .collect()
    }

    /// Sum over the domains of how much further this is than `other`.
    pub fn count_beyond(&self, other: &Self) -> u64 {
        self.ahead_of(other)
            .fold(0, |n, gtid| n.saturating_add(gtid.sequence - other.sequence(gtid.domain)))
    }
}

impl FromIterator<MariaDbGtid> for MariaDbGtidPos {
    fn from_iter<I: IntoIterator<Item = MariaDbGtid>>(gtids: I) -> Self {
        let mut pos = Self::default();
        gtids.into_iter().for_each(|gtid| pos.advance(gtid));
        pos
    }
}

impl FromStr for MariaDbGtid {
    type Err = GtidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.trim().split('-');
        let gtid = (|| {
            Some(Self {
                domain: parts.next()?.parse().ok()?,
                server: parts.next()?.parse().ok()?,
                sequence: parts.next()?.parse().ok()?,
            })
        })();
        match (gtid, parts.next()) {
            (Some(gtid), None) => Ok(gtid),
            _ => Err(GtidError::new(text, "it is not domain-server-sequence")),
        }
    }
}

impl FromStr for MariaDbGtidPos {
    type Err = GtidError;

    /// Reads a comma-separated list; of several entries of one domain (`gtid_binlog_state` has
    /// them) the furthest counts.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',').map(str::trim).filter(|e| !e.is_empty()).map(str::parse).collect()
    }
}

impl fmt::Display for MariaDbGtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.domain, self.server, self.sequence)
    }
}

impl fmt::Display for MariaDbGtidPos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, gtid) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            gtid.fmt(f)?;
        }
        Ok(())
    }
}

impl TryFrom<String> for MariaDbGtidPos {
    type Error = GtidError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<MariaDbGtidPos> for String {
    fn from(pos: MariaDbGtidPos) -> Self {
        pos.to_string()
    }
}
