//! The walker finds the end of every answer to the byte: behind each command a ping is sent, and
//! what stands behind the answer must be the answer to the ping, and nothing else.

use primacy_protocol::capability::{
    COMPRESS, DEPRECATE_EOF, MARIADB_BULK, MARIADB_CACHE_METADATA, MARIADB_EXTENDED_TYPES,
    MARIADB_PROGRESS, OPTIONAL_METADATA, QUERY_ATTRIBUTES, SESSION_TRACK, ZSTD,
};
use primacy_protocol::packet::parse_ok;
use primacy_relay::{Agreed, Change, Event, Inlet, Taken, Walker, command as kind_of};
use primacy_testkit::{Cluster, cluster};

use crate::on_each_server;
use crate::raw::{BASIC, Raw, command};
use primacy_sandbox::AccountRole;

on_each_server!(
    every_answer_ends_where_the_next_one_begins,
    what_changed_of_the_session_is_told,
    compressed_packets_carry_the_same,
);

const COM_QUERY: u8 = 0x03;
const COM_PING: u8 = 0x0E;

impl Raw {
    /// As the application of a cluster.
    pub(crate) async fn app(cluster: &Cluster, wanted: u64) -> Self {
        let options = cluster.login("s1", AccountRole::Application);
        let password = secrecy::ExposeSecret::expose_secret(&options.password);
        Self::login(&options.address, &options.user, password, wanted).await.unwrap()
    }

    /// Sends a command and a ping behind it; what the answer told, and its bytes.
    async fn exactly(&mut self, code: u8, argument: &[u8]) -> (Vec<String>, Vec<u8>) {
        let bytes = command(code, argument);
        let mut inlet = Inlet::new(1 << 30, 1 << 12);
        let Ok(Taken::Command(taken)) = inlet.take(&bytes) else { panic!("a command") };
        let rest = inlet.pass(&bytes[taken.bytes..]).unwrap().bytes;
        assert_eq!(taken.bytes + rest, bytes.len());
        let expected = kind_of(code).unwrap().expected(taken.argument).unwrap();
        let attributes = if self.agreed.has(QUERY_ATTRIBUTES) { &[0, 1][..] } else { &[] };
        let bytes = match code {
            COM_QUERY => command(code, &[attributes, argument].concat()),
            _ => bytes,
        };
        self.send(&bytes).await;
        self.send(&command(COM_PING, b"")).await;
        let mut walker = Walker::new(expected, self.agreed);
        let (mut told, mut at) = (Vec::new(), 0);
        while !walker.has_ended() {
            if at == self.input.len() {
                self.read().await;
            }
            // Pieces that are cut anywhere.
            let piece = (self.input.len() - at).min(1 + at % 977);
            at += walker.walk(&self.input[at..at + piece], |e| told.push(name(&e))).unwrap().bytes;
        }
        let answer = self.input.split_to(at).to_vec();
        while self.input.len() < 4 || self.input.len() < 4 + usize::from(self.input[0]) {
            self.read().await;
        }
        assert_eq!(self.input.len(), 4 + usize::from(self.input[0]), "{told:?}");
        assert_eq!(self.input[3], 1, "the answer to the ping begins behind {told:?}");
        parse_ok(&self.input[4..]).unwrap();
        self.input.clear();
        (told, answer)
    }
}

fn name(event: &Event<'_>) -> String {
    match event {
        Event::ResultSet { columns } => format!("columns={columns}"),
        Event::Ended(ending) if ending.status & 0x40 != 0 => "cursor".to_owned(),
        Event::Ended(ending) => format!("ended={}", ending.affected_rows),
        Event::Failed(failure) => format!("failed={}", failure.code),
        Event::File { .. } => "file".to_owned(),
        Event::Prepared(prepared) => format!("{}/{}", prepared.parameters, prepared.columns),
        Event::Progress(_) => "progress".to_owned(),
        Event::Login(_) => "login".to_owned(),
    }
}

/// `COM_STMT_EXECUTE` of a statement with one BIGINT parameter, or none.
fn execute(agreed: Agreed, id: u32, flags: u8, value: Option<u64>) -> Vec<u8> {
    let mut out = [&id.to_le_bytes()[..], &[flags], &1_u32.to_le_bytes()].concat();
    if let Some(value) = value {
        // With attributes: how many parameters there are, and a name for each.
        let named = agreed.has(QUERY_ATTRIBUTES);
        out.extend_from_slice(if named { &[1, 0, 1, 8, 0, 0] } else { &[0, 1, 8, 0] });
        out.extend_from_slice(&value.to_le_bytes());
    }
    out
}

