//! The history of a server whose rows are undone: its binary logs are forgotten, and its GTIDs are
//! those that are kept.

use primacy_types::{MariaDbGtid, MySqlGtidSet, TransactionSet};

use super::standing::{Standing, mariadb_gtids};
use super::{Rewind, RewindError, Work};
use primacy_failpoint as failpoint;

/// MariaDB's history.
pub(super) struct State {
    /// `gtid_binlog_state` as the server writes it.
    pub(super) text: String,
    /// The same; of a domain the newest stands last.
    pub(super) binlog: Vec<MariaDbGtid>,
    /// `gtid_slave_pos`
    slave_pos: TransactionSet,
}

impl State {
    pub(super) async fn read(work: &mut Work<'_>) -> Result<Self, RewindError> {
        let sql = work.dialect().gtid_state().unwrap_or("SELECT ''");
        let rows = work.query("reading gtid_binlog_state", sql).await?;
        let text = |column| rows.first().and_then(|row| row.get(column)).unwrap_or_default();
        let state = text("gtid_binlog_state").to_owned();
        let position = work.dialect().gtid_set(text("gtid_slave_pos"));
        let (Some(binlog), Ok(slave_pos)) = (gtids(&state), position) else {
            return Err(work.refused(format!("its GTIDs cannot be read: {state:?}")));
        };
        Ok(Self { text: state, binlog, slave_pos })
    }

    /// Whether the binary log's state is this one.
    pub(super) fn has(&self, history: &str) -> bool {
        gtids(history).is_some_and(|wanted| same(&wanted, &self.binlog))
    }

    /// Whether all of it is as it should be.
    pub(super) fn is_set(&self, history: &str, kept: &TransactionSet) -> bool {
        self.has(history) && self.slave_pos == *kept
    }
}

/// The text of the history that a server shall have; empty on MySQL, where what is kept says it.
pub(super) async fn wanted(
    work: &mut Work<'_>,
    rewind: &Rewind<'_>,
) -> Result<String, RewindError> {
    let TransactionSet::MariaDb(kept) = &rewind.kept else { return Ok(String::new()) };
    let state = State::read(work).await?;
    let undone = mariadb_gtids(rewind.undo).unwrap_or_default();
    let kept: Vec<MariaDbGtid> = kept.iter().collect();
    let wanted: Vec<String> =
        without(&state.binlog, &undone, &kept).iter().map(ToString::to_string).collect();
    Ok(wanted.join(","))
}

/// The state of a binary log without some transactions. Of a server whose last one goes, the one
/// before is not known unless it is kept by name: it is left out, and the log has no events of it
/// either. Of each domain the one that is kept stands last: it is the newest.
fn without(
    state: &[MariaDbGtid],
    undone: &[MariaDbGtid],
    kept: &[MariaDbGtid],
) -> Vec<MariaDbGtid> {
    let writer = |gtid: &MariaDbGtid| (gtid.domain, gtid.server);
    let goes = |gtid: &&MariaDbGtid| undone.iter().chain(kept).any(|g| writer(g) == writer(gtid));
    let stays = state.iter().filter(|gtid| !goes(gtid));
    let known = |gtid: &&MariaDbGtid| {
        let domain = |other: &MariaDbGtid| other.domain == gtid.domain;
        state.iter().chain(undone).any(domain)
    };
    stays.chain(kept.iter().filter(known)).copied().collect()
}

/// Makes the history what it should be.
pub(super) async fn set(work: &mut Work<'_>, rewind: &Rewind<'_>) -> Result<(), RewindError> {
    let (history, forgotten) = match Standing::read(work, rewind).await? {
        Standing::Done => {
            is_forgotten(work, rewind).await;
            return Ok(());
        }
        Standing::RowsUndone { history, forgotten } => (history, forgotten),
        Standing::Untouched => return Err(work.refused("its rows are not undone".to_owned())),
    };
    let dialect = work.dialect();
    if !forgotten {
        work.execute("forgetting its binary logs", dialect.forget_history()).await?;
        failpoint::hit("after", "rewind-forget");
    }
    match &rewind.kept {
        TransactionSet::MySql(kept) => {
            work.execute("setting gtid_purged", &dialect.set_gtid_purged(kept)).await?;
        }
        TransactionSet::MariaDb(kept) => {
            let state = State::read(work).await?;
            if !state.has(&history)
                && let Some(sql) = dialect.set_gtid_binlog_state(&history)
            {
                work.execute("setting gtid_binlog_state", &sql).await?;
            }
            if let Some(sql) = dialect.set_gtid_slave_pos(kept) {
                work.execute("setting gtid_slave_pos", &sql).await?;
            }
        }
        TransactionSet::UpTo(_) => {}
    }
    match Standing::read(work, rewind).await? {
        Standing::Done => {
            is_forgotten(work, rewind).await;
            Ok(())
        }
        _ => Err(work.refused(format!("its history is not {} although it was set", rewind.kept))),
    }
}

