//! The certificate that a server of ours shows, and TLS on a connection that a client opened.

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;

use super::ServerError;
use super::prefixed::Prefixed;
use crate::socket::Pipe;

/// A certificate and its key, ready to be shown to clients. Clones share them.
#[derive(Clone)]
pub struct ServerTls {
    acceptor: TlsAcceptor,
    certificate_pem: String,
    sha256: [u8; 32],
}

impl ServerTls {
    /// A fresh certificate that signs itself and names these hosts (names or addresses). Its key
    /// (ECDSA, P-256) lives in memory only and ends with the process.
    pub fn self_signed(hosts: &[String]) -> Result<Self, ServerError> {
        let made = rcgen::generate_simple_self_signed(hosts)
            .map_err(|error| ServerError::Certificate { reason: error.to_string() })?;
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        Self::new(vec![made.cert.der().clone()], key.into())
    }

    /// A certificate (with those that lead to its authority after it) and its key, both in PEM.
    pub fn from_pem(certificates: &str, key: &str) -> Result<Self, ServerError> {
        let bad = |reason: String| ServerError::Certificate { reason };
        let chain = CertificateDer::pem_slice_iter(certificates.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|error| bad(error.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|_| bad("its private key cannot be read".to_owned()))?;
        Self::new(chain, key)
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, ServerError> {
        let bad = |reason: String| ServerError::Certificate { reason };
        let Some(first) = chain.first() else {
            return Err(bad("there is none in the PEM text".to_owned()));
        };
        let sha256 = Sha256::digest(first.as_ref()).into();
        let certificate_pem = pem(first.as_ref());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| bad(error.to_string()))?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { acceptor, certificate_pem, sha256 })
    }

    /// The certificate in PEM; for a self-signed one, also what a client may take as authority.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// SHA-256 of the certificate in DER, for clients that pin it.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// Puts TLS on a byte stream.
    pub(super) async fn wrap(
        &self,
        pipe: Prefixed,
    ) -> Result<(Box<dyn Pipe>, String), ServerError> {
        let stream = self
            .acceptor
            .accept(pipe)
            .await
            .map_err(|error| ServerError::Tls { reason: error.to_string() })?;
        let version = match stream.get_ref().1.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        };
        Ok((Box::new(stream), version.to_owned()))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

/// A certificate as text; rcgen's own way would bring a second version of a base64 crate.
fn pem(der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in der.chunks(48) {
        for group in line.chunks(3) {
            let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or_default());
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            for i in 0..4 {
                let digit = DIGITS[(bits >> (18 - 6 * i) & 63) as usize];
                text.push(if i <= group.len() { char::from(digit) } else { '=' });
            }
        }
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_and_nonsense_refused() {
        for hosts in [vec!["127.0.0.1".to_owned()], vec!["db1".to_owned(), "a.b".to_owned()]] {
            let tls = ServerTls::self_signed(&hosts).unwrap();
            let read = CertificateDer::from_pem_slice(tls.certificate_pem().as_bytes()).unwrap();
            assert_eq!(<[u8; 32]>::from(Sha256::digest(&read)), tls.sha256());
            assert!(ServerTls::from_pem(tls.certificate_pem(), "no key").is_err());
        }
        assert!(ServerTls::from_pem("", "").is_err());
    }
}
