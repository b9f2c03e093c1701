//! What is to be thought of files.

use primacy_binlog::FileKind;
use primacy_binlog::verify::{FileVerdict, Judgement};
use serde::Serialize;

use crate::paint;

/// `binlog verify --json`
#[derive(Serialize)]
pub(crate) struct VerdictsJson {
    pub(crate) verdict: &'static str,
    pub(crate) files: Vec<FileJson>,
}

/// One file of it.
#[derive(Serialize)]
pub(crate) struct FileJson {
    file: String,
    verdict: &'static str,
    server_version: String,
    events: u64,
    transactions: u64,
    gtids: String,
    end: u64,
    end_of_last_complete: u64,
    checksums: String,
    disorders: Vec<FindingJson>,
    more_disorders: u64,
    notes: Vec<FindingJson>,
}

#[derive(Serialize)]
struct FindingJson {
    code: &'static str,
    text: String,
}

impl FileJson {
    pub(crate) fn of(verdict: &FileVerdict) -> Self {
        let summary = &verdict.summary;
        let disorders = verdict.disorders.iter();
        let notes = verdict.notes.iter();
        Self {
            file: summary.file.clone(),
            verdict: word(verdict.judgement()),
            server_version: summary.server_version.clone(),
            events: summary.events,
            transactions: summary.transactions,
            gtids: summary.gtids.to_string(),
            end: summary.last,
            end_of_last_complete: summary.end_of_last_complete,
            checksums: format!("{:?}", summary.checksums).to_lowercase(),
            disorders: disorders
                .map(|d| FindingJson { code: d.code(), text: d.to_string() })
                .collect(),
            more_disorders: verdict.more,
            notes: notes.map(|n| FindingJson { code: n.code(), text: n.to_string() }).collect(),
        }
    }
}

pub(crate) const fn word(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::Clean => "clean",
        Judgement::TornTail => "torn_tail",
        Judgement::Wrong => "wrong",
    }
}

/// A line for the file, and one for each finding.
pub(crate) fn file_lines(verdict: &FileVerdict) -> String {
    let summary = &verdict.summary;
    let said = match verdict.judgement() {
        Judgement::Clean => paint::good("clean"),
        Judgement::TornTail => paint::doubtful("torn tail"),
        Judgement::Wrong => paint::bad("wrong"),
    };
    let mut text = format!("{}: {said}", summary.file);
    if summary.kind == FileKind::Plain {
        text.push_str(&format!(
            ", {}, {}{}",
            many(summary.events, "event"),
            many(summary.transactions, "transaction"),
            if summary.gtids.is_empty() { String::new() } else { format!(", {}", summary.gtids) }
        ));
    }
    text.push('\n');
    for disorder in &verdict.disorders {
        text.push_str(&format!("  {}: {disorder}\n", paint::bad("wrong")));
    }
    if verdict.more > 0 {
        text.push_str(&format!("  and {} more\n", verdict.more));
    }
    for note in &verdict.notes {
        text.push_str(&format!("  {note}\n"));
    }
    text
}

fn many(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The last line, over all files.
pub(crate) fn summary_line(files: usize, wrong: usize, torn: usize, unread: usize) -> String {
    let of = match files {
        1 => "1 file".to_owned(),
        n => format!("{n} files"),
    };
    let mut words = Vec::new();
    if wrong > 0 {
        words.push(format!("{wrong} damaged or out of order"));
    }
    if unread > 0 {
        words.push(format!("{unread} could not be read"));
    }
    match (words.is_empty(), torn) {
        (true, 0) => return format!("{of}: nothing is wrong"),
        (true, _) => {
            return format!(
                "{of}: nothing is wrong but the torn tail, which a crash or a server that is \
                 writing leaves"
            );
        }
        (false, 0) => {}
        (false, n) => words.push(format!("{n} with a torn tail")),
    }
    format!("{of}: {}", words.join(", "))
}
