//! Why a step failed, in words for the person who is paged.

use primacy_dcs::LockError;
use primacy_hooks::Outcome as ScriptOutcome;
use primacy_host::HostError;
use primacy_plan::Refusal;
use primacy_rescue::RescueError;
use primacy_store::StoreError;
use primacy_types::{Address, Millis};
use primacy_wire::WireError;

/// Why a step did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// A statement or connection failed.
    #[error("{doing} on {server} failed: {source}")]
    Server {
        /// Where.
        server: Address,
        /// What was tried.
        doing: &'static str,
        /// What came back.
        source: Box<WireError>,
    },
    /// Something on the host failed.
    #[error("fencing {server} failed: {source}")]
    Host {
        /// Whose host.
        server: Address,
        /// What came back.
        source: Box<HostError>,
    },
    /// The host could not shut a server down or start it.
    #[error("restarting {server} failed: {source}")]
    Restart {
        /// The server.
        server: Address,
        /// What came back.
        source: Box<HostError>,
    },
    /// Missing events could not be had from files.
    #[error("what {server} has could not be rescued: {source}")]
    Rescue {
        /// Whose files.
        server: Address,
        /// Why.
        source: Box<RescueError>,
    },
    /// A script that moves the applications' address did not do it.
    #[error("{script} --command={command} for {server} failed: {outcome}")]
    Script {
        /// Whose address.
        server: Address,
        /// Its key in the configuration.
        script: &'static str,
        /// What it was told.
        command: &'static str,
        /// What came of it.
        outcome: Box<ScriptOutcome>,
    },
    /// No progress, or not done, for too long.
    #[error("{server}: {what} ({limit} passed)")]
    Stalled {
        /// Where.
        server: Address,
        /// What is still missing, as it was last seen.
        what: String,
        /// The limit.
        limit: Millis,
    },
    /// Too few replicas came to acknowledge to a new primary.
    #[error("{server}: {what} ({limit} passed)")]
    NotAttached {
        /// The new primary.
        server: Address,
        /// What is missing, with the reasons of those that failed.
        what: String,
        /// Those that failed.
        failed: Vec<Address>,
        /// The limit.
        limit: Millis,
    },
    /// The server is in a state in which the step cannot be done.
    #[error("{server}: {why}")]
    Impossible {
        /// Where.
        server: Address,
        /// Why.
        why: String,
    },
    /// The journal or the history cannot be written; nothing is done without it.
    #[error("the journal cannot be written: {0}")]
    Store(Box<StoreError>),
    /// The cluster's lock was lost.
    #[error("{0}")]
    Lock(Box<LockError>),
}

impl StepError {
    /// Names the statement that failed.
    pub(crate) fn at(
        server: &Address,
        doing: &'static str,
    ) -> impl FnOnce(WireError) -> Self + use<> {
        let server = server.clone();
        move |source| Self::Server { server, doing, source: Box::new(source) }
    }

    /// Files that did not give what they have.
    pub(crate) fn rescue(server: &Address, source: RescueError) -> Self {
        Self::Rescue { server: server.clone(), source: Box::new(source) }
    }

    /// A state that forbids the step.
    pub(crate) fn impossible(server: &Address, why: impl Into<String>) -> Self {
        Self::Impossible { server: server.clone(), why: why.into() }
    }

    /// The server that it is about, if it is about one.
    pub fn server(&self) -> Option<&Address> {
        match self {
            Self::Server { server, .. }
            | Self::Host { server, .. }
            | Self::Restart { server, .. }
            | Self::Rescue { server, .. }
            | Self::Script { server, .. }
            | Self::Stalled { server, .. }
            | Self::NotAttached { server, .. }
            | Self::Impossible { server, .. } => Some(server),
            Self::Store(_) | Self::Lock(_) => None,
        }
    }
}

impl From<StoreError> for StepError {
    fn from(error: StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}

impl From<LockError> for StepError {
    fn from(error: LockError) -> Self {
        Self::Lock(Box::new(error))
    }
}

/// Why an operation did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperationError {
    /// It was not begun.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// A program that is called before it does not want it; nothing was touched.
    #[error("{0}")]
    RefusedByHook(Box<Refusal>),
    /// The plan would break a promise; this is a defect of Primacy.
    #[error("the plan would break a promise and was not run: {0}")]
    Unsound(String),
    /// The lock does not permit it.
    #[error("{0}")]
    Lock(#[from] LockError),
    /// Another operation on this cluster is not finished.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// It failed and everything was put back.
    #[error("{error}; everything was put back as it was")]
    BackedOut {
        /// What failed.
        error: Box<StepError>,
    },
    /// It failed and could not be put back completely.
    #[error("{error}; and putting it back failed too: {undo}")]
    HalfWay {
        /// What failed.
        error: Box<StepError>,
        /// What could not be put back.
        undo: String,
    },
    /// It failed after the point of no return.
    #[error("{error}; the operation is past the point of no return and will be resumed")]
    Unfinished {
        /// What failed.
        error: Box<StepError>,
    },
}

impl From<Refusal> for OperationError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}
