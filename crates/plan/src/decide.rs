//! What the manager does by itself about a diagnosis: one decision with one sentence.

use primacy_types::{Address, ClusterSnapshot, Moment};
use serde::{Deserialize, Serialize};

use crate::diagnosis::{Death, Diagnosis};
use crate::{FailoverRequest, Stage, plan_failover, topology, writes};

/// What shall happen now, without a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "decision")]
pub enum Decision {
    /// Nothing, because nothing is to be done or nothing may be done.
    Nothing {
        /// Why, as a sentence.
        why: String,
        /// A person should know.
        alarm: bool,
    },
    /// Replace the dead primary.
    FailOver,
    /// Make the restarted primary writable again.
    Reopen {
        /// The primary.
        primary: Address,
    },
    /// Servers that accept writes although another one is the primary on record are made
    /// read-only.
    CloseIntruders {
        /// The servers.
        servers: Vec<Address>,
    },
}

/// Decides what to do about `diagnosis`.
pub fn decide(snapshot: &ClusterSnapshot, diagnosis: &Diagnosis) -> Decision {
    let nothing = |why: String, alarm| Decision::Nothing { why, alarm };
    let wanted = match diagnosis {
        Diagnosis::PrimaryDead { primary, .. } | Diagnosis::PrimaryCannotWrite { primary, .. } => {
            match writers_besides(snapshot, primary) {
                Ok(servers) if servers.is_empty() => Decision::FailOver,
                Ok(servers) => Decision::CloseIntruders { servers },
                Err(server) => {
                    return nothing(
                        format!(
                            "{}; but {server} accepts writes and replicates from nobody: it looks as \
                         if somebody promoted it. Nothing is done; make it read-only if that is \
                         not so",
                            diagnosis.sentence()
                        ),
                        true,
                    );
                }
            }
        }
        Diagnosis::PrimaryReadOnly { ahead, .. } if !ahead.is_empty() => {
            return nothing(
                "the restarted primary lacks transactions that a replica has; look at it, then \
                 `primacy failover --force`"
                    .to_owned(),
                true,
            );
        }
        Diagnosis::PrimaryReadOnly { primary, restarted: true, .. } => {
            Decision::Reopen { primary: primary.clone() }
        }
        Diagnosis::PrimaryReadOnly { .. } => {
            return nothing(
                "somebody made the primary read-only; it is left so. Open it with SET GLOBAL \
                 read_only = OFF"
                    .to_owned(),
                true,
            );
        }
        // Not two writers, but the role is not where the record says: closing the only one that
        // serves would help nobody.
        Diagnosis::SeveralWritable { primary: Some(primary), writable }
            if followed(snapshot, primary, writable) =>
        {
            return nothing(
                format!(
                    "{}, and the former replicates from the latter: somebody moved the role",
                    diagnosis.sentence()
                ),
                true,
            );
        }
        // The primary on record is read-only and lacks what the only writer has: closing that one
        // would end the service and lose sight of the newer history.
        Diagnosis::SeveralWritable { primary: Some(primary), writable }
            if only_writer_has_more(snapshot, primary, writable) =>
        {
            return nothing(
                format!(
                    "{}, and has transactions that the former lacks: somebody promoted it. Look at \
                     both, then make the wrong one follow the right one",
                    diagnosis.sentence()
                ),
                true,
            );
        }
        Diagnosis::SeveralWritable { primary: Some(primary), writable } => {
            Decision::CloseIntruders {
                servers: writable.iter().filter(|w| *w != primary).cloned().collect(),
            }
        }
        Diagnosis::SeveralWritable { primary: None, writable } => {
            return nothing(
                format!(
                    "{} servers accept writes and none is on record as primary; make all but one \
                     read-only",
                    writable.len()
                ),
                true,
            );
        }
        Diagnosis::Healthy { .. } => return nothing("all is well".to_owned(), false),
        Diagnosis::Starting { .. } => return nothing(diagnosis.sentence(), false),
        // Nobody can commit: that it is somebody's intention makes it no smaller.
        Diagnosis::Degraded { primary, .. } => {
            let alarm = writes::lasting(snapshot, primary).is_some();
            return nothing(diagnosis.sentence(), alarm);
        }
        Diagnosis::PrimarySuspected { .. }
        | Diagnosis::PrimaryCutOffFromHere { .. }
        | Diagnosis::PrimaryRefusesUs { .. }
        | Diagnosis::PrimaryStopped { .. }
        | Diagnosis::PrimaryRestarting { .. }
        | Diagnosis::NoPrimary { .. }
        | Diagnosis::ManagerIsolated { .. } => return nothing(diagnosis.sentence(), true),
    };
    if snapshot.paused {
        return nothing(
            format!("{}; the cluster is paused (`primacy resume`)", diagnosis.sentence()),
            true,
        );
    }
    if wanted == Decision::FailOver {
        if !snapshot.policy.automatic_failover {
            return nothing(
                format!(
                    "{}; automatic failover is off (`primacy failover` does it)",
                    diagnosis.sentence()
                ),
                true,
            );
        }
        if let Some(until) = blocked_until(snapshot, diagnosis) {
            return nothing(
                format!(
                    "{}; the last failover was too recent (failover_block: {} more). \
                     `primacy failover` does it now, `primacy resume` lifts the block",
                    diagnosis.sentence(),
                    until.since(snapshot.now)
                ),
                true,
            );
        }
        // It lives and answers readers: it is not killed if nobody can take its place.
        if let Diagnosis::PrimaryCannotWrite { .. } = diagnosis
            && let Err(refusal) =
                plan_failover(snapshot, diagnosis, &FailoverRequest::default(), Stage::BeforeFence)
        {
            let why: Vec<_> = refusal.reasons.iter().map(|reason| reason.why.as_str()).collect();
            let why =
                format!("{}; nobody can take its place: {}", diagnosis.sentence(), why.join("; "));
            return nothing(why, true);
        }
    }
    wanted
}

