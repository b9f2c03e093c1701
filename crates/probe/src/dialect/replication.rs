//! Replication threads: what they say, starting, stopping and forgetting them.

use primacy_wire::quote;

use super::{Dialect, Feature};

/// Which of a channel's threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// The one that fetches events into the relay log.
    Receiver,
    /// Those that apply the relay log.
    Applier,
    /// Both.
    Both,
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

impl Dialect {
    /// The state of all channels of a replica, one row each; no row where there is none.
    pub fn replica_status(self) -> &'static str {
        if self.is_mariadb() {
            "SHOW ALL SLAVES STATUS"
        } else {
            self.pick(Feature::ReplicaWords, "SHOW REPLICA STATUS", "SHOW SLAVE STATUS")
        }
    }

    /// The end of the server's own binary log; no row where it writes none.
    pub fn binlog_status(self) -> &'static str {
        if self.has(Feature::BinaryLogStatus) {
            "SHOW BINARY LOG STATUS"
        } else {
            self.pick(Feature::BinlogStatus, "SHOW BINLOG STATUS", "SHOW MASTER STATUS")
        }
    }

    /// The files of the server's own binary log.
    pub fn binary_logs(self) -> &'static str {
        "SHOW BINARY LOGS"
    }

    /// The replicas that are connected to a source.
    pub fn registered_replicas(self) -> &'static str {
        self.pick(Feature::ReplicaWords, "SHOW REPLICAS", "SHOW SLAVE HOSTS")
    }

    /// Stops threads of one channel (`""` is the default one).
    ///
    /// The channel is always named: without a name MySQL stops *all* channels, and MariaDB the one
    /// that the session variable `default_master_connection` names.
    pub fn stop(self, threads: Threads, channel: &str) -> String {
        self.on_channel("STOP", threads.clause(), channel)
    }

    /// Starts threads of one channel.
    ///
    /// MariaDB with GTID drops the relay logs first if *no* thread of the channel runs, also when
    /// only the applier is started.
    pub fn start(self, threads: Threads, channel: &str) -> String {
        self.on_channel("START", threads.clause(), channel)
    }

    /// MariaDB: a semi-sync receiver that stops connects to its source once more, to end its dump
    /// thread there, and waits so many seconds for it (preset 5). The variable that says how many,
    /// or `None` where nothing like it happens.
    pub fn farewell_timeout(self) -> Option<&'static str> {
        self.is_mariadb().then_some("rpl_semi_sync_slave_kill_conn_timeout")
    }

    /// Forgets the source of one channel and drops its relay logs. Both threads must be stopped.
    pub fn reset_replica_all(self, channel: &str) -> String {
        self.on_channel("RESET", " ALL", channel)
    }

    fn on_channel(self, verb: &str, clause: &str, channel: &str) -> String {
        let word = self.pick(Feature::ReplicaWords, "REPLICA", "SLAVE");
        if self.is_mariadb() {
            format!("{verb} {word} {}{clause}", quote(channel))
        } else {
            format!("{verb} {word}{clause}{}", self.for_channel(channel))
        }
    }

    /// ` FOR CHANNEL '...'` where the server is MySQL and knows channels.
    pub(crate) fn for_channel(self, channel: &str) -> String {
        if self.is_mariadb() || !self.has(Feature::Channels) {
            String::new()
        } else {
            format!(" FOR CHANNEL {}", quote(channel))
        }
    }

    /// Settings and heartbeats of all MySQL channels, one row each; `None` where no table has
    /// them. They are filled even with `performance_schema` off (seen on 9.7).
    pub fn connection_tables(self) -> Option<&'static str> {
        self.has(Feature::ConnectionTables).then_some(
            "SELECT * FROM performance_schema.replication_connection_configuration \
             LEFT JOIN performance_schema.replication_connection_status USING (CHANNEL_NAME) \
             LEFT JOIN performance_schema.replication_applier_configuration USING (CHANNEL_NAME)",
        )
    }

    /// Counters of the server: uptime, connections, semi-sync, and heartbeats where they are
    /// counters (MySQL 5.6).
    pub fn counters(self) -> String {
        let heartbeats = !self.has(Feature::ConnectionTables) && self.has(Feature::HeartbeatStatus);
        let more =
            if heartbeats { ",'Slave_received_heartbeats','Slave_heartbeat_period'" } else { "" };
        format!(
            "SHOW GLOBAL STATUS WHERE Variable_name IN ('Uptime','Threads_connected'{more}) \
             OR Variable_name LIKE 'Rpl_semi_sync%'"
        )
    }
}
