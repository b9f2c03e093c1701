//! Our client at a server that says anything: login with every plugin, statements, raw packets.

use std::sync::LazyLock;
use std::time::Duration;

use primacy_types::Address;
use primacy_wire::{ConnectOptions, RawPacket, Session, TlsMode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use crate::input::Switches;

/// Both ends are of this process, and what they say is there already.
const LIMIT: Duration = Duration::from_secs(5);

/// One thread, so that the same input takes the same way.
pub(crate) static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().expect("a runtime"));

/// A socket to connect to. Its connections end with a reset: as many as there are here would use
/// up all ports in the time that TCP keeps those that ended in peace.
pub(crate) static LISTENER: LazyLock<TcpListener> = LazyLock::new(|| {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket of this machine");
    socket.set_nonblocking(true).expect("a socket that does not block");
    let _within = RUNTIME.enter();
    TcpListener::from_std(socket).expect("a socket of the runtime")
});

pub(crate) fn target(bytes: &[u8]) {
    let (switches, said) = Switches::split(bytes);
    let address = LISTENER.local_addr().expect("it is bound");
    let options = ConnectOptions {
        address: Address::new("127.0.0.1", address.port()),
        user: "primacy".to_owned(),
        password: if switches.has(0) { "".into() } else { "geheim".into() },
        tls: TlsMode::Off,
        connect_timeout: LIMIT,
        database: None,
        program: "fuzz".to_owned(),
        unix_socket: None,
    };
    RUNTIME.block_on(async {
        let (socket, ()) = tokio::join!(serve(said), visit(&options, switches.has(1)));
        // Only now: what the client had not read would be lost.
        socket.set_zero_linger().expect("a socket that is open");
    });
}

/// Says everything at once, and hears what comes until the client leaves.
async fn serve(said: &[u8]) -> TcpStream {
    let (mut socket, _) = LISTENER.accept().await.expect("a client comes");
    // A client that has heard enough may have left.
    let _ = socket.write_all(said).await;
    let _ = socket.shutdown().await;
    let mut heard = [0; 4096];
    while socket.read(&mut heard).await.is_ok_and(|count| count > 0) {}
    socket
}

async fn visit(options: &ConnectOptions, raw: bool) {
    let Ok(mut session) = Session::connect(options).await else { return };
    if raw {
        let mut packets = session.into_packets().expect("it is not broken");
        let _ = packets.command(0x12, b"", LIMIT).await;
        while let Ok(RawPacket::Data(_)) = packets.read(LIMIT).await {}
        return;
    }
    while !session.is_broken() {
        if let Ok(rows) = session.query("SELECT 1", LIMIT).await {
            for row in &rows {
                for index in 0..=rows.columns().len() {
                    let _ = row.at(index);
                }
            }
        }
        let _ = session.ping(LIMIT).await;
    }
}
