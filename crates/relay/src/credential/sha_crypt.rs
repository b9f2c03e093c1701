//! The salted hashes of `sha256_password` and `caching_sha2_password`: Ulrich Drepper's SHA-crypt
//! with SHA-256 ("Unix crypt using SHA-256 and SHA-512"), with salts of 20 bytes, which need not be
//! text.
//!
//! Stored as `$5$` salt `$` digest by `sha256_password` (5,000 rounds), and as `$A$` rounds in
//! thousands (three hexadecimal digits) `$` salt digest by `caching_sha2_password`.

use subtle::ConstantTimeEq as _;

use super::{PASSWORD_LIMIT, sha256};

const SALT: usize = 20;
const DIGEST: usize = 43;
/// Rounds of `sha256_password`.
const ROUNDS: u32 = 5000;
/// The most rounds that `caching_sha2_password_digest_rounds` allows are `0xFFF` thousands.
const THOUSAND: u32 = 1000;

/// See the module.
#[derive(Clone, PartialEq, Eq)]
pub struct ShaCrypt {
    rounds: u32,
    salt: [u8; SALT],
    /// In crypt's own base 64.
    digest: [u8; DIGEST],
}

impl ShaCrypt {
    /// An `authentication_string` of `caching_sha2_password`.
    pub fn caching(text: &[u8]) -> Option<Self> {
        let rest = text.strip_prefix(b"$A$")?;
        let (thousands, rest) = rest.split_at_checked(3)?;
        let thousands = u32::from_str_radix(std::str::from_utf8(thousands).ok()?, 16).ok()?;
        let (salt, digest) = rest.strip_prefix(b"$")?.split_at_checked(SALT)?;
        let rounds = thousands.max(1) * THOUSAND;
        Some(Self { rounds, salt: salt.try_into().ok()?, digest: digest.try_into().ok()? })
    }

    /// An `authentication_string` of `sha256_password`.
    pub fn sha256(text: &[u8]) -> Option<Self> {
        let (salt, rest) = text.strip_prefix(b"$5$")?.split_at_checked(SALT)?;
        let digest = rest.strip_prefix(b"$")?;
        let (salt, digest) = (salt.try_into().ok()?, digest.try_into().ok()?);
        Some(Self { rounds: ROUNDS, salt, digest })
    }

    /// A string that no password gives, for a user who does not exist.
    pub(crate) fn impossible(seed: &[u8; 32]) -> Self {
        let mut salt = [0; SALT];
        salt.copy_from_slice(&seed[..SALT]);
        // The digest's digits are never this one.
        Self { rounds: ROUNDS, salt, digest: [b'!'; DIGEST] }
    }

    /// Whether this is the password. Takes milliseconds: that is its purpose.
    pub fn verify(&self, password: &[u8]) -> bool {
        if password.len() > PASSWORD_LIMIT {
            return false;
        }
        hash(password, &self.salt, self.rounds).ct_eq(&self.digest).into()
    }
}

/// The steps of the paper, by their numbers.
fn hash(password: &[u8], salt: &[u8], rounds: u32) -> [u8; DIGEST] {
    // 4 to 8: the alternate sum.
    let alternate = sha256(&[password, salt, password]);
    // 1 to 3 and 9 to 12.
    let mut start = [password, salt].concat();
    start.extend(alternate.iter().cycle().take(password.len()));
    let mut length = password.len();
    while length > 0 {
        if length & 1 == 1 {
            start.extend_from_slice(&alternate);
        } else {
            start.extend_from_slice(password);
        }
        length >>= 1;
    }
    let mut sum = sha256(&[&start]);
    // 13 to 16: bytes in place of the password, as many.
    let repeated = sha256(&[&password.repeat(password.len())]);
    let p: Vec<u8> = repeated.iter().copied().cycle().take(password.len()).collect();
    // 17 to 20: in place of the salt.
    let repeated = sha256(&[&salt.repeat(16 + usize::from(sum[0]))]);
    let s: Vec<u8> = repeated.iter().copied().cycle().take(salt.len()).collect();
    // 21.
    for round in 0..rounds {
        let odd = round & 1 == 1;
        let first: &[u8] = if odd { &p } else { &sum };
        let salted: &[u8] = if round % 3 == 0 { &[] } else { &s };
        let again: &[u8] = if round % 7 == 0 { &[] } else { &p };
        let last: &[u8] = if odd { &sum } else { &p };
        sum = sha256(&[first, salted, again, last]);
    }
    encode(&sum)
}

/// 22 e: the order of bytes, and crypt's digits.
fn encode(sum: &[u8; 32]) -> [u8; DIGEST] {
    const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const ORDER: [[usize; 3]; 10] = [
        [0, 10, 20],
        [21, 1, 11],
        [12, 22, 2],
        [3, 13, 23],
        [24, 4, 14],
        [15, 25, 5],
        [6, 16, 26],
        [27, 7, 17],
        [18, 28, 8],
        [9, 19, 29],
    ];
    let mut out = [0; DIGEST];
    let mut put = |at: usize, mut bits: u32, digits: usize| {
        for place in out.iter_mut().skip(at).take(digits) {
            *place = DIGITS[(bits & 63) as usize];
            bits >>= 6;
        }
    };
    for (index, [a, b, c]) in ORDER.into_iter().enumerate() {
        let bits = u32::from(sum[a]) << 16 | u32::from(sum[b]) << 8 | u32::from(sum[c]);
        put(4 * index, bits, 4);
    }
    put(40, u32::from(sum[31]) << 8 | u32::from(sum[30]), 3);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_openssl_makes_of_the_same_passwords() {
        let long = "a password that is longer than the thirty-two bytes of a digest";
        for (password, salt, digest) in [
            ("Hello world!", "saltstring", "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
            (long, "abcdefghijklmnop", "3vpW8rG5BPfghoMpnF.qAY3Ngdc4xtDXxa721yq3Ql5"),
            ("Grüße", "1234567890123456", "hLhdPdJrNfrIO2QQiAXdu15prPcaCuLol8D9UCvljX9"),
        ] {
            let found = hash(password.as_bytes(), salt.as_bytes(), ROUNDS);
            assert_eq!(std::str::from_utf8(&found).unwrap(), digest);
        }
    }

    #[test]
    fn strings_are_taken_apart_at_their_places() {
        let salt = b"\x01$salt with any byte";
        assert_eq!(salt.len(), SALT);
        let digest = hash(b"secret", salt, ROUNDS);
        let caching = [&b"$A$005$"[..], salt, &digest].concat();
        let sha256 = [&b"$5$"[..], salt, b"$", &digest].concat();
        for parsed in [ShaCrypt::caching(&caching), ShaCrypt::sha256(&sha256)] {
            let parsed = parsed.unwrap();
            assert!(parsed.verify(b"secret"));
            assert!(!parsed.verify(b"Secret") && !parsed.verify(b"") && !parsed.verify(&[7; 999]));
        }
        assert!(ShaCrypt::caching(&caching[..60]).is_none());
        assert!(ShaCrypt::sha256(&[&sha256[..], b"x"].concat()).is_none());
        assert!(!ShaCrypt::impossible(&[7; 32]).verify(b"secret"));
    }
}
