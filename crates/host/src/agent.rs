//! A server on another machine, through the agent there.

use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use async_trait::async_trait;
use primacy_agent_api::{
    AbilitySaid, AgentClient, AgentError, Capabilities, FaultKind, Fenced, FileOrder,
    LARGEST_PIECE, ListOrder, OfServer, RangeOrder, Release, WatchOrder, Watched, paths,
};
use primacy_types::{Address, Millis, ProcessState};

use crate::{
    Ability, Capability, FileEntry, HostAccess, HostError, Killed, RestartsPrevented, UnitMask, Way,
};

/// What an answer may take longer than the work that was asked for.
const TRAVEL: Duration = Duration::from_millis(500);

/// One request to start or stop a server takes no longer; it is repeated until the caller's limit.
const ONE_REQUEST: Duration = Duration::from_secs(20);

/// One question about an exit waits so long at the agent.
const WATCH: Duration = Duration::from_secs(20);

/// Pause before an agent that was not reached is asked again.
const AGAIN: Duration = Duration::from_millis(500);

/// Access to one server through its agent.
#[derive(Debug)]
pub struct AgentHost {
    server: Address,
    client: Arc<AgentClient>,
    /// The last exit that was told.
    exits: Mutex<Option<u64>>,
}

impl AgentHost {
    /// Nothing is asked yet.
    pub fn new(server: Address, client: Arc<AgentClient>) -> Self {
        Self { server, client, exits: Mutex::default() }
    }

    fn of_server(&self, limit: Duration) -> OfServer {
        OfServer { server: self.server.clone(), limit: Millis::from(limit) }
    }

    fn failed(&self, error: AgentError) -> HostError {
        HostError::Agent { server: self.server.clone(), source: Box::new(error) }
    }

    /// What goes wrong with a file there is told as if it were here.
    fn file_failed(&self, path: &Path, error: AgentError) -> HostError {
        let kind = match error.fault().map(|fault| fault.kind) {
            Some(FaultKind::NoFile) => std::io::ErrorKind::NotFound,
            Some(FaultKind::Permission | FaultKind::NotALog) => {
                std::io::ErrorKind::PermissionDenied
            }
            _ => return self.failed(error),
        };
        let source = std::io::Error::new(kind, error.to_string());
        HostError::File { server: self.server.clone(), path: path.to_owned(), source }
    }

    /// Asks for something that may take longer than one request, and is safe to ask for again.
    async fn until_done(&self, path: &str, limit: Duration) -> Result<ProcessState, HostError> {
        let end = tokio::time::Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            let order = self.of_server(left.min(ONE_REQUEST));
            let asked = self.client.ask(path, &order, left.min(ONE_REQUEST) + TRAVEL).await;
            match asked {
                Err(error) if error.is_passing() && left > ONE_REQUEST => {
                    tracing::debug!(server = %self.server, %error, "it is asked again");
                    tokio::time::sleep(AGAIN.min(left)).await;
                }
                other => return other.map_err(|error| self.failed(error)),
            }
        }
    }

    fn told(&self) -> Option<u64> {
        *self.exits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, exits: u64) {
        *self.exits.lock().unwrap_or_else(PoisonError::into_inner) = Some(exits);
    }
}

fn ability(said: AbilitySaid) -> Ability {
    match said {
        AbilitySaid::Yes => Ability::Yes,
        AbilitySaid::No(reason) => Ability::No(reason),
    }
}

#[async_trait]
impl HostAccess for AgentHost {
    fn way(&self) -> Way {
        Way::Agent
    }

    fn server(&self) -> &Address {
        &self.server
    }

    async fn capability(&self, limit: Duration) -> Result<Capability, HostError> {
        let order = self.of_server(limit);
        let said: Capabilities = self
            .client
            .ask(paths::CAPABILITY, &order, limit + TRAVEL)
            .await
            .map_err(|error| self.failed(error))?;
        Ok(Capability {
            way: Way::Agent,
            watch: ability(said.watch),
            kill: ability(said.kill),
            read_files: ability(said.read_files),
            unit: said.unit,
            mask_unit: said.mask_unit.map(ability),
            addresses: said.addresses.map(ability),
        })
    }

