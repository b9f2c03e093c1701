//! TLS on a connection whose server offered it: what the server must prove depends on the mode.

mod verify;

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::AsyncReadExt as _;
use tokio_rustls::TlsConnector;

use crate::error::Fault;
use crate::options::{ConnectOptions, TlsMode};
use crate::socket::Pipe;
use verify::{AnyCertificate, ChainOnly, Pinned};

/// The system's authorities on Debian.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// A file of certificates is not larger.
const MAX_CA_FILE: u64 = 16 * 1024 * 1024;

/// Puts TLS on a byte stream; returns it and the TLS version.
pub(crate) async fn wrap(
    pipe: Box<dyn Pipe>,
    options: &ConnectOptions,
) -> Result<(Box<dyn Pipe>, String), Fault> {
    let config = config(&options.tls).await?;
    let host = options.address.host();
    let name = match ServerName::try_from(host.to_owned()) {
        Ok(name) => name,
        Err(error) if matches!(options.tls, TlsMode::Full { .. }) => {
            return Err(Fault::Tls(format!("no certificate can be for host {host:?}: {error}")));
        }
        // The name is neither sent nor compared in the other modes.
        Err(_) => ServerName::try_from("unnamed.invalid")
            .map_err(|error| Fault::Tls(error.to_string()))?,
    };
    let stream = TlsConnector::from(Arc::new(config)).connect(name, pipe).await?;
    let version = match stream.get_ref().1.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "TLS",
    };
    Ok((Box::new(stream), version.to_owned()))
}

async fn config(mode: &TlsMode) -> Result<ClientConfig, Fault> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::Tls(error.to_string()))?;
    let mut config = match mode {
        TlsMode::Full { ca_file } => {
            let path = ca_file.as_deref().unwrap_or(Path::new(SYSTEM_AUTHORITIES));
            builder.with_root_certificates(authorities(path).await?).with_no_client_auth()
        }
        mode => {
            let verifier = relaxed(mode, provider).await?;
            builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
        }
    };
    config.enable_sni = matches!(mode, TlsMode::Full { .. });
    Ok(config)
}

/// The verifier of a mode that asks for less than, or something other than, a certificate in the
/// server's name.
async fn relaxed(
    mode: &TlsMode,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::client::danger::ServerCertVerifier>, Fault> {
    Ok(match mode {
        TlsMode::VerifyCa { ca_file } => {
            Arc::new(ChainOnly { roots: authorities(ca_file).await?, provider })
        }
        TlsMode::Pinned { sha256 } => Arc::new(Pinned { sha256: *sha256, provider }),
        TlsMode::Required => Arc::new(AnyCertificate { provider }),
        TlsMode::Off | TlsMode::Full { .. } => {
            return Err(Fault::Tls("this mode has no verifier of its own".to_owned()));
        }
    })
}

/// Reads certificates of authorities. Single ones that cannot be used are skipped, as the system's
/// collection may hold some; none at all is an error.
async fn authorities(path: &Path) -> Result<RootCertStore, Fault> {
    let unreadable = |error: std::io::Error| {
        Fault::Tls(format!("the file of authorities {} cannot be read: {error}", path.display()))
    };
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let mut pem = Vec::new();
    file.take(MAX_CA_FILE).read_to_end(&mut pem).await.map_err(unreadable)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
    if roots.is_empty() {
        let path = path.display();
        return Err(Fault::Tls(format!("the file {path} holds no usable certificate")));
    }
    Ok(roots)
}
