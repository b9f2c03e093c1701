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
    /// Write a server's errant transactions to a file, before anybody removes them
    ///
    /// They are read from the server's own binary logs, byte for byte. The file is a binary log:
    /// `mysqlbinlog FILE` shows it as SQL (`mysqlbinlog --skip-gtids FILE` on MySQL gives the
    /// transactions new GTIDs where they are replayed), and so does `primacy binlog show FILE`.
    ///
    /// Transactions that the binary logs no longer hold are named, and nothing is written unless
    /// --partial is given. Ends with 0 if there is nothing to write.
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

/// `primacy errant export`
#[derive(Debug, Args)]
pub(crate) struct ExportErrant {
    /// The server that has them
    #[arg(value_name = "HOST:PORT")]
    pub(crate) server: Address,
    /// The cluster [default: the one that has the server]
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// These transactions in place of all errant ones: UUID:1-5, or with MariaDB 0-2-100..105
    #[arg(long, value_name = "SET")]
    pub(crate) gtid: Option<WantedGtids>,
    /// The file [default: errant-HOST-PORT.binlog in the current folder]
    #[arg(long, short, value_name = "FILE", conflicts_with = "text")]
    pub(crate) out: Option<PathBuf>,
    /// Show them on standard output, readable, in place of writing a file
    #[arg(long)]
    pub(crate) text: bool,
    /// Overwrite the file
    #[arg(long, conflicts_with = "text")]
    pub(crate) force: bool,
    /// Write what there is, although some are gone
    #[arg(long)]
    pub(crate) partial: bool,
}
