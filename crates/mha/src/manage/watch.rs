//! While the engine watches: what it sees and does becomes MHA's statuses, its failover MHA's end.

use std::time::Duration;

use primacy_api::{ApiError, Explanation};
use primacy_dcs::ClusterLock;
use primacy_exec::Entry;
use primacy_manager::Engine;
use primacy_plan::{Decision, Diagnosis, managed_source};
use primacy_store::{OperationRecord, Outcome};
use primacy_types::Address;
use tokio::sync::broadcast;
use tokio::time::{Instant, sleep};

use super::Desk;
use crate::held::{Heard, Held};
use crate::status::{FAILOVER_ERROR, FAILOVER_RUNNING, PING_FAILED, PING_FAILING, PING_OK, Status};

/// How often it is looked at what the engine sees and does.
const TICK: Duration = Duration::from_millis(100);

/// How often the status file is touched while the primary answers.
const TOUCH: Duration = Duration::from_secs(1);

/// For so long the engine may want a failover and not begin it, before that counts as refused: a
/// replica, or a host, may be late with its word.
const REFUSED: Duration = Duration::from_secs(15);

/// How a manager ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Its exit code.
    pub(crate) code: u8,
    /// What is under way is not waited for.
    pub(crate) at_once: bool,
}

/// A failover that is under way.
struct Begun {
    id: String,
    held: Option<Held>,
}

