//! Waiting until a server has applied what it must have: draining, levelling, catching up. All
//! three go on for as long as there is progress.

use std::time::Duration;

use primacy_probe::{GtidWait, Threads};
use primacy_types::{Address, ChannelStatus, Millis, ReceiverState, ServerFacts, TransactionSet};

use super::point::point_for_a_while;
use super::{Progress, receivers};
use crate::error::StepError;
use crate::links::Link;
use crate::{Cluster, look};

/// How long one wait on the server lasts before progress is looked at.
const WAIT: Duration = Duration::from_millis(500);

/// The server applies everything that it received. Its applier is started if it is stopped
/// without an error; an applier that stopped with one is not forced.
pub(super) async fn drain(
    cluster: &Cluster,
    server: &Address,
    limit: Millis,
) -> Result<String, StepError> {
    let mut link = open(cluster, server, limit).await?;
    let facts = look::facts(&mut link, limit).await.map_err(looking(server))?;
    if facts.channel(&cluster.policy.channel).is_none() {
        return Ok(super::places::nothing_waits(server));
    }
    let target = facts.holds(&cluster.policy.channel);
    let waiting = target.count_beyond(&facts.executed);
    wait_for(cluster, server, &mut link, &target, limit).await?;
    Ok(match waiting {
        0 => format!("{server} had applied everything: {}", target.said()),
        n => format!("{server} applied {n} waiting transaction(s): {}", target.said()),
    })
}

/// The server fetches from a better replica what it lacks.
pub(super) async fn level(
    cluster: &Cluster,
    server: &Address,
    from: &Address,
    until: &TransactionSet,
    limit: Millis,
) -> Result<String, StepError> {
    let mut link = open(cluster, server, limit).await?;
    let before = look::executed(&mut link, limit).await.map_err(looking(server))?;
    if !before.covers(until) {
        drop(link);
        point_for_a_while(cluster, server, from, limit).await?;
        link = open(cluster, server, limit).await?;
        wait_for(cluster, server, &mut link, until, limit).await?;
        drop(link);
        receivers::seal(cluster, std::slice::from_ref(server), limit).await?;
    }
    Ok(format!("{server} fetched {} transaction(s) from {from}", until.count_beyond(&before)))
}

/// The server applies everything that the blocked primary holds.
pub(super) async fn catch_up(
    cluster: &Cluster,
    server: &Address,
    source: &Address,
    limit: Millis,
) -> Result<String, StepError> {
    let mut primary = open(cluster, source, limit).await?;
    let target = look::executed(&mut primary, limit).await.map_err(looking(source))?;
    let mut link = open(cluster, server, limit).await?;
    let whole = wait_for(cluster, server, &mut link, &target, limit);
    tokio::time::timeout(limit.as_duration(), whole).await.unwrap_or_else(|_| {
        Err(StepError::Stalled {
            server: server.clone(),
            what: format!("it has not applied everything of {source} in time"),
            limit,
        })
    })?;
    let still = look::executed(&mut primary, limit).await.map_err(looking(source))?;
    if still != target {
        return Err(StepError::impossible(
            source,
            format!(
                "it went on writing while it was blocked: {}",
                still.beyond(&target).join(", ")
            ),
        ));
    }
    Ok(format!("{server} has {}", target.said()))
}

async fn open(cluster: &Cluster, server: &Address, limit: Millis) -> Result<Link, StepError> {
    cluster.links.to(server, limit.as_duration()).await.map_err(looking(server))
}

fn looking(server: &Address) -> impl FnOnce(primacy_wire::WireError) -> StepError + use<> {
    StepError::at(server, "looking at replication")
}

/// Waits until `target` is applied, for as long as there is progress.
async fn wait_for(
    cluster: &Cluster,
    server: &Address,
    link: &mut Link,
    target: &TransactionSet,
    limit: Millis,
) -> Result<(), StepError> {
    let dialect = link.dialect();
    let channel = &cluster.policy.channel;
    let mut progress = Progress::new(limit);
    loop {
        let now = look::executed(link, limit).await.map_err(looking(server))?;
        if now.covers(target) {
            return Ok(());
        }
        let facts = look::facts(link, limit).await.map_err(looking(server))?;
        let status = look::channel(cluster, server, &facts)?;
        if let Some(error) = &status.applier_error {
            return Err(StepError::impossible(
                server,
                format!(
                    "its applier stopped with error {} before it had applied {}: {}",
                    error.code,
                    target.beyond(&facts.executed).join(", "),
                    error.message
                ),
            ));
        }
        if !status.applier_running {
            if start_would_drop(&facts, status) {
                return Err(StepError::impossible(
                    server,
                    format!(
                        "both of its replication threads are stopped while {} waits in its relay \
                         log; MariaDB drops a GTID replica's relay log when either is started",
                        target.beyond(&facts.executed).join(", ")
                    ),
                ));
            }
            let start = dialect.start(Threads::Applier, channel);
            let doing = "starting the applier";
            link.execute(&start, limit.as_duration())
                .await
                .map_err(StepError::at(server, doing))?;
        }
        progress.saw(server, (facts.executed.clone(), status.applied.clone()), || {
            format!("it has not applied {}", target.beyond(&facts.executed).join(", "))
        })?;
        let wait = dialect.wait_for_gtids(&what_is_missing(target, &facts.executed), WAIT);
        let room = WAIT + Duration::from_secs(2) + limit.as_duration().min(Duration::from_secs(5));
        let rows = link.query(&wait, room).await.map_err(looking(server))?;
        let answer = rows.first().and_then(|row| row.at(0));
        if dialect.gtid_wait_ended(answer) == GtidWait::NotApplying {
            tokio::time::sleep(super::POLL).await;
        }
    }
}

/// MariaDB with GTID drops the relay log when a thread is started while none runs (seen on 10.5
/// to 11.8).
pub(super) fn start_would_drop(facts: &ServerFacts, status: &ChannelStatus) -> bool {
    facts.version.is_mariadb()
        && status.positioning.is_gtid()
        && !status.applier_running
        && status.receiver == ReceiverState::Stopped
}

/// The part of `target` that is not applied yet: a server that was a primary itself has domains
/// in its binary log for which MariaDB's wait, which looks at `gtid_slave_pos`, would never end.
fn what_is_missing(target: &TransactionSet, executed: &TransactionSet) -> TransactionSet {
    match (target, executed) {
        (TransactionSet::MariaDb(target), TransactionSet::MariaDb(executed)) => {
            TransactionSet::MariaDb(target.ahead_of(executed).collect())
        }
        (TransactionSet::MySql(target), TransactionSet::MySql(executed)) => {
            TransactionSet::MySql(target.minus(executed))
        }
        _ => target.clone(),
    }
}
