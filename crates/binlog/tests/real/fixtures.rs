//! Finds the fixtures, and makes folders in which they have the names they had at their server.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use primacy_binlog::event::Rotate;
use primacy_binlog::index::{number_of, previous_name};
use primacy_binlog::{EventKind, Reader};

pub(crate) fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    data().join(name)
}

/// The servers there are fixtures of.
pub(crate) fn servers() -> Vec<String> {
    let folders = fs::read_dir(data()).unwrap().map(|entry| entry.unwrap());
    let folders = folders.filter(|entry| entry.file_type().unwrap().is_dir());
    let mut names: Vec<_> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// All binary logs but the encrypted one.
pub(crate) fn binlogs() -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = servers().iter().flat_map(|server| binlogs_of(server)).collect();
    all.sort();
    all
}

fn binlogs_of(server: &str) -> Vec<PathBuf> {
    fs::read_dir(fixture(server))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "binlog"))
        .filter(|path| path.file_stem().is_some_and(|stem| stem != "encrypted"))
        .collect()
}

/// The relay logs of a server's replica, oldest first.
pub(crate) fn relay_logs(server: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(fixture(server).join("relay")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| number_of(&path.to_string_lossy()).is_some()).collect();
    paths.sort();
    paths
}

/// All binary logs and relay logs.
pub(crate) fn all_files() -> Vec<PathBuf> {
    let mut all = binlogs();
    for server in ["mysql-5.6", "mysql-9.7-gtid", "mariadb-11.8"] {
        all.extend(relay_logs(server));
    }
    all
}

/// The name that a binary log had: the one before the file it goes on in.
pub(crate) fn original_name(path: &Path) -> String {
    let mut reader = Reader::open(path).unwrap();
    let mut name = None;
    while let Some((event, format)) = reader.next_in_format().unwrap() {
        if event.kind() == EventKind::ROTATE {
            name = previous_name(&Rotate::decode(&event, format).unwrap().file_name());
        }
    }
    name.unwrap()
}

/// A server's binary logs by the names they had, oldest first.
pub(crate) fn by_original_name(server: &str) -> BTreeMap<String, PathBuf> {
    binlogs_of(server).into_iter().map(|path| (original_name(&path), path)).collect()
}

/// A folder with a server's binary logs under the names they had, and their paths, oldest first.
pub(crate) fn restored(server: &str) -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let paths = by_original_name(server)
        .into_iter()
        .map(|(name, path)| {
            let restored = folder.path().join(name);
            fs::copy(path, &restored).unwrap();
            restored
        })
        .collect();
    (folder, paths)
}
