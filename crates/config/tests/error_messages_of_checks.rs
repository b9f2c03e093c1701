//! What people read when keys do not go together, word by word.

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
fn an_account_needs_a_user_and_one_source_of_its_password() {
    assert_snapshot!(refused(r#"
[defaults.accounts.manager]
user = "primacy"
password_env = "hunter 2"
[cluster.main]
servers = ["db1", "db2"]
[cluster.main.accounts.manager]
password_file = "a"
password_credential = "b"
[cluster.other]
servers = ["db3", "db4"]
[cluster.other.accounts.replication]
"#), @r#"
    primacy.toml:4:16: this is not the name of an environment variable
      |
    4 | password_env = …
      |                ^
      = write the variable's name (letters, digits, `_`), not the password

    primacy.toml:5:1: the cluster `main` has no account `replication`
      |
    5 | [cluster.main]
      | ^^^^^^^^^^^^^^
      = write [cluster.main.accounts.replication], or [defaults.accounts.replication] for all clusters, with user and password_file

    primacy.toml:9:1: `password_credential`, but the password already comes from `password_file` (line 8, column 1)
      |
    9 | password_credential = …
      | ^^^^^^^^^^^^^^^^^^^
      = keep one of them

    primacy.toml:12:1: the account `replication` of the cluster `other` has no `user`
       |
    12 | [cluster.other.accounts.replication]
       | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       = write user = "primacy" (or another name)

    primacy.toml:12:1: the account `replication` of the cluster `other` has no password
       |
    12 | [cluster.other.accounts.replication]
       | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       = write exactly one of password_file, password_env and password_credential

    5 problems in primacy.toml
    "#);
}

#[test]
fn a_server_stands_in_one_place() {
    assert_snapshot!(refused_with(r#"
[cluster.main]
servers = ["db1", "db2"]
[[cluster.main.server]]
address = "DB2:3306"
[[cluster.main.server]]
promotion = "last"
[cluster.other]
servers = ["db3", "db1:3306"]
"#), @r#"
    primacy.toml:5:11: server db2:3306 is listed twice; first at line 3, column 19
      |
    5 | address = "DB2:3306"
      |           ^^^^^^^^^^
      = keep the entry that says more, and remove the other

    primacy.toml:6:1: this server has no `address`
      |
    6 | [[cluster.main.server]]
      | ^^^^^^^^^^^^^^^^^^^^^^^
      = write address = "host:3306"

    primacy.toml:9:19: server db1:3306 already belongs to the cluster `main` (line 3, column 12)
      |
    9 | servers = ["db3", "db1:3306"]
      |                   ^^^^^^^^^^
      = a server belongs to one cluster: remove it from one

    3 problems in primacy.toml
    "#);
}

#[test]
fn a_cluster_needs_servers_of_which_one_may_be_primary() {
    assert_snapshot!(refused_with(r#"
[cluster.empty]
[cluster.idle]
server = [{ address = "db1", promotion = "never" }]
[cluster."no dots.please"]
servers = ["db5"]
"#), @r#"
    primacy.toml:2:1: the cluster `empty` has no servers
      |
    2 | [cluster.empty]
      | ^^^^^^^^^^^^^^^
      = write servers = ["db1:3306", "db2:3306"]

    primacy.toml:3:1: no server of the cluster `idle` may ever be primary
      |
    3 | [cluster.idle]
      | ^^^^^^^^^^^^^^
      = give at least two servers another `promotion` than "never"

    primacy.toml:5:10: `no dots.please` cannot name a cluster
      |
    5 | [cluster."no dots.please"]
      |          ^^^^^^^^^^^^^^^^
      = a cluster's name is made of 1 to 48 of the characters a-z, A-Z, 0-9, `_` and `-`

    3 problems in primacy.toml
    "#);
}

#[test]
fn semi_sync_asks_for_no_more_than_there_is() {
    assert_snapshot!(refused_with(r#"
[cluster.main]
servers = ["db1", "db2"]
policy.semi_sync_wait_count = 2
[cluster.other]
servers = ["db3", "db4"]
policy.semi_sync_without_acker = "refuse"
"#), @r#"
    primacy.toml:4:31: the cluster `main` has 1 replica and cannot wait for 2 acknowledgements
      |
    4 | policy.semi_sync_wait_count = 2
      |                               ^
      = write at most 1, or list more servers

    primacy.toml:7:8: this says what happens without semi-sync replicas, but the cluster is asynchronous
      |
    7 | policy.semi_sync_without_acker = "refuse"
      |        ^^^^^^^^^^^^^^^^^^^^^^^
      = write semi_sync_wait_count = 1 (or more) as well, or remove the key

    2 problems in primacy.toml
    "#);
}

#[test]
fn tls_keys_fit_the_mode() {
    assert_snapshot!(refused_with(r#"
[defaults.tls]
ca_file = "ca.pem"
[cluster.forgot]
servers = ["db1", "db2"]
[cluster.pinned]
servers = ["db3", "db4"]
[cluster.pinned.tls]
mode = "pinned"
fingerprint = "AB:CD"
[cluster.unpinned]
servers = ["db5", "db6"]
[cluster.unpinned.tls]
mode = "pinned"
"#), @r#"
    primacy.toml:3:1: `ca_file` is not used with TLS mode "off"
      |
    3 | ca_file = "ca.pem"
      | ^^^^^^^
      = write mode = "verify-ca" or "full", or remove the key

    primacy.toml:10:15: a SHA-256 fingerprint has 64 hexadecimal digits (colons between them are allowed)
       |
    10 | fingerprint = "AB:CD"
       |               ^^^^^^^
       = copy the whole fingerprint

    primacy.toml:14:8: TLS mode "pinned" of the cluster `unpinned` needs `fingerprint`
       |
    14 | mode = "pinned"
       |        ^^^^^^^^
       = write fingerprint = … in [cluster.unpinned.tls] or [defaults.tls]

    3 problems in primacy.toml
    "#);
    assert_snapshot!(refused_with(r#"
[cluster.main]
servers = ["db1", "db2"]
[cluster.main.tls]
mode = "verify-ca"
"#), @r#"
    primacy.toml:5:8: TLS mode "verify-ca" of the cluster `main` needs `ca_file`
      |
    5 | mode = "verify-ca"
      |        ^^^^^^^^^^^
      = write ca_file = … in [cluster.main.tls] or [defaults.tls]

    1 problem in primacy.toml
    "#);
}

#[test]
fn what_is_reserved_is_refused_with_an_explanation() {
    assert_snapshot!(refused_with(r#"
[proxy]
[cluster.main]
servers = ["db1", "db2"]
[cluster.ring]
kind = "galera"
servers = ["db3", "db4"]
"#), @r#"
    primacy.toml:2:2: the section `proxy` is reserved: this version of Primacy has no proxy yet
      |
    2 | [proxy]
      |  ^^^^^
      = remove the section

    primacy.toml:6:8: this version of Primacy does not manage Galera clusters yet
      |
    6 | kind = "galera"
      |        ^^^^^^^^
      = remove the cluster from this file until a version does

    2 problems in primacy.toml
    "#);
}
