//! The plan that replaces a dead primary.
//!
//! It is made twice: before the fence as a preview that shows whether a failover is possible at
//! all, and again after the receivers are sealed, from what was measured then. Nothing is planned
//! that would drop a received transaction: the winner is drained and levelled to everything that
//! any reachable replica holds before it is opened.

use std::borrow::Cow;

use primacy_types::{
    Address, BinlogsOnDisk, ClusterSnapshot, ContactFailure, FenceRung, Leaves, ProcessState,
    RefuseOrProceed,
};
use serde::{Deserialize, Serialize};

use crate::broken::broken_replicas;
use crate::candidates;
use crate::diagnosis::{Death, Diagnosis};
use crate::election::{Election, elect};
use crate::operation::NOT_GUARANTEED;
use crate::origin::readable;
use crate::places::{by_place, replicates_by_place};
use crate::preview::with_expected_disk;
use crate::repoint::{detach, direct, repoint_all, semi_sync, siblings, step};
use crate::rescue::rescue;
use crate::{
    OperationKind, Plan, PlannedStep, Reason, Refusal, Step, coverage, detached, filters, topology,
};

/// What a failover was asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailoverRequest {
    /// This server and no other shall become primary.
    pub to: Option<Address>,
    /// A person says that the primary is dead or that it may be replaced without being fenced:
    /// overrides doubt, `promotion = "never"`, `stay_in_site` and `unfenced = "refuse"` for a
    /// server that is silent; never the fence of one that is seen to live, the lock or the
    /// invariants.
    pub force: bool,
    /// A person accepts that transactions which exist somewhere are lost.
    pub accept_loss: bool,
    /// A person asked for it (pauses and blocks do not apply).
    pub by_person: bool,
    /// Servers that have already failed in this operation: no candidates, and asked to give others
    /// what they lack only if nobody else can.
    pub excluded: Vec<Address>,
    /// Servers that have already failed to give in this operation what they hold.
    #[serde(default)]
    pub failed_donors: Vec<Address>,
    /// Replicas that could not be given in this operation what they lack: they stay behind.
    #[serde(default)]
    pub failed_receivers: Vec<Address>,
}

impl FailoverRequest {
    /// Somebody failed in this operation and is not asked now.
    pub fn passes_over_somebody(&self) -> bool {
        !(self.excluded.is_empty()
            && self.failed_donors.is_empty()
            && self.failed_receivers.is_empty())
    }
}

/// How far the failover is when the plan is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nothing was done yet: the whole plan, its second half as a preview.
    BeforeFence,
    /// The old primary is fenced and the receivers are sealed: only what is left to do.
    AfterSeal,
}

/// Plans a failover of `snapshot`'s primary.
///
/// # Errors
/// A [`Refusal`] that names every reason and the way out.
pub fn plan_failover(
    snapshot: &ClusterSnapshot,
    diagnosis: &Diagnosis,
    request: &FailoverRequest,
    stage: Stage,
) -> Result<Plan, Refusal> {
    let Some(old) = snapshot.primary.clone() else {
        return Err(refusal(
            Vec::new(),
            vec![Reason::new(
                "no primary is on record, so there is nothing to fail over from",
                "see `primacy explain`",
            )],
            false,
        ));
    };
    let snapshot = &*by_place(snapshot);
    let snapshot = &*match stage {
        Stage::BeforeFence => Cow::Borrowed(snapshot),
        Stage::AfterSeal => detached::reattached(snapshot, &old),
    };
    let judged = candidates::judge(snapshot, &old);
    let mut notes = Vec::new();
    let mut reasons = other_writers(snapshot, &old, stage);
    if stage == Stage::BeforeFence {
        reasons.extend(is_dead(diagnosis, request));
        reasons.extend(is_fenceable(snapshot, &old, diagnosis, request, &mut notes));
        reasons.extend(broken_replicas(snapshot, &old, request.force, &mut notes));
    }
    let coverage = coverage::coverage(snapshot, &old);
    reasons.extend(is_covered(snapshot, &old, stage, &coverage, request, &mut notes));
    // Until the fence is up the disk is only expected to be readable; then it is read.
    let snapshot = &*match stage {
        Stage::BeforeFence => with_expected_disk(snapshot, &old),
        Stage::AfterSeal => Cow::Borrowed(snapshot),
    };
    let election = match elect(snapshot, &old, &judged, request, &mut notes) {
        Ok(election) if reasons.is_empty() => election,
        Ok(_) => return Err(refusal(judged, reasons, false)),
        Err(failed) => {
            reasons.extend(failed.reasons);
            return Err(refusal(judged, reasons, failed.held));
        }
    };
    let winner = election.winner.clone();
    for judgement in judged.iter().filter(|j| !j.exclusions.is_empty() && j.server != winner) {
        let why: Vec<_> = judgement.exclusions.iter().map(ToString::to_string).collect();
        notes.push(format!("{} was no candidate: {}", judgement.server, why.join("; ")));
    }
    notes.extend(outside_channels(snapshot, &old));
    notes.extend(filters::note(snapshot, &winner));
    let mut steps = Vec::new();
    if stage == Stage::BeforeFence {
        let rung = snapshot.server(&old).and_then(|s| s.fences.first().copied());
        let timing = &snapshot.policy.timing;
        if snapshot.policy.scripts.failover {
            let take = Step::TakeAddress { server: old.clone() };
            steps.push(step(take, snapshot.policy.scripts.timeout));
        }
        steps.push(PlannedStep {
            step: Step::Fence { server: old.clone(), rung },
            limit: timing.statement_limit,
            no_return: true,
        });
        let servers = direct(snapshot, &old);
        if !servers.is_empty() {
            steps.push(step(Step::SealReceivers { servers }, timing.statement_limit));
        }
        steps.push(step(Step::Measure, timing.statement_limit));
    }
    after_measure(snapshot, &old, &election, request, &mut steps, &mut notes)
        .map_err(|reason| refusal(judged.clone(), vec![reason], false))?;
    let mut left_behind = siblings(snapshot, &old, &winner);
    left_behind.retain(|sibling| request.failed_receivers.contains(sibling));
    notes.extend(left_behind.iter().map(|sibling| {
        format!(
            "{sibling} could not be given what it lacks: it stays where it is and is named by `check`"
        )
    }));
    Ok(Plan {
        cluster: snapshot.cluster.clone(),
        kind: OperationKind::Failover,
        old,
        winner,
        epoch: snapshot.epoch.next(),
        by_place: replicates_by_place(snapshot),
        steps,
        coverage: Some(coverage),
        notes,
        judged,
        left_behind,
    })
}

