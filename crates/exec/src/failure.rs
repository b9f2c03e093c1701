//! What becomes of an operation when one of its steps fails. Before the point of no return
//! everything is put back; after it a failover plans again without whoever failed, and a switchover
//! tries again.

use std::time::Duration;

use primacy_plan::{OperationKind, Origin, PlannedStep, Step, diagnose};
use primacy_store::Level;
use primacy_types::{Address, BinlogsOnDisk};

use crate::error::{OperationError, StepError};
use crate::journal::record_primary;
use crate::operation::{Operation, RETRY};
use crate::request::Request;
use crate::steps;

/// How often a step after the point of no return is tried before the operation is left to be
/// resumed (a switchover) or another winner is looked for (a failover).
const TRIES: u32 = 3;

/// Pause before a script that failed is called again.
const CALL_AGAIN: Duration = Duration::from_secs(5);

/// What to do after a step has failed.
#[derive(Debug)]
pub(crate) enum Next {
    Again,
    PlanAgain,
    GoOn,
}

impl Operation<'_> {
    pub(crate) async fn after_failure(
        &mut self,
        at: usize,
        error: StepError,
        tries: u32,
    ) -> Result<Next, OperationError> {
        let step = self.plan.steps[at].step.clone();
        if self.opened.is_some() || matches!(step, Step::Route { .. }) {
            // Writes are served; what is left is reported and repaired later.
            self.left.push(format!("{}: {error}", step.sentence()));
            return Ok(Next::GoOn);
        }
        if matches!(error, StepError::Store(_) | StepError::Lock(_)) {
            // Nothing is done without the journal and the lock; nobody else is at fault.
            self.fail_or_wait(error).await?;
            return Ok(Next::Again);
        }
        if let Step::GiveAddress { server } = &step {
            return self.address_not_given(server.clone(), error, tries).await;
        }
        if self.plan.kind != OperationKind::Failover {
            if !self.past_no_return {
                return Err(self.back_out(error).await);
            }
            if tries >= TRIES {
                return Err(self.give_back(error).await);
            }
            tokio::time::sleep(RETRY).await;
            return Ok(Next::Again);
        }
        match step {
            // Nothing has happened to the old primary yet.
            Step::TakeAddress { .. } => Err(self.back_out(error).await),
            Step::Fence { .. } => self.fence_failed(error, tries).await,
            // A replica that cannot be asked to stop receiving is measured as unreachable next.
            Step::SealReceivers { .. } => Ok(Next::GoOn),
            Step::OpenWrites { server, .. } | Step::RecordEpoch { server, .. } if tries < TRIES => {
                self.tell(Level::Warning, format!("trying {server} again: {error}"));
                tokio::time::sleep(RETRY).await;
                Ok(Next::Again)
            }
            Step::OpenWrites { server, .. } => {
                // It may have been opened although the answer never came: close it for good
                // before anybody else is opened.
                steps::make_sure_it_is_closed(self.cluster, &server).await.map_err(|worse| {
                    OperationError::HalfWay { error: Box::new(error), undo: worse.to_string() }
                })?;
                let gives = |s: &PlannedStep| matches!(s.step, Step::GiveAddress { .. });
                if self.plan.steps.iter().any(gives) {
                    steps::forget_address(self.cluster, &server, &self.shared).await;
                }
                self.exclude(server);
                Ok(Next::PlanAgain)
            }
            // Files that could not be used are no fault of a winner whose relay logs they are.
            Step::Save { from, .. } => {
                let copied = matches!(self.on_disk, Some(BinlogsOnDisk::Copied { .. }));
                let of_copy = copied && matches!(from, Origin::Binlogs(_));
                if of_copy && self.shared.disk_copy().is_none() {
                    // It was given up: another one may do.
                    self.tell(Level::Warning, error.to_string());
                    self.on_disk = None;
                } else {
                    self.avoid(from.server().clone());
                }
                Ok(Next::PlanAgain)
            }
            // A sibling that cannot be brought to the winner's place is no fault of the winner.
            Step::Rescue { server, .. } | Step::Level { server, .. }
                if server != self.plan.winner && error.server() == Some(&server) =>
            {
                self.leave_behind(server);
                Ok(Next::PlanAgain)
            }
            Step::AttachAckers { .. } if self.shared.by_place => {
                match error {
                    StepError::NotAttached { failed, .. } if !failed.is_empty() => {
                        failed.into_iter().for_each(|server| self.leave_behind(server));
                    }
                    _ => self.exclude(self.plan.winner.clone()),
                }
                Ok(Next::PlanAgain)
            }
            _ => {
                let culprit = error.server().unwrap_or(&self.plan.winner).clone();
                self.exclude(culprit);
                Ok(Next::PlanAgain)
            }
        }
    }

    /// The winner is not tried again in this round; another server that failed was to give
    /// something, and is not asked again.
    fn exclude(&mut self, server: Address) {
        if server != self.plan.winner {
            return self.avoid(server);
        }
        if let Request::Failover(request) = &mut self.request
            && !request.excluded.contains(&server)
        {
            request.excluded.push(server);
        }
    }

    /// The server is not asked again in this round to give what it holds.
    fn avoid(&mut self, server: Address) {
        if let Request::Failover(request) = &mut self.request
            && !request.failed_donors.contains(&server)
        {
            request.failed_donors.push(server);
        }
    }

    /// The server does not get in this round what it lacks, and does not follow the winner.
    fn leave_behind(&mut self, server: Address) {
        if let Request::Failover(request) = &mut self.request
            && !request.failed_receivers.contains(&server)
        {
            request.failed_receivers.push(server);
        }
    }

    /// The fence did not hold. If the primary serves again there is nothing to fail over; else it
    /// is tried again, for one writer is worth waiting for. When no fence is left to try, because
    /// the host itself is lost, the policy for servers that cannot be fenced decides.
    async fn fence_failed(&mut self, error: StepError, tries: u32) -> Result<Next, OperationError> {
        let snapshot = self.look().await;
        let fences = snapshot.server(&self.plan.old).map(|old| old.fences.as_slice());
        if diagnose(&snapshot).is_serving() || fences.is_none_or(<[_]>::is_empty) {
            return Err(self.back_out(error).await);
        }
        if tries.is_multiple_of(10) || tries == 1 {
            self.tell(
                Level::Alarm,
                format!("{error}; nothing is promoted while the old primary is not fenced"),
            );
        }
        tokio::time::sleep(RETRY).await;
        Ok(Next::Again)
    }

    /// The script did not give the address to the winner, which has all data and is not open. A
    /// switchover gives the role back; a failover is held, because nobody would find the winner,
    /// until the script succeeds or a person goes on without it. Where the script has opened the
    /// winner, applications may have written there, and there is no way back.
    async fn address_not_given(
        &mut self,
        winner: Address,
        error: StepError,
        tries: u32,
    ) -> Result<Next, OperationError> {
        if steps::accepts_writes(self.cluster, &winner).await {
            let why = format!("{error}; but it has opened {winner}, so this is the primary now");
            self.tell(Level::Alarm, why);
            self.left.push(error.to_string());
            return Ok(Next::GoOn);
        }
        if self.plan.kind != OperationKind::Failover {
            return Err(self.give_back(error).await);
        }
        if tries == 1 || tries.is_multiple_of(10) {
            let how = "mend the script, which is called again, or go on without it: `primacy \
                       failover --force`";
            self.tell(Level::Alarm, format!("HELD: {error} ({how})"));
        }
        self.control.permit = None;
        let amendments = &mut self.control.amendments;
        if let Ok(Ok(())) = tokio::time::timeout(CALL_AGAIN, amendments.changed()).await {
            // Waiting for it has marked it as seen.
            amendments.mark_changed();
        }
        let forced = |request: &Request| matches!(request, Request::Failover(f) if f.force);
        if self.take_amendments() && forced(&self.request) {
            let why = format!("a person goes on without the script: {error}");
            self.tell(Level::Warning, why.clone());
            self.left.push(why);
            return Ok(Next::GoOn);
        }
        Ok(Next::Again)
    }

    /// A switchover cannot be finished with its winner: once that is surely closed, the old
    /// primary, which holds everything, gets the role back in an epoch of its own.
    async fn give_back(&mut self, error: StepError) -> OperationError {
        if self.plan.kind != OperationKind::Switchover {
            return OperationError::Unfinished { error: Box::new(error) };
        }
        let (old, winner) = (self.plan.old.clone(), self.plan.winner.clone());
        if let Err(worse) = steps::make_sure_it_is_closed(self.cluster, &winner).await {
            self.tell(Level::Alarm, format!("{error}; and {worse}: nobody is opened"));
            return OperationError::Unfinished { error: Box::new(error) };
        }
        let epoch = self.plan.epoch.next();
        if let Err(store) = record_primary(self.cluster, &old, epoch).await {
            return store.into();
        }
        self.cluster.leases.revoke_below(&self.cluster.name, epoch).await;
        self.tell(
            Level::Alarm,
            format!("{error}; the role is given back to {old} in epoch {epoch}"),
        );
        self.back_out(error).await
    }
}
