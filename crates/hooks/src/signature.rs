//! The signature of a webhook's document: made by us, checked by the receiver.

use std::time::Duration;

use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};

/// The header that carries it: `t=<unix seconds>,v1=<hex>`.
pub const SIGNATURE_HEADER: &str = "primacy-signature";

/// Why a receiver must not believe a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The header is not of the form `t=<unix seconds>,v1=<hex>`.
    #[error("the header Primacy-Signature is not of the form t=<unix seconds>,v1=<hex>")]
    Malformed,
    /// It was signed too long ago, or in the future: a recording, or a clock that is wrong.
    #[error(
        "it was signed {seconds} s from now, which is more than is tolerated; is a clock wrong?"
    )]
    OutOfTime {
        /// How far away, in either direction.
        seconds: u64,
    },
    /// No signature in it fits the body and the secret.
    #[error("its signature does not fit: the secret is another one, or the body was changed")]
    Wrong,
}

fn key(secret: &SecretString) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes())
}

/// What is signed: the time, a dot, the body.
fn signed(time: &str, body: &[u8]) -> Vec<u8> {
    [time.as_bytes(), b".", body].concat()
}

/// The header's value for a body that is sent at this time (unix seconds).
pub(crate) fn sign(secret: &SecretString, time: u64, body: &[u8]) -> String {
    let tag = hmac::sign(&key(secret), &signed(&time.to_string(), body));
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={time},v1={hex}")
}

/// Checks a delivery as its receiver: the header's value, the body exactly as it came, the time now
/// (unix seconds), and how far the sender's time may be from it (5 minutes are usual). Of several
/// `v1` one has to fit; what is not known in the header is passed over.
///
/// # Errors
/// If the delivery must not be believed.
pub fn verify(
    secret: &SecretString,
    header: &str,
    body: &[u8],
    now: u64,
    tolerance: Duration,
) -> Result<(), SignatureError> {
    let fields = || header.split(',').filter_map(|field| field.trim().split_once('='));
    let time = fields().find(|(name, _)| *name == "t").map(|(_, time)| time);
    let time = time.ok_or(SignatureError::Malformed)?;
    let sent: u64 = time.parse().map_err(|_| SignatureError::Malformed)?;
    let tags: Vec<_> =
        fields().filter(|(name, _)| *name == "v1").filter_map(|(_, hex)| bytes(hex)).collect();
    if tags.is_empty() {
        return Err(SignatureError::Malformed);
    }
    let (key, signed) = (key(secret), signed(time, body));
    // In constant time, so that nobody learns a signature byte by byte.
    if !tags.iter().any(|tag| hmac::verify(&key, &signed, tag).is_ok()) {
        return Err(SignatureError::Wrong);
    }
    let seconds = now.abs_diff(sent);
    if seconds > tolerance.as_secs() { Err(SignatureError::OutOfTime { seconds }) } else { Ok(()) }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = hex.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn secret() -> SecretString {
        SecretString::from("whsec")
    }

    /// Reference value made with `printf '1700000000.{}' | openssl dgst -sha256 -hmac whsec`.
    const REFERENCE: &str =
        "t=1700000000,v1=7d44587dddbaf4c7f70fef20f48cd594834ffea1641e3ac227b84408298738af";

    #[test]
    fn the_signature_is_what_others_compute() {
        assert_eq!(sign(&secret(), 1_700_000_000, b"{}"), REFERENCE);
    }

    #[test]
    fn a_receiver_believes_only_what_is_signed_and_fresh() {
        let check = |header: &str, body: &[u8], now| verify(&secret(), header, body, now, MINUTE);
        let now = 1_700_000_060;
        assert_eq!(check(REFERENCE, b"{}", now), Ok(()));
        assert_eq!(check(REFERENCE, b"{}", now - 120), Ok(()));
        let late = SignatureError::OutOfTime { seconds: 61 };
        assert_eq!(check(REFERENCE, b"{}", now + 1), Err(late));
        assert_eq!(check(REFERENCE, b"{} ", now), Err(SignatureError::Wrong));
        let moved = REFERENCE.replace("t=1700000000", "t=1700000060");
        assert_eq!(check(&moved, b"{}", now), Err(SignatureError::Wrong));
        let rotated = format!("{REFERENCE},v1=00ff, v2=x");
        assert_eq!(check(&rotated, b"{}", now), Ok(()));
        for malformed in ["", "t=1", "v1=00", "t=x,v1=00", "t=1,v1=0", "t=1,v1=zz"] {
            assert_eq!(check(malformed, b"{}", 1), Err(SignatureError::Malformed), "{malformed}");
        }
    }

    proptest! {
        #[test]
        fn what_is_signed_is_believed_and_nothing_else(
            body in prop::collection::vec(any::<u8>(), 0..200), time in any::<u64>(), other in ".*",
        ) {
            let header = sign(&secret(), time, &body);
            prop_assert_eq!(verify(&secret(), &header, &body, time, MINUTE), Ok(()));
            prop_assert!(verify(&secret(), &other, &body, time, MINUTE).is_err());
            let stranger = SecretString::from("other");
            let refused = verify(&stranger, &header, &body, time, MINUTE);
            prop_assert_eq!(refused, Err(SignatureError::Wrong));
        }
    }
}
