//! From an accepted socket to a client that is logged in.

use std::net::SocketAddr;
use std::time::Duration;

use rustls::crypto::ring;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::account::{Account, LoginPlugin};
use super::connection::Connection;
use super::prefixed::Prefixed;
use super::{ServerError, ServerTls};
use crate::capability;
use crate::packet::{
    AUTH_MORE_DATA, AuthSwitch, ErrPacket, FirstAnswer, Greeting, Login, OkPacket,
    parse_first_answer,
};
use crate::socket;
use crate::stream::PacketStream;

/// `caching_sha2_password`: the scramble was right.
const FAST_AUTH_SUCCESS: u8 = 3;
/// Status flag that every server sends: autocommit is on.
const AUTOCOMMIT: u16 = 2;

/// As what a server of ours presents itself.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The version as `SELECT VERSION()` would give it, such as `10.11.6-MariaDB` or `9.7.4`.
    pub version: String,
    /// Whether this is MariaDB, which greets a little differently.
    pub mariadb: bool,
    /// Who may log in. All use the same plugin: the greeting names the first one's, and a client
    /// whose name is not among them is asked for the same.
    pub accounts: Vec<Account>,
    /// The certificate; without one no TLS is offered.
    pub tls: Option<ServerTls>,
    /// Whether clients without TLS are turned away.
    pub require_tls: bool,
}

/// Takes a client through greeting, TLS and login, all within `limit`. `id` is the number of the
/// connection. A client that is turned away was told why.
pub async fn accept(
    socket: TcpStream,
    id: u32,
    identity: &Identity,
    limit: Duration,
) -> Result<Connection, ServerError> {
    let peer = socket.peer_addr().map_err(ServerError::Io)?;
    socket::set_up(&socket).map_err(ServerError::Io)?;
    let what = "waiting for its login";
    timeout(limit, log_in(socket, peer, id, identity))
        .await
        .unwrap_or(Err(ServerError::Timeout { what, limit }))
}

/// Tells a client that there is no room for it, in place of a greeting.
pub async fn turn_away(socket: TcpStream, limit: Duration) -> Result<(), ServerError> {
    let mut stream = PacketStream::new(Box::new(socket));
    let error = ErrPacket::new(1040, "08004", "Too many connections").to_bytes();
    let what = "telling it that there is no room";
    match timeout(limit, stream.write(&error)).await {
        Ok(sent) => Ok(sent?),
        Err(_) => Err(ServerError::Timeout { what, limit }),
    }
}

async fn log_in(
    socket: TcpStream,
    peer: SocketAddr,
    id: u32,
    identity: &Identity,
) -> Result<Connection, ServerError> {
    let mut stream = PacketStream::new(Box::new(socket));
    let challenge = challenge()?;
    stream.write(&greeting(id, identity, &challenge).to_bytes()).await?;
    let mut tls = None;
    let login = match (parse_first_answer(&stream.read().await?)?, &identity.tls) {
        (FirstAnswer::Login(login), _) => login,
        (FirstAnswer::Tls, None) => {
            let reason = "it asked for TLS, which was not offered".to_owned();
            return Err(ServerError::Protocol { reason });
        }
        (FirstAnswer::Tls, Some(server)) => {
            let (rest, framer, first) = stream.into_parts();
            let (pipe, version) = server.wrap(Prefixed { first, rest }).await?;
            tls = Some(version);
            stream = PacketStream::resume(pipe, framer);
            match parse_first_answer(&stream.read().await?)? {
                FirstAnswer::Login(login) => login,
                FirstAnswer::Tls => {
                    let reason = "it asked for TLS twice".to_owned();
                    return Err(ServerError::Protocol { reason });
                }
            }
        }
    };
    if identity.require_tls && tls.is_none() {
        // The number and the words with which a MySQL with require_secure_transport answers.
        let text = "Connections using insecure transport are prohibited while \
                    --require_secure_transport=ON.";
        stream.write(&ErrPacket::new(3159, "08004", text).to_bytes()).await?;
        return Err(ServerError::NoTls);
    }
    authenticate(&mut stream, &login, identity, challenge, peer).await?;
    Ok(Connection::new(stream, id, peer, tls, login.user))
}

/// Checks the account, and tells the client what came of it.
async fn authenticate(
    stream: &mut PacketStream,
    login: &Login,
    identity: &Identity,
    mut challenge: [u8; 20],
    peer: SocketAddr,
) -> Result<(), ServerError> {
    let plugin = plugin(identity);
    let switched;
    let proof: &[u8] = if login.plugin == plugin.name() {
        &login.proof
    } else {
        challenge = self::challenge()?;
        let switch = AuthSwitch { plugin: plugin.name().to_owned(), challenge: challenge.to_vec() };
        stream.write(&switch.to_bytes()).await?;
        switched = stream.read().await?;
        &switched
    };
    // All are looked at, whoever it is: the time taken tells nothing.
    let accepted = identity
        .accounts
        .iter()
        .fold(false, |found, account| account.accepts(&login.user, proof, &challenge) | found);
    if !accepted {
        let user: String = login.user.chars().take(80).collect();
        let used = if proof.is_empty() { "NO" } else { "YES" };
        let host = peer.ip().to_canonical();
        let text = format!("Access denied for user '{user}'@'{host}' (using password: {used})");
        stream.write(&ErrPacket::new(1045, "28000", text).to_bytes()).await?;
        return Err(ServerError::Denied { user });
    }
    if plugin == LoginPlugin::CachingSha2 {
        stream.write(&[AUTH_MORE_DATA, FAST_AUTH_SUCCESS]).await?;
    }
    stream.write(&OkPacket { status: AUTOCOMMIT, ..OkPacket::default() }.to_bytes()).await?;
    Ok(())
}

/// The plugin that all accounts use.
fn plugin(identity: &Identity) -> LoginPlugin {
    identity.accounts.first().map_or(LoginPlugin::Native, |account| account.plugin)
}

fn greeting(id: u32, identity: &Identity, challenge: &[u8; 20]) -> Greeting {
    let mut capabilities = capability::SERVED;
    if !identity.mariadb {
        capabilities |= capability::LONG_PASSWORD;
    }
    if identity.tls.is_some() {
        capabilities |= capability::SSL;
    }
    // MariaDB 10 puts this before its version, so that MySQL 5.x replicas take it; 11 does not.
    let old = identity.mariadb && identity.version.starts_with("10.");
    Greeting {
        version: format!("{}{}", if old { "5.5.5-" } else { "" }, identity.version),
        connection_id: id,
        capabilities,
        status: AUTOCOMMIT,
        plugin: plugin(identity).name().to_owned(),
        scramble: challenge.to_vec(),
    }
}

/// Twenty random bytes of seven bits, none of them NUL or `$`, as servers make them: clients take
/// the challenge for a text.
fn challenge() -> Result<[u8; 20], ServerError> {
    let mut bytes = [0; 20];
    ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| ServerError::Io(std::io::Error::other("no random bytes can be had")))?;
    for byte in &mut bytes {
        *byte &= 0x7F;
        if matches!(*byte, 0 | b'$') {
            *byte += 1;
        }
    }
    Ok(bytes)
}
