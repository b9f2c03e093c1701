//! `binlog diff`.

use std::path::PathBuf;

use primacy_binlog::compare::{Known, Lacking};
use primacy_binlog::describe::{Filter, Range, WantedGtids};
use primacy_binlog::{RawEvent, ReadError, Reader, RelayReader};
use primacy_errant::{Came, Live};
use primacy_probe::Dialect;
use primacy_replication::StartAt;
use primacy_types::{Address, MariaDbGtidPos, MySqlGtidSet, TransactionSet};
use serde::Serialize;

use super::inputs;
use super::live::failed;
use super::login::{self, LIMIT, LoginAs};
use super::unreadable;
use super::view::View;
use crate::args::{DiffLogs, Global};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;

/// One side.
enum Side {
    Files(Vec<PathBuf>),
    Server(Address),
}

struct Asked {
    name: String,
    side: Side,
    known: Known,
}

#[derive(Serialize)]
struct DiffJson<'a> {
    a: SideJson<'a>,
    b: SideJson<'a>,
    same: bool,
}

#[derive(Serialize)]
struct SideJson<'a> {
    name: &'a str,
    knows: String,
    only_here: String,
    count: u64,
}

pub(super) async fn run(global: &Global, printer: &mut Printer, args: &DiffLogs) -> Outcome {
    if args.transactions && printer.wants_json() {
        return Err(Failure::usage("--transactions is for people: it has no --json")
            .hint("list them with: primacy binlog show --transactions --json --gtid SET FILE"));
    }
    let a = Box::pin(ask(global, args, &args.a)).await?;
    let b = Box::pin(ask(global, args, &args.b)).await?;
    comparable(&a, &b)?;
    let (only_a, only_b) = (a.known.beyond(&b.known), b.known.beyond(&a.known));
    let same = only_a.is_none() && only_b.is_none();
    if printer.wants_json() {
        printer.json(&DiffJson {
            a: side_json(&a, only_a.as_ref()),
            b: side_json(&b, only_b.as_ref()),
            same,
        })?;
    } else {
        for side in [&a, &b] {
            printer.data(&format!("{} knows {}\n", side.name, side.known.set.said()))?;
        }
        if same {
            printer.data("both know the same transactions")?;
        }
    }
    for (mine, other, only) in [(&a, &b, &only_a), (&b, &a, &only_b)] {
        let Some(only) = only else { continue };
        if !printer.wants_json() {
            let count = match only.count {
                1 => "1 transaction".to_owned(),
                n => format!("{n} transactions"),
            };
            printer.data(&format!("only {}: {count}\n  {}\n", mine.name, only.text))?;
        }
        if args.transactions {
            Box::pin(show(global, printer, args, mine, other, only)).await?;
        }
    }
    Ok(if same { Exit::Done } else { Exit::Refused })
}

fn side_json<'a>(side: &'a Asked, only: Option<&Lacking>) -> SideJson<'a> {
    SideJson {
        name: &side.name,
        knows: side.known.set.to_string(),
        only_here: only.map(|only| only.text.clone()).unwrap_or_default(),
        count: only.map_or(0, |only| only.count),
    }
}

fn comparable(a: &Asked, b: &Asked) -> Result<(), Failure> {
    for side in [a, b] {
        if matches!(side.known.set, TransactionSet::UpTo(Some(_))) {
            let message = format!("{} has no GTIDs, so there is nothing to compare by", side.name);
            return Err(Failure::new(Exit::Refused, message)
                .hint("look at both with: primacy binlog show --transactions"));
        }
    }
    let kinds = (a.known.set.as_mysql().is_some(), b.known.set.as_mysql().is_some());
    if kinds.0 != kinds.1 && !a.known.set.is_empty() && !b.known.set.is_empty() {
        return Err(Failure::usage("one side is of MySQL, the other of MariaDB"));
    }
    Ok(())
}

async fn ask(global: &Global, args: &DiffLogs, text: &str) -> Result<Asked, Failure> {
    let Some(address) = text.strip_prefix("server:") else {
        let files = inputs::side(text)?;
        let known = Known::of_files(&files).map_err(|error| unreadable(&error))?;
        return Ok(Asked { name: text.to_owned(), side: Side::Files(files), known });
    };
    let address: Address = address.parse().map_err(|e| Failure::usage(format!("{text}: {e}")))?;
    let known = of_server(global, args, &address).await?;
    Ok(Asked { name: address.to_string(), side: Side::Server(address), known })
}

