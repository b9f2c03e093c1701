//! Transactions of real servers turned round twice, and what is refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::event::{EventBody, EventHeader, RawEvent, RowsChange, TableMap};
use crate::payload::{InnerEvents, decompress};
use crate::transaction::{Grouper, Part};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

/// The head of a binary log, and its transactions one by one.
fn transactions(file: &Path) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut reader = Reader::open(file).unwrap();
    let (mut head, mut all, mut grouper) = (Vec::new(), Vec::new(), Grouper::new());
    while let Ok(Some((event, format))) = reader.next_in_format() {
        if event.kind() == EventKind::FORMAT_DESCRIPTION {
            head = [b"\xfebin", event.bytes()].concat();
            continue;
        }
        match grouper.feed(&event, format).unwrap().part {
            Part::Begins | Part::Whole => all.push(event.bytes().to_vec()),
            Part::Inside | Part::Ends => all.last_mut().unwrap().extend(event.bytes()),
            Part::Outside | Part::Orphan => {}
        }
    }
    (head, all)
}

fn undone(file: &[u8]) -> Result<Undo, Vec<String>> {
    let mut reader = Reader::new(file, "it").unwrap();
    match undo(&mut reader, &UndoLimits::default()) {
        Ok(undo) => Ok(undo),
        Err(UndoError::NotUndoable { reasons }) => Err(reasons),
        Err(other) => panic!("{other}"),
    }
}

/// The rows of a file, in order: table, change, and the images with what they show.
type Row = (String, RowsChange, Vec<u8>, Vec<u8>);

fn rows(file: &[u8]) -> Vec<Row> {
    let mut reader = Reader::new(file, "it").unwrap();
    let (mut all, mut tables) = (Vec::new(), BTreeMap::new());
    while let Some((event, format)) = reader.next_in_format().unwrap() {
        look(&event, format, &mut tables, &mut all);
    }
    all
}

fn look(
    event: &RawEvent<'_>,
    format: &FormatDescription,
    tables: &mut BTreeMap<u64, (String, Vec<Column>)>,
    all: &mut Vec<Row>,
) {
    match EventBody::decode(event, format).unwrap() {
        EventBody::TableMap(TableMap { table_id, table, columns, .. }) => {
            let name = String::from_utf8(table.to_vec()).unwrap();
            tables.insert(table_id, (name, columns));
        }
        EventBody::Rows(rows) => {
            let Some((name, columns)) = tables.get(&rows.table_id) else { return };
            let opened = rows.opened(1 << 20).unwrap();
            for span in rows.spans(&opened, columns).unwrap() {
                let (before, after) = (opened[span.before].to_vec(), opened[span.after].to_vec());
                all.push((name.clone(), rows.change, before, after));
            }
        }
        EventBody::TransactionPayload(payload) => {
            let opened = decompress(&payload, 1 << 20).unwrap();
            for inner in InnerEvents::new(&opened) {
                look(&inner.unwrap(), &format.without_checksums(), tables, all);
            }
        }
        _ => {}
    }
}

fn opposite((table, change, before, after): Row) -> Row {
    match change {
        RowsChange::Inserted => (table, RowsChange::Deleted, before, after),
        RowsChange::Deleted => (table, RowsChange::Inserted, before, after),
        RowsChange::Updated => (table, RowsChange::Updated, after, before),
    }
}

fn fixtures() -> Vec<PathBuf> {
    let mut all = Vec::new();
    for server in std::fs::read_dir(data()).unwrap().flatten().filter(|e| e.path().is_dir()) {
        let files = std::fs::read_dir(server.path()).unwrap().flatten().map(|entry| entry.path());
        all.extend(files.filter(|path| path.extension().is_some_and(|end| end == "binlog")));
    }
    all.retain(|path| !path.ends_with("encrypted.binlog"));
    assert!(all.len() > 20, "{all:?}");
    all.sort();
    all
}

#[test]
fn what_real_servers_wrote_is_turned_round_exactly_and_twice_is_what_it_was() {
    let mut turned = BTreeMap::new();
    for path in fixtures() {
        let (head, all) = transactions(&path);
        for transaction in all {
            let file = [&head[..], &transaction].concat();
            let Ok(once) = undone(&file) else { continue };
            let (first, original) = (once.as_binlog(), rows(&file));
            let expected: Vec<Row> = original.iter().rev().cloned().map(opposite).collect();
            assert_eq!(rows(&first), expected, "{}", path.display());
            assert_eq!(once.rows, original.len() as u64);
            let second = undone(&first).unwrap().as_binlog();
            assert_eq!(rows(&second), original, "{}", path.display());
            assert_eq!(undone(&second).unwrap().as_binlog(), first, "{}", path.display());
            if once.rows > 0 {
                *turned.entry(path.clone()).or_insert(0) += once.rows;
            }
        }
    }
    for file in ["row.binlog", "compressed.binlog", "nochecksum.binlog"] {
        for server in ["mysql-9.7", "mariadb-10.5", "mariadb-10.11", "mariadb-11.8"] {
            let path = data().join(server).join(file);
            assert!(!path.exists() || turned.contains_key(&path), "{server}/{file}: {turned:?}");
        }
    }
    assert!(turned.contains_key(&data().join("mysql-5.6/row.binlog")), "{turned:?}");
}

