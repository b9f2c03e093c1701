//! Restarting a replica: shut down cleanly, started again, and caught up before it counts as done.

mod interrupted;

use std::time::Duration;

use primacy_failpoint as failpoint;
use primacy_host::{HostAccess, HostError};
use primacy_plan::{Reason, against_restart};
use primacy_store::{Level, OperationId, Outcome};
use primacy_types::{Address, ClusterSnapshot, Millis, ReceiverState, ServerFacts};
use serde_json::json;
use tokio::time::Instant;

pub use self::interrupted::{finish_interrupted, receive_again};
use crate::error::StepError;
use crate::journal::blocking;
use crate::start::{REGAIN, start_restarted};
use crate::steps::{self, POLL, Progress};
use crate::{Cluster, look};

/// The kind of these operations in the history.
pub const RESTART: &str = "restart";

/// The limit of its shutdown where an older record says none.
const LIMIT: Duration = Duration::from_secs(600);

/// One that is so far behind, in seconds, goes on receiving: what is left is applied without that.
const LITTLE: u64 = 10;

/// The operations of the cluster, beside which a replica is restarted.
pub trait Operations: Send + Sync {
    /// The kind of the one that is under way.
    fn busy(&self) -> Option<&'static str>;

    /// Nothing is begun any more.
    fn is_stopping(&self) -> bool;

    /// None that begins from now on promotes the server, until what this gives is dropped.
    fn spare(&self, server: &Address) -> Box<dyn Send>;

    /// Why no server is shut down now.
    fn against(&self) -> Option<String> {
        let stopping = || self.is_stopping().then(|| "the manager is stopping".to_owned());
        self.busy().map(|kind| format!("a {kind} is under way")).or_else(stopping)
    }
}

/// Why a server was not restarted.
#[derive(Debug, thiserror::Error)]
pub enum RestartError {
    /// Nothing was touched.
    #[error("restart refused: {}", .0.iter().map(|r| r.why.as_str()).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Reason>),
    /// It was begun.
    #[error("{0}")]
    Failed(#[from] StepError),
}

/// A server that was restarted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restarted {
    /// The operation in the history.
    pub operation: OperationId,
    /// From the beginning of its shutdown until it answered again.
    pub away: Millis,
    /// Until it had caught up.
    pub took: Millis,
}

/// Restarts a replica. `limit` is that of its shutdown, and that of its start up to its first
/// answer (crash recovery and large buffers take their time).
///
/// # Errors
/// Why it was not begun; or how far it came: a server that was shut down and does not start is left
/// so, and named.
pub async fn restart(
    cluster: &Cluster,
    snapshot: &ClusterSnapshot,
    server: &Address,
    limit: Duration,
    operations: &dyn Operations,
) -> Result<Restarted, RestartError> {
    cluster.lock.regain(REGAIN).await.map_err(StepError::from)?;
    let mut reasons = against_restart(snapshot, server);
    let host = cluster.hosts.of(server);
    if host.is_none() {
        reasons.push(Reason::new(
            format!("there is no access to the host of {server}"),
            "run an agent there, or set host_access; or restart it by hand",
        ));
    }
    let (Some(host), Some(primary), true) = (host, &snapshot.primary, reasons.is_empty()) else {
        return Err(RestartError::Refused(reasons));
    };
    let id = begin(cluster, server, limit).await?;
    let this = Replica { cluster, server, primary, host: host.as_ref(), limit, operations };
    let done = this.again(snapshot, &id).await;
    let (outcome, sentence) = match &done {
        Ok((away, took)) => (
            Outcome::Done,
            format!("{server} was restarted: away for {away}, caught up after {took}"),
        ),
        Err(error) => (Outcome::Failed, error.to_string()),
    };
    end(cluster, &id, outcome, sentence).await?;
    let (away, took) = done?;
    Ok(Restarted { operation: id, away, took })
}

