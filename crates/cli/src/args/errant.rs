//! Options of the verbs about errant transactions.

use clap::{Args, Subcommand};
use primacy_types::Address;

use super::{ToAct, ToShow};

/// `primacy errant`
#[derive(Debug, Subcommand)]
pub(crate) enum ErrantVerb {
    /// Show which server has transactions that no primary gave it
    Show(ToShow),
    /// Commit empty transactions on the primary under the GTIDs of errant ones (MySQL)
    ///
    /// Then every server knows these GTIDs, and a server that has the errant transactions can be
    /// a source again. Their rows stay only where they are: compare the data first.
    ///
    /// On a terminal the transactions are shown and have to be confirmed, unless --yes is given;
    /// without a terminal --yes is needed. More than 10000 are refused.
    InjectEmpty(InjectEmpty),
}

/// `primacy errant inject-empty`
#[derive(Debug, Args)]
pub(crate) struct InjectEmpty {
    #[command(flatten)]
    pub(crate) which: ToAct,
    /// Only the errant transactions of this server [default: of all servers that answer]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) server: Option<Address>,
    /// Only print the statements that would run on the primary
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}
