//! What is said when the host is not reached, or its files may not be read.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use primacy_host::{Ability, HostAccess, HostError, ServerIdentity, SshFailure, SshHost};
use primacy_types::SshSettings;
use rustix::process::Signal;

use crate::far_side::{FarSide, LIMIT, Tools};

async fn failure(far: &FarSide, settings: SshSettings) -> (SshFailure, String) {
    let host = SshHost::new(&far.identity(), settings).unwrap();
    let error = host.file_len(Path::new("x"), LIMIT).await.unwrap_err();
    match &error {
        HostError::Ssh { failure, .. } => (*failure, error.to_string()),
        _ => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_wrong_key_is_a_refused_login_and_says_what_mends_it() {
    let Some(far) = FarSide::start() else { return };
    fs::copy(far.folder.path().join("other_key"), far.folder.path().join("key")).unwrap();
    let (what, text) = failure(&far, far.settings()).await;
    assert_eq!(what, SshFailure::LoginRefused);
    assert!(text.contains("authorized_keys") && text.contains("Permission denied"), "{text}");
    let error = far.host().capability(LIMIT).await.unwrap_err();
    assert!(error.to_string().contains("the login was refused"), "{error}");
    assert!(!error.is_passing(), "somebody has to mend it");
}

#[tokio::test]
async fn an_unknown_host_key_is_not_accepted_and_nobody_is_asked() {
    let Some(far) = FarSide::start() else { return };
    fs::write(far.folder.path().join("known_hosts"), "").unwrap();
    let (what, text) = failure(&far, far.settings()).await;
    assert_eq!(what, SshFailure::HostKeyUnknown);
    assert!(text.contains("known_hosts"), "{text}");
    assert_eq!(fs::read(far.folder.path().join("known_hosts")).unwrap(), b"");
}

#[tokio::test]
async fn a_changed_host_key_is_told_from_an_unknown_one() {
    let Some(far) = FarSide::start() else { return };
    let known = far.folder.path().join("known_hosts");
    let other = fs::read_to_string(far.folder.path().join("other_key.pub")).unwrap();
    let line = fs::read_to_string(&known).unwrap();
    let name = line.split(' ').next().unwrap();
    fs::write(&known, format!("{name} {other}")).unwrap();
    let (what, text) = failure(&far, far.settings()).await;
    assert_eq!(what, SshFailure::HostKeyChanged, "{text}");
}

#[tokio::test]
async fn a_dead_sshd_is_a_refusal() {
    let Some(far) = FarSide::start() else { return };
    far.signal(Signal::KILL);
    let (what, _) = failure(&far, far.settings()).await;
    assert_eq!(what, SshFailure::Refused);
    assert!(what.is_passing());
}

#[tokio::test]
async fn a_sshd_that_was_restarted_is_connected_to_again() {
    let Some(far) = FarSide::start() else { return };
    far.write("x", "abc");
    let host = far.host();
    assert_eq!(host.file_len(Path::new("x"), LIMIT).await.unwrap(), 3);
    far.end_sessions();
    let end = Instant::now() + LIMIT;
    // The first call may meet the connection while it ends.
    while let Err(error) = host.file_len(Path::new("x"), LIMIT).await {
        assert!(Instant::now() < end, "{error}");
    }
    assert_eq!(far.logins(), 2);
}

#[tokio::test]
async fn a_hanging_sshd_is_left_at_the_limit() {
    let Some(far) = FarSide::start() else { return };
    far.signal(Signal::STOP);
    let host = far.host();
    let begun = Instant::now();
    let error = host.file_len(Path::new("x"), Duration::from_millis(600)).await.unwrap_err();
    assert!(matches!(error, HostError::TimedOut { .. }), "{error}");
    assert!(begun.elapsed() < LIMIT);
}

#[tokio::test]
async fn a_mistake_in_the_options_is_said() {
    let Some(far) = FarSide::start() else { return };
    let (what, text) = failure(&far, far.settings_with("-oNoSuchOption=1")).await;
    assert_eq!(what, SshFailure::Configuration, "{text}");
    let mut settings = far.settings();
    settings.command = "/nowhere/ssh".to_owned();
    let host = SshHost::new(&far.identity(), settings).unwrap();
    let error = host.file_len(Path::new("x"), LIMIT).await.unwrap_err();
    assert!(matches!(error, HostError::SshProgram { .. }), "{error}");
}

#[tokio::test]
async fn where_connections_cannot_be_shared_each_call_has_its_own() {
    let Some(far) = FarSide::start() else { return };
    far.write("x", "abc");
    let program = far.folder.path().join("ssh without sharing");
    let script = "#!/bin/sh\n\
                  case \"$*\" in *ControlMaster=yes*) echo no sharing here >&2; exit 1;; esac\n\
                  exec /usr/bin/ssh \"$@\"\n";
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut settings = far.settings();
    settings.command = program.display().to_string();
    let host = SshHost::new(&far.identity(), settings).unwrap();
    for _ in 0..2 {
        assert_eq!(host.read_range(Path::new("x"), 0, 9, LIMIT).await.unwrap(), b"abc");
    }
    assert_eq!(far.logins(), 2);
}

#[tokio::test]
async fn a_name_that_could_be_an_option_is_refused() {
    let server = primacy_types::Address::new("-oProxyCommand=touch /tmp/x", 3306);
    let error = SshHost::new(&ServerIdentity::new(server), SshSettings::default()).unwrap_err();
    assert!(matches!(error, HostError::NoSshTarget { .. }), "{error}");
}

#[tokio::test]
async fn a_login_that_runs_no_commands_is_said() {
    let forced = "ForceCommand echo This account is not available";
    let Some(far) = FarSide::with(Tools::Usual, forced) else { return };
    let error = far.host().file_len(Path::new("x"), LIMIT).await.unwrap_err();
    assert!(matches!(error, HostError::SshNoShell { .. }), "{error}");
}

#[tokio::test]
async fn a_banner_does_not_hide_the_reason() {
    let Some(far) = FarSide::with(Tools::Usual, "") else { return };
    let banner = far.folder.path().join("banner");
    fs::write(&banner, "Authorised persons only. Permission denied (to others).\n").unwrap();
    let more = format!("Banner \"{}\"", banner.display());
    let Some(far) = FarSide::with(Tools::Usual, &more) else { return };
    far.data();
    let error = far.host().file_len(Path::new("x"), LIMIT).await.unwrap_err();
    assert!(matches!(error, HostError::File { .. }), "{error}");
    assert!(!error.to_string().contains("Authorised"), "{error}");
}

#[tokio::test]
async fn readable_files_are_a_yes_and_unreadable_ones_say_who_may_not() {
    let Some(far) = FarSide::start() else { return };
    far.write("binlog.index", "./binlog.000001\n");
    let read_files = far.host().capability(LIMIT).await.unwrap().read_files;
    assert_eq!(read_files, Ability::Yes);
    let able = far.host().capability(LIMIT).await.unwrap();
    assert!(!able.kill.is_yes());
    // Of a server that never answered only its logs are known.
    let mut logs_alone = far.identity();
    logs_alone.binlog_base = Some(far.data().join("binlog"));
    logs_alone.data_dir = None;
    let host = SshHost::new(&logs_alone, far.settings()).unwrap();
    assert_eq!(host.capability(LIMIT).await.unwrap().read_files, Ability::Yes);

    fs::remove_file(far.data().join("binlog.index")).unwrap();
    let Ability::No(reason) = far.host().capability(LIMIT).await.unwrap().read_files else {
        panic!("there is no index");
    };
    assert!(reason.contains("not read its binary logs"), "{reason}");
    fs::remove_dir(far.data()).unwrap();
    let mut elsewhere = far.identity();
    elsewhere.data_dir = Some("/nowhere".into());
    let host = SshHost::new(&elsewhere, far.settings()).unwrap();
    let Ability::No(reason) = host.capability(LIMIT).await.unwrap().read_files else {
        panic!("there is no such directory");
    };
    assert!(reason.contains("may not read the data directory /nowhere"), "{reason}");
    assert!(reason.contains("usermod -aG mysql"), "{reason}");
}

#[tokio::test]
async fn another_machine_behind_the_address_is_noticed() {
    let Some(far) = FarSide::start() else { return };
    far.write("binlog.index", "./binlog.000001\n");
    let mut server = far.identity();
    server.host_name = Some("some-other-host".to_owned());
    let host = SshHost::new(&server, far.settings()).unwrap();
    let able = host.capability(LIMIT).await.unwrap();
    for ability in [able.watch, able.read_files] {
        let Ability::No(reason) = ability else { panic!("it is another host") };
        assert!(reason.contains("it runs on host some-other-host"), "{reason}");
    }
}

#[tokio::test]
async fn a_directory_that_another_user_owns_is_a_denied_permission() {
    if !rustix::process::geteuid().is_root() {
        // Only root can become somebody else here.
        return;
    }
    let nobody = "ForceCommand exec setpriv --reuid=nobody --regid=nogroup --clear-groups \
                  sh -c \"$SSH_ORIGINAL_COMMAND\"";
    let Some(far) = FarSide::with(Tools::Usual, nobody) else { return };
    far.write("binlog.index", "./binlog.000001\n");
    let reason = || async {
        match far.host().capability(LIMIT).await.unwrap().read_files {
            Ability::No(reason) => reason,
            Ability::Yes => panic!("the files are root's"),
        }
    };
    fs::set_permissions(far.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(far.data(), fs::Permissions::from_mode(0o700)).unwrap();
    let said = reason().await;
    assert!(said.contains("user nobody may not read the data directory"), "{said}");
    assert!(said.contains("Permission denied"), "{said}");
    fs::set_permissions(far.data(), fs::Permissions::from_mode(0o755)).unwrap();
    let index = far.data().join("binlog.index");
    fs::set_permissions(index, fs::Permissions::from_mode(0o640)).unwrap();
    let said = reason().await;
    assert!(said.contains("but not read its binary logs"), "{said}");
}
