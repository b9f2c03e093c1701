//! Failover of semi-synchronous clusters when one that acknowledges hangs.

use primacy_plan::OperationKind::Failover;
use primacy_testkit::{Manager, Writer, cluster, eventually};

use crate::{LONG, PROGRAM, on_each_server, on_mysql};

/// Of three that acknowledge one suffices for a commit: the one that hangs may alone hold a row.
async fn a_hung_acker_that_may_alone_hold_a_row_is_waited_for(server: &str) {
    let cluster = cluster(server).replicas(3).semi_sync(1).up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let writer = Writer::start(&cluster).await;
    cluster.freeze("s4").await;
    writer.goes_on(50).await;
    // Else its own disk would prove what the third replica may hold.
    cluster.lose_host("s1").await;
    eventually(LONG, "the manager says why it waits", async || {
        manager.log().contains("acknowledged rows may be lost")
    })
    .await;
    for replica in ["s2", "s3"] {
        assert!(!cluster.is_writable(replica).await, "{replica} was promoted without the third");
    }
    cluster.thaw("s4").await;
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    writer.goes_on_at(&cluster, &winner).await;
    writer.finish(&cluster).await.everyone_has_everything();
    cluster.others_replicate(&["s1"], &winner).await;
}

/// Of three that acknowledge two are waited for: any two hold everything. The new primary waits
/// for two as well, so that its commits go on when the third is back.
async fn two_of_three_ackers_suffice_where_two_were_waited_for(server: &str) {
    let cluster = cluster(server).replicas(3).semi_sync(2).up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let writer = Writer::start(&cluster).await;
    cluster.freeze("s4").await;
    writer.goes_on(50).await;
    cluster.kill("s1").await;
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    cluster.thaw("s4").await;
    writer.goes_on_at(&cluster, &winner).await;
    writer.finish(&cluster).await.everyone_has_everything();
    cluster.others_replicate(&["s1"], &winner).await;
}

on_each_server!(a_hung_acker_that_may_alone_hold_a_row_is_waited_for);
on_mysql!(two_of_three_ackers_suffice_where_two_were_waited_for);
