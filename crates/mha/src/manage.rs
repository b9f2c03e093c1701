//! A manager of MHA from its start to its end: locks each other out, checks, watches with the engine,
//! writes down what it does, and ends as MHA's does: after one failover, or one that cannot be done.

mod after;
mod watch;

use std::time::Duration;

use primacy_manager::{Engine, ManagerError};
use primacy_types::Address;
use tokio::time::{sleep, timeout};

use crate::application::Application;
use crate::early::Signals;
use crate::flags::Flags;
use crate::locks::{PATIENCE, taken_everywhere};
use crate::log::Log;
use crate::orders::Orders;
use crate::preflight::{Depth, Found, preflight};
use crate::process;
use crate::status::{CONFIG_ERROR, FAILOVER_ERROR, INITIALIZING, Status, StatusFile};
use watch::{End, Watch};

/// How long the first look at all servers may take.
const FIRST_LOOK: Duration = Duration::from_secs(10);

/// How long the engine may take to end: an operation that is under way, and scripts that are told.
const STOP: Duration = Duration::from_secs(50);

/// The same where what is under way is known not to come to an end.
const STOP_NOW: Duration = Duration::from_secs(3);

/// What a manager has at hand.
pub(crate) struct Desk<'a> {
    pub(crate) application: &'a Application,
    pub(crate) orders: &'a Orders,
    pub(crate) log: &'a Log,
    pub(crate) status: StatusFile,
    pub(crate) flags: Flags,
}

impl Desk<'_> {
    /// Says what it does. A status file that cannot be written ends nothing.
    pub(crate) fn says(&self, status: Status, master: Option<&Address>) {
        let master = master.map(|master| self.application.host(master));
        if let Err(error) = self.status.write(status, master.as_deref()) {
            let path = self.status.path().display();
            self.log.warning(format!("{path} cannot be written: {error}"));
        }
    }
}

/// Runs it to its end; the exit code.
pub(crate) async fn manage(application: &Application, orders: &Orders, log: &Log) -> u8 {
    let status = StatusFile::new(&application.workdir, &application.name);
    let flags = Flags::new(&application.workdir, &application.name);
    let desk = Desk { application, orders, log, status, flags };
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            log.error(format!("signals cannot be waited for: {error}"));
            return 1;
        }
    };
    if let Some(pid) = running(&desk.status) {
        log.error(format!("a manager of {} is running already (pid {pid})", application.name));
        return 1;
    }
    if let Err(error) = std::fs::create_dir_all(&application.workdir) {
        log.error(format!("{} cannot be made: {error}", application.workdir.display()));
        return 1;
    }
    let mut engine = None;
    let end = tokio::select! {
        end = Box::pin(work(&desk, &mut engine)) => end,
        name = signals.next() => {
            log.info(format!("Got {name}. Exit."));
            End { code: 1, at_once: false }
        }
    };
    if let Some(engine) = engine {
        let limit = if end.at_once { STOP_NOW } else { STOP };
        if timeout(limit, Box::pin(engine.stop())).await.is_err() {
            log.warning("what is under way is left to the next manager, which goes on with it");
        }
    }
    if let Err(error) = desk.status.remove_own() {
        log.warning(format!("{} cannot be removed: {error}", desk.status.path().display()));
    }
    end.code
}

/// The process of a manager of the same application, unless another one has its number now.
fn running(status: &StatusFile) -> Option<i32> {
    let said = status.read().ok().flatten()?;
    let own = std::process::id().to_string() == said.pid.to_string();
    let lives = process::lives(said.pid) && !process::is_younger_than(said.pid, said.age);
    (!own && lives).then_some(said.pid)
}