    async fn process(&self, limit: Duration) -> Result<ProcessState, HostError> {
        let order = self.of_server(limit);
        let asked = self.client.ask(paths::PROCESS, &order, limit + TRAVEL).await;
        asked.map_err(|error| self.failed(error))
    }

    async fn exited(&self) -> ProcessState {
        loop {
            let after = self.told();
            let wait = Millis::from(WATCH);
            let order = WatchOrder { server: self.server.clone(), after, wait };
            let watched = self.client.ask::<Watched>(paths::WATCH, &order, WATCH + TRAVEL * 4);
            match watched.await {
                Ok(Watched { exits, exited: Some(state) }) => {
                    self.tell(exits);
                    return state;
                }
                Ok(Watched { exits, exited: None }) => self.tell(exits),
                Err(error) => {
                    tracing::debug!(server = %self.server, %error, "exits are not heard of now");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    async fn kill_and_keep_down(&self, limit: Duration) -> Result<Killed, HostError> {
        let order = self.of_server(limit);
        let fenced: Fenced = self
            .client
            .ask(paths::FENCE, &order, limit + TRAVEL)
            .await
            .map_err(|error| self.failed(error))?;
        let restarts_prevented = RestartsPrevented::default();
        restarts_prevented.at_least(fenced.restarts_prevented);
        Ok(Killed {
            pid: fenced.pid,
            was: fenced.was,
            restarts_prevented,
            unit: fenced.unit.map(|(unit, failure)| UnitMask { unit, failure }),
        })
    }

    async fn release(&self) -> Result<(), HostError> {
        let order = Release { server: self.server.clone() };
        let asked = self.client.ask(paths::RELEASE, &order, Duration::from_secs(15)).await;
        asked.map_err(|error| self.failed(error))
    }

    async fn start(&self, limit: Duration) -> Result<ProcessState, HostError> {
        self.until_done(paths::START, limit).await
    }

    async fn stop(&self, limit: Duration) -> Result<ProcessState, HostError> {
        self.until_done(paths::STOP, limit).await
    }

    async fn read_range(
        &self,
        path: &Path,
        offset: u64,
        len: usize,
        limit: Duration,
    ) -> Result<Vec<u8>, HostError> {
        let order = |offset, len| RangeOrder {
            server: self.server.clone(),
            path: path.to_owned(),
            offset,
            len,
            limit: Millis::from(limit),
        };
        let mut all = Vec::new();
        while all.len() < len {
            let wanted = (len - all.len()).min(LARGEST_PIECE);
            let piece = self
                .client
                .range(&order(offset.saturating_add(all.len() as u64), wanted), limit + TRAVEL)
                .await
                .map_err(|error| self.file_failed(path, error))?;
            let ended = piece.len() < wanted;
            all.extend(piece);
            if ended {
                break;
            }
        }
        Ok(all)
    }

    async fn file_len(&self, path: &Path, limit: Duration) -> Result<u64, HostError> {
        let order = FileOrder {
            server: self.server.clone(),
            path: path.to_owned(),
            limit: Millis::from(limit),
        };
        let asked = self.client.ask(paths::LENGTH, &order, limit + TRAVEL).await;
        asked.map_err(|error| self.file_failed(path, error))
    }

    async fn list(&self, dir: &Path, limit: Duration) -> Result<Vec<FileEntry>, HostError> {
        let order = ListOrder {
            server: self.server.clone(),
            dir: dir.to_owned(),
            limit: Millis::from(limit),
        };
        let all: Vec<primacy_agent_api::FileEntry> = self
            .client
            .ask(paths::FILES, &order, limit + TRAVEL)
            .await
            .map_err(|error| self.file_failed(dir, error))?;
        Ok(all.into_iter().map(|file| FileEntry { name: file.name, len: file.len }).collect())
    }
}
