//! `binlog`: binary logs in files and on live servers.

mod cut;
mod diff;
mod inputs;
pub(super) mod live;
pub(super) mod login;
mod save;
mod show;
pub(super) mod spool;
mod verify;
pub(super) mod view;

use primacy_binlog::ReadError;

use crate::args::{BinlogVerb, Global};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;

pub(super) async fn run(global: &Global, printer: &mut Printer, verb: &BinlogVerb) -> Outcome {
    match verb {
        BinlogVerb::Show(args) => Box::pin(show::run(global, printer, args)).await,
        BinlogVerb::Cut(args) => Box::pin(cut::run(global, printer, args)).await,
        BinlogVerb::Diff(args) => Box::pin(diff::run(global, printer, args)).await,
        BinlogVerb::Save(args) => Box::pin(save::run(global, printer, args)).await,
        BinlogVerb::Verify(args) => Box::pin(verify::run(global, printer, args)).await,
        // It is a daemon, and has its own module.
        BinlogVerb::Serve(_) => Ok(Exit::Done),
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        unreadable(&error)
    }
}

/// Why a file was not read, and the way out.
pub(super) fn unreadable(error: &ReadError) -> Failure {
    let failure = Failure::new(Exit::Refused, error);
    match error {
        ReadError::Encrypted { .. } => failure.hint(
            "read it from its server, which decrypts what it sends: primacy binlog show --server \
             HOST:PORT",
        ),
        ReadError::Corrupt(_) => failure.hint(
            "what is before it can be cut out: primacy binlog cut; a replica's relay logs or the \
             server's replicas may have the rest",
        ),
        ReadError::NotABinlog { .. } => failure.hint(
            "name a binary log or relay log; a compressed file has to be opened first: zcat FILE \
             | primacy binlog show -",
        ),
        ReadError::Io { source, .. } => match source.kind() {
            std::io::ErrorKind::NotFound => failure.hint(
                "look for it where `SHOW VARIABLES LIKE 'log_bin_basename'` says, or ask the \
                 server: primacy binlog show --server HOST:PORT",
            ),
            std::io::ErrorKind::PermissionDenied => {
                failure.hint("run it as the server's user, or with sudo")
            }
            _ => failure,
        },
        _ => failure,
    }
}
