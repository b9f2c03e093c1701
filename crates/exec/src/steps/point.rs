//! Pointing a replica to a source without losing what it received, and putting it back.
//!
//! Relay logs are data: on MariaDB every CHANGE MASTER, on MySQL a CHANGE with both threads
//! stopped, drops what was received and not applied. So a CHANGE is made only when the replica has
//! applied everything it received, or when the new source holds all of it. Without GTID it is made
//! only where the place is known that continues what the replica has.

use std::collections::BTreeMap;
use std::time::Duration;

use primacy_probe::{ChangeScope, SourceSettings, StartAt, Threads};
use primacy_types::{
    Address, BinlogPosition, ChannelStatus, Millis, Positioning, ReceiverState, ServerFacts,
    TransactionSet,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::stop::stop;
use super::{POLL, Progress, places};
use crate::error::StepError;
use crate::links::Link;
use crate::shared::{Detached, Pair, Shared};
use crate::{Cluster, look};

/// What a server was before it was pointed elsewhere.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Before {
    /// Its managed channel; `None` if it had none.
    channel: Option<ChannelStatus>,
}

/// Where and how a server goes on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Course {
    /// The settings that it had before it was touched; `None` if its own are to be kept.
    channel: Option<ChannelStatus>,
    onward: Onward,
    /// Where it stood when it forgot its source, if it did.
    stood: Option<Detached>,
}

/// At which place of the new source's log.
#[derive(Clone, Debug, Default)]
enum Onward {
    /// The GTIDs say it.
    #[default]
    Gtid,
    /// Where the new primary's log continues the old one's.
    Pair(Pair),
    /// Here, whatever the server has: it goes back to where it was.
    Back(BinlogPosition),
}

impl Course {
    /// A server's course from what [`before`] noted and what the operation has found out.
    pub(crate) fn of(noted: &Value, server: &Address, shared: &Shared) -> Self {
        let before: Before = noted
            .get(server.to_string())
            .and_then(|v| serde_json::from_value(v.clone()).ok())
            .unwrap_or_default();
        Self {
            // A channel that was pointed to saved events since has their settings.
            channel: shared.noted_channel(server).or(before.channel),
            onward: shared.pair().map_or(Onward::Gtid, Onward::Pair),
            stood: shared.detached(server),
        }
    }

    /// Without GTID: the course of a server of which it is known that it goes on at this place.
    pub(crate) fn at(place: BinlogPosition) -> Self {
        Self { onward: Onward::Back(place), ..Self::default() }
    }

    /// The course of a server that comes back after an operation has ended.
    ///
    /// `channel` is what it was before it was pointed to saved events, if it was.
    pub(crate) fn late(pair: Option<Pair>, channel: Option<ChannelStatus>) -> Self {
        Self { channel, onward: pair.map_or(Onward::Gtid, Onward::Pair), stood: None }
    }
}

/// Notes the managed channel of each server, from fresh facts where it answers.
pub(super) async fn before(
    cluster: &Cluster,
    servers: &[Address],
    limit: Millis,
) -> Result<Value, StepError> {
    let mut all = BTreeMap::new();
    for server in servers {
        let facts = match cluster.links.to(server, limit.as_duration()).await {
            Ok(mut link) => look::facts(&mut link, limit).await.ok(),
            Err(_) => None,
        };
        let facts = facts
            .or_else(|| cluster.eyes.remembered().server(server).and_then(|s| s.facts.clone()));
        let channel = facts.and_then(|f| f.channel(&cluster.policy.channel).cloned());
        all.insert(server.to_string(), Before { channel });
    }
    Ok(serde_json::to_value(all).unwrap_or_default())
}

/// Points `server` to `source` and sees its receiver connect.
pub(crate) async fn point(
    cluster: &Cluster,
    server: &Address,
    source: &Address,
    limit: Millis,
    course: &Course,
) -> Result<String, StepError> {
    let whole = change(cluster, server, source, limit, course, Kind::ForGood);
    within(server, limit, whole).await
}

/// Points `server` to another replica to fetch what it lacks; what it is afterwards is decided
/// later in the plan.
pub(super) async fn point_for_a_while(
    cluster: &Cluster,
    server: &Address,
    source: &Address,
    limit: Millis,
) -> Result<String, StepError> {
    let course = Course::default();
    let whole = change(cluster, server, source, limit, &course, Kind::ForAWhile);
    within(server, limit, whole).await
}

