//! What cannot be proved is not done, and everything that is in the way is named.

use primacy_binlog::undo::{UndoError, UndoLimits};
use primacy_exec::{RewindError, prove, rewind, rewind_rows};
use primacy_testkit::{Cluster, eventually};

use super::{ACCOUNT, Returned, load};
use crate::{LONG, on_each_server};

async fn all(cluster: &Cluster, statements: &[&str]) {
    let mut session = cluster.root("s1").await;
    for sql in statements {
        let done = session.execute(sql, LONG).await;
        assert!(done.is_ok(), "{sql}: {done:?}");
    }
    session.close().await;
}

fn why(result: Result<primacy_binlog::undo::Undo, UndoError>) -> String {
    match result.map(|undo| undo.rows) {
        Err(UndoError::NotUndoable { reasons }) => reasons.join("\n"),
        other => panic!("{other:?}"),
    }
}

async fn what_the_log_does_not_show_whole_is_not_undone(server: &str) {
    let mut returned = Returned::after(server, &[], &load::tables(server)).await;
    let mariadb = server.starts_with("mariadb");
    let insert = "INSERT INTO app.perm (id, u) VALUES (1, 1)";
    all(&returned.cluster, &[insert]).await;
    let partial = if mariadb {
        &["UPDATE app.perm SET u = 3 WHERE id = 1"][..]
    } else {
        &[
            "INSERT INTO app.every (id, js) VALUES (1, '{\"a\": 1, \"b\": \"a long value here\"}')",
            "SET SESSION binlog_row_value_options = PARTIAL_JSON",
            "UPDATE app.every SET js = JSON_SET(js, '$.a', 7) WHERE id = 1",
        ][..]
    };
    let cases: &[(&[&str], &[&str])] = &[
        (
            &["CREATE TABLE app.own (id INT)", insert_two(), "DROP TABLE app.own"],
            &["a statement: CREATE TABLE app.own", "a statement: DROP TABLE"],
        ),
        (
            &["SET SESSION binlog_format = STATEMENT", "UPDATE app.perm SET note = 'x'"],
            &["a statement: UPDATE app.perm"],
        ),
        (
            &["SET SESSION binlog_row_image = MINIMAL", "UPDATE app.perm SET note = 'y'"],
            &["Update_rows", "of app.perm", "binlog_row_image is not FULL"],
        ),
        (
            &["XA START 'x'", "UPDATE app.perm SET note = 'z'", "XA END 'x'", "XA PREPARE 'x'"],
            &["an XA transaction is prepared"],
        ),
        (&[], &["whose rows are not here"]),
        (&["CREATE USER 'no'@'%'", "DROP USER 'no'@'%'"], &["CREATE USER", "DROP USER"]),
        (partial, if mariadb { &[] } else { &["app.every: JSON values are given as differences"] }),
    ];
    for (statements, expected) in cases {
        returned.parts().await;
        all(&returned.cluster, statements).await;
        if statements.is_empty() {
            eventually(LONG, "the XA transaction is committed", async || {
                returned.cluster.root("s1").await.execute("XA COMMIT 'x'", LONG).await.is_ok()
            })
            .await;
        }
        if expected.is_empty() {
            continue;
        }
        let why = why(returned.saved(&UndoLimits::default()));
        for part in *expected {
            assert!(why.contains(part), "{statements:?}: {why}");
        }
    }
    // Both ends of an XA transaction: its rows are undone; one that was rolled back has none.
    returned.parts().await;
    let xa = ["XA START 'y'", "DELETE FROM app.perm", "XA END 'y'", "XA PREPARE 'y'"];
    for end in ["XA ROLLBACK 'y'", "XA COMMIT 'y'"] {
        all(&returned.cluster, &xa).await;
        // Others know it when its session is gone.
        eventually(LONG, end, async || {
            returned.cluster.root("s1").await.execute(end, LONG).await.is_ok()
        })
        .await;
    }
    let undo = returned.saved(&UndoLimits::default()).unwrap();
    // Two rows, and what the trigger wrote of each.
    assert_eq!((undo.transactions.len(), undo.rows), (4, 4));
}

const fn insert_two() -> &'static str {
    "INSERT INTO app.perm (id, u) VALUES (2, 2)"
}

