//! Calls people's own programs and webhooks. It knows nothing of clusters or plans: what is to be
//! told comes in as a [`Notice`], what came of it goes out as a value.
//!
//! - [`Program`] runs any one executable or command line, with a limit, and comes back whatever it
//!   does: an [`Outcome`].
//! - [`Hook`] is a configured program that is called at some [`HookEvent`]s; the event decides what
//!   its failure means ([`HookEvent::verdict`]).
//! - [`Webhook`] is told of one event over HTTPS, again and again until it has taken it;
//!   [`Notifier`] does so in the background for many.
//!
//! Passwords and tokens may be in arguments, environment, input, URLs and secrets. None of these is
//! in a `Debug` text, an error or a log line; what a program or a receiver says of itself is shown,
//! shortened.
//!
//! # For those who receive webhooks
//!
//! A delivery is a POST of one JSON document ([`Notice`]) with these headers:
//!
//! | header | is |
//! |---|---|
//! | `Primacy-Event` | the moment, such as `after_failover` |
//! | `Primacy-Delivery` | a UUID, the same for every attempt: who has seen it already answers 200 and does nothing |
//! | `Primacy-Signature` | `t=<unix seconds>,v1=<hex>`, where a secret is configured |
//!
//! Answer with any 2xx once the document is safely taken. 408, 429 (with `Retry-After`, if you
//! like), 5xx and broken connections are tried again; every other answer, redirects among them, is
//! final.
//!
//! To check the signature: take `t` and `v1` from the header; compute the HMAC-SHA256, keyed with
//! the secret, of `t`, a dot, and the body byte for byte as it came (before any JSON parser touches
//! it); compare it with `v1` in constant time; and refuse if `t` is more than some minutes from your
//! clock, or whoever recorded a delivery can repeat it. In Rust, [`verify`] does that:
//!
//! ```
//! use std::time::Duration;
//! use primacy_hooks::{SignatureError, verify};
//! use secrecy::SecretString;
//!
//! let secret = SecretString::from("whsec");
//! let header =
//!     "t=1700000000,v1=7d44587dddbaf4c7f70fef20f48cd594834ffea1641e3ac227b84408298738af";
//! let (now, tolerance) = (1_700_000_042, Duration::from_secs(300));
//! assert_eq!(verify(&secret, header, b"{}", now, tolerance), Ok(()));
//! assert_eq!(verify(&secret, header, b"{!}", now, tolerance), Err(SignatureError::Wrong));
//! ```
//!
//! In Python:
//!
//! ```python
//! import hashlib, hmac, time
//!
//! def believed(secret: bytes, header: str, body: bytes, tolerance: int = 300) -> bool:
//!     fields = dict(field.split("=", 1) for field in header.split(","))
//!     expected = hmac.new(secret, fields["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
//!     fresh = abs(time.time() - int(fields["t"])) <= tolerance
//!     return hmac.compare_digest(expected, fields["v1"]) and fresh
//! ```

mod backoff;
mod capture;
mod connect;
mod exchange;
mod failure;
mod group;
mod hook;
mod notice;
mod notifier;
mod outcome;
mod pipes;
mod program;
mod run;
mod signature;
mod start;
mod tls;
mod url;
mod webhook;

pub use backoff::Backoff;
pub use capture::Captured;
pub use failure::{AttemptFailure, DeliveryError, Stage, WebhookConfigError};
pub use hook::{Called, Hook, HookConfigError, HookFailure};
pub use notice::{DOCUMENT_VERSION, LostTransactions, Notice};
pub use notifier::{Notifier, NotifierHandle, Subscription, WebhookStatus};
pub use outcome::{Exit, NotStarted, Outcome};
pub use primacy_types::{
    ArgumentError, Arguments, FailureMeans, HookEvent, Placeholder, TemplateMistake, UnknownEvent,
    Verdict,
};
pub use program::{INHERITED, NotAbsolute, Program, quoted};
pub use signature::{SIGNATURE_HEADER, SignatureError, verify};
pub use tls::Authorities;
pub use url::{UrlError, WebhookUrl};
pub use webhook::{DELIVERY_HEADER, Delivered, Delivery, EVENT_HEADER, Webhook, WebhookOptions};
