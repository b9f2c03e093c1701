//! The ways to make sure that a server accepts no more writes, in the order they are tried.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One rung of the fencing ladder, in the order in which they are tried. Rungs that keep the old
/// primary's disk readable come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FenceRung {
    /// The manager runs on the same machine: it kills the process and keeps it down.
    Local,
    /// The agent on the host kills the process and keeps it down.
    Agent,
    /// The host is reached over ssh: the process is killed there, and kept down.
    Ssh,
    /// The host is not reached: the lease that its agent holds has run out. The agent, or the guard
    /// above it, closed or killed the server before that.
    Lease,
    /// The person's own `shutdown_script`, which stops the process or powers the host off.
    Script,
}

impl FenceRung {
    /// Whether it is certain that the binary logs of the fenced server can still be read afterwards.
    pub const fn keeps_disk_readable(self) -> bool {
        match self {
            Self::Local | Self::Agent | Self::Ssh => true,
            // After exit code 10 they can.
            Self::Lease | Self::Script => false,
        }
    }

    /// What is true once this rung has succeeded, as a sentence.
    pub const fn guarantee(self) -> &'static str {
        match self {
            Self::Local | Self::Agent | Self::Ssh => {
                "its process is gone, and one that a supervisor starts is killed"
            }
            Self::Lease => {
                "its lease has run out, before which its agent made it read-only or killed it"
            }
            Self::Script => {
                "shutdown_script says that its process was stopped or its host powered off, and \
                 nothing listens there any more"
            }
        }
    }
}

impl fmt::Display for FenceRung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Local => "local",
            Self::Agent => "agent",
            Self::Ssh => "ssh",
            Self::Lease => "lease",
            Self::Script => "shutdown_script",
        })
    }
}
