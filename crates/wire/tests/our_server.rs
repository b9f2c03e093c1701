//! Our own server side, asked by our own client and by strangers.

#![allow(clippy::unwrap_used)] // The lint's exception for tests does not reach their helpers.

use std::time::Duration;

use primacy_types::Address;
use primacy_wire::packet::{COM_PING, COM_QUERY, COM_QUIT, ErrPacket};
use primacy_wire::server::{
    Account, Connection, Identity, LoginPlugin, ServerError, ServerTls, accept, turn_away,
};
use primacy_wire::{ConnectOptions, Session, TlsMode, WireError};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const LIMIT: Duration = Duration::from_secs(5);

fn identity(plugin: LoginPlugin, tls: bool) -> Identity {
    Identity {
        version: "10.11.6-MariaDB".to_owned(),
        mariadb: true,
        accounts: vec![
            Account { user: "repl".to_owned(), password: "geheim".into(), plugin },
            Account { user: "manager".to_owned(), password: "anders".into(), plugin },
        ],
        tls: tls.then(|| ServerTls::self_signed(&["127.0.0.1".to_owned()]).unwrap()),
        require_tls: false,
    }
}

/// Accepts one client, answers its commands, and tells how it ended.
async fn serve(identity: Identity) -> (u16, JoinHandle<Result<(), ServerError>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        answer(accept(socket, 7, &identity, LIMIT).await?).await
    });
    (port, served)
}

async fn answer(mut client: Connection) -> Result<(), ServerError> {
    loop {
        let command = client.command(LIMIT).await?;
        match (command.code, &command.argument[..]) {
            (COM_QUIT, _) => return Ok(()),
            (COM_PING, _) => client.ok(LIMIT).await?,
            (COM_QUERY, b"SELECT a, b") => {
                let rows = [vec![Some("1".to_owned()), None]];
                client.rows(&["a", "b"], &rows, LIMIT).await?;
            }
            (COM_QUERY, b"NOTHING") => client.rows(&["a"], &[], LIMIT).await?,
            _ => client.err(&ErrPacket::new(1064, "42000", "what?"), LIMIT).await?,
        }
    }
}

fn options(port: u16, tls: TlsMode) -> ConnectOptions {
    ConnectOptions {
        address: Address::new("127.0.0.1", port),
        user: "repl".to_owned(),
        password: "geheim".into(),
        tls,
        connect_timeout: LIMIT,
        database: None,
        program: "test".to_owned(),
        unix_socket: None,
    }
}

