//! One server of this host: its process, its lease, and whether it may accept writes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use primacy_agent_api::{Fault, FaultKind, LeaseState, Watched};
use primacy_host::{HostAccess, HostError, LocalHost, ServerIdentity};
use primacy_plan::lease::{HeldLease, Hold, LeaseRefusal, LeaseTimes, Member};
use primacy_types::{Address, ProcessState, ServerFacts, VirtualAddress};
use tokio::sync::watch;

use crate::logs::Logs;
use crate::record::{RecordFile, ServerRecord};
use crate::sql::Sql;
use crate::{ServedOptions, clock};

/// How often a server is looked for and asked what it is.
const LOOK: Duration = Duration::from_secs(1);

/// Limit of one look.
const LIMIT: Duration = Duration::from_secs(2);

/// A process of the server: boot, pid and start time.
pub(crate) type ProcessId = (String, u32, u64);

/// A server that the agent looks after.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) server: Address,
    pub(crate) sql: Sql,
    pub(crate) login: primacy_wire::ConnectOptions,
    pub(crate) times: LeaseTimes,
    state: Mutex<State>,
    exits: watch::Sender<(u64, Option<ProcessState>)>,
    record: Arc<Mutex<RecordFile>>,
    boot: String,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) member: Member,
    pub(crate) host: Option<Arc<LocalHost>>,
    /// What the server said of itself last.
    pub(crate) facts: Option<ServerFacts>,
    /// Why it does not answer now.
    pub(crate) silent: Option<String>,
    pub(crate) process: Option<ProcessState>,
    pub(crate) guarded: bool,
    pub(crate) cluster: Option<String>,
    /// Addresses that the primary's host holds.
    pub(crate) vips: Vec<VirtualAddress>,
    pub(crate) take_over: bool,
    /// Those that this host holds now, and why not all of them.
    pub(crate) held: BTreeSet<VirtualAddress>,
    pub(crate) vip_problem: Option<String>,
    pub(crate) agents: BTreeMap<Address, Address>,
    /// The process that ran when the agent was started, if it is the one that ran before: it is
    /// not closed before a manager had time to say what it is.
    pub(crate) spared: Option<ProcessId>,
    /// The process that was last closed, or seen read-only, without a lease.
    pub(crate) closed: Option<ProcessId>,
    /// Our own closing made it read-only: it is opened again if its lease comes back in this epoch.
    pub(crate) closed_by_us: Option<primacy_types::Epoch>,
    /// A process that was killed because it could not be closed.
    pub(crate) killed: bool,
    /// The agent is about to end.
    pub(crate) parting: bool,
    /// A manager was told so, and (by asking again) has read it.
    pub(crate) farewell_told: bool,
    pub(crate) farewell_heard: bool,
}

