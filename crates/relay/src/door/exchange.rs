//! The server's part of one plugin's exchange.

use secrecy::SecretSlice;

use super::{Channel, Secret};
use crate::credential::{
    ClientPlugin, Credential, PASSWORD_LIMIT, recover_sha1, recover_sha256, signed,
};

/// `caching_sha2_password`: the fast way sufficed.
const FAST: u8 = 3;
/// `caching_sha2_password`: the password itself is wanted.
const FULL: u8 = 4;

/// What came of a packet.
#[derive(Debug)]
pub(super) enum Turn {
    /// More is asked for, by these data of the plugin.
    Ask(Vec<u8>),
    /// The client knows the password; `tell` it that before anything else.
    Proven { secret: Secret, tell: Option<Vec<u8>> },
    /// The server will know.
    AtServer { secret: Secret },
    /// It does not; whether it gave any.
    Refused { given: bool },
}

/// See the module.
#[derive(Debug)]
pub(super) struct Exchange {
    credential: Credential,
    fast: Option<[u8; 32]>,
    challenge: Vec<u8>,
    channel: Channel,
    /// Whether the password itself was asked for.
    full: bool,
}

impl Exchange {
    pub(super) fn new(
        credential: Credential,
        fast: Option<[u8; 32]>,
        challenge: Vec<u8>,
        channel: Channel,
    ) -> Self {
        Self { credential, fast, challenge, channel, full: false }
    }

    /// The client's next packet.
    pub(super) fn hear(&mut self, proof: &[u8]) -> Turn {
        let given = !matches!(proof, [] | [0]);
        let proven = |secret| Turn::Proven { secret, tell: None };
        match &self.credential {
            Credential::Empty(_) if !given => proven(Secret::Empty),
            Credential::Empty(ClientPlugin::CachingSha2) if !self.full => self.ask_for_all(),
            Credential::Empty(_) | Credential::Never(_) => Turn::Refused { given },
            Credential::Native(stored) => match recover_sha1(stored, &self.challenge, proof) {
                Some(hash) => proven(Secret::Sha1(hash)),
                None => Turn::Refused { given },
            },
            Credential::Ed25519(key) if signed(key, &self.challenge, proof) => {
                proven(Secret::Unknown)
            }
            Credential::Ed25519(_) => Turn::Refused { given },
            Credential::CachingSha2(_) if !given => Turn::Refused { given },
            Credential::CachingSha2(_) if !self.full => {
                let hash =
                    self.fast.and_then(|stored| recover_sha256(&stored, &self.challenge, proof));
                match hash {
                    Some(hash) => {
                        Turn::Proven { secret: Secret::Sha256(hash), tell: Some(vec![FAST]) }
                    }
                    None => self.ask_for_all(),
                }
            }
            Credential::CachingSha2(stored) | Credential::Sha256(stored) => {
                match self.in_clear(proof) {
                    Some(password) if stored.verify(password) => proven(clear(password)),
                    _ => Turn::Refused { given },
                }
            }
            Credential::AtServer => match self.in_clear(proof) {
                Some(password) => Turn::AtServer { secret: clear(password) },
                None => Turn::Refused { given },
            },
        }
    }

    fn ask_for_all(&mut self) -> Turn {
        // Without TLS the client asks for a public key next, which is none here: it is refused
        // then, and never sends its password.
        self.full = true;
        Turn::Ask(vec![FULL])
    }

    /// The password as it is, which ends with a NUL. On a plain channel nothing is taken for one.
    fn in_clear<'p>(&self, proof: &'p [u8]) -> Option<&'p [u8]> {
        let password = proof.strip_suffix(&[0])?;
        (self.channel == Channel::Safe && password.len() <= PASSWORD_LIMIT).then_some(password)
    }
}

fn clear(password: &[u8]) -> Secret {
    match password {
        [] => Secret::Empty,
        _ => Secret::Clear(SecretSlice::from(password.to_vec())),
    }
}
