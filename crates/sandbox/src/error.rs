//! What can go wrong, told to the person at the terminal: what was tried, where, the way out.

use std::io;
use std::path::{Path, PathBuf};

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why servers could not be provisioned, or a sandbox not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read, written, locked or removed.
    #[error("could not {doing} {}: {source}", path.display())]
    File {
        /// The verb: "read", "write", ...
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another program failed or took too long.
    #[error("{command}: {outcome}\n{way_out}")]
    Command {
        /// The command line, as a shell would take it.
        command: String,
        /// Its exit code or signal, and the end of what it printed.
        outcome: String,
        /// What to do about it.
        way_out: String,
    },
    /// The catalogue has no such server.
    #[error("there is no server called {name:?}; known are: {known}")]
    UnknownServer {
        /// The name asked for.
        name: String,
        /// The catalogue's names.
        known: String,
    },
    /// The server is known, but is not on this machine.
    #[error("{name} is not on this machine; get it with: cargo xtask servers {name}")]
    NotProvisioned {
        /// The name asked for.
        name: String,
    },
    /// There is no server at all to make a sandbox of.
    #[error(
        "no MySQL or MariaDB server is installed; install one (apt-get install \
         mariadb-server-core) or get one with: cargo xtask servers"
    )]
    NoServer,
    /// The sandbox's folder holds none, or somebody else's files.
    #[error("{} is not a sandbox: {why}", dir.display())]
    NotASandbox {
        /// The folder.
        dir: PathBuf,
        /// What is missing or wrong.
        why: String,
    },
    /// The sandbox has no server of this name.
    #[error("the sandbox {sandbox} has no server {server:?}; it has: {known}")]
    NoSuchServer {
        /// The sandbox's name.
        sandbox: String,
        /// The name asked for.
        server: String,
        /// Its servers.
        known: String,
    },
    /// What was asked cannot be done, or not like this.
    #[error("{what}; {way_out}")]
    Refused {
        /// What stands in the way.
        what: String,
        /// What to do instead.
        way_out: String,
    },
    /// A server did not start, stop or answer as it should.
    #[error("{server}: {what}{}", tail(log))]
    Server {
        /// The server's name and address.
        server: String,
        /// What it did, or failed to do.
        what: String,
        /// The end of its error log, or nothing.
        log: String,
    },
}

impl Error {
    /// A closure for `map_err`: this path, while doing that.
    pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { doing, path, source }
    }

    pub(crate) fn refused(what: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), way_out: way_out.into() }
    }
}

fn tail(log: &str) -> String {
    if log.is_empty() { String::new() } else { format!("\nthe end of its error log:\n{log}") }
}
