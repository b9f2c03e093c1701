//! The command line: every verb and option with its documentation. Help texts, completions and
//! man pages are made from this.

mod add_replica;
mod agent;
mod binlog;
mod binlog_serve;
mod check_vip;
mod cluster;
mod errant;
mod examples;
mod local;
mod mha;
mod rebuild;
mod sandbox;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use add_replica::AddReplica;
pub(crate) use agent::{AgentArgs, CertRole, CertsVerb, InitCerts, IssueCert, ShowCert};
pub(crate) use binlog::{
    BinlogVerb, CutLogs, DiffLogs, SaveLogs, ServerLogin, ShowLogs, TlsWanted, VerifyLogs,
};
pub(crate) use binlog_serve::{BinlogServe, SyncWhen};
pub(crate) use check_vip::CheckVip;
pub(crate) use cluster::{
    Failover, HistoryArgs, List, Pause, PurgeRelayLogs, RejoinArgs, RestartArgs, RollingRestart,
    Status, Switchover, ToAct, ToShow,
};
pub(crate) use errant::{ErrantVerb, ExportErrant, InjectEmpty};
pub(crate) use local::{
    Completions, ConfigVerb, Daemon, GrantPurpose, GrantsArgs, ImportArgs, LogFormat, ManArgs,
};
pub(crate) use mha::{InstallMhaLinks, MhaArgs};
pub(crate) use rebuild::Rebuild;
pub(crate) use sandbox::{GtidSwitch, OneServer, SandboxVerb, Up};

use crate::exit;

