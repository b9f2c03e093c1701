//! People's own programs and webhooks are called by real operations.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use primacy_api::{Answer, ErrorKind};
use primacy_hooks::{SIGNATURE_HEADER, verify};
use primacy_plan::OperationKind::Failover;
use primacy_sandbox::process::Identity;
use primacy_store::{Event, Outcome};
use primacy_testkit::{Cluster, Manager, cluster, eventually, until};
use secrecy::SecretString;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

use crate::{LONG, PROGRAM, on_mariadb, on_mariadb_first, on_mysql_first};

/// Writes down what it is told: arguments, variables, the document, and its turn. What stands under
/// its final name is complete.
const SCRIPT: &str = r#"
dir=$1; shift
echo "$@" > "$dir/$PRIMACY_EVENT.arguments"
env | grep '^PRIMACY_' > "$dir/$PRIMACY_EVENT.variables"
cat > "$dir/$PRIMACY_EVENT.part"
echo "$PRIMACY_OPERATION $PRIMACY_EVENT" >> "$dir/turns"
echo "noted $PRIMACY_EVENT"
mv "$dir/$PRIMACY_EVENT.part" "$dir/$PRIMACY_EVENT.json"
"#;

/// Adds sections to the configuration; `DIR` is a folder of the cluster, `NAME` its name.
fn add(cluster: &Cluster, sections: &str) {
    let mut text = fs::read_to_string(cluster.config()).unwrap();
    let dir = cluster.place().display().to_string();
    text.push_str(&sections.replace("DIR", &dir).replace("NAME", cluster.name()));
    fs::write(cluster.config(), text).unwrap();
}

/// A hook that notes every moment of these.
fn note(cluster: &Cluster, moments: &str) {
    fs::write(cluster.place().join("note.sh"), SCRIPT).unwrap();
    let hook = format!(
        r#"
[[cluster.NAME.hook]]
program = "/bin/sh"
arguments = ["DIR/note.sh", "DIR", "{{event}}", "{{old_primary}}>{{new_primary}}"]
at = [{moments}]
"#
    );
    add(cluster, &hook);
}

const OPERATION: &str = r#""before_failover", "after_failover", "before_fence", "after_fence", "before_switchover", "after_switchover""#;

fn text_of(cluster: &Cluster, file: &str) -> String {
    fs::read_to_string(cluster.place().join(file)).unwrap_or_default()
}

/// The document of a moment, once a hook has read it.
async fn told(cluster: &Cluster, event: &str) -> Value {
    let path = cluster.place().join(format!("{event}.json"));
    let what = format!("a hook is told of {event}");
    let document = until(LONG, &what, async || fs::read(&path).ok()).await;
    serde_json::from_slice(&document).unwrap()
}

/// The timeline of the newest operation, once it says this.
async fn timeline_says(manager: &Manager, what: &str) -> Vec<Event> {
    until(LONG, &format!("the history says {what:?}"), async || {
        let newest = manager.history().await.into_iter().next()?;
        let timeline = manager.operation(newest.id.as_str()).await.timeline;
        timeline.iter().any(|event| event.text.contains(what)).then_some(timeline)
    })
    .await
}

async fn a_failover_calls_hooks_before_and_after_it(server: &str) {
    let cluster = cluster(server).up().await;
    note(&cluster, OPERATION);
    add(
        &cluster,
        "[[cluster.NAME.hook]]\ncommand = \"echo \\\"$PRIMACY_REASON\\\" >> DIR/alarms\"\nat = [\"alarm\"]\n",
    );
    let manager = Manager::start(PROGRAM, &cluster).await;
    cluster.kill("s1").await;
    let primary = manager.has_done(Failover, LONG).await;
    let (old, new) = (cluster.address("s1").to_string(), primary.to_string());
    let after = told(&cluster, "after_failover").await;
    let before = told(&cluster, "before_failover").await;
    let operation = manager.history().await[0].id.to_string();
    for (document, event) in [(&before, "before_failover"), (&after, "after_failover")] {
        assert_eq!(document["event"], event);
        assert_eq!(document["cluster"], cluster.name());
        assert_eq!(document["operation"], *operation);
        assert_eq!(document["old_primary"], *old);
        assert_eq!(document["epoch"], 2);
        assert_eq!(document["dry_run"], false);
    }
    assert_eq!(
        (&after["new_primary"], &after["details"]["outcome"]),
        (&new.as_str().into(), &"done".into())
    );
    assert_eq!(
        text_of(&cluster, "after_failover.arguments"),
        format!("after_failover {old}>{new}\n")
    );
    let variables = text_of(&cluster, "after_failover.variables");
    for line in [
        format!("PRIMACY_NEW_PRIMARY={new}"),
        format!("PRIMACY_OLD_PRIMARY_PORT={}", cluster.address("s1").port()),
        format!("PRIMACY_OPERATION={operation}"),
        "PRIMACY_EPOCH=2".to_owned(),
    ] {
        assert!(variables.lines().any(|known| known == line), "{line} is not in\n{variables}");
    }
    let turns = ["before_failover", "before_fence", "after_fence", "after_failover"];
    let turns = turns.map(|event| format!("{operation} {event}\n")).concat();
    assert_eq!(text_of(&cluster, "turns"), turns);
    let timeline = timeline_says(&manager, "hook after_failover: /bin/sh exited with 0").await;
    assert!(timeline.iter().any(|event| event.text.contains("noted before_failover")));
    eventually(LONG, "a hook is told of the alarm", async || {
        text_of(&cluster, "alarms").contains(&old)
    })
    .await;
}

