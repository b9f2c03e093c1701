//! Scripts of MHA's kind are called by real failovers and switchovers, with MHA's arguments, and what
//! they say counts.

use std::fs;

use primacy_api::{Answer, FailoverOrder};
use primacy_plan::OperationKind::Failover;
use primacy_store::Outcome;
use primacy_testkit::{Cluster, Manager, Net, Sshds, Writer, cluster, eventually};
use primacy_types::FenceRung;

use crate::{LONG, PROGRAM, on_mariadb_first, on_mysql_first};

/// The manager's host.
const MANAGER: usize = 3;

/// Notes each call and ends as the file `SCRIPT.COMMAND` says.
const SCRIPT: &str = r#"
dir=$1; script=$2; shift 2
command=call
for word in "$@"; do case $word in --command=*) command=${word#*=} ;; esac; done
echo "$script $*" >> "$dir/calls"
echo "$script was told $*"
mode=$(cat "$dir/$script.$command" 2>/dev/null)
case $mode in
  hang) sleep 600 ;;
  refuse*) case "$*" in *"--new_master_port=${mode#refuse } "*) exit 1 ;; *) exit 0 ;; esac ;;
esac
exit "${mode:-0}"
"#;

/// The cluster has these scripts.
fn has(cluster: &Cluster, scripts: &[&str]) {
    let place = cluster.place().display().to_string();
    fs::write(cluster.place().join("note.sh"), SCRIPT).unwrap();
    let head = format!("[cluster.{}]\n", cluster.name());
    let mut lines = head.clone();
    for script in scripts {
        lines.push_str(&format!("{script}_script = \"sh {place}/note.sh {place} {script}\"\n"));
    }
    lines.push_str("script_timeout = \"2s\"\n");
    cluster.change_config(&head, &lines);
}

/// From now on a script ends like this: an exit code, or `hang`.
fn ends(cluster: &Cluster, call: &str, how: &str) {
    fs::write(cluster.place().join(call), how).unwrap();
}

/// The calls of one script, but those that only ask for its status.
fn calls(cluster: &Cluster, script: &str) -> Vec<String> {
    let text = fs::read_to_string(cluster.place().join("calls")).unwrap_or_default();
    let of_it = format!("{script} ");
    let all = text.lines().filter_map(|line| line.strip_prefix(&of_it));
    all.filter(|call| !call.contains("--command=status")).map(str::to_owned).collect()
}

/// `--new_master_host=127.0.0.1 --new_master_ip=127.0.0.1 --new_master_port=3307`.
fn whom(cluster: &Cluster, role: &str, server: &str) -> String {
    let port = cluster.address(server).port();
    format!("--{role}_host=127.0.0.1 --{role}_ip=127.0.0.1 --{role}_port={port}")
}

async fn says(manager: &Manager, what: &str) {
    eventually(LONG, &format!("the log says {what:?}"), async || manager.log().contains(what))
        .await;
}

/// The password of the manager's account is with the script, and nowhere else.
async fn the_password_is_masked(cluster: &Cluster, manager: &Manager) {
    let text = fs::read_to_string(cluster.place().join("calls")).unwrap();
    let told = text.split("_password=").nth(1).unwrap();
    let password = told.split([' ', '\n']).next().unwrap();
    assert!(cluster.passwords().iter().any(|(_, known)| known == password), "{password}");
    assert!(manager.log().contains("_password=***"), "{}", manager.log());
    assert!(!manager.log().contains(password), "the log has the password");
    let newest = manager.history().await[0].id.to_string();
    let detail = serde_json::to_string(&manager.operation(&newest).await).unwrap();
    assert!(!detail.contains(password), "the history has the password");
}

