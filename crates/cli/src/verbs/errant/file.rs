//! Where exported transactions go: into a file that gets its name when all of it is there, or to
//! standard output.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use primacy_binlog::describe::Filter;
use primacy_errant::{ErrantError, Saved, Written, beside, name, private};

use crate::args::ExportErrant;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::verbs::binlog::spool::Spool;
use crate::verbs::binlog::view::View;

/// Where to, and as what.
pub(super) struct Place {
    /// `None` is standard output.
    file: Option<PathBuf>,
    readable: bool,
    force: bool,
}

impl Place {
    /// Refuses what would be written over, before anything is asked of a server.
    pub(super) fn of(args: &ExportErrant, printer: &Printer) -> Result<Self, Failure> {
        let (readable, force) = (args.readable, args.force);
        if args.out == Path::new("-") {
            if !readable && printer.shows_on_terminal() {
                return Err(Failure::usage("a binary log is nothing for a terminal")
                    .hint("name a file with -o FILE, or add --readable"));
            }
            return Ok(Self { file: None, readable, force });
        }
        if args.out.file_name().is_none() {
            return Err(Failure::usage(format!("{} is no name of a file", args.out.display())));
        }
        match args.out.symlink_metadata() {
            Ok(_) if !force => return Err(exists(&args.out)),
            Ok(found) if !found.is_file() => {
                return Err(Failure::usage(format!("{} is no plain file", args.out.display())));
            }
            _ => {}
        }
        Ok(Self { file: Some(args.out.clone()), readable, force })
    }

    /// The file, if it is one.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The file that the transactions are written to at first, and its folder if it is not beside
    /// its place.
    pub(super) fn begin(&self) -> Result<(Saved, Option<Spool>), Failure> {
        match (&self.file, self.readable) {
            (Some(path), false) => Ok((Saved::begin(beside(path))?, None)),
            _ => {
                let spool = Spool::new()?;
                Ok((Saved::begin(spool.path("errant"))?, Some(spool)))
            }
        }
    }

    /// Puts it where it is wanted, as it is wanted.
    pub(super) fn put(&self, written: Written, printer: &mut Printer) -> Result<(), Failure> {
        match (&self.file, self.readable) {
            (None, false) => to_stdout(&written, printer),
            (None, true) => show(&written, printer),
            (Some(path), false) => Ok(written.name(path, self.force)?),
            (Some(path), true) => {
                let partial = beside(path);
                let named = private(&partial)
                    .map_err(|e| failed("made", &partial, &e))
                    .and_then(|file| printer.data_to(file, |printer| show(&written, printer)))
                    .and_then(|()| Ok(name(&partial, path, self.force)?));
                if named.is_err() {
                    let _made_or_not = fs::remove_file(&partial);
                }
                named
            }
        }
    }
}

fn to_stdout(written: &Written, printer: &mut Printer) -> Result<(), Failure> {
    let wrong = |e: io::Error| failed("read", written.path(), &e);
    let mut file = File::open(written.path()).map_err(wrong)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(wrong)? {
            0 => return Ok(()),
            n => printer.bytes(buffer.get(..n).unwrap_or_default())?,
        }
    }
}

/// Each event, at the place where the server has it.
fn show(written: &Written, printer: &mut Printer) -> Result<(), Failure> {
    let mut view = View::new(printer, Filter::default(), false);
    written.each_event(|file, range, event, format| view.event(file, range, event, format))?;
    view.flush()
}

fn exists(path: &Path) -> Failure {
    ErrantError::Exists { path: path.to_owned() }.into()
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Refused, format!("{} could not be {what}: {error}", path.display()))
}