/// The number that a prepared answer has.
fn id_in(answer: &[u8]) -> u32 {
    u32::from_le_bytes(answer[5..9].try_into().unwrap())
}

async fn every_answer_ends_where_the_next_one_begins(server: &str) {
    let cluster = cluster(server).replicas(0).option("max_allowed_packet=64M").up().await;
    let setup = "CREATE TABLE app.few (id BIGINT PRIMARY KEY, t LONGTEXT); \
        INSERT INTO app.few VALUES (1, 'a'), (2, NULL), (3, REPEAT('x', 300)); \
        CREATE PROCEDURE app.both() BEGIN SELECT * FROM app.few; SELECT 1; END";
    let mut root = Raw::app(&cluster, BASIC.into()).await;
    let (told, _) = root.exactly(COM_QUERY, setup.as_bytes()).await;
    assert_eq!(told, ["ended=0", "ended=3", "ended=0"]);

    let mysql = !cluster.is_mariadb();
    let old = server == "mysql-5.6";
    let mut sets = vec![0, u64::from(DEPRECATE_EOF), u64::from(DEPRECATE_EOF | SESSION_TRACK)];
    if mysql {
        let all = DEPRECATE_EOF | SESSION_TRACK | OPTIONAL_METADATA | QUERY_ATTRIBUTES;
        sets.extend([u64::from(OPTIONAL_METADATA), u64::from(all)]);
    } else {
        let all = MARIADB_PROGRESS | MARIADB_BULK | MARIADB_EXTENDED_TYPES | MARIADB_CACHE_METADATA;
        sets.extend([all, all | u64::from(DEPRECATE_EOF | SESSION_TRACK)]);
    }
    for wanted in sets {
        let mut raw = Raw::app(&cluster, wanted | u64::from(BASIC)).await;
        let agreed = raw.agreed;
        let flags = format!("{wanted:#x}");
        let texts: &[(&str, &[&str])] = &[
            ("SELECT * FROM app.few", &["columns=2", "ended=0"]),
            ("SELECT * FROM app.few WHERE id = 9", &["columns=2", "ended=0"]),
            ("SELECT 1; SELECT 2, 3", &["columns=1", "ended=0", "columns=2", "ended=0"]),
            ("DO 1; SELECT 1; SELEC", &["ended=0", "columns=1", "ended=0", "failed=1064"]),
            ("SELECT 1 FROM app.none", &["failed=1146"]),
            ("CALL app.both()", &["columns=2", "ended=0", "columns=1", "ended=0", "ended=0"]),
            ("UPDATE app.few SET t = 'b' WHERE id = 1", &["ended=1"]),
            ("UPDATE app.few SET t = 'a' WHERE id = 1", &["ended=1"]),
            ("USE app", &["ended=0"]),
            ("SET @a = 1, autocommit = 1", &["ended=0"]),
            ("", &["failed=1065"]),
            ("SELECT REPEAT('y', 17000000), 1", &["columns=2", "ended=0"]),
            ("SELECT REPEAT('y', 16777211)", &["columns=1", "ended=0"]),
        ];
        for (text, expected) in texts {
            let (told, _) = raw.exactly(COM_QUERY, text.as_bytes()).await;
            assert_eq!(&told, expected, "{text} {flags}");
        }
        // 17 MiB from the client.
        let long = format!("SELECT LENGTH('{}')", "z".repeat(17 << 20));
        assert_eq!(raw.exactly(COM_QUERY, long.as_bytes()).await.0, ["columns=1", "ended=0"]);

        // Prepared: with and without parameters and columns.
        for (text, expected) in [("DO 1", "0/0"), ("DO ?", "1/0"), ("SELECT 1, 2", "0/2")] {
            assert_eq!(raw.exactly(0x16, text.as_bytes()).await.0, [expected], "{text} {flags}");
        }
        assert_eq!(raw.exactly(0x16, b"SELEC").await.0, ["failed=1064"]);
        let (told, answer) = raw.exactly(0x16, b"SELECT id, t FROM few WHERE id >= ?").await;
        assert_eq!(told, ["1/2"], "{flags}");
        let id = id_in(&answer);
        for _ in 0..2 {
            let rows = raw.exactly(0x17, &execute(agreed, id, 0, Some(1))).await;
            assert_eq!(rows.0, ["columns=2", "ended=0"], "{flags}");
        }
        assert_eq!(raw.exactly(0x1A, &id.to_le_bytes()).await.0, ["ended=0"]);
        // A cursor, and its rows in two portions.
        let (told, _) = raw.exactly(0x17, &execute(agreed, id, 1, Some(1))).await;
        assert_eq!(told, ["columns=2", "cursor"], "{flags}");
        let fetch = [id.to_le_bytes(), 2_u32.to_le_bytes()].concat();
        assert_eq!(raw.exactly(0x1C, &fetch).await.0.len(), 1, "{flags}");
        assert_eq!(raw.exactly(0x1C, &fetch).await.0.len(), 1, "{flags}");
        // Long data, and a wrong statement.
        let long = [&id.to_le_bytes()[..], &[0, 0], b"1"].concat();
        assert!(raw.exactly(0x18, &long).await.0.is_empty());
        assert_eq!(raw.exactly(0x1A, &id.to_le_bytes()).await.0, ["ended=0"]);
        assert_eq!(raw.exactly(0x17, &execute(agreed, 77_777, 0, None)).await.0, ["failed=1243"]);
        assert!(raw.exactly(0x19, &id.to_le_bytes()).await.0.is_empty());
        // A procedure, prepared.
        let (_, answer) = raw.exactly(0x16, b"CALL app.both()").await;
        let (told, _) = raw.exactly(0x17, &execute(agreed, id_in(&answer), 0, None)).await;
        assert_eq!(told, ["columns=2", "ended=0", "columns=1", "ended=0", "ended=0"], "{flags}");

        // The other commands.
        assert_eq!(raw.exactly(0x02, b"app").await.0, ["ended=0"]);
        assert_eq!(raw.exactly(0x02, b"none_such").await.0.len(), 1);
        assert!(raw.exactly(0x09, b"").await.0.is_empty());
        assert_eq!(raw.exactly(0x1B, &[0, 0]).await.0, ["ended=0"], "{flags}");
        if !mysql || old {
            assert_eq!(raw.exactly(0x04, b"few\0").await.0, ["ended=0"], "{flags}");
            assert_eq!(raw.exactly(0x0A, b"").await.0.last().unwrap(), "ended=0");
        }
        // Gone from MySQL 9.
        let killed = raw.exactly(0x0C, &u32::MAX.to_le_bytes()).await.0;
        assert_eq!(killed, [if mysql && !old { "failed=1047" } else { "failed=1094" }]);
        if !old {
            assert_eq!(raw.exactly(0x1F, b"").await.0, ["ended=0"]);
        }

        if wanted & u64::from(OPTIONAL_METADATA) != 0 && !old {
            let set = b"SET resultset_metadata = NONE";
            assert_eq!(raw.exactly(COM_QUERY, set).await.0, ["ended=0"]);
            let rows = raw.exactly(COM_QUERY, b"SELECT id, t FROM app.few").await;
            assert_eq!(rows.0, ["columns=2", "ended=0"], "{flags}");
            let (told, answer) = raw.exactly(0x16, b"SELECT id, t FROM app.few WHERE id > ?").await;
            assert_eq!(told, ["1/2"], "{flags}");
            let rows = raw.exactly(0x17, &execute(agreed, id_in(&answer), 0, Some(0))).await;
            assert_eq!(rows.0, ["columns=2", "ended=0"], "{flags}");
        }
        if raw.agreed.flags() & MARIADB_BULK != 0 {
            let (_, answer) = raw.exactly(0x16, b"INSERT INTO app.few (id) VALUES (?)").await;
            // Two sets of one BIGINT; types are sent.
            let mut bulk = [&id_in(&answer).to_le_bytes()[..], &[0x80, 0, 8, 0]].concat();
            for value in [100_u64, 101] {
                bulk.push(0);
                bulk.extend_from_slice(&value.to_le_bytes());
            }
            assert_eq!(raw.exactly(0xFA, &bulk).await.0, ["ended=2"], "{flags}");
            let delete = b"DELETE FROM app.few WHERE id > 99";
            assert_eq!(raw.exactly(COM_QUERY, delete).await.0, ["ended=2"]);
        }
    }
}

