//! `binlog verify`.

use std::io;
use std::path::Path;

use primacy_binlog::verify::{FileVerdict, Judgement, Verifier};
use primacy_binlog::{Archive, ReadError, Reader};

use super::inputs::{self, Input};
use super::save::copy_of;
use super::spool::Spool;
use super::unreadable;
use crate::args::{Global, VerifyLogs};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;
use crate::render::binlog::{FileJson, VerdictsJson, file_lines, summary_line};

#[derive(Default)]
struct Tally {
    files: usize,
    wrong: usize,
    torn: usize,
    unread: usize,
    json: Vec<FileJson>,
}

pub(super) async fn run(global: &Global, printer: &mut Printer, args: &VerifyLogs) -> Outcome {
    let spool = Spool::new()?;
    let (inputs, fine) = match &args.server {
        Some(server) => {
            let folder = spool.path("server");
            let copied = Box::pin(copy_of(global, &args.login, server, None, &folder)).await?;
            (vec![Input::Folder(copied)], true)
        }
        None => inputs::all(&args.files, printer)?,
    };
    let mut tally = Tally::default();
    tally.unread += usize::from(!fine);
    let mut picked = Verifier::new();
    for (index, input) in inputs.into_iter().enumerate() {
        match input {
            Input::Stdin => {
                let reader = Reader::new(io::stdin().lock(), "-");
                let verdict = reader.and_then(|mut reader| picked.file(&mut reader));
                tally.add(printer, verdict)?;
            }
            Input::File(path) => tally.file(printer, &mut picked, &path)?,
            Input::Folder(paths) => {
                let mut all = Verifier::of_all();
                for path in &paths {
                    tally.file(printer, &mut all, path)?;
                }
                if let Some(folder) = args.files.get(index) {
                    tally.archive(printer, folder)?;
                }
            }
        }
    }
    let verdict = match (tally.wrong + tally.unread, tally.torn) {
        (0, 0) => "clean",
        (0, _) => "torn_tail",
        _ => "wrong",
    };
    if printer.wants_json() {
        printer.json(&VerdictsJson { verdict, files: tally.json })?;
    } else if tally.files > 0 {
        let line = summary_line(tally.files, tally.wrong, tally.torn, tally.unread);
        printer.data(&line)?;
    }
    Ok(match verdict {
        "clean" => Exit::Done,
        "torn_tail" if !args.strict => Exit::Done,
        _ => Exit::Refused,
    })
}

impl Tally {
    fn file(
        &mut self,
        printer: &mut Printer,
        verifier: &mut Verifier,
        path: &Path,
    ) -> Result<(), Failure> {
        let verdict = Reader::open(path).and_then(|mut reader| verifier.file(&mut reader));
        self.add(printer, verdict)
    }

    fn add(
        &mut self,
        printer: &mut Printer,
        verdict: Result<FileVerdict, ReadError>,
    ) -> Result<(), Failure> {
        self.files += 1;
        let verdict = match verdict {
            Ok(verdict) => verdict,
            Err(error) => {
                self.unread += 1;
                return printer.failure(&unreadable(&error));
            }
        };
        match verdict.judgement() {
            Judgement::Clean => {}
            Judgement::TornTail => self.torn += 1,
            Judgement::Wrong => self.wrong += 1,
        }
        if printer.wants_json() {
            self.json.push(FileJson::of(&verdict));
            Ok(())
        } else {
            printer.data(&file_lines(&verdict))
        }
    }

    /// A folder that `cut` made has a manifest, and a checksum over all.
    fn archive(&mut self, printer: &mut Printer, folder: &Path) -> Result<(), Failure> {
        if !folder.join("manifest.json").exists() {
            return Ok(());
        }
        match Archive::open(folder) {
            Ok(archive) if !printer.wants_json() => printer.data(&format!(
                "{}: as it was saved, SHA-256 {}",
                folder.display(),
                archive.manifest().sha256
            )),
            Ok(_) => Ok(()),
            Err(error) => {
                self.wrong += 1;
                printer.failure(&Failure::new(Exit::Refused, error))
            }
        }
    }
}
