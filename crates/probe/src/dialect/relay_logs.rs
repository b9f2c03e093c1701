//! Relay logs: who removes them, and beginning a new one.

use primacy_wire::quote;

use super::Dialect;

impl Dialect {
    /// Whether the applier removes what it has applied; the only cell is `1` or `0`.
    pub fn relay_log_purge(self) -> &'static str {
        "SELECT @@global.relay_log_purge"
    }

    /// Changes that. It takes effect when the applier next goes on to another file, and removes
    /// all before that one then (seen on MySQL 5.6 and 9.7, MariaDB 10.11).
    pub fn set_relay_log_purge(self, on: bool) -> &'static str {
        if on { "SET GLOBAL relay_log_purge = 1" } else { "SET GLOBAL relay_log_purge = 0" }
    }

    /// Begins a new relay log on one channel; nothing is written to the binary log.
    pub fn flush_relay_logs(self, channel: &str) -> String {
        if self.is_mariadb() {
            format!("FLUSH NO_WRITE_TO_BINLOG RELAY LOGS {}", quote(channel))
        } else {
            format!("FLUSH NO_WRITE_TO_BINLOG RELAY LOGS{}", self.for_channel(channel))
        }
    }
}
