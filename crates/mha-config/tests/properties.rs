//! What holds for any text.

use primacy_mha_config::edit::{add_block, remove_block};
use primacy_mha_config::{KEYS, Source, Sources, is_mha, parse, to_native};
use proptest::prelude::*;

fn line() -> impl Strategy<Value = String> {
    let key = prop::sample::select(KEYS.iter().map(|key| key.name).collect::<Vec<_>>());
    let value = prop_oneof![
        Just("1".to_owned()),
        Just("0".to_owned()),
        Just("db1".to_owned()),
        Just("'-o A=b -i \"c".to_owned()),
        Just("/bin/x --y=z ; comment".to_owned()),
        "\\PC{0,10}",
    ];
    prop_oneof![
        4 => (key, value).prop_map(|(key, value)| format!("{key}={value}")),
        1 => Just("[server default]".to_owned()),
        2 => (1u8..4).prop_map(|n| format!("[server{n}]\nhostname=h{n}")),
        1 => Just("[binlog1]\nhostname=b".to_owned()),
        1 => "\\PC{0,8}",
        1 => Just("# a comment".to_owned()),
        1 => Just(String::new()),
    ]
}

fn file() -> impl Strategy<Value = String> {
    (prop::collection::vec(line(), 0..20), prop::sample::select(vec!["\n", "\r\n", "\r"]))
        .prop_map(|(lines, ending)| lines.join(ending))
}

fn read(text: &str) -> Result<(), TestCaseError> {
    let app = Source { file: "a.cnf", text };
    let errors = match parse(&Sources { global: Some(app), app, script: Some(text) }) {
        Ok(mha) => match to_native(&mha) {
            Ok(made) => {
                prop_assert!(primacy_config::parse(&made.text, "t").is_ok());
                return Ok(());
            }
            Err(errors) => errors,
        },
        Err(errors) => errors,
    };
    for error in errors.iter() {
        prop_assert!(error.line > 0 && !error.reason.is_empty() && !error.help.is_empty());
    }
    Ok(())
}

/// The lines of a text, whatever they end with.
fn lines(text: &str) -> Vec<&str> {
    text.split(['\n', '\r']).filter(|line| !line.trim().is_empty()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_is_too_strange(text in any::<String>()) {
        read(&text)?;
        is_mha("x", &text);
    }

    #[test]
    fn no_text_that_looks_like_a_configuration_is_too_strange(text in file()) {
        read(&text)?;
    }

    #[test]
    fn a_block_that_is_added_leaves_every_byte_before_it(text in file(), port in 1u16..) {
        let parameters = [("port".to_owned(), port.to_string())];
        if let Ok(changed) = add_block(&text, "server_new", "h", &parameters) {
            prop_assert!(changed.starts_with(&text));
            let removed = remove_block(&changed, "server_new").unwrap().unwrap();
            prop_assert_eq!(lines(&removed), lines(&text));
        }
    }

    #[test]
    fn a_block_that_is_removed_takes_no_line_of_another(text in file(), block in 1u8..4) {
        if let Ok(Some(changed)) = remove_block(&text, &format!("server{block}")) {
            let mut kept = lines(&changed).into_iter().peekable();
            let mut gone = Vec::new();
            for line in lines(&text) {
                if kept.next_if_eq(&line).is_none() {
                    gone.push(line);
                }
            }
            prop_assert!(kept.next().is_none(), "lines are only left out");
            let header = format!("[server{block}]");
            prop_assert!(gone.contains(&header.as_str()));
            prop_assert!(gone.iter().all(|line| !line.starts_with("[server") || *line == header));
            prop_assert_eq!(remove_block(&changed, &format!("server{block}")), Ok(None));
        }
    }
}
