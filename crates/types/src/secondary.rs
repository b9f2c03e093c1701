//! What `secondary_check_script` said of a primary that does not answer the manager: it asks other
//! hosts whether they reach it.

use serde::{Deserialize, Serialize};

use crate::Moment;

/// The answer of the script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondaryWord {
    /// When the script was called.
    pub asked: Moment,
    /// What it said.
    pub answer: SecondaryAnswer,
}

/// What the end of the script means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer", content = "said")]
pub enum SecondaryAnswer {
    /// No host that was asked reaches the primary (exit code 0).
    Unreachable,
    /// A host reaches it (3).
    Reachable,
    /// It cannot say (2: a host that was to be asked is not reachable; and every other code).
    Undecided(String),
    /// It said nothing: it did not end in time, or could not be run.
    Nothing(String),
}
