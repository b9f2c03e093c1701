//! What the writers' logs and the servers' tables say afterwards.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use primacy_types::Address;
use primacy_wire::{Session, WireError};

use super::{Ack, Log, Order, Target};

/// The rows are compared when the replicas had so long to apply them, or as soon as one has all.
const SETTLE: Duration = Duration::from_secs(3);
/// Limit of connecting, and of reading the table, afterwards.
const READ: Duration = Duration::from_secs(10);

/// The account of a run.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Rows acknowledged.
    pub(crate) acknowledged: usize,
    /// The longest that a writer waited between two acknowledgements, or at the end for one.
    pub(crate) longest_gap: Duration,
    /// Acknowledged rows that each server lacks, or why it could not be asked.
    pub(crate) missing_by_server: Vec<(Address, Result<usize, String>)>,
    /// Rows that an earlier server acknowledged after a later one had acknowledged its first.
    pub(crate) late: u64,
    /// Each server's first row, in order.
    pub(crate) first_rows: Vec<Ack>,
    /// Failed attempts by kind.
    pub(crate) errors: BTreeMap<String, u32>,
}

impl Tally {
    /// Acknowledged rows that the best server lacks; `None` if no server could be asked.
    pub(crate) fn missing(&self) -> Option<usize> {
        self.missing_by_server
            .iter()
            .filter_map(|(_, missing)| missing.as_ref().ok())
            .copied()
            .min()
    }
}

/// Counts, and asks every server for its rows.
pub(crate) async fn tally(target: &Target, logs: &[Log], order: Order) -> Tally {
    let rows: Vec<u64> = logs.iter().flat_map(|log| &log.acks).map(|ack| ack.row).collect();
    let mut errors = BTreeMap::new();
    for (kind, count) in logs.iter().flat_map(|log| &log.errors) {
        *errors.entry(kind.clone()).or_default() += count;
    }
    let first_rows = order.servers.iter().filter_map(|server| {
        let of_server = logs.iter().flat_map(|log| &log.acks).filter(|ack| ack.server == *server);
        of_server.min_by_key(|ack| ack.at).copied()
    });
    Tally {
        acknowledged: rows.len(),
        longest_gap: logs.iter().map(longest_gap).max().unwrap_or_default(),
        first_rows: first_rows.collect(),
        late: order.late,
        missing_by_server: compare(target, &rows).await,
        errors,
    }
}

/// The longest time without an acknowledgement, from the first attempt to the end.
fn longest_gap(log: &Log) -> Duration {
    let moments = log.acks.iter().map(|ack| ack.at).chain([log.ended]);
    let mut last = log.began;
    let gaps = moments.map(|at| {
        let gap = at.saturating_duration_since(last);
        last = at;
        gap
    });
    gaps.max().unwrap_or_default()
}

async fn compare(target: &Target, rows: &[u64]) -> Vec<(Address, Result<usize, String>)> {
    let deadline = Instant::now() + SETTLE;
    loop {
        let mut all = Vec::new();
        for server in &target.servers {
            let missing = match stored(target, server).await {
                Ok(stored) => Ok(rows.iter().filter(|row| !stored.contains(row)).count()),
                Err(error) => Err(error.to_string()),
            };
            all.push((server.clone(), missing));
        }
        let settled = all.iter().all(|(_, missing)| !matches!(missing, Ok(1..)));
        if settled || Instant::now() >= deadline {
            return all;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn stored(target: &Target, server: &Address) -> Result<HashSet<u64>, WireError> {
    let mut session = Session::connect(&target.options(server, READ)).await?;
    let rows = session.query("SELECT id FROM outage.t", READ).await?;
    Ok(rows.iter().filter_map(|row| row.at(0)?.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::wall;

    fn log(from: Instant, moments: &[u64], end: u64) -> Log {
        let at = |ms: &u64| from + Duration::from_millis(*ms);
        let ack = |ms: &u64| Ack { row: *ms, server: 1, at: at(ms), wall: wall() };
        let acks = moments.iter().map(ack).collect();
        Log { acks, began: from, ended: at(&end), errors: BTreeMap::new() }
    }

    #[test]
    fn a_gap_counts_at_the_start_in_between_and_at_the_end() {
        let from = Instant::now();
        let gap = |moments: &[u64], end| longest_gap(&log(from, moments, end)).as_millis();
        assert_eq!(gap(&[50, 60], 70), 50);
        assert_eq!(gap(&[1, 2, 92, 93], 100), 90);
        assert_eq!(gap(&[1, 2], 500), 498);
        assert_eq!(gap(&[], 500), 500);
    }

    #[test]
    fn a_row_of_the_old_server_after_the_first_of_the_new_one_is_late() {
        let mut order = Order::default();
        [1, 1, 2, 2, 1, 2, 1].into_iter().for_each(|server| order.note(server));
        assert_eq!((order.servers.as_slice(), order.late), (&[1, 2][..], 2));
    }
}
