//! Relay logs in the coordinates of their source.

use std::fs;

use primacy_binlog::relay::summarize;
use primacy_binlog::{EventKind, Grouper, Part, RelayReader, SourceHint};

use crate::fixtures::{by_original_name, fixture, relay_logs};

const REPLICAS: [&str; 3] = ["mysql-5.6", "mysql-9.7-gtid", "mariadb-11.8"];

/// Each event stands in the source's file at the place that the relay logs give for it, byte for
/// byte, and no event of the source's transactions is missing.
#[test]
fn relayed_events_are_those_at_that_place_of_the_source() {
    for server in REPLICAS {
        let sources = by_original_name(server);
        let mut found = 0;
        let mut reader = RelayReader::open(&relay_logs(server), None).unwrap();
        let mut last = (String::new(), 0);
        while let Some(relayed) = reader.next().unwrap() {
            let name = relayed.source_file.unwrap();
            let Some(path) = sources.get(name) else { continue };
            // A MariaDB replica opens compressed events; a format description that is sent with
            // events from the middle of a file stands nowhere.
            let opened = server == "mariadb-11.8" && path.ends_with("compressed.binlog");
            if opened || relayed.event.header().is_artificial() {
                continue;
            }
            let source = fs::read(path).unwrap();
            let range = relayed.start as usize..relayed.end as usize;
            assert!(
                relayed.event.bytes() == &source[range],
                "{server}: {name} at {}: {:?}",
                relayed.start,
                relayed.event.header()
            );
            if last.0 == name && last.1 > 4 {
                assert!(relayed.start >= last.1, "{server}: {name} goes back");
            }
            last = (name.to_owned(), relayed.end);
            found += 1;
        }
        assert!(found > 40, "{server}: {found}");
    }
}

#[test]
fn transactions_spread_over_relay_logs_are_whole() {
    for (server, spread) in [("mysql-5.6", true), ("mysql-9.7-gtid", false), ("mariadb-11.8", true)]
    {
        let files = relay_logs(server);
        let all = summarize(&files, None).unwrap();
        assert_eq!((all.orphans, all.abandoned, all.repeated), (0, 0, 0), "{server}");
        assert!(all.incomplete.is_none() && all.torn.is_none() && all.corrupt.is_none());
        let each: u64 = primacy_binlog::scan_files(&files, primacy_binlog::Thoroughness::Quick)
            .unwrap()
            .files
            .iter()
            .map(|file| file.transactions)
            .sum();
        assert_eq!(each < all.transactions, spread, "{server}: {each} {}", all.transactions);
    }
}

#[test]
fn the_first_relay_logs_may_be_gone() {
    for server in REPLICAS {
        let files = relay_logs(server);
        let whole = summarize(&files, None).unwrap();
        for gone in 1..files.len() {
            let left = summarize(&files[gone..], None).unwrap();
            assert!(left.transactions <= whole.transactions);
            assert!(whole.gtids.covers(&left.gtids), "{server} without {gone}");
            if left.transactions > 0 {
                assert_eq!(left.until, whole.until, "{server} without {gone}");
                assert!(left.from >= whole.from);
            }
        }
    }
}

/// A file that begins in the middle of the source's and has no rotation in it.
#[test]
fn a_hint_names_the_source_file_where_nothing_else_does() {
    let files = relay_logs("mysql-5.6");
    let middle = files.iter().position(|path| path.ends_with("relay.000027")).unwrap();
    let only = [files[middle].clone()];
    let mut reader = RelayReader::open(&only, None).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().source_file, None);

    // Wherever in it the applier stands, at its end too: no rotation is before that place.
    let length = fs::metadata(&only[0]).unwrap().len();
    for offset in [4, length / 2, length] {
        let hint = SourceHint {
            relay_log: "relay.000027".to_owned(),
            offset,
            source_file: "binlog.000013".to_owned(),
        };
        let all = summarize(&only, Some(hint)).unwrap();
        assert_eq!(all.from.unwrap().to_string(), "binlog.000013:8062", "{offset}");
        assert!(all.orphans > 0);
    }
    // A place in a file that is not among them tells nothing.
    let elsewhere = SourceHint {
        relay_log: "relay.000026".to_owned(),
        offset: 4,
        source_file: "binlog.000013".to_owned(),
    };
    let mut reader = RelayReader::open(&only, Some(elsewhere)).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().source_file, None);

    // The rotation at the source's end tells it as well.
    let to_the_end = summarize(&files[middle..], None).unwrap();
    assert_eq!(to_the_end.from.unwrap().to_string(), "binlog.000013:8062");
}

