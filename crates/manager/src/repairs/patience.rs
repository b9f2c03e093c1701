//! What repairs remember: what was said, and when a server that was left alone is looked at again.

use std::collections::BTreeMap;
use std::time::Duration;

use primacy_types::{Address, ClusterSnapshot};
use tokio::time::Instant;

use super::runs;

/// How often it is said why a server stays where it is, if that does not change.
const SAY_AGAIN: Duration = Duration::from_secs(600);

/// A server that was left alone is looked at again after so long, and then after twice that ...
const FIRST_AGAIN: Duration = Duration::from_secs(10);

/// ... until it is this.
const LAST_AGAIN: Duration = Duration::from_secs(3600);

/// What was said, and when a server is looked at again.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) said: BTreeMap<Address, (String, Instant)>,
    pub(super) tries: BTreeMap<Address, Try>,
    /// When both threads of a replica were last seen to run.
    ran: BTreeMap<Address, Instant>,
}

/// A server that was left alone.
pub(super) struct Try {
    at: Instant,
    pause: Duration,
    /// With another primary it may be able to follow.
    primary: Address,
}

impl Memory {
    pub(super) fn is_due(&self, server: &Address, primary: &Address, now: Instant) -> bool {
        let Some(last) = self.tries.get(server) else { return true };
        last.primary != *primary || last.at <= now
    }

    pub(super) fn put_off(&mut self, server: &Address, primary: &Address, now: Instant) {
        let same = self.tries.get(server).filter(|last| last.primary == *primary);
        let pause = same.map_or(FIRST_AGAIN, |last| (last.pause * 2).min(LAST_AGAIN));
        let primary = primary.clone();
        self.tries.insert(server.clone(), Try { at: now + pause, pause, primary });
    }

    pub(super) fn note_who_runs(&mut self, snapshot: &ClusterSnapshot, now: Instant) {
        for (server, _) in snapshot.all_live().filter(|(_, facts)| runs(snapshot, facts)) {
            self.ran.insert(server.clone(), now);
        }
    }

    /// Whether a replica has been started since its threads were last seen to run. Threads that a
    /// person stopped are none of ours.
    pub(super) fn was_restarted(
        &self,
        server: &Address,
        uptime_seconds: u64,
        now: Instant,
    ) -> bool {
        // The server counts in whole seconds.
        let up = Duration::from_secs(uptime_seconds.saturating_add(1));
        let ran = self.ran.get(server);
        ran.is_some_and(|ran| now.saturating_duration_since(*ran) > up)
    }

    /// Whether a repair that succeeded, or failed for this reason, is to be told: the same reason
    /// is told again after a while only.
    pub(super) fn is_news(&mut self, server: &Address, why: Option<String>) -> bool {
        let Some(why) = why else {
            self.said.remove(server);
            return true;
        };
        let said = self.said.get(server);
        let known = said.is_some_and(|(said, at)| *said == why && at.elapsed() < SAY_AGAIN);
        if !known {
            self.said.insert(server.clone(), (why, Instant::now()));
        }
        !known
    }
}
