//! Writes of every kind that a binary log can hold, in parts that can be told apart.

use std::time::Duration;

use primacy_testkit::Cluster;
use primacy_wire::Session;

const LIMIT: Duration = Duration::from_secs(60);

const TABLES: &[&str] = &["plain", "bytes", "latin", "nokey", "big", "xa"];

/// Writes to the primary `s1`.
pub(super) struct Workload<'c> {
    cluster: &'c Cluster,
    session: Session,
    part: u32,
}

/// Rows of the large transaction: more than the receivers, appliers and buffers on the way take at once.
pub(super) const LARGE: u32 = 1 << 17;

impl<'c> Workload<'c> {
    /// The table of the large transaction has so many rows, a power of two.
    pub(super) async fn begin(cluster: &'c Cluster, large: u32) -> Self {
        let mut work = Self { cluster, session: cluster.root("s1").await, part: 0 };
        for statement in [
            "SET NAMES utf8mb4",
            "CREATE TABLE app.plain (id INT PRIMARY KEY, v VARCHAR(200)) \
             ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
            "CREATE TABLE app.bytes (id INT PRIMARY KEY, b LONGBLOB) ENGINE=InnoDB",
            "CREATE TABLE app.latin (id INT PRIMARY KEY, v VARCHAR(50)) \
             ENGINE=InnoDB DEFAULT CHARSET=latin1",
            "CREATE TABLE app.nokey (v INT, t TEXT) ENGINE=InnoDB",
            "CREATE TABLE app.big (id INT PRIMARY KEY, v INT) ENGINE=InnoDB",
            "CREATE TABLE app.xa (id INT PRIMARY KEY, v DECIMAL(20,4), d DATETIME(6)) \
             ENGINE=InnoDB",
            "INSERT INTO app.big VALUES (0, 0)",
        ] {
            work.run(statement).await;
        }
        let mut rows = 1;
        while rows < large {
            work.run(&format!("INSERT INTO app.big SELECT id + {rows}, v FROM app.big")).await;
            rows *= 2;
        }
        work
    }

    async fn run(&mut self, statement: &str) {
        let done = self.session.query(statement, LIMIT).await;
        if let Err(error) = done {
            panic!("{}: {error}", &statement[..statement.len().min(200)]);
        }
    }

    /// One more of everything. The name stands in the rows.
    pub(super) async fn part(&mut self, name: &str) {
        self.part += 1;
        let n = self.part * 1000;
        let blob = "0D0A000D1A5C27FF00".repeat(3000);
        let statements = [
            format!("INSERT INTO app.plain VALUES ({n}, '{name}')"),
            format!("INSERT INTO app.plain VALUES ({n} + 1, 'a line\r\nROLLBACK\r\nCOMMIT;\n')"),
            format!("INSERT INTO app.plain VALUES ({n} + 2, '# at 4\n\\'; ROLLBACK; -- äöü 漢字')"),
            "BEGIN".to_owned(),
            format!("INSERT INTO app.plain VALUES ({n} + 3, 'kept')"),
            "SAVEPOINT here".to_owned(),
            format!("INSERT INTO app.plain VALUES ({n} + 4, 'taken back')"),
            "ROLLBACK TO here".to_owned(),
            format!("INSERT INTO app.plain VALUES ({n} + 5, 'kept too')"),
            "COMMIT".to_owned(),
            format!("INSERT INTO app.bytes VALUES ({n}, x'{blob}'), ({n} + 1, NULL)"),
            format!("UPDATE app.bytes SET b = CONCAT(b, b) WHERE id = {n}"),
            "SET NAMES latin1".to_owned(),
            format!("INSERT INTO app.latin VALUES ({n}, x'E4F6FC2D726F6C6C6261636B')"),
            "SET NAMES utf8mb4".to_owned(),
            format!("INSERT INTO app.nokey (v, t) VALUES ({n}, 'one'), ({n}, 'one'), (NULL, '')"),
            format!("DELETE FROM app.nokey WHERE v < {n} - 1000"),
            format!("ALTER TABLE app.nokey ADD COLUMN c{n} INT NULL"),
            format!("CREATE TABLE app.t{n} (id INT PRIMARY KEY)"),
            format!("INSERT INTO app.t{n} VALUES (1)"),
            format!("DROP TABLE app.t{n}"),
            "FLUSH LOGS".to_owned(),
            // The large transaction.
            "UPDATE app.big SET v = v + 1".to_owned(),
            format!("XA START 'x{n}'"),
            format!("INSERT INTO app.xa VALUES ({n}, 12345.6789, '2026-11-21 01:02:03.456789')"),
            format!("XA END 'x{n}'"),
            format!("XA PREPARE 'x{n}'"),
            format!("XA COMMIT 'x{n}'"),
            format!("INSERT INTO app.plain VALUES ({n} + 9, 'the end of {name}')"),
        ];
        for statement in &statements {
            self.run(statement).await;
        }
    }

    /// The checksum of every table on a server.
    pub(super) async fn checksums(&self, server: &str) -> Vec<String> {
        let tables: Vec<_> = TABLES.iter().map(|t| format!("app.{t}")).collect();
        let rows = self.cluster.sql(server, &format!("CHECKSUM TABLE {}", tables.join(", "))).await;
        rows.iter()
            .map(|row| format!("{}={}", row.at(0).unwrap_or(""), row.at(1).unwrap_or("missing")))
            .collect()
    }
}
