//! Captured `SHOW GRANTS`, and the statements for each version.

use primacy_types::ServerVersion;

use super::*;

const MYSQL_5_6: Dialect = Dialect::of(ServerVersion::mysql(5, 6, 24));
const MYSQL_9_7: Dialect = Dialect::of(ServerVersion::mysql(9, 7, 4));
const MARIADB_10_5: Dialect = Dialect::of(ServerVersion::mariadb(10, 5, 23));
const MARIADB_10_11: Dialect = Dialect::of(ServerVersion::mariadb(10, 11, 19));
const MARIADB_11_8: Dialect = Dialect::of(ServerVersion::mariadb(11, 8, 6));

fn lacks(dialect: Dialect, lines: &[&str]) -> Vec<&'static str> {
    let held = Held::read(dialect, lines.iter().copied());
    let missing = missing(dialect, Purpose::Manager, &held);
    missing.iter().map(|grant| grant.privileges[0]).collect()
}

#[test]
fn an_account_with_what_is_listed_lacks_nothing() {
    for dialect in [MYSQL_5_6, MYSQL_9_7, MARIADB_10_5, MARIADB_11_8] {
        let lines: Vec<String> = grants(dialect, Purpose::Manager)
            .iter()
            .map(|grant| grant.sql("`primacy`@`%`"))
            .collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        assert_eq!(lacks(dialect, &lines), Vec::<&str>::new(), "{:?}", dialect.version());
        assert!(!lacks(dialect, &lines[1..]).is_empty());
    }
}

#[test]
fn all_privileges_are_all() {
    let root = "GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION";
    assert!(lacks(MARIADB_11_8, &[root]).is_empty());
    assert!(lacks(MYSQL_5_6, &[root]).is_empty());
}

#[test]
fn what_super_includes_depends_on_the_version() {
    let lines = ["GRANT SUPER, REPLICATION SLAVE ON *.* TO `p`@`%` IDENTIFIED BY PASSWORD '*F2'"];
    assert!(!lacks(MARIADB_10_5, &lines).contains(&"READ_ONLY ADMIN"));
    assert!(lacks(MARIADB_10_11, &lines).contains(&"READ_ONLY ADMIN"));
    assert!(!lacks(MARIADB_10_11, &lines).contains(&"CONNECTION ADMIN"));
    assert!(lacks(MARIADB_11_8, &lines).contains(&"CONNECTION ADMIN"));
    assert!(lacks(MARIADB_10_11, &lines).contains(&"REPLICATION MASTER ADMIN"));
    let mysql = lacks(MYSQL_9_7, &lines);
    assert!(!mysql.contains(&"CONNECTION_ADMIN") && mysql.contains(&"XA_RECOVER_ADMIN"));
}

#[test]
fn roles_proxies_and_single_tables_give_nothing_by_themselves() {
    let lines = [
        "GRANT USAGE ON *.* TO `p`@`%`",
        "GRANT `dba`@`%` TO `p`@`%`",
        "GRANT PROXY ON ``@`%` TO `p`@`%`",
        "GRANT SELECT ON `mysql`.`user` TO `p`@`%`",
        "SET DEFAULT ROLE `dba` FOR `p`@`%`",
    ];
    assert_eq!(lacks(MARIADB_11_8, &lines).len(), MARIADB.len());
    // An active role's privileges stand in the same answer, in lines of their own.
    let lines = [lines[0], lines[1], "GRANT BINLOG MONITOR ON *.* TO `dba`"];
    assert!(!lacks(MARIADB_11_8, &lines).contains(&"BINLOG MONITOR"));
}

#[test]
fn a_global_privilege_covers_the_schemas() {
    let lines = ["GRANT SELECT, INSERT, UPDATE, CREATE ON *.* TO 'p'@'%'"];
    assert!(!lacks(MYSQL_5_6, &lines).contains(&"SELECT"));
}

#[test]
fn what_a_rewind_needs_is_named_and_the_managers_list_is_not_longer() {
    let lacks = |dialect, lines: &[&str]| {
        let held = Held::read(dialect, lines.iter().copied());
        missing(dialect, Purpose::Rewind, &held).len()
    };
    for dialect in [MYSQL_5_6, MYSQL_9_7, MARIADB_10_5, MARIADB_11_8] {
        let all = grants(dialect, Purpose::Rewind);
        assert_eq!(lacks(dialect, &["GRANT USAGE ON *.* TO `p`@`%`"]), all.len());
        let lines: Vec<String> = all.iter().map(|grant| grant.sql("`p`@`%`")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        assert_eq!(lacks(dialect, &lines), 0);
        let manager = grants(dialect, Purpose::Manager);
        assert!(all.iter().all(|grant| !manager.contains(grant)));
    }
    // SUPER applies row events as far as it includes anything.
    let lines = ["GRANT SUPER, REFERENCES ON *.* TO `p`@`%`"];
    assert_eq!([MYSQL_9_7, MARIADB_10_11, MARIADB_11_8].map(|d| lacks(d, &lines)), [0, 0, 1]);
}
