//! The same as with GTID, for clusters that replicate by file and position: what is applied is a
//! place in the source's binary log, and a replica moves to another source only where it is known
//! which place there continues its own.

use std::time::Duration;

use primacy_types::{
    Address, BinlogPosition, ChannelStatus, Millis, ReceiverState, ServerFacts, TransactionSet,
};
use tokio::time::Instant;

use super::point::point_here_for_a_while;
use super::{POLL, Progress};
use crate::error::StepError;
use crate::links::Link;
use crate::shared::{Detached, Pair, Shared};
use crate::{Cluster, look};

/// An applier that has nothing left to do, with workers that have nothing to do either, and whose
/// place has not moved for so long stands at the last whole transaction: what its relay log has
/// behind that is a part of one. Longer than the pauses in which parallel appliers write down how far they are (MySQL
/// `replica_checkpoint_period`, 300 ms).
const SETTLED: Duration = Duration::from_secs(1);

/// So many looks at least, however far apart they are.
const LOOKS: u32 = 5;

/// How long everybody was seen idle at the same place. Looks count, not only time: on a busy machine
/// two of them may be further apart than [`SETTLED`], and a worker that was at work at the first and
/// is idle at the second has just finished something that is not written down yet.
#[derive(Default)]
struct Quiet {
    at: Option<BinlogPosition>,
    since: Option<(Instant, u32)>,
}

impl Quiet {
    /// Takes one more look into account; whether it was quiet for long enough.
    fn saw(&mut self, at: Option<&BinlogPosition>, idle: bool, now: Instant) -> bool {
        if self.at.as_ref() != at {
            self.at = at.cloned();
            self.since = None;
        }
        if !idle {
            self.since = None;
            return false;
        }
        let (since, looks) = self.since.get_or_insert((now, 0));
        *looks += 1;
        *looks >= LOOKS && now.saturating_duration_since(*since) >= SETTLED
    }
}

/// Tells a relay log that is applied from one that still is.
struct Applying {
    progress: Progress<Option<BinlogPosition>>,
    quiet: Quiet,
}

impl Applying {
    fn new(limit: Millis) -> Self {
        Self { progress: Progress::new(limit), quiet: Quiet::default() }
    }

    /// Looks at a channel: whether all that is whole of what it received is applied.
    async fn is_done(
        &mut self,
        server: &Address,
        link: &mut Link,
        channel: &ChannelStatus,
        limit: Millis,
    ) -> Result<bool, StepError> {
        if channel.applied >= channel.read {
            return Ok(true);
        }
        let doing = "looking at its appliers";
        let idle = channel.applier_idle
            && channel.receiver == ReceiverState::Stopped
            && !super::stop::are_workers_busy(link, limit)
                .await
                .map_err(StepError::at(server, doing))?;
        if self.quiet.saw(channel.applied.as_ref(), idle, Instant::now()) {
            return Ok(true);
        }
        self.progress.saw(server, channel.applied.clone(), || {
            let place = |p: &Option<BinlogPosition>| {
                p.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string)
            };
            format!("it has applied {} of {}", place(&channel.applied), place(&channel.read))
        })?;
        Ok(false)
    }
}

/// The server applies everything whole that it received.
pub(super) async fn drain(
    cluster: &Cluster,
    server: &Address,
    limit: Millis,
) -> Result<String, StepError> {
    let mut link = open(cluster, server, limit).await?;
    if facts(server, &mut link, limit).await?.channel(&cluster.policy.channel).is_none() {
        return Ok(nothing_waits(server));
    }
    let facts = apply_all(cluster, server, &mut link, limit).await?;
    Ok(match facts.channel(&cluster.policy.channel).and_then(|c| c.applied.as_ref()) {
        Some(place) => format!("{server} has applied everything up to {place}"),
        None => String::new(),
    })
}

/// Of a winner that forgot its source before the plan was made again.
pub(super) fn nothing_waits(server: &Address) -> String {
    format!("{server} replicates from nobody, so nothing waits to be applied")
}

/// Waits until everything whole is applied, starting the applier if somebody stopped it.
pub(super) async fn apply_all(
    cluster: &Cluster,
    server: &Address,
    link: &mut Link,
    limit: Millis,
) -> Result<ServerFacts, StepError> {
    let mut applying = Applying::new(limit);
    loop {
        let facts = facts(server, link, limit).await?;
        let channel = look::channel(cluster, server, &facts)?;
        if applying.is_done(server, link, channel, limit).await? {
            return Ok(facts);
        }
        keep_applying(server, link, channel, limit).await?;
        tokio::time::sleep(POLL).await;
    }
}