async fn a_hook_that_fails_before_a_switchover_refuses_it(server: &str) {
    let cluster = cluster(server).up().await;
    note(&cluster, OPERATION);
    add(
        &cluster,
        "[[cluster.NAME.hook]]\ncommand = \"echo not on a Friday >&2; exit 3\"\n\
         at = [\"before_switchover\"]\n",
    );
    let mut manager = Manager::start(PROGRAM, &cluster).await;
    let planned = manager.dry_switchover().await;
    assert!(matches!(planned, Ok(Answer::Plan { .. })), "{planned:?}");
    assert_eq!(text_of(&cluster, "turns"), "", "a dry run calls nobody");

    let refused = manager.try_switchover(None).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Refused);
    let [reason] = refused.reasons.as_slice() else { panic!("{refused:?}") };
    assert!(reason.why.contains("exited with 3"), "{reason:?}");
    assert!(reason.why.contains("not on a Friday"), "{reason:?}");
    assert_eq!(cluster.writable().await, ["s1"]);
    assert_eq!(manager.view().await.primary, Some(cluster.address("s1")));
    cluster.others_replicate(&["s1"], "s1").await;
    let newest = manager.history().await.swap_remove(0);
    assert_eq!(newest.outcome, Some(Outcome::BackedOut));
    assert!(newest.sentence.unwrap().contains("not on a Friday"));
    manager.terminate().await;
    let turns = text_of(&cluster, "turns");
    assert_eq!(turns, format!("{} before_switchover\n", newest.id), "who did not begin has no end");
}

async fn a_hook_that_hangs_is_ended_and_the_failover_happens(server: &str) {
    let cluster = cluster(server).up().await;
    add(
        &cluster,
        "[[cluster.NAME.hook]]\ncommand = \"sleep 600 & echo $! > DIR/sleeper; wait\"\n\
         at = [\"before_failover\"]\ntimeout = \"300ms\"\n",
    );
    let manager = Manager::start(PROGRAM, &cluster).await;
    cluster.kill("s1").await;
    manager.has_done(Failover, LONG).await;
    timeline_says(&manager, "did not end within its limit of 300 ms").await;
    timeline_says(&manager, "the failover goes on all the same").await;
    let sleeper: u32 = text_of(&cluster, "sleeper").trim().parse().unwrap();
    eventually(LONG, "what the hook has started is ended too", async || {
        Identity::of(sleeper).is_none_or(|process| !process.is_alive())
    })
    .await;
}

async fn a_hook_may_refuse_a_failover_if_that_is_configured(server: &str) {
    let cluster = cluster(server).up().await;
    add(
        &cluster,
        "[[cluster.NAME.hook]]\ncommand = \"echo the network is being mended; exit 1\"\n\
         at = [\"before_failover\"]\non_failure = \"refuse\"\n",
    );
    note(&cluster, "\"alarm\"");
    let manager = Manager::start(PROGRAM, &cluster).await;
    cluster.kill("s1").await;
    timeline_says(&manager, "the failover is refused, and nothing was changed").await;
    eventually(LONG, "the operation has ended", async || {
        manager.history().await[0].outcome == Some(Outcome::BackedOut)
    })
    .await;
    assert_eq!(cluster.writable().await, Vec::<String>::new());
    eventually(LONG, "people are told of the refusal", async || {
        text_of(&cluster, "alarm.json").contains("the network is being mended")
    })
    .await;
}

async fn a_webhook_gets_a_signed_document(server: &str) {
    let cluster = cluster(server).up().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    fs::write(cluster.config().with_file_name("webhook.secret"), "whsec-of-the-test\n").unwrap();
    add(
        &cluster,
        &format!(
            "[[cluster.NAME.webhook]]\nurl = \"http://127.0.0.1:{port}/told\"\n\
             secret_file = \"webhook.secret\"\nat = [\"after_switchover\"]\n"
        ),
    );
    let mut manager = Manager::start(PROGRAM, &cluster).await;
    let receives = tokio::spawn(async move { receive(&listener).await });
    let primary = manager.switchover(None).await;
    let (head, body) = timeout(LONG, receives).await.unwrap().unwrap();
    assert!(head.starts_with("POST /told HTTP/1.1\r\n"), "{head}");
    let signature = head
        .lines()
        .find_map(|line| {
            line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case(SIGNATURE_HEADER))
        })
        .map(|(_, value)| value)
        .unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (secret, day) = (SecretString::from("whsec-of-the-test"), Duration::from_secs(86_400));
    assert_eq!(verify(&secret, signature, &body, now, day), Ok(()));
    let document: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(document["event"], "after_switchover");
    assert_eq!(document["new_primary"], *primary.to_string());
    assert_eq!(document["operation"], *manager.history().await[0].id.to_string());
    manager.terminate().await;
    assert!(!manager.log().contains("whsec-of-the-test"));
}

