//! At which moments of an operation hooks are called, and what they are told.
//!
//! A moment that was passed before a restart does not come again: the resumed operation does not
//! call `before_failover` and `before_switchover`, and `before_fence` only if the journal does not
//! say that the fence was begun.

use std::time::Duration;

use primacy_hooks::{HookEvent, HookFailure, LostTransactions, Notice};
use primacy_plan::{OperationKind, Reason, Refusal, Step, diagnose, write_cause};
use primacy_store::Outcome;
use primacy_types::{Address, WriteTrouble};
use serde_json::json;

use crate::error::{OperationError, StepError};
use crate::operation::Operation;
use crate::scripts::Told as Report;

/// How long the servers may take to answer after hooks were called. One that is dead is waited for
/// so long.
const LOOK: Duration = Duration::from_millis(300);

/// A single argument of a program may not have more than 128 KiB.
const LONGEST: usize = 32 << 10;

fn shortened(body: &str) -> String {
    let end = (0..=LONGEST.min(body.len())).rev().find(|end| body.is_char_boundary(*end));
    body[..end.unwrap_or_default()].to_owned()
}

impl Operation<'_> {
    /// Calls the hooks that come before the operation. Nothing was touched yet.
    ///
    /// # Errors
    /// If one refuses, or if the primary that was dead has come back meanwhile.
    pub(crate) async fn before_the_first_step(
        &mut self,
        reason: String,
    ) -> Result<(), OperationError> {
        let event = match self.plan.kind {
            OperationKind::Failover => HookEvent::BeforeFailover,
            OperationKind::Switchover => HookEvent::BeforeSwitchover,
            OperationKind::Reopen => return Ok(()),
        };
        let mut notice = self.notice(event, reason);
        notice.details = json!({ "notes": self.plan.notes });
        match self.cluster.hooks.before(&self.journal.id, notice).await {
            Ok(called) => self.see_that_it_is_still_due(called).await,
            Err(failure) => Err(self.refuse(&failure).await),
        }
    }

    /// Calls the hooks that come before a server is fenced; they cannot prevent it.
    pub(crate) async fn before_the_fence(
        &mut self,
        server: &Address,
    ) -> Result<(), OperationError> {
        let reason = format!("{server} is to be fenced, so that it accepts no more writes");
        let mut notice = self.notice(HookEvent::BeforeFence, reason);
        notice.details = json!({ "server": server });
        let called = self.cluster.hooks.before(&self.journal.id, notice).await;
        self.see_that_it_is_still_due(called.unwrap_or(true)).await
    }

    /// Programs may have taken their time: a primary that serves again by now is not fenced.
    async fn see_that_it_is_still_due(&mut self, called: bool) -> Result<(), OperationError> {
        if !called || self.plan.kind != OperationKind::Failover || self.past_no_return {
            return Ok(());
        }
        let snapshot = self.cluster.eyes.look(LOOK).await;
        let fatal = |trouble: &WriteTrouble| write_cause(&trouble.word).is_fatal();
        // No write is tried during an operation, so only a write that was committed is good news.
        let old = snapshot.server(&self.plan.old);
        let cannot_write = old.and_then(|s| s.writes.as_ref()).is_some_and(fatal);
        if diagnose(&snapshot).is_serving() && !cannot_write {
            let why = StepError::impossible(&self.plan.old, "it serves again");
            return Err(self.back_out(why).await);
        }
        Ok(())
    }

    async fn refuse(&mut self, failure: &HookFailure) -> OperationError {
        if let Err(error) = self.journal.finish(Outcome::BackedOut, failure.to_string()).await {
            return error.into();
        }
        let reason = Reason::new(
            format!("hook {}: {}", failure.event, failure.outcome),
            "mend what the program complains of, or take it out of the configuration",
        );
        OperationError::RefusedByHook(Box::new(Refusal {
            kind: self.plan.kind,
            reasons: vec![reason],
            held: false,
            judged: Vec::new(),
        }))
    }

    /// Tells that a server was fenced, or that it could not be; of many failures only the first.
    pub(crate) fn tell_of_the_fence(&mut self, step: &Step, failed: Option<&StepError>) {
        let Step::Fence { server, rung: Some(_) } = step else { return };
        let told_before = std::mem::replace(&mut self.fence_failed, failed.is_some());
        let reason = match failed {
            Some(_) if told_before => return,
            Some(error) => error.to_string(),
            None => format!("{server} is fenced"),
        };
        let mut notice = self.notice(HookEvent::AfterFence, reason);
        notice.details = json!({ "server": server, "fenced": failed.is_none() });
        self.cluster.hooks.tell(&self.journal.id, notice);
    }

    /// Tells how the operation has ended.
    pub(crate) fn tell_of_the_end(&self, outcome: Outcome, sentence: &str) {
        let event = match self.plan.kind {
            OperationKind::Failover => HookEvent::AfterFailover,
            OperationKind::Switchover => HookEvent::AfterSwitchover,
            OperationKind::Reopen => return,
        };
        let mut notice = self.notice(event, sentence);
        let now = self.cluster.clock.now();
        notice.details = json!({
            "outcome": outcome,
            "took_ms": self.opened.unwrap_or(now).since(self.started).0,
            "left": self.left,
            "coverage": self.plan.coverage.as_ref().map(|coverage| &coverage.sentence),
        });
        if outcome == Outcome::Done && !self.leaves_everything() {
            notice.lost_transactions = self.lost();
        } else {
            // Who moves an address to the new primary must not move it to one that is none.
            notice.new_primary = None;
        }
        self.cluster.hooks.tell(&self.journal.id, notice);
        if event == HookEvent::AfterFailover && self.cluster.hooks.reports() {
            self.cluster.hooks.report(&self.journal.id, self.report(outcome, sentence));
        }
    }

    /// What people are told of a failover, by way of `report_script`.
    fn report(&self, outcome: Outcome, sentence: &str) -> Report {
        let plan = &self.plan;
        let promoted = outcome == Outcome::Done && !self.leaves_everything();
        let verified = plan.steps.iter().find_map(|planned| match &planned.step {
            Step::Verify { replicas, .. } => Some(replicas.as_slice()),
            _ => None,
        });
        let left = |server: &Address| {
            let name = server.to_string();
            self.left.iter().any(|left| left.contains(&name))
        };
        let follow = verified.into_iter().flatten().filter(|server| !left(server)).cloned();
        let ended = match (promoted, self.left.is_empty()) {
            (true, true) => "succeeded",
            (true, false) => "succeeded, with work left",
            (false, _) if outcome == Outcome::Done => {
                "was done without a promotion, as it was ordered"
            }
            (false, _) => "did not succeed",
        };
        let to = if promoted { format!(" to {}", plan.winner) } else { String::new() };
        let mut body = vec![sentence.to_owned()];
        body.extend(self.left.iter().map(|left| format!("Left to be repaired: {left}")));
        body.extend(
            plan.coverage.iter().map(|c| format!("What is known of losses: {}", c.sentence)),
        );
        body.extend(plan.notes.iter().cloned());
        body.push(format!("The timeline: primacy history {}", self.journal.id));
        Report {
            orig: plan.old.clone(),
            new: promoted.then(|| (plan.winner.clone(), follow.collect())),
            subject: format!("{}: failover of {}{to} {ended}", plan.cluster, plan.old),
            body: shortened(&body.join("\n")),
        }
    }

    fn lost(&self) -> Option<LostTransactions> {
        let saved = |step: &Step| matches!(step, Step::Save { .. });
        if self.plan.steps.iter().any(|planned| saved(&planned.step)) {
            return None;
        }
        let missing = &self.plan.coverage.as_ref()?.known_missing;
        (!missing.is_empty()).then(|| LostTransactions { set: missing.join(", "), count: None })
    }

    fn notice(&self, event: HookEvent, reason: impl Into<String>) -> Notice {
        let mut notice = self.cluster.hooks.notice(event, reason);
        notice.operation = Some(self.journal.id.to_string());
        notice.old_primary = Some(self.plan.old.clone());
        notice.new_primary = Some(self.plan.winner.clone());
        notice.epoch = Some(self.plan.epoch);
        notice
    }
}
