//! Looks at one event after another of a file: where it says it stood, and in which order the
//! GTIDs come.

use std::collections::BTreeMap;

use primacy_types::TransactionSet;
use uuid::Uuid;

use super::chain::Chain;
use super::{Disorder, KEPT, Note};
use crate::cut::filter::holds;
use crate::event::{
    EventKind, FormatDescription, GtidList, GtidOf, MySqlGtid, PreviousGtids, RawEvent, Tag,
};
use crate::gtids::Collector;
use crate::transaction::{Fed, Part};

/// Who numbers transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Numberer {
    MySql(Uuid, Tag),
    /// A MariaDB domain: its numbers grow whoever wrote them.
    MariaDb(u32),
}

/// Which transactions were seen, and the last number of each source.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    last: BTreeMap<Numberer, u64>,
    all: Collector,
}

pub(super) struct Watcher {
    disorders: Vec<Disorder>,
    more: u64,
    notes: Vec<Note>,
    seen: Seen,
    previous: Option<TransactionSet>,
    relay_log: bool,
    formats: u64,
    /// How far the places that events name are from where they are; modulo 2^32.
    shift: Option<u32>,
    left_out: (u64, u64),
}

impl Watcher {
    pub(super) fn new(before: Option<&Chain>) -> Self {
        Self {
            disorders: Vec::new(),
            more: 0,
            notes: Vec::new(),
            seen: before.map(|chain| chain.seen.clone()).unwrap_or_default(),
            previous: None,
            relay_log: false,
            formats: 0,
            shift: None,
            left_out: (0, 0),
        }
    }

    pub(super) fn finish(mut self) -> (Vec<Disorder>, u64, Vec<Note>, Seen) {
        if self.left_out.1 > 0 {
            let (bytes, places) = self.left_out;
            self.notes.push(Note::Part { bytes, places });
        }
        if self.formats > 1 && !self.relay_log {
            self.notes.push(Note::Several(self.formats - 1));
        }
        (self.disorders, self.more, self.notes, self.seen)
    }

    pub(super) fn event(&mut self, event: &RawEvent<'_>, format: &FormatDescription, fed: &Fed) {
        match event.kind() {
            EventKind::FORMAT_DESCRIPTION => {
                self.formats += 1;
                if self.formats == 1 {
                    self.relay_log = format.relay_log;
                }
                self.shift = None;
            }
            EventKind::PREVIOUS_GTIDS if self.previous.is_none() => {
                let list = PreviousGtids::decode(event, format).ok();
                self.previous = list.map(|list| TransactionSet::MySql(list.set));
            }
            EventKind::GTID_LIST if self.previous.is_none() => {
                let list = GtidList::decode(event, format).ok();
                self.previous = list.map(|list| TransactionSet::MariaDb(list.position()));
            }
            EventKind::INCIDENT if self.notes.len() < KEPT => {
                self.notes.push(Note::Incident { at: event.offset() });
            }
            _ => {}
        }
        if self.relay_log {
            return;
        }
        self.place(event, fed.part);
        if fed.part.opens()
            && let Some(gtid) = fed.group.and_then(|group| group.gtid)
        {
            self.gtid(gtid, event.offset());
        }
    }

    /// The place that an event names moves away from where it is only where something was left
    /// out, and only between transactions.
    fn place(&mut self, event: &RawEvent<'_>, part: Part) {
        let says = event.header().end_position;
        // MariaDB 11.7 and later name no places inside a transaction.
        if says == 0 {
            return;
        }
        // Headers have the low 32 bits.
        let shift = says.wrapping_sub(event.end() as u32);
        let Some(before) = self.shift.replace(shift) else {
            return;
        };
        let moved = shift.wrapping_sub(before);
        if moved == 0 {
            return;
        }
        let at = event.offset();
        if moved > 1 << 31 {
            self.note(Disorder::Overlap { at, says });
        } else if matches!(part, Part::Inside | Part::Ends) {
            self.note(Disorder::Hole { at, bytes: u64::from(moved) });
        } else {
            self.left_out.0 = self.left_out.0.saturating_add(u64::from(moved));
            self.left_out.1 += 1;
        }
    }

    fn gtid(&mut self, gtid: GtidOf, at: u64) {
        let (numberer, number) = match gtid {
            GtidOf::MySql(MySqlGtid { uuid, tag, number }) => (Numberer::MySql(uuid, tag), number),
            GtidOf::MariaDb(gtid) => (Numberer::MariaDb(gtid.domain), gtid.sequence),
            GtidOf::Anonymous => return,
        };
        let listed = self.previous.as_ref().is_some_and(|list| holds(list, &gtid));
        let last = self.seen.last.get(&numberer).copied();
        let same = last == Some(number)
            || matches!(gtid, GtidOf::MySql(_)) && {
                last.is_some_and(|last| number < last) && self.seen.all.has(&gtid)
            };
        if same || listed && last.is_none_or(|last| number > last) {
            self.note(Disorder::Twice { gtid: gtid.to_string(), at });
        } else if let Some(after) = last.filter(|last| number < *last) {
            self.note(Disorder::GoesBack { gtid: gtid.to_string(), at, after });
        }
        let last = self.seen.last.entry(numberer).or_insert(number);
        *last = number.max(*last);
        if !same {
            self.seen.all.add(gtid);
        }
    }

    fn note(&mut self, disorder: Disorder) {
        if self.disorders.len() < KEPT {
            self.disorders.push(disorder);
        } else {
            self.more += 1;
        }
    }
}
