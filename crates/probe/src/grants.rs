//! The least privileges of the accounts, per flavour and version, with the reason for each; and
//! which of them an account lacks.
//!
//! The list was found by taking each privilege away in turn on MySQL 5.6 and 9.7 and MariaDB 10.5,
//! 10.11 and 11.8, and running every statement of the crate.

mod held;
mod parts;

use std::time::Duration;

use primacy_wire::{Session, WireError};

use crate::dialect::{Dialect, Feature};

pub use held::Held;
pub use parts::Part;

/// What an account is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The manager's own.
    Manager,
    /// The one with which replicas read from their source.
    Replication,
    /// What the manager's account needs besides to undo what a returned primary alone has.
    Rewind,
    /// The one with which an agent looks at its servers, closes and opens them.
    Agent,
    /// What the agent's account needs besides to give its server's data as a logical dump.
    Dump,
}

/// Privileges on an object, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// As `GRANT` and `SHOW GRANTS` write them.
    pub privileges: &'static [&'static str],
    /// `*.*` or a schema's `name.*`.
    pub object: &'static str,
    /// One sentence.
    pub reason: &'static str,
    /// Without it something is not seen or not offered, and the rest works.
    pub optional: bool,
}

impl Grant {
    /// The statement, for an account as SQL writes it (`'primacy'@'%'`).
    pub fn sql(&self, account: &str) -> String {
        format!("GRANT {} ON {} TO {account}", self.privileges.join(", "), self.object)
    }
}

const fn need(privileges: &'static [&'static str], reason: &'static str) -> Grant {
    Grant { privileges, object: "*.*", reason, optional: false }
}

const fn on(
    object: &'static str,
    privileges: &'static [&'static str],
    reason: &'static str,
) -> Grant {
    Grant { privileges, object, reason, optional: false }
}

const fn optional(grant: Grant) -> Grant {
    Grant { optional: true, ..grant }
}

const PROCESS: Grant =
    need(&["PROCESS"], "Sees all sessions and open transactions before a switchover.");
const RELOAD: Grant = need(&["RELOAD"], "RESET REPLICA ALL on the winner of a failover.");
const EVENT: Grant =
    need(&["EVENT"], "Enables scheduled events on the new primary and disables them elsewhere.");
const EPOCH: Grant = on(
    "`primacy`.*",
    &["SELECT", "INSERT", "UPDATE", "CREATE"],
    "Records the epoch in the table primacy.epoch, and writes the row of write_probe in primacy.probe.",
);
const ACCOUNTS: Grant = optional(on(
    "`mysql`.*",
    &["SELECT"],
    "Finds accounts that ignore read_only (it also reads password hashes: leave it out if that \
     weighs more).",
));
const TABLES: Grant = on(
    "`performance_schema`.*",
    &["SELECT"],
    "Reads heartbeats and channel settings, and sees metadata locks.",
);
const STATUS: Grant =
    need(&["REPLICATION CLIENT"], "Reads the replica status and the end of the binary log.");
const DUMP: Grant = need(
    &["REPLICATION SLAVE"],
    "Lists the connected replicas, and reads the binary log of a source.",
);

/// MySQL 5.6 and 5.7.
const MYSQL_5: &[Grant] = &[
    DUMP,
    need(
        &["SUPER"],
        "Shows and controls replication and read_only, ends sessions, writes while read_only is \
         on, and connects when no connection is left.",
    ),
    PROCESS,
    RELOAD,
    EVENT,
    EPOCH,
    TABLES,
    ACCOUNTS,
];

/// MySQL 8.0 and later; the privilege for definers has two names.
macro_rules! mysql_8 {
    ($definer:literal $(, $more:expr)* $(,)?) => {
        &[
            $($more,)*
            STATUS,
            DUMP,
            need(&["REPLICATION_SLAVE_ADMIN"], "Starts, stops and repoints replication."),
            need(
                &["SYSTEM_VARIABLES_ADMIN"],
                "Sets read_only, super_read_only and semi-sync; keeps its own event changes out of \
                 the binary log.",
            ),
            need(
                &["CONNECTION_ADMIN"],
                "Ends application sessions, writes the epoch while read_only is on, and connects \
                 when no connection is left.",
            ),
            PROCESS,
            RELOAD,
            EVENT,
            need(&[$definer], "Alters events without becoming their definer."),
            EPOCH,
            TABLES,
            optional(need(&["XA_RECOVER_ADMIN"], "Lists prepared XA transactions.")),
            optional(need(
                &["SYSTEM_USER"],
                "Ends sessions of accounts that have SYSTEM_USER themselves.",
            )),
            ACCOUNTS,
        ]
    };
}

const MYSQL_8: &[Grant] = mysql_8!("SET_USER_ID");
const MYSQL_8_2: &[Grant] = mysql_8!(
    "SET_ANY_DEFINER",
    optional(need(&["BACKUP_ADMIN"], "Copies a donor's data in a rebuild.")),
    optional(need(&["CLONE_ADMIN"], "Lets a server fetch that data.")),
);

