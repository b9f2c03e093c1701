//! Building a server's data anew from that of another one, as far as hosts have to do with it:
//! giving a copy for a manager's ticket, making new data from it beside the old, and letting the
//! two change places. Replication is the manager's affair.

mod clients;
mod donor;
mod dump;
mod flow;
mod job;
mod layout;
mod load;
mod private;
mod recipient;
mod swap;
mod tools;
mod transfer;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use primacy_agent_api::{
    BackupOrder, BuildOrder, CopyTools, Credentials, Fault, FaultKind, JobOrder, JobState,
    OfServer, OfferOrder, Offered,
};
use primacy_certs::Peer;
use primacy_types::Address;

use self::donor::Offer;
use self::job::Job;
use crate::Agent;
use crate::routes::{Answer, Refused, served};
use crate::served::Served;

/// What an agent knows of rebuilds.
#[derive(Debug)]
pub(crate) struct Rebuilds {
    folder: PathBuf,
    credentials: Arc<Credentials>,
    offers: Mutex<Vec<Offer>>,
    jobs: Mutex<BTreeMap<Address, Arc<Job>>>,
}

impl Rebuilds {
    pub(crate) fn new(folder: &Path, credentials: Arc<Credentials>) -> Self {
        donor::remove_left_over(folder);
        Self {
            folder: folder.to_owned(),
            credentials,
            offers: Mutex::default(),
            jobs: Mutex::default(),
        }
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn credentials(&self) -> Arc<Credentials> {
        Arc::clone(&self.credentials)
    }

    fn offers(&self) -> MutexGuard<'_, Vec<Offer>> {
        self.offers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn job(&self, server: &Address) -> Option<Arc<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).get(server).cloned()
    }

    fn set_job(&self, job: Arc<Job>) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.insert(job.served.server.clone(), job);
    }

    /// The record of a server's last job.
    fn file_of(&self, server: &Address) -> PathBuf {
        let host = server.host().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        self.folder.join(format!("rebuild-{host}-{}.json", server.port()))
    }

    /// Takes note of what an earlier run of the agent left, before any order is taken, and brings it
    /// to an end beside that: until then no other rebuild of the server begins.
    pub(crate) fn recover(self: &Arc<Self>, served: &Arc<Served>) {
        let file = self.file_of(&served.server);
        match job::read(&file) {
            Ok(Some(record)) => {
                let phase = record.state.phase;
                let job = Arc::new(Job::of(file, Arc::clone(served), record));
                self.set_job(Arc::clone(&job));
                tokio::spawn(async move { swap::clean_up(&job, phase).await });
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(server = %served.server, %error, "the record of its last rebuild cannot be read");
            }
        }
    }
}

/// Runs what waits for a disk on a thread for that.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Fault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| Fault::new(FaultKind::Other, error.to_string())),
        Err(failed) => Err(Fault::new(FaultKind::Other, failed.to_string())),
    }
}

type Shared = Arc<Agent>;

pub(crate) async fn offer(
    State(agent): State<Shared>,
    Json(order): Json<OfferOrder>,
) -> Answer<Offered> {
    let served = Arc::clone(served(&agent, &order.server)?);
    Ok(Json(agent.rebuilds.offer(&served, order).await?))
}

/// The only request of these that an agent may make, and only with a ticket.
pub(crate) async fn backup(
    State(agent): State<Shared>,
    Extension(peer): Extension<Arc<Peer>>,
    Json(order): Json<BackupOrder>,
) -> Result<Body, Refused> {
    let served = Arc::clone(served(&agent, &order.server)?);
    Ok(agent.rebuilds.give(served, &peer, &order)?)
}

/// What the server could be copied with here.
pub(crate) async fn copy_tools(
    State(agent): State<Shared>,
    Json(order): Json<OfServer>,
) -> Answer<CopyTools> {
    let served = Arc::clone(served(&agent, &order.server)?);
    let version = served.state().facts.as_ref().map(|facts| facts.version);
    let no_backup = match version.filter(|version| version.is_mariadb()) {
        Some(version) => tools::usable(version).await.err().map(|fault| fault.text),
        None => None,
    };
    Ok(Json(CopyTools { no_backup }))
}

pub(crate) async fn build(
    State(agent): State<Shared>,
    Json(order): Json<BuildOrder>,
) -> Answer<JobState> {
    let served = Arc::clone(served(&agent, &order.server)?);
    Ok(Json(agent.rebuilds.build(&served, order).await?))
}

pub(crate) async fn act(
    State(agent): State<Shared>,
    Json(order): Json<JobOrder>,
) -> Answer<JobState> {
    let served = Arc::clone(served(&agent, &order.server)?);
    Ok(Json(agent.rebuilds.act(&served, &order).await?))
}

pub(crate) async fn state(
    State(agent): State<Shared>,
    Json(order): Json<OfServer>,
) -> Answer<Option<JobState>> {
    let served = served(&agent, &order.server)?;
    Ok(Json(agent.rebuilds.job(&served.server).map(|job| job.state())))
}
