//! Starting and stopping the server: by the systemd unit that was seen to start it, else by the
//! program that is configured for it. What is started never comes from a request.

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use primacy_types::ProcessState;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout_at};

use super::LocalHost;
use super::unit::Systemd;
use crate::HostError;

/// How often a process that was started is looked for.
const LOOK: Duration = Duration::from_millis(50);
/// How often systemd is asked whether it has given up.
const ASK: Duration = Duration::from_millis(500);
/// The limit of one call of `systemctl`, none of which waits for the server itself.
const SYSTEMCTL: Duration = Duration::from_secs(10);
/// setsid(1) of util-linux: it replaces itself by the program in a session of its own, so that
/// nothing that ends us, or our terminal, ends the server.
const SETSID: &[&str] = &["/usr/bin/setsid", "/bin/setsid"];

/// What was begun.
enum Begun<'a> {
    Unit(&'a Systemd, String, Instant),
    Program(Child, String),
}

impl LocalHost {
    pub(crate) async fn start_server(&self, limit: Duration) -> Result<ProcessState, HostError> {
        let deadline = Instant::now() + limit;
        let Ok(_turn) = timeout_at(deadline, self.turn.lock()).await else {
            return Err(self.too_late("waiting for another start or stop", limit));
        };
        if let Some(by) = self.known().keep_down.holds() {
            return Err(HostError::KeptDown { server: self.server.address.clone(), by });
        }
        if let Some(state) = self.running(limit).await? {
            return Ok(state);
        }
        // Its data directory may have been replaced while it was down: that counts which stands
        // under the name now.
        self.known().wanted.directory = None;
        let mut begun = self.begin(deadline).await?;
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(LOOK);
            if let Some(state) = self.running(left).await? {
                return Ok(state);
            }
            if let Some((what, reason)) = begun.has_failed().await {
                let server = self.server.address.clone();
                return Err(HostError::NotStarted { server, what, reason });
            }
            if Instant::now() >= deadline {
                return Err(self.too_late("waiting for the process that was started", limit));
            }
            sleep(LOOK).await;
        }
    }

    pub(crate) async fn stop_server(&self, limit: Duration) -> Result<ProcessState, HostError> {
        let deadline = Instant::now() + limit;
        let Ok(_turn) = timeout_at(deadline, self.turn.lock()).await else {
            return Err(self.too_late("waiting for another start or stop", limit));
        };
        let Some(server) = self.look(limit).await? else { return self.process_now(limit).await };
        if !server.verified {
            let source = std::io::ErrorKind::PermissionDenied.into();
            return Err(self.not_permitted(&server, "look at", source));
        }
        let unit = self.known().unit.clone();
        let by_unit = match (&self.systemd, unit) {
            (Some(systemd), Some(unit)) => match systemd.stop(&unit, SYSTEMCTL).await {
                Ok(()) => true,
                Err(reason) => {
                    tracing::warn!(unit, reason, "the unit is not stopped; the process is asked");
                    false
                }
            },
            _ => false,
        };
        // SIGTERM is a clean shutdown for every version, and needs no account.
        if !by_unit && let Err(source) = server.process.terminate() {
            return Err(self.not_permitted(&server, "signal", source));
        }
        if timeout_at(deadline, server.process.gone()).await.is_err() {
            return Err(HostError::StillRuns {
                server: self.server.address.clone(),
                pid: server.process.pid(),
                limit,
                state: server.process.state_word(),
            });
        }
        Ok(ProcessState::Exited { clean: self.clean(Some(&server)).await })
    }

    /// Its process, if there is one that has not exited.
    async fn running(&self, limit: Duration) -> Result<Option<ProcessState>, HostError> {
        Ok(self.look(limit).await?.and_then(|server| server.process.state()))
    }

    async fn begin(&self, deadline: Instant) -> Result<Begun<'_>, HostError> {
        let unit = self.known().unit.clone();
        if let (Some(systemd), Some(unit)) = (&self.systemd, unit) {
            let left = deadline.saturating_duration_since(Instant::now()).min(SYSTEMCTL);
            return match systemd.start(&unit, left).await {
                Ok(()) => Ok(Begun::Unit(systemd, unit, Instant::now())),
                Err(reason) => Err(self.not_started(format!("its unit {unit}"), reason)),
            };
        }
        let program = self.server.start.as_ref().filter(|program| !program.words.is_empty());
        let Some(program) = program else {
            return Err(HostError::NothingStarts { server: self.server.address.clone() });
        };
        let shown = format!("`{}`", program.words.join(" "));
        let failed = |reason: std::io::Error| self.not_started(shown.clone(), reason.to_string());
        let Some(setsid) = SETSID.iter().map(PathBuf::from).find(|path| path.exists()) else {
            let reason = "setsid is not installed (package util-linux)".to_owned();
            return Err(self.not_started(shown, reason));
        };
        let mut command = Command::new(setsid);
        command.args(&program.words).current_dir("/").stdin(Stdio::null());
        match &program.output {
            Some(path) => {
                let file = File::options().create(true).append(true).open(path).map_err(&failed)?;
                let both = file.try_clone().map_err(&failed)?;
                command.stdout(file).stderr(both);
            }
            None => {
                command.stdout(Stdio::null()).stderr(Stdio::null());
            }
        }
        tracing::info!(server = %self.server.address, program = shown, "starting it");
        Ok(Begun::Program(command.spawn().map_err(&failed)?, shown))
    }

    fn not_started(&self, what: String, reason: String) -> HostError {
        HostError::NotStarted { server: self.server.address.clone(), what, reason }
    }

    fn too_late(&self, what: &str, limit: Duration) -> HostError {
        let what = what.to_owned();
        HostError::TimedOut { server: self.server.address.clone(), what, limit }
    }
}

impl Begun<'_> {
    /// What failed and why, if nothing is to be waited for any more. A program that has ended well
    /// may be a wrapper that put the server into the background.
    async fn has_failed(&mut self) -> Option<(String, String)> {
        match self {
            Self::Unit(systemd, unit, asked) => {
                if asked.elapsed() < ASK {
                    return None;
                }
                *asked = Instant::now();
                let state = systemd.state(unit, SYSTEMCTL).await.ok()?;
                (state == "failed").then(|| {
                    let reason = format!("systemd says that it failed; see: journalctl -u {unit}");
                    (format!("its unit {unit}"), reason)
                })
            }
            Self::Program(child, shown) => {
                let status = child.try_wait().ok().flatten().filter(|status| !status.success())?;
                let reason = format!("it ended with {status}; the server's error log says why");
                Some((shown.clone(), reason))
            }
        }
    }
}