/// All but its end.
async fn work(desk: &Desk<'_>, slot: &mut Option<Engine>) -> End {
    let Desk { application, orders, log, .. } = desk;
    desk.says(INITIALIZING, None);
    if let Err(end) = not_locked_out(desk).await {
        return end;
    }
    let Some(found) = check(desk).await else { return cannot_watch(desk).await };
    let master = found.roles.master.clone().or(found.snapshot.primary.clone());
    let Some(master) = master else {
        log.error("it is not known who the master is");
        return cannot_watch(desk).await;
    };
    let lock = match application.lock_monitor(&master) {
        Ok(lock) => lock,
        Err(error) => {
            log.error(error.to_string());
            return cannot_watch(desk).await;
        }
    };
    // A dead one has nothing to grant; what begins here holds the lock as soon as it is back.
    if found.roles.master_is_alive()
        && let Err(who) = taken_everywhere(&lock, PATIENCE).await
    {
        log.error(format!("another manager watches this master: {who}"));
        return cannot_watch(desk).await;
    }
    let engine = match Box::pin(application.start(Some(&master))).await {
        Ok(engine) => slot.insert(engine),
        Err(error) => {
            let also = matches!(error, ManagerError::Lock(_));
            log.error(match also {
                true => format!("another manager watches these servers: {error}"),
                false => error.to_string(),
            });
            return cannot_watch(desk).await;
        }
    };
    match engine.has_looked(&application.cluster, FIRST_LOOK).await {
        Ok(true) => {}
        Ok(false) => log.warning("not every server has answered or failed yet"),
        Err(error) => {
            log.error(error.to_string());
            return cannot_watch(desk).await;
        }
    }
    if orders.new_master.is_some() {
        log.info("only the server that was named may become the new master");
    }
    Box::pin(Watch::new(desk, engine, master, found.roles.slaves, lock).run()).await
}

/// The flag files are looked at before anything else: a manager that would refuse the failover that it
/// is there for does not pretend to watch.
async fn not_locked_out(desk: &Desk<'_>) -> Result<(), End> {
    let Desk { orders, log, flags, .. } = desk;
    let looked = match orders.ignore_last {
        true => flags.clear().map(|()| None),
        false => flags.lock_out(orders.window),
    };
    let why = match looked {
        Ok(None) => return Ok(()),
        Ok(Some(lock_out)) => lock_out.to_string(),
        Err(error) => format!("the flag files of the last failover: {error}"),
    };
    log.error(format!("not started, because a failover would be refused: {why}"));
    desk.says(FAILOVER_ERROR, None);
    sleep(orders.wait_on_failover_error).await;
    Err(End { code: 1, at_once: false })
}

/// Only what is checked at the start (`--check_only`): nothing is watched, and no file is written but
/// the log. The exit code.
pub(crate) async fn check_only(application: &Application, orders: &Orders, log: &Log) -> u8 {
    let status = StatusFile::new(&application.workdir, &application.name);
    let flags = Flags::new(&application.workdir, &application.name);
    let desk = Desk { application, orders, log, status, flags };
    let fine = check(&desk).await.is_some();
    match fine {
        true => log.info("A manager can be started. Nothing was done (--check_only)."),
        false => log.error("A manager could not be started (--check_only)."),
    }
    u8::from(!fine)
}

/// What is checked at the start, by a look of its own that is over before the engine begins.
async fn check(desk: &Desk<'_>) -> Option<Found> {
    let Desk { application, orders, log, .. } = desk;
    let engine = match application.open().await {
        Ok(engine) => engine,
        Err(error) => {
            log.error(error.to_string());
            return None;
        }
    };
    let health = orders.health;
    let depth = Depth { ignore_fail: orders.ignore_fail, ssh: !orders.skip_ssh, health };
    let found = Box::pin(preflight(application, &engine, depth, log)).await;
    engine.close().await;
    found
}

async fn cannot_watch(desk: &Desk<'_>) -> End {
    let wait = desk.orders.wait_on_monitor_error;
    desk.log.error("Error happened on monitoring servers.");
    if !wait.is_zero() {
        desk.says(CONFIG_ERROR, None);
        sleep(wait).await;
    }
    End { code: 1, at_once: false }
}
