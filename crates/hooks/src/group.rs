//! The process group of a program: its end, and signals to all of it.
//!
//! The leader is not reaped before we are done with the group. As long as it is there, if only as
//! a zombie, its number belongs to it, and a signal can hit nobody else.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::process::Child;
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};
use tokio::time::sleep;

/// How often a group that was told to end is looked at: its members are not our children.
const LOOK: Duration = Duration::from_millis(20);

/// A program that runs, with what it starts. Dropping it kills them.
#[derive(Debug)]
pub(crate) struct Group {
    child: Child,
    id: Pid,
    /// Tells that some child of ours has ended.
    children: SignalStream,
    /// The leader's number is no longer ours to signal.
    reaped: bool,
}

impl Group {
    /// Takes hold of a child that leads a group of its own.
    pub(crate) fn new(child: Child) -> io::Result<Self> {
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let id = id.ok_or_else(|| io::Error::other("it has no process number"))?;
        match signal(SignalKind::child()) {
            Ok(children) => Ok(Self { child, id, children, reaped: false }),
            Err(error) => {
                // Nobody would see its end: it must not run on.
                let _ = kill_process_group(id, Signal::KILL);
                Err(error)
            }
        }
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Sends a signal to every process of the group. That none is left is no error.
    pub(crate) fn signal(&self, signal: Signal) {
        if !self.reaped {
            let _ = kill_process_group(self.id, signal);
        }
    }

    /// Resolves when the program itself has ended; it is not reaped by this.
    pub(crate) async fn leader_ended(&mut self) {
        while self.leader_lives() {
            // The stream exists since before the look: no end is missed between the two.
            if self.children.recv().await.is_none() {
                sleep(LOOK).await;
            }
        }
    }

    fn leader_lives(&self) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        // An error means that it is no child of ours any more.
        !self.reaped && matches!(waitid(WaitId::Pid(self.id), look), Ok(None))
    }

    /// Resolves when no process of the group runs any more.
    pub(crate) async fn emptied(&mut self) {
        self.leader_ended().await;
        let id = self.id;
        loop {
            let look = tokio::task::spawn_blocking(move || anybody_lives(id));
            if matches!(look.await, Ok(Ok(false))) {
                return;
            }
            sleep(LOOK).await;
        }
    }

    /// How the program ended; what is left of the group is left alone from then on.
    pub(crate) async fn reap(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        self.reaped = true;
        status
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Whether a process of the group runs (and does not merely wait to be reaped).
fn anybody_lives(group: Pid) -> io::Result<bool> {
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        // One that cannot be read has ended since it was listed.
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if lives_in(&stat, group) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads proc_pid_stat(5): after the name in parentheses come state, parent and process group.
fn lives_in(stat: &str, group: Pid) -> bool {
    let Some((_, rest)) = stat.rsplit_once(')') else { return false };
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next();
    let its_group = fields.nth(1).and_then(|field| field.parse().ok());
    its_group == Some(group.as_raw_nonzero().get()) && !matches!(state, Some("Z" | "X"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zombies_and_strangers_do_not_count_as_alive() {
        let group = Pid::from_raw(77).unwrap();
        assert!(lives_in("80 (a) b (c) S 77 77 77 0 -1", group));
        assert!(!lives_in("77 (sh) Z 1 77 77 0 -1", group));
        assert!(!lives_in("80 (77) S 77 80 77 0 -1", group));
        assert!(!lives_in("", group));
    }
}
