//! The new data takes the place of the old: the server is shut down, never killed, the directories
//! change places, and the server is started. If it does not come up, the old data is put back.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use primacy_agent_api::{Fault, FaultKind, JobAct, JobOrder, JobPhase, JobState};
use primacy_failpoint as failpoint;
use primacy_host::{HostAccess as _, HostError, LocalHost};
use primacy_types::ProcessState;
use tokio::time::Instant;

use super::job::Job;
use super::recipient::may_be_rebuilt;
use super::{Rebuilds, blocking};
use crate::served::{Served, fault};

/// How long an order waits for its outcome; the rest is asked for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is tried to log in at a server that was started.
const AGAIN: Duration = Duration::from_millis(200);
/// A server that answers so many times in a row is not shutting down.
const SERVES: u32 = 5;
/// Limit of one attempt.
const LOGIN: Duration = Duration::from_secs(2);
/// Limit of starting a server that an earlier run of the agent left shut down.
const AFTER_CRASH: Duration = Duration::from_secs(300);

impl Rebuilds {
    /// Does something with a job.
    pub(super) async fn act(
        &self,
        served: &Arc<Served>,
        order: &JobOrder,
    ) -> Result<JobState, Fault> {
        let job = self.job(&served.server).filter(|job| job.id == order.id);
        let Some(job) = job else {
            let text = format!("{}: there is no rebuild {}", served.server, order.id);
            return Err(Fault::new(FaultKind::NoFile, text));
        };
        let limit = order.limit.as_duration();
        let phase = job.state().phase;
        let wrong = || {
            let text = format!(
                "{}: the rebuild is {phase:?}: {:?} is not possible",
                served.server, order.act
            );
            Err(Fault::new(FaultKind::BadRequest, text))
        };
        match (order.act, phase) {
            (JobAct::Written, JobPhase::Receiving) => {
                let work = Arc::clone(&job);
                job.run(async move { work.complete().await });
            }
            (JobAct::Swap, JobPhase::Ready) => {
                may_be_rebuilt(served)?;
                // On record before anything is done: whoever finds it after a crash starts the
                // server again if it ran.
                job.set_ran(runs(served).await?);
                let work = Arc::clone(&job);
                work.enter(JobPhase::Stopping)
                    .map_err(|text| Fault::new(FaultKind::Other, text))?;
                job.run(async move {
                    swap(&work, limit).await;
                    Ok(())
                });
            }
            (JobAct::PutBack, JobPhase::Swapped) => {
                may_be_rebuilt(served)?;
                let work = Arc::clone(&job);
                work.enter(JobPhase::PuttingBack)
                    .map_err(|text| Fault::new(FaultKind::Other, text))?;
                job.run(async move {
                    put_back(&work, "it was asked for".to_owned(), limit).await;
                    Ok(())
                });
            }
            (JobAct::Keep | JobAct::Remove, JobPhase::Swapped) => {
                job.set_removes_old(order.act == JobAct::Remove);
                let work = Arc::clone(&job);
                // Before the first deletion: from here on nothing can be put back.
                work.enter(JobPhase::Removing)
                    .map_err(|text| Fault::new(FaultKind::Other, text))?;
                job.run(async move {
                    remove(&work).await;
                    Ok(())
                });
            }
            (JobAct::Cancel, JobPhase::Receiving | JobPhase::Preparing | JobPhase::Ready) => {
                job.cancel().await;
            }
            // A server that cloned may have gone on for a moment.
            (JobAct::Cancel, JobPhase::Failed) => job.discard().await?,
            // It was asked for before, and the answer was lost.
            (JobAct::Written, JobPhase::Ready)
            | (
                JobAct::Swap,
                JobPhase::Stopping
                | JobPhase::Late
                | JobPhase::Swapping
                | JobPhase::Starting
                | JobPhase::Swapped,
            )
            | (JobAct::PutBack, JobPhase::PuttingBack | JobPhase::Failed)
            | (JobAct::Keep | JobAct::Remove, JobPhase::Removing | JobPhase::Ended) => {}
            _ => return wrong(),
        }
        Ok(job.settled(PATIENCE).await)
    }
}

