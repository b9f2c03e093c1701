//! Health addresses of agents and of the manager, on servers that are well, dead, frozen, behind and
//! fenced; and `check-vip`, which asks them.

use std::process::Stdio;
use std::time::{Duration, Instant};

use primacy_health::{Answer, HealthUrl, Question, Role, ask};
use primacy_plan::OperationKind::Failover;
use primacy_testkit::{Cluster, HEALTH, Manager, Net, cluster, eventually};

use crate::agents::{MANAGER, three_hosts, three_hosts_with};
use crate::{LONG, PROGRAM, on_mariadb_first, on_mysql_first};

/// The port of the manager's health address.
const OF_MANAGER: u16 = 7622;

/// An answer comes within this, whatever the server does: what is promised, and room for a busy
/// machine.
const AT_ONCE: Duration = Duration::from_millis(1500);

/// Asks an address on this host of the network.
async fn asked(net: &Net, host: usize, port: u16, target: &str) -> Answer {
    let url: HealthUrl = format!("http://127.0.0.1:{port}").parse().unwrap();
    let question = Question::parse(target).unwrap();
    let answer = net.inside(host, async move { ask(&url, &question, AT_ONCE).await }).await;
    answer.unwrap_or_else(|error| Answer::no(error.to_string()))
}

async fn agent(net: &Net, host: usize, target: &str) -> Answer {
    asked(net, host, HEALTH, target).await
}

async fn is(net: &Net, host: usize, target: &str, wanted: bool) -> Answer {
    let mut last = None;
    let what = format!("{target} of host {host} becomes {wanted}");
    eventually(LONG, &what, async || {
        let answer = agent(net, host, target).await;
        let ok = answer.ok;
        last = Some(answer);
        ok == wanted
    })
    .await;
    last.unwrap()
}

fn with_health_of_the_manager(_net: &Net, cluster: &Cluster) {
    cluster
        .change_config("[manager]\n", &format!("[manager]\nhealth = \"0.0.0.0:{OF_MANAGER}\"\n"));
}

async fn an_agent_tells_primary_and_replicas_apart_through_a_failover(server: &str) {
    let Some((net, cluster, agents, manager)) = three_hosts(server).await else { return };
    let primary = is(&net, 0, "/primary", true).await;
    assert_eq!((primary.role, primary.server), (Some(Role::Primary), Some(cluster.address("s1"))));
    assert!(primary.lease_ms.is_some(), "it holds a lease");
    assert!(agent(&net, 0, "/writable").await.ok);
    assert!(agent(&net, 0, &format!("/primary?server={}", cluster.address("s1"))).await.ok);
    assert!(!agent(&net, 0, "/replica").await.ok);
    assert!(!agent(&net, 0, "/primary?cluster=another").await.ok);
    let other = agent(&net, 0, "/primary?server=10.9.9.9:3306").await;
    assert!(other.reason.contains("not looked after here"), "{other:?}");
    for host in [1, 2] {
        assert!(
            !agent(&net, host, "/primary").await.ok && !agent(&net, host, "/writable").await.ok
        );
        let replica = is(&net, host, "/replica?max_lag=5s", true).await;
        assert_eq!(replica.role, Some(Role::Replica));
    }
    for target in ["/live", "/ready"] {
        assert!(agent(&net, 1, target).await.ok);
    }
    let galera = agent(&net, 0, "/galera").await;
    assert!(!galera.ok && galera.reason.contains("not a Galera node"), "{galera:?}");

    // Without the manager it stays the truth: the other agents lengthen the lease.
    cluster.kill("s1").await;
    eventually(LONG, "its agent says no", async || !agent(&net, 0, "/primary").await.ok).await;
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    let (new, other) = if winner == "s2" { (1, 2) } else { (2, 1) };
    is(&net, new, "/primary", true).await;
    is(&net, other, "/replica?max_lag=10s", true).await;
    assert!(!agent(&net, 0, "/primary").await.ok && !agent(&net, other, "/primary").await.ok);
    drop(agents);
}

/// 500 questions, twenty at a time; how many were answered with yes.
async fn ask_often() -> usize {
    let url: HealthUrl = format!("http://127.0.0.1:{HEALTH}").parse().unwrap();
    let mut yes = 0;
    for _ in 0..25 {
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let url = url.clone();
            let question = Question::parse("/replica").unwrap();
            asking.spawn(async move { ask(&url, &question, AT_ONCE).await });
        }
        let answers = asking.join_all().await;
        yes += answers.iter().filter(|answer| answer.as_ref().is_ok_and(|a| a.ok)).count();
    }
    yes
}

