//! Where transactions begin and end.
//!
//! A group is what a replica applies as a whole: a transaction, or one statement that commits by
//! itself. The rules are those by which the servers' own receivers find boundaries
//! (`Transaction_boundary_parser` of MySQL 5.7 to 9.7, `queue_event` of MariaDB 10.5 to 11.8).

use primacy_types::Flavor;

use crate::BodyError;
use crate::event::{
    EventHeader, EventKind, FormatDescription, GtidEvent, GtidOf, MariaDbGtidEvent,
    MariaDbGtidFlags, Query, RawEvent, Statement, XaVerb,
};

/// What an event is to its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It belongs to none: format, rotation, list of GTIDs and so on. A group may be open around
    /// it, where a relay log goes on in another file.
    Outside,
    /// It is the first of a group.
    Begins,
    /// It is neither the first nor the last.
    Inside,
    /// It is the last: the group is complete.
    Ends,
    /// It is a group by itself.
    Whole,
    /// It belongs to a group whose beginning is not here.
    Orphan,
}

impl Part {
    /// Whether a group is complete with this event.
    pub const fn completes(self) -> bool {
        matches!(self, Self::Ends | Self::Whole)
    }

    /// Whether a group starts with this event.
    pub const fn opens(self) -> bool {
        matches!(self, Self::Begins | Self::Whole)
    }
}

/// A group of which the end has not been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenGroup {
    /// Where its first event stands.
    pub start: u64,
    /// Its name, if it has one.
    pub gtid: Option<GtidOf>,
    /// How many of its events were seen.
    pub events: u64,
    /// How many bytes these have.
    pub bytes: u64,
}

/// What the grouper says of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fed {
    /// What the event is to its group.
    pub part: Part,
    /// The group it belongs to, this event counted.
    pub group: Option<OpenGroup>,
    /// Another group that was open and will not be completed: this event begins anew. The server
    /// died, or the receiver lost its connection and got the transaction again.
    pub abandoned: Option<OpenGroup>,
}

/// How far the open group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No group is open.
    Idle,
    /// Its name was read; what comes says what kind of group it is.
    Named,
    /// MariaDB said that one statement follows.
    Standalone,
    /// Between BEGIN and its end.
    Block,
    /// Between the values for a statement and the statement, outside any BEGIN.
    Statement,
}

/// Finds where groups begin and end in a stream of events.
#[derive(Clone, Debug)]
pub struct Grouper {
    state: State,
    open: Option<OpenGroup>,
    /// Whether the stream may have begun inside a group that has no name (MySQL 5.6).
    unsure: bool,
}

impl Default for Grouper {
    fn default() -> Self {
        Self::new()
    }
}

/// What an event does to the open group.
#[derive(Clone, Copy)]
enum Step {
    Outside,
    Begin(State),
    Go(State),
    End,
    /// It is a group by itself; the server gave the open one up.
    Alone,
    Orphan,
}

impl Grouper {
    /// For a stream that begins between groups, as every binary log does.
    pub const fn new() -> Self {
        Self { state: State::Idle, open: None, unsure: false }
    }

    /// For a stream that may begin inside a group, as a relay log without the ones before it.
    pub const fn from_anywhere() -> Self {
        Self { state: State::Idle, open: None, unsure: true }
    }

    /// The group that is open.
    pub const fn open(&self) -> Option<&OpenGroup> {
        self.open.as_ref()
    }

    /// Says that a group begins with the next event: an open one is given up.
    pub fn at_boundary(&mut self) -> Option<OpenGroup> {
        self.state = State::Idle;
        self.unsure = false;
        self.open.take()
    }

    /// Takes the next event.
    pub fn feed(
        &mut self,
        event: &RawEvent<'_>,
        format: &FormatDescription,
    ) -> Result<Fed, BodyError> {
        let (step, gtid) = self.step(event, format)?;
        Ok(self.walk(step, gtid, event.offset(), event.bytes().len() as u64))
    }

    fn walk(&mut self, step: Step, gtid: Option<GtidOf>, start: u64, length: u64) -> Fed {
        let mut fed = Fed { part: Part::Outside, group: None, abandoned: None };
        match step {
            Step::Outside => {}
            Step::Orphan => fed.part = Part::Orphan,
            Step::Begin(state) => {
                fed.abandoned = self.open.take();
                self.state = state;
                self.open = Some(OpenGroup { start, gtid, events: 1, bytes: length });
                fed.part = Part::Begins;
                fed.group = self.open;
            }
            Step::Go(state) => {
                self.state = state;
                fed.part = Part::Inside;
                fed.group = self.count(length);
            }
            Step::End | Step::Alone => {
                if matches!(step, Step::Alone) {
                    fed.abandoned = self.open.take();
                }
                self.state = State::Idle;
                self.unsure = false;
                fed.part = if self.open.is_some() { Part::Ends } else { Part::Whole };
                self.open.get_or_insert(OpenGroup { start, gtid, events: 0, bytes: 0 });
                fed.group = self.count(length);
                self.open = None;
            }
        }
        fed
    }

    fn count(&mut self, length: u64) -> Option<OpenGroup> {
        let open = self.open.as_mut()?;
        open.events = open.events.saturating_add(1);
        open.bytes = open.bytes.saturating_add(length);
        Some(*open)
    }

