//! Every event of every real file is understood, and comes out as it went in.

use primacy_binlog::event::{ChecksumAlgorithm, EventBody, GtidEvent};
use primacy_binlog::{EventHeader, EventKind, FileKind, ReadError, Reader};

use crate::fixtures::{all_files, binlogs, fixture};

#[test]
fn every_event_of_every_server_is_decoded() {
    for path in all_files() {
        let mut reader = Reader::open(&path).unwrap();
        while let Some((event, format)) = reader.next_in_format().unwrap() {
            let body = EventBody::decode(&event, format);
            let what = format!("{} at {}: {:?}", path.display(), event.offset(), event.header());
            assert!(!matches!(body, Err(_) | Ok(EventBody::Other(_))), "{what}: {body:?}");
        }
    }
}

#[test]
fn what_is_read_is_what_is_there_byte_for_byte() {
    for path in all_files() {
        let bytes = std::fs::read(&path).unwrap();
        let mut written = bytes[..4].to_vec();
        let mut reader = Reader::open(&path).unwrap();
        while let Some(event) = reader.next().unwrap() {
            assert_eq!(event.offset(), written.len() as u64);
            assert_eq!(event.header().to_bytes(), event.bytes()[..EventHeader::LENGTH]);
            written.extend_from_slice(event.bytes());
        }
        assert!(written == bytes, "{}", path.display());
    }
}

#[test]
fn the_format_description_tells_the_server_and_its_checksums() {
    for path in binlogs() {
        let name = path.display().to_string();
        let mut reader = Reader::open(&path).unwrap();
        reader.next().unwrap();
        let format = reader.format().unwrap();
        let version = format.version.unwrap();
        assert_eq!(version.is_mariadb(), name.contains("mariadb"), "{name}");
        let folder = format!("-{}.{}", version.number.0, version.number.1);
        assert!(name.contains(&folder), "{name} is of {}", format.server_version);
        let off = name.ends_with("nochecksum.binlog");
        assert_eq!(format.checksum == ChecksumAlgorithm::Off, off, "{name}");
        assert!(!format.relay_log && !format.in_use);
    }
}

#[test]
fn a_tagged_gtid_event_says_what_mysqlbinlog_says() {
    let mut reader = Reader::open(&fixture("mysql-9.7-gtid/tagged.binlog")).unwrap();
    let mut found = Vec::new();
    while let Some((event, format)) = reader.next_in_format().unwrap() {
        if event.kind().is_gtid() {
            let gtid = GtidEvent::decode(&event, format).unwrap();
            found.push((gtid.gtid.unwrap().tag.as_str().to_owned(), gtid.transaction_length));
            assert_eq!(gtid.original_server_version, Some(90_704));
            assert_eq!(gtid.immediate_commit_timestamp, gtid.original_commit_timestamp);
        }
    }
    let tags: Vec<(&str, u64)> =
        found.iter().map(|(tag, length)| (tag.as_str(), length.unwrap())).collect();
    assert_eq!(tags, [("backup", 290), ("backup", 292), ("other", 194), ("", 288)]);
}

#[test]
fn an_encrypted_file_is_named_and_not_guessed_at() {
    let mut reader = Reader::open(&fixture("mariadb-10.11/encrypted.binlog")).unwrap();
    assert_eq!(reader.kind(), FileKind::EncryptedMariaDb { key_version: 1 });
    let kinds = [EventKind::FORMAT_DESCRIPTION, EventKind::START_ENCRYPTION];
    for kind in kinds {
        assert_eq!(reader.next().unwrap().unwrap().kind(), kind);
    }
    assert!(matches!(reader.next(), Err(ReadError::Encrypted { offset: 296, .. })));

    // MySQL's begins with another first byte.
    let mut reader = Reader::new(&b"\xfdbin\x01\x04rest"[..], "it").unwrap();
    assert_eq!(reader.kind(), FileKind::EncryptedMySql);
    assert!(matches!(reader.next(), Err(ReadError::Encrypted { offset: 0, .. })));
}

#[test]
fn files_without_events_and_other_files() {
    for (bytes, kind) in [
        (&b""[..], FileKind::Empty),
        (&b"\xfebin"[..], FileKind::Empty),
        (&b"PK\x03\x04"[..], FileKind::NotABinlog),
    ] {
        let mut reader = Reader::new(bytes, "it").unwrap();
        assert_eq!(reader.kind(), kind);
        match kind {
            FileKind::NotABinlog => {
                let error = reader.next().unwrap_err().to_string();
                assert!(error.contains("found 50 4b 03 04"), "{error}");
            }
            _ => assert!(reader.next().unwrap().is_none()),
        }
    }
    let mut reader = Reader::new(&b"\xfeb"[..], "it").unwrap();
    assert_eq!(reader.kind(), FileKind::Empty);
    assert!(matches!(reader.next(), Err(ReadError::Torn(_))));
}
