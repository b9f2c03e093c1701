//! The steps by which a winner, and without GTID its siblings too, get what they lack.

use primacy_types::{Address, ClusterSnapshot, TransactionSet};

use crate::donors::{Gift, Giver, has_relay_logs};
use crate::election::Election;
use crate::holdings::on_disk;
use crate::places::replicates_by_place;
use crate::repoint::step;
use crate::{FailoverRequest, Origin, PlannedStep, Step};

/// What is done for whom, in the order of the fields.
pub(crate) struct Rescue {
    /// Before any relay log can be dropped: what will be needed is saved.
    pub(crate) saves: Vec<PlannedStep>,
    /// The winner applies what it received, and gets what it lacks.
    pub(crate) winner: Vec<PlannedStep>,
    /// Without GTID the siblings cannot get from the winner what they lack: each gets it from
    /// what was saved.
    pub(crate) siblings: Vec<PlannedStep>,
}

/// Plans it. Siblings that cannot be helped are named in the notes.
pub(crate) fn rescue(
    snapshot: &ClusterSnapshot,
    old: &Address,
    election: &Election,
    siblings: &[Address],
    request: &FailoverRequest,
    notes: &mut Vec<String>,
) -> Rescue {
    let avoid = &request.failed_donors;
    let limit = snapshot.policy.timing.stall_limit;
    let winner = &election.winner;
    let mut found = Rescue { saves: Vec::new(), winner: Vec::new(), siblings: Vec::new() };
    let mut needs: Vec<(Origin, Vec<Address>)> = Vec::new();
    found.winner.push(step(Step::Drain { server: winner.clone() }, limit));
    for gift in &election.gifts {
        let (server, until) = (winner.clone(), gift.until.clone());
        match &gift.from {
            Giver::Replica(from) => {
                let from = from.clone();
                found.winner.push(step(Step::Drain { server: from.clone() }, limit));
                found.winner.push(step(Step::Level { server, from, until }, limit));
            }
            Giver::Files(from) => {
                needs.push((from.clone(), vec![winner.clone()]));
                found.winner.push(step(Step::Rescue { server, from: from.clone(), until }, limit));
            }
        }
    }
    if replicates_by_place(snapshot) {
        let end = match election.gifts.last() {
            Some(gift) => gift.until.clone(),
            None => holds(snapshot, winner),
        };
        let lacks = |s: &&Address| {
            !holds(snapshot, s).covers(&end) && !request.failed_receivers.contains(s)
        };
        let behind: Vec<_> = siblings.iter().filter(lacks).cloned().collect();
        let mut ways = election.gifts.clone();
        if ways.is_empty() {
            let from = origin(snapshot, old, &end, avoid);
            ways.extend(from.map(|from| Gift { from, until: end.clone() }));
        }
        for server in &behind {
            if ways.is_empty() {
                notes.push(left_behind(snapshot, server, &end));
            }
            for gift in ways.iter().filter(|gift| !holds(snapshot, server).covers(&gift.until)) {
                let (server, until) = (server.clone(), gift.until.clone());
                let planned = match &gift.from {
                    Giver::Replica(from) => Step::Level { server, from: from.clone(), until },
                    Giver::Files(from) => {
                        needs.push((from.clone(), vec![server.clone()]));
                        Step::Rescue { server, from: from.clone(), until }
                    }
                };
                found.siblings.push(step(planned, limit));
            }
        }
    }
    needs.sort();
    for (from, receivers) in merged(needs) {
        // What the first of them needs: everybody begins where it stands.
        let since = receivers
            .iter()
            .filter_map(|r| snapshot.live(r).map(|f| f.executed.clone()))
            .reduce(|a, b| if b.covers(&a) { a } else { b });
        if let Some(since) = since {
            found.saves.push(step(Step::Save { from, since }, limit));
        }
    }
    found
}

fn left_behind(snapshot: &ClusterSnapshot, server: &Address, end: &TransactionSet) -> String {
    format!(
        "{server} lacks {} and nobody's files can be read to give it that: if it does not turn out \
         to be complete it stays where it is and has to be built anew (host_access would have \
         helped)",
        end.beyond(&holds(snapshot, server)).join(", ")
    )
}

fn merged(needs: Vec<(Origin, Vec<Address>)>) -> Vec<(Origin, Vec<Address>)> {
    let mut all: Vec<(Origin, Vec<Address>)> = Vec::new();
    for (from, receivers) in needs {
        match all.last_mut() {
            Some((last, known)) if *last == from => known.extend(receivers),
            _ => all.push((from, receivers)),
        }
    }
    all
}

fn holds(snapshot: &ClusterSnapshot, server: &Address) -> TransactionSet {
    let channel = &snapshot.policy.channel;
    snapshot.live(server).map_or(TransactionSet::UpTo(None), |f| f.holds(channel))
}

/// From whom siblings can be brought to `end`: a binlog server, the old primary's own files, or the
/// relay logs of a replica that holds all of it.
fn origin(
    snapshot: &ClusterSnapshot,
    old: &Address,
    end: &TransactionSet,
    avoid: &[Address],
) -> Option<Giver> {
    let mut keepers = snapshot.all_live().filter(|(server, facts)| {
        facts.binlog_server && holds(snapshot, server).covers(end) && !avoid.contains(server)
    });
    if let Some((keeper, _)) = keepers.next() {
        return Some(Giver::Replica(keeper.clone()));
    }
    if on_disk(snapshot, old).is_some_and(|disk| disk.covers(end)) && !avoid.contains(old) {
        return Some(Giver::Files(Origin::Binlogs(old.clone())));
    }
    let mut holders = snapshot.all_live().map(|(server, _)| server).filter(|server| {
        holds(snapshot, server).covers(end)
            && !avoid.contains(server)
            && has_relay_logs(snapshot, old, server)
    });
    holders.next().map(|server| Giver::Files(Origin::RelayLogs(server.clone())))
}
