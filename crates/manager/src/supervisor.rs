//! The loop of one cluster: look, diagnose, decide, act; one operation at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use primacy_exec::{
    Control, OperationError, Report, Request, is_left_at_a_rescue, repoint_stray, resume, start,
};
use primacy_plan::{
    Decision, Diagnosis, FailoverRequest, decide, descends_from, diagnose, errant_of, is_fed_by,
    managed_source,
};
use primacy_store::{Level, OperationRecord};
use primacy_types::{Address, ClusterSnapshot, GtidMode};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cluster::{adopt, follow};
use crate::setup::Watched;

/// How often the rules that depend on time alone are looked at while all is well.
const CALM: Duration = Duration::from_millis(250);

/// The same while something is wrong.
const TENSE: Duration = Duration::from_millis(25);

/// Pause before something that was refused or failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Pause before a hook that refused a failover is asked again: each time is an operation of its own
/// in the history.
const ASK_HOOKS_AGAIN: Duration = Duration::from_secs(30);

/// How long the replicas of a dead primary may take to say what they hold, before it is planned
/// with what they said last.
const FRESH: Duration = Duration::from_millis(300);

/// How often it is said why a stray stays where it is, if that does not change.
const SAY_AGAIN: Duration = Duration::from_secs(600);

/// How often strays are looked for.
const STRAYS: Duration = Duration::from_secs(3);

/// How often it is looked whether an operation was left half done.
const UNFINISHED: Duration = Duration::from_secs(5);

/// An order of a person, and where its outcome goes.
pub(crate) struct Order {
    pub(crate) request: Request,
    pub(crate) done: oneshot::Sender<Result<Report, OperationError>>,
}

/// The way to a running supervisor.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) amendments: watch::Sender<Option<FailoverRequest>>,
    /// What is under way, as a sentence; empty if nothing is.
    busy: Arc<Mutex<Option<&'static str>>>,
}

impl Handle {
    /// The kind of the operation that is under way.
    pub(crate) fn busy(&self) -> Option<&'static str> {
        *self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Supervises one cluster.
pub(crate) struct Supervisor {
    watched: Arc<Watched>,
    brake: Arc<Semaphore>,
    stop: CancellationToken,
    orders: mpsc::Receiver<Order>,
    handle: Handle,
    /// What was last said, so that it is not said every time.
    said: Option<String>,
    /// Nothing is begun by itself before this.
    not_before: Option<Instant>,
    strays_at: Instant,
    /// Operations that were left half done are looked for from this moment on.
    look_for_unfinished_at: Instant,
    repair: Option<JoinHandle<()>>,
    /// Why strays were left where they are, and since when that was not said again.
    left: Arc<Mutex<BTreeMap<Address, (String, Instant)>>>,
}

impl Supervisor {
    /// Starts the loop; it ends when `stop` is cancelled and no operation is under way.
    pub(crate) fn start(
        watched: Arc<Watched>,
        brake: Arc<Semaphore>,
        stop: CancellationToken,
    ) -> (Handle, JoinHandle<()>) {
        let (orders, inbox) = mpsc::channel(8);
        let handle = Handle { orders, amendments: watch::Sender::new(None), busy: Arc::default() };
        let supervisor = Self {
            watched,
            brake,
            stop,
            orders: inbox,
            handle: handle.clone(),
            said: None,
            not_before: None,
            strays_at: Instant::now(),
            look_for_unfinished_at: Instant::now(),
            repair: None,
            left: Arc::default(),
        };
        (handle, tokio::spawn(supervisor.run()))
    }

