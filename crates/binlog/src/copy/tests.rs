use super::*;

fn fixture() -> Vec<u8> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    fs::read(data.join("mysql-9.7-gtid/row.binlog")).unwrap()
}

/// The events of a file with their places, as a server sends them.
fn events(bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut reader = Reader::new(bytes, "it").unwrap();
    let mut all = Vec::new();
    while let Some(event) = reader.next().unwrap() {
        all.push((event.offset(), event.bytes().to_vec()));
    }
    all
}

const NAME: &str = "binlog.000007";

#[test]
fn a_closed_file_is_the_original_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let original = fixture();
    let mut copy = CopyWriter::open(folder.path()).unwrap();
    assert_eq!(copy.position(), None);
    for (start, event) in events(&original) {
        copy.write(NAME, start, &event).unwrap();
    }
    assert_eq!(fs::read(folder.path().join(NAME)).unwrap(), original);
}

#[test]
fn after_a_crash_at_any_byte_it_goes_on_and_ends_the_same() {
    let original = fixture();
    let events = events(&original);
    for length in (0..original.len()).step_by(37) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let mut left = original[..length].to_vec();
        // What a file system may leave behind.
        left.extend_from_slice(&vec![0; length % 5]);
        fs::write(&path, left).unwrap();
        let mut copy = CopyWriter::open(folder.path()).unwrap();
        let place = copy.position().unwrap();
        assert!(place.offset <= length.max(4) as u64, "{place} of {length}");
        assert_eq!(copy.head().is_some(), place.offset > 4);
        if place.offset > 4 {
            assert_eq!(fs::read(&path).unwrap()[21] & 1, 1, "it is in use again");
        }
        for (start, event) in events.iter().filter(|(start, _)| *start >= place.offset) {
            copy.write(NAME, *start, event).unwrap();
        }
        assert!(fs::read(&path).unwrap() == original, "{length}");
    }
}

#[test]
fn a_hole_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let events = events(&fixture());
    let mut copy = CopyWriter::open(folder.path()).unwrap();
    copy.write(NAME, events[0].0, &events[0].1).unwrap();
    let error = copy.write(NAME, events[2].0, &events[2].1).unwrap_err();
    assert!(matches!(error, CopyError::Hole { .. }), "{error}");
}

#[test]
fn names_and_folders_of_others_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut copy = CopyWriter::open(folder.path()).unwrap();
    let error = copy.write("../evil.000001", 4, b"").unwrap_err();
    assert!(matches!(error, CopyError::Name(_)), "{error}");
    fs::write(folder.path().join("a.000001"), b"text").unwrap();
    let error = CopyWriter::open(folder.path()).unwrap_err();
    assert!(matches!(error, CopyError::Unfit { .. }), "{error}");
    fs::write(folder.path().join("b.000002"), b"").unwrap();
    let error = CopyWriter::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("another series"), "{error}");
}

#[test]
fn beyond_four_gibibytes_what_is_sent_again_is_known_and_the_rest_goes_on() {
    const BIG: u64 = (4 << 30) + 100;
    let folder = tempfile::tempdir().unwrap();
    let events = events(&fixture());
    let mut copy = CopyWriter::open(folder.path()).unwrap();
    copy.write(NAME, events[0].0, &events[0].1).unwrap();
    // As if a transaction of this size had come. Nothing of it takes space on the disk.
    let open = copy.open.as_mut().unwrap();
    open.file.set_len(BIG).unwrap();
    open.file.seek(SeekFrom::End(0)).unwrap();
    open.end = BIG;
    assert_eq!(copy.position(), Some(BinlogPosition::new(NAME, BIG)));
    assert!(copy.has(NAME, 4) && copy.has(NAME, BIG - 1));
    assert!(!copy.has(NAME, BIG) && !copy.has("binlog.000008", 4));
    let error = copy.write(NAME, BIG & 0xffff_ffff, &events[1].1).unwrap_err();
    assert!(matches!(error, CopyError::Hole { .. }), "{error}");
    copy.write(NAME, BIG, &events[1].1).unwrap();
    let length = events[1].1.len() as u64;
    assert_eq!(fs::metadata(folder.path().join(NAME)).unwrap().len(), BIG + length);
    assert_eq!(copy.position(), Some(BinlogPosition::new(NAME, BIG + length)));
}