/// Servers other than the dead primary that accept writes. A replica that does is merely open; one
/// that is nobody's replica is an error here: it may be somebody's new primary.
fn writers_besides(snapshot: &ClusterSnapshot, primary: &Address) -> Result<Vec<Address>, Address> {
    snapshot
        .all_live()
        .filter(|(a, f)| *a != primary && f.writable())
        .map(|(a, _)| {
            let replicates = topology::descends_from(snapshot, a, primary);
            if replicates { Ok(a.clone()) } else { Err(a.clone()) }
        })
        .collect()
}

/// Whether the primary on record is a read-only replica of the one server that accepts writes.
fn followed(snapshot: &ClusterSnapshot, primary: &Address, writable: &[Address]) -> bool {
    match writable {
        [one] => one != primary && topology::descends_from(snapshot, primary, one),
        _ => false,
    }
}

/// The primary on record is closed, and the one server that accepts writes has more than it.
fn only_writer_has_more(
    snapshot: &ClusterSnapshot,
    primary: &Address,
    writable: &[Address],
) -> bool {
    let [one] = writable else { return false };
    match (snapshot.live(primary), snapshot.live(one)) {
        (Some(recorded), Some(writer)) => {
            one != primary && !recorded.executed.covers(&writer.executed)
        }
        _ => false,
    }
}

/// Flapping guard: until when a second automatic failover is refused. A clean shutdown that
/// somebody made is no sign of flapping.
fn blocked_until(snapshot: &ClusterSnapshot, diagnosis: &Diagnosis) -> Option<Moment> {
    if matches!(diagnosis, Diagnosis::PrimaryDead { death: Death::StoppedForTooLong, .. }) {
        return None;
    }
    let until = snapshot.last_failover? + snapshot.policy.timing.failover_block;
    (until > snapshot.now).then_some(until)
}
