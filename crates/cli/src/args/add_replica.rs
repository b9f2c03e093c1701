//! Options of `primacy add-replica`.

use clap::Args;
use primacy_types::Address;

/// `primacy add-replica`
#[derive(Debug, Args)]
pub(crate) struct AddReplica {
    /// The new server, as the configuration shall name it
    #[arg(value_name = "HOST:PORT")]
    pub(crate) server: Address,
    /// The cluster; may be left out if there is only one
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// Where its agent listens [default: port 7620 of its host]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) agent: Option<Address>,
    /// Copy this server [default: the best replica]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) from: Option<Address>,
    /// Copy no more bytes a second than this (K, M and G are understood)
    #[arg(long, value_name = "BYTES", value_parser = super::rebuild::bytes)]
    pub(crate) limit_rate: Option<u64>,
    /// How the data is copied
    #[arg(long, value_enum, value_name = "METHOD", default_value = "auto")]
    pub(crate) method: super::rebuild::CopyWith,
    /// Only look at it, and print the lines for the configuration
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}
