//! Named transactions of a live server, as a binary log of their own.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use primacy_binlog::describe::{Filter, Range, WantedGtids};
use primacy_binlog::event::{EventKind, GtidOf};
use primacy_binlog::{FormatDescription, Grouper, Part, RawEvent};
use primacy_replication::StartAt;
use primacy_wire::ConnectOptions;

use super::MAGIC;
use super::live::{Came, Live, failed};
use super::view::View;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Printer;

/// Which transactions, and from where on the server is asked.
#[derive(Clone, Debug)]
pub(in crate::verbs) struct Wanted {
    pub(in crate::verbs) gtids: WantedGtids,
    /// MySQL sends only what is wanted, MariaDB everything from its oldest file on.
    pub(in crate::verbs) start: StartAt,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(in crate::verbs) struct Exported {
    pub(in crate::verbs) transactions: u64,
    pub(in crate::verbs) bytes: u64,
    /// The last one that was found.
    pub(in crate::verbs) last: Option<GtidOf>,
}

/// A file that appears under its name when it is complete.
struct Growing {
    to: BufWriter<File>,
    partial: PathBuf,
    path: PathBuf,
}

impl Growing {
    fn create(path: &Path) -> Result<Self, Failure> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".part");
        let partial = PathBuf::from(partial);
        // Binary logs hold everybody's data.
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial)
            .map_err(|e| wrong(&partial, &e))?;
        Ok(Self { to: BufWriter::new(file), partial, path: path.to_owned() })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.to.write_all(bytes).map_err(|e| wrong(&self.partial, &e))
    }

    fn finish(self) -> Result<(), Failure> {
        let Self { to, partial, path } = self;
        let file = to.into_inner().map_err(|e| wrong(&partial, e.error()))?;
        file.sync_all().map_err(|e| wrong(&partial, &e))?;
        fs::rename(&partial, &path).map_err(|e| wrong(&path, &e))
    }
}

fn wrong(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Refused, format!("{} could not be written: {error}", path.display()))
}

/// Writes the transactions to a file, byte for byte, as a binary log that `mysqlbinlog` and
/// `primacy binlog` read. The file appears only if there is something to put in it.
pub(in crate::verbs) async fn to_file(
    options: &ConnectOptions,
    wanted: &Wanted,
    path: &Path,
) -> Result<Exported, Failure> {
    let mut live = Live::connect(options, None, &wanted.start).await?;
    let mut file = Growing::create(path)?;
    let mut chosen = Chosen::default();
    let copied = copy(&mut live, wanted, &mut file, &mut chosen).await;
    if copied.is_err() || chosen.found.transactions == 0 {
        let partial = file.partial.clone();
        drop(file);
        // Nobody has seen it.
        let _ = fs::remove_file(partial);
        return copied.map(|()| chosen.found);
    }
    file.finish()?;
    Ok(chosen.found)
}

async fn copy(
    live: &mut Live,
    wanted: &Wanted,
    file: &mut Growing,
    chosen: &mut Chosen,
) -> Result<(), Failure> {
    loop {
        let event = match live.next(false).await.map_err(failed)? {
            Came::Event(event) => event,
            Came::UpToDate => return Ok(()),
        };
        let raw = RawEvent::new(&event.bytes, event.start)
            .map_err(|error| Failure::new(Exit::Refused, error))?;
        let (Some(format), Some(head)) = (live.format(), live.head()) else { continue };
        if !chosen.takes(&raw, format, &wanted.gtids)? {
            continue;
        }
        if chosen.found.bytes == 0 {
            file.write(&MAGIC)?;
        }
        if chosen.head.as_deref() != Some(head) {
            file.write(head)?;
            chosen.head = Some(head.to_vec());
        }
        file.write(&event.bytes)?;
        chosen.found.bytes += event.bytes.len() as u64;
    }
}

/// Tells the events of what is wanted from the others.
#[derive(Default)]
struct Chosen {
    grouper: Grouper,
    /// The open group is wanted.
    inside: bool,
    /// The format under which the last event was written.
    head: Option<Vec<u8>>,
    found: Exported,
}

impl Chosen {
    fn takes(
        &mut self,
        event: &RawEvent<'_>,
        format: &FormatDescription,
        wanted: &WantedGtids,
    ) -> Result<bool, Failure> {
        if event.kind() == EventKind::FORMAT_DESCRIPTION {
            self.grouper.at_boundary();
            self.inside = false;
            return Ok(false);
        }
        let fed = self
            .grouper
            .feed(event, format)
            .map_err(|error| Failure::new(Exit::Refused, error.to_string()))?;
        if fed.part == Part::Outside {
            return Ok(false);
        }
        let gtid = fed.group.and_then(|group| group.gtid);
        if fed.part.opens() {
            self.inside = gtid.is_some_and(|gtid| wanted.holds(&gtid));
        }
        let takes = self.inside;
        if fed.part.completes() {
            if takes {
                self.found.transactions += 1;
                self.found.last = gtid;
            }
            self.inside = false;
        }
        Ok(takes)
    }
}

/// Shows the transactions.
pub(in crate::verbs) async fn as_text(
    options: &ConnectOptions,
    wanted: &Wanted,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let filter = Filter { gtids: Some(wanted.gtids.clone()), ..Filter::default() };
    let mut live = Live::connect(options, None, &wanted.start).await?;
    let mut view = View::new(printer, filter, false);
    view.next_stream();
    loop {
        let event = match live.next(false).await.map_err(failed)? {
            Came::Event(event) => event,
            Came::UpToDate => return view.flush(),
        };
        let raw = RawEvent::new(&event.bytes, event.start)
            .map_err(|error| Failure::new(Exit::Refused, error))?;
        if let Some(format) = live.format() {
            view.event(&event.file, Range { start: event.start, end: event.end }, &raw, format)?;
        }
    }
}
