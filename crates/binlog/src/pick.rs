//! Picks whole transactions by their GTIDs out of a stream of events, wherever it comes from.
//!
//! Where they are kept, and what an incomplete one means, is decided by whoever feeds it.

use std::collections::BTreeMap;

use primacy_types::{MariaDbGtid, TransactionSet};

use crate::BodyError;
use crate::describe::WantedGtids;
use crate::event::{EventKind, FormatDescription, GtidOf, RawEvent};
use crate::gtids::Collector;
use crate::transaction::{Grouper, Part};

/// What an event is to the transactions that are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picked {
    /// It belongs to one of them.
    pub is_wanted: bool,
    /// It is the first of its transaction.
    pub begins: bool,
    /// It is the last of its transaction.
    pub completes: bool,
    /// The wanted transaction before it will not be completed: its server died while it wrote it.
    pub abandoned: bool,
}

/// Picks transactions.
#[derive(Clone, Debug)]
pub struct Picker {
    wanted: WantedGtids,
    grouper: Grouper,
    taking: bool,
    mysql: Collector,
    /// Each writer's numbers, in ranges.
    mariadb: BTreeMap<(u32, u32), Vec<(u64, u64)>>,
}

impl Picker {
    /// Picks these out of a stream that begins between transactions.
    pub fn new(wanted: WantedGtids) -> Self {
        Self {
            wanted,
            grouper: Grouper::from_anywhere(),
            taking: false,
            mysql: Collector::default(),
            mariadb: BTreeMap::new(),
        }
    }

    /// Says of the next event whether it is wanted.
    pub fn feed(
        &mut self,
        event: &RawEvent<'_>,
        format: &FormatDescription,
    ) -> Result<Picked, BodyError> {
        let fed = self.grouper.feed(event, format)?;
        // What comes after the head of a file is the first of a transaction.
        if event.kind() == EventKind::FORMAT_DESCRIPTION && self.grouper.open().is_none() {
            self.grouper.at_boundary();
        }
        let abandoned = fed.abandoned.is_some() && self.taking;
        if abandoned {
            self.taking = false;
        }
        let gtid = fed.group.and_then(|group| group.gtid);
        if fed.part.opens() {
            self.taking = gtid.is_some_and(|gtid| self.wanted.holds(&gtid));
        }
        let is_wanted = self.taking && !matches!(fed.part, Part::Outside | Part::Orphan);
        let completes = is_wanted && fed.part.completes();
        if let (true, Some(gtid)) = (completes, gtid) {
            self.note(gtid);
            self.taking = false;
        }
        Ok(Picked { is_wanted, begins: is_wanted && fed.part.opens(), completes, abandoned })
    }

    /// Whether a wanted transaction has begun and is not complete.
    pub fn is_inside(&self) -> bool {
        self.taking && self.grouper.open().is_some()
    }

    /// The wanted transactions that did not come.
    pub fn lacking(&self) -> WantedGtids {
        match &self.wanted {
            WantedGtids::MySql(wanted) => {
                let nothing = TransactionSet::MySql(Default::default());
                match self.mysql.clone().finish(&nothing) {
                    TransactionSet::MySql(found) => WantedGtids::MySql(wanted.minus(&found)),
                    _ => self.wanted.clone(),
                }
            }
            WantedGtids::MariaDb(ranges) => {
                let rest = ranges.iter().flat_map(|(first, last)| self.without(*first, *last));
                WantedGtids::MariaDb(rest.collect())
            }
        }
    }

    fn note(&mut self, gtid: GtidOf) {
        let GtidOf::MariaDb(gtid) = gtid else { return self.mysql.add(gtid) };
        let ranges = self.mariadb.entry((gtid.domain, gtid.server)).or_default();
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(gtid.sequence) => *last = gtid.sequence,
            _ => ranges.push((gtid.sequence, gtid.sequence)),
        }
    }

    /// The numbers of one range that did not come.
    fn without(&self, first: MariaDbGtid, last: u64) -> Vec<(MariaDbGtid, u64)> {
        let found = self.mariadb.get(&(first.domain, first.server));
        let mut found = found.cloned().unwrap_or_default();
        found.sort_unstable();
        let (mut rest, mut next) = (Vec::new(), first.sequence);
        for (from, to) in found.into_iter().filter(|(from, _)| *from <= last) {
            if from > next {
                rest.push((MariaDbGtid { sequence: next, ..first }, from - 1));
            }
            next = next.max(to.saturating_add(1));
        }
        if next <= last {
            rest.push((MariaDbGtid { sequence: next, ..first }, last));
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::reader::Reader;

    fn picked(fixture: &str, wanted: &str) -> (u64, u64, Picker) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(fixture);
        let mut reader = Reader::open(&path).unwrap();
        let mut picker = Picker::new(wanted.parse().unwrap());
        let (mut begun, mut done, mut open) = (0, 0, false);
        while let Some((event, format)) = reader.next_in_format().unwrap() {
            let picked = picker.feed(&event, format).unwrap();
            begun += u64::from(picked.begins);
            done += u64::from(picked.completes);
            assert!(!picked.is_wanted || open || picked.begins, "only whole transactions");
            open = picked.is_wanted && !picked.completes;
            assert_eq!(picker.is_inside(), open);
        }
        (begun, done, picker)
    }

    fn all_of(fixture: &str) -> TransactionSet {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(fixture);
        let mut reader = Reader::open(&path).unwrap();
        crate::scan(&mut reader, crate::Thoroughness::Quick).unwrap().gtids
    }

    #[test]
    fn exactly_the_wanted_transactions_of_mysql_are_picked_and_others_are_named() {
        let fixture = "mysql-9.7-gtid/row.binlog";
        let TransactionSet::MySql(all) = all_of(fixture) else { panic!("it has GTIDs") };
        let (source, numbers) = all.intervals().next().unwrap();
        let source = source.uuid;
        let (first, last) = numbers[0];
        let wanted = format!("{source}:{first}-{}:{}", first + 1, last + 7);
        let (begun, done, picker) = picked(fixture, &wanted);
        assert_eq!((begun, done), (2, 2));
        assert_eq!(picker.lacking().to_string(), format!("{source}:{}", last + 7));
    }

    #[test]
    fn numbers_of_mariadb_that_did_not_come_are_named() {
        let gtid = |sequence| MariaDbGtid { domain: 0, server: 2, sequence };
        let mut picker = Picker::new("0-2-1..10,0-3-4".parse().unwrap());
        for sequence in [3, 4, 8] {
            picker.note(GtidOf::MariaDb(gtid(sequence)));
        }
        assert_eq!(picker.lacking().to_string(), "0-2-1..2,0-2-5..7,0-2-9..10,0-3-4");
        picker = Picker::new("0-2-3".parse().unwrap());
        picker.note(GtidOf::MariaDb(gtid(3)));
        assert!(picker.lacking().is_empty());
    }
}
