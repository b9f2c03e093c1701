//! Encrypts a password with the public key that a server sent. The key is a stranger's: it is
//! parsed here with bounds, because mysql_common's parser panics on malformed ones.
//!
//! The key is not authenticated: whoever sits on a plain TCP connection can send their own. Only
//! TLS helps against that.

use mysql_common::crypto::rsa::{GetRandom, Pkcs1OaepPadding, PublicKey};
use mysql_common::num_bigint::BigUint;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;

/// Bytes that OAEP with SHA-1 takes from a block, and one for the leading zero.
const OAEP_OVERHEAD: usize = 42;

/// `secret` under the key in `pem` (`BEGIN PUBLIC KEY`), padded by OAEP.
pub(super) fn encrypt(pem: &[u8], secret: &[u8]) -> Result<Vec<u8>, String> {
    let bad = || "the server's public key cannot be read".to_owned();
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| bad())?;
    let (modulus, exponent) = parse_key(&der).ok_or_else(bad)?;
    let size = modulus.len();
    // 1024 to 16384 bits; odd, as every product of two primes is.
    if !(128..=2048).contains(&size) || modulus.last().is_none_or(|byte| byte & 1 == 0) {
        return Err(format!("the server's public key of {} bits is not taken", size * 8));
    }
    if exponent.is_empty() || exponent.len() > 8 {
        return Err("the server's public key has an impossible exponent".to_owned());
    }
    if secret.len() > size - OAEP_OVERHEAD {
        return Err(format!("the password is too long for the server's {}-bit key", size * 8));
    }
    let key = PublicKey::new(BigUint::from_bytes_be(modulus), BigUint::from_bytes_be(exponent));
    if key.num_octets() != size {
        return Err("the server's public key has an unusual length".to_owned());
    }
    key.encrypt_block(secret, Pkcs1OaepPadding::new(GetRandom)).map_err(|error| error.to_string())
}

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const INTEGER: u8 = 0x02;

/// Modulus and exponent, without leading zeros, of a `SubjectPublicKeyInfo`.
fn parse_key(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (info, _) = element(der, SEQUENCE)?;
    let (_algorithm, rest) = element(info, SEQUENCE)?;
    let (bits, _) = element(rest, BIT_STRING)?;
    let (key, _) = element(bits.strip_prefix(&[0])?, SEQUENCE)?;
    let (modulus, rest) = element(key, INTEGER)?;
    let (exponent, _) = element(rest, INTEGER)?;
    Some((positive(modulus), positive(exponent)))
}

/// The contents of the DER element at the front, which must have this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    let (&short, rest) = rest.split_first()?;
    if first != tag {
        return None;
    }
    let (length, rest) = if short < 0x80 {
        (usize::from(short), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(short & 0x7F))?;
        if digits.len() > 4 {
            return None;
        }
        (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
    };
    rest.split_at_checked(length)
}

fn positive(integer: &[u8]) -> &[u8] {
    let zeros = integer.iter().take_while(|byte| **byte == 0).count();
    &integer[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAxSKOcxiet8lLMn8ImyUE
bGGKob5EdRz/4wdiw12ED0GfKKTKhVnodFCfm1mdy7bKOX5QxL9skrvYodpW43eR
R5bfOzIgy1qIB8RYb6qOXRBw1oA4snBDqtUjDv/lbHLJN+IbzM4oU+e3Lt9rXyLX
VY289ewONPweXHqSCnTL91w+wkU1peIFV2QhZ+upUCdCtwOn5hnJPNgxtbklFoya
C8W3Z7Xx7He2QDJsEWAqX197efw0L6j8X8Tyd8Uwb7zUB1tfMGhHfm9EwejPAtzx
4GztQNtNMtGS2oGZLQBLV9hib4dDL92iiZeckg2LAf4GsJofLLR8mcHCRoqVbQJ1
YQIDAQAB
-----END PUBLIC KEY-----";

    #[test]
    fn a_key_is_used_up_to_its_size() {
        assert_eq!(encrypt(KEY.as_bytes(), b"secret\0").unwrap().len(), 256);
        assert_eq!(encrypt(KEY.as_bytes(), &[1; 214]).unwrap().len(), 256);
        assert!(encrypt(KEY.as_bytes(), &[1; 215]).is_err());
    }

    proptest! {
        #[test]
        fn a_malformed_key_never_panics(at in 0_usize..294, byte: u8, cut in 0_usize..300) {
            let der = SubjectPublicKeyInfoDer::from_pem_slice(KEY.as_bytes()).unwrap();
            let mut der = der.to_vec();
            let at = at % der.len();
            der[at] = byte;
            der.truncate(cut);
            let _ = parse_key(&der);
        }

        #[test]
        fn arbitrary_text_is_no_key(bytes: Vec<u8>) {
            prop_assert!(encrypt(&bytes, b"x").is_err());
        }
    }
}
