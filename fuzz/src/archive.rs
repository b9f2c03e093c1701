//! An archive's folder that somebody else wrote: the manifest, then its files.

use std::fs;

use primacy_binlog::{Archive, StartAt};
use primacy_types::BinlogPosition;

use crate::input::{files, folder};

pub(crate) fn target(bytes: &[u8]) {
    let pieces = files(bytes);
    let (manifest, logs) = pieces.split_first().expect("one piece at least");
    let path = folder().join("archive");
    fs::create_dir_all(&path).expect("a folder");
    fs::write(path.join("manifest.json"), manifest).expect("a file is written");
    for number in 1..=6 {
        let log = logs.get(number - 1).copied().unwrap_or_default();
        fs::write(path.join(format!("binlog.{number:06}")), log).expect("a file is written");
    }
    let verified = Archive::open(&path).is_ok();
    let Ok(archive) = Archive::open_unverified(&path) else {
        assert!(!verified);
        return;
    };
    for file in archive.files() {
        assert_eq!(archive.path(file).parent(), Some(path.as_path()));
        let _ = archive.head(file);
    }
    let start = archive.from_position().unwrap_or(BinlogPosition::new("binlog.000001", 4));
    for start in [StartAt::Beginning, StartAt::Position(start)] {
        let Ok(mut events) = archive.events_from(start) else { continue };
        while let Ok(Some(_)) = events.next() {}
    }
}
