//! Servers are built anew from another one's data, through their agents.

use std::fs;
use std::path::{Path, PathBuf};

use primacy_agent_api::{
    AgentClient, AgentError, BackupOrder, Credentials, FaultKind, OfferOrder, Offered, Ticket,
    Transfer, WhoAmI, paths,
};
use primacy_api::{CancelRebuild, ErrorKind, RebuildAnswer, RebuildOrder, RebuildView, Service};
use primacy_certs::Role;
use primacy_store::Outcome;
use primacy_testkit::{Agents, Cluster, Manager, Writer, cluster, eventually, until};
use primacy_types::Millis;

use crate::starting::manager_of;
use crate::{LONG, PROGRAM, on_each_server, on_mariadb, on_mariadb_first};

/// A rebuild of a small server on a busy machine.
pub(crate) const REBUILT: std::time::Duration = std::time::Duration::from_secs(120);

/// Three servers with agents and a manager. `None`, and said so, without the programs that it needs.
async fn three(server: &str) -> Option<(Cluster, Agents, Manager)> {
    three_with(server, |builder| builder).await
}

/// Whether the programs are here that such a server is copied with.
pub(crate) fn is_possible(server: &str) -> bool {
    let lacks = server.starts_with("mariadb") && !Path::new("/usr/bin/mbstream").exists();
    if lacks {
        println!("SKIPPED: mariadb-backup is not installed (apt-get install mariadb-backup)");
        assert!(std::env::var_os("CI").is_none(), "it is required here");
    }
    !lacks
}

pub(crate) async fn three_with(
    server: &str,
    more: impl FnOnce(primacy_testkit::Builder) -> primacy_testkit::Builder,
) -> Option<(Cluster, Agents, Manager)> {
    if !is_possible(server) {
        return None;
    }
    let mut builder = cluster(server).semi_sync(1).with_agents();
    if server.starts_with("mysql") {
        builder = builder.option("plugin_load_add = mysql_clone.so");
    }
    let cluster = more(builder).up().await;
    let agents = Agents::start(PROGRAM, &cluster).await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    Some((cluster, agents, manager))
}

pub(crate) fn order(cluster: &Cluster, server: &str) -> RebuildOrder {
    RebuildOrder::of(cluster.address(server))
}

