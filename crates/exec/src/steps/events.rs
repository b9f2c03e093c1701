//! Moving the event scheduler's events: they run on the primary and nowhere else.

use primacy_probe::{Event, EventState, precheck};
use primacy_types::{Address, Millis};

use crate::Cluster;
use crate::error::StepError;
use crate::links::Link;

/// Enables on `to` what ran on the old primary, and disables it on `from`.
pub(super) async fn shift(
    cluster: &Cluster,
    to: &Address,
    from: Option<&Address>,
    limit: Millis,
) -> Result<String, StepError> {
    let at = |server| StepError::at(server, "moving scheduled events");
    let mut link = cluster.links.to(to, limit.as_duration()).await.map_err(at(to))?;
    let here = precheck::events(&mut link, limit.as_duration()).await.map_err(at(to))?;
    let mut enabled = 0;
    for event in here.iter().filter(|e| e.state == EventState::DisabledOnReplica) {
        alter(&mut link, event, EventState::Enabled, limit).await.map_err(at(to))?;
        enabled += 1;
    }
    if let Some(from) = from {
        let mut link = cluster.links.to(from, limit.as_duration()).await.map_err(at(from))?;
        disable(&mut link, limit).await.map_err(at(from))?;
        // The session no longer writes to the binary log.
        link.discard();
    }
    Ok(if enabled > 0 {
        format!("{enabled} scheduled event(s) run on {to} now")
    } else {
        String::new()
    })
}

/// No scheduled event runs on a server that is to be a replica.
pub(crate) async fn silence(
    cluster: &Cluster,
    server: &Address,
    limit: Millis,
) -> Result<(), StepError> {
    let at = StepError::at(server, "disabling scheduled events");
    let mut link = match cluster.links.to(server, limit.as_duration()).await {
        Ok(link) => link,
        Err(error) => return Err(at(error)),
    };
    disable(&mut link, limit).await.map_err(at)?;
    // The session no longer writes to the binary log.
    link.discard();
    Ok(())
}

async fn disable(link: &mut Link, limit: Millis) -> Result<(), primacy_wire::WireError> {
    let there = precheck::events(link, limit.as_duration()).await?;
    if !there.iter().any(|e| e.state == EventState::Enabled) {
        return Ok(());
    }
    let dialect = link.dialect();
    link.execute(dialect.binlog_session(false), limit.as_duration()).await?;
    // Where only super_read_only stands in the way it is put back at once.
    if let Some(open) = dialect.open_to_manager() {
        link.execute(open, limit.as_duration()).await?;
    }
    let mut result = Ok(());
    for event in there.iter().filter(|e| e.state == EventState::Enabled) {
        result = alter(link, event, EventState::DisabledOnReplica, limit).await;
        if result.is_err() {
            break;
        }
    }
    for close in dialect.close_to_writes() {
        link.execute(close, limit.as_duration()).await?;
    }
    result
}

async fn alter(
    link: &mut Link,
    event: &Event,
    state: EventState,
    limit: Millis,
) -> Result<(), primacy_wire::WireError> {
    let sql = link.dialect().alter_event(event, state);
    link.execute(&sql, limit.as_duration()).await?;
    Ok(())
}
