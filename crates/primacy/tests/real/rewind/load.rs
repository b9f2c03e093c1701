//! Tables of every type, writes of every kind in an order that a seed decides, and what the tables
//! hold afterwards.

use std::fmt::Write as _;

use primacy_testkit::Cluster;

use crate::LONG;

/// Every table that is written.
pub(crate) const TABLES: [&str; 8] = [
    "app.every",
    "app.nokey",
    "app.perm",
    "app.uniq",
    "app.parent",
    "app.child",
    "other.two",
    "other.audit",
];

/// Transactions of a load.
const TRANSACTIONS: u64 = 60;

/// Columns of a type each: name, definition, and what values look like.
const COLUMNS: &[(&str, &str, Value)] = &[
    ("ti", "TINYINT UNSIGNED", Value::Number(256, 0)),
    ("sm", "SMALLINT", Value::Number(65536, 32768)),
    ("me", "MEDIUMINT", Value::Number(1 << 24, 1 << 23)),
    ("bi", "BIGINT UNSIGNED", Value::Number(1 << 62, 0)),
    ("de", "DECIMAL(20,7)", Value::Decimal),
    ("fl", "FLOAT", Value::Decimal),
    ("db", "DOUBLE", Value::Decimal),
    ("bo", "BIT(11)", Value::Number(2048, 0)),
    ("ch", "CHAR(7)", Value::Text(7)),
    ("cl", "CHAR(200) CHARACTER SET utf8mb4", Value::Text(200)),
    ("vc", "VARCHAR(30)", Value::Text(30)),
    ("vl", "VARCHAR(400) CHARACTER SET latin1", Value::Text(400)),
    ("bn", "BINARY(5)", Value::Bytes(5)),
    ("vb", "VARBINARY(300)", Value::Bytes(300)),
    ("tt", "TINYTEXT", Value::Text(60)),
    ("tx", "TEXT CHARACTER SET utf8mb4", Value::Text(900)),
    ("mt", "MEDIUMTEXT", Value::Text(90)),
    ("lt", "LONGTEXT", Value::Text(5000)),
    ("tb", "TINYBLOB", Value::Bytes(200)),
    ("bl", "BLOB", Value::Bytes(3000)),
    ("mb", "MEDIUMBLOB", Value::Bytes(90)),
    ("lb", "LONGBLOB", Value::Bytes(70)),
    ("en", "ENUM('a','b','it''s')", Value::OneOf(&["'a'", "'b'", "'it''s'"])),
    ("se", "SET('x','y','z')", Value::OneOf(&["''", "'x'", "'x,z'", "'y,z'"])),
    ("da", "DATE", Value::Date("")),
    ("t3", "TIME(3)", Value::Time),
    ("d6", "DATETIME(6)", Value::Date(" 23:59:59.123456")),
    ("d0", "DATETIME", Value::Date(" 01:02:03")),
    ("ts", "TIMESTAMP(2) NULL", Value::Date(" 12:00:00.25")),
    ("yr", "YEAR", Value::Number(100, -1950)),
    ("ge", "GEOMETRY", Value::Point),
];

/// Types that not all servers have.
fn columns(server: &str) -> Vec<(&'static str, &'static str, Value)> {
    let mut all = COLUMNS.to_vec();
    let json = Value::OneOf(&["'{\"a\": [1, 2.5, null]}'", "'[]'", "'\"text\"'"]);
    match server {
        "mysql-5.6" => {}
        "mariadb-10.5" => all.extend([("js", "JSON", json), ("i6", "INET6", Value::Address)]),
        "mysql-9.7" => all.extend([("js", "JSON", json), ("ve", "VECTOR(3)", Value::Vector)]),
        _ => all.extend([
            ("js", "JSON", json),
            ("i6", "INET6", Value::Address),
            ("uu", "UUID", Value::Uuid),
            ("co", "TEXT COMPRESSED", Value::Text(700)),
        ]),
    }
    all
}