/// The same without GTID, from the place that the server has applied.
pub(super) async fn point_here_for_a_while(
    cluster: &Cluster,
    server: &Address,
    source: &Address,
    place: Option<&BinlogPosition>,
    limit: Millis,
) -> Result<String, StepError> {
    let Some(place) = place.cloned() else {
        return Err(StepError::impossible(server, "it does not say what it has applied"));
    };
    let course = Course { onward: Onward::Back(place), ..Course::default() };
    let whole = change(cluster, server, source, limit, &course, Kind::ForAWhile);
    within(server, limit, whole).await
}

/// Gives the server back the source that it had before the step.
pub(crate) async fn put_back(
    cluster: &Cluster,
    noted: &Value,
    server: &Address,
    limit: Millis,
    shared: &Shared,
) -> Result<(), StepError> {
    let mut course = Course::of(noted, server, shared);
    let Some(channel) = &course.channel else { return Ok(()) };
    let source = channel.source.clone();
    if shared.by_place {
        let at = || StepError::at(server, "looking at replication");
        let mut link = cluster.links.to(server, limit.as_duration()).await.map_err(at())?;
        let facts = look::facts(&mut link, limit).await.map_err(at())?;
        let pair = shared.pair();
        let left_at = match facts.channel(&cluster.policy.channel) {
            // It stands in the old source's log, or in what was saved of it: that is its place.
            Some(now) if pair.as_ref().is_none_or(|pair| now.source != pair.server) => {
                now.applied.clone()
            }
            // It left its source where everybody did.
            Some(_) => pair.map(|pair| pair.end).or_else(|| channel.applied.clone()),
            None => {
                let stood = course.stood.take().map(|detached| detached.stood);
                stood.or(pair.map(|pair| pair.end)).or_else(|| channel.applied.clone())
            }
        };
        course.onward = left_at.map_or(Onward::Gtid, Onward::Back);
    }
    point(cluster, server, &source, limit, &course).await?;
    Ok(())
}

/// Puts on record what a server's channel was before it is levelled, for it is to have that again.
pub(super) async fn note_for_later(
    server: &Address,
    noted: &Value,
    shared: &Shared,
) -> Result<(), StepError> {
    if let Some(channel) = Course::of(noted, server, shared).channel {
        shared.note_channel(server, &channel).await?;
    }
    Ok(())
}

/// Servers that were only given what they lacked have their source again, and ask for it. What
/// cannot be asked now is said: it is for a person, as all the rest.
pub(super) async fn give_back(
    cluster: &Cluster,
    servers: &[Address],
    shared: &Shared,
    limit: Millis,
) -> Result<String, StepError> {
    let mut failed = Vec::new();
    for server in servers {
        let back = match shared.noted_channel(server) {
            Some(_) => forget_the_rescue(cluster, server, shared, limit).await,
            None => super::receivers::start(cluster, server, limit).await,
        };
        failed.extend(back.err().map(|error| error.to_string()));
    }
    Ok(failed.join("; "))
}

/// Gives a server the settings and the source back that it had before it was pointed to saved
/// events, whether or not that source lives: it is known by it.
pub(super) async fn forget_the_rescue(
    cluster: &Cluster,
    server: &Address,
    shared: &Shared,
    limit: Millis,
) -> Result<(), StepError> {
    let at = |doing| StepError::at(server, doing);
    let Some(channel) = shared.noted_channel(server) else { return Ok(()) };
    let doing = "giving it its source back";
    let mut link = cluster.links.to(server, limit.as_duration()).await.map_err(at(doing))?;
    let dialect = link.dialect();
    stop(cluster, server, &mut link, limit).await?;
    let facts = look::facts(&mut link, limit).await.map_err(at(doing))?;
    let place = match shared.by_place {
        true => facts.channel(&channel.name).and_then(|c| c.applied.clone()),
        false => None,
    };
    let source = channel.source.clone();
    let course = Course { channel: Some(channel), ..Course::default() };
    let settings = settings(cluster, &facts, &source, &course, place);
    let escapes = link.no_backslash_escapes();
    let name = &cluster.policy.channel;
    let change = dialect
        .change_source(name, &settings, ChangeScope::BothStopped, escapes)
        .map_err(|e| StepError::impossible(server, e.to_string()))?;
    link.execute(change.sql(), limit.as_duration()).await.map_err(at(doing))?;
    let start = dialect.start(Threads::Both, name);
    link.execute(&start, limit.as_duration()).await.map_err(at(doing))?;
    Ok(())
}

