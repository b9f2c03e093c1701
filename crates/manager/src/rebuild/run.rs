//! One rebuild from its beginning to its end.

use std::sync::Arc;
use std::time::Duration;

use primacy_agent_api::{AgentClient, JobAct, JobPhase, JobState};
use primacy_api::RebuildPhase;
use primacy_exec::{Copied, be_itself, end_clone, join_rebuilt, rebuild_has_joined};
use primacy_failpoint as failpoint;
use primacy_plan::{CopyMethod, RebuildPlan};
use primacy_store::{Level, OperationId, Outcome};
use primacy_types::{Address, ChannelStatus, TransactionSet};
use tokio::time::Instant;

use super::copy::{LOOK, LOST};
use super::live::Live;
use super::mark::{note_old, unjoined};
use super::problem::{Left, Problem};
use super::turn::OPERATION;
use crate::chores::Turn;
use crate::service::from_store;
use crate::setup::Watched;
use crate::supervisor::Handle;

/// Limit of shutting the server down, and of its start with the new data.
const RESTART: Duration = Duration::from_secs(600);
/// How long an agent that is not reached in the midst of a swap is waited for.
const GIVEN_UP: Duration = Duration::from_secs(24 * 3600);
/// How often joining is tried before the old data is put back.
const TRIES: u32 = 3;
/// Where the settings of the server's replication are on record, as they were with its old data.
const CHANNEL: &str = "channel";

/// What a rebuild needs while it runs.
pub(super) struct Run {
    pub(super) watched: Arc<Watched>,
    pub(super) handle: Handle,
    pub(super) live: Arc<Live>,
    pub(super) plan: RebuildPlan,
    pub(super) id: OperationId,
}

impl Run {
    pub(super) fn tell(&self, text: String) {
        self.told(Level::Info, text);
    }

    pub(super) fn told(&self, level: Level, text: String) {
        let cluster = &self.watched.cluster;
        cluster.chronicle.tell(&cluster.name, Some(&self.id), level, text);
    }

    pub(super) fn agent_of(&self, server: &Address) -> Result<&Arc<AgentClient>, Problem> {
        self.watched
            .agents
            .get(server)
            .ok_or_else(|| Problem::from(format!("the agent of {server} is not known")))
    }

    pub(super) fn agent(&self) -> Result<&Arc<AgentClient>, Problem> {
        self.agent_of(&self.plan.request.server)
    }

    /// Runs it, or goes on with it; what came of it is on record afterwards.
    pub(super) async fn through(self, resumed: bool) {
        let done = match resumed {
            false => Box::pin(self.whole()).await,
            true => Box::pin(self.rest()).await,
        };
        let (outcome, level, sentence) = match done {
            Ok(sentence) => (Outcome::Done, Level::Notice, sentence),
            Err((outcome, Problem { why, left })) => {
                let server = &self.plan.request.server;
                let text = match (outcome, left) {
                    (Outcome::BackedOut, _) => {
                        self.receives_again().await;
                        format!("{server} was not rebuilt and has the data that it had: {why}")
                    }
                    (_, Left::Down) => {
                        self.note_old().await;
                        format!("{server} was not rebuilt, and does not run: {why}")
                    }
                    _ if self.has_joined().await => {
                        format!("{server} has its new data and replicates: {why}")
                    }
                    _ => format!(
                        "the rebuild of {server} failed half way: {why}. Until it is rebuilt again it \
                         is neither promoted nor brought back"
                    ),
                };
                let level = if outcome == Outcome::Failed { Level::Alarm } else { Level::Warning };
                (outcome, level, text)
            }
        };
        failpoint::hit("before", "rebuild-end");
        self.told(level, sentence.clone());
        let cluster = &self.watched.cluster;
        cluster.chronicle.flush().await;
        let (store, id, at, said) =
            (cluster.store.clone(), self.id.clone(), cluster.clock.wall(), sentence.clone());
        let written =
            tokio::task::spawn_blocking(move || store.finish(&id, outcome, &said, at)).await;
        if let Ok(Err(error)) = written {
            tracing::error!(%error, "the end of a rebuild could not be written down");
        }
        self.see_mark().await;
        self.live.finish(outcome, &sentence);
    }

    async fn whole(&self) -> Result<String, (Outcome, Problem)> {
        let copied = tokio::select! {
            copied = Box::pin(self.copy()) => copied,
            () = self.live.cancelled.cancelled() => Err(Problem::new("it was cancelled")),
        };
        let job = match copied {
            Ok(job) => job,
            Err(problem) => {
                self.give_up_the_copy().await;
                return Err((Outcome::BackedOut, problem));
            }
        };
        self.tell("the copy is complete; the old data is still in place".to_owned());
        self.put_in_place(&job).await
    }