/// Keeps MySQL and MariaDB clusters writable
///
/// A manager (`primacy manager`) watches replication clusters and replaces a dead primary by the
/// right replica. The other commands show what it sees, say what stands in its way, and move the
/// primary's role. They talk to the running manager through the socket that the configuration
/// names; most of them also work without one.
#[derive(Debug, Parser)]
#[command(
    name = "primacy",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_long_help = format!("{}\n\n{}", examples::PRIMACY, exit::help())
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What every verb takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// The configuration file [default: ./primacy.toml if it exists, else
    /// /etc/primacy/primacy.toml]
    #[arg(long, global = true, value_name = "FILE", env = "PRIMACY_CONFIG")]
    #[arg(hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    /// Write one JSON document instead of text for people
    ///
    /// Without CLUSTER it is a list, also if there is only one cluster. A refusal is written as
    /// JSON too.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to use colours
    ///
    /// `auto` uses them on a terminal, unless NO_COLOR is set. They never carry meaning alone.
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub(crate) color: ColorWhen,
    /// Write no hints and no progress to standard error; errors are still written
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    // Without texts of their own, so that help stays short: the option explains them.
    #[default]
    Auto,
    Always,
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Watch the configured clusters and act: the daemon
    ///
    /// It runs until SIGTERM or SIGINT, tells systemd when it is ready, and reads its
    /// configuration again on SIGHUP and when the file changes.
    #[command(after_long_help = examples::MANAGER)]
    Manager(Daemon),
    /// Run every role that the configuration names
    ///
    /// Today that is the manager alone; later roles (a proxy, an agent) start with it if the file
    /// has their sections.
    Run(Daemon),
    /// Look after the servers of this host: the agent
    ///
    /// It sees the servers' processes, reads their logs, kills a server that a manager fences, and
    /// obeys the lease: a primary whose lease is not renewed is made read-only, and killed if it does
    /// not become so. It listens for managers and other agents with a certificate, and runs until
    /// SIGTERM or SIGINT. Its configuration is the section [agent].
    #[command(after_long_help = examples::AGENT)]
    Agent(AgentArgs),
    /// Make and show the certificates with which managers and agents know each other
    #[command(subcommand, after_long_help = examples::CERTS)]
    Certs(CertsVerb),
    /// Show clusters, their health and their servers
    #[command(after_long_help = examples::STATUS)]
    Status(Status),
    /// List servers or clusters as a table
    #[command(subcommand)]
    List(List),
    /// Show who replicates from whom, as a tree
    Topology(ToShow),
    /// Find what would make a failover or switchover be refused or risky
    ///
    /// Each finding has the statement or command that mends it. Exits with 0 if nothing blocks or
    /// risks a failover or switchover, with 1 otherwise; advice does not count.
    #[command(after_long_help = examples::CHECK)]
    Check(ToShow),
    /// Say whether this host may have the primary's virtual address: for keepalived and the like
    ///
    /// Asks the health address of this host's agent, which says yes only while the server accepts
    /// writes and holds its lease. Where the configuration has no [agent], the running manager and
    /// the server named with --server must both say so. Exits with 0 for yes and with 1 for no; in
    /// doubt, and when the time is up, it is no. One line says why.
    #[command(after_long_help = examples::CHECK_VIP)]
    CheckVip(CheckVip),
    /// Say what is believed, on what evidence, and why something is or is not done
    #[command(after_long_help = examples::EXPLAIN)]
    Explain(ToShow),
    /// Move the primary's role to a replica while both are alive
    ///
    /// Writes are blocked, the replica receives everything, is promoted, and the others follow
    /// it. Whatever fails before the point of no return puts the old primary back as it was.
    ///
    /// On a terminal the plan is shown and has to be confirmed, unless --yes is given.
    #[command(after_long_help = examples::SWITCHOVER)]
    Switchover(Switchover),
    /// Replace a dead primary now
    ///
    /// The manager does this by itself; this command does it where that is switched off, paused,
    /// blocked after a recent failover, or refused for want of a promise.
    ///
    /// On a terminal the plan is shown and has to be confirmed, unless --yes is given. Without a
    /// terminal, --force and --accept-loss are refused unless --yes is given.
    #[command(after_long_help = examples::FAILOVER)]
    Failover(Failover),
    /// Build a server's data anew from another server's, and let it replicate
    ///
    /// The data is copied to a new directory beside the old one: by the clone plugin on MySQL, with
    /// mariadb-backup on MariaDB, from a replica if one can give it. Only then is the server shut down,
    /// the new data put in place and the server started; it is brought to replicate, and its old data
    /// is kept beside the new. Whatever fails before that leaves the server as it was.
    ///
    /// On a terminal the plan is shown and has to be confirmed, unless --yes is given.
    #[command(after_long_help = examples::REBUILD)]
    Rebuild(Rebuild),
    /// Add a server to a cluster: look at it, write it into the configuration, and build its data
    ///
    /// The server runs, read-only, with an initialised data directory and the manager's account, and
    /// an agent looks after it. It gets the data of a replica as by `primacy rebuild`, and what it has
    /// now is kept beside that.
    #[command(name = "add-replica", after_long_help = examples::ADD_REPLICA)]
    AddReplica(AddReplica),
    /// Stop automatic actions on a cluster; it is still watched
    #[command(after_long_help = examples::PAUSE)]
    Pause(Pause),
    /// Allow automatic actions again: ends a pause, and the block after a recent failover
    Resume(ToAct),
    /// Make a server that is back a replica of the primary
    ///
    /// The manager does this by itself for a former primary, unless `policy.rejoin` says otherwise.
    /// What the server has and the primary has not is saved as a binary log and as text before
    /// anything else is done; then it is left alone, or its transactions are undone, or its data is
    /// replaced. Exits with 1 if the server does not replicate afterwards.
    #[command(after_long_help = examples::REJOIN)]
    Rejoin(RejoinArgs),
    /// Shut a replica down, start it again, and wait until it has caught up
    ///
    /// Refused while the cluster cannot do without it, and for the primary. Its host must be in
    /// reach: an agent, ssh, or this machine.
    #[command(after_long_help = examples::RESTART)]
    Restart(RestartArgs),
    /// Restart every server of a cluster, one after another, the primary last
    ///
    /// Replicas first, each caught up before the next one; then the role moves to one of them, and
    /// the former primary is restarted. Stops at the first that fails, and says what was done.
    #[command(after_long_help = examples::ROLLING_RESTART)]
    RollingRestart(RollingRestart),
    /// Find errant transactions, export them, and make them known to every server
    #[command(subcommand, after_long_help = examples::ERRANT)]
    Errant(ErrantVerb),
    /// Remove relay logs that are applied and that no sibling may need any more
    ///
    /// For replicas with relay_log_purge = OFF; others do it themselves. One replica after another,
    /// and only while the cluster is well and nothing is under way. What a replica has not applied
    /// is never removed.
    #[command(after_long_help = examples::PURGE_RELAY_LOGS)]
    PurgeRelayLogs(PurgeRelayLogs),
    /// List past operations, or show one with its timeline and journal
    #[command(after_long_help = examples::HISTORY)]
    History(HistoryArgs),
    /// Print the SQL that gives Primacy's accounts the privileges they need, and no more
    #[command(after_long_help = examples::GRANTS)]
    Grants(GrantsArgs),
    /// Show, cut, compare, save and verify binary logs: files and live servers
    #[command(subcommand, after_long_help = examples::BINLOG)]
    Binlog(BinlogVerb),
    /// Run one of MHA's commands: the same as calling this program by its name
    ///
    /// What comes after NAME is for that command; `primacy mha NAME --help` shows its options.
    #[command(after_long_help = examples::MHA)]
    Mha(MhaArgs),
    /// Make links in a folder by which this program is called as MHA's commands
    #[command(name = "install-mha-links", after_long_help = examples::INSTALL_MHA_LINKS)]
    InstallMhaLinks(InstallMhaLinks),
    /// Check, show and explain the configuration
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Make clusters of real servers on this machine, and break them
    #[command(subcommand, after_long_help = examples::SANDBOX)]
    Sandbox(SandboxVerb),
    /// Print a shell's completion script
    #[command(after_long_help = examples::COMPLETIONS)]
    Completions(Completions),
    /// Write man pages
    #[command(after_long_help = examples::MAN)]
    Man(ManArgs),
}
