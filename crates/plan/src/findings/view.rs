//! What the checks look at: the snapshot with its primary filled in, how every server was judged,
//! and what the planners would say now.

use std::borrow::Cow;

use primacy_types::{
    Address, ChannelStatus, ClusterSnapshot, Contact, ContactFailure, Policy, Promotion,
    ServerFacts,
};

use super::words::Words;
use crate::diagnosis::list;
use crate::{
    Death, Diagnosis, FailoverRequest, Judged, Refusal, Stage, SwitchoverRequest, diagnose,
    held_by_all, judge, plan_failover, plan_switchover, ranked, replicates_by_place, topology,
};

/// One case of a check.
pub(super) struct Hit {
    pub(super) server: Option<Address>,
    pub(super) sentence: String,
    pub(super) mend: String,
}

impl Hit {
    /// About one server.
    pub(super) fn on(
        server: &Address,
        sentence: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { server: Some(server.clone()), sentence: sentence.into(), mend: mend.into() }
    }

    /// About the cluster.
    pub(super) fn cluster(sentence: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { server: None, sentence: sentence.into(), mend: mend.into() }
    }
}

/// A snapshot as the checks see it.
pub(super) struct View<'a> {
    snapshot: Cow<'a, ClusterSnapshot>,
    /// Every server other than the primary with what stands against it.
    pub(super) judged: Vec<Judged>,
    /// Servers that could be promoted, best first.
    pub(super) candidates: Vec<Address>,
    /// Why the primary could not be replaced if it fell silent now.
    pub(super) failover: Option<Refusal>,
    /// Why the role could not be moved now.
    pub(super) switchover: Option<Refusal>,
}

/// A live replica: where it is, its facts, its managed channel.
pub(super) type Replica<'v> = (&'v Address, &'v ServerFacts, &'v ChannelStatus);

impl<'a> View<'a> {
    pub(super) fn of(snapshot: &'a ClusterSnapshot) -> Self {
        let mut snapshot = Cow::Borrowed(snapshot);
        let recorded = snapshot.primary.clone().filter(|p| snapshot.servers.contains_key(p));
        let primary = match &snapshot.primary {
            Some(_) => recorded,
            None => topology::find_primary(&snapshot).ok(),
        };
        if snapshot.primary != primary && primary.is_some() {
            snapshot.to_mut().primary.clone_from(&primary);
        }
        let (judged, candidates, failover, switchover) = match &primary {
            Some(primary) => (
                judge(&snapshot, primary),
                ranked(&snapshot, primary),
                refused_failover(&snapshot, primary),
                plan_switchover(&snapshot, &diagnose(&snapshot), &SwitchoverRequest::default())
                    .err(),
            ),
            None => Default::default(),
        };
        Self { snapshot, judged, candidates, failover, switchover }
    }

    pub(super) fn snapshot(&self) -> &ClusterSnapshot {
        &self.snapshot
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.snapshot.policy
    }

    /// The primary, recorded or evident, if it is one of the servers.
    pub(super) fn primary(&self) -> Option<&Address> {
        self.snapshot.primary.as_ref().filter(|p| self.snapshot.servers.contains_key(p))
    }

    /// The primary with its facts, if it answers.
    pub(super) fn live_primary(&self) -> Option<(&Address, &ServerFacts)> {
        let primary = self.primary()?;
        Some((primary, self.snapshot.live(primary)?))
    }

    pub(super) fn is_primary(&self, server: &Address) -> bool {
        self.primary() == Some(server)
    }

    /// Whether a switchover is refused that would have chosen this server.
    pub(super) fn would_be_chosen(&self, server: Option<&Address>) -> bool {
        let serving = self.live_primary().is_some_and(|(_, facts)| facts.writable());
        serving && self.switchover.is_some() && self.candidates.first() == server
    }

    /// Servers that answer now, other than the primary.
    pub(super) fn others(&self) -> impl Iterator<Item = (&Address, &ServerFacts)> {
        self.snapshot.all_live().filter(|(a, _)| !self.is_primary(a))
    }

    /// Servers that answer now and have the managed channel, other than the primary.
    pub(super) fn replicas(&self) -> impl Iterator<Item = Replica<'_>> {
        self.others().filter_map(|(a, f)| Some((a, f, f.channel(&self.policy().channel)?)))
    }

    /// Servers that answer now and are primary or may become it.
    pub(super) fn promotable(&self) -> impl Iterator<Item = (&Address, &ServerFacts)> {
        self.snapshot.all_live().filter(|(a, f)| {
            let never = self.policy().server(a).promotion == Promotion::Never || f.binlog_server;
            self.is_primary(a) || !never
        })
    }

    /// The whole cluster replicates by file and position.
    pub(super) fn is_by_place(&self) -> bool {
        replicates_by_place(&self.snapshot)
    }

    /// The server of ours that a channel reads from.
    pub(super) fn source_of(&self, channel: &ChannelStatus) -> Option<Address> {
        topology::source_of(&self.snapshot, channel)
    }

    /// Kept behind on purpose.
    pub(super) fn is_delayed(&self, server: &Address) -> bool {
        self.policy().server(server).delayed
            || self.snapshot.live_channel(server).is_some_and(|c| c.delay_seconds > 0)
    }

    /// The words of a server, as far as its version is known.
    pub(super) fn words(&self, server: &Address) -> Option<Words> {
        self.snapshot.server(server)?.facts.as_ref().map(Words::of)
    }
}

/// Asks the planner as if the primary had fallen silent. What it holds beyond its replicas at this
/// moment is left out: under writes there is always something on its way.
fn refused_failover(snapshot: &ClusterSnapshot, primary: &Address) -> Option<Refusal> {
    let mut silent = snapshot.clone();
    let held = held_by_all(snapshot, primary);
    let failures = snapshot.policy.timing.ping_failures;
    let server = silent.servers.get_mut(primary)?;
    server.process = None;
    server.contact = Contact::Failing {
        since: snapshot.now,
        failures,
        last: ContactFailure::Silent,
        last_answer: Some(snapshot.now),
    };
    if let (Some(facts), Some(held)) = (&mut server.facts, held) {
        facts.executed = held;
    }
    let diagnosis = Diagnosis::PrimaryDead {
        primary: primary.clone(),
        death: Death::Silent,
        since: snapshot.now,
        evidence: Vec::new(),
    };
    plan_failover(&silent, &diagnosis, &FailoverRequest::default(), Stage::BeforeFence).err()
}

/// `b:3306 and c:3306`, for sentences.
pub(super) fn and(servers: &[Address]) -> String {
    match servers {
        [] => String::new(),
        [one] => one.to_string(),
        [most @ .., last] => format!("{} and {last}", list(most)),
    }
}