/// A server that hangs is no, and nobody waits for it; however many ask, it is asked seldom.
async fn a_frozen_server_is_no_at_once_and_many_questions_cost_it_little(server: &str) {
    let Some((net, cluster, _agents, _manager)) = three_hosts(server).await else { return };
    is(&net, 1, "/replica", true).await;
    let counted = async || {
        let questions = cluster.sql("s2", "SHOW GLOBAL STATUS LIKE 'Questions'").await;
        questions.first().and_then(|row| row.at(1)).unwrap().parse::<u64>().unwrap()
    };
    let (before, begun) = (counted().await, Instant::now());
    let all = net.inside(1, ask_often()).await;
    assert_eq!(all, 500, "every answer is yes");
    let (asked, took) = (counted().await - before, begun.elapsed());
    // The agent's looks, the manager's and the replication's own: 500 questions would be 2000.
    let looks = took.as_millis() / 100 + 1;
    let allowed = 8 * u64::try_from(looks).unwrap() + 100;
    assert!(asked < allowed.min(1900), "{asked} statements in {took:?} for 500 questions");

    cluster.freeze("s2").await;
    // The look of the last of these questions is shared for a moment.
    is(&net, 1, "/replica", false).await;
    for _ in 0..5 {
        let answer = agent(&net, 1, "/replica").await;
        assert!(!answer.ok && answer.reason.contains("no answer in time"), "{answer:?}");
        assert!(agent(&net, 1, "/live").await.ok);
    }
    cluster.thaw("s2").await;
    is(&net, 1, "/replica", true).await;
}

async fn a_replica_that_is_too_far_behind_or_stopped_is_none(server: &str) {
    let Some((net, cluster, _agents, _manager)) = three_hosts(server).await else { return };
    is(&net, 1, "/replica?max_lag=1h", true).await;
    cluster.stop_applier("s2").await;
    let stopped = is(&net, 1, "/replica?max_lag=1h", false).await;
    assert!(stopped.reason.contains("does not apply"), "{stopped:?}");
    cluster.start_applier("s2").await;
    is(&net, 1, "/replica?max_lag=1h", true).await;
    // A statement that takes long is what makes a lag: it began that long ago at the source.
    cluster.sql("s1", "CREATE DATABASE IF NOT EXISTS h").await;
    cluster.sql("s1", "CREATE TABLE h.t (a INT PRIMARY KEY)").await;
    cluster.catches_up("s2", "s1").await;
    let mut lock = cluster.root("s2").await;
    lock.execute("LOCK TABLES h.t READ", LONG).await.unwrap();
    cluster.sql("s1", "INSERT INTO h.t VALUES (1)").await;
    let behind = is(&net, 1, "/replica?max_lag=500ms", false).await;
    assert!(behind.reason.contains("s behind"), "{behind:?}");
    assert!(agent(&net, 1, "/replica?max_lag=1h").await.ok);
    lock.execute("UNLOCK TABLES", LONG).await.unwrap();
    is(&net, 1, "/replica?max_lag=500ms", true).await;
}

/// Cut off with its server, an agent says no before another server can be promoted; the manager
/// knows of the winner.
async fn a_primary_whose_lease_is_not_renewed_is_no(server: &str) {
    let prepared = three_hosts_with(server, with_health_of_the_manager);
    let Some((net, cluster, _agents, manager)) = prepared.await else { return };
    let of_manager = async |target: &str| asked(&net, MANAGER, OF_MANAGER, target).await;
    eventually(LONG, "the manager is ready", async || of_manager("/ready").await.ok).await;
    let s1 = cluster.address("s1");
    let about = format!("/primary?cluster={}&server={s1}", cluster.name());
    assert!(of_manager(&about).await.ok, "{:?}", of_manager(&about).await);
    assert!(of_manager("/replica?max_lag=10s").await.ok);
    assert!(of_manager("/live").await.ok);
    assert!(!of_manager(&format!("/replica?server={s1}")).await.ok);
    let unknown = of_manager("/primary?cluster=another").await;
    assert!(unknown.reason.contains("there is no cluster"), "{unknown:?}");
    is(&net, 0, "/primary", true).await;

    net.cut_off(0);
    let no = is(&net, 0, "/primary", false).await;
    assert!(no.reason.contains("lease") || no.reason.contains("read-only"), "{no:?}");
    let winner = manager.has_done(Failover, LONG).await;
    eventually(LONG, "the manager names the winner", async || {
        let said = of_manager("/primary").await;
        said.ok && said.server.as_ref() == Some(&winner)
    })
    .await;
    assert!(!of_manager(&about).await.ok);
    assert!(!agent(&net, 0, "/primary").await.ok);
}

