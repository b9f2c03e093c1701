//! Events as statements that do the same on another server: what `mysqlbinlog` prints, for a
//! connection of our own or for the servers' command line client.
//!
//! Rows go into `BINLOG` statements, in portions that a server takes; a statement in statement format
//! gets its session's settings before it. What a client cannot do at all (the content of files for
//! `LOAD DATA`, an incident) is [`Untranslatable`].

mod rows;
mod settings;
mod user_variable;

use primacy_binlog::event::{GtidEvent, IntVarKind, MariaDbGtidEvent, MariaDbGtidFlags, Query};
use primacy_binlog::payload::{InnerEvents, decompress};
use primacy_binlog::{BodyError, EventBody, EventKind, FormatDescription, RawEvent, undo};

use rows::Rows;
use settings::Settings;
pub use user_variable::Collations;

/// The largest compressed transaction that is opened.
const PAYLOAD: usize = 1 << 30;

/// A statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its bytes, in whatever character set its session has by then.
    pub sql: Vec<u8>,
    /// The error that it ended with on its server, and may end with again; 0 for none.
    pub expected_error: u16,
}

impl Statement {
    fn new(sql: impl Into<Vec<u8>>) -> Self {
        Self { sql: sql.into(), expected_error: 0 }
    }
}

/// An event that cannot be made a statement of.
#[derive(Debug, thiserror::Error)]
pub enum Untranslatable {
    /// It is damaged.
    #[error("the event at {at} is damaged: {source}")]
    Damaged {
        /// Where it stands in its file.
        at: u64,
        /// What is wrong.
        source: BodyError,
    },
    /// No client can do it.
    #[error("the event at {at} ({kind}) cannot be applied by a client: {why}")]
    Impossible {
        /// Where it stands in its file.
        at: u64,
        /// What it is.
        kind: EventKind,
        /// Why.
        why: String,
    },
}

/// For whom statements are made.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// Whether transactions keep their GTIDs.
    pub gtids: bool,
    /// The server's collations; without them, those that are the same everywhere.
    pub collations: Collations,
}

/// Makes statements of events, one after another.
pub struct Translator {
    target: Target,
    head: Vec<u8>,
    settings: Settings,
    rows: Rows,
    begun: bool,
    gtid_is_set: bool,
    /// The name of a transaction that is not said yet.
    name: Option<Statement>,
    text: bool,
}

