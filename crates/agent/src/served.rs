//! One server of this host: its process, its lease, and whether it may accept writes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use primacy_agent_api::{Fault, FaultKind, LeaseState, Watched};
use primacy_host::{HostAccess, HostError, LocalHost, ServerIdentity, StartProgram};
use primacy_plan::lease::{HeldLease, Hold, LeaseRefusal, LeaseTimes, Member};
use primacy_types::{Address, ProcessState, ServerFacts, VirtualAddress};
use tokio::sync::watch;

use crate::logs::Logs;
use crate::readers::Readers;
use crate::record::{Former, RecordFile, ServerRecord};
use crate::sql::Sql;
use crate::{ServedOptions, clock};

/// How often a server is looked for and asked what it is.
const LOOK: Duration = Duration::from_secs(1);

/// Limit of one look.
const LIMIT: Duration = Duration::from_secs(2);

/// A disk may take so long for what has to be written down before something else is done.
pub(crate) const RECORD: Duration = Duration::from_secs(2);

/// A process of the server: boot, pid and start time.
pub(crate) type ProcessId = (String, u32, u64);

/// A server that the agent looks after.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) server: Address,
    pub(crate) sql: Sql,
    pub(crate) login: primacy_wire::ConnectOptions,
    pub(crate) times: LeaseTimes,
    /// What starts it where no unit does.
    start: Option<StartProgram>,
    state: Mutex<State>,
    /// Letting it go, and keeping down what a manager fenced: one at a time.
    pub(crate) fencing: tokio::sync::Mutex<()>,
    exits: watch::Sender<(u64, Option<ProcessState>)>,
    record: Arc<tokio::sync::Mutex<RecordFile>>,
    boot: String,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) member: Member,
    pub(crate) host: Option<Arc<LocalHost>>,
    /// What the server said of itself last.
    pub(crate) facts: Option<ServerFacts>,
    /// What its process was recognised by when it answered last, also before the agent was started.
    pub(crate) former: Option<Former>,
    /// Why it does not answer now.
    pub(crate) silent: Option<String>,
    /// How often it has begun to answer.
    pub(crate) appearances: u64,
    /// It was looked at since the agent was started.
    pub(crate) looked_at: bool,
    pub(crate) process: Option<ProcessState>,
    pub(crate) guarded: bool,
    pub(crate) cluster: Option<String>,
    /// Addresses that the primary's host holds.
    pub(crate) vips: Vec<VirtualAddress>,
    pub(crate) take_over: bool,
    /// Those that this host holds now, and why not all of them.
    pub(crate) held: BTreeSet<VirtualAddress>,
    pub(crate) vip_problem: Option<String>,
    /// Addresses for readers.
    pub(crate) readers: Readers,
    pub(crate) agents: BTreeMap<Address, Address>,
    /// The process that ran when the agent was started, if it is the one that ran before: it is
    /// not closed before a manager had time to say what it is.
    pub(crate) spared: Option<ProcessId>,
    /// The process that was last closed, or seen read-only, without a lease.
    pub(crate) closed: Option<ProcessId>,
    /// Our own closing made it read-only: it is opened again if its lease comes back in this epoch.
    pub(crate) closed_by_us: Option<primacy_types::Epoch>,
    /// It was killed, because a manager said so or because it could not be closed, and this process
    /// keeps it down.
    pub(crate) killed: bool,
    /// A manager keeps it down: only a manager lets it start again. On record.
    pub(crate) fenced: bool,
    /// Why it could not be kept down, as it was said last.
    pub(crate) not_down: Option<String>,
    /// How often a manager has let it go since the agent was started.
    pub(crate) let_go: u64,
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
        record: Arc<tokio::sync::Mutex<RecordFile>>,
        known: ServerRecord,
        kept: Option<HeldLease>,
    ) -> Self {
        let now = clock::now();
        // Differs from run to run: milliseconds since boot, with room for a thousand a second.
        let first_nonce = now.0.saturating_mul(1000);
        let member = Member::new(options.server.clone(), times, known.member, first_nonce, now);
        // With the fence it lost its lease, whether or not the guard has heard so.
        let member = match kept.filter(|_| !known.fenced) {
            Some(lease) => member.holding(lease),
            None => member,
        };
        let boot = clock::boot_id();
        let spared = known.process.filter(|(on, ..)| *on == boot);
        let state = State {
            member,
            host: None,
            facts: None,
            former: known.former,
            silent: Some("it was not asked yet".to_owned()),
            appearances: 0,
            looked_at: false,
            process: None,
            guarded: false,
            cluster: None,
            vips: known.vips,
            take_over: false,
            held: BTreeSet::new(),
            vip_problem: None,
            readers: Readers::new(first_nonce, known.reader_vips),
            agents: BTreeMap::new(),
            spared,
            closed: None,
            closed_by_us: None,
            killed: false,
            fenced: known.fenced,
            not_down: None,
            let_go: 0,
            parting: false,
            farewell_told: false,
            farewell_heard: false,
        };
        Self {
            server: options.server.clone(),
            sql: Sql::new(options.login.clone()),
            login: options.login.clone(),
            times,
            start: options.start.clone(),
            state: Mutex::new(state),
            fencing: tokio::sync::Mutex::default(),
            exits: watch::Sender::new((0, None)),
            record,
            boot,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down what must not be forgotten: before an answer that rests on it leaves. A disk that
    /// takes nothing for so long is an error, and holds up nothing else.
    pub(crate) async fn keep(&self, limit: Duration) -> Result<(), Fault> {
        let failed = |why: String| {
            let text = format!("what was decided could not be written down here: {why}");
            Fault::new(FaultKind::Other, text)
        };
        let writing = async {
            let mut file = Arc::clone(&self.record).lock_owned().await;
            // Made when its turn has come: an older one never follows a newer one.
            let (server, record) = (self.server.clone(), self.record_now());
            tokio::task::spawn_blocking(move || file.keep(&server, &record)).await
        };
        match tokio::time::timeout(limit, writing).await {
            Ok(Ok(written)) => written.map_err(|error| failed(error.to_string())),
            Ok(Err(panicked)) => Err(failed(panicked.to_string())),
            Err(_) => Err(failed(format!("the disk took nothing for {} ms", limit.as_millis()))),
        }
    }

    /// As if it were being written to.
    #[cfg(test)]
    pub(crate) async fn disk(&self) -> tokio::sync::OwnedMutexGuard<RecordFile> {
        Arc::clone(&self.record).lock_owned().await
    }

    fn record_now(&self) -> ServerRecord {
        let state = self.state();
        let host = state.host.as_ref().and_then(|host| host.process_id());
        let process = host.map(|(pid, started)| (self.boot.clone(), pid, started));
        ServerRecord {
            member: state.member.record(),
            fenced: state.fenced,
            vips: state.vips.clone(),
            reader_vips: state.readers.all(clock::now()),
            process: process.or(state.spared.clone()),
            former: state.former.clone(),
        }
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
            kept_down: state.killed || state.fenced,
            vips: state.held.iter().cloned().collect(),
            vip_problem: state.vip_problem.clone(),
            readers: None,
        }
    }

    /// Access to the process and files, once the server has said what it is.
    pub(crate) fn host(&self) -> Result<Arc<LocalHost>, Fault> {
        self.state().host.clone().ok_or_else(|| {
            let text = format!("the process of {} was not found on this host yet", self.server);
            Fault::new(FaultKind::Server, text)
        })
    }

    /// The same; where the server has not answered since the agent was started, by what it was
    /// before that.
    pub(crate) async fn host_or_former(&self, limit: Duration) -> Result<Arc<LocalHost>, Fault> {
        if let Some(host) = self.state().host.clone() {
            return Ok(host);
        }
        let former = self.state().former.clone();
        let Some(former) = former.filter(|former| former.data_dir.is_some()) else {
            return self.host();
        };
        let mut identity = former.identity(&self.server);
        identity.start = self.start.clone();
        let host = LocalHost::expected(&identity, limit).await.map_err(|error| fault(&error))?;
        let host = Arc::new(host);
        Ok(self.state().host.get_or_insert(host).clone())
    }

    pub(crate) fn logs(&self) -> Logs {
        let state = self.state();
        let Some(former) = &state.former else { return Logs::default() };
        let text = |path: &Option<PathBuf>| {
            path.as_deref().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
        };
        let (binlogs, relay_logs) = (text(&former.binlog_base), text(&former.relay_log_base));
        Logs::new(&text(&former.data_dir), [&binlogs, &relay_logs])
    }

    /// The process that runs now. One in a process namespace that is not seen counts as another when
    /// the server answers anew.
    pub(crate) fn current_process(&self) -> Option<ProcessId> {
        let (host, appearances) = {
            let state = self.state();
            (state.host.clone()?, state.appearances)
        };
        if host.is_unseen() {
            return Some((self.boot.clone(), 0, appearances));
        }
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
                let mut identity = identity(&self.server, &facts);
                identity.start.clone_from(&self.start);
                // What is spread over several directories changes with a restart only.
                let answered = self.state().silent.is_none();
                let outside = match answered {
                    true => None,
                    false => self.sql.outside(&facts.data_dir, LIMIT).await.ok(),
                };
                {
                    let mut state = self.state();
                    state.appearances += u64::from(state.silent.take().is_some());
                    let before = state.former.take();
                    let mut former = Former::of(&identity, &facts.relay_log_base);
                    if let Some(before) = before {
                        former.unit = before.unit;
                        former.outside = before.outside;
                    }
                    if let Some(outside) = outside {
                        former.outside = outside;
                    }
                    state.former = Some(former);
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
                self.is_silent(&error.to_string());
                self.find_without_asking(LIMIT).await;
            }
        }
        self.state().looked_at = true;
        let host = self.state().host.clone();
        if let Some(host) = host {
            self.look_at(&host).await;
        }
        if let Err(fault) = self.keep(RECORD).await {
            tracing::error!(%fault, "the state folder");
        }
    }

    async fn look_at(&self, host: &LocalHost) {
        match host.process(LIMIT).await {
            Ok(process) => {
                let mut state = self.state();
                state.process = Some(process);
                if let (Some(unit), Some(former)) = (host.unit(), state.former.as_mut()) {
                    former.unit = Some(unit);
                }
            }
            // Somebody gave it another data directory. It answers, so it is found anew, as when the
            // agent starts; not while it is fenced.
            Err(HostError::NotTheServer { .. }) => {
                let mut state = self.state();
                if state.silent.is_none() && !state.killed && !state.fenced {
                    state.host = None;
                }
            }
            Err(_) => {}
        }
    }

    /// How many exits of its process were seen.
    pub(crate) fn exits(&self) -> u64 {
        self.exits.borrow().0
    }

    fn is_silent(&self, error: &str) {
        let mut state = self.state();
        if state.silent.as_deref() != Some(error) {
            tracing::warn!(server = %self.server, error, "it cannot be asked");
            state.silent = Some(error.to_owned());
        }
    }

    /// A server that does not answer since the agent was started, but said before where it is.
    pub(crate) async fn find_without_asking(&self, limit: Duration) {
        if let Err(fault) = self.host_or_former(limit).await {
            tracing::debug!(server = %self.server, %fault, "its process was not found");
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
