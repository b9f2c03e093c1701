//! Where exported transactions go: into a file that gets its name when all of it is there, or to
//! standard output.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use primacy_binlog::Reader;
use primacy_binlog::describe::{Filter, Range};
use primacy_binlog::event::EventKind;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::args::ExportErrant;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::verbs::binlog::spool::Spool;
use crate::verbs::binlog::unreadable;
use crate::verbs::binlog::view::View;

/// The first bytes of a binary log.
const MAGIC: [u8; 4] = [0xfe, b'b', b'i', b'n'];

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
}

/// How much was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) transactions: u64,
    pub(super) events: u64,
    /// Of the events.
    pub(super) bytes: u64,
}

/// From where on in the export what follows stood together in a file of the server.
struct Stretch {
    offset: u64,
    file: Arc<str>,
    start: u64,
}

/// The transactions so far, as a binary log.
pub(super) struct Saved {
    path: PathBuf,
    /// Where it is if it is not beside its place.
    _spool: Option<Spool>,
    file: BufWriter<File>,
    length: u64,
    counts: Counts,
    stretches: Vec<Stretch>,
    /// The server's file whose format stands last.
    head_of: Option<Arc<str>>,
    /// What holds again if the open transaction is given up.
    before: Option<(u64, Counts, usize)>,
    /// There is something to remove.
    unfinished: bool,
}

impl Saved {
    pub(super) fn begin(place: &Place) -> Result<Self, Failure> {
        let (path, spool) = match (&place.file, place.readable) {
            (Some(path), false) => (beside(path), None),
            _ => {
                let spool = Spool::new()?;
                (spool.path("errant"), Some(spool))
            }
        };
        let made = private(&path);
        let mut saved = Self {
            file: BufWriter::new(made.map_err(|e| failed("made", &path, &e))?),
            path,
            _spool: spool,
            length: 0,
            counts: Counts::default(),
            stretches: Vec::new(),
            head_of: None,
            before: None,
            unfinished: true,
        };
        saved.append(&MAGIC)?;
        Ok(saved)
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether the format of this file has to come before what follows.
    pub(super) fn needs_head(&self, file: &Arc<str>) -> bool {
        self.head_of.as_ref() != Some(file)
    }

    /// The events that follow are a transaction that begins there. The format comes before the
    /// first of each file, so that whoever reads it knows how.
    pub(super) fn begin_transaction(
        &mut self,
        head: &[u8],
        file: &Arc<str>,
        start: u64,
    ) -> Result<(), Failure> {
        self.before = Some((self.length, self.counts, self.stretches.len()));
        if self.needs_head(file) {
            self.append(head)?;
            self.head_of = Some(Arc::clone(file));
        }
        let follows = self.stretches.last().is_some_and(|last| {
            last.file == *file && last.start + (self.length - last.offset) == start
        });
        if !follows {
            self.stretches.push(Stretch { offset: self.length, file: Arc::clone(file), start });
        }
        Ok(())
    }

    pub(super) fn write(&mut self, event: &[u8]) -> Result<(), Failure> {
        self.append(event)?;
        self.counts.events += 1;
        self.counts.bytes += event.len() as u64;
        Ok(())
    }

    pub(super) fn complete(&mut self) {
        self.before = None;
        self.counts.transactions += 1;
    }

    /// Nothing of the open transaction stays.
    pub(super) fn give_up(&mut self) -> Result<(), Failure> {
        let Some((length, counts, stretches)) = self.before.take() else {
            return Ok(());
        };
        let shortened = self.file.flush().and_then(|()| {
            self.file.get_ref().set_len(length)?;
            self.file.seek(SeekFrom::Start(length))
        });
        shortened.map_err(|e| failed("shortened", &self.path, &e))?;
        (self.length, self.counts) = (length, counts);
        self.stretches.truncate(stretches);
        self.head_of = None;
        Ok(())
    }

    /// Puts it where it is wanted, as it is wanted.
    pub(super) fn finish(mut self, place: &Place, printer: &mut Printer) -> Result<(), Failure> {
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        synced.map_err(|e| failed("written", &self.path, &e))?;
        match (&place.file, place.readable) {
            (None, false) => self.to_stdout(printer),
            (None, true) => self.show(printer),
            (Some(path), false) => {
                named(&self.path, path, place.force)?;
                self.unfinished = false;
                Ok(())
            }
            (Some(path), true) => {
                let partial = beside(path);
                let written = private(&partial)
                    .map_err(|e| failed("made", &partial, &e))
                    .and_then(|file| printer.data_to(file, |printer| self.show(printer)))
                    .and_then(|()| named(&partial, path, place.force));
                if written.is_err() {
                    let _made_or_not = fs::remove_file(&partial);
                }
                written
            }
        }
    }

    fn to_stdout(&self, printer: &mut Printer) -> Result<(), Failure> {
        let wrong = |e: io::Error| failed("read", &self.path, &e);
        let mut file = File::open(&self.path).map_err(wrong)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer).map_err(wrong)? {
                0 => return Ok(()),
                n => printer.bytes(buffer.get(..n).unwrap_or_default())?,
            }
        }
    }

    /// Each event, at the place where the server has it.
    fn show(&self, printer: &mut Printer) -> Result<(), Failure> {
        let mut reader = Reader::open(&self.path).map_err(|error| unreadable(&error))?;
        let mut view = View::new(printer, Filter::default(), false);
        let mut stretches = self.stretches.iter().peekable();
        let mut current = None;
        while let Some((event, format)) =
            reader.next_in_format().map_err(|error| unreadable(&error))?
        {
            if event.kind() == EventKind::FORMAT_DESCRIPTION {
                continue;
            }
            while stretches.peek().is_some_and(|next| next.offset <= event.offset()) {
                current = stretches.next();
            }
            let Some(current) = current else { continue };
            let start = current.start + (event.offset() - current.offset);
            let range = Range { start, end: start + event.bytes().len() as u64 };
            view.event(&current.file, range, &event, format)?;
        }
        view.flush()
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|e| failed("written", &self.path, &e))?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}

