//! Runs a plan: one step after another, each written to the journal before it runs.
//!
//! What happens when a step fails depends on where the operation stands. Before the point of no
//! return everything that was done is put back. After it a failover plans again without the server
//! that failed, and goes on trying for as long as transactions are known to exist that it could
//! still save; a switchover goes on with the same winner.

use std::time::Duration;

use futures_util::future::join_all;
use primacy_plan::{FailoverRequest, OperationKind, Plan, PlannedStep, Step, violations};
use primacy_store::{Level, Outcome, StepState};
use primacy_types::{BinlogsOnDisk, ClusterSnapshot, Moment};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::{OperationError, StepError};
use crate::failure::Next;
use crate::journal::{Begun, Journal};
use crate::measure::Rounds;
use crate::request::{Report, Request};
use crate::shared::Shared;
use primacy_failpoint as failpoint;

use crate::{Cluster, LastSeen, steps, undo};

/// How long to wait before trying again what could not be done after the point of no return.
pub(crate) const RETRY: Duration = Duration::from_millis(500);

/// So many servers are repointed or drained at the same time.
const TOGETHER: usize = 16;

/// One operation under way.
pub(crate) struct Operation<'c> {
    pub(crate) cluster: &'c Cluster,
    pub(crate) journal: Journal,
    pub(crate) request: Request,
    pub(crate) plan: Plan,
    pub(crate) generation: u32,
    pub(crate) past_no_return: bool,
    /// Steps that were begun, for putting them back.
    pub(crate) begun: Vec<Begun>,
    pub(crate) left: Vec<String>,
    pub(crate) started: Moment,
    pub(crate) opened: Option<Moment>,
    /// What the manager knew of the old primary before it was restarted.
    pub(crate) last_seen: Option<LastSeen>,
    pub(crate) control: Control,
    /// What its steps hand on to each other.
    pub(crate) shared: Shared,
    /// What the old primary's disk was found to hold.
    pub(crate) on_disk: Option<BinlogsOnDisk>,
    /// The old primary is fenced and kept so.
    pub(crate) fenced: bool,
    /// When that was read.
    pub(crate) disk_read: Option<Instant>,
    /// What was found there while receivers were stopped, until the measurement takes it.
    pub(crate) read_ahead: Option<Option<BinlogsOnDisk>>,
    /// That the fence failed was told to hooks.
    pub(crate) fence_failed: bool,
    /// The new epoch is on record, or may be: the old primary does not get its role back by giving up.
    pub(crate) recorded: bool,
    /// When a held failover asks those again that failed.
    pub(crate) rounds: Rounds,
}

/// What whoever began an operation gives it.
pub struct Control {
    /// A person may change a failover that is held (accept the loss, name another winner).
    pub amendments: watch::Receiver<Option<FailoverRequest>>,
    /// Held while the operation counts against the brake; let go when it is held up or when
    /// applications can write.
    pub permit: Option<Box<dyn Send + Sync>>,
}

impl From<watch::Receiver<Option<FailoverRequest>>> for Control {
    fn from(amendments: watch::Receiver<Option<FailoverRequest>>) -> Self {
        Self { amendments, permit: None }
    }
}

