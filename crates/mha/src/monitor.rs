//! `masterha_master_monitor`: watches a primary, and ends when it is dead. Nothing is done about it.

use std::time::Duration;

use primacy_api::Service;
use primacy_manager::Standalone;
use primacy_plan::Diagnosis;
use primacy_types::Address;
use tokio::signal::unix::{SignalKind, signal};

use crate::application::Application;
use crate::asking::Asking;
use crate::beside::manager_of;
use crate::command::Streams;
use crate::early::Early;
use crate::given::Given;
use crate::locks::{PATIENCE, taken_everywhere};
use crate::log::{Level, Log};
use crate::preflight::{Depth, preflight};
use crate::runtime::block_on;
use crate::status::{self, Status, StatusFile};

/// Something else than a dead primary ended it.
const ERROR: u8 = 1;
/// The primary is dead.
const DEAD: u8 = 20;

/// How often it is looked what the engine knows.
const PAUSE: Duration = Duration::from_millis(100);

/// How often the status file is touched while all is well.
const TOUCH: Duration = Duration::from_secs(1);

/// Runs the command.
pub(crate) fn run(given: &Given, streams: &mut Streams<'_>) -> u8 {
    watch(given, given.is_on("interactive"), streams)
}

/// The same for whichever command has its options; `interactive`: somebody can be asked.
pub(crate) fn watch(given: &Given, interactive: bool, streams: &mut Streams<'_>) -> u8 {
    let app = match Application::load(given) {
        Ok(app) => app,
        Err(error) => return refused(streams, &error.to_string()),
    };
    let level = Level::named(&app.mha.defaults.text("log_level").unwrap_or_default());
    let log = match &app.log {
        None => Log::screen(level, app.secrets()),
        Some(path) => match Log::file(path, level, app.secrets()) {
            Ok(log) => log,
            Err(error) => {
                let path = path.display();
                return refused(streams, &format!("the log {path} cannot be opened: {error}"));
            }
        },
    };
    log.take_events();
    if given.is_on("check_only") {
        return check_only(&app, given, &log);
    }
    match manager_of(&app) {
        Ok(None) => {}
        Ok(Some(pid)) => {
            let text = format!("{} is watched already, by process {pid}: masterha_stop", app.name);
            return refused(streams, &text);
        }
        Err(error) => return refused(streams, &error.to_string()),
    }
    let file = StatusFile::new(&app.workdir, &app.name);
    let asking = Asking::new(streams, interactive);
    let mut watch = Watch { app: &app, given, log: &log, file: &file, said: None, asking };
    let ended = block_on(Box::pin(watch.until_a_signal()));
    if let Err(error) = file.remove_own() {
        log.warning(format!("the status file cannot be removed: {error}"));
    }
    match ended {
        Ok(Some(dead)) => {
            let address = app.block(&dead).map_or_else(|| dead.host().to_owned(), |b| b.host());
            let text = format!(
                "Master {} is dead.\nDead master host: {}\nDead master ip: {address}\nDead master \
                 port: {}",
                app.shown(&dead),
                app.host(&dead),
                dead.port()
            );
            let _unheard = writeln!(streams.out, "{text}");
            DEAD
        }
        Ok(None) => {
            let wait = given.number("wait_on_monitor_error").unwrap_or_default();
            std::thread::sleep(Duration::from_secs(u64::try_from(wait).unwrap_or_default()));
            ERROR
        }
        Err(error) => refused(streams, &format!("no threads can be started: {error}")),
    }
}

/// What is checked before a primary is watched, and no more.
fn check_only(app: &Application, given: &Given, log: &Log) -> u8 {
    let checked = block_on(Box::pin(async {
        let engine = app.open().await.map_err(|error| error.to_string())?;
        let found = preflight(app, &engine, depth(given), log).await;
        engine.close().await;
        Ok::<_, String>(found.is_some())
    }));
    match checked.map_err(|error| format!("no threads can be started: {error}")).flatten() {
        Ok(fine) => u8::from(!fine),
        Err(error) => {
            log.error(error);
            ERROR
        }
    }
}

