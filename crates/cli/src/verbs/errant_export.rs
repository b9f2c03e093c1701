//! `errant export`: a server's errant transactions as a file.

use std::path::{Path, PathBuf};

use primacy_binlog::describe::WantedGtids;
use primacy_binlog::event::GtidOf;
use primacy_plan::errant_of;
use primacy_replication::StartAt;
use primacy_types::{
    Address, ClusterSnapshot, MariaDbGtid, MariaDbGtidPos, MySqlGtidSet, ServerFacts,
    TransactionSet,
};
use serde::Serialize;

use super::binlog::export::{Exported, Wanted, as_text, to_file};
use super::binlog::login::{self, LoginAs};
use super::with_session;
use crate::args::{ExportErrant, Global, ServerLogin, TlsWanted};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::look::count;
use crate::printer::Printer;
use crate::session::{Asked, load};

#[derive(Serialize)]
struct ExportJson<'a> {
    server: &'a Address,
    /// `None` if there was nothing to write.
    file: Option<&'a Path>,
    transactions: u64,
    bytes: u64,
    /// What the binary logs no longer hold.
    missing: String,
}

pub(super) async fn run(global: &Global, printer: &mut Printer, args: &ExportErrant) -> Outcome {
    let cluster = cluster_of(global, args)?;
    let snapshot =
        with_session(global, printer, Some(&cluster), Asked::Anyone, async |session, _| {
            Ok(session.service().explain(&cluster).await?.snapshot)
        })
        .await?;
    let facts = answering(&snapshot, &args.server)?;
    let login = ServerLogin {
        cluster: Some(cluster),
        user: None,
        password_file: None,
        password_env: None,
        tls: TlsWanted::Required,
    };
    let replicated = replicated(global, &login, &args.server, facts).await?;
    let chosen = chosen(&snapshot, &args.server, facts, args.gtid.as_ref(), &replicated)?;
    let Some(chosen) = chosen else {
        return nothing(printer, &args.server);
    };
    if let Some(gone) = &chosen.gone
        && !args.partial
    {
        let message = format!("the binary logs of {} no longer hold {gone}", args.server);
        return Err(Failure::new(Exit::Refused, message)
            .hint("--partial writes the rest; a backup of its binary logs may have these"));
    }
    let options = login::options(global, &login, LoginAs::Replication, &args.server)?;
    if args.text {
        Box::pin(as_text(&options, &chosen.wanted, printer)).await?;
        return Ok(Exit::Done);
    }
    let path = args.out.clone().unwrap_or_else(|| default_name(&args.server));
    if path.exists() && !args.force {
        let message = format!("{} is there already; nothing was written", path.display());
        return Err(Failure::new(Exit::Refused, message)
            .hint("name another file with --out, or overwrite it with --force"));
    }
    let exported = Box::pin(to_file(&options, &chosen.wanted, &path)).await?;
    tell(printer, args, &chosen, &exported, &path)
}

/// What is wanted and what of it is gone.
struct Chosen {
    wanted: Wanted,
    gone: Option<MySqlGtidSet>,
}

fn cluster_of(global: &Global, args: &ExportErrant) -> Result<String, Failure> {
    let config = load(global)?;
    let has = |name: &str| match &args.cluster {
        Some(wanted) => wanted == name,
        None => false,
    };
    let found = config.clusters.values().find(|cluster| {
        has(&cluster.name.to_string())
            || (args.cluster.is_none() && cluster.servers.contains(&args.server))
    });
    found.map(|cluster| cluster.name.to_string()).ok_or_else(|| match &args.cluster {
        Some(name) => Failure::usage(format!("there is no cluster {name:?}")),
        None => Failure::usage(format!("no cluster of the configuration has {}", args.server))
            .hint("primacy list names the servers"),
    })
}

fn answering<'s>(
    snapshot: &'s ClusterSnapshot,
    server: &Address,
) -> Result<&'s ServerFacts, Failure> {
    if snapshot.server(server).is_none() {
        return Err(Failure::usage(format!("cluster {} has no {server}", snapshot.cluster))
            .hint("primacy list names the servers"));
    }
    snapshot.live(server).ok_or_else(|| {
        Failure::new(Exit::Unreachable, format!("{server} does not answer")).hint(
            "the transactions are read from the server itself; of a server that is down, read its \
             files: primacy binlog show --transactions FILE",
        )
    })
}

/// MariaDB: the last transaction of each domain that the server replicated. What it wrote itself has
/// numbers behind that, which others may have used too.
async fn replicated(
    global: &Global,
    login: &ServerLogin,
    server: &Address,
    facts: &ServerFacts,
) -> Result<MariaDbGtidPos, Failure> {
    if facts.version.is_mysql() {
        return Ok(MariaDbGtidPos::default());
    }
    let options = login::options(global, login, LoginAs::Manager, server)?;
    let mut session = login::connect(&options).await?;
    let rows = session.query("SELECT @@global.gtid_slave_pos", login::LIMIT).await;
    let rows = rows.map_err(|error| login::refused(&error))?;
    session.close().await;
    let text = rows.first().and_then(|row| row.at(0)).unwrap_or_default();
    text.parse().map_err(|_| Failure::new(Exit::Refused, format!("{text:?} is no GTID position")))
}

