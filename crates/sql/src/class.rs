//! What is known of a statement: where it may run and why, and what it does to its session.

use crate::change::Change;
use crate::hint::{Hint, HintProblem};
use crate::pin::Pin;
use crate::scan::Doubt;
use crate::why::Why;

/// Where a statement may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// On a replica or the primary: it is proven to change nothing.
    Replica,
    /// On the primary.
    Primary,
    /// On the connection of the statement before: it asks what that one left behind.
    Previous,
    /// On the connection that has the open transaction; without one, on the primary.
    Transaction,
    /// It changes settings of the session, and belongs on every connection that the session uses.
    Session,
}

/// What a statement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Nothing but white space and comments.
    Empty,
    /// `SELECT`, `WITH`, `VALUES`, `TABLE`.
    Select,
    /// `INSERT`.
    Insert,
    /// `UPDATE`.
    Update,
    /// `DELETE`.
    Delete,
    /// `REPLACE`.
    Replace,
    /// `LOAD DATA`, `LOAD XML`.
    Load,
    /// `CREATE`, `ALTER`, `DROP`, `RENAME`, `TRUNCATE`.
    Ddl,
    /// Accounts and privileges.
    Account,
    /// `SET`.
    Set,
    /// `USE`.
    Use,
    /// `SHOW`, `DESCRIBE`, `HELP`.
    Show,
    /// `EXPLAIN`, `ANALYZE` of a statement.
    Explain,
    /// Begins or ends a transaction, or a savepoint in it.
    Transaction,
    /// `XA`.
    Xa,
    /// `LOCK`, `UNLOCK`, `FLUSH ... WITH READ LOCK`, `BACKUP STAGE`.
    Lock,
    /// `HANDLER`.
    Handler,
    /// `CALL`, `DO`, blocks of statements.
    Call,
    /// `PREPARE`, `EXECUTE`, `DEALLOCATE`.
    Prepared,
    /// `GET DIAGNOSTICS`, `SHOW WARNINGS` and the like.
    Diagnostics,
    /// `KILL`.
    Kill,
    /// Maintenance of tables and of the server.
    Admin,
    /// Several statements in one text.
    Several,
    /// None of these.
    Unknown,
}

/// What of the statement before a statement asks for. Several are possible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Follows {
    /// `LAST_INSERT_ID()`, `@@identity`: of the session's last insert, so of the primary.
    pub insert_id: bool,
    /// `ROW_COUNT()`: of the statement before.
    pub row_count: bool,
    /// `FOUND_ROWS()`: of the last `SELECT`.
    pub found_rows: bool,
    /// Warnings and errors: of the last statement that was none of these questions.
    pub diagnostics: bool,
}

impl Follows {
    /// Whether it asks the connection of the statement before.
    pub fn previous(self) -> bool {
        self.row_count || self.found_rows || self.diagnostics
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.insert_id |= other.insert_id;
        self.row_count |= other.row_count;
        self.found_rows |= other.found_rows;
        self.diagnostics |= other.diagnostics;
    }
}

/// Why the same statement can give another result on the same data: what replaying a transaction
/// has to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Variance {
    /// It asks for the time.
    pub clock: bool,
    /// `RAND()` and the like.
    pub random: bool,
    /// `UUID()` and the like.
    pub unique: bool,
    /// What the server or the connection is called: `CONNECTION_ID()`, `@@hostname`.
    pub server: bool,
    /// Which rows a `LIMIT` without an `ORDER BY` takes.
    pub limit_without_order: bool,
    /// A function or procedure that is not known.
    pub unknown: bool,
}

impl Variance {
    /// Whether the result is the same on the same data, as far as the text tells.
    pub fn is_deterministic(self) -> bool {
        self == Self::default()
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.clock |= other.clock;
        self.random |= other.random;
        self.unique |= other.unique;
        self.server |= other.server;
        self.limit_without_order |= other.limit_without_order;
        self.unknown |= other.unknown;
    }
}

/// What a statement reads of its session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads<'s> {
    /// User variables by name, without `@` and quotes; the same may come twice.
    pub user_variables: Vec<&'s [u8]>,
    /// System variables by name, without `@@` and scope.
    pub system_variables: Vec<&'s [u8]>,
}

/// All that is known of a text that a client sent as one command.
#[derive(Clone, Debug)]
pub struct Class<'s> {
    /// What it is.
    pub verb: Verb,
    /// Where it may run.
    pub route: Route,
    /// Why there.
    pub why: Why,
    /// The word or name that decided it, if there is one.
    pub subject: Option<&'s [u8]>,
    /// Why it is not certain what the server reads in it.
    pub doubt: Option<Doubt>,
    /// What of the statement before it asks for.
    pub follows: Follows,
    /// What it does to its session, in order.
    pub changes: Vec<Change<'s>>,
    /// What it reads of its session.
    pub reads: Reads<'s>,
    /// What binds the session to one connection after it, until that is over.
    pub pin: Option<Pin>,
    /// Why its result can be another one when it is replayed.
    pub variance: Variance,
    /// It commits an open transaction without saying so.
    pub commits: bool,
    /// It may be sent once more when no answer came, whatever became of the first time.
    pub can_retry: bool,
    /// `SQL_CALC_FOUND_ROWS`: `FOUND_ROWS()` will ask this connection.
    pub counts_found_rows: bool,
    /// MySQL's hint `SET_VAR`: a variable has another value for this statement.
    pub sets_variable: bool,
    /// What comments told the proxy.
    pub hint: Hint,
    /// What was wrong with these comments; nothing of them is obeyed then.
    pub hint_problem: Option<HintProblem>,
    /// How many statements there are in the text.
    pub statements: u32,
}

impl<'s> Class<'s> {
    /// A class for now, of a statement that was not looked at.
    pub(crate) fn of(verb: Verb, why: Why) -> Self {
        Self {
            verb,
            route: why.route(),
            why,
            subject: None,
            doubt: None,
            follows: Follows::default(),
            changes: Vec::new(),
            reads: Reads::default(),
            pin: None,
            variance: Variance::default(),
            commits: false,
            can_retry: false,
            counts_found_rows: false,
            sets_variable: false,
            hint: Hint::default(),
            hint_problem: None,
            statements: 1,
        }
    }

    /// Whether it is proven to be a read that may run on a replica.
    pub fn is_replica_allowed(&self) -> bool {
        self.route == Route::Replica
    }

    /// Keeps the weightiest reason.
    pub(crate) fn because(&mut self, why: Why, subject: Option<&'s [u8]>) {
        if why > self.why {
            self.why = why;
            self.subject = subject;
        }
    }

    /// Pins the session, unless something weightier does already.
    pub(crate) fn pins(&mut self, pin: Pin) {
        if self.pin.is_none_or(|earlier| pin > earlier) {
            self.pin = Some(pin);
        }
    }

    /// The sentence for people: where it goes, and why.
    pub fn explain(&self) -> String {
        let mut text = self.why.sentence().to_owned();
        if let Some(subject) = self.subject {
            text.push_str(": ");
            text.push_str(&String::from_utf8_lossy(&subject[..subject.len().min(80)]));
        }
        text
    }
}
