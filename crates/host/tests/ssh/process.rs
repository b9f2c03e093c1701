//! The server's process as it is seen over ssh: a stand-in (this test program again, under the
//! name `mariadbd`) takes its place.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use primacy_host::{HostAccess, HostError};
use primacy_types::ProcessState;
use rustix::process::{Pid, Signal, kill_process};

use crate::far_side::{FarSide, LIMIT, Tools};

/// Not a test: what the stand-in runs. It ends by itself in case that nobody kills it.
#[test]
fn stand_in() {
    if std::env::var_os("SSH_STAND_IN").is_some() {
        std::thread::sleep(Duration::from_secs(30));
    }
}

/// A server's process; it is killed with this.
pub(crate) struct Server(pub(crate) Child);

/// What the stand-in is called with.
pub(crate) const ARGUMENTS: [&str; 3] = ["--exact", "process::stand_in", "--nocapture"];

/// The stand-in's program.
pub(crate) fn program(far: &FarSide) -> PathBuf {
    let program = far.folder.path().join("mariadbd");
    if !program.exists() {
        symlink(std::env::current_exe().unwrap(), &program).unwrap();
    }
    program
}

impl Server {
    /// Starts one in the data directory, and writes its pid file.
    pub(crate) fn start(far: &FarSide) -> Self {
        let server = Self::start_in(far, &far.data());
        far.write("db1.pid", format!("{}\n", server.0.id()));
        server
    }

    /// Starts one in any directory.
    pub(crate) fn start_in(far: &FarSide, directory: &Path) -> Self {
        let child = Command::new(program(far))
            .args(ARGUMENTS)
            .env("SSH_STAND_IN", "1")
            .current_dir(directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Whether it has not been killed yet.
    pub(crate) fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A binary log that was left open, and its index.
fn write_binlog(far: &FarSide, in_use: u8) {
    let mut head = b"\xfebin\x01\x02\x03\x04\x0f\x01\0\0\0\x64\0\0\0\0\0\0\0".to_vec();
    head.extend([in_use, 0]);
    far.write("binlog.000007", head);
    far.write("binlog.index", "./binlog.000006\n./binlog.000007\n");
}

async fn is_seen(tools: Tools) {
    let Some(far) = FarSide::with(tools, "") else { return };
    let host = far.host();
    write_binlog(&far, 1);
    let server = Server::start(&far);
    let pid = server.0.id();
    assert_eq!(host.process(LIMIT).await.unwrap(), ProcessState::Running { pid });
    assert!(host.capability(LIMIT).await.unwrap().watch.is_yes());
    server.signal(Signal::STOP);
    assert_eq!(host.process(LIMIT).await.unwrap(), ProcessState::Frozen { pid });
    server.kill();
    let died = ProcessState::Exited { clean: Some(false) };
    assert_eq!(host.process(LIMIT).await.unwrap(), died, "{tools:?}");
    assert_eq!(tokio::time::timeout(LIMIT, host.exited()).await.unwrap(), died);

    let again = Server::start(&far);
    let pid = again.0.id();
    assert_eq!(host.process(LIMIT).await.unwrap(), ProcessState::Running { pid });
    again.kill();
    write_binlog(&far, 0);
    fs::remove_file(far.data().join("db1.pid")).unwrap();
    let shut_down = ProcessState::Exited { clean: Some(true) };
    assert_eq!(tokio::time::timeout(LIMIT, host.exited()).await.unwrap(), shut_down);
}

#[tokio::test]
async fn a_process_is_seen_to_run_to_freeze_and_to_end() {
    is_seen(Tools::Usual).await;
}

#[tokio::test]
async fn a_process_is_seen_by_busybox() {
    is_seen(Tools::Busybox).await;
}

#[tokio::test]
async fn a_process_is_seen_with_little_more_than_posix() {
    is_seen(Tools::Posix).await;
}

#[tokio::test]
async fn what_was_never_seen_to_run_is_not_said_to_have_ended() {
    let Some(far) = FarSide::start() else { return };
    let host = far.host();
    far.data();
    let error = host.process(LIMIT).await.unwrap_err();
    assert!(matches!(error, HostError::ProcessUnseen { .. }), "{error}");
    // A stale pid file that names another program.
    far.write("db1.pid", format!("{}\n", std::process::id()));
    let error = host.process(LIMIT).await.unwrap_err().to_string();
    assert!(error.contains("another data directory") || error.contains("no database"), "{error}");
    let endless = tokio::time::timeout(Duration::from_millis(1500), host.exited()).await;
    assert!(endless.is_err(), "nothing has ended");
}

#[tokio::test]
async fn a_server_of_another_data_directory_is_not_taken_for_it() {
    let Some(far) = FarSide::start() else { return };
    let server = Server::start(&far);
    let mut other = far.identity();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("db1.pid"), server.0.id().to_string()).unwrap();
    other.data_dir = Some(folder.path().to_owned());
    let host = primacy_host::SshHost::new(&other, far.settings()).unwrap();
    let error = host.process(LIMIT).await.unwrap_err().to_string();
    assert!(error.contains("another data directory"), "{error}");
}
