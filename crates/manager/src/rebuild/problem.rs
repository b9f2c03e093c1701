//! Why a rebuild did not go on, and what data its server has then.

use primacy_agent_api::{AgentError, JobState};
use primacy_exec::StepError;
use primacy_store::Outcome;

/// What data the server has, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Its old data, which was never touched or is back in place.
    Old,
    /// Its old data is in place, and the server does not run.
    Down,
    /// Its old data is not in place.
    NotOld,
    /// Its agent knows nothing of the rebuild.
    Forgotten,
    /// Its agent is not reached.
    Unreached,
}

/// Why it did not go on.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) why: String,
    pub(super) left: Left,
}

impl Problem {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), left: Left::Old }
    }

    pub(super) fn with(left: Left, why: impl Into<String>) -> Self {
        Self { why: why.into(), left }
    }

    /// What the agent says of a job that failed.
    pub(super) fn of_failed(job: &JobState) -> Self {
        let left = match (job.old_data_in_place, &job.aside) {
            (true, _) => Left::Old,
            (false, None) => Left::Down,
            (false, Some(_)) => Left::NotOld,
        };
        let why = job.error.clone().unwrap_or_else(|| "it does not say why".to_owned());
        Self { why, left }
    }

    /// How a rebuild ends with this once its data was to change places.
    pub(super) const fn outcome(&self) -> Outcome {
        match self.left {
            Left::Old => Outcome::BackedOut,
            Left::Down | Left::NotOld | Left::Forgotten | Left::Unreached => Outcome::Failed,
        }
    }
}

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<AgentError> for Problem {
    fn from(error: AgentError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<StepError> for Problem {
    fn from(error: StepError) -> Self {
        Self::new(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use primacy_agent_api::JobPhase;

    fn failed(error: &str, old_data_in_place: bool) -> Problem {
        Problem::of_failed(&JobState {
            id: "01a1fe4f-4168-7345-adca-1d3671feeae6".parse().unwrap(),
            phase: JobPhase::Failed,
            bytes: 0,
            paused: false,
            data: "/d.rebuild-1".into(),
            aside: None,
            gtid: None,
            old_data_in_place,
            error: Some(error.to_owned()),
        })
    }

    #[test]
    fn what_became_of_the_old_data_is_not_read_out_of_a_sentence() {
        let said = "the old data could not be put back";
        assert_eq!(failed(said, true).outcome(), Outcome::BackedOut);
        assert_eq!(failed("anything else", false).outcome(), Outcome::Failed);
    }

    #[test]
    fn old_data_that_is_in_place_is_not_missed_where_the_server_does_not_run() {
        assert_eq!(failed("it could not be started", false).left, Left::Down);
    }

    #[test]
    fn what_is_not_known_is_not_called_backed_out() {
        for left in [Left::Unreached, Left::Forgotten, Left::NotOld, Left::Down] {
            assert_eq!(Problem::with(left, "why").outcome(), Outcome::Failed, "{left:?}");
        }
    }
}