async fn a_failover_moves_the_address_and_is_reported(server: &str) {
    let cluster = cluster(server).up().await;
    has(&cluster, &["failover", "report"]);
    ends(&cluster, "failover.stop", "10");
    let manager = Manager::start(PROGRAM, &cluster).await;
    let writer = Writer::start(&cluster).await;
    writer.goes_on(50).await;
    cluster.kill("s1").await;
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    writer.goes_on_at(&cluster, &winner).await;
    let [stop, start] = calls(&cluster, "failover").try_into().unwrap();
    assert_eq!(stop, format!("{} --command=stop", whom(&cluster, "orig_master", "s1")));
    assert!(start.starts_with("--command=start --ssh_user="), "{start}");
    assert!(start.contains(&whom(&cluster, "orig_master", "s1")), "{start}");
    assert!(start.contains(&whom(&cluster, "new_master", &winner)), "{start}");
    assert!(start.contains(&format!("--new_master_user={}", cluster.manager_user())), "{start}");
    says(&manager, "failover_script --command=stop for").await;
    the_password_is_masked(&cluster, &manager).await;
    eventually(LONG, "it is reported", async || !calls(&cluster, "report").is_empty()).await;
    let report = calls(&cluster, "report").remove(0);
    assert!(
        report.contains("--orig_master_host=127.0.0.1 --new_master_host=127.0.0.1"),
        "{report}"
    );
    assert!(report.contains(" --new_slave_hosts=127.0.0.1 --conf=/"), "{report}");
    assert!(report.contains(&format!("{}: failover of ", cluster.name())), "{report}");
    assert!(report.contains(" succeeded --body="), "{report}");
    writer.finish(&cluster).await.nothing_is_lost();
}

/// Whoever cannot take the address away does not let a failover begin; a person mends that.
async fn a_script_that_cannot_take_the_address_stops_a_failover(server: &str) {
    let cluster = cluster(server).up().await;
    has(&cluster, &["failover", "report"]);
    ends(&cluster, "failover.status", "1");
    ends(&cluster, "failover.stop", "hang");
    let manager = Manager::start(PROGRAM, &cluster).await;
    says(&manager, "failover_script could not take the address from").await;
    let found = manager.check().await.findings;
    assert!(found.iter().any(|finding| finding.code == "failover-script-fails"), "{found:#?}");
    cluster.kill("s1").await;
    says(&manager, "did not end within its limit of 2 s").await;
    eventually(LONG, "it is given up", async || {
        manager.history().await[0].outcome == Some(Outcome::BackedOut)
    })
    .await;
    assert_eq!(cluster.writable().await, Vec::<String>::new(), "{}", manager.log());
    eventually(LONG, "it is reported", async || !calls(&cluster, "report").is_empty()).await;
    let report = calls(&cluster, "report").remove(0);
    assert!(report.contains("did not succeed") && !report.contains("new_master"), "{report}");
    ends(&cluster, "failover.stop", "0");
    let done = manager.try_failover(FailoverOrder::default()).await;
    assert!(matches!(done, Ok(Answer::Done { .. })), "{done:?}");
}

/// The winner has all data and is closed, until the script succeeds.
async fn a_script_that_cannot_give_the_address_holds_a_failover(server: &str) {
    let cluster = cluster(server).up().await;
    has(&cluster, &["failover"]);
    ends(&cluster, "failover.start", "1");
    let manager = Manager::start(PROGRAM, &cluster).await;
    let writer = Writer::start(&cluster).await;
    writer.goes_on(50).await;
    cluster.kill("s1").await;
    says(&manager, "HELD: failover_script --command=start for").await;
    assert_eq!(cluster.writable().await, Vec::<String>::new(), "{}", manager.log());
    ends(&cluster, "failover.start", "0");
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    writer.goes_on_at(&cluster, &winner).await;
    writer.finish(&cluster).await.nothing_is_lost();
}

