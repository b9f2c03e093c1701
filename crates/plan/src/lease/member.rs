//! An agent's part, for one server: holding the lease, and voting.

use std::collections::BTreeSet;

use primacy_types::{Address, Epoch, Millis, Moment};
use serde::{Deserialize, Serialize};

use super::LeaseTimes;

/// What a manager asks before it grants: who it is, and since when it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ask {
    /// The reign of the manager: a later leader's is higher.
    pub term: u64,
    /// Replicas hear from the primary: if it asks for more time, only the manager's own way to it is
    /// broken, and whoever votes may say yes although it hears this manager.
    #[serde(default)]
    pub agrees: bool,
}

/// A lease as a manager gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The manager's reign.
    pub term: u64,
    /// The primary's reign.
    pub epoch: Epoch,
    /// What the holder answered when it was asked; the lease counts from then.
    pub nonce: u64,
    /// Who must say yes if the holder lengthens it by itself.
    pub voters: Voters,
}

/// Who must say yes when a holder lengthens its lease: all servers besides it that may be promoted
/// while the lease may be in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voters {
    /// Tells this list from others of the same servers; it grows.
    pub number: u64,
    /// `None`: the lease may not be lengthened. An empty set: nobody can be promoted, so nobody
    /// need be asked.
    pub servers: Option<BTreeSet<Address>>,
}

/// A lease that is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldLease {
    /// The primary's reign.
    pub epoch: Epoch,
    /// It counts from here, on the holder's clock.
    pub since: Moment,
    /// Who must say yes to an extension.
    pub voters: Voters,
    /// It was lengthened by the voters' yes, not by a manager.
    pub by_voters: bool,
}

/// What the holder may let its server do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// There is no lease: the server is no primary, or not known to be one.
    Without,
    /// The server may accept writes.
    Good,
    /// It must be closed now: read-only, sessions ended, virtual addresses dropped.
    Close,
    /// It must be killed if it is not closed.
    Kill,
}

/// Why an agent does not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "refused")]
#[non_exhaustive]
pub enum LeaseRefusal {
    /// A later manager leads.
    #[error("another manager leads since: its term is {current}, this one is {term}")]
    Term {
        /// What was shown.
        term: u64,
        /// What is known.
        current: u64,
    },
    /// A later reign has begun.
    #[error("epoch {epoch} is over; epoch {current} has begun")]
    Epoch {
        /// What was shown.
        epoch: Epoch,
        /// What is known.
        current: Epoch,
    },
    /// The answer belongs to another question.
    #[error("the grant answers another question than the last one")]
    Nonce,
    /// It promised a primary to refuse promotions.
    #[error(
        "it has promised the primary that no manager could reach to refuse promotions for {left} more"
    )]
    Bound {
        /// For how long still.
        left: Millis,
    },
}

/// The holder's question to a voter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// The server whose lease it is.
    pub primary: Address,
    /// Its reign.
    pub epoch: Epoch,
    /// Tells the answers to different questions apart.
    pub nonce: u64,
}

/// A voter's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "vote")]
#[non_exhaustive]
pub enum Vote {
    /// It refuses promotions until the extension is over.
    Yes,
    /// It hears a manager.
    ManagerHeard,
    /// It knows of a later reign, or holds a lease itself.
    Superseded,
}

/// What must survive the agent's process, and the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRecord {
    /// The highest reign that it accepted or heard of.
    pub epoch: Epoch,
    /// The highest manager's term.
    pub term: u64,
    /// The highest reign that it was itself granted a lease of: nobody else can hold one of it.
    #[serde(default)]
    pub held: Epoch,
}

#[derive(Clone, Debug)]
struct Round {
    nonce: u64,
    begun: Moment,
    missing: BTreeSet<Address>,
}

