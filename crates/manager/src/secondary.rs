//! The task that calls `secondary_check_script` while the primary does not answer: again and again,
//! until it answers, or an operation begins. What its word is worth is decided in `primacy_plan`.
//!
//! Nothing waits for it here: a call that hangs is ended at its limit, or at once when the primary
//! answers again, so that the next trouble begins with a call of its own.

use std::sync::Arc;
use std::time::Duration;

use primacy_exec::{Cluster, Eyes};
use primacy_types::{Address, Contact, ProcessState};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::memory::Memory;
use crate::observatory::Observatory;

/// Shortest pause between two calls.
const PAUSE: Duration = Duration::from_secs(1);

/// Starts the task; it ends when it is aborted.
pub(crate) fn start(cluster: &Arc<Cluster>, observatory: &Arc<Observatory>) -> JoinHandle<()> {
    let (changes, quiet) = (observatory.changes(), observatory.quiet());
    let (cluster, observatory) = (Arc::clone(cluster), Arc::clone(observatory));
    tokio::spawn(SecondaryCheck { cluster, observatory, changes, quiet }.run())
}

struct SecondaryCheck {
    cluster: Arc<Cluster>,
    observatory: Arc<Observatory>,
    changes: watch::Receiver<u64>,
    /// Nothing is under way on the cluster.
    quiet: watch::Receiver<bool>,
}

impl SecondaryCheck {
    async fn run(mut self) {
        loop {
            let Some(primary) = self.in_doubt() else {
                if self.changes.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let (cluster, observatory) = (Arc::clone(&self.cluster), Arc::clone(&self.observatory));
            let asking = async {
                let asked = observatory.now();
                let ping = cluster.policy.ping_type;
                let Some(answer) = cluster.scripts.secondary_check(&primary, ping).await else {
                    return std::future::pending().await;
                };
                tracing::info!(server = %primary, ?answer, "secondary_check_script was asked");
                observatory.update(&primary, |memory: &mut Memory| {
                    memory.set_secondary(asked, answer);
                });
                tokio::time::sleep(self.pause()).await;
            };
            tokio::select! {
                () = asking => {}
                () = no_longer_in_doubt(&self, &primary) => {}
            }
        }
    }

    /// The patience that probes have.
    fn pause(&self) -> Duration {
        let timing = &self.cluster.policy.timing;
        let patience = timing.ping_interval.as_duration() * timing.ping_failures;
        patience.max(PAUSE)
    }

    /// The primary, if it does not answer and its host's operating system has not said why.
    fn in_doubt(&self) -> Option<Address> {
        let snapshot = self.observatory.remembered();
        let primary = snapshot.primary.clone()?;
        let server = snapshot.server(&primary)?;
        let gone = matches!(server.process, Some(ProcessState::Exited { .. }));
        let failing =
            matches!(&server.contact, Contact::Failing { last, .. } if !last.proves_life());
        (failing && !gone && *self.quiet.borrow()).then_some(primary)
    }
}

/// Returns when this primary answers again, is gone for a fact, or an operation is under way.
async fn no_longer_in_doubt(check: &SecondaryCheck, primary: &Address) {
    let mut changes = check.changes.clone();
    while check.in_doubt().as_ref() == Some(primary) {
        if changes.changed().await.is_err() {
            return;
        }
    }
}
