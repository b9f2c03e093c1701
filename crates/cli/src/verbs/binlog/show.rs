//! `binlog show`.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use primacy_binlog::describe::{Filter, Range};
use primacy_binlog::event::EventKind;
use primacy_binlog::index::base_name;
use primacy_binlog::{RawEvent, ReadError, Reader, RelayReader, SourceHint};
use primacy_errant::{Came, Live};
use primacy_replication::StartAt;
use primacy_types::{Address, BinlogPosition};

use super::inputs::{self, Input};
use super::live::failed;
use super::login::{self, LoginAs};
use super::unreadable;
use super::view::View;
use crate::args::{Global, ShowLogs};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;

pub(super) async fn run(global: &Global, printer: &mut Printer, args: &ShowLogs) -> Outcome {
    let filter = Filter {
        gtids: args.gtid.clone(),
        since: args.since,
        until: args.until,
        tables: args.table.clone(),
        from: args.from.clone(),
        to: args.to.clone(),
    };
    if let Some(server) = &args.server {
        return Box::pin(of_server(global, printer, args, filter, server)).await;
    }
    let (inputs, fine) = inputs::all(&args.files, printer)?;
    let mut view = View::new(printer, filter, args.transactions);
    let mut worst = if fine { Exit::Done } else { Exit::Refused };
    let mut relay_logs = Vec::new();
    for input in inputs {
        let paths = match input {
            Input::Stdin => {
                let shown = stdin(&mut view)?;
                worst = worst.max(shown);
                continue;
            }
            Input::File(path) => vec![path],
            Input::Folder(paths) => paths,
        };
        for path in paths {
            match file(&path, &mut view) {
                Ok(Shown::RelayLog) => relay_logs.push(path),
                Ok(Shown::End(exit)) => worst = worst.max(exit),
                Err(failure) if failure.message.is_empty() => return Err(failure),
                Err(failure) => {
                    view.failure(&failure)?;
                    worst = worst.max(failure.exit);
                }
            }
        }
    }
    if !relay_logs.is_empty() {
        match of_relay_logs(&relay_logs, args.source_file.as_deref(), &mut view) {
            Ok(exit) => worst = worst.max(exit),
            Err(failure) if failure.message.is_empty() => return Err(failure),
            Err(failure) => {
                view.failure(&failure)?;
                worst = worst.max(failure.exit);
            }
        }
    }
    view.flush()?;
    Ok(worst)
}

/// How far a file was shown.
enum Shown {
    /// It is a relay log: those are shown together.
    RelayLog,
    /// To its end, torn or not.
    End(Exit),
}

fn stdin(view: &mut View<'_>) -> Outcome {
    let reader = Reader::new(io::stdin().lock(), "-").map_err(|error| unreadable(&error))?;
    match stream(reader, "-", view, false) {
        Ok(Shown::End(exit)) => Ok(exit),
        Ok(Shown::RelayLog) => Ok(Exit::Done),
        Err(failure) if failure.message.is_empty() => Err(failure),
        Err(failure) => {
            view.failure(&failure)?;
            Ok(failure.exit)
        }
    }
}

fn file(path: &std::path::Path, view: &mut View<'_>) -> Result<Shown, Failure> {
    let reader: Reader<File> = Reader::open(path).map_err(|error| unreadable(&error))?;
    stream(reader, &base_name(path), view, true)
}

fn stream<R: Read>(
    mut reader: Reader<R>,
    name: &str,
    view: &mut View<'_>,
    relay_logs_apart: bool,
) -> Result<Shown, Failure> {
    view.next_stream();
    loop {
        let (event, format) = match reader.next_in_format() {
            Ok(Some(read)) => read,
            Ok(None) => {
                view.end(None)?;
                return Ok(Shown::End(Exit::Done));
            }
            Err(ReadError::Torn(mut torn)) => {
                name.clone_into(&mut torn.file);
                view.end(Some(&torn))?;
                return Ok(Shown::End(Exit::Refused));
            }
            Err(error) => {
                view.end(None)?;
                return Err(unreadable(&error));
            }
        };
        let first = event.offset() == 4 && event.kind() == EventKind::FORMAT_DESCRIPTION;
        if first && format.relay_log && relay_logs_apart {
            return Ok(Shown::RelayLog);
        }
        if view.is_over(name, event.offset()) {
            view.flush()?;
            return Ok(Shown::End(Exit::Done));
        }
        let range = Range { start: event.offset(), end: event.end() };
        view.event(name, range, &event, format)?;
    }
}

/// In the places of their source.
fn of_relay_logs(files: &[PathBuf], source: Option<&str>, view: &mut View<'_>) -> Outcome {
    let hint = source.zip(files.first()).map(|(source, first)| SourceHint {
        relay_log: base_name(first),
        offset: 0,
        source_file: source.to_owned(),
    });
    let mut reader = RelayReader::open(files, hint).map_err(|error| unreadable(&error))?;
    view.next_stream();
    loop {
        match reader.next() {
            Ok(Some(relayed)) => {
                let file = relayed.source_file.unwrap_or("?");
                if view.is_over(file, relayed.start) {
                    break;
                }
                let range = Range { start: relayed.start, end: relayed.end };
                view.event(file, range, &relayed.event, relayed.format)?;
            }
            Ok(None) => break,
            Err(error) => {
                view.end(None)?;
                return Err(unreadable(&error));
            }
        }
    }
    view.end(reader.torn())?;
    Ok(if reader.torn().is_some() { Exit::Refused } else { Exit::Done })
}

async fn of_server(
    global: &Global,
    printer: &mut Printer,
    args: &ShowLogs,
    filter: Filter,
    server: &Address,
) -> Outcome {
    let start = match &args.from {
        None => StartAt::Beginning,
        Some(place) => match place.position() {
            // The head of the file says what its events look like, wherever one begins.
            Some(place) => StartAt::Position(BinlogPosition::new(place.file, 4)),
            None => return Err(Failure::usage("--from needs FILE:POS with --server")),
        },
    };
    let options = login::options(global, &args.login, LoginAs::Replication, server)?;
    let mut live = Live::connect(&options, None, &start).await?;
    let mut view = View::new(printer, filter, args.transactions);
    view.next_stream();
    loop {
        let event = match live.next(false).await {
            Ok(Came::Event(event)) => event,
            Ok(Came::UpToDate) => break,
            Err(error) => {
                view.flush()?;
                return Err(failed(error));
            }
        };
        if view.is_over(&event.file, event.start) {
            break;
        }
        let range = Range { start: event.start, end: event.end };
        let raw = RawEvent::new(&event.bytes, event.start)
            .map_err(|error| Failure::new(Exit::Refused, error))?;
        if let Some(format) = live.format() {
            view.event(&event.file, range, &raw, format)?;
        }
    }
    view.end(None)?;
    Ok(Exit::Done)
}
