//! A client of which every byte is known: it agrees on any capabilities, and sends any packets.

use bytes::{Buf as _, BytesMut};
use primacy_protocol::auth::{Channel, Exchange, Plugin};
use primacy_protocol::capability::{COMPRESS, CONNECT_WITH_DB, LONG_PASSWORD, SSL, ZSTD};
use primacy_protocol::frame::Framer;
use primacy_protocol::packet::{
    AUTH_MORE_DATA, EOF, ERR, LoginRequest, OK, parse_auth_switch, parse_err, parse_greeting,
};
use primacy_relay::Agreed;
use primacy_relay::compression::{Algorithm, Compression};
use primacy_types::Address;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::LONG;

/// What every client agrees on: protocol 4.1, plugins, multi-statements and -results, local files.
pub(crate) const BASIC: u32 =
    1 << 2 | 1 << 7 | 1 << 9 | 1 << 13 | 1 << 15 | 1 << 16 | 1 << 17 | 1 << 18 | 1 << 19 | 1 << 21;

pub(crate) struct Raw {
    socket: TcpStream,
    pub(crate) agreed: Agreed,
    pub(crate) input: BytesMut,
    compression: Option<Compression>,
    packed: BytesMut,
}

/// Where MariaDB keeps its extended capabilities in a greeting, from the end of the version.
const EXTENDED_IN_GREETING: usize = 1 + 4 + 8 + 1 + 2 + 1 + 2 + 2 + 1 + 6;
/// Where a login has them.
const EXTENDED_IN_LOGIN: usize = 4 + 4 + 1 + 19;

impl Raw {
    /// Logs in; of `wanted` that is agreed on which the server offers.
    pub(crate) async fn login(
        address: &Address,
        user: &str,
        password: &str,
        wanted: u64,
    ) -> Result<Self, u16> {
        let socket = TcpStream::connect((address.host(), address.port())).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let mut raw = Self {
            socket,
            agreed: Agreed::default(),
            input: BytesMut::new(),
            compression: None,
            packed: BytesMut::new(),
        };
        let mut framer = Framer::default();
        let packet = raw.packet(&mut framer).await;
        let greeting = parse_greeting(&packet).unwrap();
        let mut flags = wanted & u64::from(greeting.capabilities & !SSL & !CONNECT_WITH_DB);
        let mariadb = greeting.capabilities & LONG_PASSWORD == 0;
        if mariadb {
            let at = packet.iter().position(|byte| *byte == 0).unwrap() + EXTENDED_IN_GREETING;
            let offered = u32::from_le_bytes(packet[at..at + 4].try_into().unwrap());
            flags |= wanted & u64::from(offered) << 32;
        } else {
            flags |= u64::from(LONG_PASSWORD);
        }
        raw.agreed = Agreed::new(flags);
        let plugin = Plugin::named(&greeting.plugin).unwrap_or(Plugin::Native);
        let password = password.as_bytes();
        let mut exchange = Exchange::new(plugin, password, Channel::Plain, &greeting.scramble);
        let request = LoginRequest {
            capabilities: flags as u32,
            max_packet: 1 << 30,
            user,
            auth: &exchange.first().unwrap(),
            database: None,
            plugin: plugin.name(),
            attributes: &[],
        };
        let mut request = request.to_bytes();
        if mariadb {
            let extended = ((flags >> 32) as u32).to_le_bytes();
            request[EXTENDED_IN_LOGIN..EXTENDED_IN_LOGIN + 4].copy_from_slice(&extended);
        }
        if raw.agreed.has(ZSTD) {
            request.push(3);
        }
        let mut answer = Some(request);
        loop {
            if let Some(answer) = answer.take() {
                let mut out = BytesMut::new();
                framer.encode(&answer, &mut out);
                raw.send(&out).await;
            }
            let packet = raw.packet(&mut framer).await;
            match packet[0] {
                OK => {
                    // What both sides prefer where both are agreed on.
                    let zlib = raw.agreed.has(COMPRESS).then_some(Algorithm::Zlib);
                    let zstd = raw.agreed.has(ZSTD).then_some(Algorithm::Zstd);
                    raw.compression = zlib.or(zstd).map(Compression::new);
                    return Ok(raw);
                }
                ERR => return Err(parse_err(&packet).unwrap().code),
                EOF => {
                    let switch = parse_auth_switch(&packet).unwrap();
                    let plugin = Plugin::named(&switch.plugin).unwrap();
                    exchange = Exchange::new(plugin, password, Channel::Plain, &switch.challenge);
                    answer = Some(exchange.first().unwrap());
                }
                AUTH_MORE_DATA => answer = exchange.next(&packet[1..]).unwrap(),
                other => panic!("{other:#04x} came in the middle of a login"),
            }
        }
    }

    /// Packets of a command, or bytes of a login.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let mut out = Vec::new();
        let bytes = match &mut self.compression {
            Some(compression) => {
                compression.restart();
                compression.deflate(bytes, &mut out);
                &out
            }
            None => bytes,
        };
        timeout(LONG, self.socket.write_all(bytes)).await.expect("it is taken in time").unwrap();
    }

    /// More bytes into `input`.
    pub(crate) async fn read(&mut self) {
        let into = if self.compression.is_some() { &mut self.packed } else { &mut self.input };
        let read = timeout(LONG, self.socket.read_buf(into)).await;
        let count = read.expect("an answer comes in time").unwrap();
        assert!(count > 0, "the connection was closed; what came before: {:?}", self.input);
        let Some(compression) = &mut self.compression else { return };
        let mut out = Vec::new();
        while let Some(count) = compression.inflate(&self.packed, &mut out).unwrap() {
            self.packed.advance(count);
        }
        self.input.extend_from_slice(&out);
    }

    async fn packet(&mut self, framer: &mut Framer) -> bytes::Bytes {
        loop {
            if let Some(packet) = framer.decode(&mut self.input, 1 << 24).unwrap() {
                return packet.payload;
            }
            self.read().await;
        }
    }
}

/// The frames of a command.
pub(crate) fn command(code: u8, argument: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    Framer::default().encode_parts(&[&[code], argument], &mut out);
    out.to_vec()
}
