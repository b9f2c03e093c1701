//! Accounts as real servers keep them: which one a client is, whether its password is right, and that
//! a client that logged in at the relay is logged in to the server by what its proof gave away.

use std::io::Read as _;

use bytes::BytesMut;
use primacy_protocol::auth::{Channel as ClientChannel, Exchange, Plugin};
use primacy_protocol::frame::Framer;
use primacy_protocol::packet::{LoginRequest, OK, parse_greeting};
use primacy_relay::accounts::{Account, Accounts, HostPattern, Peer, Require};
use primacy_relay::credential::{ClientPlugin, Credential, native_answer, recover_sha1};
use primacy_relay::door::{Door, Identity, Secret, Step};
use primacy_relay::{Agreed, Answers, Done};
use primacy_testkit::{Cluster, cluster};
use primacy_types::Address;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::on_each_server;
use crate::through::{Relayed, login, packet, printed};

on_each_server!(
    the_relay_finds_the_account_that_the_server_finds,
    stored_passwords_are_checked_as_the_server_does,
    a_client_logs_in_at_the_relay_and_by_that_at_the_server,
);

/// All accounts of a server.
async fn read_accounts(cluster: &Cluster, server: &str) -> Accounts {
    let old = server == "mysql-5.6";
    let locked = match (cluster.is_mariadb(), old) {
        (_, true) => "'N'",
        // In MariaDB's view there is no such column.
        (true, _) => "IF(JSON_VALUE(g.priv, '$.account_locked') = '1', 'Y', 'N')",
        _ => "u.account_locked",
    };
    let from = match cluster.is_mariadb() {
        true => {
            "mysql.user u JOIN mysql.global_priv g ON g.user = u.user AND g.host = u.host \
            WHERE u.is_role = 'N'"
        }
        false => "mysql.user u",
    };
    let text = match (cluster.is_mariadb(), old) {
        (false, true) => {
            "IF(u.plugin IN ('', 'mysql_native_password'), u.password, u.authentication_string)"
        }
        _ => "u.authentication_string",
    };
    let sql = format!(
        "SELECT u.user, u.host, u.plugin, HEX({text}), {locked}, u.password_expired, u.ssl_type \
         FROM {from} ORDER BY u.host, u.user"
    );
    let rows = cluster.sql("s1", &sql).await;
    let rows = rows.iter().map(|row| {
        let cell = |at| row.at(at).unwrap_or_default();
        Account {
            user: cell(0).to_owned(),
            host: HostPattern::parse(cell(1)),
            credential: Credential::parse(cell(2), &bytes_of(cell(3))),
            locked: cell(4) == "Y",
            expired: cell(5) == "Y",
            require: Require::parse(cell(6)),
        }
    });
    Accounts::new(rows.collect(), cluster.is_mariadb())
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|p| u8::from_str_radix(std::str::from_utf8(p).unwrap(), 16).unwrap()).collect()
}

