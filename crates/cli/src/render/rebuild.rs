//! A rebuild's plan, and how far it is.

use primacy_api::{RebuildPhase, RebuildView};
use primacy_plan::RebuildPlan;

/// A plan that was not run.
pub(crate) fn plan(plan: &RebuildPlan) -> String {
    let mut text = format!(
        "rebuild of {} from {} ({})\n\n",
        plan.request.server,
        plan.donor,
        plan.method.word()
    );
    for (i, step) in plan.steps().iter().enumerate() {
        text.push_str(&format!("{:>4}. {step}\n", i + 1));
    }
    if !plan.notes.is_empty() {
        text.push_str("\nnotes\n");
        for note in &plan.notes {
            text.push_str(&format!("  {note}\n"));
        }
    }
    text
}

/// One line.
pub(crate) fn progress(view: &RebuildView) -> String {
    let mut text = format!("{}: {}", view.server, view.phase.word());
    if view.phase != RebuildPhase::Copying {
        return text;
    }
    let (done, total) = (view.bytes, view.total);
    if let Some(percent) = done.saturating_mul(100).checked_div(total) {
        text.push_str(&format!(" {percent:>3} %"));
    }
    text.push_str(&format!("  {} of about {}", size(done), size(total)));
    if view.paused {
        text.push_str(", waiting for the donor");
    } else if view.rate > 0 {
        text.push_str(&format!(", {}/s", size(view.rate)));
    }
    if let Some(eta) = view.eta {
        let seconds = eta.0.div_ceil(1000);
        text.push_str(&format!(", {}:{:02} left", seconds / 60, seconds % 60));
    }
    text
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KB", bytes.div_ceil(1024)),
        1_048_576..1_073_741_824 => format!("{} MB", bytes >> 20),
        _ => format!("{:.1} GB", bytes as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use primacy_types::{Millis, WallClock};

    #[test]
    fn progress_is_one_line_with_bytes_rate_and_rest() {
        let mut view = RebuildView {
            operation: "1".to_owned(),
            server: "db2:3306".parse().unwrap(),
            donor: "db3:3306".parse().unwrap(),
            started: WallClock(0),
            phase: RebuildPhase::Copying,
            bytes: 512 << 20,
            total: 2 << 30,
            rate: 50 << 20,
            eta: Some(Millis(61_500)),
            paused: false,
            outcome: None,
            sentence: None,
            old_data: None,
        };
        assert_eq!(
            progress(&view),
            "db2:3306: copying  25 %  512 MB of about 2.0 GB, 50 MB/s, 1:02 left"
        );
        (view.paused, view.eta) = (true, None);
        assert!(progress(&view).ends_with("2.0 GB, waiting for the donor"));
        view.phase = RebuildPhase::CatchingUp;
        assert_eq!(progress(&view), "db2:3306: catching up");
    }
}
