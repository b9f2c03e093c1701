//! Programs that do not end, or leave others behind.

use std::time::Duration;

use primacy_hooks::{Exit, Program};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::scripts::{AMPLE, Scripts, closed};

/// Long enough for a shell to begin, short enough to wait for.
const SHORT: Duration = Duration::from_secs(1);

/// The number that a program wrote.
fn pid(text: &str) -> Pid {
    Pid::from_raw(text.trim().parse().unwrap()).unwrap()
}

#[tokio::test]
async fn at_its_limit_a_program_is_told_to_end_and_may_clean_up() {
    let scripts = Scripts::new();
    let text = "trap 'echo cleaned; exit 0' TERM; while :; do sleep 0.05; done";
    let outcome = scripts.program(text, SHORT).grace(AMPLE).run().await;
    assert_eq!(outcome.exit, Exit::TimedOut { limit: SHORT });
    assert_eq!(outcome.stdout.text, "cleaned\n");
}

#[tokio::test]
async fn a_child_may_clean_up_too_when_its_parent_has_ended_already() {
    let scripts = Scripts::new();
    let text = "(trap 'sleep 0.2; echo cleaned >done; exit' TERM; while :; do sleep 0.05; done) \
                >/dev/null 2>&1 & wait";
    let program = scripts.program(text, SHORT).directory(scripts.path()).grace(AMPLE);
    assert_eq!(program.run().await.exit, Exit::TimedOut { limit: SHORT });
    assert_eq!(std::fs::read_to_string(scripts.path().join("done")).unwrap(), "cleaned\n");
}

#[tokio::test]
async fn a_grandchild_that_ignores_the_signal_is_killed() {
    let scripts = Scripts::new();
    let held = scripts.held();
    let text = "exec 9>\"$1\"\n(trap '' TERM; echo ready >&9; while :; do sleep 1; done) & wait";
    let released = held.released();
    let program = scripts.program(text, SHORT).arguments([held.path]);
    let outcome = program.grace(Duration::from_millis(200)).run().await;
    assert_eq!(outcome.exit, Exit::TimedOut { limit: SHORT });
    // The pipe ends when nobody has it any more.
    assert_eq!(released.await.unwrap(), "ready\n");
}

#[tokio::test]
async fn a_flood_without_end_is_ended_and_its_memory_is_bounded() {
    let scripts = Scripts::new();
    let outcome = scripts.program("exec yes", SHORT).run().await;
    assert_eq!(outcome.exit, Exit::TimedOut { limit: SHORT });
    assert!(outcome.stdout.left_out > 0);
    assert!(outcome.stdout.text.len() < 66 << 10);
}

#[tokio::test]
async fn what_a_program_leaves_in_the_background_is_left_alone_and_holds_nobody_up() {
    let scripts = Scripts::new();
    // Both keep the outputs open.
    for text in ["sleep 1000 & echo $!", "setsid sleep 1000 & echo $!"] {
        let outcome = scripts.program(text, AMPLE).run().await;
        assert_eq!(outcome.exit, Exit::Exited(0));
        let left = pid(&outcome.stdout.text);
        assert!(test_kill_process(left).is_ok(), "{text}");
        kill_process(left, Signal::KILL).unwrap();
    }
}

#[tokio::test]
async fn at_the_limit_outputs_that_a_runaway_keeps_open_hold_nobody_up() {
    let scripts = Scripts::new();
    let outcome = scripts.program("setsid sleep 1000 & echo $!; wait", SHORT).run().await;
    assert_eq!(outcome.exit, Exit::TimedOut { limit: SHORT });
    kill_process(pid(&outcome.stdout.text), Signal::KILL).unwrap();
}

#[tokio::test]
async fn what_is_still_in_a_pipeline_when_the_program_ends_is_read() {
    let scripts = Scripts::new();
    // The cat outlives the shell that wrote through it.
    let text = "mkfifo through\ncat <through &\nexec >through\necho told";
    let outcome = scripts.program(text, AMPLE).directory(scripts.path()).run().await;
    assert_eq!((outcome.exit, &*outcome.stdout.text), (Exit::Exited(0), "told\n"));
}

#[tokio::test]
async fn dropping_the_future_kills_the_program_and_its_children() {
    let scripts = Scripts::new();
    let held = scripts.held();
    let text = "exec 9>\"$1\"\ntrap '' TERM\nsleep 1000 & echo ready >&9; wait";
    let program = scripts.program(text, AMPLE).arguments([&held.path]);
    let open = tokio::select! {
        outcome = program.run() => panic!("it ended: {outcome}"),
        open = held.opened() => open,
    };
    closed(open).await;
}

#[tokio::test]
async fn many_at_once_do_not_mix_up_their_ends() {
    let runs = (0..20).map(|code| async move {
        let program = Program::new("/bin/sh", AMPLE).unwrap();
        let outcome = program.arguments(["-c", &format!("exit {code}")]).run().await;
        (outcome.exit, Exit::Exited(code))
    });
    for (seen, expected) in futures_util::future::join_all(runs).await {
        assert_eq!(seen, expected);
    }
}