fn refusal(judged: Vec<candidates::Judged>, reasons: Vec<Reason>, held: bool) -> Refusal {
    Refusal { kind: OperationKind::Failover, reasons, held, judged }
}

/// Servers that accept writes now, before anybody is promoted.
fn other_writers(snapshot: &ClusterSnapshot, old: &Address, stage: Stage) -> Vec<Reason> {
    snapshot
        .all_live()
        .filter(|(a, f)| f.writable() && (*a != old || stage == Stage::AfterSeal))
        .map(|(a, _)| {
            Reason::new(
                format!("{a} accepts writes already, so nobody else may be promoted"),
                format!("make {a} read-only: SET GLOBAL read_only = ON"),
            )
        })
        .collect()
}

/// Channels over which the old primary got events from outside: they do not move with the role.
fn outside_channels(snapshot: &ClusterSnapshot, old: &Address) -> Vec<String> {
    let facts = snapshot.server(old).and_then(|s| s.facts.as_ref());
    let mut notes: Vec<_> = facts
        .into_iter()
        .flat_map(|f| &f.channels)
        .filter(|c| topology::source_of(snapshot, c).is_none())
        .map(|c| {
            format!(
                "{old} itself replicated from {} (channel {:?}); that is not moved: set it up on \
                 the new primary by hand",
                c.source, c.name
            )
        })
        .collect();
    notes.sort();
    notes
}

/// Whether the primary is known to be dead, or a person says so.
fn is_dead(diagnosis: &Diagnosis, request: &FailoverRequest) -> Option<Reason> {
    match diagnosis {
        Diagnosis::PrimaryDead { .. } | Diagnosis::PrimaryCannotWrite { .. } => None,
        Diagnosis::PrimaryReadOnly { ahead, .. } if !ahead.is_empty() => None,
        // These say that the primary answers somebody: no force makes it dead.
        Diagnosis::Healthy { .. } | Diagnosis::Degraded { .. } => {
            Some(Reason::new("the primary is alive and accepts writes", "use `primacy switchover`"))
        }
        Diagnosis::SeveralWritable { .. } => Some(Reason::new(
            diagnosis.sentence(),
            "make all but one read-only: SET GLOBAL read_only = ON",
        )),
        Diagnosis::PrimarySuspected { .. }
        | Diagnosis::PrimaryStopped { .. }
        | Diagnosis::PrimaryRestarting { .. }
        | Diagnosis::PrimaryRefusesUs { .. }
        | Diagnosis::PrimaryCutOffFromHere { .. }
        | Diagnosis::PrimaryReadOnly { .. }
        | Diagnosis::ManagerIsolated { .. }
            if request.force =>
        {
            None
        }
        Diagnosis::Starting { .. } | Diagnosis::NoPrimary { .. } => {
            Some(Reason::new(diagnosis.sentence(), "see `primacy explain`"))
        }
        other => Some(Reason::new(
            other.sentence(),
            "wait, or decide it yourself with `primacy failover --force`, which fences the old \
             primary first",
        )),
    }
}

