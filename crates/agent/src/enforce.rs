//! Obeying the lease: asking the other agents for more time, closing the server when it runs out,
//! killing it when it does not close, and opening it again when the lease comes back in the same
//! epoch.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use primacy_agent_api::{AgentClient, Credentials, ExtendOrder, paths};
use primacy_host::HostAccess as _;
use primacy_plan::lease::{Extension, Hold, Vote};
use primacy_types::{Address, Epoch, ProcessState};

use crate::clock;
use crate::guard::GuardLink;
use crate::served::Served;

/// How often the lease is looked at.
const PACE: Duration = Duration::from_millis(25);

/// Limit of one attempt to close a server while there is time for another one.
const CLOSE: Duration = Duration::from_millis(600);

/// Connections to the agents of other servers.
#[derive(Debug)]
pub(crate) struct Others {
    credentials: Arc<Credentials>,
    known: Mutex<BTreeMap<Address, Arc<AgentClient>>>,
}

impl Others {
    pub(crate) fn new(credentials: Arc<Credentials>) -> Self {
        Self { credentials, known: Mutex::default() }
    }

    fn of(&self, agent: &Address) -> Arc<AgentClient> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Arc::new(AgentClient::new(agent.clone(), Arc::clone(&self.credentials)));
        Arc::clone(known.entry(agent.clone()).or_insert_with(fresh))
    }
}

/// Watches over the lease of one server for as long as the agent runs: tells the guard how it stands,
/// and asks for more time. Nothing here waits for anybody: the guard takes silence for a worker that
/// hangs.
pub(crate) async fn watch_over(served: Arc<Served>, others: Arc<Others>, guard: GuardLink) {
    loop {
        guard.report(&served);
        extend(&served, &others);
        tokio::time::sleep(PACE).await;
    }
}

/// Does what the lease asks for, for as long as the agent runs. A server that hangs keeps it waiting,
/// within limits; the guard does not.
pub(crate) async fn enforce(served: Arc<Served>) {
    loop {
        act(&served).await;
        tokio::time::sleep(PACE).await;
    }
}

/// Asks all voters, each in a task of its own: the answer of one does not wait for another.
fn extend(served: &Arc<Served>, others: &Arc<Others>) {
    let (question, cluster, agents) = {
        let mut state = served.state();
        // For a server that is gone nothing is gained, and a promotion would have to wait.
        if matches!(state.process, Some(ProcessState::Exited { .. })) {
            return;
        }
        let Some(question) = state.member.extension(clock::now()) else { return };
        let Some(cluster) = state.cluster.clone() else { return };
        (question, cluster, state.agents.clone())
    };
    let (extension, voters) = question;
    tracing::debug!(server = %served.server, ?voters, "no manager is heard: asking the other agents");
    for voter in voters {
        let Some(agent) = agents.get(&voter) else {
            tracing::warn!(%voter, "it must agree, but where its agent is was never said");
            continue;
        };
        let (served, agent) = (Arc::clone(served), others.of(agent));
        let (extension, cluster) = (extension.clone(), cluster.clone());
        tokio::spawn(async move { ask(&served, &agent, voter, cluster, extension).await });
    }
}

async fn ask(
    served: &Served,
    agent: &AgentClient,
    voter: Address,
    cluster: String,
    extension: Extension,
) {
    let nonce = extension.nonce;
    let order = ExtendOrder { server: voter.clone(), cluster, extension };
    // A later answer would be of no use: the next question is on its way then.
    let limit = served.times.close().as_duration() / 4;
    match agent.ask::<Vote>(paths::EXTEND, &order, limit).await {
        Ok(vote) => {
            if served.state().member.answered(nonce, &voter, &vote) {
                tracing::debug!(server = %served.server, "the other agents gave it more time");
            }
        }
        Err(error) => tracing::debug!(%voter, %error, "no answer to the question for more time"),
    }
}

/// Does what the lease asks for now.
async fn act(served: &Served) {
    let (hold, fenced) = {
        let state = served.state();
        (state.member.hold(clock::now()), state.fenced)
    };
    // What a manager fenced only a manager lets go.
    if fenced {
        served.keep_down().await;
        return close_what_is_not_down(served).await;
    }
    match hold {
        Hold::Good => reopen(served).await,
        Hold::Close => close(served, "its lease was not renewed").await,
        Hold::Kill => kill(served).await,
        Hold::Without => close_what_is_new(served).await,
    }
}

