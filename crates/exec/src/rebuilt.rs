//! A server whose data is a copy of another one's becomes a replica of the primary.
//!
//! Servers skip events that carry their own server id. A copy may be older than what the server
//! itself wrote before (an old primary, a donor that was behind): so it reads under an id that nobody
//! has until it has caught up, and gets its own earlier events like everybody's.

use std::time::Duration;

use primacy_failpoint as failpoint;
use primacy_probe::Threads;
use primacy_store::{OperationId, Store, StoreError};
use primacy_types::{Address, ChannelStatus, Millis, Positioning, ReceiverState, TransactionSet};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;

use crate::error::StepError;
use crate::journal::blocking;
use crate::links::Link;
use crate::steps::{Course, Progress, point, silence_events};
use crate::{Cluster, borrowed_id, look};

/// How often it is looked how far it is.
const LOOK: Duration = Duration::from_millis(200);
/// Where the borrowed id is on record, with the operation.
const BORROWED: &str = "borrowed-id";
/// On record once it has all that it wrote itself before: it may be itself again, and its data is not
/// given up any more.
const CAUGHT_UP: &str = "caught-up";

/// What is known of a copy.
#[derive(Clone, Debug)]
pub struct Copied {
    /// What it holds, where the server itself does not say (MariaDB, and after a logical dump).
    pub holds: Option<TransactionSet>,
    /// The managed channel that the server had before, whose settings it keeps.
    pub channel: Option<ChannelStatus>,
}

/// Under which id it reads meanwhile. Once this is on record the server stands where the copy ends, or
/// has gone on from there: its place is not set again.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Borrowed {
    own: u32,
    temporary: u32,
}

/// Lets the server replicate until it has everything that the primary has now; gives a sentence. It
/// reads under the borrowed id then: [`be_itself`] comes next.
///
/// # Errors
/// What stands in the way. It can be called again for the same operation, by another manager too, and
/// goes on then with what the server has.
pub async fn join_rebuilt(
    cluster: &Cluster,
    operation: &OperationId,
    server: &Address,
    copied: &Copied,
    mut said: impl FnMut(&str),
) -> Result<String, StepError> {
    let timing = &cluster.policy.timing;
    let limit = timing.statement_limit;
    let delay = copied.channel.as_ref().map_or(0, |channel| channel.delay_seconds);
    let sentence = |what: String| match delay {
        0 => what,
        delay => format!(
            "{what}; its delay of {delay} s was not set again: set it when it has caught up"
        ),
    };
    if has_caught_up(&cluster.store, operation).await? {
        return Ok(sentence(format!("{server} had caught up")));
    }
    answers(cluster, server, timing.repoint_limit).await?;
    let snapshot = cluster.eyes.look(limit.as_duration()).await;
    let borrowed = match recorded(cluster, operation).await? {
        Some(borrowed) => {
            goes_on(cluster, server, borrowed, limit).await?;
            borrowed
        }
        None => {
            let own = prepare(cluster, server, copied, limit).await?;
            let borrowed = Borrowed { own, temporary: borrowed_id::free(&snapshot) };
            record(cluster, operation, borrowed).await?;
            borrowed
        }
    };
    {
        let mut link = link(cluster, server, limit).await?;
        let done = borrowed_id::set(&mut link, borrowed.temporary, limit).await;
        done.map_err(StepError::at(server, "setting its server id"))?;
    }
    let channel = copied.channel.clone().map(|mut channel| {
        channel.delay_seconds = 0;
        if !channel.positioning.is_gtid() {
            channel.positioning = match snapshot.live(server).map(|f| f.version.is_mariadb()) {
                Some(true) => Positioning::SlavePos,
                _ => Positioning::AutoPosition,
            };
        }
        channel
    });
    let mut primary = follow(cluster, server, channel.as_ref()).await?;
    said(&format!(
        "{server} reads from {primary}, as server {} until it has caught up",
        borrowed.temporary
    ));
    failpoint::hit("after", "rebuild-follow");
    loop {
        catch_up(cluster, server, &primary, timing.stall_limit).await?;
        let now = cluster.eyes.look(limit.as_duration()).await.primary;
        if now.as_ref() == Some(&primary) {
            break;
        }
        // There was a failover meanwhile.
        primary = follow(cluster, server, channel.as_ref()).await?;
    }
    is_still_borrowed(cluster, server, borrowed, limit).await?;
    let (store, id) = (cluster.store.clone(), operation.clone());
    blocking(move || store.set_data(&id, CAUGHT_UP, &json!(true))).await?;
    failpoint::hit("after", "rebuild-caught-up");
    Ok(sentence(format!("{server} replicates from {primary} and has caught up")))
}

/// Whether the server of a rebuild has had everything, whatever happened since.
///
/// # Errors
/// If the store cannot be read.
pub fn rebuild_has_joined(store: &Store, operation: &OperationId) -> Result<bool, StoreError> {
    Ok(store.data(operation, CAUGHT_UP)?.is_some())
}