    async fn give_up_the_copy(&self) {
        let Ok(agent) = self.agent() else { return };
        if self.plan.method == CopyMethod::Clone
            && let Err(error) = end_clone(&self.watched.cluster, &self.plan.request.server).await
        {
            tracing::warn!(%error, "rebuild");
        }
        if let Err(problem) = self.act(agent, JobAct::Cancel, LOOK).await {
            tracing::debug!(why = problem.why, "nothing was cancelled");
        }
    }

    /// From here on the server itself is changed.
    async fn put_in_place(&self, job: &JobState) -> Result<String, (Outcome, Problem)> {
        let (turn, agent) = match self.is_ready_to_swap().await {
            Ok(ready) => ready,
            Err(problem) => {
                self.give_up_the_copy().await;
                return Err((Outcome::BackedOut, problem));
            }
        };
        failpoint::hit("before", "rebuild-swap");
        // Its answer may be lost: the state says what came of it.
        let ordered = self.act(agent, JobAct::Swap, RESTART).await;
        if let Err(Problem { why, .. }) = &ordered {
            tracing::warn!(why, "the order to swap had no answer");
        }
        failpoint::hit("after", "rebuild-swap");
        let mut turn = Some(turn);
        let swapped = self.settled(agent, &mut turn).await?;
        drop(turn);
        if swapped.phase != JobPhase::Swapped {
            self.give_up_the_copy().await;
            let not = || Problem::from(format!("its agent did not begin: {:?}", swapped.phase));
            return Err((Outcome::BackedOut, ordered.err().unwrap_or_else(not)));
        }
        let gtid = swapped.gtid.clone().or_else(|| job.gtid.clone());
        self.join(agent, &swapped, gtid).await
    }

    /// Nothing stands against the swap any more, and it is on record that it may happen.
    async fn is_ready_to_swap(&self) -> Result<(Turn, &Arc<AgentClient>), Problem> {
        let (turn, mark) = self.its_turn().await?;
        self.live.enter(RebuildPhase::Swapping);
        self.tell(format!(
            "shutting {} down to put the new data in place",
            self.plan.request.server
        ));
        let agent = self.agent()?;
        self.note_swap().await?;
        mark.keep();
        Ok((turn, agent))
    }

    /// What a swap that was ordered has come to. It may go on without us, so an agent that is not
    /// reached is waited for, and so is a server that hangs; others have their turn meanwhile.
    async fn settled(
        &self,
        agent: &AgentClient,
        turn: &mut Option<Turn>,
    ) -> Result<JobState, (Outcome, Problem)> {
        let server = &self.plan.request.server;
        let end = Instant::now() + GIVEN_UP;
        let mut waits = false;
        loop {
            let seen = |job: &JobState| {
                if job.waits_for_its_server() {
                    drop(turn.take());
                }
                job.phase.is_settled()
            };
            match self.until(agent, seen).await {
                Ok(job) => return Ok(job),
                Err(problem) if problem.left == Left::Unreached && Instant::now() < end => {
                    drop(turn.take());
                    if !waits {
                        let why = &problem.why;
                        self.told(
                            Level::Alarm,
                            format!(
                                "the data of {server} changes places, and what came of that is not \
                                 known yet: {why}; its agent is waited for"
                            ),
                        );
                    }
                    waits = true;
                }
                Err(problem) => return Err((problem.outcome(), problem)),
            }
        }
    }

    /// From now on a manager that finds this unfinished knows that data may have changed places, and
    /// what is to be known of the server before.
    async fn note_swap(&self) -> Result<(), Problem> {
        let cluster = &self.watched.cluster;
        let seen = cluster.eyes.remembered();
        let facts = seen.server(&self.plan.request.server).and_then(|seen| seen.facts.as_ref());
        let channel = facts.and_then(|facts| facts.channel(&cluster.policy.channel));
        let channel = serde_json::to_value(channel).unwrap_or_default();
        let (id, at) = (self.id.clone(), cluster.clock.wall());
        let noted = from_store(&cluster.store, move |store| {
            store.set_data(&id, CHANNEL, &channel)?;
            store.mark_no_return(&id, at)
        });
        noted.await.map_err(|error| Problem::from(error.to_string()))
    }

    async fn noted_channel(&self) -> Result<Option<ChannelStatus>, Problem> {
        let id = self.id.clone();
        let noted = from_store(&self.watched.cluster.store, move |store| store.data(&id, CHANNEL));
        let noted = noted.await.map_err(|error| Problem::from(error.to_string()))?;
        Ok(noted.and_then(|value| serde_json::from_value(value).ok()).flatten())
    }

