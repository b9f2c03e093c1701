//! A configured program of the person's own: when it is called, with what, and what its end means.

use std::path::PathBuf;
use std::time::Duration;

use primacy_types::RefuseOrProceed;

use crate::{ArgumentError, Arguments, HookEvent, NotAbsolute, Notice, Outcome, Program, Verdict};

/// A program that is called at some moments.
#[derive(Clone, Debug)]
pub struct Hook {
    program: Program,
    arguments: Arguments,
    events: Vec<HookEvent>,
    before_failover: RefuseOrProceed,
}

/// A hook that cannot be used as it is configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HookConfigError {
    /// The path is not absolute.
    #[error(transparent)]
    Path(#[from] NotAbsolute),
    /// An argument has a mistake.
    #[error("{program}: {mistake}")]
    Argument {
        /// The program's path.
        program: String,
        /// The mistake, with its place.
        mistake: ArgumentError,
    },
}

/// What came of calling a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// The moment.
    pub event: HookEvent,
    /// The cluster.
    pub cluster: String,
    /// What the program did.
    pub outcome: Outcome,
    /// What follows from it.
    pub verdict: Verdict,
}

/// A hook that failed, for the report or as the reason of a refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cluster {cluster}, hook {event}: {outcome}; {}", consequence(*event, *verdict))]
pub struct HookFailure {
    /// The moment.
    pub event: HookEvent,
    /// The cluster.
    pub cluster: String,
    /// What the program did.
    pub outcome: Outcome,
    /// What follows from it.
    pub verdict: Verdict,
}

fn consequence(event: HookEvent, verdict: Verdict) -> String {
    match (verdict, event.word().strip_prefix("before_")) {
        (Verdict::Refuse, Some(operation)) => format!(
            "the {operation} is refused, and nothing was changed. Mend what the program complains \
             of, or take it out of the configuration"
        ),
        (_, Some(operation)) => format!("the {operation} goes on all the same"),
        (_, None) => "nothing else depends on it".to_owned(),
    }
}

impl Hook {
    /// A program with arguments that may hold placeholders; no shell is involved.
    ///
    /// # Errors
    /// If the path is not absolute, or a placeholder is not known.
    pub fn executable<S: AsRef<str>>(
        path: impl Into<PathBuf>,
        arguments: &[S],
        limit: Duration,
    ) -> Result<Self, HookConfigError> {
        let program = Program::new(path, limit)?;
        let arguments = Arguments::parse(arguments).map_err(|mistake| {
            HookConfigError::Argument { program: program.name().to_owned(), mistake }
        })?;
        Ok(Self::of(program, arguments))
    }

    /// A command line for `/bin/sh`. Nothing is put into it: what happens is in its variables and
    /// on its standard input.
    pub fn shell(line: &str, limit: Duration) -> Self {
        Self::of(Program::shell(line, limit), Arguments::default())
    }

    fn of(program: Program, arguments: Arguments) -> Self {
        Self { program, arguments, events: Vec::new(), before_failover: RefuseOrProceed::Proceed }
    }

    /// Called at these moments only; without this at all of them.
    #[must_use]
    pub fn at(mut self, events: impl IntoIterator<Item = HookEvent>) -> Self {
        self.events.extend(events);
        self
    }

    /// What its failure means before a failover. Preset: go on.
    #[must_use]
    pub fn before_failover(mut self, policy: RefuseOrProceed) -> Self {
        self.before_failover = policy;
        self
    }

    /// The directory it runs in; else it is ours.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.program = self.program.directory(directory);
        self
    }

    /// Whether it is called at this moment.
    pub fn is_for(&self, event: HookEvent) -> bool {
        self.events.is_empty() || self.events.contains(&event)
    }

    /// What is run for a notice.
    pub fn program(&self, notice: &Notice) -> Program {
        self.program
            .clone()
            .arguments(self.arguments.fill(|placeholder| notice.value(placeholder)))
            .environment(notice.variables())
            .stdin(notice.to_json())
    }

    /// Calls it, and waits for its end or its limit. Dropping the future kills it.
    pub async fn call(&self, notice: &Notice) -> Called {
        let outcome = self.program(notice).run().await;
        let verdict = notice.event.verdict(outcome.is_success(), self.before_failover);
        Called { event: notice.event, cluster: notice.cluster.clone(), outcome, verdict }
    }
}

impl Called {
    /// The sentence about its failure; `None` if it succeeded.
    pub fn failure(&self) -> Option<HookFailure> {
        let Self { event, cluster, outcome, verdict } = self;
        (*verdict != Verdict::Proceed).then(|| HookFailure {
            event: *event,
            cluster: cluster.clone(),
            outcome: outcome.clone(),
            verdict: *verdict,
        })
    }
}
