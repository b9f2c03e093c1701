//! Blocking writes on a live primary, and opening it again.

use std::time::Duration;

use primacy_probe::precheck;
use primacy_types::{Address, Millis};
use primacy_wire::WireError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::StepError;
use crate::links::Link;
use crate::{Cluster, look};

/// Pause between two readings of a position that shall stand still.
const STILL: Duration = Duration::from_millis(5);

/// What the primary was before it was blocked.
#[derive(Debug, Serialize, Deserialize)]
struct Was {
    read_only: bool,
    super_read_only: Option<bool>,
}

pub(super) async fn before(
    cluster: &Cluster,
    server: &Address,
    limit: Millis,
) -> Result<Value, StepError> {
    let doing = "reading read_only";
    let mut link = cluster
        .links
        .to(server, limit.as_duration())
        .await
        .map_err(StepError::at(server, doing))?;
    let facts = look::facts(&mut link, limit).await.map_err(StepError::at(server, doing))?;
    let was = Was { read_only: facts.read_only, super_read_only: facts.super_read_only };
    Ok(serde_json::to_value(was).unwrap_or_default())
}

/// Blocks writes: read-only, waiting for running statements no longer than `grace`; application
/// sessions ended, dump threads left alone so that replicas still drain through them; the position
/// seen to stand still over two readings.
pub(super) async fn block(
    cluster: &Cluster,
    server: &Address,
    grace: Millis,
    limit: Millis,
) -> Result<String, StepError> {
    let at = |doing| StepError::at(server, doing);
    cluster.router.hold().await;
    let mut link = cluster
        .links
        .to(server, limit.as_duration())
        .await
        .map_err(at("connecting to block writes"))?;
    let dialect = link.dialect();
    let wait = dialect.lock_wait_timeout(grace.as_duration());
    link.execute(&wait, limit.as_duration()).await.map_err(at("limiting its waits"))?;
    for statement in dialect.close_to_writes() {
        // The server's own limit counts in whole seconds; ours must not come first.
        let room = grace.as_duration() + Duration::from_secs(3);
        let closed = link.execute(statement, room).await;
        closed.map_err(|error| blocked_by_somebody(server, grace, error))?;
    }
    let ended = end_sessions(cluster, server, &mut link, limit).await?;
    let first = look::executed(&mut link, limit).await.map_err(at("reading its position"))?;
    tokio::time::sleep(STILL).await;
    let end = tokio::time::Instant::now() + limit.as_duration();
    let mut last = first;
    loop {
        let now = look::executed(&mut link, limit).await.map_err(at("reading its position"))?;
        if now == last {
            break;
        }
        if tokio::time::Instant::now() >= end {
            return Err(StepError::impossible(
                server,
                format!(
                    "it goes on writing although it is read-only: {}",
                    now.beyond(&last).join(", ")
                ),
            ));
        }
        last = now;
        tokio::time::sleep(STILL).await;
    }
    // The session has a short lock_wait_timeout now.
    link.discard();
    Ok(format!("{ended} application session(s) ended; it stands at {}", last.said()))
}

fn blocked_by_somebody(server: &Address, grace: Millis, error: WireError) -> StepError {
    const LOCK_WAIT_TIMEOUT: u16 = 1205;
    if error.code() == Some(LOCK_WAIT_TIMEOUT) {
        return StepError::impossible(
            server,
            format!(
                "a statement, LOCK TABLES or FLUSH TABLES WITH READ LOCK kept it from becoming \
                 read-only for {grace}"
            ),
        );
    }
    StepError::at(server, "making it read-only")(error)
}

/// Ends every application session; one that has ended meanwhile is no error.
pub(super) async fn end_sessions(
    cluster: &Cluster,
    server: &Address,
    link: &mut Link,
    limit: Millis,
) -> Result<usize, StepError> {
    const NO_SUCH_THREAD: u16 = 1094;
    let ours = [cluster.manager_user.as_str()];
    let all = precheck::application_sessions(link, &ours, limit.as_duration())
        .await
        .map_err(StepError::at(server, "listing application sessions"))?;
    let mut ended = 0;
    for session in &all {
        let kill = link.dialect().kill(session.id);
        match link.execute(&kill, limit.as_duration()).await {
            Ok(_) => ended += 1,
            Err(error) if error.code() == Some(NO_SUCH_THREAD) => {}
            Err(error) => return Err(StepError::at(server, "ending application sessions")(error)),
        }
    }
    Ok(ended)
}

/// Opens the primary again, exactly as it was.
pub(crate) async fn reopen(
    cluster: &Cluster,
    server: &Address,
    noted: &Value,
    limit: Millis,
) -> Result<(), StepError> {
    let at = |doing| StepError::at(server, doing);
    if let Ok(was) = serde_json::from_value::<Was>(noted.clone())
        && !was.read_only
    {
        let mut link = cluster
            .links
            .to(server, limit.as_duration())
            .await
            .map_err(at("connecting to open it again"))?;
        let dialect = link.dialect();
        if was.super_read_only == Some(false)
            && let Some(open) = dialect.open_to_manager()
        {
            link.execute(open, limit.as_duration()).await.map_err(at("opening it again"))?;
        }
        link.execute(dialect.open_to_all(), limit.as_duration())
            .await
            .map_err(at("opening it again"))?;
    }
    cluster.router.release().await;
    Ok(())
}
