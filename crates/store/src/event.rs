//! The timeline: what was seen and done, for people, the API and the dashboard.

use primacy_types::WallClock;
use rusqlite::named_params;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::row::{At, Json, words};
use crate::{OperationId, Store, StoreError};

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Ordinary course of things.
    Info,
    /// Worth knowing the next morning.
    Notice,
    /// Something is not as it should be.
    Warning,
    /// Somebody has to look now.
    Alarm,
}

words!(Level { Info => "info", Notice => "notice", Warning => "warning", Alarm => "alarm" });

/// One entry of the timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number: grows with every event, and is not used twice.
    pub number: u64,
    /// The cluster's name.
    pub cluster: String,
    /// The operation that it belongs to.
    pub operation: Option<OperationId>,
    /// When it was seen.
    pub at: WallClock,
    /// How much it matters.
    pub level: Level,
    /// The sentence for people.
    pub text: String,
    /// The same for programs.
    pub data: Value,
}

/// An event to be added; its number is given by the store.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// The cluster's name.
    pub cluster: String,
    /// The operation that it belongs to.
    pub operation: Option<OperationId>,
    /// When it was seen.
    pub at: WallClock,
    /// How much it matters.
    pub level: Level,
    /// The sentence for people.
    pub text: String,
    /// The same for programs.
    pub data: Value,
}

/// Which events to show; what is `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Only of this cluster.
    pub cluster: Option<String>,
    /// Only of this operation.
    pub operation: Option<OperationId>,
    /// Only those at or after this moment.
    pub since: Option<WallClock>,
    /// Only the latest so many.
    pub limit: Option<usize>,
}

impl Store {
    /// Adds an event and returns its number.
    pub fn event(
        &self,
        cluster: &str,
        operation: Option<&OperationId>,
        at: WallClock,
        level: Level,
        text: &str,
        data: &Value,
    ) -> Result<u64, StoreError> {
        let new = NewEvent {
            cluster: cluster.to_owned(),
            operation: operation.cloned(),
            at,
            level,
            text: text.to_owned(),
            data: data.clone(),
        };
        self.events_all(std::slice::from_ref(&new))
    }

    /// Adds events in one write, in this order, and returns the number of the last one (0 for
    /// none).
    pub fn events_all(&self, events: &[NewEvent]) -> Result<u64, StoreError> {
        self.write(|transaction| {
            let added = || -> Result<u64, rusqlite::Error> {
                let mut insert = transaction.prepare_cached(
                    "INSERT INTO event (cluster, operation, at, level, text, data)
                     VALUES (:cluster, :operation, :at, :level, :text, :data)",
                )?;
                for event in events {
                    insert.execute(named_params! {
                        ":cluster": event.cluster,
                        ":operation": event.operation.as_ref().map(OperationId::as_str),
                        ":at": At(event.at), ":level": event.level, ":text": event.text,
                        ":data": event.data.to_string(),
                    })?;
                }
                Ok(crate::row::unsigned(transaction.last_insert_rowid()))
            };
            added().map_err(|source| self.error(source))
        })
    }

    /// The latest events that the filter lets through, oldest first.
    pub fn events(&self, filter: &EventFilter) -> Result<Vec<Event>, StoreError> {
        let limit = filter.limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        let mut events = self.run(|connection| {
            connection
                .prepare_cached(
                    "SELECT seq, cluster, operation, at, level, text, data FROM event
                     WHERE (:cluster IS NULL OR cluster = :cluster)
                       AND (:operation IS NULL OR operation = :operation)
                       AND (:since IS NULL OR at >= :since)
                     ORDER BY seq DESC LIMIT :limit",
                )?
                .query_map(
                    named_params! {
                        ":cluster": filter.cluster,
                        ":operation": filter.operation.as_ref().map(OperationId::as_str),
                        ":since": filter.since.map(At), ":limit": limit,
                    },
                    |row| {
                        Ok(Event {
                            number: crate::row::unsigned(row.get(0)?),
                            cluster: row.get(1)?,
                            operation: row.get::<_, Option<String>>(2)?.map(OperationId),
                            at: row.get::<_, At>(3)?.0,
                            level: row.get(4)?,
                            text: row.get(5)?,
                            data: row.get::<_, Json>(6)?.0,
                        })
                    },
                )?
                .collect::<Result<Vec<_>, _>>()
        })?;
        events.reverse();
        Ok(events)
    }
}