#[test]
fn a_whole_file_with_definitions_is_refused_with_each_of_them() {
    let file = std::fs::read(data().join("mysql-9.7/row.binlog")).unwrap();
    let reasons = undone(&file).unwrap_err();
    let creates = reasons.iter().filter(|reason| reason.contains("a statement: CREATE")).count();
    assert!(creates > 1, "{reasons:#?}");
}

#[test]
fn statements_fit_into_their_limit_and_have_all_rows() {
    let (head, all) = transactions(&data().join("mariadb-11.8/large.binlog"));
    let files = all.iter().map(|transaction| [&head[..], transaction].concat());
    let rows_of = |file: &Vec<u8>| undone(file).map_or(0, |undo| undo.rows);
    let file = files.max_by_key(rows_of).unwrap();
    let whole = undone(&file).unwrap();
    let largest = whole.statements().map(|statement| statement.sql.len()).max().unwrap();
    let mut smaller = 0;
    for limit in (100..largest + 200).step_by(7) {
        let limits = UndoLimits { statement: limit, ..UndoLimits::default() };
        let mut reader = Reader::new(&file[..], "it").unwrap();
        match undo(&mut reader, &limits) {
            Ok(cut) => {
                assert!(cut.statements().all(|one| one.sql.len() <= limit));
                assert_eq!(rows(&cut.as_binlog()), rows(&whole.as_binlog()));
                smaller += usize::from(limit < largest);
            }
            Err(error) => assert!(error.to_string().contains("max_allowed_packet"), "{error}"),
        }
    }
    assert!(smaller > 0, "some limit cut the events");
}

#[test]
fn a_transaction_without_its_end_and_one_without_its_beginning_are_named() {
    let (head, all) = transactions(&data().join("mariadb-10.11/row.binlog"));
    let good = |file: &[u8]| undone(file).is_ok_and(|undo| undo.rows > 0);
    let one = all.iter().find(|one| good(&[&head[..], one].concat())).unwrap();
    let mut events = Vec::new();
    let mut rest = &one[..];
    while let Some(header) = EventHeader::read(rest) {
        let (event, after) = rest.split_at(header.length as usize);
        events.push(event);
        rest = after;
    }
    let cut = [&head[..], &events[..events.len() - 1].concat()].concat();
    assert!(undone(&cut).unwrap_err()[0].contains("its end is not in the file"));
    let cut = [&head[..], &events[1..].concat()].concat();
    assert!(undone(&cut).unwrap_err()[0].contains("begins earlier"));
}

#[test]
fn the_same_transactions_have_the_same_fingerprint_and_others_do_not() {
    let (head, all) = transactions(&data().join("mysql-9.7/row.binlog"));
    let files = all.iter().map(|one| [&head[..], one].concat());
    let prints: Vec<String> =
        files.clone().filter_map(|file| Some(undone(&file).ok()?.fingerprint)).collect();
    let again: Vec<String> =
        files.filter_map(|file| Some(undone(&file).ok()?.fingerprint)).collect();
    assert_eq!(prints, again);
    let different: std::collections::BTreeSet<&String> = prints.iter().collect();
    assert_eq!(different.len(), prints.len());
    assert!(prints.iter().all(|print| print.len() == 64));
}

#[test]
fn rows_that_do_not_show_all_columns_are_refused() {
    // The image of a row is full if every bit is set: one that is cleared is a column not shown.
    let (head, all) = transactions(&data().join("mysql-9.7/nochecksum.binlog"));
    let mut refused = 0;
    for transaction in all {
        let file = [&head[..], &transaction].concat();
        if !undone(&file).is_ok_and(|undo| undo.rows > 0) {
            continue;
        }
        let mut at = head.len();
        while let Some(header) = EventHeader::read(&file[at..]) {
            // Version 2 of a table with fewer than 251 columns: fixed part, extra length, count.
            let bits = at + EventHeader::LENGTH + 10 + 1;
            if header.kind.is_rows() && file.get(bits).is_some() {
                let mut changed = file.clone();
                changed[bits] &= !1;
                let reasons = undone(&changed).unwrap_err();
                assert!(reasons[0].contains("binlog_row_image"), "{reasons:?}");
                refused += 1;
            }
            at += header.length as usize;
        }
    }
    assert!(refused > 0);
}

#[test]
fn a_format_whose_fixed_parts_have_other_lengths_is_not_known() {
    /// Where the lengths begin in a file: after its magic, a header, the format's version, the
    /// server's version, the time, and the length of headers.
    const LENGTHS: usize = 4 + EventHeader::LENGTH + 2 + 50 + 4 + 1;
    let (head, all) = transactions(&data().join("mysql-9.7/row.binlog"));
    let last = all.iter().rev().find(|one| undone(&[&head[..], one].concat()).is_ok()).unwrap();
    for kind in [EventKind::QUERY, EventKind::TABLE_MAP] {
        let mut head = head.clone();
        head[LENGTHS + usize::from(kind.0) - 1] += 1;
        let (covered, stored) = head.split_last_chunk_mut::<4>().unwrap();
        *stored = crc32fast::hash(&covered[4..]).to_le_bytes();
        let reasons = undone(&[&head[..], last].concat()).unwrap_err();
        let said = |reason: &String| reason.ends_with("is not known");
        assert!(reasons.iter().any(said), "{kind}: {reasons:?}");
    }
}
