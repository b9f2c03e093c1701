//! What is saved can be read again, and is not believed if it was changed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use primacy_binlog::{
    Archive, ArchiveError, CutFrom, CutRequest, CutSource, FileKind, Reader, StartAt, Thoroughness,
    cut, scan,
};
use primacy_types::BinlogPosition;

use crate::fixtures::restored;

fn saved(server: &str) -> (tempfile::TempDir, Archive) {
    let (sources, paths) = restored(server);
    let first = paths[0].file_name().unwrap().to_str().unwrap();
    let from = CutFrom::Position(BinlogPosition::new(first, 4));
    let request = CutRequest { from, until: None };
    let folder = sources.path().join("saved");
    let report = cut(&CutSource::Binlogs(paths), &request, &folder, "s1 of shop").unwrap();
    (sources, report.archive)
}

#[test]
fn only_the_owner_can_read_it_and_nothing_else_is_left() {
    let (sources, archive) = saved("mariadb-10.5");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(archive.folder()), 0o700);
    for entry in fs::read_dir(archive.folder()).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    let partial = fs::read_dir(sources.path()).unwrap();
    let hidden =
        partial.filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
    assert_eq!(hidden.count(), 0);
}

#[test]
fn saved_files_are_binary_logs() {
    let (_sources, archive) = saved("mysql-9.7-gtid");
    for file in archive.files() {
        let mut reader = Reader::open(&archive.path(file)).unwrap();
        assert_eq!(reader.kind(), FileKind::Plain);
        let summary = scan(&mut reader, Thoroughness::Verified).unwrap();
        assert_eq!(summary.transactions, file.transactions);
        assert!(summary.corrupt.is_none() && summary.torn.is_none());
        let head = archive.head(file).unwrap();
        assert!(head.previous.is_some());
        assert_eq!(head.format.server_version, archive.manifest().server_version);
    }
}

#[test]
fn what_exists_is_never_overwritten() {
    let (sources, archive) = saved("mysql-5.6");
    let source = CutSource::Binlogs(vec![archive.path(&archive.files()[0])]);
    let from = CutFrom::Position(archive.from_position().unwrap());
    let request = CutRequest { from, until: None };
    let again = cut(&source, &request, archive.folder(), "again").unwrap_err();
    assert!(again.to_string().contains("exists already"), "{again}");
    assert!(sources.path().join("saved/manifest.json").exists());
}

#[test]
fn changed_archives_are_not_believed() {
    let change = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let (_sources, archive) = saved("mysql-9.7");
        let path = match name {
            "manifest" => archive.folder().join("manifest.json"),
            _ => archive.path(&archive.files()[0]),
        };
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
        Archive::open(archive.folder()).unwrap_err()
    };
    let longer = change("file", &|bytes| bytes.push(0));
    assert!(matches!(longer, ArchiveError::Count { .. }), "{longer}");
    let flipped = change("file", &|bytes| bytes[2000] ^= 1);
    assert!(matches!(flipped, ArchiveError::Read(_)), "{flipped}");
    let nonsense = change("manifest", &|bytes| bytes.truncate(100));
    assert!(matches!(nonsense, ArchiveError::Manifest { .. }), "{nonsense}");
    let elsewhere = change("manifest", &|bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        *bytes = text.replacen("binlog.0", "../binlog.0", 1).into_bytes();
    });
    assert!(matches!(elsewhere, ArchiveError::Manifest { .. }), "{elsewhere}");
    let other_sum = change("manifest", &|bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let at = text.find("\"sha256\": \"").unwrap() + 11;
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
    });
    assert!(matches!(other_sum, ArchiveError::Altered { .. }), "{other_sum}");
}

#[test]
fn events_from_each_place_to_the_end() {
    let (_sources, archive) = saved("mariadb-11.8");
    let mut all = archive.events_from(StartAt::Beginning).unwrap();
    let mut places = Vec::new();
    while let Some(saved) = all.next().unwrap() {
        places.push((saved.file.name.clone(), saved.start));
    }
    let total = all.transactions();
    let mut before = total;
    for (index, (file, start)) in places.iter().enumerate() {
        let place = StartAt::Position(BinlogPosition::new(file.clone(), *start));
        let mut rest = archive.events_from(place).unwrap();
        match rest.next() {
            Ok(Some(saved)) => {
                assert_eq!((&saved.file.name, saved.start), (file, *start));
                let mut count = 1;
                while rest.next().unwrap().is_some() {
                    count += 1;
                }
                assert_eq!(count, places.len() - index);
                assert!(rest.transactions() <= before);
                before = rest.transactions();
            }
            Ok(None) => panic!("nothing from {file}:{start}"),
            // Inside a transaction.
            Err(error) => assert!(matches!(error, ArchiveError::NoSuchPlace { .. }), "{error}"),
        }
    }
    assert!(before <= 1);
}