async fn a_person_may_go_on_without_the_script(server: &str) {
    let cluster = cluster(server).up().await;
    has(&cluster, &["failover"]);
    ends(&cluster, "failover.start", "1");
    let manager = Manager::start(PROGRAM, &cluster).await;
    cluster.kill("s1").await;
    says(&manager, "HELD: failover_script --command=start for").await;
    let order = FailoverOrder { force: true, ..FailoverOrder::default() };
    let amended = manager.try_failover(order).await;
    assert!(matches!(amended, Ok(Answer::Amended { .. })), "{amended:?}");
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    eventually(LONG, "it accepts writes", async || cluster.writable().await == [winner.clone()])
        .await;
    says(&manager, "a person goes on without the script").await;
}

/// The fence fails, and the primary thaws: it has its address again.
async fn a_primary_that_serves_again_gets_its_address_back(server: &str) {
    let mut builder = cluster(server).semi_sync(1).policy("unfenced = \"refuse\"");
    for server in ["s1", "s2", "s3"] {
        builder = builder.server(server, "host_access = \"none\"");
    }
    let cluster = builder.up().await;
    has(&cluster, &["failover"]);
    let head = format!("[cluster.{}]\n", cluster.name());
    cluster.change_config(&head, &format!("{head}shutdown_script = [\"/bin/false\"]\n"));
    let manager = Manager::start(PROGRAM, &cluster).await;
    let writer = Writer::start(&cluster).await;
    writer.goes_on(50).await;
    cluster.freeze("s1").await;
    says(&manager, "nothing is promoted while the old primary is not fenced").await;
    assert_eq!(calls(&cluster, "failover").len(), 1, "{:?}", calls(&cluster, "failover"));
    cluster.thaw("s1").await;
    eventually(LONG, "the failover is put back", async || {
        manager.history().await[0].outcome == Some(Outcome::BackedOut)
    })
    .await;
    let back = whom(&cluster, "new_master", "s1");
    eventually(LONG, "the address is given back", async || {
        calls(&cluster, "failover").last().is_some_and(|call| call.contains(&back))
    })
    .await;
    writer.goes_on(50).await;
    writer.finish(&cluster).await.nothing_is_lost();
}

/// The manager is ended when the address was taken and nothing else was done, and finds a primary
/// that serves.
#[cfg(debug_assertions)]
async fn a_restarted_manager_gives_the_address_back(server: &str) {
    let cluster = cluster(server).up().await;
    has(&cluster, &["failover"]);
    let failpoint = [("PRIMACY_FAILPOINT", "after:take-address")];
    let mut first = Manager::spawn(PROGRAM, &cluster, &failpoint);
    first.is_ready().await;
    cluster.kill("s1").await;
    first.wait_exit(LONG).await;
    assert_eq!(calls(&cluster, "failover").len(), 1);
    cluster.start("s1").await;
    let _second = Manager::spawn(PROGRAM, &cluster, &[]);
    let back = whom(&cluster, "new_master", "s1");
    eventually(LONG, "the address is given back", async || {
        calls(&cluster, "failover").iter().any(|call| call.contains(&back))
    })
    .await;
    eventually(LONG, "it serves", async || cluster.writable().await == ["s1"]).await;
}

async fn a_switchover_moves_the_address(server: &str) {
    let cluster = cluster(server).up().await;
    has(&cluster, &["failover", "switchover", "report"]);
    let manager = Manager::start(PROGRAM, &cluster).await;
    let writer = Writer::start(&cluster).await;
    writer.goes_on(50).await;
    manager.switchover(Some(cluster.address("s2"))).await;
    writer.goes_on_at(&cluster, "s2").await;
    let both = calls(&cluster, "switchover");
    let [stop, start] = both.as_slice() else { panic!("{both:#?}") };
    for (call, command) in [(stop, "stop"), (start, "start")] {
        assert!(call.starts_with(&format!("--command={command} --orig_master_host=")), "{call}");
        assert!(call.contains(&whom(&cluster, "orig_master", "s1")), "{call}");
        assert!(call.contains(&whom(&cluster, "new_master", "s2")), "{call}");
        assert!(call.contains(" --orig_master_is_new_slave --orig_master_password="), "{call}");
    }
    the_password_is_masked(&cluster, &manager).await;
    assert_eq!(cluster.epoch_row("s2").await, Some(2));
    assert_eq!(calls(&cluster, "failover"), Vec::<String>::new());
    cluster.others_replicate(&["s2"], "s2").await;
    writer.finish(&cluster).await.nothing_is_lost().everyone_has_everything();
}