async fn has_caught_up(store: &Store, operation: &OperationId) -> Result<bool, StepError> {
    let (store, id) = (store.clone(), operation.clone());
    Ok(blocking(move || rebuild_has_joined(&store, &id)).await?)
}

/// A server that has caught up reads under its own id again, or is the primary by now.
///
/// # Errors
/// What is not as it should be after a while. Its data is good, and nothing is to be undone.
pub async fn be_itself(
    cluster: &Cluster,
    operation: &OperationId,
    server: &Address,
) -> Result<(), StepError> {
    let Some(Borrowed { own, .. }) = recorded(cluster, operation).await? else { return Ok(()) };
    let end = Instant::now() + cluster.policy.timing.repoint_limit.as_duration();
    loop {
        let late = Instant::now() >= end;
        match itself(cluster, server, own).await {
            Ok(true) => return Ok(()),
            Ok(false) if late => {
                let why = format!("replication does not run as server {own}");
                return Err(StepError::impossible(server, why));
            }
            Err(error) if late => return Err(error),
            Ok(false) => {}
            Err(error) => tracing::debug!(%server, %error, "it is to be itself"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// One step towards that; true if nothing is left to be done.
async fn itself(cluster: &Cluster, server: &Address, own: u32) -> Result<bool, StepError> {
    let at = || StepError::at(server, "going on under its own id");
    let limit = cluster.policy.timing.statement_limit;
    let (store, name) = (cluster.store.clone(), cluster.name.clone());
    // An operation has reasons of its own for receivers that are stopped.
    if blocking(move || store.unfinished(&name)).await?.is_some() {
        return Ok(false);
    }
    let mut link = link(cluster, server, limit).await?;
    let facts = look::facts(&mut link, limit).await.map_err(at())?;
    let channel = facts.channel(&cluster.policy.channel);
    let asleep = channel.is_some_and(|channel| {
        channel.receiver == ReceiverState::Stopped && channel.receiver_error.is_none()
    });
    match channel {
        None if facts.server_id == own => return Ok(facts.writable()),
        None => borrowed_id::set(&mut link, own, limit).await.map_err(at())?,
        Some(_) if facts.server_id != own || asleep => {
            let read = borrowed_id::read_as(cluster, &mut link, &facts, own).await;
            read.map_err(at())?;
            failpoint::hit("after", "rebuild-own-id");
        }
        Some(channel) => {
            return Ok(channel.receiver == ReceiverState::Running && channel.applier_running);
        }
    }
    Ok(false)
}

/// Connections to the server before it was restarted are no more.
async fn answers(cluster: &Cluster, server: &Address, limit: Millis) -> Result<(), StepError> {
    let end = Instant::now() + limit.as_duration();
    loop {
        match cluster.links.warm(server, Duration::from_secs(2)).await {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= end => {
                return Err(StepError::at(server, "connecting to it with its new data")(error));
            }
            Err(_) => tokio::time::sleep(LOOK).await,
        }
    }
}

/// What came with the copy of the donor's replication is forgotten, and where the copy ends is set;
/// gives the server's own id.
async fn prepare(
    cluster: &Cluster,
    server: &Address,
    copied: &Copied,
    limit: Millis,
) -> Result<u32, StepError> {
    let at = |doing| StepError::at(server, doing);
    let mut link = link(cluster, server, limit).await?;
    let dialect = link.dialect();
    let facts = look::facts(&mut link, limit).await.map_err(at("looking at it"))?;
    if facts.writable() {
        return Err(StepError::impossible(server, "it accepts writes with its new data"));
    }
    drop(link);
    // Those of a primary are enabled in its copy.
    silence_events(cluster, server, limit).await?;
    let mut link = self::link(cluster, server, limit).await?;
    let name = &cluster.policy.channel;
    if let Some(channel) = facts.channel(name) {
        if channel.applier_running || channel.receiver != ReceiverState::Stopped {
            let stop = dialect.stop(Threads::Both, name);
            link.execute(&stop, limit.as_duration()).await.map_err(at("stopping replication"))?;
        }
        let reset = dialect.reset_replica_all(name);
        let doing = "forgetting the donor's source";
        link.execute(&reset, limit.as_duration()).await.map_err(at(doing))?;
    }
    if let Some(TransactionSet::MariaDb(holds)) = &copied.holds
        && let Some(sql) = dialect.set_gtid_slave_pos(holds)
    {
        let doing = "saying what the copy holds";
        link.execute(&sql, limit.as_duration()).await.map_err(at(doing))?;
    }
    // Of a dump the server itself knows nothing.
    if let Some(holds @ TransactionSet::MySql(set)) = &copied.holds
        && !facts.executed.covers(holds)
    {
        let doing = "saying what the copy holds";
        for sql in [dialect.forget_history().to_owned(), dialect.set_gtid_purged(set)] {
            link.execute(&sql, limit.as_duration()).await.map_err(at(doing))?;
        }
    }
    Ok(facts.server_id)
}

async fn link(cluster: &Cluster, server: &Address, limit: Millis) -> Result<Link, StepError> {
    let linked = cluster.links.to(server, limit.as_duration()).await;
    linked.map_err(StepError::at(server, "connecting to it"))
}

async fn recorded(
    cluster: &Cluster,
    operation: &OperationId,
) -> Result<Option<Borrowed>, StepError> {
    let (store, id) = (cluster.store.clone(), operation.clone());
    let found = blocking(move || store.data(&id, BORROWED)).await?;
    Ok(found.and_then(|value| serde_json::from_value(value).ok()))
}

async fn record(
    cluster: &Cluster,
    operation: &OperationId,
    borrowed: Borrowed,
) -> Result<(), StepError> {
    let (store, id) = (cluster.store.clone(), operation.clone());
    let value = json!({ "own": borrowed.own, "temporary": borrowed.temporary });
    Ok(blocking(move || store.set_data(&id, BORROWED, &value)).await?)
}

/// Whether one that was begun before can go on from where it is.
async fn goes_on(
    cluster: &Cluster,
    server: &Address,
    borrowed: Borrowed,
    limit: Millis,
) -> Result<(), StepError> {
    let at = || StepError::at(server, "looking at it");
    let mut link = link(cluster, server, limit).await?;
    let facts = look::facts(&mut link, limit).await.map_err(at())?;
    let reads = facts.channel(&cluster.policy.channel).is_some();
    if facts.server_id != borrowed.temporary && reads {
        return Err(left_out(server));
    }
    drop(link);
    silence_events(cluster, server, limit).await
}

/// Under its own id it leaves its own earlier events out, without a word.
fn left_out(server: &Address) -> StepError {
    StepError::impossible(
        server,
        "it was restarted before it had caught up, and may have left out events that it wrote \
         itself before; rebuild it again",
    )
}

/// Points it to whoever is the primary now.
async fn follow(
    cluster: &Cluster,
    server: &Address,
    channel: Option<&ChannelStatus>,
) -> Result<Address, StepError> {
    let timing = &cluster.policy.timing;
    let end = Instant::now() + timing.repoint_limit.as_duration();
    loop {
        let snapshot = cluster.eyes.look(timing.statement_limit.as_duration()).await;
        let primary = snapshot.primary.clone();
        let Some(primary) = primary.filter(|primary| snapshot.live(primary).is_some()) else {
            if Instant::now() >= end {
                return Err(StepError::impossible(server, "there is no primary that answers"));
            }
            tokio::time::sleep(LOOK).await;
            continue;
        };
        let course = Course::late(None, channel.cloned());
        match point(cluster, server, &primary, timing.repoint_limit, &course).await {
            Ok(_) => return Ok(primary),
            Err(error) if Instant::now() >= end => return Err(error),
            Err(error) => tracing::debug!(%server, %error, "it is pointed again"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits until it has applied all that the primary had when this was called, for as long as it comes
/// nearer.
async fn catch_up(
    cluster: &Cluster,
    server: &Address,
    primary: &Address,
    stall: Millis,
) -> Result<(), StepError> {
    let limit = cluster.policy.timing.statement_limit;
    let target = {
        let mut link = link(cluster, primary, limit).await?;
        let seen = look::executed(&mut link, limit).await;
        seen.map_err(StepError::at(primary, "reading what it has"))?
    };
    let mut progress = Progress::new(stall);
    loop {
        let mut link = link(cluster, server, limit).await?;
        let facts = look::facts(&mut link, limit).await;
        let facts = facts.map_err(StepError::at(server, "looking how far it is"))?;
        drop(link);
        if facts.executed.covers(&target) {
            return Ok(());
        }
        let channel = look::channel(cluster, server, &facts)?;
        if let Some(error) = channel.applier_error.as_ref().or(channel.receiver_error.as_ref()) {
            let text = format!("replication stopped with error {}: {}", error.code, error.message);
            return Err(StepError::impossible(server, text));
        }
        let missing = || {
            format!("it has not caught up: it lacks {}", target.beyond(&facts.executed).join(", "))
        };
        let now = (facts.executed.clone(), channel.read.clone(), channel.applied.clone());
        progress.saw(server, now, missing)?;
        tokio::time::sleep(LOOK).await;
    }
}

/// It got its own earlier events under the borrowed id only.
async fn is_still_borrowed(
    cluster: &Cluster,
    server: &Address,
    borrowed: Borrowed,
    limit: Millis,
) -> Result<(), StepError> {
    let at = || StepError::at(server, "looking under which id it reads");
    let mut link = link(cluster, server, limit).await?;
    let facts = look::facts(&mut link, limit).await.map_err(at())?;
    if facts.server_id != borrowed.temporary {
        return Err(left_out(server));
    }
    Ok(())
}
