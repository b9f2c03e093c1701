//! The manager's part: who was given what, until when, and who may be promoted meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use primacy_types::{Address, Epoch, Millis, Moment};
use serde::{Deserialize, Serialize};

use super::{Grant, LeaseTimes, Voters};

/// What must be on disk before a grant leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GranterRecord {
    /// Number of the newest list.
    pub number: u64,
    /// Reigns of which a lease may be in force, the newest last.
    pub reigns: Vec<Reign>,
}

/// The leases of one primary that may be in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reign {
    /// Whose leases they are.
    pub primary: Address,
    /// In which reign.
    pub epoch: Epoch,
    /// Every list of voters that its lease may name, the newest last; none before the first lease
    /// of the reign is known to be accepted.
    pub lists: Vec<Voters>,
    /// A guard stood above its agent when that was last heard of.
    #[serde(default)]
    pub guarded: bool,
}

/// Why something has to wait.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotYet {
    /// A lease may still be held.
    #[error("the lease of {server} may be held for {left} more")]
    Held {
        /// By whom.
        server: Address,
        /// For how long.
        left: Millis,
    },
    /// What was granted before this manager was started is not known.
    #[error("this manager was started too recently to know that no lease is held; {left} more")]
    Started {
        /// For how long.
        left: Millis,
    },
    /// The candidate is not among the voters.
    #[error(
        "{server} is not among those who must agree when {primary} lengthens its lease by itself, \
         so it could be promoted beside it"
    )]
    NotAVoter {
        /// The candidate.
        server: Address,
        /// Whose lease it is.
        primary: Address,
    },
}

/// Grants the leases of one cluster.
#[derive(Clone, Debug)]
pub struct Granter {
    times: LeaseTimes,
    started: Moment,
    record: GranterRecord,
    /// When the last lease that was given to a server has certainly run out.
    given: BTreeMap<Address, Moment>,
}

impl Granter {
    /// A granter that begins to lead now, with what an earlier one has put on record.
    pub const fn new(times: LeaseTimes, record: GranterRecord, now: Moment) -> Self {
        Self { times, started: now, record, given: BTreeMap::new() }
    }

    /// What must be on disk before the next grant leaves.
    pub const fn record(&self) -> &GranterRecord {
        &self.record
    }

    /// The times.
    pub const fn times(&self) -> LeaseTimes {
        self.times
    }

    fn position(&self, primary: &Address, epoch: Epoch) -> Option<usize> {
        self.record.reigns.iter().position(|r| r.primary == *primary && r.epoch == epoch)
    }

    /// A reign begins, or goes on. Whether [`record`](Self::record) has changed, so that it must be
    /// on disk before the next grant.
    pub fn begin(&mut self, primary: &Address, epoch: Epoch) -> bool {
        if self.position(primary, epoch).is_some() {
            return false;
        }
        self.record.reigns.push(Reign {
            primary: primary.clone(),
            epoch,
            lists: Vec::new(),
            guarded: false,
        });
        true
    }

    /// The primary has a lease of this reign: those of former ones are over, because it was a voter
    /// in all of them, and knows better now. From now on its lease may be lengthened with the yes of
    /// these servers. Whether the record has changed.
    pub fn accepted(
        &mut self,
        primary: &Address,
        epoch: Epoch,
        voters: &BTreeSet<Address>,
    ) -> bool {
        let Some(at) = self.position(primary, epoch) else { return false };
        let superseded = at > 0;
        self.record.reigns.drain(..at);
        let number = self.record.number + 1;
        let Some(reign) = self.record.reigns.first_mut() else { return superseded };
        let newest = reign.lists.last().and_then(|list| list.servers.as_ref());
        if newest == Some(voters) {
            return superseded;
        }
        reign.lists.push(Voters { number, servers: Some(voters.clone()) });
        self.record.number = number;
        true
    }

    /// The holder's lease names the list of this number: those before it are over. Whether the
    /// record has changed.
    pub fn confirmed(&mut self, primary: &Address, epoch: Epoch, number: u64) -> bool {
        let Some(at) = self.position(primary, epoch) else { return false };
        let Some(reign) = self.record.reigns.get_mut(at) else { return false };
        match reign.lists.iter().position(|list| list.number == number) {
            Some(0) | None => false,
            Some(before) => {
                reign.lists.drain(..before);
                true
            }
        }
    }

