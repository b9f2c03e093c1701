//! What a transaction does, in words for people: to name what was lost.

use std::collections::BTreeMap;

use crate::event::{
    Column, EventBody, EventKind, FormatDescription, GtidOf, Query, RawEvent, RowsChange,
    RowsEvent, Statement, TableMap,
};
use crate::payload::{self, InnerEvents};
use crate::transaction::{Fed, Part};

/// How many rows of a table a transaction changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct RowCounts {
    /// Rows inserted.
    pub inserted: u64,
    /// Rows changed.
    pub updated: u64,
    /// Rows deleted.
    pub deleted: u64,
    /// Events whose rows could not be counted: then the other numbers are only the least.
    pub uncounted_events: u64,
}

/// What a transaction does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionSummary {
    /// Its name, if it has one.
    pub gtid: Option<GtidOf>,
    /// Where its first event stands.
    pub start: u64,
    /// Where its last event ends.
    pub end: u64,
    /// Seconds since 1970 when it began.
    pub timestamp: u32,
    /// `server_id` of the server where it was first committed.
    pub server_id: u32,
    /// Rows by database and table.
    pub tables: BTreeMap<(String, String), RowCounts>,
    /// The first statements, shortened, without BEGIN and COMMIT.
    pub statements: Vec<String>,
    /// How many events it has.
    pub events: u64,
    /// How many bytes these have.
    pub bytes: u64,
    /// Whether something in it could not be read, so that tables or rows may be missing here.
    pub partly_unread: bool,
}

/// Statements kept of each transaction.
const STATEMENTS: usize = 3;
/// Bytes kept of each statement.
const STATEMENT_LENGTH: usize = 200;
/// Bytes opened of a compressed event.
const OPENED: usize = 64 << 20;

struct Table {
    name: (String, String),
    columns: Vec<Column>,
}

/// Makes summaries of the groups that a [`super::Grouper`] found.
pub struct Summarizer {
    tables: BTreeMap<u64, Table>,
    current: Option<TransactionSummary>,
    /// How many bytes of a compressed event are opened.
    opened: usize,
}

impl Default for Summarizer {
    fn default() -> Self {
        Self::opening(OPENED)
    }
}

impl Summarizer {
    /// Opens compressed events only up to so many bytes; what is larger counts as unread.
    pub const fn opening(bytes: usize) -> Self {
        Self { tables: BTreeMap::new(), current: None, opened: bytes }
    }

    /// Takes an event and what the grouper said of it. The summary comes with the last event of
    /// its group.
    pub fn feed(
        &mut self,
        event: &RawEvent<'_>,
        format: &FormatDescription,
        fed: &Fed,
    ) -> Option<TransactionSummary> {
        if fed.part.opens() {
            self.tables.clear();
            self.current = Some(begin(event));
        }
        if matches!(fed.part, Part::Outside | Part::Orphan) {
            return None;
        }
        let mut current = self.current.take()?;
        self.look_into(&mut current, event, format, true);
        if let Some(group) = fed.group {
            current.gtid = group.gtid;
            current.events = group.events;
            current.bytes = group.bytes;
        }
        current.end = event.end();
        // The GTID event of MariaDB has the time of the commit; others may have none.
        if current.timestamp == 0 {
            current.timestamp = event.header().timestamp;
        }
        if fed.part.completes() {
            return Some(current);
        }
        self.current = Some(current);
        None
    }

    /// What is known of the group that is open: the part of it that was seen.
    pub fn unfinished(&self) -> Option<&TransactionSummary> {
        self.current.as_ref()
    }

    fn look_into(
        &mut self,
        current: &mut TransactionSummary,
        event: &RawEvent<'_>,
        format: &FormatDescription,
        outermost: bool,
    ) {
        let kind = event.kind();
        // Values for statements and blocks of files need not be decoded.
        let of_interest = kind.is_rows()
            || kind.is_query()
            || matches!(
                kind,
                EventKind::TABLE_MAP
                    | EventKind::ROWS_QUERY
                    | EventKind::ANNOTATE_ROWS
                    | EventKind::EXECUTE_LOAD_QUERY
                    | EventKind::TRANSACTION_PAYLOAD
            );
        if !of_interest {
            return;
        }
        match EventBody::decode(event, format) {
            Ok(EventBody::TableMap(map)) => self.learn(current, &map),
            Ok(EventBody::Rows(rows)) => self.count(current, &rows),
            Ok(EventBody::Query(query)) => note_query(current, &query),
            Ok(EventBody::ExecuteLoadQuery(load)) => note_query(current, &load.query),
            Ok(EventBody::RowsQuery(text)) => note_text(current, text),
            Ok(EventBody::TransactionPayload(inner)) if outermost => {
                match payload::decompress(&inner, self.opened) {
                    Ok(bytes) => self.look_inside(current, &bytes, format),
                    Err(_) => current.partly_unread = true,
                }
            }
            Ok(_) => {}
            Err(_) => current.partly_unread = true,
        }
    }

    fn look_inside(
        &mut self,
        current: &mut TransactionSummary,
        bytes: &[u8],
        format: &FormatDescription,
    ) {
        let format = format.without_checksums();
        for inner in InnerEvents::new(bytes) {
            match inner {
                Ok(inner) => self.look_into(current, &inner, &format, false),
                Err(_) => current.partly_unread = true,
            }
        }
    }

    fn learn(&mut self, current: &mut TransactionSummary, map: &TableMap<'_>) {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let name = (text(map.database), text(map.table));
        current.tables.entry(name.clone()).or_default();
        self.tables.insert(map.table_id, Table { name, columns: map.columns.clone() });
    }

    fn count(&self, current: &mut TransactionSummary, rows: &RowsEvent<'_>) {
        let Some(table) = self.tables.get(&rows.table_id) else {
            current.partly_unread = true;
            return;
        };
        let counts = current.tables.entry(table.name.clone()).or_default();
        let (sum, more) = match (rows.change, rows.count(&table.columns, self.opened)) {
            (_, None) => (&mut counts.uncounted_events, 1),
            (RowsChange::Inserted, Some(more)) => (&mut counts.inserted, more),
            (RowsChange::Updated, Some(more)) => (&mut counts.updated, more),
            (RowsChange::Deleted, Some(more)) => (&mut counts.deleted, more),
        };
        *sum = sum.saturating_add(more);
    }
}

fn begin(event: &RawEvent<'_>) -> TransactionSummary {
    let header = event.header();
    TransactionSummary {
        gtid: None,
        start: event.offset(),
        end: event.end(),
        timestamp: header.timestamp,
        server_id: header.server_id,
        tables: BTreeMap::new(),
        statements: Vec::new(),
        events: 0,
        bytes: 0,
        partly_unread: false,
    }
}

fn note_query(current: &mut TransactionSummary, query: &Query<'_>) {
    if !matches!(query.class(), Statement::Begin | Statement::Commit) {
        note_text(current, &query.head(STATEMENT_LENGTH));
    }
}

fn note_text(current: &mut TransactionSummary, text: &[u8]) {
    if current.statements.len() < STATEMENTS {
        let text = text.get(..STATEMENT_LENGTH).unwrap_or(text);
        current.statements.push(String::from_utf8_lossy(text).into_owned());
    }
}
