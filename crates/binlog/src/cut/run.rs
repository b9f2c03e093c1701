//! The cut itself: one pass over the events.

use std::path::Path;

use primacy_types::{BinlogPosition, TransactionSet};

use super::filter::{Choice, Filter, holds};
use super::head::{Head, decode_previous, purged};
use super::stream::{SourceEvent, Stream};
use super::{CutError, CutFrom, CutReport, CutRequest, CutSource, CutUntil};
use crate::archive::{ArchiveWriter, Ending, IncompleteTail, is_previous};
use crate::error::{BodyError, ReadError, Torn};
use crate::event::{EventKind, FormatDescription, GtidOf};
use crate::gtids::Collector;
use crate::place::compare;
use crate::transaction::{Fed, Grouper, OpenGroup, Part};

/// What is known while the events go by.
struct Run<'a> {
    request: &'a CutRequest,
    /// Whether the files are relay logs: these may begin anywhere, and repeat themselves.
    relay: bool,
    writer: ArchiveWriter,
    filter: Filter,
    grouper: Grouper,
    contents: Collector,
    /// The source's file that the events are from.
    head: Option<Head>,
    /// How far this file was read.
    seen_end: u64,
    /// Where in it the open transaction begins.
    start: u64,
    /// Whether the open transaction is being written.
    writing: bool,
    /// The open transaction is one that was complete before.
    repeated: bool,
    /// Where the last complete transaction that was seen ends.
    done: Option<BinlogPosition>,
    /// Whether something before the place to start from was seen, so that nothing is missing.
    saw_earlier: bool,
    passed_over: u64,
    checksums: bool,
    /// The place to end at was reached.
    stop: bool,
}

