//! Options of `primacy binlog serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Daemon;

/// `primacy binlog serve`
#[derive(Debug, Args)]
pub(crate) struct BinlogServe {
    /// The cluster to follow [default: the only one of the configuration]
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// Where replicas and the manager reach it
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: SocketAddr,
    /// The folder for its files; each cluster has a folder in it
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Its server id; no server of the cluster may have it [default: a random one, which is kept]
    #[arg(long, value_name = "N")]
    pub(crate) server_id: Option<u32>,
    /// When files are forced to disk; it acknowledges after that
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub(crate) sync: SyncWhen,
    /// Remove files that were last written so many days ago
    #[arg(long, value_name = "N")]
    pub(crate) keep_days: Option<u32>,
    /// Remove the oldest files while all are larger than this, such as 200G
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) keep_size: Option<u64>,
    /// Do not acknowledge
    #[arg(long)]
    pub(crate) no_semi_sync: bool,
    /// At the very first start, begin with this file of the primary; a position behind it is taken
    /// and begins at the file's head all the same [default: the newest file]
    #[arg(long, value_name = "FILE[:POS]")]
    pub(crate) from: Option<String>,
    #[command(flatten)]
    pub(crate) daemon: Daemon,
}

/// When files are forced to disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SyncWhen {
    /// After each group of events
    #[default]
    Always,
    /// Once a second
    Interval,
    /// When the operating system likes
    Os,
}

/// A number of bytes, with K, M, G or T behind it.
fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no size, such as 500M or 200G");
    let (digits, shift) = match text.char_indices().next_back() {
        Some((at, 'K' | 'k')) => (&text[..at], 10),
        Some((at, 'M' | 'm')) => (&text[..at], 20),
        Some((at, 'G' | 'g')) => (&text[..at], 30),
        Some((at, 'T' | 't')) => (&text[..at], 40),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}
