//! Agent and manager die at each place of a rebuild. The server ends with its old data or with the
//! new, running and replicating; nothing of an attempt is left that its outcome does not name.

use std::fs;
use std::path::PathBuf;

use primacy_agent_api::{JobAct, JobOrder, JobPhase, JobState, OfServer, paths};
use primacy_api::{ErrorKind, RebuildOrder, RebuildView, RejoinOrder, Service as _};
use primacy_host::{AgentHost, HostAccess as _};
use primacy_store::Outcome;
use primacy_testkit::{Agents, Cluster, Manager, cluster, eventually, until};
use primacy_types::Millis;

use crate::rebuild::{REBUILT, begin, beside, ended, is_possible, order, three_with};
use crate::restarting::process;
use crate::starting::manager_of;
use crate::{LONG, PROGRAM, on_mariadb};

/// Before the new data is in place, and what the agent does then at once: the old data stays.
const SWAP: &[&str] = &[
    "before:build-make",
    "after:build-make",
    "before:swap-stop",
    "after:swap-stop",
    "after:swap-old",
    "after:swap-new",
    "amid:swap-logs",
    "after:swap-exchange",
];

/// The new data stands, and the old is kept.
const STANDS: &[&str] = &[
    "before:swap-start",
    "after:swap-start",
    "before:swapped",
    "after:swapped",
    "after:keep-clear",
    "before:keep-ended",
];

/// The new data stands, and nothing is kept.
const REMOVED: &[&str] =
    &["before:remove", "after:keep-clear", "amid:remove-old", "before:keep-ended"];

/// The way back from new data whose server does not come up and had begun new logs.
const BACK: &[&str] = &[
    "before:back-stop",
    "after:back-stop",
    "amid:back-new-logs",
    "amid:back-old-logs",
    "after:back-new",
    "after:back-old",
    "before:back-start",
    "after:back-start",
    "after:failed-clear",
];

/// The manager's own: nothing was ordered yet.
const NOT_ORDERED: &[&str] = &["before:rebuild-swap"];

/// The new data stands, whoever goes on with it.
const ORDERED: &[&str] = &[
    "after:rebuild-swap",
    "before:rebuild-join",
    "after:rebuild-follow",
    "after:rebuild-caught-up",
    "after:rebuild-own-id",
    "after:rebuild-join",
    "before:rebuild-end",
];

/// Logs are outside of the data directory, so that they change places, too.
async fn three(server: &str) -> Option<(Cluster, Agents, Manager)> {
    three_with(server, |builder| {
        builder.option("log_bin = ../binlog").option("relay_log = ../relay")
    })
    .await
}

/// Where the logs of `s3` are.
fn logs_of(cluster: &Cluster) -> PathBuf {
    let servers = &cluster.sandbox().info().servers;
    let data = &servers.iter().find(|one| one.name == "s3").unwrap().datadir;
    data.parent().unwrap().to_owned()
}

/// Old logs that were put aside there.
fn logs_aside(cluster: &Cluster) -> Vec<PathBuf> {
    let all = fs::read_dir(logs_of(cluster)).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    all.filter(|path| name(path).contains(".logs-before-rebuild-")).collect()
}

/// What must be true when a rebuild of `s3` is over, whatever happened in its course.
async fn all_is_accounted_for(
    cluster: &Cluster,
    view: &RebuildView,
    outcome: Outcome,
    place: &str,
    row: u32,
) {
    assert_eq!(view.outcome, Some(outcome), "at {place}: {view:?}");
    let named: Vec<PathBuf> = view.old_data.iter().map(PathBuf::from).collect();
    let sentence = view.sentence.clone().unwrap();
    match view.outcome {
        Some(Outcome::Done) => {
            let kept = named.first().unwrap_or_else(|| panic!("at {place}: {view:?}"));
            assert!(sentence.contains(kept.to_str().unwrap()), "at {place}: {sentence}");
            assert!(kept.join("ibdata1").exists(), "at {place}: {view:?}");
            assert_eq!(logs_aside(cluster).len(), 1, "at {place}");
        }
        Some(Outcome::BackedOut) => {
            assert!(named.is_empty(), "at {place}: {view:?}");
            assert!(logs_aside(cluster).is_empty(), "at {place}: {:?}", logs_aside(cluster));
        }
        _ => panic!("at {place}: {view:?}"),
    }
    eventually(LONG, &format!("at {place}: nothing else is left ({view:?})"), async || {
        beside(cluster, "s3").iter().all(|path| named.contains(path))
    })
    .await;
    let runs = async || cluster.try_root("s3").await.is_ok();
    eventually(LONG, &format!("at {place}: s3 runs"), runs).await;
    let replicates = async || cluster.replicates("s3", "s1").await;
    eventually(LONG, &format!("at {place}: s3 replicates ({view:?})"), replicates).await;
    cluster.sql("s1", &format!("INSERT INTO app.t VALUES ({row})")).await;
    eventually(LONG, &format!("at {place}: s3 has every row"), async || {
        let rows = cluster.cell("s3", "SELECT COUNT(*) FROM app.t").await;
        rows == Some(row.to_string())
    })
    .await;
}

