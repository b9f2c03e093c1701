//! Server processes: started detached, known by more than their number, signalled safely.
//!
//! A process number is used again after its process is gone. So a process is recorded with its
//! start time and the machine's boot, and a signal goes through a pidfd that was compared with the
//! record: it reaches the process that we started, or none.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::command::on_path;
use crate::{Error, Result};

/// One process, not to be mistaken for a later one with the same number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub start_ticks: u64,
    /// The boot that this counts from.
    pub boot: String,
}

/// What a server's process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProcessState {
    /// It runs.
    Running,
    /// It is there, but SIGSTOP holds it.
    Frozen,
    /// It was stopped on request.
    Stopped,
    /// It is gone, and nobody asked it to stop.
    Dead,
}

impl Identity {
    /// The process with this number now, if there is one.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = Stat::read(pid)?;
        Some(Self { pid, start_ticks: stat.start_ticks, boot: boot_id() })
    }

    /// Running, frozen or dead. One that ended and waits to be reaped is dead.
    pub fn state(&self) -> ProcessState {
        match Stat::read(self.pid) {
            Some(stat) if stat.start_ticks == self.start_ticks && boot_id() == self.boot => {
                match stat.state {
                    'Z' | 'X' => ProcessState::Dead,
                    'T' | 't' => ProcessState::Frozen,
                    _ => ProcessState::Running,
                }
            }
            _ => ProcessState::Dead,
        }
    }

    /// Whether the process is there, frozen or not.
    pub fn is_alive(&self) -> bool {
        matches!(self.state(), ProcessState::Running | ProcessState::Frozen)
    }

    /// Sends a signal to exactly this process. False: it is gone, and nothing was signalled.
    pub fn signal(&self, signal: Signal) -> std::io::Result<bool> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return Ok(false);
        };
        let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(false) };
        // The pidfd holds one process; that it is ours is known only when looked at afterwards.
        if !self.is_alive() {
            return Ok(false);
        }
        match pidfd_send_signal(&pidfd, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Waits until it is gone. False: it was still there at the limit.
    pub async fn gone_within(&self, limit: Duration) -> bool {
        self.becomes(limit, |state| state == ProcessState::Dead).await
    }

    /// Waits until its state is as wanted. False: it was not at the limit.
    pub async fn becomes(&self, limit: Duration, wanted: fn(ProcessState) -> bool) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            if wanted(self.state()) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Starts a program in a session of its own, with its output in a file, so that it outlives us and
/// the terminal. `setsid` and what follows it replace each other, so the number stays the same.
pub(crate) fn start_detached(
    words: &[OsString],
    env: &[(OsString, OsString)],
    log: &Path,
) -> Result<Identity> {
    if on_path("setsid").is_none() {
        return Err(Error::refused("setsid is not installed", "apt-get install util-linux"));
    }
    let output = File::options()
        .create(true)
        .append(true)
        .open(log)
        .map_err(Error::file("open the log", log))?;
    let errors = output.try_clone().map_err(Error::file("open the log", log))?;
    let mut child = Command::new("setsid")
        .args(words)
        .envs(env.iter().map(|(k, v)| (k, v)))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(Error::file("start", Path::new("setsid")))?;
    let identity = Identity::of(child.id());
    // While we live we are its parent: one that ends is reaped, so that it is seen to be gone.
    let _ = thread::Builder::new().name("reap".into()).spawn(move || child.wait());
    identity.ok_or_else(|| {
        Error::refused("the server ended as soon as it was started", "see its error log")
    })
}

struct Stat {
    state: char,
    start_ticks: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The program's name (field 2, in parentheses) may hold blanks and parentheses itself.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        let state = fields.next()?.chars().next()?;
        Some(Self { state, start_ticks: fields.nth(18)?.parse().ok()? })
    }
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_confuse_the_record() {
        let text = "7 (a) b) T 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.state, stat.start_ticks), ('T', 4242));
    }

    #[tokio::test]
    async fn a_number_used_again_is_never_signalled() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let process = start_detached(&["sleep".into(), "60".into()], &[], log.path()).unwrap();
        assert_eq!(process.state(), ProcessState::Running);
        let stranger = Identity { start_ticks: process.start_ticks + 1, ..process.clone() };
        assert_eq!(stranger.state(), ProcessState::Dead);
        assert!(!stranger.signal(Signal::KILL).unwrap());
        assert!(process.is_alive());
        assert!(process.signal(Signal::KILL).unwrap());
        assert!(process.gone_within(Duration::from_secs(5)).await);
        assert!(!process.signal(Signal::KILL).unwrap());
    }
}
