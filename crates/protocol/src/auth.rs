//! The client's part of authentication, without input or output: challenges in, answers out.
//!
//! The arithmetic is mysql_common's; the order of steps is ours, because that crate's own driver
//! panics on a malformed public key.

mod rsa;

use mysql_common::auth::plugins::caching_sha2_password::scramble_sha256;
use mysql_common::auth::plugins::client_ed25519::ClientEd25519;
use mysql_common::auth::plugins::mysql_native_password::scramble_native;
use mysql_common::auth::plugins::{ChallengeResponsePlugin, Context};

/// `caching_sha2_password`: the server knows the password's hash from an earlier login.
const FAST_AUTH_SUCCESS: u8 = 3;
/// `caching_sha2_password`: the server wants the password itself.
const FULL_AUTHENTICATION: u8 = 4;
/// `caching_sha2_password`: request for the server's public key.
const CACHING_SHA2_KEY: u8 = 2;
/// `sha256_password`: request for the server's public key.
const SHA256_KEY: u8 = 1;

/// The plugins that we can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plugin {
    /// MySQL up to 8.4, MariaDB.
    Native,
    /// MySQL 8.0 and later.
    CachingSha2,
    /// MySQL 5.6 and later, deprecated.
    Sha256,
    /// MariaDB.
    Ed25519,
    /// PAM and LDAP: the password as it is. Only over TLS or a unix socket.
    Clear,
}

impl Plugin {
    /// Names as they stand in packets.
    const NAMES: [(&str, Self); 5] = [
        ("mysql_native_password", Self::Native),
        ("caching_sha2_password", Self::CachingSha2),
        ("sha256_password", Self::Sha256),
        ("client_ed25519", Self::Ed25519),
        ("mysql_clear_password", Self::Clear),
    ];

    /// The plugin of this name, if we have it.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, plugin)| *plugin)
    }

    /// Its name in packets.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, plugin)| *plugin == self).map_or("", |(name, _)| *name)
    }
}

/// How the bytes travel, which decides whether a password may be sent as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// TCP without TLS.
    Plain,
    /// TLS.
    Tls,
    /// A unix socket.
    Local,
}

/// Where one plugin's exchange stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Nothing was answered yet.
    Start,
    /// `caching_sha2_password`: the scramble was sent, the server tells whether it suffices.
    Verdict,
    /// The server's public key was asked for.
    Key,
    /// Nothing is left to say.
    Done,
}

/// One plugin's exchange. The caller handles OK, error and switch packets.
pub struct Exchange<'a> {
    plugin: Plugin,
    password: &'a [u8],
    channel: Channel,
    challenge: Vec<u8>,
    step: Step,
}

impl<'a> Exchange<'a> {
    /// An exchange that has not begun; `challenge` comes from the greeting or the switch.
    pub fn new(plugin: Plugin, password: &'a [u8], channel: Channel, challenge: &[u8]) -> Self {
        Self { plugin, password, channel, challenge: challenge.to_vec(), step: Step::Start }
    }

    /// The plugin's first answer.
    pub fn first(&mut self) -> Result<Vec<u8>, String> {
        self.step = Step::Done;
        match self.plugin {
            Plugin::Native => {
                let scramble = scramble_native(&self.scramble::<20>()?, self.password);
                Ok(scramble.map(Vec::from).unwrap_or_default())
            }
            Plugin::CachingSha2 => {
                let scramble = scramble_sha256(&self.scramble::<20>()?, self.password);
                if scramble.is_some() {
                    self.step = Step::Verdict;
                }
                Ok(scramble.map(Vec::from).unwrap_or_default())
            }
            // An empty password is told by an empty text; over a unix socket servers differ on
            // whether it counts as safe, and the key works for both.
            Plugin::Sha256 if self.password.is_empty() => Ok(vec![0]),
            Plugin::Sha256 if self.channel == Channel::Tls => Ok(self.password_and_nul()),
            Plugin::Sha256 => {
                self.scramble::<20>()?;
                self.step = Step::Key;
                Ok(vec![SHA256_KEY])
            }
            Plugin::Ed25519 => self.ed25519(),
            Plugin::Clear if self.channel == Channel::Plain => Err(
                "the server wants the password as it is, which we send only over TLS or a unix \
                 socket"
                    .to_owned(),
            ),
            Plugin::Clear => Ok(self.password_and_nul()),
        }
    }

