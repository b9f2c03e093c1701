//! The last rung of the fencing ladder: a program of the person's own that stops the server's
//! process or powers its host off, and what is believed of what it says.

use std::fs;

use primacy_plan::OperationKind::Failover;
use primacy_store::Outcome;
use primacy_testkit::{Agents, Cluster, Manager, Net, Writer, cluster, eventually};
use primacy_types::FenceRung;

use crate::{LONG, PROGRAM, on_each_server, on_mariadb_first, on_mysql_first};

/// The manager's host.
const MANAGER: usize = 3;

/// Does what the file `mode` says, and notes each call.
const SCRIPT: &str = r#"#!/bin/sh
dir=$1; shift
for word in "$@"; do
  case $word in
    --command=status) echo "$@" >> "$dir/asked"; exit 0 ;;
    --pid_file=*) pid_file=${word#*=} ;;
  esac
done
echo "$@" >> "$dir/calls"
case $(cat "$dir/mode") in
  kill) kill -9 "$(cat "$pid_file")"; echo "killed it"; exit 10 ;;
  unplug) ip -n "$(cat "$dir/namespace")" link set eth0 down; echo "it is off"; exit 0 ;;
  hang) sleep 600 ;;
  lie) exit 0 ;;
  lie-softly) exit 10 ;;
  *) echo "no such outlet" >&2; exit 3 ;;
esac
"#;

/// The cluster's last rung is the script.
fn has_script(cluster: &Cluster, mode: &str) {
    let place = cluster.place().display().to_string();
    fs::write(cluster.place().join("stop.sh"), SCRIPT).unwrap();
    set_mode(cluster, mode);
    let head = format!("[cluster.{}]\n", cluster.name());
    let keys = format!(
        "shutdown_script = [\"/bin/sh\", \"{place}/stop.sh\", \"{place}\"]\n\
         shutdown_timeout = \"2s\"\n"
    );
    cluster.change_config(&head, &format!("{head}{keys}"));
}

fn set_mode(cluster: &Cluster, mode: &str) {
    fs::write(cluster.place().join("mode"), mode).unwrap();
}

