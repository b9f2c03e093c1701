//! Which value holds where, in which order servers stand, and what a native configuration makes of it.

#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

use primacy_config::{Config, SecretSource};
use primacy_mha_config::{
    MhaConfig, Source, Sources, app_of, init_script, parse, reference, to_native,
};
use primacy_types::{BrokenReplicas, HostAccessKind, Millis, Promotion, RefuseOrProceed};
use secrecy::ExposeSecret;

fn of(global: Option<&str>, text: &str, script: Option<&str>) -> MhaConfig {
    let global = global.map(|text| Source { file: "global.cnf", text });
    let app = Source { file: "/etc/mha/app1.cnf", text };
    parse(&Sources { global, app, script }).unwrap_or_else(|errors| panic!("{errors}"))
}

fn native(text: &str) -> Config {
    to_native(&of(None, text, None)).unwrap_or_else(|errors| panic!("{errors}")).config
}

fn cluster(text: &str) -> primacy_config::ClusterConfig {
    native(text).clusters.into_values().next().unwrap()
}

const TWO: &str = "[server1]\nhostname=a\n[server2]\nhostname=b\n";

#[test]
fn a_later_text_counts_more() {
    let global = "[server default]\nuser=global\nport=1\nssh_user=global\nping_interval=1\n";
    let app = "[server default]\nport=2\nssh_user=app\nrepl_user=app\n\
               [server1]\nhostname=a\nrepl_user=own\n[server2]\nhostname=b\n";
    let mha = of(Some(global), app, Some("ssh_user=script\nrepl_user=script\n"));
    let texts = |server: usize| {
        ["user", "port", "ssh_user", "repl_user", "log_level"]
            .map(|key| mha.servers[server].text(key).unwrap())
    };
    assert_eq!(texts(0), ["global", "2", "script", "own", "info"]);
    assert_eq!(texts(1), ["global", "2", "script", "script", "info"]);
    assert_eq!(mha.defaults.number("ping_interval"), Some(1));
    assert_eq!(mha.servers[0].written("user").unwrap().to_string(), "global.cnf:2");
}

#[test]
fn keys_of_a_server_are_not_inherited_and_the_global_file_has_no_manager_workdir() {
    let mha = of(
        Some("[server default]\nmanager_workdir=/g\n"),
        &format!("[server default]\ncandidate_master=1\nhostname=x\n{TWO}"),
        None,
    );
    assert!(!mha.servers[0].flag("candidate_master"));
    assert_eq!(mha.defaults.text("manager_workdir").as_deref(), Some("/var/tmp"));
    let said: Vec<_> = mha.notices.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "/etc/mha/app1.cnf:2: `candidate_master` has no effect here: write it in [serverN]",
            "/etc/mha/app1.cnf:3: `hostname` has no effect here: write it in [serverN]",
            "global.cnf:2: `manager_workdir` has no effect in the global file: write it in the \
             application's",
        ]
    );
}

#[test]
fn what_the_script_prints_is_split_at_the_first_equals_sign() {
    let mha = of(None, TWO, Some("\npassword=a=b ;c\nno line\n user = x \n"));
    assert_eq!(mha.servers[0].secret("password").unwrap().expose_secret(), "a=b ;c");
    assert_eq!(mha.servers[0].text("user").as_deref(), Some("x"));
    let said: Vec<_> = mha.notices.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(!said.concat().contains("a=b"), "{said:?}");
}

#[test]
fn a_wrong_line_of_the_script_is_named() {
    let app = Source { file: "app1.cnf", text: TWO };
    let script = Some("user=a\npasword=hunter2\n");
    let errors = parse(&Sources { global: None, app, script }).unwrap_err().to_string();
    assert!(errors.starts_with("the output of init_conf_load_script:2:1: unknown key"), "{errors}");
    assert!(errors.contains("did you mean `password`?"), "{errors}");
    assert!(!errors.contains("hunter2"), "{errors}");
}

#[test]
fn the_script_of_the_application_comes_before_the_global_one() {
    let with = |line: &str| format!("[server default]\ninit_conf_load_script={line}\n{TWO}");
    let global = with("/global");
    let global = Some(Source { file: "g", text: &global });
    let line = |text: &str, global| init_script(Source { file: "a", text }, global).unwrap();
    assert_eq!(line(TWO, None), None);
    assert_eq!(line(TWO, global).as_deref(), Some("/global"));
    assert_eq!(line(&with("/app --x"), global).as_deref(), Some("/app --x"));
    assert_eq!(line(&with(""), None), None);
}

#[test]
fn the_application_is_the_name_of_the_file() {
    for (file, app) in [
        ("/etc/mha/app1.cnf", "app1"),
        ("app.1.cnf", "app.1"),
        ("app", "app"),
        (".cnf", ".cnf"),
        ("", ""),
    ] {
        assert_eq!(app_of(file), app, "{file:?}");
    }
}

#[test]
fn without_a_shutdown_script_an_unfenced_primary_is_replaced_and_that_is_said() {
    let made = to_native(&of(None, TWO, None)).unwrap();
    let policy = &made.config.clusters.values().next().unwrap().policy;
    assert_eq!(policy.unfenced, RefuseOrProceed::Proceed);
    assert_eq!(policy.broken_replicas, BrokenReplicas::Refuse);
    let said = made.config.warnings().join("\n");
    assert!(said.contains("no `shutdown_script` is written, so unfenced = \"proceed\""), "{said}");
    let with = format!("[server default]\nshutdown_script=/p\n{TWO}");
    assert_eq!(cluster(&with).policy.unfenced, RefuseOrProceed::Refuse);
}

