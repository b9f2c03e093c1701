//! What statements do to their session, typed.

use primacy_sql::{Change, Context, Isolation, Pin, Scope, Value, classify};
use primacy_types::ServerVersion;

const SERVER: ServerVersion = ServerVersion::mariadb(10, 11, 14);

fn changes(text: &str) -> Vec<Change<'_>> {
    classify(text.as_bytes(), &Context::new(SERVER)).changes
}

fn constant(text: &str) -> Value<'_> {
    Value::Constant(text.as_bytes())
}

fn variable<'s>(scope: Scope, name: &'s str, value: Value<'s>) -> Change<'s> {
    Change::SystemVariable { scope, name: name.as_bytes(), value }
}

fn user<'s>(name: &'s str, value: Value<'s>) -> Change<'s> {
    Change::UserVariable { name: name.as_bytes(), value }
}

#[test]
fn set_is_read_assignment_by_assignment() {
    use Scope::{Global, NextTransaction, Session};
    let cases: Vec<(&str, Vec<Change<'_>>)> = vec![
        ("SET @a = 1, @b := 'x'", vec![user("a", constant("1")), user("b", constant("'x'"))]),
        ("SET @`a b` = -1", vec![user("a b", constant("-1"))]),
        ("SET @a = @b + 1", vec![user("a", Value::Expression(b"@b + 1"))]),
        (
            "SET @a = (SELECT 1, 2), @b = 3",
            vec![user("a", Value::Expression(b"(SELECT 1, 2)")), user("b", constant("3"))],
        ),
        ("SET sql_mode = ''", vec![variable(Session, "sql_mode", constant("''"))]),
        ("SET sql_mode = DEFAULT", vec![variable(Session, "sql_mode", Value::Default)]),
        (
            "SET a = ON, GLOBAL b = 1, c = 2, SESSION d = 3, @@e = 4, @@global.f = 5",
            vec![
                variable(Session, "a", constant("ON")),
                variable(Global, "b", constant("1")),
                variable(Global, "c", constant("2")),
                variable(Session, "d", constant("3")),
                variable(Session, "e", constant("4")),
                variable(Global, "f", constant("5")),
            ],
        ),
        ("SET autocommit = 0", vec![Change::Autocommit(Some(false))]),
        ("SET autocommit = @x", vec![Change::Autocommit(None)]),
        (
            "SET tx_isolation = 'READ-COMMITTED'",
            vec![Change::Isolation(Session, Some(Isolation::ReadCommitted))],
        ),
        (
            "SET @@tx_isolation = 'REPEATABLE-READ'",
            vec![Change::Isolation(NextTransaction, Some(Isolation::RepeatableRead))],
        ),
        (
            "SET TRANSACTION READ ONLY, ISOLATION LEVEL READ UNCOMMITTED",
            vec![
                Change::ReadOnly(NextTransaction, Some(true)),
                Change::Isolation(NextTransaction, Some(Isolation::ReadUncommitted)),
            ],
        ),
        ("SET SESSION TRANSACTION READ WRITE", vec![Change::ReadOnly(Session, Some(false))]),
        (
            "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
            vec![Change::Names(Some(b"utf8mb4"), Some(b"utf8mb4_bin"))],
        ),
        ("SET NAMES DEFAULT", vec![Change::Names(None, None)]),
        ("SET CHARACTER SET 'latin1'", vec![Change::CharacterSet(Some(b"latin1"))]),
        ("SET ROLE a", vec![Change::Role(b"a")]),
        ("USE `my db`", vec![Change::Schema(b"my db")]),
    ];
    for (text, wanted) in cases {
        assert_eq!(changes(text), wanted, "{text}");
    }
}

