//! What can go wrong with a webhook, in sentences for the one who is paged. No URL's path, no
//! secret and no header stands in them.

use std::path::PathBuf;
use std::time::Duration;

use hyper::StatusCode;
use primacy_types::Millis;
use uuid::Uuid;

use crate::{HookEvent, UrlError, WebhookUrl};

/// A webhook that cannot be used as it is configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookConfigError {
    /// Its URL is none.
    #[error("webhook {webhook}: {source}")]
    Url {
        /// Its name.
        webhook: String,
        /// What is wrong.
        source: UrlError,
    },
    /// It would go over the network in the clear.
    #[error(
        "webhook {webhook}: {url} is not encrypted, and everybody on the way could read what is \
         told to it; write https://, or allow plain http for it on purpose"
    )]
    Plain {
        /// Its name.
        webhook: String,
        /// Where it is.
        url: WebhookUrl,
    },
    /// Its secret is empty: everybody could sign.
    #[error(
        "webhook {webhook}: its secret is empty, so anybody could forge what it is told; give it \
         one of 32 random characters, or leave it out if nothing is to be signed"
    )]
    EmptySecret {
        /// Its name.
        webhook: String,
    },
    /// Its host cannot be in a certificate.
    #[error(
        "webhook {webhook}: no certificate can be for the host of {url}; write a host name or an IP address"
    )]
    HostName {
        /// Its name.
        webhook: String,
        /// Where it is.
        url: WebhookUrl,
    },
    /// The file of authorities cannot be used.
    #[error(
        "webhook {webhook}: the file of authorities {} cannot be used: {reason}; it has to hold \
         certificates in PEM, and be readable by this user", path.display()
    )]
    Authorities {
        /// Its name.
        webhook: String,
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// This machine trusts nobody.
    #[error(
        "webhook {webhook}: this machine has no certificates of authorities ({reason}); install \
         the package ca-certificates, or configure a file of authorities"
    )]
    NoSystemAuthorities {
        /// Its name.
        webhook: String,
        /// What was tried.
        reason: String,
    },
    /// rustls refused its own configuration.
    #[error("webhook {webhook}: TLS cannot be set up: {reason}")]
    Tls {
        /// Its name.
        webhook: String,
        /// Why.
        reason: String,
    },
}

/// What was being done when an attempt's limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Asking the name service.
    Resolving,
    /// Opening the connection.
    Connecting,
    /// Agreeing on encryption.
    Securing,
    /// Sending the document, and waiting for the answer.
    Answering,
}

impl Stage {
    fn doing(self) -> &'static str {
        match self {
            Self::Resolving => "its name was not resolved",
            Self::Connecting => "no connection came about",
            Self::Securing => "TLS was not agreed on",
            Self::Answering => "no answer came",
        }
    }
}

/// Why one attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttemptFailure {
    /// Its name has no address.
    #[error("its host name could not be resolved: {reason}")]
    Resolve {
        /// What the resolver said.
        reason: String,
    },
    /// Nobody took the connection.
    #[error("no connection: {reason}")]
    Connect {
        /// What the operating system said.
        reason: String,
    },
    /// A name for this machine has led elsewhere.
    #[error("its host name leads to another machine, and plain http is allowed to this one only")]
    NotLoopback,
    /// It shows a certificate that is not to be trusted.
    #[error(
        "its certificate is not accepted: {reason}; if it comes from an authority of your own, \
         configure the file of authorities"
    )]
    Certificate {
        /// Why.
        reason: String,
    },
    /// TLS failed otherwise.
    #[error("TLS failed: {reason}")]
    Tls {
        /// Why.
        reason: String,
    },
    /// The connection ended or made no sense.
    #[error("the exchange broke off: {reason}")]
    Broken {
        /// Why.
        reason: String,
    },
    /// The limit of an attempt was reached.
    #[error("{} within {}", stage.doing(), Millis::from(*limit))]
    TimedOut {
        /// What was being done.
        stage: Stage,
        /// The limit.
        limit: Duration,
    },
    /// It wants us to go elsewhere.
    #[error(
        "it answered {status} and points to {}, which is not followed; configure the final URL",
        to.as_ref().map_or("another place".to_owned(), ToString::to_string)
    )]
    Redirect {
        /// The status.
        status: StatusCode,
        /// Where it points, if that is a whole URL.
        to: Option<WebhookUrl>,
    },
    /// It answered, and it was no success.
    #[error("it answered {status}{}", if said.is_empty() { String::new() } else { format!(" and said: \"{said}\"") })]
    Refused {
        /// The status.
        status: StatusCode,
        /// The end of its answer.
        said: String,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
}

impl AttemptFailure {
    /// Trying again may help.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Resolve { .. }
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Broken { .. }
            | Self::TimedOut { .. } => true,
            Self::NotLoopback | Self::Certificate { .. } | Self::Redirect { .. } => false,
            Self::Refused { status, .. } => {
                status.is_server_error()
                    || matches!(
                        *status,
                        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
                    )
            }
        }
    }

    /// How long the receiver asks us to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// A webhook was not told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "webhook {webhook} ({url}) was not told of {event} (delivery {delivery}): {last}; {}",
    given_up(*attempts, *took, last)
)]
pub struct DeliveryError {
    /// Its name.
    pub webhook: String,
    /// Where it is.
    pub url: WebhookUrl,
    /// What it should have been told of.
    pub event: HookEvent,
    /// The id that all attempts bore.
    pub delivery: Uuid,
    /// How often it was tried.
    pub attempts: u32,
    /// How long the attempts took, with the waits between them.
    pub took: Duration,
    /// Why the last attempt failed.
    pub last: AttemptFailure,
}

fn given_up(attempts: u32, took: Duration, last: &AttemptFailure) -> String {
    let took = Millis::from(took);
    match attempts {
        _ if !last.is_passing() => "trying again would not help".to_owned(),
        1 => format!("given up after 1 attempt in {took}"),
        attempts => format!("given up after {attempts} attempts in {took}"),
    }
}
