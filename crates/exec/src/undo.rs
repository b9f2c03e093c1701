//! Putting everything back as it was before an operation, step by step from the last to the first.

use primacy_plan::{PlannedStep, Step};
use primacy_store::StepState;
use serde_json::Value;

use crate::error::StepError;
use crate::operation::Operation;
use crate::shared::Shared;
use crate::{Cluster, steps};

/// Puts back every step that was begun. All are tried; the sentences of those that failed are
/// returned.
pub(crate) async fn all(operation: &mut Operation<'_>) -> Result<(), String> {
    let mut failed = Vec::new();
    // What was given to the winner is taken from it before anybody else may be found there. Then
    // the blocked primary: nobody else was opened, and writes wait for it.
    let given = begun_as(operation, |step| matches!(step, Step::GiveAddress { .. })).await;
    let blocked = blocked(operation).await;
    let first: Vec<_> = given.into_iter().chain(blocked).collect();
    let rest = (0..operation.begun.len()).rev().filter(|at| !first.contains(at));
    for at in first.iter().copied().chain(rest.collect::<Vec<_>>()) {
        let begun = operation.begun[at].clone();
        if begun.undone || !begun.started {
            continue;
        }
        let Some(planned) = planned(operation, begun.generation, begun.index).await else {
            continue;
        };
        let Operation { cluster, plan, shared, .. } = operation;
        let undone = match &planned.step {
            step @ (Step::TakeAddress { .. } | Step::GiveAddress { .. }) => {
                steps::put_address_back(cluster, plan, step, shared).await
            }
            _ => one(cluster, &planned, &begun.detail, shared).await,
        };
        match undone {
            Ok(()) => {
                operation.begun[at].undone = true;
                operation.journal.note(
                    begun.generation,
                    begun.index,
                    &planned,
                    StepState::Undone,
                    Value::Null,
                );
            }
            Err(error) => failed.push(error.to_string()),
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}

/// Which of the steps that were begun blocked the primary.
async fn blocked(operation: &Operation<'_>) -> Option<usize> {
    begun_as(operation, |step| matches!(step, Step::BlockWrites { .. })).await
}

/// The first of the steps that were begun that is such a one.
async fn begun_as(operation: &Operation<'_>, is_it: fn(&Step) -> bool) -> Option<usize> {
    for (at, begun) in operation.begun.iter().enumerate() {
        let planned = planned(operation, begun.generation, begun.index).await;
        if planned.is_some_and(|planned| is_it(&planned.step)) {
            return Some(at);
        }
    }
    None
}

/// Whether the primary that was blocked is still to be opened again.
pub(crate) async fn is_blocked(operation: &Operation<'_>) -> bool {
    match blocked(operation).await {
        Some(at) => operation.begun[at].started && !operation.begun[at].undone,
        None => false,
    }
}

async fn planned(operation: &Operation<'_>, generation: u32, index: usize) -> Option<PlannedStep> {
    if generation == operation.generation {
        return operation.plan.steps.get(index).cloned();
    }
    let page = operation.journal.plan(generation).await.ok()??;
    page.plan.steps.get(index).cloned()
}

async fn one(
    cluster: &Cluster,
    planned: &PlannedStep,
    noted: &Value,
    shared: &Shared,
) -> Result<(), StepError> {
    let limit = planned.limit;
    match &planned.step {
        Step::BlockWrites { server, .. } => steps::reopen(cluster, server, noted, limit).await,
        Step::SemiSyncRole { server, .. } => {
            steps::restore_semi_sync(cluster, server, noted, limit).await
        }
        Step::Detach { server, .. }
        | Step::Level { server, .. }
        | Step::Rescue { server, .. }
        | Step::Repoint { server, .. } => {
            steps::put_back(cluster, noted, server, limit, shared).await
        }
        Step::AttachAckers { replicas, .. } => {
            let mut first = Ok(());
            for replica in replicas {
                let back = steps::put_back(cluster, noted, replica, limit, shared).await;
                if first.is_ok() {
                    first = back;
                }
            }
            first
        }
        Step::SealReceivers { .. } => steps::start_receivers(cluster, noted, limit).await,
        Step::Fence { server, .. } => steps::release(cluster, server).await,
        // These change nothing, or nothing that is in anybody's way.
        Step::Measure
        | Step::Drain { .. }
        | Step::Save { .. }
        | Step::PairPositions { .. }
        | Step::CatchUp { .. }
        | Step::TakeAddress { .. }
        | Step::GiveAddress { .. }
        | Step::RecordEpoch { .. }
        | Step::OpenWrites { .. }
        | Step::Route { .. }
        | Step::MoveEvents { .. }
        | Step::GiveBack { .. }
        | Step::Verify { .. } => Ok(()),
    }
}