#[test]
fn transactions_locks_tables_and_prepared_statements_are_told() {
    let begin = |read_only, snapshot| Change::Begin { read_only, snapshot };
    let end = |commit, chain, release| Change::End { commit, chain, release };
    let cases: Vec<(&str, Vec<Change<'_>>)> = vec![
        ("BEGIN", vec![begin(None, false)]),
        ("START TRANSACTION READ ONLY, WITH CONSISTENT SNAPSHOT", vec![begin(Some(true), true)]),
        ("START TRANSACTION READ WRITE", vec![begin(Some(false), false)]),
        ("COMMIT", vec![end(true, false, false)]),
        ("COMMIT WORK AND CHAIN NO RELEASE", vec![end(true, true, false)]),
        ("ROLLBACK AND NO CHAIN RELEASE", vec![end(false, false, true)]),
        ("ROLLBACK TO SAVEPOINT a", vec![Change::RollbackTo(b"a")]),
        ("SAVEPOINT `a b`", vec![Change::Savepoint(b"a b")]),
        ("RELEASE SAVEPOINT a", vec![Change::ReleaseSavepoint(b"a")]),
        ("XA START 'x'", vec![Change::Xa { begins: true, ends: false }]),
        ("XA COMMIT 'x' ONE PHASE", vec![Change::Xa { begins: false, ends: true }]),
        ("LOCK TABLES t READ", vec![Change::Locks]),
        ("UNLOCK TABLES", vec![Change::Unlocks]),
        ("FLUSH TABLES WITH READ LOCK", vec![Change::Locks]),
        ("SELECT GET_LOCK('a', 1)", vec![Change::NamedLock]),
        ("SELECT RELEASE_ALL_LOCKS()", vec![Change::ReleasesNamedLocks]),
        ("CREATE TEMPORARY TABLE a (id INT)", vec![Change::TemporaryTableMade(None, b"a")]),
        (
            "CREATE OR REPLACE TEMPORARY TABLE IF NOT EXISTS `d`.`a` LIKE b",
            vec![Change::TemporaryTableMade(Some(b"d"), b"a")],
        ),
        (
            "DROP TABLE IF EXISTS a, d.b",
            vec![Change::TableDropped(None, b"a"), Change::TableDropped(Some(b"d"), b"b")],
        ),
        ("DROP TEMPORARY TABLE a", vec![Change::TableDropped(None, b"a")]),
        ("HANDLER t OPEN AS h", vec![Change::HandlerOpened(b"h")]),
        ("HANDLER h CLOSE", vec![Change::HandlerClosed(b"h")]),
        ("PREPARE q FROM 'SELECT ?'", vec![Change::Prepared(b"q", Some(b"SELECT ?"))]),
        ("PREPARE q FROM @text", vec![Change::Prepared(b"q", None)]),
        ("EXECUTE q USING @a", vec![Change::Executed(b"q")]),
        ("DEALLOCATE PREPARE q", vec![Change::Deallocated(b"q")]),
        ("KILL 5", vec![Change::Kill { query: false, id: Some(5) }]),
        ("KILL HARD QUERY 5", vec![Change::Kill { query: true, id: Some(5) }]),
        ("KILL CONNECTION @x", vec![Change::Kill { query: false, id: None }]),
        ("KILL QUERY ID 5", vec![Change::Kill { query: true, id: None }]),
        (
            "SELECT a, b INTO @x, @y FROM t",
            vec![user("x", Value::Computed), user("y", Value::Computed)],
        ),
        ("SELECT @x := 1", vec![user("x", Value::Computed)]),
        ("CALL p(1, @x)", vec![user("x", Value::Computed)]),
        ("LOAD DATA LOCAL INFILE 'x' INTO TABLE t (a, @x)", vec![user("x", Value::Computed)]),
        (
            "SET @a = 1; BEGIN; COMMIT",
            vec![user("a", constant("1")), begin(None, false), end(true, false, false)],
        ),
        ("SELECT 1", vec![]),
        ("INSERT INTO t VALUES (1)", vec![]),
    ];
    for (text, wanted) in cases {
        assert_eq!(changes(text), wanted, "{text}");
    }
}

#[test]
fn pins_say_by_what_and_until_when() {
    let cases = [
        ("SELECT GET_LOCK('a', 1)", Pin::NamedLock),
        ("LOCK TABLES t READ", Pin::TableLocks),
        ("CREATE TEMPORARY TABLE a (id INT)", Pin::TemporaryTable),
        ("HANDLER t OPEN", Pin::Handler),
        ("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE", Pin::Serializable),
        ("SELECT @a := 1", Pin::UserVariable),
        ("SET sql_mode = CONCAT(@@sql_mode, ',ANSI')", Pin::SessionVariable),
        ("SET timestamp = 5", Pin::ConnectionVariable),
        ("CALL p()", Pin::Opaque),
        ("PREPARE q FROM @a", Pin::PreparedText),
        ("XA START 'x'", Pin::Xa),
        ("CALL p(GET_LOCK('a', 1))", Pin::NamedLock),
    ];
    for (text, wanted) in cases {
        let class = classify(text.as_bytes(), &Context::new(SERVER));
        assert_eq!(class.pin, Some(wanted), "{text}");
    }
    for pin in Pin::ALL {
        assert!(!pin.sentence().is_empty() && !pin.until().is_empty());
    }
}

#[test]
fn reads_of_variables_are_told() {
    let text = b"SELECT @a, @`b c`, @@global.d, @@e FROM t WHERE x = @'f'";
    let class = classify(text, &Context::new(SERVER));
    assert_eq!(class.reads.user_variables, [&b"a"[..], b"b c", b"f"]);
    assert_eq!(class.reads.system_variables, [&b"d"[..], b"e"]);
}
