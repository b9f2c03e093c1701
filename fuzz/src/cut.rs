//! Cuts of files that may be damaged, and the archives that come of them.

use std::fs;

use primacy_binlog::{
    Archive, CutError, CutFrom, CutRequest, CutSource, CutUntil, Reader, SourceHint, StartAt, cut,
};
use primacy_types::{BinlogPosition, MariaDbGtidPos, MySqlGtidSet, TransactionSet};

use crate::input::{Switches, files, folder, with_checksums, written};

pub(crate) fn target(bytes: &[u8]) {
    let (switches, rest) = Switches::split(bytes);
    let files: Vec<Vec<u8>> = files(rest)
        .into_iter()
        .map(|file| if switches.has(0) { with_checksums(file) } else { file.to_vec() })
        .collect();
    let paths = written("binlog", &files);
    let relayed = switches.has(1);
    let source = if relayed {
        let hint = switches.has(2).then(|| SourceHint {
            relay_log: "binlog.000001".to_owned(),
            offset: 4,
            source_file: "binlog.000007".to_owned(),
        });
        CutSource::RelayLogs { files: paths, hint }
    } else {
        CutSource::Binlogs(paths)
    };
    let at = |offset| BinlogPosition::new("binlog.000001", offset);
    let from = match switches.from(3) & 3 {
        0 => CutFrom::Position(at(4)),
        1 => CutFrom::Missing(TransactionSet::MySql(MySqlGtidSet::default())),
        2 => CutFrom::Missing(TransactionSet::MariaDb(MariaDbGtidPos::default())),
        _ => CutFrom::Position(at(files[0].len() as u64 / 2)),
    };
    let until = switches.has(5).then(|| CutUntil::Position(at(files[0].len() as u64 * 3 / 4)));
    let request = CutRequest { from, until };
    let saved = folder().join("saved");
    if saved.exists() {
        fs::remove_dir_all(&saved).expect("the last run's archive is removed");
    }
    let archive = match cut(&source, &request, &saved, "it") {
        Ok(report) => report.archive,
        Err(CutError::Stopped { saved, .. }) => *saved,
        Err(_) => return,
    };
    let opened = Archive::open(&saved).expect("what was saved can be opened");
    assert_eq!(opened.manifest(), archive.manifest());
    let mut events = opened.events_from(StartAt::Beginning).expect("it is an archive");
    let mut count = 0;
    while events.next().expect("it was verified").is_some() {
        count += 1;
    }
    assert_eq!(count, opened.manifest().events);
    for file in opened.files() {
        let head = opened.head(file).expect("it was verified");
        assert!(!head.format_description.is_empty());
        if !relayed {
            let kept = fs::read(opened.path(file)).expect("it was verified");
            let number: usize = file.name[7..].parse().expect("a name that we gave");
            let mut original = events_of(&files[number - 1]).into_iter();
            let saved = events_of(&kept).into_iter().filter(|(offset, _)| *offset >= file.head);
            let mut saved = saved.map(|(_, event)| event);
            let all = saved.all(|event| original.any(|(_, other)| other == event));
            assert!(all, "not the original's events in their order: {file:?}");
        }
    }
}

/// The events of a file and where they stand, up to where it cannot be read.
fn events_of(file: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut reader = Reader::new(file, "it").expect("memory can be read");
    let mut events = Vec::new();
    while let Ok(Some(event)) = reader.next() {
        events.push((event.offset(), event.bytes().to_vec()));
    }
    events
}
