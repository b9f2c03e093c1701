//! The real program: what it writes where, and what it ends with. No database server is needed.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "the program has limits of its own, and this is a test"
)]

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

const ACCOUNTS: &str = "
[defaults.accounts.manager]
user = \"watcher\"
password_env = \"PRIMACY_TEST_PASSWORD\"

[defaults.accounts.replication]
user = \"follower\"
password_env = \"PRIMACY_TEST_PASSWORD\"
";

/// What a run of the program came to.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn primacy(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_primacy"));
    command.args(args).current_dir(dir).stdin(Stdio::null());
    command.env_remove("PRIMACY_CONFIG").env_remove("PRIMACY_LOG");
    command.env("PRIMACY_TEST_PASSWORD", "secret");
    command
}

fn run(dir: &Path, args: &[&str]) -> Ran {
    let output = primacy(dir, args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// A folder with a `primacy.toml` of these clusters, whose servers nobody listens for.
fn folder(clusters: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut text = "[manager]\nstate_dir = \"state\"\n".to_owned() + ACCOUNTS;
    for (i, name) in clusters.iter().enumerate() {
        let (first, second) = (2 * i + 1, 2 * i + 2);
        text.push_str(&format!(
            "\n[cluster.{name}]\nservers = [\"127.0.0.1:{first}\", \"127.0.0.1:{second}\"]\n"
        ));
    }
    fs::write(dir.path().join("primacy.toml"), text).unwrap();
    dir
}

#[test]
fn the_configuration_in_the_current_folder_is_found_and_judged() {
    let dir = folder(&["orders"]);
    let ran = run(dir.path(), &["config", "check"]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (Some(0), "primacy.toml: no errors; 1 cluster with 2 servers, 0 warnings\n")
    );
    assert_eq!(ran.err, "");
}

#[test]
fn a_wrong_key_is_named_with_file_line_and_column() {
    let dir = folder(&["orders"]);
    let file = dir.path().join("primacy.toml");
    fs::write(&file, fs::read_to_string(&file).unwrap() + "sevrers = []\n").unwrap();
    let ran = run(dir.path(), &["config", "check"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    assert!(ran.err.contains("primacy.toml:14:1: "), "{}", ran.err);
    let ran = run(dir.path(), &["config", "check", "--json"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.out.contains("\"line\": 14"), "{}", ran.out);
}

#[test]
fn without_a_configuration_the_way_out_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(dir.path(), &["status"]);
    if Path::new("/etc/primacy/primacy.toml").exists() {
        return;
    }
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    assert!(ran.err.contains("hint: name the file with --config"), "{}", ran.err);
}

#[test]
fn pausing_needs_a_manager() {
    let dir = folder(&["orders"]);
    let ran = run(dir.path(), &["pause", "--reason", "test"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(3), ""));
    assert!(ran.err.contains("no manager listens on"), "{}", ran.err);
    assert!(ran.err.contains("primacy manager --config primacy.toml"), "{}", ran.err);
    assert_eq!(run(dir.path(), &["pause", "--quiet"]).err.lines().count(), 1);
}

#[test]
fn with_several_clusters_the_one_to_act_on_must_be_named() {
    let dir = folder(&["orders", "users"]);
    for verb in ["switchover", "failover", "pause", "resume"] {
        let ran = run(dir.path(), &[verb]);
        assert_eq!(ran.code, Some(2), "{verb}");
        assert!(ran.err.contains("the configuration has: orders, users"), "{verb}: {}", ran.err);
    }
    let ran = run(dir.path(), &["status", "payments"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("there is no cluster \"payments\""), "{}", ran.err);
}

#[test]
fn what_may_do_harm_is_not_done_unasked() {
    let dir = folder(&["orders"]);
    let ran = run(dir.path(), &["failover", "--force"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    assert!(ran.err.contains("add --yes"), "{}", ran.err);
}

#[test]
fn history_without_a_manager_says_who_looks() {
    let dir = folder(&["orders"]);
    let ran = run(dir.path(), &["history", "--json"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "[]\n"));
    assert!(ran.err.contains("no manager is running; looking myself"), "{}", ran.err);
}

#[test]
fn grants_use_the_configured_users() {
    let dir = folder(&["orders"]);
    let ran = run(dir.path(), &["grants", "--server", "mariadb-10.11"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.out.contains("GRANT SLAVE MONITOR ON *.* TO 'watcher'@'%';"), "{}", ran.out);
    assert!(ran.out.contains("GRANT REPLICATION SLAVE ON *.* TO 'follower'@'%';"), "{}", ran.out);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = primacy(dir.path(), &["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
}

#[test]
fn every_command_has_a_man_page() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(dir.path(), &["man", "pages"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""));
    for page in ["primacy.1", "primacy-switchover.1", "primacy-sandbox-up.1"] {
        let text = fs::read_to_string(dir.path().join("pages").join(page)).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
    }
}

#[test]
fn a_usage_error_ends_with_two_and_help_with_zero() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(run(dir.path(), &["statsu"]).code, Some(2));
    let help = run(dir.path(), &["--help"]);
    assert_eq!(help.code, Some(0));
    assert!(help.out.contains("Exit codes:"));
}

#[test]
fn a_command_of_mha_is_called_by_its_name_and_behind_mha() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("purge_relay_logs");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_primacy"), &link).unwrap();
    let by_name = Command::new(&link).arg("--version").output().unwrap();
    let behind = run(dir.path(), &["mha", "purge_relay_logs", "--version"]);
    assert_eq!(String::from_utf8(by_name.stdout).unwrap(), behind.out);
    assert!(behind.out.starts_with("purge_relay_logs version 0.58.\n"), "{}", behind.out);
    let ran = run(dir.path(), &["mha", "save_binary_logs", "--help"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.out.contains("--start_pos=N"), "{}", ran.out);
    let ran = run(dir.path(), &["mha", "purge_relay_logs", "--typo"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.contains("unknown option: typo"), "{}", ran.err);
    let ran = run(dir.path(), &["mha", "masterha_typo"]);
    assert_eq!(ran.code, Some(2));
    assert!(run(dir.path(), &["mha"]).out.contains("apply_diff_relay_logs"));
}
