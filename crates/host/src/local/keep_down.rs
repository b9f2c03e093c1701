//! Killing the server, keeping it down, and letting it start again.
//!
//! The guard is up before the signal is sent. The unit is masked at the same time as the process
//! is killed, not before it: masking makes systemd reload all its units, which takes longer than
//! everything else here, and the guard holds meanwhile.

use std::time::Duration;

use primacy_types::ProcessState;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::guard::Guard;
use super::process::Process;
use super::{LocalHost, Server};
use crate::{HostError, Killed, RestartsPrevented, UnitMask};

/// How long `systemctl` may take; it goes on beside the failover.
const SYSTEMCTL_LIMIT: Duration = Duration::from_secs(10);
/// How long the report waits for it.
const MASK_PATIENCE: Duration = Duration::from_millis(200);

/// What holds a server down.
#[derive(Debug)]
pub(crate) struct KeepDown {
    guard: Option<Guard>,
    /// A unit that is masked, or may be: released by name even after an earlier manager's kill.
    masked: Option<String>,
    masking: Option<JoinHandle<()>>,
}

impl KeepDown {
    pub(crate) fn new(masked: Option<String>) -> Self {
        Self { guard: None, masked, masking: None }
    }

    /// What keeps the server down now, if we do.
    pub(crate) fn holds(&self) -> Option<String> {
        self.guard.as_ref().map(|_| "this process".to_owned())
    }
}

impl LocalHost {
    pub(crate) async fn kill(&self, limit: Duration) -> Result<Killed, HostError> {
        let deadline = Instant::now() + limit;
        let server = self.look(limit).await?;
        let was = server.as_ref().and_then(|server| server.process.state());
        if let Some(unverified) = server.as_deref().filter(|server| !server.verified) {
            let source = std::io::ErrorKind::PermissionDenied.into();
            return Err(self.not_permitted(unverified, "look at", source));
        }
        let restarts_prevented = self.raise_guard(server.as_deref())?;
        if let Some(server) = &server
            && let Err(source) = server.process.kill()
        {
            self.known().keep_down.guard = None;
            return Err(self.not_permitted(server, "signal", source));
        }
        let masking = self.mask_unit();
        if let Some(server) = &server
            && tokio::time::timeout_at(deadline, server.process.gone()).await.is_err()
        {
            return Err(HostError::StillAlive {
                server: self.server.address.clone(),
                pid: server.process.pid(),
                limit,
                state: server.process.state_word(),
            });
        }
        let unit = match masking {
            None => None,
            Some((unit, result)) => {
                let patience =
                    MASK_PATIENCE.min(deadline.saturating_duration_since(Instant::now()));
                let failure = match timeout(patience, result).await {
                    Ok(Ok(done)) => done.err(),
                    Ok(Err(_)) | Err(_) => {
                        Some("systemctl mask --runtime had not ended yet; it goes on".to_owned())
                    }
                };
                Some(UnitMask { unit, failure })
            }
        };
        let pid = was.and_then(|_| server.as_ref().map(|server| server.process.pid()));
        let was = match was {
            Some(was) => was,
            None => ProcessState::Exited { clean: self.clean_of_last().await },
        };
        Ok(Killed { pid, was, restarts_prevented, unit })
    }

    pub(crate) async fn let_start(&self) -> Result<(), HostError> {
        let (guard, masked, masking) = {
            let held = &mut self.known().keep_down;
            (held.guard.take(), held.masked.clone(), held.masking.take())
        };
        if let Some(guard) = guard {
            self.blocking(SYSTEMCTL_LIMIT, "ending the guard", move || guard.stop()).await?;
        }
        if let Some(masking) = masking
            && let Err(error) = masking.await
        {
            tracing::debug!(%error, "masking the unit was not seen to its end");
        }
        let (Some(systemd), Some(unit)) = (&self.systemd, masked) else { return Ok(()) };
        // Whoever may not mask may not unmask either: where nothing was masked nothing is left to do.
        if let Err(reason) = systemd.unmask(&unit, SYSTEMCTL_LIMIT).await
            && systemd.is_masked(&unit)
        {
            return Err(HostError::StillMasked {
                server: self.server.address.clone(),
                unit,
                reason,
            });
        }
        self.known().keep_down.masked = None;
        Ok(())
    }

    fn raise_guard(&self, server: Option<&Server>) -> Result<RestartsPrevented, HostError> {
        let mut known = self.known();
        if let Some(guard) = &known.keep_down.guard {
            return Ok(guard.prevented());
        }
        let doomed = server.and_then(|server| Process::open(server.process.pid()).ok());
        let doomed = doomed.filter(|doomed| server.is_some_and(|it| it.process.is(doomed)));
        let guard = Guard::start(known.wanted.clone(), doomed).map_err(|source| {
            HostError::System { server: self.server.address.clone(), what: "thread start", source }
        })?;
        let prevented = guard.prevented();
        known.keep_down.guard = Some(guard);
        Ok(prevented)
    }

    /// Begins to mask the unit; the result comes when systemd has answered.
    fn mask_unit(&self) -> Option<(String, oneshot::Receiver<Result<(), String>>)> {
        let systemd = self.systemd.clone()?;
        let mut known = self.known();
        let unit = known.unit.clone()?;
        let (tell, result) = oneshot::channel();
        let name = unit.clone();
        known.keep_down.masked = Some(unit.clone());
        let earlier = known.keep_down.masking.take();
        known.keep_down.masking = Some(tokio::spawn(async move {
            if let Some(earlier) = earlier {
                drop(earlier.await);
            }
            let done = systemd.mask(&name, SYSTEMCTL_LIMIT).await;
            if let Err(reason) = &done {
                tracing::warn!(unit = name, reason, "the unit is not masked; the guard holds");
            }
            // Nobody may be waiting for it any more.
            drop(tell.send(done));
        }));
        Some((unit, result))
    }

    async fn clean_of_last(&self) -> Option<bool> {
        let last = self.known().current.clone();
        self.clean(last.as_deref()).await
    }

    pub(super) fn not_permitted(
        &self,
        server: &Server,
        what: &'static str,
        source: std::io::Error,
    ) -> HostError {
        let pid = server.process.pid();
        HostError::NotPermitted { server: self.server.address.clone(), pid, what, source }
    }
}
