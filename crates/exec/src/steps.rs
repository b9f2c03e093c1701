//! How each step is done on real servers. For every step: what is noted before it runs
//! ([`prepare`]), the doing itself ([`perform`]), and a way back where there is one
//! ([`crate::undo`]). All of it is idempotent: a restarted manager does the step again.

mod address;
mod apply;
mod attach;
mod block;
mod copies;
mod empty;
mod events;
mod fence;
mod leave;
mod places;
mod point;
mod promote;
mod receivers;
mod rescue;
mod semi_sync;
mod stop;
mod verify;

use std::time::Duration;

use primacy_plan::{OperationKind, Plan, PlannedStep, Step};
use primacy_types::{Address, Millis};
use serde_json::Value;

use crate::Cluster;
use crate::error::StepError;
use crate::shared::Shared;

pub use address::return_address;
pub(crate) use address::{forget as forget_address, put_back as put_address_back};
pub(crate) use block::reopen;
pub(crate) use copies::ReadCopy;
pub(crate) use empty::empty_relay_logs;
pub(crate) use events::silence as silence_events;
pub(crate) use fence::{accepts_writes, close_by_sql, make_sure_it_is_closed, release};
pub use leave::leave_to_others;
pub(crate) use point::{Course, point, put_back};
pub(crate) use receivers::{start as start_receiver, start_receivers, warn_unless_started};
pub(crate) use rescue::{forget_copies, read_the_disk, rescue_late, said_of_disk};
pub(crate) use semi_sync::restore as restore_semi_sync;

/// How often a state that is waited for is looked at.
pub(crate) const POLL: Duration = Duration::from_millis(20);

/// What is needed to put the step back, read before it runs.
pub(crate) async fn prepare(cluster: &Cluster, planned: &PlannedStep) -> Result<Value, StepError> {
    let limit = planned.limit;
    match &planned.step {
        Step::BlockWrites { server, .. } => block::before(cluster, server, limit).await,
        Step::SemiSyncRole { server, .. } => semi_sync::before(cluster, server, limit).await,
        Step::Detach { server, .. }
        | Step::Level { server, .. }
        | Step::Rescue { server, .. }
        | Step::Repoint { server, may_lag: false, .. } => {
            point::before(cluster, std::slice::from_ref(server), limit).await
        }
        Step::AttachAckers { replicas, .. } => point::before(cluster, replicas, limit).await,
        Step::SealReceivers { servers } => Ok(receivers::before(cluster, servers)),
        Step::Fence { server, .. } => Ok(fence::before(cluster, server)),
        _ => Ok(Value::Null),
    }
}

/// Does the step; what comes back is a sentence for the timeline, or nothing.
pub(crate) async fn perform(
    cluster: &Cluster,
    plan: &Plan,
    planned: &PlannedStep,
    before: &Value,
    shared: &Shared,
) -> Result<String, StepError> {
    let limit = planned.limit;
    let by_place = shared.by_place;
    match &planned.step {
        Step::Fence { server, rung } => {
            fence::fence(cluster, server, *rung, limit, before, Some(shared)).await
        }
        Step::SealReceivers { servers } => receivers::seal(cluster, servers, limit).await,
        Step::Measure => Ok(String::new()),
        Step::Drain { server } if by_place => places::drain(cluster, server, limit).await,
        Step::Drain { server } => apply::drain(cluster, server, limit).await,
        Step::PairPositions { server, source } => {
            places::pair(cluster, shared, server, source, limit).await
        }
        Step::Save { from, since } => rescue::save(cluster, shared, from, since, limit).await,
        Step::Rescue { server, from, until } => {
            rescue::rescue(cluster, shared, server, from, until, limit).await
        }
        Step::Level { server, from, until } if by_place => {
            places::level(cluster, server, from, until, shared, limit).await
        }
        Step::Level { server, from, until } => {
            if cluster.policy.leaves.replicas {
                point::note_for_later(server, before, shared).await?;
            }
            apply::level(cluster, server, from, until, limit).await
        }
        Step::AttachAckers { source, replicas, needed } => {
            // Writes are blocked while a switchover waits for them.
            let limit = match plan.kind {
                OperationKind::Switchover => limit.min(cluster.policy.timing.switchover_limit),
                _ => limit,
            };
            attach::attach(cluster, source, replicas, *needed, limit, before, shared).await
        }
        Step::BlockWrites { server, grace } => block::block(cluster, server, *grace, limit).await,
        Step::CatchUp { server, source } if by_place => {
            places::catch_up(cluster, server, source, limit).await
        }
        Step::CatchUp { server, source } => apply::catch_up(cluster, server, source, limit).await,
        Step::Detach { server, keep } => {
            promote::detach(cluster, server, *keep, limit, shared).await
        }
        Step::TakeAddress { server } => address::take(cluster, plan, server, shared).await,
        Step::GiveAddress { server } => address::give(cluster, plan, server, shared).await,
        Step::SemiSyncRole { server, source, wait_count } => {
            semi_sync::set(cluster, server, *source, *wait_count, limit).await
        }
        Step::RecordEpoch { server, epoch, table } => {
            promote::record(cluster, server, *epoch, *table, limit).await
        }
        Step::OpenWrites { server, epoch } => promote::open(cluster, server, *epoch, limit).await,
        Step::Route { server, epoch } => promote::route(cluster, server, *epoch).await,
        Step::MoveEvents { to, from } => events::shift(cluster, to, from.as_ref(), limit).await,
        Step::Repoint { server, source, .. } => {
            let course = Course::of(before, server, shared);
            point(cluster, server, source, limit, &course).await
        }
        Step::GiveBack { servers } => point::give_back(cluster, servers, shared, limit).await,
        Step::Verify { primary, replicas } => {
            verify::verify(cluster, primary, replicas, limit, &plan.old).await
        }
    }
}

/// The step that plans the rest again.
pub(crate) fn measure(plan: &Plan) -> PlannedStep {
    let limit = plan.steps.first().map_or(Millis::from_secs(5), |s| s.limit);
    PlannedStep { step: Step::Measure, limit, no_return: false }
}

/// Watches that something moves: stalls when nothing has changed for a whole limit.
pub(crate) struct Progress<T> {
    last: Option<T>,
    since: tokio::time::Instant,
    limit: Millis,
}

impl<T: PartialEq> Progress<T> {
    pub(crate) fn new(limit: Millis) -> Self {
        Self { last: None, since: tokio::time::Instant::now(), limit }
    }

    /// Notes what was seen; an error when it has been the same for too long.
    pub(crate) fn saw(
        &mut self,
        server: &Address,
        now: T,
        missing: impl FnOnce() -> String,
    ) -> Result<(), StepError> {
        if self.last.as_ref() != Some(&now) {
            self.last = Some(now);
            self.since = tokio::time::Instant::now();
        } else if self.since.elapsed() >= self.limit.as_duration() {
            return Err(StepError::Stalled {
                server: server.clone(),
                what: missing(),
                limit: self.limit,
            });
        }
        Ok(())
    }
}
