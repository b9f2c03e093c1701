//! What a returned primary alone has is undone: rows are exactly as before, its history is that of
//! the others, and it follows them again. And what is in the way.

mod load;
mod refused;

use std::time::Duration;

use primacy_binlog::undo::{Undo, UndoError, UndoLimits, undo};
use primacy_binlog::{EventKind, Reader};
use primacy_exec::{Link, Links, Rewind, prove, rewind, rewind_rows};
use primacy_probe::Dialect;
use primacy_probe::grants::{Purpose, grants};
use primacy_sandbox::AccountRole;
use primacy_testkit::{Cluster, cluster, eventually, until};
use primacy_types::{BinlogPosition, TransactionSet};
use primacy_wire::ConnectOptions;
use secrecy::{ExposeSecret, SecretString};

use crate::{LONG, on_each_server, on_mariadb_first, on_mysql_5_6};

/// An account that has what `primacy grants` lists for the manager and for rewinding, and no more.
const ACCOUNT: &str = "rewinder";

/// A pair whose primary `s1` is about to be left alone with what it writes.
pub(crate) struct Returned {
    pub(crate) cluster: Cluster,
    links: Links,
    /// The file that holds nothing but what is written from now on.
    file: String,
    kept: TransactionSet,
}

impl Returned {
    /// Both have these tables; then they part.
    pub(crate) async fn after(server: &str, options: &[&str], tables: &[String]) -> Self {
        let builder = cluster(server).replicas(1);
        let builder = options.iter().fold(builder, |all, line| all.option(line));
        Self::of(builder.up().await, tables).await
    }

    async fn of(cluster: Cluster, tables: &[String]) -> Self {
        for sql in tables {
            cluster.sql("s1", sql).await;
        }
        cluster.catches_up("s2", "s1").await;
        cluster.say("s2", "STOP SLAVE", "STOP REPLICA").await;
        cluster.say("s2", "RESET SLAVE ALL", "RESET REPLICA ALL").await;
        let mut root = cluster.root("s1").await;
        let dialect = Dialect::of(root.version());
        root.execute("SET SESSION sql_log_bin = 0", LONG).await.unwrap();
        let account = format!("'{ACCOUNT}'@'%'");
        let create = format!("CREATE USER {account} IDENTIFIED BY 'geheim'");
        root.execute(&create, LONG).await.unwrap();
        for purpose in [Purpose::Manager, Purpose::Rewind] {
            for grant in grants(dialect, purpose) {
                root.execute(&grant.sql(&account), LONG).await.unwrap();
            }
        }
        let login = cluster.login("s1", AccountRole::Manager);
        let password = SecretString::from("geheim");
        let links = Links::new(ConnectOptions { user: ACCOUNT.to_owned(), password, ..login });
        let kept = TransactionSet::UpTo(None);
        let mut returned = Self { cluster, links, file: String::new(), kept };
        returned.parts().await;
        returned
    }

    /// What is written from here on is what the server alone has.
    pub(crate) async fn parts(&mut self) {
        let cluster = &self.cluster;
        cluster.sql("s1", "FLUSH BINARY LOGS").await;
        let rows = cluster.sql("s1", "SHOW BINARY LOGS").await;
        self.file = rows.iter().last().unwrap().at(0).unwrap().to_owned();
        self.kept = self.executed().await;
    }

    pub(crate) async fn executed(&self) -> TransactionSet {
        let variable = if self.cluster.is_mariadb() { "gtid_binlog_pos" } else { "gtid_executed" };
        let text = self.cluster.cell("s1", &format!("SELECT @@global.{variable}")).await.unwrap();
        self.dialect().gtid_set(&text).unwrap()
    }

    pub(crate) fn dialect(&self) -> Dialect {
        Dialect::of(self.cluster.sandbox().info().version)
    }

    /// Nobody writes there any more, and nobody reads from it.
    pub(crate) async fn is_closed(&self) {
        self.cluster.sql("s1", "SET GLOBAL read_only = 1").await;
        if !self.cluster.speaks_old() {
            self.cluster.sql("s1", "SET GLOBAL super_read_only = 1").await;
        }
        // MySQL notices only when it has something to send that a replica is gone.
        let dumps = "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog%'";
        eventually(LONG, "its replicas are gone", async || {
            let rows = self.cluster.sql("s1", dumps).await;
            for row in &rows {
                let kill = format!("KILL {}", row.at(0).unwrap());
                let _gone = self.cluster.root("s1").await.execute(&kill, LONG).await;
            }
            rows.is_empty()
        })
        .await;
    }

