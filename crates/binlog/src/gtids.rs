//! Builds GTID sets of many transactions: one after another as they stand in a log, without work
//! per transaction as long as their numbers follow each other. Memory is that of the intervals in
//! which they lie, however many transactions there are, in whatever order, and however often.

use std::collections::BTreeMap;

use primacy_types::{GtidSource, MariaDbGtidPos, MySqlGtidSet, TransactionSet};
use uuid::Uuid;

use crate::event::{GtidOf, MySqlGtid, Tag};

/// Collects the names of transactions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Collector {
    /// The last number of each interval by its first. None touches another.
    mysql: BTreeMap<(Uuid, Tag), BTreeMap<u64, u64>>,
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
        // No server gives this number, and no set holds it.
        if number == 0 {
            return;
        }
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
        let (mut first, mut last) = (first, last);
        if let Some((&from, &to)) = intervals.range(..=first).next_back()
            && to >= first.saturating_sub(1)
        {
            (first, last) = (from, to.max(last));
        }
        // Those that begin within it, or right behind it, become one with it.
        while let Some((&from, &to)) = intervals.range(first..=last.saturating_add(1)).next() {
            intervals.remove(&from);
            last = to.max(last);
        }
        intervals.insert(first, last);
    }

    /// Whether the transaction was collected.
    pub(crate) fn has(&self, gtid: &GtidOf) -> bool {
        match gtid {
            GtidOf::MySql(MySqlGtid { uuid, tag, number }) => {
                let last = self.last.filter(|(u, t, ..)| (u, t) == (uuid, tag));
                let intervals = self.mysql.get(&(*uuid, *tag));
                let before = intervals.and_then(|all| all.range(..=*number).next_back());
                last.is_some_and(|(_, _, first, last)| (first..=last).contains(number))
                    || before.is_some_and(|(_, last)| number <= last)
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
        let all = self.mysql.into_iter().flat_map(|((uuid, tag), intervals)| {
            let source = MySqlGtid { uuid, tag, number: 1 }.source();
            intervals.into_iter().map(move |(first, last)| (source.clone(), first, last))
        });
        TransactionSet::MySql(all.collect())
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

    #[test]
    fn what_is_kept_are_intervals_in_whatever_order_and_however_often_they_come() {
        let uuid = Uuid::from_u128(1);
        let gtid = |number| GtidOf::MySql(MySqlGtid { uuid, tag: Tag::default(), number });
        let mut all = Collector::default();
        // The same again and again; pairs in the wrong order, as parallel appliers commit; backwards.
        for number in
            std::iter::repeat_n(5, 1000).chain((10..1000).map(|n| n ^ 1)).chain((2000..3000).rev())
        {
            all.add(gtid(number));
            let kept = all.mysql.values().map(BTreeMap::len).sum::<usize>();
            assert!(kept <= 4, "{kept} intervals after {number}");
        }
        for (number, has) in
            [(4, false), (5, true), (6, false), (10, true), (999, true), (1000, false)]
        {
            assert_eq!(all.has(&gtid(number)), has, "{number}");
        }
        all.add(gtid(1));
        for number in [0, u64::MAX, 3] {
            all.add(gtid(number));
        }
        all.add(gtid(4));
        all.add(gtid(2));
        let set = all.finish(&TransactionSet::UpTo(None)).to_string();
        assert!(set.starts_with(&format!("{uuid}:1-5:10-999:2000-2999")), "{set}");
    }
}
