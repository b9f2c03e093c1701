//! What a right configuration becomes.

use std::path::{Path, PathBuf};

use primacy_config::{Config, Fingerprint, SecretSource, TlsConfig, parse, reference, show};
use primacy_types::{
    Address, BrokenReplicas, HostAccessKind, Millis, OnCleanShutdown, PingType, Policy, Promotion,
    RefuseOrProceed, Scripts, SemiSyncPolicy, ServerPolicy, SshOption, SshTarget, SshUser,
    WithoutAcker,
};

fn read(text: &str) -> Config {
    match parse(text, "primacy.toml") {
        Ok(config) => config,
        Err(errors) => panic!("{errors}"),
    }
}

/// A file with the accounts that every cluster needs.
fn with_accounts(lines: &str) -> String {
    format!(
        "{lines}\n[defaults.accounts.manager]\nuser = \"primacy\"\npassword_env = \"P\"\n\
         [defaults.accounts.replication]\nuser = \"replication\"\npassword_credential = \"r\"\n"
    )
}

fn address(text: &str) -> Address {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn what_is_not_written_is_what_the_types_say() {
    let config = read(&with_accounts("[cluster.main]\nservers = [\"db1\", \"db2\"]"));
    let cluster = &config.clusters["main"];
    assert_eq!(cluster.policy, Policy::for_servers(cluster.servers.clone()));
    assert_eq!(config.manager.state_dir, Path::new("/var/lib/primacy"));
    assert_eq!(config.manager.socket_path(), Path::new("/var/lib/primacy/primacy.sock"));
}

#[test]
fn servers_keep_the_order_of_the_file_in_both_forms() {
    let config = read(&with_accounts(
        r#"
[[cluster.main.server]]
address = "db3:3307"
promotion = "prefer"
site = "north"
delayed = true
host_access = "none"
[cluster.main]
servers = ["10.0.0.1:3306", "db2", "[::1]:3307"]
"#,
    ));
    let cluster = &config.clusters["main"];
    let order: Vec<String> = cluster.servers.iter().map(ToString::to_string).collect();
    assert_eq!(order, ["db3:3307", "10.0.0.1:3306", "db2:3306", "[::1]:3307"]);
    let preferred = ServerPolicy {
        ignore_failure: false,
        promotion: Promotion::Prefer,
        site: Some("north".to_owned()),
        delayed: true,
        host_access: HostAccessKind::None,
        agent: None,
        start: Vec::new(),
        ssh: SshTarget::default(),
    };
    assert_eq!(cluster.policy.server(&address("db3:3307")), preferred);
    assert_eq!(cluster.policy.server(&address("db2")), ServerPolicy::default());
}

#[test]
fn how_hosts_are_reached_over_ssh_is_said_once_a_cluster() {
    let config = read(&with_accounts(
        r#"
[cluster.main]
servers = ["db1"]
ssh_user = "primacy"
ssh_port = 2222
ssh_options = ["-oProxyJump=bastion", "-i /etc/primacy/key"]
[[cluster.main.server]]
address = "db2"
host_access = "ssh"
"#,
    ));
    let cluster = &config.clusters["main"];
    assert_eq!(cluster.policy.server(&address("db2")).host_access, HostAccessKind::Ssh);
    let ssh = &cluster.ssh;
    assert_eq!(ssh.user.as_ref().map(SshUser::as_str), Some("primacy"));
    assert_eq!((ssh.port, ssh.command.as_str()), (Some(2222), "ssh"));
    let options: Vec<&str> = ssh.options.iter().map(SshOption::as_str).collect();
    assert_eq!(options, ["-oProxyJump=bastion", "-i/etc/primacy/key"]);
}

#[test]
fn defaults_hold_until_a_cluster_says_otherwise() {
    let config = read(&with_accounts(
        r#"
[defaults.timing]
ping_interval = "200ms"
grace = "1m 30s"
[defaults.policy]
semi_sync_wait_count = 1
semi_sync_without_acker = "degrade"
on_possible_loss = "proceed"
on_clean_shutdown = "ignore"
[defaults.tls]
mode = "verify-ca"
ca_file = "ca.pem"
[cluster.a]
servers = ["a1", "a2"]
[cluster.b]
servers = ["b1", "b2"]
timing.grace = "1s"
policy = { semi_sync_wait_count = 0, on_possible_loss = "auto", on_clean_shutdown = "wait 5s" }
tls.mode = "off"
accounts.manager = { user = "other" }
accounts.replication.password_file = "r.password"
"#,
    ));
    let (a, b) = (&config.clusters["a"], &config.clusters["b"]);
    assert_eq!(a.policy.timing.grace, Millis(90_000));
    assert_eq!(b.policy.timing.grace, Millis(1000));
    assert_eq!(b.policy.timing.ping_interval, Millis(200));
    let one = SemiSyncPolicy { wait_count: 1, without_acker: WithoutAcker::Degrade };
    assert_eq!((a.policy.semi_sync, b.policy.semi_sync), (Some(one), None));
    assert_eq!(a.policy.on_possible_loss, Some(RefuseOrProceed::Proceed));
    assert_eq!(b.policy.on_possible_loss, None);
    assert_eq!(a.policy.on_clean_shutdown, OnCleanShutdown::Ignore);
    assert_eq!(b.policy.on_clean_shutdown, OnCleanShutdown::Wait(Millis(5000)));
    assert_eq!(a.tls, TlsConfig::VerifyCa { ca_file: "ca.pem".into() });
    assert_eq!(b.tls, TlsConfig::Off);
    assert_eq!(b.accounts.manager.user, "other");
    assert_eq!(b.accounts.manager.password, SecretSource::Env("P".to_owned()));
    assert_eq!(b.accounts.replication.user, "replication");
    assert_eq!(b.accounts.replication.password, SecretSource::File("r.password".into()));
}

#[test]
fn scripts_and_rules_reach_those_who_decide() {
    let config = read(
        r#"
[cluster.main]
servers = ["db2", "db1"]
failover_script = "/usr/local/bin/master_ip_failover --vip=10.0.0.100"
secondary_check_script = "masterha_secondary_check -s h1 -s h2"
script_timeout = "20s"
accounts.manager = { user = "m", password_env = "M" }
accounts.replication = { user = "r", password_env = "R" }
policy = { ping_type = "insert", prefer_latest = false, check_lag = false, check_filters = false, broken_replicas = "refuse", multi_tier = true, keep_replication_settings = true }
[cluster.main.timing]
ping_interval = "3s"
[[cluster.main.server]]
address = "db3"
ignore_failure = true
"#,
    );
    let cluster = &config.clusters["main"];
    let line = Some("/usr/local/bin/master_ip_failover --vip=10.0.0.100".to_owned());
    assert_eq!(cluster.scripts.failover, line);
    assert_eq!((&cluster.scripts.switchover, &cluster.scripts.report), (&None, &None));
    assert_eq!(cluster.scripts.timeout, Millis::from_secs(20));
    let policy = &cluster.policy;
    let timeout = Millis::from_secs(20);
    let known = Scripts { failover: true, switchover: false, secondary_check: true, timeout };
    assert_eq!(policy.scripts, known);
    let order: Vec<String> = policy.order.iter().map(ToString::to_string).collect();
    assert_eq!(order, ["db2:3306", "db1:3306", "db3:3306"]);
    assert!(policy.server(&"db3".parse().unwrap()).ignore_failure);
    assert!(!policy.server(&"db1".parse().unwrap()).ignore_failure);
    assert_eq!(policy.ping_type, PingType::Insert);
    // The patience that probes have, commits have too.
    assert_eq!(policy.write_limit(), Some(Millis::from_secs(12)));
    assert_eq!(policy.broken_replicas, BrokenReplicas::Refuse);
    assert!(!policy.prefer_latest && !policy.check_lag && !policy.check_filters);
    assert!(policy.multi_tier && policy.keep_replication_settings);
}

#[test]
fn a_fingerprint_is_read_with_and_without_colons() {
    let bytes = Fingerprint([0xAB; 32]);
    for text in [bytes.to_string(), "ab".repeat(32)] {
        let config = read(&with_accounts(&format!(
            "[cluster.main]\nservers = [\"db1\"]\ntls.mode = \"pinned\"\ntls.fingerprint = \"{text}\""
        )));
        assert_eq!(config.clusters["main"].tls, TlsConfig::Pinned { fingerprint: bytes });
    }
}

#[test]
fn relative_paths_are_taken_from_the_folder_of_the_file() {
    let config = read(&with_accounts(
        r#"
manager = { state_dir = "state" }
[cluster.main]
servers = ["db1", "db2"]
accounts.manager.password_file = "/run/secret"
accounts.replication.password_file = "r.password"
tls = { mode = "full", ca_file = "ca.pem" }
"#,
    ))
    .resolved(Path::new("/etc/primacy"));
    let cluster = &config.clusters["main"];
    assert_eq!(config.manager.socket_path(), Path::new("/etc/primacy/state/primacy.sock"));
    let file = |path: &str| SecretSource::File(PathBuf::from(path));
    assert_eq!(cluster.accounts.manager.password, file("/run/secret"));
    assert_eq!(cluster.accounts.replication.password, file("/etc/primacy/r.password"));
    assert_eq!(cluster.tls, TlsConfig::Full { ca_file: "/etc/primacy/ca.pem".into() });
}

#[test]
fn what_is_probably_not_meant_is_said_but_taken() {
    let config = read(&with_accounts(
        r#"
[cluster.alone]
servers = ["localhost"]
[cluster.pair]
server = [
    { address = "10.0.0.1", delayed = true, promotion = "prefer", site = "north" },
    { address = "10.0.0.2", promotion = "never" },
]
[cluster.pair.policy]
semi_sync_wait_count = 1
stay_in_site = true
unfenced = "proceed"
"#,
    ));
    insta::assert_snapshot!(config.warnings().join("\n"), @r#"
    cluster `alone`: only one server is listed, so nothing can take over from it
    cluster `pair`: only 10.0.0.1:3306 may be primary, so nothing can take over from it; give another server a `promotion` other than "never"
    cluster `pair`: 10.0.0.1:3306 is delayed and preferred as primary: a delayed replica is promoted only if nothing else is left
    cluster `pair`: `stay_in_site` is on, but no `site` is written for 10.0.0.2:3306
    cluster `pair`: unfenced = "proceed": a primary that is only cut off from the manager may go on accepting writes beside the new one
    cluster `pair`: semi_sync_wait_count = 1 needs every replica: when one is lost, commits wait; and after a failover they wait until the old primary is back
    cluster `pair`: TLS is off, so statements, and with them the replication password, cross the network unprotected to 10.0.0.1:3306, 10.0.0.2:3306
    "#);
    insta::assert_snapshot!(read("").warnings().join("\n"), @"no cluster is configured: write [cluster.NAME] with its servers");
}

#[test]
fn show_writes_every_key_and_marks_what_is_default() {
    let config = read(&with_accounts(
        "[cluster.main]\nservers = [\"db1\", \"db2\"]\n[cluster.main.timing]\ngrace = \"5s\"",
    ));
    insta::assert_snapshot!(show(&config), @r#"
    [manager]
    # name: the name of the host
    state_dir = "/var/lib/primacy"  # default
    # socket: `primacy.sock` in `state_dir`
    # certificate: no agents are asked
    # key: no agents are asked
    # authority: no agents are asked
    # health: there is none
    max_failovers_at_once = 1  # default

    [cluster.main]
    kind = "replication"  # default
    host_access = "auto"  # default
    # vip: none
    # reader_vip: none
    # ssh_user: as ssh's own configuration says
    # ssh_port: as ssh's own configuration says
    # ssh_options: none
    ssh_command = "ssh"  # default
    # shutdown_script: no server is powered off
    shutdown_timeout = "1m"  # default
    # failover_script: none
    # switchover_script: none
    # report_script: none
    # secondary_check_script: none
    script_timeout = "1m"  # default
    # purge_relay_logs_every: they are purged by `primacy purge-relay-logs` only

    [[cluster.main.server]]
    address = "db1:3306"
    promotion = "neutral"  # default
    ignore_failure = false  # default
    # site: none
    delayed = false  # default
    host_access = "auto"  # default
    # agent: port 7620 of the server's host
    # start: the systemd unit of the server
    # ssh_host: the server's own host
    # ssh_user: as the cluster says
    # ssh_port: as the cluster says

    [[cluster.main.server]]
    address = "db2:3306"
    promotion = "neutral"  # default
    ignore_failure = false  # default
    # site: none
    delayed = false  # default
    host_access = "auto"  # default
    # agent: port 7620 of the server's host
    # start: the systemd unit of the server
    # ssh_host: the server's own host
    # ssh_user: as the cluster says
    # ssh_port: as the cluster says

    [cluster.main.accounts.manager]
    user = "primacy"
    # password_file: another key names the source
    password_env = "P"
    # password_credential: another key names the source

    [cluster.main.accounts.replication]
    user = "replication"
    # password_file: another key names the source
    # password_env: another key names the source
    password_credential = "r"

    [cluster.main.tls]
    mode = "off"  # default
    # ca_file: none
    # fingerprint: none

    [cluster.main.timing]
    ping_interval = "500ms"  # default
    ping_failures = 4  # default
    connect_timeout = "1s"  # default
    stall_limit = "30s"  # default
    grace = "5s"
    switchover_limit = "10s"  # default
    statement_limit = "5s"  # default
    repoint_limit = "30s"  # default
    lease = "3s"  # default
    failover_block = "10m"  # default

    [cluster.main.policy]
    automatic_failover = true  # default
    unfenced = "refuse"  # default
    on_clean_shutdown = "wait 30s"  # default
    write_probe = "off"  # default
    ping_type = "select"  # default
    on_possible_loss = "auto"  # default
    allow_errant = false  # default
    prefer_latest = true  # default
    check_lag = true  # default
    check_filters = true  # default
    broken_replicas = "go-on"  # default
    multi_tier = false  # default
    keep_replication_settings = false  # default
    rejoin = "auto"  # default
    on_errant = "quarantine"  # default
    stay_in_site = false  # default
    epoch_table = true  # default
    heartbeat_period = "1s"  # default
    connect_retry = "1s"  # default
    channel = ""  # default
    semi_sync_wait_count = 0  # default
    # semi_sync_without_acker: not used
    reader_vip_on_primary = true  # default
    reader_vip_max_lag = "30s"  # default
    reader_vip_lease = "10s"  # default
    "#);
}

#[test]
fn the_example_of_the_reference_is_a_configuration() {
    let page = reference();
    let example = page.split("```").nth(1).unwrap().strip_prefix("toml\n").unwrap();
    assert_eq!(read(example).warnings(), Vec::<String>::new());
}
