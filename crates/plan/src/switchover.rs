//! The plan that moves the role while both servers are alive.
//!
//! Until the epoch is recorded everything can be put back; the order keeps semi-sync replicas
//! attached to the old primary until the winner holds its last position, so that no waiting commit
//! is ever released by the switch itself.

use primacy_types::{Address, ClusterSnapshot, ReceiverState};
use serde::{Deserialize, Serialize};

use crate::candidates;
use crate::diagnosis::Diagnosis;
use crate::places::{by_place, replicates_by_place};
use crate::repoint::{detach, repoint_all, semi_sync, siblings, step};
use crate::{OperationKind, Plan, PlannedStep, Reason, Refusal, Step, filters, topology};

/// What a switchover was asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchoverRequest {
    /// The server that shall become primary; the best candidate if not named.
    pub to: Option<Address>,
    /// The old primary is left alone, read-only and a replica of nobody, instead of becoming a
    /// replica of the new one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leave_old: bool,
}

/// Plans a switchover.
///
/// # Errors
/// A [`Refusal`] that names every reason and the way out. Nothing was touched.
pub fn plan_switchover(
    snapshot: &ClusterSnapshot,
    diagnosis: &Diagnosis,
    request: &SwitchoverRequest,
) -> Result<Plan, Refusal> {
    let refuse = |reasons, judged| {
        Err(Refusal { kind: OperationKind::Switchover, reasons, held: false, judged })
    };
    let (Some(old), true) = (snapshot.primary.clone(), diagnosis.is_serving()) else {
        let remedy = match diagnosis {
            Diagnosis::PrimaryDead { .. } | Diagnosis::PrimaryCannotWrite { .. } => {
                "use `primacy failover`"
            }
            _ => "see `primacy explain`; a switchover needs a primary that accepts writes",
        };
        return refuse(vec![Reason::new(diagnosis.sentence(), remedy)], Vec::new());
    };
    let snapshot = &*by_place(snapshot);
    let judged = candidates::judge(snapshot, &old);
    if request.to.as_ref() == Some(&old) {
        let why = format!("{old} is the primary already");
        return refuse(vec![Reason::new(why, "name another server with --to")], judged);
    }
    let winner = match &request.to {
        Some(to) => match judged.iter().find(|j| j.server == *to) {
            Some(j) if j.exclusions.is_empty() => to.clone(),
            Some(j) => {
                let why: Vec<_> = j.exclusions.iter().map(ToString::to_string).collect();
                let why = format!("{to} cannot become primary: {}", why.join("; "));
                return refuse(vec![Reason::new(why, "mend that, or name another server")], judged);
            }
            None => {
                let why = format!("{to} is no server of this cluster");
                let remedy = "see `primacy list servers` for the names";
                return refuse(vec![Reason::new(why, remedy)], judged);
            }
        },
        None => match candidates::ranked(snapshot, &old).into_iter().next() {
            Some(best) => best,
            None => {
                let why: Vec<_> = judged
                    .iter()
                    .map(|j| {
                        let e: Vec<_> = j.exclusions.iter().map(ToString::to_string).collect();
                        format!("{}: {}", j.server, e.join("; "))
                    })
                    .collect();
                let why = format!("no server can become primary ({})", why.join(" / "));
                return refuse(vec![Reason::new(why, "mend what stands against one")], judged);
            }
        },
    };
    let mut reasons = hindrances(snapshot, &old, &winner);
    let mut notes: Vec<String> = filters::note(snapshot, &winner).into_iter().collect();
    let mut steps = Vec::new();
    if let Err(reason) = build(snapshot, &old, &winner, request, &mut steps, &mut notes) {
        reasons.push(reason);
    }
    if !reasons.is_empty() {
        return refuse(reasons, judged);
    }
    Ok(Plan {
        cluster: snapshot.cluster.clone(),
        kind: OperationKind::Switchover,
        old,
        winner,
        epoch: snapshot.epoch.next(),
        by_place: replicates_by_place(snapshot),
        steps,
        coverage: None,
        notes,
        judged,
        left_behind: Vec::new(),
    })
}

/// What stands against it in the replication state; running statements are looked at by the
/// executor just before it begins.
fn hindrances(snapshot: &ClusterSnapshot, old: &Address, winner: &Address) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let policy = &snapshot.policy;
    if let Some(channel) = snapshot.live_channel(winner) {
        if channel.receiver != ReceiverState::Running {
            reasons.push(Reason::new(
                format!("the receiver of {winner} does not run"),
                "start it: START REPLICA IO_THREAD (START SLAVE IO_THREAD)",
            ));
        }
        if !channel.applier_running {
            reasons.push(Reason::new(
                format!("the applier of {winner} does not run"),
                "start it: START REPLICA SQL_THREAD (START SLAVE SQL_THREAD)",
            ));
        }
        let limit = policy.timing.switchover_limit;
        if channel.delay_seconds > 0 {
            reasons.push(Reason::new(
                format!("{winner} is delayed by {} s", channel.delay_seconds),
                "choose another server",
            ));
        } else if channel.lag_seconds.is_some_and(|lag| lag * 1000 > limit.0) {
            reasons.push(Reason::new(
                format!(
                    "{winner} lags by {} s; writes would be blocked for longer than {limit}",
                    channel.lag_seconds.unwrap_or_default()
                ),
                "wait until it has caught up, or raise timing.switchover_limit",
            ));
        }
    }
    if let Some(facts) = snapshot.live(old) {
        let mut channels: Vec<_> = facts.channels.iter().collect();
        channels.sort_by_key(|c| &c.name);
        for channel in channels {
            if topology::source_of(snapshot, channel).is_none() {
                reasons.push(Reason::new(
                    format!(
                        "{old} itself replicates from {} (channel {:?}), whose password cannot be \
                         read, so it cannot be moved to {winner}",
                        channel.source, channel.name
                    ),
                    "set that channel up on the new primary by hand: first STOP and RESET it on \
                     the old one",
                ));
            }
        }
        // A primary that replicates as well (two that follow each other) is to be moved to the winner.
        let received = facts.holds(&policy.channel);
        let both = snapshot.live(winner).map(|w| w.executed.union(&facts.executed));
        // Sets of two flavours cannot be compared, and another flavour is no candidate anyway.
        let unapplied = received.beyond(&facts.executed);
        if !unapplied.is_empty() && both.is_some_and(|both| !both.covers(&received)) {
            reasons.push(Reason::new(
                format!(
                    "{old} has received {} and not applied it: to follow {winner} would drop it",
                    unapplied.join(", ")
                ),
                "let its applier finish, or end its replication with RESET REPLICA ALL (RESET SLAVE \
                 ALL) if it is not wanted",
            ));
        }
        let newer = |f: &primacy_types::ServerFacts| (f.version.number.0, f.version.number.1);
        if let Some(w) = snapshot.live(winner)
            && newer(w) > newer(facts)
        {
            reasons.push(Reason::new(
                format!(
                    "{winner} is {} and {old} is {}: the old primary could not replicate from a \
                     newer series",
                    w.version, facts.version
                ),
                "upgrade the other servers first, or let it go with `primacy failover` after \
                 stopping the old primary",
            ));
        }
    }
    reasons
}

