//! What is known of a server when its process is looked for.

use std::path::{Path, PathBuf};

use primacy_types::Address;

/// A database server as its own variables describe it. Only the address is required; every other
/// field that is known makes it harder to take another process for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerIdentity {
    /// Where it listens.
    pub address: Address,
    /// `@@pid_file`.
    pub pid_file: Option<PathBuf>,
    /// `@@datadir`.
    pub data_dir: Option<PathBuf>,
    /// `@@hostname`.
    pub host_name: Option<String>,
    /// `@@log_bin_basename`: tells a clean shutdown from a crash.
    pub binlog_base: Option<PathBuf>,
    /// The systemd unit that starts it, where it is known from before (a journal); else it is
    /// found out from the process.
    pub unit: Option<String>,
    /// What starts it where no unit does.
    pub start: Option<StartProgram>,
}

/// A program that starts a server, from a configuration of the one who runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartProgram {
    /// The program by its absolute path, and its arguments.
    pub words: Vec<String>,
    /// Where its output is appended, on the server's host; nowhere if `None`.
    pub output: Option<PathBuf>,
}

impl ServerIdentity {
    /// A server of which only the address is known.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            pid_file: None,
            data_dir: None,
            host_name: None,
            binlog_base: None,
            unit: None,
            start: None,
        }
    }

    /// A path as the server writes it: relative ones are below its data directory.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        match &self.data_dir {
            Some(data_dir) => data_dir.join(path),
            None => path.to_owned(),
        }
    }
}
