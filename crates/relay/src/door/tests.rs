use super::*;
use crate::accounts::HostPattern;
use crate::credential::{fast_hash, native_answer};
use primacy_protocol::auth::{Channel as ClientChannel, Exchange as ClientExchange, Plugin};
use primacy_protocol::capability::{CONNECT_WITH_DB, DEPRECATE_EOF, PLUGIN_AUTH_LENENC};
use primacy_protocol::packet::{
    EOF, ERR, LoginRequest, parse_auth_switch, parse_err, parse_greeting, tls_request,
};
use proptest::prelude::*;

fn identity(mariadb: bool, plugin: ClientPlugin) -> Identity {
    Identity {
        version: if mariadb { "10.11.6-MariaDB" } else { "9.7.4" }.to_owned(),
        mariadb,
        capabilities: u64::from(DEPRECATE_EOF | CONNECT_WITH_DB | PLUGIN_AUTH_LENENC),
        collation: 45,
        plugin,
        tls: true,
        require_tls: false,
        decoy_key: [9; 32],
    }
}

fn account(user: &str, plugin: &str, text: &[u8]) -> Account {
    Account {
        user: user.to_owned(),
        host: HostPattern::parse("%"),
        credential: Credential::parse(plugin, text),
        locked: false,
        expired: false,
        require: Require::Nothing,
    }
}

/// `caching_sha2_password` of "secret".
fn caching() -> Vec<u8> {
    let salt = b"abcdefghijklmnopqrst";
    let digest = b"Yy1cVJ5jT.fk4HyAGlowRhOkI55As4SAesbspXHQvFD";
    [&b"$A$005$"[..], salt, digest].concat()
}

fn accounts() -> Accounts {
    let native = b"*14E65567ABDB5135D0CFD9A70B3032C179A49EE7";
    let mut locked = account("locked", "mysql_native_password", native);
    locked.locked = true;
    let mut expired = account("expired", "mysql_native_password", native);
    expired.expired = true;
    let mut tls = account("tls", "mysql_native_password", native);
    tls.require = Require::Tls;
    Accounts::new(
        vec![
            account("native", "mysql_native_password", native),
            account("ed", "ed25519", b"ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY"),
            account("caching", "caching_sha2_password", &caching()),
            account("empty", "mysql_native_password", b""),
            account("socket", "unix_socket", b""),
            account("pam", "pam", b""),
            locked,
            expired,
            tls,
        ],
        true,
    )
}

/// How a login went: what is known of the password, or the error's number.
struct Visit<'a> {
    identity: &'a Identity,
    fast: Option<[u8; 32]>,
    tls: bool,
}

impl Visit<'_> {
    fn login(&self, user: &str, password: &str) -> Result<Welcome, ErrPacket> {
        let accounts = accounts();
        let peer = Peer::at("10.0.0.1".parse().unwrap());
        let mut random = |bytes: &mut [u8]| bytes.iter_mut().for_each(|b| *b = 0xA4);
        let (mut door, step) = Door::open(self.identity, peer, 7, &accounts, &mut random);
        let mut framer = Framer::default();
        let mut read = |bytes: &[u8]| {
            let mut input = BytesMut::from(bytes);
            let packet = framer.decode(&mut input, 1 << 20).unwrap().unwrap();
            assert!(packet.in_order && input.is_empty());
            (packet.payload, packet.sequence)
        };
        let Step::Send(bytes) = step else { panic!("{step:?}") };
        let greeting = parse_greeting(&read(&bytes).0).unwrap();
        let mut next = 1;
        let mut input = BytesMut::new();
        let flags = greeting.capabilities & !SSL | if self.tls { SSL } else { 0 };
        if self.tls {
            input.extend_from_slice(&framed(&tls_request(flags, 1 << 24), &mut next));
            let step = door.hear(&mut input, &accounts, &|_| None, &mut random);
            assert!(matches!(step, Step::StartTls), "{step:?}");
            door.secured();
        }
        let channel = if self.tls { ClientChannel::Tls } else { ClientChannel::Plain };
        let plugin = Plugin::named(&greeting.plugin).unwrap();
        let password = password.as_bytes();
        let mut client = ClientExchange::new(plugin, password, channel, &greeting.scramble);
        let request = LoginRequest {
            capabilities: flags,
            max_packet: 1 << 24,
            user,
            auth: &client.first().unwrap(),
            database: Some("shop"),
            plugin: plugin.name(),
            attributes: &[],
        };
        input.extend_from_slice(&framed(&request.to_bytes(), &mut next));
        loop {
            let fast = |_: &Account| self.fast;
            let step = door.hear(&mut input, &accounts, &fast, &mut random);
            let bytes = match step {
                Step::Send(bytes) => bytes,
                Step::Welcome(_, welcome) => return Ok(*welcome),
                Step::Deny(bytes, _) => return Err(parse_err(&bytes[4..]).unwrap()),
                other => panic!("{other:?}"),
            };
            assert_eq!(bytes[3], next);
            next += 1;
            let packet = &bytes[4..];
            let answer = match packet[0] {
                EOF => {
                    let switch = parse_auth_switch(packet).unwrap();
                    let plugin = Plugin::named(&switch.plugin).unwrap();
                    client = ClientExchange::new(plugin, password, channel, &switch.challenge);
                    client.first()
                }
                AUTH_MORE_DATA => client.next(&packet[1..]).map(Option::unwrap_or_default),
                ERR => panic!("an error is a denial"),
                other => panic!("{other}"),
            };
            // A client that will not go on sends nothing sensible.
            let answer = answer.unwrap_or_default();
            input.extend_from_slice(&framed(&answer, &mut next));
        }
    }
}

