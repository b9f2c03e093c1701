//! The table `primacy.epoch`: the reign, written by each new primary as its first transaction and
//! carried to the replicas by replication itself.

use primacy_types::{Address, Epoch};
use primacy_wire::quote;

use super::Dialect;

impl Dialect {
    /// What creates the table where it is missing; the same on every version.
    pub fn create_epoch_table(self) -> [&'static str; 2] {
        [
            "CREATE DATABASE IF NOT EXISTS primacy",
            "CREATE TABLE IF NOT EXISTS primacy.epoch (\
             cluster VARCHAR(64) NOT NULL, epoch BIGINT UNSIGNED NOT NULL, \
             primary_server VARCHAR(255) NOT NULL, at_utc DATETIME(3) NOT NULL, \
             PRIMARY KEY (cluster)) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        ]
    }

    /// Records a reign; one that is already higher stays. The column `epoch` is set last because
    /// assignments see those before them.
    pub fn write_epoch(self, cluster: &str, epoch: Epoch, primary: &Address) -> String {
        let (cluster, primary) = (quote(cluster), quote(&primary.to_string()));
        format!(
            "INSERT INTO primacy.epoch (cluster, epoch, primary_server, at_utc) \
             VALUES ({cluster}, {epoch}, {primary}, UTC_TIMESTAMP(3)) ON DUPLICATE KEY UPDATE \
             primary_server = IF(epoch <= {epoch}, {primary}, primary_server), \
             at_utc = IF(epoch <= {epoch}, UTC_TIMESTAMP(3), at_utc), \
             epoch = GREATEST(epoch, {epoch})"
        )
    }

    /// The highest reign that the table knows, as `epoch`; NULL if it is empty. A server belongs
    /// to one cluster, so a row under a former name counts too.
    pub fn read_epoch(self) -> &'static str {
        "SELECT MAX(epoch) AS epoch FROM primacy.epoch"
    }
}
