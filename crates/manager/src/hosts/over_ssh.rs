//! Looks at a host over ssh: whether the server's files could be read if it died, whether its
//! process runs, and whether that could be killed.

use std::sync::{Arc, Weak};
use std::time::Duration;

use primacy_exec::{Eyes, Hosts};
use primacy_host::{Ability, HostAccess, HostError, SshHost};
use primacy_types::{Address, FenceRung, FileAccess, ProcessState, SshSettings};
use tokio::time::Instant;

use super::{FIRST, file_access, known_as};
use crate::observatory::Observatory;

/// Limit of looking at what may be done.
const LIMIT: Duration = Duration::from_secs(5);

/// Limit of looking at the process: while it lasts, what was seen before counts.
const PROCESS_LIMIT: Duration = Duration::from_secs(2);

/// How often it is looked whether the files can still be read, and the process still be killed.
const FILES: Duration = Duration::from_secs(60);

/// When the same is tried again after the host was not reached.
const SOON: Duration = Duration::from_secs(5);

/// When the same is tried again after something that a person has to mend, such as a refused
/// login: each attempt stands in somebody's log.
const LATER: Duration = Duration::from_secs(60);

/// How often the process of a server that does not answer is looked at.
const CLOSE_LOOK: Duration = Duration::from_millis(500);

/// A host that is not reached for so long is lost rather than slow: it is no longer said that the
/// server can be fenced there, so that the policy for those that cannot be decides.
const LOST: Duration = Duration::from_secs(6);

/// Watches for as long as the observatory lives.
pub(super) async fn watch(
    server: Address,
    settings: SshSettings,
    observatory: Weak<Observatory>,
    hosts: Arc<Hosts>,
) {
    let Some(host) = connect(&server, settings, &observatory).await else { return };
    let host = Arc::new(host);
    hosts.set(server.clone(), Arc::clone(&host) as _);
    let mut files_again = Instant::now();
    // Whether the process was seen when it was last asked what may be done to it.
    let mut asked_of_it = None;
    let mut unreached_since = None;
    let mut said = None;
    loop {
        if Instant::now() >= files_again {
            let able = host.capability(LIMIT).await;
            let Some(seen) = observatory.upgrade() else { return };
            files_again = Instant::now() + FILES;
            asked_of_it = able.as_ref().ok().map(|able| able.watch.is_yes());
            match able {
                Ok(able) => {
                    // What could be killed while it ran can be kept down when it is gone.
                    if able.watch.is_yes() {
                        let yes = able.kill.is_yes();
                        seen.set_fences(&server, if yes { vec![FenceRung::Ssh] } else { vec![] });
                        cannot_be_killed(&server, able.kill, &mut said);
                    }
                    seen.set_files(&server, Some(file_access(able.read_files)));
                }
                // What was known before holds: the host may only be slow, or in a reboot.
                Err(error) if error.is_passing() => {
                    tracing::debug!(%server, %error, "its host is not reached");
                    files_again = Instant::now() + SOON;
                }
                Err(error) => {
                    tracing::warn!(%server, %error, "its files cannot be read");
                    seen.set_fences(&server, Vec::new());
                    seen.set_files(&server, Some(FileAccess::Unreadable(error.to_string())));
                }
            }
        }
        let process = host.process(PROCESS_LIMIT).await;
        let Some(seen) = observatory.upgrade() else { return };
        // What was seen over a connection that is gone says nothing of now.
        seen.set_process(&server, process.as_ref().ok().copied());
        let answers = seen.remembered().live(&server).is_some();
        let passing = process.as_ref().err().is_some_and(HostError::is_passing);
        let since = *unreached_since.get_or_insert_with(Instant::now);
        if process.is_ok() {
            unreached_since = None;
        } else if !passing || since.elapsed() >= LOST {
            seen.set_fences(&server, Vec::new());
            asked_of_it = asked_of_it.map(|_| false);
        }
        drop(seen);
        let runs = matches!(&process, Ok(state) if !matches!(state, ProcessState::Exited { .. }));
        if runs && asked_of_it == Some(false) {
            files_again = Instant::now();
            continue;
        }
        let wait = until_next(&process, answers, files_again.duration_since(Instant::now()));
        if process.is_err() {
            tokio::time::sleep(wait).await;
            continue;
        }
        let restless = until_it_is_silent(&server, &observatory, answers);
        tokio::select! {
            state = host.exited() => {
                let Some(seen) = observatory.upgrade() else { return };
                ended(&seen, &server, state);
            }
            () = restless => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// How long nobody looks at the host again, by what it said of the server's process, whether the server
/// `answers`, and when its files are to be looked at.
fn until_next(
    process: &Result<ProcessState, HostError>,
    answers: bool,
    files: Duration,
) -> Duration {
    match process {
        // A look at the files that was not answered comes sooner than one that was.
        Ok(_) if answers => files,
        Ok(_) => CLOSE_LOOK,
        Err(HostError::ProcessUnseen { .. }) => SOON,
        Err(error) if error.is_passing() && answers => SOON,
        Err(error) if error.is_passing() => CLOSE_LOOK,
        Err(_) => LATER,
    }
}

/// Says once why a server cannot be fenced over ssh.
fn cannot_be_killed(server: &Address, kill: Ability, said: &mut Option<String>) {
    let reason = match kill {
        Ability::Yes => None,
        Ability::No(reason) => Some(reason),
    };
    if let Some(reason) = reason.as_ref().filter(|reason| said.as_ref() != Some(reason)) {
        tracing::warn!(%server, reason, "it cannot be fenced over ssh");
    }
    *said = reason;
}

fn ended(seen: &Observatory, server: &Address, state: ProcessState) {
    tracing::info!(%server, ?state, "its process has ended");
    seen.set_process(server, Some(state));
    // Its own connection is looked at first, as for a process of this machine.
    seen.nudge_all();
}

/// Resolves when a server that answered no longer does.
async fn until_it_is_silent(server: &Address, observatory: &Weak<Observatory>, answered: bool) {
    let Some(mut changes) = observatory.upgrade().map(|seen| seen.changes()) else { return };
    loop {
        if changes.changed().await.is_err() {
            return;
        }
        let Some(seen) = observatory.upgrade() else { return };
        if answered && seen.remembered().live(server).is_none() {
            return;
        }
    }
}

/// Waits until the server has said where its files are.
async fn connect(
    server: &Address,
    settings: SshSettings,
    observatory: &Weak<Observatory>,
) -> Option<SshHost> {
    loop {
        let seen = observatory.upgrade()?;
        let snapshot = seen.remembered();
        // One that does not answer may have said it before the manager was restarted.
        let known = snapshot.server(server).and_then(|s| {
            let silent = s.contact.failure().is_some();
            s.live_facts().or_else(|| s.facts.as_ref().filter(|_| silent))
        });
        if let Some(facts) = known {
            return match SshHost::new(&known_as(server, facts, &seen), settings) {
                Ok(host) => Some(host),
                Err(error) => {
                    tracing::warn!(%server, %error, "its host cannot be reached over ssh");
                    seen.set_files(server, Some(FileAccess::Unreadable(error.to_string())));
                    None
                }
            };
        }
        drop(seen);
        tokio::time::sleep(FIRST).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_answered_is_asked_again_soon() {
        let runs = || Ok(ProcessState::Running { pid: 812 });
        // The look at the files ran into its limit, and the one at the process was answered.
        assert_eq!(until_next(&runs(), true, SOON), SOON);
        assert_eq!(until_next(&runs(), true, FILES), FILES);
        assert_eq!(until_next(&runs(), false, FILES), CLOSE_LOOK);
    }
}
