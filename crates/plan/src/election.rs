//! Who wins a failover: the best candidate that can be brought to hold everything.

use primacy_types::{Address, ClusterSnapshot};

use crate::candidates::{self, Exclusion, Judged};
use crate::donors::{Gift, levelling};
use crate::operation::FORCED;
use crate::{FailoverRequest, Reason};

/// The winner, and what gives it what it lacks.
pub(crate) struct Election {
    pub(crate) winner: Address,
    pub(crate) gifts: Vec<Gift>,
}

/// Why nobody wins.
pub(crate) struct NoWinner {
    pub(crate) reasons: Vec<Reason>,
    /// Transactions are known to exist that may still be had: it is worth trying again.
    pub(crate) held: bool,
}

/// Chooses the winner.
pub(crate) fn elect(
    snapshot: &ClusterSnapshot,
    old: &Address,
    judged: &[Judged],
    request: &FailoverRequest,
    notes: &mut Vec<String>,
) -> Result<Election, NoWinner> {
    let order = match &request.to {
        Some(to) => vec![named(old, judged, to, request, notes)?],
        None => candidates::ranked(snapshot, old)
            .into_iter()
            .filter(|c| !request.excluded.contains(c))
            .collect(),
    };
    let mut best = None;
    for winner in order {
        let found = levelling(snapshot, old, &winner, &request.failed_donors);
        if found.stuck.is_empty() {
            return Ok(Election { winner, gifts: found.gifts });
        }
        best = best.or(Some((winner, found)));
    }
    let Some((winner, found)) = best else {
        return Err(NoWinner { reasons: vec![no_candidate(judged, request)], held: false });
    };
    if request.force && request.accept_loss {
        notes.extend(found.stuck.iter().map(|why| format!("ACCEPTED LOSS: {why}")));
        return Ok(Election { winner, gifts: found.gifts });
    }
    let remedy = "mend that server so that it can apply what it received; or give these \
                  transactions up with `primacy failover --force --accept-loss`";
    let reasons = found.stuck.into_iter().map(|why| Reason::new(why, remedy)).collect();
    Err(NoWinner { reasons, held: true })
}

/// The server that a person named, unless something stands against it.
fn named(
    old: &Address,
    judged: &[Judged],
    to: &Address,
    request: &FailoverRequest,
    notes: &mut Vec<String>,
) -> Result<Address, NoWinner> {
    let refuse = |why: String, remedy: &str| {
        Err(NoWinner { reasons: vec![Reason::new(why, remedy)], held: false })
    };
    if to == old {
        let why = format!("{to} is the primary that is to be replaced");
        return refuse(why, "name another server with --to");
    }
    let Some(judgement) = judged.iter().find(|j| j.server == *to) else {
        let why = format!("{to} is no server of this cluster");
        return refuse(why, "see `primacy list servers` for the names");
    };
    let wishes = |e: &&Exclusion| matches!(e, Exclusion::Never | Exclusion::OtherSite(_));
    let (overridden, against): (Vec<_>, Vec<_>) =
        judgement.exclusions.iter().partition(|e| request.force && wishes(e));
    let sentences =
        |all: &[&Exclusion]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    if !against.is_empty() {
        let why = format!("{to} cannot become primary: {}", sentences(&against));
        let only_wishes = against.iter().all(wishes);
        let remedy = if only_wishes {
            "name another server, or override this wish with --force"
        } else {
            "mend that, or name another server"
        };
        return refuse(why, remedy);
    }
    if !overridden.is_empty() {
        notes.push(format!("{FORCED}: {to} is promoted although {}", sentences(&overridden)));
    }
    Ok(to.clone())
}

fn no_candidate(judged: &[Judged], request: &FailoverRequest) -> Reason {
    let why: Vec<_> = judged
        .iter()
        .map(|j| {
            let mut all: Vec<_> = j.exclusions.iter().map(ToString::to_string).collect();
            if request.excluded.contains(&j.server) {
                all.push("it failed in this operation".to_owned());
            }
            format!("{}: {}", j.server, all.join("; "))
        })
        .collect();
    let remedy = if judged.iter().any(|j| j.exclusions.contains(&Exclusion::NoGtid)) {
        "this version fails over clusters that replicate by GTID: switch GTID on"
    } else {
        "bring a replica back or mend what stands against it"
    };
    let list = if why.is_empty() { "there is no other".to_owned() } else { why.join(" / ") };
    Reason::new(format!("no server can become primary ({list})"), remedy)
}
