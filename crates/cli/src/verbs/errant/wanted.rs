//! Which transactions are exported, which of them the binary logs no longer hold, and where the
//! server has to begin to send.

use std::collections::BTreeMap;

use primacy_binlog::describe::WantedGtids;
use primacy_binlog::event::GtidOf;
use primacy_binlog::{Grouper, RawEvent};
use primacy_config::ClusterConfig;
use primacy_plan::errant_of;
use primacy_probe::Dialect;
use primacy_replication::StartAt;
use primacy_types::{
    Address, BinlogPosition, ClusterSnapshot, MariaDbGtid, MySqlGtidSet, TransactionSet,
};
use primacy_wire::{ConnectOptions, Session};

use super::runs::{Runs, Writer};
use crate::args::Global;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::session::Asked;
use crate::verbs::binlog::live::{Came, Live, failed, list_of};
use crate::verbs::binlog::login::{self, LIMIT, LoginAs};
use crate::verbs::with_session;

/// What is to be read.
pub(super) struct Chosen {
    /// Those that the binary logs should hold.
    pub(super) gtids: WantedGtids,
    /// Those that they do not hold.
    pub(super) lacking: Option<String>,
    /// From where on the server is asked for them.
    pub(super) start: StartAt,
}

/// The cluster as it is.
pub(super) async fn seen(
    global: &Global,
    printer: &mut Printer,
    cluster: &str,
) -> Result<ClusterSnapshot, Failure> {
    with_session(global, printer, Some(cluster), Asked::Anyone, async |session, _| {
        Ok(session.service().explain(cluster).await?.snapshot)
    })
    .await
}

/// The errant transactions of the server, as `errant show` finds them; `None` if it has none.
pub(super) async fn found(
    cluster: &ClusterConfig,
    session: &mut Session,
    seen: &ClusterSnapshot,
    server: &Address,
) -> Result<Option<Chosen>, Failure> {
    let refused = |message: String| Failure::new(Exit::Refused, message);
    let named = "name the transactions with --gtids";
    let Some(primary) = &seen.primary else {
        return Err(refused("no primary is known to compare with".to_owned()).hint(named));
    };
    if primary == server {
        let message = format!("{server} is the primary: what it writes is not errant");
        return Err(refused(message).hint(named));
    }
    let Some(facts) = seen.live(server) else {
        let message = format!("what {server} has executed is not known yet");
        return Err(refused(message).hint("ask again in a moment"));
    };
    if matches!(facts.executed, TransactionSet::UpTo(_)) {
        let message = format!("the transactions of {server} have no GTIDs: none can be told apart");
        return Err(refused(message).hint("primacy binlog show --transactions shows all of them"));
    }
    let errant = errant_of(seen, primary, server);
    if errant.is_empty() {
        return Ok(None);
    }
    if !facts.version.is_mariadb() {
        let sets = errant.iter().filter_map(|text| text.parse::<MySqlGtidSet>().ok());
        let set = sets.reduce(|all, more| all.union(&more)).unwrap_or_default();
        return of_mysql(session, &set).await.map(Some);
    }
    let last = errant.iter().filter_map(|text| text.parse::<MariaDbGtid>().ok());
    let last: Vec<MariaDbGtid> = last.collect();
    let writers: Vec<Writer> = last
        .iter()
        .flat_map(|gtid| [(gtid.domain, gtid.server), (gtid.domain, facts.server_id)])
        .collect();
    let known = known_of(cluster, seen, primary).await;
    let writers = writers.into_iter().map(|writer| (writer, known.get(&writer).copied()));
    let login = login::of_cluster(cluster, LoginAs::Replication, server)?;
    let runs = Runs::new(writers.collect());
    Box::pin(of_mariadb(session, &login, runs, &last)).await.map(Some)
}

/// The transactions that a person named.
pub(super) async fn named(
    cluster: &ClusterConfig,
    session: &mut Session,
    gtids: &WantedGtids,
) -> Result<Chosen, Failure> {
    let server = session.address().clone();
    let is_mariadb = session.version().is_mariadb();
    match gtids {
        WantedGtids::MySql(set) if !is_mariadb => of_mysql(session, set).await,
        WantedGtids::MariaDb(ranges) if is_mariadb => {
            let mut known: BTreeMap<Writer, Option<u64>> = BTreeMap::new();
            for (first, _) in ranges {
                let before = first.sequence.saturating_sub(1);
                let known = known.entry((first.domain, first.server)).or_insert(Some(before));
                *known = known.map(|known| known.min(before));
            }
            let login = login::of_cluster(cluster, LoginAs::Replication, &server)?;
            let names = files(session).await?;
            let (start, _) = Box::pin(first_file(&names, &login, &Runs::new(known))).await?;
            // What is not there is told when all that is was read.
            Ok(Chosen { gtids: gtids.clone(), lacking: None, start })
        }
        _ => Err(Failure::usage(format!("--gtids: {server} numbers its transactions otherwise"))
            .hint("UUID:1-5 is of MySQL, 0-1-100..105 of MariaDB")),
    }
}

