use bytes::Bytes;
use primacy_binlog::event::EventFlags;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const CRC: u8 = 1;
const REPLICA: u32 = 7;

/// An event of the server 1 that stands at `start`.
fn event(file: &str, start: u64, kind: EventKind, body: &[u8]) -> FeedItem {
    event_of(1, file, start, kind, body)
}

fn event_of(server_id: u32, file: &str, start: u64, kind: EventKind, body: &[u8]) -> FeedItem {
    let length = EventHeader::LENGTH + body.len() + 4;
    let end = start + length as u64;
    let header = EventHeader {
        timestamp: 9,
        kind,
        server_id,
        length: length as u32,
        end_position: end as u32,
        flags: EventFlags::default(),
    };
    let mut bytes = header.to_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    FeedItem { file: file.into(), start, end, bytes: bytes.into() }
}

fn format(file: &str, version: &str, algorithm: u8) -> FeedItem {
    let mut body = vec![4, 0];
    body.extend_from_slice(version.as_bytes());
    body.resize(52, 0);
    body.extend_from_slice(&[0xC0, 0xC1, 0xC2, 0xC3, 19]);
    body.extend_from_slice(&[0; 42]);
    body.push(algorithm);
    event(file, 4, EventKind::FORMAT_DESCRIPTION, &body)
}

fn gtid(file: &str, start: u64, number: u64) -> FeedItem {
    let mut body = vec![0];
    body.extend_from_slice(Uuid::from_u128(5).as_bytes());
    body.extend_from_slice(&number.to_le_bytes());
    event(file, start, EventKind::GTID, &body)
}

fn mariadb_gtid(file: &str, start: u64, number: u64) -> FeedItem {
    let mut body = number.to_le_bytes().to_vec();
    body.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    event(file, start, EventKind::MARIADB_GTID, &body)
}

/// Transactions of one GTID event and one XID each, one after another.
fn log(numbers: std::ops::RangeInclusive<u64>, first: FeedItem, mariadb: bool) -> Vec<FeedItem> {
    let mut items = vec![first];
    for number in numbers {
        let end = items.last().unwrap().end;
        items.push(if mariadb {
            mariadb_gtid("b.1", end, number)
        } else {
            gtid("b.1", end, number)
        });
        let end = items.last().unwrap().end;
        items.push(event("b.1", end, EventKind::XID, &[0; 8]));
    }
    items
}

#[derive(Default)]
struct Sink(Vec<Bytes>);

impl Out for Sink {
    fn event(&mut self, parts: &[&[u8]]) {
        self.0.push(parts.concat().into());
    }
}

impl Sink {
    /// Number of each event's kind; events that the source made up stand in brackets.
    fn kinds(&self) -> String {
        let kinds = self.0.iter().map(|bytes| match EventHeader::read(bytes).unwrap() {
            header if header.timestamp == 0 => format!("({})", header.kind.0),
            header => header.kind.0.to_string(),
        });
        kinds.collect::<Vec<_>>().join(" ")
    }
}

fn replica(start: StartAt, heartbeat: HeartbeatForm) -> Replica {
    let checksum = Some(Checksum::Crc32);
    Replica { server_id: REPLICA, checksum, annotate: false, heartbeat, start }
}

fn mysql(has: &str) -> Replica {
    let has = has.replace('u', &Uuid::from_u128(5).to_string());
    replica(StartAt::MySqlGtids(has.parse().unwrap()), HeartbeatForm::First)
}

/// What a replica is sent of these items; the first `head` of them are the feed's head.
fn sent(replica: Replica, items: &[FeedItem], head: usize) -> (Sink, Dump) {
    let (mut out, mut dump) = (Sink::default(), Dump::new(replica, 99));
    dump.begin(&items[..head], &mut out).unwrap();
    for item in &items[head..] {
        dump.take(item, &mut out).unwrap();
    }
    dump.tell_position(&mut out);
    (out, dump)
}

fn created(format: &Bytes) -> [u8; 4] {
    format[71..75].try_into().unwrap()
}

#[test]
fn transactions_that_a_mysql_replica_has_are_left_out_and_their_end_is_told() {
    let items = log(1..=4, format("b.1", "9.7.4", CRC), false);
    let (out, dump) = sent(mysql("u:1:3"), &items, 2);
    assert_eq!(out.kinds(), "(4) 15 (27) 33 16 (27) 33 16");
    assert_eq!(created(&out.0[1]), [0; 4], "the replica has the file's first transaction");
    let sent = dump.sent();
    assert_eq!((sent.events, sent.transactions, sent.own), (5, 2, 0));
    assert_eq!(dump.position(), BinlogPosition::new("b.1", items.last().unwrap().end));
    // One that has everything is told so.
    assert_eq!(super::tests::sent(mysql("u:1-4"), &items, 2).0.kinds(), "(4) 15 (27)");
    let (out, _) = super::tests::sent(mysql(""), &items, 2);
    assert_eq!(created(&out.0[1]), [0xC0, 0xC1, 0xC2, 0xC3]);
    assert_eq!(out.0[1], items[0].bytes, "byte for byte");
}

#[test]
fn a_mariadb_replica_is_told_what_came_before_the_first_new_transaction() {
    let items = log(1..=3, format("b.1", "10.11.6-MariaDB", CRC), true);
    let start = StartAt::MariaDbGtids("0-1-2".parse().unwrap());
    let (out, _) = sent(replica(start, HeartbeatForm::MariaDb), &items, 2);
    assert_eq!(out.kinds(), "(4) 15 (163) 162 16");
    let list = &out.0[2];
    assert_eq!(list[19..23], [1, 0, 0, 0]);
    assert_eq!(list[31..39], 2_u64.to_le_bytes(), "0-1-2 is the last, not 0-1-3");
}

