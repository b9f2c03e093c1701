//! Every binary log that `crates/binlog` keeps of real servers becomes statements, but for what no
//! client can do.
#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

use std::path::{Path, PathBuf};

use primacy_binlog::{EventKind, FileKind, Reader};
use primacy_mha_node::statements::{Target, Translator, Untranslatable};
use proptest::prelude::*;

fn logs() -> Vec<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../binlog/tests/data");
    let mut logs = Vec::new();
    let mut folders = vec![data];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "binlog") {
                logs.push(path);
            }
        }
    }
    logs.sort();
    logs
}

/// The statements, and what could not be made one.
fn translate(bytes: &[u8]) -> (usize, Vec<Untranslatable>) {
    let mut reader = Reader::new(bytes, "a log").unwrap();
    let target = Target { gtids: true, ..Target::default() };
    let mut translator = Translator::new(target);
    let (mut statements, mut failed) = (0, Vec::new());
    while let Ok(Some((event, format))) = reader.next_in_format() {
        match translator.take(&event, format) {
            Ok(some) => statements += some.len(),
            Err(error) => failed.push(error),
        }
    }
    (statements + translator.end().len(), failed)
}

#[test]
fn logs_of_real_servers_become_statements() {
    let mut seen = 0;
    for log in logs() {
        let reader = Reader::open(&log).unwrap();
        if reader.kind() != FileKind::Plain {
            continue;
        }
        let (statements, failed) = translate(&std::fs::read(&log).unwrap());
        assert!(statements > 0, "{}", log.display());
        seen += 1;
        for error in failed {
            let Untranslatable::Impossible { kind, why, .. } = &error else {
                panic!("{}: {error}", log.display());
            };
            // A collation that not every server numbers so is asked of the server.
            let known = why.contains("LOAD DATA")
                || why.contains("collation")
                || *kind == EventKind::INCIDENT;
            assert!(known, "{}: {error}", log.display());
        }
    }
    assert!(seen > 20, "{seen} logs");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damaged_logs_make_nothing_panic(which: prop::sample::Index, at: prop::sample::Index, byte: u8) {
        let logs = logs();
        let mut bytes = std::fs::read(&logs[which.index(logs.len())]).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(200_000);
        let mut reader = Reader::new(&bytes[..], "a log").unwrap().without_verification();
        let mut translator = Translator::new(Target::default());
        while let Ok(Some((event, format))) = reader.next_in_format() {
            drop(translator.take(&event, format));
        }
    }
}
