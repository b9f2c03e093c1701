//! Runs of a case, and their medians and maxima as a Markdown table.

use std::fmt::Write as _;
use std::time::Duration;

use crate::writer::Tally;

/// One run.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// The longest gap between two acknowledgements.
    pub(super) outage: Duration,
    pub(super) acknowledged: usize,
    /// `None`: no server could be asked.
    pub(super) missing: Option<usize>,
    pub(super) late: u64,
    /// How long two servers were writable.
    pub(super) two_writable: Duration,
    /// A frozen primary went on when it got SIGCONT; otherwise the fence had killed it.
    pub(super) went_on: Option<bool>,
}

impl Run {
    pub(super) fn of(tally: &Tally, two_writable: Duration) -> Self {
        Self {
            outage: tally.longest_gap,
            acknowledged: tally.acknowledged,
            missing: tally.missing(),
            late: tally.late,
            two_writable,
            went_on: None,
        }
    }
}

/// Runs of one kind on one server.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) server: String,
    pub(super) what: &'static str,
    pub(super) runs: Vec<Run>,
    /// Runs that came to no end, and why.
    pub(super) failed: Vec<String>,
}

impl Case {
    /// Whether every run ended, and nothing is missing or late.
    pub(super) fn is_clean(&self) -> bool {
        let clean = |run: &Run| run.missing == Some(0) && run.late == 0;
        self.failed.is_empty() && self.runs.iter().all(clean)
    }
}

/// All cases as a table, and every single outage below it.
pub(super) fn markdown(cases: &[Case]) -> String {
    let mut text = String::from(
        "| server | case | runs | outage, median | outage, maximum | rows acknowledged | missing \
         | late | two writable, maximum |\n|---|---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for case in cases {
        let runs = &case.runs;
        let mut outages: Vec<_> = runs.iter().map(|run| run.outage).collect();
        outages.sort();
        let missing = runs.iter().map(|run| run.missing).sum::<Option<usize>>();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            case.server,
            case.what,
            runs.len(),
            median(&outages).map_or_else(|| "-".into(), seconds),
            outages.last().copied().map_or_else(|| "-".into(), seconds),
            runs.iter().map(|run| run.acknowledged).sum::<usize>(),
            missing.map_or_else(|| "unknown".into(), |count| count.to_string()),
            runs.iter().map(|run| run.late).sum::<u64>(),
            runs.iter().map(|run| run.two_writable).max().map_or_else(|| "-".into(), seconds),
        );
    }
    text.push_str("\nEvery outage, in the order of the runs:\n\n");
    for case in cases {
        let all: Vec<_> = case.runs.iter().map(|run| seconds(run.outage)).collect();
        let _ = writeln!(text, "- {}, {}: {}", case.server, case.what, all.join(", "));
        let resumed: Vec<bool> = case.runs.iter().filter_map(|run| run.went_on).collect();
        if !resumed.is_empty() {
            let gone = resumed.iter().filter(|went_on| !**went_on).count();
            let of = resumed.len();
            let _ = writeln!(
                text,
                "  - SIGCONT found the old primary killed by the fence: {gone} of {of}"
            );
        }
        for why in &case.failed {
            let _ = writeln!(text, "  - **a run failed**: {why}");
        }
    }
    text
}

/// The middle of sorted values; of an even number, the mean of the two.
pub(super) fn median(sorted: &[Duration]) -> Option<Duration> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2),
    }
}

/// `0.093 s`
pub(super) fn seconds(duration: Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let of = |ms: &[u64]| {
            let all: Vec<_> = ms.iter().map(|ms| Duration::from_millis(*ms)).collect();
            median(&all).map(|d| d.as_millis())
        };
        assert_eq!(
            (of(&[]), of(&[7]), of(&[1, 3]), of(&[1, 2, 9])),
            (None, Some(7), Some(2), Some(2))
        );
    }

    #[test]
    fn one_run_that_could_not_be_counted_makes_the_sum_unknown() {
        let run = |missing| Run {
            outage: Duration::from_millis(90),
            acknowledged: 10,
            missing,
            late: 0,
            two_writable: Duration::ZERO,
            went_on: None,
        };
        let case = |runs| Case { server: "x".into(), what: "kill", runs, failed: Vec::new() };
        let text = markdown(&[case(vec![run(Some(0)), run(None)])]);
        assert!(text.contains("| x | kill | 2 | 0.090 s | 0.090 s | 20 | unknown | 0 | 0.000 s |"));
        assert!(case(vec![run(Some(0))]).is_clean() && !case(vec![run(None)]).is_clean());
    }
}