/// All errant transactions of the server, or those that were named; `None` if there are none.
fn chosen(
    snapshot: &ClusterSnapshot,
    server: &Address,
    facts: &ServerFacts,
    named: Option<&WantedGtids>,
    replicated: &MariaDbGtidPos,
) -> Result<Option<Chosen>, Failure> {
    let primary = snapshot.primary.as_ref().filter(|p| *p != server);
    let errant = primary.map(|primary| errant_of(snapshot, primary, server)).unwrap_or_default();
    if named.is_none() && primary.is_none() {
        let message = format!("{server} is the primary, or none is known to compare with");
        return Err(Failure::new(Exit::Refused, message)
            .hint("name the transactions with --gtid to write them all the same"));
    }
    let gtids = match (named, &facts.executed) {
        (Some(named), _) => named.clone(),
        (None, TransactionSet::MySql(_)) => {
            let sets = errant.iter().filter_map(|text| text.parse::<MySqlGtidSet>().ok());
            WantedGtids::MySql(sets.reduce(|all, more| all.union(&more)).unwrap_or_default())
        }
        (None, _) => WantedGtids::MariaDb(ranges(snapshot, primary, &errant, replicated)),
    };
    if gtids.is_empty() {
        return Ok(None);
    }
    let (start, gone) = match (&gtids, &facts.executed) {
        (WantedGtids::MySql(wanted), TransactionSet::MySql(executed)) => {
            let purged = facts.purged.as_ref().and_then(TransactionSet::as_mysql);
            let there = purged.map_or_else(|| wanted.clone(), |purged| wanted.minus(purged));
            let gone = wanted.minus(&there);
            let start = StartAt::MySqlGtids(executed.minus(&there));
            (start, (!gone.is_empty()).then_some(gone))
        }
        (WantedGtids::MariaDb(_), TransactionSet::MariaDb(_)) => (StartAt::Beginning, None),
        _ => {
            let message = format!("these are no GTIDs of {}", facts.version);
            return Err(Failure::usage(message));
        }
    };
    Ok(Some(Chosen { wanted: Wanted { gtids, start }, gone }))
}

/// From the first behind what the server replicated (or, in a domain where it replicated nothing,
/// behind what the primary has) to the last errant one of each domain.
fn ranges(
    snapshot: &ClusterSnapshot,
    primary: Option<&Address>,
    errant: &[String],
    replicated: &MariaDbGtidPos,
) -> Vec<(MariaDbGtid, u64)> {
    let facts = primary.and_then(|p| snapshot.server(p)?.facts.as_ref());
    let known = facts.and_then(|f| f.executed.as_mariadb());
    let last = errant.iter().filter_map(|text| text.parse::<MariaDbGtid>().ok());
    last.map(|last| {
        let place = replicated.last(last.domain).or_else(|| known?.last(last.domain));
        let before = place.map_or(0, |place| place.sequence);
        (MariaDbGtid { sequence: before + 1, ..last }, last.sequence)
    })
    .collect()
}

fn default_name(server: &Address) -> PathBuf {
    PathBuf::from(format!("errant-{}.binlog", server.to_string().replace([':', '/'], "-")))
}

fn nothing(printer: &mut Printer, server: &Address) -> Outcome {
    if printer.wants_json() {
        let none =
            ExportJson { server, file: None, transactions: 0, bytes: 0, missing: String::new() };
        printer.json(&none)?;
    } else {
        printer.data(&format!("{server} has no errant transaction; no file was written\n"))?;
    }
    Ok(Exit::Done)
}

fn tell(
    printer: &mut Printer,
    args: &ExportErrant,
    chosen: &Chosen,
    exported: &Exported,
    path: &Path,
) -> Outcome {
    let missing = missing(chosen, exported);
    let written = exported.transactions > 0;
    if printer.wants_json() {
        printer.json(&ExportJson {
            server: &args.server,
            file: written.then_some(path),
            transactions: exported.transactions,
            bytes: exported.bytes,
            missing: missing.clone().unwrap_or_default(),
        })?;
    } else if written {
        let many = count(exported.transactions as usize, "transaction", "transactions");
        let (bytes, path) = (exported.bytes, path.display());
        printer.data(&format!("{many}, {bytes} bytes, written to {path}\n"))?;
    }
    match missing {
        Some(missing) if args.partial => {
            printer.note(&format!("not written, for it is in no binary log any more: {missing}"));
            Ok(Exit::Done)
        }
        Some(missing) => {
            let message =
                format!("the binary logs of {} do not hold {missing} any more", args.server);
            Err(Failure::new(Exit::Refused, message))
        }
        None => Ok(Exit::Done),
    }
}

fn missing(chosen: &Chosen, exported: &Exported) -> Option<String> {
    if let Some(gone) = &chosen.gone {
        return Some(gone.to_string());
    }
    let WantedGtids::MariaDb(ranges) = &chosen.wanted.gtids else { return None };
    // Numbers between may belong to others: only the last is certain to exist.
    let found = match exported.last {
        Some(GtidOf::MariaDb(last)) => Some(last),
        _ => None,
    };
    let lost = ranges.iter().find(|(first, last)| {
        ranges.len() == 1 && found.is_none_or(|found| found.sequence < *last)
            || found.is_none() && first.sequence <= *last
    });
    lost.map(|(first, last)| MariaDbGtid { sequence: *last, ..*first }.to_string())
}
