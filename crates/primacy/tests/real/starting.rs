//! Servers are shut down and started through their agents.

use std::time::Duration;

use primacy_agent_api::{AgentClient, Credentials};
use primacy_host::{AgentHost, HostAccess, HostError};
use primacy_testkit::{Agents, cluster, eventually};
use primacy_types::ProcessState;

use crate::{LONG, PROGRAM, on_mariadb_first};

/// How the manager would reach the agent of a server.
pub(crate) fn manager_of(cluster: &primacy_testkit::Cluster, server: &str) -> AgentClient {
    let folder = cluster.config().parent().unwrap().join("certs");
    let paths = primacy_certs::Paths {
        certificate: folder.join("manager.crt"),
        key: folder.join("manager.key"),
        authority: folder.join("authority.crt"),
    };
    let credentials = Credentials::load(paths, &[primacy_certs::Role::Agent]).unwrap();
    AgentClient::new(cluster.agent(server), credentials.into())
}

async fn a_replica_is_shut_down_and_started_by_its_agent(server: &str) {
    let cluster = cluster(server).replicas(1).with_agents().up().await;
    let mut agents = Agents::start(PROGRAM, &cluster).await;
    let host = AgentHost::new(cluster.address("s2"), manager_of(&cluster, "s2").into());
    let runs = async || {
        let state = host.process(Duration::from_secs(2)).await;
        matches!(state, Ok(ProcessState::Running { .. }))
    };
    eventually(LONG, "the agent has found its server", runs).await;
    let stopped = host.stop(LONG).await.unwrap();
    assert!(matches!(stopped, ProcessState::Exited { clean: Some(true) | None }), "{stopped:?}");
    // An agent that never saw the server run knows it from its own record.
    agents.kill("s2").await;
    agents.start_one(PROGRAM, &cluster, "s2").await;
    assert!(matches!(host.start(LONG).await.unwrap(), ProcessState::Running { .. }));
    eventually(LONG, "it replicates again", async || cluster.replicates("s2", "s1").await).await;
    // One that is fenced is not started.
    host.kill_and_keep_down(LONG).await.unwrap();
    let refused = host.start(LONG).await.unwrap_err();
    assert!(matches!(refused, HostError::Agent { .. }), "{refused}");
    assert!(refused.to_string().contains("kept down"), "{refused}");
    host.release().await.unwrap();
    host.start(LONG).await.unwrap();
    eventually(LONG, "it replicates again", async || cluster.replicates("s2", "s1").await).await;
}

on_mariadb_first!(a_replica_is_shut_down_and_started_by_its_agent);
