//! `primacy binlog` on the binary logs of real servers that `crates/binlog` keeps, and the
//! examples of `docs/binlog.md`.
//!
//! `PRIMACY_UPDATE_DOCS=1 cargo test -p primacy --test binlog` writes what the examples print anew.
#![allow(clippy::disallowed_methods, reason = "this is a test")]
#![expect(clippy::unwrap_used, reason = "tests and their helpers")]
#![allow(clippy::needless_pass_by_value, reason = "taken apart there")]

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn fixtures() -> PathBuf {
    root().join("crates/binlog/tests/data")
}

/// A folder with the files of two servers, under the names that they had.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (server, from) in [("db1", "mariadb-10.5"), ("db2", "mysql-9.7-gtid")] {
        let into = dir.path().join(server);
        fs::create_dir(&into).unwrap();
        for entry in fs::read_dir(fixtures().join(from)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "binlog") {
                fs::copy(&path, into.join(name_of(&path))).unwrap();
            }
        }
    }
    dir
}

/// The name before the file that it goes on in.
fn name_of(path: &Path) -> String {
    let shown = run(&root(), &["show", &path.display().to_string()]);
    let last = shown.out.lines().last().unwrap().to_owned();
    let next = last.split("goes on in binlog.").nth(1).unwrap().split(':').next().unwrap();
    format!("binlog.{:06}", next.parse::<u64>().unwrap() - 1)
}

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_primacy"));
    command.arg("binlog").args(args).current_dir(dir).stdin(Stdio::null());
    command.env_remove("PRIMACY_CONFIG").env_remove("PRIMACY_LOG");
    command
}

fn ran(output: std::process::Output) -> Ran {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ran { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

fn run(dir: &Path, args: &[&str]) -> Ran {
    ran(command(dir, args).output().unwrap())
}

fn run_with(dir: &Path, args: &[&str], input: &[u8]) -> Ran {
    let mut child = command(dir, args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // It may end before it has read all.
    let feed = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feed.join().unwrap();
    ran(output)
}

/// What a shell prints for a command line, and `=> CODE` unless that is 0.
fn example(dir: &Path, line: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_primacy")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-c", &format!("{{ {line}\n}} 2>&1")])
        .current_dir(dir)
        .env("PATH", path)
        .env_remove("PRIMACY_CONFIG")
        .output()
        .unwrap();
    let ran = ran(output);
    let code = ran.code.unwrap();
    let code = if code == 0 { String::new() } else { format!("=> {code}\n") };
    format!("$ {line}\n{}{code}", ran.out)
}

#[test]
fn the_examples_of_the_page_print_what_it_says() {
    let page = root().join("docs/binlog.md");
    let text = fs::read_to_string(&page).unwrap();
    let dir = folder();
    let mut wanted = String::new();
    let mut parts = text.split("```console\n");
    wanted.push_str(parts.next().unwrap());
    let mut seen = 0;
    for part in parts {
        let (block, rest) = part.split_once("```").unwrap();
        let line = block.lines().next().unwrap().strip_prefix("$ ").unwrap();
        wanted.push_str(&format!("```console\n{}```{rest}", example(dir.path(), line)));
        seen += 1;
    }
    assert!(seen >= 8, "{seen} examples");
    if std::env::var_os("PRIMACY_UPDATE_DOCS").is_some() {
        fs::write(&page, &wanted).unwrap();
        return;
    }
    for (is, was) in wanted.lines().zip(text.lines()) {
        assert_eq!(is, was, "PRIMACY_UPDATE_DOCS=1 writes the page anew");
    }
}

#[test]
fn one_bad_file_does_not_keep_the_others_from_being_shown() {
    let dir = folder();
    fs::write(dir.path().join("text"), "no binary log").unwrap();
    let encrypted = fixtures().join("mariadb-10.11/encrypted.binlog").display().to_string();
    let args = ["show", "gone", "text", &encrypted, "db1/binlog.000002", "--transactions"];
    let ran = run(dir.path(), &args);
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.lines().any(|line| line.contains("CREATE DATABASE shop")), "{}", ran.out);
    for said in ["gone could not be read", "text is no binary log", "is encrypted by its server"] {
        assert!(ran.err.contains(said), "{said}: {}", ran.err);
    }
    assert_eq!(ran.err.matches("hint: ").count(), 3, "{}", ran.err);
}

#[test]
fn standard_input_is_read_like_a_file() {
    let dir = folder();
    let bytes = fs::read(dir.path().join("db2/binlog.000014")).unwrap();
    for verb in ["show", "verify"] {
        let piped = run_with(dir.path(), &[verb, "-"], &bytes);
        let file = run(dir.path(), &[verb, "db2/binlog.000014"]);
        let names =
            |text: &str| text.replace("db2/binlog.000014", "-").replace("binlog.000014:", "-:");
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&piped.out), words(&names(&file.out)));
        assert_eq!((piped.code, file.code), (Some(0), Some(0)));
    }
    let ran = run_with(dir.path(), &["cut", "-", "--out", "saved"], &bytes);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(fs::read(dir.path().join("saved/binlog.000014")).unwrap() == bytes);
}

