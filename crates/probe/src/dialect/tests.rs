//! What must hold in every dialect.

use primacy_types::{Address, Epoch, Positioning, ServerVersion};
use primacy_wire::Rows;
use secrecy::SecretString;

use super::matrix::settings;
use super::*;

#[test]
fn every_feature_stands_in_the_table_once() {
    for row in FEATURES {
        let same = FEATURES.iter().filter(|other| other.what == row.what);
        assert_eq!(same.count(), 1, "{}", row.what);
        assert_eq!(features::since(row.feature), (row.mysql, row.mariadb));
    }
}

#[test]
fn the_password_is_in_the_statement_and_nowhere_else() {
    let d = Dialect::of(ServerVersion::mysql(9, 7, 0));
    let mut wish = settings(StartAt::Gtid(Positioning::AutoPosition));
    wish.password = SecretString::from(r"ge'h\eim");
    let change = d.change_source("", &wish, ChangeScope::BothStopped, false).unwrap();
    assert!(change.sql().contains(r"SOURCE_PASSWORD = 'ge''h\\eim'"));
    let shown = format!("{change:?} {} {wish:?}", change.redacted());
    assert!(!shown.contains("eim"), "{shown}");
    let other = d.change_source("", &wish, ChangeScope::BothStopped, true).unwrap();
    assert!(other.sql().contains(r"'ge''h\eim'"));
}

#[test]
fn settings_of_another_version_are_translated_or_refused_never_lost() {
    let mut wish = settings(StartAt::Gtid(Positioning::SlavePos));
    wish.settings = [("SOURCE_SSL_CA", "/ca.pem"), ("IGNORE_DOMAIN_IDS", "3, 4")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    let mariadb = Dialect::of(ServerVersion::mariadb(10, 11, 0));
    let change = mariadb.change_source("c", &wish, ChangeScope::BothStopped, false).unwrap();
    assert!(change.sql().contains("MASTER_SSL_CA = '/ca.pem'"), "{}", change.redacted());
    assert!(change.sql().contains("IGNORE_DOMAIN_IDS = (3,4)"));
    let mysql = Dialect::of(ServerVersion::mysql(8, 0, 36));
    let refused = mysql.change_source("c", &wish, ChangeScope::BothStopped, false).unwrap_err();
    assert!(refused.to_string().contains("IGNORE_DOMAIN_IDS"), "{refused}");
    wish.settings = [("IGNORE_SERVER_IDS".to_owned(), "1); DROP".to_owned())].into();
    assert!(mariadb.change_source("c", &wish, ChangeScope::BothStopped, false).is_err());
}

#[test]
fn the_spelling_of_semi_sync_is_read_not_guessed() {
    let rows = |names: &[&str]| {
        let rows = names.iter().map(|name| vec![Some((*name).to_owned()), Some("0".to_owned())]);
        Rows::new(vec!["Variable_name".into(), "Value".into()], rows.collect())
    };
    let names = SemiSyncNames::from_rows(&rows(&[
        "Rpl_semi_sync_source_clients",
        "Rpl_semi_sync_slave_status",
        "Uptime",
    ]));
    assert_eq!(names.source, Some(Spelling::SourceReplica));
    assert_eq!(names.replica, Some(Spelling::MasterSlave));
    let d = Dialect::of(ServerVersion::mysql(8, 0, 36));
    let sql = names.set_wait_count(d, 2).unwrap();
    assert_eq!(sql, "SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = 2");
    let sql = names.set_replica_enabled(true).unwrap();
    assert_eq!(sql, "SET GLOBAL rpl_semi_sync_slave_enabled = 1");
    assert_eq!(SemiSyncNames::from_rows(&rows(&["Uptime"])), SemiSyncNames::default());
}

#[test]
fn whatever_is_not_plainly_off_is_read_only() {
    for on in ["1", "ON", "NO_LOCK", "NO_LOCK_NO_ADMIN"] {
        assert!(Dialect::is_on(on), "{on}");
    }
    for off in ["0", "OFF", ""] {
        assert!(!Dialect::is_on(off), "{off}");
    }
}

#[test]
fn an_epoch_never_goes_back() {
    let d = Dialect::of(ServerVersion::mysql(5, 6, 24));
    let sql = d.write_epoch("o'k", Epoch(7), &Address::new("db2", 3307));
    assert!(sql.contains("'o''k', 7, 'db2:3307'"), "{sql}");
    assert!(sql.ends_with("epoch = GREATEST(epoch, 7)"), "{sql}");
}

#[test]
fn a_wait_for_transactions_ends_in_one_of_three_ways() {
    let modern = Dialect::of(ServerVersion::mysql(8, 0, 36));
    let old = Dialect::of(ServerVersion::mysql(5, 6, 24));
    let mariadb = Dialect::of(ServerVersion::mariadb(10, 11, 0));
    assert_eq!(modern.gtid_wait_ended(Some("0")), GtidWait::Reached);
    assert_eq!(modern.gtid_wait_ended(Some("1")), GtidWait::TimedOut);
    assert_eq!(old.gtid_wait_ended(Some("1")), GtidWait::Reached);
    assert_eq!(old.gtid_wait_ended(None), GtidWait::NotApplying);
    assert_eq!(mariadb.gtid_wait_ended(Some("-1")), GtidWait::TimedOut);
}
