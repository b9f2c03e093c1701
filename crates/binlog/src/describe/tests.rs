use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::Reader;

const FILES: [&str; 9] = [
    "mysql-5.6/statement.binlog",
    "mysql-9.7-gtid/row.binlog",
    "mysql-9.7-gtid/compressed.binlog",
    "mysql-9.7-gtid/tagged.binlog",
    "mysql-9.7/xa.binlog",
    "mariadb-10.5/statement.binlog",
    "mariadb-11.8/compressed.binlog",
    "mariadb-11.8/row.binlog",
    "mariadb-10.11/encrypted.binlog",
];

fn bytes(name: &str) -> Vec<u8> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    std::fs::read(data.join(name)).unwrap()
}

fn all(bytes: &[u8]) -> Vec<EventFacts> {
    let mut reader = Reader::new(bytes, "it").unwrap().without_verification();
    let mut describer = Describer::new();
    let mut facts = Vec::new();
    while let Ok(Some((event, format))) = reader.next_in_format() {
        let range = Range { start: event.offset(), end: event.end() };
        let Ok(()) = describer.feed(&event, format, range, &mut |one| {
            facts.push(one.clone());
            Ok::<(), std::convert::Infallible>(())
        });
    }
    facts
}

#[test]
fn rows_know_their_table_and_their_number() {
    for name in ["mysql-9.7-gtid/row.binlog", "mariadb-11.8/row.binlog"] {
        let facts = all(&bytes(name));
        let written: Vec<_> = facts.iter().filter(|f| f.kind.starts_with("Write_rows")).collect();
        assert!(!written.is_empty(), "{name}");
        for one in written {
            assert!(one.table.is_some() && one.rows.is_some_and(|n| n > 0), "{name}: {one:?}");
            assert!(one.gtid.is_some(), "{name}: {one:?}");
        }
    }
}

#[test]
fn compressed_transactions_are_opened() {
    let facts = all(&bytes("mysql-9.7-gtid/compressed.binlog"));
    let inside: Vec<_> = facts.iter().filter(|f| f.inside).collect();
    assert!(inside.iter().any(|f| f.rows.is_some()));
    assert!(inside.iter().all(|f| f.gtid.is_some()));
    let mariadb = all(&bytes("mariadb-11.8/compressed.binlog"));
    let mut compressed = mariadb.iter().filter(|f| f.kind == "Query_compressed");
    assert!(compressed.any(|f| f.statement.as_ref().is_some_and(|text| !text.is_empty())));
}

#[test]
fn an_event_after_a_transaction_belongs_to_none() {
    for name in ["mysql-9.7-gtid/row.binlog", "mariadb-11.8/row.binlog"] {
        let facts = all(&bytes(name));
        let last = facts.last().unwrap();
        assert_eq!((last.kind.as_str(), last.table.is_none()), ("Rotate", true));
        assert!(last.details.starts_with("goes on in "), "{}", last.details);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damaged_files_are_described_without_panic_and_harmlessly(
        file: Index, place: Index, bits in 1..=255_u8, length: Index,
    ) {
        let mut bytes = bytes(file.get::<&str>(&FILES));
        let place = place.index(bytes.len());
        bytes[place] ^= bits;
        bytes.truncate(length.index(bytes.len() + 1).max(200));
        for facts in all(&bytes) {
            let texts = [Some(facts.details), facts.statement, facts.table, facts.database];
            for text in texts.into_iter().flatten() {
                prop_assert!(!text.chars().any(char::is_control), "{text:?}");
            }
        }
    }
}