#[test]
fn the_pace_is_mhas_only_where_it_is_written() {
    let timing = |text: &str| cluster(text).policy.timing;
    let fast = timing(TWO);
    assert_eq!((fast.ping_interval, fast.ping_failures), (Millis(500), 4));
    let slow = timing(&format!("[server default]\nping_interval=3\n{TWO}"));
    assert_eq!((slow.ping_interval, slow.ping_failures), (Millis(3000), 4));
}

#[test]
fn servers_are_reached_over_ssh_each_as_it_says() {
    let text = "[server default]\nssh_user=mysql\n[server1]\nhostname=a\nssh_port=23\n\
                [server2]\nhostname=b\nip=10.0.0.2\nssh_host=c\nssh_user=root\n";
    let cluster = cluster(text);
    let addresses: Vec<_> = cluster.servers.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["a:3306", "10.0.0.2:3306"]);
    let [a, b] = [0, 1].map(|i| cluster.policy.server(&cluster.servers[i]));
    assert_eq!(a.host_access, HostAccessKind::Ssh);
    let [a, b] = [a, b].map(|server| cluster.ssh.of(&server.ssh));
    assert_eq!((a.host, a.user.unwrap().to_string(), a.port), (None, "mysql".to_owned(), Some(23)));
    assert_eq!(
        (b.host.as_deref(), b.user.unwrap().to_string(), b.port),
        (Some("c"), "root".to_owned(), None)
    );
    let options: Vec<_> = cluster.ssh.options.iter().map(|o| o.as_str()).collect();
    assert_eq!(options, ["-oStrictHostKeyChecking=accept-new"]);
}

#[test]
fn wishes_become_promotions_and_no_master_is_stronger() {
    let text = "[server1]\nhostname=a\ncandidate_master=1\n[server2]\nhostname=b\nno_master=1\n\
                candidate_master=1\n[server3]\nhostname=c\nignore_fail=1\n";
    let cluster = cluster(text);
    let servers: Vec<_> = cluster.servers.iter().map(|a| cluster.policy.server(a)).collect();
    let wishes: Vec<_> = servers.iter().map(|server| server.promotion).collect();
    assert_eq!(wishes, [Promotion::Prefer, Promotion::Never, Promotion::Neutral]);
    assert!(servers[2].ignore_failure && !servers[0].ignore_failure);
}

#[test]
fn a_native_text_holds_no_password_and_names_its_files() {
    let text =
        format!("[server default]\npassword=hunter2\nrepl_user=r\nrepl_password=hunter3\n{TWO}");
    let made = to_native(&of(None, &text, None)).unwrap();
    assert!(!made.text.contains("hunter") && !format!("{made:?}").contains("hunter"));
    let files: Vec<_> = made
        .secrets
        .iter()
        .map(|file| (file.path.display().to_string(), file.secret.expose_secret().to_owned()))
        .collect();
    let wanted = [("app1.manager.password", "hunter2"), ("app1.replication.password", "hunter3")];
    assert_eq!(files, wanted.map(|(path, secret)| (path.to_owned(), secret.to_owned())));
    let accounts = &made.config.clusters.values().next().unwrap().accounts;
    let SecretSource::Given(given) = &accounts.manager.password else { panic!("{accounts:?}") };
    assert_eq!(given.secret().expose_secret(), "hunter2");
    assert!(!primacy_config::show(&made.config).contains("hunter"));
}

#[test]
fn without_a_replication_account_the_managers_is_used_and_that_is_said() {
    let made = to_native(&of(None, TWO, None)).unwrap();
    let accounts = &made.config.clusters.values().next().unwrap().accounts;
    assert_eq!(
        (accounts.manager.user.as_str(), accounts.replication.user.as_str()),
        ("root", "root")
    );
    assert_eq!(made.secrets.len(), 1);
    assert!(made.notices.iter().any(|notice| notice.text.contains("no `repl_user` is written")));
}

#[test]
fn state_of_several_applications_never_meets() {
    let dir = |workdir: &str| {
        let text = format!("[server default]\nmanager_workdir={workdir}\n{TWO}");
        native(&text).manager.state_dir.display().to_string()
    };
    assert_eq!(dir("/var/log/masterha/app1"), "/var/log/masterha/app1");
    assert_eq!(dir("/var/log/masterha/"), "/var/log/masterha/app1");
    assert_eq!(native(TWO).manager.state_dir.display().to_string(), "/var/lib/primacy/app1");
}

#[test]
fn the_native_text_says_the_same_as_the_configuration() {
    let made = to_native(&of(None, TWO, None)).unwrap();
    let mut read = primacy_config::parse(&made.text, "t").unwrap();
    read.notices.clone_from(&made.config.notices);
    for (name, cluster) in &mut read.clusters {
        cluster.accounts = made.config.clusters[name].accounts.clone();
    }
    assert_eq!(read, made.config);
}

#[test]
fn the_table_of_keys_has_a_row_for_each() {
    assert_eq!(reference().lines().count(), 44);
}
