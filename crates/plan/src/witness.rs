//! What a replica's receiver says about a source that does not answer the manager.
//!
//! Three questions make its word worth something: was it asked after the manager's first failed
//! probe, did it follow the source until then, and what has it seen since. A receiver that had
//! lost the source long before is no second viewpoint until it has tried again.

use primacy_types::{Address, ChannelStatus, ClusterSnapshot, Millis, Moment, ReceiverState};

use crate::Weight;
use crate::topology;

/// `ER_SERVER_SHUTDOWN`: the source says goodbye before it closes the connection.
const SHUTTING_DOWN: u32 = 1053;

/// Numbers below 2000 and from 3000 on are a server's, but these are the replica's own words about
/// its network or about itself (`ER_NET_*`, `ER_MASTER_NET_*`, `ER_SLAVE_FATAL_ERROR` and the four
/// after it), not an answer of the source.
const OWN_WORDS: [u32; 11] = [1158, 1159, 1160, 1161, 1189, 1190, 1593, 1594, 1595, 1596, 1597];

/// A server answered with this error, so it lived then. An error from before the source died stays
/// here until the replica's next attempt (`connect_retry`), which delays a failover and never
/// causes one.
fn is_an_answer(code: u32) -> bool {
    let of_a_server = (1000..2000).contains(&code) || (3000..5000).contains(&code);
    of_a_server && code != SHUTTING_DOWN && !OWN_WORDS.contains(&code)
}

/// How long a replica may take to say something before it is no longer waited for.
fn patience(snapshot: &ClusterSnapshot) -> Millis {
    let timing = &snapshot.policy.timing;
    timing.ping_interval.times(2 * u64::from(timing.ping_failures)) + timing.connect_timeout
}

/// How long a running receiver must have been quiet to count: one and a half heartbeats, plus the
/// manager's own uncertainty of one probe. `None` without heartbeats.
fn quiet_limit(snapshot: &ClusterSnapshot, channel: &ChannelStatus) -> Option<Millis> {
    let period = channel.heartbeat_period.filter(|p| p.0 > 0)?;
    Some(Millis(period.0.saturating_add(period.0 / 2)) + snapshot.policy.timing.ping_interval)
}

/// The replica's managed channel as it was seen after `since`, and when.
fn seen_after<'a>(
    snapshot: &'a ClusterSnapshot,
    replica: &Address,
    since: Moment,
) -> Option<(&'a ChannelStatus, Moment)> {
    let server = snapshot.server(replica).filter(|s| s.contact.is_answering())?;
    let at = server.facts_at.filter(|at| *at >= since)?;
    Some((server.facts.as_ref()?.channel(&snapshot.policy.channel)?, at))
}

/// Whether the replica received something shortly before `since`, so that it lost the source
/// together with the manager. What it received is stamped with the probe before the one that
/// noticed it.
fn followed_until(
    snapshot: &ClusterSnapshot,
    replica: &Address,
    channel: &ChannelStatus,
    since: Moment,
) -> bool {
    let probes = snapshot.policy.timing.ping_interval.times(3);
    let slack = channel
        .heartbeat_period
        .filter(|p| p.0 > 0)
        .map_or_else(|| patience(snapshot), |p| p.times(2) + probes);
    let received = snapshot.server(replica).and_then(|s| s.received_at);
    received.is_some_and(|at| at + slack >= since)
}

/// Whether a direct replica of `primary` has been told that it is shutting down.
pub(crate) fn told_of_shutdown(
    snapshot: &ClusterSnapshot,
    primary: &Address,
    since: Moment,
) -> bool {
    topology::direct_replicas(snapshot, primary).any(|replica| {
        seen_after(snapshot, replica, since).is_some_and(|(channel, _)| {
            channel.receiver != ReceiverState::Running
                && channel.receiver_error.as_ref().is_some_and(|e| e.code == SHUTTING_DOWN)
                && followed_until(snapshot, replica, channel, since)
        })
    })
}

