//! The guard's end.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use primacy_types::Millis;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::guarded::Guarded;
use super::messages::{Beat, FromGuard, LONGEST};
use crate::error::AgentStartError;

/// How often the deadlines are looked at.
const PACE: Duration = Duration::from_millis(25);

/// A turn of the guard that takes longer than this was held up by the machine.
const TURN: Duration = Duration::from_millis(100);

/// A worker that was just started may take so long to say something.
const FIRST_WORD: Duration = Duration::from_secs(10);

/// Pause before a worker that ended at once is started again.
const AGAIN: Duration = Duration::from_millis(500);

/// A worker that ran for so long did not end at once.
const LONG: Duration = Duration::from_millis(500);

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
    silence: Silence,
    limit: Duration,
    started: Instant,
}

/// How long a worker has been silent while the guard was there to hear it. Where the machine stood
/// still for a moment, so did both: the guard must not take that for a worker that hangs.
struct Silence {
    lasts: Duration,
    looked: Instant,
}

impl Silence {
    fn from(now: Instant) -> Self {
        Self { lasts: Duration::ZERO, looked: now }
    }

    /// The worker has said something.
    fn broken(&mut self, now: Instant) {
        *self = Self::from(now);
    }

    /// How long it lasts by now. A turn of the guard that took longer than it should counts as one
    /// that did not.
    fn at(&mut self, now: Instant) -> Duration {
        self.lasts += now.saturating_duration_since(self.looked).min(TURN);
        self.looked = now;
        self.lasts
    }
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
        loop {
            tokio::select! {
                // What the worker has said is heard before it is called silent.
                biased;
                line = next(&mut lines) => match line {
                    Some(beat) => {
                        worker.silence.broken(Instant::now());
                        worker.limit = program.silence();
                        farewell = beat.farewell;
                        guarded.heard(&beat);
                        let answer = FromGuard::Heard(beat.beat);
                        let _ = say(&mut worker.write, &answer).await;
                    }
                    None => break,
                },
                () = tokio::time::sleep(PACE) => {}
                _ = terminate.recv() => pass_on(&worker.child),
                _ = interrupt.recv() => pass_on(&worker.child),
            }
            guarded.enforce().await;
            if worker.silence.at(Instant::now()) > worker.limit {
                tracing::error!("the agent's worker is silent: it is killed and started again");
                let _ = worker.child.start_kill();
                break;
            }
        }
        if !farewell {
            guarded.keep_fenced_down();
        }
        let ended = without_a_worker(&mut guarded, worker.child.wait()).await;
        let status = ended.map_err(system("waiting for the worker"))?;
        // An ordinary end is one that was asked for, or an error that starting again does not mend.
        if farewell || (starts == 1 && status.code().is_some_and(|code| code != 0)) {
            guarded.settle().await;
            return Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1));
        }
        tracing::error!(%status, "the agent's worker has ended: another one is started");
        if worker.started.elapsed() < LONG {
            without_a_worker(&mut guarded, tokio::time::sleep(AGAIN)).await;
        }
    }
}

/// Goes on guarding until this has come. A worker that was killed may take for ever to end: one of its
/// threads waits for a disk that hangs. The next one could do nothing while it has the port.
async fn without_a_worker<T>(guarded: &mut Guarded, comes: impl Future<Output = T>) -> T {
    let mut comes = std::pin::pin!(comes);
    loop {
        tokio::select! {
            biased;
            came = &mut comes => return came,
            () = tokio::time::sleep(PACE) => guarded.enforce().await,
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
    say(&mut write, &FromGuard::Kept(guarded.leases())).await.map_err(failed)?;
    let now = Instant::now();
    let worker =
        Worker { child, write, silence: Silence::from(now), limit: FIRST_WORD, started: now };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_that_stood_still_itself_does_not_call_its_worker_silent() {
        let mut now = Instant::now();
        let mut silence = Silence::from(now);
        now += Duration::from_secs(30);
        assert_eq!(silence.at(now), TURN);
        for _ in 0..20 {
            now += PACE;
            silence.at(now);
        }
        assert_eq!(silence.at(now), TURN + PACE * 20, "turns in time count as they are");
        silence.broken(now);
        assert_eq!(silence.at(now), Duration::ZERO);
    }
    #[tokio::test(flavor = "multi_thread")]
    async fn a_worker_that_does_not_end_when_it_is_killed_keeps_the_guard_from_nothing() {
        let (mut guarded, deeds) = Guarded::with_a_late_server();
        let killed = async {
            while deeds.lock().unwrap().is_empty() {
                tokio::time::sleep(PACE).await;
            }
        };
        // The worker never ends.
        let guards = without_a_worker(&mut guarded, std::future::pending::<()>());
        let limit = tokio::time::sleep(FIRST_WORD);
        tokio::select! {
            () = killed => {}
            () = guards => {}
            () = limit => panic!("nothing was killed"),
        }
    }
}
