//! sqlparser as a witness: what it reads as anything but a plain query, a replica never gets.
//!
//! It does not know executable comments and fails on part of MySQL's grammar; where it fails it says
//! nothing, and the real servers are asked (`crates/primacy/tests/sql.rs`).

use primacy_sql::{Context, Route, classify};
use primacy_types::{Flavor, ServerVersion};
use proptest::prelude::*;
use sqlparser::ast::{Query, SetExpr, Statement};
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser;

use crate::table::cases;

/// Whether the witness is certain that the statement writes or locks.
fn writes(statement: &Statement) -> bool {
    match statement {
        Statement::Query(query) => query_writes(query),
        Statement::ExplainTable { .. }
        | Statement::ShowTables { .. }
        | Statement::ShowColumns { .. }
        | Statement::ShowDatabases { .. }
        | Statement::ShowSchemas { .. }
        | Statement::ShowCollation { .. }
        | Statement::ShowCharset(_)
        | Statement::ShowVariable { .. }
        | Statement::ShowVariables { .. }
        | Statement::StartTransaction { .. } => false,
        _ => true,
    }
}

fn query_writes(query: &Query) -> bool {
    !query.locks.is_empty() || body_writes(&query.body)
}

fn body_writes(body: &SetExpr) -> bool {
    match body {
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => true,
        SetExpr::Query(query) => query_writes(query),
        SetExpr::SetOperation { left, right, .. } => body_writes(left) || body_writes(right),
        SetExpr::Select(select) => select.into.is_some(),
        SetExpr::Values(_) | SetExpr::Table(_) => false,
    }
}

/// Whether the witness reads the text and finds a write.
fn witness_sees_a_write(text: &str) -> Option<bool> {
    // It takes executable comments for comments: then it says nothing.
    if text.contains("/*!") || text.contains("/*M!") {
        return None;
    }
    let statements = Parser::parse_sql(&MySqlDialect {}, text).ok()?;
    Some(statements.iter().any(writes))
}

#[test]
fn what_the_witness_reads_as_a_write_never_goes_to_a_replica() {
    let (mut read, mut writes) = (0, 0);
    for case in cases() {
        let Ok(text) = String::from_utf8(case.statement.clone()) else { continue };
        if case.has("nbe") || case.has("ansi") || case.has("gbk") || case.has("doubt") {
            continue;
        }
        let Some(write) = witness_sees_a_write(&text) else { continue };
        read += 1;
        for server in [ServerVersion::mysql(9, 7, 4), ServerVersion::mariadb(10, 11, 14)] {
            let context = case.context(server);
            // On the family that a case is not for, the server refuses it.
            if case.is_for(server.flavor)
                && classify(&case.statement, &context).is_replica_allowed()
            {
                assert!(!write, "line {}: {text}", case.line);
            }
        }
        writes += usize::from(write);
    }
    println!("the witness read {read} cases and saw {writes} writes");
    assert!(read > 200 && writes > 80, "the witness is one: {read}, {writes}");
}

/// Pieces of statements, put together at random: many are statements.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "SELECT",
        "a",
        "FROM",
        "t",
        "WHERE",
        "id = 1",
        "FOR",
        "UPDATE",
        "LOCK IN SHARE MODE",
        "(",
        ")",
        ",",
        ";",
        "INSERT INTO t VALUES (1)",
        "DELETE FROM t",
        "UPDATE t SET a = 1",
        "UNION",
        "WITH x AS",
        "(SELECT 1)",
        "-- x\n",
        "/* x */",
        "'it''s'",
        "\"x\"",
        "`y`",
        "1e5",
        "1.5",
        "SET @a = 1",
        "REPLACE INTO t VALUES (1)",
        "DROP TABLE t",
        "INTO",
        "AS",
        "TRUNCATE TABLE t",
        "LIMIT 1",
        "#\n",
        "SHOW TABLES",
        "EXPLAIN",
        "count(*)",
        "BEGIN",
        "COMMIT",
        "'\\''",
    ]);
    prop::collection::vec(piece, 1..10).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]
    #[test]
    fn no_mixture_of_pieces_hides_a_write(text in pieces()) {
        for flavor in [Flavor::MySql, Flavor::MariaDb] {
            let server = match flavor {
                Flavor::MySql => ServerVersion::mysql(9, 7, 4),
                Flavor::MariaDb => ServerVersion::mariadb(11, 8, 3),
            };
            let context = Context::new(server);
            let class = classify(text.as_bytes(), &context);
            if class.route == Route::Replica && witness_sees_a_write(&text) == Some(true) {
                prop_assert!(false, "{}", text);
            }
        }
    }
}
