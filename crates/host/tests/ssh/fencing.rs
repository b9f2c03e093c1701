//! Killing a server over ssh and keeping it down, by what the login may do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use primacy_host::{Ability, Fence, HostAccess, HostError, HostFence, SshHost};
use primacy_types::{FenceRung, ProcessState};
use rustix::process::Signal;

use crate::far_side::{FarSide, LIMIT, Tools};
use crate::process::{ARGUMENTS, Server, program};

/// How often something is looked at that has to come about.
const LOOK: Duration = Duration::from_millis(10);

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < end, "{what}: it did not come about");
        tokio::time::sleep(LOOK).await;
    }
}

/// Starts a server on the data directory, which is killed.
async fn is_kept_down(far: &FarSide, directory: &Path) {
    let mut again = Server::start_in(far, directory);
    eventually("a new server is killed", || !again.lives()).await;
}

/// Starts a server, which is left alone by a guard that would have killed it in a moment.
async fn may_start(far: &FarSide, directory: &Path) -> Server {
    let mut server = Server::start_in(far, directory);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(server.lives());
    server
}

async fn killed_and_kept_down(tools: Tools) {
    let Some(far) = FarSide::with(tools, "") else { return };
    let mut server = Server::start(&far);
    let host = far.host();
    let able = host.capability(LIMIT).await.unwrap();
    assert_eq!(able.kill, Ability::Yes, "{tools:?}");
    let killed = host.kill_and_keep_down(LIMIT).await.unwrap();
    let pid = server.0.id();
    assert_eq!((killed.pid, killed.was), (Some(pid), ProcessState::Running { pid }));
    assert!(!server.lives());
    for _ in 0..2 {
        is_kept_down(&far, &far.data()).await;
    }
    let count = || killed.restarts_prevented.count() == 2;
    eventually("both restarts are counted", count).await;
    host.release().await.unwrap();
    may_start(&far, &far.data()).await;
}

#[tokio::test]
async fn a_server_is_killed_and_kept_down_until_it_is_released() {
    killed_and_kept_down(Tools::Usual).await;
}

#[tokio::test]
async fn a_server_is_kept_down_by_busybox() {
    killed_and_kept_down(Tools::Busybox).await;
}

#[tokio::test]
async fn a_server_is_kept_down_with_little_more_than_posix() {
    killed_and_kept_down(Tools::Posix).await;
}

/// A wrapper that starts the server again whenever it ends, as `mysqld_safe` does.
struct Wrapper(Child);