/// Starts the agent so that it dies at a place.
async fn dies_at(agents: &mut Agents, cluster: &Cluster, place: &str) {
    agents.start_with(PROGRAM, cluster, "s3", &[("PRIMACY_FAILPOINT", place)]).await;
}

async fn has_died(agents: &Agents, place: &str) {
    eventually(REBUILT, &format!("the agent dies at {place}"), async || {
        agents.log("s3").contains(&format!("failpoint {place}:"))
    })
    .await;
}

/// At each of these the agent dies, and the next one puts things right.
async fn an_agent_dies_at_each_place_of_the_swap(server: &str) {
    let Some((cluster, mut agents, manager)) = three(server).await else { return };
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    agents.stop("s3").await;
    dies_at(&mut agents, &cluster, SWAP[0]).await;
    for (row, place) in (1..).zip(SWAP) {
        manager.has_looked_again(&cluster.address("s3")).await;
        let operation = begin(&manager, &cluster, order(&cluster, "s3")).await;
        has_died(&agents, place).await;
        agents.kill("s3").await;
        // It puts things right before it dies itself: the way back is another one.
        let next = SWAP.iter().skip_while(|one| *one != place).nth(1);
        dies_at(&mut agents, &cluster, next.unwrap_or(&"nowhere")).await;
        let view = ended(&manager, &cluster, &operation).await;
        println!("{place}: {:?} {:?}", view.outcome, view.sentence);
        all_is_accounted_for(&cluster, &view, Outcome::BackedOut, place, row).await;
    }
}

/// One agent after another dies, each at the next place, and goes on with what the one before has left.
async fn agents_die(agents: &mut Agents, cluster: &Cluster, places: &[&str]) {
    for place in places {
        dies_at(agents, cluster, place).await;
        has_died(agents, place).await;
        agents.kill("s3").await;
    }
    agents.start_one(PROGRAM, cluster, "s3").await;
}

/// The same for one rebuild of `s3` from its beginning.
async fn agents_die_in_a_rebuild(
    (cluster, agents, manager): &mut (Cluster, Agents, Manager),
    wanted: RebuildOrder,
    places: &[&str],
) -> RebuildView {
    agents.stop("s3").await;
    dies_at(agents, cluster, places[0]).await;
    manager.has_looked_again(&cluster.address("s3")).await;
    let operation = begin(manager, cluster, wanted).await;
    has_died(agents, places[0]).await;
    agents.kill("s3").await;
    agents_die(agents, cluster, &places[1..]).await;
    let view = ended(manager, cluster, &operation).await;
    println!("{places:?}: {:?} {:?}", view.outcome, view.sentence);
    view
}

async fn an_agent_dies_when_the_new_data_stands(server: &str) {
    let Some(mut all) = three(server).await else { return };
    all.0.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    let wanted = order(&all.0, "s3");
    let view = agents_die_in_a_rebuild(&mut all, wanted, STANDS).await;
    all_is_accounted_for(&all.0, &view, Outcome::Done, "all of them", 1).await;
}

async fn an_agent_dies_while_the_old_data_is_removed(server: &str) {
    let Some(mut all) = three(server).await else { return };
    let wanted = RebuildOrder { remove_old: true, ..order(&all.0, "s3") };
    let view = agents_die_in_a_rebuild(&mut all, wanted, REMOVED).await;
    assert_eq!((view.outcome, &view.old_data), (Some(Outcome::Done), &None), "{view:?}");
    assert!(view.sentence.unwrap().contains("its old data was removed"));
    let left = [beside(&all.0, "s3"), logs_aside(&all.0)].concat();
    assert!(left.is_empty(), "{left:?}");
    assert!(all.0.replicates("s3", "s1").await);
}

