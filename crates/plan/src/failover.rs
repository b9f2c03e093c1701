//! The plan that replaces a dead primary.
//!
//! It is made twice: before the fence as a preview that shows whether a failover is possible at
//! all, and again after the receivers are sealed, from what was measured then. Nothing is planned
//! that would drop a received transaction: the winner is drained and levelled to everything that
//! any reachable replica holds before it is opened.

use primacy_types::{Address, ClusterSnapshot, GtidMode, RefuseOrProceed};
use serde::{Deserialize, Serialize};

use crate::candidates::{self, Exclusion};
use crate::diagnosis::{Death, Diagnosis};
use crate::repoint::{live_members, repoint_all, semi_sync, siblings, step};
use crate::{OperationKind, Plan, PlannedStep, Reason, Refusal, Step, coverage};

/// What a failover was asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailoverRequest {
    /// This server and no other shall become primary.
    pub to: Option<Address>,
    /// A person says that the primary is dead or that it may be replaced without being fenced:
    /// overrides doubt, `promotion = "never"` and `unfenced = "refuse"`; never the fence itself,
    /// the lock or the invariants.
    pub force: bool,
    /// A person accepts that transactions which exist somewhere are lost.
    pub accept_loss: bool,
    /// A person asked for it (pauses and blocks do not apply).
    pub by_person: bool,
    /// Candidates that have already failed in this operation.
    pub excluded: Vec<Address>,
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

/// The winner and what may not be had, once somebody can win.
struct Election {
    winner: Address,
    donors: Vec<candidates::Donor>,
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
        ));
    };
    let judged = candidates::judge(snapshot, &old);
    let mut reasons = Vec::new();
    let mut notes = Vec::new();
    if stage == Stage::BeforeFence {
        reasons.extend(is_dead(diagnosis, request));
        reasons.extend(is_fenceable(snapshot, &old, diagnosis, request, &mut notes));
    }
    let coverage = coverage::coverage(snapshot, &old);
    reasons.extend(is_covered(snapshot, &coverage, request, &mut notes));
    let election = match elect(snapshot, &old, request, &mut notes) {
        Ok(election) => Some(election),
        Err((why, held)) => {
            reasons.extend(why);
            if held {
                return Err(Refusal { kind: OperationKind::Failover, reasons, held, judged });
            }
            None
        }
    };
    let election = match election {
        Some(election) if reasons.is_empty() => election,
        _ => return Err(refusal(judged, reasons)),
    };
    let winner = election.winner.clone();
    for judgement in judged.iter().filter(|j| !j.exclusions.is_empty()) {
        let why: Vec<_> = judgement.exclusions.iter().map(ToString::to_string).collect();
        notes.push(format!("{} was no candidate: {}", judgement.server, why.join("; ")));
    }
    let mut steps = Vec::new();
    if stage == Stage::BeforeFence {
        let rung = snapshot.server(&old).and_then(|s| s.fences.first().copied());
        let timing = &snapshot.policy.timing;
        steps.push(PlannedStep {
            step: Step::Fence { server: old.clone(), rung },
            limit: timing.statement_limit,
            no_return: true,
        });
        let servers = live_members(snapshot, &old);
        steps.push(step(Step::SealReceivers { servers }, timing.statement_limit));
        steps.push(step(Step::Measure, timing.statement_limit));
    }
    after_measure(snapshot, &old, &election, &mut steps, &mut notes)
        .map_err(|reason| refusal(judged.clone(), vec![reason]))?;
    Ok(Plan {
        cluster: snapshot.cluster.clone(),
        kind: OperationKind::Failover,
        old,
        winner,
        epoch: snapshot.epoch.next(),
        steps,
        coverage: Some(coverage),
        notes,
        judged,
    })
}

fn refusal(judged: Vec<candidates::Judged>, reasons: Vec<Reason>) -> Refusal {
    Refusal { kind: OperationKind::Failover, reasons, held: false, judged }
}

