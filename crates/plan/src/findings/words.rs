//! Statements for people in the words of their server: SLAVE or REPLICA (MySQL 8.0.22), MASTER or
//! SOURCE (8.0.23), MariaDB's own place for the channel's name.
//!
//! Only for advice that is read. What Primacy itself runs comes from its dialects, which need a
//! connection's settings and secrets that have no place here.

use primacy_types::{ServerFacts, ServerVersion};

/// Which threads of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Threads {
    Receiver,
    Applier,
    Both,
}

/// The two sides of semi-sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Replica,
}

/// The vocabulary of one server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    version: ServerVersion,
    /// It has one channel at most, so that the default one need not be named.
    one_channel: bool,
}

impl Words {
    pub(super) fn of(facts: &ServerFacts) -> Self {
        Self { version: facts.version, one_channel: facts.channels.len() <= 1 }
    }

    pub(super) fn version(self) -> ServerVersion {
        self.version
    }

    /// Whether this is MySQL of at least this version.
    pub(super) fn mysql_since(self, major: u16, minor: u16, patch: u16) -> bool {
        self.version.is_mysql() && self.version.at_least(major, minor, patch)
    }

    pub(super) fn is_mariadb(self) -> bool {
        self.version.is_mariadb()
    }

    fn replica(self) -> &'static str {
        if self.mysql_since(8, 0, 22) { "REPLICA" } else { "SLAVE" }
    }

    fn source(self) -> &'static str {
        if self.mysql_since(8, 0, 23) { "SOURCE" } else { "MASTER" }
    }

    /// ` 'name'` on MariaDB.
    fn name(self, channel: &str) -> String {
        if !self.is_mariadb() || (channel.is_empty() && self.one_channel) {
            return String::new();
        }
        format!(" {}", quote(channel))
    }

    /// ` FOR CHANNEL 'name'` on MySQL 5.7.6 and later.
    pub(super) fn for_channel(self, channel: &str) -> String {
        if !self.mysql_since(5, 7, 6) || (channel.is_empty() && self.one_channel) {
            return String::new();
        }
        format!(" FOR CHANNEL {}", quote(channel))
    }

    fn on_channel(self, verb: &str, channel: &str, rest: &str) -> String {
        let (before, after) = (self.name(channel), self.for_channel(channel));
        format!("{verb} {}{before}{rest}{after}", self.replica())
    }

    pub(super) fn stop(self, threads: Threads, channel: &str) -> String {
        self.on_channel("STOP", channel, threads.clause())
    }

    pub(super) fn start(self, threads: Threads, channel: &str) -> String {
        self.on_channel("START", channel, threads.clause())
    }

    pub(super) fn restart(self, threads: Threads, channel: &str) -> String {
        format!("{}; {}", self.stop(threads, channel), self.start(threads, channel))
    }

    /// Ends replication on a channel and forgets its source.
    pub(super) fn detach(self, channel: &str) -> String {
        let reset = self.on_channel("RESET", channel, " ALL");
        format!("{}; {reset}", self.stop(Threads::Both, channel))
    }

    pub(super) fn show_status(self) -> String {
        if self.is_mariadb() {
            return "SHOW ALL SLAVES STATUS".to_owned();
        }
        format!("SHOW {} STATUS", self.replica())
    }

    /// `CHANGE MASTER TO ...`; `{}` in a clause becomes SOURCE or MASTER.
    pub(super) fn change(self, channel: &str, clauses: &[String]) -> String {
        let clauses = clauses.join(", ").replace("{}", self.source());
        if self.mysql_since(8, 0, 23) {
            format!("CHANGE REPLICATION SOURCE TO {clauses}{}", self.for_channel(channel))
        } else {
            let name = self.name(channel);
            format!("CHANGE MASTER{name} TO {clauses}{}", self.for_channel(channel))
        }
    }

    /// A change of settings that leaves what was received where it is (MySQL 5.7.4 and later), or
    /// is made when nothing waits to be applied.
    pub(super) fn change_settings(self, channel: &str, clauses: &[String]) -> String {
        if !self.mysql_since(5, 7, 4) {
            return self.change_when_caught_up(channel, clauses);
        }
        let threads = Threads::Receiver;
        format!(
            "with its applier running, so that its relay log stays: {}; {}; {}",
            self.stop(threads, channel),
            self.change(channel, clauses),
            self.start(threads, channel)
        )
    }

    /// A change that needs both threads stopped, which drops what is not applied yet.
    pub(super) fn change_when_caught_up(self, channel: &str, clauses: &[String]) -> String {
        format!(
            "only when it has caught up, because the change drops what its relay log holds \
             unapplied: {}; when {} says that it has read all relay log: {}; {}; {}",
            self.stop(Threads::Receiver, channel),
            self.show_status(),
            self.stop(Threads::Both, channel),
            self.change(channel, clauses),
            self.start(Threads::Both, channel)
        )
    }

    /// Sets a variable now and for the next start.
    pub(super) fn set(self, variable: &str, value: &str) -> String {
        if self.mysql_since(8, 0, 0) {
            return format!("SET PERSIST {variable} = {value}");
        }
        let option = value.trim_matches('\'');
        format!("SET GLOBAL {variable} = {value}, and {variable} = {option} in its option file")
    }

    /// Closes the server to writes, now and after its next start.
    pub(super) fn close(self) -> String {
        let read_only = self.set("read_only", "ON");
        if !self.mysql_since(5, 7, 8) {
            return read_only;
        }
        format!("{read_only}; {}", self.set("super_read_only", "ON"))
    }

    /// `log_replica_updates` under this server's name.
    pub(super) fn log_replica_updates(self) -> &'static str {
        if self.mysql_since(8, 0, 26) { "log_replica_updates" } else { "log_slave_updates" }
    }

    /// `replica_preserve_commit_order` under this server's name.
    pub(super) fn preserve_commit_order(self) -> &'static str {
        if self.mysql_since(8, 0, 26) {
            "replica_preserve_commit_order"
        } else {
            "slave_preserve_commit_order"
        }
    }

    /// A semi-sync variable of this server, as its version's own plugin calls it.
    pub(super) fn semi_sync(self, side: Side, variable: &str) -> String {
        let side = match (side, self.mysql_since(8, 0, 26)) {
            (Side::Source, true) => "source",
            (Side::Source, false) => "master",
            (Side::Replica, true) => "replica",
            (Side::Replica, false) => "slave",
        };
        format!("rpl_semi_sync_{side}_{variable}")
    }

    /// The variable that says for how many replicas a commit waits, where there is one.
    pub(super) fn semi_sync_wait_count(self) -> Option<String> {
        let variable = if self.mysql_since(8, 0, 26) {
            "wait_for_replica_count"
        } else {
            "wait_for_slave_count"
        };
        self.mysql_since(5, 7, 3).then(|| self.semi_sync(Side::Source, variable))
    }
}

impl Threads {
    fn clause(self) -> &'static str {
        match self {
            Self::Receiver => " IO_THREAD",
            Self::Applier => " SQL_THREAD",
            Self::Both => "",
        }
    }
}

/// A text as an SQL literal.
pub(super) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