/// What stands in the way of undoing these.
async fn refused(returned: &mut Returned, statements: &[&str], then: &[&str]) -> String {
    returned.opens().await;
    returned.parts().await;
    all(&returned.cluster, statements).await;
    returned.is_closed().await;
    let undo = returned.saved(&UndoLimits::default()).unwrap();
    if !then.is_empty() {
        returned.opens().await;
        all(&returned.cluster, then).await;
        returned.is_closed().await;
    }
    let answer = prove(&mut returned.link().await, &returned.rewind(&undo), LONG).await;
    match answer {
        Err(error) => error.to_string(),
        Ok(without_key) => format!("proved {without_key:?}"),
    }
}

async fn what_the_server_does_not_bear_out_is_not_undone(server: &str) {
    let tables = [
        "CREATE TABLE app.source (id INT PRIMARY KEY, n INT) ENGINE = InnoDB",
        "CREATE TABLE app.target (id INT PRIMARY KEY, p INT, CONSTRAINT fk FOREIGN KEY (p) \
         REFERENCES app.source (id) ON DELETE CASCADE) ENGINE = InnoDB",
        "CREATE TABLE app.mine (id INT PRIMARY KEY) ENGINE = MyISAM",
        "INSERT INTO app.source VALUES (1, 1), (2, 2)",
        "INSERT INTO app.target VALUES (1, 1)",
    ];
    let tables: Vec<String> =
        load::tables(server).into_iter().chain(tables.map(str::to_owned)).collect();
    let mut returned = Returned::after(server, &[], &tables).await;
    let quiet = "SET SESSION sql_log_bin = 0";

    // A parent's own change reaches nobody; its end reaches the child.
    let insert = "INSERT INTO app.source VALUES (3, 3)";
    let update = "UPDATE app.source SET n = 7 WHERE id = 2";
    assert_eq!(refused(&mut returned, &[insert, update], &[]).await, "proved []");
    let said = refused(&mut returned, &["DELETE FROM app.source WHERE id = 1"], &[]).await;
    assert!(said.contains("app.target") && said.contains("ON DELETE CASCADE"), "{said}");

    let said = refused(&mut returned, &["INSERT INTO app.mine VALUES (1)"], &[]).await;
    assert!(said.contains("app.mine is in MyISAM"), "{said}");

    // The table is not what it was, and nobody can see why.
    let insert = |id: u8| format!("INSERT INTO app.perm (id, u) VALUES ({id}, {id})");
    let wider = [quiet, "ALTER TABLE app.perm MODIFY note VARCHAR(70)"];
    let said = refused(&mut returned, &[&insert(1)], &wider).await;
    assert!(said.contains("app.perm.note is varchar(70) now"), "{said}");
    let more = [quiet, "ALTER TABLE app.perm ADD more INT"];
    let said = refused(&mut returned, &[&insert(2)], &more).await;
    assert!(said.contains("app.perm has 4 columns, and had 3"), "{said}");
    let none = [quiet, "DROP TABLE app.perm"];
    let said = refused(&mut returned, &[&insert(3)], &none).await;
    assert!(said.contains("there is no table app.perm"), "{said}");

    // Something was written after what was saved: the GTIDs tell.
    let two = |id: u8| format!("INSERT INTO other.two VALUES ({id}, {id}, 1)");
    let said = refused(&mut returned, &[&two(1)], &[&two(2)]).await;
    assert!(
        said.contains("neither kept nor saved") || said.contains("the last transaction of"),
        "{said}"
    );

    // Several things at once are all named.
    returned.opens().await;
    returned.parts().await;
    all(&returned.cluster, &[&two(3)]).await;
    let undo = returned.saved(&UndoLimits::default()).unwrap();
    let mut other = returned.cluster.root("s1").await;
    other.execute("BEGIN", LONG).await.unwrap();
    other.execute(&two(4), LONG).await.unwrap();
    let mode = if returned.cluster.speaks_old() { "slave" } else { "replica" };
    all(&returned.cluster, &[&format!("SET GLOBAL {mode}_exec_mode = 'IDEMPOTENT'")]).await;
    let answer = prove(&mut returned.link().await, &returned.rewind(&undo), LONG).await;
    let Err(RewindError::Refused { reasons, .. }) = answer else { panic!("{answer:?}") };
    for part in ["not read-only", "has a transaction open", "exec_mode is IDEMPOTENT"] {
        assert!(reasons.iter().any(|reason| reason.contains(part)), "{part}: {reasons:?}");
    }
    other.execute("ROLLBACK", LONG).await.unwrap();
    all(&returned.cluster, &[&format!("SET GLOBAL {mode}_exec_mode = 'STRICT'")]).await;

    // What is missing is named as the statement that gives it.
    let privilege = if returned.cluster.is_mariadb() { "BINLOG REPLAY" } else { "BINLOG_ADMIN" };
    let revoke = format!("REVOKE {privilege} ON *.* FROM '{ACCOUNT}'@'%'");
    all(&returned.cluster, &[quiet, &revoke]).await;
    let fresh = returned.link().await;
    fresh.discard();
    let answer = prove(&mut returned.link().await, &returned.rewind(&undo), LONG).await;
    let said = answer.unwrap_err().to_string();
    assert!(said.contains(&format!("GRANT {privilege} ON *.* TO '{ACCOUNT}'@'%'")), "{said}");
}

