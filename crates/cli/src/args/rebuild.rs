//! Options of `primacy rebuild`.

use clap::{Args, ValueEnum};
use primacy_plan::MethodChoice;
use primacy_types::{Address, Millis};

/// `primacy rebuild`
#[derive(Debug, Args)]
pub(crate) struct Rebuild {
    /// The server that gets new data; never the primary
    #[arg(value_name = "HOST:PORT")]
    pub(crate) server: Address,
    /// Its cluster; may be left out if no other has this server
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// Copy this server [default: the best replica]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) from: Option<Address>,
    /// Copy no more bytes a second than this (K, M and G are understood)
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) limit_rate: Option<u64>,
    /// How the data is copied
    #[arg(long, value_enum, value_name = "METHOD", default_value = "auto")]
    pub(crate) method: CopyWith,
    /// How far the donor's replication may be behind
    ///
    /// A replica that is further behind is no donor. With mariadb-backup the copying also pauses while
    /// it is.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "60")]
    pub(crate) max_lag: Millis,
    /// Remove the old data when the server replicates
    #[arg(long)]
    pub(crate) remove_old: bool,
    /// Only print what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not wait for the end
    #[arg(long)]
    pub(crate) background: bool,
    /// End the rebuild of this server that is under way, as long as its new data is not in place
    #[arg(long, conflicts_with_all = ["from", "dry_run", "remove_old"])]
    pub(crate) cancel: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// How data is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CopyWith {
    /// The files; a logical dump where that is not possible
    Auto,
    /// mariadb-backup or the clone plugin, or not at all
    Physical,
    /// A logical dump: slower, and it needs neither
    Dump,
}

impl From<CopyWith> for MethodChoice {
    fn from(with: CopyWith) -> Self {
        match with {
            CopyWith::Auto => Self::Auto,
            CopyWith::Physical => Self::Physical,
            CopyWith::Dump => Self::Dump,
        }
    }
}

fn seconds(text: &str) -> Result<Millis, String> {
    text.parse::<u64>()
        .ok()
        .and_then(|seconds| seconds.checked_mul(1000))
        .map(Millis)
        .ok_or_else(|| "write a number of seconds".to_owned())
}

pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.to_ascii_uppercase().chars().last() {
        Some('K') => (&text[..text.len() - 1], 1 << 10),
        Some('M') => (&text[..text.len() - 1], 1 << 20),
        Some('G') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1_u64),
    };
    let number = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    number.filter(|bytes| *bytes > 0).ok_or_else(|| "write a number such as 50M".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_bytes_or_have_a_unit() {
        assert_eq!((bytes("50M"), bytes("7"), bytes("2g")), (Ok(50 << 20), Ok(7), Ok(2 << 30)));
        for wrong in ["", "M", "0", "-1", "5T", "99999999999999999999", "18446744073709551615K"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
