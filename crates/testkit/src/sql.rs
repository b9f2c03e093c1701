//! SQL on the servers of a cluster, and the words in which versions differ.

use std::time::Duration;

use primacy_sandbox::{AccountRole, ServerInfo};
use primacy_types::Address;
use primacy_wire::{ConnectOptions, Rows, Session, TlsMode, WireError};
use secrecy::SecretString;

use crate::{Cluster, eventually, must};

/// Limit of a statement of a test.
const LIMIT: Duration = Duration::from_secs(60);

impl Cluster {
    /// How an account logs in to a server. Root comes over the Unix socket, which leads into a
    /// network namespace too.
    pub fn login(&self, server: &str, role: AccountRole) -> ConnectOptions {
        let server = self.server(server);
        let account = must(self.sandbox().info().account(role), "the accounts of the sandbox");
        ConnectOptions {
            address: server.address.clone(),
            user: account.user.clone(),
            password: SecretString::from(account.password.clone()),
            tls: TlsMode::Off,
            connect_timeout: Duration::from_secs(5),
            database: None,
            program: "primacy-test".to_owned(),
            unix_socket: (role == AccountRole::Root || server.netns.is_some())
                .then(|| server.socket.clone()),
        }
    }

    /// A session of the administrator.
    pub async fn root(&self, server: &str) -> Session {
        must(self.try_root(server).await, "logging in as root")
    }

    /// A session of the administrator, if the server answers.
    pub async fn try_root(&self, server: &str) -> Result<Session, WireError> {
        Session::connect(&self.login(server, AccountRole::Root)).await
    }

    /// A session of an application.
    pub async fn app(&self, server: &str) -> Session {
        let options = self.login(server, AccountRole::Application);
        must(Session::connect(&options).await, "logging in as the application")
    }

    /// Runs a statement as root.
    pub async fn sql(&self, server: &str, sql: &str) -> Rows {
        let mut session = self.root(server).await;
        let rows = session.query(sql, LIMIT).await;
        session.close().await;
        must(rows, &format!("{sql} on {server}"))
    }

    /// Runs a statement as root and returns its only cell; `None` if the server does not answer,
    /// or with nothing.
    pub async fn cell(&self, server: &str, sql: &str) -> Option<String> {
        let mut session = self.try_root(server).await.ok()?;
        let rows = session.query(sql, LIMIT).await.ok()?;
        session.close().await;
        rows.first().and_then(|row| row.at(0)).map(str::to_owned)
    }

    /// Whether the servers say MASTER and SLAVE: MariaDB, and MySQL before 8.0.26. They have no
    /// `super_read_only`, or none is known here.
    pub fn speaks_old(&self) -> bool {
        self.is_mariadb() || !self.sandbox().info().version.at_least(8, 0, 26)
    }

    /// Runs a statement in old or in new words.
    pub async fn say(&self, server: &str, old: &str, new: &str) {
        self.sql(server, if self.speaks_old() { old } else { new }).await;
    }

    /// Whether applications may write there; false if it does not answer.
    pub async fn is_writable(&self, server: &str) -> bool {
        self.cell(server, "SELECT @@global.read_only").await.as_deref() == Some("0")
    }

    /// The servers that accept writes.
    pub async fn writable(&self) -> Vec<String> {
        let mut found = Vec::new();
        for server in self.names() {
            if self.is_writable(&server).await {
                found.push(server);
            }
        }
        found
    }

    /// A column of what a replica says of its replication, by MySQL's current name; `None` if it
    /// is no replica or does not answer.
    pub async fn replica_status(&self, server: &str, column: &str) -> Option<String> {
        let mut session = self.try_root(server).await.ok()?;
        let (statement, column) = if self.speaks_old() {
            let column = column.replace("Replica", "Slave").replace("Source", "Master");
            ("SHOW SLAVE STATUS", column)
        } else {
            ("SHOW REPLICA STATUS", column.to_owned())
        };
        let rows = session.query(statement, LIMIT).await.ok()?;
        session.close().await;
        rows.first().and_then(|row| row.get(&column)).map(str::to_owned)
    }

    /// The server that this one reads from, by name; `None` if it is no replica, or if its source
    /// is none of ours.
    pub async fn source_of(&self, server: &str) -> Option<String> {
        let host = self.replica_status(server, "Source_Host").await?;
        let port = self.replica_status(server, "Source_Port").await?.parse().ok()?;
        self.name_of(&Address::new(host, port))
    }

