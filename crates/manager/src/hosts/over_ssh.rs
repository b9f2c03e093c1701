//! Looks at a host over ssh: whether the server's files could be read if it died, and whether its
//! process runs.

use std::sync::{Arc, Weak};
use std::time::Duration;

use primacy_exec::{Eyes, Hosts, identity};
use primacy_host::{HostAccess, HostError, SshHost};
use primacy_types::{Address, FileAccess, ProcessState, SshSettings};
use tokio::time::Instant;

use super::{FIRST, file_access};
use crate::observatory::Observatory;

/// Limit of looking at the files.
const LIMIT: Duration = Duration::from_secs(5);

/// Limit of looking at the process: while it lasts, what was seen before counts.
const PROCESS_LIMIT: Duration = Duration::from_secs(2);

/// How often it is looked whether the files can still be read.
const FILES: Duration = Duration::from_secs(60);

/// When the same is tried again after the host was not reached.
const SOON: Duration = Duration::from_secs(5);

/// When the same is tried again after something that a person has to mend, such as a refused
/// login: each attempt stands in somebody's log.
const LATER: Duration = Duration::from_secs(60);

/// How often the process of a server that does not answer is looked at.
const CLOSE_LOOK: Duration = Duration::from_millis(500);

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
    loop {
        if Instant::now() >= files_again {
            let able = host.capability(LIMIT).await;
            let Some(seen) = observatory.upgrade() else { return };
            files_again = Instant::now() + FILES;
            match able {
                Ok(able) => seen.set_files(&server, Some(file_access(able.read_files))),
                // What was known before holds: the host may only be slow, or in a reboot.
                Err(error) if error.is_passing() => {
                    tracing::debug!(%server, %error, "its host is not reached");
                    files_again = Instant::now() + SOON;
                }
                Err(error) => {
                    tracing::warn!(%server, %error, "its files cannot be read");
                    seen.set_files(&server, Some(FileAccess::Unreadable(error.to_string())));
                }
            }
        }
        let process = host.process(PROCESS_LIMIT).await;
        let Some(seen) = observatory.upgrade() else { return };
        // What was seen over a connection that is gone says nothing of now.
        seen.set_process(&server, process.as_ref().ok().copied());
        let answers = seen.remembered().live(&server).is_some();
        drop(seen);
        let wait = match &process {
            Ok(_) if answers => FILES,
            Ok(_) => CLOSE_LOOK,
            Err(HostError::ProcessUnseen { .. }) => SOON,
            Err(error) if error.is_passing() => SOON,
            Err(_) => LATER,
        };
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
            return match SshHost::new(&identity(server, facts), settings) {
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