pub(crate) async fn begin(manager: &Manager, cluster: &Cluster, order: RebuildOrder) -> String {
    let client = manager.client().await;
    let begun = until(LONG, "the rebuild begins", async || {
        match client.rebuild(cluster.name(), order.clone()).await {
            Ok(answer) => Some(answer),
            // The agents may not have said yet what they can.
            Err(error) if error.kind == ErrorKind::Refused => {
                println!("{error}: {:?}", error.reasons);
                None
            }
            Err(error) => panic!("{error}"),
        }
    });
    match begun.await {
        RebuildAnswer::Begun { operation, .. } => operation,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn view(manager: &Manager, cluster: &Cluster, operation: &str) -> RebuildView {
    let views = manager.client().await.rebuilds(cluster.name()).await.unwrap();
    views.into_iter().find(|view| view.operation == operation).unwrap()
}

pub(crate) async fn ended(manager: &Manager, cluster: &Cluster, operation: &str) -> RebuildView {
    let over = async || {
        let view = view(manager, cluster, operation).await;
        view.outcome.is_some().then_some(view)
    };
    until(REBUILT, "the rebuild is over", over).await
}

pub(crate) async fn rebuilt(
    manager: &Manager,
    cluster: &Cluster,
    order: RebuildOrder,
) -> RebuildView {
    let operation = begin(manager, cluster, order).await;
    let view = ended(manager, cluster, &operation).await;
    assert_eq!(view.outcome, Some(Outcome::Done), "{view:?}");
    view
}

/// What lies beside the data directory of a server.
pub(crate) fn beside(cluster: &Cluster, server: &str) -> Vec<PathBuf> {
    let servers = &cluster.sandbox().info().servers;
    let data = servers.iter().find(|one| one.name == server).unwrap().datadir.clone();
    let name = data.file_name().unwrap().to_string_lossy().into_owned();
    let all = fs::read_dir(data.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(&format!("{name}.")))
        .collect()
}

async fn a_replica_is_rebuilt_while_the_cluster_serves_writes(server: &str) {
    let Some((cluster, _agents, manager)) = three(server).await else { return };
    let writer = Writer::start(&cluster).await;
    writer.goes_on(100).await;
    let id = cluster.cell("s3", "SELECT @@server_id").await;
    let view = rebuilt(&manager, &cluster, order(&cluster, "s3")).await;
    assert_eq!(view.donor, cluster.address("s2"), "a replica gives by preference");
    assert!(view.bytes > 0);
    writer.goes_on(100).await;
    assert!(cluster.replicates("s3", "s1").await);
    assert_eq!(cluster.cell("s3", "SELECT @@server_id").await, id);
    assert_eq!(cluster.cell("s3", "SELECT @@global.read_only").await.as_deref(), Some("1"));
    let old = PathBuf::from(view.old_data.unwrap());
    assert!(old.join("ibdata1").exists(), "{}", old.display());
    assert_eq!(beside(&cluster, "s3"), [old]);
    if !cluster.is_mariadb() {
        let mut uuids = Vec::new();
        for name in cluster.names() {
            uuids.push(cluster.cell(&name, "SELECT @@server_uuid").await.unwrap());
        }
        uuids.sort();
        uuids.dedup();
        assert_eq!(uuids.len(), 3, "each has an identity of its own");
    }
    let history = manager.operation(&view.operation).await;
    assert_eq!(history.operation.kind, "rebuild");
    writer.finish(&cluster).await.everyone_has_everything();
}

/// An old primary that took rows nobody else has: after its rebuild it has what the others have, and
/// what it wrote before as primary too.
async fn an_old_primary_with_rows_of_its_own_is_rebuilt(server: &str) {
    let Some((cluster, _agents, manager)) = three(server).await else { return };
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    cluster.sql("s1", "INSERT INTO app.t VALUES (1)").await;
    manager.switchover(Some(cluster.address("s2"))).await;
    cluster.sql("s2", "INSERT INTO app.t VALUES (2)").await;
    eventually(LONG, "s1 follows", async || cluster.replicates("s1", "s2").await).await;
    if !cluster.speaks_old() {
        cluster.sql("s1", "SET GLOBAL super_read_only = OFF").await;
    }
    cluster.sql("s1", "INSERT INTO app.t VALUES (99)").await;
    let view = rebuilt(&manager, &cluster, order(&cluster, "s1")).await;
    assert_eq!(view.donor, cluster.address("s3"));
    cluster.sql("s2", "INSERT INTO app.t VALUES (3)").await;
    let rows = "SELECT GROUP_CONCAT(id ORDER BY id) FROM app.t";
    eventually(LONG, "it has what the others have", async || {
        cluster.cell("s1", rows).await.as_deref() == Some("1,2,3")
    })
    .await;
}

/// The same without a person, where policy says so.
async fn policy_replaces_the_data_of_an_old_primary_with_rows_of_its_own(server: &str) {
    let wanted = |builder: primacy_testkit::Builder| builder.policy("on_errant = \"rebuild\"");
    let Some((cluster, _agents, mut manager)) = three_with(server, wanted).await else { return };
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    cluster.sql("s1", "INSERT INTO app.t VALUES (1)").await;
    cluster.catches_up("s2", "s1").await;
    cluster.kill("s1").await;
    let winner = manager.has_done(primacy_plan::OperationKind::Failover, LONG).await;
    let winner = cluster.name_of(&winner).unwrap();
    cluster.sql(&winner, "INSERT INTO app.t VALUES (2)").await;
    manager.terminate().await;
    cluster.start("s1").await;
    // Somebody who may do so writes there although it is closed: it is its agent that holds it.
    if !cluster.speaks_old() {
        cluster.sql("s1", "SET GLOBAL super_read_only = OFF").await;
    }
    cluster.sql("s1", "INSERT INTO app.t VALUES (99)").await;
    let manager = Manager::spawn(PROGRAM, &cluster, &[]);
    let rows = "SELECT GROUP_CONCAT(id ORDER BY id) FROM app.t";
    eventually(REBUILT, "it has what the others have", async || {
        cluster.cell("s1", rows).await.as_deref() == Some("1,2")
    })
    .await;
    eventually(REBUILT, "it is in its place", async || {
        manager.explain().await.snapshot.absent.is_empty()
    })
    .await;
    cluster.all_replicate(&["s1"], &winner).await;
    let saved = cluster.socket().parent().unwrap().join("errant").join(cluster.name());
    assert_eq!(fs::read_dir(saved).unwrap().count(), 2, "what only it had is on file");
}

/// The donor's state is older than what the recipient wrote itself: it gets that too.
async fn a_server_gets_its_own_earlier_events_too(server: &str) {
    let Some((cluster, _agents, manager)) = three(server).await else { return };
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    cluster.catches_up("s3", "s1").await;
    cluster.delay("s3").await;
    for id in 1..=20 {
        cluster.sql("s1", &format!("INSERT INTO app.t VALUES ({id})")).await;
    }
    manager.switchover(Some(cluster.address("s2"))).await;
    eventually(LONG, "s1 follows", async || cluster.replicates("s1", "s2").await).await;
    let rows = "SELECT COUNT(*) FROM app.t";
    assert_eq!(cluster.cell("s3", rows).await.as_deref(), Some("0"), "the donor is behind");
    let mut wanted = order(&cluster, "s1");
    wanted.from = Some(cluster.address("s3"));
    let id = cluster.cell("s1", "SELECT @@server_id").await;
    rebuilt(&manager, &cluster, wanted).await;
    assert_eq!(cluster.cell("s1", rows).await.as_deref(), Some("20"));
    assert_eq!(cluster.cell("s1", "SELECT @@server_id").await, id);
    assert!(cluster.replicates("s1", "s2").await);
}

async fn the_primary_is_never_rebuilt(server: &str) {
    let Some((cluster, _agents, manager)) = three(server).await else { return };
    let client = manager.client().await;
    let refused = client.rebuild(cluster.name(), order(&cluster, "s1")).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Refused);
    assert!(refused.reasons[0].remedy.contains("primacy switchover"), "{refused:?}");
}

/// The donor dies in the middle: nothing of the recipient was changed.
async fn a_donor_that_dies_costs_nothing(server: &str) {
    let Some((cluster, _agents, manager)) = three(server).await else { return };
    let writer = Writer::start(&cluster).await;
    writer.goes_on(50).await;
    let mut slowly = order(&cluster, "s3");
    slowly.rate = Some(4 << 20);
    let operation = begin(&manager, &cluster, slowly).await;
    let moves = async || view(&manager, &cluster, &operation).await.bytes > 0;
    eventually(REBUILT, "something is copied", moves).await;
    cluster.kill("s2").await;
    let view = ended(&manager, &cluster, &operation).await;
    assert_eq!(view.outcome, Some(Outcome::BackedOut), "{view:?}");
    let sentence = view.sentence.unwrap();
    assert!(sentence.contains("has the data that it had"), "{sentence}");
    eventually(LONG, "nothing is left of it", async || beside(&cluster, "s3").is_empty()).await;
    assert!(cluster.replicates("s3", "s1").await);
    cluster.start("s2").await;
    writer.finish(&cluster).await.everyone_has_everything();
}

/// The other replica goes away while it copies: what commits wait for is not shut down.
async fn the_last_acknowledging_replica_gets_its_data_when_another_is_back(server: &str) {
    let Some((cluster, _agents, manager)) = three(server).await else { return };
    let writer = Writer::start(&cluster).await;
    writer.goes_on(50).await;
    let mut slowly = order(&cluster, "s3");
    (slowly.rate, slowly.from) = (Some(8 << 20), Some(cluster.address("s1")));
    let operation = begin(&manager, &cluster, slowly).await;
    let moves = async || view(&manager, &cluster, &operation).await.bytes > 0;
    eventually(REBUILT, "something is copied", moves).await;
    cluster.kill("s2").await;
    eventually(REBUILT, "the copy waits", async || {
        let seen = view(&manager, &cluster, &operation).await;
        assert_eq!(seen.outcome, None, "{seen:?}");
        let told = manager.operation(&operation).await.timeline;
        told.iter().any(|event| event.text.contains("the cluster needs"))
    })
    .await;
    writer.goes_on(50).await;
    cluster.start("s2").await;
    let view = ended(&manager, &cluster, &operation).await;
    assert_eq!(view.outcome, Some(Outcome::Done), "{view:?}");
    writer.goes_on(50).await;
    writer.finish(&cluster).await.everyone_has_everything();
}

/// It is ended by a person while it copies; a failover meanwhile is not kept waiting.
async fn a_failover_does_not_wait_for_a_rebuild(server: &str) {
    let Some((cluster, _agents, manager)) = three(server).await else { return };
    let writer = Writer::start(&cluster).await;
    writer.goes_on(50).await;
    let mut slowly = order(&cluster, "s3");
    slowly.rate = Some(2 << 20);
    let operation = begin(&manager, &cluster, slowly).await;
    let moves = async || view(&manager, &cluster, &operation).await.bytes > 0;
    eventually(REBUILT, "something is copied", moves).await;
    cluster.kill("s1").await;
    eventually(LONG, "another server is the primary", async || {
        manager.view().await.primary.is_some_and(|primary| primary != cluster.address("s1"))
            && !cluster.writable().await.is_empty()
    })
    .await;
    let still = view(&manager, &cluster, &operation).await;
    if still.outcome.is_none() {
        let order = CancelRebuild { server: cluster.address("s3") };
        let cancelled = manager.client().await.cancel_rebuild(cluster.name(), order).await.unwrap();
        assert_eq!(cancelled.outcome, Some(Outcome::BackedOut), "{cancelled:?}");
    }
    assert!(beside(&cluster, "s3").is_empty());
    writer.finish(&cluster).await.nothing_is_lost();
}

/// What was copied is given up, and nothing is left of it, whoever is restarted meanwhile.
async fn a_restart_in_the_midst_of_copying_leaves_nothing(server: &str) {
    let Some((cluster, mut agents, mut manager)) = three(server).await else { return };
    let slowly = || RebuildOrder { rate: Some(4 << 20), ..order(&cluster, "s3") };
    let operation = begin(&manager, &cluster, slowly()).await;
    let moves = async || view(&manager, &cluster, &operation).await.bytes > 0;
    eventually(REBUILT, "something is copied", moves).await;
    agents.kill("s3").await;
    agents.start_one(PROGRAM, &cluster, "s3").await;
    let view = ended(&manager, &cluster, &operation).await;
    assert_eq!(view.outcome, Some(Outcome::BackedOut), "{view:?}");
    eventually(LONG, "nothing is left of it", async || beside(&cluster, "s3").is_empty()).await;

    let operation = begin(&manager, &cluster, slowly()).await;
    let moves = async || self::view(&manager, &cluster, &operation).await.bytes > 0;
    eventually(REBUILT, "something is copied", moves).await;
    manager.kill9();
    let manager = Manager::start(PROGRAM, &cluster).await;
    let view = ended(&manager, &cluster, &operation).await;
    assert_eq!(view.outcome, Some(Outcome::BackedOut), "{view:?}");
    eventually(LONG, "nothing is left of it", async || beside(&cluster, "s3").is_empty()).await;
    assert!(cluster.replicates("s3", "s1").await);
    rebuilt(&manager, &cluster, order(&cluster, "s3")).await;
}

/// A file system of limited size; unmounted with this.
struct Small(PathBuf);

impl Small {
    /// Puts the folder of a server that is shut down on one of so many MB. `None`, and said so, if we
    /// may not mount.
    fn under(folder: &Path, megabytes: u64) -> Option<Self> {
        let aside = folder.with_extension("aside");
        fs::rename(folder, &aside).unwrap();
        fs::create_dir(folder).unwrap();
        let size = format!("size={megabytes}m,mode=0755");
        let folder = folder.to_owned();
        if !run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", folder.to_str().unwrap()]) {
            println!("SKIPPED: no file system can be mounted here");
            return None;
        }
        let small = Self(folder);
        let from = format!("{}/.", aside.display());
        assert!(run("cp", &["-a", &from, small.0.to_str().unwrap()]), "the data fits");
        Some(small)
    }

    /// Takes all that is left, at once: nothing is written.
    fn fill(&self) -> PathBuf {
        use rustix::fs::{FallocateFlags, fallocate, statvfs};
        let path = self.0.join("ballast");
        let file = fs::File::create(&path).unwrap();
        let left = || statvfs(&self.0).map(|disk| disk.f_bavail * disk.f_frsize).unwrap();
        let mut taken = 0;
        while left() > 0 {
            let more = left().next_power_of_two() / 2;
            match fallocate(&file, FallocateFlags::empty(), taken, more) {
                Ok(()) => taken += more,
                Err(error) => assert!(more > 4096, "nothing can be taken: {error}"),
            }
        }
        path
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        run("umount", &["-l", self.0.to_str().unwrap()]);
    }
}