/// What a value looks like.
#[derive(Clone, Copy)]
enum Value {
    /// Up to, less than; and how much is taken away.
    Number(i64, i64),
    Decimal,
    Text(u64),
    Bytes(u64),
    OneOf(&'static [&'static str]),
    /// What follows the day.
    Date(&'static str),
    Time,
    Point,
    Address,
    Uuid,
    Vector,
}

/// Numbers that only look random (Knuth's MMIX).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % limit.max(1)
    }

    fn value(&mut self, value: Value) -> String {
        if self.below(6) == 0 {
            return "NULL".to_owned();
        }
        match value {
            Value::Number(limit, less) => {
                let number = self.below(1 << 31) << 31 | self.below(1 << 31);
                (i64::try_from(number).unwrap() % limit - less).to_string()
            }
            Value::Decimal => {
                let sign = if self.below(2) == 0 { "-" } else { "" };
                format!("{sign}{}.{}", self.below(1 << 30), self.below(10_000_000))
            }
            Value::Text(length) => {
                let length = self.below(length + 1);
                let letters: String =
                    (0..length).map(|_| char::from(b'a' + self.below(26) as u8)).collect();
                format!("'{letters}'")
            }
            Value::Bytes(length) => {
                let mut text = "X'".to_owned();
                for _ in 0..self.below(length + 1) {
                    write!(text, "{:02x}", self.below(256)).unwrap();
                }
                format!("{text}'")
            }
            Value::OneOf(values) => values[self.below(values.len() as u64) as usize].to_owned(),
            Value::Date(time) => {
                let (year, month, day) =
                    (1980 + self.below(50), 1 + self.below(12), 1 + self.below(28));
                format!("'{year}-{month:02}-{day:02}{time}'")
            }
            Value::Time => format!("'-{}:{:02}:59.125'", self.below(800), self.below(60)),
            Value::Point => format!("POINT({}, {})", self.below(1000), self.below(1000)),
            Value::Address => format!("'2001:db8::{:x}'", self.below(65536)),
            Value::Uuid => format!("'01234567-89ab-1def-8123-{:012x}'", self.below(1 << 31)),
            Value::Vector => format!("STRING_TO_VECTOR('[1.5,{},-3]')", self.below(100)),
        }
    }
}

/// What makes the tables.
pub(crate) fn tables(server: &str) -> Vec<String> {
    let mut every = "CREATE TABLE app.every (id INT PRIMARY KEY".to_owned();
    for (name, definition, _) in columns(server) {
        write!(every, ", {name} {definition}").unwrap();
    }
    if server != "mysql-5.6" {
        every.push_str(", vi INT AS (id + 1) VIRTUAL, st VARCHAR(60) AS (CONCAT(id, vc)) STORED");
        every.push_str(", KEY (vi)");
    }
    vec![
        format!("{every}) ENGINE = InnoDB"),
        "CREATE TABLE app.nokey (a INT, b VARCHAR(40), c FLOAT, d BLOB) ENGINE = InnoDB".to_owned(),
        "CREATE TABLE app.perm (id INT PRIMARY KEY, u INT UNIQUE, note VARCHAR(20)) \
         ENGINE = InnoDB"
            .to_owned(),
        "CREATE TABLE app.uniq (u INT UNIQUE, n INT) ENGINE = InnoDB".to_owned(),
        "CREATE TABLE app.parent (id INT PRIMARY KEY) ENGINE = InnoDB".to_owned(),
        "CREATE TABLE app.child (id INT PRIMARY KEY, p INT NOT NULL, \
         FOREIGN KEY (p) REFERENCES app.parent (id)) ENGINE = InnoDB"
            .to_owned(),
        "CREATE DATABASE other".to_owned(),
        "CREATE TABLE other.two (a INT, b INT, n INT, PRIMARY KEY (a, b)) ENGINE = InnoDB"
            .to_owned(),
        // What a trigger writes is in the log by itself, and no trigger runs when it is undone.
        "CREATE TABLE other.audit (id INT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(20)) \
         ENGINE = InnoDB"
            .to_owned(),
        "CREATE TRIGGER app.updated AFTER UPDATE ON app.perm FOR EACH ROW \
         INSERT INTO other.audit (note) VALUES (NEW.note)"
            .to_owned(),
        "CREATE TRIGGER app.deleted AFTER DELETE ON app.perm FOR EACH ROW \
         INSERT INTO other.audit (note) VALUES (OLD.note)"
            .to_owned(),
    ]
}