/// An applier that stopped with an error ends the wait; one that a person stopped is started.
async fn keep_applying(
    server: &Address,
    link: &mut Link,
    channel: &ChannelStatus,
    limit: Millis,
) -> Result<(), StepError> {
    if let Some(error) = &channel.applier_error {
        return Err(StepError::impossible(
            server,
            format!(
                "its applier stopped with error {} before it had applied its relay log: {}",
                error.code, error.message
            ),
        ));
    }
    if !channel.applier_running {
        let start = link.dialect().start(primacy_probe::Threads::Applier, &channel.name);
        let doing = "starting the applier";
        link.execute(&start, limit.as_duration()).await.map_err(StepError::at(server, doing))?;
    }
    Ok(())
}

/// The winner applies everything that the blocked primary has written.
pub(super) async fn catch_up(
    cluster: &Cluster,
    server: &Address,
    source: &Address,
    limit: Millis,
) -> Result<String, StepError> {
    let end = written(cluster, source, limit).await?;
    let mut link = open(cluster, server, limit).await?;
    // Writes are blocked meanwhile: progress alone is not enough.
    let whole = reach(cluster, server, &mut link, &end, limit);
    tokio::time::timeout(limit.as_duration(), whole).await.unwrap_or_else(|_| {
        let what = format!("it has not applied everything of {source} in time");
        Err(StepError::Stalled { server: server.clone(), what, limit })
    })?;
    let still = written(cluster, source, limit).await?;
    if still != end {
        let why = format!("it went on writing while it was blocked: from {end} to {still}");
        return Err(StepError::impossible(source, why));
    }
    Ok(format!("{server} has everything of {source} up to {end}"))
}

/// The server fetches what it lacks from a binlog server, which has the old primary's files at the
/// old primary's places.
pub(super) async fn level(
    cluster: &Cluster,
    server: &Address,
    from: &Address,
    until: &TransactionSet,
    shared: &Shared,
    limit: Millis,
) -> Result<String, StepError> {
    let Some(end) = until.as_place() else {
        return Err(StepError::impossible(server, "it is not known up to which place"));
    };
    let mut link = open(cluster, server, limit).await?;
    let facts = apply_all(cluster, server, &mut link, limit).await?;
    let channel = look::channel(cluster, server, &facts)?.clone();
    if channel.applied.as_ref() >= Some(end) {
        return Ok(format!("{server} has everything up to {end} already"));
    }
    shared.note_channel(server, &channel).await?;
    drop(link);
    point_here_for_a_while(cluster, server, from, channel.applied.as_ref(), limit).await?;
    let mut link = open(cluster, server, limit).await?;
    reach(cluster, server, &mut link, end, limit).await?;
    drop(link);
    super::receivers::seal(cluster, std::slice::from_ref(server), limit).await?;
    Ok(format!("{server} fetched from {from} what it lacked, up to {end}"))
}

/// Waits until the server has applied its source's log up to `end`.
pub(super) async fn reach(
    cluster: &Cluster,
    server: &Address,
    link: &mut Link,
    end: &BinlogPosition,
    limit: Millis,
) -> Result<ServerFacts, StepError> {
    let mut progress = Progress::new(limit);
    let mut applying = Applying::new(limit);
    loop {
        let facts = facts(server, link, limit).await?;
        let channel = look::channel(cluster, server, &facts)?;
        let applied = channel.applied.as_ref();
        if applied.is_some_and(|place| place >= end) {
            return Ok(facts);
        }
        let stands = || applied.map_or_else(|| "the beginning".to_owned(), ToString::to_string);
        if channel.receiver == ReceiverState::Stopped
            && applying.is_done(server, link, channel, limit).await?
        {
            return Err(StepError::impossible(
                server,
                format!("it stands at {} and receives no more, short of {end}", stands()),
            ));
        }
        keep_applying(server, link, channel, limit).await?;
        progress.saw(server, (channel.applied.clone(), channel.read.clone()), || {
            format!("it stands at {}, short of {end}", stands())
        })?;
        tokio::time::sleep(POLL).await;
    }
}

/// Puts on record which place of the winner's log continues the old primary's.
pub(super) async fn pair(
    cluster: &Cluster,
    shared: &Shared,
    server: &Address,
    source: &Address,
    limit: Millis,
) -> Result<String, StepError> {
    let mut link = open(cluster, server, limit).await?;
    let facts = facts(server, &mut link, limit).await?;
    if let Some(known) = shared.pair().filter(|p| p.server == *server) {
        let applied = facts.channel(&cluster.policy.channel).map(|c| &c.applied);
        // Its place is known from before it forgot its source. If it still has that and was given
        // more since, the places are others.
        if applied.is_none_or(|applied| applied.as_ref() == Some(&known.end)) {
            return Ok(said(&known));
        }
    }
    if facts.writable() {
        return Err(StepError::impossible(server, "it accepts writes: its place means nothing"));
    }
    let channel = look::channel(cluster, server, &facts)?;
    let (Some(end), Some(start)) = (channel.applied.clone(), facts.binlog.clone()) else {
        return Err(StepError::impossible(server, "it does not say at which place its log stands"));
    };
    let pair = Pair { server: server.clone(), source: source.clone(), end, start };
    shared.set_pair(pair.clone()).await?;
    Ok(said(&pair))
}

