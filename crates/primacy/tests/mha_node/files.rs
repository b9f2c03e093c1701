//! What needs files and no server: the binary logs of real servers that `crates/binlog` keeps.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::node;

/// Two logs of a server, under names with the numbers 999999 and 1000000.
fn two_logs() -> (tempfile::TempDir, Vec<u8>, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../binlog/tests/data/mysql-9.7-gtid");
    let read = |name| fs::read(data.join(name)).unwrap();
    let (first, second) = (read("row.binlog"), read("mixed.binlog"));
    fs::create_dir(dir.path().join("data")).unwrap();
    fs::write(dir.path().join("data/bin.999999"), &first).unwrap();
    fs::write(dir.path().join("data/bin.1000000"), &second).unwrap();
    (dir, first, second)
}

struct Save<'a> {
    dir: &'a Path,
    file: &'a str,
    at: u64,
    out: &'a str,
}

fn save(save: &Save<'_>, more: &[&str]) -> crate::Ran {
    let data = save.dir.join("data").display().to_string();
    let out = save.dir.join(save.out).display().to_string();
    let words = [
        "--command=save".to_owned(),
        format!("--start_file={}", save.file),
        format!("--start_pos={}", save.at),
        format!("--binlog_dir=/nowhere,{data}"),
        format!("--output_file={out}"),
        "--manager_version=0.58".to_owned(),
    ];
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    words.extend(more);
    node("save_binary_logs", &words)
}

