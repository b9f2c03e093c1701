//! Servers that are full, and replicas that do not keep up.

use super::view::{Hit, View};
use super::words::Words;

/// A replica further behind than this is said to lag.
const FAR_BEHIND_SECONDS: u64 = 60;

pub(super) fn connections(view: &View<'_>) -> Vec<Hit> {
    let full = view.snapshot().all_live().filter(|(_, f)| {
        f.max_connections > 0 && u64::from(f.connections) * 10 >= u64::from(f.max_connections) * 9
    });
    full.map(|(address, facts)| {
        let (now, max) = (facts.connections, facts.max_connections);
        let more = max.saturating_mul(2).min(100_000).max(max).to_string();
        Hit::on(
            address,
            format!("{address} has {now} of {max} connections in use"),
            format!(
                "end idle sessions (SHOW PROCESSLIST), or: {}",
                Words::of(facts).set("max_connections", &more)
            ),
        )
    })
    .collect()
}

pub(super) fn lag(view: &View<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (address, facts, channel) in view.replicas().filter(|(a, _, _)| !view.is_delayed(a)) {
        let Some(lag) = channel.lag_seconds.filter(|lag| *lag > FAR_BEHIND_SECONDS) else {
            continue;
        };
        let words = Words::of(facts);
        let parallel = if words.is_mariadb() {
            "slave_parallel_threads"
        } else if words.mysql_since(8, 0, 26) {
            "replica_parallel_workers"
        } else {
            "slave_parallel_workers"
        };
        hits.push(Hit::on(
            address,
            format!("{address} is {lag} s behind"),
            format!(
                "see what its applier does: SHOW FULL PROCESSLIST; long transactions, tables \
                 without primary key and a low {parallel} hold it up; if it is kept behind on \
                 purpose, delayed = true in the configuration"
            ),
        ));
    }
    hits
}
