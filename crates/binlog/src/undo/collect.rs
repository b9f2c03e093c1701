//! Reads the transactions of a file event by event: what undoes each, and everything that is in
//! the way.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::invert::{self, Sizes};
use super::xa::{self, Prepared, XaName};
use super::{
    LoggedEvent, Step, Tables, Undo, UndoError, UndoLimits, UndoneTable, UndoneTransaction, base64,
    emit,
};
use crate::event::{
    Column, EventBody, EventFlags, EventKind, FormatDescription, MariaDbGtidEvent, Query, RawEvent,
    RowsChange, RowsEvent, Statement, TableMap, XaVerb,
};
use crate::payload::{self, InnerEvents};
use crate::transaction::{Fed, Grouper, Part};

/// Events of one table are put into events of about this size, if rows allow.
const WANTED_EVENT: usize = 256 << 10;

/// Databases that belong to the server.
const SYSTEM: [&str; 4] = ["mysql", "sys", "performance_schema", "information_schema"];

/// Statements of Primacy's own that change nothing where they ran before.
const HARMLESS: [&str; 2] =
    ["CREATE DATABASE IF NOT EXISTS primacy", "CREATE TABLE IF NOT EXISTS primacy.epoch "];

/// How much of a statement is quoted.
const QUOTED: usize = 80;

/// A table as the current transaction describes it.
struct Mapped {
    name: (String, String),
    /// `database.table`
    said: Arc<str>,
    columns: Vec<Column>,
    map: Arc<[u8]>,
}

/// A transaction so far.
struct Transaction {
    named: UndoneTransaction,
    /// What undoes each of its events, in the events' order.
    inverse: Vec<Vec<Step>>,
    /// Rows by table and change.
    rows: Vec<((String, String), RowsChange, u64)>,
    /// The XA transaction that it says it ends (MariaDB).
    completes: Option<XaName>,
    /// It holds rows of an XA transaction, or ends one: `XA COMMIT` says nothing more.
    has_rows: bool,
    /// Its rows were not committed.
    dropped: bool,
}

/// Collects what undoes.
pub(super) struct Transactions {
    limits: UndoLimits,
    format: Option<(Vec<u8>, FormatDescription)>,
    grouper: Grouper,
    done: Vec<Transaction>,
    open: Option<Transaction>,
    mapped: BTreeMap<u64, Mapped>,
    tables: Tables,
    prepared: Prepared,
    logged: Vec<LoggedEvent>,
    hash: Sha256,
    total: usize,
    reasons: Vec<String>,
    said: BTreeSet<String>,
}

impl Transactions {
    pub(super) fn new(limits: UndoLimits) -> Self {
        Self {
            limits,
            format: None,
            grouper: Grouper::new(),
            done: Vec::new(),
            open: None,
            mapped: BTreeMap::new(),
            tables: Tables::new(),
            prepared: Prepared::default(),
            logged: Vec::new(),
            hash: Sha256::new(),
            total: 0,
            reasons: Vec::new(),
            said: BTreeSet::new(),
        }
    }

    /// Takes the next event of the file.
    pub(super) fn feed(&mut self, event: &RawEvent<'_>, format: &FormatDescription) {
        if event.kind() == EventKind::FORMAT_DESCRIPTION {
            return self.take_format(event, format);
        }
        let fed = match self.grouper.feed(event, format) {
            Ok(fed) => fed,
            Err(error) => return self.refuse(event.offset(), &error.to_string()),
        };
        if fed.abandoned.is_some() {
            self.unfinished();
        }
        match fed.part {
            Part::Outside => return,
            Part::Orphan => {
                let what = format!("{} belongs to a transaction that begins earlier", event.kind());
                return self.refuse(event.offset(), &what);
            }
            Part::Begins | Part::Whole => self.begin(event, &fed),
            Part::Inside | Part::Ends => {}
        }
        self.note(event);
        if let Some(open) = &mut self.open {
            open.named.gtid = fed.group.and_then(|group| group.gtid).or(open.named.gtid);
        }
        self.look_at(event, format, true);
        if fed.part.completes() {
            self.done.extend(self.open.take());
        }
    }