    /// The answer to more data of the plugin; `None` where the server only told something.
    pub fn next(&mut self, data: &[u8]) -> Result<Option<Vec<u8>>, String> {
        match (self.step, data) {
            (Step::Verdict, [FAST_AUTH_SUCCESS]) => {
                self.step = Step::Done;
                Ok(None)
            }
            (Step::Verdict, [FULL_AUTHENTICATION]) if self.channel == Channel::Plain => {
                self.step = Step::Key;
                Ok(Some(vec![CACHING_SHA2_KEY]))
            }
            (Step::Verdict, [FULL_AUTHENTICATION]) => {
                self.step = Step::Done;
                Ok(Some(self.password_and_nul()))
            }
            (Step::Key, key) => {
                self.step = Step::Done;
                let scramble = self.scramble::<20>()?;
                let mut secret = self.password_and_nul();
                for (byte, mask) in secret.iter_mut().zip(scramble.iter().cycle()) {
                    *byte ^= mask;
                }
                rsa::encrypt(key, &secret).map(Some)
            }
            _ => Err(format!("the server said more than {} knows", self.plugin.name())),
        }
    }

    /// The challenge, which must have its plugin's length.
    fn scramble<const N: usize>(&self) -> Result<[u8; N], String> {
        let (length, name) = (self.challenge.len(), self.plugin.name());
        let wrong = |_| format!("the challenge for {name} has {length} bytes, {N} belong");
        <[u8; N]>::try_from(self.challenge.as_slice()).map_err(wrong)
    }

    fn password_and_nul(&self) -> Vec<u8> {
        [self.password, &[0]].concat()
    }

    fn ed25519(&self) -> Result<Vec<u8>, String> {
        let challenge = self.scramble::<32>()?;
        let response = ClientEd25519::default()
            .run(Ed25519Context(self.password), &challenge)
            .map_err(|error| error.to_string())?;
        Ok(response.data().unwrap_or_default().to_vec())
    }
}

/// What mysql_common's `client_ed25519` asks for: nothing but the password.
struct Ed25519Context<'a>(&'a [u8]);

impl Context for Ed25519Context<'_> {
    fn pass(&self) -> &[u8] {
        self.0
    }

    fn is_ipc_transport(&self) -> bool {
        false
    }

    fn is_tls_transport(&self) -> bool {
        false
    }

    fn scramble(&self) -> &[u8] {
        &[]
    }

    fn server_key_pem(&self) -> Option<&[u8]> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRAMBLE: &[u8; 20] = b"abcdefghijklmnopqrst";

    #[test]
    fn a_password_is_never_sent_as_it_is_over_plain_tcp() {
        for (_, plugin) in Plugin::NAMES {
            let challenge: &[u8] = if plugin == Plugin::Ed25519 { &[7; 32] } else { SCRAMBLE };
            let mut exchange = Exchange::new(plugin, b"secret", Channel::Plain, challenge);
            let mut sent = exchange.first().unwrap_or_default();
            sent.extend(exchange.next(&[4]).ok().flatten().unwrap_or_default());
            assert!(!sent.windows(6).any(|part| part == b"secret"), "{}", plugin.name());
        }
    }

    #[test]
    fn caching_sha2_goes_the_fast_and_the_full_way() {
        let mut fast = Exchange::new(Plugin::CachingSha2, b"secret", Channel::Plain, SCRAMBLE);
        assert_eq!(fast.first().unwrap().len(), 32);
        assert_eq!(fast.next(&[3]), Ok(None));
        assert!(fast.next(&[3]).is_err());
        let mut full = Exchange::new(Plugin::CachingSha2, b"secret", Channel::Tls, SCRAMBLE);
        full.first().unwrap();
        assert_eq!(full.next(&[4]), Ok(Some(b"secret\0".to_vec())));
        let mut key = Exchange::new(Plugin::CachingSha2, b"secret", Channel::Plain, SCRAMBLE);
        key.first().unwrap();
        assert_eq!(key.next(&[4]), Ok(Some(vec![2])));
        assert!(key.next(b"not a key").is_err());
    }

    #[test]
    fn a_challenge_of_the_wrong_length_is_refused() {
        for (_, plugin) in Plugin::NAMES {
            let _ = Exchange::new(plugin, b"x", Channel::Plain, b"short").first();
        }
        let mut native = Exchange::new(Plugin::Native, b"x", Channel::Plain, b"short");
        assert!(native.first().is_err());
    }
}
