//! The answers to the statements of an observation.

use primacy_replication::Reply;
use primacy_types::{BinlogPosition, Positioning, ReceiverState, ServerFacts};

use super::Face;
use crate::SyncPolicy;

/// One row from pairs of column and value.
fn row(cells: Vec<(String, String)>) -> Reply {
    let (columns, values): (Vec<_>, Vec<_>) = cells.into_iter().unzip();
    Reply::Rows(columns, vec![values.into_iter().map(Some).collect()])
}

/// No rows.
pub(super) fn empty(columns: &[&str]) -> Reply {
    Reply::Rows(columns.iter().map(|name| (*name).to_owned()).collect(), Vec::new())
}

/// Names and values, a row each.
fn pairs(all: Vec<(String, String)>) -> Reply {
    let columns = vec!["Variable_name".to_owned(), "Value".to_owned()];
    Reply::Rows(columns, all.into_iter().map(|(n, v)| vec![Some(n), Some(v)]).collect())
}

const fn yes(on: bool) -> &'static str {
    if on { "Yes" } else { "No" }
}

const fn on(is_on: bool) -> &'static str {
    if is_on { "ON" } else { "OFF" }
}

impl Face {
    /// MySQL since 8.0.22 (and for semi-sync 8.0.26) says SOURCE and REPLICA.
    fn new_words(&self, patch: u16) -> bool {
        let version = self.upstream().map(|upstream| upstream.version);
        version.is_some_and(|v| v.is_mysql() && v.at_least(8, 0, patch))
    }