/// A server that ends when nobody reckons with it any more is started by the agent, also by one that
/// was itself started meanwhile; where that fails, the rebuild does not end as if nothing had happened.
async fn a_server_that_shuts_down_too_late_is_started_again(server: &str) {
    let Some((cluster, mut agents, mut manager)) = three(server).await else { return };
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    for starts in [true, false] {
        if !starts {
            // The sandbox freezes only what it has started itself.
            cluster.sql("s3", "SHUTDOWN").await;
            let down = async || cluster.try_root("s3").await.is_err();
            eventually(LONG, "it is down", down).await;
            cluster.start("s3").await;
        }
        manager.kill9();
        let place = "before:rebuild-swap";
        manager = Manager::spawn(PROGRAM, &cluster, &[("PRIMACY_FAILPOINT", place)]);
        manager.is_ready().await;
        let operation = begin(&manager, &cluster, order(&cluster, "s3")).await;
        manager.wait_exit(REBUILT).await;
        cluster.freeze("s3").await;
        let agent = manager_of(&cluster, "s3");
        let (server, limit) = (cluster.address("s3"), Millis::from_secs(1));
        let id = operation.parse().unwrap();
        let swap = JobOrder { server: server.clone(), id, act: JobAct::Swap, limit };
        agent.ask::<JobState>(paths::JOB, &swap, LONG).await.unwrap();
        let of = OfServer { server, limit: Millis::from_secs(5) };
        let comes_to = async |phase: JobPhase| {
            until(LONG, &format!("the job is {phase:?}"), async || {
                let job = agent.ask::<Option<JobState>>(paths::JOB_STATE, &of, LONG).await;
                job.ok().flatten().filter(|job| job.phase == phase)
            })
            .await
        };
        let said = comes_to(JobPhase::Late).await.error.unwrap();
        assert!(said.contains("started with its old data when it has ended"), "{said}");
        agents.kill("s3").await;
        if !starts {
            let file = cluster.config().parent().unwrap().join("agent-s3.toml");
            let text = fs::read_to_string(&file).unwrap();
            fs::write(&file, text.replace("/usr/bin/env", "/usr/bin/false")).unwrap();
        }
        agents.start_one(PROGRAM, &cluster, "s3").await;
        comes_to(JobPhase::Late).await;
        cluster.thaw("s3").await;
        let said = comes_to(JobPhase::Failed).await.error.unwrap();
        assert_eq!(said.contains("nothing was changed") && said.contains("runs again"), starts);
        manager = another_manager(&cluster).await;
        let view = ended(&manager, &cluster, &operation).await;
        if starts {
            all_is_accounted_for(&cluster, &view, Outcome::BackedOut, "a late end", 1).await;
        } else {
            assert_eq!(view.outcome, Some(Outcome::Failed), "{view:?}");
            assert!(view.sentence.unwrap().contains("does not run"));
            assert!(beside(&cluster, "s3").is_empty() && logs_aside(&cluster).is_empty());
        }
    }
}

async fn an_agent_dies_at_each_place_of_the_way_back(server: &str) {
    let Some((cluster, mut agents, manager)) = three(server).await else { return };
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    let first_log = logs_of(&cluster).join("binlog.000001");
    let begin_of = |path: &PathBuf| fs::read(path).unwrap().get(..4).map(<[u8]>::to_vec);
    agents.stop("s3").await;
    dies_at(&mut agents, &cluster, "before:swap-start").await;
    manager.has_looked_again(&cluster.address("s3")).await;
    let operation = begin(&manager, &cluster, order(&cluster, "s3")).await;
    has_died(&agents, "before:swap-start").await;
    agents.kill("s3").await;
    // The server will not come up with the new data, and seems to have begun a log.
    let servers = &cluster.sandbox().info().servers;
    let data = &servers.iter().find(|one| one.name == "s3").unwrap().datadir;
    fs::write(data.join("ibdata1"), "no tablespace").unwrap();
    assert!(!first_log.exists(), "the old logs are aside");
    fs::write(&first_log, "new").unwrap();
    agents_die(&mut agents, &cluster, BACK).await;
    let view = ended(&manager, &cluster, &operation).await;
    println!("{:?} {:?}", view.outcome, view.sentence);
    assert_eq!(begin_of(&first_log).unwrap(), b"\xfebin", "the old log is back");
    all_is_accounted_for(&cluster, &view, Outcome::BackedOut, "all of them", 1).await;
}

