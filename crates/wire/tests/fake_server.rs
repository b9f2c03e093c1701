//! Sessions against a server that follows a script, for what real servers do only on bad days.

#![allow(clippy::unwrap_used)] // The lint's exception for tests does not reach their helpers.

use std::time::Duration;

use primacy_types::Address;
use primacy_wire::frame::Framer;
use primacy_wire::{ConnectOptions, Session, TlsMode, WireError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const LIMIT: Duration = Duration::from_millis(300);
const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];

/// A MySQL 5.6 greeting with these capabilities, and challenge `abc...`.
fn greeting(capabilities: u32) -> Vec<u8> {
    let flags = capabilities.to_le_bytes();
    let mut out = b"\x0a5.6.24-log\0\x2a\0\0\0abcdefgh\0".to_vec();
    out.extend_from_slice(&flags[..2]);
    out.extend_from_slice(&[45, 2, 0]);
    out.extend_from_slice(&flags[2..]);
    out.push(21);
    out.extend_from_slice(&[0; 10]);
    out.extend_from_slice(b"ijklmnopqrst\0mysql_native_password\0");
    out
}

/// Protocol 4.1, 20-byte challenge, plugins, several results; no TLS, no `DEPRECATE_EOF`.
const PLAIN: u32 = 1 << 9 | 1 << 15 | 1 << 17 | 1 << 19;

/// The server's end of a connection.
struct Fake {
    socket: TcpStream,
}

impl Fake {
    async fn send(&mut self, sequence: u8, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
        let head = [length[0], length[1], length[2], sequence];
        // The client may be gone already, which the test then sees for itself.
        let _ = self.socket.write_all(&head).await;
        let _ = self.socket.write_all(payload).await;
    }

    /// Reads one packet; an empty one if the client is gone.
    async fn receive(&mut self) -> Vec<u8> {
        let mut head = [0; 4];
        if self.socket.read_exact(&mut head).await.is_err() {
            return Vec::new();
        }
        let mut payload = vec![0; usize::from(head[0]) + (usize::from(head[1]) << 8)];
        self.socket.read_exact(&mut payload).await.unwrap();
        payload
    }

    async fn log_in(&mut self, capabilities: u32) {
        self.send(0, &greeting(capabilities)).await;
        self.receive().await;
        self.send(2, OK).await;
    }

    /// Keeps the connection open and silent.
    async fn fall_silent(mut self) {
        while !self.receive().await.is_empty() {}
    }
}

/// Starts a server that plays `script` on its first connection.
async fn server<F>(script: impl FnOnce(Fake) -> F + Send + 'static) -> ConnectOptions
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        script(Fake { socket }).await;
    });
    options(port)
}

fn options(port: u16) -> ConnectOptions {
    ConnectOptions {
        address: Address::new("127.0.0.1", port),
        user: "monitor".to_owned(),
        password: "geheim".into(),
        tls: TlsMode::Off,
        connect_timeout: LIMIT,
        database: None,
        program: "test".to_owned(),
        unix_socket: None,
    }
}