async fn what_changed_of_the_session_is_told(server: &str) {
    if server == "mysql-5.6" {
        return; // It tracks nothing.
    }
    let cluster = cluster(server).replicas(0).up().await;
    let wanted = u64::from(BASIC | DEPRECATE_EOF | SESSION_TRACK);
    let mut raw = Raw::app(&cluster, wanted).await;
    let mysql = !cluster.is_mariadb();
    let mut tracking = "SET SESSION session_track_schema = 1, session_track_state_change = 1, \
        session_track_system_variables = 'autocommit,time_zone', \
        session_track_transaction_info = 'CHARACTERISTICS'"
        .to_owned();
    if mysql {
        tracking.push_str(", session_track_gtids = OWN_GTID");
    }
    raw.exactly(COM_QUERY, tracking.as_bytes()).await;
    let mut seen = Vec::new();
    for text in [
        "USE app",
        "SET time_zone = '+01:00'",
        "CREATE TABLE app.t (id INT)",
        "START TRANSACTION READ ONLY",
        "COMMIT",
    ] {
        let (_, answer) = raw.exactly(COM_QUERY, text.as_bytes()).await;
        let kind = kind_of(COM_QUERY).unwrap().expected(b"").unwrap();
        Walker::new(kind, raw.agreed)
            .walk(&answer, |event| {
                let Event::Ended(ending) = event else { panic!("{event:?}") };
                for change in ending.changes() {
                    seen.push(match change.unwrap() {
                        Change::Variable { name, value } => {
                            format!("{}={}", name.escape_ascii(), value.escape_ascii())
                        }
                        Change::Schema(name) => format!("schema {}", name.escape_ascii()),
                        Change::State(changed) => format!("state {changed}"),
                        Change::Gtids(_) => "gtids".to_owned(),
                        Change::Characteristics(text) => text.escape_ascii().to_string(),
                        Change::Transaction(state) => state.escape_ascii().to_string(),
                        Change::Other(kind) => panic!("kind {kind}"),
                    });
                }
            })
            .unwrap();
    }
    let has = |wanted: &str| assert!(seen.iter().any(|s| s == wanted), "{wanted} in {seen:?}");
    has("schema app");
    has("time_zone=+01:00");
    has("START TRANSACTION READ ONLY;");
    has("T_______");
    if mysql {
        has("gtids");
    }
}

