//! The login of a client at the relay, as a server does it: bytes in, bytes out.
//!
//! A [`Door`] greets, is told what the client sends, and says what is to be done: send something, put
//! TLS on, let the client in, turn it away. It knows the servers' accounts and needs no server; the
//! last word (OK, or that the default schema does not exist) is the caller's, when a backend is there.
//!
//! Who does not exist is taken through the same exchange as who exists, with a plugin and a salt that
//! follow from a secret key and the name, so that a stranger cannot learn which users there are.
//!
//! Sources: "Connection Phase Packets", "Authentication Method Mismatch", "COM_CHANGE_USER" in MySQL's
//! source documentation; "Connecting" in MariaDB's protocol manual; error numbers, states and texts from
//! both servers' error references.

mod answer;
mod denial;
mod exchange;

use bytes::BytesMut;
use primacy_protocol::capability::{
    LONG_PASSWORD, PLUGIN_AUTH, PROTOCOL_41, SECURE_CONNECTION, SSL,
};
use primacy_protocol::frame::{Framer, TooLong};
use primacy_protocol::packet::{AUTH_MORE_DATA, AuthSwitch, ErrPacket, Malformed};
use ring::hmac;
use secrecy::SecretSlice;

use crate::accounts::{Account, Accounts, Peer, Require};
use crate::credential::{ClientPlugin, Credential, ShaCrypt};
use crate::walker::Agreed;
pub use answer::{Attributes, FirstAnswer, UserChange};
pub use denial::Denial;
use exchange::{Exchange, Turn};

/// The longest packet of a login, in bytes.
const LOGIN_LIMIT: usize = 64 * 1024;

/// As what the relay presents itself, to all clients alike.
#[derive(Clone, Debug)]
pub struct Identity {
    /// As `SELECT VERSION()` gives it, such as `10.11.6-MariaDB` or `9.7.4`.
    pub version: String,
    /// Whether the servers are MariaDB's, which greet and refuse a little differently.
    pub mariadb: bool,
    /// What is offered: flags of `primacy_protocol::capability`, of which every backend has all.
    /// [`SSL`] is offered where `tls` says so, and [`LONG_PASSWORD`] by MySQL alone.
    pub capabilities: u64,
    /// Number of the default collation (its low byte).
    pub collation: u8,
    /// The plugin that the greeting names.
    pub plugin: ClientPlugin,
    /// Whether TLS is offered.
    pub tls: bool,
    /// Whether clients on TCP without TLS are turned away.
    pub require_tls: bool,
    /// A secret of this relay, from which follows what those are told who do not exist.
    pub decoy_key: [u8; 32],
}

/// How a client's bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// TCP without TLS: a password in clear is never asked for.
    Plain,
    /// TLS, or a unix socket.
    Safe,
}

/// What is known of a client's password after its login; enough to log in to a backend or not.
#[derive(Debug)]
pub enum Secret {
    /// It has none.
    Empty,
    /// SHA1(password): answers every backend's `mysql_native_password`
    /// ([`native_answer`](crate::credential::native_answer)).
    Sha1([u8; 20]),
    /// SHA256(password): answers the fast way of `caching_sha2_password` only.
    Sha256([u8; 32]),
    /// The password: answers everything.
    Clear(SecretSlice<u8>),
    /// Nothing: an `ed25519` signature answers one challenge only.
    Unknown,
}

/// A client that is let in. It waits for an OK packet, or for an error of the backend.
#[derive(Debug)]
pub struct Welcome {
    /// What it is known as.
    pub account: Account,
    /// The name that it gave.
    pub user: String,
    /// What was agreed on.
    pub agreed: Agreed,
    /// Number of its collation; 0 if it named none.
    pub collation: u16,
    /// The schema that it wants, if any.
    pub database: Option<Vec<u8>>,
    /// What it says of itself.
    pub attributes: Attributes,
    /// Compression level that it asks for with Zstandard; 0 without.
    pub zstd_level: u8,
    /// Of its password.
    pub secret: Secret,
    /// Whether the relay checked the password. If not, only the backend's login tells.
    pub checked: bool,
    /// Number of the packet that it waits for.
    pub next_sequence: u8,
}

