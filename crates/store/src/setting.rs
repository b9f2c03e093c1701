//! Settings of servers that are changed for a moment, with what they were: whoever finds one here puts
//! it back.

use primacy_types::Address;
use rusqlite::named_params;

use crate::{Store, StoreError};

/// A setting that is not as people left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedSetting {
    /// The server.
    pub address: Address,
    /// The variable.
    pub name: String,
    /// What it was.
    pub former: String,
}

impl Store {
    /// Notes what a setting is before it is changed; it is on disk when this returns. What was noted
    /// first stays: it is what the setting was before anybody changed it.
    pub fn note_setting(
        &self,
        cluster: &str,
        server: &Address,
        name: &str,
        former: &str,
    ) -> Result<(), StoreError> {
        self.run(|connection| {
            connection.execute(
                "INSERT INTO changed_setting (cluster, address, name, former)
                 VALUES (:cluster, :address, :name, :former)
                 ON CONFLICT (cluster, address, name) DO NOTHING",
                named_params! {
                    ":cluster": cluster, ":address": server.to_string(),
                    ":name": name, ":former": former,
                },
            )
        })?;
        Ok(())
    }

    /// The setting is as it was.
    pub fn forget_setting(
        &self,
        cluster: &str,
        server: &Address,
        name: &str,
    ) -> Result<(), StoreError> {
        self.run(|connection| {
            connection.execute(
                "DELETE FROM changed_setting WHERE cluster = ?1 AND address = ?2 AND name = ?3",
                (cluster, server.to_string(), name),
            )
        })?;
        Ok(())
    }

    /// The settings of a cluster's servers that are still to be put back.
    pub fn changed_settings(&self, cluster: &str) -> Result<Vec<ChangedSetting>, StoreError> {
        let rows: Vec<(String, String, String)> = self.run(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT address, name, former FROM changed_setting WHERE cluster = ?1
                 ORDER BY address, name",
            )?;
            query.query_map([cluster], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
        })?;
        let known = rows.into_iter().filter_map(|(address, name, former)| {
            Some(ChangedSetting { address: address.parse().ok()?, name, former })
        });
        Ok(known.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_known_as_it_was_at_first_until_it_is_put_back() {
        let store = Store::in_memory().unwrap();
        let server: Address = "db1:3306".parse().unwrap();
        store.note_setting("c", &server, "relay_log_purge", "0").unwrap();
        store.note_setting("c", &server, "relay_log_purge", "1").unwrap();
        let [one] = store.changed_settings("c").unwrap().try_into().unwrap();
        assert_eq!((&one.address, &*one.former), (&server, "0"));
        assert!(store.changed_settings("other").unwrap().is_empty());
        store.forget_setting("c", &server, "relay_log_purge").unwrap();
        assert!(store.changed_settings("c").unwrap().is_empty());
    }
}