/// Has this process been dealt with already?
fn is_closed(served: &Served) -> bool {
    let process = served.current_process();
    process.is_some() && served.state().closed == process
}

async fn close(served: &Served, why: &str) {
    if is_closed(served) {
        return;
    }
    crate::addresses::give_up_all(served).await;
    let process = served.current_process();
    let (epoch, was_writable) = {
        let state = served.state();
        let writable = state.facts.as_ref().is_none_or(primacy_types::ServerFacts::writable);
        (state.member.lease().map(|lease| lease.epoch), writable)
    };
    match served.sql.close(CLOSE).await {
        Ok(ended) => {
            tracing::warn!(server = %served.server, ended, "closed to writes: {why}");
            let mut state = served.state();
            state.closed = process;
            if was_writable && state.closed_by_us.is_none() {
                state.closed_by_us = epoch;
            }
            if let Some(facts) = state.facts.as_mut() {
                facts.read_only = true;
            }
        }
        Err(error) => tracing::error!(server = %served.server, %error, "it cannot be closed"),
    }
}

async fn kill(served: &Served) {
    if is_closed(served) || served.state().killed {
        return;
    }
    // It may have become possible in the last moment, and costs little.
    let Ok(host) = served.host() else { return close(served, "its lease has run out").await };
    match host.kill_and_keep_down(Duration::from_secs(2)).await {
        Ok(killed) => {
            tracing::error!(server = %served.server, pid = ?killed.pid, "killed: it could not be closed before its lease ran out");
            served.state().killed = true;
        }
        Err(error) => tracing::error!(%error, "it could not be killed"),
    }
}

/// What a manager fenced runs all the same where it may not be killed from here: at least it accepts
/// no writes.
async fn close_what_is_not_down(served: &Served) {
    if served.state().silent.is_none() && served.current_process().is_some() {
        close(served, "a manager has fenced it").await;
    }
}

/// A server without a lease: one that was started since, or whose lease was given back, stays
/// read-only until a manager has said what it is. One that was never told so is left alone: leases
/// are not in force there.
async fn close_what_is_new(served: &Served) {
    let (told, spared) = {
        let state = served.state();
        (state.member.record().epoch > Epoch(0), state.spared.clone())
    };
    if !told || served.state().silent.is_some() || is_closed(served) {
        return;
    }
    let process = served.current_process();
    if process.is_none() {
        return;
    }
    if process == spared && served.state().member.bound(clock::now()) > primacy_types::Millis::ZERO
    {
        // It ran before the agent was restarted: a manager has a whole lease's time to renew.
        return;
    }
    let writable = match served.sql.facts(CLOSE).await {
        Ok(facts) => facts.writable(),
        Err(_) => return,
    };
    if writable {
        close(served, "it has no lease").await;
        served.state().closed_by_us = None;
    } else {
        served.state().closed = process;
    }
}

/// What our own closing took from the applications, is given back: the epoch is the same, so no
/// other server was promoted.
async fn reopen(served: &Served) {
    let (closed_by_us, epoch, killed) = {
        let state = served.state();
        let epoch = state.member.lease().map(|lease| lease.epoch);
        (state.closed_by_us, epoch, state.killed)
    };
    if killed {
        let _turn = served.fencing.lock().await;
        if served.state().fenced {
            return;
        }
        if let Ok(host) = served.host()
            && host.release().await.is_ok()
        {
            served.state().killed = false;
        }
        return;
    }
    let same_process = is_closed(served);
    if closed_by_us.is_none() || closed_by_us != epoch || !same_process {
        let mut state = served.state();
        state.closed_by_us = None;
        if epoch.is_some() {
            state.closed = None;
        }
        return;
    }
    let Some(epoch) = epoch else { return };
    if served.may_open(epoch).is_err() {
        return;
    }
    match served.sql.open(CLOSE).await {
        Ok(()) => {
            tracing::warn!(server = %served.server, "open again: its lease is renewed in the same epoch");
            let mut state = served.state();
            state.closed_by_us = None;
            state.closed = None;
            if let Some(facts) = state.facts.as_mut() {
                facts.read_only = false;
                facts.super_read_only = facts.super_read_only.map(|_| false);
            }
        }
        Err(error) => tracing::error!(server = %served.server, %error, "it cannot be opened again"),
    }
}
