//! What is known of a cluster from one run to the next: its primary, epoch and pause.

use primacy_types::{Address, Epoch, WallClock};
use rusqlite::{Connection, OptionalExtension, Row, named_params};
use serde::{Deserialize, Serialize};

use crate::row::{At, signed, unsigned};
use crate::{Store, StoreError};

/// The stored state of one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRecord {
    /// The cluster's name in the configuration.
    pub name: String,
    /// The primary of the current epoch, once one was seen.
    pub primary: Option<Address>,
    /// The reign's number; 0 before the first.
    pub epoch: Epoch,
    /// A person asked Primacy to watch only.
    pub paused: bool,
    /// Why, in that person's words.
    pub paused_reason: Option<String>,
    /// When the last failover ended, for the brake against flapping.
    pub last_failover: Option<WallClock>,
    /// When this record last changed.
    pub updated: WallClock,
}

impl Store {
    /// The record of a cluster; `None` before anything was stored for it.
    pub fn cluster(&self, name: &str) -> Result<Option<ClusterRecord>, StoreError> {
        self.run(|connection| select(connection, name))?.map(TryInto::try_into).transpose()
    }

    /// Notes who reigns. Refused if the epoch is lower than the stored one, or the same with
    /// another primary: an epoch has one primary, and never goes back.
    pub fn set_primary(
        &self,
        name: &str,
        primary: &Address,
        epoch: Epoch,
        now: WallClock,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let stored = select(transaction, name)
                .map_err(|source| self.error(source))?
                .map(ClusterRecord::try_from)
                .transpose()?;
            if let Some(stored) = stored {
                let another = stored.primary.as_ref().is_some_and(|known| known != primary);
                if epoch < stored.epoch || (epoch == stored.epoch && another) {
                    return Err(StoreError::EpochWentBack {
                        cluster: name.to_owned(),
                        stored: stored.epoch,
                        stored_primary: stored.primary,
                        offered: epoch,
                        offered_primary: primary.clone(),
                    });
                }
            }
            transaction
                .execute(
                    "INSERT INTO cluster (name, primary_address, epoch, updated)
                     VALUES (:name, :primary, :epoch, :now)
                     ON CONFLICT (name) DO UPDATE SET primary_address = excluded.primary_address,
                        epoch = excluded.epoch, updated = excluded.updated",
                    named_params! {
                        ":name": name, ":primary": primary.to_string(),
                        ":epoch": signed(epoch.0), ":now": At(now),
                    },
                )
                .map_err(|source| self.error(source))?;
            Ok(())
        })
    }

    /// Notes that a person paused or resumed the cluster; the reason is kept while paused.
    pub fn set_paused(
        &self,
        name: &str,
        paused: bool,
        reason: Option<&str>,
        now: WallClock,
    ) -> Result<(), StoreError> {
        let reason = reason.filter(|_| paused);
        self.run(|connection| {
            connection.execute(
                "INSERT INTO cluster (name, paused, paused_reason, updated)
                 VALUES (:name, :paused, :reason, :now)
                 ON CONFLICT (name) DO UPDATE SET paused = excluded.paused,
                    paused_reason = excluded.paused_reason, updated = excluded.updated",
                named_params! {
                    ":name": name, ":paused": paused, ":reason": reason, ":now": At(now),
                },
            )
        })?;
        Ok(())
    }

    /// Notes when the last failover ended; `None` forgets it, so that the next is not held back.
    pub fn set_last_failover(
        &self,
        name: &str,
        at: Option<WallClock>,
        now: WallClock,
    ) -> Result<(), StoreError> {
        self.run(|connection| {
            connection.execute(
                "INSERT INTO cluster (name, last_failover, updated) VALUES (:name, :at, :now)
                 ON CONFLICT (name) DO UPDATE SET last_failover = excluded.last_failover,
                    updated = excluded.updated",
                named_params! { ":name": name, ":at": at.map(At), ":now": At(now) },
            )
        })?;
        Ok(())
    }

    /// Keeps which leases may be in force; it is on disk when this returns.
    pub fn set_leases(&self, name: &str, record: &serde_json::Value) -> Result<(), StoreError> {
        self.run(|connection| {
            connection.execute(
                "INSERT INTO lease (cluster, record) VALUES (:name, :record)
                 ON CONFLICT (cluster) DO UPDATE SET record = excluded.record",
                named_params! { ":name": name, ":record": record.to_string() },
            )
        })?;
        Ok(())
    }

    /// Which leases may be in force, as it was kept; `None` if nothing was.
    pub fn leases(&self, name: &str) -> Result<Option<serde_json::Value>, StoreError> {
        let text: Option<String> = self.run(|connection| {
            connection
                .prepare_cached("SELECT record FROM lease WHERE cluster = :name")?
                .query_row(named_params! { ":name": name }, |row| row.get(0))
                .optional()
        })?;
        text.map(|text| serde_json::from_str(&text)).transpose().map_err(|error| {
            let source = rusqlite::Error::FromSqlConversionFailure(
                0,
                rusqlite::types::Type::Text,
                error.into(),
            );
            self.error(source)
        })
    }

    /// Every cluster that has a record, by name.
    pub fn clusters(&self) -> Result<Vec<ClusterRecord>, StoreError> {
        self.run(|connection| {
            let mut query = connection.prepare_cached(&format!("{SELECT} ORDER BY name"))?;
            query.query_map([], stored)?.collect::<Result<Vec<_>, _>>()
        })?
        .into_iter()
        .map(TryInto::try_into)
        .collect()
    }
}

const SELECT: &str = "SELECT name, primary_address, epoch, paused, paused_reason, last_failover, updated FROM cluster";

/// The record before its address was parsed.
struct Stored {
    record: ClusterRecord,
    primary: Option<String>,
}

fn select(connection: &Connection, name: &str) -> Result<Option<Stored>, rusqlite::Error> {
    let mut query = connection.prepare_cached(&format!("{SELECT} WHERE name = ?1"))?;
    query.query_row([name], stored).optional()
}

fn stored(row: &Row<'_>) -> Result<Stored, rusqlite::Error> {
    Ok(Stored {
        primary: row.get(1)?,
        record: ClusterRecord {
            name: row.get(0)?,
            primary: None,
            epoch: Epoch(unsigned(row.get(2)?)),
            paused: row.get(3)?,
            paused_reason: row.get(4)?,
            last_failover: row.get::<_, Option<At>>(5)?.map(|at| at.0),
            updated: row.get::<_, At>(6)?.0,
        },
    })
}

impl TryFrom<Stored> for ClusterRecord {
    type Error = StoreError;

    fn try_from(Stored { mut record, primary }: Stored) -> Result<Self, StoreError> {
        record.primary = match primary {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| StoreError::Unreadable {
                what: "a primary's address",
                value: text,
            })?),
        };
        Ok(record)
    }
}
