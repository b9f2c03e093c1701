//! What transactions do, in words for people.

use std::collections::BTreeMap;

use primacy_binlog::{Grouper, Reader, Summarizer, TransactionSummary};

use crate::fixtures::{binlogs, fixture, servers};

fn summaries(path: &std::path::Path) -> Vec<TransactionSummary> {
    let mut reader = Reader::open(path).unwrap();
    let (mut grouper, mut summarizer) = (Grouper::new(), Summarizer::default());
    let mut all = Vec::new();
    while let Some((event, format)) = reader.next_in_format().unwrap() {
        let fed = grouper.feed(&event, format).unwrap();
        all.extend(summarizer.feed(&event, format, &fed));
    }
    all
}

/// Inserted, updated, deleted per table.
fn rows(all: &[TransactionSummary]) -> BTreeMap<String, (u64, u64, u64)> {
    let mut tables = BTreeMap::<String, (u64, u64, u64)>::new();
    for ((_, table), counts) in all.iter().flat_map(|one| &one.tables) {
        let sum = tables.entry(table.clone()).or_default();
        sum.0 += counts.inserted;
        sum.1 += counts.updated;
        sum.2 += counts.deleted;
    }
    tables
}

#[test]
fn every_row_of_every_type_is_counted() {
    for path in binlogs() {
        for one in summaries(&path) {
            let unknown: u64 = one.tables.values().map(|counts| counts.uncounted_events).sum();
            assert!(unknown == 0 && !one.partly_unread, "{}: {one:?}", path.display());
        }
    }
    for server in servers() {
        let tables = rows(&summaries(&fixture(&server).join("row.binlog")));
        // What was done after SAVEPOINT a was undone, and InnoDB's rollback was not written.
        assert_eq!(tables["kinds"], (1 + 3 + 2, 2, 1), "{server}");
        assert_eq!(tables["old"], (2, 0, 0), "{server}");
    }
}

#[test]
fn compressed_transactions_are_opened() {
    for server in ["mysql-9.7-gtid", "mysql-9.7", "mariadb-10.5", "mariadb-11.8"] {
        let all = summaries(&fixture(server).join("compressed.binlog"));
        assert_eq!(rows(&all)["st"], (2 + 1 + 1, 2, 1), "{server}");
        let texts: Vec<&String> = all.iter().flat_map(|one| &one.statements).collect();
        assert!(texts.iter().any(|text| text.starts_with("CREATE TABLE comp")), "{texts:?}");
    }
}

#[test]
fn partial_json_updates_are_counted() {
    let all = summaries(&fixture("mysql-9.7-gtid/row.binlog"));
    assert_eq!(rows(&all)["js"], (2, 2, 0));
}

#[test]
fn statements_are_quoted_without_their_frame() {
    let all = summaries(&fixture("mysql-5.6/statement.binlog"));
    let first: Vec<&str> =
        all.iter().filter_map(|one| one.statements.first()).map(String::as_str).collect();
    assert_eq!(first.len(), all.len());
    assert!(first[1].starts_with("INSERT INTO st (v) VALUES ('a'),('ROLLBACK"), "{first:?}");
    let load = first.iter().find(|text| text.contains("LOAD DATA")).unwrap();
    assert!(load.contains("INTO TABLE `st`"), "{load}");
}
