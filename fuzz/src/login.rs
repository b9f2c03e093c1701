//! Our server at a client that says anything: what is read before it is known who it is.

use std::sync::LazyLock;
use std::time::Duration;

use primacy_wire::capability::{CONNECT_ATTRS, CONNECT_WITH_DB, PLUGIN_AUTH_LENENC};
use primacy_wire::packet::{FirstAnswer, LoginRequest, parse_first_answer};
use primacy_wire::server::{Account, Identity, LoginPlugin, accept};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{LISTENER, RUNTIME};
use crate::input::Switches;

const LIMIT: Duration = Duration::from_secs(5);

static IDENTITIES: LazyLock<[Identity; 2]> = LazyLock::new(|| {
    [(LoginPlugin::Native, "10.11.6-MariaDB"), (LoginPlugin::CachingSha2, "9.7.4")].map(
        |(plugin, version)| Identity {
            version: version.to_owned(),
            mariadb: plugin == LoginPlugin::Native,
            accounts: vec![Account { user: "repl".to_owned(), password: "geheim".into(), plugin }],
            tls: None,
            require_tls: false,
        },
    )
});

pub(crate) fn target(bytes: &[u8]) {
    let (switches, said) = Switches::split(bytes);
    if let Some(packet) = said.get(4..)
        && let Ok(FirstAnswer::Login(login)) = parse_first_answer(packet)
    {
        let request = LoginRequest {
            // What says how the proof and what follows it are written.
            capabilities: (login.capabilities | PLUGIN_AUTH_LENENC)
                & !(CONNECT_ATTRS | CONNECT_WITH_DB),
            max_packet: 1 << 24,
            user: &login.user,
            auth: &login.proof,
            database: None,
            plugin: &login.plugin,
            attributes: &[],
        };
        let again = parse_first_answer(&request.to_bytes());
        let Ok(FirstAnswer::Login(again)) = again else { panic!("it is a login") };
        assert_eq!((&again.user, &again.proof), (&login.user, &login.proof));
        assert_eq!(again.plugin, login.plugin);
    }
    let identity = &IDENTITIES[usize::from(switches.has(0))];
    RUNTIME.block_on(async {
        let address = LISTENER.local_addr().expect("it is bound");
        let client = async {
            let mut socket = TcpStream::connect(address).await.expect("it listens");
            // A server that has heard enough may have closed.
            let _ = socket.write_all(said).await;
            let _ = socket.shutdown().await;
            let mut heard = [0; 4096];
            while socket.read(&mut heard).await.is_ok_and(|count| count > 0) {}
            // See LISTENER.
            let _ = socket.set_zero_linger();
        };
        let server = async {
            let (socket, _) = LISTENER.accept().await.expect("a client comes");
            let accepted = accept(socket, 7, identity, LIMIT).await;
            // The challenge is random: nobody knows the answer beforehand.
            assert!(accepted.is_err(), "a stranger was let in");
        };
        tokio::join!(client, server);
    });
}
