//! Options of the verbs that show or change clusters.

use clap::{Args, Subcommand};
use primacy_types::{Address, Millis, OnErrant};

/// A cluster to show, or all of them.
#[derive(Debug, Args)]
pub(crate) struct ToShow {
    /// The cluster's name; all clusters if left out
    pub(crate) cluster: Option<String>,
}

/// A cluster to act on.
#[derive(Debug, Args)]
pub(crate) struct ToAct {
    /// The cluster's name; may be left out if there is only one
    pub(crate) cluster: Option<String>,
}

/// `primacy status`
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) which: ToShow,
    /// Show it again every second, until Ctrl-C
    ///
    /// On a terminal the screen is redrawn; elsewhere it is written again when it changed, with
    /// --json as one line for each change.
    #[arg(long, short)]
    pub(crate) watch: bool,
}

/// `primacy list`
#[derive(Debug, Subcommand)]
pub(crate) enum List {
    /// One line for each server, as MaxScale's users know it
    Servers(ToShow),
    /// One line for each cluster
    Clusters,
}

/// `primacy switchover`
#[derive(Debug, Args)]
pub(crate) struct Switchover {
    #[command(flatten)]
    pub(crate) which: ToAct,
    /// The new primary [default: the best candidate]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) to: Option<Address>,
    /// Only print the steps that would run, with their limits
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// `primacy failover`
#[derive(Debug, Args)]
pub(crate) struct Failover {
    #[command(flatten)]
    pub(crate) which: ToAct,
    /// The new primary [default: the best candidate]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) to: Option<Address>,
    /// Only print the steps that would run, with their limits
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// You know that the primary is dead, or accept that it cannot be fenced
    ///
    /// If it lives after all, two servers accept writes. A failover that is held goes on with
    /// this.
    #[arg(long)]
    pub(crate) force: bool,
    /// You accept that transactions which are known to exist are given up
    #[arg(long, requires = "force")]
    pub(crate) accept_loss: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// `primacy purge-relay-logs`
#[derive(Debug, Args)]
pub(crate) struct PurgeRelayLogs {
    /// The servers [default: all replicas]
    #[arg(value_name = "HOST:PORT")]
    pub(crate) servers: Vec<Address>,
    /// The cluster's name; may be left out if there is only one
    #[arg(long, value_name = "CLUSTER")]
    pub(crate) cluster: Option<String>,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `primacy rejoin`
#[derive(Debug, Args)]
pub(crate) struct RejoinArgs {
    /// The server
    #[arg(value_name = "HOST:PORT")]
    pub(crate) server: Address,
    /// What to do with transactions that only this server has [default: policy.on_errant]
    ///
    /// They are saved in every case. `quarantine` leaves the server as it is, `rewind` undoes them
    /// where that is proved to be right, `rebuild` replaces its data by a copy.
    #[arg(long, value_name = "WHAT", value_parser = on_errant)]
    pub(crate) on_errant: Option<OnErrant>,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

fn duration(text: &str) -> Result<Millis, String> {
    primacy_config::parse_duration(text)
        .ok_or_else(|| "a number with its unit, as in 30s or 10m".to_owned())
}

fn on_errant(word: &str) -> Result<OnErrant, String> {
    match word {
        "quarantine" => Ok(OnErrant::Quarantine),
        "rewind" => Ok(OnErrant::Rewind),
        "rebuild" => Ok(OnErrant::Rebuild),
        _ => Err("quarantine, rewind or rebuild".to_owned()),
    }
}

/// How servers are restarted.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Restarts {
    /// How long a shutdown may take, and a start up to the first answer
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub(crate) limit: Millis,
    /// Only say what would be done, and whether it could be done now
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// `primacy restart`
#[derive(Debug, Args)]
pub(crate) struct RestartArgs {
    /// The replica
    #[arg(value_name = "HOST:PORT")]
    pub(crate) server: Address,
    #[command(flatten)]
    pub(crate) how: Restarts,
}

/// `primacy rolling-restart`
#[derive(Debug, Args)]
pub(crate) struct RollingRestart {
    #[command(flatten)]
    pub(crate) which: ToAct,
    /// The primary afterwards [default: the best candidate]
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "keep_primary")]
    pub(crate) to: Option<Address>,
    /// Restart the replicas only
    #[arg(long)]
    pub(crate) keep_primary: bool,
    #[command(flatten)]
    pub(crate) how: Restarts,
}

/// `primacy pause`
#[derive(Debug, Args)]
pub(crate) struct Pause {
    #[command(flatten)]
    pub(crate) which: ToAct,
    /// Why, for whoever looks next
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

/// `primacy history`
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// The operation to show; any unique beginning of its id will do
    #[arg(conflicts_with_all = ["cluster", "limit"])]
    pub(crate) id: Option<String>,
    /// Only operations of this cluster
    #[arg(long, value_name = "CLUSTER")]
    pub(crate) cluster: Option<String>,
    /// At most so many, the newest first
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) limit: u16,
}