    /// Takes the next event if its header is enough to know what it is to its group; else `None`,
    /// and the event must be given to [`Grouper::feed`].
    pub fn feed_header(
        &mut self,
        header: &EventHeader,
        offset: u64,
        format: &FormatDescription,
    ) -> Option<Fed> {
        if header.kind.is_query() || header.kind.is_gtid() || tells_of_files(header.kind) {
            return None;
        }
        let step = self.step_of_kind(header.kind, format);
        Some(self.walk(step, None, offset, u64::from(header.length)))
    }

    fn step(
        &mut self,
        event: &RawEvent<'_>,
        format: &FormatDescription,
    ) -> Result<(Step, Option<GtidOf>), BodyError> {
        let kind = event.kind();
        let step = match kind {
            EventKind::GTID | EventKind::ANONYMOUS_GTID | EventKind::TAGGED_GTID => {
                let gtid = GtidEvent::decode_name(event, format)?;
                return Ok((Step::Begin(State::Named), Some(gtid)));
            }
            EventKind::MARIADB_GTID => {
                let named = MariaDbGtidEvent::decode(event, format)?;
                let standalone = named.flags.has(MariaDbGtidFlags::STANDALONE);
                // Without the flag there is no BEGIN: the GTID stands for it.
                let state = if standalone { State::Standalone } else { State::Block };
                return Ok((Step::Begin(state), Some(GtidOf::MariaDb(named.gtid))));
            }
            EventKind::QUERY | EventKind::QUERY_COMPRESSED => {
                self.query(Query::decode(event, format)?.class(), format)
            }
            _ => self.step_of_kind(kind, format),
        };
        Ok((step, None))
    }

    /// What an event does whose kind alone says it.
    fn step_of_kind(&mut self, kind: EventKind, format: &FormatDescription) -> Step {
        let idle = self.state == State::Idle;
        match kind {
            EventKind::EXECUTE_LOAD_QUERY => self.query(Statement::Other, format),
            EventKind::XID | EventKind::XA_PREPARE if idle => {
                // The end of a group whose beginning is not here: what follows is sure.
                self.unsure = false;
                Step::Orphan
            }
            EventKind::XID | EventKind::XA_PREPARE => Step::End,
            // Never part of something that is passed over: events were lost, and a replica must
            // stop.
            EventKind::INCIDENT if self.state == State::Block => Step::Alone,
            EventKind::INCIDENT => Step::End,
            EventKind::TRANSACTION_PAYLOAD => self.unless_orphan(Step::End, format),
            EventKind::INTVAR
            | EventKind::RAND
            | EventKind::USER_VAR
            | EventKind::BEGIN_LOAD_QUERY
            | EventKind::APPEND_BLOCK => match self.state {
                State::Idle => self.unless_orphan(Step::Begin(State::Statement), format),
                state => Step::Go(state),
            },
            EventKind::DELETE_FILE => match self.state {
                State::Idle | State::Statement => self.unless_orphan(Step::End, format),
                state => Step::Go(state),
            },
            EventKind::TABLE_MAP | EventKind::ROWS_QUERY | EventKind::ANNOTATE_ROWS => {
                self.rows(idle)
            }
            kind if kind.is_rows() => self.rows(idle),
            EventKind::STOP
            | EventKind::BINLOG_CHECKPOINT
            | EventKind::HEARTBEAT
            | EventKind::HEARTBEAT_V2 => Step::Outside,
            kind if idle || tells_of_files(kind) => Step::Outside,
            _ => Step::Go(self.state),
        }
    }

    fn rows(&self, idle: bool) -> Step {
        if idle { Step::Orphan } else { Step::Go(State::Block) }
    }

    fn query(&mut self, class: Statement, format: &FormatDescription) -> Step {
        use Statement::{Begin, Commit, Rollback, Savepoint, Xa};
        match (self.state, class) {
            (State::Idle, Begin | Xa(XaVerb::Start)) => {
                if always_named(format) {
                    return Step::Orphan;
                }
                self.unsure = false;
                Step::Begin(State::Block)
            }
            (State::Idle, Commit | Rollback) if self.unsure => {
                self.unsure = false;
                Step::Orphan
            }
            (State::Idle, _) => self.unless_orphan(Step::End, format),
            (State::Named | State::Statement, Begin | Xa(XaVerb::Start)) => Step::Go(State::Block),
            (State::Named | State::Statement | State::Standalone, _) => Step::End,
            (
                State::Block,
                Commit | Rollback | Xa(XaVerb::Prepare | XaVerb::Commit | XaVerb::Rollback),
            ) => Step::End,
            (State::Block, Begin) if self.open.is_some_and(|open| open.gtid.is_none()) => {
                Step::Begin(State::Block)
            }
            (State::Block, Begin | Savepoint | Xa(_) | Statement::Other) => Step::Go(State::Block),
        }
    }

    /// An event without a name that may also be the rest of a group.
    fn unless_orphan(&self, step: Step, format: &FormatDescription) -> Step {
        let lost_its_name = self.state == State::Idle && (self.unsure || always_named(format));
        if lost_its_name { Step::Orphan } else { step }
    }
}

/// Whether the event tells of files, and its body is always of interest.
const fn tells_of_files(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::FORMAT_DESCRIPTION
            | EventKind::ROTATE
            | EventKind::PREVIOUS_GTIDS
            | EventKind::GTID_LIST
            | EventKind::START_ENCRYPTION
    )
}

/// Whether the server writes a GTID event, if only an anonymous one, before every group.
fn always_named(format: &FormatDescription) -> bool {
    match format.flavor {
        Flavor::MariaDb => true,
        Flavor::MySql => format.version.is_some_and(|version| version.at_least(5, 7, 0)),
    }
}

#[cfg(test)]
mod tests;