    /// Whether the replica reads from `source` and both of its threads run.
    pub async fn replicates(&self, replica: &str, source: &str) -> bool {
        self.source_of(replica).await.as_deref() == Some(source)
            && self.replica_status(replica, "Replica_IO_Running").await.as_deref() == Some("Yes")
            && self.replica_status(replica, "Replica_SQL_Running").await.as_deref() == Some("Yes")
    }

    /// Waits until all these replicate from `source`.
    pub async fn all_replicate(&self, replicas: &[&str], source: &str) {
        for replica in replicas {
            let what = format!("{replica} replicates from {source}");
            eventually(Duration::from_secs(30), &what, async || {
                self.replicates(replica, source).await
            })
            .await;
        }
    }

    /// Waits until every server but `primary` and `but` replicates from `primary`.
    pub async fn others_replicate(&self, but: &[&str], primary: &str) {
        let names = self.names();
        let others: Vec<&str> = names
            .iter()
            .map(String::as_str)
            .filter(|name| *name != primary && !but.contains(name))
            .collect();
        self.all_replicate(&others, primary).await;
    }

    /// Waits until `primary` is the only one that accepts writes and all others replicate from it
    /// and are read-only.
    pub async fn is_whole(&self, primary: &str) {
        self.others_replicate(&[], primary).await;
        assert_eq!(self.writable().await, [primary], "exactly the primary accepts writes");
    }

    /// Waits until a replica has applied everything that its source has logged now.
    pub async fn catches_up(&self, replica: &str, source: &str) {
        let what = format!("{replica} has everything of {source}");
        let position = if self.is_mariadb() { "gtid_binlog_pos" } else { "gtid_executed" };
        let wanted =
            self.cell(source, &format!("SELECT @@global.{position}")).await.unwrap_or_default();
        eventually(LIMIT, &what, async || {
            if self.is_mariadb() {
                return self.has_committed(replica, &wanted).await;
            }
            let sql = format!("SELECT GTID_SUBSET('{wanted}', @@global.gtid_executed)");
            self.cell(replica, &sql).await.as_deref() == Some("1")
        })
        .await;
    }

    /// MariaDB writes a transaction to the binary log, and counts it in `gtid_binlog_pos`, before
    /// the engine commits it: an applied one can be read when `gtid_current_pos` has it too.
    async fn has_committed(&self, replica: &str, wanted: &str) -> bool {
        let sql = "SELECT CONCAT(@@global.gtid_binlog_pos, ' ', @@global.gtid_current_pos)";
        let both = self.cell(replica, sql).await.unwrap_or_default();
        let Some((logged, committed)) = both.split_once(' ') else { return false };
        let committed: Vec<&str> = committed.split(',').collect();
        logged == wanted
            && wanted.split(',').all(|gtid| gtid.is_empty() || committed.contains(&gtid))
    }

    /// The highest epoch that a server has on record.
    pub async fn epoch_row(&self, server: &str) -> Option<u64> {
        self.cell(server, "SELECT MAX(epoch) FROM primacy.epoch").await?.parse().ok()
    }

    /// A person stops the applier of a replica.
    pub async fn stop_applier(&self, server: &str) {
        self.say(server, "STOP SLAVE SQL_THREAD", "STOP REPLICA SQL_THREAD").await;
    }

    /// A person starts the applier of a replica.
    pub async fn start_applier(&self, server: &str) {
        self.say(server, "START SLAVE SQL_THREAD", "START REPLICA SQL_THREAD").await;
    }

    /// A person has a replica apply what it receives an hour late.
    pub async fn delay(&self, server: &str) {
        self.say(server, "STOP SLAVE", "STOP REPLICA").await;
        let (old, new) = (
            "CHANGE MASTER TO MASTER_DELAY = 3600",
            "CHANGE REPLICATION SOURCE TO SOURCE_DELAY = 3600",
        );
        self.say(server, old, new).await;
        self.say(server, "START SLAVE", "START REPLICA").await;
    }

    /// The description of a server.
    pub fn server(&self, name: &str) -> &ServerInfo {
        must(self.sandbox().info().server(name), "the servers of the sandbox")
    }
}
