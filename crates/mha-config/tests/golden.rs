//! Whole files: what becomes of those that are right, and what is said of those that are wrong.
//!
//! `PRIMACY_UPDATE=1 cargo test -p primacy-mha-config --test golden` writes the expected texts anew.

#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

use std::fs;
use std::path::{Path, PathBuf};

use primacy_mha_config::{KEYS, Source, Sources, parse, to_native};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

fn files(name: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        all.filter(|path| path.extension().is_some_and(|e| e == "cnf")).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn same_as_file(path: &Path, text: &str) {
    if std::env::var_os("PRIMACY_UPDATE").is_some() {
        fs::write(path, text).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(text, expected, "{} (PRIMACY_UPDATE=1 writes it anew)", path.display());
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn what_becomes_of_right_files() {
    for path in files("good") {
        let text = fs::read_to_string(&path).unwrap();
        let app = Source { file: &name(&path), text: &text };
        let mha = parse(&Sources { global: None, app, script: None })
            .unwrap_or_else(|errors| panic!("{errors}"));
        let native = to_native(&mha).unwrap_or_else(|errors| panic!("{errors}"));
        same_as_file(&path.with_extension("toml"), &native.text);
        let notices: String = native.notices.iter().map(|notice| format!("{notice}\n")).collect();
        same_as_file(&path.with_extension("notices"), &notices);
    }
}

#[test]
fn what_is_said_of_wrong_files() {
    for path in files("wrong") {
        let text = fs::read_to_string(&path).unwrap();
        let app = Source { file: &name(&path), text: &text };
        let errors = match parse(&Sources { global: None, app, script: None }) {
            Ok(mha) => to_native(&mha).map(|_| ()).unwrap_err(),
            Err(errors) => errors,
        };
        assert!(!errors.to_string().contains("hunter2"), "{errors}");
        same_as_file(&path.with_extension("errors"), &format!("{errors}\n"));
    }
}

#[test]
fn the_file_of_every_key_has_every_key() {
    let text = fs::read_to_string(folder("good").join("every-key.cnf")).unwrap();
    for key in KEYS {
        let written =
            text.lines().any(|line| line.split('=').next().map(str::trim) == Some(key.name));
        assert!(written, "{} is missing", key.name);
    }
}
