//! A sandbox with a manager that watches it: the real binary as a child process.
//!
//! [`perform`] makes one, lets something happen on it, and takes everything down again, whether
//! that went well, failed, or was interrupted.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use primacy_api::{Client, ClusterView, Service};
use primacy_sandbox::{AccountRole, Installation, Sandbox, UpOptions};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::interrupt::{Interrupt, Interrupted};
use crate::writer::Target;

/// How long the manager may take to listen, and to find the cluster healthy.
const HEALTHY_LIMIT: Duration = Duration::from_secs(60);
/// How long the manager may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// A cluster and its manager.
pub(crate) struct Stage {
    /// The servers.
    pub(crate) sandbox: Sandbox,
    /// The way to the manager.
    pub(crate) client: Client,
    manager: Child,
}

/// Makes a stage, performs on it, and takes it down.
pub(crate) async fn perform<T>(
    primacy: &Path,
    options: UpOptions,
    interrupt: &Interrupt,
    act: impl AsyncFnOnce(&Stage) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let stage = Stage::up(primacy, options, interrupt).await?;
    let acted = interrupt.unless(act(&stage)).await;
    let acted = acted.map_err(|error| explained(error, &stage.log()));
    let down = stage.down().await;
    let result = acted?;
    down?;
    Ok(result)
}

impl Stage {
    /// Makes the servers, starts the manager, and waits until it finds everything healthy. What a
    /// failure or an interruption leaves is taken down.
    pub(crate) async fn up(
        primacy: &Path,
        options: UpOptions,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Self> {
        interrupt.check()?;
        // Made to the end even if interrupted: a sandbox that is half made cannot be taken down.
        let sandbox = tokio::spawn(Sandbox::up(options)).await??;
        let manager = match start_manager(primacy, &sandbox) {
            Ok(manager) => manager,
            Err(error) => {
                sandbox.down().await?;
                return Err(error);
            }
        };
        let mut starting = Starting { sandbox, manager };
        match interrupt.unless(starting.listening()).await {
            Ok(client) => {
                let Starting { sandbox, manager } = starting;
                let stage = Self { sandbox, client, manager };
                match interrupt.unless(stage.healthy(HEALTHY_LIMIT)).await {
                    Ok(_) => Ok(stage),
                    Err(error) => {
                        let error = explained(error, &stage.log());
                        stage.down().await?;
                        Err(error)
                    }
                }
            }
            Err(error) => {
                let error = explained(error, &log_of(&starting.sandbox));
                stop(&mut starting.manager).await;
                starting.sandbox.down().await?;
                Err(error)
            }
        }
    }

    /// Waits until the manager finds the cluster healthy.
    pub(crate) async fn healthy(&self, limit: Duration) -> anyhow::Result<ClusterView> {
        let deadline = Instant::now() + limit;
        loop {
            let view = self.client.cluster(self.cluster()).await?;
            if view.health == "healthy" && view.operation.is_none() {
                return Ok(view);
            }
            if Instant::now() >= deadline {
                bail!("not healthy after {} s: {}", limit.as_secs(), view.sentence);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The cluster's name.
    pub(crate) fn cluster(&self) -> &str {
        &self.sandbox.info().name
    }

    /// Where an application of this cluster writes.
    pub(crate) fn target(&self) -> anyhow::Result<Target> {
        let info = self.sandbox.info();
        let account = info.account(AccountRole::Application)?;
        Ok(Target {
            servers: info.servers.iter().map(|server| server.address.clone()).collect(),
            user: account.user.clone(),
            password: account.password.clone().into(),
        })
    }

    /// The manager's process number.
    pub(crate) fn manager_pid(&self) -> Option<u32> {
        self.manager.id()
    }

    /// The manager's log.
    pub(crate) fn log(&self) -> PathBuf {
        log_of(&self.sandbox)
    }

    /// Stops the manager, ends the servers, removes everything.
    pub(crate) async fn down(mut self) -> anyhow::Result<()> {
        stop(&mut self.manager).await;
        Ok(self.sandbox.down().await?)
    }

    /// Leaves everything running.
    pub(crate) fn leave(self) {
        // A child that is dropped goes on; see `start_manager`.
        drop(self);
    }
}

/// Lines for MariaDB's option file: replicas apply in parallel, as MySQL's do by default. With a
/// single applier they fall behind a primary that is written to without pause, and a failover
/// waits for the winner to catch up.
pub(crate) fn parallel_appliers(server: &Installation) -> Vec<String> {
    if server.version.is_mariadb() { vec!["slave_parallel_threads = 4".into()] } else { Vec::new() }
}

/// A manager that does not listen yet.
struct Starting {
    sandbox: Sandbox,
    manager: Child,
}

impl Starting {
    async fn listening(&mut self) -> anyhow::Result<Client> {
        let socket = self.sandbox.info().dir.join("state/primacy.sock");
        let deadline = Instant::now() + HEALTHY_LIMIT;
        loop {
            if let Some(status) = self.manager.try_wait()? {
                bail!("the manager ended as soon as it was started: {status}");
            }
            match Client::connect(&socket).await {
                Ok(client) => return Ok(client),
                Err(error) if Instant::now() >= deadline => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

/// Starts the manager in a process group of its own, so that Ctrl-C at the terminal reaches us
/// alone, and we end things in order.
fn start_manager(primacy: &Path, sandbox: &Sandbox) -> anyhow::Result<Child> {
    let log = File::create(log_of(sandbox))?;
    let mut command = Command::new(primacy);
    command.arg("manager").arg("--config").arg(&sandbox.info().config);
    command.args(["--log-format", "human"]);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
    command.spawn().with_context(|| format!("{} was not started", primacy.display()))
}

async fn stop(manager: &mut Child) {
    let pid = manager.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It is our child and was not waited for: the number is still its own.
        let _ = kill_process(pid, Signal::TERM);
    }
    if tokio::time::timeout(STOP_LIMIT, manager.wait()).await.is_err() {
        let _ = manager.kill().await;
    }
}

fn log_of(sandbox: &Sandbox) -> PathBuf {
    sandbox.info().dir.join("manager.log")
}

/// An error with the end of the manager's log; an interruption needs no explanation.
fn explained(error: anyhow::Error, log: &Path) -> anyhow::Error {
    if error.is::<Interrupted>() {
        return error;
    }
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    let end = lines[lines.len().saturating_sub(15)..].join("\n  ");
    anyhow::anyhow!("{error:#}\nThe manager's log ends with:\n  {end}")
}
