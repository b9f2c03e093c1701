//! Options of the verbs about errant transactions.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use primacy_binlog::describe::WantedGtids;
use primacy_types::Address;

use super::{ToAct, ToShow};

/// `primacy errant`
#[derive(Debug, Subcommand)]
pub(crate) enum ErrantVerb {
    /// Show which server has transactions that no primary gave it
    Show(ToShow),
    /// Write a server's errant transactions to a binary log, to look at them or replay them
    ///
    /// They are read from the server over the replication protocol and written byte for byte:
    /// `mysqlbinlog FILE | mysql`, or with MariaDB `mariadb-binlog FILE | mariadb`, commits them
    /// with their own GTIDs. What its binary logs no longer hold is named, and then nothing is
    /// written unless --partial is given.
    Export(ExportErrant),
    /// Commit empty transactions on the primary under the GTIDs of errant ones (MySQL)
    ///
    /// Then every server knows these GTIDs, and a server that has the errant transactions can be
    /// a source again. Their rows stay only where they are: compare the data first.
    ///
    /// On a terminal the transactions are shown and have to be confirmed, unless --yes is given;
    /// without a terminal --yes is needed. More than 10000 are refused.
    InjectEmpty(InjectEmpty),
}

/// `primacy errant export`
#[derive(Debug, Args)]
pub(crate) struct ExportErrant {
    /// The server that has them
    #[arg(value_name = "HOST:PORT")]
    pub(crate) server: Address,
    /// These transactions instead of those that `errant show` finds: UUID:1-5, or with MariaDB
    /// 0-1-100 or 0-1-100..105
    #[arg(long, value_name = "SET")]
    pub(crate) gtids: Option<WantedGtids>,
    /// The file to write; - is standard output
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    pub(crate) out: PathBuf,
    /// Write text, one line for each event, instead of a binary log
    #[arg(long)]
    pub(crate) readable: bool,
    /// Write what is there even if the binary logs no longer hold all of them
    #[arg(long)]
    pub(crate) partial: bool,
    /// Replace the file if it exists
    #[arg(long)]
    pub(crate) force: bool,
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
