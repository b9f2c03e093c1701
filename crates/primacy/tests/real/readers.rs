//! Addresses for readers: spread over the replicas' hosts, and never on two of them.

use primacy_plan::OperationKind::Failover;
use primacy_testkit::{Agents, Cluster, Manager, Net, eventually};

use crate::agents::{MANAGER, three_hosts_with};
use crate::{LONG, PROGRAM, on_mariadb_first, on_mysql_first};

const ADDRESSES: [&str; 2] = ["10.77.0.101", "10.77.0.102"];

async fn with_readers(server: &str) -> Option<(Net, Cluster, Agents, Manager)> {
    three_hosts_with(server, |_, cluster| {
        let name = cluster.name();
        let head = format!("[cluster.{name}]\n");
        let list = ADDRESSES.map(|address| format!("\"{address}\"")).join(", ");
        cluster.change_config(&head, &format!("{head}reader_vip = [{list}]\n"));
        let head = format!("[cluster.{name}.policy]\n");
        cluster.change_config(&head, &format!("{head}reader_vip_lease = \"5s\"\n"));
    })
    .await
}

/// The hosts that have an address for readers, one for each address. No address may be on two.
fn holders(net: &Net) -> Vec<Option<usize>> {
    let of = |address: &str| {
        let hosts: Vec<_> = (0..3).filter(|host| net.has_address(*host, address)).collect();
        assert!(hosts.len() < 2, "the hosts {hosts:?} have {address}");
        hosts.first().copied()
    };
    ADDRESSES.into_iter().map(of).collect()
}

/// Waits until exactly these hosts have the addresses, in whichever order.
async fn are_on(net: &Net, what: &str, wanted: [usize; 2]) {
    eventually(LONG, what, async || {
        let mut now = holders(net);
        now.sort_unstable();
        now == wanted.map(Some)
    })
    .await;
}

async fn addresses_for_readers_are_spread_over_healthy_replicas(server: &str) {
    let Some((net, cluster, agents, mut manager)) = with_readers(server).await else { return };
    are_on(&net, "they are spread over the replicas", [1, 2]).await;
    eventually(LONG, "the manager shows them", async || {
        let servers = manager.view().await.servers;
        let held = |server: &&primacy_api::ServerView| {
            server.lease.as_ref().is_some_and(|lease| lease.addresses.len() == 1)
        };
        servers.iter().filter(held).count() == 2
    })
    .await;
    // A manager that is restarted moves nothing.
    let before = holders(&net);
    manager.kill9();
    let mut manager = Manager::spawn_in(PROGRAM, &cluster, &net.host(MANAGER).namespace);
    manager.is_ready().await;
    assert_eq!(holders(&net), before);
    assert!(!agents.log("s2").contains("given up by readers"), "{}", agents.log("s2"));

    cluster.kill("s2").await;
    are_on(&net, "the other replica has both", [2, 2]).await;
    cluster.kill("s3").await;
    are_on(&net, "the primary has them where there is no replica", [0, 0]).await;
    cluster.start("s2").await;
    cluster.start("s3").await;
    cluster.others_replicate(&[], "s1").await;
    are_on(&net, "they are back at the replicas", [1, 2]).await;
}

/// A host that is cut off gives up its address before another one gets it; one with frozen processes
/// cannot, and its address is taken over.
async fn an_address_for_readers_leaves_a_lost_host_before_it_comes_to_another(server: &str) {
    let Some((net, _cluster, agents, _manager)) = with_readers(server).await else { return };
    are_on(&net, "they are spread over the replicas", [1, 2]).await;
    net.cut_off(2);
    are_on(&net, "the other replica has both", [1, 1]).await;
    assert!(agents.log("s3").contains("given up by readers"), "{}", agents.log("s3"));
    net.mend(2);
    are_on(&net, "they are spread again", [1, 2]).await;
    // A worker that hangs is replaced, or its guard gives the address up: it never stays behind.
    agents.freeze_worker("s3").await;
    are_on(&net, "they are spread again", [1, 2]).await;
}

/// In a failover the winner's addresses go to the replica that is left.
async fn addresses_for_readers_follow_a_failover(server: &str) {
    let Some((net, cluster, _agents, manager)) = with_readers(server).await else { return };
    are_on(&net, "they are spread over the replicas", [1, 2]).await;
    cluster.kill("s1").await;
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    let left = if winner == "s2" { 2 } else { 1 };
    are_on(&net, "the replica that is left has both", [left, left]).await;
}

on_mariadb_first!(
    addresses_for_readers_are_spread_over_healthy_replicas,
    addresses_for_readers_follow_a_failover,
);
on_mysql_first!(an_address_for_readers_leaves_a_lost_host_before_it_comes_to_another);
