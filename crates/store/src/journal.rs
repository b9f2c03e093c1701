//! What an operation wrote down while it ran: steps, plan generations, saved settings.

use primacy_types::WallClock;
use rusqlite::{OptionalExtension, named_params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::operation::no_return_from;
use crate::row::{At, Json, words};
use crate::{OperationId, Store, StoreError};

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Written before the step touches anything.
    Started,
    /// It did its work.
    Done,
    /// It did not; what it may have touched is in the detail.
    Failed,
    /// There was nothing to do, or the plan allows to go on without it.
    Skipped,
    /// What it did was taken back.
    Undone,
}

words!(StepState {
    Started => "started", Done => "done", Failed => "failed", Skipped => "skipped",
    Undone => "undone",
});

/// One line of an operation's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// The step's number in the plan.
    pub step: u32,
    /// The step's name, for people.
    pub name: String,
    /// Where the step stands now.
    pub state: StepState,
    /// When.
    pub at: WallClock,
    /// Whatever the step wants to find again.
    pub detail: Value,
}

/// One generation of an operation's plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPlan {
    /// 1 for the plan that the operation was begun with.
    pub generation: u32,
    /// The plan.
    pub plan: Value,
}

impl Store {
    /// Appends a line; it is on disk when this returns.
    pub fn journal(&self, id: &OperationId, entry: &JournalEntry) -> Result<(), StoreError> {
        self.journal_all(id, std::slice::from_ref(entry), None)
    }

    /// Appends lines in one write; all are on disk when this returns, or none. `no_return` also
    /// notes, in the same write, that from here on the operation can only go forward.
    pub fn journal_all(
        &self,
        id: &OperationId,
        entries: &[JournalEntry],
        no_return: Option<WallClock>,
    ) -> Result<(), StoreError> {
        self.change(id, |transaction| {
            if let Some(at) = no_return {
                no_return_from(transaction, id, at)?;
            }
            let mut insert = transaction.prepare_cached(
                "INSERT INTO journal (operation, step, name, state, at, detail)
                 VALUES (:id, :step, :name, :state, :at, :detail)",
            )?;
            for entry in entries {
                insert.execute(named_params! {
                    ":id": id.as_str(), ":step": entry.step, ":name": entry.name,
                    ":state": entry.state, ":at": At(entry.at),
                    ":detail": entry.detail.to_string(),
                })?;
            }
            Ok(())
        })
    }

    /// The journal of an operation, oldest line first.
    pub fn entries(&self, id: &OperationId) -> Result<Vec<JournalEntry>, StoreError> {
        self.run(|connection| {
            connection
                .prepare_cached(
                    "SELECT step, name, state, at, detail FROM journal
                     WHERE operation = ?1 ORDER BY seq",
                )?
                .query_map([id.as_str()], |row| {
                    Ok(JournalEntry {
                        step: row.get(0)?,
                        name: row.get(1)?,
                        state: row.get(2)?,
                        at: row.get::<_, At>(3)?.0,
                        detail: row.get::<_, Json>(4)?.0,
                    })
                })?
                .collect()
        })
    }

    /// Stores a later generation of the plan; earlier ones stay. The same generation may be
    /// written again (a resumed step repeats itself).
    pub fn set_plan(
        &self,
        id: &OperationId,
        generation: u32,
        plan: &Value,
    ) -> Result<(), StoreError> {
        self.change(id, |transaction| {
            transaction.execute(
                "INSERT INTO plan (operation, generation, plan) VALUES (?1, ?2, ?3)
                 ON CONFLICT (operation, generation) DO UPDATE SET plan = excluded.plan",
                (id.as_str(), generation, plan.to_string()),
            )
        })
    }

    /// All generations of the plan, oldest first.
    pub fn plans(&self, id: &OperationId) -> Result<Vec<StoredPlan>, StoreError> {
        self.run(|connection| {
            connection
                .prepare_cached(
                    "SELECT generation, plan FROM plan WHERE operation = ?1 ORDER BY generation",
                )?
                .query_map([id.as_str()], |row| {
                    Ok(StoredPlan { generation: row.get(0)?, plan: row.get::<_, Json>(1)?.0 })
                })?
                .collect()
        })
    }

    /// Keeps a value under a key, for example a replica's settings before they are changed. A
    /// later value replaces the earlier one.
    pub fn set_data(&self, id: &OperationId, key: &str, value: &Value) -> Result<(), StoreError> {
        self.change(id, |transaction| {
            transaction.execute(
                "INSERT INTO data (operation, key, value) VALUES (?1, ?2, ?3)
                 ON CONFLICT (operation, key) DO UPDATE SET value = excluded.value",
                (id.as_str(), key, value.to_string()),
            )
        })
    }

    /// The value kept under a key.
    pub fn data(&self, id: &OperationId, key: &str) -> Result<Option<Value>, StoreError> {
        self.run(|connection| {
            connection
                .prepare_cached("SELECT value FROM data WHERE operation = ?1 AND key = ?2")?
                .query_row((id.as_str(), key), |row| Ok(row.get::<_, Json>(0)?.0))
                .optional()
        })
    }
}
