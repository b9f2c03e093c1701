//! What was known of the old primary when an operation began, kept with its plan: a manager that
//! is restarted after the primary died has never seen it, and could not tell what it acknowledged.

use primacy_types::{Address, ClusterSnapshot, Contact, Moment, ServerObservation, WallClock};
use serde::{Deserialize, Serialize};

use crate::Clock;

/// The last word of (and about) a server, with the time at which it was noted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastSeen {
    server: ServerObservation,
    /// The same moment on the clock of the process that noted it, and on the wall.
    noted: Moment,
    at: WallClock,
    /// It was fenced before the restart, so it has served nobody since.
    #[serde(skip)]
    fenced: bool,
}

impl LastSeen {
    /// What `snapshot` knows of a server; nothing if it never answered.
    pub(crate) fn of(snapshot: &ClusterSnapshot, server: &Address, clock: Clock) -> Option<Self> {
        let server = snapshot.server(server).filter(|s| s.facts.is_some())?.clone();
        Some(Self { server, noted: snapshot.now, at: clock.wall(), fenced: false })
    }

    /// Adds whether the server was fenced before the restart.
    pub(crate) fn and_fenced(self, fenced: bool) -> Self {
        Self { fenced, ..self }
    }

    /// Gives it to a manager that has not seen the server itself.
    pub(crate) fn fill_in(&self, snapshot: &mut ClusterSnapshot, clock: Clock) {
        let Some(server) = snapshot.servers.get_mut(&self.server.address) else { return };
        // What is only kept from an earlier run says less than this operation's own note.
        if server.facts.is_some() && server.facts_at.is_some() {
            return;
        }
        // The clock of this process began at another moment than that of the last one.
        let ago = clock.wall().0.saturating_sub(self.at.0);
        let noted = clock.now().0.saturating_sub(ago);
        let here = |m: Moment| Moment((noted + m.0).saturating_sub(self.noted.0));
        server.facts.clone_from(&self.server.facts);
        server.facts_at = self.server.facts_at.map(here);
        server.received_at = self.server.received_at.map(here);
        server.process = server.process.or(self.server.process);
        if let (
            true,
            Contact::Failing { since, last_answer, .. },
            Contact::Failing { since: first, last_answer: answer, .. },
        ) = (self.fenced, &mut server.contact, &self.server.contact)
        {
            *since = here(*first);
            *last_answer = answer.map(here);
        }
    }
}
