//! Relay logs, several files of them.

use primacy_binlog::relay::summarize;
use primacy_binlog::scan::{holdings, scan_files};
use primacy_binlog::{RelayReader, SourceHint, Thoroughness};

use crate::input::{Switches, files, with_checksums, written};

pub(crate) fn target(bytes: &[u8]) {
    let (switches, rest) = Switches::split(bytes);
    let files: Vec<Vec<u8>> = files(rest)
        .into_iter()
        .map(|file| if switches.has(0) { with_checksums(file) } else { file.to_vec() })
        .collect();
    let paths = written("relay", &files);
    let hint = switches.has(1).then(|| SourceHint {
        relay_log: "relay.000001".to_owned(),
        offset: 4,
        source_file: "binlog.000007".to_owned(),
    });

    let mut events = 0;
    if let Ok(mut reader) = RelayReader::open(&paths, hint.clone()) {
        while let Ok(Some(relayed)) = reader.next() {
            events += 1;
            let index = paths.iter().position(|path| path.ends_with(relayed.relay_log));
            let at = usize::try_from(relayed.event.offset()).expect("an offset in memory");
            let file = &files[index.expect("one of the files")];
            assert!(file[at..].starts_with(relayed.event.bytes()), "an event is not the file's");
        }
    }
    if let Ok(summary) = summarize(&paths, hint) {
        assert!(summary.transactions <= events, "{events}: {summary:?}");
        assert_eq!(summary.from.is_some(), summary.until.is_some() && summary.from.is_some());
    }
    let _ = scan_files(&paths, Thoroughness::Quick);
    let _ = holdings(&paths);
}