#[test]
fn what_is_after_the_end_of_a_file_is_in_the_next() {
    let (dir, first, second) = two_logs();
    let wanted = |file, at, out| Save { dir: dir.path(), file, at, out };
    let ran = save(&wanted("bin.999999", first.len() as u64, "a"), &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let saved = fs::read(dir.path().join("a")).unwrap();
    // The second file without its rotation, and without the list of earlier GTIDs.
    assert!(saved.len() > second.len() / 2 && saved.len() < second.len(), "{}", saved.len());
    assert!(second.windows(200).any(|part| saved.ends_with(part)), "other bytes");

    let ran = save(&wanted("bin.1000000", second.len() as u64, "b"), &[]);
    assert_eq!(ran.code, Some(10), "{ran:?}");
    assert!(!dir.path().join("b").exists());

    let ran = save(&wanted("bin.999999", 4, "c"), &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let all = fs::read(dir.path().join("c")).unwrap();
    assert!(all.len() > saved.len());
    let verified = Command::new(crate::PROGRAM)
        .args(["binlog", "verify"])
        .arg(dir.path().join("c"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(!said.contains("checksum"), "{said}");
}

#[test]
fn refusals_end_with_one_and_say_why() {
    let (dir, first, _) = two_logs();
    let wanted = |file, at, out| Save { dir: dir.path(), file, at, out };
    for (asked, more, why) in [
        (wanted("bin.000001", 4, "x"), &[][..], "--binlog_dir"),
        (wanted("bin.999999", 130, "x"), &[], "is inside the event"),
        (wanted("bin.999999", first.len() as u64 + 1, "x"), &[], "went on in another file"),
        (wanted("nonsense", 4, "x"), &[], "no name of a log"),
        (wanted("bin.999999", 4, "data/bin.1000000"), &[], "is there already"),
        (wanted("bin.999999", 4, "x"), &["--typo"], "unknown option: typo"),
        (wanted("bin.999999", 4, "x"), &["--command=sav"], "test or save"),
    ] {
        let ran = save(&asked, more);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.err.contains(why), "{why}: {ran:?}");
        assert!(!dir.path().join("x").exists());
    }
    // What a replica has and the disk lost is missing to nobody.
    fs::remove_file(dir.path().join("data/bin.1000000")).unwrap();
    let ran = save(&wanted("bin.999999", first.len() as u64 + 1, "x"), &[]);
    assert_eq!(ran.code, Some(10), "{ran:?}");
}

#[test]
fn a_torn_end_is_left_out_and_damage_ends_it() {
    let (dir, first, second) = two_logs();
    let wanted = |out| Save { dir: dir.path(), file: "bin.999999", at: 4, out };
    save(&wanted("whole"), &[]);
    let whole = fs::read(dir.path().join("whole")).unwrap();
    let last = dir.path().join("data/bin.1000000");
    fs::write(&last, &second[..second.len() - 3]).unwrap();
    let ran = save(&wanted("torn"), &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("left out"), "{ran:?}");
    let torn = fs::read(dir.path().join("torn")).unwrap();
    assert!(whole.starts_with(&torn) && torn.len() >= whole.len() - 100);

    let mut damaged = first.clone();
    let middle = first.len() / 2;
    damaged[middle] ^= 1;
    fs::write(dir.path().join("data/bin.999999"), damaged).unwrap();
    let ran = save(&wanted("damaged"), &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("only what is before it is saved"), "{ran:?}");
    let damaged = fs::read(dir.path().join("damaged")).unwrap();
    assert!(whole.starts_with(&damaged) && damaged.len() < middle + 500);
}

#[test]
fn test_says_which_is_the_newest_and_writes_nothing() {
    let (dir, ..) = two_logs();
    let data = format!("--binlog_dir={}", dir.path().join("data").display());
    let out = format!("--output_file={}/out/probe", dir.path().display());
    let args = ["--command=test", "--binlog_prefix=bin", "--start_pos=4", &data, &out];
    let ran = node("save_binary_logs", &args);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("up to bin.1000000"), "{ran:?}");
    assert_eq!(fs::read_dir(dir.path().join("out")).unwrap().count(), 0);
    let args = ["--command=test", "--binlog_prefix=other", "--start_pos=4", &data, &out];
    assert_eq!(node("save_binary_logs", &args).code, Some(1));
}

/// MHA's own cutter keeps rotations, and what follows in the next file behind its head.
#[test]
fn what_the_perl_package_saves_is_read() {
    let (dir, first, second) = two_logs();
    let head = |log: &[u8]| 4 + u32::from_le_bytes(log[13..17].try_into().unwrap()) as usize;
    let after_list = |log: &[u8]| {
        let at = head(log);
        at + u32::from_le_bytes(log[at + 9..at + 13].try_into().unwrap()) as usize
    };
    let perl =
        [&first[..head(&first)], &first[after_list(&first)..], &second[after_list(&second)..]];
    let file = dir.path().join("perl");
    fs::write(&file, perl.concat()).unwrap();
    let files = format!("--apply_files={}", file.display());
    let ran = node("apply_diff_relay_logs", &["--command=apply", "--no_apply", &files]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let mut damaged = perl.concat();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&file, damaged).unwrap();
    let ran = node("apply_diff_relay_logs", &["--command=apply", "--no_apply", &files]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
}

/// Whoever still has MHA's Perl node package reads the file with `mysqlbinlog`.
async fn mysqlbinlog_reads_what_is_saved(server: &str) {
    let installation = primacy_sandbox::find_installation(Some(server)).unwrap();
    let program = installation.root.join("usr/bin/mysqlbinlog").into_os_string();
    let mut words = installation.launcher.into_iter().chain([program]);
    let mut mysqlbinlog = Command::new(words.next().unwrap());
    mysqlbinlog.args(words);
    let (dir, ..) = two_logs();
    save(&Save { dir: dir.path(), file: "bin.999999", at: 4, out: "all" }, &[]);
    let read = mysqlbinlog.arg(dir.path().join("all")).output().unwrap();
    let text = String::from_utf8_lossy(&read.stdout).into_owned();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    assert!(text.contains("GTID_NEXT=") && text.matches("COMMIT").count() > 3, "{text}");
}

#[test]
fn the_filter_copies_what_it_does_not_take_out() {
    use std::io::Write;
    let mut command = crate::command("filter_mysqlbinlog", &[]);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let text = b"ROLLBACK/*!*/;\nINSERT INTO t VALUES ('ROLLBACK')/*!*/;\n";
    child.stdin.take().unwrap().write_all(text).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, b"INSERT INTO t VALUES ('ROLLBACK')/*!*/;\n");
}

primacy_testkit::on_servers!([mysql_9_7], [], mysqlbinlog_reads_what_is_saved);
