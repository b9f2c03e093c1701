//! What a server knows of an account's password, and whether a client's proof answers it.
//!
//! Sources: "Native Authentication", "Caching_sha2_password Information", "SHA256 Authentication" in
//! MySQL's source documentation; "Authentication Plugin - ed25519" in MariaDB's manual.

mod sha_crypt;

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use ring::signature::{ED25519, UnparsedPublicKey};
use subtle::ConstantTimeEq as _;

pub use sha_crypt::ShaCrypt;

/// The longest password that is taken in clear, in bytes: servers hash no longer ones
/// (`MAX_PLAINTEXT_LENGTH` of `sha256_password` and `caching_sha2_password`).
pub const PASSWORD_LIMIT: usize = 256;

/// What the columns `plugin` and `authentication_string` of `mysql.user` say.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// No password: the client must show none. The client's plugin is this one.
    Empty(ClientPlugin),
    /// `mysql_native_password`: SHA1(SHA1(password)).
    Native([u8; 20]),
    /// `caching_sha2_password`.
    CachingSha2(ShaCrypt),
    /// `sha256_password`.
    Sha256(ShaCrypt),
    /// `ed25519` (MariaDB): the public key.
    Ed25519([u8; 32]),
    /// Only the server itself can check it (PAM, LDAP): it is given the password as it is.
    AtServer,
    /// Nobody can log in with it through a relay (`unix_socket`, a broken string), and why.
    Never(&'static str),
}

/// The plugins that a client can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientPlugin {
    /// `mysql_native_password`.
    Native,
    /// `caching_sha2_password`.
    CachingSha2,
    /// `sha256_password`.
    Sha256,
    /// `client_ed25519`.
    Ed25519,
    /// `mysql_clear_password`, over TLS or a unix socket only.
    Clear,
}

impl ClientPlugin {
    /// Its name in packets.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "mysql_native_password",
            Self::CachingSha2 => "caching_sha2_password",
            Self::Sha256 => "sha256_password",
            Self::Ed25519 => "client_ed25519",
            Self::Clear => "mysql_clear_password",
        }
    }

    /// How many bytes its challenge has.
    pub fn challenge_length(self) -> usize {
        if self == Self::Ed25519 { 32 } else { 20 }
    }
}

impl Credential {
    /// Of the two columns. `authentication_string` is bytes: the salts of MySQL are.
    pub fn parse(plugin: &str, authentication_string: &[u8]) -> Self {
        let text = authentication_string;
        let broken = Self::Never("its authentication_string cannot be read");
        match plugin {
            // MySQL 5.6 leaves the plugin empty for accounts of old.
            "mysql_native_password" | "" if text.is_empty() => Self::Empty(ClientPlugin::Native),
            "mysql_native_password" | "" => native(text).map_or(broken, Self::Native),
            "caching_sha2_password" if text.is_empty() => Self::Empty(ClientPlugin::CachingSha2),
            "caching_sha2_password" => ShaCrypt::caching(text).map_or(broken, Self::CachingSha2),
            "sha256_password" if text.is_empty() => Self::Empty(ClientPlugin::Sha256),
            "sha256_password" => ShaCrypt::sha256(text).map_or(broken, Self::Sha256),
            "ed25519" if text.is_empty() => Self::Empty(ClientPlugin::Ed25519),
            "ed25519" => base64_key(text).map_or(broken, Self::Ed25519),
            "pam" | "authentication_ldap_simple" | "authentication_pam" => Self::AtServer,
            "unix_socket" | "auth_socket" => Self::Never("it logs in by the system's account"),
            _ => Self::Never("its plugin is not known here"),
        }
    }

    /// The plugin that the client has to use; `None` where nobody can log in.
    pub fn client_plugin(&self) -> Option<ClientPlugin> {
        Some(match self {
            Self::Empty(plugin) => *plugin,
            Self::Native(_) => ClientPlugin::Native,
            Self::CachingSha2(_) => ClientPlugin::CachingSha2,
            Self::Sha256(_) => ClientPlugin::Sha256,
            Self::Ed25519(_) => ClientPlugin::Ed25519,
            Self::AtServer => ClientPlugin::Clear,
            Self::Never(_) => return None,
        })
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self {
            Self::Empty(_) => "Empty",
            Self::Native(_) => "Native",
            Self::CachingSha2(_) => "CachingSha2",
            Self::Sha256(_) => "Sha256",
            Self::Ed25519(_) => "Ed25519",
            Self::AtServer => "AtServer",
            Self::Never(why) => return f.debug_tuple("Never").field(why).finish(),
        };
        f.write_str(name)
    }
}

/// `*` and forty hexadecimal digits.
fn native(text: &[u8]) -> Option<[u8; 20]> {
    let digits = std::str::from_utf8(text.strip_prefix(b"*")?).ok()?;
    if digits.len() != 40 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut hash = [0; 20];
    for (byte, at) in hash.iter_mut().zip((0..40).step_by(2)) {
        *byte = u8::from_str_radix(&digits[at..at + 2], 16).ok()?;
    }
    Some(hash)
}

/// 43 digits of base 64: 32 bytes.
fn base64_key(text: &[u8]) -> Option<[u8; 32]> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = text.strip_suffix(b"=").unwrap_or(text);
    if text.len() != 43 {
        return None;
    }
    let mut key = Vec::with_capacity(33);
    for group in text.chunks(4) {
        let mut bits = 0_u32;
        for place in 0..4 {
            let digit = match group.get(place) {
                Some(byte) => DIGITS.iter().position(|digit| digit == byte)? as u32,
                None => 0,
            };
            bits = bits << 6 | digit;
        }
        key.extend_from_slice(&bits.to_be_bytes()[1..]);
    }
    key.truncate(32);
    key.try_into().ok()
}

fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    parts.iter().for_each(|part| context.update(part));
    let mut hash = [0; 20];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// `mysql_native_password`: the proof is SHA1(password) XOR SHA1(challenge, stored). If it is right,
/// SHA1(password) follows from it, with which one can log in wherever the same hash is stored.
pub fn recover_sha1(stored: &[u8; 20], challenge: &[u8], proof: &[u8]) -> Option<[u8; 20]> {
    let mut hash: [u8; 20] = proof.try_into().ok()?;
    let mask = sha1(&[challenge, stored]);
    hash.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    let right: bool = sha1(&[&hash]).ct_eq(stored).into();
    right.then_some(hash)
}

/// The answer to a backend's challenge of `mysql_native_password`, from SHA1(password).
pub fn native_answer(sha1_of_password: &[u8; 20], challenge: &[u8]) -> [u8; 20] {
    let stored = sha1(&[sha1_of_password]);
    let mut answer = sha1(&[challenge, &stored]);
    answer.iter_mut().zip(sha1_of_password).for_each(|(byte, hash)| *byte ^= hash);
    answer
}

/// `caching_sha2_password`, the fast way: the proof is SHA256(password) XOR SHA256(stored,
/// challenge), where `stored` is SHA256(SHA256(password)). If it is right, SHA256(password) follows.
pub fn recover_sha256(stored: &[u8; 32], challenge: &[u8], proof: &[u8]) -> Option<[u8; 32]> {
    let mut hash: [u8; 32] = proof.try_into().ok()?;
    let mask = sha256(&[stored, challenge]);
    hash.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    let right: bool = sha256(&[&hash]).ct_eq(stored).into();
    right.then_some(hash)
}

/// What is kept of a password for the fast way of `caching_sha2_password`.
pub fn fast_hash(password: &[u8]) -> [u8; 32] {
    sha256(&[digest(&SHA256, password).as_ref()])
}

/// Whether an `ed25519` signature of the challenge is that of this key's owner.
pub fn signed(public: &[u8; 32], challenge: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public).verify(challenge, signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use primacy_protocol::auth::{Channel, Exchange, Plugin};

    const CHALLENGE: &[u8; 20] = b"abcdefghijklmnopqrst";

    fn proof(plugin: Plugin, password: &[u8], challenge: &[u8]) -> Vec<u8> {
        Exchange::new(plugin, password, Channel::Plain, challenge).first().unwrap()
    }

    #[test]
    fn a_native_proof_gives_the_hash_that_answers_the_next_challenge() {
        // SELECT PASSWORD('secret') on MariaDB 10.11.
        let stored = b"*14E65567ABDB5135D0CFD9A70B3032C179A49EE7";
        let Credential::Native(stored) = Credential::parse("mysql_native_password", stored) else {
            panic!()
        };
        let hash = recover_sha1(&stored, CHALLENGE, &proof(Plugin::Native, b"secret", CHALLENGE));
        let hash = hash.unwrap();
        let other = b"ABCDEFGHIJKLMNOPQRST";
        assert_eq!(native_answer(&hash, other)[..], proof(Plugin::Native, b"secret", other));
        let wrong = proof(Plugin::Native, b"Secret", CHALLENGE);
        assert_eq!(recover_sha1(&stored, CHALLENGE, &wrong), None);
        assert_eq!(recover_sha1(&stored, CHALLENGE, b""), None);
    }

    #[test]
    fn the_fast_way_takes_the_right_password_only() {
        let stored = fast_hash(b"secret");
        let right = proof(Plugin::CachingSha2, b"secret", CHALLENGE);
        let hash = recover_sha256(&stored, CHALLENGE, &right).unwrap();
        assert_eq!(hash, sha256(&[b"secret"]));
        assert_eq!(recover_sha256(&stored, b"another challenge...", &right), None);
        assert_eq!(recover_sha256(&stored, CHALLENGE, &right[1..]), None);
    }

    #[test]
    fn an_ed25519_signature_is_checked() {
        // SELECT ed25519_password('secret') on MariaDB.
        let stored = b"ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY";
        let Credential::Ed25519(key) = Credential::parse("ed25519", stored) else { panic!() };
        let right = proof(Plugin::Ed25519, b"secret", &[7; 32]);
        assert!(signed(&key, &[7; 32], &right));
        assert!(!signed(&key, &[8; 32], &right));
        assert!(!signed(&key, &[7; 32], &proof(Plugin::Ed25519, b"Secret", &[7; 32])));
        assert!(!signed(&key, &[7; 32], b""));
    }

    #[test]
    fn strings_that_cannot_be_read_let_nobody_in() {
        for (plugin, text) in [
            ("mysql_native_password", &b"*14E6"[..]),
            ("mysql_native_password", b"*zzE65567ABDB5135D0CFD9A70B3032C179A49EE7"),
            ("mysql_native_password", b"*THISISNOTAVALIDPASSWORDTHATCANBEUSEDHERE"),
            (
                "caching_sha2_password",
                b"$A$005$THISISACOMBINATIONOFINVALIDSALTANDPASSWORDTHATMUSTNEVERBRBEUSED!",
            ),
            ("caching_sha2_password", b"$A$"),
            ("sha256_password", b"$5$short$x"),
            ("ed25519", b"invalid"),
            ("unix_socket", b""),
            ("mystery", b""),
        ] {
            let credential = Credential::parse(plugin, text);
            let never = matches!(credential, Credential::Never(_));
            // MySQL's own locked accounts have a string that no password gives.
            assert!(never || text.starts_with(b"$A$005$THIS"), "{plugin} {credential:?}");
        }
        let none = Credential::parse("mysql_native_password", b"");
        assert_eq!(none, Credential::Empty(ClientPlugin::Native));
    }
}
