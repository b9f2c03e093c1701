//! GTID sets of both families.
//!
//! MySQL names every transaction and can say any set of them ([`MySqlGtidSet`]). MariaDB says the
//! last transaction of each domain ([`MariaDbGtidPos`]); all earlier ones of the domain are
//! implied.

mod mariadb;
mod mysql;

pub use mariadb::{MariaDbGtid, MariaDbGtidPos};
pub use mysql::{GtidSource, MySqlGtidSet};

/// The text is not a GTID set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a GTID set: {reason}")]
pub struct GtidError {
    /// What was read, shortened.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl GtidError {
    pub(crate) fn new(text: &str, reason: &'static str) -> Self {
        Self { text: text.chars().take(120).collect(), reason }
    }
}