/// What is to be done next.
#[derive(Debug)]
pub enum Step {
    /// Wait for more bytes.
    Wait,
    /// Send these bytes, and go on.
    Send(Vec<u8>),
    /// Put TLS on; what is left of the input is TLS's already. Then [`Door::secured`], and go on.
    StartTls,
    /// Send these bytes, and let the client in.
    Welcome(Vec<u8>, Box<Welcome>),
    /// Send these bytes, and end the connection. Nothing is to be sent where they are empty.
    Deny(Vec<u8>, Denial),
}

/// Gives what is kept for the fast way of `caching_sha2_password`
/// ([`fast_hash`](crate::credential::fast_hash)) of an account that logged in before.
pub type Fast<'a> = &'a dyn Fn(&Account) -> Option<[u8; 32]>;

/// Fills a challenge with random bytes.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// Where the login stands.
#[derive(Debug)]
enum State {
    /// The greeting was sent.
    Greeted,
    /// The account was found, or a decoy made; its exchange is under way.
    Proving { answer: Box<FirstAnswer>, account: Option<Box<Account>>, exchange: Exchange },
    /// It ended.
    Over,
}

/// See the module.
#[derive(Debug)]
pub struct Door<'a> {
    identity: &'a Identity,
    peer: Peer,
    channel: Channel,
    framer: Framer,
    /// Number of the next packet, whoever sends it.
    sequence: u8,
    challenge: Vec<u8>,
    state: State,
    tls: bool,
}

impl<'a> Door<'a> {
    /// Greets a client. `connection_id` is what it will name in `KILL`. The bytes are to be sent.
    pub fn open(
        identity: &'a Identity,
        peer: Peer,
        connection_id: u32,
        accounts: &Accounts,
        random: Random<'_>,
    ) -> (Self, Step) {
        let channel = if peer.address.is_none() { Channel::Safe } else { Channel::Plain };
        let challenge = challenge(20, random);
        let mut door = Self {
            identity,
            peer,
            channel,
            framer: Framer::default(),
            sequence: 0,
            challenge,
            state: State::Greeted,
            tls: false,
        };
        if !accounts.lets_in_from(&door.peer) {
            let denial = Denial::Host { host: door.peer.shown() };
            let step = door.deny(denial);
            return (door, step);
        }
        let greeting = door.greeting(connection_id);
        let bytes = door.framed(&[&greeting]);
        (door, Step::Send(bytes))
    }

    /// A logged-in client wants to be another one: `argument` is what follows the code of
    /// `COM_CHANGE_USER`. It is always given a new challenge.
    pub fn change_user(
        identity: &'a Identity,
        peer: Peer,
        channel: Channel,
        agreed: Agreed,
        argument: &[u8],
        accounts: &Accounts,
        random: Random<'_>,
    ) -> (Self, Step) {
        let mut door = Self {
            identity,
            peer,
            channel,
            framer: Framer::default(),
            sequence: 0,
            challenge: Vec::new(),
            state: State::Greeted,
            tls: channel == Channel::Safe,
        };
        // The command was packet 0.
        door.framed(&[b""]);
        let step = match UserChange::parse(argument, agreed) {
            Ok(change) => door.look_up(change.into_answer(agreed), accounts, &|_| None, random),
            Err(_) => door.deny(Denial::Handshake),
        };
        (door, step)
    }

    /// TLS is on.
    pub fn secured(&mut self) {
        self.channel = Channel::Safe;
        self.tls = true;
    }

    /// Goes on with what the client sent; what is taken is taken out of `input`. To be called again
    /// until it says [`Step::Wait`].
    pub fn hear(
        &mut self,
        input: &mut BytesMut,
        accounts: &Accounts,
        fast: Fast<'_>,
        random: Random<'_>,
    ) -> Step {
        let packet = match self.framer.decode(input, LOGIN_LIMIT) {
            Ok(Some(packet)) if packet.in_order => {
                self.sequence = packet.sequence.wrapping_add(1);
                packet.payload
            }
            Ok(None) => return Step::Wait,
            Ok(Some(_)) | Err(TooLong { .. }) => return self.deny(Denial::Handshake),
        };
        match std::mem::replace(&mut self.state, State::Over) {
            State::Greeted => self.first(&packet, accounts, fast, random),
            State::Proving { answer, account, mut exchange } => match exchange.hear(&packet) {
                Turn::Ask(data) => {
                    self.state = State::Proving { answer, account, exchange };
                    Step::Send(self.more(&data))
                }
                turn => self.decide(*answer, account, turn),
            },
            State::Over => Step::Wait,
        }
    }

