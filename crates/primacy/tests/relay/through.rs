//! Real clients at real servers through a relay that does nothing but what the crate tells it: each
//! must hear what it hears without the relay.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use primacy_protocol::auth::{Channel, Exchange, Plugin};
use primacy_protocol::capability::{COMPRESS, DEPRECATE_EOF, LONG_PASSWORD, SESSION_TRACK, SSL};
use primacy_relay::{Agreed, Answers, Event, Expected, Inlet, Taken, Walker, command as kind_of};
use primacy_sandbox::AccountRole;
use primacy_testkit::{Cluster, cluster};
use primacy_types::Address;
use primacy_wire::{ConnectOptions, Session, TlsMode};
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::time::timeout;

use crate::raw::{BASIC, Raw};
use crate::{LONG, on_each_server};

on_each_server!(
    command_line_clients_hear_the_same_through_the_relay,
    logins_of_every_plugin_pass_and_fail_as_without_the_relay,
);

/// A relay in front of one server.
struct Relay {
    address: Address,
    complaints: Arc<Mutex<Vec<String>>>,
}

impl Relay {
    async fn to(server: &Address) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::new("127.0.0.1", listener.local_addr().unwrap().port());
        let complaints = Arc::<Mutex<Vec<String>>>::default();
        let (server, told) = (server.clone(), Arc::clone(&complaints));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, told) = (server.clone(), Arc::clone(&told));
                tokio::spawn(async move {
                    let server = TcpStream::connect((server.host(), server.port())).await.unwrap();
                    let relayed = Relayed::new(client, server).run().await;
                    if let Err(complaint) = relayed {
                        told.lock().unwrap().push(complaint);
                    }
                });
            }
        });
        Self { address, complaints }
    }

    fn is_content(&self) {
        assert_eq!(*self.complaints.lock().unwrap(), Vec::<String>::new());
    }
}

/// One client, its server, and what was read of each.
pub(crate) struct Relayed {
    client: TcpStream,
    server: TcpStream,
    input: Vec<u8>,
    inlet: Inlet,
    agreed: Agreed,
    /// How much is read at once: a little, and much, in turn.
    turn: usize,
}

const SIZES: [usize; 6] = [3, 1 << 16, 7, 4096, 1, 1 << 14];

impl Relayed {
    pub(crate) fn new(client: TcpStream, server: TcpStream) -> Self {
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let inlet = Inlet::new(1 << 30, 1 << 14);
        let agreed = Agreed::default();
        Self { client, server, input: Vec::new(), inlet, agreed, turn: 0 }
    }

    /// What does not follow from what the crate told is an error.
    async fn run(&mut self) -> Result<(), String> {
        if !self.greet().await {
            return Ok(());
        }
        if !self.answer(Walker::new(Expected::Login, self.agreed), true).await? {
            return Ok(());
        }
        self.commands().await
    }

    /// For a client and a server that are logged in.
    pub(crate) fn set_agreed(&mut self, agreed: Agreed) {
        self.agreed = agreed;
    }

