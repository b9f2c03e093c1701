//! Why a manager did not start, or stopped.

use std::path::PathBuf;

use primacy_config::ConfigErrors;
use primacy_store::StoreError;

/// Why a manager did not start, or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManagerError {
    /// The configuration file cannot be read.
    #[error("the configuration {} cannot be read: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration is wrong; each error names its place.
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    /// A script that is part of the configuration did not end in time, or could not be run.
    #[error("init_conf_load_script: {why}; the configuration is not read without what it prints")]
    Script {
        /// What became of it.
        why: String,
    },
    /// A password, or a secret to sign with, could not be had.
    #[error("the {what} cannot be read from {from}: {why}")]
    Secret {
        /// What it is: "password of primacy".
        what: String,
        /// Where it was looked for.
        from: String,
        /// Why.
        why: String,
    },
    /// A hook cannot be used as it is configured.
    #[error(transparent)]
    Hook(#[from] primacy_hooks::HookConfigError),
    /// The shutdown script cannot be used.
    #[error("shutdown_script: {0}")]
    ShutdownScript(#[from] primacy_hooks::NotAbsolute),
    /// A webhook cannot be used as it is configured.
    #[error(transparent)]
    Webhook(#[from] primacy_hooks::WebhookConfigError),
    /// The history cannot be opened.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The state folder or the socket cannot be made.
    #[error("{} cannot be made: {source}", .path.display())]
    State {
        /// The path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another manager uses the same socket.
    #[error("a manager is running already: it answers on {}", .socket.display())]
    Running {
        /// The socket.
        socket: PathBuf,
    },
    /// A certificate, key or authority cannot be used.
    #[error(transparent)]
    Certificates(#[from] primacy_certs::CertError),
    /// The certificate is for somebody else.
    #[error(
        "manager.certificate is for an {role}, and agents believe only one for a manager: \
         primacy certs issue manager NAME"
    )]
    Role {
        /// For whom it is.
        role: &'static str,
    },
    /// The health address cannot be listened on.
    #[error("manager.health: {address} cannot be listened on: {source}")]
    Health {
        /// The address.
        address: String,
        /// The operating system's word.
        source: std::io::Error,
    },
    /// Another manager looks after a cluster.
    #[error("{0}")]
    Lock(#[from] primacy_dcs::LockError),
    /// No such cluster.
    #[error("the configuration has no cluster {name:?}; it has {known}")]
    NoSuchCluster {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// Something of the operating system.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}
