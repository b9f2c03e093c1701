//! Switchovers that are refused, and one that fails halfway: nothing is touched, or everything is
//! put back.

use std::time::Duration;

use primacy_api::{Answer, ApiError, ErrorKind};
use primacy_store::Outcome;
use primacy_testkit::{Cluster, Manager, cluster, eventually, until};
use primacy_wire::Session;

use crate::{LONG, PROGRAM, on_each_server, on_mariadb, on_mariadb_first, on_mysql, on_mysql_5_6};

const LIMIT: Duration = Duration::from_secs(10);

/// `INNODB_TRX` is made anew only when nobody has read it for a tenth of a second: whoever asks
/// more often sees the same for ever.
const STALE: Duration = Duration::from_millis(150);

/// Waits until a switchover is refused with a reason that contains `why`: some things count only
/// after a while.
async fn is_refused(manager: &Manager, why: &str) {
    until(LONG, &format!("a switchover is refused: {why}"), async || {
        tokio::time::sleep(STALE).await;
        let dry = manager.dry_switchover().await.err()?;
        assert_eq!(dry.kind, ErrorKind::Refused, "{dry:?}");
        dry.reasons.iter().any(|reason| format!("{reason:?}").contains(why)).then_some(())
    })
    .await;
    let refused = manager.try_switchover(None).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Refused, "{refused:?}");
    assert!(refused.reasons.iter().any(|r| format!("{r:?}").contains(why)), "{refused:?}");
    manager.has_done_nothing().await;
}

async fn open_session(cluster: &Cluster) -> Session {
    cluster.app("s1").await
}

async fn run(session: &mut Session, sql: &str) {
    session.execute(sql, LIMIT).await.unwrap();
}

async fn what_people_have_open_is_named_and_left_alone(server: &str) {
    let cluster = cluster(server).timing("grace = \"1s\"").up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let mut app = open_session(&cluster).await;
    run(&mut app, "CREATE TABLE app.t (id INT PRIMARY KEY) ENGINE=InnoDB").await;

    run(&mut app, "BEGIN").await;
    run(&mut app, "INSERT INTO app.t VALUES (1)").await;
    is_refused(&manager, "transaction open").await;
    let mut slow = open_session(&cluster).await;
    let number = slow.connection_id();
    let alter = "ALTER TABLE app.t ADD COLUMN x INT";
    let alter = tokio::spawn(async move { slow.execute(alter, LONG).await.map(drop) });
    is_refused(&manager, "change of definitions").await;
    cluster.sql("s1", &format!("KILL {number}")).await;
    assert!(alter.await.unwrap().is_err());
    run(&mut app, "COMMIT").await;

    for statement in
        ["XA START 'x'", "INSERT INTO app.t VALUES (2)", "XA END 'x'", "XA PREPARE 'x'"]
    {
        run(&mut app, statement).await;
    }
    is_refused(&manager, "prepared XA").await;
    run(&mut app, "XA COMMIT 'x'").await;

    assert_eq!(cluster.writable().await, ["s1"]);
    run(&mut app, "INSERT INTO app.t VALUES (3)").await;
    let done = until(LONG, "nothing stands in the way any more", async || {
        tokio::time::sleep(STALE).await;
        manager.try_switchover(None).await.ok()
    });
    let Answer::Done { report } = done.await else { panic!("it was not done") };
    let winner = cluster.name_of(&report.primary).unwrap();
    let rows = cluster.cell(&winner, "SELECT COUNT(*) FROM app.t").await;
    assert_eq!(rows.as_deref(), Some("3"));
}

async fn lock_tables_is_named_and_left_alone(server: &str) {
    let shown = "performance_schema_instrument = 'wait/lock/metadata/sql/mdl=ON'";
    let cluster = cluster(server).option(shown).up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let mut app = open_session(&cluster).await;
    run(&mut app, "CREATE TABLE app.t (id INT PRIMARY KEY) ENGINE=InnoDB").await;
    run(&mut app, "LOCK TABLES app.t WRITE").await;
    is_refused(&manager, "holds a lock on").await;
    run(&mut app, "INSERT INTO app.t VALUES (1)").await;
    assert_eq!(cluster.writable().await, ["s1"]);
}

