use std::time::Duration;

use primacy_hooks::Exit;

use super::*;

const PASSWORD: &str = "it's \"hush\" $HOME";

/// The line shows its arguments, one in a line, and ends with this code.
fn scripts(code: i32) -> Scripts {
    line(
        &format!("sh -c 'for a; do echo \"$a\"; done; exit {code}' script"),
        SshSettings::default(),
    )
}

fn line(line: &str, ssh: SshSettings) -> Scripts {
    let line = Some(line.to_owned());
    let lines = ScriptLines {
        failover: line.clone(),
        switchover: line.clone(),
        report: line.clone(),
        secondary_check: line,
        limit: Millis(5000),
    };
    let ssh = SshSettings { user: ssh.user.or("dba".parse().ok()), ..ssh };
    let context = ScriptContext {
        ssh,
        user: "pri macy".to_owned(),
        password: PASSWORD.to_owned().into(),
        config: "/etc/primacy.toml".into(),
    };
    Scripts::new(lines, context)
}

fn orig() -> Address {
    Address::new("127.0.0.1", 3307)
}

fn new() -> Address {
    Address::new("127.0.0.2", 3308)
}

fn said(called: Option<Result<Called, Outcome>>) -> Vec<String> {
    let (Ok(Called::Done(outcome) | Called::Warned(outcome)) | Err(outcome)) = called.unwrap();
    outcome.stdout.text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_failover_script_is_called_as_mha_calls_it() {
    let scripts = scripts(0);
    assert_eq!(
        said(scripts.status(&orig()).await),
        [
            "--command=status",
            "--ssh_user=dba",
            "--orig_master_host=127.0.0.1",
            "--orig_master_ip=127.0.0.1",
            "--orig_master_port=3307",
        ]
    );
    let at = |command: &str| {
        let mut words: Vec<String> = [
            "--orig_master_host=127.0.0.1",
            "--orig_master_ip=127.0.0.1",
            "--orig_master_port=3307",
        ]
        .map(str::to_owned)
        .into();
        words.push(command.to_owned());
        words
    };
    assert_eq!(said(scripts.take_from_the_dead(&orig(), false).await), at("--command=stop"));
    let mut with_ssh = at("--command=stopssh");
    with_ssh.push("--ssh_user=dba".to_owned());
    assert_eq!(said(scripts.take_from_the_dead(&orig(), true).await), with_ssh);
    assert_eq!(
        said(scripts.give_after_failover(&orig(), &new()).await),
        [
            "--command=start",
            "--ssh_user=dba",
            "--orig_master_host=127.0.0.1",
            "--orig_master_ip=127.0.0.1",
            "--orig_master_port=3307",
            "--new_master_host=127.0.0.2",
            "--new_master_ip=127.0.0.2",
            "--new_master_port=3308",
            "--new_master_user=pri macy",
            "--new_master_password=***",
        ]
    );
}

#[tokio::test]
async fn the_password_reaches_the_script_unchanged_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("got");
    let keep = format!("sh -c 'for a; do echo \"$a\"; done > {0}; cat {0}' script", path.display());
    let called = line(&keep, SshSettings::default()).give_after_failover(&orig(), &new()).await;
    let got = std::fs::read_to_string(&path).unwrap();
    assert!(got.contains(&format!("\n--new_master_password={PASSWORD}\n")), "{got}");
    let shown = format!("{called:?}");
    assert!(!shown.contains("hush"), "{shown}");
    // A shell that shows what it runs shows quoted words.
    let traced = line("set -x; true", SshSettings::default());
    let shown = format!("{:?}", traced.give_after_failover(&orig(), &new()).await);
    assert!(shown.contains("--command=start") && !shown.contains("hush"), "{shown}");
}

#[tokio::test]
async fn the_switchover_script_is_called_as_mha_calls_it() {
    let (orig, new) = (orig(), new());
    let sides = Sides { orig: &orig, new: &new, orig_is_new_slave: true };
    let words = said(scripts(0).switch("stop", sides).await);
    assert_eq!(
        words,
        [
            "--command=stop",
            "--orig_master_host=127.0.0.1",
            "--orig_master_ip=127.0.0.1",
            "--orig_master_port=3307",
            "--orig_master_user=pri macy",
            "--new_master_host=127.0.0.2",
            "--new_master_ip=127.0.0.2",
            "--new_master_port=3308",
            "--new_master_user=pri macy",
            "--orig_master_ssh_user=dba",
            "--new_master_ssh_user=dba",
            "--orig_master_is_new_slave",
            "--orig_master_password=***",
            "--new_master_password=***",
        ]
    );
    let stays = Sides { orig_is_new_slave: false, ..sides };
    let words = said(scripts(0).switch("start", stays).await);
    assert_eq!(words[0], "--command=start");
    assert!(!words.iter().any(|word| word.contains("is_new_slave")));
}