/// One server as its agent sees it.
#[derive(Clone, Debug)]
pub struct Member {
    server: Address,
    times: LeaseTimes,
    record: MemberRecord,
    lease: Option<HeldLease>,
    next_nonce: u64,
    asked: Option<(u64, Moment)>,
    round: Option<Round>,
    heard: Moment,
    /// The manager that was heard last has nothing against an extension.
    agreed: bool,
    bound_until: Moment,
}

impl Member {
    /// A member that begins now. Nonces count from `first_nonce`, which should differ from run to
    /// run. It counts as bound, since it may have said yes before it was restarted, and as having
    /// just heard a manager.
    pub fn new(
        server: Address,
        times: LeaseTimes,
        record: MemberRecord,
        first_nonce: u64,
        now: Moment,
    ) -> Self {
        Self {
            server,
            times,
            record,
            lease: None,
            next_nonce: first_nonce,
            asked: None,
            round: None,
            heard: now,
            agreed: false,
            bound_until: now + times.with_margin(),
        }
    }

    /// Takes back a lease that it held before its process was restarted; the clock must be the
    /// same one, which it is not after the host was.
    #[must_use]
    pub fn holding(mut self, lease: HeldLease) -> Self {
        if lease.epoch >= self.record.epoch {
            self.record.epoch = lease.epoch;
            self.record.held = lease.epoch;
            self.lease = Some(lease);
        }
        self
    }

    /// The server.
    pub const fn server(&self) -> &Address {
        &self.server
    }

    /// What must be on disk before an answer leaves.
    pub const fn record(&self) -> MemberRecord {
        self.record
    }

    /// The lease, whether it is still good or not.
    pub const fn lease(&self) -> Option<&HeldLease> {
        self.lease.as_ref()
    }

    /// What the server may do now.
    pub fn hold(&self, now: Moment) -> Hold {
        match &self.lease {
            None => Hold::Without,
            Some(lease) => match now.since(lease.since) {
                gone if gone < self.times.close() => Hold::Good,
                gone if gone < self.times.kill() => Hold::Close,
                _ => Hold::Kill,
            },
        }
    }

    /// When the server must be closed, and when killed; `None` without a lease.
    pub fn deadlines(&self) -> Option<(Moment, Moment)> {
        let lease = self.lease.as_ref()?;
        Some((lease.since + self.times.close(), lease.since + self.times.kill()))
    }

    /// For how long it still refuses to be promoted.
    pub fn bound(&self, now: Moment) -> Millis {
        self.bound_until.since(now)
    }

    /// A manager shows itself.
    ///
    /// # Errors
    /// If a later one leads.
    pub fn hear(&mut self, ask: Ask, now: Moment) -> Result<(), LeaseRefusal> {
        if ask.term < self.record.term {
            return Err(LeaseRefusal::Term { term: ask.term, current: self.record.term });
        }
        self.record.term = ask.term;
        self.heard = now;
        self.agreed = ask.agrees;
        Ok(())
    }

    /// A manager asks whether a lease is wanted; the answer is what it must show with the grant.
    ///
    /// # Errors
    /// If a later manager leads.
    pub fn asked(&mut self, ask: Ask, now: Moment) -> Result<u64, LeaseRefusal> {
        self.hear(ask, now)?;
        let nonce = self.nonce();
        self.asked = Some((nonce, now));
        Ok(nonce)
    }

    /// A manager grants a lease.
    ///
    /// # Errors
    /// If it is not for the last question, comes from a former manager or for a former reign, or if
    /// a promotion must be refused now.
    pub fn granted(&mut self, grant: &Grant, now: Moment) -> Result<(), LeaseRefusal> {
        self.hear(Ask { term: grant.term, agrees: false }, now)?;
        if grant.epoch < self.record.epoch {
            let (epoch, current) = (grant.epoch, self.record.epoch);
            return Err(LeaseRefusal::Epoch { epoch, current });
        }
        let Some((_, since)) = self.asked.filter(|(nonce, _)| *nonce == grant.nonce) else {
            return Err(LeaseRefusal::Nonce);
        };
        // What it may have promised was promised to the primary of a reign, and this one is its own.
        let goes_on = self.record.held == grant.epoch;
        let left = self.bound(now);
        if left > Millis::ZERO && !goes_on {
            return Err(LeaseRefusal::Bound { left });
        }
        self.asked = None;
        self.round = None;
        self.record.epoch = grant.epoch;
        self.record.held = grant.epoch;
        self.lease = Some(HeldLease {
            epoch: grant.epoch,
            since,
            voters: grant.voters.clone(),
            by_voters: false,
        });
        Ok(())
    }

