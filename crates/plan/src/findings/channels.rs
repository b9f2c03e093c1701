//! How soon a replica notices that its source is gone, and is back.

use primacy_types::{Millis, ServerFacts};

use super::view::{Hit, Replica, View};
use super::words::Words;

/// A heartbeat that comes less often than this is slow, unless people asked for it.
const SLOW_HEARTBEAT: Millis = Millis::from_secs(2);
/// A pause between two attempts to connect that is longer than this is long, unless people asked
/// for it.
const LONG_RETRY_SECONDS: u32 = 10;

fn heartbeat_is_slow(view: &View<'_>, (_, _, channel): &Replica<'_>) -> bool {
    let limit = SLOW_HEARTBEAT.max(view.policy().heartbeat_period);
    channel.heartbeat_period.is_some_and(|period| period == Millis::ZERO || period > limit)
}

fn retry_is_long(view: &View<'_>, (_, _, channel): &Replica<'_>) -> bool {
    channel.connect_retry_seconds > LONG_RETRY_SECONDS.max(view.policy().connect_retry_seconds)
}

/// Both settings in one change, because each change may cost a relay log.
fn change(view: &View<'_>, replica: &Replica<'_>) -> String {
    let (_, facts, channel) = replica;
    let mut clauses = Vec::new();
    if heartbeat_is_slow(view, replica) || channel.heartbeat_period.is_none() {
        let period = seconds(view.policy().heartbeat_period);
        clauses.push(format!("{{}}_HEARTBEAT_PERIOD = {period}"));
    }
    if retry_is_long(view, replica) {
        let retry = view.policy().connect_retry_seconds;
        clauses.push(format!("{{}}_CONNECT_RETRY = {retry}"));
    }
    let change = Words::of(facts).change_settings(&channel.name, &clauses);
    if acknowledges(view, facts) {
        format!("one replica after the other, because commits wait for acknowledgements; {change}")
    } else {
        change
    }
}

fn acknowledges(view: &View<'_>, facts: &ServerFacts) -> bool {
    facts.semi_sync.replica_active
        && view.live_primary().is_some_and(|(_, p)| p.semi_sync.source_active)
}

/// `1`, `0.5`.
fn seconds(period: Millis) -> String {
    let (whole, rest) = (period.0 / 1000, period.0 % 1000);
    let fraction = format!("{rest:03}");
    match fraction.trim_end_matches('0') {
        "" => whole.to_string(),
        fraction => format!("{whole}.{fraction}"),
    }
}

pub(super) fn heartbeat_slow(view: &View<'_>) -> Vec<Hit> {
    view.replicas()
        .filter(|replica| heartbeat_is_slow(view, replica))
        .map(|replica| {
            let (address, _, channel) = replica;
            let how = match channel.heartbeat_period {
                Some(Millis::ZERO) | None => "asks its source for no heartbeat".to_owned(),
                Some(period) => format!("asks its source for a heartbeat only every {period}"),
            };
            Hit::on(address, format!("{address} {how}"), change(view, &replica))
        })
        .collect()
}

pub(super) fn heartbeat_unknown(view: &View<'_>) -> Vec<Hit> {
    view.replicas()
        .filter(|(_, _, channel)| channel.heartbeat_period.is_none())
        .map(|replica| {
            let (address, facts, _) = replica;
            let see = if Words::of(facts).mysql_since(5, 7, 2) {
                "performance_schema = ON in its option file, and SELECT on performance_schema.* \
                 for the manager's account"
            } else {
                "the rights that `primacy grants` prints for the manager's account"
            };
            Hit::on(
                address,
                format!("{address} does not show how often it asks its source for a heartbeat"),
                format!("{see}; and {}", change(view, &replica)),
            )
        })
        .collect()
}

pub(super) fn connect_retry(view: &View<'_>) -> Vec<Hit> {
    view.replicas()
        .filter(|replica| retry_is_long(view, replica))
        .map(|replica| {
            let (address, _, channel) = replica;
            let retry = channel.connect_retry_seconds;
            let sentence =
                format!("{address} waits {retry} s between two attempts to reach its source");
            Hit::on(address, sentence, change(view, &replica))
        })
        .collect()
}
