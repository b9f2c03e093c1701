//! Clusters whose servers stand on hosts of their own, which the manager reaches over ssh alone.

use primacy_plan::OperationKind::Failover;
use primacy_testkit::{Builder, Cluster, Manager, Net, Sshds, Writer, cluster, eventually};
use primacy_types::FenceRung;

use crate::{LONG, PROGRAM, on_each_server, on_mariadb_first};

/// The manager's host.
const MANAGER: usize = 3;

/// Three hosts with sshd, and a manager on a fourth that may kill what runs there.
async fn three_hosts(server: &str) -> Option<(Net, Cluster, Sshds, Manager)> {
    let net = Net::new(4)?;
    let builder = cluster(server).semi_sync(1).policy("unfenced = \"refuse\"");
    let (cluster, sshds, manager) = on_three_hosts(&net, builder).await?;
    Some((net, cluster, sshds, manager))
}

async fn on_three_hosts(net: &Net, builder: Builder) -> Option<(Cluster, Sshds, Manager)> {
    let sshds = Sshds::start(net, MANAGER)?;
    let mut builder = builder.on(net);
    for server in ["s1", "s2", "s3"] {
        builder = builder.server(server, "host_access = \"ssh\"");
    }
    let cluster = builder.up().await;
    let head = format!("[cluster.{}]\n", cluster.name());
    cluster.change_config(&head, &format!("{head}{}", sshds.options()));
    let mut manager = Manager::spawn_in(PROGRAM, &cluster, &net.host(MANAGER).namespace);
    manager.is_ready().await;
    eventually(LONG, "the primary can be fenced over ssh", async || can_be_fenced(&manager).await)
        .await;
    Some((cluster, sshds, manager))
}

async fn can_be_fenced(manager: &Manager) -> bool {
    let seen = manager.explain().await.snapshot;
    let primary = seen.primary.as_ref().and_then(|primary| seen.server(primary));
    primary.is_some_and(|p| p.fences == [FenceRung::Ssh])
}

async fn a_frozen_primary_is_killed_over_ssh_and_replaced(server: &str) {
    let Some((_net, cluster, _sshds, manager)) = three_hosts(server).await else { return };
    let writer = Writer::start(&cluster).await;
    writer.goes_on(50).await;
    cluster.freeze("s1").await;
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    writer.goes_on_at(&cluster, &winner).await;
    assert!(manager.log().contains("is fenced (ssh)"), "{}", manager.log());
    assert!(!cluster.is_alive("s1"));
    writer.finish(&cluster).await.nothing_is_lost();
    // The fence is down again: it may return, and is closed on sight.
    cluster.start("s1").await;
    eventually(LONG, "only the winner accepts writes", async || {
        cluster.writable().await == [winner.as_str()]
    })
    .await;
}

async fn a_killed_primary_is_kept_down_over_ssh_and_replaced(server: &str) {
    let Some((_net, cluster, _sshds, manager)) = three_hosts(server).await else { return };
    let writer = Writer::start(&cluster).await;
    writer.goes_on(50).await;
    cluster.kill("s1").await;
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    writer.goes_on_at(&cluster, &winner).await;
    assert!(manager.log().contains("is fenced (ssh)"), "{}", manager.log());
    writer.finish(&cluster).await.nothing_is_lost();
}

/// A host that is lost with its server is not reached over ssh either: the failover that was to
/// fence it there is put back, and the policy for servers that cannot be fenced decides.
async fn a_host_that_is_lost_is_left_to_the_policy(server: &str) {
    let Some((net, cluster, _sshds, manager)) = three_hosts(server).await else { return };
    net.cut_off(0);
    eventually(LONG, "it says why it does nothing", async || {
        manager.log().contains("is silent and cannot be fenced")
    })
    .await;
    manager.has_looked_in_vain(&cluster.address("s1")).await;
    assert_eq!(cluster.writable().await, ["s1"]);
    net.mend(0);
    // Or it is fenced at once, if ssh leads there before the next probe does.
    eventually(LONG, "it can be fenced again", async || can_be_fenced(&manager).await).await;
}

/// Nobody can read the disk of a lost host. Who has said that acknowledged rows may be missing does
/// not want to wait for it either.
async fn a_lost_host_is_not_waited_for_where_its_loss_is_accepted(server: &str) {
    for (policy, waits) in [("", true), ("on_possible_loss = \"proceed\"", false)] {
        let Some(net) = Net::new(4) else { return };
        let builder = cluster(server).policy("unfenced = \"proceed\"").policy(policy);
        let Some((cluster, _sshds, manager)) = on_three_hosts(&net, builder).await else { return };
        net.cut_off(0);
        let not_known = || manager.log().contains("and nobody received is not known yet");
        if waits {
            eventually(LONG, "it waits for the disk", async || not_known()).await;
            assert_eq!(cluster.writable().await, ["s1"]);
            continue;
        }
        let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
        assert!(!not_known(), "{}", manager.log());
        let sibling = if winner == "s2" { "s3" } else { "s2" };
        cluster.all_replicate(&[sibling], &winner).await;
    }
}

on_each_server!(a_killed_primary_is_kept_down_over_ssh_and_replaced);
on_mariadb_first!(
    a_lost_host_is_not_waited_for_where_its_loss_is_accepted,
    a_frozen_primary_is_killed_over_ssh_and_replaced,
    a_host_that_is_lost_is_left_to_the_policy,
);
