//! A `server_id` that nobody has, for a server that is to get back what it wrote itself: replicas pass
//! over events with their own number without a word.

use primacy_probe::Threads;
use primacy_types::{ClusterSnapshot, Millis, ServerFacts};
use primacy_wire::WireError;

use crate::Cluster;
use crate::links::Link;

/// Numbers from here on are rarely chosen by people.
const FIRST: u32 = 4_000_000_000;

/// A number that neither a server of the cluster nor a replica of one has, and that does not depend
/// on chance.
pub(crate) fn free(snapshot: &ClusterSnapshot) -> u32 {
    let facts = || snapshot.servers.values().filter_map(|seen| seen.facts.as_ref());
    let taken = |number: &u32| {
        facts().any(|facts| {
            let replicas = facts.replicas.iter().map(|replica| replica.server_id);
            replicas.chain([facts.server_id]).any(|id| id == *number)
        })
    };
    (FIRST..u32::MAX).find(|number| !taken(number)).unwrap_or(FIRST)
}

/// Gives the server a number; its receiver shows it to its source when it is started next.
pub(crate) async fn set(link: &mut Link, number: u32, limit: Millis) -> Result<(), WireError> {
    link.execute(&format!("SET GLOBAL server_id = {number}"), limit.as_duration()).await.map(drop)
}

/// Stops the receiver alone: an applier that is stopped and started with it drops, on MariaDB with
/// GTIDs, relay logs that it has not applied.
pub(crate) async fn stop_receiver(
    cluster: &Cluster,
    link: &mut Link,
    facts: &ServerFacts,
    limit: Millis,
) -> Result<(), WireError> {
    let name = &cluster.policy.channel;
    if facts.channel(name).is_none() {
        return Ok(());
    }
    let sql = link.dialect().stop(Threads::Receiver, name);
    link.execute(&sql, limit.as_duration()).await.map(drop)
}

/// Has the server read on under another number.
pub(crate) async fn read_as(
    cluster: &Cluster,
    link: &mut Link,
    facts: &ServerFacts,
    number: u32,
) -> Result<(), WireError> {
    let limit = cluster.policy.timing.statement_limit;
    stop_receiver(cluster, link, facts, limit).await?;
    set(link, number, limit).await?;
    let sql = link.dialect().start(Threads::Receiver, &cluster.policy.channel);
    link.execute(&sql, limit.as_duration()).await.map(drop)
}
