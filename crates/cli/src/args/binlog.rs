//! Options of the verbs about binary logs.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::BinlogServe;
use primacy_binlog::describe::{Place, WantedGtids};
use primacy_types::Address;

use super::examples;

/// `primacy binlog`
#[derive(Debug, Subcommand)]
pub(crate) enum BinlogVerb {
    /// Keep what a cluster's primary writes: a binlog server
    ///
    /// It follows the primary as a replica does, keeps its binary logs byte for byte, acknowledges
    /// semi-sync when they are durable, and gives them to replicas. List its address among the
    /// cluster's servers: the manager then takes what only it holds into a failover, and points it
    /// to the new primary. It is never promoted.
    Serve(BinlogServe),
    /// Show the events or transactions of binary logs and relay logs
    ///
    /// Relay logs are shown in the places of their source. What cannot be decoded is named, bytes
    /// that are no text are written as \x.., and times are UTC. A torn tail, as a crash leaves it,
    /// is shown at the end, and the command ends with 1.
    #[command(after_long_help = examples::BINLOG_SHOW)]
    Show(ShowLogs),
    /// Cut transactions out of binary logs or relay logs, and save them byte for byte
    ///
    /// The folder gets the files, named like the originals, and a manifest with a checksum. A
    /// transaction that is not complete is left out, and named.
    #[command(after_long_help = examples::BINLOG_CUT)]
    Cut(CutLogs),
    /// Compare which transactions two places know: files, folders or servers
    ///
    /// A folder's index is used if there is one. What files list as earlier counts as known, too.
    /// Ends with 0 if both know the same, with 1 otherwise.
    #[command(after_long_help = examples::BINLOG_DIFF)]
    Diff(DiffLogs),
    /// Copy a server's binary logs over the replication protocol, byte for byte
    ///
    /// The files are named like the originals. A folder that has some already is continued; after
    /// a crash the newest file is first cut back to its last complete transaction. The newest file
    /// is marked as in use until the server goes on in another.
    #[command(after_long_help = examples::BINLOG_SAVE)]
    Save(SaveLogs),
    /// Verify checksums, lengths, the order of GTIDs, and how files follow each other
    ///
    /// A torn tail alone, as a crash leaves it, ends with 0 unless --strict is given; damage and
    /// disorder end with 1.
    #[command(after_long_help = examples::BINLOG_VERIFY)]
    Verify(VerifyLogs),
}

/// Which server, and as whom.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Account on a server")]
pub(crate) struct ServerLogin {
    /// The cluster whose accounts and TLS settings are used [default: the one that has the server]
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// An account in place of the configured ones; its password comes from a file or a variable
    #[arg(long, value_name = "NAME", conflicts_with = "cluster")]
    pub(crate) user: Option<String>,
    /// A file that holds the password and nothing else
    #[arg(long, value_name = "FILE", requires = "user")]
    pub(crate) password_file: Option<PathBuf>,
    /// A variable of the environment that holds the password
    #[arg(long, value_name = "VARIABLE", requires = "user", conflicts_with = "password_file")]
    pub(crate) password_env: Option<String>,
    /// Whether connections are encrypted, with --user
    #[arg(long, value_enum, requires = "user", default_value_t = TlsWanted::Required)]
    pub(crate) tls: TlsWanted,
}

/// `off` or `required`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TlsWanted {
    /// Not encrypted
    Off,
    /// Encrypted, with whatever certificate
    Required,
}

/// `primacy binlog show`
#[derive(Debug, Args)]
pub(crate) struct ShowLogs {
    /// Files, folders, or - for standard input
    #[arg(value_name = "FILE", required_unless_present = "server", conflicts_with = "server")]
    pub(crate) files: Vec<PathBuf>,
    /// Read a server's binary logs over the replication protocol, up to their present end
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) server: Option<Address>,
    #[command(flatten)]
    pub(crate) login: ServerLogin,
    /// One line for each transaction: its tables with rows, its size, its first statement
    #[arg(long)]
    pub(crate) transactions: bool,
    /// Only these transactions: UUID:1-5, or with MariaDB 0-1-100 or 0-1-100..105
    #[arg(long, value_name = "SET")]
    pub(crate) gtid: Option<WantedGtids>,
    /// Only from this time on: RFC 3339, or 'YYYY-MM-DD HH:MM:SS' in UTC
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) since: Option<u32>,
    /// Only before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) until: Option<u32>,
    /// Only rows of this table, or transactions that have some (repeatable)
    ///
    /// Of a statement it is not known which tables it changes.
    #[arg(long, value_name = "DB.TABLE", value_parser = table)]
    pub(crate) table: Vec<(String, String)>,
    /// Only from this place on
    #[arg(long, value_name = "FILE:POS")]
    pub(crate) from: Option<Place>,
    /// Only up to this place
    #[arg(long, value_name = "FILE:POS")]
    pub(crate) to: Option<Place>,
    /// The source's file that the first relay log begins in, if the relay logs do not say
    #[arg(long, value_name = "FILE")]
    pub(crate) source_file: Option<String>,
}

