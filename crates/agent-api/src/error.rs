//! What goes wrong between a manager and an agent, and what an agent answers when it does not do
//! something.

use primacy_types::{Address, Millis};
use serde::{Deserialize, Serialize};

/// Why an agent did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FaultKind {
    /// The request is not understood.
    BadRequest,
    /// The certificate of the one who asks does not allow it.
    Forbidden,
    /// It does not look after this server.
    UnknownServer,
    /// A file is not there.
    NoFile,
    /// The operating system does not let it.
    Permission,
    /// A file is none of those that may be read.
    NotALog,
    /// It took too long.
    TimedOut,
    /// A lease, epoch or term forbids it.
    Lease,
    /// The server answered with an error, or not at all.
    Server,
    /// Something else; the text says what.
    Other,
}

/// An agent's refusal, as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub struct Fault {
    /// What kind.
    pub kind: FaultKind,
    /// For people.
    pub text: String,
}

impl Fault {
    /// A refusal.
    pub fn new(kind: FaultKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

/// Why an agent's answer was not had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// It was not reached.
    #[error("the agent {agent} is not reached: {reason}")]
    Unreached {
        /// Which.
        agent: Address,
        /// What was seen.
        reason: String,
        /// Nothing listens there, on a host that answers.
        refused: bool,
    },
    /// It and we do not believe each other.
    #[error(
        "the agent {agent}: {reason}; look at the certificates of both sides (`primacy certs show`): \
         validity, authority, role and the host's name"
    )]
    Tls {
        /// Which.
        agent: Address,
        /// What TLS said.
        reason: String,
    },
    /// It did not answer in time.
    #[error("the agent {agent} did not answer within {limit}")]
    Silent {
        /// Which.
        agent: Address,
        /// How long was waited.
        limit: Millis,
    },
    /// It answered something that is not understood.
    #[error("the agent {agent} answered what this version does not understand: {reason}")]
    Garbled {
        /// Which.
        agent: Address,
        /// What.
        reason: String,
    },
    /// It answered with a refusal.
    #[error("the agent {agent}: {fault}")]
    Fault {
        /// Which.
        agent: Address,
        /// Why.
        fault: Fault,
    },
}

impl AgentError {
    /// Trying again may help without anybody's doing.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreached { .. } | Self::Silent { .. } => true,
            Self::Fault { fault, .. } => fault.kind == FaultKind::TimedOut,
            Self::Tls { .. } | Self::Garbled { .. } => false,
        }
    }

    /// The refusal, if it is one.
    pub const fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Fault { fault, .. } => Some(fault),
            _ => None,
        }
    }
}