/// Whatever the script cannot do, the old primary serves again, and nobody has anything of its own.
async fn a_switchover_is_put_back_after_a_script_that_fails(server: &str) {
    let cluster = cluster(server).up().await;
    has(&cluster, &["switchover"]);
    let manager = Manager::start(PROGRAM, &cluster).await;
    let writer = Writer::start(&cluster).await;
    writer.goes_on(50).await;
    let to = Some(cluster.address("s2"));
    let refuse = format!("refuse {}", cluster.address("s2").port());
    for (call, calls_before) in [("switchover.stop", 1), ("switchover.start", 2)] {
        fs::write(cluster.place().join("calls"), "").unwrap();
        ends(&cluster, call, &refuse);
        let refused = manager.try_switchover(to.clone()).await;
        assert!(refused.is_err(), "{refused:?}");
        ends(&cluster, call, "0");
        eventually(LONG, "s1 serves again", async || cluster.writable().await == ["s1"]).await;
        writer.goes_on_at(&cluster, "s1").await;
        let all = calls(&cluster, "switchover");
        assert_eq!(all.len(), 2 * calls_before, "each call is taken back: {all:#?}");
        let last = all.last().unwrap();
        assert!(last.starts_with("--command=start"), "{all:#?}");
        assert!(last.contains(&whom(&cluster, "new_master", "s1")), "{all:#?}");
        cluster.others_replicate(&["s1"], "s1").await;
    }
    let found = manager.check().await.findings;
    assert!(!found.iter().any(|finding| finding.code == "errant-transactions"), "{found:#?}");
    manager.switchover(to).await;
    writer.goes_on_at(&cluster, "s2").await;
    writer.finish(&cluster).await.nothing_is_lost().everyone_has_everything();
}

/// The manager can only knock at the servers, and what it cannot see itself others are asked.
async fn other_hosts_are_asked_before_a_primary_counts_as_dead(server: &str) {
    let mut builder = cluster(server).semi_sync(1).policy("unfenced = \"proceed\"");
    for server in ["s1", "s2", "s3"] {
        builder = builder.server(server, "host_access = \"none\"");
    }
    let cluster = builder.up().await;
    has(&cluster, &["secondary_check"]);
    ends(&cluster, "secondary_check.call", "3");
    let manager = Manager::start(PROGRAM, &cluster).await;
    cluster.kill("s1").await;
    eventually(LONG, "it is asked again", async || calls(&cluster, "secondary_check").len() >= 2)
        .await;
    let call = calls(&cluster, "secondary_check").remove(0);
    assert!(call.starts_with("--user="), "{call}");
    assert!(call.contains(&whom(&cluster, "master", "s1")), "{call}");
    assert!(call.ends_with(" --ping_type=SELECT"), "{call}");
    says(&manager, "others still hear from it").await;
    manager.has_done_nothing().await;
    ends(&cluster, "secondary_check.call", "2");
    says(&manager, "secondary_check_script does not confirm that it is dead: undecided").await;
    manager.has_done_nothing().await;
    ends(&cluster, "secondary_check.call", "0");
    manager.has_done(Failover, LONG).await;
    assert!(!manager.log().contains(&password(&cluster)), "the log has the password");
}

fn password(cluster: &Cluster) -> String {
    let text = fs::read_to_string(cluster.place().join("calls")).unwrap();
    let told = text.split("--master_password=").nth(1).unwrap();
    told.split(' ').next().unwrap().to_owned()
}

