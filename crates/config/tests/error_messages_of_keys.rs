//! What people read when a key or its value is wrong, word by word.

use insta::assert_snapshot;
use primacy_config::parse;

/// What is said about a file that must not be taken.
fn refused(text: &str) -> String {
    match parse(text, "primacy.toml") {
        Ok(config) => panic!("this was taken: {config:?}"),
        Err(errors) => errors.to_string(),
    }
}

/// The same for a file that is right but for these lines.
fn refused_with(lines: &str) -> String {
    refused(&format!("{lines}\n{BASE}"))
}

const BASE: &str = r#"
[defaults.accounts.manager]
user = "primacy"
password_env = "P"
[defaults.accounts.replication]
user = "replication"
password_env = "R"
"#;

#[test]
fn every_problem_is_named_in_the_order_of_the_file() {
    assert_snapshot!(refused_with(r#"
[cluster.main]
servers = ["db1", "db2:99999"]
unfenced = "proceed"

[cluster.main.timing]
ping_intervall = "1s"
ping_interval = 500
grace = "2 seconds"

[cluster.main.policy]
unfenced = "procede"
automatic_failover = "yes"
"#), @r#"
    primacy.toml:3:19: "db2:99999" has no valid port (1 to 65535)
      |
    3 | servers = ["db1", "db2:99999"]
      |                   ^^^^^^^^^^^
      = write "host", "host:3306" or "[::1]:3306"

    primacy.toml:4:1: unknown key `unfenced` in `cluster.main`
      |
    4 | unfenced = …
      | ^^^^^^^^
      = `unfenced` belongs to [cluster.main.policy]

    primacy.toml:7:1: unknown key `ping_intervall` in `cluster.main.timing`
      |
    7 | ping_intervall = …
      | ^^^^^^^^^^^^^^
      = did you mean `ping_interval`?

    primacy.toml:8:17: `ping_interval` takes a duration from `50ms` to `1m`, not the number 500
      |
    8 | ping_interval = 500
      |                 ^^^
      = write ping_interval = "500ms"

    primacy.toml:9:9: "2 seconds" is not a duration
      |
    9 | grace = "2 seconds"
      |         ^^^^^^^^^^^
      = write whole numbers with units (d, h, m, s, ms), the larger first: "500ms", "3s", "1m 30s"

    primacy.toml:12:12: "procede" is not one of `refuse` and `proceed`
       |
    12 | unfenced = "procede"
       |            ^^^^^^^^^
       = did you mean "proceed"?

    primacy.toml:13:22: `automatic_failover` takes `true` or `false`, not the text "yes"
       |
    13 | automatic_failover = "yes"
       |                      ^^^^^
       = write automatic_failover = true

    7 problems in primacy.toml
    "#);
}

#[test]
fn an_unknown_name_leads_to_the_nearest_known_one() {
    assert_snapshot!(refused_with(r#"
color = "green"
[clusters.main]
[cluster.main]
servers = ["db1", "db2"]
primary = "db1"
ping_failure = 3
[cluster.main.polcy]
"#), @r"
    primacy.toml:2:1: unknown key `color` outside of all sections
      |
    2 | color = …
      | ^^^^^
      = known here: `manager`, `agent`, `cluster` and `defaults`

    primacy.toml:3:2: unknown section `clusters`
      |
    3 | [clusters.main]
      |  ^^^^^^^^
      = did you mean `cluster`?

    primacy.toml:6:1: unknown key `primary` in `cluster.main`
      |
    6 | primary = …
      | ^^^^^^^
      = known here: `kind`, `servers`, `host_access`, `vip`, `reader_vip`, `ssh_user`, `ssh_port`, `ssh_options`, `ssh_command`, `shutdown_script`, `shutdown_timeout`, `failover_script`, `switchover_script`, `report_script`, `secondary_check_script`, `script_timeout`, `purge_relay_logs_every`, `server`, `accounts`, `tls`, `timing`, `policy`, `binlog_copy`, `hook` and `webhook`

    primacy.toml:7:1: unknown key `ping_failure` in `cluster.main`
      |
    7 | ping_failure = …
      | ^^^^^^^^^^^^
      = did you mean `ping_failures`? It belongs to [cluster.main.timing]

    primacy.toml:8:15: unknown section `polcy` under `cluster.main`
      |
    8 | [cluster.main.polcy]
      |               ^^^^^
      = did you mean `policy`?

    5 problems in primacy.toml
    ");
}

#[test]
fn a_password_is_refused_and_not_repeated() {
    let said = refused(
        r#"
[cluster.main]
servers = ["db1", "db2"]
accounts.replication = { user = "r", pasword = "hunter2", password_env = "R" }
[cluster.main.accounts.manager]
user = "primacy"
password = "hunter2"
"#,
    );
    assert!(!said.contains("hunter2"));
    assert_snapshot!(said, @r#"
    primacy.toml:4:38: unknown key `pasword` in `cluster.main.accounts.replication`
      |
    4 | accounts.replication = { user = "r", pasword = …
      |                                      ^^^^^^^
      = known here: `user`, `password_file`, `password_env` and `password_credential`

    primacy.toml:7:1: a password must not stand in this file, which people copy, commit and attach to tickets
      |
    7 | password = …
      | ^^^^^^^^
      = put it into a file of its own and write password_file = "that file", or use password_env or password_credential

    2 problems in primacy.toml
    "#);
}

#[test]
fn values_out_of_range_are_refused_with_the_range() {
    assert_snapshot!(refused_with(r#"
[manager]
name = ""
max_failovers_at_once = 0
[cluster.main]
servers = ["db1", "db2"]
[cluster.main.timing]
ping_interval = "10ms"
ping_failures = -1
stall_limit = "forever"
[cluster.main.policy]
connect_retry = "1500ms"
on_clean_shutdown = "wait a bit"
semi_sync_wait_count = 99999999999999999999999
"#), @r#"
    primacy.toml:3:8: the text is empty
      |
    3 | name = ""
      |        ^^
      = write something, or remove the key

    primacy.toml:4:25: 0 is out of range
      |
    4 | max_failovers_at_once = 0
      |                         ^
      = write a number from 1 to 1000

    primacy.toml:8:17: "10ms" is out of range
      |
    8 | ping_interval = "10ms"
      |                 ^^^^^^
      = write a duration from "50ms" to "1m"

    primacy.toml:9:17: -1 is out of range
      |
    9 | ping_failures = -1
      |                 ^^
      = write a number from 1 to 100

    primacy.toml:10:15: "forever" is not a duration
       |
    10 | stall_limit = "forever"
       |               ^^^^^^^^^
       = write whole numbers with units (d, h, m, s, ms), the larger first: "500ms", "3s", "1m 30s"

    primacy.toml:12:17: "1500ms" is not a whole number of seconds
       |
    12 | connect_retry = "1500ms"
       |                 ^^^^^^^^
       = write "2s"

    primacy.toml:13:21: "a bit" is not a duration
       |
    13 | on_clean_shutdown = "wait a bit"
       |                     ^^^^^^^^^^^^
       = write whole numbers with units (d, h, m, s, ms), the larger first: "500ms", "3s", "1m 30s"

    primacy.toml:14:24: 99999999999999999999999 is out of range
       |
    14 | semi_sync_wait_count = 99999999999999999999999
       |                        ^^^^^^^^^^^^^^^^^^^^^^^
       = write a number from 0 to 65535

    8 problems in primacy.toml
    "#);
}

#[test]
fn a_section_of_the_wrong_form_is_explained() {
    assert_snapshot!(refused_with(r#"
manager = 5
[cluster.main]
servers = ["db1", ["db2"]]
timing = "fast"
[cluster.main.server]
address = "db3"
"#), @r#"
    primacy.toml:2:1: `manager` is a section, not a value
      |
    2 | manager = …
      | ^^^^^^^
      = write it as [manager]

    primacy.toml:4:19: a server is written as a text, not as a list
      |
    4 | servers = ["db1", ["db2"]]
      |                   ^^^^^^^
      = write "host:3306"; a server with settings of its own goes under [[cluster.NAME.server]]

    primacy.toml:5:1: `timing` is a section, not a value
      |
    5 | timing = …
      | ^^^^^^
      = write it as [cluster.main.timing]

    primacy.toml:6:15: `server` is a list of sections, one for each server
      |
    6 | [cluster.main.server]
      |               ^^^^^^
      = write [[cluster.main.server]] above each, with double brackets

    4 problems in primacy.toml
    "#);
}

#[test]
fn a_key_written_twice_does_not_hide_other_problems() {
    assert_snapshot!(refused_with(r#"
[cluster.main]
servers = ["db1", "db2"]
servers = ["db1"]
[cluster.main.timing]
grase = "1s"
"#), @r#"
    primacy.toml:4:1: `servers` is written twice
      |
    4 | servers = ["db1"]
      | ^^^^^^^
      = remove one of the two, or bring them together in one section

    primacy.toml:6:1: unknown key `grase` in `cluster.main.timing`
      |
    6 | grase = …
      | ^^^^^
      = did you mean `grace`?

    2 problems in primacy.toml
    "#);
}

#[test]
fn what_is_not_toml_is_said_with_its_place() {
    assert_snapshot!(refused(r#"
[cluster.main
servers = [db1, db2]
grace 2s
name = "unfinished
password = hunter2
"#), @"
    primacy.toml:2:14: this is not TOML: unclosed table, expected `]`
      |
    2 | [cluster.main
      |              ^
      = a section begins with [its name] on a line of its own

    primacy.toml:4:7: this is not TOML: key with no value, expected `=`
      |
    4 | grace 2s
      |       ^
      = a line is written key = value

    2 problems in primacy.toml
    ");
}

#[test]
fn a_list_that_is_not_closed_is_one_mistake() {
    let said = refused("[cluster.main]\nservers = [\"db1\"\n[cluster.main.policy]\nlag = \"5s\"\n");
    assert!(said.contains("primacy.toml:3:1: this is not TOML"), "{said}");
    assert!(said.contains("may lack its ]") && said.contains("1 problem in"), "{said}");
}

#[test]
fn texts_without_quotes_are_noticed() {
    for text in ["servers = [db1, db2]", "name = \"unfinished\n", "x = {", "password = hunter2"] {
        let said = refused(text);
        assert!(said.contains("primacy.toml:1:") && said.contains("this is not TOML"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    assert_snapshot!(refused("[cluster.main]\nservers = [db1, db2]\n"), @"
    primacy.toml:2:12: this is not TOML: string values must be quoted, expected literal string
      |
    2 | servers = [db1, db2]
      |            ^^^
      = put texts, addresses and durations into double quotes

    1 problem in primacy.toml
    ");
}

#[test]
fn a_file_that_cannot_be_a_configuration_is_not_read() {
    assert_snapshot!(refused(&"#".repeat(2 << 20)), @"
    primacy.toml:1:1: the file has 2097152 bytes
      |
    1 | ########################################################################################################################…
      | ^
      = a configuration has at most 1048576 bytes; is this another file?

    1 problem in primacy.toml
    ");
}

#[test]
fn a_copy_of_binary_logs_is_on_a_host_and_in_a_folder_from_the_root() {
    let said = refused_with(
        "[cluster.main]\nservers = [\"db1\", \"db2\"]\n[[cluster.main.binlog_copy]]\n\
         host = \"-oProxyCommand=x\"\nfolder = \"/copies\"\n[[cluster.main.binlog_copy]]\n\
         folder = \"copies\"",
    );
    let wanted = [
        "4:8: \"-oProxyCommand=x\" is no host for ssh",
        "= write the host alone",
        "this copy of binary logs has no `host`",
        "\"copies\" is not an absolute path",
        "such as \"/var/lib/binlogs\"",
    ];
    for wanted in wanted {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
}