/// Whether the receiver of a direct replica of `primary` was seen connected after `since`: a
/// process that was killed on a living host leaves none behind, so a refusal next to it looks like
/// a firewall.
pub(crate) fn some_connected(snapshot: &ClusterSnapshot, primary: &Address, since: Moment) -> bool {
    topology::direct_replicas(snapshot, primary).any(|replica| {
        seen_after(snapshot, replica, since)
            .is_some_and(|(channel, _)| channel.receiver == ReceiverState::Running)
    })
}

/// What the replica says, and what that is worth.
pub(crate) fn word(
    snapshot: &ClusterSnapshot,
    replica: &Address,
    since: Moment,
) -> (Weight, String) {
    let Some(server) = snapshot.server(replica) else {
        return (Weight::Nothing, "unknown".to_owned());
    };
    if let Some(failure) = server.contact.failure() {
        return (Weight::Nothing, format!("cannot be asked ({failure})"));
    }
    let patience = patience(snapshot);
    let Some((channel, asked)) = seen_after(snapshot, replica, since) else {
        if snapshot.now.since(since) > patience {
            return (Weight::Nothing, "has not answered for too long to be waited for".to_owned());
        }
        return (Weight::Pending, "not asked yet since the first failed probe".to_owned());
    };
    let ago = snapshot.now.since(asked);
    if ago > patience {
        return (Weight::Nothing, format!("said nothing of itself for {ago}"));
    }
    let followed = followed_until(snapshot, replica, channel, since);
    match channel.receiver {
        ReceiverState::Connecting => connecting(snapshot, channel, since, followed),
        ReceiverState::Stopped => stopped(channel, followed),
        ReceiverState::Running => running(snapshot, channel, server.received_at, asked, since),
    }
}

fn connecting(
    snapshot: &ClusterSnapshot,
    channel: &ChannelStatus,
    since: Moment,
    followed: bool,
) -> (Weight, String) {
    if let Some(e) = channel.receiver_error.as_ref().filter(|e| is_an_answer(e.code)) {
        let sentence = format!("was answered by it with error {}: {}", e.code, e.message);
        return (Weight::Contradicts, sentence);
    }
    let again = Millis::from_secs(u64::from(channel.connect_retry_seconds))
        + snapshot.policy.timing.connect_timeout;
    if !followed && snapshot.now.since(since) < again {
        return (
            Weight::Pending,
            format!("had lost it before already and tries again within {again}"),
        );
    }
    match &channel.receiver_error {
        Some(e) if e.code == SHUTTING_DOWN => {
            (Weight::Confirms, "was told by it that it shuts down".to_owned())
        }
        Some(e) => (Weight::Confirms, format!("lost it and cannot reconnect (error {})", e.code)),
        None => (Weight::Confirms, "lost its connection to it".to_owned()),
    }
}

fn stopped(channel: &ChannelStatus, followed: bool) -> (Weight, String) {
    match &channel.receiver_error {
        Some(e) if followed && ((2000..3000).contains(&e.code) || e.code == SHUTTING_DOWN) => {
            (Weight::Confirms, format!("gave up reconnecting to it (error {})", e.code))
        }
        Some(e) => (Weight::Nothing, format!("its receiver stopped with error {}", e.code)),
        None => (Weight::Nothing, "its receiver is stopped, so it cannot tell".to_owned()),
    }
}

fn running(
    snapshot: &ClusterSnapshot,
    channel: &ChannelStatus,
    received_at: Option<Moment>,
    asked: Moment,
    since: Moment,
) -> (Weight, String) {
    // Only up to the last look: what came after it is not known.
    let quiet = asked.since(received_at.unwrap_or_default().max(since));
    let heard = received_at.is_some_and(|at| at > since);
    match quiet_limit(snapshot, channel) {
        Some(limit) if quiet >= limit => {
            (Weight::Confirms, format!("received nothing, not even a heartbeat, for {quiet}"))
        }
        None if quiet > patience(snapshot) || !heard => (
            Weight::Nothing,
            "its receiver is connected, without heartbeats: silence proves nothing".to_owned(),
        ),
        _ if heard => {
            (Weight::Contradicts, format!("received an event or heartbeat from it {quiet} ago"))
        }
        limit => (
            Weight::Pending,
            format!(
                "its receiver is connected and quiet for {quiet} (counts from {})",
                limit.unwrap_or_default()
            ),
        ),
    }
}
