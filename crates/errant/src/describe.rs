//! A copy of transactions as text.

use std::io::{BufWriter, Write};
use std::path::Path;

use primacy_binlog::describe::{Describer, EventFacts, plain};

use crate::saved::{beside, name, private};
use crate::{ErrantError, Written};

/// Writes a line for each event of a copy, with the place where the server has it.
///
/// # Errors
/// If the copy cannot be read, or the text not written; nothing half is left.
pub fn describe(written: &Written, to: &Path) -> Result<(), ErrantError> {
    let partial = beside(to);
    let done = describe_into(written, &partial).and_then(|()| name(&partial, to, false));
    if done.is_err() {
        let _made_or_not = std::fs::remove_file(&partial);
    }
    done
}

fn describe_into(written: &Written, to: &Path) -> Result<(), ErrantError> {
    let file = private(to).map_err(ErrantError::file("made", to))?;
    let mut out = BufWriter::new(file);
    let mut describer = Describer::new();
    written.each_event(|file, range, event, format| {
        describer.feed(event, format, range, &mut |facts| {
            writeln!(out, "{}", line(file, facts)).map_err(ErrantError::file("written", to))
        })
    })?;
    let synced = out.flush().and_then(|()| out.get_ref().sync_all());
    synced.map_err(ErrantError::file("written", to))
}

fn line(file: &str, facts: &EventFacts) -> String {
    let mut line = format!("{}:{}", plain(file), facts.start);
    if let Some(gtid) = &facts.gtid {
        line.push_str(&format!("  {gtid}"));
    }
    line.push_str(&format!("  {}", facts.kind));
    if let Some(database) = &facts.database {
        line.push_str(&format!("  {database}"));
        if let Some(table) = &facts.table {
            line.push_str(&format!(".{table}"));
        }
    }
    if let Some(rows) = facts.rows {
        line.push_str(&format!("  {rows} row(s)"));
    }
    if let Some(statement) = &facts.statement {
        line.push_str(&format!("  {statement}"));
    }
    if !facts.details.is_empty() {
        line.push_str(&format!("  {}", facts.details));
    }
    line
}
