//! One rebuild of a server of this host, and its record on disk: written before each thing that
//! changes a directory's name, so that whoever finds it after a crash knows what is where.

use std::fs::{self, File};
use std::future::Future;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use primacy_agent_api::{Fault, FaultKind, JobId, JobPhase, JobState};
use primacy_failpoint as failpoint;
use primacy_types::Address;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::layout::Layout;
use super::{Rebuilds, blocking, private};
use crate::served::Served;

/// How often it is tried to remove what was made, and how long apart.
const CLEARINGS: u32 = 10;
const CLEAR_AGAIN: Duration = Duration::from_millis(100);

/// What is on disk of a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) server: Address,
    pub(super) state: JobState,
    pub(super) layout: Layout,
    /// Its server ran when the swap began.
    pub(super) ran: bool,
    /// At its end the old data is removed.
    #[serde(default)]
    pub(super) removes_old: bool,
}

/// One job.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: JobId,
    pub(super) served: Arc<Served>,
    pub(super) layout: Layout,
    file: PathBuf,
    record: Mutex<Record>,
    /// One change of what is on disk at a time.
    writing: Mutex<()>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Job {
    pub(super) fn begin(
        rebuilds: &Rebuilds,
        served: Arc<Served>,
        id: JobId,
        layout: Layout,
    ) -> Result<Arc<Self>, Fault> {
        let state = JobState {
            id,
            phase: JobPhase::Receiving,
            bytes: 0,
            paused: false,
            data: layout.fresh.clone(),
            aside: None,
            gtid: None,
            old_data_in_place: true,
            error: None,
        };
        let record =
            Record { server: served.server.clone(), state, layout, ran: false, removes_old: false };
        let job = Arc::new(Self::of(rebuilds.file_of(&served.server), served, record));
        let record = job.record().clone();
        job.write(&record).map_err(|text| Fault::new(FaultKind::Other, text))?;
        Ok(job)
    }

    pub(super) fn of(file: PathBuf, served: Arc<Served>, record: Record) -> Self {
        Self {
            id: record.state.id,
            served,
            layout: record.layout.clone(),
            file,
            record: Mutex::new(record),
            writing: Mutex::default(),
            task: Mutex::default(),
        }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> JobState {
        self.record().state.clone()
    }

    pub(super) fn ran(&self) -> bool {
        self.record().ran
    }

    pub(super) fn set_ran(&self, ran: bool) {
        self.record().ran = ran;
    }

    pub(super) fn removes_old(&self) -> bool {
        self.record().removes_old
    }

    /// Goes on record with the phase that is entered next, like what else is set here.
    pub(super) fn set_removes_old(&self, removes: bool) {
        self.record().removes_old = removes;
    }

    /// What it waits for, or what went wrong.
    pub(super) fn says(&self, text: String) {
        tracing::warn!(server = %self.served.server, id = %self.id, text, "rebuild");
        self.record().state.error = Some(text);
    }

    pub(super) fn came(&self, bytes: u64) {
        let state = &mut self.record().state;
        state.bytes += bytes;
        state.paused = false;
    }

    pub(super) fn paused(&self) {
        self.record().state.paused = true;
    }

    pub(super) fn found(&self, gtid: String) {
        self.record().state.gtid = Some(gtid);
    }

    pub(super) fn set_aside(&self, aside: Option<PathBuf>) {
        self.record().state.aside = aside;
    }

    /// From now on this is what is done: first on disk, then for whoever asks.
    pub(super) fn enter(&self, phase: JobPhase) -> Result<(), String> {
        tracing::info!(server = %self.served.server, id = %self.id, ?phase, "rebuild");
        let turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut record = self.record().clone();
        record.state.phase = phase;
        record.state.paused = false;
        // From the exchange on, until it is known to be back.
        if phase == JobPhase::Swapping {
            record.state.old_data_in_place = false;
        }
        self.write(&record)?;
        let state = &mut self.record().state;
        state.phase = phase;
        state.paused = false;
        state.old_data_in_place = record.state.old_data_in_place;
        drop(turn);
        Ok(())
    }

    fn write(&self, record: &Record) -> Result<(), String> {
        // The lease of the server is obeyed meanwhile, however long the disk takes.
        tokio::task::block_in_place(|| write(&self.file, record)).map_err(|error| {
            format!("the record {} could not be written: {error}", self.file.display())
        })
    }

    /// Runs work that takes long; what it fails with is the job's error.
    pub(super) fn run(
        self: &Arc<Self>,
        work: impl Future<Output = Result<(), String>> + Send + 'static,
    ) {
        let job = Arc::clone(self);
        let task = tokio::spawn(async move {
            if let Err(error) = work.await {
                job.fail(error).await;
            }
        });
        let mut held = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(former) = held.replace(task) {
            former.abort();
        }
    }

    /// The old data is in place, and the server runs with it if it ran: what was made is removed.
    pub(super) async fn fail(&self, error: String) {
        self.fail_cleared(error, true).await;
    }

    /// The same, but the server does not run.
    pub(super) async fn fail_down(&self, error: String) {
        self.fail_cleared(error, false).await;
    }

    async fn fail_cleared(&self, error: String, old_data_serves: bool) {
        tracing::error!(server = %self.served.server, id = %self.id, error, "the rebuild failed");
        let layout = self.layout.clone();
        let clear = move || {
            private::end_strays(&layout.fresh);
            // A program that was killed may write for a moment yet.
            for _ in 0..CLEARINGS {
                if layout.clear().is_ok() {
                    return Ok(());
                }
                std::thread::sleep(CLEAR_AGAIN);
            }
            layout.clear()
        };
        let cleared = blocking(clear).await;
        failpoint::hit("after", "failed-clear");
        let mut text = error;
        if let Err(fault) = cleared {
            let what = self.layout.making.display();
            text = format!("{text}; and {what} could not be removed: {}", fault.text);
        }
        self.ends_failed(text, old_data_serves);
    }

    fn ends_failed(&self, error: String, old_data_in_place: bool) {
        {
            let state = &mut self.record().state;
            (state.error, state.old_data_in_place) = (Some(error), old_data_in_place);
        }
        self.enter_anyway(JobPhase::Failed);
    }

    /// A full disk: whoever asks is told all the same.
    pub(super) fn enter_anyway(&self, phase: JobPhase) {
        if let Err(error) = self.enter(phase) {
            tracing::error!(error, "rebuild");
            self.record().state.phase = phase;
        }
    }

    /// The old data is not in its place, but aside: nothing is removed.
    pub(super) fn fail_as_it_is(&self, error: String) {
        tracing::error!(server = %self.served.server, id = %self.id, error, "the rebuild failed");
        self.set_aside(Some(self.layout.aside.clone()));
        self.ends_failed(error, false);
    }

    /// All of the new data is there: it is made this server's own.
    pub(super) async fn complete(&self) -> Result<(), String> {
        let layout = self.layout.clone();
        blocking(move || layout.finish())
            .await
            .map_err(|fault| format!("the new data could not be made ready: {}", fault.text))?;
        self.enter(JobPhase::Ready)
    }

    /// Ends what runs, and waits until it has ended.
    pub(super) async fn stop(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
            drop(task.await);
        }
    }

    /// Gives up a job of which only the new data exists; goes on if whoever asked for it does not wait.
    pub(super) async fn cancel(self: &Arc<Self>) {
        let job = Arc::clone(self);
        let work = tokio::spawn(async move {
            job.stop().await;
            job.fail("it was cancelled".to_owned()).await;
        });
        if let Err(error) = work.await {
            tracing::error!(%error, "rebuild");
        }
    }

    /// Makes room for another job: what was made and not used is removed, what is in place stays.
    pub(super) async fn discard(&self) -> Result<(), Fault> {
        if self.state().phase.is_settled() {
            self.stop().await;
            let layout = self.layout.clone();
            blocking(move || layout.clear()).await?;
        }
        Ok(())
    }

    /// Waits until nothing happens any more by itself, no longer than `limit`.
    pub(super) async fn settled(&self, limit: Duration) -> JobState {
        let end = tokio::time::Instant::now() + limit;
        loop {
            let state = self.state();
            if state.phase.is_settled() || tokio::time::Instant::now() >= end {
                return state;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn write(path: &Path, record: &Record) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh)?;
    file.write_all(&serde_json::to_vec_pretty(record)?)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    let folder = path.parent().map(File::open).transpose()?;
    folder.map_or(Ok(()), |folder| folder.sync_all())
}

/// What an earlier run of the agent left.
pub(super) fn read(path: &Path) -> std::io::Result<Option<Record>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(Into::into),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
