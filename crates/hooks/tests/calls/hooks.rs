//! Hooks as they are configured: what they are told, and what their end means.

use primacy_hooks::{Hook, HookEvent, Verdict};
use primacy_types::{Address, Epoch, RefuseOrProceed};
use serde_json::Value;

use crate::notice;
use crate::scripts::{AMPLE, Scripts};

#[tokio::test]
async fn a_hook_is_told_by_arguments_variables_and_a_document() {
    let scripts = Scripts::new();
    let path = scripts.script(r#"echo "$#,$1,$2,$PRIMACY_CLUSTER,$PRIMACY_NEW_PRIMARY_HOST"; cat"#);
    let arguments = ["--to={new_primary}", "{cluster} {epoch}"];
    let hook = Hook::executable(path, &arguments, AMPLE).unwrap();
    let mut notice = notice(HookEvent::AfterFailover, "db1 died");
    notice.new_primary = Some(Address::new("db2", 3306));
    notice.epoch = Some(Epoch(7));
    let called = hook.call(&notice).await;
    assert_eq!((called.verdict, called.failure()), (Verdict::Proceed, None));
    let (line, document) = called.outcome.stdout.text.split_once('\n').unwrap();
    assert_eq!(line, "2,--to=db2:3306,shop 7,shop,db2");
    let document: Value = serde_json::from_str(document).unwrap();
    assert_eq!((&document["version"], &document["reason"]), (&1.into(), &"db1 died".into()));
}

#[tokio::test]
async fn a_failure_before_a_switchover_refuses_it_and_the_sentence_says_so() {
    let scripts = Scripts::new();
    let hook = Hook::executable(scripts.script("echo backup runs >&2; exit 3"), &[""; 0], AMPLE);
    let hook = hook.unwrap().at([HookEvent::BeforeSwitchover, HookEvent::BeforeFailover]);
    assert!(hook.is_for(HookEvent::BeforeFailover) && !hook.is_for(HookEvent::Alarm));
    let called = hook.call(&notice(HookEvent::BeforeSwitchover, "asked for")).await;
    assert_eq!(called.verdict, Verdict::Refuse);
    let said = called.failure().unwrap().to_string();
    assert!(said.starts_with("cluster shop, hook before_switchover: /"), "{said}");
    assert!(said.contains("exited with 3") && said.contains("it said: \"backup runs\""), "{said}");
    assert!(said.contains("the switchover is refused, and nothing was changed"), "{said}");

    let failover = notice(HookEvent::BeforeFailover, "db1 died");
    let called = hook.call(&failover).await;
    assert_eq!(called.verdict, Verdict::ProceedDespite);
    let said = called.failure().unwrap().to_string();
    assert!(said.ends_with("the failover goes on all the same"), "{said}");
    let strict = hook.before_failover(RefuseOrProceed::Refuse);
    assert_eq!(strict.call(&failover).await.verdict, Verdict::Refuse);
}

#[tokio::test]
async fn a_command_line_gets_variables_and_document_and_nothing_is_put_into_it() {
    let hook = Hook::shell(r#"echo "$PRIMACY_CLUSTER {cluster}"; head -c 13"#, AMPLE);
    let mut notice = notice(HookEvent::Alarm, "");
    notice.cluster = "$(id)".to_owned();
    let called = hook.call(&notice).await;
    assert_eq!(called.outcome.stdout.text, "$(id) {cluster}\n{\"version\":1,");
}

#[test]
fn a_mistake_is_told_when_the_hook_is_configured() {
    let said = |path, argument| Hook::executable(path, &[argument], AMPLE).unwrap_err().to_string();
    let placeholder = said("/etc/hook", "--to={primary}");
    assert!(placeholder.starts_with("/etc/hook: argument 1, character 6: {primary} is no place"));
    assert!(said("hook", "").starts_with("hook is not an absolute path"));
}
