//! One process, held by a descriptor (pidfd) so that a recycled pid is never taken for it.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use primacy_types::ProcessState;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal, test_kill_process};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::proc;

/// How often the process is looked at where the event loop cannot watch it.
const FALLBACK_INTERVAL: Duration = Duration::from_millis(20);

/// A process that was found.
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    started: u64,
    descriptor: OwnedFd,
}

impl Process {
    /// Takes hold of the process that has this pid now. What is read of the pid afterwards is of
    /// this process if [`is_alive`](Self::is_alive) still holds after the reading.
    pub(crate) fn open(pid: u32) -> io::Result<Self> {
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let raw = raw.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let descriptor = pidfd_open(raw, PidfdFlags::empty())?;
        let started = proc::stat(pid)?.started;
        Ok(Self { pid, started, descriptor })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn started(&self) -> u64 {
        self.started
    }

    /// Whether this is the process with that pid and start time.
    pub(crate) fn is(&self, other: &Self) -> bool {
        (self.pid, self.started) == (other.pid, other.started)
    }

    /// Whether it has not exited (pidfd_open(2): the descriptor becomes readable when it has).
    pub(crate) fn is_alive(&self) -> bool {
        let mut watched = [PollFd::new(&self.descriptor, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        !matches!(poll(&mut watched, Some(&now)), Ok(1..))
    }

    /// Running or frozen; `None` if it has exited.
    pub(crate) fn state(&self) -> Option<ProcessState> {
        let pid = self.pid;
        let stopped = proc::stat(pid).is_ok_and(|stat| matches!(stat.state, 'T' | 't'));
        let frozen = stopped || proc::is_group_frozen(pid);
        if !self.is_alive() {
            return None;
        }
        Some(if frozen { ProcessState::Frozen { pid } } else { ProcessState::Running { pid } })
    }

    /// What the operating system says of it, for a sentence.
    pub(crate) fn state_word(&self) -> String {
        if proc::is_group_frozen(self.pid) {
            return "its control group is frozen".to_owned();
        }
        match proc::stat(self.pid) {
            Ok(stat) if stat.state == 'D' => "in uninterruptible disk sleep, state D".to_owned(),
            Ok(stat) => format!("state {}", stat.state),
            Err(error) => format!("state unknown: {error}"),
        }
    }

    /// Whether we may signal it.
    pub(crate) fn may_signal(&self) -> io::Result<()> {
        let raw = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        raw.map_or(Ok(()), |raw| test_kill_process(raw).map_err(Into::into))
    }

    /// SIGKILL; a process that is gone already counts as killed.
    pub(crate) fn kill(&self) -> io::Result<()> {
        match pidfd_send_signal(&self.descriptor, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// SIGTERM, at which a server shuts down; a process that is gone already has.
    pub(crate) fn terminate(&self) -> io::Result<()> {
        match pidfd_send_signal(&self.descriptor, Signal::TERM) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Resolves when it has exited with all its threads.
    pub(crate) async fn gone(&self) {
        let watch = self.descriptor.try_clone().and_then(watch);
        if let Ok(watch) = watch
            && watch.readable().await.is_ok()
        {
            return;
        }
        while self.is_alive() {
            tokio::time::sleep(FALLBACK_INTERVAL).await;
        }
    }
}

/// Has the event loop watch a descriptor.
#[expect(
    deprecated,
    reason = "the replacement is an unsafe function (tokio pull request 8587): the caller has to \
              promise that the descriptor stays the same and open, which an OwnedFd does"
)]
fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(descriptor, Interest::READABLE)
}