/// Rows that are there before anything is written that is undone.
pub(crate) fn first_rows(server: &str) -> Vec<String> {
    let mut numbers = Numbers(1);
    let mut all: Vec<String> = (0..30).map(|id| insert_every(server, id, &mut numbers)).collect();
    let rows: Vec<String> = (0..30).map(|id| format!("({id}, {id})")).collect();
    all.push(format!("INSERT INTO app.perm (id, u) VALUES {}", rows.join(", ")));
    all.push("INSERT INTO app.nokey VALUES (1, 'a', 1.1, 'x'), (1, 'a', 1.1, 'x')".to_owned());
    all.push("INSERT INTO other.two VALUES (1, 1, 1), (1, 2, 2), (2, 1, 3)".to_owned());
    all
}

/// Writes with keys that anybody would take first.
pub(crate) fn everything_again() -> [String; 4] {
    [
        "INSERT INTO app.every (id, vc) VALUES (1, 'one'), (2, 'two')",
        "INSERT INTO app.nokey VALUES (7, 'b', 2.5, NULL)",
        "INSERT INTO app.perm (id, u) VALUES (1, 1), (2, 2)",
        "INSERT INTO other.two VALUES (1, 1, 1)",
    ]
    .map(str::to_owned)
}

fn insert_every(server: &str, id: u64, numbers: &mut Numbers) -> String {
    let columns = columns(server);
    let names: Vec<&str> = columns.iter().map(|(name, ..)| *name).collect();
    let values: Vec<String> = columns.iter().map(|(.., value)| numbers.value(*value)).collect();
    format!(
        "REPLACE INTO app.every (id, {}) VALUES ({id}, {})",
        names.join(", "),
        values.join(", ")
    )
}

/// Writes transactions on `s1`.
pub(crate) async fn write(cluster: &Cluster, server: &str, seed: u64) {
    let mut numbers = Numbers(seed);
    let mut session = cluster.root("s1").await;
    for number in 0..TRANSACTIONS {
        if number == TRANSACTIONS / 2 {
            // They stand in two files.
            session.execute("FLUSH BINARY LOGS", LONG).await.unwrap();
        }
        let many = 1 + numbers.below(5);
        session.execute("BEGIN", LONG).await.unwrap();
        for _ in 0..many {
            for sql in statements(server, &mut numbers) {
                let done = session.execute(&sql, LONG).await;
                assert!(done.is_ok(), "{sql}: {done:?}");
            }
        }
        let end = if numbers.below(10) == 0 { "ROLLBACK" } else { "COMMIT" };
        session.execute(end, LONG).await.unwrap();
    }
    session.close().await;
}

