//! Networks that break between some and not between others.

use primacy_plan::Diagnosis;
use primacy_plan::OperationKind::Failover;
use primacy_testkit::{Manager, Net, cluster, eventually};

use crate::{LONG, PROGRAM, on_each_server, on_mysql_5_6};

/// The manager's host.
const MANAGER: usize = 3;

async fn a_cut_from_here_is_no_death_and_a_lost_host_is_replaced_only_by_policy(server: &str) {
    let Some(net) = Net::new(4) else { return };
    let mut builder = cluster(server).on(&net).policy("unfenced = \"refuse\"");
    for server in ["s1", "s2", "s3"] {
        builder = builder.server(server, "host_access = \"none\"");
    }
    let cluster = builder.up().await;
    let mut manager = Manager::spawn_in(PROGRAM, &cluster, &net.host(MANAGER).namespace);
    manager.is_ready().await;
    let primary = cluster.address("s1");

    net.cut_between(MANAGER, 0);
    manager.has_looked_in_vain(&primary).await;
    let cut_off = |d: &Diagnosis| matches!(d, Diagnosis::PrimaryCutOffFromHere { .. });
    manager.diagnoses("it says that only its own path is cut", cut_off).await;
    manager.has_done_nothing().await;
    net.mend_between(MANAGER, 0);
    manager.is_ready().await;

    net.cut_off(0);
    let dead = |d: &Diagnosis| matches!(d, Diagnosis::PrimaryDead { .. });
    manager.diagnoses("it says that nobody hears from the primary", dead).await;
    eventually(LONG, "it says why it does nothing", async || {
        manager.log().contains("is silent and cannot be fenced")
    })
    .await;
    manager.has_done_nothing().await;
    assert_eq!(cluster.writable().await, ["s1"]);

    cluster.change_config("unfenced = \"refuse\"", "unfenced = \"proceed\"");
    manager.reload();
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    let sibling = if winner == "s2" { "s3" } else { "s2" };
    cluster.all_replicate(&[sibling], &winner).await;

    net.mend(0);
    eventually(LONG, "the old primary is closed on sight", async || {
        cluster.writable().await == [winner.as_str()]
    })
    .await;
}

on_each_server!(a_cut_from_here_is_no_death_and_a_lost_host_is_replaced_only_by_policy);
on_mysql_5_6!(a_cut_from_here_is_no_death_and_a_lost_host_is_replaced_only_by_policy);
