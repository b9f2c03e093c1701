//! Two primaries that replicate from each other, and more tiers, when the primary dies.

use super::site::{ALL, M, S1, S2, S3, S4, SLAVES, Site};

const MULTI: &str = "multi_tier_slave=1";

/// The primary replicates from S1 too.
async fn dual(server: &str, replicas: u8) -> Site {
    let site = Site::of(server, replicas).await;
    site.settle().await;
    for slave in site.slaves() {
        site.set_read_only(slave, true).await;
    }
    site.point(M, S1).await;
    site
}

/// Which of the two accept writes.
async fn open(site: &Site, m: bool, s1: bool) {
    site.set_read_only(M, !m).await;
    site.set_read_only(S1, !s1).await;
}

async fn refused_but_for_one_writer(site: &Site) {
    open(site, true, true).await;
    site.check_repl("app1.cnf", &[]).await.is_refused("several masters");
    site.manager("app1.cnf", &[]).await.is_refused("several masters");
    open(site, false, false).await;
    site.check_repl("app1.cnf", &[]).await.is_refused("accepts writes");
    site.manager("app1.cnf", &[]).await.is_refused("accepts writes");
}

/// Refused with two writers, without one, and with one that the replicas do not follow.
async fn t_mm(server: &str) {
    let site = dual(server, 4).await;
    refused_but_for_one_writer(&site).await;
    open(&site, false, true).await;
    site.check_repl("app1.cnf", &[]).await.is_refused("NOT OK");
    site.manager("app1.cnf", &[]).await.is_refused("not from the master");
    open(&site, true, false).await;
    site.check_repl("app1.cnf", &[]).await.succeeds();
    let manager = site.watching(&[]).await;
    site.insert_all(M, 2..=6).await;
    site.have(6, &ALL).await;
    site.cluster.kill(M).await;
    site.ended(manager).await.succeeds();
    site.insert(S1, 7).await;
    site.serves(S1, &[S2, S3, S4], 7).await;
}

/// The same with the two alone.
async fn t_mm_noslaves(server: &str) {
    let site = dual(server, 1).await;
    refused_but_for_one_writer(&site).await;
    open(&site, true, false).await;
    let manager = site.watching(&[]).await;
    site.insert_all(M, 2..=6).await;
    site.have(6, &[S1]).await;
    site.cluster.kill(M).await;
    site.ended(manager).await.succeeds();
    site.insert(S1, 7).await;
    site.serves(S1, &[], 7).await;
}

/// The primary is dead before the manager starts.
async fn t_mm_normal(server: &str) {
    let site = dual(server, 4).await;
    site.insert_all(M, 2..=3).await;
    site.have(3, &ALL).await;
    site.cluster.kill(M).await;
    site.manager("app1.cnf", &[]).await.succeeds();
    site.insert(S1, 4).await;
    site.serves(S1, &[S2, S3, S4], 4).await;
}

/// The other primary and a replica are dead too.
async fn t_mm_subm_dead_many(server: &str) {
    let site = dual(server, 4).await;
    site.cluster.kill(S1).await;
    site.cluster.kill(S2).await;
    site.check_repl("app1.cnf", &[]).await.is_refused("NOT OK");
    site.manager("app1.cnf", &[]).await.is_refused("Error happened");
    site.cluster.kill(M).await;
    site.manager("app1.cnf", &[]).await.is_refused("Error happened");
    site.fail_over("app1.cnf", M, &[]).await.is_refused("");
    site.are_on(&[S3, S4], M).await;
}

/// Two servers, and the other one is dead: a failover of the living one is refused, and a manager
/// ends the replication of the living one from the dead one.
async fn t_mm_subm_dead_noslave(server: &str) {
    let site = dual(server, 1).await;
    site.insert(M, 2).await;
    site.have(2, &[S1]).await;
    site.cluster.kill(S1).await;
    site.fail_over("app1.cnf", M, &[]).await.is_refused("is not dead");
    site.manager("app1.cnf", &[]).await.succeeds();
    assert!(site.cluster.is_writable(M).await);
    site.insert(M, 3).await;
    site.have(3, &[M]).await;
    assert_eq!(site.source_of(M).await, None, "it does not replicate from a dead server");
}

