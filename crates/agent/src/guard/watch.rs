//! The guard's end.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use primacy_host::{HostAccess as _, LocalHost};
use primacy_types::{Address, Millis};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::messages::{Beat, FromGuard, GuardedServer, LONGEST};
use crate::clock;
use crate::error::AgentStartError;

/// How often the deadlines are looked at.
const PACE: Duration = Duration::from_millis(25);

/// A worker that was just started may take so long to say something.
const FIRST_WORD: Duration = Duration::from_secs(10);

/// Pause before a worker that ended at once is started again.
const AGAIN: Duration = Duration::from_millis(500);

/// A worker that ran for so long did not end at once.
const LONG: Duration = Duration::from_millis(500);

/// Limit of giving an address up.
const GIVE_UP: Duration = Duration::from_millis(300);

/// Limit of a kill.
const KILL: Duration = Duration::from_secs(5);

/// How the worker is started.
#[derive(Clone, Debug)]
pub struct WorkerProgram {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Length of a lease.
    pub lease: Millis,
}

impl WorkerProgram {
    /// A worker that was silent for so long is killed and started again: the next one still has
    /// time to get the lease renewed.
    fn silence(&self) -> Duration {
        (self.lease.as_duration() / 5).max(Duration::from_millis(300))
    }
}

struct Worker {
    child: Child,
    write: OwnedWriteHalf,
    heard: Instant,
    limit: Duration,
    started: Instant,
}

#[derive(Default)]
struct Guarded {
    servers: BTreeMap<Address, GuardedServer>,
    /// Servers that were killed, and are kept down for as long as this is held.
    down: BTreeMap<Address, LocalHost>,
}

/// Runs a worker and guards its servers until SIGTERM or SIGINT, or until the worker takes its
/// leave; gives the worker's exit code.
///
/// # Errors
/// If no worker can be started.
pub async fn guard(program: WorkerProgram) -> Result<u8, AgentStartError> {
    let system = |what| move |source| AgentStartError::System { what, source };
    let mut terminate = signal(SignalKind::terminate()).map_err(system("waiting for signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system("waiting for signals"))?;
    spare_from_the_oom_killer();
    let mut guarded = Guarded::default();
    let mut starts = 0_u64;
    loop {
        let (mut worker, mut lines) = start(&program, &guarded).await?;
        starts += 1;
        let mut farewell = false;
        let ended = loop {
            tokio::select! {
                line = next(&mut lines) => match line {
                    Some(beat) => {
                        worker.heard = Instant::now();
                        worker.limit = program.silence();
                        farewell = beat.farewell;
                        guarded.heard(&beat).await;
                        let answer = FromGuard::Heard(beat.beat);
                        let _ = say(&mut worker.write, &answer).await;
                    }
                    None => break worker.child.wait().await,
                },
                () = tokio::time::sleep(PACE) => {}
                _ = terminate.recv() => pass_on(&worker.child),
                _ = interrupt.recv() => pass_on(&worker.child),
            }
            guarded.enforce().await;
            if worker.heard.elapsed() > worker.limit {
                tracing::error!("the agent's worker is silent: it is killed and started again");
                let _ = worker.child.start_kill();
                break worker.child.wait().await;
            }
        };
        let status = ended.map_err(system("waiting for the worker"))?;
        // An ordinary end is one that was asked for, or an error that starting again does not mend.
        if farewell || (starts == 1 && status.code().is_some_and(|code| code != 0)) {
            return Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1));
        }
        tracing::error!(%status, "the agent's worker has ended: another one is started");
        if worker.started.elapsed() < LONG {
            let until = Instant::now() + AGAIN;
            while Instant::now() < until {
                guarded.enforce().await;
                tokio::time::sleep(PACE).await;
            }
        }
    }
}

async fn start(
    program: &WorkerProgram,
    guarded: &Guarded,
) -> Result<(Worker, BufReader<OwnedReadHalf>), AgentStartError> {
    let failed = |source| AgentStartError::System { what: "starting the agent's worker", source };
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(failed)?;
    ours.set_nonblocking(true).map_err(failed)?;
    let ours = UnixStream::from_std(ours).map_err(failed)?;
    let child = Command::new(&program.program)
        .args(&program.arguments)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        // Without a guard a worker goes on; but a guard that ends in order takes it along.
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let (read, mut write) = ours.into_split();
    let kept = guarded.servers.values();
    let kept = kept.filter_map(|s| Some((s.server.clone(), s.lease.clone()?))).collect();
    say(&mut write, &FromGuard::Kept(kept)).await.map_err(failed)?;
    let now = Instant::now();
    let worker = Worker { child, write, heard: now, limit: FIRST_WORD, started: now };
    Ok((worker, BufReader::new(read)))
}

async fn say(to: &mut OwnedWriteHalf, what: &FromGuard) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    // A worker that does not read must not keep the guard from its work.
    let written = tokio::time::timeout(PACE, to.write_all(&line)).await;
    written.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
}

/// The next line; lines that are not understood are passed over. Dropping the future may lose part
/// of a line, which is then not understood: the next one comes soon.
async fn next(lines: &mut BufReader<OwnedReadHalf>) -> Option<Beat> {
    loop {
        let mut line = Vec::new();
        let read = lines.take(LONGEST as u64).read_until(b'\n', &mut line).await;
        match read {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
        if let Ok(beat) = serde_json::from_slice(&line) {
            return Some(beat);
        }
    }
}

impl Guarded {
    async fn heard(&mut self, beat: &Beat) {
        for server in &beat.servers {
            if server.may_run
                && let Some(host) = self.down.remove(&server.server)
                && let Err(error) = host.release().await
            {
                tracing::error!(%error, "a server that was kept down");
            }
            self.servers.insert(server.server.clone(), server.clone());
        }
    }

    /// Kills what has run beyond its time.
    async fn enforce(&mut self) {
        let now = clock::now();
        let late: Vec<_> = self
            .servers
            .values()
            .filter(|server| server.kill_at.is_some_and(|at| at <= now))
            .filter(|server| !self.down.contains_key(&server.server))
            .cloned()
            .collect();
        for server in late {
            for address in server.vips.clone() {
                let given_up = tokio::task::spawn_blocking(move || {
                    primacy_vip::blocking::release(&address, GIVE_UP)
                });
                if let Ok(Err(error)) = given_up.await {
                    tracing::error!(%error, "the guard could not give an address up");
                }
            }
            let killed = async {
                let host = LocalHost::expected(&server.identity(), KILL).await?;
                host.kill_and_keep_down(KILL).await?;
                Ok::<_, primacy_host::HostError>(host)
            };
            match killed.await {
                Ok(host) => {
                    tracing::error!(server = %server.server, "killed by the guard: its lease has run out");
                    self.down.insert(server.server.clone(), host);
                }
                Err(error) => tracing::error!(%error, "the guard could not kill it"),
            }
        }
    }
}

fn pass_on(child: &Child) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

/// Whoever has to kill a server must not be killed before it; without the privilege it stays as it
/// is (proc(5), oom_score_adj).
fn spare_from_the_oom_killer() {
    if let Err(error) = std::fs::write("/proc/self/oom_score_adj", "-900") {
        tracing::debug!(%error, "the guard may be killed when memory runs out");
    }
}