pub(crate) struct Watch<'a> {
    pub(super) desk: &'a Desk<'a>,
    pub(super) engine: &'a Engine,
    /// The primary that is watched.
    pub(super) master: Address,
    /// Its replicas when it was last well.
    pub(super) slaves: Vec<Address>,
    pub(super) monitor_lock: ClusterLock,
    events: broadcast::Receiver<Entry>,
    said: Option<Status>,
    touched: Instant,
    begun: Option<Begun>,
    /// Operations that ended and were looked at.
    known: Vec<String>,
    /// Since when the engine wants a failover that it has not done.
    refused_since: Option<Instant>,
    /// One was begun since then, and everything was put back.
    tried: bool,
    /// That there is none was said; it is not said again.
    failed: bool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        desk: &'a Desk<'a>,
        engine: &'a Engine,
        master: Address,
        slaves: Vec<Address>,
        monitor_lock: ClusterLock,
    ) -> Self {
        Self {
            desk,
            engine,
            master,
            slaves,
            monitor_lock,
            events: engine.events(),
            said: None,
            touched: Instant::now(),
            begun: None,
            known: Vec::new(),
            refused_since: None,
            tried: false,
            failed: false,
        }
    }

    /// Watches until the manager has to end.
    pub(super) async fn run(mut self) -> End {
        let old = self.history().await;
        // What was left half done is ours to go on with.
        self.known = old.iter().filter(|o| o.finished.is_some()).map(id_of).collect();
        self.desk.log.info(format!(
            "Ping({}) succeeded, waiting until MySQL doesn't respond..",
            self.desk.application.mha.defaults.text("ping_type").unwrap_or_default()
        ));
        loop {
            match self.turn().await {
                Ok(None) => {}
                Ok(Some(end)) => return end,
                Err(error) => self.desk.log.warning(error.to_string()),
            }
            sleep(TICK).await;
        }
    }

    async fn turn(&mut self) -> Result<Option<End>, ApiError> {
        let service = self.engine.service();
        let seen = service.explain(&self.desk.application.cluster).await?;
        let heard = self.heard();
        if let Some(operation) = seen.operation.as_ref().filter(|o| o.kind == "failover") {
            let id = operation.id.clone();
            return Ok(self.under_way(id, heard).await);
        }
        let moved = seen.snapshot.primary.as_ref().is_some_and(|now| *now != self.master);
        if self.begun.is_some() || moved || self.desk.orders.leaves.anything() {
            if let Some(record) = self.ended().await {
                return Ok(self.judge(&record).await);
            }
            if moved && let Some(now) = seen.snapshot.primary.clone() {
                let shown = self.desk.application.shown(&now);
                self.desk.log.warning(format!("somebody made {shown} the master: it is watched"));
                self.watch_instead(now);
            }
        }
        Ok(self.look(&seen).await)
    }

    /// What the engine has said since the last turn of whether a failover goes on.
    fn heard(&mut self) -> Vec<Heard> {
        let mut heard = Vec::new();
        loop {
            match self.events.try_recv() {
                Ok(entry) => heard.extend(Heard::of(&entry.text, Instant::now())),
                Err(broadcast::error::TryRecvError::Lagged(_)) => {}
                Err(_) => return heard,
            }
        }
    }

    async fn under_way(&mut self, id: String, heard: Vec<Heard>) -> Option<End> {
        if self.begun.as_ref().is_none_or(|begun| begun.id != id) {
            self.desk.log.info("Starting master failover.");
            self.says(FAILOVER_RUNNING);
            self.begun = Some(Begun { id, held: None });
        }
        let begun = self.begun.as_mut()?;
        let now = Instant::now();
        for heard in heard {
            heard.into_known(&mut begun.held, now);
        }
        let held = begun.held.as_ref().filter(|held| held.is_over(now))?;
        if self.failed {
            return None;
        }
        let why = held.sentence(&self.desk.application.conf.display().to_string());
        self.failed(&why, true, true).await
    }

    /// The failover that has ended since the last one that was looked at.
    async fn ended(&mut self) -> Option<OperationRecord> {
        let new = |record: &OperationRecord| {
            record.kind == "failover"
                && record.finished.is_some()
                && !self.known.contains(&id_of(record))
        };
        let record = self.history().await.into_iter().find(new)?;
        self.known.push(id_of(&record));
        self.begun = None;
        Some(record)
    }

    async fn history(&self) -> Vec<OperationRecord> {
        let cluster = self.desk.application.cluster.as_str();
        self.engine.service().history(Some(cluster), 10).await.unwrap_or_default()
    }

    async fn judge(&mut self, record: &OperationRecord) -> Option<End> {
        let said = record.sentence.clone().unwrap_or_default();
        match record.outcome {
            Some(Outcome::Done) => self.succeeded(record).await,
            // The primary may be back; if it is not, the engine tries again.
            Some(Outcome::BackedOut) => {
                self.desk.log.warning(format!("the failover was given up: {said}"));
                self.tried = true;
                self.refused_since.get_or_insert_with(Instant::now);
                None
            }
            _ => self.failed(&format!("the failover failed: {said}"), true, false).await,
        }
    }

    /// What there is to be said while no failover is under way.
    async fn look(&mut self, seen: &Explanation) -> Option<End> {
        let status = match &seen.diagnosis {
            Diagnosis::Healthy { .. } | Diagnosis::Degraded { .. } => {
                self.refused_since = None;
                self.tried = false;
                self.failed = false;
                self.slaves = self.replicas(seen);
                self.says(PING_OK);
                self.touch();
                return None;
            }
            // It is alive: nothing is counted, and the age of the file says since when.
            Diagnosis::PrimaryRefusesUs { .. } => return None,
            Diagnosis::PrimaryDead { .. } | Diagnosis::PrimaryCannotWrite { .. } => PING_FAILED,
            _ => PING_FAILING,
        };
        if self.failed {
            return None;
        }
        self.says(status);
        if status != PING_FAILED {
            self.refused_since = None;
            return None;
        }
        let since = *self.refused_since.get_or_insert_with(Instant::now);
        if since.elapsed() < REFUSED {
            return None;
        }
        let why = match &seen.decision {
            Decision::Nothing { why, .. } => why.clone(),
            _ => self.why_refused().await,
        };
        self.failed(
            &format!("the failover is refused, and nothing was touched: {why}"),
            false,
            false,
        )
        .await
    }

    /// The engine's reasons, each with its way out.
    async fn why_refused(&self) -> String {
        let order = primacy_api::FailoverOrder { dry_run: true, ..Default::default() };
        let cluster = self.desk.application.cluster.as_str();
        match self.engine.service().failover(cluster, order).await {
            Err(error) => {
                let reasons = error.reasons.iter().map(|r| format!("{} ({})", r.why, r.remedy));
                let reasons: Vec<String> = reasons.collect();
                format!("{error}: {}", reasons.join("; "))
            }
            Ok(_) => "the lines before this one say why".to_owned(),
        }
    }

    fn replicas(&self, seen: &Explanation) -> Vec<Address> {
        let of = |server: &&Address| {
            managed_source(&seen.snapshot, server).as_ref() == Some(&self.master)
        };
        let live = seen.snapshot.all_live().map(|(server, _)| server);
        live.filter(of).cloned().collect()
    }

    /// The failover did not happen, or not to its end. `begun`: something was touched.
    async fn failed(&mut self, why: &str, begun: bool, at_once: bool) -> Option<End> {
        let Desk { log, orders, flags, .. } = self.desk;
        log.error(why);
        log.error("Got ERROR: master failover was not successful.");
        if begun && let Err(error) = flags.set_error() {
            log.warning(format!("the flag file of a failed failover cannot be made: {error}"));
        }
        self.says(FAILOVER_ERROR);
        if orders.keep_running {
            // It goes on trying; this is said once.
            self.failed = true;
            return None;
        }
        sleep(orders.wait_on_failover_error).await;
        Some(End { code: 1, at_once })
    }

    /// Another server is the primary now.
    pub(super) fn watch_instead(&mut self, now: Address) {
        if let Ok(lock) = self.desk.application.lock_monitor(&now) {
            self.monitor_lock = lock;
        }
        self.master = now;
        self.said = None;
    }

    pub(super) fn says(&mut self, status: Status) {
        if self.said != Some(status) {
            self.desk.says(status, Some(&self.master));
            self.said = Some(status);
            self.touched = Instant::now();
        }
    }

    fn touch(&mut self) {
        if self.touched.elapsed() < TOUCH {
            return;
        }
        self.touched = Instant::now();
        // Somebody may have removed it.
        if self.desk.status.touch().is_err() {
            self.desk.says(PING_OK, Some(&self.master));
        }
    }
}

fn id_of(record: &OperationRecord) -> String {
    record.id.to_string()
}
