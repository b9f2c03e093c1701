//! Servers that are not in their places: a former primary that has not come back, and what became
//! of one that has.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{BinlogPosition, TransactionSet, WallClock};

/// A server that is not in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// Since when.
    pub since: WallClock,
    /// What became of it.
    pub state: AbsenceState,
}

/// What became of a server that lost its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum AbsenceState {
    /// Another server has its role, and it was not looked at since.
    Replaced,
    /// It is back and could follow; policy waits for a person.
    Waiting,
    /// It has transactions that the primary has not, and is left alone.
    Quarantined {
        /// Which, as people read them.
        errant: String,
        /// How many of them were saved.
        transactions: u64,
        /// Where: as a binary log, and as text. Empty if nothing could be saved.
        files: Vec<String>,
        /// Those that its binary logs no longer hold, so that no copy was made.
        unsaved: Option<String>,
        /// Why they were not undone, where policy wanted that.
        kept_because: Option<String>,
    },
    /// What it alone has is being undone. Once begun it is brought to its end before anything else:
    /// in between, its history says less than it has.
    Rewinding {
        /// Which transactions, as people read them.
        errant: String,
        /// The copy of them, as a binary log.
        file: String,
        /// Where the first of them begins in its own binary log.
        from: BinlogPosition,
        /// What it has without them.
        kept: TransactionSet,
    },
    /// It cannot follow the primary.
    Unable {
        /// Why.
        why: String,
    },
    /// It replicates under another `server_id` until it has what it wrote itself before it lost it:
    /// a replica passes over events with its own number.
    Relearning {
        /// Its own number.
        server_id: u32,
        /// The one that it has meanwhile.
        temporary: u32,
        /// When it has all of this it gets its own number back.
        until: TransactionSet,
    },
}

impl Absence {
    /// Whether a person has to decide what becomes of it.
    pub const fn needs_a_person(&self) -> bool {
        matches!(
            self.state,
            AbsenceState::Waiting | AbsenceState::Quarantined { .. } | AbsenceState::Unable { .. }
        )
    }
}

impl fmt::Display for AbsenceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replaced => f.write_str("was replaced and has not been back since"),
            Self::Waiting => f.write_str("is back and could replicate"),
            Self::Quarantined { errant, files, unsaved, kept_because, .. } => {
                write!(f, "is quarantined: it has {errant}, which the primary has not")?;
                if let Some(file) = files.first() {
                    write!(f, "; saved as {file}")?;
                }
                if let Some(unsaved) = unsaved {
                    write!(f, "; not in its binary logs any more, so NOT saved: {unsaved}")?;
                }
                if let Some(why) = kept_because {
                    write!(f, "; not undone: {why}")?;
                }
                Ok(())
            }
            Self::Rewinding { errant, file, .. } => {
                write!(f, "is being rewound: {errant} is undone (saved as {file})")
            }
            Self::Unable { why } => write!(f, "cannot replicate: {why}"),
            Self::Relearning { temporary, .. } => write!(
                f,
                "gets back what it wrote itself and lost, as server_id {temporary} for the time \
                 being"
            ),
        }
    }
}
