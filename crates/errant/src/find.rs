//! Which transactions are wanted, which of them the binary logs no longer hold, and where the
//! server has to begin to send.

use std::collections::{BTreeMap, BTreeSet};

use primacy_binlog::describe::WantedGtids;
use primacy_binlog::event::GtidOf;
use primacy_binlog::{Grouper, RawEvent};
use primacy_probe::Dialect;
use primacy_replication::StartAt;
use primacy_types::{BinlogPosition, MariaDbGtid, MySqlGtidSet};
use primacy_wire::{ConnectOptions, Session};

use crate::live::{Came, Live, list_of};
use crate::runs::{Runs, Writer};
use crate::{ErrantError, LIMIT};

/// What is to be read.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// Those that the binary logs should hold.
    pub gtids: WantedGtids,
    /// Those that they do not hold.
    pub lacking: Option<String>,
    /// From where on the server is asked for them.
    pub start: StartAt,
}

/// How far a MariaDB server knows each writer of each domain (`gtid_binlog_state`, and positions).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct States(BTreeMap<Writer, u64>);

impl States {
    /// What these GTIDs say: of each writer the highest.
    pub fn of(gtids: impl IntoIterator<Item = MariaDbGtid>) -> Self {
        let mut states = Self::default();
        states.add(gtids);
        states
    }

    /// What these say too.
    pub fn add(&mut self, gtids: impl IntoIterator<Item = MariaDbGtid>) {
        for gtid in gtids {
            let last = self.0.entry((gtid.domain, gtid.server)).or_insert(gtid.sequence);
            *last = gtid.sequence.max(*last);
        }
    }

    /// What the binary logs of this server ever held.
    ///
    /// # Errors
    /// If it cannot be asked.
    pub async fn read(session: &mut Session) -> Result<Self, ErrantError> {
        let rows = session.query("SELECT @@global.gtid_binlog_state", LIMIT).await?;
        let state = rows.first().and_then(|row| row.at(0)).unwrap_or_default();
        Ok(Self::of(state.split(',').filter_map(|gtid| gtid.trim().parse().ok())))
    }

    /// How far this writer is known.
    pub fn get(&self, domain: u32, server: u32) -> Option<u64> {
        self.0.get(&(domain, server)).copied()
    }

    /// All of it.
    pub fn iter(&self) -> impl Iterator<Item = MariaDbGtid> + '_ {
        self.0.iter().map(|((domain, server), sequence)| MariaDbGtid {
            domain: *domain,
            server: *server,
            sequence: *sequence,
        })
    }

    /// The last of each writer that these know further than `other`.
    pub fn beyond(&self, other: &Self) -> Vec<MariaDbGtid> {
        self.iter()
            .filter(|gtid| {
                other.get(gtid.domain, gtid.server).is_none_or(|known| gtid.sequence > known)
            })
            .collect()
    }
}

/// These transactions of a MySQL server.
///
/// # Errors
/// If it cannot be asked.
pub async fn of_mysql(session: &mut Session, wanted: &MySqlGtidSet) -> Result<Chosen, ErrantError> {
    let sql = "SELECT @@global.gtid_executed, @@global.gtid_purged";
    let rows = session.query(sql, LIMIT).await?;
    let set = |column: usize| -> Option<MySqlGtidSet> {
        rows.first().and_then(|row| row.at(column))?.parse().ok()
    };
    let (Some(executed), Some(purged)) = (set(0), set(1)) else {
        let server = session.address().clone();
        return Err(ErrantError::Silent { server, what: "what it has executed" });
    };
    let held = executed.minus(&purged);
    let lacking = wanted.minus(&held);
    let there = wanted.minus(&lacking);
    Ok(Chosen {
        start: StartAt::MySqlGtids(executed.minus(&there)),
        gtids: WantedGtids::MySql(there),
        lacking: (!lacking.is_empty()).then(|| lacking.to_string()),
    })
}