/// The bytes of an answer.
async fn answered(raw: &mut Raw, text: &str) -> Vec<u8> {
    raw.send(&command(COM_QUERY, text.as_bytes())).await;
    let kind = kind_of(COM_QUERY).unwrap().expected(b"").unwrap();
    let (mut walker, mut at) = (Walker::new(kind, raw.agreed), 0);
    while !walker.has_ended() {
        if at == raw.input.len() {
            raw.read().await;
        }
        at += walker.walk(&raw.input[at..], |_| ()).unwrap().bytes;
    }
    assert_eq!(at, raw.input.len(), "nothing is behind the answer");
    raw.input.split().to_vec()
}

/// Without the numbers of packets: servers that compress take those of compressed packets over.
fn unnumbered(mut answer: Vec<u8>) -> Vec<u8> {
    let mut at = 0;
    while let Some(&[a, b, c, _]) = answer.get(at..at + 4).and_then(|head| head.first_chunk()) {
        answer[at + 3] = 0;
        at += 4 + (usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16);
    }
    answer
}

async fn compressed_packets_carry_the_same(server: &str) {
    let cluster = cluster(server).replicas(0).option("max_allowed_packet=64M").up().await;
    let basic = u64::from(BASIC | DEPRECATE_EOF);
    let mut plain = Raw::app(&cluster, basic).await;
    let mut ways = vec![COMPRESS];
    if server == "mysql-9.7" {
        ways.push(ZSTD);
    }
    let long = format!("SELECT LENGTH('{}')", "z".repeat(17 << 20));
    for way in ways {
        let mut packed = Raw::app(&cluster, basic | u64::from(way)).await;
        assert!(packed.agreed.has(way), "{way:#x}");
        for text in [
            "SELECT 1",
            "SELECT REPEAT('y', 100000), MD5('x')",
            "SELECT RANDOM_BYTES_OF_NOBODY()",
            "SELECT REPEAT('y', 17000000), 1; SELECT 2",
            &long,
            "SELECT 3",
        ] {
            let there = unnumbered(answered(&mut plain, text).await);
            let here = unnumbered(answered(&mut packed, text).await);
            assert!(there == here, "{way:#x} {}", &text[..20.min(text.len())]);
        }
    }
}
