//! Whether files are what a server wrote, and whether they follow each other: checksums, the
//! places that events say they end at, the order of GTIDs, the lists of earlier GTIDs, and the
//! names by which one file leads to the next.
//!
//! A server that dies leaves a torn tail, and a file that is being written has one at any moment:
//! that is told apart from damage. Which of the two it was is not decided here.

mod chain;
mod events;
mod finding;

use std::io::Read;

use crate::error::ReadError;
use crate::reader::{FileKind, Reader};
use crate::scan::{Checksums, FileSummary, Thoroughness, scan_watched};

use chain::Chain;
use events::Watcher;
pub use finding::{Disorder, Note};

/// Findings of one kind that are kept of a file; the others are only counted.
const KEPT: usize = 20;

/// What is to be thought of one file.
#[derive(Clone, Debug)]
pub struct FileVerdict {
    /// What it holds.
    pub summary: FileSummary,
    /// What no server would have written so; the first twenty.
    pub disorders: Vec<Disorder>,
    /// How many more there are.
    pub more: u64,
    /// What is worth knowing and not wrong.
    pub notes: Vec<Note>,
}

/// In one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Judgement {
    /// Nothing is wrong.
    Clean,
    /// It ends in the middle of an event or a transaction, as a crash leaves it.
    TornTail,
    /// It is damaged or out of order.
    Wrong,
}

impl FileVerdict {
    /// In one word.
    pub fn judgement(&self) -> Judgement {
        if !self.disorders.is_empty() {
            return Judgement::Wrong;
        }
        let torn = |note: &Note| matches!(note, Note::Torn(_) | Note::Unfinished { .. });
        if self.notes.iter().any(torn) { Judgement::TornTail } else { Judgement::Clean }
    }
}

/// Judges files one after another, oldest first.
#[derive(Default)]
pub struct Verifier {
    complete: bool,
    chain: Option<Chain>,
}

impl Verifier {
    /// For files that were picked: two whose names do not follow each other are judged apart.
    pub fn new() -> Self {
        Self::default()
    }

    /// For all files of a server: one that is not there between two others is a disorder.
    pub fn of_all() -> Self {
        Self { complete: true, chain: None }
    }

    /// Reads a file to its end and judges it. An error is that it could not be read.
    pub fn file<R: Read>(&mut self, reader: &mut Reader<R>) -> Result<FileVerdict, ReadError> {
        let name = reader.file().to_owned();
        let before = match self.chain.take() {
            Some(chain) if chain.leads_to(&name, self.complete) => Some(chain),
            _ => None,
        };
        let mut watcher = Watcher::new(before.as_ref());
        let summary = scan_watched(reader, Thoroughness::Verified, &mut |event, format, fed| {
            watcher.event(event, format, fed);
        })?;
        let (mut disorders, more, mut notes, seen) = watcher.finish();
        own_findings(&summary, &mut disorders, &mut notes);
        if let Some(before) = &before {
            before.judge(&name, &summary, &mut disorders, &mut notes);
        }
        self.chain = Some(Chain::of(&name, &summary, seen));
        Ok(FileVerdict { summary, disorders, more, notes })
    }
}

/// What the file itself says.
fn own_findings(summary: &FileSummary, disorders: &mut Vec<Disorder>, notes: &mut Vec<Note>) {
    match summary.kind {
        FileKind::EncryptedMySql | FileKind::EncryptedMariaDb { .. } => {
            disorders.push(Disorder::Encrypted);
        }
        FileKind::NotABinlog => disorders.push(Disorder::NotABinlog),
        FileKind::Empty => notes.push(Note::Empty),
        FileKind::Plain => {}
    }
    if let Some(corrupt) = &summary.corrupt {
        disorders.push(Disorder::Damaged { at: corrupt.offset, why: corrupt.why.to_string() });
    }
    if summary.orphans > 0 && !summary.relay_log {
        disorders.push(Disorder::Headless { events: summary.orphans });
    }
    if summary.relay_log {
        notes.push(Note::RelayLog);
    }
    if summary.in_use {
        notes.push(Note::InUse);
    }
    if let Some(torn) = &summary.torn {
        notes.push(Note::Torn(torn.clone()));
    }
    if let (Some(open), None) = (&summary.incomplete, &summary.corrupt) {
        let (at, bytes) = (open.start, open.bytes);
        let gtid = open.gtid.map(|gtid| gtid.to_string());
        // A server finishes a transaction before it goes on in another file. A receiver does not.
        if summary.next_file.is_some() && !summary.relay_log {
            disorders.push(Disorder::ClosedInside { at });
        } else if !summary.relay_log || summary.torn.is_some() {
            notes.push(Note::Unfinished { at, bytes, gtid });
        }
    }
    if summary.checksums == Checksums::None && summary.kind == FileKind::Plain {
        notes.push(Note::NoChecksums);
    }
}

#[cfg(test)]
mod tests;