    /// Command for command.
    pub(crate) async fn commands(&mut self) -> Result<(), String> {
        while let Some((walker, login)) = self.command().await? {
            if !self.answer(walker, login).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Passes greeting and login on, without TLS and compression; false if either side left.
    async fn greet(&mut self) -> bool {
        let Some(mut greeting) = packet(&mut self.server).await else { return false };
        if greeting[4] == 0xFF {
            self.client.write_all(&greeting).await.unwrap();
            return false;
        }
        // Version, number of the connection, eight bytes of the challenge and a NUL.
        let at = 5 + greeting[5..].iter().position(|byte| *byte == 0).unwrap() + 1 + 4 + 8 + 1;
        let low = u16::from_le_bytes([greeting[at], greeting[at + 1]]);
        let low = low & !((SSL | COMPRESS) as u16);
        greeting[at..at + 2].copy_from_slice(&low.to_le_bytes());
        let high = u16::from_le_bytes([greeting[at + 5], greeting[at + 6]]);
        let extended = u32::from_le_bytes(greeting[at + 14..at + 18].try_into().unwrap());
        let mut offered = u64::from(low) | u64::from(high) << 16;
        if u32::from(low) & LONG_PASSWORD == 0 {
            offered |= u64::from(extended) << 32;
        }
        self.client.write_all(&greeting).await.unwrap();
        let Some(login) = packet(&mut self.client).await else { return false };
        let word = |at: usize| u64::from(u32::from_le_bytes(login[at..at + 4].try_into().unwrap()));
        let mut wanted = word(4);
        if wanted & u64::from(LONG_PASSWORD) == 0 {
            wanted |= word(4 + 28) << 32;
        }
        self.agreed = Agreed::new(offered & wanted);
        self.server.write_all(&login).await.is_ok()
    }

    /// Passes on the next command that has an answer; `None` if the client left.
    async fn command(&mut self) -> Result<Option<(Walker, bool)>, String> {
        loop {
            let taken = self.inlet.take(&self.input).map_err(|e| e.to_string())?;
            let Taken::Command(command) = taken else {
                if !self.hear().await? {
                    return Ok(None);
                }
                continue;
            };
            let kind = kind_of(command.code).ok_or("an unknown command")?;
            let bytes = command.bytes;
            match kind.expected(command.argument) {
                Err(refusal) => {
                    let mut out = Vec::new();
                    Answers::new(&mut out, self.agreed, 1).error(&refusal.answer());
                    self.input.drain(..bytes);
                    self.client.write_all(&out).await.map_err(|e| e.to_string())?;
                }
                Ok(expected) => {
                    let sent = self.server.write_all(&self.input[..bytes]).await;
                    sent.map_err(|e| e.to_string())?;
                    self.input.drain(..bytes);
                    while self.inlet.is_passing() {
                        if self.input.is_empty() && !self.hear().await? {
                            return Ok(None);
                        }
                        self.pass().await?;
                    }
                    if expected != Expected::Nothing {
                        let login = expected == Expected::Login;
                        return Ok(Some((Walker::new(expected, self.agreed), login)));
                    }
                }
            }
        }
    }

    /// Reads from the client between two answers: the server must have nothing to say.
    async fn hear(&mut self) -> Result<bool, String> {
        let mut some = [0; 16];
        tokio::select! {
            biased;
            read = self.server.read(&mut some) => match read {
                Ok(0) | Err(_) => Ok(false),
                Ok(count) => Err(format!("behind an answer came {:?}", &some[..count])),
            },
            read = self.client.read_buf(&mut self.input) => Ok(read.is_ok_and(|count| count > 0)),
        }
    }

    /// Passes on what of the client's bytes is not a command.
    async fn pass(&mut self) -> Result<(), String> {
        let bytes = self.inlet.pass(&self.input).map_err(|e| e.to_string())?.bytes;
        let sent = self.server.write_all(&self.input[..bytes]).await;
        sent.map_err(|e| e.to_string())?;
        self.input.drain(..bytes);
        Ok(())
    }

    /// Passes the server's answer on; false if either side left.
    async fn answer(&mut self, mut walker: Walker, login: bool) -> Result<bool, String> {
        let mut piece = vec![0; 1 << 16];
        loop {
            self.turn += 1;
            let size = SIZES[self.turn % SIZES.len()];
            tokio::select! {
                read = self.server.read(&mut piece[..size]) => {
                    let Ok(count @ 1..) = read else { return Ok(false) };
                    let mut file = None;
                    let mut failed = false;
                    let walked = walker.walk(&piece[..count], |event| match event {
                        Event::File { sequence, .. } => file = Some(sequence),
                        Event::Failed(_) => failed = true,
                        _ => {}
                    });
                    let walked = walked.map_err(|error| error.to_string())?;
                    if walked.bytes != count {
                        let behind = &piece[walked.bytes..count];
                        return Err(format!("behind an answer came {behind:?}"));
                    }
                    if let Some(sequence) = file {
                        self.inlet.expect_file(sequence);
                    }
                    if self.client.write_all(&piece[..count]).await.is_err() {
                        return Ok(false);
                    }
                    if walked.ends && !self.inlet.is_passing() {
                        return Ok(!(login && failed));
                    }
                }
                read = self.client.read_buf(&mut self.input), if login || self.inlet.is_passing() => {
                    if !read.is_ok_and(|count| count > 0) {
                        return Ok(false);
                    }
                    if self.inlet.is_passing() {
                        self.pass().await?;
                    } else {
                        let sent = self.server.write_all(&self.input).await;
                        sent.map_err(|e| e.to_string())?;
                        self.input.clear();
                    }
                }
            }
        }
    }
}

/// One short packet with its header.
pub(crate) async fn packet(socket: &mut TcpStream) -> Option<Vec<u8>> {
    let mut packet = vec![0; 4];
    socket.read_exact(&mut packet).await.ok()?;
    let length = usize::from(packet[0]) | usize::from(packet[1]) << 8;
    packet.resize(4 + length, 0);
    socket.read_exact(&mut packet[4..]).await.ok()?;
    Some(packet)
}

/// What a command-line client printed.
pub(crate) async fn printed(
    program: &[String],
    options: &[&str],
    at: &Address,
    script: &str,
) -> String {
    let port = at.port().to_string();
    let mut child = Command::new(&program[0])
        .args(&program[1..])
        .args(["--no-defaults", "-h127.0.0.1", "--force", "-vv", "--local-infile=1", "-P", &port])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    // A client that is turned away reads nothing.
    let _ = child.stdin.take().unwrap().write_all(script.as_bytes()).await;
    let output = timeout(LONG, child.wait_with_output()).await.expect("it ends").unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // How long a statement took differs; the client says it in this form.
    let untimed = |line: &str| line.split(" (0.").next().unwrap_or(line).to_owned();
    let out: Vec<String> = text(&output.stdout).lines().map(untimed).collect();
    format!("{}\n{}\n{}", output.status, out.join("\n"), text(&output.stderr))
}

/// How to call the clients that are installed here.
pub(crate) fn clients(server: &str) -> Vec<Vec<String>> {
    let mut found = vec![vec!["mariadb".to_owned()]];
    // MySQL's has no mysql_native_password any more.
    if server != "mysql-9.7" {
        return found;
    }
    if let Ok(installation) = primacy_sandbox::find_installation(Some("mysql-9.7")) {
        // The server's own loader and libraries, and the client that lies beside it.
        let words = installation.command();
        let mut words: Vec<String> =
            words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let server = words.pop().unwrap();
        let client = Path::new(&server).parent().unwrap().join("../bin/mysql");
        if client.is_file() {
            words.push(client.display().to_string());
            found.push(words);
        }
    }
    found
}

async fn command_line_clients_hear_the_same_through_the_relay(server: &str) {
    let options = ["max_allowed_packet=64M", "local_infile=1"];
    let cluster = options.iter().fold(cluster(server).replicas(0), |c, o| c.option(o)).up().await;
    let relay = Relay::to(&cluster.address("s1")).await;
    let app = cluster.login("s1", AccountRole::Application);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows");
    let rows: String = (0..20_000).map(|n| format!("{n}\tname {n}\n")).collect();
    std::fs::write(&file, rows).unwrap();
    let big = "q".repeat(17 << 20);
    let script = format!(
        "CREATE TABLE t (id INT PRIMARY KEY, n TEXT);
        LOAD DATA LOCAL INFILE '{}' INTO TABLE t; SELECT COUNT(*), MAX(n) FROM t;
        LOAD DATA LOCAL INFILE '{}/none' INTO TABLE t;
        INSERT INTO t VALUES (1, 'twice'); SELECT * FROM t WHERE id < 500;
        SELECT * FROM none; UPDATE t SET n = 'x' WHERE id < 7;
        DELIMITER //
        CREATE PROCEDURE p() BEGIN SELECT 1; SELECT * FROM t LIMIT 3; UPDATE t SET n = 'y'; END//
        CALL p()//
        SELECT 1; SELECT 2; DO 1; SELECT 'x' INTO @a; SELECT @a//
        DELIMITER ;
        PREPARE s FROM 'SELECT ? + 1'; SET @b = 41; EXECUTE s USING @b;
        SELECT LENGTH('{big}'); SELECT LENGTH(REPEAT('r', 17000000));
        USE app; SELECT DATABASE(); SELECT CAST(NULL AS CHAR), '' , 0x00ff;
        SHOW WARNINGS; SELECT 1/0; SHOW WARNINGS;
        DROP TABLE t; DROP PROCEDURE p;\n",
        file.display(),
        folder.path().display(),
    );
    for client in clients(server) {
        let password = format!("-p{}", app.password.expose_secret());
        let user = format!("-u{}", app.user);
        let mut options = vec![user.as_str(), &password, "--max-allowed-packet=64M", "app"];
        if client.len() > 1 {
            options.insert(0, "--get-server-public-key");
        }
        let direct = printed(&client, &options, &cluster.address("s1"), &script).await;
        let relayed = printed(&client, &options, &relay.address, &script).await;
        relay.is_content();
        assert!(direct.contains("name 499") && direct.contains("17825792"), "{direct}");
        assert!(direct == relayed, "{client:?}:\n{direct}\n--- through the relay:\n{relayed}");
    }
}

pub(crate) async fn login(at: &Address, user: &str, password: &str) -> Result<String, String> {
    let options = ConnectOptions {
        address: at.clone(),
        user: user.to_owned(),
        password: password.into(),
        tls: TlsMode::Off,
        connect_timeout: LONG,
        database: None,
        program: "primacy-test".to_owned(),
        unix_socket: None,
    };
    let mut session =
        Session::connect(&options).await.map_err(|e| e.code().unwrap().to_string())?;
    let rows = session.query("SELECT CURRENT_USER()", Duration::from_secs(10)).await.unwrap();
    session.close().await;
    Ok(rows.first().and_then(|row| row.at(0)).unwrap().to_owned())
}

/// Accounts of every plugin that this server has. Those that can be had for tests come without
/// MariaDB's `auth_ed25519`.
pub(crate) async fn accounts(cluster: &Cluster, server: &str) -> Vec<&'static str> {
    let statements: &[&str] = match server {
        "mysql-5.6" => &["CREATE USER native IDENTIFIED BY 'right'"],
        _ if cluster.is_mariadb() => {
            &["CREATE USER native IDENTIFIED VIA mysql_native_password USING PASSWORD('right')"]
        }
        _ => &[
            "CREATE USER caching IDENTIFIED WITH caching_sha2_password BY 'right'",
            "CREATE USER sha IDENTIFIED WITH sha256_password BY 'right'",
        ],
    };
    let mut users = Vec::new();
    for statement in statements {
        cluster.sql("s1", statement).await;
        users.extend(
            ["native", "caching", "sha"]
                .iter()
                .filter(|user| statement.starts_with(&format!("CREATE USER {user} "))),
        );
    }
    users
}

async fn logins_of_every_plugin_pass_and_fail_as_without_the_relay(server: &str) {
    let cluster = cluster(server).replicas(0).up().await;
    let direct = cluster.address("s1");
    let relay = Relay::to(&direct).await;
    let users = accounts(&cluster, server).await;
    for user in &users {
        for at in [&direct, &relay.address, &relay.address] {
            assert_eq!(login(at, user, "right").await, Ok(format!("{user}@%")));
            assert_eq!(login(at, user, "wrong").await, Err("1045".to_owned()));
        }
        assert_eq!(login(&relay.address, "none", "right").await, Err("1045".to_owned()));
    }
    // COM_CHANGE_USER in one session, from plugin to plugin; COM_RESET_CONNECTION after it.
    let wanted = u64::from(BASIC | DEPRECATE_EOF | SESSION_TRACK);
    let mut raw = Raw::login(&relay.address, users[0], "right", wanted).await.unwrap();
    for (user, password, works) in
        users.iter().map(|user| (user, "right", true)).chain([(&"none", "right", false)])
    {
        assert_eq!(change_user(&mut raw, user, password).await, works, "{user}");
    }
    relay.is_content();
}

/// `COM_CHANGE_USER` without a first answer: the server asks for one with a challenge of its own.
async fn change_user(raw: &mut Raw, user: &str, password: &str) -> bool {
    let mut argument = [user.as_bytes(), b"\0\0\0", &45_u16.to_le_bytes()].concat();
    argument.extend_from_slice(b"mysql_clear_password\0");
    raw.send(&crate::raw::command(0x11, &argument)).await;
    let mut walker = Walker::new(Expected::Login, raw.agreed);
    let mut exchange: Option<Exchange<'_>> = None;
    let mut outcome = None;
    while outcome.is_none() {
        if raw.input.is_empty() {
            raw.read().await;
        }
        let mut asked = Vec::new();
        let input = raw.input.split();
        let walked = walker.walk(&input, |event| match event {
            Event::Login(packet) => asked.push(packet.to_vec()),
            Event::Ended(_) => outcome = Some(true),
            Event::Failed(failure) => {
                assert_eq!(failure.code, 1045);
                outcome = Some(false);
            }
            other => panic!("{other:?}"),
        });
        assert_eq!(walked.unwrap().bytes, input.len());
        for packet in asked {
            let answer = match packet[0] {
                0xFE => {
                    let switch = primacy_protocol::packet::parse_auth_switch(&packet).unwrap();
                    let plugin = Plugin::named(&switch.plugin).unwrap();
                    let secret = password.as_bytes();
                    let next = Exchange::new(plugin, secret, Channel::Plain, &switch.challenge);
                    Some(exchange.insert(next).first().unwrap())
                }
                _ => exchange.as_mut().unwrap().next(&packet[1..]).unwrap(),
            };
            if let Some(answer) = answer {
                let mut out = Vec::new();
                let sequence = walker.next_sequence();
                Answers::new(&mut out, raw.agreed, sequence).packet(&answer);
                raw.send(&out).await;
            }
        }
    }
    outcome.unwrap()
}