fn build(
    snapshot: &ClusterSnapshot,
    old: &Address,
    winner: &Address,
    request: &SwitchoverRequest,
    steps: &mut Vec<PlannedStep>,
    notes: &mut Vec<String>,
) -> Result<(), Reason> {
    let policy = &snapshot.policy;
    let timing = &policy.timing;
    let epoch = snapshot.epoch.next();
    let siblings = siblings(snapshot, old, winner);
    let scripts = &policy.scripts;
    if scripts.switchover {
        steps.push(step(Step::TakeAddress { server: old.clone() }, scripts.timeout));
    }
    steps.push(step(
        Step::BlockWrites { server: old.clone(), grace: timing.grace },
        timing.switchover_limit,
    ));
    steps.push(step(
        Step::CatchUp { server: winner.clone(), source: old.clone() },
        timing.switchover_limit,
    ));
    if replicates_by_place(snapshot) {
        let pair = Step::PairPositions { server: winner.clone(), source: old.clone() };
        steps.push(step(pair, timing.statement_limit));
    }
    // The old primary is a replica again before long and acknowledges too, but it is attached
    // only after the promotion: until then it must be able to go on as it was.
    let later = Some(old).filter(|_| !request.leave_old);
    let semi_sync = semi_sync(snapshot, old, winner, &siblings, later, steps, notes)?;
    steps.push(detach(snapshot, winner));
    let record = |table| Step::RecordEpoch { server: winner.clone(), epoch, table };
    // Nothing is written on the winner before the script has done its work: the role may have to be
    // given back, and then the row would be a transaction that nobody else has.
    let first = record(policy.epoch_table && !scripts.switchover);
    let limit = timing.statement_limit;
    steps.push(PlannedStep { step: first, limit, no_return: true });
    if scripts.switchover {
        steps.push(step(Step::GiveAddress { server: winner.clone() }, scripts.timeout));
        if policy.epoch_table {
            steps.push(step(record(true), limit));
        }
    }
    steps.extend(semi_sync);
    steps.push(step(Step::OpenWrites { server: winner.clone(), epoch }, timing.statement_limit));
    steps.push(step(Step::Route { server: winner.clone(), epoch }, timing.statement_limit));
    if policy.semi_sync.is_some() {
        steps.push(step(
            Step::SemiSyncRole { server: old.clone(), source: false, wait_count: None },
            timing.statement_limit,
        ));
    }
    steps.push(step(
        Step::MoveEvents { to: winner.clone(), from: Some(old.clone()) },
        timing.statement_limit,
    ));
    let mut all = Vec::new();
    if request.leave_old {
        notes.push(format!("{old} is left alone: read-only, and not made a replica of {winner}"));
    } else {
        all.push(old.clone());
    }
    all.extend(siblings);
    repoint_all(snapshot, winner, &all, steps);
    Ok(())
}

/// Plans to make a restarted primary writable again: it came back read-only, as every server of
/// ours starts, nobody else was promoted, and no replica has more than it.
pub fn plan_reopen(snapshot: &ClusterSnapshot, primary: &Address) -> Plan {
    let timing = &snapshot.policy.timing;
    let limit = timing.statement_limit;
    let epoch = snapshot.epoch;
    let mut steps = Vec::new();
    if let Some(wish) = snapshot.policy.semi_sync {
        // Set at run time by the promotion, so the restart has lost it. Commits wait until the
        // replicas have reconnected, as they would have without the restart.
        let wait_count = Some(wish.wait_count);
        let server = primary.clone();
        steps.push(step(Step::SemiSyncRole { server, source: true, wait_count }, limit));
    }
    steps.push(step(Step::OpenWrites { server: primary.clone(), epoch }, limit));
    steps.push(step(Step::Route { server: primary.clone(), epoch }, limit));
    Plan {
        cluster: snapshot.cluster.clone(),
        kind: OperationKind::Reopen,
        old: primary.clone(),
        winner: primary.clone(),
        epoch,
        by_place: false,
        steps,
        coverage: None,
        notes: vec![format!("{primary} was restarted and keeps its role in epoch {epoch}")],
        judged: Vec::new(),
        left_behind: Vec::new(),
    }
}
