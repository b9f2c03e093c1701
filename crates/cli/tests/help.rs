//! Every help text and every usage error, as one file each, so that a change of them is seen.
//!
//! `PRIMACY_UPDATE=1 cargo test -p primacy-cli --test help` writes the files anew.

use std::path::Path;

use clap::Command;

const SHARED: &str = "Options of every command:";

/// Wide enough for every terminal of the last forty years.
fn command() -> Command {
    primacy_cli::command().term_width(100)
}

/// Each command with its subcommands, in the order of the help texts.
fn pages(command: &mut Command, path: &str, into: &mut String) {
    let help = command.render_long_help().to_string();
    // What every page repeats is shown once.
    let page = match help.split_once(SHARED) {
        Some((before, rest)) if path.contains(' ') => {
            let after = rest.split_once("\n\nExamples:").map(|(_, examples)| examples);
            let examples = after.map(|text| format!("\n\nExamples:{text}")).unwrap_or_default();
            format!("{before}(options of every command){examples}")
        }
        _ => help,
    };
    into.push_str(&format!("$ {path} --help\n{page}\n\n"));
    let names: Vec<_> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    for name in names {
        if let Some(sub) = command.find_subcommand_mut(&name) {
            pages(sub, &format!("{path} {name}"), into);
        }
    }
}

fn same_as_file(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    let text: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    if std::env::var_os("PRIMACY_UPDATE").is_some() {
        std::fs::write(&file, &text).expect("the file can be written");
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    for (i, (is, was)) in text.lines().zip(expected.lines()).enumerate() {
        assert_eq!(is, was, "{name}, line {} (PRIMACY_UPDATE=1 writes it anew)", i + 1);
    }
    assert_eq!(text.lines().count(), expected.lines().count(), "{name}: lines");
}

#[test]
fn help_texts() {
    let mut command = command();
    command.build();
    let mut text = String::new();
    pages(&mut command, "primacy", &mut text);
    same_as_file("help.txt", &text);
}

#[test]
fn usage_errors() {
    let mut text = String::new();
    for line in [
        "primacy",
        "primacy statsu",
        "primacy status one two",
        "primacy status --wach",
        "primacy list",
        "primacy switchover --to",
        "primacy switchover --to db2:99999",
        "primacy switchover --force",
        "primacy failover --accept-loss",
        "primacy history 019a --cluster orders",
        "primacy history -n 0",
        "primacy grants --purpose backup",
        "primacy grants --account primacy",
        "primacy binlog show",
        "primacy binlog show --server db1:3306 binlog.000001",
        "primacy binlog show --since yesterday binlog.000001",
        "primacy binlog show --table t binlog.000001",
        "primacy binlog show --from binlog.000001 binlog.000001",
        "primacy binlog cut binlog.000001",
        "primacy binlog save --out x",
        "primacy binlog save --out x --server db1:3306 --password-env P",
        "primacy config",
        "primacy config import",
        "primacy config import app1.cnf --force",
        "primacy sandbox kill",
        "primacy sandbox up --gtid maybe",
        "primacy sandbox up --replicas 21",
        "primacy sandbox up --base-port 80",
        "primacy sandbox up --semi-sync-wait-count 2",
        "primacy completions tcsh",
        "primacy --color purple status",
        "primacy manager --log-format xml",
    ] {
        let error = command().try_get_matches_from(line.split(' ')).unwrap_err();
        let first = error.to_string().split("\n\n").next().unwrap_or_default().to_owned();
        text.push_str(&format!("$ {line}\n{first}\n=> {}\n\n", error.exit_code()));
    }
    same_as_file("usage.txt", &text);
}

#[test]
fn every_option_is_documented() {
    fn check(command: &Command) {
        for argument in command.get_arguments() {
            let named = format!("{} {}", command.get_name(), argument.get_id());
            assert!(argument.get_help().is_some(), "{named} has no help");
        }
        assert!(command.get_about().is_some(), "{} has no help", command.get_name());
        command.get_subcommands().for_each(check);
    }
    let mut command = command();
    command.build();
    check(&command);
}