    async fn run(mut self) {
        let mut changes = self.watched.observatory.changes();
        let mut tick = CALM;
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                order = self.orders.recv() => match order {
                    Some(order) => self.obey(order).await,
                    None => break,
                },
                _ = changes.changed() => {}
                () = tokio::time::sleep(tick) => {}
            }
            changes.mark_unchanged();
            tick = if self.turn().await { CALM } else { TENSE };
        }
        self.end_repair().await;
    }

    /// One turn; true if all is well.
    async fn turn(&mut self) -> bool {
        if self.look_for_unfinished_at <= Instant::now() {
            if let Some(record) = self.unfinished().await {
                self.go_on_with(record).await;
                return false;
            }
            self.look_for_unfinished_at = Instant::now() + UNFINISHED;
        }
        let snapshot = self.watched.cluster.eyes.remembered();
        match adopt(&self.watched.cluster, &self.watched.observatory, &snapshot).await {
            Ok(true) => return true,
            Ok(false) => {}
            Err(error) => self.say(Level::Alarm, error.to_string()),
        }
        let diagnosis = diagnose(&snapshot);
        if let Some(moved) = moved_by_a_person(&snapshot, &diagnosis) {
            let (cluster, seen) = (&self.watched.cluster, &self.watched.observatory);
            if let Err(error) = follow(cluster, seen, &snapshot, &moved).await {
                self.say(Level::Alarm, error.to_string());
            }
            return true;
        }
        let waiting = self.not_before.is_some_and(|at| at > Instant::now());
        match decide(&snapshot, &diagnosis) {
            Decision::Nothing { why, alarm } => {
                let serving = diagnosis.is_serving();
                if alarm || !serving || self.said.is_some() {
                    let level = if alarm { Level::Warning } else { Level::Info };
                    self.say(level, why);
                }
                if serving {
                    self.look_for_strays(&snapshot).await;
                }
                serving
            }
            _ if waiting => false,
            Decision::FailOver => {
                self.say(Level::Alarm, diagnosis.sentence());
                // What the replicas hold was seen at another moment than what the primary had
                // written: only fresh looks can be compared.
                let snapshot = self.watched.cluster.eyes.look(FRESH).await;
                if decide(&snapshot, &diagnose(&snapshot)) == Decision::FailOver {
                    self.fail_over(&snapshot).await;
                }
                false
            }
            Decision::Reopen { primary } => {
                self.say(Level::Warning, diagnosis.sentence());
                let snapshot = self.watched.cluster.eyes.look(FRESH).await;
                let again = decide(&snapshot, &diagnose(&snapshot));
                let all_tried =
                    snapshot.servers.values().all(|s| s.contact != primacy_types::Contact::Untried);
                if all_tried && again == (Decision::Reopen { primary: primary.clone() }) {
                    self.act(&snapshot, Request::Reopen(primary), None).await;
                }
                false
            }
            Decision::CloseIntruders { servers } => {
                for server in servers {
                    self.close_intruder(&server).await;
                }
                false
            }
        }
    }

    /// Says something once, until something else is to be said.
    fn say(&mut self, level: Level, text: String) {
        // Numbers change from turn to turn; they alone are nothing new.
        let gist: String = text.chars().filter(|c| !c.is_ascii_digit()).collect();
        if self.said.as_ref() != Some(&gist) {
            self.watched.cluster.chronicle.tell(&self.watched.cluster.name, None, level, text);
            self.said = Some(gist);
        }
    }

    async fn unfinished(&self) -> Option<OperationRecord> {
        let (store, name) = (self.watched.cluster.store.clone(), self.watched.cluster.name.clone());
        tokio::task::spawn_blocking(move || store.unfinished(&name)).await.ok()?.ok()?
    }

    /// Goes on with what a restart (or a failure past the point of no return) left half done.
    async fn go_on_with(&mut self, record: OperationRecord) {
        if self.not_before.is_some_and(|at| at > Instant::now()) {
            return;
        }
        if let Err(error) = self.watched.cluster.lock.permits() {
            self.say(Level::Alarm, format!("an operation is half done and waits: {error}"));
            return;
        }
        // What is on record may be older than what the servers are now.
        let limit = self.watched.cluster.policy.timing.statement_limit.as_duration();
        let _ = self.watched.cluster.eyes.look(limit).await;
        self.set_busy(Some("resumed operation"));
        let amendments = self.handle.amendments.subscribe();
        let cluster = Arc::clone(&self.watched.cluster);
        let result = Box::pin(resume(&cluster, &record, amendments.into())).await;
        self.set_busy(None);
        if let Err(error) = &result {
            self.say(Level::Alarm, error.to_string());
        }
        self.after(result.as_ref().map(|r| r.kind.word()), true).await;
    }

    async fn fail_over(&mut self, snapshot: &ClusterSnapshot) {
        let Ok(permit) = Arc::clone(&self.brake).try_acquire_owned() else {
            self.say(
                Level::Alarm,
                "the brake holds: as many clusters as max_failovers_at_once allows are failing \
                 over already"
                    .to_owned(),
            );
            self.not_before = Some(Instant::now() + AGAIN);
            return;
        };
        let request = Request::Failover(FailoverRequest::default());
        self.act(snapshot, request, Some(Box::new(permit))).await;
    }

    async fn act(
        &mut self,
        snapshot: &ClusterSnapshot,
        request: Request,
        permit: Option<Box<dyn Send + Sync>>,
    ) {
        let result = self.operate(snapshot, request, permit).await;
        self.after(result.as_ref().map(|r| r.kind.word()), true).await;
        if let Err(OperationError::RefusedByHook(_)) = &result {
            self.not_before = Some(Instant::now() + ASK_HOOKS_AGAIN);
        }
        if let Err(error) = result {
            self.say(Level::Alarm, error.to_string());
        }
    }

    async fn obey(&mut self, order: Order) {
        let limit = self.watched.cluster.policy.timing.statement_limit.as_duration();
        let snapshot = self.watched.cluster.eyes.look(limit).await;
        let result = self.operate(&snapshot, order.request, None).await;
        self.after(result.as_ref().map(|r| r.kind.word()), false).await;
        let _ = order.done.send(result);
    }

    async fn operate(
        &mut self,
        snapshot: &ClusterSnapshot,
        request: Request,
        permit: Option<Box<dyn Send + Sync>>,
    ) -> Result<Report, OperationError> {
        self.end_repair().await;
        self.set_busy(Some(request.kind().word()));
        let amendments = self.handle.amendments.subscribe();
        let cluster = Arc::clone(&self.watched.cluster);
        let control = Control { amendments, permit };
        let result = Box::pin(start(&cluster, snapshot, request, control)).await;
        self.set_busy(None);
        result
    }

    /// Takes over what the operation has put on record.
    async fn after<E>(&mut self, result: Result<&'static str, &E>, automatic: bool) {
        let limit = self.watched.cluster.policy.timing.statement_limit.as_duration();
        let _ = self.watched.cluster.eyes.look(limit).await;
        self.look_for_unfinished_at = Instant::now();
        if result.is_err() {
            self.not_before = Some(Instant::now() + AGAIN);
            return;
        }
        self.said = Some(String::new());
        if automatic && result.ok() == Some("failover") {
            let cluster = &self.watched.cluster;
            let (store, name, at) =
                (cluster.store.clone(), cluster.name.clone(), cluster.clock.wall());
            let _ =
                tokio::task::spawn_blocking(move || store.set_last_failover(&name, Some(at), at))
                    .await;
            let now = cluster.clock.now();
            self.watched.observatory.set_record(|record| record.last_failover = Some(now));
        }
    }

    fn set_busy(&self, with: Option<&'static str>) {
        *self.handle.busy.lock().unwrap_or_else(PoisonError::into_inner) = with;
    }

    /// A server that accepts writes and is not the primary on record is closed on sight.
    async fn close_intruder(&mut self, server: &Address) {
        let cluster = &self.watched.cluster;
        if let Err(error) = cluster.lock.permits() {
            self.say(
                Level::Alarm,
                format!("{server} accepts writes and is not the primary, but {error}"),
            );
            return;
        }
        let closed = primacy_exec::close(cluster, server).await;
        match closed {
            Ok(()) => {
                let text =
                    format!("{server} accepted writes and is not the primary: it is read-only now");
                cluster.chronicle.tell(&cluster.name, None, Level::Alarm, text);
                self.said = Some(String::new());
            }
            Err(error) => {
                self.say(
                    Level::Alarm,
                    format!("{server} accepts writes and is not the primary: {error}"),
                );
                self.not_before = Some(Instant::now() + AGAIN);
            }
        }
        let limit = self.watched.cluster.policy.timing.statement_limit.as_duration();
        let _ = self.watched.cluster.eyes.look(limit).await;
    }

    /// Replicas that still follow a former primary are pointed to the current one, one at a time,
    /// beside the loop.
    async fn look_for_strays(&mut self, snapshot: &ClusterSnapshot) {
        let idle = self.repair.as_ref().is_none_or(JoinHandle::is_finished);
        if snapshot.paused || !idle || self.strays_at.elapsed() < STRAYS {
            return;
        }
        self.strays_at = Instant::now();
        if self.watched.cluster.lock.permits().is_err() {
            return;
        }
        let Some((server, primary)) = stray(snapshot) else { return };
        let cluster = Arc::clone(&self.watched.cluster);
        let snapshot = snapshot.clone();
        let left = Arc::clone(&self.left);
        self.repair = Some(tokio::spawn(async move {
            let repaired = repoint_stray(&cluster, &snapshot, &server, &primary).await;
            if !is_news(&left, &server, repaired.as_ref().err().map(ToString::to_string)) {
                return;
            }
            let (level, text) = match repaired {
                Ok(_) => (
                    Level::Notice,
                    format!(
                        "{server} followed no primary any more; it replicates from {primary} now"
                    ),
                ),
                Err(error) => (Level::Warning, format!("{server} was not repointed: {error}")),
            };
            cluster.chronicle.tell(&cluster.name, None, level, text);
        }));
    }

    async fn end_repair(&mut self) {
        if let Some(repair) = self.repair.take() {
            repair.abort();
            let _ = repair.await;
        }
    }
}

