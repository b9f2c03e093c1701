//! Building a server's data anew: the orders and what is said of it.

use primacy_plan::{MethodChoice, RebuildPlan};
use primacy_store::Outcome;
use primacy_types::{Address, Millis, WallClock};
use serde::{Deserialize, Serialize};

/// Build a server's data anew from another server's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebuildOrder {
    /// Which server.
    pub server: Address,
    /// From this one; the best donor if not named.
    #[serde(default)]
    pub from: Option<Address>,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// No more bytes a second than this.
    #[serde(default)]
    pub rate: Option<u64>,
    /// The donor is not further behind than this; 60 s if not said.
    #[serde(default)]
    pub max_lag: Option<Millis>,
    /// Remove the old data when the server replicates.
    #[serde(default)]
    pub remove_old: bool,
    /// How.
    #[serde(default)]
    pub method: MethodChoice,
}

impl RebuildOrder {
    /// This server, with everything else as it is preset.
    pub fn of(server: Address) -> Self {
        Self {
            server,
            from: None,
            dry_run: false,
            rate: None,
            max_lag: None,
            remove_old: false,
            method: MethodChoice::Auto,
        }
    }
}

/// What came of the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum RebuildAnswer {
    /// A dry run: this would be done.
    Plan {
        /// The plan.
        plan: Box<RebuildPlan>,
        /// Its steps as sentences.
        steps: Vec<String>,
    },
    /// It is under way.
    Begun {
        /// Its id in the history.
        operation: String,
        /// The plan.
        plan: Box<RebuildPlan>,
    },
}

/// End a rebuild before its data is put in place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRebuild {
    /// Of this server.
    pub server: Address,
}

/// How far a rebuild is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RebuildPhase {
    /// Donor and recipient are asked.
    Beginning,
    /// Data is copied; the server goes on as it was.
    Copying,
    /// The copy is made consistent.
    Preparing,
    /// The new data is put in place of the old.
    Swapping,
    /// The server replicates and catches up.
    CatchingUp,
    /// It is over.
    Over,
}

impl RebuildPhase {
    /// For people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Beginning => "beginning",
            Self::Copying => "copying",
            Self::Preparing => "preparing",
            Self::Swapping => "putting in place",
            Self::CatchingUp => "catching up",
            Self::Over => "over",
        }
    }
}

/// A rebuild as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebuildView {
    /// Its id in the history.
    pub operation: String,
    /// Who gets data.
    pub server: Address,
    /// Who gives it.
    pub donor: Address,
    /// When it began.
    pub started: WallClock,
    /// How far it is.
    pub phase: RebuildPhase,
    /// Bytes that were copied.
    pub bytes: u64,
    /// About how many there will be; 0 if that is not known.
    pub total: u64,
    /// Bytes a second, lately.
    pub rate: u64,
    /// The rest of the copying takes about so long.
    pub eta: Option<Millis>,
    /// The copying waits for the donor's replication.
    pub paused: bool,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// What came of it.
    pub sentence: Option<String>,
    /// Where the old data is kept, on the server's host.
    pub old_data: Option<String>,
}
