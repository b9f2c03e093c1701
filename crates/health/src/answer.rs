//! What is answered: yes or no, why, and a few facts.

use primacy_types::{Address, Epoch, Millis};
use serde::{Deserialize, Serialize};

/// What a server is, as far as whoever answers knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The primary of its cluster.
    Primary,
    /// It replicates.
    Replica,
    /// Neither is known.
    Unknown,
}

/// The body of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Yes (status 200) or no (503).
    pub ok: bool,
    /// Why, as a sentence.
    pub reason: String,
    /// Of which server this was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Address>,
    /// Its cluster, once a manager has named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The reign of its cluster's primary that is known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// Seconds behind its source, as the server counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<u64>,
    /// For so many milliseconds its lease lets it accept writes unless it is renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<Millis>,
}

impl Answer {
    /// Yes, without facts.
    pub fn yes(reason: impl Into<String>) -> Self {
        Self::plain(true, reason.into())
    }

    /// No, without facts.
    pub fn no(reason: impl Into<String>) -> Self {
        Self::plain(false, reason.into())
    }

    fn plain(ok: bool, reason: String) -> Self {
        Self {
            ok,
            reason,
            server: None,
            cluster: None,
            role: None,
            epoch: None,
            lag_seconds: None,
            lease_ms: None,
        }
    }
}