    /// What came of the file.
    pub(super) fn finish(mut self) -> Result<Undo, UndoError> {
        if self.open.is_some() {
            self.unfinished();
        }
        let left: Vec<usize> = self.prepared.left().collect();
        for at in left {
            let name = self.done.get(at).map(|one| said(&one.named)).unwrap_or_default();
            self.add(format!("{name}: an XA transaction is prepared and was not ended"));
        }
        let head = match &self.format {
            Some((head, format)) if super::is_known(format) => Some((head, format)),
            Some((_, format)) => {
                let version = format.server_version.clone();
                self.add(format!("the format of the events of {version} is not known"));
                None
            }
            None => {
                self.add("the file has no event".to_owned());
                None
            }
        };
        let (Some((head, format)), true) = (head, self.reasons.is_empty()) else {
            return Err(UndoError::NotUndoable { reasons: self.reasons });
        };
        let mut rows = 0_u64;
        for (name, change, more) in
            self.done.iter().filter(|one| !one.dropped).flat_map(|one| &one.rows)
        {
            rows = rows.saturating_add(*more);
            let Some(table) = self.tables.get_mut(name) else { continue };
            let count = match change {
                RowsChange::Inserted => &mut table.inserted,
                RowsChange::Updated => &mut table.updated,
                RowsChange::Deleted => &mut table.deleted,
            };
            *count = count.saturating_add(*more);
        }
        let digest = self.hash.finalize();
        let fingerprint = digest.iter().fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        let transactions = self.done.iter().map(|one| one.named).collect();
        let (head, flavor, named) = (emit::head(head), format.flavor, emit::names(format));
        let kept = self.done.into_iter().filter(|one| !one.dropped);
        let inverse: Vec<Vec<Step>> = kept.flat_map(|one| one.inverse).collect();
        Ok(Undo {
            tables: self.tables.into_values().collect(),
            transactions,
            rows,
            logged: self.logged,
            fingerprint,
            flavor,
            named,
            head,
            steps: inverse.into_iter().rev().flatten().collect(),
            statement: self.limits.statement,
        })
    }

    /// All files must be of one format: one format description stands before what undoes.
    fn take_format(&mut self, event: &RawEvent<'_>, format: &FormatDescription) {
        // The reader lends a later one in the format before it.
        let Ok(decoded) = FormatDescription::decode(event) else {
            return self.refuse(event.offset(), "a format description cannot be read");
        };
        // A server that starts a new file has begun anew.
        if self.grouper.at_boundary().is_some() {
            self.unfinished();
        }
        match &self.format {
            None => self.format = Some((event.bytes().to_vec(), decoded)),
            Some((_, first))
                if first.without_checksums().reads_like(&decoded.without_checksums()) => {}
            Some(_) => {
                let what = format!("{} wrote on, in another format", format.server_version);
                self.refuse(event.offset(), &what);
            }
        }
    }

    fn begin(&mut self, event: &RawEvent<'_>, fed: &Fed) {
        self.mapped.clear();
        self.open = Some(Transaction {
            named: UndoneTransaction {
                gtid: fed.group.and_then(|group| group.gtid),
                offset: event.offset(),
            },
            inverse: Vec::new(),
            rows: Vec::new(),
            completes: None,
            has_rows: false,
            dropped: false,
        });
    }

    fn note(&mut self, event: &RawEvent<'_>) {
        let header = event.header();
        self.hash.update(event.bytes());
        self.logged.push(LoggedEvent {
            kind: header.kind,
            server_id: header.server_id,
            end_position: header.end_position,
            length: header.length,
        });
    }