/// Brings to an end what an earlier run of the agent left in this phase.
pub(super) async fn clean_up(job: &Job, phase: JobPhase) {
    let why = "the agent was restarted in the midst of it".to_owned();
    match phase {
        JobPhase::Receiving | JobPhase::Preparing | JobPhase::Ready => job.fail(why).await,
        JobPhase::Stopping | JobPhase::Swapping | JobPhase::PuttingBack => {
            let server = &job.served.server;
            tracing::warn!(%server, ?phase, "a rebuild was interrupted: the old data is put back");
            put_back(job, why, AFTER_CRASH).await;
        }
        // It runs, or was about to, with complete data.
        JobPhase::Starting => {
            if let Err(error) = comes_up(job, AFTER_CRASH).await {
                put_back(job, error, AFTER_CRASH).await;
            }
        }
        JobPhase::Late => start_late(job, "it did not shut down in time".to_owned()).await,
        JobPhase::Removing => remove(job).await,
        JobPhase::Swapped | JobPhase::Failed | JobPhase::Ended => {}
    }
}

/// Ends a job whose new data stays. What cannot be removed is said, and left to the next rebuild.
async fn remove(job: &Job) {
    let (layout, old) = (job.layout.clone(), job.removes_old());
    failpoint::hit("before", "remove");
    let done = blocking(move || {
        layout.clear()?;
        failpoint::hit("after", "keep-clear");
        let older = layout.remove_older()?;
        if old {
            layout.remove_old()?;
        }
        Ok(older)
    });
    match done.await {
        Ok(older) => {
            let server = &job.served.server;
            if !older.is_empty() {
                tracing::info!(%server, ?older, "what earlier rebuilds kept is removed");
            }
            if old {
                job.set_aside(None);
            }
        }
        Err(fault) => job.says(format!("{}; remove what is left of it by hand", fault.text)),
    }
    failpoint::hit("before", "keep-ended");
    job.enter_anyway(JobPhase::Ended);
}

/// The whole of it; how it went is in the job's state.
async fn swap(job: &Job, limit: Duration) {
    failpoint::hit("before", "swap-stop");
    match shut_down(job, limit).await {
        Ok(()) => {}
        Err(NotDown::Late(error)) => {
            job.says(format!(
                "{error}. It is waited for, and started with its old data when it has ended; if it \
                 hangs, end its process"
            ));
            job.enter_anyway(JobPhase::Late);
            failpoint::hit("after", "swap-late");
            return start_late(job, error).await;
        }
        Err(NotDown::Unasked(error)) => {
            return job.fail(format!("nothing was changed: {error}")).await;
        }
    }
    failpoint::hit("after", "swap-stop");
    if let Err(error) = exchange(job).await {
        return put_back(job, error, limit).await;
    }
    if let Err(error) = comes_up(job, limit).await {
        put_back(job, error, limit).await;
    }
}

async fn runs(served: &Served) -> Result<bool, Fault> {
    let host = served.host_or_former(LOGIN).await?;
    let process = host.process(LOGIN).await.map_err(|error| fault(&error))?;
    Ok(!matches!(process, ProcessState::Exited { .. }))
}

/// Why a server is not down.
enum NotDown {
    /// It was told to shut down, and will at some time.
    Late(String),
    /// It goes on as it did.
    Unasked(String),
}

async fn shut_down(job: &Job, limit: Duration) -> Result<(), NotDown> {
    let host = job.served.host_or_former(LOGIN).await;
    let host = host.map_err(|fault| NotDown::Unasked(fault.text))?;
    match host.stop(limit).await {
        Ok(_) => Ok(()),
        Err(error @ HostError::StillRuns { .. }) => Err(NotDown::Late(error.to_string())),
        Err(error) => Err(NotDown::Unasked(error.to_string())),
    }
}

/// Starts a server that shut down too late. Its data was not touched.
async fn start_late(job: &Job, late: String) {
    let started = async {
        let host = job.served.host_or_former(LOGIN).await.map_err(|fault| fault.text)?;
        ends_or_serves(job, &host).await;
        host.start(AFTER_CRASH).await.map_err(|error| error.to_string())
    };
    match started.await {
        Ok(_) => {
            let text = format!("nothing was changed: {late}. It has ended since, and runs again");
            job.fail(text).await;
        }
        Err(error) => {
            let text = format!(
                "{late}. Its old data is in place, and it could not be started with it: {error}"
            );
            job.fail_down(text).await;
        }
    }
}

