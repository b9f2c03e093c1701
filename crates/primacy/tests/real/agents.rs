//! Clusters whose servers stand on hosts of their own with agents: fencing, leases, and what
//! happens when hosts, agents or cables fail.

use std::time::Duration;

use primacy_plan::OperationKind::Failover;
use primacy_testkit::{Agents, Cluster, Manager, Net, Writer, cluster, eventually};

use crate::{LONG, PROGRAM, on_mariadb_first, on_mysql_first};

/// The manager's host.
pub(crate) const MANAGER: usize = 3;

/// Longer than any lease.
const SEVERAL_LEASES: Duration = Duration::from_secs(8);

/// The virtual address of tests.
pub(crate) const VIP: &str = "10.77.0.100";

/// Three hosts with agents, and a manager on a fourth.
pub(crate) async fn three_hosts(server: &str) -> Option<(Net, Cluster, Agents, Manager)> {
    three_hosts_with(server, |_, _| ()).await
}

/// The same, with a virtual address.
async fn three_hosts_with_vip(server: &str) -> Option<(Net, Cluster, Agents, Manager)> {
    three_hosts_with(server, |_, cluster| has_vip(cluster)).await
}

pub(crate) fn has_vip(cluster: &Cluster) {
    let head = format!("[cluster.{}]\n", cluster.name());
    cluster.change_config(&head, &format!("{head}vip = [\"{VIP}\"]\n"));
}

pub(crate) async fn three_hosts_with(
    server: &str,
    change: impl FnOnce(&Net, &Cluster),
) -> Option<(Net, Cluster, Agents, Manager)> {
    let net = Net::new(4)?;
    let cluster = cluster(server).on(&net).semi_sync(1).with_agents().up().await;
    change(&net, &cluster);
    let agents = Agents::start(PROGRAM, &cluster).await;
    let mut manager = Manager::spawn_in(PROGRAM, &cluster, &net.host(MANAGER).namespace);
    manager.is_ready().await;
    in_force(&manager).await;
    Some((net, cluster, agents, manager))
}