impl Translator {
    /// For a connection to a server.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            head: Vec::new(),
            settings: Settings::default(),
            rows: Rows::default(),
            begun: false,
            gtid_is_set: false,
            name: None,
            text: false,
        }
    }

    /// For text: statements with `/*!*/;` between them.
    pub(crate) fn for_text() -> Self {
        let target = Target { gtids: true, collations: Collations::default() };
        Self { text: true, ..Self::new(target) }
    }

    /// Whether a transaction is open.
    pub fn is_open(&self) -> bool {
        self.begun
    }

    /// A file begins with this format description.
    pub(crate) fn format(&mut self, event: &[u8]) -> Vec<Statement> {
        let head = undo::detached_head(event);
        let mut statements = Vec::new();
        if self.text && self.head.is_empty() {
            statements.push(Statement::new("DELIMITER /*!*/;\nDO 1"));
        }
        if head != self.head {
            // A server takes nothing between a transaction's end and the next name.
            if !self.begun && std::mem::take(&mut self.gtid_is_set) {
                statements.push(Statement::new("SET @@session.gtid_next = 'AUTOMATIC'"));
            }
            statements.push(Statement::new(undo::binlog_statement(&head)));
            self.head = head;
        }
        statements
    }

    /// What has to be said after the last event.
    pub fn end(&mut self) -> Vec<Statement> {
        let mut statements = Vec::new();
        if self.begun {
            statements.push(Statement::new("ROLLBACK"));
        }
        if std::mem::take(&mut self.gtid_is_set) {
            statements.push(Statement::new("SET @@session.gtid_next = 'AUTOMATIC'"));
        }
        statements
    }

    /// The statements of an event.
    ///
    /// # Errors
    /// If there are none.
    pub fn take(
        &mut self,
        event: &RawEvent<'_>,
        format: &FormatDescription,
    ) -> Result<Vec<Statement>, Untranslatable> {
        let mut statements = Vec::new();
        self.one(event, format, &mut statements)?;
        Ok(statements)
    }

    fn one(
        &mut self,
        event: &RawEvent<'_>,
        format: &FormatDescription,
        into: &mut Vec<Statement>,
    ) -> Result<(), Untranslatable> {
        let at = event.offset();
        let kind = event.kind();
        if kind == EventKind::FORMAT_DESCRIPTION {
            into.extend(self.format(event.bytes()));
            return Ok(());
        }
        if !kind.is_query() {
            into.extend(self.name.take());
        }
        let damaged = |source| Untranslatable::Damaged { at, source };
        let impossible =
            |why: &str| Err(Untranslatable::Impossible { at, kind, why: why.to_owned() });
        match EventBody::decode(event, format).map_err(damaged)? {
            EventBody::Gtid(gtid) => self.mysql_gtid(&gtid, into),
            EventBody::MariaDbGtid(gtid) => self.mariadb_gtid(&gtid, into),
            EventBody::Query(query) => self.query(event, &query, into),
            EventBody::Xid(_) => {
                self.begun = false;
                into.push(Statement::new("COMMIT"));
            }
            EventBody::XaPrepare(xa) => {
                self.begun = false;
                let name = xid(xa.format_id, xa.global, xa.branch);
                into.push(Statement::new(match xa.one_phase {
                    true => format!("XA COMMIT {name} ONE PHASE"),
                    false => format!("XA PREPARE {name}"),
                }));
            }
            EventBody::TableMap(_) => self.rows.map(event, format),
            EventBody::Rows(rows) => self.rows.rows(event, format, rows.flags & 1 != 0, into),
            EventBody::IntVar(number) => {
                let name = match number.kind {
                    IntVarKind::LastInsertId => "last_insert_id",
                    IntVarKind::InsertId => "insert_id",
                    IntVarKind::Other(_) => return impossible("it is of an unknown kind"),
                };
                into.push(Statement::new(format!("SET @@session.{name} = {}", number.value)));
            }
            EventBody::Rand(seeds) => into.push(Statement::new(format!(
                "SET @@session.rand_seed1 = {}, @@session.rand_seed2 = {}",
                seeds.first, seeds.second
            ))),
            EventBody::UserVar(_) => {
                match user_variable::statement(event.body(format), &self.target.collations) {
                    Ok(sql) => into.push(Statement::new(sql)),
                    Err(why) => return impossible(&why),
                }
            }
            EventBody::TransactionPayload(payload) => {
                let opened = decompress(&payload, PAYLOAD)
                    .map_err(|why| Untranslatable::Impossible { at, kind, why: why.to_string() })?;
                let inner = format.without_checksums();
                for event in InnerEvents::new(&opened) {
                    self.one(&event.map_err(damaged)?, &inner, into)?;
                }
            }
            EventBody::BeginLoadQuery(_)
            | EventBody::AppendBlock(_)
            | EventBody::ExecuteLoadQuery(_)
            | EventBody::DeleteFile(_) => {
                return impossible("it is LOAD DATA in statement format; use binlog_format = ROW");
            }
            EventBody::Incident(_) => return impossible("its server lost events there"),
            EventBody::Other(_) if !is_passed_over(event) => {
                return impossible("it is of an unknown kind");
            }
            _ => {}
        }
        Ok(())
    }

    fn mysql_gtid(&mut self, event: &GtidEvent, into: &mut Vec<Statement>) {
        match event.gtid {
            Some(gtid) if self.target.gtids => {
                self.gtid_is_set = true;
                // MySQL 5.6 passes over USE, too, in a transaction that it has: that comes before.
                self.name = Some(Statement::new(format!("SET @@session.gtid_next = '{gtid}'")));
            }
            _ if std::mem::take(&mut self.gtid_is_set) => {
                into.push(Statement::new("SET @@session.gtid_next = 'AUTOMATIC'"));
            }
            _ => {}
        }
    }

    fn mariadb_gtid(&mut self, event: &MariaDbGtidEvent<'_>, into: &mut Vec<Statement>) {
        let gtid = event.gtid;
        if self.target.gtids {
            into.push(Statement::new(format!(
                "SET @@session.gtid_domain_id = {}, @@session.server_id = {}, \
                 @@session.gtid_seq_no = {}",
                gtid.domain, gtid.server, gtid.sequence
            )));
        }
        let alone = event.flags.has(MariaDbGtidFlags::STANDALONE)
            || event.flags.has(MariaDbGtidFlags::COMPLETED_XA);
        match event.xid {
            Some((form, global, branch)) if event.flags.has(MariaDbGtidFlags::PREPARED_XA) => {
                self.begun = true;
                into.push(Statement::new(format!("XA START {}", xid(form, global, branch))));
            }
            _ if alone => {}
            // The event takes the place of BEGIN.
            _ => {
                self.begun = true;
                into.push(Statement::new("START TRANSACTION"));
            }
        }
    }

    fn query(&mut self, event: &RawEvent<'_>, query: &Query<'_>, into: &mut Vec<Statement>) {
        use primacy_binlog::event::{Statement as Class, XaVerb};
        let class = query.class();
        match class {
            Class::Begin | Class::Xa(XaVerb::Start) => self.begun = true,
            Class::Commit
            | Class::Rollback
            | Class::Xa(XaVerb::Commit | XaVerb::Rollback | XaVerb::Prepare) => self.begun = false,
            _ => {}
        }
        self.settings.database(query, into);
        into.extend(self.name.take());
        if !matches!(class, Class::Begin | Class::Commit | Class::Rollback) {
            self.settings.before(event, query, into);
        }
        let sql = query.head(usize::MAX).into_owned();
        into.push(Statement { sql, expected_error: query.error_code });
    }
}

/// Events that are about the log, or that whoever does not know them may pass over.
fn is_passed_over(event: &RawEvent<'_>) -> bool {
    let ignorable = primacy_binlog::event::EventFlags::IGNORABLE;
    event.header().flags.has(ignorable)
        || matches!(event.kind(), EventKind::VIEW_CHANGE | EventKind::TRANSACTION_CONTEXT)
        || event.kind() == EventKind::IGNORABLE
}

fn xid(format: i32, global: &[u8], branch: &[u8]) -> String {
    format!("X'{}',X'{}',{format}", hex(global), hex(branch))
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02X}");
        text
    })
}
