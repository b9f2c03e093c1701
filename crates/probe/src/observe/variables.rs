//! The one `SELECT @@global...` of an observation, built for the version: a variable that the
//! server does not know would fail the whole.

use crate::dialect::{Dialect, Feature, SemiSyncNames};

/// Variables by the name of the column, the name on servers that have `feature`, the name on
/// others (`None`: they have none).
#[rustfmt::skip]
const VARIABLES: &[(&str, Feature, &str, Option<&str>)] = &[
    ("server_id", Feature::Always, "server_id", None),
    ("server_uuid", Feature::ServerUuid, "server_uuid", None),
    ("read_only", Feature::Always, "read_only", None),
    ("super_read_only", Feature::SuperReadOnly, "super_read_only", None),
    ("log_bin", Feature::Always, "log_bin", None),
    ("log_replica_updates", Feature::SourceVariables, "log_replica_updates", Some("log_slave_updates")),
    ("gtid_mode", Feature::ServerUuid, "gtid_mode", None),
    ("gtid_executed", Feature::ServerUuid, "gtid_executed", None),
    ("gtid_purged", Feature::ServerUuid, "gtid_purged", None),
    ("gtid_strict_mode", Feature::DomainIds, "gtid_strict_mode", None),
    ("gtid_binlog_pos", Feature::DomainIds, "gtid_binlog_pos", None),
    ("gtid_slave_pos", Feature::DomainIds, "gtid_slave_pos", None),
    ("max_connections", Feature::Always, "max_connections", None),
    ("hostname", Feature::Always, "hostname", None),
    ("pid_file", Feature::Always, "pid_file", None),
    ("datadir", Feature::Always, "datadir", None),
    ("log_bin_basename", Feature::Always, "log_bin_basename", None),
    ("relay_log_basename", Feature::Always, "relay_log_basename", None),
    ("version_comment", Feature::Always, "version_comment", None),
];

impl Dialect {
    /// The variables that an observation reads, under one name for all versions.
    pub fn variables(self, names: SemiSyncNames) -> String {
        let mut columns: Vec<String> = VARIABLES
            .iter()
            .filter_map(|(column, feature, name, other)| {
                let name = if self.has(*feature) { Some(*name) } else { *other };
                Some(format!("@@global.{} AS {column}", name?))
            })
            .collect();
        if let Some(prefix) = names.source_prefix() {
            columns.push(format!("@@global.{prefix}enabled AS semi_source_enabled"));
            columns.push(format!("@@global.{prefix}timeout AS semi_timeout"));
            if self.has(Feature::SemiSyncWaitPoint) {
                columns.push(format!("@@global.{prefix}wait_point AS semi_wait_point"));
            }
        }
        if let Some(variable) = names.wait_count_variable(self) {
            columns.push(format!("@@global.{variable} AS semi_wait_count"));
        }
        if let Some(prefix) = names.replica_prefix() {
            columns.push(format!("@@global.{prefix}enabled AS semi_replica_enabled"));
        }
        format!("SELECT {}", columns.join(", "))
    }
}
