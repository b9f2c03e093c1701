//! Writes the first inputs of every target, from the files of real servers that the tests use and
//! from packets as real clients and servers send them: `seeds FOLDER`.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::BytesMut;
use primacy_binlog::undo::{UndoLimits, undo};
use primacy_binlog::{
    CutFrom, CutRequest, CutSource, EventBody, EventKind, Grouper, Part, Reader, cut,
};
use primacy_types::BinlogPosition;
use primacy_wire::capability::{
    CONNECT_ATTRS, CONNECT_WITH_DB, DEPRECATE_EOF, PLUGIN_AUTH, PLUGIN_AUTH_LENENC, PROTOCOL_41,
    SECURE_CONNECTION, SSL,
};
use primacy_wire::frame::Framer;
use primacy_wire::packet::{
    AuthSwitch, ErrPacket, Greeting, LoginRequest, OkPacket, column_packet, eof_packet, row_packet,
    tls_request,
};

/// A GTID set of MySQL 9.7 in COM_BINLOG_DUMP_GTID.
const SET: &[u8] = b"\x01\0\0\0\0\0\0\0\x06\xe7N\xeb\xe5B\x11\xf1\xa4y\x02\xfc\0\0\0\x01\
    \x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0";

/// The same with a tag.
const TAGGED: &[u8] = b"\x01\x01\0\0\0\0\0\x01\x06\xe7N\xeb\xe5B\x11\xf1\xa4y\x02\xfc\0\0\0\x01\
    \x0cbackup\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0";

/// Whoever runs this has the repository: nothing is expected to be missing.
fn main() {
    let folder = std::env::args_os().nth(1).expect("a folder");
    let mut seeds = Seeds { folder: folder.into(), count: 0 };
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/binlog/tests/data");
    for server in sorted(&data).into_iter().filter(|path| path.is_dir()) {
        logs(&mut seeds, &server);
    }
    seeds.add("binlog_index", b"./binlog.000009\r\n/var/lib/mysql/binlog.000010\n\nb.1000000\nb");
    packets(&mut seeds);
    logins(&mut seeds);
    requests(&mut seeds);
    texts(&mut seeds);
    agents(&mut seeds);
    health(&mut seeds);
    mha(&mut seeds);
    statements(&mut seeds);
}

/// The statements of the tests' table, on MySQL and on MariaDB.
fn statements(seeds: &mut Seeds) {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/sql/tests/sql/cases.txt");
    let table = fs::read_to_string(table).expect("a file of the tests");
    for (number, line) in table.lines().enumerate() {
        let Some((_, statement)) = line.split_once(" | ") else { continue };
        let choice = if number % 2 == 0 { 1 } else { 3 };
        seeds.add("sql", &[&[choice], statement.as_bytes()].concat());
    }
}

/// Files as MHA's users have them, right and wrong.
fn mha(seeds: &mut Seeds) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/mha-config/tests");
    for folder in ["good", "wrong"] {
        for path in sorted(&tests.join(folder)) {
            if path.extension().is_some_and(|extension| extension == "cnf") {
                seeds.add("mha_config", &fs::read(path).expect("a file of the tests"));
            }
        }
    }
    seeds.add(
        "mha_config",
        b"[server1]\nhostname=a\n\n%\n[server default]\nuser=g\n\n%\npassword=a=b\n",
    );
}

/// As load balancers ask, and what they are told.
fn health(seeds: &mut Seeds) {
    for text in [
        "/primary",
        "/writable?server=db1%3A3306",
        "/replica?max_lag=5s&server=[fd00::1]:3306&cluster=shop",
        "/replica?max_lag=500ms",
        "/galera",
        "/ready?cluster=shop+2",
        "/live",
        "http://[::1]:7621/",
        r#"{"ok":true,"reason":"yes","server":"db1:3306","role":"primary","epoch":3,"lease_ms":1200}"#,
    ] {
        seeds.add("health_question", text.as_bytes());
    }
}