    /// A lease in answer to the holder's `nonce`. Until the reign is known to be accepted it may not
    /// be lengthened.
    ///
    /// # Errors
    /// While another server may hold one.
    pub fn grant(
        &mut self,
        primary: &Address,
        term: u64,
        epoch: Epoch,
        nonce: u64,
        now: Moment,
    ) -> Result<Grant, NotYet> {
        let held = self.given.iter().filter(|(other, until)| *other != primary && **until > now);
        if let Some((other, until)) = held.max_by_key(|(_, until)| **until) {
            return Err(NotYet::Held { server: other.clone(), left: until.since(now) });
        }
        let newest = self.position(primary, epoch).and_then(|at| self.record.reigns.get(at));
        let voters = newest.and_then(|reign| reign.lists.last()).cloned().unwrap_or_default();
        self.given.insert(primary.clone(), now + self.times.with_margin());
        Ok(Grant { term, epoch, nonce, voters })
    }

    /// A server was fenced, or its agent gave the lease back: it holds none any more. Whether the
    /// record has changed.
    pub fn ended(&mut self, server: &Address) -> bool {
        self.given.insert(server.clone(), Moment(0));
        let before = self.record.reigns.len();
        self.record.reigns.retain(|reign| reign.primary != *server);
        self.record.reigns.len() != before
    }

    /// Whether no server besides `candidate` can hold a lease, or come to hold one while `candidate`
    /// has it: all that were given have run out, and whoever lengthens one by itself needs the yes of
    /// `candidate`, whose agent then refuses the grant.
    ///
    /// # Errors
    /// If a lease may be held, this manager cannot know yet, or the candidate is not a voter.
    pub fn may_be_promoted(&self, candidate: &Address, now: Moment) -> Result<(), NotYet> {
        let others = self.record.reigns.iter().filter(|reign| reign.primary != *candidate);
        for reign in others {
            let server = &reign.primary;
            match self.given.get(server) {
                Some(until) if *until > now => {
                    let left = until.since(now);
                    return Err(NotYet::Held { server: server.clone(), left });
                }
                Some(_) => {}
                None => self.has_waited(now)?,
            }
            let is_voter = |list: &Voters| {
                list.servers.as_ref().is_none_or(|servers| servers.contains(candidate))
            };
            if !reign.lists.iter().all(is_voter) {
                let (server, primary) = (candidate.clone(), reign.primary.clone());
                return Err(NotYet::NotAVoter { server, primary });
            }
        }
        let held = self.given.iter().find(|(other, until)| *other != candidate && **until > now);
        match held {
            Some((other, until)) => {
                Err(NotYet::Held { server: other.clone(), left: until.since(now) })
            }
            None => Ok(()),
        }
    }

    /// Whether what was granted to `server` has run out for certain, unless the voters gave it more:
    /// [`may_be_promoted`](Self::may_be_promoted) says whether that matters.
    ///
    /// # Errors
    /// How long it still takes.
    pub fn has_run_out(&self, server: &Address, now: Moment) -> Result<(), NotYet> {
        match self.given.get(server) {
            Some(until) if *until > now => {
                Err(NotYet::Held { server: server.clone(), left: until.since(now) })
            }
            Some(_) => Ok(()),
            None => self.has_waited(now),
        }
    }

    /// Servers that may hold a lease now, as far as this manager gave it.
    pub fn holders(&self, now: Moment) -> Vec<Address> {
        let held = self.given.iter().filter(|(_, until)| **until > now);
        let on_record = self.record.reigns.iter().map(|reign| &reign.primary);
        let mut all: Vec<_> = held.map(|(server, _)| server).chain(on_record).cloned().collect();
        all.sort();
        all.dedup();
        all
    }

    /// The agent of a reign's primary has said whether a guard stands above it: without one a lease
    /// that ran out proves nothing. Whether the record has changed.
    pub fn set_guarded(&mut self, primary: &Address, epoch: Epoch, guarded: bool) -> bool {
        let Some(at) = self.position(primary, epoch) else { return false };
        let Some(reign) = self.record.reigns.get_mut(at) else { return false };
        std::mem::replace(&mut reign.guarded, guarded) != guarded
    }

    /// Whether a lease of this server that ran out proves that it is closed.
    pub fn is_guarded(&self, primary: &Address) -> bool {
        let mut reigns = self.record.reigns.iter().filter(|reign| reign.primary == *primary);
        reigns.next_back().is_some_and(|reign| reign.guarded)
    }

    /// Whether this manager leads for long enough to know that what others granted is over.
    fn has_waited(&self, now: Moment) -> Result<(), NotYet> {
        let until = self.started + self.times.with_margin();
        if until <= now { Ok(()) } else { Err(NotYet::Started { left: until.since(now) }) }
    }
}
