//! Options of the verbs that show or change clusters.

use clap::{Args, Subcommand};
use primacy_types::Address;

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
