//! What servers last said of themselves, kept from one run of the manager to the next: one that is
//! dead when the manager starts can say nothing, and its files are to be found all the same.

use primacy_types::{Address, WallClock};
use rusqlite::named_params;
use serde_json::Value;

use crate::row::{At, Json};
use crate::{Store, StoreError};

/// A server as it was last seen.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerRecord {
    /// Where it listens.
    pub address: Address,
    /// What it said of itself.
    pub facts: Value,
    /// Its process was seen on this machine.
    pub local: bool,
    /// When this was written.
    pub seen: WallClock,
}

impl Store {
    /// Keeps what a server said of itself.
    pub fn remember_server(
        &self,
        cluster: &str,
        server: &Address,
        facts: &Value,
        now: WallClock,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction
                .execute(
                    "INSERT INTO server (cluster, address, facts, seen)
                     VALUES (:cluster, :address, :facts, :seen)
                     ON CONFLICT (cluster, address)
                     DO UPDATE SET facts = excluded.facts, seen = excluded.seen",
                    named_params! {
                        ":cluster": cluster, ":address": server.to_string(),
                        ":facts": facts.to_string(), ":seen": At(now),
                    },
                )
                .map(drop)
                .map_err(|source| self.error(source))
        })
    }

    /// Keeps whether its process runs on this machine.
    pub fn remember_where(
        &self,
        cluster: &str,
        server: &Address,
        local: bool,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction
                .execute(
                    "UPDATE server SET local = ?3 WHERE cluster = ?1 AND address = ?2",
                    (cluster, server.to_string(), local),
                )
                .map(drop)
                .map_err(|source| self.error(source))
        })
    }

    /// What is kept of a cluster's servers.
    pub fn servers(&self, cluster: &str) -> Result<Vec<ServerRecord>, StoreError> {
        let rows: Vec<(String, Json, bool, At)> = self.run(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT address, facts, local, seen FROM server WHERE cluster = ?1",
            )?;
            let row =
                |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
            query.query_map([cluster], row)?.collect()
        })?;
        // An address that cannot be read is of no server that is configured now.
        let known = rows.into_iter().filter_map(|(address, facts, local, seen)| {
            let address = address.parse().ok()?;
            Some(ServerRecord { address, facts: facts.0, local, seen: seen.0 })
        });
        Ok(known.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_last_word_counts_and_where_it_runs_stays() {
        let store = Store::in_memory().unwrap();
        let server: Address = "db1:3306".parse().unwrap();
        store.remember_server("c", &server, &json!({"a": 1}), WallClock(5)).unwrap();
        store.remember_where("c", &server, true).unwrap();
        store.remember_server("c", &server, &json!({"a": 2}), WallClock(9)).unwrap();
        let all = store.servers("c").unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!(
            (&all[0].facts, all[0].local, all[0].seen),
            (&json!({"a": 2}), true, WallClock(9))
        );
        assert!(store.servers("other").unwrap().is_empty());
    }
}