/// `primacy binlog cut`
#[derive(Debug, Args)]
pub(crate) struct CutLogs {
    /// Files of one server, oldest first, a folder, or - for standard input
    #[arg(value_name = "FILE", required_unless_present = "server", conflicts_with = "server")]
    pub(crate) files: Vec<PathBuf>,
    /// Cut out of a server's binary logs, which are copied to TMPDIR first, from the file of --from on
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) server: Option<Address>,
    #[command(flatten)]
    pub(crate) login: ServerLogin,
    /// From this place on, which is between two transactions [default: the first transaction]
    #[arg(long, value_name = "FILE:POS")]
    pub(crate) from: Option<Place>,
    /// Only what a receiver lacks that has these: a GTID set, or with MariaDB a position
    #[arg(long, value_name = "GTIDSET", conflicts_with = "from")]
    pub(crate) missing_from: Option<String>,
    /// Up to this place, or only these transactions (with MariaDB: up to this position)
    #[arg(long, value_name = "FILE:POS|GTIDSET")]
    pub(crate) to: Option<String>,
    /// The folder to save to, which must not exist; - writes one binary log to standard output
    #[arg(long, value_name = "DIR|-")]
    pub(crate) out: PathBuf,
    /// The source's file that the first relay log begins in, if the relay logs do not say
    #[arg(long, value_name = "FILE")]
    pub(crate) source_file: Option<String>,
}

/// `primacy binlog diff`
#[derive(Debug, Args)]
pub(crate) struct DiffLogs {
    /// A file, a folder, a quoted pattern, several after commas, or server:HOST:PORT
    #[arg(value_name = "A")]
    pub(crate) a: String,
    /// The other side, in the same way
    #[arg(value_name = "B")]
    pub(crate) b: String,
    /// Show the transactions themselves, as far as files or the server's binary logs hold them
    #[arg(long)]
    pub(crate) transactions: bool,
    #[command(flatten)]
    pub(crate) login: ServerLogin,
}

/// `primacy binlog save`
#[derive(Debug, Args)]
pub(crate) struct SaveLogs {
    /// The server
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) server: Address,
    #[command(flatten)]
    pub(crate) login: ServerLogin,
    /// The folder to copy to
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The first file to copy, into an empty folder [default: the oldest that the server has]
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<String>,
    /// Go on for as long as the server writes, until Ctrl-C; connect again when it was away
    #[arg(long)]
    pub(crate) follow: bool,
    /// As which server id to receive; no server of the cluster may have it [default: a random one
    /// above 3900000000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) server_id: Option<u32>,
}

/// `primacy binlog verify`
#[derive(Debug, Args)]
pub(crate) struct VerifyLogs {
    /// Files oldest first, folders, or - for standard input
    #[arg(value_name = "FILE", required_unless_present = "server", conflicts_with = "server")]
    pub(crate) files: Vec<PathBuf>,
    /// Verify a server's binary logs, which are copied to TMPDIR first
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) server: Option<Address>,
    #[command(flatten)]
    pub(crate) login: ServerLogin,
    /// End with 1 for a torn tail, too
    #[arg(long)]
    pub(crate) strict: bool,
}

fn moment(text: &str) -> Result<u32, String> {
    let parsed = match text.parse::<jiff::Timestamp>() {
        Ok(moment) => Ok(moment),
        Err(error) => match text.parse::<jiff::civil::DateTime>() {
            Ok(civil) => civil.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp()),
            Err(_) => Err(error),
        },
    };
    let wrong = || "expected RFC 3339, or 'YYYY-MM-DD HH:MM:SS' in UTC".to_owned();
    let moment = parsed.map_err(|_| wrong())?;
    u32::try_from(moment.as_second()).map_err(|_| "binary logs know 1970 to 2106".to_owned())
}

fn table(text: &str) -> Result<(String, String), String> {
    match text.split_once('.') {
        Some((database, table)) if !database.is_empty() && !table.is_empty() => {
            Ok((database.to_owned(), table.to_owned()))
        }
        _ => Err("expected DATABASE.TABLE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc() {
        assert_eq!(moment("2026-11-20T21:12:03Z"), Ok(1_795_209_123));
        assert_eq!(moment("2026-11-20 21:12:03"), Ok(1_795_209_123));
        assert_eq!(moment("2026-11-20T23:12:03+02:00"), Ok(1_795_209_123));
        assert!(moment("yesterday").is_err() && moment("1969-01-01 00:00:00").is_err());
    }

    #[test]
    fn a_table_has_a_database() {
        assert_eq!(table("app.t"), Ok(("app".to_owned(), "t".to_owned())));
        assert!(table("t").is_err() && table("app.").is_err());
    }
}
