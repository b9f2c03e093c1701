//! Appliers that stand in the middle of a transaction whose rest never came.
//!
//! MySQL's parallel applier answers STOP only when it has given a whole transaction to its workers,
//! or after 60 s (`SLAVE_WAIT_GROUP_DONE`; seen on 9.7). A source that died while it was sending
//! leaves a transaction without an end in the relay log, and nothing but KILL of the coordinator
//! ends it sooner: its worker rolls back, and error 1756 stays behind until the next START or CHANGE.
//! MySQL's single-threaded applier and MariaDB's stop at once.

use primacy_wire::{Row, quote};

use super::{Dialect, Feature};

/// `ER_MTS_INCONSISTENT_DATA` (and its new name, `ER_MTA_INCONSISTENT_DATA`): the coordinator was
/// ended in the middle of a transaction. By itself it says nothing of a transaction that could not
/// be applied: that has an error of its own, which is shown instead.
pub(crate) const ENDED_IN_THE_MIDDLE: u32 = 1756;

/// Where a coordinator is that can be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// No transaction without an end.
    No,
    /// There is one; the session id of the coordinator, for KILL.
    Yes(u64),
    /// There is one, or may be, and its coordinator is one of the idle appliers of the process
    /// list.
    AmongIdle,
}

impl Dialect {
    /// Asks whether the applier of a channel has read all of its relay log and stands in the middle
    /// of a transaction; the receiver must be stopped. `None` where no table says it.
    pub fn unfinished_transaction(self, channel: &str) -> Option<String> {
        self.has(Feature::ProcessingTransaction).then(|| {
            format!(
                "SELECT c.PROCESSING_TRANSACTION <> '' AS unfinished, \
                 t.PROCESSLIST_ID AS session, t.PROCESSLIST_STATE AS state \
                 FROM performance_schema.replication_applier_status_by_coordinator c \
                 LEFT JOIN performance_schema.threads t USING (THREAD_ID) \
                 WHERE c.CHANNEL_NAME = {}",
                quote(channel)
            )
        })
    }

    /// Reads the answer.
    pub fn unfinished_from(self, row: Option<&Row>) -> Unfinished {
        let Some(row) = row.filter(|row| row.get("unfinished") == Some("1")) else {
            return Unfinished::No;
        };
        match (row.get("session").and_then(|id| id.parse().ok()), row.get("state")) {
            (Some(session), Some(state)) if waits_for_more(state) => Unfinished::Yes(session),
            // It goes on: a STOP waits for the end, which is there.
            (Some(_), Some(_)) => Unfinished::No,
            // `performance_schema` is off.
            _ => Unfinished::AmongIdle,
        }
    }

    /// Whether STOP may have to wait for a transaction without an end.
    pub fn stop_may_wait(self) -> bool {
        !self.is_mariadb()
    }

    /// How many threads apply side by side, where no table tells of their transactions.
    pub fn old_parallel_workers(self) -> &'static str {
        "SELECT @@global.slave_parallel_workers"
    }

    /// Of the process list: a thread of replication that is at work. A coordinator that has read
    /// all of the relay log says nothing of its workers, which may apply a long transaction or wait
    /// for a lock. A state that is not known counts as work.
    pub fn is_busy_applier(self, row: &Row) -> bool {
        const IDLE: &[&str] = &[
            // Workers, of MySQL and of MariaDB; also in the middle of a transaction of which no
            // more has come.
            "Waiting for an event from Coordinator",
            "Waiting for work from SQL thread",
            // Receivers of other channels.
            "Waiting for source to send event",
            "Waiting for master to send event",
            "Reconnecting after",
            "Waiting to reconnect after",
            "Connecting to",
        ];
        let state = row.get("State").unwrap_or_default();
        row.get("User") == Some("system user")
            && row.get("Command") != Some("Daemon")
            && !waits_for_more(state)
            && !IDLE.iter().any(|idle| state.starts_with(idle))
    }

    /// Of the process list: appliers that have nothing more to read.
    pub fn idle_applier(self, row: &Row) -> Option<u64> {
        let idle =
            row.get("User") == Some("system user") && row.get("State").is_some_and(waits_for_more);
        idle.then(|| row.get("Id")?.parse().ok()).flatten()
    }
}

