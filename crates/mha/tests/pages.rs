//! The manual pages of all commands, as groff shows them to whoever asks `man`.
#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use primacy_mha::{COMMANDS, man_page};

const GROFF: &str = "/usr/bin/groff";

/// What is shown of a page, and what groff has against it.
fn shown(page: &str) -> (String, String) {
    let words = ["-man", "-ww", "-Tascii", "-P-c", "-P-b", "-P-u", "-rLL=100n"];
    let mut groff = Command::new(GROFF)
        .args(words)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = groff.stdin.take().unwrap();
    let page = page.to_owned();
    let written = std::thread::spawn(move || input.write_all(page.as_bytes()));
    let said = groff.wait_with_output().unwrap();
    written.join().unwrap().unwrap();
    assert!(said.status.success(), "{said:?}");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(said.stdout), text(said.stderr))
}

#[test]
fn every_page_is_shown_without_warnings_and_names_every_option() {
    if !Path::new(GROFF).exists() {
        println!("SKIPPED: {GROFF} is not installed (apt-get install groff-base)");
        let required = ["CI", "PRIMACY_REQUIRE_SERVERS"].map(std::env::var_os);
        assert!(required.iter().all(Option::is_none), "{GROFF} is required here");
        return;
    }
    // What this test would miss otherwise: that groff says something at all.
    assert!(!shown(".TH x 1\n.SH NAME\n\\fBx\\fR \\- \\[nothing]\n").1.is_empty());
    assert_eq!(COMMANDS.len(), 13);
    for command in COMMANDS {
        let (page, warnings) = shown(&man_page(command));
        assert_eq!(warnings, "", "{}", command.name);
        let words: Vec<&str> = page.split_whitespace().collect();
        let of_it = |option: &str, word: &str| {
            // `--name`, `--name=TEXT`, and `[also: --alias,`
            let word = word.trim_end_matches([',', ']', '.']);
            word.strip_prefix("--").is_some_and(|word| {
                word.strip_prefix(option)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
            })
        };
        for name in command.all_options().flat_map(|option| option.names()) {
            assert!(
                words.iter().any(|word| of_it(name, word)),
                "{} --{name}\n{page}",
                command.name
            );
        }
        for (code, meaning) in command.exits {
            let line =
                page.lines().find(|line| line.split_whitespace().next() == Some(&code.to_string()));
            assert!(line.is_some() || meaning.is_empty(), "{} {code}\n{page}", command.name);
        }
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "SEE ALSO"] {
            assert!(page.lines().any(|line| line == section), "{} {section}\n{page}", command.name);
        }
    }
}