/// One that goes on where another died; the cluster need not be well.
async fn another_manager(cluster: &Cluster) -> Manager {
    let manager = Manager::spawn(PROGRAM, cluster, &[]);
    manager.listens().await;
    manager
}

/// One manager after another dies, each at the next place, and goes on with what the one before has left.
async fn managers_die(
    cluster: &Cluster,
    manager: &mut Manager,
    wanted: RebuildOrder,
    places: &[&str],
) -> String {
    let mut operation = None;
    for place in places {
        manager.kill9();
        *manager = Manager::spawn(PROGRAM, cluster, &[("PRIMACY_FAILPOINT", place)]);
        if operation.is_none() {
            manager.is_ready().await;
            operation = Some(begin(manager, cluster, wanted.clone()).await);
        }
        let status = manager.wait_exit(REBUILT).await;
        assert!(manager.log().contains(&format!("failpoint {place}:")), "{place}: {status}");
    }
    operation.unwrap()
}

/// What its replication was set to stays what it is.
async fn a_manager_dies_at_each_place_of_a_rebuild(server: &str) {
    let Some((cluster, _agents, mut manager)) = three(server).await else { return };
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    for sql in ["STOP SLAVE", "CHANGE MASTER TO MASTER_HEARTBEAT_PERIOD = 0.5", "START SLAVE"] {
        cluster.sql("s3", sql).await;
    }
    for (row, outcome, places) in
        [(1, Outcome::BackedOut, NOT_ORDERED), (2, Outcome::Done, ORDERED)]
    {
        let wanted = order(&cluster, "s3");
        let operation = managers_die(&cluster, &mut manager, wanted, places).await;
        manager = another_manager(&cluster).await;
        let view = ended(&manager, &cluster, &operation).await;
        println!("{places:?}: {:?} {:?}", view.outcome, view.sentence);
        all_is_accounted_for(&cluster, &view, outcome, places[0], row).await;
        let period = "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS \
                      WHERE VARIABLE_NAME = 'SLAVE_HEARTBEAT_PERIOD'";
        assert_eq!(cluster.cell("s3", period).await.as_deref(), Some("0.500"), "{view:?}");
    }
}

/// A copy whose place is not set yet is told of it by its rebuild alone: whoever let it follow would
/// have it apply a second time what it has.
async fn a_copy_that_has_not_joined_is_brought_back_by_nothing_else(server: &str) {
    if !is_possible(server) {
        return;
    }
    let cluster = cluster(server).replicas(1).with_agents().up().await;
    let mut agents = Agents::start(PROGRAM, &cluster).await;
    let mut manager = Manager::start(PROGRAM, &cluster).await;
    cluster.sql("s1", "CREATE TABLE app.t (n INT)").await;
    cluster.catches_up("s2", "s1").await;
    cluster.kill("s1").await;
    manager.has_done(primacy_plan::OperationKind::Failover, LONG).await;
    cluster.sql("s2", "INSERT INTO app.t VALUES (1)").await;
    manager.terminate().await;
    cluster.start("s1").await;
    cluster.sql("s1", "INSERT INTO app.t VALUES (99)").await;
    manager = Manager::spawn(PROGRAM, &cluster, &[("PRIMACY_FAILPOINT", "before:rebuild-join")]);
    manager.listens().await;
    eventually(LONG, "it is left alone", async || {
        let absent = manager.explain().await.snapshot.absent;
        absent.values().any(|absence| absence.needs_a_person())
    })
    .await;
    let operation = begin(&manager, &cluster, order(&cluster, "s1")).await;
    manager.wait_exit(REBUILT).await;
    agents.kill("s1").await;
    cluster.sql("s2", "INSERT INTO app.t VALUES (2)").await;
    manager = another_manager(&cluster).await;
    manager.has_looked_again(&cluster.address("s1")).await;
    let wanted = RejoinOrder { server: cluster.address("s1"), on_errant: None, dry_run: false };
    let refused = manager.client().await.rejoin(cluster.name(), wanted).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Refused, "{refused:?}");
    // Repairs are looked for every few seconds.
    tokio::time::sleep(std::time::Duration::from_secs(7)).await;
    assert_eq!(cluster.source_of("s1").await, None, "{}", manager.log());
    agents.start_one(PROGRAM, &cluster, "s1").await;
    let view = ended(&manager, &cluster, &operation).await;
    assert_eq!(view.outcome, Some(Outcome::Done), "{view:?}");
    let rows = "SELECT GROUP_CONCAT(n ORDER BY n) FROM app.t";
    assert_eq!(cluster.cell("s1", rows).await.as_deref(), Some("1,2"));
    eventually(LONG, "it is in its place", async || {
        manager.explain().await.snapshot.absent.is_empty()
    })
    .await;
}

