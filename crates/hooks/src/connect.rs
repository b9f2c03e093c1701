//! A connection to a webhook's host: each step has its share of the attempt's limit, and says what
//! it was when the limit comes.

use std::net::SocketAddr;
use std::time::Duration;

use rustls::CertificateError;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::{AttemptFailure, Stage, WebhookUrl};

/// A connection, encrypted or not.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// The limit of one attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    begun: Instant,
    length: Duration,
}

impl Limit {
    pub(crate) fn begin(length: Duration) -> Self {
        Self { begun: Instant::now(), length }
    }

    fn end(self) -> Instant {
        self.begun.checked_add(self.length).unwrap_or(self.begun + Duration::from_secs(3600))
    }

    /// Does one thing within it.
    pub(crate) async fn within<T>(
        self,
        stage: Stage,
        work: impl Future<Output = Result<T, AttemptFailure>>,
    ) -> Result<T, AttemptFailure> {
        let late = |_| AttemptFailure::TimedOut { stage, limit: self.length };
        timeout_at(self.end(), work).await.map_err(late)?
    }
}

/// Connects; `tls` is for `https`.
pub(crate) async fn connect(
    url: &WebhookUrl,
    tls: Option<&(TlsConnector, ServerName<'static>)>,
    loopback_only: bool,
    limit: Limit,
) -> Result<Box<dyn Connection>, AttemptFailure> {
    let mut addresses = limit.within(Stage::Resolving, resolve(url)).await?;
    if loopback_only {
        addresses.retain(|address| address.ip().to_canonical().is_loopback());
        if addresses.is_empty() {
            return Err(AttemptFailure::NotLoopback);
        }
    }
    let stream = limit.within(Stage::Connecting, first_to_answer(&addresses, limit)).await?;
    let Some((connector, name)) = tls else { return Ok(Box::new(stream)) };
    let secure = async {
        let secured = connector.connect(name.clone(), stream).await;
        secured.map_err(|error| tls_failure(&error))
    };
    Ok(Box::new(limit.within(Stage::Securing, secure).await?))
}

async fn resolve(url: &WebhookUrl) -> Result<Vec<SocketAddr>, AttemptFailure> {
    let found = lookup_host((url.host(), url.port()))
        .await
        .map_err(|error| AttemptFailure::Resolve { reason: error.to_string() })?;
    let found: Vec<_> = found.collect();
    if found.is_empty() {
        return Err(AttemptFailure::Resolve { reason: "it has no address".to_owned() });
    }
    Ok(found)
}

/// Tries one address after the other. None gets more than its share of the time that is left, so
/// that one that swallows packets does not hide those behind it.
async fn first_to_answer(
    addresses: &[SocketAddr],
    limit: Limit,
) -> Result<TcpStream, AttemptFailure> {
    let mut reasons = Vec::new();
    for (n, address) in addresses.iter().enumerate() {
        let now = Instant::now();
        let left = limit.end().saturating_duration_since(now);
        let share = left / u32::try_from(addresses.len() - n).unwrap_or(u32::MAX);
        match timeout_at(now + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // The document is written in few pieces: none may wait for the answer to another.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => reasons.push(format!("{}: {error}", address.ip())),
            Err(_) => reasons.push(format!("{}: no answer", address.ip())),
        }
    }
    Err(AttemptFailure::Connect { reason: reasons.join("; ") })
}

/// Tells a certificate that is not accepted from everything else that may happen.
fn tls_failure(error: &std::io::Error) -> AttemptFailure {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(why)) => {
            AttemptFailure::Certificate { reason: said_of(why) }
        }
        _ => AttemptFailure::Tls { reason: error.to_string() },
    }
}

/// rustls says the usual ones in one word.
fn said_of(why: &CertificateError) -> String {
    let said = match why {
        CertificateError::UnknownIssuer => "no authority that is trusted has signed it",
        CertificateError::BadSignature => {
            "an authority of that name is trusted, but it did not sign this one"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
        // `openssl req -x509` makes such ones.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "it is an authority's own (CA:TRUE), which is not taken for a server's"
        }
        other => return other.to_string(),
    };
    said.to_owned()
}
