//! Cuts from binary logs and relay logs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use primacy_binlog::{
    Archive, CutError, CutFrom, CutReport, CutRequest, CutSource, CutUntil, EventBody, ReadError,
    Reader, StartAt, Thoroughness, cut, scan_files,
};
use primacy_types::{BinlogPosition, MySqlGtidSet, TransactionSet};

use crate::fixtures::{by_original_name, fixture, relay_logs, restored, servers};

fn from_position(file: &str, offset: u64) -> CutRequest {
    let from = CutFrom::Position(BinlogPosition::new(file, offset));
    CutRequest { from, until: None }
}

fn missing(set: TransactionSet) -> CutRequest {
    CutRequest { from: CutFrom::Missing(set), until: None }
}

fn relays(server: &str) -> CutSource {
    CutSource::RelayLogs { files: relay_logs(server), hint: None }
}

fn try_cut(
    source: &CutSource,
    request: &CutRequest,
) -> (tempfile::TempDir, Result<CutReport, CutError>) {
    let folder = tempfile::tempdir().unwrap();
    let report = cut(source, request, &folder.path().join("saved"), "a test");
    (folder, report)
}

/// The saved events must be those of the source at the places they are said to have. How many.
fn assert_faithful(archive: &Archive, sources: &BTreeMap<String, PathBuf>) -> u64 {
    let mut events = archive.events_from(StartAt::Beginning).unwrap();
    let mut compared = 0;
    while let Some(saved) = events.next().unwrap() {
        if let Some(path) = sources.get(&saved.file.name) {
            let source = fs::read(path).unwrap();
            let range = saved.start as usize..saved.end as usize;
            assert!(saved.event.bytes() == &source[range], "{} {}", saved.file.name, saved.start);
            compared += 1;
        }
    }
    compared
}

#[test]
fn everything_from_the_beginning_is_everything() {
    for server in servers() {
        let (_folder, paths) = restored(&server);
        let first = paths[0].file_name().unwrap().to_str().unwrap().to_owned();
        let all = scan_files(&paths, Thoroughness::Verified).unwrap();
        let source = CutSource::Binlogs(paths);
        let (_kept, report) = try_cut(&source, &from_position(&first, 4));
        let report = report.unwrap();
        let transactions: u64 = all.files.iter().map(|file| file.transactions).sum();
        assert_eq!(report.archive.manifest().transactions, transactions, "{server}");
        assert_eq!(report.passed_over, 0);
        // One file of each server has no checksums.
        assert!(!report.checksums_verified);
        let opened = Archive::open(report.archive.folder()).unwrap();
        assert_eq!(opened.manifest(), report.archive.manifest());
        assert!(assert_faithful(&opened, &by_original_name(&server)) > 100);
        let last = all.files.last().unwrap();
        assert_eq!(opened.until_position().unwrap().offset, last.end_of_last_complete);
    }
}

#[test]
fn from_a_place_between_two_transactions() {
    let (_folder, paths) = restored("mysql-5.6");
    let name = paths[0].file_name().unwrap().to_str().unwrap().to_owned();
    let source = CutSource::Binlogs(vec![paths[0].clone()]);
    let (_kept, report) = try_cut(&source, &from_position(&name, 1191));
    let report = report.unwrap();
    assert_eq!(report.archive.from_position().unwrap().offset, 1191);
    assert_eq!(report.passed_over, 3);
    assert_eq!(report.archive.until_position().unwrap().to_string(), format!("{name}:3294"));
    let contents = report.archive.transactions();
    assert_eq!(contents.as_place(), report.archive.until_position());

    let (_kept, inside) = try_cut(&source, &from_position(&name, 1263));
    assert!(matches!(inside, Err(CutError::InsideTransaction { .. })), "{inside:?}");
    let (_kept, inside) = try_cut(&source, &from_position(&name, 1264));
    assert!(matches!(inside, Err(CutError::InsideTransaction { .. })), "{inside:?}");
    let (_kept, beyond) = try_cut(&source, &from_position(&name, 100_000));
    assert!(matches!(beyond, Err(CutError::NotReached { .. })), "{beyond:?}");
    // The receiver has everything: that is no error, and nothing to do.
    for (file, offset) in [(name.as_str(), 3294), (name.as_str(), 3338), ("binlog.000007", 4)] {
        let (_kept, nothing) = try_cut(&source, &from_position(file, offset));
        assert_eq!(nothing.unwrap().archive.manifest().transactions, 0, "{file}:{offset}");
    }
    let (_kept, before) = try_cut(&source, &from_position("binlog.000002", 4));
    assert!(matches!(before, Err(CutError::Gap { .. })), "{before:?}");
}