async fn the_relay_finds_the_account_that_the_server_finds(server: &str) {
    let cluster = cluster(server).replicas(0).option("skip-name-resolve").up().await;
    let by_bits = !cluster.is_mariadb() && server != "mysql-5.6";
    let mut hosts = vec![
        "127.0.0.1",
        "127.0.0.0/255.0.0.0",
        "127.0.0.0/255.255.0.0",
        "127.0.%",
        "127.%",
        "%",
        "_27.0.0.1",
        "127.0.0._",
        "1%.0.0.1",
        "12%",
        "12_.0.0._",
        "127.0.0.1%",
    ];
    if cluster.is_mariadb() {
        // MySQL 9.7 has no rule for patterns whose first wildcards stand at the same place.
        hosts.extend(["%.%.%.%", "%27.0.0.1"]);
    }
    if by_bits {
        hosts.push("127.0.0.0/8");
    }
    let at = cluster.address("s1");
    for host in &hosts {
        cluster.sql("s1", &format!("CREATE USER who@'{host}' IDENTIFIED BY 'right'")).await;
    }
    cluster.sql("s1", "CREATE USER ''@'127.0.0.%' IDENTIFIED BY 'right'").await;
    // Servers that were not started anew have accounts of one rank in the order of their making.
    cluster.sql("s1", "FLUSH PRIVILEGES").await;
    let peer = Peer::at("127.0.0.1".parse().unwrap());
    // One account after another is taken away: each time both must find the same.
    for _ in 0..=hosts.len() {
        let accounts = read_accounts(&cluster, server).await;
        let found = accounts.find("who", &peer).unwrap();
        let ours = format!("{}@{}", found.user, found.host);
        let theirs = login(&at, "who", "right").await.unwrap();
        assert_eq!(ours, theirs);
        let (user, host) = ours.rsplit_once('@').unwrap();
        cluster.sql("s1", &format!("DROP USER '{user}'@'{host}'")).await;
    }
    let accounts = read_accounts(&cluster, server).await;
    assert_eq!(accounts.find("who", &peer), None);
    assert_eq!(login(&at, "who", "right").await, Err("1045".to_owned()));
}

async fn stored_passwords_are_checked_as_the_server_does(server: &str) {
    let cluster = cluster(server).replicas(0).up().await;
    let users = crate::through::accounts(&cluster, server).await;
    let accounts = read_accounts(&cluster, server).await;
    let peer = Peer::at("127.0.0.1".parse().unwrap());
    for user in users {
        let credential = &accounts.find(user, &peer).unwrap().credential;
        for (password, expected) in [("right", true), ("Right", false), ("", false)] {
            let right = match credential {
                Credential::CachingSha2(hash) | Credential::Sha256(hash) => {
                    hash.verify(password.as_bytes())
                }
                Credential::Native(stored) => {
                    let challenge = b"abcdefghijklmnopqrst";
                    let plain = ClientChannel::Plain;
                    let mut client =
                        Exchange::new(Plugin::Native, password.as_bytes(), plain, challenge);
                    recover_sha1(stored, challenge, &client.first().unwrap()).is_some()
                }
                other => panic!("{user}: {other:?}"),
            };
            assert_eq!(right, expected, "{user} {password}");
        }
    }
}

/// Random bytes of the system.
fn random(bytes: &mut [u8]) {
    std::fs::File::open("/dev/urandom").unwrap().read_exact(bytes).unwrap();
}

