//! Replicas that are dead or broken at a failover (`broken_replicas = "refuse"`): MHA's rule that
//! nothing is promoted while somebody else is missing whom nobody has excused.

use primacy_types::{Address, BrokenReplicas, ClusterSnapshot};

use crate::operation::FORCED;
use crate::{Reason, topology};

/// Why nothing is promoted; a person who forces it is told of it in `notes`.
pub(crate) fn broken_replicas(
    snapshot: &ClusterSnapshot,
    old: &Address,
    force: bool,
    notes: &mut Vec<String>,
) -> Vec<Reason> {
    if snapshot.policy.broken_replicas == BrokenReplicas::GoOn {
        return Vec::new();
    }
    let broken = snapshot
        .servers
        .keys()
        .filter(|server| *server != old && !snapshot.policy.server(server).ignore_failure)
        .filter(|server| !topology::is_lower_tier(snapshot, server, old))
        .filter_map(|server| Some((server, what_is_wrong(snapshot, old, server)?)));
    if force {
        notes.extend(broken.map(|(server, what)| {
            format!("{FORCED}: {server} {what}, and broken_replicas = \"refuse\"")
        }));
        return Vec::new();
    }
    broken
        .map(|(server, what)| {
            Reason::new(
                format!("{server} {what}, and broken_replicas = \"refuse\""),
                "mend it, write ignore_failure = true for that server, or decide it with \
                 `primacy failover --force`",
            )
        })
        .collect()
}

fn what_is_wrong(snapshot: &ClusterSnapshot, old: &Address, server: &Address) -> Option<String> {
    let Some(facts) = snapshot.live(server) else { return Some("does not answer".to_owned()) };
    let replicates = topology::descends_from(snapshot, server, old);
    match facts.channel(&snapshot.policy.channel).filter(|_| replicates) {
        None => Some(format!("does not replicate from {old}")),
        Some(channel) => channel
            .applier_error
            .as_ref()
            .map(|e| format!("has an applier that stopped with error {}: {}", e.code, e.message)),
    }
}
