//! What only files hold: read from the old primary's disk, saved, and given to servers over
//! replication by a source of our own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use primacy_plan::Origin;
use primacy_probe::{ChangeScope, SourceSettings, StartAt, Threads};
use primacy_rescue::{LogFiles, Numbering, Saved, ServeAs, Served, address_towards};
use primacy_types::{
    Address, BinlogsOnDisk, ChannelStatus, ClusterSnapshot, HostAccessKind, Millis, ServerFacts,
    TransactionSet,
};

use super::point::forget_the_rescue;
use super::stop::stop;
use super::{POLL, Progress, copies, places};
use crate::error::StepError;
use crate::links::Link;
use crate::shared::{Kept, Pair, Shared};
use crate::{BinlogCopy, Cluster, look};

/// How long looking at the old primary's files may take before its host counts as silent.
pub(super) const LOOK: Duration = Duration::from_secs(30);

/// Reads what the old primary's binary logs hold, or a copy of them where they cannot be read; `None`
/// where there is no access to its host and no copy is configured. `seen` is what is known of all servers.
pub(crate) async fn read_the_disk(
    cluster: &Cluster,
    old: &Address,
    shared: &Shared,
    seen: &ClusterSnapshot,
) -> Option<BinlogsOnDisk> {
    shared.set_disk_copy(None);
    if cluster.hosts.copies().is_empty() {
        return read_its_own(cluster, old, shared).await;
    }
    // It takes a host that is lost seconds to be given up: nobody waits for that before looking elsewhere.
    let lost = seen.server(old).is_none_or(|seen| seen.process.is_none());
    let copies = copies::read(cluster, shared, old, seen);
    let (own, copied) = if lost {
        tokio::pin!(copies);
        let own = read_its_own(cluster, old, shared);
        tokio::pin!(own);
        tokio::select! {
            own = &mut own => match own {
                Some(BinlogsOnDisk::Read { .. }) => return own,
                own => (own, copies.await),
            },
            copied = &mut copies => (own.await, copied),
        }
    } else {
        match read_its_own(cluster, old, shared).await {
            own @ Some(BinlogsOnDisk::Read { .. }) => return own,
            own => (own, copies.await),
        }
    };
    Some(copied.in_place_of(own, shared))
}

async fn read_its_own(cluster: &Cluster, old: &Address, shared: &Shared) -> Option<BinlogsOnDisk> {
    let seen = cluster.eyes.remembered();
    let server = seen.server(old)?;
    let unreadable = |reason: String, passing| BinlogsOnDisk::Unreadable { reason, passing };
    if shared.is_powered_off(old) {
        return Some(unreadable("shutdown_script has powered off its host".to_owned(), false));
    }
    let Some(host) = cluster.hosts.of(old) else {
        // A manager that has just been started has not reached every host yet.
        let expected = matches!(
            cluster.policy.server(old).host_access,
            HostAccessKind::Ssh | HostAccessKind::Local
        );
        let reason = "its host was not reached since the manager was started".to_owned();
        return expected.then(|| unreadable(reason, shared.began.elapsed() < LOOK));
    };
    if let Some(primacy_types::FileAccess::Unreadable(reason)) = &server.files {
        return Some(unreadable(reason.clone(), false));
    }
    let Some(files) = server.facts.as_ref().and_then(binlogs_of) else {
        return Some(unreadable("where they are was never seen".to_owned(), false));
    };
    let numbering = if shared.by_place { Numbering::Places } else { Numbering::Gtids };
    let scratch = scratch(cluster, shared, old);
    let host = host.as_ref();
    let patient = shared.began.elapsed() < LOST;
    let read = primacy_rescue::read_to_the_end(host, &files, numbering, &scratch, LOOK, patient);
    Some(read.await)
}

/// A host that could not be asked for so long since the operation began is lost, not late.
const LOST: Duration = Duration::from_secs(60);