fn run(program: &str, arguments: &[&str]) -> bool {
    std::process::Command::new(program).args(arguments).status().is_ok_and(|s| s.success())
}

/// A disk that is full, before or in the midst of it, costs nothing but the rebuild.
async fn a_full_disk_costs_nothing(server: &str) {
    let Some((cluster, _agents, manager)) = three(server).await else { return };
    let servers = &cluster.sandbox().info().servers;
    let folder = servers.iter().find(|one| one.name == "s3").unwrap().dir.clone();
    cluster.stop("s3").await;
    let Some(small) = Small::under(&folder, 700) else { return };
    cluster.start("s3").await;
    eventually(LONG, "it replicates", async || cluster.replicates("s3", "s1").await).await;
    manager.has_looked_again(&cluster.address("s3")).await;
    let ballast = small.fill();
    let operation = begin(&manager, &cluster, order(&cluster, "s3")).await;
    let view = ended(&manager, &cluster, &operation).await;
    assert_eq!(view.outcome, Some(Outcome::BackedOut), "{view:?}");
    let sentence = view.sentence.unwrap();
    assert!(sentence.contains("MB are free; make room"), "{sentence}");
    fs::remove_file(&ballast).unwrap();
    // Copying has half a minute to go when the disk is full, however slow the machine is.
    let slowly = RebuildOrder { rate: Some(1 << 20), ..order(&cluster, "s3") };
    let operation = begin(&manager, &cluster, slowly).await;
    let moves = async || self::view(&manager, &cluster, &operation).await.bytes > 0;
    eventually(REBUILT, "something is copied", moves).await;
    let ballast = small.fill();
    let view = ended(&manager, &cluster, &operation).await;
    assert_eq!(view.outcome, Some(Outcome::BackedOut), "{view:?}");
    let sentence = view.sentence.unwrap();
    assert!(sentence.contains("No space left") || sentence.contains("28"), "{sentence}");
    assert!(beside(&cluster, "s3").is_empty());
    fs::remove_file(&ballast).unwrap();
    eventually(LONG, "it replicates", async || cluster.replicates("s3", "s1").await).await;
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    cluster.catches_up("s3", "s1").await;
    cluster.stop("s3").await;
}

