//! TLS towards webhooks: a certificate in the host's name, from an authority that is trusted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::io::AsyncReadExt as _;
use tokio_rustls::TlsConnector;

use crate::WebhookConfigError;

/// A file of certificates is not larger.
const MAX_FILE: u64 = 16 << 20;

/// Whose certificates are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Authorities {
    /// Those that this machine trusts.
    #[default]
    System,
    /// Those of this file (PEM), and no others.
    File(PathBuf),
}

/// What opens TLS connections. The authorities are read now: a changed file counts from the next
/// time.
pub(crate) async fn connector(
    webhook: &str,
    authorities: &Authorities,
) -> Result<TlsConnector, WebhookConfigError> {
    let roots = match authorities {
        Authorities::System => system(webhook).await?,
        Authorities::File(path) => {
            read(path).await.map_err(|reason| WebhookConfigError::Authorities {
                webhook: webhook.to_owned(),
                path: path.clone(),
                reason,
            })?
        }
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| WebhookConfigError::Tls {
            webhook: webhook.to_owned(),
            reason: error.to_string(),
        })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn system(webhook: &str) -> Result<RootCertStore, WebhookConfigError> {
    let none = |reason: String| WebhookConfigError::NoSystemAuthorities {
        webhook: webhook.to_owned(),
        reason,
    };
    let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs)
        .await
        .map_err(|failed| none(failed.to_string()))?;
    let roots = usable(found.certs);
    if roots.is_empty() {
        let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        let nowhere = "none of the usual places holds any".to_owned();
        return Err(none(if reasons.is_empty() { nowhere } else { reasons.join("; ") }));
    }
    Ok(roots)
}

async fn read(path: &Path) -> Result<RootCertStore, String> {
    let file = tokio::fs::File::open(path).await.map_err(|error| error.to_string())?;
    let mut pem = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut pem).await.map_err(|error| error.to_string())?;
    let roots = usable(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
    if roots.is_empty() { Err("it holds no usable certificate".to_owned()) } else { Ok(roots) }
}

/// Single certificates that cannot be used are passed over, as a system's collection may hold some.
fn usable(certificates: impl IntoIterator<Item = CertificateDer<'static>>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    roots
}