impl Operation<'_> {
    /// Runs the plan from step `from` of the current generation to its end.
    pub(crate) async fn drive(mut self, from: usize) -> Result<Report, OperationError> {
        let mut index = from;
        let mut tries = 0;
        while index < self.plan.steps.len() {
            let planned = self.plan.steps[index].clone();
            if let Err(error) = self.cluster.lock.permits() {
                self.fail_or_wait(error.into()).await?;
                continue;
            }
            if planned.step == Step::Measure {
                self.measure(index, &planned).await?;
                index = 0;
                continue;
            }
            if let Step::Fence { server, rung: Some(_) } = &planned.step
                && self.noted(index).is_none()
            {
                self.before_the_fence(server).await?;
            }
            if matches!(planned.step, Step::RecordEpoch { .. }) {
                self.give_up_if_it_came_back().await?;
            }
            let group = self.group(index);
            let failed = self.run(index, group).await?;
            let Some((failed_at, error)) = failed else {
                tries = 0;
                index += group;
                continue;
            };
            tries += 1;
            match self.after_failure(failed_at, error, tries).await? {
                Next::Again => {}
                Next::GoOn => {
                    tries = 0;
                    index += group;
                }
                Next::PlanAgain => {
                    tries = 0;
                    let measure = steps::measure(&self.plan);
                    self.measure(index, &measure).await?;
                    index = 0;
                }
            }
        }
        self.done().await
    }

    /// How many of the steps from `index` on run at the same time: repoints, and drains.
    fn group(&self, index: usize) -> usize {
        // The old primary becomes a replica when nobody reads from it any more.
        let alike = |a: &Step, b: &Step| {
            matches!(
                (a, b),
                (Step::Repoint { .. }, Step::Repoint { server, .. }) if *server != self.plan.old
            ) || matches!((a, b), (Step::Drain { .. }, Step::Drain { .. }))
                || matches!(
                    (a, b),
                    // What one server gets comes one after another.
                    (Step::Rescue { server: a, .. }, Step::Rescue { server: b, .. }) if a != b
                )
        };
        let pairs = self.plan.steps[index..].windows(2);
        let more = pairs.take_while(|pair| alike(&pair[0].step, &pair[1].step));
        (1 + more.count()).min(TOGETHER)
    }

    /// Runs `group` steps together; returns the first that failed.
    async fn run(
        &mut self,
        index: usize,
        group: usize,
    ) -> Result<Option<(usize, StepError)>, OperationError> {
        if let Err((at, error)) = self.begin(index, group).await {
            return Ok(Some((at, error)));
        }
        failpoint::hit("before", self.plan.steps[index].step.name());
        let runs = (index..index + group).map(|at| {
            let detail = self.noted(at).unwrap_or(&Value::Null);
            steps::perform(self.cluster, &self.plan, &self.plan.steps[at], detail, &self.shared)
        });
        let (results, read) = tokio::join!(join_all(runs), self.read_ahead(index));
        self.read_ahead = read;
        let mut failed = None;
        for (i, result) in results.into_iter().enumerate() {
            let (at, planned) = (index + i, self.plan.steps[index + i].clone());
            match result {
                Ok(said) => self.end(at, &planned, &said),
                Err(error) => {
                    self.tell(Level::Warning, format!("{} failed: {error}", planned.step.name()));
                    let detail = Value::String(error.to_string());
                    self.journal.note(self.generation, at, &planned, StepState::Failed, detail);
                    self.tell_of_the_fence(&planned.step, Some(&error));
                    failed = failed.or(Some((at, error)));
                }
            }
        }
        failpoint::hit("after", self.plan.steps[index].step.name());
        Ok(failed)
    }

    /// Reads what is needed to put the next steps back and notes it with them, before they run.
    /// A step that was begun before a restart keeps its first note: the server may have been
    /// changed since. Before the first step of an operation that can be put back, all steps that
    /// can are noted at once: nothing they touch has changed yet, and the time in which writes
    /// are blocked is kept short.
    async fn begin(&mut self, index: usize, group: usize) -> Result<(), (usize, StepError)> {
        let mut end = index + group;
        let mut read_to = end;
        if index == 0 && self.generation == 1 && self.plan.kind == OperationKind::Switchover {
            read_to = self.plan.no_return_at().unwrap_or(end).max(end);
        }
        end = end.min(self.plan.steps.len());
        for at in index..read_to {
            if self.noted(at).is_none() {
                let planned = &self.plan.steps[at];
                let detail =
                    steps::prepare(self.cluster, planned).await.map_err(|error| (at, error))?;
                self.begun.push(Begun {
                    generation: self.generation,
                    index: at,
                    started: false,
                    done: false,
                    undone: false,
                    detail,
                });
            }
        }
        let (generation, begun) = (self.generation, &self.begun);
        let entries: Vec<_> = (index..end)
            .map(|at| {
                let of = |b: &&Begun| b.generation == generation && b.index == at;
                let detail = begun.iter().find(of).map(|b| b.detail.clone()).unwrap_or_default();
                (generation, at, &self.plan.steps[at], detail)
            })
            .collect();
        let noted = self.journal.begin_steps(&entries).await;
        noted.map_err(|error| (index, error.into()))?;
        for at in index..end {
            let generation = self.generation;
            let known = self.begun.iter_mut();
            for begun in known.filter(|b| b.generation == generation && b.index == at) {
                begun.started = true;
            }
            self.past_no_return |= self.plan.steps[at].no_return;
            self.recorded |= records(&self.plan.steps[at].step);
            self.tell(Level::Info, self.plan.steps[at].step.sentence());
        }
        Ok(())
    }

    /// What was noted before a step of the current generation.
    fn noted(&self, at: usize) -> Option<&Value> {
        let of = |b: &&Begun| b.generation == self.generation && b.index == at;
        self.begun.iter().find(of).map(|b| &b.detail)
    }

    fn end(&mut self, at: usize, planned: &PlannedStep, said: &str) {
        let detail = Value::String(said.to_owned());
        self.journal.note(self.generation, at, planned, StepState::Done, detail);
        let generation = self.generation;
        let known = self.begun.iter_mut();
        for begun in known.filter(|b| b.generation == generation && b.index == at) {
            begun.done = true;
        }
        if matches!(planned.step, Step::Fence { rung: Some(_), .. }) {
            self.fenced = true;
        }
        self.tell_of_the_fence(&planned.step, None);
        if matches!(planned.step, Step::OpenWrites { .. }) {
            self.opened = Some(self.cluster.clock.now());
            self.control.permit = None;
        }
        if !said.is_empty() {
            self.tell(Level::Info, format!("{}: {said}", planned.step.name()));
        }
    }

    /// The lock does not permit to go on: before the point of no return that ends the operation,
    /// after it the operation waits.
    pub(crate) async fn fail_or_wait(&mut self, error: StepError) -> Result<(), OperationError> {
        if !self.past_no_return {
            return Err(self.back_out(error).await);
        }
        self.tell(Level::Alarm, format!("waiting: {error}"));
        tokio::time::sleep(RETRY).await;
        Ok(())
    }

    /// Puts everything back and ends the operation.
    pub(crate) async fn back_out(&mut self, error: StepError) -> OperationError {
        self.tell(Level::Warning, format!("backing out: {error}"));
        let undone = match self.plan.kind {
            // Nothing of it is to be taken back: it only gives a primary its role again.
            OperationKind::Reopen => Ok(()),
            OperationKind::Failover | OperationKind::Switchover => undo::all(self).await,
        };
        if let Err(undo) = &undone
            && undo::is_blocked(self).await
        {
            // Writes are blocked until this succeeds: it is not given up.
            self.tell(Level::Alarm, format!("{undo}; writes stay blocked, trying again"));
            return OperationError::Unfinished { error: Box::new(error) };
        }
        let (outcome, sentence, result) = match undone {
            Ok(()) => (
                Outcome::BackedOut,
                format!("{error}; everything was put back as it was"),
                OperationError::BackedOut { error: Box::new(error) },
            ),
            Err(undo) => (
                Outcome::Failed,
                format!("{error}; and putting it back failed: {undo}"),
                OperationError::HalfWay { error: Box::new(error), undo },
            ),
        };
        let level = if outcome == Outcome::BackedOut { Level::Warning } else { Level::Alarm };
        self.tell(level, sentence.clone());
        steps::forget_copies(self.cluster, &self.shared).await;
        if let Err(error) = self.journal.finish(outcome, sentence.clone()).await {
            return error.into();
        }
        self.tell_of_the_end(outcome, &sentence);
        result
    }

    /// It was ordered that nobody is promoted and nobody moves.
    pub(crate) fn leaves_everything(&self) -> bool {
        self.plan.kind == OperationKind::Failover && self.cluster.policy.leaves.everything()
    }

    async fn done(mut self) -> Result<Report, OperationError> {
        let now = self.cluster.clock.now();
        let took = self.opened.unwrap_or(now).since(self.started);
        let nobody_moved = self.leaves_everything();
        let sentence = match self.plan.kind {
            OperationKind::Failover if nobody_moved => format!(
                "{} was given what it lacked and is not promoted, as it was ordered; {} stays the \
                 primary on record",
                self.plan.winner, self.plan.old
            ),
            OperationKind::Failover => format!(
                "{} replaced {} as primary in epoch {} after {took}",
                self.plan.winner, self.plan.old, self.plan.epoch
            ),
            OperationKind::Switchover => format!(
                "the role moved from {} to {} in epoch {} after {took}",
                self.plan.old, self.plan.winner, self.plan.epoch
            ),
            OperationKind::Reopen => {
                format!("{} is writable again in epoch {}", self.plan.winner, self.plan.epoch)
            }
        };
        let level = if self.left.is_empty() { Level::Notice } else { Level::Warning };
        self.tell(level, sentence.clone());
        for left in &self.left {
            self.tell(Level::Warning, format!("left to be repaired: {left}"));
        }
        if self.plan.kind == OperationKind::Failover && !nobody_moved {
            // Before the fence is let go: whoever comes back is known for what it is.
            crate::rejoin::mark_replaced(self.cluster, &self.plan.old).await?;
        }
        self.release_fence().await;
        steps::forget_copies(self.cluster, &self.shared).await;
        self.journal.finish(Outcome::Done, sentence.clone()).await?;
        self.tell_of_the_end(Outcome::Done, &sentence);
        self.cluster.chronicle.flush().await;
        Ok(Report {
            operation: self.journal.id.to_string(),
            kind: self.plan.kind,
            primary: if nobody_moved { self.plan.old.clone() } else { self.plan.winner.clone() },
            epoch: self.plan.epoch,
            took,
            left: self.left,
            sentence,
        })
    }

    pub(crate) fn tell(&self, level: Level, text: String) {
        let id = Some(&self.journal.id);
        self.cluster.chronicle.tell(&self.cluster.name, id, level, text);
    }
}

/// Whether the new epoch is on record after this step, or may be.
pub(crate) fn records(step: &Step) -> bool {
    matches!(step, Step::RecordEpoch { .. } | Step::OpenWrites { .. })
}

/// The second pair of eyes: a plan that would break a promise is not run.
pub(crate) fn check(
    snapshot: &ClusterSnapshot,
    plan: &Plan,
    request: &Request,
) -> Result<(), OperationError> {
    let broken = violations(snapshot, plan, request.accepts_loss());
    if broken.is_empty() {
        return Ok(());
    }
    let all: Vec<_> = broken.into_iter().map(|v| v.sentence).collect();
    Err(OperationError::Unsound(all.join("; ")))
}
