//! The guard: kills every new process of a server that is to stay down, whoever starts it.
//!
//! A thread of its own rather than a task, so that nothing that keeps the event loop busy keeps
//! it from its work.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::find::Wanted;
use super::proc;
use super::process::Process;
use crate::RestartsPrevented;

/// How often new processes are looked at: several times before a server can open for business.
const INTERVAL: Duration = Duration::from_millis(50);
/// A process that was something else for so long is looked at only on every fourth round: it may
/// still turn into a server (a shell that waits and then calls `exec`).
const YOUNG: Duration = Duration::from_secs(2);
const FULL_ROUND: u64 = 4;

/// Keeps a server down for as long as it lives.
#[derive(Debug)]
pub(crate) struct Guard {
    /// Dropping it ends the thread.
    hold: Sender<()>,
    thread: JoinHandle<()>,
    prevented: RestartsPrevented,
}

impl Guard {
    /// Starts guarding. `doomed` is the process that its caller kills: it is no restart.
    pub(crate) fn start(wanted: Wanted, doomed: Option<Process>) -> io::Result<Self> {
        let (hold, released) = channel();
        let prevented = RestartsPrevented::default();
        let round = Rounds {
            wanted,
            doomed,
            prevented: prevented.clone(),
            seen: HashMap::new(),
            refused: 0,
        };
        let thread = std::thread::Builder::new()
            .name("keep-down".to_owned())
            .spawn(move || round.until(&released))?;
        Ok(Self { hold, thread, prevented })
    }

    pub(crate) fn prevented(&self) -> RestartsPrevented {
        self.prevented.clone()
    }

    /// Ends the guard; when this returns it kills nothing any more. Blocks for one round.
    pub(crate) fn stop(self) {
        drop(self.hold);
        if self.thread.join().is_err() {
            tracing::error!("the guard of a server that was kept down had failed");
        }
    }
}

struct Rounds {
    wanted: Wanted,
    doomed: Option<Process>,
    prevented: RestartsPrevented,
    /// Processes that are no servers, with the moment they were first seen.
    seen: HashMap<u32, Instant>,
    /// The last process that we may not kill, to complain once.
    refused: u32,
}

impl Rounds {
    fn until(mut self, released: &Receiver<()>) {
        for round in 0_u64.. {
            let full = round % FULL_ROUND == 0 || self.wanted.something_listens();
            if let Err(error) = self.round(full) {
                tracing::warn!(server = %self.wanted.server.address, %error, "cannot list processes");
            }
            if released.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    fn round(&mut self, full: bool) -> io::Result<()> {
        let now = Instant::now();
        let pids = proc::pids()?;
        let before = std::mem::take(&mut self.seen);
        for pid in pids {
            let first = before.get(&pid).copied();
            let known = first.is_some_and(|first| now.duration_since(first) > YOUNG);
            if (full || !known) && proc::is_server(pid) {
                self.look_at(pid);
            } else {
                self.seen.insert(pid, first.unwrap_or(now));
            }
        }
        Ok(())
    }

    fn look_at(&mut self, pid: u32) {
        let server = &self.wanted.server.address;
        let Ok(process) = Process::open(pid) else { return };
        let doomed = self.doomed.as_ref().is_some_and(|doomed| doomed.is(&process));
        if doomed || !self.wanted.is_same_server(pid) || !process.is_alive() {
            return;
        }
        match process.kill() {
            Ok(()) => {
                self.prevented.add_one();
                tracing::warn!(%server, pid, "killed a restart of the server that is kept down");
            }
            Err(error) if self.refused != pid => {
                self.refused = pid;
                tracing::error!(%server, pid, %error, "a server that is to stay down was restarted and may not be killed");
            }
            Err(_) => {}
        }
    }
}