#[tokio::test]
async fn our_client_logs_in_with_both_plugins_with_and_without_tls() {
    for plugin in [LoginPlugin::Native, LoginPlugin::CachingSha2] {
        for tls in [false, true] {
            let identity = identity(plugin, tls);
            let mode = match &identity.tls {
                Some(tls) => TlsMode::Pinned { sha256: tls.sha256() },
                None => TlsMode::Off,
            };
            let (port, served) = serve(identity).await;
            let mut session = Session::connect(&options(port, mode)).await.unwrap();
            assert_eq!(session.connection_id(), 7);
            assert_eq!(session.tls().is_some(), tls);
            assert!(session.version().is_mariadb() && session.version().at_least(10, 11, 6));
            session.ping(LIMIT).await.unwrap();
            let rows = session.query("SELECT a, b", LIMIT).await.unwrap();
            assert_eq!((rows.len(), rows.columns().len()), (1, 2));
            assert_eq!(rows.first().unwrap().at(0), Some("1"));
            assert_eq!(rows.first().unwrap().at(1), None);
            assert!(session.query("NOTHING", LIMIT).await.unwrap().is_empty());
            let error = session.query("what", LIMIT).await.unwrap_err();
            assert_eq!(error.code(), Some(1064));
            session.close().await;
            served.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn a_wrong_password_and_a_wrong_user_are_denied_alike() {
    for plugin in [LoginPlugin::Native, LoginPlugin::CachingSha2] {
        for (user, password, used) in
            [("repl", "falsch", "YES"), ("root", "geheim", "YES"), ("repl", "", "NO")]
        {
            let (port, served) = serve(identity(plugin, false)).await;
            let mut options = options(port, TlsMode::Off);
            options.user = user.to_owned();
            options.password = password.into();
            let error = Session::connect(&options).await.unwrap_err();
            let WireError::AccessDenied { code: 1045, message, .. } = error else {
                panic!("{error}")
            };
            let expected =
                format!("Access denied for user '{user}'@'127.0.0.1' (using password: {used})");
            assert_eq!(message, expected);
            let error = served.await.unwrap().unwrap_err();
            assert!(matches!(&error, ServerError::Denied { user: u } if u == user), "{error}");
        }
    }
}

#[tokio::test]
async fn a_client_without_tls_is_turned_away_where_tls_is_required() {
    let mut identity = identity(LoginPlugin::CachingSha2, true);
    identity.require_tls = true;
    let (port, served) = serve(identity).await;
    let error = Session::connect(&options(port, TlsMode::Off)).await.unwrap_err();
    assert_eq!(error.code(), Some(3159), "{error}");
    assert!(matches!(served.await.unwrap(), Err(ServerError::NoTls)));
}

/// The proof as the test's own client makes it, begun with the plugin that the server did not ask
/// for.
#[tokio::test]
async fn a_client_that_begins_with_the_other_plugin_is_switched() {
    for (wanted, begun) in [
        (LoginPlugin::Native, "caching_sha2_password"),
        (LoginPlugin::CachingSha2, "mysql_native_password"),
    ] {
        let (port, served) = serve(identity(wanted, false)).await;
        let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let greeting = packet(&mut socket).await;
        assert_eq!(greeting[0], 10);
        let login = primacy_wire::packet::LoginRequest {
            capabilities: 1 << 9 | 1 << 15 | 1 << 19,
            max_packet: 1 << 24,
            user: "repl",
            auth: &[1; 20],
            database: None,
            plugin: begun,
            attributes: &[],
        };
        send(&mut socket, 1, &login.to_bytes()).await;
        let switch = primacy_wire::packet::parse_auth_switch(&packet(&mut socket).await).unwrap();
        assert_eq!(switch.plugin, wanted.name());
        let plugin = primacy_wire::auth::Plugin::named(&switch.plugin).unwrap();
        let channel = primacy_wire::auth::Channel::Plain;
        let mut exchange =
            primacy_wire::auth::Exchange::new(plugin, b"geheim", channel, &switch.challenge);
        send(&mut socket, 3, &exchange.first().unwrap()).await;
        if wanted == LoginPlugin::CachingSha2 {
            assert_eq!(packet(&mut socket).await, [1, 3]);
        }
        assert_eq!(packet(&mut socket).await[0], 0);
        send(&mut socket, 0, &[COM_QUIT]).await;
        served.await.unwrap().unwrap();
    }
}

async fn packet(socket: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 4];
    socket.read_exact(&mut head).await.unwrap();
    let mut payload = vec![0; usize::from(head[0]) + (usize::from(head[1]) << 8)];
    socket.read_exact(&mut payload).await.unwrap();
    payload
}

async fn send(socket: &mut TcpStream, sequence: u8, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    socket.write_all(&[length[0], length[1], length[2], sequence]).await.unwrap();
    socket.write_all(payload).await.unwrap();
}

#[tokio::test]
async fn each_account_has_its_own_password() {
    let cases =
        [("repl", "geheim", true), ("manager", "anders", true), ("manager", "geheim", false)];
    for (user, password, may) in cases {
        for plugin in [LoginPlugin::Native, LoginPlugin::CachingSha2] {
            let (port, served) = serve(identity(plugin, false)).await;
            let options = ConnectOptions {
                user: user.to_owned(),
                password: password.into(),
                ..options(port, TlsMode::Off)
            };
            assert_eq!(Session::connect(&options).await.is_ok(), may, "{user} {password}");
            drop(served);
        }
    }
}

#[tokio::test]
async fn a_client_for_whom_there_is_no_room_is_told_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = options(listener.local_addr().unwrap().port(), TlsMode::Off);
    let turned_away = async { turn_away(listener.accept().await.unwrap().0, LIMIT).await };
    let (client, server) = tokio::join!(Session::connect(&options), turned_away);
    server.unwrap();
    assert!(matches!(client, Err(WireError::TooManyConnections { code: 1040, .. })));
}

#[tokio::test]
async fn a_silent_client_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let _silent = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    let limit = Duration::from_millis(100);
    let error = accept(socket, 1, &identity(LoginPlugin::Native, false), limit).await.unwrap_err();
    assert!(matches!(error, ServerError::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn a_long_packet_before_login_is_refused_by_its_header() {
    let (port, served) = serve(identity(LoginPlugin::Native, false)).await;
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    socket.write_all(&[0xFF, 0xFF, 0xFF, 1]).await.unwrap();
    let error = served.await.unwrap().unwrap_err();
    assert!(matches!(error, ServerError::Protocol { .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn junk_ends_a_connection_and_nothing_else(
        junk in prop::collection::vec(any::<u8>(), 0..200),
        framed: bool,
        tls: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (port, served) = serve(identity(LoginPlugin::CachingSha2, tls)).await;
            let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            if framed {
                send(&mut socket, 1, &junk).await;
            } else {
                socket.write_all(&junk).await.unwrap();
            }
            socket.shutdown().await.unwrap();
            assert!(served.await.unwrap().is_err());
        });
    }
}