/// Its replicas lost it too, and a check that hangs is not waited for for ever.
async fn a_check_that_hangs_says_nothing(server: &str) {
    let mut builder = cluster(server).semi_sync(1).policy("unfenced = \"proceed\"");
    for server in ["s1", "s2", "s3"] {
        builder = builder.server(server, "host_access = \"none\"");
    }
    let cluster = builder.up().await;
    has(&cluster, &["secondary_check"]);
    ends(&cluster, "secondary_check.call", "hang");
    let manager = Manager::start(PROGRAM, &cluster).await;
    cluster.kill("s1").await;
    manager.has_done(Failover, LONG).await;
    assert!(manager.log().contains("did not end within its limit of 2 s"), "{}", manager.log());
}

/// The operating system saw its process end: others need not be asked.
async fn no_script_overrules_a_fact(server: &str) {
    let cluster = cluster(server).up().await;
    has(&cluster, &["secondary_check"]);
    ends(&cluster, "secondary_check.call", "3");
    let manager = Manager::start(PROGRAM, &cluster).await;
    cluster.kill("s1").await;
    manager.has_done(Failover, LONG).await;
}

/// The address of applications in the example.
const ADDRESS: &str = "198.51.100.77";

/// The example in the documents, on hosts of their own with a real sshd on each.
async fn the_example_moves_an_alias_over_ssh(server: &str) {
    let Some(net) = Net::new(4) else { return };
    let Some(sshds) = Sshds::start(&net, MANAGER) else { return };
    let mut builder = cluster(server).on(&net).semi_sync(1).policy("unfenced = \"refuse\"");
    for server in ["s1", "s2", "s3"] {
        builder = builder.server(server, "host_access = \"ssh\"");
    }
    let cluster = builder.up().await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/vip-alias.sh");
    let line = format!("{script} --vip={ADDRESS}/24 --interface=eth0");
    let head = format!("[cluster.{}]\n", cluster.name());
    let scripts = format!("failover_script = \"{line}\"\nswitchover_script = \"{line}\"\n");
    cluster.change_config(&head, &format!("{head}{scripts}{}", sshds.options()));
    net.add_address(0, ADDRESS);
    let mut manager = Manager::spawn_in(PROGRAM, &cluster, &net.host(MANAGER).namespace);
    manager.is_ready().await;
    eventually(LONG, "the primary can be fenced over ssh", async || {
        let seen = manager.explain().await.snapshot;
        let primary = seen.primary.as_ref().and_then(|primary| seen.server(primary));
        primary.is_some_and(|primary| primary.fences == [FenceRung::Ssh])
    })
    .await;
    let holders = || (0..MANAGER).filter(|i| net.has_address(*i, ADDRESS)).collect::<Vec<_>>();
    assert_eq!(holders(), [0]);
    let found = manager.check().await.findings;
    assert!(!found.iter().any(|f| f.code == "failover-script-fails"), "{found:#?}");
    manager.switchover(Some(cluster.address("s2"))).await;
    assert_eq!(holders(), [1], "{}", manager.log());
    cluster.kill("s2").await;
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    let at = if winner == "s1" { 0 } else { 2 };
    assert_eq!(holders(), [at], "{}", manager.log());
}

on_mariadb_first!(
    the_example_moves_an_alias_over_ssh,
    a_failover_moves_the_address_and_is_reported,
    a_script_that_cannot_give_the_address_holds_a_failover,
    a_switchover_is_put_back_after_a_script_that_fails,
    other_hosts_are_asked_before_a_primary_counts_as_dead,
    no_script_overrules_a_fact,
);
on_mysql_first!(
    a_script_that_cannot_take_the_address_stops_a_failover,
    a_person_may_go_on_without_the_script,
    a_primary_that_serves_again_gets_its_address_back,
    a_switchover_moves_the_address,
    a_check_that_hangs_says_nothing,
);

#[cfg(debug_assertions)]
on_mariadb_first!(a_restarted_manager_gives_the_address_back);
