//! `--dry-run`: the steps in order with their limits, the point of no return, and what people
//! should know before they say yes.

use primacy_plan::{OperationKind, Plan, Step};
use primacy_types::Millis;

use crate::look::Look;
use crate::paint;

/// A plan that was not run.
pub(crate) fn render(plan: &Plan, look: &Look) -> String {
    let arrow = look.either("→", "->");
    let change = match plan.kind {
        OperationKind::Reopen => plan.winner.to_string(),
        _ => format!("{} {arrow} {}", plan.old, plan.winner),
    };
    let mut text = format!(
        "{} of {}: {change}, epoch {}\n\n",
        plan.kind,
        paint::strong(&plan.cluster),
        plan.epoch
    );
    let no_return = plan.no_return_at();
    for (i, planned) in plan.steps.iter().enumerate() {
        if no_return == Some(i) {
            let line = look.either("──", "--");
            let words = paint::doubtful("point of no return");
            text.push_str(&format!(
                "  {line} {words}: from here on it is finished, not put back\n"
            ));
        }
        let limit = limit(&planned.step, planned.limit);
        text.push_str(&format!(
            "{:>4}. {}  {}\n",
            i + 1,
            planned.step.sentence(),
            paint::faint(limit)
        ));
    }
    text.push_str(&coverage(plan));
    text.push_str(&list("notes", plan.notes.iter().cloned()));
    let excluded = plan.judged.iter().filter(|j| !j.exclusions.is_empty()).map(|judged| {
        let why: Vec<_> = judged.exclusions.iter().map(ToString::to_string).collect();
        format!("{}: {}", judged.server, why.join("; "))
    });
    text.push_str(&list("no candidates", excluded));
    text
}

/// Steps that wait are given up when nothing moves for so long.
fn limit(step: &Step, limit: Millis) -> String {
    match step {
        Step::Drain { .. } | Step::Level { .. } | Step::CatchUp { .. } => {
            format!("(at most {limit} without progress)")
        }
        _ => format!("(at most {limit})"),
    }
}

fn coverage(plan: &Plan) -> String {
    let Some(coverage) = &plan.coverage else { return String::new() };
    let verdict = if coverage.proved {
        paint::good("all are held")
    } else {
        paint::doubtful("not proved to be held")
    };
    let mut text = format!("\nacknowledged rows: {verdict}\n  {}\n", coverage.sentence);
    if !coverage.known_missing.is_empty() {
        let missing = coverage.known_missing.join(", ");
        text.push_str(&format!("  {}: {missing}\n", paint::bad("known to be missing")));
    }
    text
}

fn list(title: &str, items: impl Iterator<Item = String>) -> String {
    let items: String = items.map(|item| format!("  - {item}\n")).collect();
    if items.is_empty() { items } else { format!("\n{title}\n{items}") }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use primacy_plan::testing::cluster;
    use primacy_plan::{
        FailoverRequest, Stage, SwitchoverRequest, diagnose, plan_failover, plan_switchover,
    };
    use primacy_types::Promotion;

    use super::*;
    use crate::render::testing::stripped;

    #[test]
    fn a_switchover() {
        let mut world = cluster(["a", "b", "c"]);
        world
            .snapshot
            .policy
            .servers
            .get_mut(&primacy_plan::testing::addr("b"))
            .unwrap()
            .promotion = Promotion::Never;
        let diagnosis = diagnose(&world.snapshot);
        let plan =
            plan_switchover(&world.snapshot, &diagnosis, &SwitchoverRequest::default()).unwrap();
        assert_snapshot!(stripped(&render(&plan, &Look::plain())), @r#"
        switchover of c1: a:3306 → c:3306, epoch 2

           1. block writes on a:3306: read-only after at most 2 s, application sessions ended, position seen to stand still  (at most 10 s)
           2. wait until c:3306 has applied everything that a:3306 holds  (at most 10 s without progress)
           3. end replication on c:3306  (at most 5 s)
          ── point of no return: from here on it is finished, not put back
           4. record epoch 2 with c:3306 as primary  (at most 5 s)
           5. let applications write on c:3306  (at most 5 s)
           6. route applications to c:3306 (epoch 2)  (at most 5 s)
           7. enable scheduled events on c:3306 and disable them on a:3306  (at most 5 s)
           8. point a:3306 to c:3306  (at most 30 s)
           9. point b:3306 to c:3306  (at most 30 s)
          10. verify that a:3306, b:3306 replicate from c:3306  (at most 30 s)

        no candidates
          - b:3306: promotion = "never"
        "#);
    }

    #[test]
    fn a_failover_with_semi_sync() {
        let world = cluster(["a", "b", "c"])
            .semi_sync(1)
            .local("a")
            .received("c", "0-1-105", "0-1-102")
            .primary_killed();
        let diagnosis = diagnose(&world.snapshot);
        let request = FailoverRequest::default();
        let plan =
            plan_failover(&world.snapshot, &diagnosis, &request, Stage::BeforeFence).unwrap();
        assert_snapshot!(stripped(&render(&plan, &Look::plain())), @"
        failover of c1: a:3306 → c:3306, epoch 2

          ── point of no return: from here on it is finished, not put back
           1. fence a:3306 (local): its process is gone, and one that a supervisor starts is killed  (at most 5 s)
           2. stop the receivers of b:3306, c:3306; their appliers go on  (at most 5 s)
           3. measure who holds what, and plan the rest from that  (at most 5 s)
           4. wait until c:3306 has applied everything that it received  (at most 30 s without progress)
           5. make c:3306 wait for 1 semi-sync acknowledgement(s)  (at most 5 s)
           6. point b:3306 to c:3306 and see at least 1 of them as semi-sync clients  (at most 30 s)
           7. end replication on c:3306  (at most 5 s)
           8. record epoch 2 with c:3306 as primary  (at most 5 s)
           9. let applications write on c:3306  (at most 5 s)
          10. route applications to c:3306 (epoch 2)  (at most 5 s)
          11. enable scheduled events on c:3306  (at most 5 s)
          12. point b:3306 to c:3306  (at most 30 s)
          13. verify that b:3306 replicate from c:3306  (at most 30 s)

        acknowledged rows: all are held
          2 of 2 acknowledging replicas are reachable and 2 suffice (each commit waited for 1)

        notes
          - a:3306 is fenced (local): its process is gone, and one that a supervisor starts is killed
          - nothing acknowledged is missing: 2 of 2 acknowledging replicas are reachable and 2 suffice (each commit waited for 1)
        ");
    }
}