#[test]
fn only_what_the_receiver_lacks_by_mysql_gtid() {
    let (_folder, paths) = restored("mysql-9.7-gtid");
    let all = scan_files(&paths, Thoroughness::Quick).unwrap();
    let previous = all.previous.clone().unwrap();
    let everything = previous.union(&all.gtids);
    let tagged = all.files.iter().find(|file| file.gtids.to_string().contains("backup")).unwrap();
    let (have, lacks) = match (&everything, &tagged.gtids) {
        (TransactionSet::MySql(all), TransactionSet::MySql(some)) => (all.minus(some), some),
        _ => panic!("not MySQL's"),
    };
    let source = CutSource::Binlogs(paths);
    let (_kept, report) = try_cut(&source, &missing(TransactionSet::MySql(have)));
    let report = report.unwrap();
    assert_eq!(report.archive.transactions(), &TransactionSet::MySql(lacks.clone()));
    assert_eq!(report.archive.files().len(), 1);
    assert_eq!(report.archive.manifest().transactions, 4);
    assert!(assert_faithful(&report.archive, &by_original_name("mysql-9.7-gtid")) > 10);

    // Reading it with a receiver that has got half of that meanwhile.
    let half: MySqlGtidSet = lacks.filtered(|source| source.tag.is_none());
    let mut events =
        report.archive.events_from(StartAt::Missing(TransactionSet::MySql(half))).unwrap();
    while events.next().unwrap().is_some() {}
    assert_eq!(events.transactions(), 3);

    // What is not there cannot be cut.
    let (_kept, purged) = try_cut(&source, &missing(everything.nothing()));
    assert!(matches!(purged, Err(CutError::Purged { .. })), "{purged:?}");
}

#[test]
fn only_what_the_receiver_lacks_by_mariadb_gtid() {
    let (_folder, paths) = restored("mariadb-11.8");
    let all = scan_files(&paths, Thoroughness::Quick).unwrap();
    let have = all.files[3].previous.clone().unwrap();
    let source = CutSource::Binlogs(paths);
    let (_kept, report) = try_cut(&source, &missing(have));
    let report = report.unwrap();
    let transactions: u64 = all.files[3..].iter().map(|file| file.transactions).sum();
    assert_eq!(report.archive.manifest().transactions, transactions);
    assert_eq!(report.archive.transactions(), &all.gtids);
    assert!(assert_faithful(&report.archive, &by_original_name("mariadb-11.8")) > 20);
}

#[test]
fn relay_logs_give_the_same_as_the_source() {
    for (server, nothing) in [
        ("mysql-9.7-gtid", None),
        ("mariadb-11.8", Some(TransactionSet::MariaDb("0-1-1".parse().unwrap()))),
        ("mysql-5.6", None),
    ] {
        let mut sources = by_original_name(server);
        // A MariaDB replica opens compressed events before it writes them to its relay log.
        sources.retain(|_, path| server != "mariadb-11.8" || !path.ends_with("compressed.binlog"));
        let summary = primacy_binlog::relay::summarize(&relay_logs(server), None).unwrap();
        let request = match (server, nothing) {
            ("mysql-9.7-gtid", _) => missing(TransactionSet::MySql(MySqlGtidSet::default())),
            (_, Some(set)) => missing(set),
            _ => {
                let from = summary.from.clone().unwrap();
                CutRequest { from: CutFrom::Position(from), until: None }
            }
        };
        let (_kept, report) = try_cut(&relays(server), &request);
        let report = report.unwrap();
        let manifest = report.archive.manifest();
        assert_eq!(manifest.transactions, summary.transactions, "{server}");
        assert_eq!(manifest.until, summary.until, "{server}");
        assert!(assert_faithful(&Archive::open(report.archive.folder()).unwrap(), &sources) > 40);
        assert!(report.incomplete.is_none());
    }
}