/// Waits until the primary is under a guarded lease.
pub(crate) async fn in_force(manager: &Manager) {
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

/// Only the path between the manager and the primary's host is broken: the replicas hear from the
/// primary, the manager says so to the other agents, and they let it go on.
async fn a_broken_path_between_manager_and_primary_is_no_outage(server: &str) {
    let Some((net, cluster, agents, mut manager)) = three_hosts(server).await else { return };
    let writer = Writer::start(&cluster).await;
    writer.goes_on(50).await;
    net.cut_between(MANAGER, 0);
    tokio::time::sleep(SEVERAL_LEASES).await;
    writer.goes_on(50).await;
    let log = agents.log("s1");
    assert!(!log.contains("closed to writes") && log.contains("gave it more time"), "{log}");
    manager.has_done_nothing().await;
    net.mend_between(MANAGER, 0);
    manager.is_ready().await;
    in_force(&manager).await;
    assert!(!agents.log("s1").contains("closed to writes"), "{}", agents.log("s1"));
    writer.finish(&cluster).await.everyone_has_everything();
}

/// The role moves with the lease, twice.
async fn a_switchover_moves_the_lease(server: &str) {
    let Some((_net, cluster, agents, mut manager)) = three_hosts(server).await else { return };
    let writer = Writer::start(&cluster).await;
    for to in ["s2", "s3"] {
        manager.switchover(Some(cluster.address(to))).await;
        writer.goes_on_at(&cluster, to).await;
        in_force(&manager).await;
        manager.is_ready().await;
        assert_eq!(cluster.writable().await, [to]);
    }
    for server in ["s1", "s2", "s3"] {
        let log = agents.log(server);
        assert!(!log.contains("killed:") && !log.contains("killed by the guard"), "{log}");
    }
    writer.finish(&cluster).await.everyone_has_everything();
}

/// An agent that is stopped in order leaves its server as it is, and takes it up again.
async fn an_agent_that_is_restarted_in_order_is_no_outage(server: &str) {
    let Some((_net, cluster, mut agents, manager)) = three_hosts(server).await else { return };
    let writer = Writer::start(&cluster).await;
    writer.goes_on(50).await;
    agents.stop("s1").await;
    writer.goes_on(50).await;
    agents.start_one(PROGRAM, &cluster, "s1").await;
    in_force(&manager).await;
    writer.goes_on(50).await;
    assert!(!agents.log("s1").contains("closed to writes"), "{}", agents.log("s1"));
    manager.has_done_nothing().await;
    writer.finish(&cluster).await.everyone_has_everything();
}

/// A primary that is started again while its manager is away stays read-only, whatever its option
/// file says, until somebody has said that it is the primary.
async fn a_server_that_is_restarted_stays_closed_until_it_is_told_its_place(server: &str) {
    let Some((net, cluster, agents, mut manager)) = three_hosts(server).await else { return };
    manager.kill9();
    cluster.kill("s1").await;
    cluster.start("s1").await;
    eventually(LONG, "it is closed", async || !cluster.is_writable("s1").await).await;
    assert!(cluster.writable().await.is_empty(), "{}", agents.log("s1"));
    let mut manager = Manager::spawn_in(PROGRAM, &cluster, &net.host(MANAGER).namespace);
    manager.is_ready().await;
    eventually(LONG, "one server accepts writes", async || cluster.writable().await.len() == 1)
        .await;
}

/// A server that hangs cannot be made read-only: its agent, cut off with it, kills it in time.
async fn a_server_that_cannot_be_closed_is_killed_when_its_lease_runs_out(server: &str) {
    let Some((net, cluster, agents, manager)) = three_hosts(server).await else { return };
    cluster.freeze("s1").await;
    net.cut_off(0);
    eventually(LONG, "the agent kills it", async || !cluster.is_alive("s1")).await;
    assert!(agents.log("s1").contains("killed"), "{}", agents.log("s1"));
    manager.has_done(Failover, LONG).await;
}

/// No worker can be started any more: the guard alone sees to it that the server does not outlive
/// its lease.
async fn without_a_worker_the_guard_kills_the_server_when_its_lease_runs_out(server: &str) {
    let Some((_net, cluster, agents, manager)) = three_hosts(server).await else { return };
    agents.take_certificate(&cluster, "s1");
    agents.kill_worker("s1").await;
    eventually(LONG, "the guard kills it", async || {
        agents.log("s1").contains("killed by the guard")
    })
    .await;
    assert!(!cluster.is_alive("s1"));
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    assert_eq!(cluster.writable().await, [winner]);
}

/// The hosts that have the virtual address.
fn holders(net: &Net) -> Vec<usize> {
    (0..3).filter(|host| net.has_address(*host, VIP)).collect()
}

pub(crate) async fn is_held_by(net: &Net, host: usize) {
    eventually(LONG, "only the primary's host has the address", async || holders(net) == [host])
        .await;
}

/// The address follows the primary through a failover, a switchover and a host that is cut off, which
/// gives it up by itself.
async fn a_virtual_address_is_held_by_the_primary_alone(server: &str) {
    let Some((net, cluster, agents, manager)) = three_hosts_with_vip(server).await else { return };
    is_held_by(&net, 0).await;
    manager.switchover(Some(cluster.address("s2"))).await;
    is_held_by(&net, 1).await;
    net.cut_off(1);
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    let host = usize::from(winner == "s3") * 2;
    is_held_by(&net, host).await;
    assert!(agents.log("s2").contains("given up"), "{}", agents.log("s2"));
    net.mend(1);
    eventually(LONG, "only the winner accepts writes", async || {
        cluster.writable().await == [winner.as_str()]
    })
    .await;
    assert_eq!(holders(&net), [host]);
}

/// A host that was frozen with its agent and guard still answers for the address: it is taken over,
/// and given up there when the host thaws.
async fn a_virtual_address_is_taken_over_from_a_frozen_host(server: &str) {
    let Some((net, cluster, agents, manager)) = three_hosts_with_vip(server).await else { return };
    is_held_by(&net, 0).await;
    // Twice, so that the manager has put on record that it was held.
    in_force(&manager).await;
    agents.freeze("s1").await;
    cluster.freeze("s1").await;
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    let host = if winner == "s3" { 2 } else { 1 };
    eventually(LONG, "the winner's host has the address", async || net.has_address(host, VIP))
        .await;
    agents.thaw("s1");
    cluster.thaw_if_alive("s1").await;
    is_held_by(&net, host).await;
}

/// An address that somebody else has is not taken from him, and it is said.
async fn a_virtual_address_of_somebody_else_is_left_alone(server: &str) {
    let prepared = three_hosts_with(server, |net, cluster| {
        net.add_address(MANAGER, VIP);
        has_vip(cluster);
    });
    let Some((net, cluster, agents, manager)) = prepared.await else { return };
    eventually(LONG, "the manager says who has it", async || manager.log().contains("MAC address"))
        .await;
    assert!(agents.log("s1").contains("an address is not held"), "{}", agents.log("s1"));
    assert!(holders(&net).is_empty());
    assert_eq!(cluster.writable().await, ["s1"]);
}

on_mariadb_first!(
    a_server_that_cannot_be_closed_is_killed_when_its_lease_runs_out,
    a_virtual_address_is_held_by_the_primary_alone,
    a_virtual_address_of_somebody_else_is_left_alone,
    a_switchover_moves_the_lease,
    a_server_that_is_restarted_stays_closed_until_it_is_told_its_place,
    a_frozen_primary_on_another_host_is_killed_and_replaced,
    a_manager_that_is_away_is_no_outage,
);
on_mysql_first!(
    without_a_worker_the_guard_kills_the_server_when_its_lease_runs_out,
    a_virtual_address_is_taken_over_from_a_frozen_host,
    a_broken_path_between_manager_and_primary_is_no_outage,
    an_agent_that_is_restarted_in_order_is_no_outage,
    a_killed_primary_on_another_host_is_replaced,
    a_primary_cut_from_everybody_is_closed_before_another_is_promoted,
    an_agent_that_crashes_or_hangs_is_no_outage,
);
