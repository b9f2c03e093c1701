//! The agent without root, with the capabilities that its unit in `docs/agents.md` grants.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use primacy_plan::Can;
use primacy_plan::OperationKind::Failover;
use primacy_testkit::{Agents, Manager, Net, cluster, eventually};

use crate::agents::{MANAGER, has_vip, in_force, is_held_by};
use crate::check_hosts::host;
use crate::sidecar::{are_rescued, rows_of_its_own};
use crate::{LONG, PROGRAM, on_mariadb};

/// No user of this machine.
const STRANGER: u32 = 54_321;

/// What the unit grants for virtual addresses.
const FOR_ADDRESSES: &[&str] = &["net_admin", "net_raw"];

/// What the unit in the documentation grants, as setpriv(1) calls it.
fn of_the_unit() -> Vec<String> {
    let page = include_str!("../../../../docs/agents.md");
    let line = page.lines().find_map(|line| line.strip_prefix("AmbientCapabilities=")).unwrap();
    line.split(' ').map(|one| one.trim_start_matches("CAP_").to_lowercase()).collect()
}

/// The agent of the primary runs as this user, or as the server's own, with these capabilities.
async fn does_all_it_has_to(server: &str, user: Option<u32>, capabilities: &[String]) {
    let Some(net) = Net::new(4) else { return };
    let cluster = cluster(server).on(&net).with_agents().up().await;
    has_vip(&cluster);
    let servers = &cluster.sandbox().info().servers;
    let data = fs::metadata(&servers[0].datadir).unwrap();
    assert_ne!(data.uid(), STRANGER);
    let user = user.unwrap_or_else(|| data.uid());
    assert_ne!(user, 0, "servers do not run as root");
    let folder = cluster.config().parent().unwrap();
    fs::create_dir(folder.join("agent-s1")).unwrap();
    // Everything that its file names is its own, as it is where an agent is installed.
    for path in ["agent-s1", "agent-s1.toml", "certs/s1.crt", "certs/s1.key", "passwords/manager"] {
        chown(folder.join(path), Some(user), Some(user)).unwrap();
    }
    for path in ["", "certs", "passwords"] {
        let folder = folder.join(path);
        fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).unwrap();
    }
    let added: Vec<String> = capabilities.iter().map(|one| format!("+{one}")).collect();
    let set = [vec!["-all".to_owned()], added].concat().join(",");
    let (user, namespace) = (user.to_string(), &net.host(0).namespace);
    let [inherited, ambient, bounding] =
        ["inh-caps", "ambient-caps", "bounding-set"].map(|which| format!("--{which}={set}"));
    let words = [
        "ip",
        "netns",
        "exec",
        namespace,
        "setpriv",
        "--reuid",
        &user,
        "--regid",
        &user,
        "--clear-groups",
        "--no-new-privs",
        &inherited,
        &ambient,
        &bounding,
        PROGRAM,
    ];
    let mut agents = Agents::start_but(PROGRAM, &cluster, "s1").await;
    agents.start_by(&words.map(str::to_owned), &cluster, "s1", &[]).await;
    let mut manager = Manager::spawn_in(PROGRAM, &cluster, &net.host(MANAGER).namespace);
    manager.is_ready().await;
    in_force(&manager).await;
    is_held_by(&net, 0).await;
    let report = manager.check().await;
    let can = host(&report, &cluster.address("s1"));
    for one in [&can.watch, &can.kill, &can.read_files, &can.lease] {
        assert_eq!(one, &Can::Yes, "{can:?}");
    }
    rows_of_its_own(&cluster).await;
    cluster.freeze("s1").await;
    let winner = cluster.name_of(&manager.has_done(Failover, LONG).await).unwrap();
    assert!(manager.log().contains("is fenced (agent)"), "{}", manager.log());
    assert!(!cluster.is_alive("s1"));
    are_rescued(&cluster, &winner).await;
    is_held_by(&net, if winner == "s3" { 2 } else { 1 }).await;
    assert!(agents.log("s1").contains("given up"), "{}", agents.log("s1"));
    // Whoever fences has to let go as well.
    eventually(LONG, "it may be started again", async || {
        agents.log("s1").contains("it may be started again")
    })
    .await;
    cluster.start("s1").await;
    eventually(LONG * 2, "it is a replica", async || cluster.replicates("s1", &winner).await).await;
    assert_eq!(cluster.writable().await, [winner.as_str()]);
}

async fn as_another_user_with_the_capabilities_of_the_unit(server: &str) {
    let of_addresses = FOR_ADDRESSES.iter().map(|one| (*one).to_owned());
    let all: Vec<String> = of_the_unit().into_iter().chain(of_addresses).collect();
    does_all_it_has_to(server, Some(STRANGER), &all).await;
}

async fn as_the_servers_own_user_with_none_but_for_addresses(server: &str) {
    let of_addresses: Vec<String> = FOR_ADDRESSES.iter().map(|one| (*one).to_owned()).collect();
    does_all_it_has_to(server, None, &of_addresses).await;
}

on_mariadb!(
    as_another_user_with_the_capabilities_of_the_unit,
    as_the_servers_own_user_with_none_but_for_addresses,
);
