//! The process: reads the configuration, supervises its clusters, answers commands, follows
//! changes of the file, and ends cleanly.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use primacy_agent_api::Credentials;
use primacy_api::Client;
use primacy_config::{CertificateFiles, Config};
use primacy_dcs::Holder;
use primacy_exec::{Chronicle, Clock};
use primacy_store::Store;
use sd_notify::NotifyState;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::ManagerError;
use crate::engine::Engine;
use crate::health::HealthAddress;
use crate::load::load_config;
use crate::setup::Shared;

/// How often the configuration file is looked at for changes.
const LOOK_AT_FILE: Duration = Duration::from_secs(2);

/// What all clusters of this process share; opens the history.
pub(crate) fn shared(config: &Config, config_file: &Path) -> Result<Shared, ManagerError> {
    let state_dir = &config.manager.state_dir;
    std::fs::create_dir_all(state_dir)
        .map_err(|source| ManagerError::State { path: state_dir.clone(), source })?;
    let store = Store::open(state_dir.join("history.sqlite"))?;
    let clock = Clock::new();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let holder = Holder {
        name: config.manager.name.clone().unwrap_or_else(|| host.clone()),
        host,
        pid: std::process::id(),
    };
    let chronicle = Chronicle::start(store.clone(), clock);
    let credentials = config.manager.certificates.as_ref().map(credentials).transpose()?;
    let config_file = std::path::absolute(config_file).unwrap_or_else(|_| config_file.to_owned());
    let config_file = config_file.into();
    Ok(Shared { store, clock, chronicle, holder, config_file, credentials, admission: None })
}

/// What agents are shown.
pub(crate) fn credentials(files: &CertificateFiles) -> Result<Arc<Credentials>, ManagerError> {
    let paths = primacy_certs::Paths {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        authority: files.authority.clone(),
    };
    let credentials = Credentials::load(paths, &[])?;
    let role = credentials.own().role;
    if role != primacy_certs::Role::Manager {
        return Err(ManagerError::Role { role: role.word() });
    }
    Ok(Arc::new(credentials))
}

/// Runs the manager until SIGTERM or SIGINT.
///
/// # Errors
/// If it cannot start: configuration, secrets, history, socket, or another manager's lock.
pub async fn serve(config_file: &Path) -> Result<(), ManagerError> {
    let system = |what| move |source| ManagerError::System { what, source };
    let mut terminate = signal(SignalKind::terminate()).map_err(system("waiting for signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system("waiting for signals"))?;
    let mut hangup = signal(SignalKind::hangup()).map_err(system("waiting for signals"))?;
    let config = load_config(config_file)?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let socket = config.manager.socket_path();
    if Client::connect(&socket).await.is_ok() {
        return Err(ManagerError::Running { socket });
    }
    let mut engine = Engine::prepare(&config, config_file, None).await?;
    let health = HealthAddress::start(config.manager.health.as_ref(), engine.clusters()).await?;
    engine.begin(&config).await?;
    health.set_loaded();
    let listener = listen(&socket)?;
    let stop = CancellationToken::new();
    let routes = primacy_api::router(engine.service());
    let served = {
        let stop = stop.clone();
        let serving = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned());
        tokio::spawn(async move { serving.await })
    };
    tracing::info!(socket = %socket.display(), clusters = config.clusters.len(), "the manager runs");
    notify(&[NotifyState::Ready, NotifyState::Status("supervising")]);
    let mut seen = stamp(config_file);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                reload(&mut engine, config_file).await;
                seen = stamp(config_file);
            }
            () = tokio::time::sleep(LOOK_AT_FILE) => {
                renew(engine.shared().credentials.as_ref());
                let now = stamp(config_file);
                if now != seen && now.is_some() {
                    seen = now;
                    reload(&mut engine, config_file).await;
                }
            }
        }
    }
    tracing::info!("stopping");
    notify(&[NotifyState::Stopping]);
    drop(health);
    engine.stop().await;
    stop.cancel();
    let _ = tokio::time::timeout(Duration::from_secs(2), served).await;
    let _ = std::fs::remove_file(&socket);
    Ok(())
}

/// Takes over a changed configuration. A wrong one is named and the old one stays in force.
async fn reload(engine: &mut Engine, config_file: &Path) {
    match load_config(config_file) {
        Ok(config) => {
            for warning in config.warnings() {
                tracing::warn!("{warning}");
            }
            match engine.change(&config).await {
                Ok(()) => tracing::info!("the changed configuration is in force"),
                Err(error) => tracing::error!(%error, "the changed configuration was not taken"),
            }
        }
        Err(error) => {
            tracing::error!("the changed configuration is wrong and was not taken:\n{error}");
        }
    }
}

/// Certificates are renewed by replacing their files.
fn renew(credentials: Option<&Arc<Credentials>>) {
    match credentials.map(|credentials| credentials.refresh()) {
        Some(Ok(true)) => tracing::info!("the certificate was renewed"),
        Some(Err(error)) => tracing::error!(%error, "the renewed certificate cannot be used"),
        _ => {}
    }
}

/// What changes when a file is written or replaced.
fn stamp(path: &Path) -> Option<(std::time::SystemTime, u64)> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

/// Makes the socket: only this user (and root) may talk to the manager.
fn listen(socket: &PathBuf) -> Result<UnixListener, ManagerError> {
    let failed = |source| ManagerError::State { path: socket.clone(), source };
    if let Some(folder) = socket.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    match std::fs::remove_file(socket) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let listener = UnixListener::bind(socket).map_err(failed)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

/// Tells systemd, if it started us.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}