/// Waits until its process has ended, or whoever looks after it has started it again.
async fn ends_or_serves(job: &Job, host: &LocalHost) {
    let mut answers = 0;
    while answers < SERVES {
        match host.process(LOGIN).await {
            Ok(ProcessState::Exited { .. }) => return,
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "a server that shuts down is looked at again"),
        }
        // One that shuts down lets nobody in.
        answers = if job.served.sql.facts(LOGIN).await.is_ok() { answers + 1 } else { 0 };
        tokio::time::sleep(AGAIN).await;
    }
}

/// Has it shut down however long that takes: the old data cannot be put back before.
async fn is_down(job: &Job, host: &LocalHost, limit: Duration) -> Result<(), String> {
    loop {
        match host.stop(limit).await {
            Ok(_) => return Ok(()),
            Err(error @ HostError::StillRuns { .. }) => job.says(format!(
                "{error}. The old data is put back when it has ended; if it hangs, end its process"
            )),
            Err(error) => return Err(error.to_string()),
        }
    }
}

async fn exchange(job: &Job) -> Result<(), String> {
    job.enter(JobPhase::Swapping)?;
    let layout = job.layout.clone();
    blocking(move || layout.exchange())
        .await
        .map_err(|fault| format!("the data could not be put in place: {}", fault.text))?;
    job.set_aside(Some(job.layout.aside.clone()));
    failpoint::hit("after", "swap-exchange");
    job.enter(JobPhase::Starting)
}

/// Starts the server and waits until it answers.
async fn comes_up(job: &Job, limit: Duration) -> Result<(), String> {
    let end = Instant::now() + limit;
    let host = job.served.host_or_former(LOGIN).await.map_err(|fault| fault.text)?;
    failpoint::hit("before", "swap-start");
    host.start(limit).await.map_err(|error| format!("with the new data: {error}"))?;
    failpoint::hit("after", "swap-start");
    loop {
        match job.served.sql.facts(LOGIN).await {
            Ok(facts) => {
                // Its own option file should say so; until a manager has, nobody writes here.
                if facts.writable()
                    && let Err(error) = job.served.sql.close(LOGIN * 2).await
                {
                    return Err(format!(
                        "with the new data it could not be made read-only: {error}"
                    ));
                }
                failpoint::hit("before", "swapped");
                job.enter(JobPhase::Swapped)?;
                failpoint::hit("after", "swapped");
                return Ok(());
            }
            Err(error) if Instant::now() >= end => {
                let limit = limit.as_secs();
                return Err(format!(
                    "with the new data it does not answer within {limit} s: {error}"
                ));
            }
            Err(error) => {
                if let Ok(ProcessState::Exited { .. }) = host.process(LOGIN).await {
                    return Err(format!(
                        "with the new data it ended while it was starting ({error}); its error log \
                         says why"
                    ));
                }
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// The old data takes its place again, and the server is started if it ran.
async fn put_back(job: &Job, why: String, limit: Duration) {
    let work = async {
        // Without a record it is put back as well: a crash would only have it done again.
        if let Err(error) = job.enter(JobPhase::PuttingBack) {
            tracing::error!(error, "rebuild");
        }
        failpoint::hit("before", "back-stop");
        let host = job.served.host_or_former(LOGIN).await.map_err(|fault| fault.text)?;
        // An earlier run has put all of it back: the server may be starting with it, and MariaDB 10.11
        // can hang if it is told to shut down while it begins to replicate.
        let is_back = job.state().aside.is_some() && !job.layout.aside.exists();
        if !is_back {
            is_down(job, &host, limit).await?;
        }
        failpoint::hit("after", "back-stop");
        let layout = job.layout.clone();
        blocking(move || layout.put_back()).await.map_err(|fault| fault.text)?;
        job.set_aside(None);
        failpoint::hit("before", "back-start");
        let started = match job.ran() {
            true => host.start(limit).await.map(drop).map_err(|error| error.to_string()),
            false => Ok(()),
        };
        failpoint::hit("after", "back-start");
        Ok::<_, String>(started)
    };
    match work.await {
        Ok(Ok(())) => job.fail(format!("{why}; the old data was put back")).await,
        Ok(Err(error)) => {
            let text = format!(
                "{why}; the old data was put back, and the server could not be started with it: {error}"
            );
            job.fail_down(text).await;
        }
        Err(error) => {
            let aside: PathBuf = job.layout.aside.clone();
            // What was made is not removed here: it may be what stands in the data directory's place.
            job.fail_as_it_is(format!(
                "{why}; and the old data could not be put back: {error}. It is in {}",
                aside.display()
            ));
        }
    }
}
