//! Looking at other servers from here.
//!
//! A whole login is tried, not only a connection: a server counts connections that break off before
//! it, and after `max_connect_errors` of them blocks the host.

use std::time::Duration;

use primacy_agent_api::Probed;
use primacy_probe::classify;
use primacy_types::{Address, ContactFailure};
use primacy_wire::{ConnectOptions, Session};

/// No more servers are looked at in one request.
const MOST: usize = 64;

/// Looks at all of them at once, with the account that the agent has at its own server.
pub(crate) async fn probe(
    targets: Vec<Address>,
    login: &ConnectOptions,
    limit: Duration,
) -> Vec<Probed> {
    let mut looks = tokio::task::JoinSet::new();
    for (at, target) in targets.into_iter().take(MOST).enumerate() {
        let options = ConnectOptions {
            address: target.clone(),
            unix_socket: None,
            connect_timeout: limit,
            ..login.clone()
        };
        looks.spawn(async move {
            let failure = match tokio::time::timeout(limit, Session::connect(&options)).await {
                Ok(Ok(session)) => {
                    session.close().await;
                    None
                }
                Ok(Err(error)) => Some(classify(&error)),
                Err(_) => Some(ContactFailure::Silent),
            };
            (at, Probed { target, failure })
        });
    }
    let mut seen = looks.join_all().await;
    seen.sort_by_key(|(at, _)| *at);
    seen.into_iter().map(|(_, probed)| probed).collect()
}
