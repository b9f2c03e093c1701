//! Removing relay logs that are applied and that nobody may need any more, on replicas with
//! `relay_log_purge = OFF`: one replica after another, by letting its own applier do it once.
//!
//! The server is told to purge, begins a new relay log, and purges when its applier gets there; then
//! the setting is put back. So nothing is removed that is not applied, whatever happens meanwhile.
//! That the setting is changed is on record before it is: whoever finds it there puts it back.

use std::time::Duration;

use primacy_plan::{
    keeps_all_relay_logs, keeps_relay_logs, received_place, replicates_by_place, siblings_behind,
};
use primacy_probe::Dialect;
use primacy_store::{Level, StoreError};
use primacy_types::Address;
use primacy_wire::{Session, WireError};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::Cluster;
use crate::journal::blocking;

/// The variable that is changed for a purge.
const SETTING: &str = "relay_log_purge";

/// How often it is looked how far appliers and siblings are.
const POLL: Duration = Duration::from_millis(20);

/// How long siblings may take to receive what the replica has.
const SIBLINGS: Duration = Duration::from_secs(5);

/// What came of one server's relay logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgedLogs {
    /// The server.
    pub server: Address,
    /// Something was removed, or would be in a dry run.
    pub purged: bool,
    /// Bytes of relay logs before, as the server says; `None` if it was not asked.
    pub before: Option<u64>,
    /// And after.
    pub after: Option<u64>,
    /// The same as a sentence, or why nothing was removed.
    pub sentence: String,
}

impl PurgedLogs {
    fn kept(server: &Address, sentence: String) -> Self {
        Self { server: server.clone(), purged: false, before: None, after: None, sentence }
    }
}

/// Why nothing at all was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PurgeRefused(pub String);

/// Purges the relay logs of these servers, or of all replicas if none is named. `may_go_on` is asked
/// before each of them.
///
/// # Errors
/// If the cluster is not well, or somebody else purges. What happens on one server is told of that
/// server.
pub async fn purge_relay_logs(
    cluster: &Cluster,
    servers: &[Address],
    dry_run: bool,
    may_go_on: &(dyn Fn() -> Result<(), String> + Send + Sync),
) -> Result<Vec<PurgedLogs>, PurgeRefused> {
    let limit = cluster.policy.timing.statement_limit.as_duration();
    let snapshot = cluster.eyes.look(limit).await;
    if let Some(why) = keeps_all_relay_logs(&snapshot) {
        return Err(PurgeRefused(why));
    }
    if let Some(stranger) = servers.iter().find(|s| !snapshot.servers.contains_key(*s)) {
        return Err(PurgeRefused(format!("{stranger} is none of the cluster's servers")));
    }
    let Some(primary) = snapshot.primary.clone() else {
        return Err(PurgeRefused("no primary is known".to_owned()));
    };
    // One purge in the whole cluster: held where everybody can see it, for as long as this lasts.
    let _held = match dry_run {
        true => None,
        false => Some(hold(cluster, &primary, limit).await?),
    };
    let all: Vec<Address> = snapshot.servers.keys().cloned().collect();
    let wanted = |server: &&Address| match servers {
        [] => **server != primary,
        named => named.contains(server),
    };
    if !dry_run && let Err(why) = restore_relay_log_purge(cluster).await {
        tracing::warn!(cluster = cluster.name, why, "an earlier purge");
    }
    let mut done = Vec::new();
    for server in all.iter().filter(wanted) {
        if let Err(why) = may_go_on() {
            done.push(PurgedLogs::kept(server, why));
            continue;
        }
        done.push(purge_one(cluster, server, dry_run, limit).await);
    }
    Ok(done)
}

fn lock_name(cluster: &Cluster) -> String {
    // Names of locks may be 64 characters long.
    let name: String = cluster.name.chars().take(30).collect();
    format!("primacy_purge_relay_logs_{name}")
}

