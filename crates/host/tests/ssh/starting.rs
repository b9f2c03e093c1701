//! Starting and shutting down a server over ssh.

use std::os::unix::ffi::OsStrExt;

use primacy_host::{HostAccess, HostError, SshHost, StartProgram};
use primacy_types::ProcessState;

use crate::far_side::{FarSide, LIMIT, Tools};
use crate::process::{ARGUMENTS, Server, program};

/// What starts the stand-in in its data directory, with a pid file as servers write it.
fn start_program(far: &FarSide) -> StartProgram {
    let script = "cd \"$1\" && echo $$ >db1.pid && shift && SSH_STAND_IN=1 exec \"$@\"";
    let text = |bytes: &std::path::Path| {
        String::from_utf8_lossy(bytes.as_os_str().as_bytes()).into_owned()
    };
    let mut words = ["/bin/sh", "-c", script, "sh"].map(str::to_owned).to_vec();
    words.extend([text(&far.data()), text(&program(far))]);
    words.extend(ARGUMENTS.map(str::to_owned));
    StartProgram { words, output: None }
}

async fn shut_down_and_started(tools: Tools) {
    let Some(far) = FarSide::with(tools, "") else { return };
    let mut server = Server::start(&far);
    let first = server.0.id();
    let without = far.host();
    let mut identity = far.identity();
    identity.start = Some(start_program(&far));
    let host = SshHost::new(&identity, far.settings()).unwrap();
    assert_eq!(host.start(LIMIT).await.unwrap(), ProcessState::Running { pid: first });
    // Whoever started it has to take note of its end, or a corpse is left; that counts as ended.
    assert!(matches!(host.stop(LIMIT).await.unwrap(), ProcessState::Exited { .. }));
    assert!(!server.lives());
    let nothing = without.start(LIMIT).await.unwrap_err();
    assert!(matches!(nothing, HostError::NothingStarts { .. }), "{nothing}");
    let started = host.start(LIMIT).await.unwrap();
    assert!(matches!(started, ProcessState::Running { pid } if pid != first), "{started:?}");

    host.kill_and_keep_down(LIMIT).await.unwrap();
    let refused = host.start(LIMIT).await.unwrap_err();
    assert!(matches!(refused, HostError::KeptDown { .. }), "{refused}");
    // Nor by another manager that did not raise the fence.
    let other = SshHost::new(&identity, far.settings()).unwrap();
    let refused = other.start(LIMIT).await.unwrap_err();
    assert!(matches!(refused, HostError::KeptDown { .. }), "{refused}");
    host.release().await.unwrap();
    host.start(LIMIT).await.unwrap();
    host.stop(LIMIT).await.unwrap();
}

#[tokio::test]
async fn a_server_is_shut_down_and_started_over_ssh() {
    shut_down_and_started(Tools::Usual).await;
}

#[tokio::test]
async fn the_same_with_busybox() {
    shut_down_and_started(Tools::Busybox).await;
}
