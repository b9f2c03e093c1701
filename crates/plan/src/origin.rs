//! Where missing events are cut from: files that hold what no server can pass on any more.

use std::fmt;

use primacy_types::{Address, ClusterSnapshot};
use serde::{Deserialize, Serialize};

/// Files with the primary's events, on the disk of a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "files", content = "of")]
pub enum Origin {
    /// The binary logs of the old primary itself.
    Binlogs(Address),
    /// The relay logs of a replica, which are the old primary's events as they were received.
    RelayLogs(Address),
}

impl Origin {
    /// The server on whose host the files are.
    pub const fn server(&self) -> &Address {
        match self {
            Self::Binlogs(server) | Self::RelayLogs(server) => server,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Binlogs(server) => write!(f, "the binary logs of {server}"),
            Self::RelayLogs(server) => write!(f, "the relay logs of {server}"),
        }
    }
}

/// Whether the files of a server can be read on its host.
pub(crate) fn readable(snapshot: &ClusterSnapshot, server: &Address) -> bool {
    let files = snapshot.server(server).and_then(|s| s.files.as_ref());
    files.is_some_and(primacy_types::FileAccess::is_readable)
}
