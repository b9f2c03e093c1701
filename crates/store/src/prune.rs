//! Forgetting what is old, without forgetting what is still needed.

use primacy_types::WallClock;
use serde::{Deserialize, Serialize};

use crate::row::At;
use crate::{Store, StoreError};

/// How much was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// Operations with their journals and plans.
    pub operations: usize,
    /// Events of the timeline.
    pub events: usize,
}

impl Store {
    /// Removes operations that finished before `before`, and the events of that time. Kept in any
    /// case: unfinished operations, the latest `keep_latest` operations of each cluster, and the
    /// events of every operation that is kept.
    pub fn prune(&self, before: WallClock, keep_latest: usize) -> Result<Pruned, StoreError> {
        let keep_latest = i64::try_from(keep_latest).unwrap_or(i64::MAX);
        self.write(|transaction| {
            let operations = transaction
                .execute(
                    "DELETE FROM operation WHERE finished < ?1 AND seq NOT IN (
                        SELECT seq FROM (
                            SELECT seq, row_number() OVER
                                (PARTITION BY cluster ORDER BY seq DESC) AS place FROM operation
                        ) WHERE place <= ?2)",
                    (At(before), keep_latest),
                )
                .map_err(|source| self.error(source))?;
            let events = transaction
                .execute(
                    "DELETE FROM event WHERE at < ?1 AND (operation IS NULL
                        OR NOT EXISTS (SELECT 1 FROM operation WHERE id = event.operation))",
                    [At(before)],
                )
                .map_err(|source| self.error(source))?;
            Ok(Pruned { operations, events })
        })
    }
}