/// Whether a repair that succeeded, or failed for this reason, is to be told: the same reason is
/// told again after a while only.
fn is_news(
    left: &Mutex<BTreeMap<Address, (String, Instant)>>,
    server: &Address,
    why: Option<String>,
) -> bool {
    let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(why) = why else {
        left.remove(server);
        return true;
    };
    let known = left.get(server).is_some_and(|(said, at)| *said == why && at.elapsed() < SAY_AGAIN);
    if !known {
        left.insert(server.clone(), (why, Instant::now()));
    }
    !known
}

/// A replica with a running past that follows a server of the cluster over which it gets nothing of
/// what the primary writes, or one that gave it saved events and is gone; with nothing of its own.
fn stray(snapshot: &ClusterSnapshot) -> Option<(Address, Address)> {
    let primary = snapshot.primary.as_ref()?;
    let (server, _) = snapshot.all_live().find(|(server, facts)| {
        *server != primary
            && !facts.writable()
            && (is_left_at_a_rescue(snapshot, server)
                || (managed_source(snapshot, server).is_some()
                    && !is_fed_by(snapshot, server, primary)))
            && errant_of(snapshot, primary, server).is_empty()
    })?;
    Some((server.clone(), primary.clone()))
}

/// A person moved the role: the primary on record is dead or read-only, and the only server that
/// accepts writes is one that it replicates from, or one that replicates from nobody and has all
/// that any live server has.
fn moved_by_a_person(snapshot: &ClusterSnapshot, diagnosis: &Diagnosis) -> Option<Address> {
    let recorded = snapshot.primary.as_ref()?;
    let mut writable = snapshot.all_live().filter(|(_, f)| f.writable());
    let (one, facts) = writable.next()?;
    if writable.next().is_some() || one == recorded {
        return None;
    }
    if !matches!(diagnosis, Diagnosis::SeveralWritable { .. } | Diagnosis::PrimaryDead { .. }) {
        return None;
    }
    // Without GTID it cannot be told from a primary of long ago that was started first.
    let promoted = facts.gtid_mode == GtidMode::On
        && facts.channel(&snapshot.policy.channel).is_none()
        && snapshot.all_live().all(|(_, other)| facts.executed.covers(&other.executed));
    (promoted || descends_from(snapshot, recorded, one)).then(|| one.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use primacy_plan::testing::{World, addr, cluster, pos};

    fn moved(world: &World) -> Option<Address> {
        moved_by_a_person(&world.snapshot, &diagnose(&world.snapshot))
    }

    /// Somebody promoted b by hand while the primary was dead, and applications write there.
    fn promoted_by_hand() -> World {
        let mut world = cluster(["a", "b", "c"]).primary_killed();
        let b = world.facts("b");
        b.channels.clear();
        b.read_only = false;
        b.executed = pos("0-2-150");
        world
    }

    #[tokio::test]
    async fn the_same_reason_is_not_told_every_time() {
        let left = Mutex::default();
        let why = |text: &str| Some(text.to_owned());
        assert!(is_news(&left, &addr("b"), why("gone")));
        assert!(!is_news(&left, &addr("b"), why("gone")));
        assert!(is_news(&left, &addr("c"), why("gone")) && is_news(&left, &addr("b"), why("new")));
        assert!(is_news(&left, &addr("b"), None) && is_news(&left, &addr("b"), why("new")));
    }

    #[test]
    fn a_server_that_a_person_promoted_is_put_on_record_while_the_old_primary_is_dead() {
        assert_eq!(moved(&promoted_by_hand()), Some(addr("b")));
    }

    #[test]
    fn a_replica_that_was_only_made_writable_is_not_the_new_primary() {
        let mut world = cluster(["a", "b", "c"]).primary_killed();
        world.facts("b").read_only = false;
        assert_eq!(moved(&world), None);
    }

    #[test]
    fn a_writable_server_that_lacks_what_another_has_is_not_the_new_primary() {
        let mut world = promoted_by_hand();
        world.facts("c").executed = pos("0-1-160");
        assert_eq!(moved(&world), None);
    }
}