/// Connects to a server that logs in and then plays `script`.
async fn session<F>(script: impl FnOnce(Fake) -> F + Send + 'static) -> Session
where
    F: Future<Output = ()> + Send + 'static,
{
    let options = server(|mut fake: Fake| async move {
        fake.log_in(PLAIN).await;
        script(fake).await;
    })
    .await;
    Session::connect(&options).await.unwrap()
}

fn column(name: &str) -> Vec<u8> {
    let mut out = b"\x03def\0\0\0".to_vec();
    out.push(u8::try_from(name.len()).unwrap());
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\0\x0c\x2d\0\0\x01\0\0\xfd\0\0\0\0\0");
    out
}

const EOF: &[u8] = &[0xFE, 0, 0, 2, 0];
const EOF_MORE: &[u8] = &[0xFE, 0, 0, 0x0A, 0];

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_times_out() {
    let options = server(Fake::fall_silent).await;
    let error = Session::connect(&options).await.unwrap_err();
    assert!(matches!(error, WireError::Timeout { .. }), "{error}");
    assert!(error.to_string().contains("accepted"), "{error}");
}

#[tokio::test]
async fn a_closed_port_is_a_refusal() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = options(listener.local_addr().unwrap().port());
    drop(listener);
    let error = Session::connect(&options).await.unwrap_err();
    assert!(matches!(error, WireError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn a_full_server_is_alive() {
    for sequence in [0, 1] {
        let options = server(move |mut fake: Fake| async move {
            fake.send(sequence, b"\xff\x10\x04Too many connections").await;
        })
        .await;
        let error = Session::connect(&options).await.unwrap_err();
        assert!(matches!(error, WireError::TooManyConnections { code: 1040, .. }), "{error}");
        assert!(error.is_server_answer());
    }
}

#[tokio::test]
async fn another_service_on_the_port_is_named_as_such() {
    let options = server(|mut fake: Fake| async move {
        fake.socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        fake.fall_silent().await;
    })
    .await;
    let error = Session::connect(&options).await.unwrap_err();
    assert!(matches!(error, WireError::Protocol { .. }), "{error}");
}

#[tokio::test]
async fn tls_is_not_given_up_where_the_server_has_none() {
    let mut options = server(|mut fake: Fake| async move {
        fake.send(0, &greeting(PLAIN)).await;
        assert!(fake.receive().await.is_empty(), "something was sent in the clear");
    })
    .await;
    options.tls = TlsMode::Required;
    let error = Session::connect(&options).await.unwrap_err();
    assert!(matches!(error, WireError::NoTls { .. }), "{error}");
}

#[tokio::test]
async fn an_unknown_plugin_is_named() {
    let options = server(|mut fake: Fake| async move {
        fake.send(0, &greeting(PLAIN)).await;
        fake.receive().await;
        fake.send(2, b"\xfeauth_gssapi_client\0x\0").await;
        fake.fall_silent().await;
    })
    .await;
    let error = Session::connect(&options).await.unwrap_err().to_string();
    assert!(error.contains("auth_gssapi_client"), "{error}");
    assert!(!error.contains("geheim"), "{error}");
}

#[tokio::test]
async fn rows_of_an_old_server_are_read_and_later_results_dropped() {
    let mut session = session(|mut fake: Fake| async move {
        assert_eq!(fake.receive().await, b"\x03call p()");
        fake.send(1, &[2]).await;
        fake.send(2, &column("A")).await;
        fake.send(3, &column("b")).await;
        fake.send(4, EOF).await;
        fake.send(5, b"\x01x\xfb").await;
        fake.send(6, EOF_MORE).await;
        fake.send(7, OK).await;
        assert_eq!(fake.receive().await, b"\x0e");
        fake.send(1, OK).await;
    })
    .await;
    let rows = session.query("call p()", LIMIT).await.unwrap();
    assert_eq!(rows.columns(), ["A", "b"]);
    assert_eq!(rows.first().unwrap().get("a"), Some("x"));
    assert_eq!(rows.first().unwrap().get("b"), None);
    session.ping(LIMIT).await.unwrap();
}

#[tokio::test]
async fn a_session_is_of_no_use_after_its_time_was_up() {
    let mut session = session(|mut fake: Fake| async move {
        fake.receive().await;
        tokio::time::sleep(LIMIT * 2).await;
        fake.send(1, OK).await;
    })
    .await;
    let error = session.query("select sleep(9)", LIMIT).await.unwrap_err();
    assert!(matches!(error, WireError::Timeout { limit: LIMIT, .. }), "{error}");
    tokio::time::sleep(LIMIT * 2).await;
    let error = session.ping(LIMIT).await.unwrap_err();
    assert!(matches!(error, WireError::Broken { .. }), "{error}");
}

#[tokio::test]
async fn a_session_is_of_no_use_after_a_call_was_dropped() {
    let mut session = session(Fake::fall_silent).await;
    let dropped = tokio::time::timeout(LIMIT / 3, session.query("select 1", LIMIT)).await;
    assert!(dropped.is_err());
    let error = session.execute("set @a = 1", LIMIT).await.unwrap_err();
    assert!(matches!(error, WireError::Broken { .. }), "{error}");
}

#[tokio::test]
async fn a_connection_that_ends_in_the_middle_is_a_reset() {
    let mut session = session(|mut fake: Fake| async move {
        fake.receive().await;
        fake.send(1, &[1]).await;
        fake.socket.write_all(&[50, 0, 0, 2, b'x']).await.unwrap();
    })
    .await;
    let error = session.query("select 1", LIMIT).await.unwrap_err();
    assert!(matches!(error, WireError::Reset { .. }), "{error}");
    assert!(session.is_broken());
}

#[tokio::test]
async fn a_packet_out_of_order_is_refused() {
    let mut session = session(|mut fake: Fake| async move {
        fake.receive().await;
        fake.send(9, OK).await;
        fake.fall_silent().await;
    })
    .await;
    let error = session.query("select 1", LIMIT).await.unwrap_err();
    assert!(matches!(error, WireError::Protocol { .. }), "{error}");
    assert!(session.is_broken());
}

#[tokio::test]
async fn the_last_word_of_a_server_that_stops_is_heard() {
    let mut session = session(|mut fake: Fake| async move {
        fake.send(0, b"\xff\x87\x07#70100Connection was killed").await;
    })
    .await;
    tokio::time::sleep(LIMIT / 3).await;
    let error = session.query("select 1", LIMIT).await.unwrap_err();
    assert!(matches!(error, WireError::ServerShutdown { code: 1927, .. }), "{error}");
    assert!(session.is_broken());
}

#[tokio::test]
async fn the_end_of_an_idle_connection_is_told_at_once_and_met_by_the_next_call() {
    let mut closed = session(async |_fake: Fake| {}).await;
    closed.disturbed().await;
    let error = closed.query("select 1", LIMIT).await.unwrap_err();
    assert!(matches!(error, WireError::Reset { .. }), "{error}");
    closed.disturbed().await;

    let mut killed = session(|mut fake: Fake| async move {
        fake.send(0, b"\xff\x87\x07#70100Connection was killed").await;
    })
    .await;
    killed.disturbed().await;
    let error = killed.query("select 1", LIMIT).await.unwrap_err();
    assert!(matches!(error, WireError::ServerShutdown { code: 1927, .. }), "{error}");
}

#[tokio::test]
async fn an_idle_connection_that_lives_is_disturbed_by_nobody() {
    let mut session = session(|mut fake: Fake| async move {
        fake.receive().await;
        fake.send(1, OK).await;
        fake.fall_silent().await;
    })
    .await;
    assert!(tokio::time::timeout(LIMIT / 3, session.disturbed()).await.is_err());
    session.execute("set @a = 1", LIMIT).await.unwrap();
}

#[tokio::test]
async fn an_error_answer_leaves_the_session_usable() {
    let mut session = session(|mut fake: Fake| async move {
        fake.receive().await;
        fake.send(1, b"\xff\xd2\x04#HY000The MySQL server is running with --read-only").await;
        fake.receive().await;
        fake.send(1, OK).await;
    })
    .await;
    let error = session.execute("insert into t values (1)", LIMIT).await.unwrap_err();
    assert!(matches!(error, WireError::Server { code: 1234, .. }), "{error}");
    session.ping(LIMIT).await.unwrap();
}

#[tokio::test]
async fn a_request_for_a_local_file_gets_none() {
    let mut session = session(|mut fake: Fake| async move {
        fake.receive().await;
        fake.send(1, b"\xfb/etc/shadow").await;
        assert!(fake.receive().await.is_empty());
        fake.send(3, OK).await;
    })
    .await;
    let error = session.query("select 1", LIMIT).await.unwrap_err();
    assert!(error.to_string().contains("LOAD DATA LOCAL"), "{error}");
}

#[tokio::test]
async fn an_endless_answer_is_given_up() {
    let mut session = session(|mut fake: Fake| async move {
        fake.receive().await;
        fake.send(1, &[1]).await;
        fake.send(2, &column("a")).await;
        fake.send(3, EOF).await;
        let mut row = vec![0xFC, 0x60, 0xEA];
        row.resize(60_003, b'x');
        let mut sequence = 4_u8;
        let mut out = bytes::BytesMut::new();
        for _ in 0..5_000 {
            out.clear();
            Framer::default().encode(&row, &mut out);
            out[3] = sequence;
            sequence = sequence.wrapping_add(1);
            if fake.socket.write_all(&out).await.is_err() {
                return;
            }
        }
    })
    .await;
    let error = session.query("select 1", Duration::from_secs(60)).await.unwrap_err();
    assert!(error.to_string().contains("256 MiB"), "{error}");
}
