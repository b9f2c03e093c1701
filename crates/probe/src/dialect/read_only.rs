//! Closing a server to writes, and opening it in two steps so that something can be written in
//! between.

use super::{Dialect, Feature};

impl Dialect {
    /// Closes the server to everyone, in this order. Each statement waits for running commits and
    /// for `LOCK TABLES`, no longer than the session's `lock_wait_timeout`.
    ///
    /// MySQL 5.7 and later: `super_read_only` stops accounts with SUPER or CONNECTION_ADMIN too.
    /// Elsewhere such accounts can go on writing: end their sessions.
    pub fn close_to_writes(self) -> &'static [&'static str] {
        self.pick(
            Feature::SuperReadOnly,
            &["SET GLOBAL read_only = 1", "SET GLOBAL super_read_only = 1"][..],
            &["SET GLOBAL read_only = 1"][..],
        )
    }

    /// First step of opening: the manager's account can write, applications cannot. `None` where
    /// that is so all the time.
    pub fn open_to_manager(self) -> Option<&'static str> {
        self.has(Feature::SuperReadOnly).then_some("SET GLOBAL super_read_only = 0")
    }

    /// Second step of opening: everyone can write. On MySQL this alone ends `super_read_only`
    /// too.
    pub fn open_to_all(self) -> &'static str {
        "SET GLOBAL read_only = 0"
    }

    /// What a value of `read_only` or `super_read_only` means. MariaDB 12 has `NO_LOCK` and
    /// `NO_LOCK_NO_ADMIN` besides ON: whatever is not plainly off counts as read-only.
    pub fn is_on(value: &str) -> bool {
        !(value.is_empty() || value == "0" || value.eq_ignore_ascii_case("off"))
    }

    /// Limits how long this session's statements wait for metadata locks; at least one second.
    pub fn lock_wait_timeout(self, wait: std::time::Duration) -> String {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        format!("SET SESSION lock_wait_timeout = {}", seconds.max(1))
    }

    /// The privileges that let an account write while `read_only` is on (not `super_read_only`).
    pub fn privileges_beyond_read_only(self) -> &'static [&'static str] {
        if !self.has(Feature::SplitPrivileges) {
            &["SUPER"]
        } else if !self.is_mariadb() {
            &["SUPER", "CONNECTION_ADMIN"]
        } else {
            self.pick(
                Feature::SuperSparesReadOnly,
                &["READ_ONLY ADMIN"][..],
                &["SUPER", "READ_ONLY ADMIN"][..],
            )
        }
    }
}