async fn of_server(global: &Global, args: &DiffLogs, server: &Address) -> Result<Known, Failure> {
    let options = login::options(global, &args.login, LoginAs::Manager, server)?;
    let mut session = login::connect(&options).await?;
    let dialect = Dialect::of(session.version());
    let mariadb = session.version().is_mariadb();
    let rows = session.query(dialect.executed(), LIMIT).await.map_err(|e| login::refused(&e))?;
    let strange = |what: String| Failure::new(Exit::Refused, format!("{server}: {what}"));
    let row = rows.first().ok_or_else(|| strange("it does not say what it executed".to_owned()))?;
    let set = dialect.executed_from(row).map_err(|e| strange(e.to_string()))?;
    let mut known = Known::of_set(set);
    if mariadb {
        let sql = "SELECT @@global.gtid_binlog_state";
        let rows = session.query(sql, LIMIT).await.map_err(|e| login::refused(&e))?;
        let state = rows.first().and_then(|row| row.at(0)).unwrap_or_default().to_owned();
        for gtid in state.split(',').filter_map(|gtid| gtid.trim().parse().ok()) {
            known.note(gtid);
        }
    }
    session.close().await;
    Ok(known)
}

/// The transactions themselves, as far as this side holds them.
async fn show(
    global: &Global,
    printer: &mut Printer,
    args: &DiffLogs,
    mine: &Asked,
    other: &Asked,
    only: &Lacking,
) -> Result<(), Failure> {
    let filter = Filter { gtids: Some(only.wanted.clone()), ..Filter::default() };
    match &mine.side {
        Side::Files(files) => {
            let mut view = View::new(printer, filter, true);
            of_files(files, &mut view)?;
            view.flush()
        }
        Side::Server(server) => {
            let options = login::options(global, &args.login, LoginAs::Replication, server)?;
            let start = match &only.wanted {
                WantedGtids::MySql(_) => StartAt::MySqlGtids(all_but(mine, only)),
                WantedGtids::MariaDb(_) => StartAt::MariaDbGtids(position(other)),
            };
            let tried = {
                let mut view = View::new(printer, filter.clone(), true);
                Box::pin(stream(&options, &start, &mut view)).await
            };
            // MariaDB finds no place where both agree if they have gone apart.
            let apart = |failure: &Failure| {
                failure.exit == Exit::Refused
                    && matches!(start, StartAt::MariaDbGtids(_))
                    && !failure.message.is_empty()
            };
            if tried.as_ref().is_err_and(apart) {
                let mut view = View::new(printer, filter, true);
                return Box::pin(stream(&options, &StartAt::Beginning, &mut view)).await;
            }
            tried
        }
    }
}

fn of_files(files: &[PathBuf], view: &mut View<'_>) -> Result<(), Failure> {
    for (index, path) in files.iter().enumerate() {
        let mut reader = Reader::open(path).map_err(|error| unreadable(&error))?;
        let name = primacy_binlog::index::base_name(path);
        view.next_stream();
        loop {
            match reader.next_in_format() {
                Ok(Some((_, format))) if index == 0 && format.relay_log => {
                    return of_relay_logs(files, view);
                }
                Ok(Some((event, format))) => {
                    let range = Range { start: event.offset(), end: event.end() };
                    view.event(&name, range, &event, format)?;
                }
                Ok(None) | Err(ReadError::Torn(_)) => break,
                Err(error) => {
                    view.failure(&unreadable(&error))?;
                    break;
                }
            }
        }
    }
    Ok(())
}

fn of_relay_logs(files: &[PathBuf], view: &mut View<'_>) -> Result<(), Failure> {
    let mut reader = RelayReader::open(files, None).map_err(|error| unreadable(&error))?;
    view.next_stream();
    while let Some(relayed) = reader.next().map_err(|error| unreadable(&error))? {
        let range = Range { start: relayed.start, end: relayed.end };
        view.event(relayed.source_file.unwrap_or("?"), range, &relayed.event, relayed.format)?;
    }
    Ok(())
}

async fn stream(
    options: &primacy_wire::ConnectOptions,
    start: &StartAt,
    view: &mut View<'_>,
) -> Result<(), Failure> {
    let mut live = Live::connect(options, None, start).await?;
    view.next_stream();
    loop {
        let event = match live.next(false).await.map_err(failed)? {
            Came::Event(event) => event,
            Came::UpToDate => return view.flush(),
        };
        let range = Range { start: event.start, end: event.end };
        let raw = RawEvent::new(&event.bytes, event.start)
            .map_err(|error| Failure::new(Exit::Refused, error))?;
        if let Some(format) = live.format() {
            view.event(&event.file, range, &raw, format)?;
        }
    }
}

/// What the server shall not send: everything it has but these.
fn all_but(mine: &Asked, only: &Lacking) -> MySqlGtidSet {
    match (&mine.known.set, &only.wanted) {
        (TransactionSet::MySql(all), WantedGtids::MySql(wanted)) => all.minus(wanted),
        _ => MySqlGtidSet::default(),
    }
}

/// How far the other side is.
fn position(other: &Asked) -> MariaDbGtidPos {
    other.known.set.as_mariadb().cloned().unwrap_or_default()
}
