//! What runs on the primary right now that stands in the way of a switchover: looked at before
//! anything is touched.

use std::time::Duration;

use primacy_plan::Reason;
use primacy_probe::precheck::{self, LockView};
use primacy_types::{Address, Millis};
use primacy_wire::WireError;

use crate::links::Link;
use crate::{Cluster, StepError};

/// What stands in the way, and what a person should know although it does not.
#[derive(Clone, Debug, Default)]
pub struct Hindrances {
    /// The switchover is refused for these.
    pub reasons: Vec<Reason>,
    /// Named, not refused.
    pub notes: Vec<String>,
}

/// Looks at the statements, transactions, locks and accounts of the primary.
///
/// # Errors
/// If the primary cannot be asked.
pub async fn look_for_hindrances(
    cluster: &Cluster,
    primary: &Address,
) -> Result<Hindrances, StepError> {
    let limit = cluster.policy.timing.statement_limit;
    let at = |e| StepError::at(primary, "looking for what stands in the way")(e);
    let mut link = cluster.links.to(primary, limit.as_duration()).await.map_err(at)?;
    look(cluster, primary, &mut link, limit).await.map_err(at)
}

async fn look(
    cluster: &Cluster,
    primary: &Address,
    link: &mut Link,
    limit: Millis,
) -> Result<Hindrances, WireError> {
    let limit = limit.as_duration();
    let grace = cluster.policy.timing.grace;
    let ours = [cluster.manager_user.as_str()];
    let mut found = Hindrances::default();
    let sessions = precheck::sessions(link, &ours, limit).await?;
    let of_application = |id: u64| {
        sessions
            .iter()
            .find(|s| s.id == id)
            .is_none_or(|s| s.kind == precheck::SessionKind::Application)
    };
    let old =
        precheck::open_transactions(link, grace.as_duration() + Duration::from_secs(1), limit);
    for transaction in old.await?.into_iter().filter(|t| of_application(t.session_id)) {
        if transaction.session_id == 0 {
            continue;
        }
        found.reasons.push(Reason::new(
            format!(
                "session {} of {primary} has had a transaction open for {} s (grace: {grace})",
                transaction.session_id, transaction.seconds
            ),
            format!(
                "wait for it, end it with KILL {}, or raise timing.grace",
                transaction.session_id
            ),
        ));
    }
    for ddl in precheck::running_ddl(link, &ours, limit).await? {
        found.reasons.push(Reason::new(
            format!(
                "{primary} runs a change of definitions ({}) in session {} since {} s",
                ddl.statement, ddl.session.id, ddl.session.seconds
            ),
            format!("wait for it, or end it with KILL {}", ddl.session.id),
        ));
    }
    match precheck::held_locks(link, limit).await? {
        LockView::Seen(locks) => {
            for lock in locks.into_iter().filter(|l| of_application(l.session_id)) {
                let what = lock.table.unwrap_or(lock.kind);
                found.reasons.push(Reason::new(
                    format!(
                        "session {} of {primary} holds a lock on {what} ({})",
                        lock.session_id, lock.mode
                    ),
                    format!("UNLOCK TABLES or UNLOCK INSTANCE there, or KILL {}", lock.session_id),
                ));
            }
        }
        LockView::Hidden(why) => {
            found.notes.push(format!("locks held by sessions could not be seen: {why}"));
        }
    }
    for xa in precheck::prepared_xa(link, limit).await? {
        found.reasons.push(Reason::new(
            format!("{primary} holds a prepared XA transaction: {}", xa.xid),
            format!("decide it: XA COMMIT {0} or XA ROLLBACK {0}", xa.xid),
        ));
    }
    for account in precheck::accounts_beyond_read_only(link, &ours, limit).await? {
        found.notes.push(format!(
            "account {} can write although the server is read-only ({}); its sessions are ended, \
             and what it writes afterwards is errant",
            account.account,
            account.privileges.join(", ")
        ));
    }
    Ok(found)
}
