//! Programs that are really run, and webhooks that are really told, over a real TLS connection.

#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

mod ending;
mod hooks;
mod notifier;
mod programs;
mod receiver;
mod scripts;
mod tls;
mod webhooks;

use jiff::Timestamp;
use primacy_hooks::{HookEvent, Notice};

/// A notice whose reason tells it from others.
fn notice(event: HookEvent, reason: &str) -> Notice {
    let time: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    Notice::new(event, "shop", time, reason)
}