/// Takes a client in at a door, and to the server with what its proof gave away.
async fn serve(
    mut client: TcpStream,
    server: Address,
    identity: &Identity,
    accounts: &Accounts,
) -> Result<(), String> {
    let peer = Peer::at(client.peer_addr().unwrap().ip());
    let (mut door, mut step) = Door::open(identity, peer, 4242, accounts, &mut random);
    let mut input = BytesMut::new();
    let welcome = loop {
        match step {
            Step::Wait => {
                if client.read_buf(&mut input).await.map_err(|e| e.to_string())? == 0 {
                    return Ok(());
                }
            }
            Step::Send(bytes) => client.write_all(&bytes).await.map_err(|e| e.to_string())?,
            Step::Deny(bytes, _) => {
                client.write_all(&bytes).await.map_err(|e| e.to_string())?;
                return Ok(());
            }
            Step::StartTls => return Err("TLS was not offered".to_owned()),
            Step::Welcome(bytes, welcome) => {
                client.write_all(&bytes).await.map_err(|e| e.to_string())?;
                break welcome;
            }
        }
        step = door.hear(&mut input, accounts, &|_| None, &mut random);
    };
    let Secret::Sha1(hash) = welcome.secret else { return Err("no SHA1".to_owned()) };
    let mut backend = TcpStream::connect((server.host(), server.port())).await.unwrap();
    let greeting = packet(&mut backend).await.unwrap();
    let greeting = parse_greeting(&greeting[4..]).unwrap();
    let capabilities = welcome.agreed.flags() as u32;
    let database = welcome.database.as_deref().map(|name| std::str::from_utf8(name).unwrap());
    let request = LoginRequest {
        capabilities: capabilities & !(1 << 20),
        max_packet: 1 << 30,
        user: &welcome.user,
        auth: &native_answer(&hash, &greeting.scramble),
        database,
        plugin: "mysql_native_password",
        attributes: &[],
    };
    let (mut framer, mut out) = (Framer::default(), BytesMut::new());
    let mut first = BytesMut::from(&[0_u8, 0, 0, 0][..]);
    framer.decode(&mut first, 9).unwrap();
    framer.encode(&request.to_bytes(), &mut out);
    backend.write_all(&out).await.unwrap();
    let answer = packet(&mut backend).await.unwrap();
    if answer[4] != OK {
        // The schema does not exist: the server's own word, as the next packet.
        let mut out = Vec::new();
        Answers::new(&mut out, Agreed::default(), welcome.next_sequence).packet(&answer[4..]);
        client.write_all(&out).await.unwrap();
        return Ok(());
    }
    let mut out = Vec::new();
    let done = Done { status: 2, ..Done::default() };
    Answers::new(&mut out, welcome.agreed, welcome.next_sequence).ok(&done);
    client.write_all(&out).await.unwrap();
    let mut relayed = Relayed::new(client, backend);
    relayed.set_agreed(welcome.agreed);
    relayed.commands().await
}

async fn a_client_logs_in_at_the_relay_and_by_that_at_the_server(server: &str) {
    if server.starts_with("mysql-9") {
        return; // It has no mysql_native_password any more.
    }
    let cluster = cluster(server).replicas(0).option("skip-name-resolve").up().await;
    cluster.sql("s1", "CREATE USER native IDENTIFIED BY 'right'").await;
    cluster.sql("s1", "GRANT ALL ON app.* TO native").await;
    let mariadb = cluster.is_mariadb();
    if mariadb {
        cluster.sql("s1", "CREATE USER locked IDENTIFIED BY 'right' ACCOUNT LOCK").await;
    }
    let accounts = read_accounts(&cluster, server).await;
    let version = cluster.cell("s1", "SELECT VERSION()").await.unwrap();
    let greeting = {
        let at = cluster.address("s1");
        let mut socket = TcpStream::connect((at.host(), at.port())).await.unwrap();
        parse_greeting(&packet(&mut socket).await.unwrap()[4..]).unwrap()
    };
    let identity = Identity {
        version,
        mariadb,
        // Neither compression nor attributes.
        capabilities: u64::from(greeting.capabilities & !(1 << 5) & !(1 << 20)),
        collation: 45,
        plugin: ClientPlugin::Native,
        tls: false,
        require_tls: false,
        decoy_key: [3; 32],
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let door = Address::new("127.0.0.1", listener.local_addr().unwrap().port());
    let direct = cluster.address("s1");
    let at = direct.clone();
    let serving = tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            serve(client, at.clone(), &identity, &accounts).await.unwrap();
        }
    });
    let script = "SELECT USER(), CURRENT_USER(), DATABASE(); SELECT 1; SELEC;";
    let client = ["mariadb".to_owned()];
    for options in [
        &["-unative", "-pright", "app"][..],
        &["-unative", "-pright"],
        &["-unative", "-pright", "none_such"],
        &["-unative", "-pwrong"],
        &["-unative"],
        &["-ulocked", "-pright"],
        &["-ulocked", "-pwrong"],
        &["-unobody", "-pright"],
        &["-unobody"],
    ] {
        let there = printed(&client, options, &direct, script).await;
        let here = printed(&client, options, &door, script).await;
        assert_eq!(here, there, "{options:?}");
    }
    assert!(!serving.is_finished());
    serving.abort();
}
