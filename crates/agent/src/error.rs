//! Why an agent does not start.

use std::path::PathBuf;

use primacy_certs::CertError;

/// Why an agent could not start, or had to end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentStartError {
    /// A certificate, key or authority cannot be used.
    #[error(transparent)]
    Certificates(#[from] CertError),
    /// The certificate is for somebody else.
    #[error(
        "the certificate is for a {role}, and an agent needs one for an agent: \
         primacy certs issue agent NAME --host ADDRESS"
    )]
    Role {
        /// For whom it is.
        role: &'static str,
    },
    /// The address cannot be listened on.
    #[error("{address} cannot be listened on: {source}")]
    Listen {
        /// The address.
        address: String,
        /// The operating system's word.
        source: std::io::Error,
    },
    /// The state folder cannot be used.
    #[error("the state folder {}: {source}", path.display())]
    State {
        /// Where.
        path: PathBuf,
        /// The operating system's word.
        source: std::io::Error,
    },
    /// A file of the state folder says something that cannot be.
    #[error(
        "{} cannot be read ({reason}); it holds the highest epoch that this host has seen. If it \
         is damaged beyond repair, remove it while no failover is under way", path.display()
    )]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The operating system refused something that should always work.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Nothing to look after.
    #[error("the agent has no servers: write [[agent.server]] with address = \"host:3306\"")]
    NoServers,
}
