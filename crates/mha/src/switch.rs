//! `masterha_master_switch`: the role is moved by hand, from a primary that is dead or from one that
//! is alive. What is checked and asked before is here; what is then done is the engine's.

mod alive;
mod dead;
mod named;
mod open;
mod ready;
mod waiting;

use std::io;

use primacy_api::{Answer, ApiError, Service};
use primacy_dcs::ClusterLock;
use primacy_manager::{ManagerError, Standalone};
use primacy_mha_config::edit::{EditError, remove_block};
use primacy_types::{Address, ClusterSnapshot};

use crate::application::{Application, ApplicationError};
use crate::asking::{AskError, Asking};
use crate::beside::manager_of;
use crate::command::Streams;
use crate::early::Early;
use crate::given::Given;
use crate::locks::{PATIENCE, taken_everywhere};
use crate::log::{Level, Log};
use crate::orders::leaves;
use crate::roles::Roles;
use crate::runtime::block_on;
use crate::status::StatusError;

/// The role was moved, and everybody follows.
const DONE: u8 = 0;
/// Refused or failed.
const FAILED: u8 = 1;
/// The role was moved, and somebody does not follow.
const PARTLY: u8 = 10;

/// Why the role was not moved.
#[derive(Debug, thiserror::Error)]
enum SwitchError {
    #[error("{0}")]
    Refused(String),
    /// It was begun, and could not go on for too long.
    #[error("{0}")]
    Held(String),
    /// It was begun, and nobody waits for it any more.
    #[error("{0}")]
    Left(String),
    #[error(transparent)]
    Application(#[from] ApplicationError),
    #[error(transparent)]
    Manager(#[from] ManagerError),
    #[error("{}", said(.0))]
    Engine(#[from] ApiError),
    #[error(transparent)]
    Asking(#[from] AskError),
    #[error(transparent)]
    Status(#[from] StatusError),
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
}

impl SwitchError {
    fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }
}

/// A refusal with all its reasons, each with its way out.
fn said(error: &ApiError) -> String {
    let mut text = error.message.clone();
    for reason in &error.reasons {
        text.push_str(&format!("\n  - {}: {}", reason.why, reason.remedy));
    }
    text
}

/// Runs the command.
pub(crate) fn run(given: &Given, streams: &mut Streams<'_>) -> u8 {
    let state = given.text("master_state").unwrap_or_default();
    if state != "dead" && state != "alive" {
        let _unheard = writeln!(
            streams.err,
            "masterha_master_switch: --master_state has to be dead or alive; see \
             masterha_master_switch --help"
        );
        return FAILED;
    }
    let mut app = match Application::load(given) {
        Ok(app) => app,
        Err(error) => {
            let _unheard = writeln!(streams.err, "masterha_master_switch: {error}");
            return FAILED;
        }
    };
    if state == "dead" {
        app.leave(leaves(given));
    }
    let interactive = given.is_on("interactive");
    let log = match open_log(&app, state == "dead" && !interactive) {
        Ok(log) => log,
        Err(error) => {
            let _unheard = writeln!(streams.err, "masterha_master_switch: {error}");
            return FAILED;
        }
    };
    log.take_events();
    if let Err(error) = block_on(app.keep_replication_login()) {
        log.error(format!("no threads can be started: {error}"));
        return FAILED;
    }
    for notice in &app.notices {
        log.warning(notice);
    }
    let asking = Asking::new(streams, interactive);
    let mut switching = Switching { app: &app, given, log: &log, asking, early: None };
    let told = log.clone();
    let done = block_on(async {
        let early = Early::new(move |name| told.error(format!("{name}: ended; nothing was done")));
        switching.early =
            Some(early.map_err(|error| SwitchError::System("waiting for signals", error))?);
        match state {
            "dead" => Box::pin(dead::dead(switching)).await,
            _ => Box::pin(alive::alive(switching)).await,
        }
    });
    match done.map_err(|error| SwitchError::System("no threads can be started", error)) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) | Err(error) => {
            log.error(error.to_string());
            if log.path().is_some() {
                // Whoever started it sees it too.
                let _unheard = writeln!(streams.err, "masterha_master_switch: {error}");
            }
            FAILED
        }
    }
}

/// Who is asked reads on the terminal; the log of a manager is for what runs unattended.
fn open_log(app: &Application, unattended: bool) -> Result<Log, SwitchError> {
    let least = app.mha.servers.first().and_then(|block| block.text("log_level"));
    let least = Level::named(&least.unwrap_or_default());
    match app.log.as_ref().filter(|_| unattended) {
        Some(path) => Log::file(path, least, app.secrets())
            .map_err(|error| SwitchError::System("the log cannot be opened", error)),
        None => Ok(Log::screen(least, app.secrets())),
    }
}

/// What both ways have in hand.
struct Switching<'a, 's> {
    app: &'a Application,
    given: &'a Given,
    log: &'a Log,
    asking: Asking<'a, 's>,
    /// Until something is ordered.
    early: Option<Early>,
}

impl Switching<'_, '_> {
    /// MHA's locks on the servers, kept until they are dropped: a manager or a switch of MHA's own
    /// that runs now is noticed, and none begins meanwhile.
    async fn lock(
        &self,
        primary: Option<&Address>,
        replicas: &[Address],
    ) -> Result<Vec<ClusterLock>, SwitchError> {
        let mut locks = Vec::new();
        if let Some(primary) = primary {
            let lock = self.app.lock_monitor(primary)?;
            if let Err(who) = taken_everywhere(&lock, PATIENCE).await {
                return Err(SwitchError::refused(format!(
                    "a manager watches this primary ({who}): stop it first (masterha_stop)"
                )));
            }
            locks.push(lock);
        }
        let lock = self.app.lock_failover(replicas)?;
        if let Err(who) = taken_everywhere(&lock, PATIENCE).await {
            return Err(SwitchError::refused(format!(
                "another failover or switch of these servers is under way ({who}): wait for its end"
            )));
        }
        locks.push(lock);
        Ok(locks)
    }

    /// Whether a manager of this application runs on this host.
    fn refuse_beside_a_manager(&self) -> Result<(), SwitchError> {
        match manager_of(self.app)? {
            Some(pid) => Err(SwitchError::refused(format!(
                "a manager of {} runs (process {pid}): stop it first (masterha_stop)",
                self.app.name
            ))),
            None => Ok(()),
        }
    }

    /// Whether a server that was named may become the primary.
    fn may_be_new(&self, server: &Address, old: &Address) -> Result<(), SwitchError> {
        let name = self.app.shown(server);
        if server == old {
            return Err(SwitchError::refused(format!(
                "{name} is the current primary: name another server as the new one"
            )));
        }
        if self.app.block(server).is_some_and(|block| block.flag("no_master")) {
            return Err(SwitchError::refused(format!(
                "{name} has no_master=1 and is never promoted: name another server"
            )));
        }
        Ok(())
    }

    /// The server that a person wants instead of the one that was proposed.
    fn another(&mut self, old: &Address) -> Result<Address, SwitchError> {
        let question = "Which server is to be the new primary instead (host or host:port; nothing \
                        ends it)? ";
        loop {
            let word = self.asking.line(question)?;
            if word.is_empty() {
                return Err(SwitchError::refused("no other server was named, so nothing was done"));
            }
            let found = named::answered(self.app, &word);
            match found.and_then(|server| self.may_be_new(&server, old).map(|()| server)) {
                Ok(server) => return Ok(server),
                Err(error) => self.log.error(error.to_string()),
            }
        }
    }

    /// The exit code of what was done, which is told.
    fn told(&self, answer: &Answer) -> u8 {
        let Answer::Done { report } = answer else { return FAILED };
        self.log.info(&report.sentence);
        for left in &report.left {
            self.log.error(format!("left undone: {left}"));
        }
        if report.left.is_empty() { DONE } else { PARTLY }
    }

    /// Takes the old primary's block out of the configuration if that is wanted and all went well.
    fn forget(&self, old: &Address, code: u8) {
        if code != DONE || !self.given.is_on("remove_dead_master_conf") {
            return;
        }
        let Some(block) = self.app.block(old) else { return };
        let file = self.app.conf.display();
        match without(&self.app.conf, &block.name) {
            Ok(()) => self.log.info(format!("removed [{}] from {file}", block.name)),
            Err(why) => self.log.error(format!("[{}] stays in {file}: {why}", block.name)),
        }
    }
}

fn without(conf: &std::path::Path, block: &str) -> Result<(), String> {
    let text = std::fs::read_to_string(conf).map_err(|error| error.to_string())?;
    let changed = remove_block(&text, block).map_err(|error: EditError| error.to_string())?;
    match changed {
        Some(changed) => {
            primacy_manager::rewrite(conf, &changed).map_err(|error| error.to_string())
        }
        None => Ok(()),
    }
}

/// Who is what, by MHA's rules.
fn roles(app: &Application, seen: &ClusterSnapshot) -> Result<Roles, SwitchError> {
    let multi_tier = app.mha.defaults.flag("multi_tier_slave");
    Roles::of(seen, &app.servers(), multi_tier).map_err(SwitchError::Refused)
}

/// What is known of the cluster now.
async fn look(
    engine: &Standalone,
    app: &Application,
) -> Result<primacy_api::Explanation, ApiError> {
    engine.explain(&app.cluster).await
}
