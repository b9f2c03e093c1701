//! The worker's end.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use primacy_plan::lease::{HeldLease, Hold};
use primacy_types::{Address, Moment};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use super::messages::{Beat, FromGuard, GuardedServer};
use crate::clock;
use crate::error::AgentStartError;
use crate::served::{Served, identity};

/// How often the guard is told.
const BEAT: Duration = Duration::from_millis(100);

/// A server whose lease was not looked at for so long is not reported: the guard shall act.
const STALE: u64 = 250;

/// The worker has so much longer to give up addresses for readers by itself, in milliseconds.
const SLACK: u64 = 1000;

/// A guard that has not answered for so long guards nothing.
const DEAF: u64 = 1000;

/// The way to the guard; without one, nothing is guarded.
#[derive(Clone, Debug)]
pub(crate) struct GuardLink {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    servers: Mutex<BTreeMap<Address, (Moment, GuardedServer)>>,
    /// When the guard was last heard; 0 before the first time.
    heard: AtomicU64,
    /// The worker ends because it was asked to.
    farewell: std::sync::atomic::AtomicBool,
}

impl GuardLink {
    /// A worker that was started without a guard.
    pub(crate) fn none() -> Self {
        Self { shared: Arc::default() }
    }

    /// The worker's standard input is the socket; gives the leases that the last worker held.
    pub(crate) async fn from_stdin() -> Result<(Self, Vec<(Address, HeldLease)>), AgentStartError> {
        let failed = |source| AgentStartError::System { what: "reaching the guard", source };
        let fd: OwnedFd = std::io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
        let stream = std::os::unix::net::UnixStream::from(fd);
        stream.set_nonblocking(true).map_err(failed)?;
        let stream = UnixStream::from_std(stream).map_err(failed)?;
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        let first = lines.next_line().await.map_err(failed)?.unwrap_or_default();
        let Ok(FromGuard::Kept(kept)) = serde_json::from_str(&first) else {
            let source = std::io::Error::other("it did not begin as guards do");
            return Err(failed(source));
        };
        let shared = Arc::new(Shared::default());
        let hears = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Ok(FromGuard::Heard(_)) = serde_json::from_str(&line) {
                    hears.heard.store(clock::now().0, Ordering::Relaxed);
                }
            }
            hears.heard.store(0, Ordering::Relaxed);
            tracing::error!("the guard is gone: nothing closes the servers if this process hangs");
        });
        let tells = Arc::clone(&shared);
        tokio::spawn(async move {
            for beat in 0_u64.. {
                if let Some(line) = tells.line(beat)
                    && write.write_all(line.as_bytes()).await.is_err()
                {
                    return;
                }
                tokio::time::sleep(BEAT).await;
            }
        });
        Ok((Self { shared }, kept))
    }

    /// Says how a server stands now.
    pub(crate) fn report(&self, served: &Served) {
        let now = clock::now();
        let alive = now.0.saturating_sub(self.shared.heard.load(Ordering::Relaxed)) < DEAF;
        let process = served.current_process();
        let mut state = served.state();
        // A guard that cannot kill the server guards nothing.
        state.guarded = alive && state.host.as_ref().is_none_or(|host| host.is_in_reach());
        let identity = match (&state.facts, &state.former) {
            (Some(facts), _) => Some(identity(&served.server, facts)),
            // A server that died before this worker began.
            (None, Some(former)) => Some(former.identity(&served.server)),
            (None, None) => None,
        };
        let closed = process.is_some() && state.closed == process;
        let hold = state.member.hold(now);
        let reader_vips = state.readers.all(now);
        let entry = GuardedServer {
            server: served.server.clone(),
            pid_file: identity.as_ref().and_then(|i| i.pid_file.clone()),
            data_dir: identity.as_ref().and_then(|i| i.data_dir.clone()),
            host_name: identity.as_ref().and_then(|i| i.host_name.clone()),
            binlog_base: identity.as_ref().and_then(|i| i.binlog_base.clone()),
            kill_at: state.member.deadlines().map(|(_, kill)| kill).filter(|_| !closed),
            vips: state.vips.clone(),
            readers_until: Some(Moment(state.readers.holder.until().0.saturating_add(SLACK)))
                .filter(|_| !reader_vips.is_empty()),
            reader_vips,
            may_run: hold == Hold::Good && !state.fenced,
            fenced: state.fenced,
            kept_down: state.killed,
            let_go: state.let_go,
            lease: state.member.lease().cloned(),
        };
        drop(state);
        let mut servers = self.shared.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.insert(served.server.clone(), (now, entry));
    }

    /// Says that the worker ends because it was asked to, so that it is not started again.
    pub(crate) async fn farewell(&self) {
        self.shared.farewell.store(true, Ordering::Relaxed);
        tokio::time::sleep(BEAT * 3).await;
    }
}

impl Shared {
    /// What is said now; nothing if a server was not looked at for too long.
    fn line(&self, beat: u64) -> Option<String> {
        let now = clock::now().0;
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if servers.values().any(|(at, _)| now.saturating_sub(at.0) > STALE) {
            return None;
        }
        let servers = servers.values().map(|(_, server)| server.clone()).collect();
        let farewell = self.farewell.load(Ordering::Relaxed);
        let mut line = serde_json::to_string(&Beat { beat, servers, farewell }).ok()?;
        line.push('\n');
        Some(line)
    }
}
