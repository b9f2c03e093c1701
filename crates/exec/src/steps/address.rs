//! The way of applications to the primary, where scripts of MHA's kind move it: taken from the old
//! primary before anything else is done, given to the new one when it has all data and before it
//! becomes writable.
//!
//! Where it is stands on record with the operation, so that a primary that serves after all gets it
//! back, also when the manager was ended in between.

use primacy_hooks::Outcome;
use primacy_plan::{OperationKind, Plan, Step};
use primacy_store::Level;
use primacy_types::{Address, ClusterSnapshot};

use super::fence::{accepts_writes, answers_over_ssh};
use crate::Cluster;
use crate::error::StepError;
use crate::scripts::{Called, Sides};
use crate::shared::{AddressAt, Shared, address_left, address_returned};

/// Which script is called, and what it is told.
#[derive(Clone, Copy)]
struct Call<'a> {
    script: &'static str,
    command: &'static str,
    server: &'a Address,
}

/// Takes it from the old primary.
pub(super) async fn take(
    cluster: &Cluster,
    plan: &Plan,
    server: &Address,
    shared: &Shared,
) -> Result<String, StepError> {
    let by_switchover = plan.kind == OperationKind::Switchover;
    // Before the call: one that was ended half way may have taken it.
    shared.set_address(&AddressAt { taken_from: Some(server.clone()), by_switchover }).await?;
    if by_switchover {
        return switch(cluster, plan, "stop", server, shared).await;
    }
    let over_ssh = answers_over_ssh(cluster, server).await;
    let called = cluster.scripts.take_from_the_dead(server, over_ssh).await;
    let command = if over_ssh { "stopssh" } else { "stop" };
    said(cluster, shared, Call { script: FAILOVER, command, server }, called)
}

/// Gives it to the winner, who may be opened by that.
pub(super) async fn give(
    cluster: &Cluster,
    plan: &Plan,
    server: &Address,
    shared: &Shared,
) -> Result<String, StepError> {
    let done = if plan.kind == OperationKind::Switchover {
        switch(cluster, plan, "start", server, shared).await?
    } else {
        let called = cluster.scripts.give_after_failover(&plan.old, server).await;
        said(cluster, shared, Call { script: FAILOVER, command: "start", server }, called)?
    };
    shared.set_address(&AddressAt::default()).await?;
    Ok(done)
}

/// The winner that was given it is not opened after all: it goes to another one.
pub(crate) async fn forget(cluster: &Cluster, server: &Address, shared: &Shared) {
    let called = cluster.scripts.take_from_the_dead(server, false).await;
    // The next one is given it in any case.
    let _told = said(cluster, shared, Call { script: FAILOVER, command: "stop", server }, called);
}

/// Undoes [`take`] or [`give`] of an operation that is put back.
pub(crate) async fn put_back(
    cluster: &Cluster,
    plan: &Plan,
    step: &Step,
    shared: &Shared,
) -> Result<(), StepError> {
    let (old, winner) = (&plan.old, &plan.winner);
    match (step, plan.kind) {
        (Step::GiveAddress { .. }, OperationKind::Switchover) => {
            let back = Sides { orig: winner, new: old, orig_is_new_slave: true };
            let called = cluster.scripts.switch("stop", back).await;
            let call = Call { script: SWITCHOVER, command: "stop", server: winner };
            said(cluster, shared, call, called)?;
        }
        (Step::TakeAddress { .. }, OperationKind::Switchover) => {
            let back = Sides { orig: winner, new: old, orig_is_new_slave: true };
            let called = cluster.scripts.switch("start", back).await;
            let call = Call { script: SWITCHOVER, command: "start", server: old };
            said(cluster, shared, call, called)?;
            shared.set_address(&AddressAt::default()).await?;
        }
        (Step::TakeAddress { .. }, _) if accepts_writes(cluster, old).await => {
            let called = cluster.scripts.give_after_failover(old, old).await;
            said(
                cluster,
                shared,
                Call { script: FAILOVER, command: "start", server: old },
                called,
            )?;
            shared.set_address(&AddressAt::default()).await?;
        }
        (Step::TakeAddress { .. }, _) => tell(
            cluster,
            shared,
            format!("the address was taken from {old}, and is given back when that serves again"),
        ),
        _ => {}
    }
    Ok(())
}

/// Gives the address back to a primary that serves, if an operation that came to nothing has taken
/// it from there and nobody has given it to anybody since; a sentence, if that was so.
///
/// # Errors
/// If the script fails, or the record cannot be read.
pub async fn return_address(
    cluster: &Cluster,
    snapshot: &ClusterSnapshot,
) -> Result<Option<String>, StepError> {
    let Some((id, at)) = address_left(cluster).await? else { return Ok(None) };
    let Some(server) = at.taken_from.filter(|server| snapshot.primary.as_ref() == Some(server))
    else {
        return Ok(None);
    };
    let (script, called) = if at.by_switchover {
        let back = Sides { orig: &server, new: &server, orig_is_new_slave: false };
        (SWITCHOVER, cluster.scripts.switch("start", back).await)
    } else {
        (FAILOVER, cluster.scripts.give_after_failover(&server, &server).await)
    };
    let call = Call { script, command: "start", server: &server };
    let (_, text) = verdict(call, called)?;
    address_returned(cluster, id).await?;
    Ok(Some(format!("the address that was taken from {server} is given back: {text}")))
}

const FAILOVER: &str = "failover_script";
const SWITCHOVER: &str = "switchover_script";

async fn switch(
    cluster: &Cluster,
    plan: &Plan,
    command: &'static str,
    server: &Address,
    shared: &Shared,
) -> Result<String, StepError> {
    let follows = |step: &Step| matches!(step, Step::Repoint { server, .. } if *server == plan.old);
    let orig_is_new_slave = plan.steps.iter().any(|planned| follows(&planned.step));
    let sides = Sides { orig: &plan.old, new: &plan.winner, orig_is_new_slave };
    let called = cluster.scripts.switch(command, sides).await;
    said(cluster, shared, Call { script: SWITCHOVER, command, server }, called)
}

/// What came of a call, with a warning in the timeline where the script wants one.
fn said(
    cluster: &Cluster,
    shared: &Shared,
    call: Call<'_>,
    called: Option<Result<Called, Outcome>>,
) -> Result<String, StepError> {
    let (warned, text) = verdict(call, called)?;
    if warned {
        let Call { script, command, server } = call;
        let text =
            format!("{script} --command={command} for {server} wants no one to wait: {text}");
        tell(cluster, shared, text);
    }
    Ok(text)
}

fn verdict(
    call: Call<'_>,
    called: Option<Result<Called, Outcome>>,
) -> Result<(bool, String), StepError> {
    let Call { script, command, server } = call;
    match called {
        // The configuration was changed while a plan with this step was under way.
        None => Ok((true, format!("there is no {script} any more"))),
        Some(Ok(Called::Done(outcome))) => Ok((false, outcome.to_string())),
        Some(Ok(Called::Warned(outcome))) => Ok((true, outcome.to_string())),
        Some(Err(outcome)) => Err(StepError::Script {
            server: server.clone(),
            script,
            command,
            outcome: Box::new(outcome),
        }),
    }
}

fn tell(cluster: &Cluster, shared: &Shared, text: String) {
    cluster.chronicle.tell(&cluster.name, Some(&shared.id), Level::Warning, text);
}
