//! The rows: undone in one transaction, together with the mark that they are. Nothing of it goes
//! into the binary log.

use primacy_probe::EmptyTransaction;
use primacy_wire::WireError;

use super::{Rewind, RewindError, Work, history, log};

/// Undoes the rows.
pub(super) async fn undo(work: &mut Work<'_>, rewind: &Rewind<'_>) -> Result<(), RewindError> {
    let history = history::wanted(work, rewind).await?;
    let done = match open(work).await {
        Ok(()) => in_one_transaction(work, rewind, &history).await,
        Err(error) => Err(error),
    };
    let closed = close(work).await;
    done.and(closed)
}

/// Lets this session write where the server shuts out everyone, and keeps what it does out of the
/// binary log.
pub(super) async fn open(work: &mut Work<'_>) -> Result<(), RewindError> {
    let dialect = work.dialect();
    let quiet = dialect.binlog_session(false);
    work.execute("keeping the undoing out of the binary log", quiet).await?;
    let left = work.left();
    for sql in [dialect.lock_wait_timeout(left), dialect.row_lock_wait_timeout(left)] {
        work.execute("limiting its waits", &sql).await?;
    }
    match dialect.open_to_manager() {
        Some(sql) => work.execute("letting the manager write", sql).await,
        None => Ok(()),
    }
}

/// The server is closed to everyone. On a session that broke this is not possible any more; a
/// server that is read-only stays so.
pub(super) async fn close(work: &mut Work<'_>) -> Result<(), RewindError> {
    for sql in work.dialect().close_to_writes() {
        work.execute("closing it to writes again", sql).await?;
    }
    Ok(())
}

async fn in_one_transaction(
    work: &mut Work<'_>,
    rewind: &Rewind<'_>,
    history: &str,
) -> Result<(), RewindError> {
    let dialect = work.dialect();
    for sql in dialect.create_rewound_table() {
        work.execute("making the table primacy.rewound", sql).await?;
    }
    if !rewind.undo.is_empty() {
        let prologue = rewind.undo.prologue();
        work.execute("announcing the format of the events", &prologue).await?;
        if !work.session.version().is_mariadb() {
            // After a format description MySQL expects events that name their transactions.
            let again = EmptyTransaction::AFTERWARDS;
            work.execute("returning to GTIDs of its own", again).await?;
        }
    }
    work.execute("beginning", "BEGIN").await?;
    let done = fill(work, rewind, history).await;
    match done {
        Ok(()) => {
            work.execute("committing the undoing", "COMMIT").await?;
            // The mark and the rows are one transaction; the history that is forgotten next is
            // not. It must not be gone while they can still be lost.
            let flush = dialect.flush_engine_logs();
            work.execute("flushing the engine's logs", flush).await
        }
        Err(error) => {
            // A broken session is rolled back by the server.
            let _ = work.execute("rolling back", "ROLLBACK").await;
            Err(error)
        }
    }
}

/// Everything between BEGIN and COMMIT.
async fn fill(work: &mut Work<'_>, rewind: &Rewind<'_>, history: &str) -> Result<(), RewindError> {
    let gtids = rewind.undo.transactions.iter().filter_map(|one| one.gtid);
    let names: Vec<String> = gtids.map(|gtid| gtid.to_string()).collect();
    let names = match rewind.undo.mysql_gtids() {
        Some(set) => set.to_string(),
        None => names.join(","),
    };
    let mark = work.dialect().write_rewound(
        &rewind.undo.fingerprint,
        &names,
        &rewind.kept.to_string(),
        history,
    );
    work.execute("writing to primacy.rewound", &mark).await?;
    for statement in rewind.undo.statements() {
        let left = work.left();
        if let Err(source) = work.session.execute(&statement.sql, left).await {
            return Err(not_applied(work, statement.tables, source));
        }
    }
    // Whoever may write on a read-only server could have done so meanwhile.
    let reasons = log::in_the_way(work, rewind).await?;
    match reasons.is_empty() {
        true => Ok(()),
        false => Err(RewindError::Refused { server: work.server(), reasons }),
    }
}

fn not_applied(work: &Work<'_>, tables: String, source: WireError) -> RewindError {
    RewindError::NotApplied { server: work.server(), tables, source: Box::new(source) }
}
