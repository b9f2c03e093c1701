//! GTIDs: what was executed, waiting for more, setting the start.

use std::time::Duration;

use primacy_types::{GtidError, MariaDbGtidPos, TransactionSet};
use primacy_wire::{Row, quote};

use super::{Dialect, Feature};

/// How a wait for GTIDs ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GtidWait {
    /// All of them are applied.
    Reached,
    /// They were not in time.
    TimedOut,
    /// No applier runs that could apply them (MySQL 5.6).
    NotApplying,
}

impl Dialect {
    /// What was executed here, cheaper than an observation; for [`Dialect::executed_from`].
    pub fn executed(self) -> &'static str {
        if self.is_mariadb() {
            "SELECT @@global.gtid_binlog_pos AS gtid_binlog_pos, \
             @@global.gtid_slave_pos AS gtid_slave_pos"
        } else {
            "SELECT @@global.gtid_executed AS gtid_executed"
        }
    }

    /// The set in a row that has the columns of [`Dialect::executed`]. MariaDB: the further of
    /// both positions in each domain.
    pub fn executed_from(self, row: &Row) -> Result<TransactionSet, GtidError> {
        let text = |column| row.get(column).unwrap_or_default();
        if self.is_mariadb() {
            let logged: MariaDbGtidPos = text("gtid_binlog_pos").parse()?;
            let applied: MariaDbGtidPos = text("gtid_slave_pos").parse()?;
            Ok(TransactionSet::MariaDb(logged.union(&applied)))
        } else {
            Ok(TransactionSet::MySql(text("gtid_executed").parse()?))
        }
    }

    /// A set of this flavour.
    pub fn gtid_set(self, text: &str) -> Result<TransactionSet, GtidError> {
        Ok(if self.is_mariadb() {
            TransactionSet::MariaDb(text.parse()?)
        } else {
            TransactionSet::MySql(text.parse()?)
        })
    }

    /// Waits on the server until replication has applied these transactions; the answer's only
    /// cell goes to [`Dialect::gtid_wait_ended`].
    ///
    /// MySQL waits whole seconds, at least one. MariaDB looks at `gtid_slave_pos` alone: what was
    /// written on the server itself does not count. Give the call a longer limit than the wait.
    pub fn wait_for_gtids(self, gtids: &TransactionSet, wait: Duration) -> String {
        let set = quote(&gtids.to_string());
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let seconds = seconds.max(1);
        if self.is_mariadb() {
            format!(
                "SELECT MASTER_GTID_WAIT({set}, {}.{:03})",
                wait.as_secs(),
                wait.subsec_millis()
            )
        } else if self.has(Feature::WaitForExecutedGtidSet) {
            format!("SELECT WAIT_FOR_EXECUTED_GTID_SET({set}, {seconds})")
        } else {
            format!("SELECT WAIT_UNTIL_SQL_THREAD_AFTER_GTIDS({set}, {seconds})")
        }
    }

    /// What the answer of [`Dialect::wait_for_gtids`] means.
    pub fn gtid_wait_ended(self, answer: Option<&str>) -> GtidWait {
        let timed_out = self.pick(Feature::WaitForExecutedGtidSet, "1", "-1");
        match answer {
            None => GtidWait::NotApplying,
            Some(text) if text == timed_out => GtidWait::TimedOut,
            Some(_) => GtidWait::Reached,
        }
    }

    /// Sets where a MariaDB replica starts; `None` on MySQL. All replication threads of the server
    /// must be stopped, and with `gtid_strict_mode` it may not lie behind `gtid_binlog_pos`.
    pub fn set_gtid_slave_pos(self, pos: &MariaDbGtidPos) -> Option<String> {
        self.is_mariadb()
            .then(|| format!("SET GLOBAL gtid_slave_pos = {}", quote(&pos.to_string())))
    }
}
