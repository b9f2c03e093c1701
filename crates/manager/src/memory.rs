//! What is remembered of one server between two looks at it: enough to tell whether its receiver
//! got anything in between.

use primacy_types::{
    Address, BinlogPosition, ChannelStatus, Contact, ContactFailure, FenceRung, FileAccess, Moment,
    ProcessState, ReceiverState, ServerFacts, ServerObservation, TransactionSet,
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
}

impl Memory {
    /// A server that was not seen yet, with what it said before the last restart. When that was
    /// does not count: `facts_at` stays unknown.
    pub(crate) fn new(address: Address, facts: Option<ServerFacts>) -> Self {
        let observation = ServerObservation { facts, ..ServerObservation::unknown(address) };
        Self { observation, last: None }
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

    pub(crate) fn set_process(&mut self, process: Option<ProcessState>) {
        self.observation.process = process;
    }

    pub(crate) fn set_files(&mut self, files: Option<FileAccess>) {
        self.observation.files = files;
    }

    /// What can be done on its host; the lease stays the last rung.
    pub(crate) fn set_fences(&mut self, fences: Vec<FenceRung>) {
        let leased = self.observation.fences.contains(&FenceRung::Lease);
        self.observation.fences = fences;
        self.set_leased(leased);
    }

    /// Whether it is certain to be closed when its lease runs out.
    pub(crate) fn set_leased(&mut self, leased: bool) {
        self.observation.fences.retain(|rung| *rung != FenceRung::Lease);
        if leased {
            self.observation.fences.push(FenceRung::Lease);
        }
    }
}
