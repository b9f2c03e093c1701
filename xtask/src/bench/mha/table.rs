//! What both managers came to, side by side.

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::Who;
use crate::bench::table::{median, seconds};

/// One failover.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// From the event to the first row that a new primary acknowledged.
    pub(super) outage: Duration,
    /// From the event to the end of the manager.
    pub(super) total: Duration,
    pub(super) acknowledged: usize,
    pub(super) missing: usize,
    pub(super) late: usize,
    /// Servers that accept writes at the end.
    pub(super) writable: usize,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "outage {}, ended after {}, {} rows, {} missing, {} late, {} writable",
            seconds(self.outage),
            seconds(self.total),
            self.acknowledged,
            self.missing,
            self.late,
            self.writable
        )
    }
}

/// The runs of one manager.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) server: String,
    pub(super) what: &'static str,
    pub(super) who: Who,
    pub(super) runs: Vec<Run>,
    /// Runs that came to no good end, and why.
    pub(super) failed: Vec<String>,
    /// Why there are no runs.
    pub(super) does_not_watch: Option<String>,
}

impl Case {
    /// Whether every run ended well, and nothing is missing or late.
    pub(super) fn is_clean(&self) -> bool {
        let clean = |run: &Run| (run.missing, run.late, run.writable) == (0, 0, 1);
        self.failed.is_empty() && !self.runs.is_empty() && self.runs.iter().all(clean)
    }

    fn times(&self, time: fn(&Run) -> Duration) -> Times {
        let mut all: Vec<_> = self.runs.iter().map(time).collect();
        all.sort();
        Times(all)
    }
}

/// Sorted times.
struct Times(Vec<Duration>);

impl fmt::Display for Times {
    /// `0.093 s (0.081 to 0.120)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (median(&self.0), self.0.first(), self.0.last()) {
            (Some(middle), Some(least), Some(most)) => {
                let [least, most] = [least, most].map(Duration::as_secs_f64);
                write!(f, "{} ({least:.3} to {most:.3})", seconds(middle))
            }
            _ => f.write_str("-"),
        }
    }
}

/// All cases, and each one's ratio.
pub(super) fn markdown(cases: &[Case]) -> String {
    let mut text = String::from(
        "| server | case | manager | runs | outage, median (minimum to maximum) | until it ended | \
         rows acknowledged | missing | late | servers writable at the end |\n\
         |---|---|---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for case in cases.iter().filter(|case| case.does_not_watch.is_none()) {
        let runs = &case.runs;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            case.server,
            case.what,
            case.who.name(),
            runs.len(),
            case.times(|run| run.outage),
            case.times(|run| run.total),
            runs.iter().map(|run| run.acknowledged).sum::<usize>(),
            runs.iter().map(|run| run.missing).sum::<usize>(),
            runs.iter().map(|run| run.late).sum::<usize>(),
            runs.iter().map(|run| run.writable).max().unwrap_or_default(),
        );
    }
    text.push_str("\nHow many times longer it takes with MHA, by the medians:\n\n");
    for pair in cases.chunks_exact(2) {
        let ratio = |time| ratio(&pair[0].times(time), &pair[1].times(time));
        if let (Some(outage), Some(total)) = (ratio(|run| run.outage), ratio(|run| run.total)) {
            let (server, what) = (&pair[0].server, pair[0].what);
            let _ = writeln!(text, "- {server}, {what}: outage {outage:.1}, total {total:.1}");
        }
    }
    for case in cases {
        let heading = format!("{}, {}, {}", case.server, case.what, case.who.name());
        if let Some(why) = &case.does_not_watch {
            let _ = writeln!(text, "- {heading}: no runs; it does not watch this server: `{why}`");
        }
        for why in &case.failed {
            let _ = writeln!(text, "- **A run failed**: {heading}: {why}");
        }
    }
    text
}

/// How many times as long the first ones take.
fn ratio(long: &Times, short: &Times) -> Option<f64> {
    Some(median(&long.0)?.as_secs_f64() / median(&short.0)?.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(who: Who, outages: &[u64]) -> Case {
        let run = |ms: &u64| Run {
            outage: Duration::from_millis(*ms),
            total: Duration::from_millis(*ms * 2),
            acknowledged: 10,
            missing: 0,
            late: 0,
            writable: 1,
        };
        let runs = outages.iter().map(run).collect();
        let (server, what) = ("x".into(), "kill");
        Case { server, what, who, runs, failed: Vec::new(), does_not_watch: None }
    }

    #[test]
    fn the_ratio_is_that_of_the_medians() {
        let cases = [case(Who::Mha, &[9000, 12_000, 10_000]), case(Who::Primacy, &[500, 100, 600])];
        let text = markdown(&cases);
        assert!(
            text.contains("| x | kill | MHA | 3 | 10.000 s (9.000 to 12.000) | 20.000 s"),
            "{text}"
        );
        assert!(text.contains("- x, kill: outage 20.0, total 20.0\n"), "{text}");
    }

    #[test]
    fn a_manager_without_runs_has_no_ratio_and_its_reason_is_shown() {
        let mut none = case(Who::Mha, &[]);
        none.does_not_watch = Some("no such word".into());
        let text = markdown(&[none.clone(), case(Who::Primacy, &[100])]);
        assert!(
            text.contains("- x, kill, MHA: no runs; it does not watch this server: `no such word`")
        );
        assert!(!text.contains("outage 0") && !none.is_clean());
    }
}