    /// Somebody writes although it is closed.
    pub(crate) async fn opens(&self) {
        self.cluster.sql("s1", "SET GLOBAL read_only = 0").await;
    }

    /// What was written since, as it is saved in one file, turned round.
    pub(crate) fn saved(&self, limits: &UndoLimits) -> Result<Undo, UndoError> {
        let datadir = &self.cluster.server("s1").datadir;
        let index = std::fs::read_to_string(datadir.join("binlog.index")).unwrap();
        let names = index.lines().map(|line| line.trim_start_matches("./"));
        let mut saved = b"\xfebin".to_vec();
        for name in names.skip_while(|name| !name.ends_with(&self.file)) {
            saved.extend_from_slice(&std::fs::read(datadir.join(name)).unwrap()[4..]);
        }
        undo(&mut Reader::new(&saved[..], "saved").unwrap(), limits)
    }

    /// Where its first transaction begins.
    fn from(&self, undo: &Undo) -> BinlogPosition {
        let offset = undo.logged.first().map_or(4, |one| u64::from(one.end_position - one.length));
        BinlogPosition::new(self.file.clone(), offset)
    }

    pub(crate) fn rewind<'a>(&self, undo: &'a Undo) -> Rewind<'a> {
        let (from, kept) = (self.from(undo), self.kept.clone());
        Rewind { undo, from, kept, manager_user: ACCOUNT }
    }

    pub(crate) async fn link(&self) -> Link {
        self.links.to(&self.cluster.address("s1"), LONG).await.unwrap()
    }

    /// Its history is that of the others, in an empty log, and it is closed.
    async fn has_only_what_is_kept(&self) {
        assert_eq!(self.executed().await, self.kept);
        // MySQL 5.6 begins another file when gtid_purged is set.
        let logs = self.cluster.sql("s1", "SHOW BINARY LOGS").await;
        for log in logs.iter().map(|row| row.at(0).unwrap()) {
            let events = self.cluster.sql("s1", &format!("SHOW BINLOG EVENTS IN '{log}'")).await;
            let kinds: Vec<&str> = events.iter().filter_map(|row| row.get("Event_type")).collect();
            assert!(!kinds.contains(&EventKind::GTID.name().unwrap()), "{log}: {kinds:?}");
        }
        assert!(!self.cluster.is_writable("s1").await);
        if !self.cluster.speaks_old() {
            let strict = self.cluster.cell("s1", "SELECT @@global.super_read_only").await;
            assert_eq!(strict.as_deref(), Some("1"));
        }
    }

    /// The other one is the primary now, and it replicates from there.
    async fn follows_the_new_primary(&self) {
        let cluster = &self.cluster;
        cluster.sql("s2", "SET GLOBAL read_only = 0").await;
        let (to, account) = (cluster.address("s2"), cluster.login("s2", AccountRole::Replication));
        let (user, password) = (&account.user, account.password.expose_secret());
        let (host, port) = (to.host(), to.port());
        let words = format!(
            "MASTER_HOST = '{host}', MASTER_PORT = {port}, MASTER_USER = '{user}', \
             MASTER_PASSWORD = '{password}'"
        );
        let change = if cluster.is_mariadb() {
            format!("CHANGE MASTER TO {words}, MASTER_SSL = 0, MASTER_USE_GTID = slave_pos")
        } else if cluster.speaks_old() {
            format!("CHANGE MASTER TO {words}, MASTER_AUTO_POSITION = 1")
        } else {
            format!(
                "CHANGE REPLICATION SOURCE TO {}, SOURCE_AUTO_POSITION = 1, \
                 GET_SOURCE_PUBLIC_KEY = 1",
                words.replace("MASTER_", "SOURCE_")
            )
        };
        cluster.sql("s1", &change).await;
        cluster.say("s1", "START SLAVE", "START REPLICA").await;
        for sql in load::everything_again() {
            cluster.sql("s2", &sql).await;
        }
        cluster.catches_up("s1", "s2").await;
        for table in load::TABLES {
            assert_eq!(
                load::dump(cluster, "s1", table).await,
                load::dump(cluster, "s2", table).await
            );
        }
    }
}

