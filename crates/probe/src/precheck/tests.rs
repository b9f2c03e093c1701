//! Captured process lists, locks and XA transactions, read.

use primacy_types::ServerVersion;

use super::sessions::{definition_change, only_reads, read};
use super::*;
use crate::fixture::rows;

/// Rows of MySQL 9.7 and MariaDB 10.11, put together.
const PROCESS_LIST: &str = "\
*** 1 ***\nId: 5\nUser: event_scheduler\nHost: localhost\nCommand: Daemon\nTime: 962\nState: x\n\
*** 2 ***\nId: 67\nUser: repl\nHost: h:1\nCommand: Binlog Dump GTID\nTime: 9\nState: x\n\
*** 3 ***\nId: 40\nUser: system user\nHost: connecting host\nCommand: Connect\nTime: 1\nState: x\n\
*** 4 ***\nId: 8\nUser: system user\nHost: \nCommand: Slave_SQL\nTime: -3\nState: x\n\
*** 5 ***\nId: 78\nUser: primacy\nHost: localhost\nCommand: Query\nTime: 0\nState: init\n\
*** 6 ***\nId: 90\nUser: shop\nHost: app1:4711\nCommand: Sleep\nTime: 3\nState: \n\
*** 7 ***\nId: 91\nUser: unauthenticated user\nHost: h:2\nCommand: Connect\nTime: 0\nState: login\n";

#[test]
fn only_applications_are_ended_never_dump_threads() {
    let rows = rows(PROCESS_LIST);
    let kinds: Vec<SessionKind> = rows.iter().map(|row| read(row, &["primacy"], 1).kind).collect();
    use SessionKind::{Application, DumpThread, Ours, Server};
    assert_eq!(kinds, [Server, DumpThread, Server, Server, Ours, Application, Server]);
    assert_eq!(read(rows.iter().nth(3).unwrap(), &[], 1).seconds, 0);
}

#[test]
fn our_own_session_is_known_by_its_number_even_if_the_greeting_cut_it() {
    let text = PROCESS_LIST.replace("Id: 90", "Id: 4294967386");
    let row = rows(&text);
    assert_eq!(read(row.iter().nth(5).unwrap(), &[], 90).kind, SessionKind::Ours);
}

#[test]
fn a_running_definition_change_is_named_without_values() {
    let named = |sql| definition_change(sql);
    assert_eq!(
        named("/* nightly */ alter table t.a add x int"),
        Some("alter table t.a add".into())
    );
    assert_eq!(named("CREATE USER x IDENTIFIED BY 'geheim'"), Some("CREATE USER".into()));
    assert_eq!(named("-- c\n OPTIMIZE TABLE t"), Some("OPTIMIZE TABLE t".into()));
    assert_eq!(named("select 1"), None);
    assert_eq!(named("/* never closed"), None);
}

#[test]
fn an_xa_transaction_is_named_as_the_xa_statements_take_it() {
    let text = "*** 1 ***\nformatID: 5\ngtrid_length: 3\nbqual_length: 2\ndata: x'xbr\n";
    assert_eq!(xid(rows(text).first().unwrap()), "X'782778',X'6272',5");
}

#[test]
fn locks_name_session_and_table() {
    let text = "*** 1 ***\nkind: Backup lock\ndb: \nname: \nmode: MDL_BACKUP_FTWRL2\nid: 6\n\
                *** 2 ***\nkind: TABLE\ndb: t\nname: x\nmode: SHARED_READ_ONLY\nid: 9\n";
    let held = locks::read(&rows(text));
    assert_eq!((held[0].session_id, held[0].table.as_deref()), (6, None));
    assert_eq!((held[1].session_id, held[1].table.as_deref()), (9, Some("t.x")));
}

#[test]
fn events_keep_their_definer_when_they_are_altered() {
    let text = "*** 1 ***\nEVENT_SCHEMA: evt\nEVENT_NAME: e`x\nDEFINER: app@10.0.%\n\
                STATUS: REPLICA_SIDE_DISABLED\nORIGINATOR: 1\n";
    let dialect = Dialect::of(ServerVersion::mysql(8, 4, 0));
    let events = dialect.events_from(&rows(text));
    assert_eq!(events[0].state, crate::EventState::DisabledOnReplica);
    let sql = dialect.alter_event(&events[0], crate::EventState::Enabled);
    assert_eq!(sql, "ALTER DEFINER = `app`@`10.0.%` EVENT `evt`.`e``x` ENABLE");
}

#[test]
fn a_statement_that_is_taken_to_change_nothing_is_known_by_its_first_word() {
    for sql in
        ["SELECT 1", " /* a */ select 1", "(SELECT 1) UNION (SELECT 2)", "SHOW TABLES", "desc t"]
    {
        assert!(only_reads(sql), "{sql}");
    }
    for sql in
        ["UPDATE t SET a = 1", "WITH x AS (SELECT 1) DELETE FROM t", "CALL p()", "selected", ""]
    {
        assert!(!only_reads(sql), "{sql}");
    }
}
