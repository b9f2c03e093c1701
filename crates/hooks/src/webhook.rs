//! A webhook: telling it of one event, again and again until it has taken it or the time is over.

use std::fmt;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use jiff::Timestamp;
use rustls_pki_types::ServerName;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsConnector;
use uuid::Uuid;

use crate::connect::{Limit, connect};
use crate::exchange::exchange;
use crate::signature::{SIGNATURE_HEADER, sign};
use crate::tls::connector;
use crate::{
    AttemptFailure, Authorities, Backoff, DeliveryError, HookEvent, Notice, Stage,
    WebhookConfigError, WebhookUrl,
};

/// The header that names the delivery: the same for every attempt, so that a receiver that was told
/// twice can see it.
pub const DELIVERY_HEADER: &str = "primacy-delivery";
/// The header that names the event.
pub const EVENT_HEADER: &str = "primacy-event";

/// How a webhook is told.
#[derive(Clone, Debug)]
pub struct WebhookOptions {
    /// What errors and logs call it.
    pub name: String,
    /// Where it is.
    pub url: WebhookUrl,
    /// What documents are signed with; without it they are not signed.
    pub secret: Option<SecretString>,
    /// Whose certificates are trusted.
    pub authorities: Authorities,
    /// `http://` to another machine is meant.
    pub allow_plain: bool,
    /// The limit of one attempt (preset: 10 s).
    pub attempt_limit: Duration,
    /// An event is given up when the next attempt would come later than this (preset: 15 min).
    pub total_limit: Duration,
    /// The waits between attempts.
    pub backoff: Backoff,
    /// A receiver that asks for a longer pause is asked again after this (preset: 2 min).
    pub longest_retry_after: Duration,
}

impl WebhookOptions {
    /// A webhook with everything preset: unsigned, the system's authorities.
    ///
    /// # Errors
    /// If the URL is none that could be used.
    pub fn new(name: impl Into<String>, url: &str) -> Result<Self, WebhookConfigError> {
        let name = name.into();
        let url = WebhookUrl::parse(url)
            .map_err(|source| WebhookConfigError::Url { webhook: name.clone(), source })?;
        Ok(Self {
            name,
            url,
            secret: None,
            authorities: Authorities::System,
            allow_plain: false,
            attempt_limit: Duration::from_secs(10),
            total_limit: Duration::from_secs(15 * 60),
            backoff: Backoff::default(),
            longest_retry_after: Duration::from_secs(120),
        })
    }
}

/// One event for one webhook.
#[derive(Clone, Debug)]
pub struct Delivery {
    id: Uuid,
    event: HookEvent,
    body: Bytes,
}

impl Delivery {
    /// A delivery of this notice, with an id of its own.
    pub fn of(notice: &Notice) -> Self {
        Self { id: Uuid::now_v7(), event: notice.event, body: Bytes::from(notice.to_json()) }
    }

    /// What receivers know it by.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// What it tells of.
    pub fn event(&self) -> HookEvent {
        self.event
    }
}

/// A webhook has taken an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// What it answered.
    pub status: StatusCode,
    /// At which attempt.
    pub attempts: u32,
    /// How long the attempts took, with the waits between them.
    pub took: Duration,
}

