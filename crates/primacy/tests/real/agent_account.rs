//! An agent whose account has what `primacy grants --purpose agent` prints, and no more, does all
//! that it has to.

use std::fs;
use std::process::Command;

use primacy_testkit::{Agents, Cluster, Manager, cluster, eventually};

use crate::{LONG, PROGRAM, on_each_server};

const USER: &str = "agent_least";
const PASSWORD: &str = "Agent-least-1";

/// The statements that the program prints for this server.
#[expect(clippy::disallowed_methods, reason = "a test may wait for a program that answers at once")]
fn printed(cluster: &Cluster, server: &str) -> Vec<String> {
    let account = format!("{USER}@%");
    let words = ["grants", "--purpose", "agent", "--server", server, "--account", &account];
    let output = Command::new(PROGRAM).args(words).current_dir(cluster.place()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("GRANT "));
    lines.map(|line| line.trim_end_matches(';').to_owned()).collect()
}

async fn an_agent_with_the_least_privileges_closes_and_opens_its_server(server: &str) {
    let cluster = cluster(server).with_agents().up().await;
    cluster.sql("s1", &format!("CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'")).await;
    let statements = printed(&cluster, server);
    assert!(statements.len() > 2, "{statements:?}");
    for statement in &statements {
        cluster.sql("s1", statement).await;
    }
    for replica in ["s2", "s3"] {
        cluster.catches_up(replica, "s1").await;
    }
    let folder = cluster.config().parent().unwrap();
    fs::write(folder.join("passwords/agent"), PASSWORD).unwrap();
    for server in cluster.names() {
        let path = folder.join(format!("agent-{server}.toml"));
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().map(|line| match line.split_once(" = ") {
            Some(("user", _)) => format!("user = \"{USER}\""),
            Some(("password_file", _)) => "password_file = \"passwords/agent\"".to_owned(),
            _ => line.to_owned(),
        });
        fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
    }
    let mut agents = Agents::start(PROGRAM, &cluster).await;
    let mut manager = Manager::start(PROGRAM, &cluster).await;
    let s1 = cluster.address("s1");
    eventually(LONG, "the primary is under a lease", async || {
        let report = manager.check().await;
        let found = report.hosts.iter().find(|host| host.host.server == s1);
        let login = report.findings.iter().any(|finding| finding.code == "agent-login");
        !login && found.is_some_and(|host| host.host.lease.is_yes() && host.host.kill.is_yes())
    })
    .await;
    eventually(LONG, "its agent holds the lease", async || {
        let seen = manager.explain().await.snapshot;
        seen.server(&s1).is_some_and(|s| s.fences.contains(&primacy_types::FenceRung::Lease))
    })
    .await;

    // Nobody gives it more time: it closes the server and ends what applications have open.
    let mut app = cluster.app("s1").await;
    manager.kill9();
    agents.kill("s2").await;
    agents.kill("s3").await;
    eventually(LONG, "the server is closed", async || !cluster.is_writable("s1").await).await;
    // It says so when the sessions are ended too.
    eventually(LONG, "it says so", async || agents.log("s1").contains("closed to writes")).await;
    let log = agents.log("s1");
    assert!(!log.contains("killed: it could not"), "{log}");
    assert!(app.query("SELECT 1", LONG).await.is_err(), "the session of an application has ended");
    assert!(cluster.is_alive("s1"));

    // And opens it when the lease is back.
    agents.start_one(PROGRAM, &cluster, "s2").await;
    agents.start_one(PROGRAM, &cluster, "s3").await;
    let manager = Manager::spawn(PROGRAM, &cluster, &[]);
    eventually(LONG, "the server is open again", async || cluster.is_writable("s1").await).await;
    eventually(LONG, "the manager listens", async || manager.log().contains("the manager runs"))
        .await;
    // Whoever was first, the agent or the manager by way of it, opened the same primary again.
    let history = manager.history().await;
    assert!(history.iter().all(|operation| operation.kind == "reopen"), "{history:?}");
}

on_each_server!(an_agent_with_the_least_privileges_closes_and_opens_its_server);
