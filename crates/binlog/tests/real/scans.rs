//! What files hold.

use std::fs;
use std::io::Write;

use primacy_binlog::scan::{Checksums, first_needed, holdings, scan_files};
use primacy_binlog::{FileSummary, Polled, Reader, Thoroughness, scan};
use primacy_types::TransactionSet;

use crate::fixtures::{binlogs, fixture, restored, servers};

fn scanned(path: &std::path::Path, thoroughness: Thoroughness) -> FileSummary {
    scan(&mut Reader::open(path).unwrap(), thoroughness).unwrap()
}

#[test]
fn both_speeds_find_the_same() {
    for path in binlogs() {
        let mut slow = scanned(&path, Thoroughness::Verified);
        let quick = scanned(&path, Thoroughness::Quick);
        assert!(slow.transactions > 0 && slow.next_file.is_some(), "{}", path.display());
        assert!(slow.incomplete.is_none() && slow.torn.is_none() && slow.corrupt.is_none());
        assert_eq!(slow.orphans, 0);
        let bytes = fs::metadata(&path).unwrap().len();
        assert_eq!(slow.last, bytes);
        slow.checksums = quick.checksums;
        assert_eq!(format!("{slow:?}"), format!("{quick:?}"), "{}", path.display());
    }
}

#[test]
fn checksums_are_said_to_be_verified_only_if_they_were() {
    let row = fixture("mysql-9.7/row.binlog");
    assert_eq!(scanned(&row, Thoroughness::Verified).checksums, Checksums::Verified);
    assert_eq!(scanned(&row, Thoroughness::Quick).checksums, Checksums::NotVerified);
    let none = fixture("mysql-9.7/nochecksum.binlog");
    assert_eq!(scanned(&none, Thoroughness::Verified).checksums, Checksums::None);
}

#[test]
fn transactions_by_gtid_and_without() {
    let tagged = scanned(&fixture("mysql-9.7-gtid/tagged.binlog"), Thoroughness::Verified);
    assert_eq!((tagged.transactions, tagged.anonymous), (4, 0));
    let set = tagged.gtids.to_string();
    assert!(set.contains(":backup:3-4") && set.contains(":other:2"), "{set}");
    let next = scanned(&fixture("mysql-9.7-gtid/tagged-next.binlog"), Thoroughness::Quick);
    let before = tagged.previous.unwrap().union(&tagged.gtids);
    assert_eq!(next.previous.unwrap(), before);

    let anonymous = scanned(&fixture("mysql-9.7/xa.binlog"), Thoroughness::Verified);
    assert_eq!(anonymous.transactions, anonymous.anonymous);
    let without = scanned(&fixture("mysql-5.6/row.binlog"), Thoroughness::Verified);
    assert!(without.transactions > 5 && without.previous.is_none());
    assert!(without.gtids.is_empty());
}

/// XA transactions: one that is prepared and one that ends it are two; one in one phase is one.
#[test]
fn xa_transactions_are_counted_as_the_server_numbers_them() {
    let mysql = scanned(&fixture("mysql-9.7-gtid/xa.binlog"), Thoroughness::Verified);
    assert_eq!((mysql.transactions, mysql.gtids.count_beyond(&TransactionSet::UpTo(None))), (8, 8));
    for server in ["mariadb-10.5", "mariadb-10.11", "mariadb-11.8"] {
        let path = fixture(server).join("xa.binlog");
        let summary = scanned(&path, Thoroughness::Verified);
        let previous = summary.previous.clone().unwrap();
        let numbers = previous.union(&summary.gtids).count_beyond(&previous);
        assert_eq!(summary.transactions, numbers, "{server}");
    }
}

#[test]
fn numbers_of_each_file_follow_those_of_the_file_before() {
    for server in servers() {
        let (_folder, paths) = restored(&server);
        let all = scan_files(&paths, Thoroughness::Quick).unwrap();
        for pair in all.files.windows(2) {
            let [a, b] = pair else { continue };
            let (Some(before), Some(after)) = (&a.previous, &b.previous) else { continue };
            // Files between the two may be missing from the fixtures.
            assert!(after.covers(&before.union(&a.gtids)), "{} {}", a.file, b.file);
        }
    }
}

#[test]
fn the_newest_file_tells_what_all_hold() {
    let (_folder, paths) = restored("mysql-9.7-gtid");
    let held = holdings(&paths).unwrap().unwrap();
    let all = scan_files(&paths, Thoroughness::Verified).unwrap();
    assert!(held.all.covers(&all.gtids));
    assert_eq!(Some(&held.previous), all.previous.as_ref());

    let newest = paths.len() - 1;
    assert_eq!(first_needed(&paths, &held.all).unwrap(), Some(newest));
    let have = all.files[2].previous.clone().unwrap();
    assert_eq!(first_needed(&paths, &have).unwrap(), Some(2));
    assert_eq!(first_needed(&paths, &held.all.nothing()).unwrap(), None);
}

#[test]
fn a_growing_file_is_read_on() {
    let bytes = fs::read(fixture("mariadb-11.8/row.binlog")).unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let mut reader = Reader::open(file.path()).unwrap();
    let (mut read, mut waited) = (4, 0);
    for chunk in bytes.chunks(100) {
        file.write_all(chunk).unwrap();
        loop {
            match reader.poll().unwrap() {
                Polled::Event(event) => {
                    assert_eq!(event.bytes(), &bytes[read..read + event.bytes().len()]);
                    read += event.bytes().len();
                }
                Polled::NoMoreYet { .. } => {
                    waited += 1;
                    break;
                }
            }
        }
    }
    assert_eq!((read, waited), (bytes.len(), bytes.len().div_ceil(100)));
    assert!(reader.next().unwrap().is_none());
}

#[test]
fn a_torn_file_and_one_that_ends_in_zeros() {
    let bytes = fs::read(fixture("mysql-9.7-gtid/row.binlog")).unwrap();
    let whole = scan(&mut Reader::new(&bytes[..], "it").unwrap(), Thoroughness::Quick).unwrap();
    // In the middle of the last row event.
    let cut = &bytes[..6100];
    let torn = scan(&mut Reader::new(cut, "it").unwrap(), Thoroughness::Verified).unwrap();
    assert_eq!(torn.transactions, whole.transactions - 1);
    let tail = torn.torn.unwrap();
    assert_eq!((tail.offset, tail.have, tail.needed), (5994, 106, Some(195)));
    let incomplete = torn.incomplete.unwrap();
    assert_eq!((incomplete.start, incomplete.bytes), (5720, 6100 - 5720));
    assert_eq!(torn.end_of_last_complete, 5720);

    // As a crash of the machine may leave it.
    let zeros = [&bytes[..5994], &[0; 300]].concat();
    let zeros = scan(&mut Reader::new(&zeros[..], "it").unwrap(), Thoroughness::Verified).unwrap();
    let tail = zeros.torn.unwrap();
    assert_eq!((tail.offset, tail.have, tail.needed), (5994, 300, None));
    assert!(zeros.corrupt.is_none());
}