    async fn swap_was_ordered(&self) -> bool {
        let id = self.id.clone();
        let record =
            from_store(&self.watched.cluster.store, move |store| store.operation(id.as_str()));
        record.await.is_ok_and(|record| record.past_no_return.is_some())
    }

    async fn has_joined(&self) -> bool {
        let id = self.id.clone();
        let joined = move |store| rebuild_has_joined(&store, &id);
        from_store(&self.watched.cluster.store, joined).await.unwrap_or_default()
    }

    async fn note_old(&self) {
        let id = self.id.clone();
        let noted = from_store(&self.watched.cluster.store, move |store| note_old(&store, &id));
        if let Err(error) = noted.await {
            tracing::error!(%error, "that the server has its old data could not be written down");
        }
    }

    /// Whether the server may be promoted is what the record says of it.
    async fn see_mark(&self) {
        let cluster = &self.watched.cluster;
        let (server, name) = (self.plan.request.server.clone(), cluster.name.clone());
        let read = from_store(&cluster.store, move |store| unjoined(&store, &name)).await;
        let Ok(marked) = read.map(|all| all.contains(&server)) else { return };
        self.watched.observatory.set_record(|record| {
            if marked {
                record.rebuilt.insert(server);
            } else {
                record.rebuilt.remove(&server);
            }
        });
    }

