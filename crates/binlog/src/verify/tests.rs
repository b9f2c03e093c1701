use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::event::EventHeader;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn files() -> Vec<PathBuf> {
    let mut all = Vec::new();
    for folder in fs::read_dir(data()).unwrap().map(|e| e.unwrap().path()) {
        if folder.is_dir() {
            all.extend(fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()));
        }
    }
    all.retain(|path| path.extension().is_some_and(|e| e == "binlog"));
    all.retain(|path| !path.ends_with("encrypted.binlog"));
    all.sort();
    all
}

fn verdict(bytes: &[u8]) -> FileVerdict {
    Verifier::new().file(&mut Reader::new(bytes, "it").unwrap()).unwrap()
}

/// Where each event begins and ends.
fn places(bytes: &[u8]) -> Vec<(EventHeader, usize, usize)> {
    let mut reader = Reader::new(bytes, "it").unwrap();
    let mut all = Vec::new();
    while let Some(event) = reader.next().unwrap() {
        all.push((event.header(), event.offset() as usize, event.end() as usize));
    }
    all
}

#[test]
fn what_servers_wrote_is_clean() {
    assert!(files().len() > 30);
    for path in files() {
        let found = verdict(&fs::read(&path).unwrap());
        assert_eq!(found.judgement(), Judgement::Clean, "{}: {found:?}", path.display());
    }
}

#[test]
fn an_encrypted_file_cannot_be_verified() {
    let found = verdict(&fs::read(data().join("mariadb-10.11/encrypted.binlog")).unwrap());
    assert_eq!(found.disorders, [Disorder::Encrypted]);
    assert_eq!(verdict(b"some text").disorders, [Disorder::NotABinlog]);
    assert_eq!(verdict(b"").notes, [Note::Empty]);
}

#[test]
fn a_torn_tail_is_no_damage() {
    let bytes = fs::read(data().join("mariadb-11.8/row.binlog")).unwrap();
    let found = verdict(&bytes[..bytes.len() - 60]);
    assert_eq!(found.judgement(), Judgement::TornTail, "{found:?}");
}

/// The transactions of a file by their first and last byte.
fn transactions(bytes: &[u8]) -> Vec<(usize, usize)> {
    let starts: Vec<usize> = places(bytes)
        .iter()
        .filter(|(header, ..)| header.kind.is_gtid())
        .map(|(_, start, _)| *start)
        .collect();
    starts.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

#[test]
fn a_transaction_that_is_there_twice_or_too_late() {
    for name in ["mysql-9.7-gtid/row.binlog", "mariadb-10.5/row.binlog"] {
        let bytes = fs::read(data().join(name)).unwrap();
        let all = transactions(&bytes);
        let (first, second) = (all[1], all[2]);
        let twice = [&bytes[..second.0], &bytes[first.0..]].concat();
        let found = verdict(&twice).disorders;
        assert!(found.iter().any(|d| matches!(d, Disorder::Twice { .. })), "{name}: {found:?}");
        assert!(found.iter().any(|d| matches!(d, Disorder::Overlap { .. })), "{name}: {found:?}");
        let parts = [&bytes[..first.0], &bytes[second.0..second.1], &bytes[first.0..first.1]];
        let found = verdict(&parts.concat()).disorders;
        assert!(found.iter().any(|d| matches!(d, Disorder::GoesBack { .. })), "{name}: {found:?}");
    }
}

#[test]
fn what_is_left_out_between_transactions_is_a_note_and_inside_one_a_hole() {
    for name in ["mysql-9.7-gtid/row.binlog", "mariadb-10.5/row.binlog"] {
        let bytes = fs::read(data().join(name)).unwrap();
        let (start, end) = transactions(&bytes)[2];
        let found = verdict(&[&bytes[..start], &bytes[end..]].concat());
        assert_eq!(found.judgement(), Judgement::Clean, "{found:?}");
        assert!(found.notes.contains(&Note::Part { bytes: (end - start) as u64, places: 1 }));
        let all = places(&bytes);
        let rows = all.iter().find(|(header, ..)| header.kind.is_rows()).unwrap();
        let found = verdict(&[&bytes[..rows.1], &bytes[rows.2..]].concat()).disorders;
        assert!(found.iter().any(|d| matches!(d, Disorder::Hole { .. })), "{name}: {found:?}");
    }
}

/// The files of a server under the names they had.
fn restored(server: &str) -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for path in files().iter().filter(|path| path.parent().unwrap().ends_with(server)) {
        let next = verdict(&fs::read(path).unwrap()).summary.next_file.unwrap();
        let name = crate::index::previous_name(&next).unwrap();
        fs::copy(path, folder.path().join(&name)).unwrap();
        paths.push(folder.path().join(name));
    }
    paths.sort();
    (folder, paths)
}

fn chain(mut verifier: Verifier, paths: &[PathBuf]) -> Vec<Disorder> {
    let judge = |path: &PathBuf| verifier.file(&mut Reader::open(path).unwrap()).unwrap();
    paths.iter().map(judge).flat_map(|verdict| verdict.disorders).collect()
}

#[test]
fn the_files_of_a_server_follow_each_other() {
    for server in ["mysql-5.6-gtid", "mysql-9.7-gtid", "mariadb-10.5", "mariadb-11.8"] {
        let (_folder, paths) = restored(server);
        assert_eq!(chain(Verifier::new(), &paths), [], "{server}");
    }
}

#[test]
fn a_missing_file_is_named_only_among_all_files() {
    let (_folder, mut paths) = restored("mariadb-10.5");
    paths.remove(2);
    assert_eq!(chain(Verifier::new(), &paths), []);
    let found = chain(Verifier::of_all(), &paths);
    let after = paths[1].file_name().unwrap().to_string_lossy().into_owned();
    assert!(found.contains(&Disorder::FilesMissing { after }), "{found:?}");
}

#[test]
fn a_file_in_the_place_of_another_is_found_by_its_list_of_gtids() {
    for server in ["mysql-5.6-gtid", "mariadb-10.5"] {
        let (_folder, paths) = restored(server);
        fs::copy(&paths[3], &paths[1]).unwrap();
        let found = chain(Verifier::new(), &paths[..3]);
        let codes: Vec<_> = found.iter().map(Disorder::code).collect();
        assert!(codes.contains(&"previous_gtids_have_more"), "{server}: {codes:?}");
        assert!(codes.contains(&"leads_elsewhere"), "{server}: {codes:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damage_is_found_and_a_short_file_is_no_damage(
        file: Index, place: Index, bits in 1..=255_u8, length: Index,
    ) {
        let all = files();
        let path = file.get(&all);
        let mut bytes = fs::read(path).unwrap();
        let short = verdict(&bytes[..length.index(bytes.len() + 1)]);
        prop_assert!(short.judgement() != Judgement::Wrong, "{short:?}");
        let place = place.index(bytes.len());
        bytes[place] ^= bits;
        let found = verdict(&bytes);
        let unchecked = found.notes.contains(&Note::NoChecksums) || place == 21;
        let torn = found.judgement() == Judgement::TornTail;
        prop_assert!(found.judgement() == Judgement::Wrong || torn || unchecked || place < 4);
    }
}