    /// The client's first packet: it wants TLS, or says who it is.
    fn first(
        &mut self,
        packet: &[u8],
        accounts: &Accounts,
        fast: Fast<'_>,
        random: Random<'_>,
    ) -> Step {
        let offered = Agreed::new(self.offered());
        let answer = match FirstAnswer::parse(packet, offered, self.identity.mariadb) {
            Ok(answer) => answer,
            Err(Malformed(_)) => return self.deny(Denial::Handshake),
        };
        let Some(answer) = answer else {
            if self.tls || !self.identity.tls {
                return self.deny(Denial::Handshake);
            }
            self.state = State::Greeted;
            return Step::StartTls;
        };
        if self.identity.require_tls && self.channel == Channel::Plain {
            return self.deny(Denial::NoTls);
        }
        self.look_up(answer, accounts, fast, random)
    }

    /// Finds the account, or a decoy, and begins its exchange.
    fn look_up(
        &mut self,
        answer: FirstAnswer,
        accounts: &Accounts,
        fast: Fast<'_>,
        random: Random<'_>,
    ) -> Step {
        let account = accounts.find(&answer.user, &self.peer).cloned().map(Box::new);
        let credential = match &account {
            Some(account) => account.credential.clone(),
            None => self.decoy(&answer.user, accounts),
        };
        let Some(plugin) = credential.client_plugin() else {
            let denial = Denial::NoPassword { user: answer.user, host: self.peer.shown() };
            return self.deny(denial);
        };
        if plugin == ClientPlugin::Clear && self.channel == Channel::Plain {
            return self.deny(Denial::Password {
                user: answer.user,
                host: self.peer.shown(),
                given: !answer.proof.is_empty(),
            });
        }
        let remembered = account.as_deref().and_then(fast);
        // The proof belongs to the greeting's challenge, which has the length of most plugins'.
        let fits = answer.plugin == plugin.name()
            && plugin.challenge_length() == self.challenge.len()
            && plugin != ClientPlugin::Clear;
        if fits {
            let challenge = std::mem::take(&mut self.challenge);
            let mut exchange = Exchange::new(credential, remembered, challenge, self.channel);
            let turn = exchange.hear(&answer.proof);
            return match turn {
                Turn::Ask(data) => {
                    self.state = State::Proving { answer: Box::new(answer), account, exchange };
                    Step::Send(self.more(&data))
                }
                turn => self.decide(answer, account, turn),
            };
        }
        if !answer.agreed.has(PLUGIN_AUTH) {
            return self.deny(Denial::OldClient);
        }
        let challenge = challenge(plugin.challenge_length(), random);
        let switch = AuthSwitch { plugin: plugin.name().to_owned(), challenge: challenge.clone() };
        let bytes = self.framed(&[&switch.to_bytes()]);
        let exchange = Exchange::new(credential, remembered, challenge, self.channel);
        self.state = State::Proving { answer: Box::new(answer), account, exchange };
        Step::Send(bytes)
    }

    /// The exchange has ended.
    fn decide(&mut self, answer: FirstAnswer, account: Option<Box<Account>>, turn: Turn) -> Step {
        let host = self.peer.shown();
        let (secret, checked, tell) = match (turn, &account) {
            (Turn::Proven { secret, tell }, Some(_)) => (secret, true, tell),
            (Turn::AtServer { secret }, Some(_)) => (secret, false, None),
            (Turn::Refused { given }, _) => {
                return self.deny(Denial::Password { user: answer.user, host, given });
            }
            // A decoy proves nothing to nobody.
            (_, _) => {
                return self.deny(Denial::Password { user: answer.user, host, given: true });
            }
        };
        let Some(account) = account else { return self.deny(Denial::Handshake) };
        // Servers look at all this only after the password.
        let unmet = match account.require {
            Require::Nothing => false,
            Require::Tls => !self.tls,
            Require::Certificate => true,
        };
        if unmet {
            let given = !matches!(secret, Secret::Empty);
            return self.deny(Denial::Password { user: answer.user, host, given });
        }
        if account.locked {
            return self.deny(Denial::Locked { user: answer.user, host });
        }
        let expired = primacy_protocol::capability::EXPIRED_PASSWORDS;
        if account.expired && !answer.agreed.has(expired) {
            return self.deny(Denial::Expired);
        }
        let bytes = tell.map(|data| self.more(&data)).unwrap_or_default();
        let welcome = Welcome {
            account: *account,
            user: answer.user,
            agreed: answer.agreed,
            collation: answer.collation,
            database: answer.database,
            attributes: answer.attributes,
            zstd_level: answer.zstd_level,
            secret,
            checked,
            next_sequence: self.sequence,
        };
        Step::Welcome(bytes, Box::new(welcome))
    }

