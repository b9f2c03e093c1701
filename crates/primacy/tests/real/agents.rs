//! Clusters whose servers stand on hosts of their own with agents: fencing, leases, and what
//! happens when hosts, agents or cables fail.

use std::time::Duration;

use primacy_plan::OperationKind::Failover;
use primacy_testkit::{Agents, Cluster, Manager, Net, Writer, cluster, eventually};

use crate::{LONG, PROGRAM, on_each_server};

/// The manager's host.
const MANAGER: usize = 3;

/// Longer than any lease.
const SEVERAL_LEASES: Duration = Duration::from_secs(8);

/// Three hosts with agents, and a manager on a fourth.
async fn three_hosts(server: &str) -> Option<(Net, Cluster, Agents, Manager)> {
    let net = Net::new(4)?;
    let cluster = cluster(server).on(&net).semi_sync(1).with_agents().up().await;
    let agents = Agents::start(PROGRAM, &cluster).await;
    let mut manager = Manager::spawn_in(PROGRAM, &cluster, &net.host(MANAGER).namespace);
    manager.is_ready().await;
    in_force(&manager).await;
    Some((net, cluster, agents, manager))
}

/// Waits until the primary is under a guarded lease.
async fn in_force(manager: &Manager) {
    eventually(LONG, "the primary is under a lease", async || {
        let seen = manager.explain().await.snapshot;
        let primary = seen.primary.as_ref().and_then(|primary| seen.server(primary));
        primary.is_some_and(|p| p.fences.contains(&primacy_types::FenceRung::Lease))
    })
    .await;
}

async fn a_killed_primary_on_another_host_is_replaced(server: &str) {
    let Some((_net, cluster, _agents, manager)) = three_hosts(server).await else { return };
    let writer = Writer::start(&cluster).await;
    writer.goes_on(50).await;
    cluster.kill("s1").await;
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    writer.goes_on_at(&cluster, &winner).await;
    assert!(manager.log().contains("is fenced (agent)"), "{}", manager.log());
    let outcome = writer.finish(&cluster).await;
    outcome.nothing_is_lost();
}

async fn a_frozen_primary_on_another_host_is_killed_and_replaced(server: &str) {
    let Some((_net, cluster, _agents, manager)) = three_hosts(server).await else { return };
    let writer = Writer::start(&cluster).await;
    writer.goes_on(50).await;
    cluster.freeze("s1").await;
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    writer.goes_on_at(&cluster, &winner).await;
    assert!(!cluster.is_alive("s1"));
    writer.finish(&cluster).await.nothing_is_lost();
}

/// The host is cut from everybody: its agent closes the server before the lease is over, and the
/// manager promotes another one only then.
async fn a_primary_cut_from_everybody_is_closed_before_another_is_promoted(server: &str) {
    let Some((net, cluster, agents, manager)) = three_hosts(server).await else { return };
    let writer = Writer::start(&cluster).await;
    writer.goes_on(50).await;
    net.cut_off(0);
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    assert!(manager.log().contains("is fenced (lease)"), "{}", manager.log());
    let log = agents.log("s1");
    assert!(log.contains("closed to writes") || log.contains("killed"), "{log}");
    writer.goes_on_at(&cluster, &winner).await;
    net.mend(0);
    eventually(LONG, "only the winner accepts writes", async || {
        cluster.writable().await == [winner.as_str()]
    })
    .await;
    writer.finish(&cluster).await.nothing_is_lost();
}

/// A manager that is killed, and stays away for longer than a lease, costs no write.
async fn a_manager_that_is_away_is_no_outage(server: &str) {
    let Some((net, cluster, agents, mut manager)) = three_hosts(server).await else { return };
    let writer = Writer::start(&cluster).await;
    writer.goes_on(50).await;
    manager.kill9();
    let before = writer.acked();
    tokio::time::sleep(SEVERAL_LEASES).await;
    assert!(writer.acked() > before);
    writer.goes_on(50).await;
    let log = agents.log("s1");
    assert!(!log.contains("closed to writes") && log.contains("gave it more time"), "{log}");
    let mut manager = Manager::spawn_in(PROGRAM, &cluster, &net.host(MANAGER).namespace);
    manager.is_ready().await;
    writer.goes_on(50).await;
    assert!(!agents.log("s1").contains("closed to writes"), "{}", agents.log("s1"));
    manager.has_done_nothing().await;
    writer.finish(&cluster).await.everyone_has_everything();
}

/// Neither a worker that is killed nor one that is frozen costs a write: the guard starts another
/// one, which gets the lease back.
async fn an_agent_that_crashes_or_hangs_is_no_outage(server: &str) {
    let Some((_net, cluster, agents, manager)) = three_hosts(server).await else { return };
    let writer = Writer::start(&cluster).await;
    for hangs in [false, true] {
        writer.goes_on(50).await;
        let before = agents.log("s1").matches("the agent runs").count();
        if hangs {
            agents.freeze_worker("s1").await;
        } else {
            agents.kill_worker("s1").await;
        }
        eventually(LONG, "another worker runs", async || {
            agents.log("s1").matches("the agent runs").count() > before
        })
        .await;
        in_force(&manager).await;
    }
    writer.goes_on(50).await;
    let log = agents.log("s1");
    assert!(!log.contains("closed to writes") && !log.contains("killed by the guard"), "{log}");
    manager.has_done_nothing().await;
    writer.finish(&cluster).await.everyone_has_everything();
}

on_each_server!(
    a_killed_primary_on_another_host_is_replaced,
    a_frozen_primary_on_another_host_is_killed_and_replaced,
    a_primary_cut_from_everybody_is_closed_before_another_is_promoted,
    a_manager_that_is_away_is_no_outage,
    an_agent_that_crashes_or_hangs_is_no_outage,
);
