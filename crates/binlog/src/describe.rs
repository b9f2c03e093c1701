//! Events and transactions in words: one line of facts for each event, and the filters by which
//! people pick some of them. What it looks like on a screen is not decided here.

mod details;
mod filter;
mod plain;
mod wanted;

use std::collections::BTreeMap;

use crate::event::{
    Column, EventBody, EventKind, FormatDescription, GtidOf, Query, RawEvent, RowsEvent, TableMap,
};
use crate::payload::{self, InnerEvents};
use crate::transaction::{Fed, Grouper, Part};

pub use filter::{Filter, Place, PlaceError};
pub use plain::{plain, shortened};
pub use wanted::{GtidsError, WantedGtids};

/// Bytes opened of a compressed event.
const OPENED: usize = 64 << 20;
/// Bytes kept of a statement.
const STATEMENT: usize = 1 << 10;

/// What one event is about. Texts are safe for a terminal: see [`plain`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFacts {
    /// Where it begins, in the coordinates that were given.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// Seconds since 1970; 0 if it has no time.
    pub time: u32,
    /// `server_id` of the server where it was first written.
    pub server_id: u32,
    /// What it is, as `SHOW BINLOG EVENTS` calls it.
    pub kind: String,
    /// The transaction it belongs to.
    pub gtid: Option<GtidOf>,
    /// The database: of the table, or the default one of the statement.
    pub database: Option<String>,
    /// The table whose rows follow or changed.
    pub table: Option<String>,
    /// How many rows; `None` in other events, or if they could not be counted.
    pub rows: Option<u64>,
    /// The statement, shortened to a few hundred bytes and to one line.
    pub statement: Option<String>,
    /// Whatever else is worth a word.
    pub details: String,
    /// It stood inside a compressed transaction. Its place is that of the whole.
    pub inside: bool,
}

/// Where an event stands, in whatever coordinates the caller uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Where it begins.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
}

struct Table {
    database: String,
    name: String,
    columns: Vec<Column>,
}

/// Follows a stream of events, and says of each what it is about.
#[derive(Default)]
pub struct Describer {
    tables: BTreeMap<u64, Table>,
    grouper: Option<Grouper>,
    gtid: Option<GtidOf>,
}

impl Describer {
    /// For a stream that may begin anywhere.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that another file begins: numbers of tables mean nothing there.
    pub fn next_file(&mut self) {
        self.tables.clear();
        self.gtid = None;
        self.grouper = None;
    }

    /// Says what the event is about; of a compressed transaction also what each event in it is.
    /// Stops when `take` fails. What cannot be decoded is named in the details.
    pub fn feed<E>(
        &mut self,
        event: &RawEvent<'_>,
        format: &FormatDescription,
        range: Range,
        take: &mut impl FnMut(&EventFacts) -> Result<(), E>,
    ) -> Result<(), E> {
        let fed = self.group(event, format);
        self.gtid = fed.and_then(|fed| fed.group).and_then(|group| group.gtid);
        let mut facts = self.facts(event, format, range);
        take(&facts)?;
        if event.kind() == EventKind::TRANSACTION_PAYLOAD {
            facts.inside = true;
            self.open(event, format, range, take)?;
        }
        if fed.is_some_and(|fed| fed.part.completes()) {
            self.tables.clear();
        }
        Ok(())
    }

    fn group(&mut self, event: &RawEvent<'_>, format: &FormatDescription) -> Option<Fed> {
        let grouper = self.grouper.get_or_insert_with(Grouper::from_anywhere);
        let fed = grouper.feed(event, format).ok();
        fed.filter(|fed| fed.part != Part::Orphan)
    }

    fn open<E>(
        &mut self,
        event: &RawEvent<'_>,
        format: &FormatDescription,
        range: Range,
        take: &mut impl FnMut(&EventFacts) -> Result<(), E>,
    ) -> Result<(), E> {
        let Ok(EventBody::TransactionPayload(payload)) = EventBody::decode(event, format) else {
            return Ok(());
        };
        // Why it cannot be opened stands in the details of the payload itself.
        let Ok(bytes) = payload::decompress(&payload, OPENED) else {
            return Ok(());
        };
        let format = format.without_checksums();
        for inner in InnerEvents::new(&bytes).flatten() {
            let mut facts = self.facts(&inner, &format, range);
            facts.inside = true;
            take(&facts)?;
        }
        Ok(())
    }

    fn facts(
        &mut self,
        event: &RawEvent<'_>,
        format: &FormatDescription,
        range: Range,
    ) -> EventFacts {
        let header = event.header();
        let mut facts = EventFacts {
            start: range.start,
            end: range.end,
            time: header.timestamp,
            server_id: header.server_id,
            kind: header.kind.to_string(),
            gtid: self.gtid,
            ..EventFacts::default()
        };
        match EventBody::decode(event, format) {
            Ok(body) => self.fill(&mut facts, &body),
            Err(error) => facts.details = format!("not readable: {}", plain(&error.to_string())),
        }
        facts
    }

    fn fill(&mut self, facts: &mut EventFacts, body: &EventBody<'_>) {
        facts.details = details::details(body);
        match body {
            EventBody::TableMap(map) => self.learn(facts, map),
            EventBody::Rows(rows) => self.count(facts, rows),
            EventBody::Query(query) => note_query(facts, query),
            EventBody::ExecuteLoadQuery(load) => note_query(facts, &load.query),
            EventBody::RowsQuery(text) => {
                let text = text.get(..STATEMENT).unwrap_or(text);
                facts.statement = Some(plain::plain_bytes(text));
            }
            _ => {}
        }
    }

    fn learn(&mut self, facts: &mut EventFacts, map: &TableMap<'_>) {
        let database = plain::plain_bytes(map.database);
        let name = plain::plain_bytes(map.table);
        facts.database = Some(database.clone());
        facts.table = Some(name.clone());
        let columns = map.columns.clone();
        self.tables.insert(map.table_id, Table { database, name, columns });
    }

    fn count(&self, facts: &mut EventFacts, rows: &RowsEvent<'_>) {
        let Some(table) = self.tables.get(&rows.table_id) else {
            facts.details = format!("of table number {}, which was not named", rows.table_id);
            return;
        };
        facts.database = Some(table.database.clone());
        facts.table = Some(table.name.clone());
        facts.rows = rows.count(&table.columns, OPENED);
    }
}

fn note_query(facts: &mut EventFacts, query: &Query<'_>) {
    let database = plain::plain_bytes(query.database);
    facts.database = (!database.is_empty()).then_some(database);
    facts.statement = Some(plain::plain_bytes(&query.head(STATEMENT)));
}

#[cfg(test)]
mod tests;