/// How much is looked at before.
fn depth(given: &Given) -> Depth {
    let lag = given.number("seconds_behind_master").and_then(|n| u64::try_from(n).ok());
    Depth {
        ignore_fail: given.is_on("ignore_fail_on_start"),
        ssh: !given.is_on("skip_check_ssh"),
        health: given.is_on("check_repl_health").then(|| lag.unwrap_or(30)),
    }
}

fn refused(streams: &mut Streams<'_>, why: &str) -> u8 {
    let _unheard = writeln!(streams.err, "masterha_master_monitor: {why}");
    ERROR
}

/// What is in hand while it is watched.
struct Watch<'a, 's> {
    app: &'a Application,
    given: &'a Given,
    log: &'a Log,
    file: &'a StatusFile,
    /// What was said last of the primary.
    said: Option<Status>,
    asking: Asking<'a, 's>,
}

impl Watch<'_, '_> {
    /// The dead primary; `None` if something else ended it, which the log says.
    async fn until_a_signal(&mut self) -> Option<Address> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) else {
            self.log.error("signals cannot be waited for");
            return None;
        };
        let log = self.log.clone();
        tokio::select! {
            dead = self.all() => return dead,
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        log.info("Ended by a signal.");
        None
    }

    async fn all(&mut self) -> Option<Address> {
        self.say(status::INITIALIZING, None);
        let engine = match self.app.open().await {
            Ok(engine) => engine.watching(),
            Err(error) => {
                self.log.error(error.to_string());
                return None;
            }
        };
        let dead = self.watch(&engine).await;
        engine.close().await;
        dead
    }

    async fn watch(&mut self, engine: &Standalone) -> Option<Address> {
        let found = preflight(self.app, engine, depth(self.given), self.log).await?;
        let master = found.roles.master.clone()?;
        let name = self.app.shown(&master);
        if !found.roles.master_is_alive() {
            let question = format!("{name} is dead already. Is that what is to be reported?");
            let (log, file) = (self.log.clone(), self.file.clone());
            let _early = Early::new(move |name| {
                log.info(format!("Ended by {name}."));
                drop(file.remove_own());
            });
            return match self.asking.agrees(&question) {
                Ok(true) => Some(master),
                Ok(false) => None,
                Err(error) => {
                    self.log.error(error.to_string());
                    None
                }
            };
        }
        let lock = match self.app.lock_monitor(&master) {
            Ok(lock) => lock,
            Err(error) => {
                self.log.error(error.to_string());
                return None;
            }
        };
        if let Err(who) = taken_everywhere(&lock, PATIENCE).await {
            self.log.error(format!("another manager watches {name} ({who})"));
            return None;
        }
        self.log.info(format!("Watching {name}."));
        let mut touched = tokio::time::Instant::now();
        loop {
            let seen = match engine.explain(&self.app.cluster).await {
                Ok(seen) => seen,
                Err(error) => {
                    self.log.error(error.to_string());
                    return None;
                }
            };
            let status = standing(&seen.diagnosis);
            if self.said != Some(status) {
                self.log.info(seen.diagnosis.sentence());
                self.say(status, Some(&master));
                touched = tokio::time::Instant::now();
            }
            if status == status::PING_FAILED {
                return Some(master);
            }
            if status == status::PING_OK && touched.elapsed() >= TOUCH {
                touched = tokio::time::Instant::now();
                if let Err(error) = self.file.touch() {
                    self.log.warning(format!("the status file cannot be touched: {error}"));
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn say(&mut self, status: Status, master: Option<&Address>) {
        self.said = Some(status);
        let host = master.map(|master| self.app.host(master));
        if let Err(error) = self.file.write(status, host.as_deref()) {
            self.log.warning(format!("the status file cannot be written: {error}"));
        }
    }
}

/// What MHA calls it.
fn standing(diagnosis: &Diagnosis) -> Status {
    match diagnosis {
        Diagnosis::PrimaryDead { .. } | Diagnosis::PrimaryCannotWrite { .. } => status::PING_FAILED,
        Diagnosis::PrimarySuspected { .. }
        | Diagnosis::PrimaryStopped { .. }
        | Diagnosis::PrimaryRestarting { .. }
        | Diagnosis::PrimaryCutOffFromHere { .. }
        | Diagnosis::ManagerIsolated { .. } => status::PING_FAILING,
        // Whatever else is wrong, it answers.
        _ => status::PING_OK,
    }
}