/// MariaDB shows such locks only with a plugin: they are met when writes are to be blocked.
async fn lock_tables_that_nobody_sees_is_met_and_everything_put_back(server: &str) {
    let cluster = cluster(server).timing("grace = \"1s\"").up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let mut app = open_session(&cluster).await;
    run(&mut app, "CREATE TABLE app.t (id INT PRIMARY KEY) ENGINE=InnoDB").await;
    run(&mut app, "LOCK TABLES app.t WRITE").await;
    let failed = manager.try_switchover(None).await.unwrap_err();
    assert_eq!(failed.kind, ErrorKind::BackedOut, "{failed:?}");
    assert!(failed.message.contains("LOCK TABLES"), "{failed:?}");
    assert_eq!(cluster.writable().await, ["s1"]);
    run(&mut app, "INSERT INTO app.t VALUES (1)").await;
}

/// Everything on a server that a switchover changes.
async fn state_of(cluster: &Cluster, server: &str) -> String {
    let variables = "SHOW GLOBAL VARIABLES WHERE Variable_name LIKE '%read_only' \
                     OR Variable_name LIKE 'rpl_semi_sync%enabled' \
                     OR Variable_name LIKE 'rpl_semi_sync%count'";
    let rows = cluster.sql(server, variables).await;
    let all: Vec<_> = rows.iter().map(|row| (row.at(0), row.at(1))).collect();
    format!("{all:?}, source {:?}", cluster.source_of(server).await)
}

async fn a_switchover_that_cannot_catch_up_puts_everything_back(server: &str) {
    let cluster = cluster(server)
        .semi_sync(1)
        .timing("switchover_limit = \"1s\"")
        .timing("grace = \"1s\"")
        .up()
        .await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    let mut app = open_session(&cluster).await;
    run(&mut app, "CREATE TABLE app.t (id INT PRIMARY KEY) ENGINE=InnoDB").await;
    cluster.catches_up("s2", "s1").await;
    let mut before = Vec::new();
    for server in cluster.names() {
        before.push(state_of(&cluster, &server).await);
    }
    let mut reader = cluster.root("s2").await;
    run(&mut reader, "LOCK TABLES app.t READ").await;
    run(&mut app, "INSERT INTO app.t VALUES (1)").await;

    let failed = manager.try_switchover(Some(cluster.address("s2"))).await.unwrap_err();
    assert_eq!(failed.kind, ErrorKind::BackedOut, "{failed:?}");
    let last = manager.history().await.remove(0);
    assert_eq!((last.outcome, last.past_no_return), (Some(Outcome::BackedOut), None));
    for (server, before) in cluster.names().iter().zip(before) {
        assert_eq!(state_of(&cluster, server).await, before, "{server} is not as it was");
    }
    let mut app = open_session(&cluster).await;
    run(&mut app, "INSERT INTO app.t VALUES (2)").await;
    run(&mut reader, "UNLOCK TABLES").await;
    cluster.is_whole("s1").await;
    let done = until(LONG, "it can be done now", async || {
        manager.try_switchover(Some(cluster.address("s2"))).await.ok()
    });
    assert!(matches!(done.await, Answer::Done { .. }));
    cluster.is_whole("s2").await;
    assert_eq!(cluster.cell("s2", "SELECT COUNT(*) FROM app.t").await.as_deref(), Some("2"));
}

async fn a_second_manager_refuses_and_names_the_first(server: &str) {
    let cluster = cluster(server).replicas(1).up().await;
    let first = Manager::start(PROGRAM, &cluster).await;
    let text = std::fs::read_to_string(cluster.config()).unwrap();
    let config = cluster.config().with_file_name("second.toml");
    std::fs::write(&config, text.replace("\"state", "\"second")).unwrap();
    let mut second = Manager::spawn_with(PROGRAM, &cluster, &config);
    assert!(!second.wait_exit(LONG).await.success());
    let holder = format!("pid {} on ", first.pid());
    assert!(second.log().contains(&holder), "no {holder:?} in:\n{}", second.log());
    let still: Result<Answer, ApiError> = first.try_switchover(None).await;
    assert!(matches!(still, Ok(Answer::Done { .. })), "{still:?}");
    eventually(LONG, "the switchover is done", async || cluster.writable().await == ["s2"]).await;
}

on_each_server!(
    what_people_have_open_is_named_and_left_alone,
    a_switchover_that_cannot_catch_up_puts_everything_back,
);
on_mariadb_first!(a_second_manager_refuses_and_names_the_first);
on_mysql!(lock_tables_is_named_and_left_alone);
on_mariadb!(lock_tables_that_nobody_sees_is_met_and_everything_put_back);
on_mysql_5_6!(
    what_people_have_open_is_named_and_left_alone,
    a_second_manager_refuses_and_names_the_first,
);