/// Whether the primary is known to be dead, or a person says so.
fn is_dead(diagnosis: &Diagnosis, request: &FailoverRequest) -> Option<Reason> {
    match diagnosis {
        Diagnosis::PrimaryDead { .. } => None,
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
            if request.force =>
        {
            None
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
    if let Some(rung) = rungs.first() {
        notes.push(format!("{old} is fenced ({rung}): {}", rung.guarantee()));
        return None;
    }
    let death = match diagnosis {
        Diagnosis::PrimaryDead { death, .. } => Some(*death),
        _ => None,
    };
    match death {
        Some(Death::ProcessGone | Death::Refused | Death::StoppedForTooLong) => {
            notes.push(format!(
                "{old} cannot be fenced: nothing listens there now, and if it is started again it \
                 is set read-only on sight; what it accepts before that is not prevented unless \
                 its configuration says read_only"
            ));
            None
        }
        _ if snapshot.policy.unfenced == RefuseOrProceed::Proceed || request.force => {
            notes.push(format!(
                "NOT GUARANTEED: {old} is silent and cannot be fenced. If it still runs, it may \
                 accept writes that nobody else gets (unfenced = \"proceed\")"
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

/// Whether acknowledged rows may be missing, and what the policy says about that.
fn is_covered(
    snapshot: &ClusterSnapshot,
    coverage: &coverage::Coverage,
    request: &FailoverRequest,
    notes: &mut Vec<String>,
) -> Option<Reason> {
    if coverage.proved {
        notes.push(format!("nothing acknowledged is missing: {}", coverage.sentence));
        return None;
    }
    let missing = if coverage.known_missing.is_empty() {
        String::new()
    } else {
        format!("; known to be missing: {}", coverage.known_missing.join(", "))
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

/// Chooses the winner: the best candidate that can be brought to hold everything.
fn elect(
    snapshot: &ClusterSnapshot,
    old: &Address,
    request: &FailoverRequest,
    notes: &mut Vec<String>,
) -> Result<Election, (Vec<Reason>, bool)> {
    let mut order: Vec<_> = candidates::ranked(snapshot, old)
        .into_iter()
        .filter(|c| !request.excluded.contains(c))
        .collect();
    if let Some(to) = &request.to {
        let judged = candidates::judge(snapshot, old);
        let Some(judgement) = judged.iter().find(|j| j.server == *to) else {
            return Err((
                vec![Reason::new(
                    format!("{to} is no server of this cluster"),
                    "see `primacy list servers` for the names",
                )],
                false,
            ));
        };
        let against: Vec<_> = judgement
            .exclusions
            .iter()
            .filter(|e| !(request.force && matches!(e, Exclusion::Never | Exclusion::OtherSite(_))))
            .map(ToString::to_string)
            .collect();
        if !against.is_empty() {
            return Err((
                vec![Reason::new(
                    format!("{to} cannot become primary: {}", against.join("; ")),
                    "mend that, or name another server",
                )],
                false,
            ));
        }
        order = vec![to.clone()];
    }
    let mut stuck = Vec::new();
    for winner in order {
        match candidates::donors(snapshot, old, &winner) {
            Ok(donors) => return Ok(Election { winner, donors }),
            Err(_) if request.force && request.accept_loss => {
                notes.push(format!(
                    "ACCEPTED LOSS: {winner} is promoted without transactions that exist elsewhere"
                ));
                return Ok(Election { winner, donors: Vec::new() });
            }
            Err(why) => stuck = why,
        }
    }
    if !stuck.is_empty() {
        let reasons = stuck
            .into_iter()
            .map(|why| {
                Reason::new(
                    why,
                    "mend that server so that it can apply what it received; or give these \
                     transactions up with `primacy failover --force --accept-loss`",
                )
            })
            .collect();
        return Err((reasons, true));
    }
    Err((vec![no_candidate(snapshot, old)], false))
}

fn no_candidate(snapshot: &ClusterSnapshot, old: &Address) -> Reason {
    let judged = candidates::judge(snapshot, old);
    let without_gtid = snapshot.all_live().any(|(a, f)| {
        a != old
            && (f.gtid_mode == GtidMode::Off
                || f.channel(&snapshot.policy.channel).is_some_and(|c| !c.positioning.is_gtid()))
    });
    let why: Vec<_> = judged
        .iter()
        .map(|j| {
            let exclusions: Vec<_> = j.exclusions.iter().map(ToString::to_string).collect();
            format!("{}: {}", j.server, exclusions.join("; "))
        })
        .collect();
    let remedy = if without_gtid {
        "this version fails over clusters that replicate by GTID: switch GTID on"
    } else {
        "bring a replica back or mend what stands against it"
    };
    Reason::new(format!("no server can become primary ({})", why.join(" / ")), remedy)
}

/// Everything from the drain on.
fn after_measure(
    snapshot: &ClusterSnapshot,
    old: &Address,
    election: &Election,
    steps: &mut Vec<PlannedStep>,
    notes: &mut Vec<String>,
) -> Result<(), Reason> {
    let policy = &snapshot.policy;
    let timing = &policy.timing;
    let winner = &election.winner;
    let epoch = snapshot.epoch.next();
    steps.push(step(Step::Drain { server: winner.clone() }, timing.stall_limit));
    for donor in &election.donors {
        steps.push(step(Step::Drain { server: donor.server.clone() }, timing.stall_limit));
        steps.push(step(
            Step::Level {
                server: winner.clone(),
                from: donor.server.clone(),
                until: donor.until.clone(),
            },
            timing.stall_limit,
        ));
    }
    let siblings = siblings(snapshot, old, winner);
    semi_sync(snapshot, winner, &siblings, steps, notes)?;
    steps.push(step(Step::Detach { server: winner.clone() }, timing.statement_limit));
    steps.push(step(
        Step::RecordEpoch { server: winner.clone(), epoch, table: policy.epoch_table },
        timing.statement_limit,
    ));
    steps.push(step(Step::OpenWrites { server: winner.clone(), epoch }, timing.statement_limit));
    steps.push(step(Step::Route { server: winner.clone(), epoch }, timing.statement_limit));
    steps.push(step(Step::MoveEvents { to: winner.clone(), from: None }, timing.statement_limit));
    repoint_all(snapshot, winner, &siblings, steps);
    Ok(())
}
