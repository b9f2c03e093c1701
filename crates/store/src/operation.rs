//! Operations: a failover or a switchover from its beginning to its outcome.

use std::fmt;

use primacy_types::WallClock;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, named_params};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::{NoContext, Timestamp, Uuid};

use crate::row::{At, Json, words};
use crate::{Store, StoreError};

/// The id of an operation: a version 7 UUID, so that ids sort by their beginning.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(pub(crate) String);

impl OperationId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn new(started: WallClock) -> Self {
        let nanos = u32::try_from(started.0 % 1000).unwrap_or(0) * 1_000_000;
        let moment = Timestamp::from_unix(NoContext, started.0 / 1000, nanos);
        Self(Uuid::new_v7(moment).to_string())
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did what it was begun for.
    Done,
    /// It did not, and something is left for a person.
    Failed,
    /// Everything was put back as it was before.
    BackedOut,
}

words!(Outcome { Done => "done", Failed => "failed", BackedOut => "backed_out" });

/// One failover or switchover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationRecord {
    /// Its id.
    pub id: OperationId,
    /// The cluster's name.
    pub cluster: String,
    /// `failover`, `switchover`, ... as whoever began it called it.
    pub kind: String,
    /// When it began.
    pub started: WallClock,
    /// When it ended; `None` while it runs, or after a manager was killed in the midst of it.
    pub finished: Option<WallClock>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// What happened, in one sentence.
    pub sentence: Option<String>,
    /// When it passed the point from which it can only go forward.
    pub past_no_return: Option<WallClock>,
    /// The latest generation of its plan.
    pub plan: Value,
}

impl Store {
    /// Begins an operation and stores the first generation of its plan. A cluster has at most one
    /// unfinished operation; the table itself refuses a second.
    pub fn begin(
        &self,
        cluster: &str,
        kind: &str,
        plan: &Value,
        started: WallClock,
    ) -> Result<OperationId, StoreError> {
        let id = OperationId::new(started);
        self.write(|transaction| {
            if let Some(running) = unfinished(transaction, cluster).map_err(|e| self.error(e))? {
                return Err(StoreError::AlreadyRunning {
                    cluster: running.cluster,
                    id: running.id,
                    kind: running.kind,
                    started: running.started,
                });
            }
            let beside = false;
            insert(transaction, &id, cluster, kind, plan, started, beside)
                .map_err(|e| self.error(e))
        })?;
        Ok(id)
    }

    /// Begins work that goes on beside the cluster's operations: it hinders none of them, and is not
    /// taken up again by a manager that finds it unfinished.
    pub fn begin_beside(
        &self,
        cluster: &str,
        kind: &str,
        plan: &Value,
        started: WallClock,
    ) -> Result<OperationId, StoreError> {
        let id = OperationId::new(started);
        let beside = true;
        self.write(|transaction| {
            insert(transaction, &id, cluster, kind, plan, started, beside)
                .map_err(|e| self.error(e))
        })?;
        Ok(id)
    }

    /// What of this kind was begun beside a cluster's operations and never ended, the oldest first.
    pub fn unfinished_beside(
        &self,
        cluster: &str,
        kind: &str,
    ) -> Result<Vec<OperationRecord>, StoreError> {
        self.beside(cluster, kind, "AND finished IS NULL")
    }

    /// What of this kind was ever begun beside a cluster's operations, the oldest first.
    pub fn all_beside(
        &self,
        cluster: &str,
        kind: &str,
    ) -> Result<Vec<OperationRecord>, StoreError> {
        self.beside(cluster, kind, "")
    }

    /// What of this kind was begun beside a cluster's operations, and `and` is true of.
    fn beside(
        &self,
        cluster: &str,
        kind: &str,
        and: &'static str,
    ) -> Result<Vec<OperationRecord>, StoreError> {
        self.run(|connection| {
            let mut query = connection.prepare_cached(&format!(
                "{SELECT} WHERE cluster = ?1 AND kind = ?2 AND beside = 1 {and} ORDER BY seq"
            ))?;
            query.query_map([cluster, kind], record)?.collect::<Result<Vec<_>, _>>()
        })
    }

    /// Ends what of this kind was begun beside a cluster's operations and never ended: it was given
    /// up, or its manager was killed.
    pub fn end_besides(
        &self,
        cluster: &str,
        kind: &str,
        sentence: &str,
        at: WallClock,
    ) -> Result<usize, StoreError> {
        self.run(|connection| {
            connection.execute(
                "UPDATE operation SET finished = :at, outcome = :outcome, sentence = :sentence
                 WHERE cluster = :cluster AND kind = :kind AND beside = 1 AND finished IS NULL",
                named_params! {
                    ":cluster": cluster, ":kind": kind, ":at": At(at), ":outcome": Outcome::Failed,
                    ":sentence": sentence,
                },
            )
        })
    }

    /// Notes that from here on the operation can only go forward. The first note counts.
    pub fn mark_no_return(&self, id: &OperationId, at: WallClock) -> Result<(), StoreError> {
        self.change(id, |transaction| no_return_from(transaction, id, at))
    }