#[tokio::test]
async fn what_is_unusual_about_ssh_is_told() {
    let ssh = SshSettings {
        port: Some(2222),
        options: vec!["-oProxyJump=bastion".parse().unwrap(), "-i/key".parse().unwrap()],
        ..SshSettings::default()
    };
    let show = "sh -c 'for a; do echo \"$a\"; done' script";
    let unusual = line(show, ssh);
    let words = said(unusual.give_after_failover(&orig(), &new()).await);
    assert_eq!(
        words[words.len() - 3..],
        [
            "--orig_master_ssh_port=2222",
            "--new_master_ssh_port=2222",
            "--ssh_options=-oProxyJump=bastion -i/key",
        ]
    );
    let usual = line(show, SshSettings { port: Some(22), ..SshSettings::default() });
    let words = said(usual.status(&orig()).await);
    assert!(!words.iter().any(|word| word.contains("ssh_port") || word.contains("ssh_options")));
}

#[tokio::test]
async fn ten_is_a_warning_and_any_other_end_a_failure() {
    assert!(matches!(scripts(0).status(&orig()).await, Some(Ok(Called::Done(_)))));
    assert!(matches!(scripts(10).status(&orig()).await, Some(Ok(Called::Warned(_)))));
    assert_eq!(scripts(1).status(&orig()).await.unwrap().unwrap_err().exit, Exit::Exited(1));
    let mut hangs = line("sleep 60;", SshSettings::default());
    hangs.lines.limit = Millis(200);
    let failed = hangs.status(&orig()).await.unwrap().unwrap_err();
    assert_eq!(failed.exit, Exit::TimedOut { limit: Duration::from_millis(200) });
    hangs.lines.failover = None;
    assert!(hangs.status(&orig()).await.is_none());
}

#[tokio::test]
async fn the_secondary_check_decides_undecided_or_says_nothing() {
    let asked = async |line_: &str| {
        let mut scripts = line(line_, SshSettings::default());
        scripts.lines.limit = Millis(500);
        scripts.secondary_check(&orig(), PingType::Insert).await.unwrap()
    };
    assert_eq!(asked("exit 0 #").await, SecondaryAnswer::Unreachable);
    assert_eq!(asked("exit 3 #").await, SecondaryAnswer::Reachable);
    assert!(matches!(asked("exit 2 #").await, SecondaryAnswer::Undecided(_)));
    assert!(matches!(asked("exit 1 #").await, SecondaryAnswer::Undecided(_)));
    assert!(matches!(asked("sleep 60 #").await, SecondaryAnswer::Nothing(_)));
    assert!(matches!(asked("/no/such/check").await, SecondaryAnswer::Nothing(_)));
    let SecondaryAnswer::Undecided(said) = asked("sh -c 'echo \"$@\"; exit 2' check").await else {
        panic!("undecided");
    };
    assert!(said.contains("--user=dba --master_host=127.0.0.1 --master_ip=127.0.0.1"), "{said}");
    assert!(said.contains("--master_password=*** --ping_type=INSERT"), "{said}");
}

#[tokio::test]
async fn the_report_names_a_new_primary_only_if_there_is_one() {
    let mut told = Told {
        orig: orig(),
        new: Some((new(), vec![Address::new("c", 1), Address::new("d", 2)])),
        subject: "main: it's done".to_owned(),
        body: "first\nsecond".to_owned(),
    };
    let show = async |told: &Told| scripts(0).report(told).await.unwrap().stdout.text;
    assert_eq!(
        show(&told).await,
        "--orig_master_host=127.0.0.1\n--new_master_host=127.0.0.2\n--new_slave_hosts=c,d\n\
         --conf=/etc/primacy.toml\n--subject=main: it's done\n--body=first\nsecond\n"
    );
    told.new = None;
    assert!(!show(&told).await.contains("new_"));
}