/// The receiver lost its connection in the middle of a transaction and got it again from its
/// beginning, as with GTID auto-position; or it goes on in the middle.
#[test]
fn a_transaction_received_again_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let source = fs::read(by_original_name("mysql-9.7-gtid")["binlog.000024"].clone()).unwrap();
    let relay = relay_logs("mysql-9.7-gtid");
    let relay = relay.iter().find(|path| path.ends_with("relay.000051")).unwrap();
    let relay = fs::read(relay).unwrap();
    // Own head, then the source's rotation and format description.
    let head = &relay[..459];
    let from = |start: usize| [head, &source[start..8424]].concat();
    let first = folder.path().join("relay.000001");
    // Cut behind a few events of the large transaction.
    fs::write(&first, [head, &source[292..2268]].concat()).unwrap();
    let again = folder.path().join("relay.000002");
    fs::write(&again, from(292)).unwrap();
    let files = [first.clone(), again.clone()];

    let all = summarize(&files, None).unwrap();
    assert_eq!((all.transactions, all.abandoned, all.repeated), (1, 1, 0));
    let mut reader = RelayReader::open(&files, None).unwrap();
    let mut grouper = Grouper::new();
    let mut parts = Vec::new();
    while let Some(relayed) = reader.next().unwrap() {
        let fed = grouper.feed(&relayed.event, relayed.format).unwrap();
        parts.push((fed.part, fed.abandoned.is_some()));
    }
    assert_eq!(parts.iter().filter(|part| **part == (Part::Begins, true)).count(), 1);

    // It goes on exactly where it stopped.
    fs::write(&again, from(2268)).unwrap();
    let all = summarize(&files, None).unwrap();
    assert_eq!((all.transactions, all.abandoned, all.repeated, all.orphans), (1, 0, 0, 0));

    // It goes on a little before that: some events come twice.
    fs::write(&again, from(1385)).unwrap();
    let all = summarize(&files, None).unwrap();
    assert_eq!((all.transactions, all.abandoned, all.orphans), (1, 0, 0));
    assert!(all.repeated > 0);

    // The first copy was complete.
    fs::write(&first, from(292)).unwrap();
    fs::write(&again, from(292)).unwrap();
    let all = summarize(&files, None).unwrap();
    assert_eq!((all.transactions, all.abandoned), (1, 0));
}

#[test]
fn a_replica_that_died_while_it_wrote_goes_on_in_the_next_file() {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<_> = relay_logs("mariadb-11.8")
        .into_iter()
        .map(|path| {
            let copy = folder.path().join(path.file_name().unwrap());
            fs::copy(path, &copy).unwrap();
            copy
        })
        .collect();
    let last = files.iter().find(|path| path.ends_with("relay.000025")).unwrap();
    let bytes = fs::read(last).unwrap();
    fs::write(last, &bytes[..1700]).unwrap();
    let end = files.iter().position(|path| path == last).unwrap();

    let torn = summarize(&files[..=end], None).unwrap();
    assert_eq!(torn.torn.as_ref().unwrap().offset, 1682);
    let incomplete = torn.incomplete.unwrap();
    assert_eq!((incomplete.start, incomplete.bytes), (9389, 1700 - 1532));
    assert!(torn.corrupt.is_none());
    assert_eq!(torn.until.unwrap().offset, 9389);
}

/// MariaDB's receiver went on in the middle of a transaction: it wrote a rotation without the
/// flag of a made-up one, in the name of the source, to say where.
#[test]
fn a_rotation_that_only_tells_a_place_is_not_the_end_of_a_file() {
    let file = fixture("mariadb-11.8/resumed/relay.000032");
    let mut reader = RelayReader::open(&[file], None).unwrap();
    let mut kinds = Vec::new();
    while let Some(relayed) = reader.next().unwrap() {
        assert_eq!(relayed.source_file, Some("binlog.000012"));
        kinds.push(relayed.event.kind());
    }
    let (format, checkpoint) = (EventKind::FORMAT_DESCRIPTION, EventKind::BINLOG_CHECKPOINT);
    assert_eq!(kinds, [format, checkpoint, checkpoint]);
}
