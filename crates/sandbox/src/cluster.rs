//! A replication cluster of real servers on this machine, and what one can do to it.

mod launch;
mod up;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::info::{SandboxInfo, ServerInfo, ServerStatus, UpOptions};
use crate::process::{Identity, ProcessState};
use crate::registry::Registry;
use crate::{Error, Result, find_installation, greeting};

/// The file that says that a folder is ours to remove.
const OURS: &str = ".primacy-sandbox";
/// How long a server may take to stop when it is asked to.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How long `down` waits before it kills: its servers' data is thrown away anyway.
const DOWN_LIMIT: Duration = Duration::from_secs(1);
const KILL_LIMIT: Duration = Duration::from_secs(10);
const GREET_LIMIT: Duration = Duration::from_millis(500);

/// A sandbox: its folder, its servers, and the way to each server's process.
#[derive(Clone, Debug)]
pub struct Sandbox {
    info: SandboxInfo,
}

impl Sandbox {
    /// Makes a sandbox and returns when replication runs and the primary takes writes. What a
    /// failure leaves is removed; its error has the end of the server's log. Dropped halfway, it
    /// leaves a sandbox that [`find`](Self::find) finds and [`down`](Self::down) removes.
    pub async fn up(options: UpOptions) -> Result<Self> {
        up::up(options).await
    }

    /// The sandbox in this folder.
    pub fn load(dir: &Path) -> Result<Self> {
        Ok(Self { info: SandboxInfo::read(dir)? })
    }

    /// The sandbox of this name, wherever its folder is.
    pub fn find(name: &str) -> Result<Self> {
        let dir = Registry::open()?.find(name).ok_or_else(|| {
            Error::refused(
                format!("there is no sandbox called {name:?}"),
                "see: primacy sandbox list",
            )
        })?;
        Self::load(&dir)
    }

    /// All sandboxes of this user.
    pub fn list() -> Result<Vec<Self>> {
        Ok(Registry::open()?.list()?.into_iter().map(|info| Self { info }).collect())
    }

    /// What it is made of.
    pub fn info(&self) -> &SandboxInfo {
        &self.info
    }

    /// What each server is doing now.
    pub async fn status(&self) -> Result<Vec<ServerStatus>> {
        let mut all = Vec::new();
        for server in &self.info.servers {
            let process = launch::recorded(server)?;
            let state = process.as_ref().map_or(ProcessState::Stopped, Identity::state);
            let alive = matches!(state, ProcessState::Running | ProcessState::Frozen);
            let running = state == ProcessState::Running;
            all.push(ServerStatus {
                name: server.name.clone(),
                address: server.address.clone(),
                role: server.role,
                process: state,
                pid: process.filter(|_| alive).map(|process| process.pid),
                answers: running && greeting::greets(&server.address, GREET_LIMIT).await,
            });
        }
        Ok(all)
    }

    /// The process of a server: the one that we started last and did not stop. It may be dead.
    pub fn process(&self, server: &str) -> Result<Option<Identity>> {
        launch::recorded(self.info.server(server)?)
    }

    /// Stops a server cleanly, as its administrator would, and waits until it is gone.
    pub async fn stop(&self, server: &str) -> Result<()> {
        let server = self.info.server(server)?;
        if let Some(process) = launch::recorded(server)? {
            ask_to_stop(server, &process)?;
            if !process.gone_within(STOP_LIMIT).await {
                return Err(launch::failed(
                    server,
                    &format!("did not stop within {} s", STOP_LIMIT.as_secs()),
                ));
            }
        }
        launch::forget(server)
    }

    /// Starts a server again, read-only as its option file says, and waits until it answers.
    pub async fn start(&self, server: &str) -> Result<()> {
        let server = self.info.server(server)?;
        if launch::recorded(server)?.is_some_and(|process| process.is_alive()) {
            return Err(Error::refused(
                format!("{} is running", server.name),
                "stop it first, or thaw it if it is frozen",
            ));
        }
        let installation = find_installation(Some(&self.info.installation))?;
        let process = launch::start(&installation, server, &[])?;
        launch::wait_until_ready(&self.info, server, &process).await
    }

