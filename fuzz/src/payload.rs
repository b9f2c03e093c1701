//! MySQL's compressed transactions: opened up to a limit, and what is inside.

use std::sync::LazyLock;

use primacy_binlog::event::{Compression, TransactionPayload};
use primacy_binlog::payload::{InnerEvents, decompress};
use primacy_binlog::{
    EventBody, EventHeader, EventKind, FormatDescription, Grouper, RawEvent, Reader, Summarizer,
};
use primacy_wire::packet::put_lenenc_int;

use crate::input::Switches;

/// How much is opened: well within the limit of memory.
const OPENED: usize = 256 << 10;

/// A file of MySQL 9.7 without checksums, for the format of its events.
const FILE: &[u8] = include_bytes!("../../crates/binlog/tests/data/mysql-9.7/nochecksum.binlog");

static FORMAT: LazyLock<FormatDescription> = LazyLock::new(|| {
    let mut reader = Reader::new(FILE, "it").expect("memory can be read");
    reader.next().expect("a good file");
    reader.format().expect("a format comes first").clone()
});

pub(crate) fn target(bytes: &[u8]) {
    let (switches, payload) = Switches::split(bytes);
    let compression = if switches.has(0) { Compression::Off } else { Compression::Zstd };
    let limit = OPENED >> switches.from(4);
    let whole = TransactionPayload { compression, uncompressed_size: None, payload };
    if let Ok(opened) = decompress(&whole, limit) {
        assert!(opened.len() <= limit);
        for event in InnerEvents::new(&opened).flatten() {
            let _ = EventBody::decode(&event, &FORMAT);
        }
    }
    let event = event_of(payload, if switches.has(0) { 255 } else { 0 });
    let event = RawEvent::new(&event, 4).expect("an event that was just made");
    let Ok(EventBody::TransactionPayload(read)) = EventBody::decode(&event, &FORMAT) else {
        panic!("it is a payload");
    };
    assert_eq!((read.compression, read.payload), (compression, payload));
    let fed = Grouper::from_anywhere().feed(&event, &FORMAT).expect("its kind says all");
    let _ = Summarizer::opening(OPENED).feed(&event, &FORMAT, &fed);
    let mut grouper = Grouper::new();
    let mut gtid = vec![0; EventHeader::LENGTH + 25];
    gtid[4] = EventKind::ANONYMOUS_GTID.0;
    gtid[9] = gtid.len() as u8;
    let mut summarizer = Summarizer::opening(OPENED);
    for bytes in [&gtid, event.bytes()] {
        let event = RawEvent::new(bytes, 4).expect("an event that was just made");
        if let Ok(fed) = grouper.feed(&event, &FORMAT) {
            let _ = summarizer.feed(&event, &FORMAT, &fed);
        }
    }
}

/// The event that carries the payload: fields of type, length and value, 0, the payload.
fn event_of(payload: &[u8], compression: u64) -> Vec<u8> {
    let mut event = vec![0; EventHeader::LENGTH];
    for (field, value) in [(2, compression), (1, payload.len() as u64)] {
        let mut packed = Vec::new();
        put_lenenc_int(&mut packed, value);
        event.extend([field, packed.len() as u8]);
        event.extend(packed);
    }
    event.push(0);
    event.extend_from_slice(payload);
    event[4] = EventKind::TRANSACTION_PAYLOAD.0;
    let length = (event.len() as u32).to_le_bytes();
    event[9..13].copy_from_slice(&length);
    event
}