/// S2 replicates from S1: refused, unless more tiers are tolerated; then S2 stays there.
async fn t_mm_3tier(server: &str) {
    let site = dual(server, 2).await;
    site.configure("multi.cnf", &[M, S1, S2], MULTI);
    site.point(S2, S1).await;
    site.check_repl("app1.cnf", &[]).await.is_refused("multi_tier_slave=1");
    site.manager("app1.cnf", &[]).await.is_refused("multi_tier_slave=1");
    site.check_repl("multi.cnf", &[]).await.succeeds();
    site.insert(M, 2).await;
    site.have(2, &[M, S1, S2]).await;
    site.cluster.kill(M).await;
    site.manager("app1.cnf", &[]).await.is_refused("multi_tier_slave=1");
    site.manager("multi.cnf", &[]).await.succeeds();
    site.insert(S1, 3).await;
    site.serves(S1, &[S2], 3).await;
}

/// The server in the middle is dead: nothing is done.
async fn t_mm_3tier_subm_dead(server: &str) {
    let site = dual(server, 4).await;
    site.configure("multi.cnf", &ALL, MULTI);
    site.point(S2, S1).await;
    site.cluster.kill(S1).await;
    for conf in ["app1.cnf", "multi.cnf"] {
        site.check_repl(conf, &[]).await.is_refused("NOT OK");
        site.manager(conf, &[]).await.is_refused("Error happened");
        site.fail_over(conf, M, &[]).await.is_refused("is not dead");
    }
    site.cluster.kill(M).await;
    for conf in ["app1.cnf", "multi.cnf"] {
        site.manager(conf, &[]).await.is_refused("Error happened");
        site.fail_over(conf, M, &[]).await.is_refused("");
    }
    site.are_on(&[S3, S4], M).await;
    site.are_on(&[S2], S1).await;
}

/// S3 below S2 below S1 below the primary, and S2 is dead: nothing is done.
async fn t_4tier_subm_dead(server: &str) {
    let site = dual(server, 4).await;
    site.configure("multi.cnf", &ALL, MULTI);
    site.point(S2, S1).await;
    site.point(S3, S2).await;
    site.cluster.kill(S2).await;
    for dead in [false, true] {
        if dead {
            site.cluster.kill(M).await;
        }
        for conf in ["app1.cnf", "multi.cnf"] {
            site.check_repl(conf, &[]).await.is_refused("NOT OK");
            site.manager(conf, &[]).await.is_refused("Error happened");
            site.fail_over(conf, M, &[]).await.is_refused("");
        }
    }
    site.are_on(&[S1], M).await;
    site.are_on(&[S3], S2).await;
}

/// By `multi_tier_slave` an intermediate replica keeps its own when another one is promoted.
async fn multi_tier_slave(server: &str) {
    let site = Site::up(server).await;
    site.configure("multi.cnf", &ALL, MULTI);
    site.settle().await;
    site.point(S4, S3).await;
    // One in the middle that accepts writes is another master.
    site.check_repl("multi.cnf", &[]).await.is_refused("several masters");
    site.set_read_only(S3, true).await;
    site.check_repl("app1.cnf", &[]).await.is_refused("multi_tier_slave=1");
    site.check_repl("multi.cnf", &[]).await.succeeds();
    site.insert(M, 2).await;
    site.have(2, &ALL).await;
    site.cluster.kill(M).await;
    site.manager("multi.cnf", &[]).await.succeeds();
    site.serves(S1, &[S2, S3], 2).await;
    site.insert(S1, 3).await;
    site.have(3, &SLAVES).await;
    site.are_on(&[S4], S3).await;
}

crate::short!(t_mm, t_mm_3tier, t_mm_subm_dead_noslave);

crate::matrix!(
    t_mm_noslaves,
    t_mm_normal,
    t_mm_subm_dead_many,
    t_mm_3tier_subm_dead,
    t_4tier_subm_dead,
    multi_tier_slave
);