fn calls(cluster: &Cluster) -> Vec<String> {
    let text = fs::read_to_string(cluster.place().join("calls")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Three servers that the manager reaches by SQL alone.
async fn by_sql_alone(server: &str, mode: &str) -> Cluster {
    let mut builder = cluster(server).semi_sync(1).policy("unfenced = \"refuse\"");
    for server in ["s1", "s2", "s3"] {
        builder = builder.server(server, "host_access = \"none\"");
    }
    let cluster = builder.up().await;
    has_script(&cluster, mode);
    cluster
}

/// What the winner, and nobody else, accepts.
async fn only_is_writable(cluster: &Cluster, winner: &str) {
    eventually(LONG, "only the winner accepts writes", async || {
        cluster.writable().await == [winner]
    })
    .await;
}

async fn a_script_that_kills_the_process_fences_it(server: &str) {
    let cluster = by_sql_alone(server, "kill").await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let report = manager.check().await;
    assert!(report.hosts.iter().all(|host| host.host.script.is_yes()), "{:?}", report.hosts);
    let writer = Writer::start(&cluster).await;
    writer.goes_on(50).await;
    cluster.freeze("s1").await;
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    writer.goes_on_at(&cluster, &winner).await;
    assert!(!cluster.is_alive("s1"));
    let log = manager.log();
    assert!(log.contains("is fenced (shutdown_script): its process was stopped"), "{log}");
    assert!(log.contains("killed it"), "what it said is in the history: {log}");
    let [call] = calls(&cluster).try_into().unwrap();
    let port = cluster.address("s1").port();
    assert!(call.starts_with("--command=stop --host=127.0.0.1 --ip=127.0.0.1"), "{call}");
    assert!(call.contains(&format!(" --port={port} --pid_file=/")), "{call}");
    writer.finish(&cluster).await.nothing_is_lost();
    cluster.start("s1").await;
    only_is_writable(&cluster, &winner).await;
}

/// Nothing is promoted for as long as the script does not do its work, whatever it says.
async fn a_script_that_hangs_fails_or_lies_fences_nobody(server: &str) {
    let cluster = by_sql_alone(server, "hang").await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let writer = Writer::start(&cluster).await;
    writer.goes_on(50).await;
    cluster.freeze("s1").await;
    let says = async |what: &str| {
        eventually(LONG, &format!("the log says {what:?}"), async || manager.log().contains(what))
            .await;
    };
    says("did not end within its limit of 2 s").await;
    says("nothing is promoted while the old primary is not fenced").await;
    set_mode(&cluster, "fail");
    eventually(LONG, "it is called again", async || calls(&cluster).len() >= 2).await;
    set_mode(&cluster, "lie");
    // The queue of connections of the frozen server may be full by now.
    eventually(LONG, "the lie is found out", async || {
        let log = manager.log();
        log.contains("are still accepted") || log.contains("does not refuse connections")
    })
    .await;
    assert_eq!(cluster.writable().await, Vec::<String>::new(), "{}", manager.log());
    let history = manager.history().await;
    assert_eq!(history[0].outcome, None, "it goes on trying: {history:?}");
    // It lives: there is nothing to fail over.
    cluster.thaw("s1").await;
    eventually(LONG, "the failover is put back", async || {
        manager.history().await[0].outcome == Some(Outcome::BackedOut)
    })
    .await;
    only_is_writable(&cluster, "s1").await;
    writer.goes_on(50).await;
    writer.finish(&cluster).await.nothing_is_lost();
}

/// The host is powered off: nothing more is looked for there, and a restarted manager knows it.
async fn a_script_that_powers_the_host_off_ends_the_search_on_its_disk(server: &str) {
    let Some(net) = Net::new(4) else { return };
    let mut builder = cluster(server).on(&net).semi_sync(1).policy("unfenced = \"refuse\"");
    for server in ["s1", "s2", "s3"] {
        builder = builder.server(server, "host_access = \"none\"");
    }
    let cluster = builder.up().await;
    has_script(&cluster, "unplug");
    fs::write(cluster.place().join("namespace"), &net.host(0).namespace).unwrap();
    let manager = net.host(MANAGER).namespace.clone();
    let mut first = Manager::spawn_in(PROGRAM, &cluster, &manager);
    first.is_ready().await;
    let writer = Writer::start(&cluster).await;
    writer.goes_on(50).await;
    cluster.freeze("s1").await;
    let winner = cluster.name_of(&first.has_done(Failover, LONG).await).unwrap();
    let log = first.log();
    assert!(log.contains("is fenced (shutdown_script): its host was powered off"), "{log}");
    assert_eq!(calls(&cluster).len(), 1);
    writer.goes_on_at(&cluster, &winner).await;
    // It boots again, and is closed on sight.
    cluster.kill("s1").await;
    net.plug_in(0);
    cluster.start("s1").await;
    only_is_writable(&cluster, &winner).await;
    writer.finish(&cluster).await.nothing_is_lost();
}

/// The agent that could do it does not answer for now; leases are not in force, since one server
/// that may be promoted has no agent.
async fn without_agents(server: &str, mode: &str) -> (Cluster, Agents, Manager) {
    let cluster = cluster(server).with_agents().policy("unfenced = \"refuse\"").up().await;
    has_script(&cluster, mode);
    let s3 = format!("address = \"{}\"\nhost_access = ", cluster.address("s3"));
    cluster.change_config(&format!("{s3}\"agent\""), &format!("{s3}\"none\""));
    let agents = Agents::start(PROGRAM, &cluster).await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    eventually(LONG, "both rungs are there", async || {
        rungs(&manager).await == [FenceRung::Agent, FenceRung::Script]
    })
    .await;
    agents.freeze("s1").await;
    eventually(LONG, "the script is the last rung that is left", async || {
        rungs(&manager).await == [FenceRung::Script]
    })
    .await;
    (cluster, agents, manager)
}

async fn rungs(manager: &Manager) -> Vec<FenceRung> {
    let seen = manager.explain().await.snapshot;
    let primary = seen.primary.as_ref().and_then(|primary| seen.server(primary));
    primary.map(|primary| primary.fences.clone()).unwrap_or_default()
}

async fn after_exit_10_the_disk_is_read(server: &str) {
    let (cluster, agents, manager) = without_agents(server, "kill").await;
    cluster.freeze("s1").await;
    eventually(LONG, "the script was called", async || !calls(&cluster).is_empty()).await;
    agents.thaw("s1");
    manager.has_done(Failover, LONG).await;
    let log = manager.log();
    assert!(log.contains("its disk can be looked at"), "{log}");
    assert!(log.contains("its binary logs were read to their end"), "{log}");
}

async fn after_exit_0_the_disk_is_left_alone(server: &str) {
    let (cluster, agents, manager) = without_agents(server, "lie").await;
    // Powered off, as far as anybody can see; but then its agent could be asked again.
    cluster.kill("s1").await;
    eventually(LONG, "the script was called", async || !calls(&cluster).is_empty()).await;
    agents.thaw("s1");
    manager.has_done(Failover, LONG).await;
    let log = manager.log();
    assert!(log.contains("nothing is read from its disk"), "{log}");
    assert!(!log.contains("its binary logs were read to their end"), "{log}");
    let newest = manager.history().await[0].id.to_string();
    let timeline = manager.operation(&newest).await.timeline;
    assert!(
        timeline
            .iter()
            .any(|event| event.text.contains("shutdown_script has powered off its host")),
        "{timeline:#?}"
    );
}

#[cfg(debug_assertions)]
async fn a_restarted_manager_knows_that_the_host_was_powered_off(server: &str) {
    let cluster = by_sql_alone(server, "lie").await;
    let failpoint = [("PRIMACY_FAILPOINT", "before:seal-receivers")];
    let mut first = Manager::spawn(PROGRAM, &cluster, &failpoint);
    first.is_ready().await;
    cluster.kill("s1").await;
    first.wait_exit(LONG).await;
    let before = calls(&cluster).len();
    assert_eq!(before, 1, "{}", first.log());
    let second = Manager::spawn(PROGRAM, &cluster, &[]);
    eventually(LONG, "it runs", async || second.log().contains("the manager runs")).await;
    second.has_done(Failover, LONG).await;
    assert_eq!(calls(&cluster).len(), before, "it is not powered off twice");
    assert!(second.log().contains("shutdown_script has powered off its host"), "{}", second.log());
}

on_mariadb_first!(
    a_script_that_kills_the_process_fences_it,
    a_script_that_powers_the_host_off_ends_the_search_on_its_disk,
    after_exit_0_the_disk_is_left_alone,
);
on_mysql_first!(a_script_that_hangs_fails_or_lies_fences_nobody, after_exit_10_the_disk_is_read,);

#[cfg(debug_assertions)]
on_each_server!(a_restarted_manager_knows_that_the_host_was_powered_off);