/// A webhook that can be told: its options are right, its authorities are read.
#[derive(Clone)]
pub struct Webhook {
    options: WebhookOptions,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Webhook {
    /// Judges the options, and reads the certificates of authorities.
    ///
    /// # Errors
    /// If it cannot be used so.
    pub async fn new(options: WebhookOptions) -> Result<Self, WebhookConfigError> {
        let (webhook, url) = (options.name.clone(), options.url.clone());
        if options.secret.as_ref().is_some_and(|secret| secret.expose_secret().is_empty()) {
            return Err(WebhookConfigError::EmptySecret { webhook });
        }
        if !url.is_tls() {
            if !options.allow_plain && !url.is_loopback() {
                return Err(WebhookConfigError::Plain { webhook, url });
            }
            return Ok(Self { options, tls: None });
        }
        let name = ServerName::try_from(url.host().to_owned())
            .map_err(|_| WebhookConfigError::HostName { webhook: webhook.clone(), url })?;
        let tls = Some((connector(&webhook, &options.authorities).await?, name));
        Ok(Self { options, tls })
    }

    /// What errors and logs call it.
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// Where it is.
    pub fn url(&self) -> &WebhookUrl {
        &self.options.url
    }

    /// Tells it. Attempts that may succeed later (no connection, 408, 429, 5xx) are repeated until
    /// the total limit.
    ///
    /// # Errors
    /// If it did not take the event.
    pub async fn deliver(&self, delivery: &Delivery) -> Result<Delivered, DeliveryError> {
        let (_calm, hurry) = watch::channel(false);
        self.deliver_in(delivery, Instant::now(), hurry).await
    }

    /// Tells it of an event that is known since `since`: the total limit counts from then, but at
    /// least one attempt is made. Once `hurry` says true, there is one attempt more, and no wait.
    pub(crate) async fn deliver_in(
        &self,
        delivery: &Delivery,
        since: Instant,
        mut hurry: watch::Receiver<bool>,
    ) -> Result<Delivered, DeliveryError> {
        let begun = Instant::now();
        let mut attempts = 0;
        loop {
            let is_last = *hurry.borrow() || hurry.has_changed().is_err();
            attempts += 1;
            let last = match Box::pin(self.attempt(delivery)).await {
                Ok(status) => return Ok(Delivered { status, attempts, took: begun.elapsed() }),
                Err(failure) => failure,
            };
            let wait = self.wait(attempts, &last);
            let in_time = since.elapsed().saturating_add(wait) <= self.options.total_limit;
            if is_last || !last.is_passing() || !in_time {
                return Err(DeliveryError {
                    webhook: self.options.name.clone(),
                    url: self.options.url.clone(),
                    event: delivery.event,
                    delivery: delivery.id,
                    attempts,
                    took: begun.elapsed(),
                    last,
                });
            }
            tracing::debug!(
                webhook = self.name(), url = %self.url(), delivery = %delivery.id, attempts,
                failure = %last, "a webhook is to be told again"
            );
            tokio::select! {
                () = sleep(wait) => {}
                _ = hurry.wait_for(|hurry| *hurry) => {}
            }
        }
    }

    /// The wait after so many failures: our own, or the longer one that it asks for.
    fn wait(&self, failures: u32, last: &AttemptFailure) -> Duration {
        let own = self.options.backoff.wait(failures, rand::random());
        let asked = last.retry_after().unwrap_or_default();
        own.max(asked.min(self.options.longest_retry_after))
    }

    async fn attempt(&self, delivery: &Delivery) -> Result<StatusCode, AttemptFailure> {
        let WebhookOptions { url, allow_plain, attempt_limit, .. } = &self.options;
        let limit = Limit::begin(*attempt_limit);
        let loopback_only = !url.is_tls() && !allow_plain;
        let connection = connect(url, self.tls.as_ref(), loopback_only, limit).await?;
        let request = self.request(delivery)?;
        limit.within(Stage::Answering, exchange(connection, request, url)).await
    }

    fn request(&self, delivery: &Delivery) -> Result<Request<Full<Bytes>>, AttemptFailure> {
        let url = &self.options.url;
        let mut request = Request::post(url.target())
            .header(HOST, url.authority())
            .header(USER_AGENT, concat!("primacy/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .header(EVENT_HEADER, delivery.event.word())
            .header(DELIVERY_HEADER, delivery.id.to_string());
        if let Some(secret) = &self.options.secret {
            // The time of the attempt, not of the event: receivers refuse what is old.
            let now = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
            request = request.header(SIGNATURE_HEADER, sign(secret, now, &delivery.body));
        }
        request
            .body(Full::new(delivery.body.clone()))
            .map_err(|error| AttemptFailure::Broken { reason: error.to_string() })
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("options", &self.options).finish_non_exhaustive()
    }
}
