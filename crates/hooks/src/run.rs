//! Runs a program and comes back, whatever the program does: it may read nothing, write without
//! end, ignore signals, or leave children that keep its outputs open.

use std::convert::Infallible;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::group::Group;
use crate::pipes::Pipes;
use crate::start::start;
use crate::{Captured, Exit, NotStarted, Outcome, Program};

/// When the program has ended, what its children still write is waited for until nothing has come
/// for so long: a `tee` that it wrote through is read to the end, a daemon that it started holds
/// nobody up.
const QUIET: Duration = Duration::from_millis(100);
/// And never longer than this.
const LINGER: Duration = Duration::from_secs(1);
/// After SIGKILL a process is gone at once, unless its disk or its control group holds it.
const REAP: Duration = Duration::from_secs(1);
/// A limit that a clock cannot express is as good as this.
const LONG: Duration = Duration::from_secs(365 * 24 * 3600);

impl Program {
    /// Runs it to its end or its limit.
    ///
    /// It has a process group of its own. At the limit the group gets SIGTERM, and after the
    /// [grace](Self::grace) SIGKILL. When the program itself ends in time, what it left running in
    /// the background is left alone. Dropping the future kills the group.
    pub async fn run(self) -> Outcome {
        let begun = Instant::now();
        let name = self.name.clone();
        let (exit, stdout, stderr) = self.run_from(begun).await;
        Outcome { program: name, exit, stdout, stderr, took: begun.elapsed() }
    }

    async fn run_from(self, begun: Instant) -> (Exit, Captured, Captured) {
        let not_started = |why| (Exit::NotStarted(why), Captured::default(), Captured::default());
        let (limit, grace) = (self.limit, self.grace);
        let deadline = begun.checked_add(limit).unwrap_or_else(|| begun + LONG);
        // Opening the file may hang (a network file system), so it is done on a thread for that.
        // One that comes late is ended by being dropped.
        let starting = tokio::task::spawn_blocking(move || start(&self));
        let (mut group, mut pipes) = match timeout_at(deadline, starting).await {
            Ok(Ok(Ok(started))) => started,
            Ok(Ok(Err(why))) => return not_started(why),
            Ok(Err(failed)) => {
                return not_started(NotStarted::System { reason: failed.to_string() });
            }
            Err(_) => return not_started(NotStarted::TooSlow { limit }),
        };
        let in_time = tokio::select! {
            biased;
            () = group.leader_ended() => true,
            () = sleep_until(deadline) => false,
            _ = flow_on(&mut pipes) => false,
        };
        if !in_time {
            end(&mut group, &mut pipes, grace).await;
        }
        pipes.rest(QUIET, LINGER).await;
        let status = timeout(REAP, group.reap()).await;
        let exit = match status {
            _ if !in_time => Exit::TimedOut { limit },
            Ok(Ok(status)) => exit_of(status),
            Ok(Err(error)) => Exit::Unknown(error.to_string()),
            Err(_) => Exit::Unknown("its exit code did not come".to_owned()),
        };
        let (stdout, stderr) = pipes.finish();
        (exit, stdout, stderr)
    }
}

/// Ends a group: politely, then not.
async fn end(group: &mut Group, pipes: &mut Pipes, grace: Duration) {
    group.signal(Signal::TERM);
    tokio::select! {
        biased;
        _ = timeout(grace, group.emptied()) => {}
        _ = flow_on(pipes) => {}
    }
    group.signal(Signal::KILL);
    tokio::select! {
        biased;
        _ = timeout(REAP, group.leader_ended()) => {}
        _ = flow_on(pipes) => {}
    }
}

/// Keeps the pipes flowing for as long as something else is waited for.
async fn flow_on(pipes: &mut Pipes) -> Infallible {
    pipes.flow().await;
    std::future::pending().await
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Exited(code),
        (None, Some(signal)) => Exit::Signalled(signal),
        (None, None) => Exit::Unknown(status.to_string()),
    }
}
