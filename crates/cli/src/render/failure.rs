//! Errors and refusals: what it was, each reason, and the way out of each.

use crate::failure::Failure;
use crate::paint;

/// As it is written to standard error.
pub(crate) fn render(failure: &Failure) -> String {
    let mut text = format!("{}: {}", paint::bad("error"), failure.message);
    for (why, remedy) in &failure.reasons {
        text.push_str(&format!("\n  - {why}"));
        if !remedy.is_empty() {
            text.push_str(&format!("\n    way out: {remedy}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use primacy_api::{ApiError, ErrorKind};
    use primacy_plan::testing::cluster;
    use primacy_plan::{
        FailoverRequest, Stage, SwitchoverRequest, diagnose, plan_failover, plan_switchover,
    };

    use primacy_types::ContactFailure;

    use super::*;
    use crate::exit::Exit;
    use crate::render::testing::stripped;

    fn refusal(refusal: primacy_plan::Refusal) -> Failure {
        ApiError {
            kind: ErrorKind::Refused,
            message: format!("{} refused; nothing was touched", refusal.kind),
            reasons: refusal.reasons,
        }
        .into()
    }

    #[test]
    fn a_refused_switchover_names_each_reason_once() {
        let mut world = cluster(["a", "b", "c"]);
        world.facts("b").log_bin = false;
        world.facts("c").log_replica_updates = false;
        let diagnosis = diagnose(&world.snapshot);
        let failure = refusal(
            plan_switchover(&world.snapshot, &diagnosis, &SwitchoverRequest::default())
                .unwrap_err(),
        );
        assert_eq!(failure.exit, Exit::Refused);
        assert_snapshot!(stripped(&render(&failure)), @"
        error: switchover refused; nothing was touched
          - no server can become primary (b:3306: it writes no binary log (log_bin is off) / c:3306: it does not log what it replicates (log_replica_updates is off))
            way out: mend what stands against one
        ");
    }

    #[test]
    fn a_failover_without_a_fence() {
        let world = cluster(["a", "b", "c"])
            .failing("a", ContactFailure::Silent, 6000, 12)
            .receiver_lost("b")
            .receiver_lost("c");
        let diagnosis = diagnose(&world.snapshot);
        let request = FailoverRequest::default();
        let plan = plan_failover(&world.snapshot, &diagnosis, &request, Stage::BeforeFence);
        assert_snapshot!(stripped(&render(&refusal(plan.unwrap_err()))), @r#"
        error: failover refused; nothing was touched
          - a:3306 is silent and cannot be fenced, so it might still accept writes
            way out: make sure that it is off, then `primacy failover --force`; or set policy.unfenced = "proceed"
        "#);
    }

    #[test]
    fn what_was_put_back_ends_with_its_own_code() {
        let error = ApiError::new(
            ErrorKind::BackedOut,
            "b:3306: it lacks 12 transactions (10 s passed); everything was put back as it was",
        );
        let failure = Failure::from(error);
        assert_eq!(failure.exit, Exit::PutBack);
        assert_snapshot!(stripped(&render(&failure)), @"error: b:3306: it lacks 12 transactions (10 s passed); everything was put back as it was");
    }
}
