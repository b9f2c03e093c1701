//! Hooks and webhooks in the file: what they become, and what people read when they are wrong.

use insta::assert_snapshot;
use primacy_config::{ClusterConfig, HookRun, OnFailure, SecretSource, parse, show};
use primacy_types::{HookEvent, Millis};

/// A file that is right but for these lines.
fn file(lines: &str) -> String {
    format!(
        "[cluster.main]\nservers = [\"db1\", \"db2\"]\n{lines}\n\
         [defaults.accounts.manager]\nuser = \"primacy\"\npassword_env = \"P\"\n\
         [defaults.accounts.replication]\nuser = \"replication\"\npassword_env = \"R\"\n\
         [defaults.tls]\nmode = \"required\"\n"
    )
}

fn read(lines: &str) -> ClusterConfig {
    match parse(&file(lines), "primacy.toml") {
        Ok(config) => config.clusters["main"].clone(),
        Err(errors) => panic!("{errors}"),
    }
}

fn refused(lines: &str) -> String {
    match parse(&file(lines), "primacy.toml") {
        Ok(config) => panic!("this was taken: {config:?}"),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn hooks_keep_the_order_of_the_file_and_say_what_is_preset() {
    let cluster = read(
        r#"
[[cluster.main.hook]]
program = "/etc/primacy/move-address"
arguments = ["--to={new_primary}", "", "{{x}}"]
at = ["after_failover", "after_switchover"]
timeout = "1m"
[[cluster.main.hook]]
command = "logger \"$PRIMACY_EVENT\""
on_failure = "refuse"
"#,
    );
    let [first, second] = cluster.hooks.as_slice() else { panic!("{:?}", cluster.hooks) };
    let arguments = ["--to={new_primary}", "", "{{x}}"].map(str::to_owned).to_vec();
    assert_eq!(first.run, HookRun::Program { path: "/etc/primacy/move-address".into(), arguments });
    assert_eq!(first.at, [HookEvent::AfterFailover, HookEvent::AfterSwitchover]);
    assert_eq!((first.timeout, first.on_failure), (Millis(60_000), OnFailure::GoOn));
    assert_eq!(second.run, HookRun::Command("logger \"$PRIMACY_EVENT\"".to_owned()));
    assert!(second.at.is_empty(), "all moments");
    assert_eq!((second.timeout, second.on_failure), (Millis(10_000), OnFailure::Refuse));
}

#[test]
fn webhooks_name_their_secret_and_never_show_their_path() {
    let lines = r#"
[[cluster.main.webhook]]
url = "https://hooks.example.com/services/TOKEN"
secret_file = "webhook.secret"
at = ["alarm"]
ca_file = "ca.pem"
[[cluster.main.webhook]]
url = "http://127.0.0.1:9000/"
[[cluster.main.webhook]]
url = "http://relay.example.com/"
allow_plain = true
"#;
    let cluster = read(lines);
    let [signed, near, plain] = cluster.webhooks.as_slice() else { panic!("{cluster:?}") };
    assert_eq!(signed.secret, Some(SecretSource::File("webhook.secret".into())));
    assert_eq!(signed.at, [HookEvent::Alarm]);
    assert_eq!((&near.secret, near.allow_plain, plain.allow_plain), (&None, false, true));
    assert!(!format!("{cluster:?}").contains("TOKEN"));
    let config = parse(&file(lines), "f").unwrap_or_else(|errors| panic!("{errors}"));
    let resolved = config.clone().resolved("/etc/primacy".as_ref());
    let webhook = &resolved.clusters["main"].webhooks[0];
    assert_eq!(webhook.secret, Some(SecretSource::File("/etc/primacy/webhook.secret".into())));
    assert_eq!(webhook.ca_file, Some("/etc/primacy/ca.pem".into()));
    let again = parse(&show(&config), "f").unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(again, config);
}

#[test]
fn a_moment_that_never_comes_is_warned_of() {
    let lines = "[[cluster.main.hook]]\ncommand = \"true\"\nat = [\"before_rejoin\"]";
    let config = parse(&file(lines), "f").unwrap_or_else(|errors| panic!("{errors}"));
    let warnings = config.warnings();
    assert!(warnings[0].contains("nothing is called at before_rejoin yet"), "{warnings:?}");
}

#[test]
fn a_wrong_placeholder_is_shown_where_it_stands() {
    assert_snapshot!(refused(r#"
[[cluster.main.hook]]
program = "/etc/primacy/hook"
arguments = ["--old={old_primary}", "--ä={primary}", 'to {epoch', "\t{"]
"#), @r#"
    primacy.toml:6:42: character 5 of this argument: {primary} is no placeholder; there are {cluster} {old_primary} {new_primary} {event} {epoch} {operation}; write {{ for a plain brace
      |
    6 | arguments = ["--old={old_primary}", "--ä={primary}", 'to {epoch', "\t{"]
      |                                          ^
      = write each argument as a text: ["--to={new_primary}", "-v"]

    primacy.toml:6:58: character 4 of this argument: this brace is not closed; write {{ for a plain brace
      |
    6 | arguments = ["--old={old_primary}", "--ä={primary}", 'to {epoch', "\t{"]
      |                                                          ^
      = write each argument as a text: ["--to={new_primary}", "-v"]

    primacy.toml:6:67: character 2 of this argument: this brace is not closed; write {{ for a plain brace
      |
    6 | arguments = ["--old={old_primary}", "--ä={primary}", 'to {epoch', "\t{"]
      |                                                                   ^^^^^
      = write each argument as a text: ["--to={new_primary}", "-v"]

    3 problems in primacy.toml
    "#);
}

#[test]
fn a_hook_runs_one_thing() {
    assert_snapshot!(refused(r#"
[[cluster.main.hook]]
at = []
[[cluster.main.hook]]
program = "bin/hook"
[[cluster.main.hook]]
program = "/etc/primacy/hook"
command = "true"
[[cluster.main.hook]]
command = "true"
arguments = ["x"]
at = ["after_failovr", 3]
[[cluster.main.hook]]
command = "true"
at = ["alarm"]
on_failure = "go_on"
"#), @r#"
    primacy.toml:4:1: this hook runs nothing
      |
    4 | [[cluster.main.hook]]
      | ^^^^^^^^^^^^^^^^^^^^^
      = write program = "/path/of/a/program", or command = "a line for a shell"

    primacy.toml:5:6: at no moment this would ever be called
      |
    5 | at = []
      |      ^^
      = name a moment, or remove the key: then it is called at all of them

    primacy.toml:7:11: "bin/hook" is not an absolute path
      |
    7 | program = "bin/hook"
      |           ^^^^^^^^^^
      = write it from the root, such as "/etc/primacy/hook"; a line for a shell goes into `command`

    primacy.toml:10:1: what the hook runs is already said (line 9, column 1)
       |
    10 | command = "true"
       | ^^^^^^^
       = keep one of `program` and `command`

    primacy.toml:13:1: `arguments` belongs to `program`, and this hook has a `command`
       |
    13 | arguments = ["x"]
       | ^^^^^^^^^
       = write them into the line, or use `program`

    primacy.toml:14:7: "after_failovr" is no moment
       |
    14 | at = ["after_failovr", 3]
       |       ^^^^^^^^^^^^^^^
       = did you mean "after_failover"?

    primacy.toml:14:24: a moment is written as a text, not as the number 3
       |
    14 | at = ["after_failovr", 3]
       |                        ^
       = write "after_failover"

    primacy.toml:18:1: this says what a failure before a failover means, but `at` does not name before_failover
       |
    18 | on_failure = "go_on"
       | ^^^^^^^^^^
       = add "before_failover" to `at`, or remove the key

    primacy.toml:18:14: "go_on" is not one of `go-on` and `refuse`
       |
    18 | on_failure = "go_on"
       |              ^^^^^^^
       = did you mean "go-on"?

    9 problems in primacy.toml
    "#);
}

#[test]
fn a_webhook_is_encrypted_and_signed_with_one_secret() {
    assert_snapshot!(refused(r#"
[[cluster.main.webhook]]
at = ["alarm"]
[[cluster.main.webhook]]
url = "http://relay.example.com/TOKEN"
ca_file = "ca.pem"
[[cluster.main.webhook]]
url = "https://user:TOKEN@example.com/"
[[cluster.main.webhook]]
url = "https://example.com/"
secret_env = "S"
secret_file = "s"
"#), @r#"
    primacy.toml:4:1: this webhook has no `url`
      |
    4 | [[cluster.main.webhook]]
      | ^^^^^^^^^^^^^^^^^^^^^^^^
      = write url = "https://host/path"

    primacy.toml:7:7: this URL is not encrypted: everybody on the way could read what is told
      |
    7 | url = …
      |       ^
      = write https://, or allow_plain = true

    primacy.toml:8:1: `ca_file` is not used with a URL that is not https
      |
    8 | ca_file = "ca.pem"
      | ^^^^^^^
      = write https://, or remove the key

    primacy.toml:10:7: a user or password stands before the host of this URL; that is not supported: a token goes into the path or query, or check the signature
       |
    10 | url = …
       |       ^
       = write https://host/path

    primacy.toml:14:1: `secret_file`, but the secret already comes from `secret_env` (line 13, column 1)
       |
    14 | secret_file = …
       | ^^^^^^^^^^^
       = keep one of them

    5 problems in primacy.toml
    "#);
}

#[test]
fn who_writes_hooks_is_told_what_was_meant() {
    assert_snapshot!(refused("[cluster.main.hooks]\nafter_failover = \"x\""), @r#"
    primacy.toml:3:15: unknown section `hooks` under `cluster.main`
      |
    3 | [cluster.main.hooks]
      |               ^^^^^
      = did you mean `hook`?

    1 problem in primacy.toml
    "#);
    assert_snapshot!(refused("[cluster.main.hook]\ncommand = \"x\""), @r#"
    primacy.toml:3:15: `hook` is a list of sections, one for each hook
      |
    3 | [cluster.main.hook]
      |               ^^^^
      = write [[cluster.main.hook]] above each, with double brackets

    1 problem in primacy.toml
    "#);
}