async fn hold(
    cluster: &Cluster,
    primary: &Address,
    limit: Duration,
) -> Result<Session, PurgeRefused> {
    let failed =
        |error: WireError| PurgeRefused(format!("the lock against a second purge: {error}"));
    let mut session = Session::connect(&cluster.links.options(primary)).await.map_err(failed)?;
    let take = Dialect::of(session.version()).take_lock(&lock_name(cluster), 0);
    let rows = session.query(&take, limit).await.map_err(failed)?;
    match rows.first().and_then(|row| row.at(0)) {
        Some("1") => Ok(session),
        _ => Err(PurgeRefused(
            "relay logs of this cluster are being purged by somebody else; try again when that is \
             over"
                .to_owned(),
        )),
    }
}

async fn purge_one(
    cluster: &Cluster,
    server: &Address,
    dry_run: bool,
    limit: Duration,
) -> PurgedLogs {
    let snapshot = cluster.eyes.look(limit).await;
    let keeps = keeps_all_relay_logs(&snapshot).or_else(|| keeps_relay_logs(&snapshot, server));
    if let Some(why) = keeps {
        return PurgedLogs::kept(server, why);
    }
    let by_place = replicates_by_place(&snapshot);
    let before = snapshot.live_channel(server).map(|channel| channel.relay_log_space);
    if dry_run {
        if by_place && let Err(why) = siblings_have_it(cluster, server, limit).await {
            return PurgedLogs::kept(server, why);
        }
        let sentence = format!("what {server} has applied would be removed");
        return PurgedLogs { server: server.clone(), purged: true, before, after: None, sentence };
    }
    let done = purge_now(cluster, server, by_place, limit).await;
    let (purged, sentence) = match done {
        Ok(()) => (true, format!("what {server} had applied was removed")),
        Err(why) => (false, why),
    };
    let seen = cluster.eyes.look(limit).await;
    let after = seen.live_channel(server).map(|channel| channel.relay_log_space);
    let level = if purged { Level::Info } else { Level::Warning };
    let bytes = match (before, after) {
        (Some(before), Some(after)) => {
            format!(" ({before} bytes of relay logs before, {after} after)")
        }
        _ => String::new(),
    };
    cluster.chronicle.tell(&cluster.name, None, level, format!("relay logs: {sentence}{bytes}"));
    PurgedLogs { server: server.clone(), purged, before, after, sentence }
}

/// Waits until every sibling has received what this server has now.
async fn siblings_have_it(
    cluster: &Cluster,
    server: &Address,
    limit: Duration,
) -> Result<(), String> {
    let snapshot = cluster.eyes.look(limit).await;
    let Some(received) = received_place(&snapshot, server) else {
        return Err(format!("{server} does not say what it has received"));
    };
    let end = Instant::now() + SIBLINGS;
    loop {
        let behind = siblings_behind(&cluster.eyes.look(limit).await, server, &received);
        let Some(first) = behind.first() else { return Ok(()) };
        if Instant::now() >= end {
            return Err(format!(
                "{first} has not received yet what {server} has ({received}), and may need it"
            ));
        }
        sleep(POLL).await;
    }
}

async fn purge_now(
    cluster: &Cluster,
    server: &Address,
    by_place: bool,
    limit: Duration,
) -> Result<(), String> {
    let said = |error: WireError| format!("nothing was removed on {server}: {error}");
    let mut session = Session::connect(&cluster.links.options(server)).await.map_err(said)?;
    let dialect = Dialect::of(session.version());
    // A cron job of people's own may do the same there.
    let take = dialect.take_lock(&lock_name(cluster), 0);
    let rows = session.query(&take, limit).await.map_err(said)?;
    if rows.first().and_then(|row| row.at(0)) != Some("1") {
        return Err(format!("somebody else purges the relay logs of {server}"));
    }
    let rows = session.query(dialect.relay_log_purge(), limit).await.map_err(said)?;
    if rows.first().and_then(|row| row.at(0)) != Some("0") {
        return Err(format!("{server} removes them itself (relay_log_purge = ON)"));
    }
    note(cluster, server).await.map_err(|error| {
        format!("nothing was removed on {server}: its setting could not be put on record: {error}")
    })?;
    let purged = async {
        // The last thing before: what comes between this and the new file is not asked for.
        if by_place {
            siblings_have_it(cluster, server, limit).await?;
        }
        session.execute(dialect.set_relay_log_purge(true), limit).await.map_err(said)?;
        // From here on the applier purges whenever it goes on to another file.
        let begun = place_in_relay_log(cluster, server, limit).await;
        let flush = dialect.flush_relay_logs(&cluster.policy.channel);
        session.execute(&flush, limit).await.map_err(said)?;
        applier_goes_on(cluster, server, begun, limit).await
    }
    .await;
    let put_back = put_back(cluster, server, &mut session, limit).await;
    purged.and(put_back)
}

