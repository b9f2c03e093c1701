//! What one set of logs or one server knows that another does not.
//!
//! A MariaDB position is the last transaction of each domain, and does not show that two servers
//! used the same numbers for different transactions. The last number of each *writer* in a domain
//! (`gtid_binlog_state`, and the list at the head of a binary log) does.

use std::collections::BTreeMap;
use std::path::PathBuf;

use primacy_types::{MariaDbGtid, TransactionSet};

use crate::describe::WantedGtids;
use crate::error::ReadError;
use crate::event::{EventKind, GtidList, GtidOf};
use crate::reader::Reader;
use crate::relay;
use crate::scan::{Thoroughness, scan_watched};

/// What is known of transactions: held, or had before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// All of them.
    pub set: TransactionSet,
    /// MariaDB: the last number of each domain and server, as far as it is known.
    pub writers: BTreeMap<(u32, u32), u64>,
}

/// Transactions that only one side knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// In words, as one list.
    pub text: String,
    /// The same, to find them by.
    pub wanted: WantedGtids,
    /// How many (MariaDB: numbers, of which some may never have been used).
    pub count: u64,
}

impl Known {
    /// Of a set alone.
    pub fn of_set(set: TransactionSet) -> Self {
        let mut known = Self { set: set.nothing(), writers: BTreeMap::new() };
        if let TransactionSet::MariaDb(pos) = &set {
            pos.iter().for_each(|gtid| known.note(gtid));
        }
        known.set = set;
        known
    }

    /// Notes a MariaDB transaction of which the writer is known.
    pub fn note(&mut self, gtid: MariaDbGtid) {
        let last = self.writers.entry((gtid.domain, gtid.server)).or_insert(gtid.sequence);
        *last = gtid.sequence.max(*last);
    }

    /// What files know, oldest first: what they hold, and what the first lists as earlier. What is
    /// behind damage is not known.
    pub fn of_files(files: &[PathBuf]) -> Result<Self, ReadError> {
        let mut known = Self::of_set(TransactionSet::UpTo(None));
        for (index, path) in files.iter().enumerate() {
            let mut gtids = Vec::new();
            let mut reader = Reader::open(path)?;
            let summary =
                scan_watched(&mut reader, Thoroughness::Quick, &mut |event, format, fed| {
                    if event.kind() == EventKind::GTID_LIST
                        && let Ok(list) = GtidList::decode(event, format)
                    {
                        gtids.extend(list.gtids);
                    }
                    if fed.part.opens()
                        && let Some(GtidOf::MariaDb(gtid)) = fed.group.and_then(|group| group.gtid)
                    {
                        let writer = (gtid.domain, gtid.server);
                        let same =
                            |other: &&mut MariaDbGtid| (other.domain, other.server) == writer;
                        match gtids.iter_mut().find(same) {
                            Some(last) => last.sequence = last.sequence.max(gtid.sequence),
                            None => gtids.push(gtid),
                        }
                    }
                })?;
            if index == 0 && summary.relay_log {
                return Ok(Self::of_set(relay::summarize(files, None)?.gtids));
            }
            if index == 0
                && let Some(previous) = &summary.previous
            {
                known.set = previous.clone();
            }
            known.set = known.set.union(&summary.gtids);
            // One that is not complete at the end is not known.
            let is_known = |gtid: &MariaDbGtid| {
                known
                    .set
                    .as_mariadb()
                    .and_then(|pos| pos.last(gtid.domain))
                    .is_some_and(|last| last.sequence >= gtid.sequence)
            };
            gtids.retain(is_known);
            gtids.into_iter().for_each(|gtid| known.note(gtid));
        }
        Ok(known)
    }

    /// What this side knows and the other does not; `None` if nothing.
    pub fn beyond(&self, other: &Self) -> Option<Lacking> {
        match (&self.set, &other.set) {
            (TransactionSet::MySql(mine), _) => {
                let lacking = match other.set.as_mysql() {
                    Some(theirs) => mine.minus(theirs),
                    None => mine.clone(),
                };
                (!lacking.is_empty()).then(|| Lacking {
                    text: lacking.to_string(),
                    count: lacking.count(),
                    wanted: WantedGtids::MySql(lacking),
                })
            }
            (TransactionSet::MariaDb(_), _) => self.mariadb_beyond(other),
            _ => None,
        }
    }

