//! Command lines of MHA's commands, and what they are read as: one file, so that a change is seen.
//!
//! `PRIMACY_UPDATE=1 cargo test -p primacy-mha --test options` writes it anew.
#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

use std::collections::BTreeSet;
use std::path::Path;

use primacy_mha::{COMMANDS, Kind, Opt, command, parse};
use proptest::prelude::*;

const LINES: &[&str] = &[
    // As tutorials and MHA's own manager write them.
    "masterha_manager --conf=/etc/app1.cnf",
    "masterha_manager --conf /etc/app1.cnf --remove_dead_master_conf --ignore_last_failover",
    "masterha_manager --conf=a.cnf --manager_log=/var/log/a.log --workdir=/var/mha",
    "masterha_manager --conf=a.cnf --keep_running --last_failover_minute=0",
    "masterha_manager --conf=a.cnf --wait_until_gtid_in_sync=0",
    "masterha_manager --conf=a.cnf --ignore_last_failovre",
    "masterha_manager --conf=a.cnf --passwrod se_cret --pasword=se_cret",
    "masterha_manager --conf=a.cnf --keep",
    "masterha_master_switch --master_state=dead --conf=a.cnf --dead_master_host=db1 --interactive=0",
    "masterha_master_switch --master_state=dead --conf=a.cnf --dead_master_host=db1 --typo=1",
    "masterha_master_switch --master_state=alive --conf=a.cnf --new_master_host=db2 --orig_master_is_new_slave --interactive=0",
    "masterha_master_switch --master_state=alive --conf=a.cnf --running_updates_limit=10000",
    "masterha_master_switch --master_state=alive --conf=a.cnf --typo=1",
    "masterha_master_switch --master_state=alive --conf=a.cnf --dead_master_host=db1",
    "masterha_master_switch --master_state=dead --conf=a.cnf --flush_tables=1",
    "masterha_check_ssh --conf=/etc/app1.cnf",
    "masterha_check_repl --conf=/etc/app1.cnf --seconds_behind_master=60 --skip_ssh_check",
    "masterha_check_status --conf=/etc/app1.cnf",
    "masterha_check_status --app=app1 --workdir=/var/log/mha --ping_limit=30",
    "masterha_check_status --all",
    "masterha_stop --conf=/etc/app1.cnf --abort --abort_timeout=10",
    "masterha_conf_host --command=add --conf=a.cnf --hostname=db4 --block=server4 --params=no_master=1;ignore_fail=1",
    "masterha_conf_host --command=delete --conf=a.cnf --block=server4 --typo",
    "masterha_master_monitor --conf=a.cnf --interactive=0",
    "masterha_secondary_check -s db8 -s db9 --user=root --master_host=db1 --master_ip=10.0.0.1 --master_port=3306 --master_user=mha --master_password=se=cret --ping_type=SELECT",
    "save_binary_logs --command=save --start_file=mysql-bin.000002 --start_pos=154 --binlog_dir=/var/lib/mysql,/data --output_file=/var/tmp/saved.binlog --handle_raw_binlog=1 --disable_log_bin=0 --manager_version=0.58",
    "save_binary_logs --command=test --start_pos=4 --binlog_prefix=mysql-bin --output_file=/var/tmp/t --debug",
    "apply_diff_relay_logs --command=generate_and_send --scp_user=root --scp_host=db2 --latest_mlf=m.000001 --latest_rmlp=900 --target_mlf=m.000001 --target_rmlp=100 --server_id=3 --diff_file_readtolatest=/var/tmp/d --workdir=/var/tmp --timestamp=20261121000000 --relay_log_info=/var/lib/mysql/relay-log.info",
    "apply_diff_relay_logs --command=apply --slave_user='' --slave_host=db2 --slave_ip=10.0.0.2 --slave_port=3306 --apply_files=/var/tmp/a,/var/tmp/b --workdir=/var/tmp --target_version=5.6.51-log --timestamp=1 --disable_log_bin --handle_raw_binlog=1 --slave_pass=",
    "apply_diff_relay_logs --command=test --slave_pass se_cret --slave_user mha",
    "purge_relay_logs --user=root --password=se=cret --disable_relay_log_purge --workdir=/data",
    "purge_relay_logs --defaults_file=/etc/mysql/debian.cnf --use_hardlink=0 --port 3307",
    "purge_relay_logs --pass=se_cret --use_hard_link=1",
    "filter_mysqlbinlog",
    "filter_mysqlbinlog --start=1",
    // The rules of Getopt::Long.
    "masterha_check_ssh -conf x",
    "masterha_check_ssh +conf=x",
    "masterha_check_ssh --CONF=x --Global_Conf=y",
    "masterha_check_ssh --con=x --g y",
    "masterha_check_ssh --conf=a=b",
    "masterha_check_ssh --conf=a --conf=b",
    "masterha_check_ssh --conf --global_conf",
    "masterha_check_ssh --conf",
    "masterha_check_ssh --conf=",
    "masterha_check_ssh --conf x word -- --conf=y",
    "masterha_check_ssh - --conf=x",
    "masterha_check_ssh --cnf=x",
    "masterha_manager --conf=a --ignore",
    "masterha_manager --conf=a --last=abc",
    "masterha_manager --conf=a --last_failover_minute 1_000 --new_master_port=+5",
    "masterha_manager --conf=a --ignore_last_failover=0 --skip_check_ssh=1 --check_only=2",
    "masterha_master_switch --master_state=dead --interactive 0 --dead_master_host=x",
    "save_binary_logs --start=4",
    "save_binary_logs --start_pos=99999999999999999999",
    "save_binary_logs --start_pos=0x10",
    "masterha_stop --help",
    "masterha_stop --ver",
];

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(|word| word.replace("''", "")).collect()
}

