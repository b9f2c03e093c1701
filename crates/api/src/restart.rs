//! A replica that is to be restarted: the order and the answer.

use primacy_types::{Address, Millis};
use serde::{Deserialize, Serialize};

/// Shut a replica down, start it again and wait until it has caught up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartOrder {
    /// Which.
    pub server: Address,
    /// How long its shutdown may take, and its start up to its first answer.
    pub limit: Millis,
    /// Only say whether it would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restarting {
    /// The server.
    pub server: Address,
    /// The operation in the history; `None` after a dry run.
    pub operation: Option<String>,
    /// From the beginning of its shutdown until it answered again.
    pub away: Millis,
    /// Until it had caught up.
    pub took: Millis,
}
