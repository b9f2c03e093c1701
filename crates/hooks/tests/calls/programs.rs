//! What programs get, say and end with.

use std::time::Duration;

use primacy_hooks::{Exit, INHERITED, NotStarted, Program, quoted};

use crate::scripts::{AMPLE, Scripts};

#[tokio::test]
async fn a_program_gets_its_arguments_and_input_as_they_are() {
    let scripts = Scripts::new();
    let outcome = scripts
        .program(r#"printf '<%s>' "$@"; cat; echo oh >&2"#, AMPLE)
        .arguments(["two words", "$HOME", "", "it's"])
        .stdin("in\nput")
        .run()
        .await;
    assert_eq!(outcome.exit, Exit::Exited(0));
    assert_eq!(outcome.stdout.text, "<two words><$HOME><><it's>in\nput");
    assert_eq!(outcome.stderr.text, "oh\n");
}

#[tokio::test]
async fn exit_codes_and_signals_come_back() {
    let scripts = Scripts::new();
    for (text, exit) in [
        ("exit 0", Exit::Exited(0)),
        ("exit 10", Exit::Exited(10)),
        ("kill -KILL $$", Exit::Signalled(9)),
        ("kill -PIPE $$", Exit::Signalled(13)),
    ] {
        assert_eq!(scripts.program(text, AMPLE).run().await.exit, exit, "{text}");
    }
}

#[tokio::test]
async fn the_environment_is_what_was_given_and_four_of_ours() {
    let given = [("PRIMACY_EVENT", "alarm"), ("HOME", "/elsewhere"), ("EMPTY", "")];
    let program = Program::new("/usr/bin/env", AMPLE).unwrap().environment(given);
    let outcome = program.run().await;
    let mut seen: Vec<&str> = outcome.stdout.text.lines().collect();
    let ours = INHERITED.into_iter().filter(|name| *name != "HOME");
    let ours = ours.filter_map(|name| Some(format!("{name}={}", std::env::var(name).ok()?)));
    let mut expected: Vec<String> = ours.collect();
    expected.extend(given.map(|(name, value)| format!("{name}={value}")));
    expected.sort_unstable();
    seen.sort_unstable();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn it_runs_in_the_directory_that_was_given() {
    let scripts = Scripts::new();
    let program = Program::new("/bin/pwd", AMPLE).unwrap().directory(scripts.path());
    let here = std::fs::canonicalize(scripts.path()).unwrap();
    assert_eq!(program.run().await.stdout.text.trim(), here.to_str().unwrap());
}

#[tokio::test]
async fn a_command_line_is_run_by_a_shell_and_a_quoted_value_is_one_word_of_it() {
    let scripts = Scripts::new();
    let path = scripts.script(r#"printf '<%s>' "$@"; exit 10"#);
    let value = quoted("pass' $(word) \\");
    let line = format!("MODE=x {} --command=stop --password={value} | cat; exit 3", path.display());
    let outcome = Program::shell(&line, AMPLE).run().await;
    assert_eq!(outcome.exit, Exit::Exited(3));
    assert_eq!(outcome.stdout.text, r"<--command=stop><--password=pass' $(word) \>");
    assert_eq!(outcome.program, path.to_str().unwrap());
    let missing = Program::shell("/no/such/hook --a", AMPLE).run().await;
    let said = missing.to_string();
    assert!(said.starts_with("/no/such/hook exited with 127 (so says a shell"), "{said}");
}

#[tokio::test]
async fn input_that_nobody_reads_holds_nobody_up() {
    let scripts = Scripts::new();
    let outcome = scripts.program("exit 4", AMPLE).stdin(vec![b'x'; 1 << 20]).run().await;
    assert_eq!(outcome.exit, Exit::Exited(4));
}

#[tokio::test]
async fn input_and_output_larger_than_a_pipe_pass_each_other() {
    let program = Program::new("/bin/cat", AMPLE).unwrap().capture(10).stdin(vec![b'x'; 1 << 20]);
    let outcome = program.run().await;
    assert_eq!(outcome.exit, Exit::Exited(0));
    assert_eq!(outcome.stdout.left_out, (1 << 20) - 10);
}

#[tokio::test]
async fn of_a_flood_both_ends_are_kept() {
    let scripts = Scripts::new();
    let text = "echo begin; head -c 20000000 /dev/zero; echo; echo end";
    let outcome = scripts.program(text, AMPLE).run().await;
    assert_eq!(outcome.exit, Exit::Exited(0));
    let told = outcome.stdout;
    assert!(told.text.starts_with("begin\n") && told.text.ends_with("\nend\n"));
    assert_eq!(told.left_out, 20_000_000 + 11 - (64 << 10));
    assert!(told.text.len() < 66 << 10);
}

#[tokio::test]
async fn what_does_not_start_says_why() {
    let scripts = Scripts::new();
    let why = async |program: Program| match program.run().await.exit {
        Exit::NotStarted(why) => why,
        other => panic!("it ran: {other}"),
    };
    let at = |path| Program::new(path, AMPLE).unwrap();
    assert_eq!(why(at(scripts.path().join("none"))).await, NotStarted::NotFound);
    assert_eq!(why(at(scripts.path().to_owned())).await, NotStarted::NoFile);
    let plain = scripts.file("#!/bin/sh\n", 0o644);
    assert_eq!(why(at(plain)).await, NotStarted::NotExecutable);
    let lost = NotStarted::NoInterpreter { interpreter: "/no/such/perl".to_owned() };
    let script = scripts.file("#! /no/such/perl -w\n", 0o755);
    assert_eq!(why(at(script)).await, lost);
    // Saved on Windows: the kernel looks for a file whose name ends in a carriage return.
    let script = scripts.file("#!/bin/sh\r\nexit 0\r\n", 0o755);
    let said = why(at(script)).await.to_string();
    assert!(said.contains(r#""/bin/sh\r""#), "{said}");
    let script = scripts.file("exit 0\n", 0o755);
    assert_eq!(why(at(script)).await, NotStarted::UnknownFormat);
    let script = at(scripts.script("exit 0")).directory("/no/such/directory");
    assert!(matches!(why(script).await, NotStarted::Directory { .. }));
    let said = why(at(scripts.script("exit 0")).arguments(["a\0b"])).await.to_string();
    assert!(said.starts_with("the operating system refused"), "{said}");
}

#[tokio::test]
async fn a_limit_of_nothing_and_one_of_ages_are_limits_too() {
    let scripts = Scripts::new();
    let long = scripts.program("exit 0", Duration::MAX).run().await;
    assert_eq!(long.exit, Exit::Exited(0));
    let none = scripts.program("sleep 1000", Duration::ZERO).run().await.exit;
    let limit = Duration::ZERO;
    let late = Exit::NotStarted(NotStarted::TooSlow { limit });
    assert!(none == Exit::TimedOut { limit } || none == late, "{none}");
}