#[test]
fn relay_logs_from_a_place_of_the_source() {
    let name = "binlog.000013";
    let (_kept, report) = try_cut(&relays("mysql-5.6"), &from_position(name, 8062));
    let report = report.unwrap();
    assert_eq!(report.archive.manifest().transactions, 3);
    assert_eq!(report.archive.from_position().unwrap().to_string(), "binlog.000013:8062");

    // The relay logs begin after what is asked for.
    let files = relay_logs("mysql-5.6");
    let middle = files.iter().position(|path| path.ends_with("relay.000027")).unwrap();
    let source = CutSource::RelayLogs { files: files[middle..].to_vec(), hint: None };
    let (_kept, gap) = try_cut(&source, &from_position(name, 120));
    assert!(matches!(gap, Err(CutError::Gap { .. })), "{gap:?}");
    let (_kept, rest) = try_cut(&source, &from_position(name, 8062));
    assert_eq!(rest.unwrap().archive.manifest().transactions, 3);
}

#[test]
fn up_to_a_place() {
    let (_folder, paths) = restored("mysql-5.6");
    let name = paths[0].file_name().unwrap().to_str().unwrap().to_owned();
    for (until, transactions) in [(2840, 7), (2839, 6), (120, 0), (100_000, 10)] {
        let mut request = from_position(&name, 4);
        request.until = Some(CutUntil::Position(BinlogPosition::new(name.clone(), until)));
        let source = CutSource::Binlogs(vec![paths[0].clone()]);
        let (_kept, report) = try_cut(&source, &request);
        let report = report.unwrap();
        assert_eq!(report.archive.manifest().transactions, transactions, "{until}");
        assert!(report.incomplete.is_none());
        Archive::open(report.archive.folder()).unwrap();
    }
}

fn cut_file_short(path: &Path, length: usize) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..length]).unwrap();
}

#[test]
fn the_incomplete_transaction_at_the_end_is_left_out_and_named() {
    let (_folder, paths) = restored("mysql-9.7-gtid");
    let last = paths.last().unwrap().clone();
    cut_file_short(&last, 5000);
    let name = last.file_name().unwrap().to_str().unwrap().to_owned();
    let (_kept, report) = try_cut(&CutSource::Binlogs(vec![last]), &from_position(&name, 4));
    let report = report.unwrap();
    assert_eq!(report.archive.manifest().transactions, 0);
    let incomplete = report.incomplete.unwrap();
    assert_eq!(incomplete.start.to_string(), format!("{name}:292"));
    assert_eq!(incomplete.bytes, 5000 - 292);
    assert!(incomplete.gtid.unwrap().ends_with(":94"));
    assert!(report.torn.is_some());
    // Nothing of it is in the archive, not even a file.
    assert!(report.archive.files().is_empty());
    let opened = Archive::open(report.archive.folder()).unwrap();
    assert_eq!(opened.manifest().incomplete.as_ref().unwrap().bytes, 4708);
}