async fn note(cluster: &Cluster, server: &Address) -> Result<(), StoreError> {
    let (store, name, at) = (cluster.store.clone(), cluster.name.clone(), server.clone());
    blocking(move || store.note_setting(&name, &at, SETTING, "0")).await
}

async fn forget(cluster: &Cluster, server: &Address) -> Result<(), StoreError> {
    let (store, name, at) = (cluster.store.clone(), cluster.name.clone(), server.clone());
    blocking(move || store.forget_setting(&name, &at, SETTING)).await
}

/// As it was. On a connection that broke it is tried once more on another.
async fn put_back(
    cluster: &Cluster,
    server: &Address,
    session: &mut Session,
    limit: Duration,
) -> Result<(), String> {
    let statement = Dialect::of(session.version()).set_relay_log_purge(false);
    if session.execute(statement, limit).await.is_err() {
        switch_off(cluster, server, limit).await.map_err(|error| {
            format!(
                "relay_log_purge of {server} is ON and could not be put back yet ({error}); the                  manager goes on trying: {statement}"
            )
        })?;
    }
    if let Err(error) = forget(cluster, server).await {
        // It is put back once more, which does no harm.
        tracing::warn!(%server, %error, "relay_log_purge is as it was, and the record says otherwise");
    }
    Ok(())
}

async fn switch_off(cluster: &Cluster, server: &Address, limit: Duration) -> Result<(), WireError> {
    let mut session = Session::connect(&cluster.links.options(server)).await?;
    let statement = Dialect::of(session.version()).set_relay_log_purge(false);
    session.execute(statement, limit).await.map(drop)
}

/// Puts `relay_log_purge` back where a purge was interrupted, as the record says. Only while no purge
/// runs.
///
/// # Errors
/// Which server could not be told; it stays on record.
pub async fn restore_relay_log_purge(cluster: &Cluster) -> Result<(), String> {
    let (store, name) = (cluster.store.clone(), cluster.name.clone());
    let changed = blocking(move || store.changed_settings(&name)).await;
    let changed = changed.map_err(|error| error.to_string())?;
    let limit = cluster.policy.timing.statement_limit.as_duration();
    let mut first = Ok(());
    for server in changed.into_iter().filter(|one| one.name == SETTING).map(|one| one.address) {
        let done = async {
            switch_off(cluster, &server, limit).await.map_err(|error| error.to_string())?;
            forget(cluster, &server).await.map_err(|error| error.to_string())
        };
        match done.await {
            Ok(()) => {
                let text = format!(
                    "relay logs: relay_log_purge of {server} is OFF again, as it was before a purge \
                     that was interrupted"
                );
                cluster.chronicle.tell(&cluster.name, None, Level::Notice, text);
            }
            Err(error) if first.is_ok() => {
                first = Err(format!("relay_log_purge of {server} is not put back yet: {error}"));
            }
            Err(_) => {}
        }
    }
    first
}

async fn place_in_relay_log(
    cluster: &Cluster,
    server: &Address,
    limit: Duration,
) -> Option<String> {
    let seen = cluster.eyes.look(limit).await;
    Some(seen.live_channel(server)?.relay_log.as_ref()?.file.clone())
}

/// Waits until the applier reads another file: it removes what is before that on its way.
async fn applier_goes_on(
    cluster: &Cluster,
    server: &Address,
    begun: Option<String>,
    limit: Duration,
) -> Result<(), String> {
    let end = Instant::now() + limit;
    loop {
        let now = place_in_relay_log(cluster, server, limit).await;
        if now.is_some() && now != begun {
            return Ok(());
        }
        if Instant::now() >= end {
            return Err(format!(
                "the applier of {server} is still busy with what it has received; what it has \
                 applied is removed next time"
            ));
        }
        sleep(POLL).await;
    }
}