/// Undoing them a second time would change what others have.
async fn what_goes_on_after_its_rows_were_undone_is_told_apart(server: &str) {
    let returned = Returned::after(server, &[], &load::tables(server)).await;
    all(&returned.cluster, &["INSERT INTO other.two VALUES (1, 1, 1)"]).await;
    returned.is_closed().await;
    let undo = returned.saved(&UndoLimits::default()).unwrap();
    rewind_rows(returned.link().await, &returned.rewind(&undo), LONG).await.unwrap();
    returned.opens().await;
    all(&returned.cluster, &["INSERT INTO other.two VALUES (2, 2, 2)"]).await;
    returned.is_closed().await;
    let said = rewind(returned.link().await, &returned.rewind(&undo), LONG).await.unwrap_err();
    assert!(matches!(said, RewindError::HalfDone { .. }), "{said}");
    assert!(said.to_string().contains("it has gone on since"), "{said}");
    let said = prove(&mut returned.link().await, &returned.rewind(&undo), LONG).await.unwrap_err();
    assert!(matches!(said, RewindError::HalfDone { .. }), "{said}");
    // Saved anew, with what came later: another file of what is partly undone.
    let anew = returned.saved(&UndoLimits::default()).unwrap();
    assert_ne!(anew.fingerprint, undo.fingerprint);
    let said = rewind(returned.link().await, &returned.rewind(&anew), LONG).await.unwrap_err();
    assert!(matches!(said, RewindError::HalfDone { .. }), "{said}");
    assert!(said.to_string().contains("undone a second time"), "{said}");
    let rows = returned.cluster.cell("s1", "SELECT COUNT(*) FROM other.two").await;
    assert_eq!(rows.as_deref(), Some("1"), "what came later is there, what was undone is not");
}

async fn transactions_that_are_not_the_last_of_the_log_are_not_undone(server: &str) {
    let mut returned = Returned::after(server, &[], &load::tables(server)).await;
    let cluster = &returned.cluster;
    all(cluster, &["INSERT INTO other.two VALUES (1, 1, 1)"]).await;
    let undo = returned.saved(&UndoLimits::default()).unwrap();
    // The server took over somebody else's transaction since: it is kept, and stands after them.
    let kept = returned.executed().await;
    let foreign = if cluster.is_mariadb() {
        vec!["SET SESSION gtid_domain_id = 7, server_id = 99"]
    } else {
        vec!["SET SESSION gtid_next = '11111111-1111-1111-1111-111111111111:1'"]
    };
    let write = ["INSERT INTO other.two VALUES (2, 2, 2)"];
    all(cluster, &[&foreign[..], &write[..]].concat()).await;
    let beyond = returned.executed().await;
    returned.kept = match (&beyond, &kept, &returned.kept) {
        (
            primacy_types::TransactionSet::MySql(now),
            primacy_types::TransactionSet::MySql(before),
            primacy_types::TransactionSet::MySql(first),
        ) => primacy_types::TransactionSet::MySql(now.minus(before).union(first)),
        _ => returned.kept.clone(),
    };
    returned.is_closed().await;
    let answer = prove(&mut returned.link().await, &returned.rewind(&undo), LONG).await;
    let said = answer.unwrap_err().to_string();
    assert!(said.contains("something was written besides or since"), "{said}");
}

on_each_server!(
    what_the_log_does_not_show_whole_is_not_undone,
    what_the_server_does_not_bear_out_is_not_undone,
    what_goes_on_after_its_rows_were_undone_is_told_apart,
    transactions_that_are_not_the_last_of_the_log_are_not_undone,
);