/// Both vocabularies, all versions: `Slave has read all relay log; waiting for the slave I/O
/// thread to update it` (5.6), `...; waiting for more updates`, `Replica has read all ...`. With
/// parallel appliers it is the coordinator's state: its workers may still be busy, so that what is
/// executed decides, not this alone.
pub(crate) fn waits_for_more(state: &str) -> bool {
    ["Slave has read all relay log", "Replica has read all relay log"]
        .iter()
        .any(|text| state.starts_with(text))
}

#[cfg(test)]
mod tests {
    use primacy_types::ServerVersion;

    use super::*;
    use crate::fixture::rows;

    const MYSQL: Dialect = Dialect::of(ServerVersion::mysql(9, 7, 4));

    fn read(text: &str) -> Unfinished {
        MYSQL.unfinished_from(rows(text).first())
    }

    #[test]
    fn only_an_idle_coordinator_in_the_middle_of_a_transaction_is_ended() {
        let idle = "Replica has read all relay log; waiting for more updates";
        let row = |unfinished, session, state| {
            format!("*** 1 ***\nunfinished: {unfinished}\nsession: {session}\nstate: {state}\n")
        };
        assert_eq!(read(&row(1, "14", idle)), Unfinished::Yes(14));
        assert_eq!(read(&row(0, "14", idle)), Unfinished::No);
        let busy = "Waiting for dependent transaction to commit";
        assert_eq!(read(&row(1, "14", busy)), Unfinished::No);
        // Without the table of threads.
        assert_eq!(read(&row(1, "NULL", "NULL")), Unfinished::AmongIdle);
        assert_eq!(read(""), Unfinished::No);
    }

    #[test]
    fn versions_without_the_column_are_asked_otherwise() {
        assert!(Dialect::of(ServerVersion::mysql(5, 7, 44)).unfinished_transaction("").is_none());
        assert!(!Dialect::of(ServerVersion::mariadb(10, 11, 6)).stop_may_wait());
    }

    #[test]
    fn a_worker_that_waits_for_a_lock_is_busy() {
        let list = rows(
            "*** 1 ***\nId: 14\nUser: system user\nCommand: Query\nState: Replica has read all \
             relay log; waiting for more updates\n\
             *** 2 ***\nId: 15\nUser: system user\nCommand: Connect\nState: Waiting for an event \
             from Coordinator\n\
             *** 3 ***\nId: 16\nUser: system user\nCommand: Query\nState: Waiting for table \
             metadata lock\n\
             *** 4 ***\nId: 17\nUser: system user\nCommand: Slave_worker\nState: Waiting for work \
             from SQL thread\n\
             *** 5 ***\nId: 18\nUser: system user\nCommand: Daemon\nState: InnoDB purge worker\n\
             *** 6 ***\nId: 19\nUser: app\nCommand: Query\nState: Updating\n",
        );
        let busy: Vec<_> = list
            .iter()
            .filter(|row| MYSQL.is_busy_applier(row))
            .filter_map(|r| r.get("Id"))
            .collect();
        assert_eq!(busy, ["16"]);
    }

    #[test]
    fn an_idle_applier_is_known_in_the_process_list() {
        let list = rows(
            "*** 1 ***\nId: 5\nUser: event_scheduler\nState: Waiting on empty queue\n\
             *** 2 ***\nId: 14\nUser: system user\nState: Slave has read all relay log; waiting \
             for the slave I/O thread to update it\n\
             *** 3 ***\nId: 15\nUser: system user\nState: Waiting for an event from Coordinator\n",
        );
        let idle: Vec<_> = list.iter().filter_map(|row| MYSQL.idle_applier(row)).collect();
        assert_eq!(idle, [14]);
    }
}
