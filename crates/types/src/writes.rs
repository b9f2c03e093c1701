//! What became of the manager's own small writes on a primary (`write_probe`): a server can answer
//! every question and commit nothing, because its disk is full or its storage hangs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Moment;

/// A write that a primary did not commit, and what it says about that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteTrouble {
    /// Since when nothing was seen to be committed there, neither our row nor anybody else's.
    pub since: Moment,
    /// When the server last said so: an answer to the write, or its process list.
    pub at: Moment,
    /// What it said.
    pub word: WriteWord,
}

/// The server's word about a write that it did not commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "write")]
pub enum WriteWord {
    /// The statement goes on and on: what the process list says of it.
    Waits {
        /// The state of our session, in the server's words.
        state: String,
        /// The states of other sessions that are at work: commits wait for each other, and often
        /// it is another session that says what all of them wait for.
        others: BTreeSet<String>,
    },
    /// It was refused.
    Refused {
        /// Error number of the server.
        code: u16,
        /// Its text.
        message: String,
    },
}
