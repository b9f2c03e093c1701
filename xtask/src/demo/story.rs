//! What the demo prints at its end: the timeline, and the account of the rows.

use primacy_store::Level;
use primacy_types::WallClock;

use super::{Seen, WRITERS};

/// The whole of it, line by line.
pub(super) fn lines(seen: &Seen) -> Vec<String> {
    let mut lines = vec![format!("Failover of {}, milliseconds since the kill:", seen.server)];
    lines.extend(timeline(seen).iter().map(|(at, text)| format!("{at:>8}  {text}")));
    lines.push(String::new());
    lines.extend(account(seen));
    lines.push(String::new());
    lines.push(conclusion(seen));
    lines
}

/// The manager's events and our own, in order.
fn timeline(seen: &Seen) -> Vec<(i64, String)> {
    let since = |at: WallClock| {
        let signed = |at: WallClock| i64::try_from(at.0).unwrap_or(i64::MAX);
        signed(at) - signed(seen.killed)
    };
    let mut entries = vec![(0, format!("{} is killed with SIGKILL", seen.killed_server))];
    for event in seen.failover.iter().flat_map(|detail| &detail.timeline) {
        let mark = match event.level {
            Level::Info | Level::Notice => "",
            Level::Warning => "warning: ",
            Level::Alarm => "ALARM: ",
        };
        entries.push((since(event.at), format!("{mark}{}", event.text)));
    }
    // The first server's first row was before the kill.
    for ack in seen.tally.first_rows.iter().skip(1) {
        let name = seen.names.iter().find(|(id, _)| *id == ack.server);
        let name = name.map_or("another server", |(_, name)| name);
        entries.push((since(ack.wall), format!("applications write again, on {name}")));
    }
    entries.sort_by_key(|(at, _)| *at);
    entries
}

fn account(seen: &Seen) -> Vec<String> {
    let tally = &seen.tally;
    let missing = match tally.missing() {
        Some(count) => count.to_string(),
        None => "unknown: no server could be asked".into(),
    };
    let mut lines = vec![
        "Writes, counted on every server that runs:".to_owned(),
        format!("{:>8}  rows acknowledged to {WRITERS} writers", tally.acknowledged),
        format!("{missing:>8}  of them missing"),
        format!("{:>8}  taken by the old primary after the new one's first", tally.late),
        format!("{:>8}  ms was the longest that a writer waited", tally.longest_gap.as_millis()),
    ];
    for (kind, count) in &tally.errors {
        lines.push(format!("          ({count} x {kind})"));
    }
    for (server, missing) in &tally.missing_by_server {
        if let Ok(count @ 1..) = missing {
            lines.push(format!("          ({server} still has {count} to apply)"));
        }
    }
    lines
}

fn conclusion(seen: &Seen) -> String {
    let Some(detail) = &seen.failover else {
        return "FAILED: the manager did no failover.".into();
    };
    let sentence = detail.operation.sentence.clone().unwrap_or_default();
    if seen.succeeded() {
        format!("Nothing is missing. {sentence}")
    } else if detail.operation.outcome.is_none() {
        "FAILED: the failover has not ended.".into()
    } else {
        format!("FAILED. {sentence}")
    }
}
