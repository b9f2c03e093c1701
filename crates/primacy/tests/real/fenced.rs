//! What a manager fenced through an agent stays down until a manager lets it go, whatever becomes of
//! its lease and of the agent.

use std::time::Duration;

use primacy_agent_api::{AgentClient, GrantOrder, LeaseState, Standing, StandingOrder, paths};
use primacy_host::{AgentHost, HostAccess, HostError};
use primacy_plan::lease::{Ask, Grant, Hold, Voters};
use primacy_testkit::{Agents, Cluster, Manager, cluster, eventually};
use primacy_types::{Epoch, ProcessState};

use crate::agents::in_force;
use crate::starting::manager_of;
use crate::{LONG, PROGRAM, on_each_server, on_mariadb, on_mariadb_first};

const TERM: u64 = 1;

/// Says to the agent of `s1` that its server is the primary, and renews its lease.
async fn renewed(cluster: &Cluster, client: &AgentClient) -> LeaseState {
    let server = cluster.address("s1");
    let order = StandingOrder {
        server: server.clone(),
        cluster: cluster.name().to_owned(),
        ask: Ask { term: TERM, agrees: false },
        epoch: Epoch(1),
        standing: Standing::Primary,
        agents: std::collections::BTreeMap::new(),
        vips: Vec::new(),
        take_over: false,
        readers: None,
    };
    let said: LeaseState = client.ask(paths::STANDING, &order, LONG).await.unwrap();
    let voters = Voters { number: 1, servers: None };
    let grant = Grant { term: TERM, epoch: Epoch(1), nonce: said.nonce, voters };
    client.ask(paths::GRANT, &GrantOrder { server, grant }, LONG).await.unwrap()
}

async fn what_a_manager_fenced_stays_down_whoever_renews_its_lease(server: &str) {
    let cluster = cluster(server).replicas(1).with_agents().up().await;
    let agents = Agents::start(PROGRAM, &cluster).await;
    let client = manager_of(&cluster, "s1");
    let host = AgentHost::new(cluster.address("s1"), manager_of(&cluster, "s1").into());
    eventually(LONG, "the agent has found its server", async || {
        let state = host.process(LONG).await;
        matches!(state, Ok(ProcessState::Running { .. }))
    })
    .await;
    // An agent that has just been started counts as bound for a whole lease.
    eventually(LONG, "it has a lease", async || {
        renewed(&cluster, &client).await.hold == Hold::Good
    })
    .await;
    host.kill_and_keep_down(LONG).await.unwrap();
    // The agent acts on its lease every 25 ms: it has had its chances to let the server start.
    for _ in 0..30 {
        assert_eq!(renewed(&cluster, &client).await.hold, Hold::Without);
        let refused = host.start(LONG).await.unwrap_err();
        assert!(matches!(refused, HostError::Agent { .. }), "{refused}");
        assert!(refused.to_string().contains("kept down"), "{refused}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!cluster.is_alive("s1"), "{}", agents.log("s1"));
    host.release().await.unwrap();
    host.start(LONG).await.unwrap();
    eventually(LONG, "it answers", async || cluster.try_root("s1").await.is_ok()).await;
}

/// The worker dies right after the fence, while the lease would be good; then the whole agent is
/// restarted. Neither whoever looks after the server nor a manager's repair can start it.
async fn a_fence_outlives_the_agents_worker_and_the_agent(server: &str) {
    let cluster = cluster(server).replicas(1).with_agents().up().await;
    let mut agents = Agents::start(PROGRAM, &cluster).await;
    let mut manager = Manager::start(PROGRAM, &cluster).await;
    in_force(&manager).await;
    manager.kill9();
    let host = AgentHost::new(cluster.address("s1"), manager_of(&cluster, "s1").into());
    host.kill_and_keep_down(LONG).await.unwrap();
    let before = agents.log("s1").matches("the agent runs").count();
    agents.kill_worker("s1").await;
    assert!(cluster.sandbox().start("s1").await.is_err(), "it was let start");
    eventually(LONG, "another worker runs", async || {
        agents.log("s1").matches("the agent runs").count() > before
    })
    .await;
    for restarted in [false, true] {
        if restarted {
            agents.stop("s1").await;
            agents.start_one(PROGRAM, &cluster, "s1").await;
        }
        let error = host.start(Duration::from_secs(5)).await.unwrap_err().to_string();
        assert!(error.contains("kept down"), "{error}");
        assert!(cluster.sandbox().start("s1").await.is_err(), "it was let start");
        assert!(!cluster.is_alive("s1"));
    }
    host.release().await.unwrap();
    eventually(LONG, "it may be started", async || host.start(LONG).await.is_ok()).await;
}

/// The manager that fenced it could not reach the agent when it let it go.
async fn a_replica_that_was_left_fenced_is_let_go_by_the_manager(server: &str) {
    let cluster = cluster(server).with_agents().up().await;
    let _agents = Agents::start(PROGRAM, &cluster).await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    in_force(&manager).await;
    let host = AgentHost::new(cluster.address("s2"), manager_of(&cluster, "s2").into());
    host.kill_and_keep_down(LONG).await.unwrap();
    eventually(LONG, "the manager lets it go", async || {
        manager.log().contains("was still kept down")
    })
    .await;
    host.start(LONG).await.unwrap();
    eventually(LONG, "it replicates again", async || cluster.replicates("s2", "s1").await).await;
}

on_each_server!(what_a_manager_fenced_stays_down_whoever_renews_its_lease);
on_mariadb_first!(a_fence_outlives_the_agents_worker_and_the_agent);
on_mariadb!(a_replica_that_was_left_fenced_is_let_go_by_the_manager);
