//! Servers that an operation left behind: a former primary that has not come back yet, and what is
//! known of one that has.

use primacy_types::Address;
use rusqlite::named_params;
use serde_json::Value;

use crate::row::Json;
use crate::{Store, StoreError};

impl Store {
    /// Keeps what is known of a server that is not in its place; it is on disk when this returns.
    pub fn set_absence(
        &self,
        cluster: &str,
        server: &Address,
        record: &Value,
    ) -> Result<(), StoreError> {
        self.run(|connection| {
            connection.execute(
                "INSERT INTO absence (cluster, address, record)
                 VALUES (:cluster, :address, :record)
                 ON CONFLICT (cluster, address) DO UPDATE SET record = excluded.record",
                named_params! {
                    ":cluster": cluster, ":address": server.to_string(),
                    ":record": record.to_string(),
                },
            )
        })?;
        Ok(())
    }

    /// The server is in its place again.
    pub fn end_absence(&self, cluster: &str, server: &Address) -> Result<(), StoreError> {
        self.run(|connection| {
            connection.execute(
                "DELETE FROM absence WHERE cluster = ?1 AND address = ?2",
                (cluster, server.to_string()),
            )
        })?;
        Ok(())
    }

    /// The servers of a cluster that are not in their places.
    pub fn absences(&self, cluster: &str) -> Result<Vec<(Address, Value)>, StoreError> {
        let rows: Vec<(String, Json)> = self.run(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT address, record FROM absence WHERE cluster = ?1 ORDER BY address",
            )?;
            query.query_map([cluster], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })?;
        let known = rows.into_iter();
        Ok(known.filter_map(|(address, record)| Some((address.parse().ok()?, record.0))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_server_is_absent_until_it_is_back_in_its_place() {
        let store = Store::in_memory().unwrap();
        let server: Address = "db1:3306".parse().unwrap();
        store.set_absence("c", &server, &json!({"a": 1})).unwrap();
        store.set_absence("c", &server, &json!({"a": 2})).unwrap();
        assert_eq!(store.absences("c").unwrap(), [(server.clone(), json!({"a": 2}))]);
        assert!(store.absences("other").unwrap().is_empty());
        store.end_absence("c", &server).unwrap();
        assert!(store.absences("c").unwrap().is_empty());
    }
}
