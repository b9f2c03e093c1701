//! The event scheduler's events: enabled on the primary, disabled on replicas.

use primacy_wire::{Rows, quote, quote_identifier};

use super::{Dialect, Feature};

/// Whether an event runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventState {
    /// It runs.
    Enabled,
    /// Somebody switched it off.
    Disabled,
    /// It runs on the source and is here as a copy (`SLAVESIDE_DISABLED`,
    /// `REPLICA_SIDE_DISABLED`).
    DisabledOnReplica,
}

/// A scheduled event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its database.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// `user@host` as which it runs.
    pub definer: String,
    /// Whether it runs here.
    pub state: EventState,
    /// `server_id` of the server where its state was last set.
    pub originator: u32,
}

impl Dialect {
    /// All events of the server that the account may see; for [`Dialect::events_from`].
    pub fn events(self) -> &'static str {
        "SELECT EVENT_SCHEMA, EVENT_NAME, DEFINER, STATUS, ORIGINATOR FROM \
         information_schema.EVENTS ORDER BY EVENT_SCHEMA, EVENT_NAME"
    }

    /// Reads the answer of [`Dialect::events`].
    pub fn events_from(self, rows: &Rows) -> Vec<Event> {
        let text = |cell: Option<&str>| cell.unwrap_or_default().to_owned();
        rows.iter()
            .map(|row| Event {
                schema: text(row.get("EVENT_SCHEMA")),
                name: text(row.get("EVENT_NAME")),
                definer: text(row.get("DEFINER")),
                state: match row.get("STATUS").unwrap_or_default() {
                    "ENABLED" => EventState::Enabled,
                    "SLAVESIDE_DISABLED" | "REPLICA_SIDE_DISABLED" => EventState::DisabledOnReplica,
                    _ => EventState::Disabled,
                },
                originator: row.get("ORIGINATOR").and_then(|n| n.parse().ok()).unwrap_or(0),
            })
            .collect()
    }

    /// Gives an event this state.
    ///
    /// The definer is named because `ALTER EVENT` without it makes the altering account the
    /// definer (seen on MySQL 5.6 and 9.7, MariaDB 10.5 to 11.8). It is written to the binary log:
    /// on a replica, switch `sql_log_bin` off first ([`Dialect::binlog_session`]).
    pub fn alter_event(self, event: &Event, state: EventState) -> String {
        let (user, host) = event.definer.rsplit_once('@').unwrap_or((&event.definer, "%"));
        let state = match state {
            EventState::Enabled => "ENABLE",
            EventState::Disabled => "DISABLE",
            EventState::DisabledOnReplica => {
                self.pick(Feature::EventOnReplica, "DISABLE ON REPLICA", "DISABLE ON SLAVE")
            }
        };
        format!(
            "ALTER DEFINER = {}@{} EVENT {}.{} {state}",
            quote_identifier(user),
            quote_identifier(host),
            quote_identifier(&event.schema),
            quote_identifier(&event.name),
        )
    }

    /// Whether this session's statements go to the binary log.
    pub fn binlog_session(self, on: bool) -> &'static str {
        if on { "SET SESSION sql_log_bin = 1" } else { "SET SESSION sql_log_bin = 0" }
    }

    /// Whether the event scheduler is to run on this server.
    pub fn event_scheduler(self, on: bool) -> String {
        format!("SET GLOBAL event_scheduler = {}", quote(if on { "ON" } else { "OFF" }))
    }
}