/// A data directory that is a mount point cannot be renamed: all happens inside of it.
async fn a_mounted_data_directory_is_rebuilt_inside(server: &str) {
    let Some((cluster, _agents, manager)) = three(server).await else { return };
    let servers = &cluster.sandbox().info().servers;
    let data = servers.iter().find(|one| one.name == "s3").unwrap().datadir.clone();
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    cluster.catches_up("s3", "s1").await;
    cluster.stop("s3").await;
    let Some(small) = Small::under(&data, 700) else { return };
    cluster.start("s3").await;
    eventually(LONG, "it replicates", async || cluster.replicates("s3", "s1").await).await;
    manager.has_looked_again(&cluster.address("s3")).await;
    let mut old = Vec::new();
    for _ in 0..2 {
        let view = rebuilt(&manager, &cluster, order(&cluster, "s3")).await;
        old.push(PathBuf::from(view.old_data.unwrap()));
    }
    let inside = |path: &Path| path.parent() == Some(&*small.0) && path.join("ibdata1").exists();
    assert!(inside(&old[1]) && !old[0].exists(), "one is kept: {old:?}");
    cluster.sql("s1", "INSERT INTO app.t VALUES (1)").await;
    cluster.catches_up("s3", "s1").await;
    cluster.sql("s3", "SHUTDOWN").await;
    eventually(LONG, "it is down", async || cluster.try_root("s3").await.is_err()).await;
}