/// It acknowledges with its new data, and nobody else does: it is not shut down.
async fn old_data_is_put_back_when_the_cluster_can_do_without_the_server(server: &str) {
    let Some((cluster, _agents, mut manager)) = three(server).await else { return };
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    let wanted = order(&cluster, "s3");
    let places = &["after:rebuild-follow"];
    let operation = managers_die(&cluster, &mut manager, wanted, places).await;
    // Somebody restarts it: it may leave out what it wrote itself before.
    let host = AgentHost::new(cluster.address("s3"), manager_of(&cluster, "s3").into());
    host.stop(LONG).await.unwrap();
    host.start(LONG).await.unwrap();
    eventually(LONG, "it reads again", async || {
        cluster.try_root("s3").await.is_ok() && cluster.replicates("s3", "s1").await
    })
    .await;
    let before = process(&cluster, "s3").await;
    cluster.kill("s2").await;
    manager = another_manager(&cluster).await;
    eventually(REBUILT, "the way back waits", async || {
        let told = manager.operation(&operation).await.timeline;
        told.iter().any(|event| event.text.contains("putting the old data back waits"))
    })
    .await;
    assert_eq!(process(&cluster, "s3").await, before);
    cluster.start("s2").await;
    let view = ended(&manager, &cluster, &operation).await;
    all_is_accounted_for(&cluster, &view, Outcome::BackedOut, "a restart", 1).await;
}

/// Whoever goes on does not send the server back to where the copy ended: rows of tables without a
/// key would be there twice, and nobody would say so.
async fn what_was_applied_when_the_manager_died_is_not_applied_again(server: &str) {
    let Some((cluster, _agents, mut manager)) = three(server).await else { return };
    cluster.sql("s1", "CREATE TABLE app.t (n INT)").await;
    cluster.sql("s1", "INSERT INTO app.t VALUES (0)").await;
    let own = cluster.cell("s3", "SELECT @@global.server_id").await;
    manager.kill9();
    let env = [("PRIMACY_FAILPOINT", "after:rebuild-follow")];
    manager = Manager::spawn(PROGRAM, &cluster, &env);
    manager.is_ready().await;
    let operation = begin(&manager, &cluster, order(&cluster, "s3")).await;
    let mut rows = 1;
    let died = async {
        manager.wait_exit(REBUILT).await;
    };
    let writes = async {
        loop {
            cluster.sql("s1", &format!("INSERT INTO app.t VALUES ({rows})")).await;
            rows += 1;
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::select! { () = died => {}, () = writes => {} }
    let count = async |server: &str| cluster.cell(server, "SELECT COUNT(*) FROM app.t").await;
    eventually(LONG, "it goes on by itself", async || {
        let there = cluster.try_root("s3").await.is_ok();
        there && count("s3").await == count("s1").await
    })
    .await;
    manager = another_manager(&cluster).await;
    let view = ended(&manager, &cluster, &operation).await;
    assert_eq!(view.outcome, Some(Outcome::Done), "{view:?}");
    cluster.sql("s1", "INSERT INTO app.t VALUES (-1)").await;
    cluster.catches_up("s3", "s1").await;
    assert_eq!(count("s3").await, count("s1").await);
    assert_eq!(cluster.cell("s3", "SELECT @@global.server_id").await, own, "it is itself again");
}

on_mariadb!(
    an_agent_dies_at_each_place_of_the_swap,
    what_was_applied_when_the_manager_died_is_not_applied_again,
    an_agent_dies_when_the_new_data_stands,
    an_agent_dies_at_each_place_of_the_way_back,
    a_manager_dies_at_each_place_of_a_rebuild,
    an_agent_dies_while_the_old_data_is_removed,
    a_server_that_shuts_down_too_late_is_started_again,
    a_copy_that_has_not_joined_is_brought_back_by_nothing_else,
    old_data_is_put_back_when_the_cluster_can_do_without_the_server,
);