    fn look_at(&mut self, event: &RawEvent<'_>, format: &FormatDescription, outermost: bool) {
        let body = match EventBody::decode(event, format) {
            Ok(body) => body,
            Err(error) => return self.in_the_way(&error.to_string()),
        };
        match body {
            EventBody::TableMap(map) => self.learn(&map, event, format),
            EventBody::Rows(rows) => self.turn_round(event, format, &rows),
            EventBody::Query(query) => self.query(&query),
            EventBody::ExecuteLoadQuery(load) => {
                let text = load.query.text(QUOTED);
                self.in_the_way(&format!("LOAD DATA as a statement: {text}"));
            }
            EventBody::Incident(_) => self.in_the_way("the server lost events here (incident)"),
            EventBody::XaPrepare(prepare) => {
                if let (false, Some(open)) = (prepare.one_phase, &mut self.open) {
                    open.has_rows = true;
                    self.prepared.add(xa::name_of(&prepare), self.done.len());
                }
            }
            EventBody::MariaDbGtid(gtid) => self.take_xa_name(&gtid),
            EventBody::TransactionPayload(inner) if outermost => {
                match payload::decompress(&inner, self.limits.opened) {
                    Ok(bytes) => self.look_inside(&bytes, format),
                    Err(error) => self.in_the_way(&error.to_string()),
                }
            }
            EventBody::TransactionPayload(_) => self.in_the_way("a transaction in a transaction"),
            // Names, comments, and the end; and values of statements, which are refused themselves.
            EventBody::Gtid(_)
            | EventBody::Xid(_)
            | EventBody::RowsQuery(_)
            | EventBody::IntVar(_)
            | EventBody::Rand(_)
            | EventBody::UserVar(_)
            | EventBody::BinlogCheckpoint(_) => {}
            EventBody::BeginLoadQuery(_) | EventBody::AppendBlock(_) | EventBody::DeleteFile(_) => {
                self.in_the_way("a file of LOAD DATA");
            }
            _ if is_ignorable(event) => {}
            _ => self.in_the_way(&format!("{} is not known here", event.kind())),
        }
    }

    fn look_inside(&mut self, bytes: &[u8], format: &FormatDescription) {
        let format = format.without_checksums();
        for inner in InnerEvents::new(bytes) {
            match inner {
                Ok(inner) => self.look_at(&inner, &format, false),
                Err(error) => self.in_the_way(&error.to_string()),
            }
        }
    }

    fn take_xa_name(&mut self, gtid: &MariaDbGtidEvent<'_>) {
        if let (Some((form, global, branch)), Some(open)) = (gtid.xid, &mut self.open) {
            open.completes = Some((form, global.to_vec(), branch.to_vec()));
        }
    }

    fn query(&mut self, query: &Query<'_>) {
        let quoted = || query.text(QUOTED);
        match query.class() {
            Statement::Begin | Statement::Commit => {}
            Statement::Savepoint if !starts_with(query, "ROLLBACK") => {}
            Statement::Savepoint => {
                let what = format!("a part of it was rolled back: {}", quoted());
                self.in_the_way(&what);
            }
            Statement::Rollback => {
                self.in_the_way("it was rolled back, except for tables that cannot be");
            }
            Statement::Xa(XaVerb::Start | XaVerb::End) => {}
            Statement::Xa(XaVerb::Prepare) => self.in_the_way("an XA PREPARE as a statement"),
            Statement::Xa(verb @ (XaVerb::Commit | XaVerb::Rollback)) => self.end_xa(query, verb),
            Statement::Other if HARMLESS.iter().any(|text| starts_with(query, text)) => {}
            Statement::Other => self.in_the_way(&format!("a statement: {}", quoted())),
        }
    }

    fn end_xa(&mut self, query: &Query<'_>, verb: XaVerb) {
        let Some(open) = &self.open else { return };
        let name = open.completes.clone().or_else(|| xa::name_in(&query.head(1 << 10)));
        let holder = name.and_then(|name| self.prepared.end(&name));
        match (holder, verb) {
            (Some(holder), XaVerb::Rollback) => {
                if let Some(holder) = self.done.get_mut(holder) {
                    holder.dropped = true;
                }
            }
            (Some(_), _) => {}
            (None, _) => {
                let what = format!(
                    "it ends an XA transaction whose rows are not here: {}",
                    query.text(QUOTED)
                );
                self.in_the_way(&what);
            }
        }
    }

