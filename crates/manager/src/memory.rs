//! What is remembered of one server between two looks at it: enough to tell whether its receiver
//! got anything in between.

use primacy_plan::write_cause;
use primacy_types::{
    Address, BinlogPosition, ChannelStatus, Contact, ContactFailure, FenceRung, FileAccess,
    GtidMode, Millis, Moment, ProcessState, ReceiverState, SecondaryAnswer, SecondaryWord,
    ServerFacts, ServerObservation, TransactionSet, WriteTrouble, WriteWord,
};

/// What a receiver had at a look; a difference means that something came.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Received {
    heartbeats: Option<u64>,
    gtids: Option<TransactionSet>,
    read: Option<BinlogPosition>,
}

impl Received {
    fn of(channel: &ChannelStatus) -> Self {
        Self {
            heartbeats: channel.heartbeats,
            gtids: channel.received.clone(),
            read: channel.read.clone(),
        }
    }
}

/// One server's observation and what is needed to continue it.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    pub(crate) observation: ServerObservation,
    /// The last look that was answered: when it was begun, and what the receiver had.
    last: Option<(Moment, Option<Received>)>,
    /// What it had committed at a look after its writes began to be in trouble.
    stood: Option<(TransactionSet, Option<BinlogPosition>)>,
}

/// A word about a write that comes later than this after the one before begins a new trouble.
const CONTINUES: Millis = Millis(2500);

/// A trouble is at most so old when it is first heard of: a manager, or a whole machine, that was
/// frozen in between has seen nothing of the time before.
const FIRST_HEARD: Millis = Millis(1000);

/// What a server has committed; its binary log where that alone tells.
fn committed(facts: &ServerFacts) -> (TransactionSet, Option<BinlogPosition>) {
    let place = if facts.gtid_mode == GtidMode::On { None } else { facts.binlog.clone() };
    (facts.executed.clone(), place)
}

impl Memory {
    /// A server that was not seen yet, with what it said before the last restart. When that was
    /// does not count: `facts_at` stays unknown.
    pub(crate) fn new(address: Address, facts: Option<ServerFacts>) -> Self {
        let observation = ServerObservation { facts, ..ServerObservation::unknown(address) };
        Self { observation, last: None, stood: None }
    }

    /// The server answered a look that was begun at `asked`.
    pub(crate) fn answered(
        &mut self,
        mut facts: ServerFacts,
        channel: &str,
        asked: Moment,
        now: Moment,
    ) {
        let runs = facts.channel(channel).is_some_and(|c| c.receiver == ReceiverState::Running);
        if !runs && let Some(before) = &self.observation.facts {
            facts.semi_sync.replica_active = before.semi_sync.replica_active;
        }
        let received = facts.channel(channel).map(Received::of);
        if let Some((before, had)) = &self.last
            && had.is_some()
            && *had != received
        {
            // It came after the earlier look was begun: that is the latest moment of which this
            // is certain.
            self.observation.received_at = Some(*before);
        }
        self.last = Some((asked, received));
        if let Some(trouble) = self.observation.writes.as_mut().filter(|t| t.since <= asked) {
            let stands = committed(&facts);
            // Whoever it was that committed there: it can.
            if self.stood.as_ref().is_some_and(|stood| *stood != stands) {
                trouble.since = asked;
            }
            self.stood = Some(stands);
        }
        self.observation.secondary = None;
        self.observation.contact = Contact::Answering { at: now };
        self.observation.facts = Some(facts);
        // The facts are at least as fresh as the moment at which they were asked for.
        self.observation.facts_at = Some(asked);
    }

    /// A look that was begun at `asked` failed.
    pub(crate) fn failed(&mut self, failure: ContactFailure, asked: Moment) {
        self.observation.contact = match &self.observation.contact {
            Contact::Failing { since, failures, last_answer, .. } => Contact::Failing {
                since: *since,
                failures: failures.saturating_add(1),
                last: failure,
                last_answer: *last_answer,
            },
            Contact::Answering { at } => Contact::Failing {
                since: asked,
                failures: 1,
                last: failure,
                last_answer: Some(*at),
            },
            Contact::Untried => {
                Contact::Failing { since: asked, failures: 1, last: failure, last_answer: None }
            }
        };
    }

    /// Our own write was committed, or none is tried any more.
    pub(crate) fn wrote(&mut self) {
        self.observation.writes = None;
        self.stood = None;
    }