#[test]
fn damage_stops_the_cut_and_what_was_before_it_is_saved() {
    let (_folder, paths) = restored("mysql-5.6");
    let name = paths[0].file_name().unwrap().to_str().unwrap().to_owned();
    let mut bytes = fs::read(&paths[0]).unwrap();
    // In the middle of the fourth transaction with rows.
    bytes[2300] ^= 0x10;
    fs::write(&paths[0], &bytes).unwrap();
    let source = CutSource::Binlogs(paths);
    let (_kept, stopped) = try_cut(&source, &from_position(&name, 4));
    let Err(CutError::Stopped { error, saved }) = stopped else {
        panic!("{stopped:?}");
    };
    assert!(matches!(*error, ReadError::Corrupt(_)), "{error}");
    let opened = Archive::open(saved.folder()).unwrap();
    assert_eq!(opened.manifest().transactions, 5);
    assert_eq!(opened.until_position().unwrap().to_string(), format!("{name}:2092"));
    assert!(opened.manifest().stopped_by.as_ref().unwrap().contains("checksum"));
    assert!(opened.manifest().incomplete.is_some());
}

#[test]
fn transactions_without_gtid_cannot_be_asked_for_by_gtid() {
    let (_folder, paths) = restored("mysql-9.7");
    let all = scan_files(&paths, Thoroughness::Quick).unwrap();
    let request = missing(all.previous.unwrap());
    let (_kept, refused) = try_cut(&CutSource::Binlogs(paths), &request);
    assert!(matches!(refused, Err(CutError::Anonymous { .. })), "{refused:?}");
}

/// The head of a relay log without its transactions, then a file whose events have no checksums:
/// found by fuzzing. One saved file cannot hold both, and was written nevertheless.
#[test]
fn what_would_become_a_file_of_two_formats_is_not_saved() {
    let folder = tempfile::tempdir().unwrap();
    let first = fs::read(fixture("mysql-9.7-gtid/relay/relay.000051")).unwrap();
    let mut reader = Reader::new(&first[..], "it").unwrap();
    let mut head = 0;
    while let Some(event) = reader.next().unwrap().filter(|event| !event.kind().is_gtid()) {
        head = event.end() as usize;
    }
    let files = [folder.path().join("relay.000001"), folder.path().join("relay.000002")];
    fs::write(&files[0], &first[..head]).unwrap();
    fs::copy(fixture("mysql-9.7-gtid/nochecksum.binlog"), &files[1]).unwrap();
    let source = CutSource::RelayLogs { files: files.to_vec(), hint: None };
    let has = {
        let mut reader = Reader::open(&files[1]).unwrap();
        let mut has = MySqlGtidSet::default();
        while let Some((event, format)) = reader.next_in_format().unwrap() {
            if let Ok(EventBody::PreviousGtids(previous)) = EventBody::decode(&event, format) {
                has = previous.set;
            }
        }
        has
    };
    let (_kept, report) = try_cut(&source, &missing(TransactionSet::MySql(has)));
    let Err(CutError::Stopped { error, saved }) = report else {
        panic!("it was saved: {report:?}");
    };
    let text = error.to_string();
    assert!(text.contains("the format that the file began with"), "{text}");
    assert_eq!(saved.manifest().transactions, 0);
    Archive::open(saved.folder()).unwrap();
}

/// A binary log in which another server's format description comes again: found by fuzzing. By
/// the one, statements without a GTID are transactions, and by the other they are not.
#[test]
fn a_second_format_in_a_file_ends_the_cut() {
    let folder = tempfile::tempdir().unwrap();
    let old = fs::read(fixture("mysql-5.6/nochecksum.binlog")).unwrap();
    let mut both = fs::read(fixture("mysql-9.7/nochecksum.binlog")).unwrap();
    both.extend_from_slice(&old[4..]);
    let path = folder.path().join("binlog.000001");
    fs::write(&path, both).unwrap();
    let source = CutSource::Binlogs(vec![path]);
    let (_kept, report) = try_cut(&source, &from_position("binlog.000001", 4));
    let Err(CutError::Stopped { error, saved }) = report else {
        panic!("it was saved: {report:?}");
    };
    let text = error.to_string();
    assert!(text.contains("found 5.6.24"), "{text}");
    assert!(saved.manifest().transactions > 0);
    Archive::open(saved.folder()).unwrap();
}
