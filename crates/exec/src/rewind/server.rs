//! What the undoing rests on apart from tables: nobody writes, nothing replicates, and row events
//! are applied exactly.

use std::time::Duration;

use primacy_probe::grants::{self, Purpose};
use primacy_probe::precheck::{self, SessionKind};
use primacy_probe::{Depth, Dialect, observe};
use primacy_types::ReceiverState;

use super::{Rewind, RewindError, Work};

/// The account has what it needs; else the statements that give it.
pub(super) async fn privileges(work: &mut Work<'_>) -> Result<(), RewindError> {
    let left = work.left();
    let missing = grants::missing_grants(work.session, Purpose::Rewind, left).await;
    let missing = missing.map_err(|source| work.failed("reading its privileges", source))?;
    if missing.is_empty() {
        return Ok(());
    }
    let rows = work.query("reading the account's name", "SELECT CURRENT_USER()").await?;
    let account = rows.first().and_then(|row| row.at(0)).unwrap_or("primacy@%");
    let (user, host) = account.rsplit_once('@').unwrap_or((account, "%"));
    let account = format!("'{}'@'{}'", user.replace('\'', "''"), host.replace('\'', "''"));
    let grants = missing.iter().map(|grant| grant.sql(&account)).collect();
    Err(RewindError::Privileges { server: work.server(), grants })
}

/// What is in the way.
pub(super) async fn in_the_way(
    work: &mut Work<'_>,
    rewind: &Rewind<'_>,
) -> Result<Vec<String>, RewindError> {
    let mut reasons = Vec::new();
    let left = work.left();
    let seen = observe(work.session, Depth::Quick, None, left).await;
    let facts = seen.map_err(|source| work.failed("looking at it", source))?.facts;
    if !facts.read_only {
        reasons.push("it is not read-only: SET GLOBAL read_only = 1".to_owned());
    }
    if !facts.log_bin {
        reasons.push("it writes no binary log".to_owned());
    }
    for channel in &facts.channels {
        if channel.receiver != ReceiverState::Stopped || channel.applier_running {
            reasons.push(format!(
                "replication from {} runs: STOP REPLICA (STOP SLAVE)",
                channel.source
            ));
        }
    }
    reasons.extend(sessions(work, rewind).await?);
    let rows = work.query("reading its settings", work.dialect().row_settings()).await?;
    for row in &rows {
        let (name, value) = (row.at(0).unwrap_or_default(), row.at(1).unwrap_or_default());
        if let Some(exact) = Dialect::loosens_rows(name, value) {
            reasons.push(format!("{name} is {value}: SET GLOBAL {name} = '{exact}'"));
        }
        let packet = value.parse::<usize>().unwrap_or(usize::MAX);
        if name == "max_allowed_packet" && packet < rewind.undo.statement_limit() {
            reasons.push(format!(
                "its max_allowed_packet of {packet} bytes is smaller than the statements, of up \
                 to {} bytes",
                rewind.undo.statement_limit()
            ));
        }
    }
    Ok(reasons)
}

/// Replicas that read what is about to be forgotten, and transactions that are not finished.
async fn sessions(work: &mut Work<'_>, rewind: &Rewind<'_>) -> Result<Vec<String>, RewindError> {
    let mut reasons = Vec::new();
    let left = work.left();
    let all = precheck::sessions(work.session, &[rewind.manager_user], left).await;
    let all = all.map_err(|source| work.failed("listing its sessions", source))?;
    for replica in all.iter().filter(|session| session.kind == SessionKind::DumpThread) {
        reasons.push(format!(
            "{}@{} reads its binary log, which will be gone: repoint that replica first, or KILL {}",
            replica.user, replica.host, replica.id
        ));
    }
    // This account's own earlier question is not the answer to this one.
    tokio::time::sleep(precheck::TRANSACTIONS_KEPT).await;
    let left = work.left();
    let open = precheck::open_transactions(work.session, Duration::ZERO, left).await;
    let open = open.map_err(|source| work.failed("listing its transactions", source))?;
    // A manager's own that was killed waits for nobody: the mark waits for it.
    let ours = |id| all.iter().any(|one| one.id == id && one.kind == SessionKind::Ours);
    for transaction in open.iter().filter(|one| one.rows_modified > 0) {
        match transaction.session_id {
            0 => reasons.push(without_session(work).await?),
            id if ours(id) => {}
            id => reasons
                .push(format!("session {id} has a transaction open that changed rows: KILL {id}")),
        }
    }
    Ok(reasons)
}

/// Why there is a transaction that belongs to no session.
async fn without_session(work: &mut Work<'_>) -> Result<String, RewindError> {
    const DENIED: [u16; 2] = [1227, 1401];
    let left = work.left();
    match precheck::prepared_xa(work.session, left).await {
        Ok(prepared) if prepared.is_empty() => {
            Ok("a transaction is rolled back just now whose session is gone: try again".to_owned())
        }
        Ok(prepared) => {
            let names: Vec<&str> = prepared.iter().map(|one| one.xid.as_str()).collect();
            let names = names.join(" and ");
            Ok(format!("XA transactions are prepared: XA COMMIT or XA ROLLBACK {names}"))
        }
        Err(error) if error.code().is_some_and(|code| DENIED.contains(&code)) => {
            Ok("an XA transaction is prepared, or a transaction is rolled back just now: see XA \
                RECOVER, and try again"
                .to_owned())
        }
        Err(source) => Err(work.failed("listing XA transactions", source)),
    }
}
