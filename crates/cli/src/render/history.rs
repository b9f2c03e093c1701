//! `primacy history`: past operations, and one of them from its beginning to its end.

use primacy_api::{HistoryDetail, HistoryEntry};
use primacy_store::{Event, JournalEntry, Outcome, StepState};
use primacy_types::WallClock;

use super::{page, table};
use crate::look::{Look, after, between};
use crate::paint;

/// So much of an id is its moment in milliseconds, which is enough to find it again.
const SHORT: usize = 13;

/// The operations, the newest first.
pub(crate) fn list(entries: &[HistoryEntry], look: &Look) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let rows = entries.iter().map(|entry| {
        [
            entry.id.as_str().chars().take(SHORT).collect(),
            look.moment(entry.started),
            entry.cluster.clone(),
            entry.kind.clone(),
            entry
                .finished
                .map_or_else(|| "-".to_owned(), |end| between(entry.started, end).to_string()),
            outcome(entry).to_owned(),
            entry.sentence.clone().unwrap_or_default(),
        ]
    });
    table::plain(
        ["Id", "Began", "Cluster", "Kind", "Took", "Outcome", "What happened"],
        rows.collect(),
    )
}

fn outcome(entry: &HistoryEntry) -> &'static str {
    match entry.outcome {
        Some(Outcome::Done) => "done",
        Some(Outcome::Failed) => "failed",
        Some(Outcome::BackedOut) => "put back",
        None => "not finished",
    }
}

/// One operation; moments are relative to its beginning.
pub(crate) fn detail(detail: &HistoryDetail, look: &Look) -> String {
    let HistoryDetail { operation, journal, timeline } = detail;
    let began = operation.started;
    let mut heading =
        format!("{} of {}  {}\n", operation.kind, paint::strong(&operation.cluster), operation.id);
    heading.push_str(&format!("  began    {}\n", look.moment(began)));
    if let Some(at) = operation.past_no_return {
        heading.push_str(&format!("  could not be put back from {} on\n", after(began, at)));
    }
    if let Some(end) = operation.finished {
        heading.push_str(&format!("  ended    {} ({})\n", look.moment(end), after(began, end)));
    }
    let sentence = operation.sentence.as_ref().map(|s| format!(": {s}")).unwrap_or_default();
    heading.push_str(&format!("  outcome  {}{sentence}\n", coloured(operation)));
    page([
        heading,
        section("timeline", timeline.iter().map(|event| event_line(began, event))),
        section("journal", journal.iter().map(|entry| journal_line(began, entry))),
    ])
}

fn coloured(operation: &HistoryEntry) -> String {
    let word = outcome(operation);
    match operation.outcome {
        Some(Outcome::Done) => paint::good(word),
        Some(Outcome::Failed) => paint::bad(word),
        Some(Outcome::BackedOut) | None => paint::doubtful(word),
    }
}

fn section(title: &str, lines: impl Iterator<Item = String>) -> String {
    let lines: String = lines.map(|line| format!("{line}\n")).collect();
    if lines.is_empty() { lines } else { format!("{}\n{lines}", paint::strong(title)) }
}

/// One line of a timeline, also while it is followed.
pub(crate) fn event_line(began: WallClock, event: &Event) -> String {
    let relative = if event.at < began {
        format!("-{}", after(event.at, began).trim_start_matches('+'))
    } else {
        after(began, event.at)
    };
    format!("{relative:>12}  {}  {}", paint::level(event.level), event.text)
}

fn journal_line(began: WallClock, entry: &JournalEntry) -> String {
    let state = match entry.state {
        StepState::Started => paint::faint("started"),
        StepState::Done => paint::good("done"),
        StepState::Failed => paint::bad("failed"),
        StepState::Skipped => "skipped".to_owned(),
        StepState::Undone => paint::doubtful("undone"),
    };
    let at = after(began, entry.at);
    format!("{at:>12}  {:<5} {:<15} {state}", place(entry.step), entry.name)
}

