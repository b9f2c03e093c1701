//! A server that is to be a replica again: the order and the answer.

use primacy_types::{Absence, Address, OnErrant};
use serde::{Deserialize, Serialize};

/// Make a server that is back a replica of the primary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejoinOrder {
    /// Which.
    pub server: Address,
    /// What to do with transactions that it has and the primary has not, instead of what the
    /// configuration says. They are saved first in every case.
    #[serde(default)]
    pub on_errant: Option<OnErrant>,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// What became of it, or would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejoining {
    /// The server.
    pub server: Address,
    /// Whom it follows, or is to follow.
    pub primary: Address,
    /// The operation in the history; `None` after a dry run, and where nothing was to be done.
    pub operation: Option<String>,
    /// It replicates; `false` after a dry run too.
    pub done: bool,
    /// It could follow without losing anything of its own.
    pub able: bool,
    /// What has become of it, if it is not in its place.
    pub absence: Option<Absence>,
    /// The same as a sentence.
    pub sentence: String,
}
