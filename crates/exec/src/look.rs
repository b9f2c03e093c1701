//! Looking at one server in the middle of a step.

use primacy_probe::{Depth, observe};
use primacy_types::{Address, ChannelStatus, Millis, ServerFacts, TransactionSet};
use primacy_wire::WireError;

use crate::Cluster;
use crate::error::StepError;
use crate::links::Link;

/// What the server behind this link says of itself now.
pub(crate) async fn facts(link: &mut Link, limit: Millis) -> Result<ServerFacts, WireError> {
    let seen = observe(link, Depth::Quick, None, limit.as_duration()).await?;
    Ok(seen.facts)
}

/// The same, with the end of the server's own binary log.
pub(crate) async fn facts_and_place(
    link: &mut Link,
    limit: Millis,
) -> Result<ServerFacts, WireError> {
    let seen = observe(link, Depth::Place, None, limit.as_duration()).await?;
    Ok(seen.facts)
}

/// The managed channel of a server as it says now, asked over its control connection; `None` if it
/// does not replicate.
///
/// # Errors
/// At `doing`: what the server or the network answered within the limit of a statement.
pub(crate) async fn managed(
    cluster: &Cluster,
    server: &Address,
    doing: &'static str,
) -> Result<Option<ChannelStatus>, StepError> {
    let limit = cluster.policy.timing.statement_limit;
    let at = || StepError::at(server, doing);
    let mut link = cluster.links.to(server, limit.as_duration()).await.map_err(at())?;
    let facts = facts(&mut link, limit).await.map_err(at())?;
    Ok(facts.channels.into_iter().find(|channel| channel.name == cluster.policy.channel))
}

/// The managed channel, or why the step cannot be done without it.
pub(crate) fn channel<'f>(
    cluster: &Cluster,
    server: &Address,
    facts: &'f ServerFacts,
) -> Result<&'f ChannelStatus, StepError> {
    facts.channel(&cluster.policy.channel).ok_or_else(|| {
        StepError::impossible(server, "it does not replicate (no such replication channel)")
    })
}

/// Everything that the server has applied or written.
pub(crate) async fn executed(link: &mut Link, limit: Millis) -> Result<TransactionSet, WireError> {
    let dialect = link.dialect();
    let rows = link.query(dialect.executed(), limit.as_duration()).await?;
    let address = link.address().clone();
    let bad = |reason: String| WireError::Protocol { address, reason };
    match rows.first() {
        Some(row) => dialect.executed_from(row).map_err(|e| bad(e.to_string())),
        None => Err(bad("no row for the executed GTIDs".to_owned())),
    }
}