/// From now on the names of what is undone may be those of other transactions. Without that note only
/// they could not be undone.
async fn is_forgotten(work: &mut Work<'_>, rewind: &Rewind<'_>) {
    let sql = work.dialect().finish_rewound(&rewind.undo.fingerprint);
    if let Err(error) = work.execute("writing to primacy.rewound", &sql).await {
        tracing::warn!(%error, "what is undone is not noted as forgotten");
    }
}

/// `gtid_executed`
pub(super) async fn executed(work: &mut Work<'_>) -> Result<MySqlGtidSet, RewindError> {
    let dialect = work.dialect();
    let rows = work.query("reading its GTIDs", dialect.executed()).await?;
    match rows.first().map(|row| dialect.executed_from(row)) {
        Some(Ok(TransactionSet::MySql(set))) => Ok(set),
        _ => Err(work.refused("its GTIDs cannot be read".to_owned())),
    }
}

/// Every GTID of a list, in its order.
fn gtids(text: &str) -> Option<Vec<MariaDbGtid>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(gtid).collect()
}

fn gtid(text: &str) -> Option<MariaDbGtid> {
    let mut numbers = text.split('-');
    let gtid = MariaDbGtid {
        domain: numbers.next()?.parse().ok()?,
        server: numbers.next()?.parse().ok()?,
        sequence: numbers.next()?.parse().ok()?,
    };
    numbers.next().is_none().then_some(gtid)
}

/// Whether both hold the same, and of each domain the same is the newest.
fn same(one: &[MariaDbGtid], other: &[MariaDbGtid]) -> bool {
    let newest = |list: &[MariaDbGtid], domain| list.iter().rfind(|g| g.domain == domain).copied();
    one.len() == other.len()
        && one.iter().all(|gtid| {
            other.contains(gtid) && newest(one, gtid.domain) == newest(other, gtid.domain)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(state: &str, undone: &str, kept: &str) -> String {
        let list = |text| gtids(text).unwrap();
        let left = without(&list(state), &list(undone), &list(kept));
        left.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn what_is_kept_of_a_domain_is_its_newest_and_other_servers_stay() {
        assert_eq!(cut("0-1-5,0-2-9", "0-2-8,0-2-9", "0-2-7"), "0-1-5,0-2-7");
        assert_eq!(cut("0-1-5,0-2-9", "0-2-8,0-2-9", "0-1-7"), "0-1-7");
        assert_eq!(cut("1-1-3,0-1-5,0-2-9", "0-2-9", "0-1-5,1-1-3"), "0-1-5,1-1-3");
        assert_eq!(cut("1-1-3,0-1-5,0-2-9", "0-2-9", "0-1-5"), "1-1-3,0-1-5");
        // Nothing of the domain is kept, or known of it.
        assert_eq!(cut("0-2-9", "0-2-9", ""), "");
        assert_eq!(cut("0-2-9", "0-2-9", "0-2-8,7-1-1"), "0-2-8");
    }

    #[test]
    fn histories_are_the_same_if_the_newest_of_each_domain_is() {
        let same = |one, other| super::same(&gtids(one).unwrap(), &gtids(other).unwrap());
        assert!(same("0-1-5,1-1-1", "1-1-1,0-1-5"));
        assert!(!same("0-1-5,0-2-4", "0-2-4,0-1-5"));
        assert!(!same("0-1-5", "0-1-5,0-2-4"));
        assert_eq!(gtids("0-1"), None);
        assert_eq!(gtids(""), Some(Vec::new()));
    }
}
