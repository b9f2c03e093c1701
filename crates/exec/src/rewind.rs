//! Undoes on a returned server the transactions that it alone has, and gives it the history
//! without them, so that it can follow the new primary.
//!
//! Three parts, each of which can be done again after a kill at any place: the server is asked for
//! everything that the undoing rests on; the rows are undone in one transaction that also leaves a
//! mark in `primacy.rewound`; the binary logs are forgotten and the GTIDs set to what is kept. The
//! mark says by the fingerprint of the events whether the rows are undone already.
//!
//! What the transactions are, and that they are saved to a file, is the caller's business: after
//! the last part the server's own binary logs are gone.

mod apply;
mod columns;
mod error;
mod history;
mod log;
mod server;
mod standing;
mod tables;

use std::time::Duration;

use primacy_binlog::undo::Undo;
use primacy_types::{Address, BinlogPosition, TransactionSet};
use primacy_wire::{Rows, Session, WireError};
use tokio::time::Instant;

pub use error::RewindError;

use crate::links::Link;
use primacy_failpoint as failpoint;
use standing::Standing;

/// What is to be undone, and what is to stay.
#[derive(Clone, Debug)]
pub struct Rewind<'a> {
    /// The saved transactions turned round.
    pub undo: &'a Undo,
    /// Where the first of them begins in the server's own binary log.
    pub from: BinlogPosition,
    /// What the server has without them. By GTID, its history is set to this; by file and
    /// position nothing is set.
    pub kept: TransactionSet,
    /// The manager's account: its other sessions are not taken for somebody else's.
    pub manager_user: &'a str,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewound {
    /// Transactions that are undone.
    pub transactions: usize,
    /// Rows that they had changed.
    pub rows: u64,
    /// The rows had been undone before; only the history was left to do, or nothing.
    pub already: bool,
    /// Tables without a primary key: rows were found by all of their values.
    pub without_key: Vec<String>,
}

/// How large a statement the server takes: for the limits of [`primacy_binlog::undo::undo`].
///
/// # Errors
/// What the server or the network answered.
pub async fn statement_limit(link: &mut Link, limit: Duration) -> Result<usize, WireError> {
    let rows = link.query("SELECT @@global.max_allowed_packet", limit).await?;
    let value = rows.first().and_then(|row| row.at(0)).and_then(|text| text.parse().ok());
    Ok(value.unwrap_or(1 << 20))
}

/// Says what stands in the way on this server; nothing is changed. Tables without a primary key
/// are the answer.
///
/// # Errors
/// Everything that is in the way, or what the server or the network answered.
pub async fn prove(
    link: &mut Link,
    rewind: &Rewind<'_>,
    limit: Duration,
) -> Result<Vec<String>, RewindError> {
    let mut work = Work { session: link, until: Instant::now() + limit };
    match Standing::read(&mut work, rewind).await? {
        Standing::Untouched => proved(&mut work, rewind).await,
        Standing::RowsUndone { .. } | Standing::Done => Ok(Vec::new()),
    }
}

/// Undoes the rows and sets the history; a second call goes on where the first was ended.
///
/// The link is used up: its session settings are changed. The server stays read-only; what else
/// could write is shut out again at the end, also after an error.
///
/// # Errors
/// Everything that is in the way, a missing privilege with its GRANT, or what the server answered.
/// With [`RewindError::Server`] all of it, a part or nothing may be done: call it again. With
/// [`RewindError::HalfDone`] that does not help. With the others nothing is changed.
pub async fn rewind(
    mut link: Link,
    rewind: &Rewind<'_>,
    limit: Duration,
) -> Result<Rewound, RewindError> {
    let mut work = Work { session: &mut link, until: Instant::now() + limit };
    let done = Box::pin(both(&mut work, rewind)).await;
    link.discard();
    done
}

/// Undoes the rows and leaves the mark, and no more: what a manager that is killed then has done.
///
/// # Errors
/// As [`rewind`].
pub async fn rewind_rows(
    mut link: Link,
    rewind: &Rewind<'_>,
    limit: Duration,
) -> Result<Rewound, RewindError> {
    let mut work = Work { session: &mut link, until: Instant::now() + limit };
    let done = Box::pin(rows(&mut work, rewind)).await;
    link.discard();
    done
}

async fn both(work: &mut Work<'_>, rewind: &Rewind<'_>) -> Result<Rewound, RewindError> {
    let rewound = rows(work, rewind).await?;
    failpoint::hit("after", "rewind-rows");
    let open = apply::open(work).await;
    let set = match open {
        Ok(()) => history::set(work, rewind).await,
        Err(error) => Err(error),
    };
    let closed = apply::close(work).await;
    set.and(closed).map_err(RewindError::after_the_rows)?;
    Ok(rewound)
}

async fn rows(work: &mut Work<'_>, rewind: &Rewind<'_>) -> Result<Rewound, RewindError> {
    let already = !matches!(Standing::read(work, rewind).await?, Standing::Untouched);
    let mut without_key = Vec::new();
    if !already {
        without_key = proved(work, rewind).await?;
        apply::undo(work, rewind).await?;
    }
    let (transactions, rows) = (rewind.undo.transactions.len(), rewind.undo.rows);
    Ok(Rewound { transactions, rows, already, without_key })
}

/// Every reason against it, of all parts at once.
async fn proved(work: &mut Work<'_>, rewind: &Rewind<'_>) -> Result<Vec<String>, RewindError> {
    server::privileges(work).await?;
    let mut reasons = server::in_the_way(work, rewind).await?;
    reasons.extend(log::in_the_way(work, rewind).await?);
    let tables = tables::look(work, rewind.undo).await?;
    reasons.extend(tables.reasons);
    match reasons.is_empty() {
        true => Ok(tables.without_key),
        false => Err(RewindError::Refused { server: work.server(), reasons }),
    }
}

/// A session and how long all of it may take.
struct Work<'s> {
    session: &'s mut Session,
    until: Instant,
}

impl Work<'_> {
    fn server(&self) -> Address {
        self.session.address().clone()
    }

    fn dialect(&self) -> primacy_probe::Dialect {
        primacy_probe::Dialect::of(self.session.version())
    }

    /// What is left of the limit.
    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    async fn query(&mut self, doing: &str, sql: &str) -> Result<Rows, RewindError> {
        let left = self.left();
        let answer = self.session.query(sql, left).await;
        answer.map_err(|source| self.failed(doing, source))
    }

    async fn execute(&mut self, doing: &str, sql: &str) -> Result<(), RewindError> {
        self.query(doing, sql).await.map(|_| ())
    }

    fn failed(&self, doing: &str, source: WireError) -> RewindError {
        let server = self.server();
        RewindError::Server { server, doing: doing.to_owned(), source: Box::new(source) }
    }

    fn half_done(&self, reason: String) -> RewindError {
        RewindError::HalfDone { server: self.server(), reasons: vec![reason] }
    }

    fn refused(&self, reason: String) -> RewindError {
        RewindError::Refused { server: self.server(), reasons: vec![reason] }
    }
}
