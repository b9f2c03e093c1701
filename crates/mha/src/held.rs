//! A failover that does not go on: what the engine says of that, and for how long it may last before
//! it counts as failed. The engine itself would wait for ever; MHA's commands end.

use std::time::Duration;

use tokio::time::Instant;

/// How what is said begins, and for how long it may last. A script that fails and a
/// fence that fails seldom do better later; data that is known to exist may be had yet.
const LIMITS: [(&str, Duration); 3] = [
    ("HELD: failover_script ", Duration::from_secs(15)),
    ("HELD: ", Duration::from_secs(60)),
    ("fence failed: ", Duration::from_secs(15)),
];

/// What it says when it tries again. It may be held again at once: the time until then does not count,
/// and the time before it still does.
const TRIES: [&str; 3] = [" wins", " is fenced", " was not fenced"];

/// How what it says begins when it has got further than it can be held at.
const GOES_ON: [&str; 2] = ["detach: ", "open-writes: "];

/// For how long a failover has not gone on, and for how long it may not.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    before: Duration,
    /// `None` while it tries again.
    since: Option<Instant>,
    limit: Duration,
    why: String,
}

/// What a sentence of the engine means.
#[derive(Clone, Debug)]
pub(crate) enum Heard {
    /// It does not go on.
    Stands(Held),
    /// It tries again.
    Tries,
    /// It goes on.
    GoesOn,
}

impl Heard {
    /// `None`: it says nothing of that.
    pub(crate) fn of(text: &str, now: Instant) -> Option<Self> {
        let limit = LIMITS.iter().find(|(begin, _)| text.starts_with(begin));
        if let Some((_, limit)) = limit {
            let (since, why) = (Some(now), text.to_owned());
            return Some(Self::Stands(Held { before: Duration::ZERO, since, limit: *limit, why }));
        }
        if GOES_ON.iter().any(|begin| text.starts_with(begin)) {
            return Some(Self::GoesOn);
        }
        TRIES.iter().any(|word| text.contains(word)).then_some(Self::Tries)
    }

    /// Takes it into what is known.
    pub(crate) fn into_known(self, known: &mut Option<Held>, now: Instant) {
        match (self, known.as_mut()) {
            (Self::GoesOn, _) => *known = None,
            (Self::Tries, Some(held)) => {
                held.before = held.so_far(now);
                held.since = None;
            }
            (Self::Tries, None) => {}
            (Self::Stands(new), None) => *known = Some(new),
            (Self::Stands(new), Some(held)) => {
                held.since = held.since.or(new.since);
                held.limit = new.limit;
                held.why = new.why;
            }
        }
    }
}

impl Held {
    fn so_far(&self, now: Instant) -> Duration {
        self.before
            + self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.since.is_some() && self.so_far(now) > self.limit
    }

    /// What is held, why, and what can be done about it.
    pub(crate) fn sentence(&self, conf: &str) -> String {
        format!(
            "the failover could not go on for {} seconds: {}\nNobody was made writable. It is left half \
             done to the next manager: `masterha_manager --conf={conf} --ignore_last_failover` goes on \
             as soon as what is missing is there, or puts everything back if the old primary serves \
             again; to go on without it, run `primacy manager --config {conf}` and order `primacy \
             failover --config {conf} --force`, with --accept-loss if rows are what is missing",
            self.limit.as_secs(),
            self.why
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_has_less_time_than_data_that_is_missing() {
        let now = Instant::now();
        let limit = |text| match Heard::of(text, now) {
            Some(Heard::Stands(held)) => held.limit.as_secs(),
            heard => panic!("{heard:?}"),
        };
        assert_eq!(
            limit("HELD: failover_script --command=start for b:1 failed: exited with 1"),
            15
        );
        assert_eq!(limit("HELD: a failover would lose rows"), 60);
        assert_eq!(limit("fence failed: a:1: shutdown_script has not stopped it"), 15);
        assert!(Heard::of("the primary does not answer", now).is_none());
    }

    #[test]
    fn the_time_in_which_it_is_held_counts_and_no_other() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut known = None;
        let hear = |text: &str, seconds, known: &mut Option<Held>| {
            Heard::of(text, at(seconds)).unwrap().into_known(known, at(seconds));
        };
        let is_over = |seconds, known: &Option<Held>| known.as_ref().unwrap().is_over(at(seconds));
        hear("b:1 wins", 0, &mut known);
        assert!(known.is_none());
        hear("HELD: rows are missing", 0, &mut known);
        // Said again, it is the same time.
        hear("HELD: other rows are missing", 40, &mut known);
        assert!(!is_over(59, &known) && is_over(61, &known));
        hear("a:1 was not fenced", 40, &mut known);
        hear("b:1 wins", 41, &mut known);
        assert!(!is_over(140, &known), "it is at work");
        hear("HELD: rows are missing", 140, &mut known);
        assert!(!is_over(159, &known) && is_over(161, &known));
        let told = known.as_ref().unwrap().sentence("/etc/app1.cnf");
        assert!(told.contains("60 seconds") && told.contains("--conf=/etc/app1.cnf"), "{told}");
        hear("detach: b:1 holds everything and replicates from nobody", 161, &mut known);
        assert!(known.is_none());
    }
}