/// Runs `check-vip` on this host; whether it said yes, and its line.
async fn check_vip(net: &Net, host: usize, arguments: &[&str]) -> (bool, String) {
    let begun = Instant::now();
    let out = tokio::process::Command::new("ip")
        .args(["netns", "exec", &net.host(host).namespace, PROGRAM, "check-vip"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    assert!(begun.elapsed() < LONG, "{arguments:?} hangs");
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}{}", String::from_utf8_lossy(&out.stderr));
    assert!(matches!(out.status.code(), Some(0 | 1)), "{:?}", out.status);
    assert_eq!(out.status.success(), text.starts_with("yes: "), "{text}");
    (out.status.success(), text)
}

async fn check_vip_says_yes_on_the_primarys_host_alone_and_no_in_doubt(server: &str) {
    let Some((net, cluster, mut agents, manager)) = three_hosts(server).await else { return };
    let url = format!("http://127.0.0.1:{HEALTH}");
    is(&net, 0, "/primary", true).await;
    let by_url = ["--url", url.as_str()];
    assert!(check_vip(&net, 0, &by_url).await.0);
    assert!(!check_vip(&net, 1, &by_url).await.0);
    // By the agent's own configuration, which is read for its health address.
    let file = cluster.config().with_file_name("agent-s1.toml").display().to_string();
    let (yes, line) = check_vip(&net, 0, &["--config", &file]).await;
    assert!(yes, "{line}");
    // Without an agent: the manager, over its socket, and the server itself.
    let (config, s1) = (cluster.config().display().to_string(), cluster.address("s1").to_string());
    let alone = ["--config", config.as_str(), "--server", s1.as_str(), "--deadline", "2s"];
    let (yes, line) = check_vip(&net, 0, &alone).await;
    assert!(yes, "{line}");
    let s2 = cluster.address("s2").to_string();
    let of_s2 = ["--config", config.as_str(), "--server", s2.as_str(), "--deadline", "2s"];
    assert!(check_vip(&net, 1, &of_s2).await.1.contains("not the primary"));
    // In doubt.
    let (no, line) = check_vip(&net, 0, &["--config", "/nowhere/primacy.toml"]).await;
    assert!(!no && line.contains("/nowhere"), "{line}");
    assert!(!check_vip(&net, 0, &["--url", "http://10.77.0.250:7621"]).await.0);
    cluster.freeze("s1").await;
    assert!(!check_vip(&net, 0, &by_url).await.0);
    agents.kill("s2").await;
    let (no, line) = check_vip(&net, 1, &by_url).await;
    assert!(!no && line.contains("not reached"), "{line}");
    drop(manager);
    assert!(!check_vip(&net, 0, &alone).await.0);
}

/// Without agents there is nobody but the manager to ask, and no lease.
async fn a_manager_without_agents_says_what_it_sees(server: &str) {
    let cluster = cluster(server).up().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let line = format!("[manager]\nhealth = \"127.0.0.1:{port}\"\n");
    cluster.change_config("[manager]\n", &line);
    let manager = Manager::start(PROGRAM, &cluster).await;
    let url: HealthUrl = format!("http://127.0.0.1:{port}").parse().unwrap();
    let asked = async |target: String| {
        let answer = ask(&url, &Question::parse(&target).unwrap(), AT_ONCE).await;
        answer.unwrap_or_else(|error| Answer::no(error.to_string()))
    };
    let about = |what: &str, server: &str| format!("/{what}?server={}", cluster.address(server));
    eventually(LONG, "it is ready", async || asked("/ready".to_owned()).await.ok).await;
    assert!(asked(about("primary", "s1")).await.ok);
    assert!(!asked(about("primary", "s2")).await.ok);
    assert!(asked(about("replica", "s2")).await.ok);
    cluster.kill("s1").await;
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    eventually(LONG, "it names the winner", async || asked(about("primary", &winner)).await.ok)
        .await;
    assert!(!asked(about("primary", "s1")).await.ok);
}

on_mariadb_first!(
    an_agent_tells_primary_and_replicas_apart_through_a_failover,
    a_replica_that_is_too_far_behind_or_stopped_is_none,
    check_vip_says_yes_on_the_primarys_host_alone_and_no_in_doubt,
);
on_mysql_first!(
    a_frozen_server_is_no_at_once_and_many_questions_cost_it_little,
    a_primary_whose_lease_is_not_renewed_is_no,
    a_manager_without_agents_says_what_it_sees,
);
