//! What came of an order.

use primacy_exec::Report;

use crate::paint;

/// What was done.
pub(crate) fn report(report: &Report) -> String {
    let mut text = format!("{}: {}\n", paint::good("done"), report.sentence);
    if !report.left.is_empty() {
        text.push_str(&format!("\n{}\n", paint::doubtful("left undone, and retried")));
        text.extend(report.left.iter().map(|what| format!("  - {what}\n")));
    }
    text
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use primacy_plan::OperationKind;
    use primacy_plan::testing::addr;
    use primacy_types::{Epoch, Millis};

    use super::*;
    use crate::render::testing::stripped;

    #[test]
    fn a_failover_that_left_a_replica_behind() {
        let done = Report {
            operation: "019aa2d6-5c85-7000-8000-000000000001".into(),
            kind: OperationKind::Failover,
            primary: addr("b"),
            epoch: Epoch(2),
            took: Millis(312),
            left: vec!["c:3306 does not follow b:3306 yet: no answer in time".into()],
            sentence: "b:3306 replaced a:3306 as primary in epoch 2 after 312 ms".into(),
        };
        assert_snapshot!(stripped(&report(&done)), @"
        done: b:3306 replaced a:3306 as primary in epoch 2 after 312 ms

        left undone, and retried
          - c:3306 does not follow b:3306 yet: no answer in time
        ");
    }
}
