//! The role moves while both servers live.

use super::site::{ALL, Login, M, S1, S2, S3, S4, SLAVES, Site};

const BACK: &str = "--orig_master_is_new_slave";
const MULTI: &str = "multi_tier_slave=1";

/// With `--orig_master_is_new_slave` the old primary replicates from the new one, with passwords that
/// shells, files and SQL give a meaning to.
async fn t_online_slave_pass(server: &str) {
    let mut site = Site::up(server).await;
    let login = |user: &str| {
        let password = format!("{user}$(id)`w`!&|<>[]{{}}*?~#%=,\\\"x'y;z");
        Login { user: format!("{user}-%@$!#"), password }
    };
    site.use_accounts(login("o"), login("p")).await;
    site.online("app1.cnf", &[BACK]).await.succeeds();
    site.serves(S1, &[M, S2, S3, S4], 1).await;
    site.insert(S1, 2).await;
    site.have(2, &ALL).await;
}

/// A primary that replicates from S1, which is read-only.
async fn dual(server: &str, replicas: u8) -> Site {
    let site = Site::of(server, replicas).await;
    site.settle().await;
    site.point(M, S1).await;
    site
}

async fn only_with_one_writer(site: &Site, conf: &str) {
    site.set_read_only(S1, false).await;
    site.online(conf, &[]).await.is_refused("several masters");
    site.set_read_only(M, true).await;
    site.set_read_only(S1, true).await;
    site.online(conf, &[]).await.is_refused("accepts writes");
    site.set_read_only(M, false).await;
}

/// Refused with two writers, and without one.
async fn t_online_mm(server: &str) {
    let site = dual(server, 1).await;
    only_with_one_writer(&site, "app1.cnf").await;
    site.online("app1.cnf", &[]).await.succeeds();
    site.insert(S1, 2).await;
    site.have(2, &[M, S1]).await;
    assert!(site.cluster.is_writable(S1).await && site.is_read_only(M).await);
    assert_eq!(site.source_of(S1).await, None, "the new primary forgets its source");
    site.are_on(&[M], S1).await;
}

/// With `skip_reset_slave` the new primary keeps its settings; its replication is stopped, and can be
/// started again.
async fn t_online_mm_skip_reset(server: &str) {
    let site = dual(server, 1).await;
    site.configure("app1.cnf", &[M, S1], "skip_reset_slave=1");
    only_with_one_writer(&site, "app1.cnf").await;
    site.online("app1.cnf", &[]).await.succeeds();
    site.insert(S1, 2).await;
    site.have(2, &[M, S1]).await;
    site.are_on(&[S1], M).await;
    let running = site.cluster.replica_status(S1, "Replica_SQL_Running").await;
    assert_eq!(running.as_deref(), Some("No"));
    site.start_slave(S1).await;
    site.cluster.all_replicate(&[S1], M).await;
    site.set_read_only(M, false).await;
    site.insert(M, 3).await;
    site.have(3, &[M, S1]).await;
}

async fn with_a_third_tier(server: &str, words: &[&str]) {
    let site = dual(server, 2).await;
    site.configure("multi.cnf", &[M, S1, S2], MULTI);
    site.point(S2, S1).await;
    site.set_read_only(S1, true).await;
    site.online("app1.cnf", words).await.is_refused("multi_tier_slave=1");
    only_with_one_writer(&site, "multi.cnf").await;
    site.insert(M, 2).await;
    site.have(2, &[M, S1, S2]).await;
    site.online("multi.cnf", words).await.succeeds();
    site.insert(S1, 3).await;
    site.serves(S1, &[M, S2], 3).await;
}

/// A replica below the one that takes over stays there.
async fn t_online_mm_3tier(server: &str) {
    with_a_third_tier(server, &[]).await;
}

/// The same, and the old primary becomes a replica.
async fn t_online_mm_3tier_slave(server: &str) {
    with_a_third_tier(server, &[BACK]).await;
}

/// S2 below S1, and the primary replicates from nobody.
async fn below(server: &str) -> Site {
    let site = Site::up(server).await;
    site.configure("multi.cnf", &ALL, MULTI);
    site.settle().await;
    site.point(S2, S1).await;
    site
}

async fn only_read_only_and_multi_tier(site: &Site, words: &[&str]) {
    site.online("app1.cnf", words).await.is_refused("");
    site.online("multi.cnf", words).await.is_refused("");
    site.set_read_only(S1, true).await;
    site.online("app1.cnf", words).await.is_refused("multi_tier_slave=1");
    site.online("multi.cnf", words).await.succeeds();
}

/// Refused until S1 is read-only and more tiers are tolerated.
async fn t_online_3tier(server: &str) {
    let site = below(server).await;
    site.insert(M, 2).await;
    site.have(2, &ALL).await;
    only_read_only_and_multi_tier(&site, &[]).await;
    site.insert(S1, 3).await;
    site.serves(S1, &[S2, S3, S4], 3).await;
    site.have(2, &[M]).await;
    assert_eq!(site.source_of(M).await, None);
}

/// The same, and the old primary becomes a replica.
async fn t_online_3tier_slave(server: &str) {
    let site = below(server).await;
    site.insert(M, 2).await;
    site.have(2, &ALL).await;
    only_read_only_and_multi_tier(&site, &[BACK]).await;
    site.insert(S1, 3).await;
    site.serves(S1, &[M, S2, S3, S4], 3).await;
}

/// The file names the primary and S1 alone: all others stay where they are.
async fn t_online_3tier_slave_keep(server: &str) {
    let site = below(server).await;
    site.configure("app1.cnf", &[M, S1], "");
    site.set_read_only(S1, true).await;
    site.insert_all(M, 2..=3).await;
    site.have(3, &ALL).await;
    site.online("app1.cnf", &[BACK]).await.succeeds();
    site.insert(S1, 4).await;
    site.serves(S1, &[M], 4).await;
    site.cluster.all_replicate(&[S2], S1).await;
    site.cluster.all_replicate(&[S3, S4], M).await;
    site.have(4, &SLAVES).await;
}

crate::short!(t_online_mm_skip_reset, t_online_3tier);

crate::matrix!(
    t_online_slave_pass,
    t_online_mm,
    t_online_mm_3tier,
    t_online_mm_3tier_slave,
    t_online_3tier_slave,
    t_online_3tier_slave_keep
);