/// Whether the old primary can be kept from accepting writes.
fn is_fenceable(
    snapshot: &ClusterSnapshot,
    old: &Address,
    diagnosis: &Diagnosis,
    request: &FailoverRequest,
    notes: &mut Vec<String>,
) -> Option<Reason> {
    let rungs = snapshot.server(old).map(|s| s.fences.as_slice()).unwrap_or_default();
    if let Some((rung, below)) = rungs.split_first() {
        notes.push(format!("{old} is fenced ({rung}): {}{}", rung.guarantee(), then(below)));
        if *rung == FenceRung::Script {
            notes.push(format!(
                "if shutdown_script powers off the host of {old} (exit code 0), nothing is read \
                 from its disk; if it stops the process (10), what nobody received is read as far \
                 as there is a way to the host"
            ));
        }
        return None;
    }
    let server = snapshot.server(old);
    let process = server.and_then(|s| s.process);
    let last = server.and_then(|s| s.contact.failure());
    // Nobody can write there now, whoever may come back later.
    let nothing_listens = matches!(process, Some(ProcessState::Exited { .. }))
        || (process.is_none()
            && matches!(last, Some(ContactFailure::Refused | ContactFailure::ShuttingDown)));
    match diagnosis {
        Diagnosis::PrimaryRefusesUs { .. }
        | Diagnosis::PrimaryCutOffFromHere { .. }
        | Diagnosis::PrimaryCannotWrite { .. }
        | Diagnosis::PrimaryRestarting { .. } => Some(Reason::new(
            format!("{old} is alive and cannot be fenced, so two servers would accept writes"),
            "stop it first; no option goes on without that",
        )),
        Diagnosis::PrimaryReadOnly { .. } => {
            notes.push(format!(
                "{NOT_GUARANTEED}: {old} answers and cannot be fenced; only its read_only setting \
                 keeps it from accepting writes"
            ));
            None
        }
        Diagnosis::PrimaryDead {
            death: Death::ProcessGone | Death::Refused | Death::StoppedForTooLong,
            ..
        } if nothing_listens => {
            notes.push(format!(
                "{old} cannot be fenced: nothing listens there now, and if it is started again it \
                 is set read-only on sight; what it accepts before that is not prevented unless \
                 its configuration says read_only"
            ));
            None
        }
        _ if snapshot.policy.unfenced == RefuseOrProceed::Proceed || request.force => {
            let by = if request.force { "--force" } else { "unfenced = \"proceed\"" };
            notes.push(format!(
                "{NOT_GUARANTEED}: {old} is silent and cannot be fenced. If it still runs, it may \
                 accept writes that nobody else gets ({by})"
            ));
            None
        }
        _ => Some(Reason::new(
            format!("{old} is silent and cannot be fenced, so it might still accept writes"),
            "make sure that it is off, then `primacy failover --force`; or set \
             policy.unfenced = \"proceed\"",
        )),
    }
}

/// The rungs that are tried if the first one fails.
fn then(rungs: &[FenceRung]) -> String {
    let words: Vec<_> = rungs.iter().map(ToString::to_string).collect();
    if words.is_empty() { String::new() } else { format!(" (if that fails: {})", words.join(", ")) }
}

