//! The accounts of a sandbox, and the SQL that makes them at a server's first start.
//!
//! The manager's privileges here are ample; what it needs at least is `primacy grants`' business.

use primacy_types::ServerVersion;
use rand::distr::{Alphanumeric, SampleString};

use crate::info::{Account, AccountRole};

const STATIC: &str = "SELECT, RELOAD, PROCESS, EVENT, REPLICATION SLAVE, REPLICATION CLIENT";

/// Privileges on everything that a MySQL version and its successors know; the first match counts.
type Since = ((u16, u16, u16), &'static [&'static str]);

const MYSQL: &[Since] = &[
    (
        (8, 2, 0),
        &[
            STATIC,
            "SYSTEM_VARIABLES_ADMIN, SESSION_VARIABLES_ADMIN, REPLICATION_SLAVE_ADMIN, \
             REPLICATION_APPLIER, CONNECTION_ADMIN, SYSTEM_USER, BACKUP_ADMIN, CLONE_ADMIN, BINLOG_ADMIN, \
             XA_RECOVER_ADMIN, SET_ANY_DEFINER, ALLOW_NONEXISTENT_DEFINER",
        ],
    ),
    (
        (8, 0, 0),
        &[
            STATIC,
            "SUPER",
            "SYSTEM_VARIABLES_ADMIN, REPLICATION_SLAVE_ADMIN, CONNECTION_ADMIN, BACKUP_ADMIN, \
             BINLOG_ADMIN, XA_RECOVER_ADMIN, SET_USER_ID",
        ],
    ),
    ((0, 0, 0), &[STATIC, "SUPER"]),
];

const MARIADB: &[&str] = &[
    "SELECT, RELOAD, PROCESS, EVENT, SUPER",
    "REPLICATION SLAVE, REPLICATION SLAVE ADMIN, REPLICATION MASTER ADMIN",
    "BINLOG MONITOR, BINLOG ADMIN, BINLOG REPLAY, SLAVE MONITOR",
    "CONNECTION ADMIN, READ_ONLY ADMIN, SET USER",
];

/// One account for each role, each with a new password.
pub(crate) fn new_accounts() -> Vec<Account> {
    let account = |role, user: &str| Account {
        role,
        user: user.into(),
        password: Alphanumeric.sample_string(&mut rand::rng(), 24),
    };
    vec![
        account(AccountRole::Manager, "primacy"),
        account(AccountRole::Replication, "repl"),
        account(AccountRole::Application, "app"),
        account(AccountRole::Root, "root"),
    ]
}

/// The statements for `--init-file`, one a line. Nothing of it is written to the binary log.
pub(crate) fn init_sql(version: ServerVersion, accounts: &[Account]) -> String {
    let mut sql = vec!["SET SESSION sql_log_bin = 0".to_owned()];
    sql.extend(remove_strangers(version).iter().map(|line| (*line).to_owned()));
    for account in accounts {
        sql.extend(statements(version, account));
    }
    sql.push("CREATE DATABASE app".into());
    sql.push("FLUSH PRIVILEGES".into());
    sql.iter().map(|line| format!("{line};\n")).collect()
}

/// The anonymous accounts and the roots without password that older templates begin with.
fn remove_strangers(version: ServerVersion) -> &'static [&'static str] {
    const STRANGERS: [&str; 2] = [
        "DELETE FROM mysql.global_priv WHERE User = '' OR (User = 'root' AND Host <> 'localhost')",
        "DELETE FROM mysql.user WHERE User = '' OR (User = 'root' AND Host <> 'localhost')",
    ];
    const FLUSH: &str = "FLUSH PRIVILEGES";
    if version.is_mariadb() {
        &[STRANGERS[0], FLUSH]
    } else if !version.at_least(5, 7, 0) {
        &[STRANGERS[1], "DELETE FROM mysql.db", FLUSH]
    } else {
        &[]
    }
}

fn statements(version: ServerVersion, account: &Account) -> Vec<String> {
    let Account { role, user, password } = account;
    let anywhere = format!("'{user}'@'%'");
    let mut sql = Vec::new();
    if *role != AccountRole::Root {
        sql.push(format!("CREATE USER {anywhere} IDENTIFIED BY '{password}'"));
    }
    match role {
        AccountRole::Manager => {
            let lists = match MYSQL.iter().find(|((a, b, c), _)| version.at_least(*a, *b, *c)) {
                Some((_, lists)) if version.is_mysql() => *lists,
                _ => MARIADB,
            };
            sql.extend(lists.iter().map(|list| format!("GRANT {list} ON *.* TO {anywhere}")));
            sql.push(format!("GRANT ALL ON primacy.* TO {anywhere}"));
        }
        AccountRole::Replication => {
            sql.push(format!("GRANT REPLICATION SLAVE ON *.* TO {anywhere}"));
        }
        AccountRole::Application => sql.extend(
            ["app", "outage"].map(|database| format!("GRANT ALL ON {database}.* TO {anywhere}")),
        ),
        AccountRole::Root => sql.extend([
            if version.is_mysql() && !version.at_least(5, 7, 6) {
                format!("SET PASSWORD FOR 'root'@'localhost' = PASSWORD('{password}')")
            } else {
                format!("ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}'")
            },
            format!("CREATE USER 'root'@'127.0.0.1' IDENTIFIED BY '{password}'"),
            "GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION".into(),
        ]),
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_application_cannot_bypass_read_only() {
        for version in [ServerVersion::mysql(9, 7, 4), ServerVersion::mariadb(10, 5, 23)] {
            let sql = init_sql(version, &new_accounts());
            let grants: Vec<_> = sql.lines().filter(|line| line.contains("TO 'app'@")).collect();
            assert_eq!(grants.len(), 2);
            assert!(grants.iter().all(|line| !line.contains("*.*")), "{grants:?}");
        }
    }

    #[test]
    fn nothing_is_done_before_the_binary_log_is_off() {
        let sql = init_sql(ServerVersion::mysql(5, 6, 24), &new_accounts());
        assert!(sql.starts_with("SET SESSION sql_log_bin = 0;\n"));
        assert!(sql.lines().all(|line| line.ends_with(';')));
    }

    #[test]
    fn passwords_differ() {
        let accounts = new_accounts();
        assert_ne!(accounts[0].password, accounts[1].password);
        assert_eq!(accounts[0].password.len(), 24);
    }
}
