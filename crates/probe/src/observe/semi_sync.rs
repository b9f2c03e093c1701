//! Semi-synchronous replication, from counters and variables under the server's spelling.

use primacy_types::{Millis, SemiSyncStatus};
use primacy_wire::Rows;

use super::facts::{count, counter};
use crate::dialect::{Dialect, SemiSyncNames};

/// Reads the state of both sides.
pub(super) fn parse(names: SemiSyncNames, counters: &Rows, variables: &Rows) -> SemiSyncStatus {
    let variable = |name: &str| variables.first().and_then(|row| row.get(name));
    let on = |name: &str| variable(name).is_some_and(Dialect::is_on);
    let mut status = SemiSyncStatus {
        available: names.source.is_some(),
        source_enabled: on("semi_source_enabled"),
        replica_enabled: on("semi_replica_enabled"),
        wait_count: variable("semi_wait_count").and_then(|n| n.parse().ok()).unwrap_or(1),
        timeout: Millis(variable("semi_timeout").and_then(|n| n.parse().ok()).unwrap_or(0)),
        after_sync: variable("semi_wait_point")
            .is_some_and(|p| p.eq_ignore_ascii_case("after_sync")),
        ..SemiSyncStatus::default()
    };
    let is_on = |name: &str| counter(counters, name).is_some_and(Dialect::is_on);
    if let Some(prefix) = names.source_prefix() {
        let number = |name: &str| count(counters, &format!("{prefix}{name}")).unwrap_or(0);
        status.source_active = is_on(&format!("{prefix}status"));
        status.clients = number("clients").try_into().unwrap_or(u32::MAX);
        status.unacknowledged = number("no_tx");
    }
    if let Some(prefix) = names.replica_prefix() {
        status.replica_active = is_on(&format!("{prefix}status"));
    }
    status
}