/// Takes one request: its head and its body.
async fn receive(listener: &TcpListener) -> (String, Vec<u8>) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut read = Vec::new();
    loop {
        stream.read_buf(&mut read).await.unwrap();
        let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(read[..end].to_vec()).unwrap();
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
        });
        let body = &read[end + 4..];
        if body.len() >= length.unwrap() {
            let body = body.to_vec();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            return (head, body);
        }
    }
}

async fn hooks_that_run_at_the_end_are_waited_for(server: &str) {
    let cluster = cluster(server).up().await;
    add(
        &cluster,
        "[[cluster.NAME.hook]]\ncommand = \"sleep 2; echo > DIR/ended\"\nat = [\"after_switchover\"]\n",
    );
    let mut manager = Manager::start(PROGRAM, &cluster).await;
    manager.switchover(None).await;
    assert_eq!(text_of(&cluster, "ended"), "", "the switchover has waited for a hook after it");
    manager.terminate().await;
    assert_eq!(text_of(&cluster, "ended"), "\n");
}

async fn a_command_without_a_manager_calls_hooks_and_waits_for_them(server: &str) {
    let cluster = cluster(server).up().await;
    note(&cluster, OPERATION);
    let primacy = async |args: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(args).env("PRIMACY_CONFIG", cluster.config()).stdin(Stdio::null());
        let output = timeout(LONG, command.kill_on_drop(true).output()).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{args:?}: {said}");
        said
    };
    primacy(&["switchover", "--yes"]).await;
    let turns = text_of(&cluster, "turns");
    let events: Vec<_> = turns.lines().filter_map(|line| line.split_once(' ')).collect();
    let [(operation, "before_switchover"), (same, "after_switchover")] = events.as_slice() else {
        panic!("{turns}")
    };
    assert_eq!(operation, same);
    let history = primacy(&["history", operation]).await;
    assert!(history.contains("hook after_switchover: /bin/sh exited with 0"), "{history}");
}

async fn a_hook_that_is_not_there_is_found_by_a_check(server: &str) {
    let cluster = cluster(server).up().await;
    add(
        &cluster,
        "[[cluster.NAME.hook]]\nprogram = \"/no/such/hook\"\nat = [\"after_failover\"]\n",
    );
    let manager = Manager::start(PROGRAM, &cluster).await;
    let report = manager.check().await;
    let found = report.findings.iter().find(|finding| finding.code == "hook-unusable").unwrap();
    assert!(found.sentence.contains("/no/such/hook cannot be run"), "{found:?}");
}

/// The manager is killed after the fence: who was called before it is not called again for the same
/// operation.
#[cfg(debug_assertions)]
async fn a_resumed_operation_does_not_call_hooks_before_it_again(server: &str) {
    let cluster = cluster(server).up().await;
    note(&cluster, OPERATION);
    let place = [("PRIMACY_FAILPOINT", "after:record-epoch")];
    let mut manager = Manager::spawn(PROGRAM, &cluster, &place);
    manager.is_ready().await;
    cluster.kill("s1").await;
    manager.wait_exit(LONG).await;
    let manager = Manager::spawn(PROGRAM, &cluster, &[]);
    told(&cluster, "after_failover").await;
    let turns = text_of(&cluster, "turns");
    let mut once: Vec<&str> = turns.lines().collect();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), turns.lines().count(), "{turns}");
    let operations = manager.history().await;
    assert_eq!(operations.len(), 1, "it was resumed, not begun again: {operations:?}");
}

on_mariadb_first!(
    a_failover_calls_hooks_before_and_after_it,
    a_hook_that_hangs_is_ended_and_the_failover_happens,
    a_webhook_gets_a_signed_document,
);
on_mysql_first!(
    a_hook_that_fails_before_a_switchover_refuses_it,
    a_hook_may_refuse_a_failover_if_that_is_configured,
);
on_mariadb!(
    hooks_that_run_at_the_end_are_waited_for,
    a_command_without_a_manager_calls_hooks_and_waits_for_them,
    a_hook_that_is_not_there_is_found_by_a_check,
);
#[cfg(debug_assertions)]
on_mariadb!(a_resumed_operation_does_not_call_hooks_before_it_again);
