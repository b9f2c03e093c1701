//! Can it be proved that the reachable replicas hold every row that was acknowledged?
//!
//! Semi-sync proves it: with K replicas that acknowledged and W acknowledgements awaited, any
//! K - W + 1 of them together hold everything, because at least one of them took part in each
//! acknowledgement. It proves nothing where commits were let through without acknowledgement,
//! where it was not in force, or where a replica's relay log may have been dropped.

use primacy_types::{
    Address, BinlogsOnDisk, ClusterSnapshot, Contact, ContactFailure, Millis, ProcessState,
    ServerFacts, ServerObservation, TransactionSet,
};
use serde::{Deserialize, Serialize};

use crate::{holdings, topology};

/// What is known about acknowledged rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Semi-sync was enabled on the primary when it was last seen, whether or not it had given up
    /// waiting by then; if the primary was never seen: the policy demands it.
    pub semi_sync: bool,
    /// Why every acknowledged row is held, or why that is not proved, as a sentence.
    pub sentence: String,
    /// It is proved that nothing acknowledged is missing.
    pub proved: bool,
    /// Transactions that the primary was seen to have and no reachable replica holds.
    pub known_missing: Vec<String>,
}

/// Judges what the reachable replicas of `primary` hold.
pub fn coverage(snapshot: &ClusterSnapshot, primary: &Address) -> Coverage {
    let seen = snapshot.server(primary);
    let Some((server, old)) = seen.and_then(|s| Some((s, s.facts.as_ref()?))) else {
        return Coverage {
            semi_sync: snapshot.policy.semi_sync.is_some(),
            sentence: "the primary was never seen, so nothing is known of what it acknowledged"
                .to_owned(),
            proved: false,
            known_missing: Vec::new(),
        };
    };
    let missing = |held: Option<TransactionSet>| {
        old.executed.beyond(&held.unwrap_or_else(|| old.executed.nothing()))
    };
    let known_missing = missing(holdings::held_and_on_disk(snapshot, primary));
    // What a copy holds is not lost, but that it was only there says that more may have been.
    let held_by_nobody = match &server.on_disk {
        Some(BinlogsOnDisk::Copied { .. }) => missing(holdings::held_by_all(snapshot, primary)),
        _ => known_missing.clone(),
    };
    let judged = read_to_the_end(server).unwrap_or_else(|| {
        never_seen_by_us(server)
            .or_else(|| weak_spot(snapshot, server, old))
            .map_or_else(|| enough_ackers(snapshot, primary, server, old), Err)
    });
    let in_doubt = !held_by_nobody.is_empty() && !is_seen_before_acknowledged(&old.executed);
    let proved = judged.is_ok() && !in_doubt;
    let sentence = match judged {
        Ok(_) if in_doubt => {
            "the primary was seen to have transactions that no reachable replica holds".to_owned()
        }
        Ok(sentence) if !known_missing.is_empty() => {
            format!("{sentence}; what else the primary had written was not acknowledged")
        }
        Ok(sentence) | Err(sentence) => sentence,
    };
    let semi_sync = old.semi_sync.source_active || old.semi_sync.source_enabled;
    Coverage { semi_sync, sentence, proved, known_missing }
}

/// Whether what a primary is seen to have may be waiting for its acknowledgement still: the end of
/// its binary log and MariaDB's `gtid_binlog_pos` move when a transaction is written there, and only
/// then is it sent to the replicas. MySQL adds to `gtid_executed` when it commits, which with
/// `AFTER_SYNC` is after the acknowledgement.
const fn is_seen_before_acknowledged(executed: &TransactionSet) -> bool {
    !matches!(executed, TransactionSet::MySql(_))
}

/// What the old primary wrote is all there is: its own binary log, read after its end, proves more
/// than any replica.
fn read_to_the_end(server: &ServerObservation) -> Option<Result<String, String>> {
    match &server.on_disk {
        // One that may still run goes on writing behind what was read.
        Some(BinlogsOnDisk::Read { end, .. }) if server.is_closed() => {
            Some(Ok(format!("the binary log of {} was read to its end, {end}", server.address)))
        }
        _ => None,
    }
}

/// What is known of it is from before the manager was restarted, and nobody knows from when.
fn never_seen_by_us(server: &ServerObservation) -> Option<String> {
    server.facts_at.is_none().then(|| {
        "the primary has not answered since the manager was started, so it is not known what it \
         acknowledged last"
            .to_owned()
    })
}

/// Why semi-sync proves nothing, if it does not.
fn weak_spot(
    snapshot: &ClusterSnapshot,
    server: &ServerObservation,
    old: &ServerFacts,
) -> Option<String> {
    let semi = &old.semi_sync;
    if !semi.source_active && semi.source_enabled {
        return Some(
            "semi-sync had given up waiting when the primary was last seen: it acknowledged rows \
             without a replica"
                .to_owned(),
        );
    }
    if !semi.source_active {
        return Some(
            "replication is asynchronous: the primary acknowledged rows without waiting for a \
             replica"
                .to_owned(),
        );
    }
    if semi.unacknowledged > 0 {
        return Some(format!(
            "the primary let {} commit(s) through without acknowledgement since it started",
            semi.unacknowledged
        ));
    }
    let unseen = unseen_for(snapshot, server);
    (unseen > semi.timeout).then(|| {
        format!(
            "the primary may have run unseen for {unseen}, and lets commits through without \
             acknowledgement after {}",
            semi.timeout
        )
    })
}