pub(super) fn run(
    source: &CutSource,
    request: &CutRequest,
    folder: &Path,
    description: &str,
) -> Result<CutReport, CutError> {
    let (files, relay) = match source {
        CutSource::Binlogs(files) => (files, false),
        CutSource::RelayLogs { files, .. } => (files, true),
    };
    if files.is_empty() {
        return Err(CutError::NoFiles);
    }
    let mut stream = Stream::open(source)?;
    let mut run = Run {
        request,
        relay,
        writer: ArchiveWriter::create(folder, description)?,
        filter: Filter::new(Some(request.from.clone())),
        grouper: if relay { Grouper::from_anywhere() } else { Grouper::new() },
        contents: Collector::default(),
        head: None,
        seen_end: 0,
        start: 0,
        writing: false,
        repeated: false,
        done: None,
        saw_earlier: false,
        passed_over: 0,
        checksums: true,
        stop: false,
    };
    let mut failure = None;
    while !run.stop {
        match stream.next() {
            Ok(Some(event)) => match run.take(&event) {
                Ok(()) => {}
                Err(CutError::Read(error)) => {
                    failure = Some(error);
                    break;
                }
                Err(other) => return Err(other),
            },
            Ok(None) => break,
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    run.finish(stream.torn().cloned(), failure)
}

impl Run<'_> {
    fn take(&mut self, event: &SourceEvent<'_>) -> Result<(), CutError> {
        let wrong = |source| event.corrupt(source);
        if !self.enter_file(event)? {
            return Ok(());
        }
        if event.is_exact() {
            self.seen_end = event.end;
        }
        self.checksums &= event.format.has_checksums();
        let kind = event.event.kind();
        if kind == EventKind::FORMAT_DESCRIPTION {
            return self.note_format(event);
        }
        if is_previous(kind) && self.note_previous(event)? {
            return Ok(());
        }
        if let (EventKind::ROTATE, Some(head)) = (kind, &mut self.head) {
            head.note_rotation(&event.event, event.format).map_err(wrong)?;
        }
        self.trust_the_place(event);
        let fed = self.grouper.feed(&event.event, event.format).map_err(wrong)?;
        if fed.abandoned.is_some() {
            self.writer.give_up()?;
            self.writing = false;
        }
        if fed.part.opens() {
            self.start = event.start;
            self.repeated = self.is_repeated(event, &fed)?;
        }
        if self.repeated && fed.part != Part::Outside {
            self.repeated = !fed.part.completes();
            return Ok(());
        }
        let had_started = self.filter.has_started();
        let choice = self.filter.judge(&fed, event.name(), event.range(), event.is_exact());
        let taken = match choice {
            Choice::Leave => false,
            // The end of a transaction that began in relay logs that are gone.
            Choice::Take => fed.part != Part::Orphan,
            Choice::Anonymous => {
                return Err(CutError::Anonymous { at: event.at(event.start) });
            }
            Choice::InsideTransaction(asked) if self.saw_earlier || !self.relay => {
                return Err(CutError::InsideTransaction { asked });
            }
            Choice::InsideTransaction(asked) => {
                return Err(CutError::Gap { asked, begin: event.at(event.start) });
            }
        };
        if !had_started && event.is_exact() {
            self.check_gap(event)?;
            self.saw_earlier = true;
        }
        self.write(event, &fed, taken)
    }

    /// Notes when the events are from another file than before. Whether it is known which.
    fn enter_file(&mut self, event: &SourceEvent<'_>) -> Result<bool, CutError> {
        let Some(name) = event.file else {
            // A format description may come before anything says which file it is of.
            return match event.event.kind() {
                EventKind::FORMAT_DESCRIPTION => Ok(false),
                _ => Err(CutError::SourceFileUnknown { relay_log: event.on_disk.to_owned() }),
            };
        };
        if self.head.as_ref().is_some_and(|head| head.name == name) {
            return Ok(true);
        }
        // No transaction goes on in another file of the source: an open one was lost with it, or
        // is sent again.
        if self.grouper.at_boundary().is_some() {
            self.writer.give_up()?;
            self.writing = false;
        }
        self.head = Some(Head::new(name, self.head.take()));
        Ok(true)
    }

    fn note_format(&mut self, event: &SourceEvent<'_>) -> Result<(), CutError> {
        let Some(head) = &mut self.head else {
            return Ok(());
        };
        head.note_format(&event.event).map_err(|source| event.corrupt(source))?;
        if head.from_start && self.grouper.open().is_none() {
            // Whatever comes after the head of a file is the first of a transaction.
            self.grouper.at_boundary();
        }
        Ok(())
    }

    /// Notes the list of earlier GTIDs at the head of a file. Whether it was one: MariaDB may
    /// write others later.
    fn note_previous(&mut self, event: &SourceEvent<'_>) -> Result<bool, CutError> {
        let previous =
            decode_previous(&event.event, event.format).map_err(|source| event.corrupt(source))?;
        let is_first = self.done.is_none() && !self.saw_earlier;
        if let (CutFrom::Missing(has), true) = (&self.request.from, is_first)
            && let Some(missing) = purged(&previous, has, self.request.until.as_ref())
        {
            return Err(CutError::Purged { missing, previous });
        }
        let Some(head) = &mut self.head else {
            return Ok(true);
        };
        if head.told || head.previous.is_some() {
            return Ok(false);
        }
        let bytes = event.event.bytes().to_vec();
        head.previous = Some((bytes, event.format.has_checksums()));
        Ok(true)
    }

    /// Whoever asks for a place knows that it is between transactions, even if these files begin
    /// in the middle of one.
    fn trust_the_place(&mut self, event: &SourceEvent<'_>) {
        if let CutFrom::Position(asked) = &self.request.from
            && compare(event.name(), event.start, asked).is_eq()
            && self.grouper.open().is_none()
        {
            self.grouper.at_boundary();
        }
    }

    /// The place to start from must not be before the first event that is there.
    fn check_gap(&self, event: &SourceEvent<'_>) -> Result<(), CutError> {
        let CutFrom::Position(asked) = &self.request.from else {
            return Ok(());
        };
        if self.saw_earlier || compare(event.name(), event.start, asked).is_le() {
            return Ok(());
        }
        // Before the first event of a whole file is nothing but its head.
        let from_head = !self.relay || self.head.as_ref().is_some_and(|head| head.from_start);
        if event.name() == asked.file && from_head {
            return Ok(());
        }
        Err(CutError::Gap { asked: asked.clone(), begin: event.at(event.start) })
    }

    /// Whether a transaction begins that was complete before: a receiver got it again.
    fn is_repeated(&self, event: &SourceEvent<'_>, fed: &Fed) -> Result<bool, CutError> {
        let before = |done| compare(event.name(), event.start, done).is_lt();
        if !self.done.as_ref().is_some_and(before) {
            return Ok(false);
        }
        let known = match fed.group.and_then(|group| group.gtid) {
            None | Some(GtidOf::Anonymous) => true,
            Some(gtid) => self.contents.has(&gtid) || self.was_passed_over(&gtid),
        };
        if known {
            return Ok(true);
        }
        let found = fed.group.and_then(|group| group.gtid);
        let found = found.map_or_else(String::new, |gtid| gtid.to_string());
        Err(CutError::Conflict { at: event.at(event.start), found })
    }

    fn was_passed_over(&self, gtid: &GtidOf) -> bool {
        match &self.request.from {
            CutFrom::Position(_) => true,
            CutFrom::Missing(set) => holds(set, gtid) || !self.is_wanted(Some(*gtid)),
        }
    }

    /// Whether a transaction is within what was asked for.
    fn is_wanted(&self, gtid: Option<GtidOf>) -> bool {
        match (&self.request.until, gtid) {
            (Some(CutUntil::Transactions(set)), Some(gtid)) => holds(set, &gtid),
            (Some(CutUntil::Transactions(_)), None) => false,
            _ => true,
        }
    }

    fn write(&mut self, event: &SourceEvent<'_>, fed: &Fed, taken: bool) -> Result<(), CutError> {
        if fed.part == Part::Orphan {
            return Ok(());
        }
        if self.is_beyond(event) {
            self.writer.give_up()?;
            (self.writing, self.stop) = (false, true);
            return Ok(());
        }
        if fed.part == Part::Outside {
            let told = self.head.as_ref().is_some_and(|head| head.told);
            if taken && told && !self.writing {
                self.fits_its_head(event)?;
                self.writer.write(&event.event, event.start, event.end)?;
            }
            return Ok(());
        }
        if fed.part.opens() {
            self.writing = taken && self.is_wanted(fed.group.and_then(|group| group.gtid));
            if self.writing {
                self.tell_head(event)?;
                self.writer.begin();
            }
        }
        if self.writing {
            self.fits_its_head(event)?;
            self.writer.write(&event.event, event.start, event.end)?;
        }
        if fed.part.completes() {
            self.complete(event, fed);
        }
        Ok(())
    }

    /// The saved file has one head, and whoever reads it reads all its events so. Files that were
    /// put together from two sources, or from before and after a change of format, would become
    /// one that nobody can read, or that reads as other transactions.
    fn fits_its_head(&self, event: &SourceEvent<'_>) -> Result<(), CutError> {
        let format = self.head.as_ref().and_then(|head| head.format.as_ref());
        let Some((format, _)) = format else { return Ok(()) };
        // Relay logs may not repeat the source's format description: then the replica's holds.
        if !self.relay && !format.reads_like(event.format) {
            return Err(two_formats(event, &event.format.server_version));
        }
        one_form(format, event.format.has_checksums(), event)
    }

    fn complete(&mut self, event: &SourceEvent<'_>, fed: &Fed) {
        match &mut self.done {
            Some(done) if done.file == event.name() => done.offset = event.end,
            done => *done = Some(event.at(event.end)),
        }
        if self.writing {
            self.writer.commit();
            if let Some(gtid) = fed.group.and_then(|group| group.gtid) {
                self.contents.add(gtid);
            }
        } else {
            self.passed_over += 1;
        }
        self.writing = false;
    }

    /// Whether the event ends beyond where the cut shall end.
    fn is_beyond(&self, event: &SourceEvent<'_>) -> bool {
        match &self.request.until {
            Some(CutUntil::Position(until)) => {
                event.is_exact() && compare(event.name(), event.end, until).is_gt()
            }
            _ => false,
        }
    }

    /// Tells the writer which file the transaction is from.
    fn tell_head(&mut self, event: &SourceEvent<'_>) -> Result<(), CutError> {
        let Some(head) = &mut self.head else {
            return Ok(());
        };
        if head.told {
            return Ok(());
        }
        let Some((format, bytes)) = &head.format else {
            return Err(CutError::NoFormat { file: event.on_disk.to_owned() });
        };
        let mut previous = None;
        if let Some((bytes, has_checksum)) = &head.previous {
            one_form(format, *has_checksum, event)?;
            previous = Some(&bytes[..]);
        }
        self.writer.file(&head.name, format, bytes, previous)?;
        head.told = true;
        Ok(())
    }

    fn finish(
        mut self,
        torn: Option<Torn>,
        failure: Option<ReadError>,
    ) -> Result<CutReport, CutError> {
        if let CutFrom::Position(asked) = &self.request.from
            && failure.is_none()
            && !self.filter.has_started()
            && let Some(head) = &self.head
            && compare(&head.name, self.seen_end, asked).is_lt()
            && head.next.as_ref() != Some(asked)
        {
            let end = BinlogPosition::new(&*head.name, self.seen_end);
            return Err(CutError::NotReached { asked: asked.clone(), end });
        }
        self.writer.give_up()?;
        let open = self.grouper.open().filter(|_| !self.stop && !self.repeated);
        let incomplete = open.map(|open| self.incomplete(open, torn.as_ref(), failure.as_ref()));
        let kind = match &self.request.from {
            CutFrom::Position(_) => TransactionSet::UpTo(None),
            CutFrom::Missing(set) => set.nothing(),
        };
        let ending = Ending {
            contents: self.contents.finish(&kind),
            incomplete: incomplete.clone(),
            stopped_by: failure.as_ref().map(ToString::to_string),
        };
        let archive = self.writer.finish(ending)?;
        if let Some(error) = failure {
            return Err(CutError::Stopped { error: Box::new(error), saved: Box::new(archive) });
        }
        Ok(CutReport {
            archive,
            passed_over: self.passed_over,
            incomplete,
            torn,
            checksums_verified: self.checksums,
        })
    }

    fn incomplete(
        &self,
        open: &OpenGroup,
        torn: Option<&Torn>,
        failure: Option<&ReadError>,
    ) -> IncompleteTail {
        let file = self.head.as_ref().map_or("", |head| &head.name);
        let why = match (failure, torn) {
            (Some(error), _) => error.to_string(),
            (None, Some(torn)) => torn.to_string(),
            (None, None) => "the files end before it does".to_owned(),
        };
        IncompleteTail {
            start: BinlogPosition::new(file, self.start),
            gtid: open.gtid.map(|gtid| gtid.to_string()),
            bytes: open.bytes.saturating_add(torn.map_or(0, |torn| torn.have)),
            why,
        }
    }
}

/// What is written of a file ends in checksums as its format description says; `event` is where
/// that was noticed.
fn one_form(
    format: &FormatDescription,
    has_checksum: bool,
    event: &SourceEvent<'_>,
) -> Result<(), CutError> {
    match (format.has_checksums(), has_checksum) {
        (true, false) => Err(two_formats(event, "events without checksums")),
        (false, true) => Err(two_formats(event, "events with checksums")),
        _ => Ok(()),
    }
}

fn two_formats(event: &SourceEvent<'_>, found: &str) -> CutError {
    let (kind, found) = (event.event.kind(), found.to_owned());
    let expected = "the format that the file began with";
    event.corrupt(BodyError { kind, at: 0, expected, found }).into()
}