const SEEDS: [u64; 2] = [4, 2026];

async fn rows_are_as_they_were(server: &str, options: &[&str]) {
    let mut returned = Returned::after(server, options, &load::tables(server)).await;
    for sql in load::first_rows(server) {
        returned.cluster.sql("s1", &sql).await;
    }
    returned.parts().await;
    for seed in SEEDS {
        let before = load::dumps(&returned.cluster).await;
        load::write(&returned.cluster, server, seed).await;
        assert_ne!(load::dumps(&returned.cluster).await, before, "something was written");
        returned.is_closed().await;
        let limits = UndoLimits { statement: 100 << 10, ..UndoLimits::default() };
        let undo = returned.saved(&limits).unwrap();
        assert!(undo.rows > 200, "{} rows", undo.rows);
        let rewind_it = returned.rewind(&undo);
        let without_key = prove(&mut returned.link().await, &rewind_it, LONG).await.unwrap();
        assert_eq!(without_key, ["app.nokey", "app.uniq"]);
        assert_ne!(load::dumps(&returned.cluster).await, before, "proving changes nothing");

        // A manager is killed between the rows and the history; another goes on.
        let done = rewind_rows(returned.link().await, &rewind_it, LONG).await.unwrap();
        assert_eq!((done.already, done.rows), (false, undo.rows));
        assert_eq!(load::dumps(&returned.cluster).await, before);
        if seed == SEEDS[1] {
            // This one dies later: the old history is gone, the new one is not set.
            returned.cluster.sql("s1", returned.dialect().forget_history()).await;
        }
        let done = rewind(returned.link().await, &rewind_it, LONG).await.unwrap();
        assert!(done.already);
        assert_eq!(load::dumps(&returned.cluster).await, before, "undone once, not twice");
        returned.has_only_what_is_kept().await;
        let done = rewind(returned.link().await, &rewind_it, LONG).await.unwrap();
        assert!(done.already, "a third time nothing is left to do");
        assert_eq!(load::dumps(&returned.cluster).await, before);
        returned.has_only_what_is_kept().await;
        returned.opens().await;
        returned.parts().await;
    }
    returned.is_closed().await;
}

async fn what_a_returned_primary_alone_has_is_undone_to_the_last_row(server: &str) {
    rows_are_as_they_were(server, &[]).await;
}

async fn compressed_and_without_checksums_too(server: &str) {
    let options = match server.starts_with("mariadb") {
        true => &["log_bin_compress = ON\nlog_bin_compress_min_len = 10", "binlog_checksum = NONE"],
        false => &["binlog_transaction_compression = ON", "binlog_checksum = NONE"],
    };
    rows_are_as_they_were(server, options).await;
}

async fn it_follows_the_new_primary_afterwards(server: &str) {
    let returned = Returned::after(server, &[], &load::tables(server)).await;
    for sql in load::everything_again() {
        returned.cluster.sql("s1", &sql).await;
    }
    returned.is_closed().await;
    let undo = returned.saved(&UndoLimits::default()).unwrap();
    let done = rewind(returned.link().await, &returned.rewind(&undo), LONG).await.unwrap();
    assert!(!done.already && done.rows > 0);
    returned.has_only_what_is_kept().await;
    // The same keys are written by the new primary: nothing of the old rows is in the way.
    returned.follows_the_new_primary().await;
}

async fn by_file_and_position_only_rows_are_undone(server: &str) {
    let cluster = cluster(server).replicas(1).without_gtid().up().await;
    let mut returned = Returned::of(cluster, &load::tables(server)).await;
    let before = load::dumps(&returned.cluster).await;
    for sql in load::everything_again() {
        returned.cluster.sql("s1", &sql).await;
    }
    returned.is_closed().await;
    returned.kept = TransactionSet::UpTo(None);
    let undo = returned.saved(&UndoLimits::default()).unwrap();
    let rewind_it = returned.rewind(&undo);
    let done = rewind(returned.link().await, &rewind_it, LONG).await.unwrap();
    assert!(!done.already && done.rows == undo.rows);
    assert_eq!(load::dumps(&returned.cluster).await, before);
    let done = rewind(returned.link().await, &rewind_it, LONG).await.unwrap();
    assert!(done.already);
    assert_eq!(load::dumps(&returned.cluster).await, before);
}

