//! `primacy check` on hosts: what may be done there, and what is wrong with agents.

use std::fs;

use primacy_api::CheckReport;
use primacy_plan::{Can, HostSeen};
use primacy_testkit::{Agents, Manager, cluster, eventually};
use primacy_types::HostAccessKind;

use crate::{LONG, PROGRAM, on_each_server};

pub(crate) fn host<'a>(report: &'a CheckReport, address: &primacy_types::Address) -> &'a HostSeen {
    let found = report.hosts.iter().find(|host| host.host.server == *address);
    &found.unwrap_or_else(|| panic!("{address} is not in {:?}", report.hosts)).host
}

fn codes(report: &CheckReport) -> Vec<&str> {
    report.findings.iter().map(|finding| &*finding.code).collect()
}

async fn the_manager_beside_the_servers_sees_and_kills(server: &str) {
    let cluster = cluster(server).up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let s1 = cluster.address("s1");
    eventually(LONG, "the process was found", async || {
        host(&manager.check().await, &s1).way == HostAccessKind::Local
    })
    .await;
    let report = manager.check().await;
    let seen = host(&report, &s1);
    assert_eq!((&seen.watch, &seen.kill, &seen.read_files), (&Can::Yes, &Can::Yes, &Can::Yes));
    assert_eq!(seen.lease, Can::Unasked);
    let promises = &report.hosts[0].promises;
    assert!(promises[0].contains("fences it, and what nobody received is read"), "{promises:?}");
    assert!(promises[1].starts_with("host lost: it is not replaced"), "{promises:?}");
}

async fn agents_are_asked_what_they_are_and_can(server: &str) {
    let cluster = cluster(server).with_agents().up().await;
    // One agent counts with another lease, and one does not know its server.
    let change = |server: &str, from: &str, to: &str| {
        let path = cluster.config().with_file_name(format!("agent-{server}.toml"));
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
    };
    change("s2", "[agent]\n", "[agent]\nlease = \"5s\"\n");
    let s3 = cluster.address("s3");
    change("s3", &format!("address = \"{s3}\""), "address = \"127.0.0.1:1\"");
    let mut agents = Agents::start(PROGRAM, &cluster).await;
    let manager = Manager::spawn(PROGRAM, &cluster, &[]);
    manager.listens().await;
    let s1 = cluster.address("s1");
    eventually(LONG, "the agent of the primary can do all it has to", async || {
        let report = manager.check().await;
        let seen = host(&report, &s1);
        seen.kill.is_yes() && seen.lease.is_yes()
    })
    .await;
    let report = manager.check().await;
    let seen = host(&report, &s1);
    assert_eq!((&seen.watch, &seen.read_files), (&Can::Yes, &Can::Yes), "{seen:?}");
    let agent = seen.agent.as_ref().unwrap();
    assert_eq!((&*agent.name, agent.guarded), ("s1", Some(true)));
    assert!(agent.clock_ahead.unwrap().abs() < 2_000, "{agent:?}");
    let found = codes(&report);
    for code in ["agent-lease-differs", "agent-unaware", "certificate-expiring"] {
        // The certificates of tests are good for two days.
        assert!(found.contains(&code), "{code} is not in {found:?}");
    }
    assert!(!found.contains(&"agent-version-differs") && !found.contains(&"clocks-differ"));
    agents.kill("s1").await;
    eventually(LONG, "the agent that is gone is found", async || {
        codes(&manager.check().await).contains(&"host-unreached")
    })
    .await;
    let report = manager.check().await;
    assert!(!host(&report, &s1).lease.is_yes());
}

on_each_server!(
    the_manager_beside_the_servers_sees_and_kills,
    agents_are_asked_what_they_are_and_can,
);