async fn within(
    server: &Address,
    limit: Millis,
    work: impl Future<Output = Result<String, StepError>>,
) -> Result<String, StepError> {
    // Draining before the change may take longer as long as it moves; this is the limit of a
    // statement that hangs.
    let room = limit.as_duration() + Duration::from_secs(5);
    tokio::time::timeout(room, work).await.unwrap_or_else(|_| {
        let what = "it did not change its source in time".to_owned();
        Err(StepError::Stalled { server: server.clone(), what, limit })
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    ForGood,
    ForAWhile,
}

async fn change(
    cluster: &Cluster,
    server: &Address,
    source: &Address,
    limit: Millis,
    course: &Course,
    kind: Kind,
) -> Result<String, StepError> {
    let at = |doing| StepError::at(server, doing);
    let mut link = cluster
        .links
        .to(server, limit.as_duration())
        .await
        .map_err(at("connecting to repoint it"))?;
    let dialect = link.dialect();
    let name = &cluster.policy.channel;
    let mut facts = look::facts(&mut link, limit).await.map_err(at("looking at replication"))?;
    if kind == Kind::ForGood {
        refuse_writable(&facts, server)?;
    }
    let by_place = !matches!(course.onward, Onward::Gtid);
    let already = facts.channel(name).is_some_and(|c| {
        c.source == *source && (c.positioning.is_gtid() || by_place) && c.receiver_error.is_none()
    });
    if !already {
        let start_at = match &course.onward {
            Onward::Gtid => None,
            Onward::Back(place) => Some(place.clone()),
            Onward::Pair(pair) => {
                let stood = course.stood.as_ref();
                Some(places::place_for(cluster, server, &mut link, pair, stood, limit).await?)
            }
        };
        if facts.channel(name).is_some() && by_place {
            stop(cluster, server, &mut link, limit).await?;
        } else if facts.channel(name).is_some() {
            super::receivers::stop_on(cluster, server, &mut link, limit).await?;
            facts = keep_what_it_received(cluster, server, &mut link, source, limit).await?;
            stop(cluster, server, &mut link, limit).await?;
        }
        become_a_replica(cluster, server, &mut link, &facts, limit).await?;
        let settings = settings(cluster, &facts, source, course, start_at);
        let escapes = link.no_backslash_escapes();
        let change = dialect
            .change_source(name, &settings, ChangeScope::BothStopped, escapes)
            .map_err(|e| StepError::impossible(server, e.to_string()))?;
        tracing::debug!(server = %server, "{}", change.redacted());
        link.execute(change.sql(), limit.as_duration()).await.map_err(at("changing its source"))?;
    }
    let start = dialect.start(Threads::Both, name);
    link.execute(&start, limit.as_duration()).await.map_err(at("starting replication"))?;
    see_it_connect(cluster, server, &mut link, source, limit).await?;
    Ok(if already { format!("{server} reads from {source} already") } else { String::new() })
}

/// A server that accepts writes is not made a replica: what it took would be errant.
fn refuse_writable(facts: &ServerFacts, server: &Address) -> Result<(), StepError> {
    if facts.writable() {
        return Err(StepError::impossible(server, "it accepts writes, so it is not repointed"));
    }
    Ok(())
}

/// Returns when a CHANGE drops nothing: everything received is applied, or the source has it.
async fn keep_what_it_received(
    cluster: &Cluster,
    server: &Address,
    link: &mut Link,
    source: &Address,
    limit: Millis,
) -> Result<ServerFacts, StepError> {
    let name = &cluster.policy.channel;
    let mut progress = Progress::new(limit);
    let mut asked = false;
    loop {
        let facts = look::facts(link, limit)
            .await
            .map_err(StepError::at(server, "looking at replication"))?;
        let holds = facts.holds(name);
        if facts.executed.covers(&holds) {
            return Ok(facts);
        }
        if !asked {
            asked = true;
            if source_has(cluster, source, &holds, limit).await {
                return Ok(facts);
            }
        }
        let status = look::channel(cluster, server, &facts)?;
        if let Some(error) = &status.applier_error {
            return Err(StepError::impossible(
                server,
                format!(
                    "its applier stopped with error {} while {} waits in its relay log, which a \
                     change of source would drop: {}",
                    error.code,
                    holds.beyond(&facts.executed).join(", "),
                    error.message
                ),
            ));
        }
        if !status.applier_running {
            if super::apply::start_would_drop(&facts, status) {
                return Err(StepError::impossible(
                    server,
                    "its applier is stopped and starting it would drop its relay log",
                ));
            }
            let start = link.dialect().start(Threads::Applier, name);
            let doing = "starting its applier";
            link.execute(&start, limit.as_duration())
                .await
                .map_err(StepError::at(server, doing))?;
        }
        progress.saw(server, (facts.executed.clone(), status.applied.clone()), || {
            format!("it has not applied {}", holds.beyond(&facts.executed).join(", "))
        })?;
        tokio::time::sleep(POLL).await;
    }
}

async fn source_has(
    cluster: &Cluster,
    source: &Address,
    set: &TransactionSet,
    limit: Millis,
) -> bool {
    let Ok(mut link) = cluster.links.to(source, limit.as_duration()).await else { return false };
    look::executed(&mut link, limit).await.is_ok_and(|executed| executed.covers(set))
}

/// What a server needs that was no replica before: on MariaDB the position from which it goes on
/// is everything in its own binary log; semi-sync acknowledgements are switched on where the
/// cluster uses them, and waiting for them off.
async fn become_a_replica(
    cluster: &Cluster,
    server: &Address,
    link: &mut Link,
    facts: &ServerFacts,
    limit: Millis,
) -> Result<(), StepError> {
    let doing = "preparing it to replicate";
    if facts.channel(&cluster.policy.channel).is_none()
        && let TransactionSet::MariaDb(executed) = &facts.executed
        && let Some(sql) = link.dialect().set_gtid_slave_pos(executed)
    {
        link.execute(&sql, limit.as_duration()).await.map_err(StepError::at(server, doing))?;
    }
    if cluster.policy.semi_sync.is_some() {
        super::semi_sync::acknowledge(cluster, server, link, limit).await?;
    }
    Ok(())
}

/// The settings of the replica's own channel, pointed to the new source; for a server that had
/// none, those of another replica of the cluster.
fn settings(
    cluster: &Cluster,
    facts: &ServerFacts,
    source: &Address,
    course: &Course,
    place: Option<BinlogPosition>,
) -> SourceSettings {
    let name = &cluster.policy.channel;
    let remembered = cluster.eyes.remembered();
    let model = course
        .channel
        .clone()
        .or_else(|| facts.channel(name).cloned())
        .or_else(|| remembered.all_live().find_map(|(_, f)| f.channel(name).cloned()));
    let password = cluster.replication.password.clone();
    let policy = &cluster.policy;
    let own = course.channel.as_ref().or(facts.channel(name));
    let positioning = match own.map(|c| c.positioning) {
        Some(positioning) if positioning.is_gtid() => positioning,
        _ if facts.version.is_mariadb() => Positioning::SlavePos,
        _ => Positioning::AutoPosition,
    };
    let mut carried = model.as_ref().map(|c| c.settings.clone()).unwrap_or_default();
    if model.is_none() && cluster.replication.tls {
        // No replica to copy from: encrypted as the manager's own connections are.
        carried.insert("SOURCE_SSL".to_owned(), "1".to_owned());
    }
    let encrypted = carried.iter().any(|(k, v)| k.ends_with("_SSL") && v == "1");
    SourceSettings {
        source: source.clone(),
        user: cluster.replication.user.clone(),
        password,
        start_at: place.map_or(StartAt::Gtid(positioning), StartAt::Position),
        heartbeat_period: own
            .and_then(|c| c.heartbeat_period)
            .filter(|p| p.0 > 0)
            .map_or(policy.heartbeat_period, |own| own.min(policy.heartbeat_period)),
        connect_retry_seconds: own.map_or(policy.connect_retry_seconds, |c| {
            c.connect_retry_seconds.min(policy.connect_retry_seconds).max(1)
        }),
        retry_count: None,
        delay_seconds: own.map_or(0, |c| c.delay_seconds),
        get_public_key: !encrypted,
        settings: carried,
    }
}

/// Waits until the receiver is connected; its error, if it reports one, is the reason.
async fn see_it_connect(
    cluster: &Cluster,
    server: &Address,
    link: &mut Link,
    source: &Address,
    limit: Millis,
) -> Result<(), StepError> {
    let end = tokio::time::Instant::now() + limit.as_duration();
    loop {
        let facts = look::facts(link, limit)
            .await
            .map_err(StepError::at(server, "looking at replication"))?;
        let status = look::channel(cluster, server, &facts)?;
        if status.receiver == ReceiverState::Running {
            return Ok(());
        }
        let error = status.receiver_error.as_ref();
        let fatal = status.receiver == ReceiverState::Stopped && error.is_some();
        if fatal || tokio::time::Instant::now() >= end {
            let why = error.map_or_else(
                || "no error is reported".to_owned(),
                |e| format!("error {}: {}", e.code, e.message),
            );
            return Err(StepError::impossible(
                server,
                format!("its receiver does not connect to {source}: {why}"),
            ));
        }
        tokio::time::sleep(POLL).await;
    }
}
