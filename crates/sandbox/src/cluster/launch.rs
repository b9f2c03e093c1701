//! One server's process: its record, its start, and the moment when it serves.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::command::end_of;
use crate::greeting;
use crate::info::{SandboxInfo, ServerInfo};
use crate::installation::Installation;
use crate::process::{Identity, start_detached};
use crate::{Error, Result, places, replication};

/// How long a server may take from its start to its first login, crash recovery included.
const READY_LIMIT: Duration = Duration::from_secs(90);

fn record(server: &ServerInfo) -> PathBuf {
    server.dir.join("process.json")
}

/// The process that was started last, unless it was stopped on request.
pub(super) fn recorded(server: &ServerInfo) -> Result<Option<Identity>> {
    let path = record(server);
    match fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| Error::file("read", &path)(error.into())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("read", &path)(error)),
    }
}

pub(super) fn forget(server: &ServerInfo) -> Result<()> {
    let path = record(server);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file("remove", &path)(error))
        }
        _ => Ok(()),
    }
}

/// Starts a server and records its process.
pub(super) fn start(
    installation: &Installation,
    server: &ServerInfo,
    more: &[String],
) -> Result<Identity> {
    let mut words: Vec<OsString> = Vec::new();
    if let Some(netns) = &server.netns {
        words.extend(["ip", "netns", "exec", netns].map(OsString::from));
    }
    words.extend(installation.command());
    words.push(format!("--defaults-file={}", server.config_file.display()).into());
    words.extend(more.iter().map(OsString::from));
    let process = start_detached(&words, &installation.extra_env, &server.error_log)
        .map_err(|error| failed(server, &error.to_string()))?;
    let text = serde_json::to_string(&process).unwrap_or_default();
    places::write_private(&record(server), &text)?;
    Ok(process)
}

/// Waits until root can log in, which a server allows only when its first-start SQL is done.
pub(super) async fn wait_until_ready(
    info: &SandboxInfo,
    server: &ServerInfo,
    process: &Identity,
) -> Result<()> {
    let deadline = Instant::now() + READY_LIMIT;
    loop {
        if !process.is_alive() {
            return Err(failed(server, "ended while it was starting"));
        }
        if server.socket.exists()
            && let Ok(session) = replication::root(info, server).await
        {
            session.close().await;
            break;
        }
        if Instant::now() >= deadline {
            let limit = READY_LIMIT.as_secs();
            return Err(failed(server, &format!("does not take logins {limit} s after its start")));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The socket answers a moment before the port may.
    while server.netns.is_none()
        && !greeting::greets(&server.address, Duration::from_secs(1)).await
        && Instant::now() < deadline
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// An error about a server, with the end of its log.
pub(super) fn failed(server: &ServerInfo, what: &str) -> Error {
    let log = fs::read(&server.error_log).unwrap_or_default();
    Error::Server {
        server: format!("{} ({})", server.name, server.address),
        what: what.to_owned(),
        log: end_of(&String::from_utf8_lossy(&log), 2000).to_owned(),
    }
}
