//! How far an earlier call has come: by the mark that it left, and by the GTIDs.

use primacy_binlog::event::GtidOf;
use primacy_binlog::undo::Undo;
use primacy_types::{MariaDbGtid, MySqlGtidSet, TransactionSet};

use super::history::{self, State};
use super::{Rewind, RewindError, Work};

/// No database or table of this name.
const NOT_THERE: [u16; 2] = [1049, 1146];

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The rows are as the last transaction left them.
    Untouched,
    /// The rows are undone, and the history is not what it should be.
    RowsUndone {
        /// The text of the history (MariaDB), as it was worked out before.
        history: String,
        /// The old history is gone already.
        forgotten: bool,
    },
    /// Nothing is left to do.
    Done,
}

impl Standing {
    pub(super) async fn read(
        work: &mut Work<'_>,
        rewind: &Rewind<'_>,
    ) -> Result<Self, RewindError> {
        let mark = mark(work, &rewind.undo.fingerprint).await?;
        if let Some((kept, _)) = &mark
            && *kept != rewind.kept.to_string()
        {
            return Err(work.half_done(format!(
                "they were undone to keep {kept}, and now {} is to be kept",
                rewind.kept
            )));
        }
        if mark.is_none() {
            none_of_them_is_undone(work, rewind.undo).await?;
        }
        let history = mark.map(|(_, history)| history);
        match &rewind.kept {
            TransactionSet::MySql(kept) => by_mysql(work, rewind.undo, kept, history).await,
            TransactionSet::MariaDb(_) => by_mariadb(work, rewind, history).await,
            TransactionSet::UpTo(_) => Ok(history.map_or(Self::Untouched, |_| Self::Done)),
        }
    }
}

/// What is kept and the history, as an earlier call has put them down.
async fn mark(
    work: &mut Work<'_>,
    fingerprint: &str,
) -> Result<Option<(String, String)>, RewindError> {
    let sql = work.dialect().read_rewound(fingerprint);
    match work.query("reading primacy.rewound", &sql).await {
        Ok(rows) => Ok(rows.first().map(|row| {
            let text = |column| row.get(column).unwrap_or_default().to_owned();
            (text("kept"), text("history"))
        })),
        Err(RewindError::Server { source, .. })
            if source.code().is_some_and(|code| NOT_THERE.contains(&code)) =>
        {
            Ok(None)
        }
        Err(other) => Err(other),
    }
}

/// Whether some of these were undone as part of others, whose history was not set: the file that they
/// were saved to then is not the one that they are saved to now.
async fn none_of_them_is_undone(work: &mut Work<'_>, undo: &Undo) -> Result<(), RewindError> {
    let sql = work.dialect().read_other_rewound(&undo.fingerprint);
    let rows = match work.query("reading primacy.rewound", &sql).await {
        Ok(rows) => rows,
        Err(RewindError::Server { source, .. })
            if source.code().is_some_and(|code| NOT_THERE.contains(&code)) =>
        {
            return Ok(());
        }
        Err(other) => return Err(other),
    };
    let names = rows.iter().filter_map(|row| row.get("transactions"));
    let again: Vec<String> = names.filter_map(|names| named(undo, names)).collect();
    match again.is_empty() {
        true => Ok(()),
        false => Err(work.half_done(format!(
            "{} was undone with other transactions, and would be undone a second time",
            again.join(", ")
        ))),
    }
}

/// What of these is among those names, as the mark has them.
fn named(undo: &Undo, names: &str) -> Option<String> {
    if let Some(undone) = undo.mysql_gtids() {
        let marked: MySqlGtidSet = names.parse().ok()?;
        let both = undone.minus(&undone.minus(&marked));
        return (!both.is_empty()).then(|| both.to_string());
    }
    let marked: Vec<&str> = names.split(',').map(str::trim).collect();
    let undone = undo.transactions.iter().filter_map(|one| one.gtid).map(|gtid| gtid.to_string());
    let both: Vec<String> = undone.filter(|gtid| marked.contains(&gtid.as_str())).collect();
    (!both.is_empty()).then(|| both.join(","))
}

async fn by_mysql(
    work: &mut Work<'_>,
    undo: &Undo,
    kept: &MySqlGtidSet,
    history: Option<String>,
) -> Result<Standing, RewindError> {
    let executed = history::executed(work).await?;
    let Some(undone) = undo.mysql_gtids() else {
        return Err(work.refused("a saved transaction has no GTID".to_owned()));
    };
    let both = kept.union(&undone);
    if both.count() != kept.count() + undone.count() {
        return Err(
            work.refused(format!("{} is to be kept and undone", kept.minus(&kept.minus(&undone))))
        );
    }
    match history {
        None if executed == both => Ok(Standing::Untouched),
        None => {
            let mut reasons = Vec::new();
            let more = executed.minus(&both);
            if !more.is_empty() {
                reasons.push(format!("it has {more}, which is neither kept nor saved"));
            }
            let fewer = both.minus(&executed);
            if !fewer.is_empty() {
                reasons.push(format!("it has not {fewer}, which is to be kept or undone"));
            }
            Err(RewindError::Refused { server: work.server(), reasons })
        }
        Some(_) if executed == *kept => Ok(Standing::Done),
        Some(history) if executed == both || executed.is_empty() => {
            Ok(Standing::RowsUndone { history, forgotten: executed.is_empty() })
        }
        Some(_) => Err(work.half_done(format!("it has gone on since, to {executed}"))),
    }
}

async fn by_mariadb(
    work: &mut Work<'_>,
    rewind: &Rewind<'_>,
    history: Option<String>,
) -> Result<Standing, RewindError> {
    let state = State::read(work).await?;
    let undone = match mariadb_gtids(rewind.undo) {
        Some(undone) => undone,
        None => return Err(work.refused("a saved transaction has no GTID".to_owned())),
    };
    // Of each domain the last that is undone is the last that there is.
    let mut wrong = Vec::new();
    for domain in undone.iter().map(|gtid| gtid.domain) {
        let last = undone.iter().rfind(|gtid| gtid.domain == domain);
        let there = state.binlog.iter().rfind(|gtid| gtid.domain == domain);
        if last != there && !wrong.contains(&(domain, last, there)) {
            wrong.push((domain, last, there));
        }
    }
    let said = |gtid: Option<&MariaDbGtid>| gtid.map_or("none".to_owned(), ToString::to_string);
    match history {
        None if wrong.is_empty() => Ok(Standing::Untouched),
        None => {
            let reasons = wrong.iter().map(|(domain, last, there)| {
                format!(
                    "the last transaction of domain {domain} in its binary log is {}, of those \
                     saved {}",
                    said(*there),
                    said(*last)
                )
            });
            Err(RewindError::Refused { server: work.server(), reasons: reasons.collect() })
        }
        Some(history) if state.is_set(&history, &rewind.kept) => Ok(Standing::Done),
        Some(history) if state.binlog.is_empty() || state.has(&history) => {
            Ok(Standing::RowsUndone { history, forgotten: true })
        }
        Some(history) if wrong.is_empty() => Ok(Standing::RowsUndone { history, forgotten: false }),
        Some(_) => Err(work.half_done(format!("it has gone on since, to {}", state.text))),
    }
}

/// The transactions that are undone; `None` if one has no GTID.
pub(super) fn mariadb_gtids(undo: &Undo) -> Option<Vec<MariaDbGtid>> {
    let gtids = undo.transactions.iter().map(|one| match one.gtid {
        Some(GtidOf::MariaDb(gtid)) => Some(gtid),
        _ => None,
    });
    gtids.collect()
}