    /// Ends an operation; its journal is not written any more after this.
    pub fn finish(
        &self,
        id: &OperationId,
        outcome: Outcome,
        sentence: &str,
        at: WallClock,
    ) -> Result<(), StoreError> {
        self.change(id, |transaction| {
            transaction.execute(
                "UPDATE operation SET finished = :at, outcome = :outcome, sentence = :sentence
                 WHERE id = :id",
                named_params! {
                    ":id": id.as_str(), ":at": At(at), ":outcome": outcome, ":sentence": sentence,
                },
            )
        })
    }

    /// The operation of this cluster that was begun and not finished: it runs now, or a manager
    /// was killed in the midst of it.
    pub fn unfinished(&self, cluster: &str) -> Result<Option<OperationRecord>, StoreError> {
        self.run(|connection| unfinished(connection, cluster))
    }

    /// The operation with this id, or with the only id that begins like this.
    pub fn operation(&self, id: &str) -> Result<OperationRecord, StoreError> {
        let given = id.to_ascii_lowercase();
        let literal = given.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        let mut found = self.run(|connection| {
            let mut query = connection.prepare_cached(&format!(
                "{SELECT} WHERE operation.id LIKE ?1 || '%' ESCAPE '\\' ORDER BY seq DESC LIMIT 5"
            ))?;
            query.query_map([&literal], record)?.collect::<Result<Vec<_>, _>>()
        })?;
        match found.len() {
            1 if !given.is_empty() => Ok(found.remove(0)),
            _ => Err(StoreError::UnknownOperation {
                given: id.to_owned(),
                matches: found.into_iter().map(|operation| operation.id.0).collect(),
            }),
        }
    }

    /// The latest operations, newest first, of one cluster or of all.
    pub fn operations(
        &self,
        cluster: Option<&str>,
        limit: usize,
    ) -> Result<Vec<OperationRecord>, StoreError> {
        self.run(|connection| {
            let mut query = connection.prepare_cached(&format!(
                "{SELECT} WHERE ?1 IS NULL OR cluster = ?1 ORDER BY seq DESC LIMIT ?2"
            ))?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            query.query_map((cluster, limit), record)?.collect()
        })
    }

    /// Runs a change of an operation that exists and is not finished.
    pub(crate) fn change<T>(
        &self,
        id: &OperationId,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let finished: Option<bool> = transaction
                .prepare_cached("SELECT finished IS NOT NULL FROM operation WHERE id = ?1")
                .and_then(|mut query| query.query_row([id.as_str()], |row| row.get(0)).optional())
                .map_err(|source| self.error(source))?;
            match finished {
                None => {
                    Err(StoreError::UnknownOperation { given: id.to_string(), matches: Vec::new() })
                }
                Some(true) => Err(StoreError::Finished { id: id.clone() }),
                Some(false) => work(transaction).map(drop).map_err(|source| self.error(source)),
            }
        })
    }
}

/// Notes the point of no return inside a write.
pub(crate) fn no_return_from(
    transaction: &Transaction<'_>,
    id: &OperationId,
    at: WallClock,
) -> Result<usize, rusqlite::Error> {
    transaction.execute(
        "UPDATE operation SET past_no_return = coalesce(past_no_return, ?2) WHERE id = ?1",
        (id.as_str(), At(at)),
    )
}

const SELECT: &str = "SELECT id, cluster, kind, started, finished, outcome, sentence, \
     past_no_return, (SELECT plan FROM plan WHERE plan.operation = operation.id \
     ORDER BY generation DESC LIMIT 1) FROM operation";

fn insert(
    transaction: &Transaction<'_>,
    id: &OperationId,
    cluster: &str,
    kind: &str,
    plan: &Value,
    started: WallClock,
    beside: bool,
) -> Result<(), rusqlite::Error> {
    transaction.execute(
        "INSERT INTO operation (id, cluster, kind, started, beside) VALUES (?1, ?2, ?3, ?4, ?5)",
        (id.as_str(), cluster, kind, At(started), beside),
    )?;
    transaction.execute(
        "INSERT INTO plan (operation, generation, plan) VALUES (?1, 1, ?2)",
        (id.as_str(), plan.to_string()),
    )?;
    Ok(())
}

fn unfinished(
    connection: &Connection,
    cluster: &str,
) -> Result<Option<OperationRecord>, rusqlite::Error> {
    connection
        .prepare_cached(&format!(
            "{SELECT} WHERE cluster = ?1 AND finished IS NULL AND beside = 0"
        ))?
        .query_row([cluster], record)
        .optional()
}

fn record(row: &Row<'_>) -> Result<OperationRecord, rusqlite::Error> {
    Ok(OperationRecord {
        id: OperationId(row.get(0)?),
        cluster: row.get(1)?,
        kind: row.get(2)?,
        started: row.get::<_, At>(3)?.0,
        finished: row.get::<_, Option<At>>(4)?.map(|at| at.0),
        outcome: row.get(5)?,
        sentence: row.get(6)?,
        past_no_return: row.get::<_, Option<At>>(7)?.map(|at| at.0),
        plan: row.get::<_, Json>(8)?.0,
    })
}