/// Tells how it ended, and puts it on record.
async fn end(
    cluster: &Cluster,
    id: &OperationId,
    outcome: Outcome,
    sentence: String,
) -> Result<(), StepError> {
    let level = if outcome == Outcome::Done { Level::Notice } else { Level::Alarm };
    cluster.chronicle.tell(&cluster.name, Some(id), level, sentence.clone());
    let (store, to, now) = (cluster.store.clone(), id.clone(), cluster.clock.wall());
    Ok(blocking(move || store.finish(&to, outcome, &sentence, now)).await?)
}

async fn begin(
    cluster: &Cluster,
    server: &Address,
    limit: Duration,
) -> Result<OperationId, StepError> {
    let (store, name, now) = (cluster.store.clone(), cluster.name.clone(), cluster.clock.wall());
    let plan = json!({ "server": server, "limit": Millis::from(limit) });
    let id = blocking(move || store.begin_beside(&name, RESTART, &plan, now)).await?;
    let text = format!("{server} is shut down, to be started again");
    cluster.chronicle.tell(&cluster.name, Some(&id), Level::Notice, text);
    Ok(id)
}

/// A replica that is restarted.
struct Replica<'r> {
    cluster: &'r Cluster,
    server: &'r Address,
    primary: &'r Address,
    host: &'r dyn HostAccess,
    limit: Duration,
    operations: &'r dyn Operations,
}

impl Replica<'_> {
    async fn again(
        &self,
        snapshot: &ClusterSnapshot,
        id: &OperationId,
    ) -> Result<(Millis, Millis), StepError> {
        let Self { cluster, server, primary, limit, .. } = *self;
        let say = |text| cluster.chronicle.tell(&cluster.name, Some(id), Level::Info, text);
        self.little_is_left().await?;
        steps::empty_relay_logs(cluster, server, limit).await?;
        let began = Instant::now();
        let spared = match self.shut_down(id).await {
            Ok(spared) => spared,
            Err(error) => {
                interrupted::receives(cluster, server, self.operations).await;
                return Err(error);
            }
        };
        failpoint::hit("after", "restart-stop");
        say(format!("{server} is down"));
        self.host.start(limit).await.map_err(|source| failed(server, source))?;
        answers(cluster, server, limit).await?;
        drop(spared);
        let away = Millis::from(began.elapsed());
        say(format!("{server} answers again after {away}"));
        replicates(cluster, snapshot, server, primary).await?;
        caught_up(cluster, server, primary).await?;
        Ok((away, Millis::from(began.elapsed())))
    }

    /// While much waits to be applied it goes on receiving: what it does not receive meanwhile may be
    /// nowhere else when the primary's host is lost.
    async fn little_is_left(&self) -> Result<(), StepError> {
        let Self { cluster, server, .. } = *self;
        let end = Instant::now() + self.limit;
        loop {
            let channel = look::managed(cluster, server, "looking at replication").await?;
            let Some(channel) = channel else { return Ok(()) };
            let applies = channel.applier_running && channel.delay_seconds == 0;
            let behind = channel.lag_seconds.filter(|lag| applies && *lag > LITTLE);
            let Some(behind) = behind else { return Ok(()) };
            if let Some(why) = self.operations.against() {
                return Err(StepError::impossible(server, format!("it was not shut down: {why}")));
            }
            if Instant::now() >= end {
                let what = format!("it is {behind} s behind, and was not shut down");
                let limit = Millis::from(self.limit);
                return Err(StepError::Stalled { server: server.clone(), what, limit });
            }
            tokio::time::sleep(POLL * 5).await;
        }
    }

    /// It was emptied, which may have taken long: what stood when that began is looked at again.
    async fn shut_down(&self, id: &OperationId) -> Result<Box<dyn Send>, StepError> {
        let Self { cluster, server, .. } = *self;
        let not = |why| StepError::impossible(server, format!("it was not shut down: {why}"));
        // Before the look: an operation that begins from now on does not choose it.
        let spared = self.operations.spare(server);
        let each = cluster.policy.timing.statement_limit;
        let now = cluster.eyes.look(each.as_duration()).await;
        if let Some(why) = self.operations.against() {
            return Err(not(why));
        }
        cluster.lock.permits()?;
        let reasons = against_restart(&now, server);
        if !reasons.is_empty() {
            let why: Vec<_> = reasons.into_iter().map(|reason| reason.why).collect();
            return Err(not(why.join("; ")));
        }
        if now.live(server).is_some_and(ServerFacts::writable) {
            return Err(not("it accepts writes now".to_owned()));
        }
        let (store, to, at) = (cluster.store.clone(), id.clone(), cluster.clock.wall());
        blocking(move || store.mark_no_return(&to, at)).await?;
        self.host.stop(self.limit).await.map_err(|source| failed(server, source))?;
        Ok(spared)
    }
}