impl Drop for Saved {
    fn drop(&mut self) {
        if self.unfinished {
            let _gone_already = fs::remove_file(&self.path);
        }
    }
}

/// A name for what is not yet finished, in the same folder.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.partial", std::process::id()))
}

/// A file that nobody else reads: there are rows in it.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Gives the finished file its name. Without `force` nothing that came there meanwhile is lost.
fn named(from: &Path, to: &Path, force: bool) -> Result<(), Failure> {
    let renamed = match force {
        true => fs::rename(from, to),
        false => renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(io::Error::from),
    };
    match renamed {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(exists(to)),
        // A file system that cannot refuse: it was looked at before.
        Err(e) if !force && e.raw_os_error() == Some(22) && to.symlink_metadata().is_err() => {
            fs::rename(from, to).map_err(|e| failed("named", to, &e))
        }
        Err(e) => Err(failed("named", to, &e)),
    }
}

fn exists(path: &Path) -> Failure {
    Failure::new(Exit::Refused, format!("{} is there already", path.display()))
        .hint("name another file, or replace it with --force")
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Refused, format!("{} could not be {what}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_folder(folder: &Path) -> Saved {
        let file = Some(folder.join("errant.binlog"));
        Saved::begin(&Place { file, readable: false, force: false }).unwrap()
    }

    fn bytes(saved: &mut Saved) -> Vec<u8> {
        saved.file.flush().unwrap();
        fs::read(&saved.path).unwrap()
    }

    #[test]
    fn nothing_stays_of_a_transaction_that_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let mut saved = in_folder(folder.path());
        let (one, two): (Arc<str>, Arc<str>) = ("binlog.000001".into(), "binlog.000002".into());
        saved.begin_transaction(b"HEAD1", &one, 100).unwrap();
        saved.write(b"half").unwrap();
        saved.give_up().unwrap();
        assert_eq!((bytes(&mut saved), saved.counts()), (MAGIC.to_vec(), Counts::default()));
        saved.begin_transaction(b"HEAD1", &one, 200).unwrap();
        saved.write(b"whole").unwrap();
        saved.complete();
        saved.begin_transaction(b"HEAD2", &two, 4).unwrap();
        saved.write(b"torn").unwrap();
        saved.give_up().unwrap();
        saved.begin_transaction(b"HEAD2", &two, 8).unwrap();
        saved.write(b"last").unwrap();
        saved.complete();
        assert_eq!(bytes(&mut saved), [&MAGIC[..], b"HEAD1wholeHEAD2last"].concat());
        assert_eq!(saved.counts(), Counts { transactions: 2, events: 2, bytes: 9 });
        let places: Vec<_> = saved.stretches.iter().map(|s| (s.offset, s.start)).collect();
        assert_eq!(places, [(9, 200), (19, 8)]);
    }

    #[test]
    fn what_stands_together_is_one_stretch() {
        let folder = tempfile::tempdir().unwrap();
        let mut saved = in_folder(folder.path());
        let file: Arc<str> = "binlog.000001".into();
        for start in [100, 105, 200] {
            saved.begin_transaction(b"HEAD", &file, start).unwrap();
            saved.write(b"event").unwrap();
            saved.complete();
        }
        let places: Vec<_> = saved.stretches.iter().map(|s| (s.offset, s.start)).collect();
        assert_eq!(places, [(8, 100), (18, 200)]);
    }

    #[test]
    fn a_file_that_came_meanwhile_is_kept_and_nothing_half_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::write(&from, "new").unwrap();
        fs::write(&to, "theirs").unwrap();
        let refused = named(&from, &to, false).unwrap_err();
        assert!(refused.message.contains("is there already"), "{}", refused.message);
        assert_eq!(fs::read(&to).unwrap(), b"theirs");
        named(&from, &to, true).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"new");
        fs::remove_file(&to).unwrap();
        drop(in_folder(folder.path()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
