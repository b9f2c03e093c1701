//! One binary log or relay log, from beginning to end, in every way that it can be read.

use std::io::Read;

use primacy_binlog::scan::FileSummary;
use primacy_binlog::{EventBody, EventHeader, Grouper, Reader, Summarizer, Thoroughness, scan};

use crate::input::{Switches, with_checksums};

/// How much of a compressed event is opened: as much as the limit of memory allows.
const OPENED: usize = 256 << 10;

pub(crate) fn target(bytes: &[u8]) {
    let (switches, file) = Switches::split(bytes);
    let file = if switches.has(0) { with_checksums(file) } else { file.to_vec() };
    for verify in [true, false] {
        look_at_everything(&file, verify);
    }
    let quick = scanned(&file[..], Thoroughness::Quick);
    let verified = scanned(&file[..], Thoroughness::Verified);
    assert!(verified.transactions <= quick.transactions, "{verified:?}\n{quick:?}");

    let dripped = scanned(Drip(&file), Thoroughness::Verified);
    assert_eq!(format!("{dripped:?}"), format!("{verified:?}"), "small reads made a difference");

    let part = &file[..file.len() * switches.from(1) / 128];
    let part = scanned(part, Thoroughness::Quick);
    assert!(part.transactions <= quick.transactions, "{part:?}\n{quick:?}");
    assert!(part.end_of_last_complete <= quick.end_of_last_complete.max(part.last));
}

fn scanned(read: impl Read, thoroughness: Thoroughness) -> FileSummary {
    let mut reader = Reader::new(read, "it").expect("memory can be read");
    scan(&mut reader, thoroughness).expect("memory can be read")
}

fn look_at_everything(file: &[u8], verify: bool) {
    let mut reader = Reader::new(file, "it").expect("memory can be read");
    if !verify {
        reader = reader.without_verification();
    }
    let mut grouper = Grouper::new();
    let mut anywhere = Grouper::from_anywhere();
    let mut summarizer = Summarizer::opening(OPENED);
    while let Ok(Some((event, format))) = reader.next_in_format() {
        let at = usize::try_from(event.offset()).expect("an offset in memory");
        assert!(file[at..].starts_with(event.bytes()), "an event is not what stands in the file");
        assert_eq!(event.header().to_bytes(), event.bytes()[..EventHeader::LENGTH]);
        if let Ok(body) = EventBody::decode(&event, format) {
            look_at(&body);
        }
        let _ = anywhere.feed(&event, format);
        if let Ok(fed) = grouper.feed(&event, format)
            && let Some(summary) = summarizer.feed(&event, format, &fed)
        {
            assert!(summary.bytes <= file.len() as u64, "{summary:?}");
        }
    }
}

/// What is decoded only when it is asked for.
fn look_at(body: &EventBody<'_>) {
    match body {
        EventBody::Query(query) => {
            let head = query.head(100);
            assert!(head.len() <= 100);
            let _ = (query.text(1000), query.database_name(), query.class());
        }
        EventBody::Rows(rows) => assert!(rows.images(OPENED).len() <= OPENED.max(rows.rows.len())),
        EventBody::GtidList(list) => {
            let _ = list.position();
        }
        EventBody::PreviousGtids(previous) => {
            let text = previous.set.to_string();
            assert_eq!(text.parse().as_ref(), Ok(&previous.set), "{text}");
        }
        EventBody::Gtid(gtid) => {
            let _ = gtid.name().to_string();
        }
        EventBody::Rotate(rotate) => {
            let _ = rotate.file_name();
        }
        _ => {}
    }
}

/// A source that gives its bytes in small pieces, as a pipe does.
struct Drip<'a>(&'a [u8]);

impl Read for Drip<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = into.len().min(61);
        self.0.read(&mut into[..count])
    }
}
