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

/// What it says when it has got further than it can be held at.
const GOES_ON: [&str; 2] = ["detach: ", " accepts writes"];

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
    pub(crate) fn of(text: &str) -> Option<Self> {
        let limit = LIMITS.iter().find(|(begin, _)| text.starts_with(begin));
        if let Some((_, limit)) = limit {
            let (since, why) = (Some(Instant::now()), text.to_owned());
            return Some(Self::Stands(Held { before: Duration::ZERO, since, limit: *limit, why }));
        }
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        match (has(&GOES_ON), has(&TRIES)) {
            (true, _) => Some(Self::GoesOn),
            (false, true) => Some(Self::Tries),
            (false, false) => None,
        }
    }

    /// Takes it into what is known.
    pub(crate) fn into_known(self, known: &mut Option<Held>) {
        match (self, known.as_mut()) {
            (Self::GoesOn, _) => *known = None,
            (Self::Tries, Some(held)) => {
                held.before = held.so_far();
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
    fn so_far(&self) -> Duration {
        self.before + self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(crate) fn is_over(&self) -> bool {
        self.since.is_some() && self.so_far() > self.limit
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
        let limit = |text| match Heard::of(text) {
            Some(Heard::Stands(held)) => held.limit.as_secs(),
            heard => panic!("{heard:?}"),
        };
        assert_eq!(
            limit("HELD: failover_script --command=start for b:1 failed: exited with 1"),
            15
        );
        assert_eq!(limit("HELD: a failover would lose rows"), 60);
        assert_eq!(limit("fence failed: a:1: shutdown_script has not stopped it"), 15);
        assert!(Heard::of("the primary does not answer").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_in_which_it_is_held_counts_and_no_other() {
        let mut known = None;
        let hear =
            |text: &str, known: &mut Option<Held>| Heard::of(text).unwrap().into_known(known);
        let pass = async |seconds| tokio::time::advance(Duration::from_secs(seconds)).await;
        hear("b:1 wins", &mut known);
        assert!(known.is_none());
        hear("HELD: rows are missing", &mut known);
        pass(40).await;
        // Said again, it is the same time.
        hear("HELD: other rows are missing", &mut known);
        assert!(!known.as_ref().unwrap().is_over());
        hear("a:1 was not fenced", &mut known);
        hear("b:1 wins", &mut known);
        pass(100).await;
        assert!(!known.as_ref().unwrap().is_over(), "it is at work");
        hear("HELD: rows are missing", &mut known);
        assert!(!known.as_ref().unwrap().is_over());
        pass(21).await;
        let held = known.as_ref().unwrap();
        assert!(held.is_over());
        let told = held.sentence("/etc/app1.cnf");
        assert!(told.contains("60 seconds") && told.contains("--conf=/etc/app1.cnf"), "{told}");
        hear("detach: b:1 holds everything and replicates from nobody", &mut known);
        assert!(known.is_none());
    }
}
