//! Turns saved transactions round: the row events that undo them, in exact reverse order, where
//! that can be proved from their bytes; else every reason why it cannot.
//!
//! A row event that shows all columns before and after says what is needed to go back: what was
//! inserted is deleted, what was deleted is inserted, what was changed is changed back, the last
//! row first. So every state in between is one that the table has been in, and no key is ever
//! there twice. A statement says nothing of the kind.
//!
//! The result is given to the server as `BINLOG` statements, which apply row events as replication
//! does: no trigger runs, no value is converted. Whether the server still has the tables, and the
//! rows as the last saved transaction left them, only the server can say: that is not asked here.

mod base64;
mod collect;
mod emit;
mod invert;
mod xa;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use primacy_types::{Flavor, MySqlGtidSet, TransactionSet};

use crate::event::{Column, EventKind, GtidOf};
use crate::gtids::Collector;
use crate::reader::Reader;
use crate::{FormatDescription, ReadError};

/// The statement that gives events to a server, as [`Undo`]'s do: a format description, or tables and
/// rows in the format of the one before.
pub fn binlog_statement(events: &[u8]) -> String {
    base64::statement(events)
}

/// A file's format description for events that are given to a server without checksums: it then
/// stands in no file, and nothing is rolled back for it.
pub fn detached_head(format: &[u8]) -> Vec<u8> {
    emit::head(format)
}

/// How large things may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UndoLimits {
    /// Bytes of one statement: the server's `max_allowed_packet`.
    pub statement: usize,
    /// Bytes of one compressed event or transaction when it is opened.
    pub opened: usize,
    /// Bytes of all events that undo: they are held in memory.
    pub total: usize,
}

impl Default for UndoLimits {
    fn default() -> Self {
        Self { statement: 16 << 20, opened: 1 << 30, total: 1 << 30 }
    }
}

/// What undoes the transactions of a file.
#[derive(Clone, Debug)]
pub struct Undo {
    /// The tables that they changed, by database and name.
    pub tables: Vec<UndoneTable>,
    /// The transactions, oldest first.
    pub transactions: Vec<UndoneTransaction>,
    /// How many rows they changed.
    pub rows: u64,
    /// Every event of theirs as it stands in the server's binary log, oldest first.
    pub logged: Vec<LoggedEvent>,
    /// SHA-256 of their events, in hexadecimal: two files have the same only if they hold the same
    /// transactions, byte for byte.
    pub fingerprint: String,
    flavor: Flavor,
    /// Before every transaction stands an event that names it.
    named: bool,
    /// The format description for all that follows: without checksums.
    head: Vec<u8>,
    steps: Vec<Step>,
    statement: usize,
}

/// A table that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndoneTable {
    /// Its database.
    pub database: String,
    /// Its name.
    pub table: String,
    /// Its columns as the events describe them.
    pub columns: Vec<Column>,
    /// How many rows were inserted.
    pub inserted: u64,
    /// How many were changed.
    pub updated: u64,
    /// How many were deleted.
    pub deleted: u64,
}

/// A transaction of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UndoneTransaction {
    /// Its name, if it has one.
    pub gtid: Option<GtidOf>,
    /// Where it begins in the file.
    pub offset: u64,
}

/// An event as the server's binary log has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggedEvent {
    /// What it is.
    pub kind: EventKind,
    /// Who wrote it first.
    pub server_id: u32,
    /// Where it ends in the log, modulo 4 GiB.
    pub end_position: u32,
    /// Its length.
    pub length: u32,
}

/// A statement of the undoing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndoStatement {
    /// `BINLOG '...'`
    pub sql: String,
    /// The tables whose rows it changes, for errors: `app.t, app.u`.
    pub tables: String,
}

/// Why nothing is undone.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It cannot be undone from what the file says.
    #[error("{} in the way: {}", count(.reasons), .reasons.join("; "))]
    NotUndoable {
        /// Each thing that is in the way, with the transaction.
        reasons: Vec<String>,
    },
}

fn count(reasons: &[String]) -> String {
    match reasons.len() {
        1 => "one thing is".to_owned(),
        many => format!("{many} things are"),
    }
}

/// One event that undoes, after the one that names its table.
#[derive(Clone, Debug)]
struct Step {
    /// `database.table`
    table: Arc<str>,
    map: Arc<[u8]>,
    rows: Vec<u8>,
}

/// Finds what undoes every transaction of this file.
///
/// # Errors
/// If the file cannot be read, or cannot be undone: then with every reason.
pub fn undo<R: Read>(reader: &mut Reader<R>, limits: &UndoLimits) -> Result<Undo, UndoError> {
    let mut collector = collect::Transactions::new(*limits);
    while let Some((event, format)) = reader.next_in_format()? {
        collector.feed(&event, format);
    }
    collector.finish()
}

impl Undo {
    /// Whether no row is to be undone: the transactions changed none.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// No statement is longer, in bytes.
    pub fn statement_limit(&self) -> usize {
        let longest = self.steps.iter().map(|step| step.map.len() + step.rows.len()).max();
        base64::length(longest.unwrap_or(0).max(emit::BATCH)).min(self.statement)
    }

    /// The statement that tells a session the format of those that follow.
    pub fn prologue(&self) -> String {
        base64::statement(&self.head)
    }

    /// The statements that undo, in their order. Each holds whole events, and is no longer than
    /// the limit.
    pub fn statements(&self) -> impl Iterator<Item = UndoStatement> + '_ {
        emit::Statements::new(&self.steps, self.statement)
    }

    /// What undoes as a binary log with one transaction: for people to look at, and to undo the
    /// undoing.
    pub fn as_binlog(&self) -> Vec<u8> {
        emit::binlog(self)
    }

    /// The GTIDs as a set, on MySQL; `None` if a transaction has none.
    pub fn mysql_gtids(&self) -> Option<MySqlGtidSet> {
        let mut collector = Collector::default();
        for transaction in &self.transactions {
            match transaction.gtid {
                Some(gtid @ GtidOf::MySql(_)) => collector.add(gtid),
                _ => return None,
            }
        }
        match collector.finish(&TransactionSet::MySql(MySqlGtidSet::default())) {
            TransactionSet::MySql(set) => Some(set),
            _ => None,
        }
    }
}

/// What is known of each table while events come.
type Tables = BTreeMap<(String, String), UndoneTable>;

/// Whether what is written here beside rows events (table maps, and the statement that begins the
/// transaction of [`Undo::as_binlog`]) is read alike in a format, and its description ends with a
/// checksum. (Of rows events only the kinds that occur are looked at: MySQL 9 has no version 1.)
fn is_known(format: &FormatDescription) -> bool {
    format.knows_checksums()
        && format.post_header_length(EventKind::TABLE_MAP) == Some(8)
        && format.post_header_length(EventKind::QUERY) == Some(13)
}

#[cfg(test)]
mod tests;
