//! `binlog cut`.

use std::path::{Path, PathBuf};

use primacy_binlog::event::EventKind;
use primacy_binlog::index::{base_name, next_name, number_of, previous_name};
use primacy_binlog::{
    Archive, ArchiveError, CutError, CutFrom, CutReport, CutRequest, CutSource, CutUntil,
    FileSummary, Reader, SourceHint, StartAt, Thoroughness, cut, relay, scan,
};
use primacy_types::{BinlogPosition, Flavor, TransactionSet};
use serde::Serialize;

use super::inputs::{self, Input};
use super::save::copy_of;
use super::spool::Spool;
use super::unreadable;
use crate::args::{CutLogs, Global};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;

/// The first bytes of a binary log.
const MAGIC: [u8; 4] = [0xfe, b'b', b'i', b'n'];

#[derive(Serialize)]
struct CutJson<'a> {
    folder: &'a Path,
    manifest: &'a primacy_binlog::Manifest,
    passed_over: u64,
    checksums_verified: bool,
}

pub(super) async fn run(global: &Global, printer: &mut Printer, args: &CutLogs) -> Outcome {
    let spool = Spool::new()?;
    let (spool, files) = match &args.server {
        Some(server) => {
            let spool = spool.of(format!("the logs of {server}"));
            let from = args.from.as_ref().and_then(|place| place.file.clone());
            let folder = spool.path("server");
            let copied = Box::pin(copy_of(global, &args.login, server, from, &folder)).await?;
            (spool, copied)
        }
        None => {
            let files = files(printer, args, &spool)?;
            (spool, files)
        }
    };
    let first = files.first().ok_or_else(|| failed(&CutError::NoFiles))?;
    let head = Reader::open(first).map_err(|e| unreadable(&e))?;
    let head = head_of(head)?;
    let source = match head.relay_log {
        true => CutSource::RelayLogs { files: files.clone(), hint: hint(args, first) },
        false => CutSource::Binlogs(files.clone()),
    };
    let request = CutRequest {
        from: from(args, &source, &files)?,
        until: args.to.as_deref().map(|text| until(text, head.flavor)).transpose()?,
    };
    let description =
        format!("primacy binlog cut, from {}", spool.said(&first.display().to_string()));
    let to_stdout = args.out == Path::new("-");
    let folder = if to_stdout { spool.path("cut") } else { args.out.clone() };
    let (archive, failure, report) = match cut(&source, &request, &folder, &description) {
        Ok(report) => (report.archive.clone(), None, Some(report)),
        // What is before the damage is saved.
        Err(CutError::Stopped { error, saved }) => (*saved, Some(unreadable(&error)), None),
        Err(error) => return Err(failed(&error)),
    };
    if to_stdout {
        write_stream(printer, &archive)?;
    }
    tell(printer, &archive, report.as_ref(), to_stdout, &spool)?;
    match failure {
        Some(failure) => Err(failure),
        None => Ok(Exit::Done),
    }
}

struct Head {
    relay_log: bool,
    flavor: Flavor,
}

fn head_of(mut reader: Reader<std::fs::File>) -> Result<Head, Failure> {
    reader.next().map_err(|error| unreadable(&error))?;
    let format = reader.format();
    Ok(Head {
        relay_log: format.is_some_and(|format| format.relay_log),
        flavor: format.map_or(Flavor::MySql, |format| format.flavor),
    })
}

fn files(printer: &mut Printer, args: &CutLogs, spool: &Spool) -> Result<Vec<PathBuf>, Failure> {
    let (inputs, fine) = inputs::all(&args.files, printer)?;
    if !fine {
        // A cut without one of its files would have a hole.
        return Err(Failure::new(Exit::Refused, "not all files can be read; nothing was cut"));
    }
    let mut files = Vec::new();
    for input in inputs {
        match input {
            Input::File(path) => files.push(path),
            Input::Folder(paths) => files.extend(paths),
            Input::Stdin => files.push(stdin(args, spool)?),
        }
    }
    for pair in files.windows(2) {
        if let [before, after] = pair {
            follows(before, after)?;
        }
    }
    Ok(files)
}