    fn semi_sync_prefix(&self) -> &'static str {
        if self.new_words(26) { "rpl_semi_sync_replica_" } else { "rpl_semi_sync_slave_" }
    }

    pub(super) fn acknowledging(&self) -> bool {
        self.options.semi_sync && self.channel.wanted().semi_sync
    }

    /// SHOW GLOBAL STATUS.
    pub(super) fn counters(&self) -> Reply {
        let status = self.channel.status();
        let mut all = vec![
            ("Uptime".to_owned(), self.started.elapsed().as_secs().to_string()),
            ("Threads_connected".to_owned(), self.connections().to_string()),
            ("Slave_received_heartbeats".to_owned(), status.heartbeats.to_string()),
        ];
        if let Some(source) = self.channel.wanted().source {
            let period = format!("{:.3}", source.heartbeat.as_secs_f64());
            all.push(("Slave_heartbeat_period".to_owned(), period));
        }
        let name = self.semi_sync_prefix().replacen('r', "R", 1);
        all.push((format!("{name}status"), on(status.acknowledges).to_owned()));
        pairs(all)
    }

    /// SHOW GLOBAL VARIABLES of crash safety.
    pub(super) fn safety(&self) -> Reply {
        let always = self.options.sync == SyncPolicy::Always;
        pairs(vec![
            ("sync_binlog".to_owned(), u8::from(always).to_string()),
            ("innodb_flush_log_at_trx_commit".to_owned(), if always { "1" } else { "2" }.into()),
        ])
    }

    /// A system variable.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        let upstream = self.upstream()?;
        let mariadb = upstream.is_mariadb();
        let executed = || self.store.executed().to_string();
        let purged = || {
            let catalogue = self.store.catalogue();
            catalogue.files.first().map(|file| file.before.to_string()).unwrap_or_default()
        };
        Some(match name {
            "server_id" => self.server_id.to_string(),
            "server_uuid" if !mariadb => self.server_uuid.to_string(),
            "read_only" | "super_read_only" | "log_bin" => "1".to_owned(),
            "log_replica_updates" | "log_slave_updates" | "gtid_strict_mode" => "1".to_owned(),
            "gtid_mode" if !mariadb => on(upstream.gtid_mode).to_owned(),
            // Without GTIDs it is the empty place, which is no set.
            _ if name.starts_with("gtid_") && self.store.executed().as_place().is_some() => {
                String::new()
            }
            "gtid_executed" if !mariadb => executed(),
            "gtid_purged" if !mariadb => purged(),
            "gtid_binlog_pos" | "gtid_slave_pos" | "gtid_current_pos" if mariadb => executed(),
            "max_connections" => super::MAX_CONNECTIONS.to_string(),
            "hostname" => self.host.clone(),
            "pid_file" | "relay_log_basename" => String::new(),
            "datadir" => self.store.root().display().to_string(),
            "log_bin_basename" => self.store.root().join("binlog").display().to_string(),
            "version_comment" => ServerFacts::BINLOG_SERVER.to_owned(),
            "version" => upstream.version_text,
            _ if name == format!("{}enabled", self.semi_sync_prefix()) => {
                u8::from(self.acknowledging()).to_string()
            }
            _ => return None,
        })
    }

    /// Where the channel stands.
    fn place(&self) -> Option<BinlogPosition> {
        let wanted = self.channel.wanted();
        let told = wanted.source.and_then(|source| source.at);
        told.or_else(|| self.store.place())
    }

    /// SHOW REPLICA STATUS.
    pub(super) fn replica_status(&self) -> Reply {
        let wanted = self.channel.wanted();
        let Some(source) = wanted.source else { return empty(&["Slave_IO_State"]) };
        let mariadb = self.upstream().is_some_and(|upstream| upstream.is_mariadb());
        let status = self.channel.status();
        let place = self.place().unwrap_or_else(|| BinlogPosition::new("", 4));
        let executed = self.store.executed();
        let executed = if executed.is_empty() { String::new() } else { executed.to_string() };
        let (code, text) = status.error.clone().unwrap_or_default();
        let receiver = match status.receiver {
            ReceiverState::Running => "Yes",
            ReceiverState::Connecting => "Connecting",
            ReceiverState::Stopped => "No",
        };
        let following = status.receiver == ReceiverState::Running;
        let bytes = self.store.catalogue().bytes() + 1000;
        let offset = place.offset.to_string();
        let cells: Vec<(&str, String)> = vec![
            ("Replica_IO_State", String::new()),
            ("Source_Host", source.address.host().to_owned()),
            ("Source_User", source.user.clone()),
            ("Source_Port", source.address.port().to_string()),
            ("Connect_Retry", source.connect_retry.to_string()),
            ("Source_Log_File", place.file.clone()),
            ("Read_Source_Log_Pos", offset.clone()),
            ("Relay_Log_File", String::new()),
            ("Relay_Log_Pos", bytes.to_string()),
            ("Relay_Source_Log_File", place.file),
            ("Replica_IO_Running", receiver.to_owned()),
            ("Replica_SQL_Running", yes(wanted.applier).to_owned()),
            ("Exec_Source_Log_Pos", offset),
            ("Relay_Log_Space", bytes.to_string()),
            ("Source_SSL_Allowed", yes(source.tls).to_owned()),
            ("Seconds_Behind_Source", if following { "0" } else { "" }.to_owned()),
            ("Last_IO_Errno", code.to_string()),
            ("Last_IO_Error", text),
            ("Last_SQL_Errno", "0".to_owned()),
            ("Last_SQL_Error", String::new()),
            ("Source_Server_Id", status.source_server_id.to_string()),
            ("Source_UUID", status.source_uuid.unwrap_or_default()),
            ("SQL_Delay", "0".to_owned()),
            (
                "Replica_SQL_Running_State",
                "Slave has read all relay log; waiting for more updates".to_owned(),
            ),
        ];
        let newer = self.new_words(22);
        let word = |name: &str| match newer {
            true => name.to_owned(),
            false => name.replace("Source", "Master").replace("Replica", "Slave"),
        };
        let mut cells: Vec<_> = cells.into_iter().map(|(n, v)| (word(n), v)).collect();
        let mut put = |name: &str, value: String| cells.push((name.to_owned(), value));
        if mariadb {
            let using = match source.positioning {
                Positioning::FileAndPosition => "No",
                Positioning::CurrentPos => "Current_Pos",
                Positioning::AutoPosition | Positioning::SlavePos => "Slave_Pos",
            };
            put("Connection_name", self.options.channel.clone());
            put("Using_Gtid", using.to_owned());
            put("Gtid_IO_Pos", executed);
            put("Slave_received_heartbeats", status.heartbeats.to_string());
            put("Slave_heartbeat_period", format!("{:.3}", source.heartbeat.as_secs_f64()));
        } else {
            put("Retrieved_Gtid_Set", executed.clone());
            put("Executed_Gtid_Set", executed);
            put("Auto_Position", u8::from(source.positioning.is_gtid()).to_string());
            put("Channel_Name", self.options.channel.clone());
        }
        row(cells)
    }

    /// MySQL's tables of connections.
    pub(super) fn connection_tables(&self) -> Reply {
        let Some(source) = self.channel.wanted().source else { return empty(&["CHANNEL_NAME"]) };
        let status = self.channel.status();
        row(vec![
            ("CHANNEL_NAME".to_owned(), self.options.channel.clone()),
            ("HEARTBEAT_INTERVAL".to_owned(), format!("{:.3}", source.heartbeat.as_secs_f64())),
            ("COUNT_RECEIVED_HEARTBEATS".to_owned(), status.heartbeats.to_string()),
        ])
    }

    /// SHOW BINARY LOG STATUS.
    pub(super) fn binlog_status(&self) -> Reply {
        let Some(place) = self.store.place() else { return empty(&["File", "Position"]) };
        row(vec![
            ("File".to_owned(), place.file),
            ("Position".to_owned(), place.offset.to_string()),
        ])
    }

    /// SHOW BINARY LOGS.
    pub(super) fn binary_logs(&self) -> Reply {
        let catalogue = self.store.catalogue();
        let files = catalogue.files.iter();
        let rows = files.map(|f| vec![Some(f.name.clone()), Some(f.length.to_string())]).collect();
        Reply::Rows(vec!["Log_name".to_owned(), "File_size".to_owned()], rows)
    }

    /// SHOW REPLICAS.
    pub(super) fn replicas(&self) -> Reply {
        let columns = ["Server_id", "Host", "Port"].map(str::to_owned).to_vec();
        let Some(report) = self.report.get() else { return Reply::Rows(columns, Vec::new()) };
        let report = report.borrow();
        let fed = report.replicas.iter().filter(|r| r.asked.is_some());
        let cells = fed.map(|r| {
            vec![Some(r.server_id.to_string()), Some(r.host.clone()), Some(r.port.to_string())]
        });
        Reply::Rows(columns, cells.collect())
    }
}
