//! Semi-synchronous replication under its two spellings.
//!
//! MySQL 8.0.26 and later ship both plugins, `semisync_master` and `semisync_source`, and each
//! side may be either: the version does not say, the names of the status variables do.

use primacy_wire::Rows;

use super::{Dialect, Feature};

/// How one side's variables are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// `rpl_semi_sync_source_*`, `rpl_semi_sync_replica_*`.
    SourceReplica,
    /// `rpl_semi_sync_master_*`, `rpl_semi_sync_slave_*`.
    MasterSlave,
}

/// Which sides a server has, and how it spells them. `None`: the plugin is not loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SemiSyncNames {
    /// The side that waits for acknowledgements.
    pub source: Option<Spelling>,
    /// The side that acknowledges.
    pub replica: Option<Spelling>,
}

const SIDES: [(Spelling, &str, &str); 2] =
    [(Spelling::SourceReplica, "source", "replica"), (Spelling::MasterSlave, "master", "slave")];

impl SemiSyncNames {
    /// Reads them off the answer to [`Dialect::counters`], or to any `SHOW` of status or
    /// variables that includes `rpl_semi_sync%`.
    pub fn from_rows(rows: &Rows) -> Self {
        let has = |side: &str| {
            let prefix = format!("rpl_semi_sync_{side}_");
            rows.iter().filter_map(|row| row.at(0)).any(|name| {
                name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(&prefix))
            })
        };
        let spelled = |pick: fn(&(Spelling, &'static str, &'static str)) -> &'static str| {
            SIDES.iter().find(|side| has(pick(side))).map(|side| side.0)
        };
        Self { source: spelled(|side| side.1), replica: spelled(|side| side.2) }
    }

    /// `rpl_semi_sync_source_` or `rpl_semi_sync_master_`.
    pub fn source_prefix(self) -> Option<&'static str> {
        Some(match self.source? {
            Spelling::SourceReplica => "rpl_semi_sync_source_",
            Spelling::MasterSlave => "rpl_semi_sync_master_",
        })
    }

    /// `rpl_semi_sync_replica_` or `rpl_semi_sync_slave_`.
    pub fn replica_prefix(self) -> Option<&'static str> {
        Some(match self.replica? {
            Spelling::SourceReplica => "rpl_semi_sync_replica_",
            Spelling::MasterSlave => "rpl_semi_sync_slave_",
        })
    }

    /// Switches the waiting side on or off; `None` without plugin.
    ///
    /// Switching it off lets commits through that still wait: never while their clients can hear
    /// of it.
    pub fn set_source_enabled(self, on: bool) -> Option<String> {
        Some(format!("SET GLOBAL {}enabled = {}", self.source_prefix()?, u8::from(on)))
    }

    /// Switches the acknowledging side on or off; it takes effect when the receiver next starts.
    pub fn set_replica_enabled(self, on: bool) -> Option<String> {
        Some(format!("SET GLOBAL {}enabled = {}", self.replica_prefix()?, u8::from(on)))
    }

    /// How long a commit waits before it is let through.
    pub fn set_timeout(self, milliseconds: u64) -> Option<String> {
        Some(format!("SET GLOBAL {}timeout = {milliseconds}", self.source_prefix()?))
    }

    /// Name of the variable that says for how many replicas a commit waits; `None` where it is
    /// always one.
    pub fn wait_count_variable(self, dialect: Dialect) -> Option<&'static str> {
        if !dialect.has(Feature::SemiSyncWaitCount) {
            return None;
        }
        Some(match self.source? {
            Spelling::SourceReplica => "rpl_semi_sync_source_wait_for_replica_count",
            Spelling::MasterSlave => "rpl_semi_sync_master_wait_for_slave_count",
        })
    }

    /// For how many replicas a commit waits; `None` where it is always one.
    pub fn set_wait_count(self, dialect: Dialect, count: u16) -> Option<String> {
        Some(format!("SET GLOBAL {} = {count}", self.wait_count_variable(dialect)?))
    }
}