fn framed(payload: &[u8], next: &mut u8) -> Vec<u8> {
    let mut out = Vec::new();
    let mut answers = crate::Answers::new(&mut out, Agreed::default(), *next);
    answers.packet(payload);
    *next = answers.next_sequence();
    out
}

fn code(outcome: Result<Welcome, ErrPacket>) -> u16 {
    outcome.map(|welcome| welcome.user).unwrap_err().code
}

#[test]
fn every_plugin_takes_the_right_password_and_no_other() {
    for (mariadb, plugin) in [(true, ClientPlugin::Native), (false, ClientPlugin::CachingSha2)] {
        let identity = identity(mariadb, plugin);
        for tls in [false, true] {
            let visit = Visit { identity: &identity, fast: None, tls };
            for user in ["native", "ed"] {
                let welcome = visit.login(user, "secret").unwrap();
                assert_eq!(welcome.database.as_deref(), Some(&b"shop"[..]));
                assert!(welcome.checked && welcome.account.user == user);
                assert_eq!(code(visit.login(user, "Secret")), 1045, "{user}");
                assert_eq!(code(visit.login(user, "")), 1045, "{user}");
            }
            assert!(matches!(visit.login("empty", "").unwrap().secret, Secret::Empty));
            assert_eq!(code(visit.login("empty", "x")), 1045);
        }
    }
}

#[test]
fn a_native_login_gives_what_answers_a_backend() {
    let identity = identity(true, ClientPlugin::Native);
    let welcome = Visit { identity: &identity, fast: None, tls: false }.login("native", "secret");
    let Secret::Sha1(hash) = welcome.unwrap().secret else { panic!() };
    let challenge = b"abcdefghijklmnopqrst";
    let mut client =
        ClientExchange::new(Plugin::Native, b"secret", ClientChannel::Plain, challenge);
    assert_eq!(native_answer(&hash, challenge)[..], client.first().unwrap());
}

#[test]
fn the_fast_way_is_taken_where_the_password_was_seen_before() {
    let identity = identity(false, ClientPlugin::CachingSha2);
    let visit = Visit { identity: &identity, fast: Some(fast_hash(b"secret")), tls: false };
    assert!(matches!(visit.login("caching", "secret").unwrap().secret, Secret::Sha256(_)));
    assert_eq!(code(visit.login("caching", "Secret")), 1045);
    // Never seen: over TLS the password is asked for, on a plain channel it is not taken.
    let tls = Visit { identity: &identity, fast: None, tls: true };
    assert!(matches!(tls.login("caching", "secret").unwrap().secret, Secret::Clear(_)));
    assert_eq!(code(tls.login("caching", "Secret")), 1045);
    let plain = Visit { identity: &identity, fast: None, tls: false };
    assert_eq!(code(plain.login("caching", "secret")), 1045);
}

#[test]
fn what_servers_look_at_after_the_password() {
    let identity = identity(true, ClientPlugin::Native);
    let plain = Visit { identity: &identity, fast: None, tls: false };
    assert_eq!(code(plain.login("locked", "secret")), 4151);
    assert_eq!(code(plain.login("locked", "wrong")), 1045);
    assert_eq!(code(plain.login("expired", "secret")), 1862);
    assert_eq!(code(plain.login("tls", "secret")), 1045);
    assert_eq!(code(plain.login("socket", "secret")), 1698);
    assert_eq!(code(plain.login("pam", "secret")), 1045);
    let tls = Visit { identity: &identity, fast: None, tls: true };
    assert!(tls.login("tls", "secret").is_ok());
    let welcome = tls.login("pam", "secret").unwrap();
    assert!(!welcome.checked && matches!(welcome.secret, Secret::Clear(_)));
}