impl Served {
    pub(crate) fn new(
        options: &ServedOptions,
        times: LeaseTimes,
        record: Arc<Mutex<RecordFile>>,
        kept: Option<HeldLease>,
    ) -> Self {
        let now = clock::now();
        let known = record.lock().unwrap_or_else(PoisonError::into_inner).of(&options.server);
        // Differs from run to run: milliseconds since boot, with room for a thousand a second.
        let first_nonce = now.0.saturating_mul(1000);
        let member = Member::new(options.server.clone(), times, known.member, first_nonce, now);
        let member = match kept {
            Some(lease) => member.holding(lease),
            None => member,
        };
        let boot = clock::boot_id();
        let spared = known.process.filter(|(on, ..)| *on == boot);
        let state = State {
            member,
            host: None,
            facts: None,
            silent: Some("it was not asked yet".to_owned()),
            process: None,
            guarded: false,
            cluster: None,
            vips: known.vips,
            take_over: false,
            held: BTreeSet::new(),
            vip_problem: None,
            agents: BTreeMap::new(),
            spared,
            closed: None,
            closed_by_us: None,
            killed: false,
            parting: false,
            farewell_told: false,
            farewell_heard: false,
        };
        Self {
            server: options.server.clone(),
            sql: Sql::new(options.login.clone()),
            login: options.login.clone(),
            times,
            state: Mutex::new(state),
            exits: watch::Sender::new((0, None)),
            record,
            boot,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down what must not be forgotten: before an answer that rests on it leaves.
    pub(crate) fn keep(&self) -> Result<(), Fault> {
        let record = {
            let state = self.state();
            let host = state.host.as_ref().and_then(|host| host.process_id());
            let process = host.map(|(pid, started)| (self.boot.clone(), pid, started));
            ServerRecord {
                member: state.member.record(),
                vips: state.vips.clone(),
                process: process.or(state.spared.clone()),
            }
        };
        let mut file = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        file.keep(&self.server, &record).map_err(|error| {
            let text = format!("what was decided could not be written down here: {error}");
            Fault::new(FaultKind::Other, text)
        })
    }

    /// How it stands, for a manager.
    pub(crate) fn lease_state(&self, said: Result<u64, LeaseRefusal>) -> LeaseState {
        let now = clock::now();
        let mut state = self.state();
        state.farewell_told |= state.parting;
        LeaseState {
            nonce: said.as_ref().copied().unwrap_or_default(),
            refused: said.err(),
            ttl: self.times.ttl,
            hold: state.member.hold(now),
            lease: state.member.lease().cloned(),
            epoch: state.member.record().epoch,
            bound: state.member.bound(now),
            guarded: state.guarded && !state.parting,
            writable: state
                .facts
                .as_ref()
                .filter(|_| state.silent.is_none())
                .map(ServerFacts::writable),
            process: state.process,
            vips: state.held.iter().cloned().collect(),
            vip_problem: state.vip_problem.clone(),
        }
    }

    /// Access to the process and files, once the server has said what it is.
    pub(crate) fn host(&self) -> Result<Arc<LocalHost>, Fault> {
        self.state().host.clone().ok_or_else(|| {
            let text = format!("the process of {} was not found on this host yet", self.server);
            Fault::new(FaultKind::Server, text)
        })
    }

    pub(crate) fn logs(&self) -> Logs {
        match &self.state().facts {
            Some(facts) => Logs::new(
                &facts.data_dir,
                [facts.binlog_base.as_str(), facts.relay_log_base.as_str()],
            ),
            None => Logs::default(),
        }
    }

    /// The process that runs now.
    pub(crate) fn current_process(&self) -> Option<ProcessId> {
        let host = self.state().host.clone()?;
        let (pid, started) = host.process_id()?;
        Some((self.boot.clone(), pid, started))
    }

    /// Looks at the server for as long as the agent runs: what it says of itself, and its process.
    pub(crate) async fn look_after(&self) {
        loop {
            self.look().await;
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(crate) async fn look(&self) {
        match self.sql.facts(LIMIT).await {
            Ok(facts) => {
                let identity = identity(&self.server, &facts);
                {
                    let mut state = self.state();
                    state.silent = None;
                    state.facts = Some(facts);
                }
                if self.state().host.is_none() {
                    match LocalHost::find(&identity, LIMIT).await {
                        Ok(Some(host)) => self.state().host = Some(Arc::new(host)),
                        Ok(None) => {
                            tracing::warn!(server = %self.server, "its process is not on this host: is this the right address?");
                        }
                        Err(error) => tracing::warn!(%error, "its process was not found"),
                    }
                }
            }
            Err(error) => {
                let text = error.to_string();
                let mut state = self.state();
                if state.silent.as_ref() != Some(&text) {
                    tracing::warn!(server = %self.server, %error, "it cannot be asked");
                    state.silent = Some(text);
                }
            }
        }
        let host = self.state().host.clone();
        if let Some(host) = host
            && let Ok(process) = host.process(LIMIT).await
        {
            self.state().process = Some(process);
        }
        if let Err(fault) = self.keep() {
            tracing::error!(%fault, "the state folder");
        }
    }

    /// Counts the exits of the server's process.
    pub(crate) async fn watch_exits(&self) {
        loop {
            let host = self.state().host.clone();
            let Some(host) = host else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let exited = host.exited().await;
            tracing::warn!(server = %self.server, ?exited, "its process has ended");
            {
                let mut state = self.state();
                state.process = Some(exited);
                state.silent = Some("its process has ended".to_owned());
            }
            self.exits.send_modify(|(count, last)| {
                *count += 1;
                *last = Some(exited);
            });
        }
    }

    /// Waits for an exit after those that are known.
    pub(crate) async fn watched(&self, after: Option<u64>, wait: Duration) -> Watched {
        let mut exits = self.exits.subscribe();
        let Some(after) = after else {
            return Watched { exits: exits.borrow().0, exited: None };
        };
        // An agent that was restarted counts anew: whatever was seen before is over.
        let news = tokio::time::timeout(wait, exits.wait_for(|(count, _)| *count != after)).await;
        match news {
            Ok(Ok(seen)) => Watched { exits: seen.0, exited: seen.1 },
            _ => Watched { exits: after, exited: None },
        }
    }

    /// Whether the server may be let accept writes now.
    pub(crate) fn may_open(&self, epoch: primacy_types::Epoch) -> Result<(), Fault> {
        let now = clock::now();
        let state = self.state();
        let lease = state.member.lease();
        if lease.map(|lease| lease.epoch) == Some(epoch) && state.member.hold(now) == Hold::Good {
            return Ok(());
        }
        let text = match lease {
            Some(lease) if lease.epoch == epoch => {
                format!("the lease of {} has run out", self.server)
            }
            _ => format!("{} holds no lease of epoch {epoch}", self.server),
        };
        Err(Fault::new(FaultKind::Lease, text))
    }
}

/// How the process is recognised, from what the server said.
pub(crate) fn identity(server: &Address, facts: &ServerFacts) -> ServerIdentity {
    let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
    let mut identity = ServerIdentity::new(server.clone());
    identity.pid_file = path(&facts.pid_file);
    identity.data_dir = path(&facts.data_dir);
    identity.host_name = Some(facts.host_name.clone()).filter(|name| !name.is_empty());
    identity.binlog_base = path(&facts.binlog_base);
    identity
}

/// A host's error as it travels.
pub(crate) fn fault(error: &HostError) -> Fault {
    let kind = match error {
        HostError::TimedOut { .. } | HostError::Stalled { .. } => FaultKind::TimedOut,
        HostError::NotPermitted { .. } => FaultKind::Permission,
        HostError::File { source, .. } => match source.kind() {
            std::io::ErrorKind::NotFound => FaultKind::NoFile,
            std::io::ErrorKind::PermissionDenied => FaultKind::Permission,
            _ => FaultKind::Other,
        },
        _ => FaultKind::Other,
    };
    Fault::new(kind, error.to_string())
}