    fn mariadb_beyond(&self, other: &Self) -> Option<Lacking> {
        let ranges: Vec<(MariaDbGtid, u64)> = self
            .writers
            .iter()
            .filter_map(|(writer, last)| self.writer_beyond(*writer, *last, other))
            .collect();
        let text = ranges.iter().map(|(first, last)| match first.sequence == *last {
            true => first.to_string(),
            false => format!("{first}..{last}"),
        });
        let text: Vec<String> = text.collect();
        let count = ranges.iter().map(|(first, last)| last - first.sequence + 1).sum();
        let text = text.join(",");
        (!ranges.is_empty()).then_some(Lacking {
            text,
            wanted: WantedGtids::MariaDb(ranges),
            count,
        })
    }

    /// The numbers of one writer that the other side does not know.
    fn writer_beyond(
        &self,
        (domain, server): (u32, u32),
        last: u64,
        other: &Self,
    ) -> Option<(MariaDbGtid, u64)> {
        let theirs = other.of_domain(domain);
        let of_writer = other.writers.get(&(domain, server)).copied();
        let known = match of_writer {
            // A writer that the other side knows, but not so far: whatever else it knows of the
            // domain, it does not know these.
            Some(known) if known < last && (last <= theirs || self.is_apart(domain, other)) => {
                known
            }
            Some(known) => known.max(theirs),
            None if self.is_apart(domain, other) && last <= theirs => 0,
            None => theirs,
        };
        let first = MariaDbGtid { domain, server, sequence: known + 1 };
        (known < last).then_some((first, last))
    }

    /// Whether the other side has transactions in this domain that this one does not know, though
    /// this one is as far.
    fn is_apart(&self, domain: u32, other: &Self) -> bool {
        let mine = self.of_domain(domain);
        other.writers.iter().any(|((d, server), last)| {
            let known = self.writers.get(&(domain, *server)).copied().unwrap_or(0);
            *d == domain && *last > known && *last <= mine
        })
    }

    fn of_domain(&self, domain: u32) -> u64 {
        let last = self.set.as_mariadb().and_then(|pos| pos.last(domain));
        last.map_or(0, |last| last.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mariadb(state: &str) -> Known {
        let gtids: Vec<MariaDbGtid> = state.split(',').map(|g| g.parse().unwrap()).collect();
        let mut known = Known::of_set(TransactionSet::MariaDb(gtids.iter().copied().collect()));
        gtids.into_iter().for_each(|gtid| known.note(gtid));
        known
    }

    fn beyond(mine: &str, theirs: &str) -> Option<String> {
        mariadb(mine).beyond(&mariadb(theirs)).map(|lacking| lacking.text)
    }

    #[test]
    fn a_replica_that_is_behind() {
        assert_eq!(beyond("0-1-105", "0-1-100").as_deref(), Some("0-1-101..105"));
        assert_eq!(beyond("0-1-100", "0-1-105"), None);
    }

    #[test]
    fn after_the_role_moved_there_and_back_only_the_end_is_missing() {
        assert_eq!(beyond("0-1-160,0-2-150", "0-1-100,0-2-150").as_deref(), Some("0-1-151..160"));
        assert_eq!(beyond("0-1-100,0-2-150", "0-1-160,0-2-150"), None);
    }

    #[test]
    fn the_same_numbers_used_twice_are_seen_from_both_sides() {
        let (a, b) = ("0-1-110", "0-1-100,0-2-105");
        assert_eq!(beyond(a, b).as_deref(), Some("0-1-101..110"));
        // A writer that the other side has not heard of proves nothing: a server that was made of
        // a backup has not heard of those before it either.
        assert_eq!(beyond(b, a), None);
        // Both know how far each writer came before.
        let (a, b) = ("0-2-50,0-1-110", "0-1-100,0-2-105");
        assert_eq!(beyond(b, a).as_deref(), Some("0-2-51..105"));
    }

    #[test]
    fn mysql_sets_are_sets() {
        let uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        let set = |text: &str| Known::of_set(TransactionSet::MySql(text.parse().unwrap()));
        let (a, b) = (set(&format!("{uuid}:1-5:9")), set(&format!("{uuid}:1-4")));
        let lacking = a.beyond(&b).unwrap();
        assert_eq!((lacking.text, lacking.count), (format!("{uuid}:5:9"), 2));
        assert_eq!(b.beyond(&a), None);
    }
}