/// How long the primary may have served clients after it was last seen.
fn unseen_for(snapshot: &ClusterSnapshot, server: &ServerObservation) -> Millis {
    let serves_nobody =
        matches!(server.process, Some(ProcessState::Exited { .. } | ProcessState::Frozen { .. }));
    let seen_last = server.facts_at.unwrap_or_default();
    match &server.contact {
        Contact::Failing { since, last, .. }
            if serves_nobody
                || matches!(last, ContactFailure::Refused | ContactFailure::ShuttingDown) =>
        {
            since.since(seen_last)
        }
        Contact::Failing { .. } | Contact::Untried => snapshot.now.since(seen_last),
        Contact::Answering { .. } => Millis::ZERO,
    }
}

/// Whether enough of the replicas that acknowledged are reachable with intact relay logs; the
/// sentence says so or says why not.
fn enough_ackers(
    snapshot: &ClusterSnapshot,
    primary: &Address,
    server: &ServerObservation,
    old: &ServerFacts,
) -> Result<String, String> {
    let (clients, wait_count) = (old.semi_sync.clients, old.semi_sync.wait_count);
    if clients == 0 {
        return Err("no replica was acknowledging when the primary was last seen".to_owned());
    }
    // Not only those that read from it directly: some may have been moved already.
    let below = snapshot
        .servers
        .iter()
        .filter(|(a, _)| *a != primary)
        .filter(|(a, s)| s.facts.is_none() || topology::descends_from(snapshot, a, primary));
    let could_acknowledge =
        below.clone().filter(|(_, s)| s.facts.as_ref().is_none_or(|f| f.semi_sync.replica_enabled));
    let acknowledges =
        |f: &ServerFacts| f.semi_sync.replica_enabled && is_intact(snapshot, f, server);
    let intact = below.clone().filter(|(_, s)| s.live_facts().is_some_and(acknowledges));
    // Connected until the primary was last seen, so counted by it. If that is all it counted, it
    // does not matter what others could have done. (More than it counted: some of them do not
    // acknowledge, and which is not known.)
    let connected = intact.clone().filter(|(_, s)| was_connected(snapshot, s, server)).count();
    let intact = intact.count() as u32;
    // Which of them the primary counted is not known: the others may be the reachable ones.
    let idle = (could_acknowledge.count() as u32).saturating_sub(clients);
    let certain = if connected as u32 <= clients { connected as u32 } else { 0 };
    let reachable = intact.saturating_sub(idle).max(certain).min(clients);
    let needed = (clients + 1).saturating_sub(u32::from(wait_count)).max(1);
    if reachable >= needed {
        return Ok(format!(
            "{reachable} of {clients} acknowledging replicas are reachable and {needed} suffice \
             (each commit waited for {wait_count})"
        ));
    }
    Err(format!(
        "only {reachable} of {clients} acknowledging replicas are known to be reachable with intact \
         relay logs and {needed} would be needed (each commit waited for {wait_count})"
    ))
}

/// Whether a replica still received events or heartbeats when the primary was last seen, and
/// acknowledged while it did.
fn was_connected(
    snapshot: &ClusterSnapshot,
    replica: &ServerObservation,
    primary: &ServerObservation,
) -> bool {
    if !replica.facts.as_ref().is_some_and(|f| f.semi_sync.replica_active) {
        return false;
    }
    let channel = replica.facts.as_ref().and_then(|f| f.channel(&snapshot.policy.channel));
    let Some(period) = channel.and_then(|c| c.heartbeat_period) else { return false };
    let silence = Millis(period.0 + period.0 / 2) + snapshot.policy.timing.ping_interval.times(2);
    replica.received_at.is_some_and(|at| at + silence >= primary.facts_at.unwrap_or_default())
}

/// Whether a replica can name what it received and has not been restarted since the primary was
/// last seen: a restart may drop the relay log (`relay_log_recovery`; MariaDB with GTID always).
fn is_intact(
    snapshot: &ClusterSnapshot,
    replica: &ServerFacts,
    primary: &ServerObservation,
) -> bool {
    let named = replica.channel(&snapshot.policy.channel).is_some_and(|c| c.received.is_some());
    let started = snapshot.now - Millis::from_secs(replica.uptime_seconds);
    // The uptime is told in whole seconds.
    named && started <= primary.facts_at.unwrap_or_default() + Millis::from_secs(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{addr, cluster};

    #[test]
    fn replicas_that_were_connected_to_the_end_are_the_ones_that_the_primary_counted() {
        let mut world = cluster(["a", "b", "c"]).semi_sync(1);
        world = world.failing("c", ContactFailure::Silent, 60_000, 100);
        world = world.failing("a", ContactFailure::Refused, 50, 1);
        world.facts("a").semi_sync.clients = 1;
        assert!(coverage(&world.snapshot, &addr("a")).proved);
        // It counted one more than can be reached now.
        world.facts("a").semi_sync.clients = 2;
        assert!(!coverage(&world.snapshot, &addr("a")).proved);
        // The only reachable one had lost the primary long before: the one that it counted may be
        // the one that cannot be reached.
        world.facts("a").semi_sync.clients = 1;
        world.server("b").received_at = Some(world.snapshot.now - Millis(60_000));
        assert!(!coverage(&world.snapshot, &addr("a")).proved);
    }
}
