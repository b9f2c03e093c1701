//! Getting the copy: it lies beside the old data when this is done, and nothing was changed.

use std::time::Duration;

use primacy_agent_api::{
    AgentClient, BuildOrder, DataSource, JobAct, JobId, JobOrder, JobPhase, JobState, OfServer,
    OfferOrder, Offered, Ticket, Transfer, WhoAmI, paths,
};
use primacy_api::RebuildPhase;
use primacy_exec::{CloneOrder, bytes_of, clone_into};
use primacy_plan::CopyMethod;
use primacy_store::Level;
use primacy_types::Millis;

use super::problem::{Left, Problem};
use super::run::Run;

/// Limit of a question to an agent.
pub(super) const ASK: Duration = Duration::from_secs(15);
/// How often it is asked how far a job is.
pub(super) const LOOK: Duration = Duration::from_millis(500);
/// An agent that is not reached for so long has lost the job.
pub(super) const LOST: Duration = Duration::from_secs(60);
/// A donor that does not answer for so long is not waited for.
const GONE: Duration = Duration::from_secs(15);
/// A ticket is good for so long.
const VALID: Millis = Millis::from_secs(60);
/// The recipient makes an empty server first.
const VALID_FOR_A_DUMP: Millis = Millis::from_secs(600);
/// The transfer fails if nothing comes for so long.
const STALL: Millis = Millis::from_secs(60);
/// How long a server may take to answer after it was started to fetch its data.
const START: Duration = Duration::from_secs(120);

impl Run {
    /// Makes the copy.
    pub(super) async fn copy(&self) -> Result<JobState, Problem> {
        let agent = self.agent()?;
        self.live.enter(RebuildPhase::Beginning);
        match self.plan.method {
            CopyMethod::Backup | CopyMethod::Dump => {
                let dumps = self.plan.method == CopyMethod::Dump;
                if dumps {
                    self.see_it_answer().await?;
                }
                let who: WhoAmI = agent.ask(paths::WHO, &(), ASK).await?;
                let donor = self.agent_of(&self.plan.donor)?;
                let ticket = Ticket::new(rand::random());
                let offer = OfferOrder {
                    server: self.plan.donor.clone(),
                    id: self.job()?,
                    ticket: ticket.clone(),
                    recipient: who.name,
                    valid: if dumps { VALID_FOR_A_DUMP } else { VALID },
                    rate: self.plan.request.rate,
                    max_lag: Some(self.plan.request.max_lag),
                    transfer: if dumps { Transfer::Dump } else { Transfer::Backup },
                };
                let offered: Offered = donor.ask(paths::OFFER, &offer, ASK * 4).await?;
                let megabytes = offered.bytes >> 20;
                self.tell(format!(
                    "{} has about {megabytes} MB ({})",
                    self.plan.donor, offered.tool
                ));
                let (from, at) = (self.plan.donor.clone(), donor.agent().clone());
                let source = match dumps {
                    true => DataSource::Dump { donor: from, agent: at, ticket },
                    false => DataSource::Backup { donor: from, agent: at, ticket },
                };
                self.build(agent, source, offered.bytes).await?;
                self.live.enter(RebuildPhase::Copying);
                self.until_ready(agent, offered.bytes).await
            }
            CopyMethod::Clone => {
                self.see_it_answer().await?;
                let cluster = &self.watched.cluster;
                let bytes = bytes_of(cluster, &self.plan.donor).await?;
                self.tell(format!("{} has about {} MB", self.plan.donor, bytes >> 20));
                let job = self.build(agent, DataSource::Clone, bytes).await?;
                let order = CloneOrder {
                    recipient: self.plan.request.server.clone(),
                    donor: self.plan.donor.clone(),
                    directory: job.data,
                    rate: self.plan.request.rate,
                    stall: STALL,
                };
                self.live.enter(RebuildPhase::Copying);
                let cloning = clone_into(cluster, &order, |done, total| {
                    self.live.copied(done, total.max(bytes), false);
                });
                tokio::select! {
                    cloned = Box::pin(cloning) => cloned?,
                    gone = self.donor_is_gone() => return Err(gone),
                }
                self.act(agent, JobAct::Written, ASK).await?;
                self.until_ready(agent, bytes).await
            }
        }
    }

    /// What agents call it.
    fn job(&self) -> Result<JobId, Problem> {
        let id = self.id.as_str();
        id.parse().map_err(|error| Problem::from(format!("the operation's id {id:?}: {error}")))
    }