#[test]
fn a_place_in_the_middle_gets_a_format_description_that_does_not_count() {
    let items = log(1..=2, format("b.1", "5.6.24", CRC), false);
    let place = BinlogPosition::new("b.1", items[3].start);
    let start = StartAt::Position(place);
    let some: Vec<FeedItem> = [&items[..1], &items[3..]].concat();
    let (out, _) = sent(replica(start, HeartbeatForm::First), &some, 2);
    assert_eq!(out.kinds(), "(4) 15 33 16");
    assert_eq!((created(&out.0[1]), &out.0[1][13..17]), ([0; 4], &[0; 4][..]));
    let sum = crc32fast::hash(&out.0[1][..out.0[1].len() - 4]);
    assert_eq!(out.0[1][out.0[1].len() - 4..], sum.to_le_bytes());
    assert_eq!(out.0[0][19..27], items[3].start.to_le_bytes());
}

#[test]
fn what_was_not_saved_moves_the_replicas_place() {
    let items = log(1..=3, format("b.1", "10.11.6-MariaDB", CRC), true);
    let gap: Vec<FeedItem> = [&items[..3], &items[5..]].concat();
    let start = StartAt::Position(BinlogPosition::new("b.1", 4));
    let (out, _) = sent(replica(start, HeartbeatForm::MariaDb), &gap, 2);
    assert_eq!(out.kinds(), "(4) 15 162 16 (4) 15 162 16");
    assert_eq!(out.0[4][19..27], items[5].start.to_le_bytes());
    // By GTID: a heartbeat for MySQL.
    let items = log(1..=3, format("b.1", "9.7.4", CRC), false);
    let gap: Vec<FeedItem> = [&items[..3], &items[5..]].concat();
    assert_eq!(sent(mysql("u:2"), &gap, 2).0.kinds(), "(4) 15 33 16 (27) 33 16");
}

#[test]
fn a_file_ends_for_the_replica_when_the_next_one_begins() {
    let first = format("b.1", "9.7.4", CRC);
    let end = first.end;
    let mut body = 4_u64.to_le_bytes().to_vec();
    body.extend_from_slice(b"b.2");
    let rotate = event("b.1", end, EventKind::ROTATE, &body);
    let (out, mut dump) = sent(mysql(""), &[first, rotate], 2);
    assert_eq!(out.kinds(), "(4) 15");
    assert_eq!(dump.position(), BinlogPosition::new("b.1", end));
    let mut out = Sink::default();
    dump.take(&format("b.2", "9.7.4", 0), &mut out).unwrap();
    assert_eq!(out.kinds(), "4 (4) 15");
    out.0.clear();
    dump.heartbeat(&mut out);
    assert_eq!(out.0[0].len(), 19 + 3, "the new file has no checksums");
}

#[test]
fn own_events_are_counted_and_texts_of_statements_left_out() {
    let first = format("b.1", "10.11.6-MariaDB", CRC);
    let text = event_of(REPLICA, "b.1", first.end, EventKind::ANNOTATE_ROWS, b"INSERT");
    let own = event_of(REPLICA, "b.1", text.end, EventKind::QUERY, b"x");
    let start = StartAt::Position(BinlogPosition::new("b.1", first.end));
    let (out, dump) = sent(replica(start, HeartbeatForm::MariaDb), &[first, text, own], 2);
    assert_eq!((out.kinds().as_str(), dump.sent().own), ("(4) 15 2", 1));
}

#[test]
fn replicas_that_cannot_be_served_are_refused() {
    let items = log(1..=1, format("b.1", "9.7.4", CRC), false);
    let begin = |replica, items: &[FeedItem]| {
        Dump::new(replica, 99).begin(items, &mut Sink::default()).unwrap_err().to_string()
    };
    let old = Replica { checksum: None, ..mysql("") };
    assert!(begin(old, &items[..1]).contains("can not handle"));
    assert!(begin(mysql(""), &items[1..]).contains("format description"));
    assert!(begin(mysql(""), &[]).contains("no saved events"));
    let anonymous = event("b.1", items[0].end, EventKind::ANONYMOUS_GTID, &[0; 25]);
    let head = [items[0].clone(), anonymous];
    assert!(begin(mysql(""), &head).contains("AUTO_POSITION = 1, at b.1:"));
}

proptest! {
    #[test]
    fn damaged_events_never_panic(
        kind in prop::sample::select(vec![2_u8, 4, 15, 33, 34, 42, 160, 162, 163, 164]),
        body in prop::collection::vec(any::<u8>(), 0..80),
        torn in 0_usize..60,
        mariadb: bool,
    ) {
        let first = format("b.1", "9.7.4", CRC);
        let mut item = event("b.1", first.end, EventKind(kind), &body);
        item.bytes.truncate(item.bytes.len().saturating_sub(torn));
        let start = match mariadb {
            true => StartAt::MariaDbGtids("0-1-2".parse().unwrap()),
            false => StartAt::MySqlGtids("".parse().unwrap()),
        };
        let mut dump = Dump::new(replica(start, HeartbeatForm::MariaDb), 99);
        let _ = dump.begin(&[first, item.clone()], &mut Sink::default());
        let _ = dump.take(&item, &mut Sink::default());
    }
}