/// What these writers have written on a MariaDB server that nobody knows who knows `known`.
/// `last` are some that the server has, whether or not its binary logs say so.
///
/// # Errors
/// If it cannot be asked, or does not send its binary logs.
pub async fn of_mariadb(
    session: &mut Session,
    login: &ConnectOptions,
    writers: &BTreeSet<(u32, u32)>,
    known: &States,
    last: &[MariaDbGtid],
) -> Result<Chosen, ErrantError> {
    let known = writers.iter().map(|writer| (*writer, known.get(writer.0, writer.1)));
    let mut runs = Runs::new(known.collect());
    let names = files(session).await?;
    let (start, list) = Box::pin(first_file(&names, login, &runs)).await?;
    runs.begin(&list);
    let mut live = Live::connect(login, None, &start).await?;
    let mut grouper = Grouper::new();
    while let Came::Event(event) = live.next(false).await? {
        let raw = RawEvent::new(&event.bytes, event.start)?;
        let Some(format) = live.format() else { continue };
        let fed = grouper.feed(&raw, format)?;
        let gtid = fed.group.and_then(|group| group.gtid);
        if let (true, Some(GtidOf::MariaDb(gtid))) = (fed.part.completes(), gtid) {
            runs.feed(gtid);
        }
    }
    let (gtids, lacking) = runs.finish(last);
    let lacking = (!lacking.is_empty()).then(|| lacking.to_string());
    Ok(Chosen { gtids, lacking, start })
}

/// The transactions that a person named; `None` if this server numbers its own otherwise.
///
/// # Errors
/// If it cannot be asked, or does not send its binary logs.
pub async fn named(
    session: &mut Session,
    login: &ConnectOptions,
    gtids: &WantedGtids,
) -> Result<Option<Chosen>, ErrantError> {
    let is_mariadb = session.version().is_mariadb();
    match gtids {
        WantedGtids::MySql(set) if !is_mariadb => of_mysql(session, set).await.map(Some),
        WantedGtids::MariaDb(ranges) if is_mariadb => {
            let mut known: BTreeMap<Writer, Option<u64>> = BTreeMap::new();
            for (first, _) in ranges {
                let before = first.sequence.saturating_sub(1);
                let known = known.entry((first.domain, first.server)).or_insert(Some(before));
                *known = known.map(|known| known.min(before));
            }
            let names = files(session).await?;
            let (start, _) = Box::pin(first_file(&names, login, &Runs::new(known))).await?;
            // What is not there is told when all that is was read.
            Ok(Some(Chosen { gtids: gtids.clone(), lacking: None, start }))
        }
        _ => Ok(None),
    }
}

/// The names of the server's binary logs, oldest first.
async fn files(session: &mut Session) -> Result<Vec<String>, ErrantError> {
    let sql = Dialect::of(session.version()).binary_logs();
    let rows = session.query(sql, LIMIT).await?;
    Ok(rows.iter().filter_map(|row| row.at(0)).map(str::to_owned).collect())
}

/// The newest file before which nothing that is wanted stands, else the oldest; and its list.
async fn first_file(
    names: &[String],
    login: &ConnectOptions,
    runs: &Runs,
) -> Result<(StartAt, Vec<MariaDbGtid>), ErrantError> {
    let mut first = (StartAt::Beginning, Vec::new());
    for name in names.iter().rev() {
        let Some(list) = list_of(login, name).await? else { continue };
        let is_early = runs.begins_after(&list.gtids);
        first = (StartAt::Position(BinlogPosition::new(name.clone(), 4)), list.gtids);
        if is_early {
            break;
        }
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(text: &str) -> States {
        States::of(text.split(',').map(|gtid| gtid.parse().unwrap()))
    }

    #[test]
    fn what_one_writer_wrote_more_is_not_hidden_by_what_another_wrote_since() {
        let old = states("0-1-105,1-1-7");
        let new = states("0-1-104,0-2-300,1-1-7");
        assert_eq!(old.beyond(&new), ["0-1-105".parse().unwrap()]);
        assert_eq!(new.beyond(&old), ["0-2-300".parse().unwrap()]);
    }
}
