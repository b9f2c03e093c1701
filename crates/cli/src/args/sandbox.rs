//! Options of `primacy sandbox`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `primacy sandbox`
#[derive(Debug, Subcommand)]
pub(crate) enum SandboxVerb {
    /// Make a cluster and write a configuration for it
    ///
    /// Each server has its own data folder and a loopback port. The folder holds `primacy.toml`
    /// and the passwords. Ctrl-C takes it down again.
    Up(Up),
    /// List the sandboxes of this user
    List,
    /// Show what each server's process does
    Status(OneSandbox),
    /// Stop a server cleanly, as its administrator would
    #[command(allow_missing_positional = true)]
    Stop(OneServer),
    /// Start a server again; it is read-only, as after any restart
    #[command(allow_missing_positional = true)]
    Start(OneServer),
    /// Kill a server with SIGKILL
    #[command(allow_missing_positional = true)]
    Kill(OneServer),
    /// Freeze a server with SIGSTOP: connections stay open and nothing answers
    #[command(allow_missing_positional = true)]
    Freeze(OneServer),
    /// Let a frozen server go on
    #[command(allow_missing_positional = true)]
    Thaw(OneServer),
    /// End all servers and remove the folder with all data
    Down(OneSandbox),
}

/// A sandbox.
#[derive(Debug, Args)]
pub(crate) struct OneSandbox {
    /// The sandbox's name
    #[arg(default_value = "demo")]
    pub(crate) name: String,
}

/// A server of a sandbox.
#[derive(Debug, Args)]
pub(crate) struct OneServer {
    /// The sandbox's name [default: demo]
    pub(crate) name: Option<String>,
    /// The server: s1, s2, ..., or its HOST:PORT
    #[arg(required = true)]
    pub(crate) server: String,
}

/// `primacy sandbox up`
#[derive(Debug, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) which: OneSandbox,
    /// Which server: mariadb-10.5, mariadb-10.11, mariadb-11.8, mysql-5.6 or mysql-9.7
    /// [default: the installed one]
    #[arg(long, value_name = "SERVER")]
    pub(crate) server: Option<String>,
    /// How many replicas beside the primary
    #[arg(long, value_name = "N", default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u8).range(0..=20))]
    pub(crate) replicas: u8,
    /// Replicate by GTID, or by file and position
    #[arg(long, value_enum, default_value_t = GtidSwitch::On)]
    pub(crate) gtid: GtidSwitch,
    /// Semi-synchronous replication
    #[arg(long)]
    pub(crate) semi_sync: bool,
    /// How many replicas must acknowledge (MariaDB knows 1 only)
    #[arg(long, value_name = "N", default_value_t = 1, requires = "semi_sync")]
    pub(crate) semi_sync_wait_count: u8,
    /// Give the servers certificates, and require TLS in the configuration
    #[arg(long)]
    pub(crate) tls: bool,
    /// The folder to make it in; it must be empty or not exist
    /// [default: in the user's state folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// The first server's port; the others follow [default: free ports]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1024..))]
    pub(crate) base_port: Option<u16>,
}

/// `on` or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GtidSwitch {
    /// By GTID
    On,
    /// By file and position
    Off,
}