fn said(pair: &Pair) -> String {
    format!("{} of {} is {} of {}", pair.end, pair.source, pair.start, pair.server)
}

/// What a server has that forgot its source in this operation, and where it stood then; `None` for
/// one that has a source.
pub(super) async fn detached(
    cluster: &Cluster,
    shared: &Shared,
    server: &Address,
    link: &mut Link,
    limit: Millis,
) -> Result<Option<(ServerFacts, Detached)>, StepError> {
    let Some(detached) = shared.detached(server) else { return Ok(None) };
    let mut facts = facts(server, link, limit).await?;
    if facts.channel(&cluster.policy.channel).is_some() {
        return Ok(None);
    }
    still_stands(server, &facts, &detached)?;
    facts.executed = TransactionSet::UpTo(Some(detached.stood.clone()));
    Ok(Some((facts, detached)))
}

fn still_stands(
    server: &Address,
    facts: &ServerFacts,
    detached: &Detached,
) -> Result<(), StepError> {
    if facts.binlog == detached.own {
        return Ok(());
    }
    let why = "it has written itself since it was taken out of replication";
    Err(StepError::impossible(server, why))
}

/// Where a replica may go on at the new primary: it has applied exactly what that had.
pub(super) async fn place_for(
    cluster: &Cluster,
    server: &Address,
    link: &mut Link,
    pair: &Pair,
    stood: Option<&Detached>,
    limit: Millis,
) -> Result<BinlogPosition, StepError> {
    let seen = facts(server, link, limit).await?;
    if *server == pair.source {
        // The old primary of a switchover: it was blocked at this very place.
        return match seen.binlog {
            Some(own) if own == pair.end => Ok(pair.start.clone()),
            own => Err(StepError::impossible(
                server,
                format!(
                    "it has written after the new primary took over at {}: its log ends at {}",
                    pair.end,
                    own.map_or_else(|| "an unknown place".to_owned(), |own| own.to_string())
                ),
            )),
        };
    }
    let stands = match (seen.channel(&cluster.policy.channel), stood) {
        // It was to be the new primary itself, and somebody else became it.
        (None, Some(detached)) => {
            still_stands(server, &seen, detached)?;
            Some(detached.stood.clone())
        }
        _ => {
            let seen = reach(cluster, server, link, &pair.end, limit).await?;
            look::channel(cluster, server, &seen)?.applied.clone()
        }
    };
    match stands {
        Some(place) if place == pair.end => Ok(pair.start.clone()),
        place => Err(StepError::impossible(
            server,
            format!(
                "it stands at {}, and the new primary's log continues {}: one of them has what \
                 the other lacks",
                place.map_or_else(|| "an unknown place".to_owned(), |place| place.to_string()),
                pair.end
            ),
        )),
    }
}

async fn written(
    cluster: &Cluster,
    server: &Address,
    limit: Millis,
) -> Result<BinlogPosition, StepError> {
    let mut link = open(cluster, server, limit).await?;
    let facts = facts(server, &mut link, limit).await?;
    facts.binlog.ok_or_else(|| StepError::impossible(server, "it writes no binary log"))
}

async fn open(cluster: &Cluster, server: &Address, limit: Millis) -> Result<Link, StepError> {
    let doing = "looking at replication";
    cluster.links.to(server, limit.as_duration()).await.map_err(StepError::at(server, doing))
}

async fn facts(server: &Address, link: &mut Link, limit: Millis) -> Result<ServerFacts, StepError> {
    let doing = "looking at replication";
    look::facts_and_place(link, limit).await.map_err(StepError::at(server, doing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_worker_that_has_just_finished_is_not_taken_for_one_that_had_nothing_to_do() {
        let mut quiet = Quiet::default();
        let (place, later) = (BinlogPosition::new("b.1", 375), BinlogPosition::new("b.1", 676));
        let mut now = Instant::now();
        let mut look = |place: &BinlogPosition, idle, after| {
            now += Duration::from_millis(after);
            quiet.saw(Some(place), idle, now)
        };
        // At work, and seen again only after more than a second.
        assert!(!look(&place, false, 0) && !look(&place, true, 3000) && !look(&place, true, 3000));
        // What it did is written down now: everything begins anew.
        assert!(!look(&later, true, 1));
        for _ in 0..4 {
            assert!(!look(&later, true, 200));
        }
        assert!(look(&later, true, 200));
    }
}