fn statements(server: &str, numbers: &mut Numbers) -> Vec<String> {
    let (id, more) = (numbers.below(60), 1 + numbers.below(5));
    let note = numbers.value(Value::Text(20));
    match numbers.below(15) {
        0..=2 => vec![insert_every(server, id, numbers)],
        3 => vec![format!("DELETE FROM app.every WHERE id % 7 = {}", numbers.below(7))],
        4 => {
            let columns = columns(server);
            let (name, _, value) = columns[numbers.below(columns.len() as u64) as usize];
            let value = numbers.value(value);
            vec![format!("UPDATE app.every SET {name} = {value} WHERE id % 3 = {}", id % 3)]
        }
        // The primary keys change, each into its neighbour's.
        5 => vec![
            "UPDATE app.every SET id = id + 1 ORDER BY id DESC".to_owned(),
            "UPDATE app.perm SET id = id - 1 ORDER BY id".to_owned(),
        ],
        // Values of a unique key go round: each takes what the one before it has just left.
        6 => vec![
            "UPDATE app.perm SET u = u + 1 ORDER BY u DESC".to_owned(),
            format!("UPDATE app.perm SET u = -u, note = {note} WHERE u > {id}"),
            "UPDATE app.perm SET u = 1000 - u WHERE u < 0 ORDER BY u".to_owned(),
        ],
        7 => vec![
            "SET @u = (SELECT MIN(u) FROM app.perm)".to_owned(),
            format!("DELETE FROM app.perm WHERE u = @u"),
            format!("REPLACE INTO app.perm (id, u, note) VALUES ({}, @u, {note})", 500 + id),
        ],
        8 => (0..more)
            .map(|n| format!("INSERT INTO app.nokey VALUES ({}, {note}, {n}.3, {note})", id % 9))
            .collect(),
        9 => vec![
            format!("UPDATE app.nokey SET c = c * 1.7 + {more}, b = {note} WHERE a = {}", id % 9),
            format!("DELETE FROM app.nokey WHERE a = {} LIMIT 1", id % 5),
        ],
        10 => vec![
            format!("SAVEPOINT here"),
            format!(
                "INSERT INTO other.two VALUES ({id}, {more}, 0) ON DUPLICATE KEY UPDATE n = n + 1"
            ),
            format!(
                "UPDATE app.perm p JOIN other.two t ON t.b = p.id % 5 SET p.note = 'joined', t.n = t.n + 1"
            ),
        ],
        11 => (0..more)
            .map(|n| format!("INSERT IGNORE INTO app.uniq VALUES ({}, {n})", id + n * 3))
            .collect(),
        // No primary key: rows are looked for in another way, and their order still counts.
        12 => vec!["UPDATE app.uniq SET u = u + 1 ORDER BY u DESC".to_owned()],
        13 => vec![
            format!("INSERT IGNORE INTO app.parent VALUES ({id}), ({})", id + 1),
            format!("INSERT IGNORE INTO app.child VALUES ({id}, {}), ({}, {id})", id + 1, id + 5),
            format!("DELETE FROM app.child WHERE id % 7 = {more}"),
            "DELETE FROM app.parent WHERE id NOT IN (SELECT p FROM app.child)".to_owned(),
        ],
        _ => vec![
            "SAVEPOINT here".to_owned(),
            format!("DELETE FROM other.two WHERE a > {id}"),
            "ROLLBACK TO here".to_owned(),
            format!("UPDATE other.two SET n = {id} WHERE b = 1"),
        ],
    }
}

/// What each table holds.
pub(crate) async fn dumps(cluster: &Cluster) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for table in TABLES {
        all.push(dump(cluster, "s1", table).await);
    }
    all
}

/// What a table holds, in an order of its own, after its checksum.
pub(crate) async fn dump(cluster: &Cluster, server: &str, table: &str) -> Vec<String> {
    let (schema, name) = table.split_once('.').unwrap();
    let columns = cluster
        .sql(
            server,
            &format!(
                "SELECT column_name, data_type FROM information_schema.columns WHERE \
                 table_schema = '{schema}' AND table_name = '{name}' ORDER BY ordinal_position"
            ),
        )
        .await;
    let shown: Vec<String> = columns
        .iter()
        .map(|row| {
            let column = row.at(0).unwrap();
            match row.at(1).unwrap() {
                "float" | "double" | "decimal" | "date" | "time" | "datetime" | "timestamp" => {
                    format!("IFNULL(CONCAT(`{column}`, ''), 'NULL')")
                }
                _ => format!("IFNULL(HEX(`{column}`), 'NULL')"),
            }
        })
        .collect();
    let sql = format!("SELECT CONCAT_WS('|', {}) AS r FROM {table} ORDER BY r", shown.join(", "));
    let rows = cluster.sql(server, &sql).await;
    let checksum = cluster.sql(server, &format!("CHECKSUM TABLE {table}")).await;
    let checksum = checksum.first().and_then(|row| row.at(1)).unwrap().to_owned();
    let rows = rows.iter().map(|row| row.at(0).unwrap().to_owned());
    std::iter::once(checksum).chain(rows).collect()
}