/// What a person sees.
async fn the_command_follows_a_rebuild(server: &str) {
    let Some((cluster, _agents, manager)) = three(server).await else { return };
    manager.has_looked_again(&cluster.address("s3")).await;
    let s3 = cluster.address("s3").to_string();
    let call = async |more: &[&str]| {
        let mut command = tokio::process::Command::new(PROGRAM);
        command.arg("rebuild").arg(&s3).args(more).env("PRIMACY_CONFIG", cluster.config());
        let output = command.kill_on_drop(true).stdin(std::process::Stdio::null()).output();
        let output = tokio::time::timeout(REBUILT, output).await.unwrap().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, out, err) = call(&["--dry-run"]).await;
    assert!(code == Some(0) && out.contains("1. copy the data of"), "{out}{err}");
    let (code, _, err) = call(&[]).await;
    assert!(code == Some(2) && err.contains("add --yes"), "{err}");
    let (code, out, err) = call(&["--yes", "--remove-old"]).await;
    assert!(code == Some(0) && out.contains("its old data was removed"), "{out}{err}");
    assert!(err.contains("copying"), "{err}");
    assert!(beside(&cluster, "s3").is_empty());
    let (code, out, _) = call(&["--yes", "--json"]).await;
    let view: RebuildView = serde_json::from_str(&out).unwrap();
    assert_eq!((code, view.outcome), (Some(0), Some(Outcome::Done)));
    let (_, _, err) = call(&["--cancel"]).await;
    assert!(err.contains("no rebuild of"), "{err}");
}

