use super::*;

/// A format description without checksums.
fn format(version: &str) -> FormatDescription {
    let mut bytes = vec![0; EventHeader::LENGTH];
    bytes.extend(4_u16.to_le_bytes());
    let mut text = version.as_bytes().to_vec();
    text.resize(50, 0);
    bytes.extend(text);
    bytes.extend([0, 0, 0, 0, 19]);
    let kinds = if version.contains("MariaDB") { 171 } else { 40 };
    bytes.extend(vec![0; kinds]);
    bytes.extend([0; 5]);
    finish(&mut bytes, EventKind::FORMAT_DESCRIPTION);
    FormatDescription::decode(&RawEvent::new(&bytes, 4).unwrap()).unwrap()
}

fn finish(bytes: &mut [u8], kind: EventKind) {
    bytes[4] = kind.0;
    let length = u32::try_from(bytes.len()).unwrap();
    bytes[9..13].copy_from_slice(&length.to_le_bytes());
}

fn event(kind: EventKind, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; EventHeader::LENGTH];
    bytes.extend_from_slice(body);
    finish(&mut bytes, kind);
    bytes
}

fn query(text: &str) -> Vec<u8> {
    event(EventKind::QUERY, &[&[0; 14], text.as_bytes()].concat())
}

fn plain(kind: EventKind) -> Vec<u8> {
    event(kind, &[])
}

fn gtid(number: u64) -> Vec<u8> {
    event(EventKind::GTID, &[&[0; 17][..], &number.to_le_bytes()].concat())
}

fn mariadb_gtid(number: u64, flags: MariaDbGtidFlags) -> Vec<u8> {
    let body = [&number.to_le_bytes()[..], &[0; 4], &[flags.0], &[0; 6]].concat();
    event(EventKind::MARIADB_GTID, &body)
}

fn parts(mut grouper: Grouper, version: &str, events: &[Vec<u8>]) -> Vec<Part> {
    let format = format(version);
    let feed = |bytes: &Vec<u8>| {
        let event = RawEvent::new(bytes, 4).unwrap();
        grouper.feed(&event, &format).unwrap().part
    };
    events.iter().map(feed).collect()
}

use Part::{Begins, Ends, Inside, Orphan, Outside, Whole};

#[test]
fn without_gtids_a_statement_is_a_group_or_part_of_one() {
    let events = [
        query("CREATE TABLE t (a INT)"),
        query("BEGIN"),
        query("INSERT INTO t VALUES (1)"),
        query("ROLLBACK TO `a`"),
        query("ROLLBACK"),
        plain(EventKind::INTVAR),
        plain(EventKind::USER_VAR),
        query("INSERT INTO m VALUES (@a)"),
        plain(EventKind::BEGIN_LOAD_QUERY),
        plain(EventKind::APPEND_BLOCK),
        plain(EventKind::DELETE_FILE),
        query("DROP TABLE t"),
        plain(EventKind::ROTATE),
    ];
    let found = parts(Grouper::new(), "5.6.24-log", &events);
    let expected = [
        Whole, Begins, Inside, Inside, Ends, Begins, Inside, Ends, Begins, Inside, Ends, Whole,
        Outside,
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_stream_that_begins_in_the_middle_is_unsure_until_a_boundary() {
    let events = [query("INSERT INTO t VALUES (1)"), query("COMMIT"), query("DROP TABLE t")];
    assert_eq!(parts(Grouper::from_anywhere(), "5.6.24", &events), [Orphan, Orphan, Whole]);
    // Where every group has a name, what has none is the rest of one.
    assert_eq!(parts(Grouper::new(), "5.7.44", &events), [Orphan, Orphan, Orphan]);
    let rows = [plain(EventKind::TABLE_MAP), plain(EventKind::WRITE_ROWS), plain(EventKind::XID)];
    assert_eq!(parts(Grouper::from_anywhere(), "5.6.24", &rows), [Orphan; 3]);
}

#[test]
fn a_group_that_begins_again_gives_the_open_one_up() {
    let format = format("8.4.3");
    let mut grouper = Grouper::new();
    let mut feed = |bytes: &[u8]| {
        let event = RawEvent::new(bytes, 4).unwrap();
        grouper.feed(&event, &format).unwrap()
    };
    feed(&gtid(7));
    feed(&query("BEGIN"));
    // A relay log goes on in another file: the group is still open around it.
    assert_eq!(feed(&plain(EventKind::ROTATE)).part, Outside);
    let again = feed(&gtid(7));
    assert_eq!((again.part, again.abandoned.map(|open| open.events)), (Begins, Some(2)));
    feed(&query("BEGIN"));
    let end = feed(&plain(EventKind::XID));
    assert_eq!((end.part, end.group.map(|group| group.events)), (Ends, Some(3)));
}

#[test]
fn one_event_may_be_all_of_a_group() {
    let events = [
        gtid(1),
        plain(EventKind::TRANSACTION_PAYLOAD),
        gtid(2),
        plain(EventKind::INCIDENT),
        gtid(3),
        query("XA COMMIT X'61',X'',1"),
        gtid(4),
        query("BEGIN"),
        plain(EventKind::VIEW_CHANGE),
        query("COMMIT"),
    ];
    let found = parts(Grouper::new(), "8.4.3", &events);
    assert_eq!(found, [Begins, Ends, Begins, Ends, Begins, Ends, Begins, Inside, Inside, Ends]);
}

#[test]
fn mariadb_says_in_the_gtid_whether_a_group_has_an_end_of_its_own() {
    let events = [
        mariadb_gtid(1, MariaDbGtidFlags::STANDALONE),
        plain(EventKind::INTVAR),
        query("CREATE SEQUENCE s"),
        mariadb_gtid(2, MariaDbGtidFlags::TRANSACTIONAL),
        plain(EventKind::ANNOTATE_ROWS),
        plain(EventKind::TABLE_MAP),
        plain(EventKind::WRITE_ROWS_COMPRESSED_V1),
        query("INSERT INTO t VALUES (1)"),
        plain(EventKind::XID),
        plain(EventKind::BINLOG_CHECKPOINT),
    ];
    let found = parts(Grouper::new(), "10.11.19-MariaDB", &events);
    assert_eq!(
        found,
        [Begins, Inside, Ends, Begins, Inside, Inside, Inside, Inside, Ends, Outside]
    );
}

#[test]
fn an_incident_ends_what_was_open() {
    let events = [query("BEGIN"), plain(EventKind::INCIDENT), query("BEGIN")];
    assert_eq!(parts(Grouper::new(), "5.6.24", &events)[..2], [Begins, Whole]);
}