async fn of_mysql(session: &mut Session, wanted: &MySqlGtidSet) -> Result<Chosen, Failure> {
    let sql = "SELECT @@global.gtid_executed, @@global.gtid_purged";
    let rows = session.query(sql, LIMIT).await.map_err(|error| login::refused(&error))?;
    let set = |column: usize| -> Option<MySqlGtidSet> {
        rows.first().and_then(|row| row.at(column))?.parse().ok()
    };
    let (Some(executed), Some(purged)) = (set(0), set(1)) else {
        let message = format!("{} does not say what it has executed", session.address());
        return Err(Failure::new(Exit::Refused, message));
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

async fn of_mariadb(
    session: &mut Session,
    login: &ConnectOptions,
    mut runs: Runs,
    last: &[MariaDbGtid],
) -> Result<Chosen, Failure> {
    let names = files(session).await?;
    let (start, list) = Box::pin(first_file(&names, login, &runs)).await?;
    runs.begin(&list);
    let mut live = Live::connect(login, None, &start).await?;
    let mut grouper = Grouper::new();
    while let Came::Event(event) = live.next(false).await.map_err(failed)? {
        let wrong = |error| Failure::new(Exit::Refused, error);
        let raw = RawEvent::new(&event.bytes, event.start).map_err(wrong)?;
        let Some(format) = live.format() else { continue };
        let fed = grouper.feed(&raw, format).map_err(wrong)?;
        let gtid = fed.group.and_then(|group| group.gtid);
        if let (true, Some(GtidOf::MariaDb(gtid))) = (fed.part.completes(), gtid) {
            runs.feed(gtid);
        }
    }
    let (gtids, lacking) = runs.finish(last);
    let lacking = (!lacking.is_empty()).then(|| lacking.to_string());
    Ok(Chosen { gtids, lacking, start })
}

/// How far the primary knows each writer: what its binary logs ever held, and its position.
async fn known_of(
    cluster: &ClusterConfig,
    seen: &ClusterSnapshot,
    primary: &Address,
) -> BTreeMap<Writer, u64> {
    let facts = seen.server(primary).and_then(|server| server.facts.as_ref());
    let position = facts.and_then(|facts| facts.executed.as_mariadb());
    let mut gtids: Vec<MariaDbGtid> = position.map(|p| p.iter().collect()).unwrap_or_default();
    // A primary that does not answer is judged by what was last seen of it.
    if let Ok(options) = login::of_cluster(cluster, LoginAs::Manager, primary)
        && let Ok(mut session) = login::connect(&options).await
    {
        let rows = session.query("SELECT @@global.gtid_binlog_state", LIMIT).await.ok();
        let row = rows.as_ref().and_then(|rows| rows.first());
        let state = row.and_then(|row| row.at(0)).unwrap_or_default();
        gtids.extend(state.split(',').filter_map(|gtid| gtid.trim().parse::<MariaDbGtid>().ok()));
        session.close().await;
    }
    let mut known = BTreeMap::new();
    for gtid in gtids {
        let last = known.entry((gtid.domain, gtid.server)).or_insert(gtid.sequence);
        *last = gtid.sequence.max(*last);
    }
    known
}

/// The names of the server's binary logs, oldest first.
async fn files(session: &mut Session) -> Result<Vec<String>, Failure> {
    let sql = Dialect::of(session.version()).binary_logs();
    let rows = session.query(sql, LIMIT).await.map_err(|error| login::refused(&error))?;
    Ok(rows.iter().filter_map(|row| row.at(0)).map(str::to_owned).collect())
}

/// The newest file before which nothing that is wanted stands, else the oldest; and its list.
async fn first_file(
    names: &[String],
    login: &ConnectOptions,
    runs: &Runs,
) -> Result<(StartAt, Vec<MariaDbGtid>), Failure> {
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