    /// What a user who does not exist is asked for: the same each time, one of the plugins that
    /// accounts have, and not to be foretold without the key.
    fn decoy(&self, user: &str, accounts: &Accounts) -> Credential {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.identity.decoy_key);
        let mut seed = [0; 32];
        seed.copy_from_slice(hmac::sign(&key, user.as_bytes()).as_ref());
        let rows = accounts.rows();
        let model =
            rows.get(usize::from(u16::from_le_bytes([seed[30], seed[31]])) % rows.len().max(1));
        let plugin = model.and_then(|row| row.credential.client_plugin());
        match plugin.unwrap_or(self.identity.plugin) {
            ClientPlugin::CachingSha2 => Credential::CachingSha2(ShaCrypt::impossible(&seed)),
            ClientPlugin::Sha256 => Credential::Sha256(ShaCrypt::impossible(&seed)),
            ClientPlugin::Ed25519 => Credential::Ed25519(seed),
            ClientPlugin::Native | ClientPlugin::Clear => {
                let mut hash = [0; 20];
                hash.copy_from_slice(&seed[..20]);
                Credential::Native(hash)
            }
        }
    }

    fn offered(&self) -> u64 {
        let needed = u64::from(PROTOCOL_41 | SECURE_CONNECTION | PLUGIN_AUTH);
        let with = |flag: u32, wanted: bool| if wanted { u64::from(flag) } else { 0 };
        (self.identity.capabilities & !u64::from(SSL | LONG_PASSWORD))
            | needed
            | with(SSL, self.identity.tls)
            | with(LONG_PASSWORD, !self.identity.mariadb)
    }

    fn greeting(&self, connection_id: u32) -> Vec<u8> {
        let offered = self.offered().to_le_bytes();
        // MariaDB 10 puts this before its version, so that old replicas take it; 11 does not.
        let old = self.identity.mariadb && self.identity.version.starts_with("10.");
        let (first, second) = self.challenge.split_at(8);
        let mut out = vec![10];
        out.extend_from_slice(if old { b"5.5.5-" } else { b"" });
        out.extend(self.identity.version.bytes().filter(|byte| *byte != 0));
        out.push(0);
        out.extend_from_slice(&connection_id.to_le_bytes());
        out.extend_from_slice(first);
        out.push(0);
        out.extend_from_slice(&offered[..2]);
        out.push(self.identity.collation);
        out.extend_from_slice(&primacy_protocol::capability::STATUS_AUTOCOMMIT.to_le_bytes());
        out.extend_from_slice(&offered[2..4]);
        out.push(self.challenge.len() as u8 + 1);
        out.extend_from_slice(&[0; 6]);
        // MariaDB's own; MySQL sends zeros here and offers none.
        out.extend_from_slice(if self.identity.mariadb { &offered[4..] } else { &[0; 4] });
        out.extend_from_slice(second);
        out.push(0);
        out.extend_from_slice(self.identity.plugin.name().as_bytes());
        out.push(0);
        out
    }

    fn deny(&mut self, denial: Denial) -> Step {
        self.state = State::Over;
        let packet: ErrPacket = denial.answer(self.identity.mariadb);
        Step::Deny(self.framed(&[&packet.to_bytes()]), denial)
    }

    fn more(&mut self, data: &[u8]) -> Vec<u8> {
        self.framed(&[&[AUTH_MORE_DATA], data])
    }

    fn framed(&mut self, parts: &[&[u8]]) -> Vec<u8> {
        let mut out = BytesMut::new();
        self.framer.encode_parts(parts, &mut out);
        // All are short: one frame each.
        self.sequence = self.sequence.wrapping_add(1);
        out.to_vec()
    }
}

/// Random bytes of seven bits, none of them NUL or `$`, as servers make them: clients take the
/// challenge for a text.
fn challenge(length: usize, random: Random<'_>) -> Vec<u8> {
    let mut bytes = vec![0; length];
    random(&mut bytes);
    for byte in &mut bytes {
        *byte &= 0x7F;
        if matches!(*byte, 0 | b'$') {
            *byte += 1;
        }
    }
    bytes
}

#[cfg(test)]
mod tests;