#[test]
fn who_does_not_exist_is_asked_as_who_does_and_told_the_same() {
    for (mariadb, plugin) in [(true, ClientPlugin::Native), (false, ClientPlugin::CachingSha2)] {
        let identity = identity(mariadb, plugin);
        for tls in [false, true] {
            let visit = Visit { identity: &identity, fast: None, tls };
            for number in 0..20 {
                let user = format!("nobody{number}");
                let error = visit.login(&user, "secret").map(|w| w.user).unwrap_err();
                let text =
                    format!("Access denied for user '{user}'@'10.0.0.1' (using password: YES)");
                assert_eq!((error.code, error.sqlstate.as_str()), (1045, "28000"));
                assert_eq!(error.message, text);
            }
        }
    }
}

#[test]
fn strangers_from_elsewhere_and_without_tls_are_told_so() {
    let mut identity = identity(false, ClientPlugin::Native);
    let mut random = |_: &mut [u8]| ();
    let only_local = {
        let mut row = account("u", "mysql_native_password", b"");
        row.host = HostPattern::parse("localhost");
        Accounts::new(vec![row], false)
    };
    let peer = Peer::at("10.0.0.1".parse().unwrap());
    let (_, step) = Door::open(&identity, peer, 1, &only_local, &mut random);
    let Step::Deny(bytes, Denial::Host { .. }) = step else { panic!("{step:?}") };
    let error = parse_err(&bytes[4..]).unwrap();
    assert_eq!(error.message, "Host '10.0.0.1' is not allowed to connect to this MySQL server");
    identity.require_tls = true;
    let visit = Visit { identity: &identity, fast: None, tls: false };
    assert_eq!(code(visit.login("native", "secret")), 3159);
    let visit = Visit { identity: &identity, fast: None, tls: true };
    assert!(visit.login("native", "secret").is_ok());
}

#[test]
fn a_client_becomes_another_one() {
    let identity = identity(true, ClientPlugin::Native);
    let accounts = accounts();
    let mut random = |bytes: &mut [u8]| bytes.fill(0x41);
    let agreed = Agreed::new(u64::from(PLUGIN_AUTH | SECURE_CONNECTION));
    let argument = b"native\0\x00shop\0\x2d\0mysql_native_password\0";
    let peer = Peer::at("10.0.0.1".parse().unwrap());
    let plain = Channel::Plain;
    let (mut door, step) =
        Door::change_user(&identity, peer, plain, agreed, argument, &accounts, &mut random);
    let Step::Send(bytes) = step else { panic!("{step:?}") };
    assert_eq!(bytes[3], 1);
    let switch = parse_auth_switch(&bytes[4..]).unwrap();
    let mut client =
        ClientExchange::new(Plugin::Native, b"secret", ClientChannel::Plain, &switch.challenge);
    let mut next = 2;
    let mut input = BytesMut::from(&framed(&client.first().unwrap(), &mut next)[..]);
    let step = door.hear(&mut input, &accounts, &|_| None, &mut random);
    let Step::Welcome(_, welcome) = step else { panic!("{step:?}") };
    assert_eq!((welcome.next_sequence, welcome.collation), (3, 45));
    assert_eq!(welcome.database.as_deref(), Some(&b"shop"[..]));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_never_let_in(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        cut in 0_usize..300,
    ) {
        let identity = identity(true, ClientPlugin::Native);
        let accounts = accounts();
        let mut random = |bytes: &mut [u8]| bytes.fill(0x33);
        for mut input in [
            BytesMut::from(&bytes[..]),
            BytesMut::from(&framed(&bytes, &mut 1)[..]),
            {
                let mut login = tls_request(PROTOCOL_41 | PLUGIN_AUTH, 1 << 24);
                login.extend_from_slice(&bytes[..cut.min(bytes.len())]);
                BytesMut::from(&framed(&login, &mut 1)[..])
            },
        ] {
            let peer = Peer::at("10.0.0.1".parse().unwrap());
            let (mut door, _) = Door::open(&identity, peer, 1, &accounts, &mut random);
            for _ in 0..8 {
                let step = door.hear(&mut input, &accounts, &|_| None, &mut random);
                let let_in = match step {
                    Step::Welcome(_, welcome) => welcome.account.user != "empty",
                    _ => false,
                };
                prop_assert!(!let_in);
            }
            let _ = UserChange::parse(&bytes, Agreed::new(u64::MAX));
        }
    }
}