/// As a manager and an agent say it.
fn agents(seeds: &mut Seeds) {
    let server = r#""server":"db1:3306""#;
    let lease = r#"{"epoch":3,"since":12345,"voters":{"number":7,"servers":["db2:3306"]},"by_voters":false}"#;
    for (which, text) in [
        (0, format!(r#"{{{server},"limit":1000}}"#)),
        (0, format!(r#"{{{server},"after":3,"wait":20000}}"#)),
        (
            0,
            format!(
                r#"{{{server},"path":"/var/lib/mysql/b.000001","offset":4,"len":100,"limit":9}}"#
            ),
        ),
        (
            1,
            format!(
                r#"{{{server},"cluster":"c","ask":{{"term":1,"agrees":true}},"epoch":3,"standing":"primary","agents":{{"db1:3306":"db1:7620"}},"vips":["10.0.0.100/32"],"take_over":true}}"#
            ),
        ),
        (
            1,
            format!(
                r#"{{{server},"grant":{{"term":1,"epoch":3,"nonce":9,"voters":{{"number":7,"servers":null}}}}}}"#
            ),
        ),
        (
            1,
            format!(
                r#"{{{server},"cluster":"c","extension":{{"primary":"db1:3306","epoch":3,"nonce":1}}}}"#
            ),
        ),
        (
            2,
            format!(
                r#"{{"refused":{{"refused":"bound","left":10}},"ttl":3000,"nonce":4,"hold":"good","lease":{lease},"epoch":3,"bound":0,"guarded":true,"writable":true,"process":null}}"#
            ),
        ),
        (3, "10.0.0.100/24@eth0:vip".to_owned()),
    ] {
        seeds.add("agent_request", [&[which], text.as_bytes()].concat());
    }
}

struct Seeds {
    folder: PathBuf,
    count: usize,
}

impl Seeds {
    fn add(&mut self, target: &str, bytes: impl AsRef<[u8]>) {
        let folder = self.folder.join(target);
        fs::create_dir_all(&folder).expect("a folder");
        self.count += 1;
        fs::write(folder.join(format!("seed-{:04}", self.count)), bytes).expect("a file");
    }

    fn with_switches(&mut self, target: &str, switches: &[u8], bytes: &[u8]) {
        for switches in switches {
            self.add(target, [&[*switches], bytes].concat());
        }
    }
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of fixtures");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// The binary logs and relay logs of one server.
fn logs(seeds: &mut Seeds, server: &Path) {
    for path in sorted(server).into_iter().filter(|path| path.is_file()) {
        let bytes = fs::read(&path).expect("a fixture");
        seeds.with_switches("binlog_reader", &[0x40, 0xC1], &bytes);
        seeds.with_switches("binlog_cut", &[0x01, 0x08, 0x11, 0x38], &bytes);
        archive(seeds, &path);
        payloads(seeds, &bytes);
        undone(seeds, &bytes);
    }
    let relay = server.join("relay");
    if !relay.exists() {
        return;
    }
    let mut logs = Vec::new();
    for path in sorted(&relay) {
        let bytes = fs::read(&path).expect("a fixture");
        if path.extension().is_some_and(|extension| extension == "index") {
            seeds.add("binlog_index", bytes);
        } else {
            logs.push(bytes);
        }
    }
    for logs in logs.chunks(3) {
        seeds.with_switches("binlog_relay", &[0x00, 0x03], &logs.concat());
        seeds.with_switches("binlog_cut", &[0x07, 0x0B, 0x13], &logs.concat());
    }
}

/// What a cut of the file saves.
fn archive(seeds: &mut Seeds, path: &Path) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("binlog.000001");
    fs::copy(path, &file).expect("a copy");
    let from = CutFrom::Position(BinlogPosition::new("binlog.000001", 4));
    let saved = folder.path().join("saved");
    let request = CutRequest { from, until: None };
    if let Ok(report) = cut(&CutSource::Binlogs(vec![file]), &request, &saved, "it") {
        let manifest = fs::read(saved.join("manifest.json")).expect("a manifest");
        let logs = report.archive.files().iter();
        let logs = logs.flat_map(|file| fs::read(report.archive.path(file)).expect("a log"));
        seeds.add("binlog_archive", manifest.into_iter().chain(logs).collect::<Vec<u8>>());
    }
}

/// The transactions of a file that can be undone: one by one, and all together.
fn undone(seeds: &mut Seeds, bytes: &[u8]) {
    let mut reader = Reader::new(bytes, "it").expect("memory can be read");
    let (mut head, mut all, mut grouper) = (Vec::new(), Vec::new(), Grouper::new());
    while let Ok(Some((event, format))) = reader.next_in_format() {
        if event.kind() == EventKind::FORMAT_DESCRIPTION {
            head = [b"\xfebin", event.bytes()].concat();
            continue;
        }
        match grouper.feed(&event, format).map(|fed| fed.part) {
            Ok(part) if part.opens() => all.push(event.bytes().to_vec()),
            Ok(Part::Inside | Part::Ends) => {
                all.last_mut().expect("one is open").extend_from_slice(event.bytes());
            }
            _ => {}
        }
    }
    let rows = |one: &Vec<u8>| {
        let file = [&head[..], one].concat();
        let mut reader = Reader::new(&file[..], "it").expect("memory can be read");
        undo(&mut reader, &UndoLimits::default()).map_or(0, |undo| undo.rows)
    };
    all.retain(|one| rows(one) > 0 && one.len() < 20_000);
    for one in all.iter().take(6) {
        seeds.with_switches("binlog_undo", &[0x05, 0x1e], &[&head[..], one].concat());
    }
    seeds.with_switches("binlog_undo", &[0x1f], &[head, all.concat()].concat());
}

/// The compressed transactions in a file.
fn payloads(seeds: &mut Seeds, bytes: &[u8]) {
    let mut reader = Reader::new(bytes, "it").expect("memory can be read");
    while let Ok(Some((event, format))) = reader.next_in_format() {
        if let Ok(EventBody::TransactionPayload(inner)) = EventBody::decode(&event, format) {
            seeds.with_switches("transaction_payload", &[0x00, 0x20], inner.payload);
        }
    }
}

/// Puts packets into frames; numbers of 0 begin a new command.
fn framed(commands: &[&[Vec<u8>]]) -> Vec<u8> {
    let mut out = BytesMut::new();
    for packets in commands {
        let mut framer = Framer::default();
        packets.iter().for_each(|packet| framer.encode(packet, &mut out));
    }
    out.to_vec()
}

/// A conversation as the client sees it: greeting, login, answers. The client's own packets count,
/// too.
fn packets(seeds: &mut Seeds) {
    let greeting = |plugin: &str, more| Greeting {
        version: "5.5.5-10.11.6-MariaDB".to_owned(),
        connection_id: 7,
        capabilities: PROTOCOL_41 | PLUGIN_AUTH | SECURE_CONNECTION | PLUGIN_AUTH_LENENC | more,
        status: 2,
        plugin: plugin.to_owned(),
        scramble: b"abcdefghijklmnopqrst".to_vec(),
    };
    let ok = OkPacket { affected_rows: 300, status: 2, ..OkPacket::default() }.to_bytes();
    let end = OkPacket { status: 2, ..OkPacket::default() }.to_bytes();
    let end = [&[0xFE], &end[1..]].concat();
    let err = ErrPacket::new(1236, "HY000", "the saved events begin at b.000004:4").to_bytes();
    let switch = |plugin: &str| AuthSwitch {
        plugin: plugin.to_owned(),
        challenge: b"abcdefghijklmnopqrst".to_vec(),
    };
    let eof = eof_packet(2);
    let row = row_packet(&[Some(b"on"), None]);
    let columns = [column_packet("Variable_name"), column_packet("Value")];
    let old = [&[vec![2]], &columns[..], &[eof.clone(), row.clone(), eof.clone()]].concat();
    let new = [&[vec![2]], &columns[..], &[row, end]].concat();

    relayed(seeds, [&old, &new], &ok, &err);
    for plugin in ["mysql_native_password", "caching_sha2_password"] {
        for (more, rows) in [(0, &old), (DEPRECATE_EOF, &new)] {
            let mut talk = framed(&[&[greeting(plugin, more).to_bytes()]]);
            let answer = |number: u8, packet: &[u8]| {
                let length = packet.len() as u8;
                [&[length, 0, 0, number], packet].concat()
            };
            for packet in [&switch("client_ed25519").to_bytes(), &switch(plugin).to_bytes()] {
                let number = if talk.len() < 120 { 2 } else { 4 };
                talk.extend(answer(number, packet));
            }
            talk.extend(answer(6, &[1, 3]));
            talk.extend(answer(7, &ok));
            let mut short = framed(&[&[greeting(plugin, more).to_bytes()]]);
            short.extend(answer(2, &ok));
            for mut talk in [talk, short] {
                for packets in [&rows[..], std::slice::from_ref(&ok), std::slice::from_ref(&err)] {
                    let packets = packets.iter().enumerate();
                    packets.for_each(|(i, p)| talk.extend(answer(i as u8 + 1, p)));
                }
                seeds.with_switches("wire_client", &[0, 1, 2], &talk);
                seeds.with_switches("wire_frame", &[0xF0, 0x80], &talk);
            }
        }
    }
    seeds.with_switches("wire_frame", &[0xF0], &framed(&[&old, &new, &[ok, err, eof]]));
    let sha2 = greeting("caching_sha2_password", 0).to_bytes();
    let mut full = framed(&[&[sha2]]);
    full.extend_from_slice(&[2, 0, 0, 2, 1, 4]);
    let key = "-----BEGIN PUBLIC KEY-----\n\
        MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAMyXn1tbJq5oTnXPqVBiZo5Jz8pQvY1S\n\
        Zr8m9cJ3tF5m8n0hXvJ1o0cYk8Rz5E5bB0w4n6vO1y0rjv3m7y1Wq0UCAwEAAQ==\n\
        -----END PUBLIC KEY-----\n";
    full.extend_from_slice(&[key.len() as u8 + 1, 0, 0, 4, 1]);
    full.extend_from_slice(key.as_bytes());
    seeds.with_switches("wire_client", &[0], &full);
}

fn logins(seeds: &mut Seeds) {
    let flags = PROTOCOL_41 | SECURE_CONNECTION | PLUGIN_AUTH;
    for more in [0, CONNECT_WITH_DB, PLUGIN_AUTH_LENENC | CONNECT_ATTRS | CONNECT_WITH_DB] {
        for plugin in ["mysql_native_password", "caching_sha2_password"] {
            let request = LoginRequest {
                capabilities: flags | more,
                max_packet: 1 << 24,
                user: "repl",
                auth: &[7; 20],
                database: Some("d"),
                plugin,
                attributes: &[("_client_name", "libmariadb"), ("a", "b")],
            };
            let login = [vec![1, 0, 0, 1], request.to_bytes()].concat();
            let length = (login.len() - 4) as u8;
            let login = [&[length], &login[1..]].concat();
            let login = [&login[..1], &[0, 0, 1], &login[4..], &[20, 0, 0, 3], &[7; 20]].concat();
            seeds.with_switches("wire_login", &[0, 1], &login);
            seeds.with_switches("relay_client", &[0, 1, 0x20], &login);
        }
    }
    let tls = [&[32, 0, 0, 1][..], &tls_request(flags | SSL, 1 << 24)].concat();
    seeds.with_switches("wire_login", &[0], &tls);
    seeds.with_switches("relay_client", &[0], &tls);
}

/// Answers of servers to every kind of command, and the commands.
fn relayed(seeds: &mut Seeds, results: [&Vec<Vec<u8>>; 2], ok: &[u8], err: &[u8]) {
    let answer = |packets: &[&[u8]]| -> Vec<u8> {
        let framed = packets.iter().enumerate().map(|(number, packet)| {
            [&[packet.len() as u8, 0, 0, number as u8 + 1], *packet].concat()
        });
        framed.collect::<Vec<_>>().concat()
    };
    let [old, new] = results.map(|rows| rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let column = column_packet("?");
    let eof = eof_packet(2);
    let cursor = eof_packet(0x42);
    let prepared = [0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1];
    // `USE test` with session tracking, a report of progress, a request for a file.
    let tracked = b"\0\0\0\x02\x40\0\0\0\x07\x01\x05\x04test";
    let progress = b"\xff\xff\xff\x01\x01\x02\x10\x27\0\x0bcopying tab";
    for packets in [
        &old[..],
        &new[..],
        &[ok],
        &[err],
        &[&[1], &column, &cursor],
        &[&prepared, &column, &eof, &column, &eof],
        &[tracked],
        &[progress, ok],
        &[b"\xfb/data/rows", ok],
        &[b"\xfemysql_native_password\0abcdefghijklmnopqrst\0", ok],
        &[b"Uptime: 1  Threads: 2"],
    ] {
        seeds.with_switches("relay_server", &[0x10, 0x40, 0x90, 0xC0], &answer(packets));
    }
    for said in [
        &b"\x09\0\0\0\x03SELECT 1\x01\0\0\0\x0e"[..],
        b"\x0b\0\0\0\x03\0\x01SELECT 1",
        b"\x0a\0\0\0\x17\x01\0\0\0\x01\x01\0\0\0",
        b"\x09\0\0\0\x1c\x01\0\0\0\x02\0\0\0",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1024 3306\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x04\0\x0c\xea",
        b"native\0\0shop\0\x2d\0mysql_native_password\0\x04\x01a\x01b",
        b"\x22\0\0\0\x32\0\0\x78\x9c\xd3\x63\x60\x60\x60\x2e\x4e\xcd\x49\x4d\x2e\x51\x50\x32\x30\
            \x34\x32\x36\x31\x35\x33\xb7\xb0\xc4\xcd\x52\x02\x00\x0c\xd1\x0a\x6c",
    ] {
        seeds.with_switches("relay_client", &[0, 0x12, 0x37], said);
    }
}

/// What replicas said to real servers.
fn requests(seeds: &mut Seeds) {
    let said = |commands: &[(u8, Vec<u8>)]| {
        let mut out = Vec::new();
        for (code, argument) in commands {
            out.extend(((argument.len() + 1) as u16).to_le_bytes());
            out.push(*code);
            out.extend(argument);
        }
        out
    };
    let register = b"\x02\0\0\0\t127.0.0.1\0\0)Y\0\0\0\0\0\0\0\0".to_vec();
    let dump = b"\x1d\x03\0\0\x02\0\x02\0\0\0binlog.000002".to_vec();
    let by_gtid = |set: &[u8]| {
        let mut gtid = b"\0\0\x02\0\0\0\r\0\0\0binlog.000001\x04\0\0\0\0\0\0\0".to_vec();
        gtid.extend((set.len() as u32).to_le_bytes());
        gtid.extend(set);
        gtid
    };
    let asked = |texts: &[&str]| -> Vec<(u8, Vec<u8>)> {
        texts.iter().map(|text| (3, text.as_bytes().to_vec())).collect()
    };
    let mut mysql = asked(&[
        "SELECT UNIX_TIMESTAMP()",
        "SELECT @@GLOBAL.SERVER_ID",
        "SHOW VARIABLES LIKE 'SERVER_UUID'",
        "SET @master_heartbeat_period = 1000000000, @source_heartbeat_period = 1000000000",
        "SET @source_binlog_checksum = @@global.binlog_checksum",
        "SELECT @source_binlog_checksum",
        "KILL 7",
    ]);
    mysql.push((0x15, register.clone()));
    for set in [SET, TAGGED] {
        let talk = [&mysql[..], &[(0x1E, by_gtid(set))]].concat();
        seeds.with_switches("replication_request", &[0], &said(&talk));
        seeds.with_switches("replication_request", &[0], &said(&[(0, set.to_vec())]));
    }
    let mut mariadb = asked(&[
        "SET @mariadb_slave_capability=4",
        "SET @slave_connect_state='0-1-5,1-2-7'",
        "SET @slave_gtid_strict_mode=0",
        "SELECT @@GLOBAL.gtid_domain_id",
    ]);
    mariadb.extend([(0x15, register), (0x12, dump)]);
    seeds.with_switches("replication_request", &[0, 1], &said(&mariadb));
}

fn texts(seeds: &mut Seeds) {
    const A: &str = "11111111-1111-1111-1111-111111111111";
    const B: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    for text in [
        format!("{A}:1-22:blue:1:3:green:7,{B}:2\n{A}:5-30:blue:3"),
        format!("{A}:6-9:1-3:4:20,\n{A}:1"),
        "0-1-5,0-2-9,1-1-3\n0-1-7,2-1-1".to_owned(),
        "10.11.6-MariaDB-log\n".to_owned(),
        "[::1]:3306\n".to_owned(),
        "db1.example:3307\n".to_owned(),
    ] {
        seeds.add("gtid_text", text);
    }
}