fn read(line: &str) -> String {
    let mut words = words(line);
    let name = words.remove(0);
    match parse(command(&name).unwrap(), words) {
        Ok(parsed) if parsed.passed_over.is_empty() => format!("{:?}", parsed.given),
        Ok(parsed) => format!("{:?}\npassed over: {}", parsed.given, parsed.passed_over.join(" ")),
        Err(error) => format!("refused: {error}"),
    }
}

#[test]
fn command_lines() {
    let mut text = String::new();
    for line in LINES {
        text.push_str(&format!("$ {line}\n{}\n\n", read(line)));
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/options.txt");
    if std::env::var_os("PRIMACY_UPDATE").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    for (i, (is, was)) in text.lines().zip(expected.lines()).enumerate() {
        assert_eq!(is, was, "line {} (PRIMACY_UPDATE=1 writes it anew)", i + 1);
    }
    assert_eq!(text.lines().count(), expected.lines().count());
}

#[test]
fn every_command_has_a_line_here() {
    let seen: BTreeSet<_> = LINES.iter().filter_map(|line| line.split(' ').next()).collect();
    for command in COMMANDS {
        assert!(seen.contains(command.name), "{}", command.name);
    }
}

/// What can be given to an option, written to it.
fn value(option: &Opt) -> &'static str {
    match option.kind {
        Kind::Switch => "1",
        Kind::Number => "77",
        Kind::Text | Kind::List | Kind::Secret => "some=text",
    }
}

#[test]
fn every_option_is_found_by_all_its_names_in_both_ways() {
    for command in COMMANDS {
        for option in command.all_options() {
            let condition = option.only.map(|(name, value)| format!("--{name}={value}"));
            for name in option.names() {
                let value = value(option);
                let ways = [
                    vec![format!("--{name}={value}")],
                    vec![format!("-{name}"), value.to_owned()],
                    vec![format!("--{}={value}", name.to_uppercase())],
                ];
                for mut way in ways {
                    way.extend(condition.clone());
                    let parsed = parse(command, way.clone()).unwrap();
                    assert_eq!(parsed.given.text(option.name), Some(value), "{way:?}");
                    assert_eq!(parsed.passed_over, [""; 0], "{way:?}");
                }
            }
        }
    }
}

#[test]
fn every_beginning_that_is_of_one_option_only_is_that_option() {
    for command in COMMANDS {
        let all: Vec<&Opt> = command.all_options().filter(|option| !option.own).collect();
        for option in &all {
            for length in 1..option.name.len() {
                let begin = &option.name[..length];
                let fits = all.iter().filter(|o| o.names().any(|name| name.starts_with(begin)));
                let exact = all.iter().any(|o| o.names().any(|name| name == begin));
                let unique = fits.count() == 1;
                let line = [format!("--{begin}={}", value(option))];
                let found = parse(command, line).is_ok_and(|parsed| parsed.given.has(option.name));
                let found = found || option.only.is_some();
                assert!(
                    exact || found == unique || option.only.is_some(),
                    "{} --{begin}",
                    command.name
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn no_words_make_it_panic(which in 0..COMMANDS.len(), words in prop::collection::vec(
        prop_oneof![".*", "[-+]{0,3}[a-zä_]{0,6}=?.{0,3}", Just("--".to_owned())], 0..6)) {
        let _read = parse(COMMANDS[which], words);
    }
}