/// A server that the configuration does not have yet.
async fn a_replica_is_added(server: &str) {
    if !is_possible(server) {
        return;
    }
    let mut builder = cluster(server).semi_sync(1).with_agents();
    if server.starts_with("mysql") {
        builder = builder.option("plugin_load_add = mysql_clone.so");
    }
    let cluster = builder.up().await;
    // s3 becomes a server of its own.
    cluster.say("s3", "STOP SLAVE", "STOP REPLICA").await;
    cluster.say("s3", "RESET SLAVE ALL", "RESET REPLICA ALL").await;
    let text = fs::read_to_string(cluster.config()).unwrap();
    let head =
        format!("[[cluster.{}.server]]\naddress = \"{}\"", cluster.name(), cluster.address("s3"));
    let (before, rest) = text.split_once(&head).unwrap();
    let rest = rest.split_once("\n[").map(|(_, rest)| format!("[{rest}")).unwrap_or_default();
    fs::write(cluster.config(), format!("# ours\n{before}{rest}")).unwrap();
    let _agents = Agents::start(PROGRAM, &cluster).await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    manager.has_looked_again(&cluster.address("s2")).await;
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    cluster.sql("s1", "INSERT INTO app.t VALUES (1)").await;
    let (s3, agent) = (cluster.address("s3").to_string(), cluster.agent("s3").to_string());
    let call = async |more: &[&str]| {
        let mut command = tokio::process::Command::new(PROGRAM);
        command.args(["add-replica", &s3, "--agent", &agent]).args(more);
        command.env("PRIMACY_CONFIG", cluster.config()).kill_on_drop(true);
        let output = command.stdin(std::process::Stdio::null()).output();
        let output = tokio::time::timeout(REBUILT, output).await.unwrap().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    cluster.sql("s3", "SET GLOBAL server_id = 1").await;
    let (code, out, err) = call(&["--yes"]).await;
    assert!(code == Some(1) && err.contains("both have server_id 1"), "{out}{err}");
    cluster.sql("s3", "SET GLOBAL server_id = 3").await;
    let (code, out, err) = call(&["--dry-run"]).await;
    assert!(code == Some(0) && out.contains(&s3), "{out}{err}");
    let (code, out, err) = call(&["--yes"]).await;
    assert!(code == Some(0) && out.contains("was rebuilt from"), "{out}{err}");
    assert!(fs::read_to_string(cluster.config()).unwrap().starts_with("# ours\n"));
    assert!(cluster.replicates("s3", "s1").await);
    cluster.sql("s1", "INSERT INTO app.t VALUES (2)").await;
    cluster.catches_up("s3", "s1").await;
    assert_eq!(cluster.cell("s3", "SELECT COUNT(*) FROM app.t").await.as_deref(), Some("2"));
}

/// What an agent's certificate alone is good for: nothing.
async fn data_is_given_for_a_ticket_only(server: &str) {
    let Some((cluster, _agents, _manager)) = three(server).await else { return };
    let folder = cluster.config().parent().unwrap().join("certs");
    let as_agent = |name: &str| {
        let paths = primacy_certs::Paths {
            certificate: folder.join(format!("{name}.crt")),
            key: folder.join(format!("{name}.key")),
            authority: folder.join("authority.crt"),
        };
        let credentials = Credentials::load(paths, &Role::ALL).unwrap();
        AgentClient::new(cluster.agent("s2"), credentials.into())
    };
    let ask = async |client: &AgentClient, ticket: &Ticket| {
        let order = BackupOrder { server: cluster.address("s2"), ticket: ticket.clone() };
        client.stream(paths::BACKUP, &order, LONG).await.map(drop)
    };
    let refused = |result: Result<(), AgentError>| {
        let error = result.unwrap_err();
        assert_eq!(error.fault().unwrap().kind, FaultKind::Forbidden, "{error}");
    };
    let (s1, s3) = (as_agent("s1"), as_agent("s3"));
    refused(ask(&s3, &Ticket::new([0; 32])).await);
    let manager = manager_of(&cluster, "s2");
    let offer = async |byte: u8, to: &str| {
        let ticket = Ticket::new([byte; 32]);
        let order = OfferOrder {
            server: cluster.address("s2"),
            id: format!("0199f0a0-7c3e-7b1c-8a3e-0000000000{byte:02}").parse().unwrap(),
            ticket: ticket.clone(),
            recipient: to.to_owned(),
            valid: Millis::from_secs(30),
            rate: None,
            max_lag: None,
            transfer: Transfer::Backup,
        };
        let offered: Offered = manager.ask(paths::OFFER, &order, LONG).await.unwrap();
        assert!(offered.bytes > 0 && offered.tool.contains("mariadb-backup"), "{offered:?}");
        ticket
    };
    // Whatever becomes part of a path is refused before it does.
    let path = serde_json::json!({
        "server": cluster.address("s2"), "id": "a/../../data", "ticket": Ticket::new([9; 32]),
        "recipient": "s3", "valid": 30_000, "rate": null, "max_lag": null,
    });
    let error = manager.ask::<Offered>(paths::OFFER, &path, LONG).await.unwrap_err();
    assert!(error.fault().is_some(), "{error}");
    // Only a manager makes offers.
    let who = s3.ask::<WhoAmI>(paths::WHO, &(), LONG).await.unwrap_err();
    assert_eq!(who.fault().unwrap().kind, FaultKind::Forbidden);
    let stolen = offer(1, "s3").await;
    refused(ask(&s1, &stolen).await);
    // Once it was shown by somebody else it is worth nothing.
    refused(ask(&s3, &stolen).await);
    let good = offer(2, "s3").await;
    ask(&s3, &good).await.unwrap();
    refused(ask(&s3, &good).await);
}

on_each_server!(
    a_replica_is_rebuilt_while_the_cluster_serves_writes,
    a_donor_that_dies_costs_nothing,
    a_server_gets_its_own_earlier_events_too,
    a_restart_in_the_midst_of_copying_leaves_nothing,
    a_replica_is_added,
);
on_mariadb_first!(
    an_old_primary_with_rows_of_its_own_is_rebuilt,
    policy_replaces_the_data_of_an_old_primary_with_rows_of_its_own,
    the_primary_is_never_rebuilt,
    a_failover_does_not_wait_for_a_rebuild,
    the_last_acknowledging_replica_gets_its_data_when_another_is_back,
);
on_mariadb!(
    a_full_disk_costs_nothing,
    the_command_follows_a_rebuild,
    a_mounted_data_directory_is_rebuilt_inside,
    data_is_given_for_a_ticket_only,
);