/// What was found, as a sentence.
pub(crate) fn said_of_disk(found: &BinlogsOnDisk) -> String {
    match found {
        BinlogsOnDisk::Read { holds, end, incomplete, .. } => {
            let rest = incomplete.as_ref().map(|text| format!("; {text}")).unwrap_or_default();
            let end = format!("its binary logs were read to their end, {end}");
            match holds {
                TransactionSet::UpTo(_) => format!("{end}{rest}"),
                holds => format!("{end}; they hold {}{rest}", holds.said()),
            }
        }
        BinlogsOnDisk::Copied { holds, length, place, reason, .. } => format!(
            "its binary logs cannot be read: {reason}; the copy in {place} was read to its end, \
             {length}: it holds {}",
            holds.said()
        ),
        BinlogsOnDisk::Unreadable { reason, .. } => {
            format!("its binary logs cannot be read: {reason}")
        }
    }
}

fn binlogs_of(facts: &ServerFacts) -> Option<LogFiles> {
    (!facts.binlog_base.is_empty()).then(|| LogFiles::binlogs(PathBuf::from(&facts.binlog_base)))
}

/// Where copies of remote files are kept while the operation needs them.
fn scratch(cluster: &Cluster, shared: &Shared, server: &Address) -> PathBuf {
    rescue_dir(cluster, shared).join(FETCHED).join(file_name(server))
}

const FETCHED: &str = "fetched";

/// The same for the files of a folder that is no server's.
pub(super) fn scratch_of_copy(cluster: &Cluster, shared: &Shared, copy: &BinlogCopy) -> PathBuf {
    scratch(cluster, shared, copy.host.server()).join(format!("copy-{}", copy.number))
}

/// Removes the copies of remote files: the operation has ended, and what was cut out of them is
/// kept.
pub(crate) async fn forget_copies(cluster: &Cluster, shared: &Shared) {
    // Best effort: what stays takes space and harms nobody.
    let _ = tokio::fs::remove_dir_all(rescue_dir(cluster, shared).join(FETCHED)).await;
}

fn file_name(server: &Address) -> String {
    server.to_string().replace([':', '/'], "-")
}

/// Where what the operation saved is kept.
fn rescue_dir(cluster: &Cluster, shared: &Shared) -> PathBuf {
    let state = cluster.store.path().parent().map(PathBuf::from).unwrap_or_default();
    state.join("rescue").join(&cluster.name).join(shared.id.as_str())
}

/// Cuts out what is complete beyond `since` and keeps it.
pub(super) async fn save(
    cluster: &Cluster,
    shared: &Shared,
    from: &Origin,
    since: &TransactionSet,
    limit: Millis,
) -> Result<String, StepError> {
    let length = match from {
        Origin::Binlogs(_) => shared.disk_length(),
        Origin::RelayLogs(_) => None,
    };
    let usable = |kept: &Kept| since.covers(&kept.since) && kept.length == length;
    if let Some(kept) = shared.saved(from).filter(usable) {
        match Saved::open(&kept.folder).await {
            Ok(saved) => return Ok(saved.sentence()),
            Err(error) => {
                tracing::warn!(%error, "what was saved cannot be used, it is cut out again");
            }
        }
    }
    let server = from.server();
    let seen = cluster.eyes.remembered();
    let facts = seen.server(server).and_then(|s| s.facts.as_ref());
    let copy = match from {
        Origin::Binlogs(_) => shared.disk_copy(),
        Origin::RelayLogs(_) => None,
    };
    let dir = rescue_dir(cluster, shared);
    let to = dir.join(match from {
        Origin::Binlogs(_) => "binlogs".to_owned(),
        Origin::RelayLogs(of) => format!("relay-logs-{}", file_name(of)),
    });
    let saved = match &copy {
        Some(copy) => copy.save(cluster, shared, server, since, &to, limit).await?,
        None => save_its_own(cluster, shared, from, facts, since, &to, limit).await?,
    };
    let (from_files, folder) = (from.clone(), saved.folder().to_owned());
    let kept = Kept { from: from_files, since: since.clone(), folder, length };
    shared.set_saved(from, kept).await?;
    Ok(saved.sentence())
}

