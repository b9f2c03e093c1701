//! What holds for any text and any configuration.

use primacy_config::{parse, show};
use proptest::prelude::*;

/// Lines of which some are right, some wrong, and some only look alike.
fn line() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("cluster"),
        Just("cluster.main"),
        Just("cluster.main.policy"),
        Just("defaults.tls"),
        Just("cluster.main.server"),
        Just("manager"),
        Just("cluster.main.accounts.manager"),
        Just("unfenced"),
        Just("servers"),
        Just("address"),
        Just("mode"),
        Just("password"),
        Just("grace"),
        Just("\"\"")
    ];
    let value = prop_oneof![
        Just("\"db1\"".to_owned()),
        Just("[\"db1\", \"db2\"]".to_owned()),
        Just("{}".to_owned()),
        Just("[{}]".to_owned()),
        Just("1.5".to_owned()),
        Just("1979-05-27".to_owned()),
        Just("\"\"\"\n".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        "\\PC{0,12}",
    ];
    prop_oneof![
        name.clone().prop_map(|n| format!("[{n}]")),
        name.clone().prop_map(|n| format!("[[{n}]]")),
        (name, value).prop_map(|(n, v)| format!("{n} = {v}")),
    ]
}

/// A right configuration, sparse or full.
fn file() -> impl Strategy<Value = String> {
    let pick = |lines: Vec<&'static str>| {
        let most = lines.len();
        proptest::sample::subsequence(lines, 0..=most).prop_map(|lines| lines.join("\n"))
    };
    let manager = pick(vec![
        "name = \"it's \\\"me\\\" \\\\ é\"",
        "state_dir = 'C:\\odd'",
        "socket = \"s\"",
        "max_failovers_at_once = 0x1F",
    ]);
    let server = pick(vec!["promotion = \"last\"", "site = \"n\"", "delayed = true"]);
    let hook = prop_oneof![
        Just(String::new()),
        pick(vec!["at = [\"before_failover\"]\non_failure = \"refuse\"", "timeout = \"1m 1ms\""])
            .prop_map(|lines| format!("[[cluster.a-1.hook]]\ncommand = 'a\"b'\n{lines}")),
        prop::collection::vec("[^{}'\\pC]{0,12}", 0..3).prop_map(|texts| {
            let texts: Vec<String> =
                texts.iter().map(|text| format!("'{text}{{epoch}}'")).collect();
            let texts = texts.join(", ");
            format!("[[cluster.a-1.hook]]\nprogram = '/p\"'\narguments = [{texts}]")
        }),
        pick(vec![
            "at = [\"alarm\"]",
            "secret_env = \"S\"",
            "ca_file = \"c\"",
            "allow_plain = true"
        ])
        .prop_map(|lines| format!("[[cluster.a-1.webhook]]\nurl = \"https://h/t?a=b\"\n{lines}")),
    ];
    let timing = (50u64..60_000, 0u64..3_600_000)
        .prop_map(|(ping, grace)| format!("ping_interval = \"{ping}ms\"\ngrace = \"{grace}ms\""));
    let policy = pick(vec![
        "unfenced = \"proceed\"",
        "semi_sync_wait_count = 1",
        "on_clean_shutdown = \"wait 1m 1ms\"",
        "on_possible_loss = \"refuse\"",
        "channel = \"c\"",
        "connect_retry = \"1m 1s\"",
        "automatic_failover = false",
    ]);
    let tls = prop_oneof![
        Just(String::new()),
        Just("mode = \"required\"".to_owned()),
        Just("mode = \"full\"\nca_file = \"ca\"".to_owned()),
        any::<[u8; 32]>().prop_map(|bytes| {
            let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            format!("mode = \"pinned\"\nfingerprint = \"{hex}\"")
        }),
    ];
    let all = (manager, server, timing, policy, tls, hook);
    all.prop_map(|(manager, server, timing, policy, tls, hook)| {
        format!(
            "[manager]\n{manager}\n[cluster.a-1]\nservers = [\"db2\", \"::1\"]\n\
             [[cluster.a-1.server]]\naddress = \"db1\"\n{server}\n[defaults.timing]\n{timing}\n\
             [defaults.policy]\n{policy}\n[cluster.a-1.tls]\n{tls}\n\
             [cluster.a-1.accounts.manager]\nuser = 'a\"b'\npassword_file = \"f\"\n\
             [cluster.a-1.accounts.replication]\nuser = \"r\"\npassword_credential = \"c\"\n{hook}\n"
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_is_too_strange(text in any::<String>()) {
        if let Err(errors) = parse(&text, "f") {
            prop_assert!(errors.count() > 0 && !errors.to_string().is_empty());
        }
    }

    #[test]
    fn no_text_that_looks_like_a_configuration_is_too_strange(
        lines in prop::collection::vec(line(), 0..12)
    ) {
        if let Err(errors) = parse(&lines.join("\n"), "f") {
            prop_assert!(errors.iter().all(|e| e.line > 0 && e.column > 0 && !e.help.is_empty()));
        }
    }

    #[test]
    fn what_is_shown_is_read_as_the_same(text in file()) {
        let config = parse(&text, "f").map_err(|e| TestCaseError::fail(e.to_string()))?;
        let again = parse(&show(&config), "f").map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(again, config);
    }
}

#[test]
fn deep_and_huge_files_are_refused_in_bounded_time_and_space() {
    let n = 100_000;
    for text in [
        format!("a = {}", "[".repeat(n)),
        format!("a = {}", "{a=".repeat(n)),
        format!("[{}a]", "a.".repeat(n)),
        format!("{}a = 1", "a.".repeat(n)),
        format!("a = {{ {} }}", (0..n).map(|i| format!("k{i}=1,")).collect::<String>()),
        (0..n).map(|i| format!("k{i}=1\n")).collect(),
        "[[cluster.main.server]]\n".repeat(n / 3),
        "a = 1\n".repeat(n),
        "=\n".repeat(n),
        format!("a = \"{}", "x".repeat(n)),
    ] {
        let errors = parse(&text, "f").map(|_| ()).unwrap_err();
        assert!(errors.to_string().len() < 200_000);
    }
}
