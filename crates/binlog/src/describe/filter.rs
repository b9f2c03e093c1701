//! Which events and transactions a person wants to see.

use std::str::FromStr;

use primacy_types::BinlogPosition;

use super::{EventFacts, WantedGtids};
use crate::TransactionSummary;
use crate::place::compare;

/// A place in a file, or in whichever file is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file; `None` for any.
    pub file: Option<String>,
    /// Where in it.
    pub offset: u64,
}

/// The text names no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no place: expected FILE:POS, such as binlog.000007:4")]
pub struct PlaceError(pub String);

impl Place {
    /// The place, if its file is known.
    pub fn position(&self) -> Option<BinlogPosition> {
        Some(BinlogPosition::new(self.file.clone()?, self.offset))
    }

    fn compare(&self, file: &str, offset: u64) -> std::cmp::Ordering {
        match &self.file {
            Some(name) => compare(file, offset, &BinlogPosition::new(name.clone(), self.offset)),
            None => offset.cmp(&self.offset),
        }
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || PlaceError(text.to_owned());
        let (file, offset) = match text.rsplit_once(':') {
            Some(("", _)) => return Err(wrong()),
            Some((file, offset)) => (Some(file.to_owned()), offset),
            None => (None, text),
        };
        Ok(Self { file, offset: offset.parse().map_err(|_| wrong())? })
    }
}

/// What is shown; everything by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only these transactions.
    pub gtids: Option<WantedGtids>,
    /// Not what began before this second.
    pub since: Option<u32>,
    /// Not what began at or after this second.
    pub until: Option<u32>,
    /// Only these tables, as database and name; all if there are none.
    pub tables: Vec<(String, String)>,
    /// Not what begins before this place.
    pub from: Option<Place>,
    /// Not what ends after this place.
    pub to: Option<Place>,
}

impl Filter {
    /// Whether the event is wanted. Its own table counts: of an event without one it is not known
    /// what it changes.
    pub fn wants_event(&self, file: &str, facts: &EventFacts) -> bool {
        let table = || {
            let (Some(database), Some(table)) = (&facts.database, &facts.table) else {
                return false;
            };
            self.tables.iter().any(|(d, t)| d == database && t == table)
        };
        self.place(file, facts.start, facts.end)
            && self.time(facts.time)
            && self.gtids.as_ref().is_none_or(|wanted| facts.gtid.is_some_and(|g| wanted.holds(&g)))
            && (self.tables.is_empty() || table())
    }

    /// Whether the transaction is wanted.
    pub fn wants_transaction(&self, file: &str, summary: &TransactionSummary) -> bool {
        let touched = || self.tables.iter().any(|table| summary.tables.contains_key(table));
        self.place(file, summary.start, summary.end)
            && self.time(summary.timestamp)
            && self.gtids.as_ref().is_none_or(|w| summary.gtid.is_some_and(|g| w.holds(&g)))
            && (self.tables.is_empty() || touched())
    }

    /// Whether everything from here on in this file, and in all later ones, is unwanted.
    pub fn is_over(&self, file: &str, start: u64) -> bool {
        let to = self.to.as_ref().filter(|to| to.file.is_some());
        to.is_some_and(|to| to.compare(file, start).is_ge())
    }

    fn place(&self, file: &str, start: u64, end: u64) -> bool {
        self.from.as_ref().is_none_or(|from| from.compare(file, start).is_ge())
            && self.to.as_ref().is_none_or(|to| to.compare(file, end).is_le())
    }

    /// What has no time is wanted unless a time was asked for.
    fn time(&self, time: u32) -> bool {
        if time == 0 && (self.since.is_some() || self.until.is_some()) {
            return false;
        }
        self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(start: u64, time: u32) -> EventFacts {
        EventFacts { start, end: start + 10, time, ..EventFacts::default() }
    }

    #[test]
    fn places_with_and_without_a_file() {
        let place: Place = "binlog.000007:120".parse().unwrap();
        assert_eq!(place.position(), Some(BinlogPosition::new("binlog.000007", 120)));
        assert_eq!("120".parse(), Ok(Place { file: None, offset: 120 }));
        for wrong in ["", "binlog.000007", "binlog.000007:", ":4", "binlog.000007:x"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn from_and_to_hold_whole_events_of_several_files() {
        let filter = Filter {
            from: "b.000002:50".parse().ok(),
            to: "b.000003:60".parse().ok(),
            ..Filter::default()
        };
        let wanted = |file, start| filter.wants_event(file, &event(start, 1));
        assert!(!wanted("b.000001", 900) && !wanted("b.000002", 40));
        assert!(wanted("b.000002", 50) && wanted("b.000003", 50) && !wanted("b.000003", 51));
        assert!(filter.is_over("b.000003", 60) && !filter.is_over("b.000003", 59));
    }

    #[test]
    fn times_have_a_first_and_no_last_second() {
        let filter = Filter { since: Some(100), until: Some(200), ..Filter::default() };
        let wanted = |time| filter.wants_event("b.1", &event(4, time));
        assert!(wanted(100) && wanted(199) && !wanted(200) && !wanted(99) && !wanted(0));
    }

    #[test]
    fn a_table_is_named_with_its_database() {
        let tables = vec![("app".to_owned(), "t".to_owned())];
        let filter = Filter { tables, ..Filter::default() };
        let mut facts = event(4, 1);
        assert!(!filter.wants_event("b.1", &facts));
        (facts.database, facts.table) = (Some("app".to_owned()), Some("t".to_owned()));
        assert!(filter.wants_event("b.1", &facts));
        facts.database = Some("other".to_owned());
        assert!(!filter.wants_event("b.1", &facts));
    }
}
