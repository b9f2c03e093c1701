//! From the server's greeting to its "welcome": TLS where it is wanted, then authentication.

use secrecy::ExposeSecret as _;

use crate::auth::{Channel, Exchange, Plugin};
use crate::capability;
use crate::command::Link;
use crate::error::Fault;
use crate::frame::MAX_FRAME;
use crate::options::{ConnectOptions, TlsMode};
use crate::packet::{
    AUTH_MORE_DATA, AUTH_NEXT_FACTOR, EOF, ERR, Greeting, LoginRequest, OK, parse_auth_switch,
    parse_err, parse_greeting, parse_ok, tls_request,
};
use crate::socket::Pipe;
use crate::stream::PacketStream;
use crate::tls;

/// Packets of a login after which something is wrong.
const MAX_ROUNDS: usize = 12;

/// What a login gives.
pub(crate) struct Welcome {
    pub(crate) link: Link,
    pub(crate) greeting: Greeting,
    /// TLS version, if any.
    pub(crate) tls: Option<String>,
}

/// Logs in over a fresh byte stream.
pub(crate) async fn login(pipe: Box<dyn Pipe>, options: &ConnectOptions) -> Result<Welcome, Fault> {
    let mut stream = PacketStream::new(pipe);
    let packet = stream.read().await?;
    if packet.first() == Some(&ERR) {
        return Err(Fault::LastWord(parse_err(&packet)?));
    }
    let greeting = parse_greeting(&packet)?;
    let local = options.unix_socket.is_some();
    let wants_tls = options.tls != TlsMode::Off && !local;
    if wants_tls && greeting.capabilities & capability::SSL == 0 {
        return Err(Fault::NoTls);
    }
    let capabilities =
        capability::agreed(greeting.capabilities, options.database.is_some(), wants_tls);
    let mut tls = None;
    if wants_tls {
        stream.write(&tls_request(capabilities, MAX_FRAME as u32)).await?;
        let (pipe, framer) = stream.into_pipe()?;
        let (pipe, version) = tls::wrap(pipe, options).await?;
        stream = PacketStream::resume(pipe, framer);
        tls = Some(version);
    }
    let channel = match (local, wants_tls) {
        (true, _) => Channel::Local,
        (_, true) => Channel::Tls,
        _ => Channel::Plain,
    };
    let status = authenticate(&mut stream, options, &greeting, capabilities, channel).await?;
    stream.lift_limit();
    Ok(Welcome { link: Link { stream, capabilities, status }, greeting, tls })
}

/// Sends the account and answers what the server asks; returns the status flags.
async fn authenticate(
    stream: &mut PacketStream,
    options: &ConnectOptions,
    greeting: &Greeting,
    capabilities: u32,
    channel: Channel,
) -> Result<u16, Fault> {
    let password = options.password.expose_secret().as_bytes();
    // A default plugin that we cannot answer does not mean that our account uses it: begin with
    // the one that every server understands, and be switched. The same for a clear password,
    // which is sent only to a server that asks for it by name.
    let plugin = Plugin::named(&greeting.plugin)
        .filter(|plugin| !matches!(plugin, Plugin::Clear | Plugin::Ed25519))
        .unwrap_or(Plugin::Native);
    let mut exchange = Exchange::new(plugin, password, channel, &greeting.scramble);
    let process = std::process::id().to_string();
    let login = LoginRequest {
        capabilities,
        max_packet: MAX_FRAME as u32,
        user: &options.user,
        auth: &exchange.first().map_err(Fault::Auth)?,
        database: options.database.as_deref(),
        plugin: plugin.name(),
        attributes: &[
            ("_client_name", "primacy"),
            ("_client_version", env!("CARGO_PKG_VERSION")),
            ("_pid", &process),
            ("program_name", &options.program),
        ],
    };
    stream.write(&login.to_bytes()).await?;
    for _ in 0..MAX_ROUNDS {
        let packet = stream.read().await?;
        let reply = match packet.first().copied() {
            Some(OK) => return Ok(parse_ok(&packet)?.status),
            Some(ERR) => return Err(Fault::LastWord(parse_err(&packet)?)),
            Some(EOF) => {
                let switch = parse_auth_switch(&packet)?;
                let plugin = Plugin::named(&switch.plugin).ok_or_else(|| {
                    let (user, plugin) = (&options.user, switch.plugin.escape_debug());
                    Fault::Auth(format!(
                        "account {user:?} wants plugin {plugin}, which is not supported"
                    ))
                })?;
                exchange = Exchange::new(plugin, password, channel, &switch.challenge);
                Some(exchange.first().map_err(Fault::Auth)?)
            }
            Some(AUTH_MORE_DATA) => exchange.next(&packet[1..]).map_err(Fault::Auth)?,
            Some(AUTH_NEXT_FACTOR) => {
                let reason = "the account wants a second factor, which is not supported";
                return Err(Fault::Auth(reason.to_owned()));
            }
            other => {
                return Err(Fault::Protocol(format!("{other:02x?} came in the middle of login")));
            }
        };
        if let Some(reply) = reply {
            stream.write(&reply).await?;
        }
    }
    Err(Fault::Protocol("the login does not come to an end".to_owned()))
}