    /// Our own write, begun at `began`, is not committed. Time that was waited for a lock does not
    /// count against a server whose disk is full by now.
    pub(crate) fn did_not_write(&mut self, word: WriteWord, began: Moment, now: Moment) {
        let fatal = |word| write_cause(word).is_fatal();
        let heard = began.max(now - FIRST_HEARD);
        let since = match &self.observation.writes {
            Some(before) if now.since(before.at) > CONTINUES => heard,
            Some(before) if fatal(&before.word) == fatal(&word) => before.since,
            Some(_) => now,
            None => heard,
        };
        if self.observation.writes.as_ref().is_none_or(|before| before.since != since) {
            self.stood = None;
        }
        self.observation.writes = Some(WriteTrouble { since, at: now, word });
    }

    /// What the secondary check said, which was called at `asked`.
    pub(crate) fn set_secondary(&mut self, asked: Moment, answer: SecondaryAnswer) {
        self.observation.secondary = Some(SecondaryWord { asked, answer });
    }

    pub(crate) fn set_process(&mut self, process: Option<ProcessState>) {
        self.observation.process = process;
    }

    pub(crate) fn set_files(&mut self, files: Option<FileAccess>) {
        self.observation.files = files;
    }

    /// What can be done on its host; rungs that do not depend on it stay.
    pub(crate) fn set_fences(&mut self, fences: Vec<FenceRung>) {
        let stays = |rung: &FenceRung| matches!(rung, FenceRung::Lease | FenceRung::Script);
        self.observation.fences.retain(stays);
        self.observation.fences.extend(fences);
        self.observation.fences.sort();
    }

    /// A script can stop it, wherever it is.
    pub(crate) fn set_scripted(&mut self) {
        self.set_rung(FenceRung::Script, true);
    }

    /// Whether it is certain to be closed when its lease runs out.
    pub(crate) fn set_leased(&mut self, leased: bool) {
        self.set_rung(FenceRung::Lease, leased);
    }

    fn set_rung(&mut self, rung: FenceRung, there: bool) {
        self.observation.fences.retain(|known| *known != rung);
        if there {
            self.observation.fences.push(rung);
        }
        self.observation.fences.sort();
    }
}

#[cfg(test)]
mod tests {
    use primacy_plan::testing::{addr, cluster, pos};

    use super::*;

    fn hangs() -> WriteWord {
        WriteWord::Waits { state: "Commit".into(), others: [].into() }
    }

    fn locked() -> WriteWord {
        WriteWord::Refused { code: 1205, message: "Lock wait timeout exceeded".into() }
    }

    fn since(memory: &Memory) -> Option<Moment> {
        memory.observation.writes.as_ref().map(|trouble| trouble.since)
    }

    #[test]
    fn a_trouble_lasts_from_the_write_that_began_it() {
        let mut memory = Memory::new(addr("a"), None);
        memory.did_not_write(hangs(), Moment(1000), Moment(1500));
        memory.did_not_write(hangs(), Moment(1000), Moment(2000));
        assert_eq!(since(&memory), Some(Moment(1000)));
        memory.wrote();
        assert_eq!(since(&memory), None);
    }

    #[test]
    fn time_that_was_waited_for_a_lock_does_not_count_as_a_full_disk() {
        let mut memory = Memory::new(addr("a"), None);
        memory.did_not_write(locked(), Moment(1000), Moment(2000));
        memory.did_not_write(locked(), Moment(3000), Moment(4000));
        memory.did_not_write(hangs(), Moment(5000), Moment(5500));
        assert_eq!(since(&memory), Some(Moment(5500)));
    }

    #[test]
    fn what_nobody_confirmed_for_long_begins_again() {
        let mut memory = Memory::new(addr("a"), None);
        memory.did_not_write(hangs(), Moment(1000), Moment(1500));
        memory.did_not_write(hangs(), Moment(60_000), Moment(60_500));
        assert_eq!(since(&memory), Some(Moment(60_000)));
    }

    #[test]
    fn time_in_which_nobody_looked_does_not_count() {
        let mut memory = Memory::new(addr("a"), None);
        memory.did_not_write(hangs(), Moment(1000), Moment(30_000));
        assert_eq!(since(&memory), Some(Moment(29_000)));
    }

    #[test]
    fn a_server_that_commits_for_others_can_write() {
        let mut world = cluster(["a", "b"]);
        let mut memory = Memory::new(addr("a"), None);
        memory.did_not_write(hangs(), Moment(1000), Moment(1500));
        for (executed, asked, expected) in [
            // What was committed before is not known: it only counts from here on.
            ("0-1-100", 1600, 1000),
            ("0-1-100", 2100, 1000),
            ("0-1-101", 2600, 2600),
            ("0-1-101", 3100, 2600),
        ] {
            world.facts("a").executed = pos(executed);
            let facts = world.facts("a").clone();
            memory.answered(facts, "", Moment(asked), Moment(asked + 1));
            assert_eq!(since(&memory), Some(Moment(expected)), "{executed} at {asked}");
        }
    }
}
