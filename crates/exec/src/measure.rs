//! The second half of a failover is planned from what is measured after the fence, again and again
//! while no plan is possible: the failover is held then.

use std::time::Duration;

use primacy_plan::{
    OperationKind, Plan, PlannedStep, Reason, Refusal, Stage, diagnose, has_everything,
    plan_failover,
};
use primacy_store::{Level, StepState};
use primacy_types::ClusterSnapshot;
use serde_json::Value;
use tokio::time::Instant;

use crate::error::{OperationError, StepError};
use crate::operation::{Operation, RETRY, check};
use crate::request::Request;
use primacy_failpoint as failpoint;

use crate::steps;

/// How soon whoever failed is asked again in a failover that is held; then half as often each time.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Longest pause between two such rounds: files of a gigabyte are fetched again in each.
const ASK_AGAIN_AT_MOST: Duration = Duration::from_secs(60);

/// When those that failed are asked again.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    at: Option<Instant>,
    pause: Option<Duration>,
}

impl Rounds {
    /// Whether it is time for another round; called for as long as somebody is passed over.
    fn due(&mut self, now: Instant) -> bool {
        let Some(at) = self.at else {
            let pause = self.pause.map_or(ASK_AGAIN, |last| (last * 2).min(ASK_AGAIN_AT_MOST));
            (self.at, self.pause) = (Some(now + pause), Some(pause));
            return false;
        };
        if now < at {
            return false;
        }
        self.at = None;
        true
    }
}

impl Operation<'_> {
    /// Looks at all servers and plans the rest of the failover from what is seen; stays here,
    /// held, for as long as no plan is possible.
    pub(crate) async fn measure(
        &mut self,
        index: usize,
        planned: &PlannedStep,
    ) -> Result<(), OperationError> {
        failpoint::hit("before", "measure");
        let generation = self.generation;
        self.journal.begin_steps(&[(generation, index, planned, Value::Null)]).await?;
        let mut told: Option<Refusal> = None;
        let mut released = false;
        loop {
            self.read_the_disk().await;
            let snapshot = self.look().await;
            self.give_up_if_the_primary_serves(&snapshot).await?;
            self.take_amendments();
            match self.plan_the_rest(&snapshot) {
                Ok(_) if released => {
                    // While it was held the old primary was free to come back, and its logs to
                    // grow: what counts is what they hold once it is fenced again.
                    self.fence_again().await?;
                    self.on_disk = None;
                    released = false;
                }
                Ok(plan) => {
                    check(&snapshot, &plan, &self.request)?;
                    self.generation += 1;
                    self.journal.set_plan(self.generation, &self.request, &plan).await?;
                    self.journal.note(generation, index, planned, StepState::Done, Value::Null);
                    self.tell(Level::Info, format!("{} wins", plan.winner));
                    for note in &plan.notes {
                        self.tell(Level::Notice, note.clone());
                    }
                    self.plan = plan;
                    failpoint::hit("after", "measure");
                    return Ok(());
                }
                Err(refusal) => {
                    if told.as_ref() != Some(&refusal) {
                        self.tell(Level::Alarm, format!("HELD: {refusal}"));
                        told = Some(refusal);
                    }
                    // A person may bring the old primary back, which may be what is waited for,
                    // and other clusters may fail over meanwhile.
                    self.release_fence().await;
                    released = true;
                    self.control.permit = None;
                    self.wait_while_held().await;
                }
            }
        }
    }

    /// The rest of the failover, if it can be planned from what is seen.
    fn plan_the_rest(&self, snapshot: &ClusterSnapshot) -> Result<Plan, Refusal> {
        let Request::Failover(request) = &self.request else { return Ok(self.plan.clone()) };
        if snapshot.paused && !request.by_person {
            return Err(paused());
        }
        let plan = plan_failover(snapshot, &diagnose(snapshot), request, Stage::AfterSeal)?;
        if plan.by_place != self.shared.by_place {
            return Err(other_mode(self.shared.by_place));
        }
        Ok(plan)
    }

    /// Returns when a person says something, or it is time to look again. Now and then those that
    /// failed in this operation are asked once more.
    async fn wait_while_held(&mut self) {
        let amendments = &mut self.control.amendments;
        let changed = tokio::time::timeout(RETRY, amendments.changed()).await;
        if matches!(changed, Ok(Ok(()))) {
            // Waiting for it has marked it as seen; it is taken in the next turn.
            amendments.mark_changed();
        }
        if let Request::Failover(request) = &mut self.request
            && request.passes_over_somebody()
            && self.rounds.due(Instant::now())
        {
            request.excluded.clear();
            request.failed_donors.clear();
            request.failed_receivers.clear();
        }
    }

    /// Before the new epoch is on record a failover can still be given up, and is, when the old
    /// primary accepts writes: it was not dead, or a person brought it back.
    async fn give_up_if_the_primary_serves(
        &mut self,
        snapshot: &ClusterSnapshot,
    ) -> Result<(), OperationError> {
        let Some(facts) = snapshot.live(&self.plan.old).filter(|_| !self.recorded) else {
            return Ok(());
        };
        if !facts.writable() && !has_everything(snapshot, &self.plan.old) {
            return Ok(());
        }
        let why = StepError::impossible(&self.plan.old, "it is back with everything");
        Err(self.back_out(why).await)
    }

    /// The last look at an old primary that is not fenced before somebody else gets its role: what
    /// came in between may have taken minutes, and whatever it accepted meanwhile would be lost.
    pub(crate) async fn give_up_if_it_came_back(&mut self) -> Result<(), OperationError> {
        if self.plan.kind != OperationKind::Failover || self.fenced || self.recorded {
            return Ok(());
        }
        if steps::accepts_writes(self.cluster, &self.plan.old).await {
            let why = StepError::impossible(&self.plan.old, "it accepts writes again");
            return Err(self.back_out(why).await);
        }
        Ok(())
    }

    /// Whether a person has changed the request meanwhile; it is taken over.
    pub(crate) fn take_amendments(&mut self) -> bool {
        if !self.control.amendments.has_changed().unwrap_or(false) {
            return false;
        }
        let amendment = self.control.amendments.borrow_and_update().clone();
        if let (Some(amended), Request::Failover(request)) = (amendment, &mut self.request) {
            *request = amended;
            self.tell(Level::Notice, "a person changed the request of this failover".to_owned());
            return true;
        }
        false
    }
}

fn held(sentence: impl Into<String>, mend: &str) -> Refusal {
    let reasons = vec![Reason::new(sentence, mend)];
    Refusal { kind: OperationKind::Failover, reasons, held: true, judged: Vec::new() }
}

/// A person paused the cluster in the middle of an automatic failover.
fn paused() -> Refusal {
    held("the cluster is paused", "primacy resume lets it go on")
}

/// What was noted and saved so far counts in places, or in GTIDs: not in both.
fn other_mode(by_place: bool) -> Refusal {
    let (began, now) = match by_place {
        true => ("file and position", "GTID"),
        false => ("GTID", "file and position"),
    };
    held(
        format!(
            "this failover began with replicas that replicate by {began}, and those that can be \
             reached now replicate by {now}"
        ),
        "bring back one of the others, or change the positioning of these back",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_failed_are_asked_again_less_and_less_often() {
        let (mut rounds, mut now) = (Rounds::default(), Instant::now());
        let mut gaps = Vec::new();
        let mut last = now;
        while gaps.len() < 9 {
            if rounds.due(now) {
                gaps.push((now - last).as_secs());
                last = now;
            }
            now += Duration::from_millis(100);
        }
        assert_eq!(gaps, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }
}