/// What is cut out of files between which one is missing would have a hole.
fn follows(before: &Path, after: &Path) -> Result<(), Failure> {
    let (before, after) = (base_name(before), base_name(after));
    match (next_name(&before), number_of(&after)) {
        (Some(next), Some(_)) if next != after => {
            let message = format!("{after} does not follow {before}: {next} is missing between");
            Err(Failure::new(Exit::Refused, message)
                .hint("name the files of one server, oldest first, and all between them"))
        }
        _ => Ok(()),
    }
}

/// Standard input under the name that its file had, as far as it can be known: positions are told
/// with it.
fn stdin(args: &CutLogs, spool: &Spool) -> Result<PathBuf, Failure> {
    let path = spool.stdin("stdin")?;
    let summary = scanned(&path)?;
    let asked = args.from.as_ref().and_then(|place| place.file.clone());
    let name = asked.or_else(|| summary.next_file.as_deref().and_then(previous_name));
    let Some(name) = name.filter(|name| !name.contains('/')) else {
        return Ok(path);
    };
    let named = spool.path(&name);
    match std::fs::rename(&path, &named) {
        Ok(()) => Ok(named),
        Err(_) => Ok(path),
    }
}

fn scanned(path: &Path) -> Result<FileSummary, Failure> {
    let mut reader = Reader::open(path).map_err(|error| unreadable(&error))?;
    scan(&mut reader, Thoroughness::Quick).map_err(|error| unreadable(&error))
}

fn hint(args: &CutLogs, first: &Path) -> Option<SourceHint> {
    let source_file = args.source_file.clone()?;
    Some(SourceHint { relay_log: base_name(first), offset: 0, source_file })
}

fn from(args: &CutLogs, source: &CutSource, files: &[PathBuf]) -> Result<CutFrom, Failure> {
    if let Some(set) = &args.missing_from {
        return set_of(set)
            .map(CutFrom::Missing)
            .ok_or_else(|| Failure::usage(format!("--missing-from {set:?} is no GTID set")));
    }
    let first = files.first().map(|path| base_name(path)).unwrap_or_default();
    match (&args.from, source) {
        (Some(place), CutSource::Binlogs(_)) => {
            let file = place.file.clone().unwrap_or(first);
            Ok(CutFrom::Position(BinlogPosition::new(file, place.offset)))
        }
        (Some(place), CutSource::RelayLogs { .. }) => place
            .position()
            .map(CutFrom::Position)
            .ok_or_else(|| Failure::usage("--from needs FILE:POS of the source with relay logs")),
        (None, CutSource::Binlogs(_)) => Ok(CutFrom::Position(BinlogPosition::new(first, 4))),
        (None, CutSource::RelayLogs { files, hint }) => {
            let summary = relay::summarize(files, hint.clone()).map_err(|e| unreadable(&e))?;
            summary.from.map(CutFrom::Position).ok_or_else(|| {
                Failure::new(
                    Exit::Refused,
                    "the relay logs hold no complete transaction, or do not say where from",
                )
                .hint("name the source's file that the first begins in with --source-file")
            })
        }
    }
}

/// Sets are tried first: a place is never one.
fn until(text: &str, flavor: Flavor) -> Result<CutUntil, Failure> {
    if let Some(set) =
        set_of(text).filter(|set| set.as_mysql().is_some() == (flavor == Flavor::MySql))
    {
        return Ok(CutUntil::Transactions(set));
    }
    let place: Option<BinlogPosition> =
        text.parse::<primacy_binlog::describe::Place>().ok().and_then(|place| place.position());
    place.map(CutUntil::Position).ok_or_else(|| {
        Failure::usage(format!("--to {text:?} is neither FILE:POS nor a GTID set of these files"))
    })
}