/// Whether acknowledged rows may be missing, and what the policy says about that.
fn is_covered(
    snapshot: &ClusterSnapshot,
    old: &Address,
    stage: Stage,
    coverage: &coverage::Coverage,
    request: &FailoverRequest,
    notes: &mut Vec<String>,
) -> Option<Reason> {
    if coverage.proved {
        notes.push(format!("nothing acknowledged is missing: {}", coverage.sentence));
        return None;
    }
    // What a server's log holds that may go on writing settles nothing.
    let unread = snapshot
        .server(old)
        .is_some_and(|s| s.on_disk.is_none() && (s.is_closed() || !s.fences.is_empty()));
    if stage == Stage::BeforeFence && unread && readable(snapshot, old) {
        notes.push(format!(
            "whether the replicas have everything is not proved ({}); what they lack is read from \
             the binary logs of {old} after the fence",
            coverage.sentence
        ));
        return None;
    }
    let unread = match snapshot.server(old).and_then(|s| s.on_disk.as_ref()) {
        Some(BinlogsOnDisk::Unreadable { reason, .. }) => {
            format!("; the binary logs of {old} cannot be read: {reason}")
        }
        Some(BinlogsOnDisk::Copied { place, length, reason, .. }) => format!(
            "; of the binary logs of {old} the copy in {place} was read, to {length}, because they \
             themselves cannot be: {reason}"
        ),
        _ => String::new(),
    };
    let missing = if coverage.known_missing.is_empty() {
        unread
    } else {
        format!("; known to be missing: {}{unread}", coverage.known_missing.join(", "))
    };
    let policy = snapshot.policy.on_possible_loss.unwrap_or(if coverage.semi_sync {
        RefuseOrProceed::Refuse
    } else {
        RefuseOrProceed::Proceed
    });
    if policy == RefuseOrProceed::Proceed || (request.force && request.accept_loss) {
        notes.push(format!(
            "POSSIBLE LOSS: acknowledged rows may be missing, because {}{missing}",
            coverage.sentence
        ));
        return None;
    }
    Some(Reason::new(
        format!("acknowledged rows may be lost, because {}{missing}", coverage.sentence),
        "bring back the old primary or the missing replicas, or decide it with \
         `primacy failover --force --accept-loss` (policy.on_possible_loss)",
    ))
}

/// Everything from the drain on.
fn after_measure(
    snapshot: &ClusterSnapshot,
    old: &Address,
    election: &Election,
    request: &FailoverRequest,
    steps: &mut Vec<PlannedStep>,
    notes: &mut Vec<String>,
) -> Result<(), Reason> {
    let policy = &snapshot.policy;
    let timing = &policy.timing;
    let winner = &election.winner;
    let epoch = snapshot.epoch.next();
    let siblings = siblings(snapshot, old, winner);
    let rescue = rescue(snapshot, old, election, &siblings, request, notes);
    steps.extend(rescue.saves);
    steps.extend(rescue.winner);
    let mut late = rescue.siblings;
    let leaves = policy.leaves;
    if leaves.replicas && policy.semi_sync.is_some() {
        return Err(Reason::new(
            "replicas are to be left with the dead primary, so nobody would acknowledge what the new \
             one commits",
            "let them be moved, or end semi-sync (policy.semi_sync)",
        ));
    }
    if leaves.anything() {
        notes.push(left_to_a_person(winner, leaves));
    }
    if leaves.everything() {
        steps.append(&mut late);
        let servers = std::iter::once(winner).chain(&siblings).cloned().collect();
        steps.push(step(Step::GiveBack { servers }, timing.statement_limit));
        return Ok(());
    }
    if replicates_by_place(snapshot) && !leaves.replicas {
        if policy.semi_sync.is_some() {
            // They may be needed as ackers before the winner is opened.
            steps.append(&mut late);
        }
        let pair = Step::PairPositions { server: winner.clone(), source: old.clone() };
        steps.push(step(pair, timing.statement_limit));
    }
    // Without GTID whoever is left behind cannot follow the winner, nor acknowledge to it.
    let able = siblings.iter().filter(|s| !request.failed_receivers.contains(*s));
    let able: Vec<Address> = able.cloned().collect();
    let semi_sync = semi_sync(snapshot, old, winner, &able, None, steps, notes)?;
    steps.push(detach(snapshot, winner));
    steps.push(step(
        Step::RecordEpoch { server: winner.clone(), epoch, table: policy.epoch_table },
        timing.statement_limit,
    ));
    steps.extend(semi_sync);
    if policy.scripts.failover {
        // It may open the winner itself.
        steps.push(step(Step::GiveAddress { server: winner.clone() }, policy.scripts.timeout));
    }
    if !leaves.closed {
        let limit = timing.statement_limit;
        steps.push(step(Step::OpenWrites { server: winner.clone(), epoch }, limit));
        steps.push(step(Step::Route { server: winner.clone(), epoch }, limit));
        steps.push(step(Step::MoveEvents { to: winner.clone(), from: None }, limit));
    }
    steps.append(&mut late);
    if leaves.replicas {
        steps.push(step(Step::GiveBack { servers: siblings }, timing.statement_limit));
    } else {
        repoint_all(snapshot, winner, &able, steps);
    }
    Ok(())
}

/// What a plan says of what it does not do.
fn left_to_a_person(winner: &Address, leaves: Leaves) -> String {
    let what = match (leaves.closed, leaves.replicas) {
        (true, true) => {
            format!(
                "nobody is promoted: {winner} and all replicas stay as they are, with what they lacked"
            )
        }
        (true, false) => format!("{winner} stays read-only"),
        (false, _) => {
            format!("the replicas keep the dead primary as their source and do not follow {winner}")
        }
    };
    format!("LEFT TO A PERSON, as it was ordered: {what}")
}
