//! Reads what survives a crash.

use std::time::Duration;

use primacy_types::{CrashSafety, Repository, ServerFacts, UnsafeTables};
use primacy_wire::{Rows, WireError};
use tokio::time::Instant;

use super::{Asking, facts};
use crate::classify::session_survives;
use crate::dialect::{Dialect, SafetyVariable};

/// The search for tables takes no longer.
const SEARCH_LIMIT: Duration = Duration::from_millis(150);
/// It is left for the next time where less is left of a look.
const SEARCH_NEEDS: Duration = Duration::from_millis(300);
/// Engines of tables change seldom: so many seconds between two searches.
const SEARCH_AGAIN: u64 = 3600;
/// So many tables are counted.
const MOST: u32 = 1000;
/// So many are named.
const NAMED: usize = 3;

/// Fills in the facts. What is refused stays as it was before.
pub(super) async fn look(
    asking: &mut Asking<'_>,
    facts: &mut ServerFacts,
) -> Result<(), WireError> {
    match asking.must(&Dialect::safety_variables()).await {
        Ok(rows) => {
            let unsafe_tables = facts.safety.unsafe_tables.take();
            facts.safety = CrashSafety { unsafe_tables, ..parse(&rows) };
        }
        // Nobody needs a privilege for it; what was known stays.
        Err(error) if session_survives(&error) => {}
        Err(error) => return Err(error),
    }
    let uptime = facts.uptime_seconds;
    let due = facts
        .safety
        .unsafe_tables
        .as_ref()
        .is_none_or(|seen| uptime < seen.at_uptime || uptime - seen.at_uptime >= SEARCH_AGAIN);
    let left = asking.deadline.saturating_duration_since(Instant::now());
    let Some(sql) = asking.dialect.unsafe_tables(MOST, SEARCH_LIMIT) else { return Ok(()) };
    if !due || left < SEARCH_NEEDS {
        return Ok(());
    }
    match asking.must(&sql).await {
        Ok(rows) => facts.safety.unsafe_tables = Some(tables(&rows, uptime)),
        // Most likely its own limit: what was known stays, and the next hour tries again.
        Err(error) if session_survives(&error) => {
            let known = facts.safety.unsafe_tables.get_or_insert_default();
            known.at_uptime = uptime;
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

fn parse(rows: &Rows) -> CrashSafety {
    use SafetyVariable as V;
    let text = |variable: V| {
        variable.names().iter().find_map(|name| facts::counter(rows, name)).map(str::to_owned)
    };
    let on = |variable| text(variable).map(|value| Dialect::is_on(&value));
    let number = |variable| text(variable).and_then(|value| value.parse::<u64>().ok());
    let place = |variable| match text(variable)?.to_ascii_uppercase().as_str() {
        "TABLE" => Some(Repository::Table),
        "FILE" => Some(Repository::File),
        _ => None,
    };
    CrashSafety {
        relay_log_purge: on(V::RelayLogPurge),
        relay_log_recovery: on(V::RelayLogRecovery),
        applier_place: place(V::ApplierPlace),
        receiver_place: place(V::ReceiverPlace),
        parallel_workers: number(V::ParallelWorkers).and_then(|n| n.try_into().ok()),
        preserve_commit_order: on(V::PreserveCommitOrder),
        sync_binlog: number(V::SyncBinlog),
        flush_log_at_commit: number(V::FlushLogAtCommit),
        sync_relay_log: number(V::SyncRelayLog),
        sync_source_info: number(V::SyncSourceInfo),
        binlog_format: text(V::BinlogFormat),
        binlog_checksum: text(V::BinlogChecksum),
        binlog_encrypted: on(V::BinlogEncrypted),
        binlog_compressed: on(V::BinlogCompressed),
        event_scheduler: text(V::EventScheduler),
        unsafe_tables: None,
    }
}

fn tables(rows: &Rows, at_uptime: u64) -> UnsafeTables {
    let examples = rows.iter().take(NAMED).filter_map(|row| {
        let [schema, table, engine] =
            ["table_schema", "table_name", "engine"].map(|column| row.get(column));
        Some(format!("{}.{} ({})", schema?, table?, engine?))
    });
    UnsafeTables {
        count: u32::try_from(rows.iter().count()).unwrap_or(u32::MAX),
        examples: examples.collect(),
        at_uptime,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::rows;

    fn variables(pairs: &[(&str, &str)]) -> Rows {
        let text: Vec<String> = pairs
            .iter()
            .map(|(name, value)| format!("*** 1 ***\nVariable_name: {name}\nValue: {value}\n"))
            .collect();
        rows(&text.concat())
    }

    #[test]
    fn the_newest_name_counts_and_what_a_server_lacks_is_unknown() {
        let seen = parse(&variables(&[
            ("slave_parallel_workers", "0"),
            ("replica_parallel_workers", "4"),
            ("sync_master_info", "10000"),
            ("encrypt_binlog", "ON"),
            ("relay_log_info_repository", "FILE"),
        ]));
        assert_eq!(seen.parallel_workers, Some(4));
        assert_eq!(seen.sync_source_info, Some(10_000));
        assert_eq!(seen.binlog_encrypted, Some(true));
        assert_eq!(seen.applier_place, Some(Repository::File));
        assert_eq!((seen.preserve_commit_order, seen.receiver_place), (None, None));
    }

    #[test]
    fn three_tables_are_named_and_all_are_counted() {
        let row = |n| format!("*** 1 ***\ntable_schema: app\ntable_name: t{n}\nengine: MyISAM\n");
        let text: Vec<String> = (1..=5).map(row).collect();
        let seen = tables(&rows(&text.concat()), 77);
        assert_eq!((seen.count, seen.at_uptime), (5, 77));
        assert_eq!(seen.examples, ["app.t1 (MyISAM)", "app.t2 (MyISAM)", "app.t3 (MyISAM)"]);
    }
}
