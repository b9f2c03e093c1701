//! Servers that come back while nobody expects them: the old primary in the middle of its own
//! replacement, and a replica that was left at events which are served no more.

use primacy_store::Outcome;
use primacy_testkit::{Cluster, Manager, cluster, eventually, until};

use crate::{LONG, PROGRAM, on_each_server, on_mariadb_first};

const COUNT: &str = "SELECT COUNT(*) FROM app.t";

async fn has_rows(cluster: &Cluster, server: &str, rows: u32) {
    eventually(LONG, &format!("{server} has {rows} rows"), async || {
        cluster.cell(server, COUNT).await.as_deref() == Some(&rows.to_string())
    })
    .await;
}

/// Without access to its host nobody keeps the old primary down. While the winner still applies
/// what it received a person starts it, and applications write.
async fn a_primary_that_is_back_before_anybody_is_promoted_keeps_its_role(server: &str) {
    for gtid in [true, false] {
        let mut builder = cluster(server).policy("unfenced = \"proceed\"");
        for server in ["s1", "s2", "s3"] {
            builder = builder.server(server, "host_access = \"none\"");
        }
        let cluster = if gtid { builder } else { builder.without_gtid() }.up().await;
        let manager = Manager::start(PROGRAM, &cluster).await;
        cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
        let mut locks = Vec::new();
        for replica in ["s2", "s3"] {
            eventually(LONG, "the table is there", async || {
                cluster.cell(replica, COUNT).await.is_some()
            })
            .await;
            // Its applier waits for this session.
            let mut session = cluster.root(replica).await;
            session.query("LOCK TABLES app.t READ", LONG).await.unwrap();
            locks.push(session);
        }
        cluster.sql("s1", "INSERT INTO app.t VALUES (1)").await;
        for replica in ["s2", "s3"] {
            eventually(LONG, "the row waits in the relay log", async || {
                let running = cluster.replica_status(replica, "Replica_SQL_Running_State").await;
                running.is_some_and(|state| state.to_lowercase().contains("lock"))
                    || cluster
                        .cell(replica, "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE '%lock%'")
                        .await
                        .is_some_and(|count| count != "0")
            })
            .await;
        }
        cluster.kill("s1").await;
        eventually(LONG, "the winner applies", async || {
            manager.log().contains("has applied everything that it received")
        })
        .await;
        cluster.start("s1").await;
        cluster.sql("s1", "SET GLOBAL read_only = 0").await;
        cluster.sql("s1", "INSERT INTO app.t VALUES (2)").await;
        drop(locks);
        let history = until(LONG, "the failover is given up", async || {
            let history = manager.history().await;
            history.first().filter(|entry| entry.outcome.is_some()).cloned()
        })
        .await;
        assert_eq!(history.outcome, Some(Outcome::BackedOut), "{}", manager.log());
        assert_eq!(cluster.writable().await, ["s1"]);
        for replica in ["s2", "s3"] {
            has_rows(&cluster, replica, 2).await;
        }
        cluster.is_whole("s1").await;
    }
}

/// The program that gave it events ended before the server could be given its source back.
async fn a_replica_left_at_saved_events_is_brought_back(server: &str) {
    let cluster = cluster(server).up().await;
    let manager = Manager::start(PROGRAM, &cluster).await;
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY)").await;
    cluster.catches_up("s3", "s1").await;
    cluster.say("s3", "STOP SLAVE", "STOP REPLICA").await;
    let old = "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = 1, MASTER_USER = 'rescue_Ab12Cd34'";
    let new = "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = 1, \
               SOURCE_USER = 'rescue_Ab12Cd34', SOURCE_PASSWORD = 'x'";
    cluster.say("s3", old, new).await;
    cluster.say("s3", "START SLAVE", "START REPLICA").await;
    cluster.sql("s1", "INSERT INTO app.t VALUES (1)").await;
    has_rows(&cluster, "s3", 1).await;
    cluster.is_whole("s1").await;
    eventually(LONG, "the manager says so", async || {
        manager.log().contains("followed no primary any more")
    })
    .await;
}

on_each_server!(a_replica_left_at_saved_events_is_brought_back);
on_mariadb_first!(a_primary_that_is_back_before_anybody_is_promoted_keeps_its_role);