    /// A manager says that another reign has begun elsewhere, or its server is closed for good: the
    /// lease is given back. A grant that is on its way is refused.
    pub fn give_back(&mut self, epoch: Epoch) {
        self.record.epoch = self.record.epoch.max(epoch);
        self.lease = None;
        self.asked = None;
        self.round = None;
    }

    /// Leases are not in force any more: nothing is held, and no reign is known.
    pub fn forget(&mut self) {
        self.give_back(Epoch(0));
        self.record.epoch = Epoch(0);
        self.record.held = Epoch(0);
    }

    /// The question for all voters, if it is time to ask them. Without voters the lease is
    /// lengthened at once.
    pub fn extension(&mut self, now: Moment) -> Option<(Extension, BTreeSet<Address>)> {
        let lease = self.lease.as_mut()?;
        let gone = now.since(lease.since);
        if gone < self.times.ask_voters() || gone >= self.times.kill() {
            return None;
        }
        let voters = lease.voters.servers.clone()?;
        if voters.is_empty() {
            lease.since = now;
            lease.by_voters = true;
            return None;
        }
        let again = |round: &Round| now.since(round.begun) >= self.times.ask_again();
        if !self.round.as_ref().is_none_or(again) {
            return None;
        }
        let epoch = lease.epoch;
        let nonce = self.nonce();
        self.round = Some(Round { nonce, begun: now, missing: voters.clone() });
        Some((Extension { primary: self.server.clone(), epoch, nonce }, voters))
    }

    /// A voter has answered; whether the lease is lengthened by that.
    pub fn answered(&mut self, nonce: u64, voter: &Address, vote: &Vote) -> bool {
        let Some(round) = self.round.as_mut().filter(|round| round.nonce == nonce) else {
            return false;
        };
        if *vote != Vote::Yes {
            return false;
        }
        round.missing.remove(voter);
        if !round.missing.is_empty() {
            return false;
        }
        let begun = round.begun;
        self.round = None;
        let Some(lease) = self.lease.as_mut() else { return false };
        lease.since = lease.since.max(begun);
        lease.by_voters = true;
        true
    }

    /// The primary asks this server's agent.
    pub fn vote(&mut self, extension: &Extension, now: Moment) -> Vote {
        let holds = self.lease.as_ref().is_some_and(|lease| lease.epoch >= extension.epoch);
        if extension.epoch < self.record.epoch || holds {
            return Vote::Superseded;
        }
        if now.since(self.heard) < self.times.silence() && !self.agreed {
            return Vote::ManagerHeard;
        }
        self.record.epoch = extension.epoch;
        // What it may still hold is of a former reign.
        self.lease = None;
        self.round = None;
        self.bound_until = self.bound_until.max(now + self.times.with_margin());
        // Whatever a manager asked before is over: it has been silent since.
        self.asked = None;
        Vote::Yes
    }