fn failed(server: &Address, source: HostError) -> StepError {
    StepError::Restart { server: server.clone(), source: Box::new(source) }
}

async fn answers(cluster: &Cluster, server: &Address, limit: Duration) -> Result<(), StepError> {
    let each = cluster.policy.timing.statement_limit;
    let end = Instant::now() + limit;
    loop {
        let asked = async {
            let mut link = cluster.links.to(server, each.as_duration()).await?;
            look::facts(&mut link, each).await
        };
        match asked.await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= end => {
                let what = format!("it was started and does not answer: {error}");
                return Err(StepError::Stalled {
                    server: server.clone(),
                    what,
                    limit: Millis::from(limit),
                });
            }
            Err(_) => tokio::time::sleep(POLL * 5).await,
        }
    }
}

/// Its threads run again; where they are not started with the server, they are started here.
async fn replicates(
    cluster: &Cluster,
    snapshot: &ClusterSnapshot,
    server: &Address,
    primary: &Address,
) -> Result<(), StepError> {
    let each = cluster.policy.timing.statement_limit;
    let limit = cluster.policy.timing.repoint_limit;
    let end = Instant::now() + limit.as_duration();
    let mut started = false;
    loop {
        let at = || StepError::at(server, "looking at replication");
        let mut link = cluster.links.to(server, each.as_duration()).await.map_err(at())?;
        let facts = look::facts(&mut link, each).await.map_err(at())?;
        drop(link);
        let channel = look::channel(cluster, server, &facts)?;
        let error = channel.receiver_error.as_ref().or(channel.applier_error.as_ref());
        if channel.receiver == ReceiverState::Running && channel.applier_running {
            return Ok(());
        }
        let is_stopped = channel.receiver == ReceiverState::Stopped && !channel.applier_running;
        if is_stopped && error.is_none() && !started {
            started = true;
            start_restarted(cluster, snapshot, server, primary).await?;
        }
        if Instant::now() >= end {
            let why = error.map_or_else(
                || "its replication does not run".to_owned(),
                |error| format!("its replication stopped: error {}: {}", error.code, error.message),
            );
            return Err(StepError::Stalled { server: server.clone(), what: why, limit });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// It has what the primary had when it was back.
async fn caught_up(
    cluster: &Cluster,
    server: &Address,
    primary: &Address,
) -> Result<(), StepError> {
    let each = cluster.policy.timing.statement_limit;
    let at = |server: &Address| StepError::at(server, "looking at replication");
    let mut link = cluster.links.to(primary, each.as_duration()).await.map_err(at(primary))?;
    let theirs = look::facts_and_place(&mut link, each).await.map_err(at(primary))?;
    drop(link);
    let mut progress = Progress::new(cluster.policy.timing.stall_limit);
    loop {
        let mut link = cluster.links.to(server, each.as_duration()).await.map_err(at(server))?;
        let facts = look::facts_and_place(&mut link, each).await.map_err(at(server))?;
        drop(link);
        let channel = look::channel(cluster, server, &facts)?;
        // Below an intermediate it is enough that nothing waits: its places are not the primary's.
        let of_primary = primacy_plan::source_of(&cluster.eyes.remembered(), channel)
            .is_some_and(|source| source == *primary);
        let done = if channel.positioning.is_gtid() {
            facts.executed.covers(&theirs.executed)
        } else if of_primary {
            channel.applied >= theirs.binlog
        } else {
            channel.lag_seconds == Some(0)
        };
        if done {
            return Ok(());
        }
        progress.saw(server, (facts.executed.clone(), channel.applied.clone()), || {
            "it has not caught up since it was restarted".to_owned()
        })?;
        tokio::time::sleep(POLL * 5).await;
    }
}