    fn learn(&mut self, map: &TableMap<'_>, event: &RawEvent<'_>, format: &FormatDescription) {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec());
        let (Ok(database), Ok(table)) = (text(map.database), text(map.table)) else {
            return self.in_the_way("a table whose name is not UTF-8");
        };
        if SYSTEM.iter().any(|system| database.eq_ignore_ascii_case(system)) {
            self.in_the_way(&format!("it changes {database}.{table}, a table of the server"));
        }
        let name = (database, table);
        let said: Arc<str> = format!("{}.{}", name.0, name.1).into();
        let known = self.tables.entry(name.clone()).or_insert_with(|| UndoneTable {
            database: name.0.clone(),
            table: name.1.clone(),
            columns: map.columns.clone(),
            inserted: 0,
            updated: 0,
            deleted: 0,
        });
        if known.columns != map.columns {
            self.in_the_way(&format!("{said} has other columns than in an earlier transaction"));
        }
        let columns = map.columns.clone();
        let map_bytes: Arc<[u8]> = invert::table_map(event, format).into();
        self.mapped.insert(map.table_id, Mapped { name, said, columns, map: map_bytes });
    }

    fn turn_round(
        &mut self,
        event: &RawEvent<'_>,
        format: &FormatDescription,
        rows: &RowsEvent<'_>,
    ) {
        let Some(mapped) = self.mapped.get(&rows.table_id) else {
            // The last event of a statement may be there for its end alone.
            if !rows.rows.is_empty() {
                self.in_the_way(&format!("{} of a table that is not named", event.kind()));
            }
            return;
        };
        let room = base64::room(self.limits.statement);
        let room = room.saturating_sub(mapped.map.len());
        let sizes =
            Sizes { opened: self.limits.opened, wanted: WANTED_EVENT.min(room), most: room };
        let inverted = match invert::invert(event, format, &mapped.columns, sizes) {
            Ok(inverted) => inverted,
            Err(why) => {
                let what = format!("{} of {}: {why}", event.kind(), mapped.said);
                return self.in_the_way(&what);
            }
        };
        let step = |rows: Vec<u8>| Step {
            table: Arc::clone(&mapped.said),
            map: Arc::clone(&mapped.map),
            rows,
        };
        let steps: Vec<Step> = inverted.events.into_iter().map(step).collect();
        let bytes: usize = steps.iter().map(|step| step.rows.len() + step.map.len()).sum();
        self.total = self.total.saturating_add(bytes);
        if self.total > self.limits.total {
            let most = self.limits.total;
            self.add(format!("what undoes it is larger than {most} bytes"));
            return;
        }
        let Some(open) = &mut self.open else { return };
        open.inverse.push(steps);
        open.has_rows = true;
        match open
            .rows
            .iter_mut()
            .find(|(name, change, _)| *change == rows.change && *name == mapped.name)
        {
            Some((.., count)) => *count = count.saturating_add(inverted.rows),
            None => open.rows.push((mapped.name.clone(), rows.change, inverted.rows)),
        }
    }

    fn unfinished(&mut self) {
        if let Some(open) = self.open.take() {
            self.add(format!("{}: its end is not in the file", said(&open.named)));
        }
    }

    /// Something in the open transaction.
    fn in_the_way(&mut self, what: &str) {
        let name = self.open.as_ref().map(|open| said(&open.named)).unwrap_or_default();
        self.add(format!("{name}: {what}"));
    }

    fn refuse(&mut self, offset: u64, what: &str) {
        self.add(format!("at {offset} of the file: {what}"));
    }

    /// Each reason once.
    fn add(&mut self, reason: String) {
        if self.said.insert(reason.clone()) {
            self.reasons.push(reason);
        }
    }
}

/// The transaction for people.
fn said(transaction: &UndoneTransaction) -> String {
    match transaction.gtid {
        Some(crate::event::GtidOf::Anonymous) | None => {
            format!("the transaction at {} of the file", transaction.offset)
        }
        Some(gtid) => format!("{gtid} (at {} of the file)", transaction.offset),
    }
}

fn starts_with(query: &Query<'_>, words: &str) -> bool {
    let head = query.head(words.len() + 1);
    let head = head.get(..words.len()).unwrap_or(&head);
    head.eq_ignore_ascii_case(words.as_bytes())
}

/// Whether a server that does not know the event passes over it.
fn is_ignorable(event: &RawEvent<'_>) -> bool {
    event.header().flags.has(EventFlags::IGNORABLE)
        || event.kind() == EventKind::TRANSACTION_CONTEXT
}