    fn nonce(&mut self) -> u64 {
        self.next_nonce = self.next_nonce.wrapping_add(1);
        self.next_nonce
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: LeaseTimes = LeaseTimes::new(Millis::from_secs(3));

    fn member(at: u64) -> Member {
        let record = MemberRecord { epoch: Epoch(1), term: 1, held: Epoch(0) };
        Member::new(Address::new("b", 3306), TIMES, record, 0, Moment(at))
    }

    fn extension() -> Extension {
        Extension { primary: Address::new("a", 3306), epoch: Epoch(1), nonce: 7 }
    }

    fn grant(member: &mut Member, epoch: u64, at: u64) -> Result<(), LeaseRefusal> {
        let nonce = member.asked(Ask { term: 1, agrees: false }, Moment(at))?;
        let grant = Grant { term: 1, epoch: Epoch(epoch), nonce, voters: Voters::default() };
        member.granted(&grant, Moment(at))
    }

    #[test]
    fn a_voter_is_bound_by_its_yes_until_the_extension_is_over() {
        let mut member = member(0);
        assert_eq!(member.vote(&extension(), Moment(500)), Vote::ManagerHeard);
        assert_eq!(member.vote(&extension(), Moment(10_000)), Vote::Yes);
        assert!(matches!(grant(&mut member, 2, 13_000), Err(LeaseRefusal::Bound { .. })));
        assert!(grant(&mut member, 2, 13_300).is_ok());
        assert_eq!(member.vote(&extension(), Moment(30_000)), Vote::Superseded);
    }

    #[test]
    fn a_voter_says_yes_to_a_primary_that_only_the_manager_cannot_reach() {
        let mut member = member(0);
        member.hear(Ask { term: 1, agrees: true }, Moment(9000)).unwrap();
        assert_eq!(member.vote(&extension(), Moment(9001)), Vote::Yes);
        assert!(matches!(grant(&mut member, 2, 9500), Err(LeaseRefusal::Bound { .. })));
        // It has changed its mind.
        assert_eq!(member.vote(&extension(), Moment(9600)), Vote::ManagerHeard);
    }

    #[test]
    fn a_voter_that_was_restarted_counts_as_bound_because_it_may_have_said_yes() {
        let mut member = member(0);
        assert!(matches!(grant(&mut member, 2, 2_900), Err(LeaseRefusal::Bound { .. })));
        assert!(grant(&mut member, 2, 3_300).is_ok());
    }

    #[test]
    fn a_grant_for_an_earlier_question_is_refused() {
        let mut member = member(0);
        let first = member.asked(Ask { term: 1, agrees: false }, Moment(5000)).unwrap();
        member.asked(Ask { term: 1, agrees: false }, Moment(6000)).unwrap();
        let late = Grant { term: 1, epoch: Epoch(1), nonce: first, voters: Voters::default() };
        assert_eq!(member.granted(&late, Moment(6001)), Err(LeaseRefusal::Nonce));
        assert_eq!(member.hold(Moment(6001)), Hold::Without);
    }

    #[test]
    fn former_managers_and_former_reigns_are_refused() {
        let mut member = member(0);
        assert!(grant(&mut member, 3, 5000).is_ok());
        let error = grant(&mut member, 2, 5001).unwrap_err();
        assert_eq!(error, LeaseRefusal::Epoch { epoch: Epoch(2), current: Epoch(3) });
        let error = member.hear(Ask { term: 0, agrees: false }, Moment(5002)).unwrap_err();
        assert_eq!(error, LeaseRefusal::Term { term: 0, current: 1 });
    }

    #[test]
    fn without_renewal_the_server_is_closed_at_60_percent_and_killed_at_85() {
        let mut member = member(0);
        grant(&mut member, 1, 4000).unwrap();
        let kept = member.record();
        let hold = |at: u64| member.hold(Moment(4000 + at));
        assert_eq!((hold(1799), hold(1800)), (Hold::Good, Hold::Close));
        assert_eq!((hold(2549), hold(2550)), (Hold::Close, Hold::Kill));
        // The first lease of a reign cannot be lengthened.
        assert_eq!(member.extension(Moment(5500)), None);
        assert_eq!(member.hold(Moment(6000)), Hold::Close);
        // After a restart its own reign goes on at once.
        let mut again = Member::new(Address::new("b", 3306), TIMES, kept, 0, Moment(9000));
        assert!(grant(&mut again, 1, 9100).is_ok());
    }
}
