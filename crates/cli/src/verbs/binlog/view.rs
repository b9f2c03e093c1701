//! Turns events into lines: what is wanted of them, as text or JSON, many at a time.

use primacy_binlog::describe::{Describer, Filter, Range, plain};
use primacy_binlog::event::EventKind;
use primacy_binlog::{
    FormatDescription, Grouper, Part, RawEvent, Summarizer, Torn, TransactionSummary,
};
use serde::Serialize;

use crate::failure::Failure;
use crate::paint;
use crate::printer::Printer;
use crate::render::binlog::{EventJson, TransactionJson, event_line, transaction_line};

/// Characters that are collected before they are written.
const TOGETHER: usize = 1 << 16;

/// What is shown, and where to.
pub(in crate::verbs) struct View<'p> {
    printer: &'p mut Printer,
    lines: String,
    filter: Filter,
    how: How,
    file: String,
}

enum How {
    Events(Describer),
    Transactions(Box<Transactions>),
}

struct Transactions {
    grouper: Grouper,
    summarizer: Summarizer,
    /// Where the open transaction begins, in the coordinates that were given.
    start: u64,
    /// And how far it goes.
    end: u64,
}

#[derive(Serialize)]
struct TornJson<'a> {
    file: &'a str,
    start: u64,
    torn: bool,
    bytes: u64,
    needed: Option<u64>,
}

impl<'p> View<'p> {
    pub(in crate::verbs) fn new(
        printer: &'p mut Printer,
        filter: Filter,
        transactions: bool,
    ) -> Self {
        let how = match transactions {
            true => How::Transactions(Box::new(Transactions {
                grouper: Grouper::from_anywhere(),
                summarizer: Summarizer::default(),
                start: 0,
                end: 0,
            })),
            false => How::Events(Describer::new()),
        };
        Self { printer, lines: String::new(), filter, how, file: String::new() }
    }

    /// The events that follow are from another stream: nothing that is open goes on there.
    pub(in crate::verbs) fn next_stream(&mut self) {
        self.file.clear();
        match &mut self.how {
            How::Events(describer) => describer.next_file(),
            How::Transactions(open) => {
                open.grouper = Grouper::from_anywhere();
                open.summarizer = Summarizer::default();
            }
        }
    }

    /// Whether nothing that comes is wanted any more.
    pub(in crate::verbs) fn is_over(&self, file: &str, start: u64) -> bool {
        self.filter.is_over(file, start)
    }

    /// Shows the event, if it is wanted.
    pub(in crate::verbs) fn event(
        &mut self,
        file: &str,
        range: Range,
        event: &RawEvent<'_>,
        format: &FormatDescription,
    ) -> Result<(), Failure> {
        if self.file != file {
            file.clone_into(&mut self.file);
        }
        // What comes after the head of a binary log is the first of a transaction.
        let head = event.kind() == EventKind::FORMAT_DESCRIPTION && !format.relay_log;
        let json = self.printer.wants_json();
        match &mut self.how {
            How::Events(describer) => {
                let (filter, lines) = (&self.filter, &mut self.lines);
                describer.feed(event, format, range, &mut |facts| {
                    if filter.wants_event(file, facts) {
                        push(
                            lines,
                            json,
                            || event_line(&plain(file), facts),
                            &EventJson::of(file, facts),
                        );
                    }
                    Ok::<(), Failure>(())
                })?;
            }
            How::Transactions(open) => {
                if head && open.grouper.open().is_none() {
                    open.grouper.at_boundary();
                }
                let summary = open.feed(range, event, format);
                if let Some(summary) = summary.filter(|s| self.filter.wants_transaction(file, s)) {
                    let text = || transaction_line(&plain(file), &summary, true);
                    push(&mut self.lines, json, text, &TransactionJson::of(file, &summary, true));
                }
            }
        }
        if self.lines.len() >= TOGETHER { self.flush() } else { Ok(()) }
    }

    /// Shows what is open at the end, and where the file is torn.
    pub(in crate::verbs) fn end(&mut self, torn: Option<&Torn>) -> Result<(), Failure> {
        let json = self.printer.wants_json();
        let file = &self.file;
        if let How::Transactions(open) = &self.how
            && let Some(mut summary) = open.unfinished()
        {
            summary.end = open.end;
            if self.filter.wants_transaction(file, &summary) {
                let text = || transaction_line(&plain(file), &summary, false);
                push(&mut self.lines, json, text, &TransactionJson::of(file, &summary, false));
            }
        }
        if let Some(torn) = torn {
            let of = torn.needed.map_or_else(String::new, |needed| format!(" of {needed}"));
            let text = || {
                let place = format!("{}:{}", plain(&torn.file), torn.offset);
                let word = paint::doubtful("torn tail");
                format!("{place:<22}  {word}: {} bytes{of} of the next event", torn.have)
            };
            let (file, start) = (torn.file.as_str(), torn.offset);
            let value = TornJson { file, start, torn: true, bytes: torn.have, needed: torn.needed };
            push(&mut self.lines, json, text, &value);
        }
        self.flush()
    }

    /// Writes what was collected.
    pub(in crate::verbs) fn flush(&mut self) -> Result<(), Failure> {
        let lines = std::mem::take(&mut self.lines);
        self.printer.data(&lines)
    }

    /// An error of one file; the others go on.
    pub(in crate::verbs) fn failure(&mut self, failure: &Failure) -> Result<(), Failure> {
        self.flush()?;
        self.printer.failure(failure)
    }
}

impl Transactions {
    fn feed(
        &mut self,
        range: Range,
        event: &RawEvent<'_>,
        format: &FormatDescription,
    ) -> Option<TransactionSummary> {
        // What cannot be read belongs to no transaction; `show` without --transactions names it.
        let fed = self.grouper.feed(event, format).ok()?;
        if fed.part.opens() {
            self.start = range.start;
        }
        if !matches!(fed.part, Part::Outside | Part::Orphan) {
            self.end = range.end;
        }
        let mut summary = self.summarizer.feed(event, format, &fed)?;
        (summary.start, summary.end) = (self.start, self.end);
        Some(summary)
    }

    fn unfinished(&self) -> Option<TransactionSummary> {
        self.grouper.open()?;
        let mut summary = self.summarizer.unfinished()?.clone();
        summary.start = self.start;
        Some(summary)
    }
}

fn push(lines: &mut String, json: bool, text: impl Fn() -> String, value: &impl Serialize) {
    if json {
        // These values have only texts as keys, so that nothing can fail.
        lines.push_str(&serde_json::to_string(value).unwrap_or_default());
    } else {
        lines.push_str(&text());
    }
    lines.push('\n');
}
