//! Empty transactions in the place of errant ones: the order and the answer.

use primacy_types::{Address, MySqlGtidSet};
use serde::{Deserialize, Serialize};

/// Commit an empty transaction on the primary for each errant GTID, so that every server knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectOrder {
    /// Only those of this server; those of all servers that answer if not named.
    #[serde(default)]
    pub server: Option<Address>,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// What is, or was, injected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Injection {
    /// Where: the primary.
    pub primary: Address,
    /// Which transactions.
    pub transactions: MySqlGtidSet,
    /// Who has them with their rows.
    pub servers: Vec<Address>,
    /// It was done; `false` after a dry run, and where there is nothing to do.
    pub done: bool,
}
