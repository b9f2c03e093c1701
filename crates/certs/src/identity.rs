//! One's own certificate and key, the authority that is trusted, and the TLS settings made of them.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::files::{read_certificate, read_key};
use crate::verify::{AgentOnly, TheseRoles};
use crate::{CertError, Peer, Role};

/// Where the three files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// One's own certificate, with those that lead to the authority after it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities whose certificates are believed.
    pub authority: PathBuf,
}

/// What a program shows to others, and whom it believes.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: Arc<RootCertStore>,
    own: Peer,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("own", &self.own).finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads the files.
    ///
    /// # Errors
    /// If one is missing, holds something else, or is a key that others may read; if the key does
    /// not belong to the certificate; if the certificate names no role.
    pub fn load(paths: &Paths) -> Result<Self, CertError> {
        let content =
            |path: &PathBuf, reason: String| CertError::Content { path: path.clone(), reason };
        let certificates = |path: &PathBuf| -> Result<Vec<CertificateDer<'static>>, CertError> {
            let text = read_certificate(path)?;
            let all: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes())
                .collect::<Result<_, _>>()
                .map_err(|error| content(path, format!("no certificate in PEM ({error})")))?;
            if all.is_empty() {
                return Err(content(path, "there is no certificate in it".to_owned()));
            }
            Ok(all)
        };
        let chain = certificates(&paths.certificate)?;
        let own = match chain.first().map(Peer::of) {
            Some(Ok(own)) => own,
            Some(Err(error)) => return Err(content(&paths.certificate, error.to_string())),
            None => return Err(content(&paths.certificate, "it is empty".to_owned())),
        };
        let text = read_key(&paths.key)?;
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes())
            .map_err(|_| content(&paths.key, "there is no private key in it".to_owned()))?;
        let mut roots = RootCertStore::empty();
        for root in certificates(&paths.authority)? {
            roots.add(root).map_err(|error| {
                content(&paths.authority, format!("it is no authority ({error})"))
            })?;
        }
        let identity = Self { chain, key, roots: Arc::new(roots), own };
        // A key of another certificate is found here, not at the first connection at night.
        identity.client().map_err(|error| content(&paths.key, error.to_string()))?;
        Ok(identity)
    }

    /// What one's own certificate says.
    pub fn own(&self) -> &Peer {
        &self.own
    }

    /// TLS for a server that only holders of these roles may connect to.
    ///
    /// # Errors
    /// If the key does not fit.
    pub fn server(&self, roles: &'static [Role]) -> Result<ServerConfig, CertError> {
        let provider = provider();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&self.roots), provider.clone())
                .build()
                .map_err(|error| CertError::Make(error.to_string()))?;
        let verifier = Arc::new(TheseRoles { inner: verifier, roles });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| CertError::Make(error.to_string()))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|error| CertError::Make(error.to_string()))?;
        // A ticket would let a client back in whose certificate has expired since.
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    /// TLS for connections to agents: the other side must be one, and be named as it was dialled.
    ///
    /// # Errors
    /// If the key does not fit.
    pub fn client(&self) -> Result<ClientConfig, CertError> {
        let provider = provider();
        let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(
            Arc::clone(&self.roots),
            provider.clone(),
        )
        .build()
        .map_err(|error| CertError::Make(error.to_string()))?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| CertError::Make(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AgentOnly { inner: verifier }))
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|error| CertError::Make(error.to_string()))?;
        config.resumption = rustls::client::Resumption::disabled();
        Ok(config)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
