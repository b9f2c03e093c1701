//! When a server may be shut down to change its data: nothing else takes one away, no operation is under
//! way, the cluster can do without it, and others hold what it received.

use std::time::Duration;

use primacy_exec::{leave_to_others, receive_again};
use primacy_plan::{Reason, against_replacing};
use primacy_store::{Level, Store};
use primacy_types::{ReceiverState, ServerFacts};
use serde_json::Value;
use tokio::time::Instant;

use super::copy::LOOK;
use super::mark::Mark;
use super::problem::Problem;
use super::run::Run;
use crate::chores::Turn;
use crate::service::from_store;

/// How long is waited until the cluster can do without the server.
const SPARED: Duration = Duration::from_secs(3600);
/// How long others may take, at a time, to receive what it received: it receives nothing meanwhile.
const HELD: Duration = Duration::from_secs(10);
/// How long an operation that is under way is waited for when nothing is at stake.
pub(super) const OPERATION: Duration = Duration::from_secs(120);
/// How long it is tried to have the server receive again.
const RECEIVES: Duration = Duration::from_secs(15);
/// On record when its receiver is stopped.
const SEALED: &str = "sealed";

impl Run {
    /// Waits until the copy may be put in place. The server is marked from then on, it receives nothing
    /// more, and the rebuild cannot be cancelled any more.
    pub(super) async fn its_turn(&self) -> Result<(Turn, Mark<'_>), Problem> {
        let cancelled = || Problem::new("it was cancelled");
        let spared = tokio::select! {
            spared = self.spared("the copy waits") => spared?,
            () = self.live.cancelled.cancelled() => return Err(cancelled()),
        };
        if !self.live.fix() {
            return Err(cancelled());
        }
        Ok(spared)
    }

    /// Waits until the server may be shut down.
    pub(super) async fn spared(&self, waits: &str) -> Result<(Turn, Mark<'_>), Problem> {
        let server = &self.plan.request.server;
        let end = Instant::now() + SPARED;
        let mut said = None;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let turn = self.handle.chores.take(format!("a rebuild of {server}"), left).await?;
            // An operation that has begun may want this server: it is marked only when there is none.
            let why = match self.is_busy() {
                Some(why) => why,
                None => {
                    let mark = Mark::set(self);
                    match self.can_be_spared(&mark).await? {
                        None => return Ok((turn, mark)),
                        Some(why) => why,
                    }
                }
            };
            drop(turn);
            if Instant::now() >= end {
                return Err(Problem::from(format!("the cluster needs it now: {why}")));
            }
            if said.as_ref() != Some(&why) {
                let text = format!("{waits}, for the cluster needs {server} now: {why}");
                self.told(Level::Warning, text);
                said = Some(why);
            }
            if self.is_busy().is_none()
                && let Err(why) = self.receive_again().await
            {
                tracing::debug!(%server, why, "it is to receive again");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn is_busy(&self) -> Option<String> {
        self.handle.busy().map(|busy| format!("a {busy} is under way"))
    }

    /// Why the server cannot be shut down now, if it cannot. Otherwise it receives nothing more.
    async fn can_be_spared(&self, mark: &Mark<'_>) -> Result<Option<String>, Problem> {
        let server = &self.plan.request.server;
        let cluster = &self.watched.cluster;
        if let Err(error) = cluster.lock.permits() {
            return Ok(Some(error.to_string()));
        }
        let limit = cluster.policy.timing.statement_limit.as_duration();
        let mut snapshot = cluster.eyes.look(limit).await;
        if mark.is_new() {
            // What it would be for the cluster if it were not about to go.
            let own = cluster.policy.server(server);
            snapshot.policy.servers.insert(server.clone(), own);
        }
        if snapshot.primary.as_ref() == Some(server) {
            return Err(Problem::from(format!("{server} became the primary meanwhile")));
        }
        if snapshot.live(server).is_some_and(ServerFacts::writable) {
            return Err(Problem::from(format!("{server} accepts writes now")));
        }
        let needed = against_replacing(&snapshot, server);
        if !needed.is_empty() {
            let said = |reason: &Reason| format!("{} ({})", reason.why, reason.remedy);
            return Ok(Some(needed.iter().map(said).collect::<Vec<_>>().join("; ")));
        }
        if let Some(facts) = snapshot.live(server) {
            let channel = facts.channel(&cluster.policy.channel);
            if channel.is_some_and(|channel| channel.receiver != ReceiverState::Stopped) {
                let id = self.id.clone();
                let noted = move |store: Store| store.set_data(&id, SEALED, &Value::Bool(true));
                from_store(&cluster.store, noted).await.map_err(|error| error.to_string())?;
            }
            let left = tokio::select! {
                left = leave_to_others(cluster, server, HELD) => left.err().map(|why| why.to_string()),
                why = self.until_busy() => Some(why),
            };
            if left.is_some() {
                return Ok(left);
            }
        }
        Ok(self.is_busy())
    }

    async fn until_busy(&self) -> String {
        loop {
            if let Some(why) = self.is_busy() {
                return why;
            }
            tokio::time::sleep(LOOK / 10).await;
        }
    }

    /// Waits until no operation is under way; an error says which one has been for too long.
    pub(super) async fn until_idle(&self) -> Result<(), Problem> {
        let end = Instant::now() + OPERATION;
        while let Some(why) = self.is_busy() {
            if Instant::now() >= end {
                return Err(Problem::from(format!("{why}, and has been for too long")));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// A server that has its old data, and whose receiver was stopped for a swap, receives again.
    pub(super) async fn receives_again(&self) {
        let server = &self.plan.request.server;
        let end = Instant::now() + RECEIVES;
        loop {
            let done = match self.until_idle().await {
                Ok(()) => self.receive_again().await,
                Err(Problem { why, .. }) => Err(why),
            };
            match done {
                Ok(()) => return,
                Err(why) if Instant::now() >= end => {
                    tracing::warn!(%server, why, "its receiver was not started again");
                    return;
                }
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }

    async fn receive_again(&self) -> Result<(), String> {
        let cluster = &self.watched.cluster;
        let id = self.id.clone();
        let sealed = from_store(&cluster.store, move |store| store.data(&id, SEALED)).await;
        if sealed.map_err(|error| error.to_string())?.is_none() {
            return Ok(());
        }
        let again = receive_again(cluster, &self.plan.request.server).await;
        again.map_err(|error| error.to_string())
    }
}