/// MariaDB 10.5 and later.
const MARIADB: &[Grant] = &[
    need(&["SLAVE MONITOR"], "Reads the replica status."),
    need(&["BINLOG MONITOR"], "Reads the end of the binary log and lists its files."),
    need(
        &["REPLICATION MASTER ADMIN"],
        "Lists the connected replicas; switches the source side of semi-sync.",
    ),
    need(
        &["REPLICATION SLAVE ADMIN"],
        "Starts, stops and repoints replication; sets gtid_slave_pos and the replica side of \
         semi-sync.",
    ),
    need(&["REPLICATION SLAVE"], "Reads the binary log of a source."),
    need(&["READ_ONLY ADMIN"], "Sets read_only, and writes the epoch while it is on."),
    need(
        &["CONNECTION ADMIN"],
        "Ends application sessions, and connects when no connection is left.",
    ),
    need(&["BINLOG ADMIN"], "Keeps its own event changes out of the binary log."),
    PROCESS,
    RELOAD,
    EVENT,
    need(&["SET USER"], "Alters events without becoming their definer."),
    EPOCH,
    optional(TABLES),
    ACCOUNTS,
];

const DEFINITIONS: Grant = need(
    &["REFERENCES"],
    "Sees the definitions of all tables, and foreign keys from any of them; it reads no rows.",
);
const REPLAY: &str = "Applies the row events that undo (BINLOG statements): to any table.";

/// MySQL 5.6 and 5.7: SUPER, which the manager has, does the rest.
const REWIND_MYSQL_5: &[Grant] = &[DEFINITIONS];
const REWIND_MYSQL_8: &[Grant] = &[need(&["BINLOG_ADMIN"], REPLAY), DEFINITIONS];
const REWIND_MARIADB: &[Grant] = &[need(&["BINLOG REPLAY"], REPLAY), DEFINITIONS];

/// Every flavour: reading the binary log is all that a replica does.
const REPLICATION: &[Grant] =
    &[need(&["REPLICATION SLAVE"], "Replicas read the source's binary log with it.")];

const AGENT_SEES: Grant = need(&["PROCESS"], "Sees the sessions that it has to end.");

/// MySQL 5.6 and 5.7: the agent's.
const MYSQL_5_AGENT: &[Grant] = &[
    need(&["SUPER"], "Sets read_only, ends sessions, and connects when no connection is left."),
    AGENT_SEES,
    STATUS,
];

/// MySQL 8.0 and later: the agent's.
const MYSQL_8_AGENT: &[Grant] = &[
    need(&["SYSTEM_VARIABLES_ADMIN"], "Sets read_only and super_read_only."),
    need(
        &["CONNECTION_ADMIN"],
        "Ends application sessions, and connects when no connection is left.",
    ),
    AGENT_SEES,
    STATUS,
    optional(need(&["SYSTEM_USER"], "Ends sessions of accounts that have SYSTEM_USER themselves.")),
];

/// MariaDB 10.5 and later: the agent's.
const MARIADB_AGENT: &[Grant] = &[
    need(&["READ_ONLY ADMIN"], "Sets read_only."),
    need(
        &["CONNECTION ADMIN"],
        "Ends application sessions, and connects when no connection is left.",
    ),
    AGENT_SEES,
    need(&["SLAVE MONITOR"], "Reads the replica status."),
    need(&["BINLOG MONITOR"], "Reads the end of the binary log."),
];

/// Every flavour: without `TRIGGER` the dump client leaves triggers out and does not say so.
const LOGICAL_DUMP: &[Grant] = &[
    need(&["SELECT"], "Reads all data, the accounts with their password hashes among it."),
    need(&["SHOW VIEW", "TRIGGER", "EVENT"], "Reads views, triggers and scheduled events."),
    need(&["RELOAD"], "Holds commits up for the moment in which the dump begins."),
];

/// The privileges for a purpose.
pub fn grants(dialect: Dialect, purpose: Purpose) -> &'static [Grant] {
    match purpose {
        Purpose::Replication => REPLICATION,
        Purpose::Dump => LOGICAL_DUMP,
        Purpose::Rewind if dialect.is_mariadb() => REWIND_MARIADB,
        Purpose::Rewind => dialect.pick(Feature::SplitPrivileges, REWIND_MYSQL_8, REWIND_MYSQL_5),
        Purpose::Agent if dialect.is_mariadb() => MARIADB_AGENT,
        Purpose::Agent if !dialect.has(Feature::SplitPrivileges) => MYSQL_5_AGENT,
        Purpose::Agent => MYSQL_8_AGENT,
        Purpose::Manager if dialect.is_mariadb() => MARIADB,
        Purpose::Manager if !dialect.has(Feature::SplitPrivileges) => MYSQL_5,
        Purpose::Manager => dialect.pick(Feature::SetAnyDefiner, MYSQL_8_2, MYSQL_8),
    }
}

/// What the session's own account lacks, the optional ones included. Roles count as far as they
/// are active.
pub async fn missing_grants(
    session: &mut Session,
    purpose: Purpose,
    limit: Duration,
) -> Result<Vec<Grant>, WireError> {
    let dialect = Dialect::of(session.version());
    let rows = session.query("SHOW GRANTS", limit).await?;
    let held = Held::read(dialect, rows.iter().filter_map(|row| row.at(0)));
    Ok(missing(dialect, purpose, &held))
}

/// What is not held.
pub fn missing(dialect: Dialect, purpose: Purpose, held: &Held) -> Vec<Grant> {
    let lacks = |grant: &&Grant| !grant.privileges.iter().all(|name| held.has(name, grant.object));
    grants(dialect, purpose).iter().filter(lacks).copied().collect()
}

#[cfg(test)]
mod tests;
