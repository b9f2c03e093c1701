//! Builds GTID sets of many transactions: one after another as they stand in a log, without work
//! per transaction as long as their numbers follow each other.

use std::collections::BTreeMap;

use primacy_types::{GtidSource, MariaDbGtidPos, MySqlGtidSet, TransactionSet};
use uuid::Uuid;

use crate::event::{GtidOf, MySqlGtid, Tag};

/// Collects the names of transactions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Collector {
    mysql: BTreeMap<(Uuid, Tag), Vec<(u64, u64)>>,
    mariadb: MariaDbGtidPos,
    /// The source of the last one, whose intervals are about to grow.
    last: Option<(Uuid, Tag, u64, u64)>,
}

impl Collector {
    pub(crate) fn add(&mut self, gtid: GtidOf) {
        match gtid {
            GtidOf::MySql(gtid) => self.add_mysql(gtid),
            GtidOf::MariaDb(gtid) => self.mariadb.advance(gtid),
            GtidOf::Anonymous => {}
        }
    }

    fn add_mysql(&mut self, MySqlGtid { uuid, tag, number }: MySqlGtid) {
        if let Some((last_uuid, last_tag, _, last)) = &mut self.last
            && *last_uuid == uuid
            && *last_tag == tag
            && last.checked_add(1) == Some(number)
        {
            *last = number;
            return;
        }
        self.flush();
        self.last = Some((uuid, tag, number, number));
    }

    /// Moves the interval that was growing to the others.
    fn flush(&mut self) {
        let Some((uuid, tag, first, last)) = self.last.take() else {
            return;
        };
        let intervals = self.mysql.entry((uuid, tag)).or_default();
        match intervals.last_mut() {
            // Transactions of several sources alternate.
            Some((_, end)) if end.checked_add(1) == Some(first) => *end = last,
            _ => intervals.push((first, last)),
        }
    }

    /// Whether the transaction was collected.
    pub(crate) fn has(&self, gtid: &GtidOf) -> bool {
        match gtid {
            GtidOf::MySql(MySqlGtid { uuid, tag, number }) => {
                let within = |(first, last): &(u64, u64)| (first..=last).contains(&number);
                let last = self.last.filter(|(u, t, ..)| (u, t) == (uuid, tag));
                last.is_some_and(|(_, _, first, last)| within(&(first, last)))
                    || self
                        .mysql
                        .get(&(*uuid, *tag))
                        .is_some_and(|intervals| intervals.iter().any(within))
            }
            GtidOf::MariaDb(gtid) => {
                let last = self.mariadb.last(gtid.domain);
                last.is_some_and(|last| last.sequence >= gtid.sequence)
            }
            GtidOf::Anonymous => false,
        }
    }

    /// What was collected; a set of no transactions of this `kind` if there were none.
    pub(crate) fn finish(mut self, kind: &TransactionSet) -> TransactionSet {
        self.flush();
        if !self.mariadb.is_empty() {
            return TransactionSet::MariaDb(self.mariadb);
        }
        if self.mysql.is_empty() {
            return kind.nothing();
        }
        let sets = self.mysql.into_iter().map(|((uuid, tag), numbers)| {
            set_of(&MySqlGtid { uuid, tag, number: 1 }.source(), &numbers)
        });
        TransactionSet::MySql(union_all(sets.collect()))
    }
}

/// The set of these intervals of one source. They may be many and in any order, so that adding
/// them one by one would take long.
pub(crate) fn set_of(source: &GtidSource, intervals: &[(u64, u64)]) -> MySqlGtidSet {
    let parts = intervals.iter().map(|(first, last)| {
        let mut set = MySqlGtidSet::default();
        set.insert(source.clone(), *first, *last);
        set
    });
    union_all(parts.collect())
}

/// The union of all, by halves.
pub(crate) fn union_all(mut sets: Vec<MySqlGtidSet>) -> MySqlGtidSet {
    while sets.len() > 1 {
        let pairs = sets.chunks(2).map(|pair| match pair {
            [a, b] => a.union(b),
            [a, ..] => a.clone(),
            [] => MySqlGtidSet::default(),
        });
        sets = pairs.collect();
    }
    sets.pop().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_of_two_sources_in_turn_and_out_of_order() {
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut all = Collector::default();
        for (uuid, number) in [(a, 1), (b, 7), (a, 2), (b, 8), (a, 4), (a, 3), (b, 20)] {
            all.add(GtidOf::MySql(MySqlGtid { uuid, tag: Tag::default(), number }));
        }
        let set = all.finish(&TransactionSet::UpTo(None));
        assert_eq!(set.to_string(), format!("{a}:1-4,{b}:7-8:20"));
    }
}
