//! What the store's file is when it is made, and what is refused: a later format, another
//! program's, a damaged one.
#![allow(clippy::unwrap_used, reason = "a test that cannot arrange its case has failed")]

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use primacy_store::{Level, Store, StoreError};
use primacy_types::WallClock;
use serde_json::json;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("primacy/state.db")
    }

    fn store(&self) -> Store {
        Store::open(self.file()).unwrap()
    }
}

#[test]
fn the_file_and_its_companions_belong_to_one_user() {
    let folder = Folder::new();
    let store = folder.store();
    store.set_paused("shop", true, None, WallClock(1)).unwrap();
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let file = folder.file();
    assert_eq!(mode(file.parent().unwrap().to_owned()), 0o700);
    assert_eq!(mode(file.clone()), 0o600);
    assert_eq!(mode(file.with_extension("db-wal")), 0o600);
}

#[test]
fn two_processes_may_open_a_new_file_at_once() {
    for _ in 0..10 {
        let folder = Folder::new();
        std::thread::scope(|scope| {
            let opened: Vec<_> =
                (0..4).map(|_| scope.spawn(|| Store::open(folder.file()))).collect();
            for handle in opened {
                handle.join().unwrap().unwrap();
            }
        });
    }
}

#[test]
fn a_file_of_a_later_version_is_refused_and_left_alone() {
    let folder = Folder::new();
    drop(folder.store());
    let raw = rusqlite::Connection::open(folder.file()).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    let refused = Store::open(folder.file()).unwrap_err();
    assert!(matches!(refused, StoreError::TooNew { found: 99, .. }), "{refused}");
}

#[test]
fn another_programs_database_is_refused_and_left_alone() {
    let folder = Folder::new();
    std::fs::create_dir(folder.file().parent().unwrap()).unwrap();
    let raw = rusqlite::Connection::open(folder.file()).unwrap();
    raw.execute_batch("CREATE TABLE theirs (a TEXT)").unwrap();
    drop(raw);
    let before = std::fs::read(folder.file()).unwrap();
    assert!(matches!(Store::open(folder.file()), Err(StoreError::NotOurs { .. })));
    assert_eq!(std::fs::read(folder.file()).unwrap(), before);
}

#[test]
fn a_damaged_file_is_refused_with_what_to_do() {
    let folder = Folder::new();
    let store = folder.store();
    for n in 0..50 {
        let text = format!("event {n} {}", "x".repeat(500));
        store.event("shop", None, WallClock(n), Level::Info, &text, &json!({})).unwrap();
    }
    drop(store);
    let mut bytes = std::fs::read(folder.file()).unwrap();
    assert!(bytes.len() > 20_000);
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xa5);
    std::fs::write(folder.file(), &bytes).unwrap();
    let damaged = Store::open(folder.file()).unwrap_err();
    assert!(matches!(damaged, StoreError::Damaged { .. }), "{damaged:?}");
    assert!(damaged.to_string().contains("move the file"), "{damaged}");

    std::fs::write(folder.file(), "this is a text file, and quite a long one at that").unwrap();
    assert!(matches!(Store::open(folder.file()), Err(StoreError::Damaged { .. })));
}
