//! Options of `primacy agent` and `primacy certs`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::local::Daemon;

/// `primacy agent`
#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    #[command(flatten)]
    pub(crate) daemon: Daemon,
    /// The process that works under the guard: the agent starts it by itself
    #[arg(long, hide = true)]
    pub(crate) worker: bool,
}

/// `primacy certs`
#[derive(Debug, Subcommand)]
pub(crate) enum CertsVerb {
    /// Make an authority: a certificate that issues those of managers and agents, and its key
    ///
    /// Keep `authority.key` on the machine where certificates are issued, and nowhere else: whoever
    /// has it can become a manager. `authority.crt` goes to every host.
    Init(InitCerts),
    /// Issue a certificate and its key for a manager or an agent
    Issue(IssueCert),
    /// Say what a certificate is for, and until when it is good
    Show(ShowCert),
}

/// `primacy certs init`
#[derive(Debug, Args)]
pub(crate) struct InitCerts {
    /// The folder in which the files are made
    #[arg(long, value_name = "DIR", default_value = "certs")]
    pub(crate) dir: PathBuf,
    /// What the authority is called in messages of TLS [default: this machine's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// How many days it is good for
    #[arg(long, value_name = "DAYS", default_value_t = 3650)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) days: u32,
}

/// `primacy certs issue`
#[derive(Debug, Args)]
pub(crate) struct IssueCert {
    /// For what
    #[arg(value_enum)]
    pub(crate) role: CertRole,
    /// What its holder is called in logs; the files are named after it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Name or address under which managers and other agents reach an agent; may be repeated
    /// [default for agents: NAME]
    #[arg(long = "host", value_name = "HOST")]
    pub(crate) hosts: Vec<String>,
    /// The folder with the authority; the new files are made there
    #[arg(long, value_name = "DIR", default_value = "certs")]
    pub(crate) dir: PathBuf,
    /// How many days it is good for
    #[arg(long, value_name = "DAYS", default_value_t = 730)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) days: u32,
}

/// `primacy certs show`
#[derive(Debug, Args)]
pub(crate) struct ShowCert {
    /// The certificate
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CertRole {
    /// It may give orders to agents
    Manager,
    /// It answers managers, on the hosts that it names
    Agent,
}