async fn save_its_own(
    cluster: &Cluster,
    shared: &Shared,
    from: &Origin,
    facts: Option<&ServerFacts>,
    since: &TransactionSet,
    to: &Path,
    limit: Millis,
) -> Result<Saved, StepError> {
    let server = from.server();
    let host = cluster.hosts.of(server).ok_or_else(|| {
        StepError::impossible(server, "there is no access to the files of its host any more")
    })?;
    let files = facts.and_then(|facts| match from {
        Origin::Binlogs(_) => binlogs_of(facts),
        Origin::RelayLogs(_) => relay_logs_of(facts, &cluster.policy.channel),
    });
    let files = files.ok_or_else(|| {
        StepError::impossible(server, format!("it is not known where {from} are"))
    })?;
    let scratch = scratch(cluster, shared, server);
    let stall = limit.as_duration();
    let saved = primacy_rescue::save(host.as_ref(), &files, since, &scratch, to, stall);
    saved.await.map_err(|e| StepError::rescue(server, e))
}

fn relay_logs_of(facts: &ServerFacts, channel: &str) -> Option<LogFiles> {
    let base = PathBuf::from(&facts.relay_log_base);
    let known = !facts.relay_log_base.is_empty();
    let files = known.then(|| LogFiles::relay_logs(base, channel, facts.version.flavor))?;
    let status = facts.channel(channel);
    match status.and_then(|c| Some((c.relay_log.as_ref()?, c.applied.as_ref()?))) {
        Some((applier, source)) => Some(files.known_from(applier, &source.file)),
        None => Some(files),
    }
}

/// The server replicates what was saved until it has applied all of it.
pub(super) async fn rescue(
    cluster: &Cluster,
    shared: &Shared,
    server: &Address,
    from: &Origin,
    until: &TransactionSet,
    limit: Millis,
) -> Result<String, StepError> {
    let kept = shared
        .saved(from)
        .ok_or_else(|| StepError::impossible(from.server(), "nothing was saved of it"))?;
    let saved = Saved::reopen(&kept.folder).await.map_err(|error| {
        // Somebody removed or changed it: it is cut out again.
        shared.forget_saved(from);
        StepError::rescue(from.server(), error)
    })?;
    let target = saved.all_of_it(until);
    let incomplete = saved.is_incomplete();
    let mut link = open(cluster, server, limit).await?;
    let detached = places::detached(cluster, shared, server, &mut link, limit).await?;
    let facts = match &detached {
        // It forgot its source, to be the new primary, before the plan was made again.
        Some((facts, _)) => facts.clone(),
        None => apply_received(cluster, shared, server, &mut link, limit).await?,
    };
    if has(&facts, &cluster.policy.channel, &target) {
        return Ok(format!("{server} has everything that was saved already"));
    }
    let own = saved.events_of(facts.server_id);
    if own > 0 {
        return Err(StepError::impossible(
            server,
            format!(
                "{own} of the saved events were first written by this server (server_id {}), and \
                 a replica silently skips its own",
                facts.server_id
            ),
        ));
    }
    let channel = match detached {
        Some((_, detached)) => detached.channel,
        None => look::channel(cluster, server, &facts)?.clone(),
    };
    shared.note_channel(server, &channel).await?;
    let served = serve(cluster, shared, from, (saved, kept.since), &facts, &channel, &link).await?;
    let before = facts.executed.clone();
    let fetched =
        fetch(cluster, shared, server, &mut link, &channel, &served, &target, limit).await;
    let facts = match fetched {
        Ok(facts) => facts,
        Err(error) => {
            drop(link);
            // Its old source is what it is known by; a person would look for it there too.
            let back = forget_the_rescue(cluster, server, shared, limit).await;
            if let Err(worse) = back {
                tracing::warn!(%server, %worse, "it still points to the rescue");
            }
            return Err(error);
        }
    };
    if !shared.by_place && !incomplete && !facts.executed.covers(until) {
        return Err(StepError::impossible(
            from.server(),
            format!("what was saved lacks {}", until.beyond(&facts.executed).join(", ")),
        ));
    }
    let count = facts.executed.count_beyond(&before);
    Ok(match &facts.executed {
        TransactionSet::UpTo(_) => format!("{server} applied what was saved, up to {target}"),
        _ => format!("{server} applied {count} transaction(s) of what was saved"),
    })
}