fn set_of(text: &str) -> Option<TransactionSet> {
    if text.trim().is_empty() {
        return None;
    }
    match text.parse() {
        Ok(set) => Some(TransactionSet::MySql(set)),
        Err(_) => text.parse().ok().map(TransactionSet::MariaDb),
    }
}

/// One file of all: the head of the first, and of each later one only its format.
fn write_stream(printer: &mut Printer, archive: &Archive) -> Result<(), Failure> {
    let wrong = |error: ArchiveError| Failure::new(Exit::Refused, error);
    let mut events = archive.events_from(StartAt::Beginning).map_err(wrong)?;
    let mut file = None;
    let mut buffer = Vec::new();
    while let Some(saved) = events.next().map_err(wrong)? {
        if file.as_deref() != Some(saved.file.name.as_str()) {
            let head = archive.head(saved.file).map_err(wrong)?;
            if file.is_none() {
                buffer.extend_from_slice(&MAGIC);
            }
            buffer.extend_from_slice(&head.format_description);
            if file.is_none() {
                buffer.extend_from_slice(head.previous.as_deref().unwrap_or_default());
            }
            file = Some(saved.file.name.clone());
        }
        // In one file nothing leads to another.
        if !matches!(saved.event.kind(), EventKind::ROTATE | EventKind::STOP) {
            buffer.extend_from_slice(saved.event.bytes());
        }
        if buffer.len() > 1 << 16 {
            printer.bytes(&buffer)?;
            buffer.clear();
        }
    }
    printer.bytes(&buffer)
}

fn tell(
    printer: &mut Printer,
    archive: &Archive,
    report: Option<&CutReport>,
    to_stdout: bool,
    spool: &Spool,
) -> Result<(), Failure> {
    let manifest = archive.manifest();
    if printer.wants_json() && !to_stdout {
        return printer.json(&CutJson {
            folder: archive.folder(),
            manifest,
            passed_over: report.map_or(0, |report| report.passed_over),
            checksums_verified: report.is_some_and(|report| report.checksums_verified),
        });
    }
    let mut text = format!(
        "{} transactions, {} events, {} bytes",
        manifest.transactions, manifest.events, manifest.bytes
    );
    if let (Some(from), Some(until)) = (archive.from_position(), archive.until_position()) {
        text.push_str(&format!(", {from} to {until}"));
    }
    text.push('\n');
    if !manifest.contents.is_empty() && manifest.contents.as_place().is_none() {
        text.push_str(&format!("GTIDs: {}\n", manifest.contents));
    }
    if let Some(tail) = &manifest.incomplete {
        let gtid = tail.gtid.as_deref().map_or_else(String::new, |gtid| format!(" {gtid}"));
        text.push_str(&format!(
            "left out: the transaction{gtid} at {}, of which {} bytes are there: {}\n",
            tail.start,
            tail.bytes,
            spool.said(&tail.why)
        ));
    }
    if report.is_some_and(|report| !report.checksums_verified) {
        text.push_str("not all events have checksums: damage inside one cannot be seen\n");
    }
    text.push_str(&format!("SHA-256 of the events: {}\n", manifest.sha256));
    if to_stdout {
        printer.note(text.trim_end());
        return Ok(());
    }
    text.push_str(&format!("saved in {}\n", archive.folder().display()));
    printer.data(&text)
}

fn failed(error: &CutError) -> Failure {
    if let CutError::Read(error) = error {
        return unreadable(error);
    }
    let failure = Failure::new(Exit::Refused, error);
    match error {
        CutError::InsideTransaction { .. } => {
            failure.hint("find where transactions begin: primacy binlog show --transactions FILE")
        }
        CutError::Purged { .. } | CutError::Gap { .. } => {
            failure.hint("name the earlier files, too, if they still exist somewhere")
        }
        CutError::Anonymous { .. } => {
            failure.hint("use --from FILE:POS in place of --missing-from")
        }
        CutError::SourceFileUnknown { .. } => failure.hint("add --source-file FILE"),
        _ => failure,
    }
}
