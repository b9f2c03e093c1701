//! Binary logs: one line for each event or transaction, the same as JSON, and verdicts.

mod verdict;

use jiff::Timestamp;
use primacy_binlog::describe::{EventFacts, plain, shortened};
use primacy_binlog::{RowCounts, TransactionSummary};
use serde::Serialize;

pub(crate) use verdict::{FileJson, VerdictsJson, file_lines, summary_line};

/// Characters shown of a statement.
const STATEMENT: usize = 100;

/// An event of a file.
#[derive(Serialize)]
pub(crate) struct EventJson<'a> {
    file: &'a str,
    start: u64,
    end: u64,
    time: Option<String>,
    server_id: u32,
    kind: &'a str,
    gtid: Option<String>,
    database: Option<&'a str>,
    table: Option<&'a str>,
    rows: Option<u64>,
    statement: Option<&'a str>,
    details: &'a str,
    compressed: bool,
}

impl<'a> EventJson<'a> {
    pub(crate) fn of(file: &'a str, facts: &'a EventFacts) -> Self {
        Self {
            file,
            start: facts.start,
            end: facts.end,
            time: (facts.time != 0).then(|| rfc3339(facts.time)),
            server_id: facts.server_id,
            kind: &facts.kind,
            gtid: facts.gtid.map(|gtid| gtid.to_string()),
            database: facts.database.as_deref(),
            table: facts.table.as_deref(),
            rows: facts.rows,
            statement: facts.statement.as_deref(),
            details: &facts.details,
            compressed: facts.inside,
        }
    }
}

/// A transaction of a file.
#[derive(Serialize)]
pub(crate) struct TransactionJson<'a> {
    file: &'a str,
    start: u64,
    end: u64,
    time: Option<String>,
    server_id: u32,
    gtid: Option<String>,
    tables: Vec<TableJson>,
    events: u64,
    bytes: u64,
    statements: Vec<String>,
    complete: bool,
    partly_unread: bool,
}

#[derive(Serialize)]
struct TableJson {
    database: String,
    table: String,
    #[serde(flatten)]
    rows: RowCounts,
}

impl<'a> TransactionJson<'a> {
    pub(crate) fn of(file: &'a str, summary: &TransactionSummary, complete: bool) -> Self {
        let tables = summary.tables.iter().map(|((database, table), rows)| TableJson {
            database: plain(database),
            table: plain(table),
            rows: *rows,
        });
        Self {
            file,
            start: summary.start,
            end: summary.end,
            time: (summary.timestamp != 0).then(|| rfc3339(summary.timestamp)),
            server_id: summary.server_id,
            gtid: summary.gtid.map(|gtid| gtid.to_string()),
            tables: tables.collect(),
            events: summary.events,
            bytes: summary.bytes,
            statements: summary.statements.iter().map(|text| plain(text)).collect(),
            complete,
            partly_unread: summary.partly_unread,
        }
    }
}

/// `binlog.000007:157  2026-11-20 21:12:03Z  1  Query  ...`
pub(crate) fn event_line(file: &str, facts: &EventFacts) -> String {
    let mut words = Vec::new();
    words.extend(facts.gtid.map(|gtid| gtid.to_string()));
    match (&facts.database, &facts.table) {
        (Some(database), Some(table)) => words.push(format!("{database}.{table}")),
        (Some(database), None) => words.push(database.clone()),
        _ => {}
    }
    words.extend(facts.rows.map(rows));
    words.extend(facts.statement.as_ref().map(|text| shortened(text, STATEMENT)));
    if !facts.details.is_empty() {
        words.push(facts.details.clone());
    }
    let kind = if facts.inside { format!("> {}", facts.kind) } else { facts.kind.clone() };
    let (place, time) = (format!("{file}:{}", facts.start), moment(facts.time));
    let line =
        format!("{place:<22}  {time}  {:<4}  {kind:<16}  {}", facts.server_id, words.join("  "));
    line.trim_end().to_owned()
}

/// `binlog.000007:157-432  2026-11-20 21:12:03Z  1  0-1-5  app.t +3 ~1 -2  275 bytes  ...`
pub(crate) fn transaction_line(file: &str, summary: &TransactionSummary, complete: bool) -> String {
    let place = format!("{file}:{}-{}", summary.start, summary.end);
    let mut words = vec![summary.gtid.map_or_else(|| "no GTID".to_owned(), |g| g.to_string())];
    let tables = summary.tables.iter().map(|((database, table), rows)| {
        format!("{}.{}{}", plain(database), plain(table), counts(rows))
    });
    let tables: Vec<String> = tables.collect();
    if !tables.is_empty() {
        words.push(tables.join(", "));
    }
    words.push(format!("{} bytes", summary.bytes));
    words.extend(summary.statements.first().map(|text| shortened(&plain(text), STATEMENT)));
    if summary.partly_unread {
        words.push("(partly unread)".to_owned());
    }
    if !complete {
        words.push("NOT COMPLETE".to_owned());
    }
    let (time, words) = (moment(summary.timestamp), words.join("  "));
    format!("{place:<26}  {time}  {:<4}  {words}", summary.server_id)
}

fn counts(rows: &RowCounts) -> String {
    let mut text = String::new();
    let marks = [('+', rows.inserted), ('~', rows.updated), ('-', rows.deleted)];
    for (mark, count) in marks.into_iter().filter(|(_, count)| *count > 0) {
        text.push_str(&format!(" {mark}{count}"));
    }
    if rows.uncounted_events > 0 {
        text.push_str(" and more");
    }
    text
}

fn rows(count: u64) -> String {
    format!("{count} {}", if count == 1 { "row" } else { "rows" })
}

fn stamp(seconds: u32) -> Timestamp {
    Timestamp::from_second(i64::from(seconds)).unwrap_or_default()
}

fn rfc3339(seconds: u32) -> String {
    stamp(seconds).to_string()
}

/// In UTC, which the Z says; blanks for an event that has no time.
fn moment(seconds: u32) -> String {
    if seconds == 0 {
        return format!("{:<20}", "-");
    }
    stamp(seconds).strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}