/// The receiver and the applier of the server do the work; it is left with its receiver stopped.
#[expect(clippy::too_many_arguments, reason = "one step's facts, used once")]
async fn fetch(
    cluster: &Cluster,
    shared: &Shared,
    server: &Address,
    link: &mut Link,
    channel: &ChannelStatus,
    served: &Served,
    target: &TransactionSet,
    limit: Millis,
) -> Result<ServerFacts, StepError> {
    attach(cluster, shared, server, link, channel, served, limit).await?;
    let mut progress = Progress::new(limit);
    loop {
        let facts = seen(shared, cluster, server, link, limit).await?;
        if has(&facts, &cluster.policy.channel, target) {
            let stop = link.dialect().stop(Threads::Receiver, &cluster.policy.channel);
            link.execute(&stop, limit.as_duration())
                .await
                .map_err(StepError::at(server, "taking it off the saved events"))?;
            return Ok(facts);
        }
        let status = look::channel(cluster, server, &facts)?;
        let error = status.applier_error.as_ref().or(status.receiver_error.as_ref());
        if let Some(error) = error {
            let ours = served.last_error().map(|e| format!(" (our side: {e})")).unwrap_or_default();
            return Err(StepError::impossible(
                server,
                format!(
                    "replicating what was saved stopped with error {}: {}{ours}",
                    error.code, error.message,
                ),
            ));
        }
        let moved = (facts.executed.clone(), status.read.clone(), served.bytes_sent());
        progress.saw(server, moved, || {
            format!("it has not applied {}", target.beyond(&facts.executed).join(", "))
        })?;
        tokio::time::sleep(POLL).await;
    }
}

/// A server that comes back after the operation gets what was saved then, if it lacks some of it.
pub(crate) async fn rescue_late(
    cluster: &Cluster,
    shared: &Shared,
    server: &Address,
    pair: &Pair,
) -> Result<(), StepError> {
    let limit = cluster.policy.timing.stall_limit;
    let until = TransactionSet::UpTo(Some(pair.end.clone()));
    let mut link = open(cluster, server, limit).await?;
    let facts = apply_received(cluster, shared, server, &mut link, limit).await?;
    drop(link);
    for from in shared.origins() {
        if !facts.executed.covers(&until) {
            rescue(cluster, shared, server, &from, &until, limit).await?;
        }
    }
    Ok(())
}

/// What a server has that counts for this operation.
async fn seen(
    shared: &Shared,
    cluster: &Cluster,
    server: &Address,
    link: &mut Link,
    limit: Millis,
) -> Result<ServerFacts, StepError> {
    let doing = "looking at replication";
    let mut facts = look::facts(link, limit).await.map_err(StepError::at(server, doing))?;
    if shared.by_place {
        facts.in_places(&cluster.policy.channel);
    }
    Ok(facts)
}

fn has(facts: &ServerFacts, channel: &str, target: &TransactionSet) -> bool {
    let idle = facts.channel(channel).is_none_or(|c| c.applier_error.is_none());
    idle && facts.executed.covers(target)
}

/// What waits in the relay log is applied first: pointing the server elsewhere drops it.
async fn apply_received(
    cluster: &Cluster,
    shared: &Shared,
    server: &Address,
    link: &mut Link,
    limit: Millis,
) -> Result<ServerFacts, StepError> {
    if shared.by_place {
        let mut facts = places::apply_all(cluster, server, link, limit).await?;
        facts.in_places(&cluster.policy.channel);
        return Ok(facts);
    }
    seen(shared, cluster, server, link, limit).await
}

