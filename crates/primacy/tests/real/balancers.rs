//! keepalived and HAProxy with the very configurations of the documents, asking the agents.

use std::collections::BTreeSet;
use std::path::Path;

use primacy_plan::OperationKind::Failover;
use primacy_sandbox::AccountRole;
use primacy_testkit::{Cluster, Neighbour, Net, eventually};
use primacy_types::Address;
use primacy_wire::{ConnectOptions, Session, WireError};

use crate::agents::{MANAGER, VIP, three_hosts};
use crate::{LONG, PROGRAM, on_mariadb_first};

const KEEPALIVED: &str = "/usr/sbin/keepalived";
const HAPROXY: &str = "/usr/sbin/haproxy";

/// The example in a document, with what its reader has to change: addresses and paths.
fn example(page: &str, language: &str, changes: &[(&str, String)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let (_, block) = text.split_once(&format!("```{language}\n")).unwrap();
    let (block, _) = block.split_once("```").unwrap();
    changes.iter().fold(block.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "the example of {page} has no {from:?}");
        text.replace(from, to)
    })
}

fn keepalived(net: &Net, host: usize) -> Neighbour {
    let others: Vec<usize> = (0..3).filter(|other| *other != host).collect();
    let address = |i: usize| net.host(i).address.clone();
    let changes = [
        ("10.0.0.100", VIP.to_owned()),
        ("10.0.0.11", address(host)),
        ("10.0.0.12", address(others[0])),
        ("10.0.0.13", address(others[1])),
        ("/usr/bin/primacy", PROGRAM.to_owned()),
    ];
    let config = example("vip.md", "keepalived", &changes);
    Neighbour::start(net, host, KEEPALIVED, &config, |folder, file| {
        let at = |name: &str| folder.join(name).display().to_string();
        let (pid, vrrp) = (at("keepalived.pid"), at("vrrp.pid"));
        let words = ["-n", "-l", "-D", "-P", "-f", &at("config"), "-p", &pid, "-r", &vrrp];
        assert_eq!(file, folder.join("config"));
        words.map(str::to_owned).to_vec()
    })
}

/// Waits until this host alone has the address; at no look may two have it.
async fn comes_to(net: &Net, host: usize) {
    eventually(LONG, "the address comes to the primary's host", async || {
        let holders: Vec<_> = (0..3).filter(|i| net.has_address(*i, VIP)).collect();
        assert!(holders.len() < 2, "the hosts {holders:?} have the address");
        holders == [host]
    })
    .await;
}

async fn the_address_of_keepalived_follows_the_primary(server: &str) {
    if !Neighbour::is_installed(KEEPALIVED, "keepalived") {
        return;
    }
    let Some((net, cluster, _agents, manager)) = three_hosts(server).await else { return };
    let _running: Vec<_> = (0..3).map(|host| keepalived(&net, host)).collect();
    comes_to(&net, 0).await;
    cluster.kill("s1").await;
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    comes_to(&net, if winner == "s2" { 1 } else { 2 }).await;
    // The old primary returns as a server without the role: the address stays.
    cluster.start("s1").await;
    let next = if winner == "s2" { ("s3", 2) } else { ("s2", 1) };
    eventually(LONG, "the role can be moved", async || {
        manager.try_switchover(Some(cluster.address(next.0))).await.is_ok()
    })
    .await;
    comes_to(&net, next.1).await;
}

/// Which server answers at this port of HAProxy.
async fn reached(net: &Net, cluster: &Cluster, port: u16) -> Result<String, WireError> {
    let login = ConnectOptions {
        address: Address::new("127.0.0.1", port),
        unix_socket: None,
        ..cluster.login("s1", AccountRole::Application)
    };
    let id = net.inside(MANAGER, async move {
        let mut session = Session::connect(&login).await?;
        let rows = session.query("SELECT @@server_id", LONG).await;
        session.close().await;
        Ok::<_, WireError>(rows?.first().and_then(|row| row.at(0)?.parse().ok()).unwrap_or(0))
    });
    Ok(cluster.name_of_id(id.await?).unwrap())
}

/// The servers that answer over several connections.
async fn all_reached(net: &Net, cluster: &Cluster, port: u16) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for _ in 0..4 {
        all.extend(reached(net, cluster, port).await);
    }
    all
}

const WRITER: u16 = 3306;
const READER: u16 = 3307;

async fn haproxy_sends_writes_to_the_primary_and_reads_to_replicas(server: &str) {
    if !Neighbour::is_installed(HAPROXY, "haproxy") {
        return;
    }
    let Some((net, cluster, _agents, manager)) = three_hosts(server).await else { return };
    let changes = [
        ("10.0.0.11:3306", cluster.address("s1").to_string()),
        ("10.0.0.12:3306", cluster.address("s2").to_string()),
        ("10.0.0.13:3306", cluster.address("s3").to_string()),
    ];
    let config = example("health.md", "haproxy", &changes);
    let _running = Neighbour::start(&net, MANAGER, HAPROXY, &config, |_, file| {
        vec!["-db".to_owned(), "-f".to_owned(), file.display().to_string()]
    });
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let writers = async |wanted: &[&str]| {
        let wanted: BTreeSet<String> = names(wanted);
        eventually(LONG, "writes reach the primary", async || {
            all_reached(&net, &cluster, WRITER).await == wanted
        })
        .await;
    };
    let readers = async |wanted: &[&str]| {
        let wanted: BTreeSet<String> = names(wanted);
        eventually(LONG, "reads are spread over the replicas", async || {
            all_reached(&net, &cluster, READER).await == wanted
        })
        .await;
    };
    writers(&["s1"]).await;
    readers(&["s2", "s3"]).await;
    cluster.kill("s1").await;
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    let other = if winner == "s2" { "s3" } else { "s2" };
    writers(&[&winner]).await;
    readers(&[other]).await;
}

on_mariadb_first!(
    the_address_of_keepalived_follows_the_primary,
    haproxy_sends_writes_to_the_primary_and_reads_to_replicas,
);