    /// Waits until this manager has the lock of the cluster, as it has soon after its start.
    async fn may_act(&self) -> Result<(), Problem> {
        let end = Instant::now() + OPERATION;
        while let Err(error) = self.watched.cluster.lock.permits() {
            if Instant::now() >= end {
                let why = format!("its new data is in place, and it does not replicate: {error}");
                return Err(Problem::with(Left::NotOld, why));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    async fn join(
        &self,
        agent: &AgentClient,
        job: &JobState,
        gtid: Option<String>,
    ) -> Result<String, (Outcome, Problem)> {
        self.live.enter(RebuildPhase::CatchingUp);
        let aside = job.aside.as_ref().map(|path| path.display().to_string());
        self.live.set_old_data(aside.clone());
        self.tell(format!("{} runs with its new data", self.plan.request.server));
        failpoint::hit("before", "rebuild-join");
        let mut sentence = match self.joined(gtid).await {
            Ok(sentence) => sentence,
            Err(problem) => return Err(self.put_back(agent, problem).await),
        };
        // From here on it may be promoted, and nothing is undone.
        self.see_mark().await;
        if let Err(Problem { why, .. }) = self.itself().await {
            let server = &self.plan.request.server;
            self.told(Level::Alarm, format!("{server} has its new data and had caught up: {why}"));
            sentence = format!("{sentence}; but {why}");
        }
        failpoint::hit("after", "rebuild-join");
        let remove = self.plan.request.remove_old;
        let act = if remove { JobAct::Remove } else { JobAct::Keep };
        let server = &self.plan.request.server;
        let removed = self.removed(agent, act).await;
        let gone = removed.is_ok();
        let old = match (removed, aside) {
            (Ok(()), _) if remove => "; its old data was removed".to_owned(),
            (Ok(()), Some(aside)) => {
                format!("; its old data is kept in {aside} on its host, and may be removed")
            }
            (Ok(()), None) => String::new(),
            (Err(Problem { why, .. }), aside) => {
                let aside = aside.unwrap_or_default();
                format!("; what becomes of its old data in {aside} was not settled: {why}")
            }
        };
        if remove && gone {
            self.live.set_old_data(None);
        }
        Ok(format!("{server} was rebuilt from {}: {sentence}{old}", self.plan.donor))
    }

    async fn itself(&self) -> Result<(), Problem> {
        self.until_idle().await?;
        let cluster = &self.watched.cluster;
        Ok(be_itself(cluster, &self.id, &self.plan.request.server).await?)
    }

    async fn joined(&self, gtid: Option<String>) -> Result<String, Problem> {
        let holds = gtid.map(|text| position(&text)).transpose()?;
        let copied = Copied { holds, channel: self.noted_channel().await? };
        let cluster = &self.watched.cluster;
        let mut tries = 0;
        loop {
            tries += 1;
            let server = &self.plan.request.server;
            let told = |text: &str| self.tell(text.to_owned());
            let joining = join_rebuilt(cluster, &self.id, server, &copied, told);
            match Box::pin(joining).await {
                Ok(sentence) => return Ok(sentence),
                Err(error) if tries >= TRIES => return Err(error.into()),
                Err(error) => {
                    self.told(Level::Warning, format!("it is tried again: {error}"));
                    tokio::time::sleep(LOOK * 4).await;
                }
            }
        }
    }

    async fn put_back(
        &self,
        agent: &AgentClient,
        Problem { why, .. }: Problem,
    ) -> (Outcome, Problem) {
        self.told(Level::Warning, format!("the old data is to be put back: {why}"));
        // It may acknowledge by now, and hold what nobody else has.
        let mut turn = match self.spared("putting the old data back waits").await {
            Ok((turn, _mark)) => Some(turn),
            Err(Problem { why: said, .. }) => {
                let text = format!("{why}; and the old data was not put back: {said}");
                return (Outcome::Failed, Problem::with(Left::NotOld, text));
            }
        };
        let mut tries = 0;
        loop {
            tries += 1;
            failpoint::hit("before", "rebuild-back");
            let refused = self.act(agent, JobAct::PutBack, RESTART).await.err();
            failpoint::hit("after", "rebuild-back");
            match self.settled(agent, &mut turn).await {
                Err((Outcome::BackedOut, _)) => {
                    self.live.set_old_data(None);
                    return (Outcome::BackedOut, Problem::new(why));
                }
                Err((outcome, Problem { why: said, left })) => {
                    return (outcome, Problem::with(left, format!("{why}; {said}")));
                }
                // The order was lost.
                Ok(job) if job.phase == JobPhase::Swapped && tries < TRIES => {
                    tokio::time::sleep(LOOK * 4).await;
                }
                Ok(job) => {
                    let not = || Problem::from(format!("its agent says {:?}", job.phase));
                    let said = refused.unwrap_or_else(not).why;
                    let text = format!("{why}; and the old data was not put back: {said}");
                    return (Outcome::Failed, Problem::with(Left::NotOld, text));
                }
            }
        }
    }

    /// An order that may be given twice, until the agent has taken it: it may be about to be
    /// restarted.
    async fn ordered(
        &self,
        agent: &AgentClient,
        act: JobAct,
        limit: Duration,
    ) -> Result<JobState, Problem> {
        let begun = Instant::now();
        loop {
            match self.act(agent, act, limit).await {
                Err(Problem { why, .. }) if begun.elapsed() < LOST => {
                    tracing::debug!(why, ?act, "the order is given again");
                }
                other => return other,
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Ends the job, and waits until what is not needed any more is gone.
    async fn removed(&self, agent: &AgentClient, act: JobAct) -> Result<(), Problem> {
        self.ordered(agent, act, LOOK).await?;
        let ended = self.until(agent, |job| job.phase == JobPhase::Ended).await?;
        ended.error.map_or(Ok(()), |why| Err(Problem::from(why)))
    }

    /// After a restart of the manager: what the recipient's agent has, decides.
    async fn rest(&self) -> Result<String, (Outcome, Problem)> {
        self.tell("the manager was restarted in the middle of this rebuild".to_owned());
        let untouched = |problem| (Outcome::BackedOut, problem);
        if !self.swap_was_ordered().await {
            if let Ok(agent) = self.agent() {
                drop(self.until(agent, |_| true).await);
            }
            self.give_up_the_copy().await;
            let why = "the manager was restarted before the new data was put in place";
            return Err(untouched(Problem::new(why)));
        }
        let fixed = self.live.fix();
        tracing::debug!(fixed, "a rebuild goes on");
        let agent = self.agent().map_err(|Problem { why, .. }| {
            (Outcome::Failed, Problem::with(Left::Unreached, why))
        })?;
        let job = self.settled(agent, &mut None).await?;
        match job.phase {
            JobPhase::Swapped => {
                self.may_act().await.map_err(|problem| (Outcome::Failed, problem))?;
                let gtid = job.gtid.clone();
                self.join(agent, &job, gtid).await
            }
            JobPhase::Ended => {
                let old = job.aside.map(|aside| aside.display().to_string());
                self.live.set_old_data(old.clone());
                let old = match (old, job.error) {
                    (Some(old), Some(why)) => Some(format!("; its old data is in {old}: {why}")),
                    (Some(old), None) => {
                        Some(format!("; its old data is kept in {old} on its host"))
                    }
                    (None, why) => why.map(|why| format!("; {why}")),
                };
                let (server, old) = (&self.plan.request.server, old.unwrap_or_default());
                Ok(format!("{server} was rebuilt from {}{old}", self.plan.donor))
            }
            // The order never came.
            _ => {
                self.give_up_the_copy().await;
                let why = "the manager was restarted before the new data was put in place";
                Err(untouched(Problem::new(why)))
            }
        }
    }
}

/// Where a copy stands: neither flavour's sets can be read as the other's.
fn position(text: &str) -> Result<TransactionSet, Problem> {
    if let Ok(position) = text.parse() {
        return Ok(TransactionSet::MariaDb(position));
    }
    let set = text.parse().map(TransactionSet::MySql);
    set.map_err(|error| Problem::from(format!("the GTIDs of the copy cannot be read: {error}")))
}