async fn a_row_that_is_not_there_rolls_everything_back(server: &str) {
    let returned = Returned::after(server, &[], &load::tables(server)).await;
    let cluster = &returned.cluster;
    for id in 1..=5 {
        let insert = format!("INSERT INTO app.perm (id, u) VALUES ({id}, {id})");
        cluster.sql("s1", &insert).await;
    }
    // Nobody can see in the binary log that this was done.
    let mut root = cluster.root("s1").await;
    root.execute("SET SESSION sql_log_bin = 0", LONG).await.unwrap();
    root.execute("DELETE FROM app.perm WHERE id = 2", LONG).await.unwrap();
    root.close().await;
    returned.is_closed().await;
    let before = load::dumps(cluster).await;
    let undo = returned.saved(&UndoLimits::default()).unwrap();
    let error = rewind(returned.link().await, &returned.rewind(&undo), LONG).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("app.perm") && text.contains("nothing was changed"), "{text}");
    assert_eq!(load::dumps(cluster).await, before);
    let marks = "SELECT COUNT(*) FROM primacy.rewound";
    assert_eq!(cluster.cell("s1", marks).await.as_deref(), Some("0"));
    assert_ne!(returned.executed().await, returned.kept, "its history is what it was");
    // And it is closed again.
    if !cluster.speaks_old() {
        let strict = cluster.cell("s1", "SELECT @@global.super_read_only").await;
        assert_eq!(strict.as_deref(), Some("1"));
    }
}

async fn a_limit_ends_it_with_nothing_changed(server: &str) {
    let returned = Returned::after(server, &[], &load::tables(server)).await;
    let cluster = &returned.cluster;
    cluster.sql("s1", "INSERT INTO app.perm (id, u) VALUES (1, 1)").await;
    let mut blocker = cluster.root("s1").await;
    blocker.execute("BEGIN", LONG).await.unwrap();
    blocker.query("SELECT * FROM app.perm WHERE id = 1 FOR UPDATE", LONG).await.unwrap();
    returned.is_closed().await;
    let undo = returned.saved(&UndoLimits::default()).unwrap();
    let rewind_it = returned.rewind(&undo);
    let limit = Duration::from_secs(2);
    let error = rewind(returned.link().await, &rewind_it, limit).await.unwrap_err();
    assert!(error.to_string().contains("app.perm"), "{error}");
    blocker.execute("ROLLBACK", LONG).await.unwrap();
    assert_eq!(cluster.cell("s1", "SELECT COUNT(*) FROM app.perm").await.as_deref(), Some("1"));
    // What the first one left on the server is rolled back there, and then a second one succeeds.
    let done = until(LONG, "it is undone", async || {
        match rewind(returned.link().await, &rewind_it, LONG).await {
            Ok(done) => Some(done),
            Err(error) => {
                assert!(error.to_string().contains("rolled back just now"), "{error}");
                None
            }
        }
    })
    .await;
    assert!(!done.already);
    assert_eq!(cluster.cell("s1", "SELECT COUNT(*) FROM app.perm").await.as_deref(), Some("0"));
    returned.has_only_what_is_kept().await;
}

on_each_server!(
    what_a_returned_primary_alone_has_is_undone_to_the_last_row,
    compressed_and_without_checksums_too,
    by_file_and_position_only_rows_are_undone,
);
on_mariadb_first!(
    it_follows_the_new_primary_afterwards,
    a_row_that_is_not_there_rolls_everything_back,
    a_limit_ends_it_with_nothing_changed,
);
on_mysql_5_6!(
    what_a_returned_primary_alone_has_is_undone_to_the_last_row,
    it_follows_the_new_primary_afterwards,
    by_file_and_position_only_rows_are_undone,
    a_row_that_is_not_there_rolls_everything_back,
);