    /// The program and arguments that start a server, as somebody else would write them down; on the
    /// server's own host.
    pub fn start_command(&self, server: &str) -> Result<Vec<String>> {
        let server = self.info.server(server)?;
        let installation = find_installation(Some(&self.info.installation))?;
        let text = |word: &std::ffi::OsStr| word.to_string_lossy().into_owned();
        let mut words = vec!["/usr/bin/env".to_owned()];
        let env = installation.extra_env.iter();
        words.extend(env.map(|(key, value)| format!("{}={}", text(key), text(value))));
        words.extend(installation.command().iter().map(|word| text(word)));
        words.push(format!("--defaults-file={}", server.config_file.display()));
        Ok(words)
    }

    /// Kills a server with SIGKILL, and waits until it is gone.
    pub async fn kill(&self, server: &str) -> Result<()> {
        let (server, process) = self.alive(server)?;
        send(server, &process, Signal::KILL)?;
        expect(process.gone_within(KILL_LIMIT).await, server, "did not end after SIGKILL")
    }

    /// Freezes a server with SIGSTOP: its connections stay open and nothing answers.
    pub async fn freeze(&self, server: &str) -> Result<()> {
        let (server, process) = self.alive(server)?;
        send(server, &process, Signal::STOP)?;
        let frozen = |state| state == ProcessState::Frozen;
        expect(process.becomes(KILL_LIMIT, frozen).await, server, "did not freeze")
    }

    /// Lets a frozen server go on, as if nothing had happened to it.
    pub async fn thaw(&self, server: &str) -> Result<()> {
        let (server, process) = self.alive(server)?;
        send(server, &process, Signal::CONT)?;
        let runs = |state| state == ProcessState::Running;
        expect(process.becomes(KILL_LIMIT, runs).await, server, "did not go on after SIGCONT")
    }

    /// Ends all servers, frozen or not, and removes the folder and all data.
    pub async fn down(self) -> Result<()> {
        let dir = &self.info.dir;
        if !dir.join(OURS).exists() {
            return Err(Error::NotASandbox {
                dir: dir.clone(),
                why: format!("it has no {OURS}, so it was left as it is"),
            });
        }
        let mut processes = Vec::new();
        for server in &self.info.servers {
            if let Some(process) = launch::recorded(server)? {
                ask_to_stop(server, &process)?;
                processes.push((server, process));
            }
        }
        let deadline = Instant::now() + DOWN_LIMIT;
        for (server, process) in &processes {
            if !process.gone_within(deadline.saturating_duration_since(Instant::now())).await {
                send(server, process, Signal::KILL)?;
                expect(process.gone_within(KILL_LIMIT).await, server, "did not end")?;
            }
        }
        remove_ours(dir)?;
        Registry::open()?.remove(&self.info.name, dir)
    }

    fn alive(&self, server: &str) -> Result<(&ServerInfo, Identity)> {
        let server = self.info.server(server)?;
        match launch::recorded(server)?.filter(Identity::is_alive) {
            Some(process) => Ok((server, process)),
            None => {
                Err(Error::refused(format!("{} is not running", server.name), "start it first"))
            }
        }
    }
}

/// SIGTERM; a frozen server gets it when it goes on.
fn ask_to_stop(server: &ServerInfo, process: &Identity) -> Result<()> {
    send(server, process, Signal::TERM)?;
    send(server, process, Signal::CONT)
}

fn send(server: &ServerInfo, process: &Identity, signal: Signal) -> Result<()> {
    process
        .signal(signal)
        .map(drop)
        .map_err(|error| launch::failed(server, &format!("could not be signalled: {error}")))
}

fn expect(happened: bool, server: &ServerInfo, otherwise: &str) -> Result<()> {
    if happened { Ok(()) } else { Err(launch::failed(server, otherwise)) }
}

/// Removes a sandbox's folder; the mark goes last, so that a removal that was cut short can be
/// done again.
fn remove_ours(dir: &PathBuf) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(Error::file("read", dir))? {
        let path = entry.map_err(Error::file("read", dir))?.path();
        let last = [OURS, SandboxInfo::FILE].iter().any(|name| path.ends_with(name));
        if last {
            continue;
        }
        let removed = if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.map_err(Error::file("remove", &path))?;
    }
    fs::remove_dir_all(dir).map_err(Error::file("remove", dir))
}
