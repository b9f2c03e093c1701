//! Where at the source the events of a relay log are from.

use super::Role;
use crate::event::{EventHeader, RawEvent, Rotate};
use crate::place::Place;

/// The place at the source that has been reached.
#[derive(Debug)]
pub(super) struct Origin {
    /// The source's file, if it is known.
    pub(super) file: Option<String>,
    /// The file that the event lent last, a rotation, is the end of.
    pub(super) leaving: Option<String>,
    place: Place,
    /// Where the last event ended.
    end: u64,
    /// The receiver went back: what ends here is the last event that came before.
    repeats_until: Option<u64>,
}

impl Default for Origin {
    fn default() -> Self {
        Self { file: None, leaving: None, place: Place::at(4), end: 0, repeats_until: None }
    }
}

impl Origin {
    /// The source says in which file it goes on.
    pub(super) fn rotate(&mut self, event: &RawEvent<'_>, rotate: &Rotate<'_>) -> Role {
        let name = rotate.file_name();
        if rotate.artificial {
            let same = self.file.as_ref() == Some(&name);
            let back = same && rotate.position < self.end;
            self.repeats_until = back.then_some(self.end);
            (self.place, self.end) = (Place::at(rotate.position), rotate.position);
            self.file = Some(name);
            return Role::Internal;
        }
        let (start, end) = self.place.of(&event.header());
        self.leaving = self.file.replace(name);
        (self.place, self.end) = (Place::at(rotate.position), rotate.position);
        self.repeats_until = None;
        Role::Source { start, end }
    }

    /// A format description of the source. At the head of a file it stands at 4; one that is sent
    /// with events from the middle of a file has no position.
    pub(super) fn format_description(&mut self, event: &RawEvent<'_>) -> Role {
        let length = event.bytes().len() as u64;
        Role::Source { start: 4, end: length.saturating_add(4) }
    }

    /// Any other event. One that was received before is passed over, unless a whole transaction
    /// begins anew with it: then the later copy counts.
    pub(super) fn place(&mut self, event: &RawEvent<'_>) -> Role {
        let header: EventHeader = event.header();
        let (start, end) = self.place.of(&header);
        if let Some(until) = self.repeats_until {
            if end >= until || header.kind.is_gtid() {
                self.repeats_until = None;
            }
            if end <= until && !header.kind.is_gtid() {
                return Role::Internal;
            }
        }
        self.end = end;
        Role::Source { start, end }
    }
}