    async fn build(
        &self,
        agent: &AgentClient,
        source: DataSource,
        bytes: u64,
    ) -> Result<JobState, Problem> {
        let order = BuildOrder {
            server: self.plan.request.server.clone(),
            id: self.job()?,
            source,
            bytes,
            stall: STALL,
        };
        Ok(agent.ask(paths::BUILD, &order, ASK).await?)
    }

    /// A server that clones does it itself; of one that is loaded program and settings are asked.
    async fn see_it_answer(&self) -> Result<(), Problem> {
        let (cluster, server) = (&self.watched.cluster, &self.plan.request.server);
        if cluster.eyes.look(ASK).await.live(server).is_some() {
            return Ok(());
        }
        let not = |why: String| {
            Problem::from(format!(
                "{server} does not answer, and could not be started for its new data: {why}. If its \
                 data is lost, initialise an empty data directory there (mysqld --initialize), start \
                 it with the manager's account, and try again"
            ))
        };
        let Some(host) = cluster.hosts.of(server) else {
            return Err(not("its host is not reached".to_owned()));
        };
        host.start(START).await.map_err(|error| not(error.to_string()))?;
        let end = tokio::time::Instant::now() + START;
        while cluster.eyes.look(ASK).await.live(server).is_none() {
            if tokio::time::Instant::now() >= end {
                return Err(not("it does not answer after its start".to_owned()));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Resolves when the donor has not answered for a while: the recipient's server would go on trying
    /// for minutes.
    async fn donor_is_gone(&self) -> Problem {
        let (eyes, donor) = (&self.watched.cluster.eyes, &self.plan.donor);
        let mut seen = tokio::time::Instant::now();
        while seen.elapsed() < GONE {
            if eyes.remembered().live(donor).is_some() {
                seen = tokio::time::Instant::now();
            }
            tokio::time::sleep(LOOK).await;
        }
        Problem::from(format!("the donor {donor} does not answer any more"))
    }

    /// Waits for the copy, and says how far it is.
    async fn until_ready(&self, agent: &AgentClient, total: u64) -> Result<JobState, Problem> {
        let mut tenth = 0;
        let seen = |job: &JobState| {
            match job.phase {
                JobPhase::Receiving => {
                    self.live.copied(job.bytes, total, job.paused);
                    let now = (job.bytes * 10).checked_div(total).unwrap_or(0).min(9);
                    if now > tenth {
                        tenth = now;
                        let view = self.live.view();
                        let (done, rate) = (job.bytes >> 20, view.rate >> 20);
                        self.tell(format!(
                            "{done} MB of about {} MB are copied, {rate} MB a second",
                            total >> 20
                        ));
                    }
                }
                JobPhase::Preparing => self.live.enter(RebuildPhase::Preparing),
                _ => {}
            }
            job.phase == JobPhase::Ready
        };
        self.until(agent, seen).await
    }

    /// Asks how far the job is until `done` says so of its state.
    pub(super) async fn until(
        &self,
        agent: &AgentClient,
        mut done: impl FnMut(&JobState) -> bool,
    ) -> Result<JobState, Problem> {
        let order = OfServer { server: self.plan.request.server.clone(), limit: Millis::from(ASK) };
        let id = self.job()?;
        let mut heard = tokio::time::Instant::now();
        let mut said = None;
        loop {
            match agent.ask::<Option<JobState>>(paths::JOB_STATE, &order, ASK).await {
                Ok(Some(job)) if job.id == id => {
                    heard = tokio::time::Instant::now();
                    if job.phase == JobPhase::Failed {
                        return Err(Problem::of_failed(&job));
                    }
                    if done(&job) {
                        return Ok(job);
                    }
                    // It waits for something.
                    if job.error.is_some() && job.error != said {
                        let hangs = job.waits_for_its_server();
                        let level = if hangs { Level::Alarm } else { Level::Info };
                        self.told(level, job.error.clone().unwrap_or_default());
                        said = job.error;
                    }
                }
                Ok(_) => {
                    let agent = agent.agent();
                    let why = format!("the agent {agent} knows nothing of this rebuild any more");
                    return Err(Problem::with(Left::Forgotten, why));
                }
                Err(error) if heard.elapsed() < LOST => {
                    tracing::debug!(%error, "the job is asked for again");
                }
                Err(error) => return Err(Problem::with(Left::Unreached, error.to_string())),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Has the recipient's agent do something with the job.
    pub(super) async fn act(
        &self,
        agent: &AgentClient,
        act: JobAct,
        limit: Duration,
    ) -> Result<JobState, Problem> {
        let order = JobOrder {
            server: self.plan.request.server.clone(),
            id: self.job()?,
            act,
            limit: Millis::from(limit),
        };
        Ok(agent.ask(paths::JOB, &order, ASK).await?)
    }
}
