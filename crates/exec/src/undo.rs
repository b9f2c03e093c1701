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
    // The blocked primary first: nobody else was opened, and writes wait for it.
    let blocked = blocked(operation).await;
    let rest = (0..operation.begun.len()).rev().filter(|at| Some(*at) != blocked);
    for at in blocked.into_iter().chain(rest.collect::<Vec<_>>()) {
        let begun = operation.begun[at].clone();
        if begun.undone || !begun.started {
            continue;
        }
        let Some(planned) = planned(operation, begun.generation, begun.index).await else {
            continue;
        };
        match one(operation.cluster, &planned, &begun.detail, &operation.shared).await {
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
    for (at, begun) in operation.begun.iter().enumerate() {
        let planned = planned(operation, begun.generation, begun.index).await;
        if matches!(planned.map(|p| p.step), Some(Step::BlockWrites { .. })) {
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
        Step::Detach { server }
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
        | Step::RecordEpoch { .. }
        | Step::OpenWrites { .. }
        | Step::Route { .. }
        | Step::MoveEvents { .. }
        | Step::Verify { .. } => Ok(()),
    }
}