impl Wrapper {
    fn start(far: &FarSide) -> Self {
        let path = far.folder.path().join("mysqld_safe");
        let script = "#!/bin/sh\nwhile :; do \"$@\" & echo $! >db1.pid; wait; done\n";
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let child = Command::new(path)
            .arg(program(far))
            .args(ARGUMENTS)
            .env("SSH_STAND_IN", "1")
            .current_dir(far.data())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Wrapper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn runs(host: &SshHost) -> u32 {
    let end = Instant::now() + LIMIT;
    loop {
        match host.process(LIMIT).await {
            Ok(ProcessState::Running { pid }) => return pid,
            other => assert!(Instant::now() < end, "{other:?}"),
        }
    }
}

fn exists(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z"))
}

#[tokio::test]
async fn what_would_restart_it_is_killed_first() {
    let Some(far) = FarSide::start() else { return };
    far.data();
    let host = far.host();
    let mut wrapper = Wrapper::start(&far);
    let pid = runs(&host).await;
    let killed = host.kill_and_keep_down(LIMIT).await.unwrap();
    assert_eq!(killed.pid, Some(pid));
    assert!(!exists(pid));
    eventually("its wrapper is gone", || !wrapper.lives()).await;
    is_kept_down(&far, &far.data()).await;
    host.release().await.unwrap();
    let mut wrapper = Wrapper::start(&far);
    let new = runs(&host).await;
    assert!(wrapper.lives() && new != pid);
    host.kill_and_keep_down(LIMIT).await.unwrap();
    assert!(!exists(new));
}

#[tokio::test]
async fn a_frozen_server_is_killed_too() {
    let Some(far) = FarSide::start() else { return };
    let mut server = Server::start(&far);
    server.signal(Signal::STOP);
    let host = std::sync::Arc::new(far.host());
    let fence = HostFence::new(std::sync::Arc::clone(&host) as _, LIMIT).await.unwrap();
    assert_eq!(fence.rung(), FenceRung::Ssh);
    let report = fence.fence(LIMIT).await.unwrap();
    assert_eq!(report.was, ProcessState::Frozen { pid: server.0.id() });
    assert!(!server.lives());
    fence.release().await.unwrap();
}

#[tokio::test]
async fn a_server_of_another_data_directory_is_never_touched() {
    let Some(far) = FarSide::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut other = Server::start_in(&far, folder.path());
    let mut server = Server::start(&far);
    let host = far.host();
    host.kill_and_keep_down(LIMIT).await.unwrap();
    assert!(!server.lives());
    is_kept_down(&far, &far.data()).await;
    assert!(other.lives());
    // A pid file that names it changes nothing, nor does one without a server.
    far.write("db1.pid", format!("{}\n", other.0.id()));
    host.kill_and_keep_down(LIMIT).await.unwrap();
    let fresh = far.host();
    let killed = fresh.kill_and_keep_down(LIMIT).await.unwrap();
    assert_eq!(killed.pid, None);
    is_kept_down(&far, &far.data()).await;
    assert!(other.lives());
}

#[tokio::test]
async fn a_directory_is_recognised_under_another_name_and_another_one_under_its_name_is_not_it() {
    let Some(far) = FarSide::start() else { return };
    let mut server = Server::start(&far);
    let host = far.host();
    host.kill_and_keep_down(LIMIT).await.unwrap();
    assert!(!server.lives());
    let moved = far.folder.path().join("moved");
    fs::rename(far.data(), &moved).unwrap();
    is_kept_down(&far, &moved).await;
    may_start(&far, &far.data()).await;
}

#[tokio::test]
async fn it_may_be_repeated_and_released_at_any_time() {
    let Some(far) = FarSide::start() else { return };
    let mut server = Server::start(&far);
    let host = far.host();
    host.release().await.unwrap();
    assert!(server.lives());
    host.kill_and_keep_down(LIMIT).await.unwrap();
    let again = host.kill_and_keep_down(LIMIT).await.unwrap();
    assert_eq!(again.pid, None);
    assert!(matches!(again.was, ProcessState::Exited { .. }));
    is_kept_down(&far, &far.data()).await;
    host.release().await.unwrap();
    host.release().await.unwrap();
    let mut server = may_start(&far, &far.data()).await;
    far.write("db1.pid", format!("{}\n", server.0.id()));
    host.kill_and_keep_down(LIMIT).await.unwrap();
    assert!(!server.lives());
}

#[tokio::test]
async fn a_server_that_was_never_seen_is_looked_for() {
    let Some(far) = FarSide::start() else { return };
    let mut server = Server::start_in(&far, &far.data());
    let killed = far.host().kill_and_keep_down(LIMIT).await.unwrap();
    assert_eq!(killed.pid, Some(server.0.id()));
    assert!(!server.lives());
    let killed = far.host().kill_and_keep_down(LIMIT).await.unwrap();
    assert_eq!((killed.pid, killed.was), (None, ProcessState::Exited { clean: None }));
}

#[tokio::test]
async fn a_guard_whose_session_is_cut_is_raised_again() {
    let Some(far) = FarSide::start() else { return };
    let mut server = Server::start(&far);
    let host = far.host();
    host.kill_and_keep_down(LIMIT).await.unwrap();
    assert!(!server.lives());
    let before = far.logins();
    far.end_sessions();
    eventually("it is connected to again", || far.logins() > before).await;
    is_kept_down(&far, &far.data()).await;
    host.release().await.unwrap();
    may_start(&far, &far.data()).await;
}

#[tokio::test]
async fn a_guard_ends_with_the_access() {
    let Some(far) = FarSide::start() else { return };
    let mut server = Server::start(&far);
    let host = far.host();
    host.kill_and_keep_down(LIMIT).await.unwrap();
    assert!(!server.lives());
    drop(host);
    eventually("a server starts again", || {
        let mut server = Server::start_in(&far, &far.data());
        std::thread::sleep(Duration::from_millis(400));
        server.lives()
    })
    .await;
}

#[tokio::test]
async fn a_host_that_goes_away_half_way_is_no_success() {
    let Some(far) = FarSide::start() else { return };
    let mut server = Server::start(&far);
    let host = far.host();
    assert!(host.capability(LIMIT).await.unwrap().kill.is_yes());
    far.signal(Signal::STOP);
    let short = Duration::from_millis(700);
    let error = host.kill_and_keep_down(short).await.unwrap_err();
    assert!(matches!(error, HostError::TimedOut { .. }), "{error}");
    assert!(error.is_passing() && server.lives());
    far.signal(Signal::CONT);
    host.kill_and_keep_down(LIMIT).await.unwrap();
    assert!(!server.lives());
}

/// Whoever logs in becomes this user.
fn as_user(user: &str) -> Option<String> {
    // Only root can become somebody else here.
    rustix::process::geteuid().is_root().then(|| {
        format!(
            "ForceCommand exec setpriv --reuid={user} --regid=nogroup --clear-groups \
             sh -c \"$SSH_ORIGINAL_COMMAND\""
        )
    })
}

#[tokio::test]
async fn another_users_server_is_left_alone_and_it_is_said_what_is_missing() {
    let Some(nobody) = as_user("nobody") else { return };
    let Some(far) = FarSide::with(Tools::Usual, &nobody) else { return };
    fs::set_permissions(far.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    far.install("sudo", "#!/bin/sh\necho a password is required >&2; exit 1\n");
    let mut server = Server::start(&far);
    let host = far.host();
    let Ability::No(reason) = host.capability(LIMIT).await.unwrap().kill else {
        panic!("nobody may not kill it");
    };
    assert!(reason.contains("user nobody may not signal process"), "{reason}");
    assert!(reason.contains("ssh_user") && reason.contains("sudo"), "{reason}");
    let error = host.kill_and_keep_down(LIMIT).await.unwrap_err();
    assert!(matches!(error, HostError::SshNotPermitted { .. }), "{error}");
    assert!(error.to_string().contains("was not fenced"), "{error}");
    assert!(server.lives() && !error.is_passing());
    host.release().await.unwrap();
}

#[tokio::test]
async fn sudo_is_used_where_the_login_may_not() {
    let Some(nobody) = as_user("nobody") else { return };
    let Some(far) = FarSide::with(Tools::Usual, &nobody) else { return };
    fs::set_permissions(far.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // What sudo is: a program of root's that makes root of whoever calls it.
    let power = far.folder.path().join("setpriv");
    fs::copy("/usr/bin/setpriv", &power).unwrap();
    fs::set_permissions(&power, fs::Permissions::from_mode(0o4755)).unwrap();
    let script = "#!/bin/sh\n[ \"$1\" = -n ] && shift; [ \"$1\" = -- ] && shift\n\
                  exec \"POWER\" --reuid=0 --regid=0 --clear-groups \"$@\"\n";
    far.install("sudo", &script.replace("POWER", &power.display().to_string()));
    let mut server = Server::start(&far);
    let host = far.host();
    assert_eq!(host.capability(LIMIT).await.unwrap().kill, Ability::Yes);
    let killed = host.kill_and_keep_down(LIMIT).await.unwrap();
    assert_eq!(killed.pid, Some(server.0.id()));
    assert!(!server.lives());
    is_kept_down(&far, &far.data()).await;
    host.release().await.unwrap();
    may_start(&far, &far.data()).await;
}

#[tokio::test]
async fn its_unit_is_masked_and_unmasked_even_by_a_later_manager() {
    if !rustix::process::geteuid().is_root() {
        // Only root masks units.
        return;
    }
    let Some(far) = FarSide::start() else { return };
    let said = far.folder.path().join("systemctl.log");
    let script = "#!/bin/sh\necho \"$*\" >>\"LOG\"\n";
    far.install("systemctl", &script.replace("LOG", &said.display().to_string()));
    let log = || fs::read_to_string(&said).unwrap_or_default();
    let mut server = Server::start(&far);
    let mut known = far.identity();
    known.unit = Some("mariadb.service".to_owned());
    let host = SshHost::new(&known, far.settings()).unwrap();
    let killed = host.kill_and_keep_down(LIMIT).await.unwrap();
    assert_eq!(killed.unit.unwrap().unit, "mariadb.service");
    assert!(!server.lives());
    let masked = "--no-ask-password mask --runtime -- mariadb.service";
    eventually("the unit is masked", || log().contains(masked)).await;
    drop(host);
    let later = far.host();
    later.release().await.unwrap();
    assert!(log().contains("unmask --runtime -- mariadb.service"), "{}", log());
    let calls = log().lines().count();
    far.host().release().await.unwrap();
    assert_eq!(log().lines().count(), calls, "once is enough: {}", log());

    far.install("systemctl", "#!/bin/sh\necho Access denied >&2; exit 4\n");
    let mut server = Server::start(&far);
    let host = SshHost::new(&known, far.settings()).unwrap();
    let killed = host.kill_and_keep_down(LIMIT).await.unwrap();
    assert!(killed.unit.unwrap().failure.is_some() && !server.lives());
    is_kept_down(&far, &far.data()).await;
    let error = host.release().await.unwrap_err();
    assert!(matches!(error, HostError::StillMasked { .. }), "{error}");
    assert!(error.to_string().contains("Access denied"), "{error}");
    may_start(&far, &far.data()).await;
}

#[tokio::test]
async fn the_login_of_the_servers_own_user_is_enough() {
    let Some(nobody) = as_user("nobody") else { return };
    let Some(far) = FarSide::with(Tools::Usual, &nobody) else { return };
    fs::set_permissions(far.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut server = Command::new("/usr/bin/setpriv")
        .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"])
        .arg(program(&far))
        .args(ARGUMENTS)
        .env("SSH_STAND_IN", "1")
        .current_dir(far.data())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    far.write("db1.pid", format!("{}\n", server.id()));
    let host = far.host();
    runs(&host).await;
    assert_eq!(host.capability(LIMIT).await.unwrap().kill, Ability::Yes);
    let killed = host.kill_and_keep_down(LIMIT).await.unwrap();
    assert_eq!(killed.pid, Some(server.id()));
    server.wait().unwrap();
    // One that is gone already is kept down all the same.
    host.release().await.unwrap();
    assert_eq!(host.kill_and_keep_down(LIMIT).await.unwrap().pid, None);
    host.release().await.unwrap();
}