#[test]
fn a_cut_to_standard_output_is_a_clean_binary_log_of_the_same_transactions() {
    let dir = folder();
    for [first, second] in
        [["db1/binlog.000002", "db1/binlog.000003"], ["db2/binlog.000014", "db2/binlog.000015"]]
    {
        let args = ["cut", first, second, "--quiet", "--out", "-"];
        let output = command(dir.path(), &args).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let shown = |args: &[&str], input: &[u8]| {
            let out = run_with(dir.path(), args, input).out;
            // Time, server id, GTID, tables and so on; not the place.
            let line = |line: &str| line.split_once("  ").unwrap().1.trim_start().to_owned();
            out.lines().map(line).collect::<Vec<_>>()
        };
        let verified = run_with(dir.path(), &["verify", "-"], &output.stdout);
        assert_eq!(verified.code, Some(0), "{}", verified.out);
        let all = shown(&["show", "--transactions", first, second], b"");
        assert_eq!(shown(&["show", "--transactions", "-"], &output.stdout), all);
    }
    let left = fs::read_dir(std::env::temp_dir()).unwrap().filter_map(Result::ok);
    let ours = left.filter(|e| e.file_name().to_string_lossy().starts_with("primacy-binlog-"));
    // Other tests may have theirs at this moment; none is older than that.
    let old = ours.filter(|entry| {
        let made = entry.metadata().and_then(|m| m.modified());
        made.is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_secs() > 600))
    });
    assert_eq!(old.count(), 0, "a folder was left behind");
}

#[test]
fn a_cut_over_a_missing_file_is_refused() {
    let dir = folder();
    let args = ["cut", "db1/binlog.000003", "db1/binlog.000005", "--out", "saved"];
    let ran = run(dir.path(), &args);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.contains("binlog.000004 is missing between"), "{}", ran.err);
    assert!(!dir.path().join("saved").exists());
}

#[test]
fn json_is_one_object_a_line() {
    let dir = folder();
    for args in [
        ["show", "--json", "db2/binlog.000014", "db1/binlog.000002"].as_slice(),
        ["show", "--json", "--transactions", "db2/binlog.000014"].as_slice(),
    ] {
        let ran = run(dir.path(), args);
        assert_eq!(ran.code, Some(0));
        for line in ran.out.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(value["start"].as_u64() < value["end"].as_u64(), "{line}");
        }
    }
    let ran = run(dir.path(), &["verify", "--json", "db2/binlog.000014"]);
    let value: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(value["verdict"], "clean");
    let ran = run(dir.path(), &["diff", "--json", "db1/binlog.000002", "db1/binlog.000005"]);
    let value: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(value["same"], false);
    assert_eq!(value["b"]["only_here"], "0-1-13..32");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let dir = folder();
    let mut files = vec!["show"];
    // More than a pipe holds.
    files.extend(["db2/binlog.000014"; 60]);
    let mut child =
        command(dir.path(), &files).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}

#[test]
fn filters_pick_some() {
    let dir = folder();
    let count = |args: &[&str]| {
        let mut all = vec!["show", "--transactions", "db1/binlog.000002"];
        all.extend_from_slice(args);
        let ran = run(dir.path(), &all);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        ran.out.lines().count()
    };
    assert_eq!(count(&["--gtid", "0-1-5..7,0-1-9"]), 4);
    assert_eq!(count(&["--table", "shop.old", "--table", "shop.copied"]), 2);
    assert_eq!(count(&["--table", "other.old"]), 0);
    assert_eq!(count(&["--since", "2026-11-21 00:00:00"]), count(&[]));
    assert_eq!(count(&["--until", "2026-11-21T00:00:00Z"]), 0);
    let ran = run(dir.path(), &["show", "--gtid", "x", "db1/binlog.000002"]);
    assert_eq!(ran.code, Some(2));
}

#[test]
fn relay_logs_are_shown_in_the_places_of_their_source() {
    let relay = fixtures().join("mariadb-11.8/relay").display().to_string();
    let ran = run(&root(), &["show", "--transactions", &relay]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.lines().all(|line| line.starts_with("binlog.")), "{}", ran.out);
    let binlog = fixtures().join("mariadb-11.8/large.binlog").display().to_string();
    let wanted = run(&root(), &["show", "--transactions", &binlog]).out;
    let name = name_of(Path::new(&binlog));
    let of = |text: &str| {
        let places: Vec<String> = text
            .lines()
            .map(|line| line.split_whitespace().next().unwrap().to_owned())
            .filter(|place| place.starts_with(&name))
            .collect();
        places
    };
    assert_eq!(of(&ran.out), of(&wanted.replace("large.binlog", &name)));
    assert!(!of(&ran.out).is_empty());
}

#[test]
fn servers_need_an_account() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("none.toml").display().to_string();
    let ran = run(dir.path(), &["show", "--server", "127.0.0.1:1", "--config", &config]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    assert!(ran.err.contains("--user NAME"), "{}", ran.err);
    let args = ["save", "--server", "127.0.0.1:1", "--user", "u", "--out", "x"];
    let ran = run(dir.path(), &args);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("--password-file FILE"), "{}", ran.err);
    fs::write(dir.path().join("p"), "secret\n").unwrap();
    let args =
        ["save", "--server", "127.0.0.1:1", "--user", "u", "--password-file", "p", "--out", "x"];
    assert_eq!(run(dir.path(), &args).code, Some(3));
}
