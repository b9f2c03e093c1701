//! A server's part in semi-synchronous replication.
//!
//! The waiting side is never switched off, nor its count lowered, while a client can still hear
//! the answer of a commit that waits: the steps that do so come after writes were blocked and
//! sessions ended, and after the winner holds everything.

use primacy_probe::SemiSyncNames;
use primacy_types::{Address, Millis, SemiSyncStatus};
use serde_json::Value;

use crate::error::StepError;
use crate::links::Link;
use crate::{Cluster, look};

const DOING: &str = "setting its part in semi-sync";

async fn names(link: &mut Link, limit: Millis) -> Result<SemiSyncNames, primacy_wire::WireError> {
    let sql = link.dialect().counters();
    Ok(SemiSyncNames::from_rows(&link.query(&sql, limit.as_duration()).await?))
}

pub(super) async fn before(
    cluster: &Cluster,
    server: &Address,
    limit: Millis,
) -> Result<Value, StepError> {
    let at = |e| StepError::at(server, DOING)(e);
    let mut link = cluster.links.to(server, limit.as_duration()).await.map_err(at)?;
    let facts = look::facts(&mut link, limit).await.map_err(at)?;
    Ok(serde_json::to_value(facts.semi_sync).unwrap_or_default())
}

/// Makes the server wait for acknowledgements (as primary), or give them (as replica).
pub(super) async fn set(
    cluster: &Cluster,
    server: &Address,
    source: bool,
    wait_count: Option<u16>,
    limit: Millis,
) -> Result<String, StepError> {
    let at = |e| StepError::at(server, DOING)(e);
    let mut link = cluster.links.to(server, limit.as_duration()).await.map_err(at)?;
    if !source {
        acknowledge(cluster, server, &mut link, limit).await?;
        return Ok(String::new());
    }
    let names = names(&mut link, limit).await.map_err(at)?;
    if names.source.is_none() {
        return Err(StepError::impossible(server, "it has no semi-sync source plugin"));
    }
    let mut statements = Vec::new();
    match wait_count {
        Some(count) => {
            statements.extend(names.set_wait_count(link.dialect(), count));
            statements.extend(names.set_source_enabled(true));
        }
        None => statements.extend(names.set_source_enabled(false)),
    }
    run(&mut link, statements, limit).await.map_err(at)?;
    Ok(String::new())
}

/// The server acknowledges to its source and waits for nobody itself.
pub(super) async fn acknowledge(
    _cluster: &Cluster,
    server: &Address,
    link: &mut Link,
    limit: Millis,
) -> Result<(), StepError> {
    let at = |e| StepError::at(server, DOING)(e);
    let names = names(link, limit).await.map_err(at)?;
    let statements = names.set_source_enabled(false).into_iter();
    let statements = statements.chain(names.set_replica_enabled(true)).collect();
    run(link, statements, limit).await.map_err(at)
}

/// Gives the server back the part that it had.
pub(crate) async fn restore(
    cluster: &Cluster,
    server: &Address,
    noted: &Value,
    limit: Millis,
) -> Result<(), StepError> {
    let at = |e| StepError::at(server, DOING)(e);
    let Ok(was) = serde_json::from_value::<SemiSyncStatus>(noted.clone()) else { return Ok(()) };
    let mut link = cluster.links.to(server, limit.as_duration()).await.map_err(at)?;
    let names = names(&mut link, limit).await.map_err(at)?;
    let mut statements = Vec::new();
    if was.wait_count > 0 {
        statements.extend(names.set_wait_count(link.dialect(), was.wait_count));
    }
    statements.extend(names.set_source_enabled(was.source_enabled));
    statements.extend(names.set_replica_enabled(was.replica_enabled));
    run(&mut link, statements, limit).await.map_err(at)
}

async fn run(
    link: &mut Link,
    statements: Vec<String>,
    limit: Millis,
) -> Result<(), primacy_wire::WireError> {
    for statement in statements {
        link.execute(&statement, limit.as_duration()).await?;
    }
    Ok(())
}
