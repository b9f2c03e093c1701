//! The one clock of a process: moments for the rules, wall-clock time for people.

use std::time::SystemTime;

use primacy_types::{Millis, Moment, WallClock};
use tokio::time::Instant;

/// What the clock shows when the process starts: ten days, so that moments before the start (of a
/// failover that is on record, say) can be told.
const START: Moment = Moment(10 * 24 * 3600 * 1000);

/// Moments of this process.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock that begins now.
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// Now, for rules and durations.
    pub fn now(&self) -> Moment {
        START + Millis::from(self.start.elapsed())
    }

    /// Now, for people and history.
    pub fn wall(&self) -> WallClock {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        WallClock(Millis::from(since).0)
    }
}
