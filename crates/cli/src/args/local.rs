//! Options of the verbs that need no cluster: the daemon, grants, the configuration, the shell.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::examples;

/// `primacy manager`, `primacy run`
#[derive(Debug, Args)]
pub(crate) struct Daemon {
    /// How log lines are written, to standard error
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) log_format: LogFormat,
    /// What is logged: a level (error, warn, info, debug, trace), or levels of parts as in
    /// `info,primacy_wire=debug`
    #[arg(long, value_name = "LEVEL", env = "PRIMACY_LOG", hide_env_values = true)]
    #[arg(default_value = "info")]
    pub(crate) log_level: String,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people on a terminal, JSON elsewhere
    #[default]
    Auto,
    /// For people
    Human,
    /// One JSON object a line
    Json,
}

/// `primacy grants`
#[derive(Debug, Args)]
pub(crate) struct GrantsArgs {
    /// Flavour and version, such as mariadb-10.11, mysql-9.7, or what SELECT VERSION() says
    /// [default: what the configured servers run]
    #[arg(long, value_name = "SERVER")]
    pub(crate) server: Option<String>,
    /// For which account [default: manager and replication]
    #[arg(long, value_enum)]
    pub(crate) purpose: Option<GrantPurpose>,
    /// The account, such as primacy@10.0.0.% [default: the configured user, from any host]
    #[arg(long, value_name = "USER@HOST", requires = "purpose")]
    pub(crate) account: Option<String>,
}

/// What an account is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GrantPurpose {
    /// The manager's own
    Manager,
    /// The one that replicas log in with at their source
    Replication,
    /// What the manager's needs besides for rewinding a returned primary
    Rewind,
    /// The one that agents log in with
    Agent,
    /// What the agents' needs besides to give a logical dump
    Dump,
}

/// `primacy config`
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Name everything that is wrong with the file, with line and column
    ///
    /// Exits with 0 if the file can be used; warnings do not count.
    Check,
    /// Print every key with the value that holds, defaults marked
    Show,
    /// Print the reference of all keys, in Markdown
    Reference,
    /// Turn a configuration of MHA into a native one
    ///
    /// What every key becomes stands in docs/mha.md; what has no meaning any more is named. The
    /// native file holds no passwords: with --output they are written to files of mode 0600 beside
    /// it. A file that exists is left alone.
    ///
    /// A configuration of MHA need not be imported: --config takes it as it is, in every command.
    #[command(after_long_help = examples::CONFIG_IMPORT)]
    Import(ImportArgs),
}

/// `primacy config import`
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The application's file, such as app1.cnf
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The global file [default: /etc/masterha_default.cnf, if it exists]
    #[arg(long, value_name = "FILE")]
    pub(crate) global: Option<PathBuf>,
    /// The native file to write [default: print it, and write no passwords]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace the native file if it exists; a file with a password is never replaced
    #[arg(long, requires = "output")]
    pub(crate) force: bool,
}

/// `primacy completions`
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// `primacy man`
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write one file for each command to this folder [default: print primacy(1)]
    pub(crate) dir: Option<PathBuf>,
}