async fn open(cluster: &Cluster, server: &Address, limit: Millis) -> Result<Link, StepError> {
    let doing = "connecting for the rescue";
    cluster.links.to(server, limit.as_duration()).await.map_err(StepError::at(server, doing))
}

/// Our own source for what was saved, where this replica can connect to it.
async fn serve(
    cluster: &Cluster,
    shared: &Shared,
    from: &Origin,
    (saved, since): (Saved, TransactionSet),
    facts: &ServerFacts,
    channel: &ChannelStatus,
    link: &Link,
) -> Result<std::sync::Arc<Served>, StepError> {
    let local =
        address_towards(link.address()).await.map_err(|e| StepError::rescue(link.address(), e))?;
    let mut taken: Vec<u32> = cluster
        .eyes
        .remembered()
        .servers
        .values()
        .filter_map(|s| s.facts.as_ref().map(|f| f.server_id))
        .collect();
    taken.extend(saved.server_ids());
    let as_whom = ServeAs {
        bind: local,
        version: facts.version,
        taken_server_ids: taken,
        tls: channel.settings.iter().any(|(k, v)| k.ends_with("_SSL") && v == "1"),
        since,
    };
    let folder = saved.folder().to_owned();
    shared
        .served(&folder, local, Served::start(saved, as_whom))
        .await
        .map_err(|e| StepError::rescue(from.server(), e))
}

/// Settings that belong to the connection to the cluster's own servers, not to ours.
const OF_THE_CONNECTION: &[&str] =
    &["_SSL", "_BIND", "_TLS_", "PUBLIC_KEY", "COMPRESSION", "NETWORK_NAMESPACE", "AUTO_FAILOVER"];

async fn attach(
    cluster: &Cluster,
    shared: &Shared,
    server: &Address,
    link: &mut Link,
    channel: &ChannelStatus,
    served: &Served,
    limit: Millis,
) -> Result<(), StepError> {
    let at = |doing| StepError::at(server, doing);
    let dialect = link.dialect();
    let name = &cluster.policy.channel;
    let place = match places::detached(cluster, shared, server, link, limit).await? {
        Some((_, detached)) => Some(detached.stood),
        None => {
            stop(cluster, server, link, limit).await?;
            // Only now does its place stand still.
            let facts = seen(shared, cluster, server, link, limit).await?;
            facts.channel(name).and_then(|c| c.applied.clone())
        }
    };
    let start_at = match (shared.by_place, place) {
        (false, _) => StartAt::Gtid(channel.positioning),
        (true, Some(place)) => StartAt::Position(place),
        (true, None) => {
            return Err(StepError::impossible(server, "it does not say what it has applied"));
        }
    };
    let mut settings = channel.settings.clone();
    settings.retain(|key, _| !OF_THE_CONNECTION.iter().any(|part| key.contains(part)));
    let tls = if served.tls() { "1" } else { "0" };
    settings.insert("SOURCE_SSL".to_owned(), tls.to_owned());
    // Our certificate is made for this rescue and signed by nobody.
    settings.insert("SOURCE_SSL_VERIFY_SERVER_CERT".to_owned(), "0".to_owned());
    let account = served.account();
    let source = SourceSettings {
        source: served.address(),
        user: account.user,
        password: account.password,
        start_at,
        heartbeat_period: Millis(1000),
        connect_retry_seconds: 1,
        retry_count: None,
        // What is missing is wanted now.
        delay_seconds: 0,
        get_public_key: false,
        settings,
    };
    let escapes = link.no_backslash_escapes();
    let change = dialect
        .change_source(name, &source, ChangeScope::BothStopped, escapes)
        .map_err(|e| StepError::impossible(server, e.to_string()))?;
    tracing::debug!(%server, "{}", change.redacted());
    link.execute(change.sql(), limit.as_duration())
        .await
        .map_err(at("pointing it to the rescue"))?;
    let start = dialect.start(Threads::Both, name);
    link.execute(&start, limit.as_duration()).await.map_err(at("starting the rescue"))?;
    Ok(())
}