/// `1.4`: the fourth step of the first plan. The journal numbers steps from 0 and adds a thousand
/// for each time that the plan was made.
fn place(step: u32) -> String {
    format!("{}.{}", (step / 1000).max(1), step % 1000 + 1)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use primacy_store::{Level, OperationId};
    use serde_json::{Value, json};

    use super::*;
    use crate::render::testing::{BEGAN, stripped};

    fn later(ms: u64) -> WallClock {
        WallClock(BEGAN.0 + ms)
    }

    fn entry(number: u8, outcome: Option<Outcome>) -> HistoryEntry {
        let id = json!(format!("019aa2d6-5c8{number}-7000-8000-000000000001"));
        HistoryEntry {
            id: serde_json::from_value::<OperationId>(id).unwrap(),
            cluster: "c1".into(),
            kind: "failover".into(),
            started: BEGAN,
            finished: outcome.map(|_| later(412)),
            outcome,
            sentence: outcome.map(|_| "b:3306 replaced a:3306 as primary in epoch 2".into()),
            past_no_return: outcome.map(|_| later(51)),
            plan: Value::Null,
        }
    }

    fn event(ms: u64, level: Level, text: &str) -> Event {
        Event {
            number: ms,
            cluster: "c1".into(),
            operation: None,
            at: later(ms),
            level,
            text: text.into(),
            data: Value::Null,
        }
    }

    fn step(ms: u64, step: u32, name: &str, state: StepState) -> JournalEntry {
        JournalEntry { step, name: name.into(), state, at: later(ms), detail: Value::Null }
    }

    #[test]
    fn the_latest_operations() {
        let entries =
            [entry(3, None), entry(2, Some(Outcome::BackedOut)), entry(1, Some(Outcome::Done))];
        assert_snapshot!(list(&entries, &Look::plain()), @"
        Id             Began                    Cluster  Kind      Took    Outcome       What happened
        019aa2d6-5c83  2026-11-20 21:12:03.045  c1       failover  -       not finished
        019aa2d6-5c82  2026-11-20 21:12:03.045  c1       failover  412 ms  put back      b:3306 replaced a:3306 as primary in epoch 2
        019aa2d6-5c81  2026-11-20 21:12:03.045  c1       failover  412 ms  done          b:3306 replaced a:3306 as primary in epoch 2
        ");
    }

    #[test]
    fn one_operation_in_milliseconds() {
        let shown = HistoryDetail {
            operation: entry(1, Some(Outcome::Done)),
            journal: vec![
                step(1, 1000, "fence", StepState::Started),
                step(30, 1000, "fence", StepState::Done),
                step(60, 1001, "seal-receivers", StepState::Failed),
                step(61, 2003, "drain", StepState::Skipped),
            ],
            timeline: vec![
                event(0, Level::Alarm, "The primary a:3306 is dead: its process is gone"),
                event(12, Level::Info, "fence a:3306 (local)"),
                event(61_007, Level::Warning, "c:3306 does not follow yet"),
            ],
        };
        assert_snapshot!(stripped(&detail(&shown, &Look::plain())), @"
        failover of c1  019aa2d6-5c81-7000-8000-000000000001
          began    2026-11-20 21:12:03.045
          could not be put back from +0.051 s on
          ended    2026-11-20 21:12:03.457 (+0.412 s)
          outcome  done: b:3306 replaced a:3306 as primary in epoch 2

        timeline
            +0.000 s  alarm    The primary a:3306 is dead: its process is gone
            +0.012 s  info     fence a:3306 (local)
           +61.007 s  warning  c:3306 does not follow yet

        journal
            +0.001 s  1.1   fence           started
            +0.030 s  1.1   fence           done
            +0.060 s  1.2   seal-receivers  failed
            +0.061 s  2.4   drain           skipped
        ");
    }

    #[test]
    fn what_was_seen_just_before_has_a_minus() {
        let mut before = event(0, Level::Notice, "the first probe failed");
        before.at = WallClock(BEGAN.0 - 48);
        let line = stripped(&event_line(BEGAN, &before));
        assert_eq!(line, "    -0.048 s  notice   the first probe failed");
    }
}
