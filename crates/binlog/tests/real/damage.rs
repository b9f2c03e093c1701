//! Files that are cut short, damaged, or nonsense: never a panic, never more than is there.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::sync::LazyLock;

use primacy_binlog::event::RowsEvent;
use primacy_binlog::payload::{self, InnerEvents, PayloadError};
use primacy_binlog::relay::summarize;
use primacy_binlog::{
    CutError, CutFrom, CutRequest, CutSource, EventBody, EventHeader, EventKind, FileSummary,
    FormatDescription, Grouper, RawEvent, Reader, Summarizer, Thoroughness, cut, scan,
};
use primacy_types::BinlogPosition;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::fixtures::{all_files, fixture, relay_logs};

static FILES: LazyLock<Vec<(PathBuf, Vec<u8>)>> = LazyLock::new(|| {
    all_files().into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
});

fn scanned(bytes: &[u8], thoroughness: Thoroughness) -> FileSummary {
    scan(&mut Reader::new(bytes, "it").unwrap(), thoroughness).unwrap()
}

/// Reads everything there is in a file, believing nothing.
fn look_at_everything(bytes: &[u8]) {
    let mut reader = Reader::new(bytes, "it").unwrap().without_verification();
    let mut grouper = Grouper::from_anywhere();
    let mut summarizer = Summarizer::default();
    while let Ok(Some((event, format))) = reader.next_in_format() {
        let _ = EventBody::decode(&event, format);
        if let Ok(fed) = grouper.feed(&event, format) {
            summarizer.feed(&event, format, &fed);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_file_cut_short_has_no_more_transactions(file: Index, length: Index) {
        let (_, bytes) = file.get(&FILES);
        let length = length.index(bytes.len() + 1);
        let whole = scanned(bytes, Thoroughness::Quick);
        for thoroughness in [Thoroughness::Quick, Thoroughness::Verified] {
            let part = scanned(&bytes[..length], thoroughness);
            prop_assert!(part.corrupt.is_none(), "{:?}", part.corrupt);
            prop_assert!(part.transactions <= whole.transactions);
            prop_assert!(whole.gtids.covers(&part.gtids));
            prop_assert!(part.end_of_last_complete <= length as u64);
            prop_assert!(part.last <= length as u64);
            let torn = part.torn.as_ref().map_or(0, |torn| torn.have);
            prop_assert!(part.last.max(4.min(length as u64)) + torn == length as u64
                || part.torn.as_ref().is_some_and(|torn| torn.offset == 0));
        }
    }

    #[test]
    fn a_changed_byte_is_found(file: Index, place: Index, bits in 1..=255_u8) {
        let (path, bytes) = file.get(&FILES);
        let mut bytes = bytes.clone();
        let place = place.index(bytes.len());
        bytes[place] ^= bits;
        look_at_everything(&bytes);
        scanned(&bytes, Thoroughness::Quick);
        let summary = scanned(&bytes, Thoroughness::Verified);
        let found = summary.corrupt.is_some()
            || summary.torn.is_some()
            || summary.kind != primacy_binlog::FileKind::Plain;
        // Bit 0 of the flags of a format description says that the file is in use. Without
        // checksums nothing is promised, and a relay log may have a part without them.
        let in_use = place == 4 + 17 && bits == 1;
        let unchecked = !has_checksums_throughout(path);
        prop_assert!(found || in_use || unchecked, "{} at {place}", path.display());
    }

    #[test]
    fn cuts_of_damaged_files_save_only_what_is_whole(place: Index, bits in 1..=255_u8) {
        let original = &FILES.iter().find(|(path, _)| path.ends_with("mysql-5.6/row.binlog")).unwrap().1;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("binlog.000006");
        let mut bytes = original.clone();
        let place = place.index(bytes.len());
        bytes[place] ^= bits;
        fs::write(&path, &bytes).unwrap();
        let from = CutFrom::Position(BinlogPosition::new("binlog.000006", 4));
        let request = CutRequest { from, until: None };
        let saved = folder.path().join("saved");
        let archive = match cut(&CutSource::Binlogs(vec![path]), &request, &saved, "it") {
            Ok(report) => report.archive,
            Err(CutError::Stopped { saved, .. }) => *saved,
            Err(_) => return Ok(()),
        };
        for file in archive.files() {
            let kept = fs::read(archive.path(file)).unwrap();
            let head = file.head as usize;
            let range = file.start as usize..file.end as usize;
            // Only the mark that the file is in use may differ: it is outside the checksum.
            prop_assert!(kept[head..] == original[range]);
        }
    }

    #[test]
    fn nonsense_is_refused(kind: u8, body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = vec![0; EventHeader::LENGTH];
        bytes.extend_from_slice(&body);
        bytes[4] = kind;
        let length = u32::try_from(bytes.len()).unwrap();
        bytes[9..13].copy_from_slice(&length.to_le_bytes());
        let event = RawEvent::new(&bytes, 4).unwrap();
        for server in ["mysql-5.6", "mysql-9.7", "mariadb-10.5"] {
            let format = format_of(server);
            let _ = EventBody::decode(&event, &format);
            let _ = Grouper::new().feed(&event, &format);
            if let Ok(EventBody::TransactionPayload(inner)) = EventBody::decode(&event, &format) {
                let _ = payload::decompress(&inner, 1 << 16);
            }
            if let Ok(rows) = RowsEvent::decode(&event, &format) {
                let _ = rows.count(&[], 1 << 16);
            }
        }
        let _ = InnerEvents::new(&body).count();
    }

    #[test]
    fn relay_logs_with_damage_are_read_without_panic(
        file: Index, place: Index, bits in 1..=255_u8, short: Index,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let files = relay_logs("mariadb-11.8");
        let damaged = file.index(files.len());
        let copies: Vec<PathBuf> = files.iter().enumerate().map(|(index, path)| {
            let copy = folder.path().join(path.file_name().unwrap());
            let mut bytes = fs::read(path).unwrap();
            if index == damaged {
                let place = place.index(bytes.len());
                bytes[place] ^= bits;
                bytes.truncate(short.index(bytes.len() + 1).max(200));
            }
            fs::write(&copy, bytes).unwrap();
            copy
        }).collect();
        let whole = summarize(&files, None).unwrap();
        if let Ok(summary) = summarize(&copies, None) {
            prop_assert!(summary.transactions <= whole.transactions);
        }
    }
}

fn has_checksums_throughout(path: &std::path::Path) -> bool {
    let mut reader = Reader::open(path).unwrap();
    let mut all = true;
    while let Some((_, format)) = reader.next_in_format().unwrap() {
        all &= format.has_checksums();
    }
    all
}

fn format_of(server: &str) -> FormatDescription {
    let mut reader = Reader::open(&fixture(server).join("nochecksum.binlog")).unwrap();
    reader.next().unwrap();
    reader.format().unwrap().clone()
}

/// A header may say that its event has a gigabyte: memory is taken only for what is there.
#[test]
fn a_length_that_is_a_lie_takes_no_memory() {
    let bytes = fs::read(fixture("mysql-9.7/row.binlog")).unwrap();
    let mut lie = bytes[..300].to_vec();
    // The second event.
    let at = 127 + 9;
    lie[at..at + 4].copy_from_slice(&(1_u32 << 30).to_le_bytes());
    let mut reader = Reader::new(&lie[..], "it").unwrap();
    reader.next().unwrap();
    let error = reader.next().unwrap_err().to_string();
    assert_eq!(
        error,
        "it ends in the middle of the event at 127: 173 bytes are there of 1073741824"
    );
}

/// Zeros compress well: what comes out is bounded.
#[test]
fn a_payload_is_opened_up_to_a_limit() {
    let bytes = fs::read(fixture("mysql-9.7/compressed.binlog")).unwrap();
    let mut reader = Reader::new(&bytes[..], "it").unwrap();
    let mut opened = 0;
    while let Some((event, format)) = reader.next_in_format().unwrap() {
        if event.kind() != EventKind::TRANSACTION_PAYLOAD {
            continue;
        }
        let Ok(EventBody::TransactionPayload(inner)) = EventBody::decode(&event, format) else {
            panic!("not a payload");
        };
        let size = usize::try_from(inner.uncompressed_size.unwrap()).unwrap();
        assert_eq!(payload::decompress(&inner, size).unwrap().len(), size);
        let refused = payload::decompress(&inner, size - 1);
        assert_eq!(refused, Err(PayloadError::TooLarge { limit: size - 1 }));
        opened += 1;
    }
    assert_eq!(opened, 4);
}

/// A source that gives its bytes in small pieces, as a pipe does.
struct Drip<'a>(&'a [u8]);

impl Read for Drip<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.len().min(into.len()).min(7);
        let (now, later) = self.0.split_at(count);
        into[..count].copy_from_slice(now);
        self.0 = later;
        Ok(count)
    }
}

#[test]
fn small_reads_make_no_difference() {
    let bytes = fs::read(fixture("mariadb-10.5/statement.binlog")).unwrap();
    let whole = scanned(&bytes, Thoroughness::Verified);
    let mut drip = Reader::new(Drip(&bytes), "it").unwrap();
    let dripped = scan(&mut drip, Thoroughness::Verified).unwrap();
    assert_eq!(format!("{whole:?}"), format!("{dripped:?}"));
}
